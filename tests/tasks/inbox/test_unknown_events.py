"""Events of kinds that nobody knew: how the store keeps them, and gives them back."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from clients.errors import LeaseLost
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Step
from tasks.inbox.kept_jobs import KeptJob
from tasks.inbox.lease import MOST_UNKNOWN, UNKNOWN_FOR
from tests.fakes.inbox import QUEUE, Stored, begin, claimed, new_job


def _kept(inbox: Inbox, name: str = "a", at: int = 10) -> KeptJob:
    """Keep an event, and do its job."""
    lease = begin(inbox, new_job(name, at))
    lease.keep_unknown("a new kind")
    lease.finish()
    return inbox.unknown_events.all()[-1]


@pytest.fixture
def full(inbox: Inbox) -> Iterator[Inbox]:
    """Give an inbox whose store is full from now on, with an event that was claimed."""
    store: Any = inbox.store
    yield inbox
    store.config_set("maxmemory", 0)


def test_an_event_is_kept_as_it_came_while_its_job_is_done(inbox: Inbox, stored: Stored) -> None:
    kept = _kept(inbox)

    assert (kept.job.id, kept.job.queue, kept.job.time, kept.job.body) == (1, QUEUE, 10, b"a")
    assert kept.reason == "a new kind"
    assert stored.queue() == []
    assert (inbox.state().dead, inbox.unknown_events.count()) == (0, 1)


def test_an_event_that_is_kept_twice_is_kept_once(inbox: Inbox) -> None:
    lease = begin(inbox)
    lease.keep_unknown("a new kind")
    lease.keep_unknown("a new kind")

    assert [one.job.id for one in inbox.unknown_events.all()] == [1]


def test_a_worker_whose_lease_is_lost_keeps_nothing(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    stored.expire()
    claimed(another).finish()

    with pytest.raises(LeaseLost):
        lease.keep_unknown("a new kind")
    assert inbox.unknown_events.all() == []


def test_a_full_store_says_so(inbox: Inbox, full: Inbox) -> None:
    lease = begin(inbox)
    inbox.store.config_set("maxmemory", 1)

    with pytest.raises(redis.OutOfMemoryError):
        lease.keep_unknown("a new kind")


def test_the_newest_thousand_are_kept(inbox: Inbox) -> None:
    store: Any = inbox.store
    now = int(inbox.now() * 1000)
    store.hset("mc:unknown", mapping={str(id_): "{}" for id_ in range(1001, 1001 + MOST_UNKNOWN)})
    store.zadd("mc:unknown_since", {str(id_): now - 10_000 + id_ for id_ in range(1001, 1001 + MOST_UNKNOWN)})
    _kept(inbox)

    ids = {one.job.id for one in inbox.unknown_events.all()}
    assert len(ids) == MOST_UNKNOWN
    assert ids >= {1, 1002, 1000 + MOST_UNKNOWN}
    assert store.zcard("mc:unknown_since") == MOST_UNKNOWN


def test_none_is_kept_longer_than_a_month(inbox: Inbox) -> None:
    store: Any = inbox.store
    _kept(inbox, "a")
    _kept(inbox, "b")
    store.zadd("mc:unknown_since", {"1": int((inbox.now() - UNKNOWN_FOR) * 1000)})
    assert 0 < store.pttl("mc:unknown") <= UNKNOWN_FOR * 1000
    _kept(inbox, "c")

    assert [one.job.body for one in inbox.unknown_events.all()] == [b"b", b"c"]


def test_a_replayed_event_takes_its_place_by_time_and_is_marked(inbox: Inbox, stored: Stored) -> None:
    kept = _kept(inbox, "b", 20)
    inbox.accept([new_job("a", 10), new_job("c", 30)])

    assert inbox.unknown_events.requeue(kept) is True
    assert stored.queue() == ["a", "b", "c"]
    lease = claimed(inbox)
    lease.finish()
    assert list(lease.steps) == [Step.replayed()]
    assert lease.age(Step.replayed()) == pytest.approx(0, abs=10)
    assert inbox.unknown_events.all() == []


def test_a_replay_whose_answer_got_lost_is_one(inbox: Inbox, stored: Stored) -> None:
    kept = _kept(inbox)

    assert [inbox.unknown_events.requeue(kept) for _ in range(2)] == [True, False]
    assert stored.queue() == ["a"]


def test_an_event_replayed_into_an_idle_queue_is_due_at_once(inbox: Inbox) -> None:
    inbox.unknown_events.requeue(_kept(inbox))

    assert inbox.sweep(10, 64) == 1


def test_an_event_that_was_dropped_does_not_come_back(inbox: Inbox, stored: Stored) -> None:
    kept = _kept(inbox)

    assert [inbox.unknown_events.drop(kept.job.id) for _ in range(2)] == [True, False]
    assert inbox.unknown_events.requeue(kept) is False
    assert not {name for name in stored.names() if "unknown" in name or "job" in name}
