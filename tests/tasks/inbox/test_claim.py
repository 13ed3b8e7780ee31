"""Claims: who may work on a queue, for how long, and when not."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from clients.errors import LeaseLost
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Step
from tasks.inbox.lease import Lease
from tests.fakes.inbox import OTHER, QUEUE, REMOTE, Stored, begin, claimed, new_job


def test_a_lease_names_the_event_at_the_head(inbox: Inbox) -> None:
    event = begin(inbox, new_job("a", 10), new_job("b", 20)).job

    assert (event.id, event.time, event.body) == (1, 10, b"a")
    assert (event.attempts, event.history, event.steps) == (0, (), {})


def test_a_queue_is_claimed_by_one(inbox: Inbox, another: Inbox) -> None:
    begin(inbox, new_job("a"))

    assert another.claim(QUEUE) is None


def test_queues_are_claimed_apart(inbox: Inbox, another: Inbox) -> None:
    begin(inbox, new_job("a"), new_job("b", queue=OTHER))

    assert claimed(another, OTHER).job.body == b"b"


def test_a_lease_that_ran_out_is_taken_over(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("a"))
    stored.expire()

    assert claimed(another).job.body == b"a"


def test_a_lease_runs_out_after_its_term(inbox: Inbox, stored: Stored) -> None:
    brief = Inbox(inbox.store, lease=0.001)
    begin(brief, new_job("a"))

    deadline = time.monotonic() + 10
    while not (taken := inbox.claim(QUEUE)):
        assert time.monotonic() < deadline
    assert taken.job.body == b"a"
    assert 14 < float(stored.due_in() or 0) <= 15


def test_a_claim_whose_answer_got_lost_gives_the_same_lease(inbox: Inbox) -> None:
    inbox.accept([new_job("a")])
    inbox.accept([new_job("b", queue=OTHER)])
    first = inbox._script.run("claim", "token", 15_000, 0, "")
    again = inbox._script.run("claim", "token", 15_000, 0, "")

    assert first == again
    assert first[1].startswith(b"0000000000000001 ")


def test_a_queue_is_not_claimed_while_its_head_waits(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("a"), new_job("b")).retry_later(60, "refused", counts=True)
    assert inbox.claim(QUEUE) is None

    stored.end_backoff()
    assert claimed(inbox).job.body == b"a"


def test_a_queue_is_not_claimed_while_its_side_is_paused(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a")])
    inbox.pause(REMOTE, 90, "it is down")

    assert inbox.claim(QUEUE) is None
    assert inbox.claim() is None
    assert "mc:lease:" + QUEUE not in stored.names()


def test_queues_that_wait_for_a_side_go_on_when_its_pause_is_over(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a"), new_job("b", queue=OTHER)])
    inbox.pause(REMOTE, 90, "it is down")
    assert inbox.claim() is None
    stored.end_pause()
    first = claimed(inbox, "")
    first.finish()

    assert {first.queue, claimed(inbox, "").queue} == {QUEUE, OTHER}


def test_a_sweep_wants_no_worker_for_a_side_that_is_paused(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a")])
    inbox.pause(REMOTE, 90, "it is down")
    assert inbox.sweep(10, 64) == 0

    stored.end_pause()
    assert inbox.sweep(10, 64) == 1


def test_what_waits_for_a_paused_side_is_not_written_again_and_again(inbox: Inbox) -> None:
    inbox.accept([new_job(str(number), queue=f"in:chat:1:{number}") for number in range(100)])
    inbox.pause(REMOTE, 90, "it is down")
    inbox.claim()
    store: Any = inbox.store
    before = store.info("persistence")["rdb_changes_since_last_save"]
    for _ in range(10):
        inbox.sweep(500, 64)
        inbox.claim()

    assert store.info("persistence")["rdb_changes_since_last_save"] == before


def test_a_side_that_asked_to_slow_down_gets_a_few_queues_a_second(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job(str(number), queue=f"in:chat:1:{number}") for number in range(9)])
    inbox.pause(REMOTE, 90, "it asks to slow down", rate=4)
    stored.end_pause()
    taken = [inbox.claim() for _ in range(6)]

    assert [lease is not None for lease in taken] == [True] * 4 + [False] * 2


def test_a_side_that_asked_to_slow_down_gets_more_queues_each_second(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job(str(number), queue=f"in:chat:1:{number}") for number in range(20)])
    inbox.pause(REMOTE, 90, "it asks to slow down", rate=4)
    for expected in (5, 7, 8):
        stored.end_pause()
        inbox.store.hset("mc:pause:helpdesk", "since", 0)
        taken = 0
        while inbox.claim():
            taken += 1
        assert taken == expected


def test_a_claim_of_an_empty_queue_leaves_no_lease_while_its_side_is_paused(
    inbox: Inbox, stored: Stored
) -> None:
    inbox.pause(REMOTE, 90, "it is down")

    assert inbox.claim(QUEUE) is None
    assert not stored.lease()


def test_a_paused_side_is_known_as_paused(inbox: Inbox) -> None:
    inbox.pause(REMOTE, 90, "it is down")
    inbox.pause("chat:1", 1, "it was down")
    inbox.store.zadd("mc:pauses", {"chat:1": 0})

    assert inbox.state().pauses == {REMOTE: True, "chat:1": False}


def test_a_pause_holds_no_other_remote_back(inbox: Inbox) -> None:
    inbox.accept([new_job("a")])
    inbox.pause("chat:1", 90, "it is down")

    assert claimed(inbox).job.body == b"a"


def test_a_claim_of_an_empty_queue_leaves_nothing_behind(inbox: Inbox, stored: Stored) -> None:
    assert inbox.claim(QUEUE) is None
    assert stored.names() == set()


def test_a_renewed_lease_is_kept_for_another_term(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox, new_job("a"))
    stored.expire()
    lease.renew()
    lease.check()

    assert another.claim(QUEUE) is None
    assert 14 < lease.deadline - time.monotonic() <= 15
    assert 14 < float(stored.due_in() or 0) <= 15


def test_a_lease_is_good_until_its_deadline(inbox: Inbox) -> None:
    lease = begin(inbox, new_job("a"))
    lease.check()
    lease.deadline = time.monotonic() - 0.001

    with pytest.raises(LeaseLost):
        lease.check()


@pytest.fixture
def stale(inbox: Inbox, another: Inbox, stored: Stored) -> Lease:
    """Give a lease that another worker has taken over; the event at the head is `a`, then comes `b`."""
    lease = begin(inbox)
    stored.expire()
    claimed(another)
    return lease


def test_a_lease_that_is_lost_cannot_be_renewed(stale: Lease) -> None:
    stale.renew()

    with pytest.raises(LeaseLost):
        stale.check()


def test_a_lease_that_is_lost_records_nothing(stale: Lease, stored: Stored) -> None:
    with pytest.raises(LeaseLost):
        stale.save_step(Step.call(), "ticket")
    with pytest.raises(LeaseLost):
        stale.check()
    assert stale.step(Step.call()) is None
    assert "mc:job:1" not in stored.names()


ENDS: dict[str, Callable[[Lease], object]] = {
    "finish": lambda lease: lease.finish(),
    "move_to_dead_letters": lambda lease: lease.move_to_dead_letters("refused"),
    "later": lambda lease: lease.retry_later(60, "refused", counts=True),
    "wait": lambda lease: lease.wait(REMOTE, "refused"),
    "release": lambda lease: lease.release(),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_lease_that_is_lost_changes_nothing(stale: Lease, inbox: Inbox, stored: Stored, end: str) -> None:
    before = stored.lease(), stored.names(), inbox.stats()

    assert not ENDS[end](stale)
    assert (stored.lease(), stored.names(), inbox.stats()) == before
    assert stored.queue() == ["a", "b"]


def test_a_released_queue_can_be_claimed_at_once(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.finish()
    lease.release()

    assert claimed(another, "").job.body == b"b"
