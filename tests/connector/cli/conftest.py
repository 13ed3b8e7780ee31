"""Settings in use and an inbox with dead letters."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.store import connect
from tests.conftest import MakeSettings
from tests.fakes.commands import THREAD, logs_as_before, run

__all__ = ["logs_as_before", "run"]


@pytest.fixture
def settings_file(store_url: str, make_settings: MakeSettings, tmp_path: Path) -> Path:
    """Give the settings file in use, which names a real store."""
    make_settings(redis_url=store_url)
    return tmp_path / "settings.yaml"


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    with closing(connect(store_url)) as store:
        yield Inbox(store)


@pytest.fixture
def dead(inbox: Inbox, settings_file: Path) -> Inbox:
    """Give an inbox with three dead letters, the ids 1 to 3."""
    body = json.dumps({"text": "zażółć"}).encode()
    inbox.accept([Job(key=str(at), queue=THREAD, time=at, body=body) for at in (1, 2, 3)])
    lease = inbox.claim(THREAD)
    assert lease
    while lease.move_to_dead_letters(f"reason {lease.job.id}"):
        pass
    return inbox
