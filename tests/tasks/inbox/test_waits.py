"""Replies that wait for the helpdesk."""

from typing import Any

import pytest

from clients.errors import Paused
from tasks.inbox.inbox import Inbox
from tests.fakes.inbox import PAGE, QUEUE, REMOTE, REPLY, Stored, begin, claimed, new_job, turns, wait


def wait_for_helpdesk(inbox: Inbox, *people: int) -> None:
    """Have replies wait until the helpdesk is back, which is paused."""
    inbox.pause(REMOTE, 90, "it is down")
    for person in people:
        inbox.accept([new_job(f"reply {person}", queue=f"out:chat:1:{person}")])
        claimed(inbox, f"out:chat:1:{person}").wait(REMOTE, "it is down")


def test_a_reply_can_wait_until_the_helpdesk_is_back(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2)
    assert inbox.claim() is None
    assert inbox.claim(REPLY) is None
    stored.end_pause()

    lease = claimed(inbox, "")
    assert (lease.queue, lease.attempts) == (REPLY, 0)
    assert [entry["reason"] for entry in lease.job.history] == ["it is down"]


def test_replies_that_wait_for_the_helpdesk_cost_nothing(inbox: Inbox) -> None:
    wait_for_helpdesk(inbox, *range(100))
    inbox.claim()
    store: Any = inbox.store
    before = store.info("persistence")["rdb_changes_since_last_save"]
    for _ in range(10):
        assert inbox.sweep(500, 64) == 0
        assert inbox.claim() is None

    assert store.info("persistence")["rdb_changes_since_last_save"] == before


def test_a_reply_that_waits_for_the_helpdesk_holds_no_other_of_its_page(inbox: Inbox) -> None:
    wait_for_helpdesk(inbox, 2)
    inbox.accept([new_job("a", queue="out:chat:1:3")])

    assert claimed(inbox, "").queue == "out:chat:1:3"


def test_a_reply_that_waited_for_the_helpdesk_is_its_pages_again(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2)
    stored.end_pause()
    lease = claimed(inbox, "")
    assert "waits_for" not in stored.lease(REPLY)
    inbox.accept([new_job("next", queue=REPLY)])
    lease.finish()
    lease.release()

    assert stored.place(REPLY) == "out:chat:1:"
    assert claimed(inbox, "").job.body == b"next"


def test_a_reply_that_waited_for_the_helpdesk_leaves_nothing_behind(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2)
    inbox.claim()
    stored.end_pause()
    claimed(inbox, "").finish()
    inbox.sweep(10, 64)

    assert stored.names() == {"mc:seen:reply 2", "mc:format", "mc:ids", "mc:stats", "mc:last", "mc:pauses"}


def test_a_page_has_no_larger_share_because_replies_of_it_wait_for_the_helpdesk(
    inbox: Inbox, stored: Stored
) -> None:
    wait_for_helpdesk(inbox, *range(20))
    inbox.claim()
    wait(inbox, "1", *range(20, 40), direction="out")
    wait(inbox, "2", *range(20), direction="out")
    is_back(inbox, stored)

    taken = turns(inbox, 12)
    people = [int(queue.rpartition(":")[2]) for queue in taken if queue.startswith("out:chat:1:")]
    assert len(people) == 6
    assert 2 <= len([person for person in people if person < 20]) <= 4


def test_a_page_that_has_its_share_has_no_more_of_it_when_the_helpdesk_is_back(
    inbox: Inbox, stored: Stored
) -> None:
    wait_for_helpdesk(inbox, *range(20))
    wait(inbox, "1", *range(20, 40), direction="out")
    turns(inbox, 6)
    wait(inbox, "2", *range(20), direction="out")
    is_back(inbox, stored)

    assert all(queue.startswith("out:chat:2:") for queue in turns(inbox, 6))


def is_back(inbox: Inbox, stored: Stored) -> None:
    """Have the helpdesk be back, and known to work."""
    stored.end_pause()
    inbox.store.delete("mc:pause:helpdesk")


def test_a_group_of_which_nobody_waits_is_not_held(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a")])
    inbox.pause(REMOTE, 90, "it is down")
    inbox.claim()
    stored.end_pause()
    claimed(inbox, QUEUE).finish()

    assert "mc:held:helpdesk" not in stored.names()


def test_a_reply_whose_page_is_paused_too_waits_for_that_one_then(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2, 3)
    inbox.claim()
    inbox.pause(PAGE, 90, "its token is refused")
    stored.end_pause()
    assert inbox.claim() is None
    assert stored.place(REPLY) == "out:chat:1:"

    stored.end_pause(PAGE)
    assert claimed(inbox, "").queue == REPLY


def test_a_late_event_does_not_go_before_a_reply_that_waits(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2)

    assert inbox.accept([new_job("early", 1, REPLY)]) == 0
    assert stored.queue(REPLY) == ["reply 2", "early"]


def test_a_wait_whose_answer_got_lost_counts_once(inbox: Inbox) -> None:
    lease = begin(inbox)
    for _ in range(2):
        lease.wait(REMOTE, "it is down")

    assert inbox.stats()["postponed"] == 1


def test_whoever_takes_a_queue_learns_whether_the_helpdesk_is_paused(inbox: Inbox) -> None:
    inbox.accept([new_job("a", queue=REPLY), new_job("b", 20, REPLY)])
    lease = claimed(inbox, REPLY)
    lease.need_helpdesk()
    inbox.pause(REMOTE, 90, "it is down")
    lease.finish()

    with pytest.raises(Paused):
        lease.need_helpdesk()
