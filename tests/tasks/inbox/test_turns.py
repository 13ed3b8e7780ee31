"""Whose turn it is, among pages, directions and queues."""

import time

from tasks.inbox.inbox import Inbox
from tests.fakes.inbox import QUEUE, Stored, claimed, new_job, turns, wait


def test_a_page_does_not_wait_behind_the_many_of_another(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))
    wait(inbox, "2", 1)

    assert "in:chat:2:1" in turns(inbox, 2)


def test_pages_that_wait_get_as_many_workers_each(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))
    turns(inbox, 8)
    wait(inbox, "2", *range(50))

    assert all(queue.startswith("in:chat:2:") for queue in turns(inbox, 8))
    assert {queue[:10] for queue in turns(inbox, 2)} == {"in:chat:1:", "in:chat:2:"}


def test_a_direction_does_not_wait_behind_the_other(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))
    wait(inbox, "1", 1, direction="out")

    assert "out:chat:1:1" in turns(inbox, 2)


def test_a_group_whose_work_is_done_has_its_share_again(inbox: Inbox) -> None:
    wait(inbox, "1", *range(4))
    leases = [claimed(inbox, "") for _ in range(2)]
    wait(inbox, "2", *range(4))
    turns(inbox, 2)
    for lease in leases:
        lease.finish()

    assert [queue[:10] for queue in turns(inbox, 2)] == ["in:chat:1:", "in:chat:1:"]


def test_a_group_whose_workers_died_has_its_share_again(inbox: Inbox, stored: Stored) -> None:
    wait(inbox, "1", *range(4))
    dead = turns(inbox, 2)
    wait(inbox, "2", *range(4))
    turns(inbox, 2)
    for queue in dead:
        stored.expire(queue)

    assert [queue[:10] for queue in turns(inbox, 2)] == ["in:chat:1:", "in:chat:1:"]


def choose(inbox: Inbox, *, newest: bool) -> str:
    """Claim as a worker does that says whether it takes the newest."""
    token = str(time.monotonic_ns())
    return str(inbox._script.run("claim", token, 15_000, int(newest), "")[0].decode())


def test_who_writes_now_does_not_wait_behind_a_backlog(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))

    assert choose(inbox, newest=True) == "in:chat:1:49"
    assert choose(inbox, newest=True) == "in:chat:1:48"


def test_who_waits_longest_does_not_wait_behind_who_writes_now(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))

    assert choose(inbox, newest=False) == "in:chat:1:0"
    assert choose(inbox, newest=True) == "in:chat:1:49"
    assert choose(inbox, newest=False) == "in:chat:1:1"


def test_a_worker_takes_the_newest_about_every_second_time(inbox: Inbox) -> None:
    wait(inbox, "1", *range(100))
    taken = turns(inbox, 60)

    oldest = [queue for queue in taken if int(queue.rpartition(":")[2]) < 50]
    assert 10 < len(oldest) < 50


def test_a_queue_whose_turn_is_over_goes_behind_those_that_wait(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a"), new_job("b")])
    lease = claimed(inbox)
    wait(inbox, "1", 5, 6)
    stored.wait_for(1, "in:chat:1:5")
    lease.finish()
    lease.release()

    assert choose(inbox, newest=True) == "in:chat:1:6"
    assert choose(inbox, newest=False) == "in:chat:1:5"
    assert choose(inbox, newest=True) == QUEUE


def test_what_is_remembered_of_the_newest_does_not_grow(inbox: Inbox) -> None:
    wait(inbox, "1", *range(500))

    assert inbox.store.llen("mc:fresh:in:chat:1:") <= 200
    assert inbox.claim() is not None
