"""What is due, and what the inbox tells of its state."""

import pytest

from tasks.inbox.inbox import Inbox
from tests.fakes.inbox import OTHER, QUEUE, REMOTE, Stored, begin, claimed, died, new_job


def test_a_sweep_wants_workers_only_for_queues_that_are_due(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("a")).retry_later(60, "refused", counts=True)
    assert inbox.sweep(10, 64) == 0

    stored.end_backoff()
    assert inbox.sweep(10, 64) == 1


def test_a_queue_that_was_swept_is_there_for_the_next_claim(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("a")).retry_later(60, "refused", counts=True)
    stored.end_backoff()
    inbox.sweep(10, 64)

    assert claimed(inbox, "").job.body == b"a"


def test_a_sweep_tells_no_more_than_is_enough(inbox: Inbox) -> None:
    inbox.accept([new_job(str(number), queue=f"in:chat:{number}:2") for number in range(9)])

    assert inbox.sweep(10, 5) == 5


def test_a_queue_whose_worker_died_is_claimed_by_another(
    inbox: Inbox, another: Inbox, stored: Stored
) -> None:
    begin(inbox)
    assert another.claim() is None
    stored.expire()

    assert claimed(another, "").job.body == b"a"


def test_what_is_due_in_the_future_is_not_overdue(inbox: Inbox) -> None:
    assert inbox.state().overdue == 0
    begin(inbox, new_job("a")).retry_later(60, "refused", counts=True)

    assert inbox.state().overdue == 0


def test_overdue_is_how_long_a_queue_waits_for_a_worker(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a"), new_job("b", queue=OTHER)])
    stored.wait_for(5, OTHER)

    assert 5 <= inbox.state().overdue < 30


def test_what_waits_for_a_side_is_not_overdue(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a")])
    stored.wait_for(5)
    inbox.pause(REMOTE, 90, "it is down")
    inbox.claim()

    assert inbox.state().overdue == 0


@pytest.mark.parametrize("queue", [QUEUE, "out:chat:1:2", "ticket:7", "fax:1:2", "what"])
def test_the_age_of_the_oldest_event_counts_whatever_it_waits_for(inbox: Inbox, queue: str) -> None:
    inbox.accept([new_job("a", queue=queue), new_job("b", queue=queue)])
    inbox.store.zincrby("mc:oldest", -5000, queue)
    inbox.pause(REMOTE, 90, "it is down")
    inbox.pause("chat:1", 90, "it is down")
    inbox.claim()

    assert 5 <= inbox.state().oldest < 30


def test_the_age_of_the_oldest_event_goes_on_with_the_next_one(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, new_job("a", 10), new_job("b", 20))
    stored.make_older("a", 5)
    assert 5 <= inbox.state().oldest < 30
    lease.finish()

    assert inbox.state().oldest < 5


def test_an_event_that_came_late_does_not_hide_the_age_of_those_it_went_before(
    inbox: Inbox, stored: Stored
) -> None:
    inbox.accept([new_job("b", 20)])
    stored.make_older("b", 5)
    inbox.accept([new_job("a", 10)])
    assert stored.queue() == ["a", "b"]
    lease = claimed(inbox)
    assert inbox.state().oldest >= 5
    lease.finish()

    assert inbox.state().oldest >= 5


def test_the_state_tells_how_much_there_is_to_do(inbox: Inbox, stored: Stored) -> None:
    died(inbox, new_job("a"), new_job("b"))
    inbox.accept([new_job("c", queue=OTHER)])

    state = inbox.state()
    assert (state.queues, state.dead) == (2, 1)


def test_installations_with_prefixes_of_their_own_share_a_store(inbox: Inbox, stored: Stored) -> None:
    other = Inbox(inbox.store, prefix="acme:")
    other.accept([new_job("a"), new_job("b", queue=OTHER)])
    inbox.accept([new_job("a")])

    lease = claimed(inbox, "")
    lease.finish()
    assert inbox.claim() is None
    assert other.state().queues == 2
    assert inbox.state().queues == 0


def test_counters_tell_what_became_of_events_by_lane(inbox: Inbox) -> None:
    begin(inbox).finish()
    inbox.accept([new_job("c", queue="out:chat:1:2")])
    claimed(inbox, "out:chat:1:2").move_to_dead_letters("refused")

    assert inbox.stats() == {"accepted": 3, "relayed:in": 1, "dead:out": 1}
