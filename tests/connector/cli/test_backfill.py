"""`connector backfill`: what it counts and fetches, and what it says where it cannot."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from clients.channels.meta.events import CHANNEL
from connector.cli import backfill
from tests.conftest import PAGE_A, PAGE_OFF, MakeSettings
from tests.fakes.commands import Run
from tests.fakes.conversation import PSID
from tests.fakes.meta import Refusal
from tests.fakes.world import World

HOUR = 3_600_000
RECORD = f"mc:backfill:{CHANNEL}:{PAGE_A}"
Fetch = Callable[..., Any]


@pytest.fixture
def world(store_url: str, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give a world in which three messages were missed, and one came by webhook."""
    world = World(store_url, make_settings)
    monkeypatch.setattr(backfill, "build", lambda _: world.service)
    now = int(datetime.now(UTC).timestamp()) * 1000
    for minute in range(3):
        world.meta.say(f"m_{minute}", now - HOUR + minute * 60_000)
    world.meta.say("m_other", now - HOUR, "123")
    world.receive("m_1", at=now - HOUR + 60_000)
    yield world
    world.close()


@pytest.fixture
def fetch(run: Run) -> Fetch:
    return lambda *more, page=PAGE_A, since="2h": run("backfill", "--page", page, "--since", since, *more)


def test_it_queues_what_was_missed_and_says_how_much(world: World, fetch: Fetch) -> None:
    done = fetch()

    assert done.exit_code == 0, done.output
    said = "2 conversations with 4 messages: 1 known already, 3 new, which will be relayed."
    assert done.stdout.splitlines()[-1] == said
    assert world.waiting() == 3
    assert world.left() == {
        f"mc:{name}"
        for name in (
            *(f"jobs:in:{CHANNEL}:{PAGE_A}:{person}" for person in (PSID, "123")),
            *(f"{kind}:in:{CHANNEL}:{PAGE_A}:" for kind in ("ready", "fresh")),
            *("oldest", "ready"),
        )
    }


@pytest.mark.usefixtures("world")
def test_at_a_terminal_a_bar_shows_how_far_it_got(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click._termui_impl.isatty", lambda _: True)
    shown = fetch("--dry-run").stdout

    assert re.search(r"Fetching +\[-+\] +0%", shown)
    assert re.search(r"Fetching +\[#+\] +100% +2 conversations, 3 new messages", shown)


def test_a_second_time_finds_nothing_new(fetch: Fetch, world: World) -> None:
    fetch()

    assert "4 known already, 0 new" in fetch().stdout
    assert world.waiting() == 3


def test_a_dry_run_counts_and_changes_nothing(world: World, fetch: Fetch) -> None:
    done = fetch("--dry-run")

    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1].endswith("1 known already, 3 new, which would be relayed.")
    assert world.waiting() == 1
    assert not world.store.exists(RECORD)


def test_what_meta_does_not_show_is_counted(world: World, fetch: Fetch) -> None:
    for number in range(22):
        world.meta.say(f"m_more_{number}", int(datetime.now(UTC).timestamp()) * 1000)

    told = "Meta no longer shows 4 more, or more than that; the tickets would say so."
    assert told in fetch("--dry-run").stdout


@pytest.mark.parametrize("page", [PAGE_OFF, "55"])
@pytest.mark.usefixtures("world")
def test_a_page_that_is_not_connected_is_named(fetch: Fetch, page: str) -> None:
    done = fetch(page=page)

    assert done.exit_code == 1
    assert f"The page {page} has no active connection" in done.stderr


@pytest.mark.usefixtures("world")
def test_a_time_of_which_nobody_knows_what_came_is_refused(fetch: Fetch) -> None:
    done = fetch(since="8d")

    assert done.exit_code == 1
    assert "Name a time within the last 6 days." in done.stderr
    assert fetch("--dry-run", since="6d").exit_code == 0


def test_a_token_that_is_refused_is_told_and_the_workers_go_on(world: World, fetch: Fetch) -> None:
    world.meta.fail("list", Refusal(190))
    done = fetch()

    assert done.exit_code == 1
    assert "access token; an administrator has to renew it" in done.stderr
    assert "go on with it by themselves" in done.stderr
    assert world.store.exists(RECORD)


def test_a_refusal_for_good_ends_it(world: World, fetch: Fetch) -> None:
    world.meta.fail("list", Refusal(10))
    done = fetch()

    assert done.exit_code == 1
    assert "does not have the permission" in done.stderr
    assert not world.store.exists(RECORD)


def test_one_that_cannot_be_read_is_tried_again_after_the_others(
    world: World, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("connector.cli.backfill.time.sleep", waits.append)
    world.meta.fail("past", *(Refusal(1, status=500) for _ in range(3)))
    done = fetch()

    assert done.exit_code == 0
    assert waits == [10, 20]
    assert "3 new, which will be relayed" in done.stdout


def test_where_meta_limits_it_the_command_waits_and_goes_on(
    world: World, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("connector.cli.backfill.time.sleep", waits.append)
    world.meta.fail("past", Refusal(80006), Refusal(80006))

    assert fetch().exit_code == 0
    assert waits == [1, 2]
    assert world.waiting() == 3


def test_a_long_limit_is_left_to_the_workers(
    world: World, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "LONGEST_PAUSE", 0.5)
    world.meta.fail("past", Refusal(80006))
    done = fetch()

    assert done.exit_code == 1
    assert "limiting how fast" in done.stderr
    assert world.store.zscore("mc:backfills", f"{CHANNEL}:{PAGE_A}")


def test_whoever_stops_it_leaves_it_to_the_workers(world: World, fetch: Fetch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    world.meta.hooks["past"] = stop
    assert fetch().exit_code == 1
    assert world.inbox.backfills.claim(4)


def test_a_backfill_that_begins_meanwhile_does_the_work(world: World, fetch: Fetch) -> None:
    def begin() -> None:
        world.meta.hooks.clear()
        world.inbox.backfills.request(f"{CHANNEL}:{PAGE_A}", 1)

    world.meta.hooks["past"] = begin
    done = fetch()

    assert done.exit_code == 1
    assert "Another backfill of this page has begun" in done.stderr
    assert world.inbox.backfills.claim(4)
