"""Leases: what is known of an event, and how the work on it ends."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from clients.errors import LeaseLost
from tasks.inbox.inbox import SEEN_FOR, Inbox
from tasks.inbox.job import Step, sent_ids
from tasks.inbox.lease import HISTORY_LENGTH, Lease
from tasks.inbox.personal import Personal
from tests.fakes.inbox import QUEUE, Stored, begin, claimed, died_with_a_step, new_job


def test_a_step_that_was_recorded_is_known(inbox: Inbox) -> None:
    lease = begin(inbox)

    assert lease.step(Step.call()) is None
    assert lease.save_step(Step.call(), "ticket") == "ticket"
    assert lease.step(Step.call()) == "ticket"


def test_steps_survive_a_worker_that_dies(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.save_step(Step.call(), "ticket")
    lease.save_step(Step.upload(0), "zażółć")
    stored.expire()

    assert claimed(another).job.steps == {"call": "ticket", "upload:0": "zażółć"}


def test_a_step_that_is_undone_was_never_taken(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.save_step(Step.call(), "ticket")
    lease.save_step(Step.sending(0), "1")
    lease.undo_step(Step.sending(0))
    assert lease.step(Step.sending(0)) is None
    stored.expire()

    assert claimed(another).job.steps == {"call": "ticket"}


def test_a_lease_that_is_lost_undoes_nothing(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.save_step(Step.sending(0), "1")
    stored.expire()
    taken = claimed(another)

    with pytest.raises(LeaseLost):
        lease.undo_step(Step.sending(0))
    assert inbox.steps(QUEUE) == taken.job.steps == {"sending:0": "1"}


def test_numbered_steps_come_in_the_order_of_their_numbers(inbox: Inbox) -> None:
    lease = begin(inbox)
    for number in (10, 2, 0):
        lease.save_step(Step.sent(number), f"m_{number}")
    lease.save_step(Step.sending(1), "5")

    assert sent_ids(lease.steps) == ["m_0", "m_2", "m_10"]


def test_steps_belong_to_one_event(inbox: Inbox) -> None:
    lease = begin(inbox)
    lease.save_step(Step.call(), "ticket")
    lease.finish()

    assert lease.step(Step.call()) is None


def test_a_step_that_worked_makes_attempts_count_from_there(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.retry_later(60, "refused", counts=True)
    stored.end_backoff()
    lease = claimed(inbox)
    assert lease.attempts == 1
    lease.complete_step(Step.sent(0), "m_1")
    assert lease.step(Step.sent(0)) == "m_1"
    lease.retry_later(60, "refused", counts=True)
    stored.end_backoff()

    assert claimed(inbox).attempts == 1


def test_a_finished_event_makes_room_for_the_next(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)

    assert lease.finish() is True
    assert lease.job.body == b"b"
    assert stored.queue() == ["b"]


def test_what_is_known_of_the_next_event_comes_with_it(inbox: Inbox, stored: Stored) -> None:
    letter = died_with_a_step(inbox, "a", 20)
    lease = begin(inbox, new_job("b", 10), new_job("c", 30))
    inbox.dead_letters.requeue(letter)
    lease.finish()

    assert (lease.job.body, lease.step(Step.call())) == (b"a", "ticket")
    assert stored.queue() == ["a", "c"]


def test_a_finish_whose_answer_got_lost_takes_one_event_only(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    arguments = ("finish", QUEUE, lease.token, lease.job.id, "relayed:in", "", "", "")
    first = inbox._script.run(*arguments)
    again = inbox._script.run(*arguments)

    assert first == again
    assert stored.queue() == ["b"]
    assert inbox.stats()["relayed:in"] == 1


def test_the_last_finish_may_be_repeated_too(inbox: Inbox) -> None:
    lease = begin(inbox, new_job("a"))
    arguments = ("finish", QUEUE, lease.token, lease.job.id, "relayed:in", "", "", "")

    assert inbox._script.run(*arguments) == inbox._script.run(*arguments) == []
    assert inbox.stats()["relayed:in"] == 1


def test_a_foreseen_step_stands_in_the_record_of_the_next_event(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.foresee(Step.call(), "comment:42")
    lease.finish()
    assert lease.step(Step.call()) is None
    stored.expire()

    assert claimed(inbox).step(Step.call()) == "comment:42"


def test_recording_a_foreseen_step_asks_the_store_nothing(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.foresee(Step.call(), "comment:42")
    lease.finish()
    stored.expire()
    claimed(inbox)

    assert lease.save_step(Step.call(), "comment:42") == "comment:42"
    with pytest.raises(LeaseLost):
        lease.save_step(Step.call(), "comment:42")


def test_a_step_that_was_not_foreseen_like_this_is_recorded(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.foresee(Step.call(), "comment:42")
    lease.finish()
    lease.save_step(Step.call(), "ticket")
    stored.expire()

    assert claimed(inbox).step(Step.call()) == "ticket"


def test_a_step_is_foreseen_for_the_next_event_only(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, new_job("a"), new_job("b"), new_job("c"))
    lease.foresee(Step.call(), "comment:42")
    lease.finish()
    lease.finish()
    stored.expire()

    assert claimed(inbox).step(Step.call()) is None


def test_a_foreseen_step_overwrites_none_that_was_taken(inbox: Inbox, stored: Stored) -> None:
    letter = died_with_a_step(inbox, "b", at=20)
    lease = begin(inbox, new_job("a"), new_job("c", 30))
    inbox.dead_letters.requeue(letter)
    lease.foresee(Step.call(), "comment:42")
    lease.finish()

    assert (lease.job.body, lease.step(Step.call())) == (b"b", "ticket")
    stored.expire()
    assert claimed(inbox).step(Step.call()) == "ticket"


@pytest.mark.parametrize(
    "step",
    [
        lambda lease: lease.save_step(Step.call(), "ticket"),
        lambda lease: lease.retry_later(60, "refused", counts=True),
    ],
    ids=["record", "later"],
)
def test_of_an_event_that_the_store_forgot_nothing_is_kept(
    inbox: Inbox, stored: Stored, step: Callable[[Lease], object]
) -> None:
    lease = begin(inbox, new_job("a"), new_job("b"))
    lease.finish()
    inbox.store.delete(f"mc:jobs:{QUEUE}")  # it lost its last writes, and gives the id 2 again
    inbox.store.zadd(f"mc:jobs:{QUEUE}", {f"{1:016} 5 10 a": -1})

    with suppress(LeaseLost):
        step(lease)

    assert "mc:job:2" not in stored.names()


def test_a_lease_knows_what_is_cached_of_its_person(inbox: Inbox) -> None:
    inbox.store.set("mc:open_ticket:chat:1:2", "42")
    inbox.accept([new_job("a")])
    lease = inbox.claim(cached=(Personal.OPEN_TICKET, Personal.PROFILE))

    assert lease is not None
    assert lease.cached(Personal.OPEN_TICKET) == b"42"
    assert lease.cached(Personal.PROFILE) is None


def test_what_a_lease_caches_is_there_for_itself_and_for_the_next_one(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.cache(Personal.OPEN_TICKET, b"42", 60)
    assert lease.cached(Personal.OPEN_TICKET) == b"42"
    stored.expire()

    later = inbox.claim(cached=(Personal.OPEN_TICKET,))
    assert later is not None
    assert later.cached(Personal.OPEN_TICKET) == b"42"
    assert 0 < inbox.store.ttl("mc:open_ticket:chat:1:2") <= 60


def test_what_a_lease_forgets_is_gone_for_all(inbox: Inbox) -> None:
    lease = begin(inbox)
    lease.cache(Personal.OPEN_TICKET, b"42", 60)
    lease.forget(Personal.OPEN_TICKET)

    assert lease.cached(Personal.OPEN_TICKET) is None
    assert inbox.store.get("mc:open_ticket:chat:1:2") is None


def test_after_the_last_event_a_queue_leaves_nothing_behind(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, new_job("a"))
    lease.save_step(Step.call(), "ticket")

    assert lease.finish() is False
    assert stored.names() == {"mc:seen:a", "mc:format", "mc:ids", "mc:stats", "mc:last"}


def test_after_all_is_relayed_only_marks_with_an_end_ids_and_counters_are_left(
    inbox: Inbox, stored: Stored
) -> None:
    lease = begin(inbox, new_job("a"), new_job("b"), new_job("c"))
    lease.save_step(Step.call(), "ticket")
    lease.retry_later(60, "refused", counts=True)
    stored.end_backoff()
    lease = claimed(inbox)
    lease.finish()
    lease.move_to_dead_letters("refused")
    inbox.dead_letters.requeue(inbox.dead_letters.all()[0])
    lease.release()
    while (again := inbox.claim(QUEUE)) and again.finish():
        again.release()

    marks = {f"mc:seen:{name}" for name in "abc"}
    assert stored.names() == marks | {"mc:format", "mc:given_up", "mc:ids", "mc:stats", "mc:last"}
    assert all(0 < inbox.store.pttl(mark) <= SEEN_FOR for mark in marks)


def test_the_backoff_of_one_event_does_not_hold_back_the_next(inbox: Inbox, stored: Stored) -> None:
    begin(inbox).retry_later(60, "refused", counts=True)
    stored.end_backoff()
    lease = claimed(inbox)
    lease.finish()

    assert "not_before" not in stored.lease()


def test_an_event_that_is_put_off_is_tried_again_later(inbox: Inbox, stored: Stored) -> None:
    begin(inbox).retry_later(60, "refused", counts=True)

    assert stored.queue() == ["a", "b"]
    assert 55 < float(stored.due_in() or 0) <= 60
    assert inbox.stats()["postponed"] == 1


def test_attempts_and_reasons_are_kept(inbox: Inbox, stored: Stored) -> None:
    for reason, counts in (("refused", True), ("down", False), ("refused again", True)):
        inbox.accept([new_job("a")])
        claimed(inbox).retry_later(60, reason, counts=counts)
        stored.end_backoff()

    event = claimed(inbox).job
    assert event.attempts == 2
    assert [entry["reason"] for entry in event.history] == ["refused", "down", "refused again"]
    assert all(set(entry) == {"at", "reason"} for entry in event.history)


def test_the_first_and_the_last_failures_are_kept(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a")])
    for number in range(3 * HISTORY_LENGTH):
        claimed(inbox).retry_later(60, str(number), counts=True)
        stored.end_backoff()

    reasons = [entry["reason"] for entry in claimed(inbox).job.history]
    assert reasons == [str(number) for number in (0, 1, 2, 3, 4, 25, 26, 27, 28, 29)]


def test_a_put_off_whose_answer_got_lost_counts_once(inbox: Inbox) -> None:
    lease = begin(inbox)
    for _ in range(2):
        lease.retry_later(60, "refused", counts=True)

    assert inbox.stats()["postponed"] == 1


def test_a_queue_that_was_put_off_is_not_the_workers_any_more(inbox: Inbox) -> None:
    lease = begin(inbox)
    lease.retry_later(60, "refused", counts=True)

    with pytest.raises(LeaseLost):
        lease.save_step(Step.call(), "ticket")
