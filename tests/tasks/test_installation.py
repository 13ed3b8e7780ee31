"""Whose store it is."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from structlog.testing import capture_logs

from tasks.inbox.inbox import Inbox
from tasks.installation import MARKED_FOR, Installation
from tasks.services import installation_in, store_check_of
from tasks.store import connect
from tests.conftest import MakeSettings
from tests.fakes.stores import refusal


def test_an_installation_that_finds_anothers_mark_does_not_start(
    store_url: str, make_settings: MakeSettings
) -> None:
    store_check_of(make_settings(redis_url=store_url, public_url="https://one.example.com"))()

    said = refusal(make_settings(redis_url=store_url, public_url="https://two.example.com"))
    assert "another installation uses this database (https://one.example.com with the helpdesk" in said
    assert "key_prefix" in said


@pytest.mark.parametrize(
    "changes", [{"public_url": "https://one.example.com"}, {"key_prefix": "two:"}], ids=["same", "prefix"]
)
def test_processes_of_one_installation_and_others_with_a_prefix_share_a_database(
    store_url: str, make_settings: MakeSettings, changes: dict[str, str]
) -> None:
    store_check_of(make_settings(redis_url=store_url, public_url="https://one.example.com"))()
    store_check_of(
        make_settings(redis_url=store_url, **{"public_url": "https://two.example.com"} | changes)
    )()


@pytest.fixture
def installations(store_url: str, make_settings: MakeSettings) -> Iterator[tuple[Installation, Installation]]:
    with closing(connect(store_url)) as store:
        inbox = Inbox(store)
        names = ("https://one.example.com", "https://two.example.com")
        one, two = (
            installation_in(inbox, make_settings(public_url=name, redis_url=store_url)) for name in names
        )
        yield one, two


def test_an_embedded_store_stays_that_of_a_run_under_another_name(
    store_url: str, make_settings: MakeSettings
) -> None:
    with closing(connect(store_url)) as store:
        for name in ("https://one.example.com", "https://two.example.com"):
            assert installation_in(Inbox(store), make_settings(public_url=name)).other() is None


def test_the_mark_of_an_installation_that_ended_goes(
    installations: tuple[Installation, Installation], store_url: str
) -> None:
    one, two = installations
    assert one.other() is None
    with closing(connect(store_url)) as store:
        left: Any = store.pttl("mc:installation")
        assert MARKED_FOR - 5 < left / 1000 <= MARKED_FOR
        store.delete("mc:installation")

    assert two.other() is None


def test_an_installation_that_runs_keeps_its_mark(
    installations: tuple[Installation, Installation], store_url: str
) -> None:
    one, _ = installations
    one.other()
    with closing(connect(store_url)) as store:
        store.pexpire("mc:installation", 1000)
        one.keep()
        left: Any = store.pttl("mc:installation")

    assert left > 1000


def test_two_installations_that_run_are_told_once_a_minute(
    installations: tuple[Installation, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = installations
    one.keep()
    with capture_logs() as logs:
        for second in range(0, 130, 10):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            two.keep()

    assert [line["event"] for line in logs] == ["store_shared"] * 3
    assert "https://one.example.com" in logs[0]["reason"]
