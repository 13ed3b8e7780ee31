"""A remote that was away is tried by one queue."""

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.stack import until
from tasks.inbox.inbox import Inbox
from tasks.inbox.lease import Lease
from tests.fakes.inbox import REMOTE, Stored, claimed, new_job


@pytest.fixture
def back(inbox: Inbox, stored: Stored) -> Inbox:
    """Give an inbox with nine queues, whose remote was paused until now."""
    inbox.accept([new_job(str(number), queue=f"in:chat:1:{number}") for number in range(9)])
    inbox.pause(REMOTE, 90, "it is down")
    assert inbox.claim() is None
    stored.end_pause()
    return inbox


def test_a_remote_that_was_away_is_tried_by_one_queue(back: Inbox) -> None:
    trial = back.claim()

    assert trial is not None
    assert [back.claim() for _ in range(9)] == [None] * 9
    assert back.claim("in:chat:1:8") is None


def test_a_remote_that_is_tried_is_known_as_paused(back: Inbox) -> None:
    claimed(back, "")

    assert back.state().pauses == {REMOTE: True}


@pytest.mark.parametrize(
    "end", [Lease.finish, lambda lease: lease.move_to_dead_letters("refused")], ids=["done", "dead"]
)
def test_when_the_trial_has_worked_all_others_follow(back: Inbox, end: Callable[[Lease], bool]) -> None:
    end(claimed(back, ""))

    assert all(back.claim() for _ in range(8))


def test_what_a_trial_does_next_is_no_trial_any_more(inbox: Inbox, back: Inbox) -> None:
    inbox.accept([new_job(f"{number} again", queue=f"in:chat:1:{number}") for number in range(9)])
    trial = claimed(back, "")
    trial.finish()
    back.pause(REMOTE, 90, "it is down again")
    trial.finish()

    assert back.claim() is None


def test_a_trial_that_fails_for_its_own_fault_leaves_it_to_the_next(back: Inbox) -> None:
    first = claimed(back, "")
    first.retry_later(60, "refused", counts=True)
    second = claimed(back, "")

    assert second.queue != first.queue
    assert back.claim() is None


def test_a_trial_that_finds_its_remote_away_pauses_it_for_all(back: Inbox) -> None:
    trial = claimed(back, "")
    back.pause(REMOTE, 90, "it is still down")
    trial.wait(REMOTE, "it is still down")

    assert back.claim() is None


def test_a_trial_whose_worker_died_leaves_it_to_the_next(back: Inbox, stored: Stored) -> None:
    first = claimed(back, "")
    ends: Any = back.store.zscore("mc:pauses", REMOTE)
    assert 14 < ends / 1000 - back.now() <= 15

    stored.end_pause()
    assert claimed(back, "").queue != first.queue
    assert back.claim() is None


def test_a_trial_that_takes_longer_than_a_lease_is_not_overtaken_by_another(
    back: Inbox, stored: Stored
) -> None:
    trial = claimed(back, "")
    stored.end_pause()
    trial.renew()
    assert back.claim() is None

    trial.finish()
    assert all(back.claim() for _ in range(8))


def test_a_trial_that_was_overtaken_by_a_new_pause_does_not_end_it(back: Inbox) -> None:
    trial = claimed(back, "")
    back.pause(REMOTE, 90, "another worker found it down")
    trial.finish()

    assert back.claim() is None


def test_one_worker_is_enough_to_try_a_remote(back: Inbox) -> None:
    assert back.sweep(500, 64) == 1

    claimed(back, "").finish()
    assert back.sweep(500, 64) == 8


def test_one_group_is_enough_to_try_a_remote(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job(str(number), queue=f"in:chat:{number}:1") for number in range(9)])
    inbox.pause(REMOTE, 90, "it is down")
    inbox.claim()
    stored.end_pause()
    inbox.sweep(500, 64)
    assert inbox.store.zcard("mc:ready") == 1

    claimed(inbox, "").finish()
    inbox.sweep(500, 64)
    assert inbox.store.zcard("mc:ready") == 8


def test_what_waited_for_a_remote_is_overdue_from_when_it_is_back(back: Inbox, stored: Stored) -> None:
    for number in range(9):
        stored.wait_for(3600, f"in:chat:1:{number}")
    back.pause(REMOTE, 0.001, "it is down")
    until("its pause is over", lambda: back.sweep(500, 64))

    assert back.state().overdue < 30
