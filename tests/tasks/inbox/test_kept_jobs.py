"""Dead letters, and how they are put back into their queues."""

import json

from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Step
from tests.fakes.inbox import QUEUE, Stored, begin, claimed, died, died_with_a_step, new_job


def test_a_dead_letter_makes_room_for_the_next(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)

    assert lease.move_to_dead_letters("refused") is True
    assert lease.job.body == b"b"
    assert stored.queue() == ["b"]
    assert inbox.stats()["dead:in"] == 1


def test_a_dead_letter_tells_its_story(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("a", 20)).retry_later(60, "down", counts=True)
    stored.end_backoff()
    claimed(inbox).move_to_dead_letters("refused")

    letter = inbox.dead_letters.get(1)
    assert letter is not None
    assert (letter.job.id, letter.job.queue, letter.job.time, letter.job.body) == (1, QUEUE, 20, b"a")
    assert letter.reason == "refused"
    assert [entry["reason"] for entry in letter.job.history] == ["down"]
    assert letter.kept_at.startswith("20")


def test_dead_letters_come_the_oldest_first(inbox: Inbox) -> None:
    rows = [new_job(str(number)) for number in range(12)]
    lease = begin(inbox, *rows)
    while lease.move_to_dead_letters("refused"):
        pass

    assert [letter.job.id for letter in inbox.dead_letters.all()] == list(range(1, 13))


def test_a_letter_that_is_not_there_is_none(inbox: Inbox) -> None:
    assert inbox.dead_letters.get(1) is None
    assert inbox.dead_letters.all() == []


def test_a_move_whose_answer_got_lost_makes_one_dead_letter(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    letter = json.dumps({"queue": QUEUE})
    arguments = ("finish", QUEUE, lease.token, lease.job.id, "dead:in", letter, "", "", "refused")

    assert inbox._script.run(*arguments) == inbox._script.run(*arguments)
    assert stored.queue() == ["b"]
    assert inbox.state().dead == 1
    assert inbox.given_up() == {"refused": 1}


def test_steps_survive_that_but_attempts_and_the_verdict_do_not(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, new_job("a"))
    lease.save_step(Step.call(), "ticket")
    lease.save_step(Step.failed(), "refused")
    lease.retry_later(60, "down", counts=True)
    stored.end_backoff()
    claimed(inbox).move_to_dead_letters("refused")
    inbox.dead_letters.requeue(inbox.dead_letters.all()[0])

    event = claimed(inbox).job
    assert event.steps == {"call": "ticket"}
    assert (event.attempts, event.history) == (0, ())


def test_a_requeued_event_takes_its_place_by_time(inbox: Inbox, stored: Stored) -> None:
    letter = died(inbox, new_job("b", 20))
    inbox.accept([new_job("a", 10), new_job("c", 30)])

    assert inbox.dead_letters.requeue(letter) is True
    assert stored.queue() == ["a", "b", "c"]
    assert inbox.dead_letters.all() == []


def test_a_requeued_event_does_not_go_before_a_head_that_was_begun(inbox: Inbox, stored: Stored) -> None:
    letter = died(inbox, new_job("a", 10))
    begin(inbox, new_job("b", 20), new_job("c", 30))
    inbox.dead_letters.requeue(letter)

    assert stored.queue() == ["b", "a", "c"]


def test_a_requeued_event_of_an_idle_queue_is_due_at_once(inbox: Inbox) -> None:
    inbox.dead_letters.requeue(died(inbox))

    assert inbox.sweep(10, 64) == 1
    assert claimed(inbox, "").job.body == b"a"


def test_a_queue_that_waits_is_not_due_sooner_because_an_event_is_requeued(
    inbox: Inbox, stored: Stored
) -> None:
    letter = died(inbox, new_job("a"), new_job("b"))
    claimed(inbox).retry_later(60, "refused", counts=True)
    inbox.dead_letters.requeue(letter)

    assert 55 < float(stored.due_in() or 0) <= 60


def test_an_event_that_is_requeued_twice_comes_back_once(inbox: Inbox, stored: Stored) -> None:
    letter = died(inbox)
    inbox.dead_letters.requeue(letter)

    assert inbox.dead_letters.requeue(letter) is False
    assert stored.queue() == ["a"]


def test_a_letter_that_was_dropped_does_not_come_back(inbox: Inbox, stored: Stored) -> None:
    letter = died_with_a_step(inbox, "a")

    assert inbox.dead_letters.drop(letter.job.id) is True
    assert inbox.dead_letters.drop(letter.job.id) is False
    assert inbox.dead_letters.requeue(letter) is False
    assert stored.names() == {"mc:seen:a", "mc:format", "mc:given_up", "mc:ids", "mc:stats", "mc:last"}
