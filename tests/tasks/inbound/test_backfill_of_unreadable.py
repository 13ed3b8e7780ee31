"""A conversation that cannot be read keeps no other from being fetched; an account that is away keeps all."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tasks.inbound import backfill
from tasks.person import forget
from tests.fakes.conversation import PERSON, PSID
from tests.fakes.fetching import ACCOUNT, bodies, fetch, relay
from tests.fakes.meta import Refusal
from tests.fakes.world import World

OTHERS = [f"{PSID[:-1]}{digit}" for digit in range(5)]
HOUR = 3_600_000
FAULT = Refusal(1, status=500)


@pytest.fixture
def now(world: World, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the time in ms, of the second that has begun; five people wrote in the hour before."""
    monkeypatch.setattr(backfill, "wake", int)  # the test works by itself
    monkeypatch.setattr(backfill, "wake_fetchers", int)
    time = int(datetime.now(UTC).timestamp()) * 1000
    for number, person in enumerate(OTHERS):
        world.meta.say(f"m_{number}", time - HOUR + number * 60_000, person)
    since = datetime.fromtimestamp(time / 1000, UTC) - timedelta(hours=3)
    backfill.fetch_since(world.service, ACCOUNT, since)
    return time


def _go_on(world: World, times: int = 1) -> None:
    """Have what waits be fetched as if its time had come."""
    for _ in range(times):
        world.store.zadd("mc:backfills", {ACCOUNT: 0}, xx=True)
        fetch(world)
        relay(world, *OTHERS)


def _waits(world: World) -> float:
    (shown,) = backfill.under_way(world.inbox).values()
    return shown.next - world.inbox.now()


@pytest.mark.parametrize(
    "answer",
    [
        FAULT,
        Refusal(2, status=500),
        Refusal(1),
        Refusal(2, status=503),
        httpx.ReadTimeout("late"),
        {},
        {"data": "?"},
        {"data": [1]},
        [],
    ],
)
def test_one_that_cannot_be_read_is_tried_again_after_all_others(world: World, now: int, answer: Any) -> None:
    world.meta.spoilt[OTHERS[4]] = answer
    _go_on(world)
    others = sorted(bodies(world))
    (shown,) = backfill.under_way(world.inbox).values()
    del world.meta.spoilt[OTHERS[4]]
    _go_on(world)

    assert others == ["m_0", "m_1", "m_2", "m_3"]
    assert (shown.looked_at, shown.known, bool(shown.reason)) == (4, 5, True)
    assert sorted(bodies(world)) == ["m_0", "m_1", "m_2", "m_3", "m_4"]
    assert world.left() == set()


def test_one_that_can_never_be_read_is_given_up_and_its_ticket_says_so_once(world: World, now: int) -> None:
    world.meta.spoilt[OTHERS[2]] = FAULT
    _go_on(world)
    waits = list[float]()
    with capture_logs() as told:
        for _ in range(backfill.MOST_ROUNDS):
            waits.append(_waits(world))
            _go_on(world)

    *said, note = sorted(bodies(world), key=len)
    assert sorted(said) == ["m_0", "m_1", "m_3", "m_4"]
    assert "may be missing" in note
    assert [round(wait) for wait in waits] == [10, 20, 40, 80, 160, 300, 300, 300, 300, 300]
    assert [line["event"] for line in told if line["event"] == "conversation_not_fetched"] != []
    assert world.left() == set()


@pytest.mark.parametrize("error", [Refusal(190), Refusal(613), FAULT, httpx.ConnectError("refused")])
def test_an_account_that_cannot_be_asked_for_anything_counts_against_no_conversation(
    world: World, now: int, error: Exception
) -> None:
    world.meta.spoilt[OTHERS[4]] = error
    for _ in range(backfill.MOST_ROUNDS + 2):
        world.meta.fail("list", *([None] if not world.meta.count("list") else []), error)
        _go_on(world)
    assert bodies(world) == []
    world.meta.spoilt.clear()
    world.meta._faults.clear()
    _go_on(world)

    assert sorted(bodies(world)) == ["m_0", "m_1", "m_2", "m_3", "m_4"]


def test_all_that_cannot_be_read_for_a_while_is_read_afterwards(world: World, now: int) -> None:
    world.meta.spoilt.update(dict.fromkeys(OTHERS, FAULT))
    _go_on(world, 3)
    world.meta.spoilt.clear()
    _go_on(world)

    assert sorted(bodies(world)) == ["m_0", "m_1", "m_2", "m_3", "m_4"]


def test_somebody_who_writes_while_theirs_waits_is_told_of_once(world: World, now: int) -> None:
    world.meta.spoilt[OTHERS[0]] = FAULT
    hooks = world.meta.hooks

    def write() -> None:
        hooks.clear()
        world.meta.say("m_now", now + 1000, OTHERS[0])

    hooks["past"] = write
    _go_on(world, backfill.MOST_ROUNDS + 1)

    assert sum("may be missing" in body for body in bodies(world)) == 1
    assert world.left() == set()


def test_a_person_who_is_forgotten_while_theirs_waits_is_not_kept(world: World, now: int) -> None:
    world.meta.say("m_p", now - HOUR)
    world.meta.spoilt[PSID] = FAULT
    _go_on(world)
    assert backfill.kept_of(world.inbox, PERSON)
    forget(world.inbox, PERSON)

    assert backfill.kept_of(world.inbox, PERSON) is None


def _told_of(world: World, since: datetime) -> list[tuple[datetime, datetime]]:
    """Fetch what was said since then; return of which times the log says that it was not."""
    backfill.fetch_since(world.service, ACCOUNT, since)
    with capture_logs() as told:
        _go_on(world)
    found = [line for line in told if line["event"] == "messages_may_be_missing"]
    after, before = "written_after", "written_before"
    return [(datetime.fromisoformat(one[after]), datetime.fromisoformat(one[before])) for one in found]


@pytest.fixture
def long_ago() -> datetime:
    """Return a time of which the store has forgotten what came."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=9)


def test_of_what_is_older_than_what_the_store_remembers_the_log_says_that_it_is_not_fetched(
    world: World, now: int, long_ago: datetime
) -> None:
    world.meta.spoilt[OTHERS[2]] = Refusal(100, 33)
    ((after, before),) = _told_of(world, long_ago)

    assert after == long_ago
    assert abs(before - (long_ago + timedelta(days=3))) < timedelta(minutes=1)
    (note,) = [body for body in bodies(world) if "may be missing" in body]
    assert f"between {long_ago:%Y-%m-%d %H:%M} UTC" in note.replace("\\", "")


def test_where_nothing_is_left_out_the_log_says_nothing_of_that(world: World, now: int) -> None:
    assert _told_of(world, datetime.now(UTC) - timedelta(days=5)) == []


def test_who_shows_too_little_may_lack_what_is_too_old_as_well(
    world: World, now: int, long_ago: datetime
) -> None:
    for minute in range(25):
        world.meta.say(f"m_more_{minute:02}", now - 50 * 60_000 + minute * 60_000, OTHERS[4])
    _told_of(world, long_ago)

    (note,) = [body for body in bodies(world) if "may be missing" in body]
    assert f"between {long_ago:%Y-%m-%d %H:%M} UTC" in note.replace("\\", "")
