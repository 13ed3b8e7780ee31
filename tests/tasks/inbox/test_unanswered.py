"""Who waits for an answer, and when agents are to be reminded of that."""

from typing import Any, cast

import pytest

from clients.errors import LeaseLost
from tasks.inbox.inbox import Inbox
from tasks.inbox.lease import Lease
from tasks.inbox.personal import Personal
from tests.fakes.inbox import PERSON, QUEUE, REPLY, Stored, begin, claimed, new_job

FAR = 10**13


def note(lease: Lease, closes: int = 200, remind_at: int = 100) -> None:
    lease.note_unanswered(remind_at, closes, "42")


def test_a_person_is_unanswered_until_they_are_answered(inbox: Inbox) -> None:
    note(begin(inbox))
    assert inbox.unanswered(PERSON) == (200, "42")
    inbox.note_answer(PERSON, 199)
    assert inbox.unanswered(PERSON) == (200, "42")
    inbox.note_answer(PERSON, 200)
    assert inbox.unanswered(PERSON) is None
    assert inbox.due_reminders(10) == []


def test_a_reminder_is_due_at_its_time(inbox: Inbox) -> None:
    note(begin(inbox), closes=FAR + 1, remind_at=FAR)
    assert inbox.due_reminders(10) == []


def test_what_is_due_longest_comes_first(inbox: Inbox) -> None:
    for person, at in (("1", 30), ("2", 10), ("3", 20)):
        queue = f"in:chat:1:{person}"
        inbox.accept([new_job(person, queue=queue)])
        note(claimed(inbox, queue), remind_at=at)

    found = inbox.due_reminders(2)
    assert [(one.queue, one.closes, one.ticket_id) for one in found] == [
        ("out:chat:1:2", 200, "42"),
        ("out:chat:1:3", 200, "42"),
    ]


def test_a_reminder_that_is_queued_leaves_the_list_and_the_person_unanswered(inbox: Inbox) -> None:
    note(begin(inbox))
    inbox.forget_due(inbox.due_reminders(10))

    assert inbox.due_reminders(10) == []
    assert inbox.unanswered(PERSON) == (200, "42")


def test_a_note_that_is_repeated_does_not_undo_an_answer(inbox: Inbox) -> None:
    lease = begin(inbox)
    arguments = (QUEUE, lease.token, lease.job.id, "step:unanswered", 200, "42", 100, 60_000)
    inbox._script.run("note_unanswered", *arguments)
    inbox.note_answer(PERSON, 200)

    assert inbox._script.run("note_unanswered", *arguments) == b"200"
    assert inbox.unanswered(PERSON) is None


def test_whoever_takes_the_job_over_notes_nothing_anew(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    note(begin(inbox))
    inbox.note_answer(PERSON, 200)
    stored.expire()
    note(claimed(another))

    assert inbox.unanswered(PERSON) is None


def test_a_lost_lease_notes_nothing(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    stored.expire()
    claimed(another)
    with pytest.raises(LeaseLost):
        note(lease)

    assert inbox.unanswered(PERSON) is None


def test_what_nobody_ever_answers_is_forgotten(inbox: Inbox) -> None:
    note(begin(inbox))
    left = cast("Any", inbox.store).pttl(inbox.key(f"unanswered:{REPLY.removeprefix('out:')}"))

    assert 0 < left <= Personal.UNANSWERED.seconds * 1000
