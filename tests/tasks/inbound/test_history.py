"""What was said before a page was connected stands on the tickets as history, before what is written now."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from clients.errors import ServiceDown
from tasks.inbound import backfill, history
from tasks.inbound.backfill import ConnectionNotes
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import IN, PSID
from tests.fakes.crashes import every_crash
from tests.fakes.failures import Crash
from tests.fakes.fetching import ACCOUNT, bodies, fetch, relay
from tests.fakes.meta import Refusal
from tests.fakes.world import World

OTHER = f"{PSID[:-1]}7"
HOUR, DAY = 3_600_000, 24 * 3_600_000
MARK = "> History: written before this page was connected."
WINDOW = 8
"""For how many days the page's history is fetched: longer than it is remembered what came."""


@pytest.fixture(autouse=True)
def _asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wake nobody: the test works by itself."""
    monkeypatch.setattr(backfill, "wake", int)


@pytest.fixture
def now() -> int:
    """Return the time in ms, of the second that has begun."""
    return int(datetime.now(UTC).timestamp()) * 1000


@pytest.fixture
def page(world: World) -> World:
    """Give a world that has a page whose history is wanted, not connected yet."""
    return prepared(world)


def prepared(world: World, **changes: Any) -> World:
    fields = {"history_days": WINDOW, "remind_before": 2} | changes
    world.configure(connections=[connection(PAGE_A, SECRET_A, **fields)])
    return world


def connect(world: World) -> None:
    notes = ConnectionNotes(world.service.inbox, world.service.connections, fetches_missed=True)
    notes.refresh()


def marked(*texts: str) -> list[str]:
    return [f"{MARK}\n\n{text}" for text in texts]


def test_it_stands_on_one_ticket_for_each_conversation_in_order_with_its_times(page: World, now: int) -> None:
    times = [now - 7 * DAY, now - 6 * DAY, now - HOUR]
    for number, time in enumerate(times):
        page.meta.say(f"m_{number}", time)
    page.meta.say("m_other", now - 2 * DAY, OTHER)
    page.meta.say("m_early", now - (WINDOW + 1) * DAY, f"{PSID[:-1]}5")
    connect(page)
    fetch(page)
    relay(page)
    page.desk.tickets["t1"].closed = True  # it finds any open one, whoever's
    relay(page, OTHER)

    ticket, other = page.desk.tickets.values()
    assert bodies(page) == marked("m_0", "m_1", "m_2", "m_other")
    assert ticket.new
    assert other.new
    assert [ticket.new.is_history, other.new.is_history] == [True, True]
    shown = [ticket.new.created_at, *(one.created_at for one in ticket.comments)]
    assert shown == [datetime.fromtimestamp(time / 1000, UTC) for time in times]
    assert all(one.is_history for one in ticket.comments)


def test_the_mark_is_in_the_language_of_the_pages_agents(world: World, now: int) -> None:
    prepared(world, language="pl")
    world.meta.say("m_0", now - HOUR)
    connect(world)
    fetch(world)
    relay(world)

    assert bodies(world) == ["> Historia: wiadomość sprzed podłączenia tej strony.\n\nm_0"]


def test_nobody_is_reminded_of_it_and_nothing_is_marked_as_seen(page: World, now: int) -> None:
    page.meta.say("m_0", now - HOUR)
    connect(page)
    fetch(page)
    relay(page)

    assert page.meta.actions == []
    assert not page.store.exists("mc:reminders")
    page.receive("m_1", "now", at=now + 1000)
    relay(page)
    assert page.meta.actions == ["mark_seen"]
    assert page.store.zcard("mc:reminders") == 1


def test_where_it_is_not_wanted_nothing_is_fetched(world: World, now: int) -> None:
    world.meta.say("m_0", now - HOUR)
    connect(world)
    fetch(world)

    assert world.waiting() == 0
    assert world.meta.calls == []


def test_it_is_fetched_once_whatever_changes_later(page: World, now: int) -> None:
    page.meta.say("m_0", now - HOUR)
    connect(page)
    fetch(page)
    connect(page)

    assert page.inbox.backfills.all() == []


def test_a_page_that_is_removed_and_added_gets_no_history_from_before_it_was_removed(
    page: World, now: int
) -> None:
    connect(page)
    fetch(page)
    page.inbox.connections.put(ACCOUNT, b"{}")
    page.inbox.connections.remove(ACCOUNT)
    connect(page)

    (again,) = page.inbox.backfills.all()
    assert now <= again.since <= now + 5000


def test_a_conversation_in_which_only_the_page_wrote_is_left_out(page: World, now: int) -> None:
    page.meta.say("m_0", now - HOUR, sender=PAGE_A)
    page.meta.say("m_1", now - HOUR, OTHER)
    page.meta.say("m_page", now - HOUR + 60_000, OTHER, sender=PAGE_A)
    connect(page)
    fetch(page)
    relay(page, PSID, OTHER)

    assert bodies(page) == marked("m_1", "m_page")


def test_what_was_written_after_the_page_was_connected_is_no_history(page: World, now: int) -> None:
    page.meta.say("m_0", now - HOUR)
    connect(page)
    page.meta.say("m_1", now + 5000)
    fetch(page)
    relay(page)

    assert bodies(page) == [*marked("m_0"), "m_1"]


def test_where_meta_shows_no_more_the_ticket_says_so(page: World, now: int) -> None:
    for minute in range(22):
        page.meta.say(f"m_{minute:02}", now - HOUR + minute * 60_000)
    connect(page)
    fetch(page)
    relay(page)

    *said, note = bodies(page)
    assert said == marked(*(f"m_{minute:02}" for minute in range(2, 22)))
    assert "may be missing here" in note


def test_what_is_written_meanwhile_stands_behind_it_and_is_no_history(page: World, now: int) -> None:
    """Nothing of it was fetched yet: the conversation is fetched out of its turn."""
    for number in range(3):
        page.meta.say(f"m_{number}", now - HOUR + number)
    connect(page)
    for number in range(2):
        page.meta.say(f"m_now_{number}", now + 1000 * number)
        page.receive(f"m_now_{number}", f"now {number}", at=now + 1000 * number)
    relay(page)
    asked = page.meta.count("past")
    fetch(page)
    relay(page)

    assert bodies(page) == [*marked("m_0", "m_1", "m_2"), "now 0", "now 1"]
    assert asked == 1
    assert page.meta.actions == ["mark_seen", "mark_seen"]


def test_what_is_fetched_while_a_message_is_begun_goes_before_it(page: World, now: int) -> None:
    page.meta.say("m_0", now - HOUR)
    connect(page)
    page.receive("m_now", "now", at=now)

    def fetch_it() -> None:
        page.meta.hooks.clear()
        fetch(page)

    page.meta.hooks["past"] = fetch_it
    relay(page)

    assert bodies(page) == [*marked("m_0"), "now"]


def test_whoever_writes_to_a_page_that_no_process_noted_yet_waits_for_that(page: World, now: int) -> None:
    """Their webhook was kept until the page was connected, which was a while."""
    page.meta.say("m_0", now - HOUR)
    page.receive("m_now", "now", at=now)
    (entry,) = page.store.zrange(f"mc:jobs:{IN}", 0, 0)
    id_, accepted, rest = entry.split(b" ", 2)
    page.store.delete(f"mc:jobs:{IN}")
    page.store.zadd(f"mc:jobs:{IN}", {b" ".join((id_, b"%d" % (int(accepted) - DAY), rest)): now})
    page.work()
    assert page.head().attempts == 0
    assert page.waiting() == 1
    connect(page)
    relay(page)

    assert bodies(page) == [*marked("m_0"), "now"]


@pytest.mark.parametrize("failure", [Refusal(190), Refusal(80006), ServiceDown("no_answer")])
def test_a_message_does_not_wait_for_ever_for_what_meta_does_not_give(
    page: World, now: int, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    page.meta.say("m_0", now - HOUR)
    connect(page)
    page.receive("m_now", "now", at=now)
    page.meta.fail("conversations", *[failure] * 3)
    page.work()
    assert (page.waiting(), page.head().attempts) == (1, 0)
    assert page.paused(ACCOUNT) == 0
    monkeypatch.setattr(history, "HISTORY_WITHIN", 0)
    page.resume()

    assert bodies(page) == ["now"]


def test_a_message_does_not_wait_for_what_meta_refuses(page: World, now: int) -> None:
    page.meta.say("m_0", now - HOUR)
    connect(page)
    page.receive("m_now", "now", at=now)
    page.meta.fail("conversations", Refusal(10))
    page.work()

    assert bodies(page) == ["now"]


def test_a_gap_meanwhile_changes_nothing_of_it(page: World, now: int) -> None:
    page.meta.say("m_0", now - 7 * DAY)
    connect(page)
    backfill.fetch_since(page.service, ACCOUNT, datetime.fromtimestamp((now - HOUR) / 1000, UTC))
    fetch(page)
    relay(page)

    assert bodies(page) == marked("m_0")


def test_one_that_could_not_be_read_for_a_week_doubles_nothing_that_came_since(page: World, now: int) -> None:
    connect(page)
    page.store.hset("mc:connected", ACCOUNT, now - 7 * DAY)
    for key, days in (("m_history", 8), ("m_came_and_forgotten", 6.5), ("m_missed", 5)):
        page.meta.say(key, now - int(days * DAY))
    page.store.hset(f"mc:backfill:{ACCOUNT}", "history", now - 9 * DAY)
    fetch(page)
    relay(page)

    assert bodies(page) == [*marked("m_history"), "m_missed"]


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_it_stands_there_once_and_in_order(
    worlds: Callable[[], World], now: int, *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        prepared(world)
        world.desk.knows_keys = knows_keys
        for number in range(2):
            world.meta.say(f"m_{number}", now - HOUR + number * 1000)
        connect(world)
        world.receive("m_now", "now", at=now)
        return [IN]

    for world in every_crash(worlds, prepare):
        assert bodies(world) == [*marked("m_0", "m_1"), "now"]


@pytest.mark.parametrize("missed", [True, False])
def test_what_was_said_while_a_page_was_not_active_is_fetched_once_it_is_again(
    world: World, now: int, *, missed: bool
) -> None:
    def note(*, active: bool) -> None:
        world.configure(connections=[connection(PAGE_A, SECRET_A, active=active)], backfill=missed)
        service = world.service
        ConnectionNotes(service.inbox, service.connections, fetches_missed=missed).refresh()

    note(active=True)
    note(active=False)
    world.store.zadd("mc:inactive", {ACCOUNT: now - 2 * HOUR})
    note(active=False)
    world.meta.say("m_0", now - 3 * HOUR)
    world.meta.say("m_1", now - HOUR)
    note(active=True)
    fetch(world)
    relay(world)

    assert bodies(world) == (["m_1"] if missed else [])
    assert not world.store.exists("mc:inactive")


def test_a_page_that_was_switched_off_while_nothing_ran_is_inactive_since_then(
    world: World, now: int
) -> None:
    connect(world)
    world.configure(connections=[connection(PAGE_A, SECRET_A, active=False)])
    world.store.set("mc:door", str(now - 3 * HOUR))
    world.inbox.note_door(300)
    backfill.queue_due(world.service)
    connect(world)

    assert world.store.zscore("mc:inactive", ACCOUNT) == now - 3 * HOUR


def test_a_connection_that_never_was_active_was_never_inactive(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, active=False)])
    connect(world)

    assert not world.store.exists("mc:inactive", "mc:connected")


def test_wherever_the_worker_dies_that_fetches_it_each_conversation_stands_there_once(
    worlds: Callable[[], World], now: int
) -> None:
    people, steps, died = [PSID, OTHER], 0, True
    while died:
        world = prepared(worlds())
        world.desk.knows_keys = False
        for number, person in enumerate(people):
            for minute in range(2):
                world.meta.say(f"m_{number}_{minute}", now - HOUR + minute * 60_000, person)
        connect(world)
        died = _dies(world, steps)
        world.store.delete("mc:fetching")
        world.store.zadd("mc:backfills", {ACCOUNT: 0}, xx=True)
        fetch(world)
        relay(world, *people)
        assert bodies(world) == marked("m_0_0", "m_0_1", "m_1_0", "m_1_1"), steps
        assert world.inbox.backfills.all() == []
        world.close()
        steps += 1
    assert steps > 5


def _dies(world: World, steps: int) -> bool:
    world.fuse.arm(steps)
    try:
        fetch(world)
    except Crash:
        return True
    finally:
        world.fuse.disarm()
    return False
