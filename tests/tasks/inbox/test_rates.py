"""How fast an account may send: all workers share it, and who has to wait has a slot."""

import threading
import time
from contextlib import closing
from typing import Any, Self

import pytest

from clients.channel import Rate
from clients.errors import Busy, LeaseLost
from sandbox.stack import until
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Step
from tasks.inbox.lease import Lease
from tasks.store import connect
from tests.fakes.inbox import REPLY, Stored, claimed, new_job

FILES = Rate("file", 2)
SENDING = Step.sending(0)


def outbound(person: int, page: int = 1) -> str:
    return f"out:chat:{page}:{person}"


def leases(inbox: Inbox, count: int, page: int = 1) -> list[Lease]:
    """Return the leases of so many replies of a page, each to another person."""
    queues = [outbound(person, page) for person in range(count)]
    inbox.accept([new_job(queue, queue=queue) for queue in queues])
    return [claimed(inbox, queue) for queue in queues]


def wait_of(lease: Lease, rate: Rate = FILES, step: Step = SENDING) -> float:
    """Return how long a reply has to wait until it may be sent, in seconds; 0 if it may now."""
    try:
        lease.save_time(step, rate)
    except Busy as busy:
        return busy.retry_after or 0
    return 0


def age(store: Any, seconds: float, name: str = "chat:1:file") -> None:
    """Have all that was begun, and all slots, be so much longer ago."""
    begun, by = f"mc:begun:{name}", int(1000 * seconds)
    times = [int(at) - by for at in store.lrange(begun, 0, -1)]
    store.delete(begun)
    store.rpush(begun, *times)
    for key in [f"mc:slots:{name}".encode(), *store.scan_iter("mc:job:*")]:
        for field, at in store.hgetall(key).items():
            if field.startswith((b"first", b"again", b"slot:")):
                store.hset(key, field, str(float(at) - by))


def test_as_many_as_may_be_sent_in_a_second_are_sent_at_once(inbox: Inbox) -> None:
    first, second, third = leases(inbox, 3)

    assert [wait_of(first), wait_of(second)] == [0, 0]
    assert 1 < wait_of(third) <= 1.26
    assert first.step(SENDING) == inbox.steps(outbound(0))[SENDING]
    assert third.step(SENDING) is None
    assert inbox.steps(outbound(2)) == {}


def test_those_who_wait_come_one_after_the_other(inbox: Inbox) -> None:
    waits = [wait_of(lease) for lease in leases(inbox, 6)]

    assert waits[:2] == [0, 0]
    assert waits[2:] == pytest.approx([1.25, 2.25, 3.25, 4.25], abs=0.2)


def test_who_comes_too_early_keeps_his_slot(inbox: Inbox) -> None:
    waiting = leases(inbox, 4)
    before = [wait_of(lease) for lease in waiting]
    age(inbox.store, 0.5)

    assert wait_of(waiting[2]) == pytest.approx(before[2] - 0.5, abs=0.2)
    assert wait_of(waiting[3]) == pytest.approx(before[3] - 0.5, abs=0.2)


def test_who_has_waited_is_sent(inbox: Inbox) -> None:
    waiting = leases(inbox, 3)
    for lease in waiting:
        wait_of(lease)
    age(inbox.store, 1.3)

    assert wait_of(waiting[2]) == 0
    assert waiting[2].step(SENDING)


def test_a_slot_outlives_a_worker_that_dies(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    waits = [wait_of(lease) for lease in leases(inbox, 4)]
    stored.expire(outbound(3))

    assert wait_of(claimed(another, outbound(3))) == pytest.approx(waits[3], abs=0.2)


def test_who_comes_later_waits_behind_those_who_wait(inbox: Inbox) -> None:
    *waiting, newcomer = leases(inbox, 5)
    for lease in waiting:
        wait_of(lease)
    age(inbox.store, 1.3)  # the third's slot has come, the fourth's has not

    assert 1.5 < wait_of(newcomer) < 2.2
    assert wait_of(waiting[2]) == 0


def test_who_comes_too_late_for_his_slot_goes_before_those_who_had_none(inbox: Inbox) -> None:
    waiting = leases(inbox, 8)
    waits = [wait_of(lease) for lease in waiting]
    age(inbox.store, waits[5])  # no worker was there meanwhile

    assert [wait_of(lease) for lease in waiting[2:4]] == [0, 0]
    assert 1 < wait_of(waiting[4]) < 1.3
    assert wait_of(waiting[7]) == pytest.approx(waits[7] - waits[5], abs=0.2)


def test_another_account_and_another_kind_of_message_do_not_wait(inbox: Inbox) -> None:
    *full, other = leases(inbox, 3)
    (elsewhere,) = leases(inbox, 1, page=2)
    for lease in full:
        wait_of(lease)

    assert wait_of(other, Rate("text", 2)) == 0
    assert wait_of(elsewhere) == 0
    assert wait_of(other) > 1


def test_a_message_that_was_refused_is_sent_again_as_soon_as_there_is_room(inbox: Inbox) -> None:
    first, second, third = leases(inbox, 3)
    assert [wait_of(first), wait_of(second)] == [0, 0]
    behind = wait_of(third)
    first.undo_step(SENDING)
    age(inbox.store, 1.1)
    assert 0 < wait_of(first) < 0.2  # not at once: the channel counts what it refuses, too
    age(inbox.store, 0.2)

    assert wait_of(first) == 0
    assert behind > 1.2


def test_a_part_that_is_sent_once_more_counts_once_more(inbox: Inbox) -> None:
    (lease,) = leases(inbox, 1)
    assert wait_of(lease) == 0
    before = lease.step(SENDING)
    time.sleep(0.002)  # the store's clock goes on

    assert wait_of(lease) == 0
    assert lease.step(SENDING) != before
    assert wait_of(lease) > 1


def test_a_call_whose_answer_got_lost_counts_once(inbox: Inbox) -> None:
    lease, other = leases(inbox, 2)
    how = ("step:sending:0", "", "file", 1, 1250, 2000)
    first, again = (inbox._script.run("begin", lease.queue, lease.token, lease.job.id, *how) for _ in "12")
    assert first == again
    assert first[0] == 0

    waits = [inbox._script.run("begin", other.queue, other.token, other.job.id, *how)[0] for _ in "12"]
    assert waits[0] == pytest.approx(waits[1], abs=200)


def test_a_lease_that_is_lost_begins_nothing(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    (lease,) = leases(inbox, 1)
    stored.expire(lease.queue)
    claimed(another, lease.queue)

    with pytest.raises(LeaseLost):
        lease.save_time(SENDING, FILES)
    assert not inbox.store.exists("mc:begun:chat:1:file")


def test_what_is_kept_of_a_rate_goes_by_itself(inbox: Inbox) -> None:
    waits = [wait_of(lease) for lease in leases(inbox, 4)]

    assert 0 < inbox.store.pttl("mc:begun:chat:1:file") <= 1250
    assert 1000 * waits[3] < inbox.store.pttl("mc:slots:chat:1:file") <= 1000 * waits[3] + 1100


def test_a_job_that_is_done_leaves_no_slot_behind(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a", queue=REPLY)])
    lease = claimed(inbox, REPLY)
    wait_of(lease)
    lease.finish()

    assert stored.names() == {"mc:seen:a", "mc:format", "mc:ids", "mc:stats", "mc:last"}


class Crowd:
    """Replies to many people at once, workers with connections of their own, and a sweep once a second."""

    RATE = Rate("file", 40)

    def __init__(self, url: str, people: int) -> None:
        self._url, self._over, self.at_work = url, threading.Event(), threading.Event()
        self.sent: list[int] = []
        self.put_off = 0
        self._people = people
        self.at_work.set()
        with closing(connect(url)) as store:
            queues = [outbound(person) for person in range(people)]
            Inbox(store).accept([new_job(queue, queue=queue) for queue in queues])

    def __enter__(self) -> Self:
        """Begin."""
        self._threads = [threading.Thread(target=one) for one in [self._sweep, *[self._work] * 8]]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self.at_work.set()
        for thread in self._threads:
            thread.join()

    def is_done(self) -> bool:
        """Return whether all is sent."""
        return len(self.sent) == self._people

    def _sweep(self) -> None:
        with closing(connect(self._url)) as store:
            while not self._over.wait(1.0):
                Inbox(store).sweep(500, 64)

    def _work(self) -> None:
        with closing(connect(self._url)) as store:
            inbox = Inbox(store)
            while not self._over.wait(0.01):
                while self.at_work.wait() and (lease := inbox.claim()):
                    self._send(lease)

    def _send(self, lease: Lease) -> None:
        try:
            lease.save_time(SENDING, self.RATE)
        except Busy as busy:
            self.put_off += 1
            lease.retry_later(busy.retry_after or 0, "busy", counts=False)
            return
        self.sent.append(int(lease.step(SENDING) or 0))
        lease.finish()


def most_in(times: list[int], window: int) -> int:
    """Return how many of some times are within a window at most, both in ms."""
    times = sorted(times)
    return max(sum(at <= one <= at + window for one in times) for at in times)


def test_in_no_second_workers_send_more_together_than_the_account_may(store_url: str) -> None:
    with Crowd(store_url, 160) as crowd:
        until("all is sent", crowd.is_done, 20)

    assert most_in(crowd.sent, 1249) == 40
    assert 5 < (max(crowd.sent) - min(crowd.sent)) / 1000 < 9
    assert crowd.put_off < 200


def test_slots_that_passed_while_no_worker_was_there_are_not_all_taken_at_once(store_url: str) -> None:
    with Crowd(store_url, 160) as crowd:
        until("the first are sent", lambda: len(crowd.sent) >= 40)
        crowd.at_work.clear()
        time.sleep(4)  # the slots of this time pass
        crowd.at_work.set()
        until("all is sent", crowd.is_done, 20)

    assert most_in(crowd.sent, 1249) == 40
    assert crowd.put_off < 320


def test_the_next_part_of_a_reply_goes_before_nobody_who_waits(inbox: Inbox) -> None:
    first, second, third, fourth = leases(inbox, 4)
    for lease in (first, second):
        wait_of(lease)
    third_waits = wait_of(third)
    next_part = wait_of(first, step=Step.sending(1))
    assert next_part > third_waits
    assert wait_of(fourth) > next_part


def test_an_account_that_is_slowed_down_is_not_paused(inbox: Inbox) -> None:
    inbox.accept([new_job(str(person), queue=outbound(person)) for person in range(6)])
    inbox.slow("chat:1", 4, "{}")
    taken = [lease for _ in range(6) if (lease := inbox.claim())]

    assert len(taken) == 4
    assert inbox.state().pauses == {"chat:1": False}


def test_an_account_that_was_paused_for_its_usage_has_no_reason_once_that_is_over(inbox: Inbox) -> None:
    inbox.slow("chat:1", 4, "{}", 0.01)
    until("the pause is over", lambda: not inbox.state().pauses["chat:1"])

    assert inbox.reasons() == {}
