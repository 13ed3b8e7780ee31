"""The inbox, on a real store: what it keeps, in which order, and who may work on it."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from clients.errors import Stale
from sandbox.stack import until
from tasks.inbox import SEEN_FOR, Inbox, Letter, Row, echo_key, seen_key
from tasks.lease import HISTORY_LENGTH, Lease
from tasks.store import connect

THREAD, OTHER = "in:1:2", "in:1:3"
SIDE = "helpdesk"


def row(name: str, at: int = 10, thread: str = THREAD) -> Row:
    return Row(seen_key(name), thread, at, name)


class Stored:
    """What the store holds, and a clock that can be moved for one thread."""

    def __init__(self, inbox: Inbox) -> None:
        self._store: Any = inbox.store

    def queue(self, thread: str = THREAD) -> list[str]:
        """Return the bodies of the events that wait in a thread, the head first."""
        return [event.split(b" ", 3)[3].decode() for event in self._store.zrange(f"mc:jobs:{thread}", 0, -1)]

    def lease(self, thread: str = THREAD) -> dict[str, str]:
        """Return what is kept of a thread's lease."""
        found = self._store.hgetall(f"mc:lease:{thread}")
        return {name.decode(): value.decode() for name, value in found.items()}

    def due_in(self, thread: str = THREAD) -> float | None:
        """Return in how many seconds a thread is due, 0 if it waits for a worker; None if it has no work."""
        if self._store.zscore(f"mc:ready:{self.place(thread)}", thread) is not None:
            return 0.0
        at = self._store.zscore("mc:later", thread)
        seconds, microseconds = self._store.time()
        return None if at is None else at / 1000 - seconds - microseconds / 1e6

    def place(self, thread: str) -> str:
        """Return the group in which a thread waits."""
        side = self.lease(thread).get("waits_for")
        return (f"{side}+" if side else "") + thread.rpartition(":")[0] + ":"

    def expire(self, thread: str = THREAD) -> None:
        """Let a lease run out."""
        self._end(thread, "until")

    def end_backoff(self, thread: str = THREAD) -> None:
        """Let the backoff of a head be over."""
        self._end(thread, "not_before")

    def _end(self, thread: str, name: str) -> None:
        if self._store.hexists(f"mc:lease:{thread}", name):
            self._store.hset(f"mc:lease:{thread}", name, 0)
            self._store.zadd("mc:later", {thread: 0}, xx=True)

    def end_pause(self, side: str = SIDE) -> None:
        """Let the pause of a side be over."""
        self._store.zadd("mc:pauses", {side: 0}, xx=True)

    def make_older(self, name: str, seconds: float, thread: str = THREAD) -> None:
        """Have an event be accepted earlier than it was; it is the oldest of its thread."""
        jobs = f"mc:jobs:{thread}"
        event, at = next(
            one for one in self._store.zrange(jobs, 0, -1, withscores=True) if one[0].endswith(name.encode())
        )
        id_, accepted, rest = event.split(b" ", 2)
        earlier = int(accepted) - int(1000 * seconds)
        self._store.zrem(jobs, event)
        self._store.zadd(jobs, {b"%s %d %s" % (id_, earlier, rest): at})
        self._store.zadd("mc:oldest", {thread: earlier})

    def wait_for(self, seconds: float, thread: str = THREAD) -> None:
        """Have a thread wait for a worker for longer than it does."""
        group = thread.rpartition(":")[0] + ":"
        self._store.zincrby(f"mc:ready:{group}", -1000 * seconds, thread)

    def names(self) -> set[str]:
        """Return all keys but those that go by themselves within seconds, and those of Celery's queue."""
        names = {key.decode() for key in self._store.scan_iter()}
        passing = ("mc:taken:", "mc:room")
        return {name for name in names if name.startswith("mc:") and not name.startswith(passing)}


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    store = connect(store_url)
    yield Inbox(store)
    store.close()


@pytest.fixture
def stored(inbox: Inbox) -> Stored:
    return Stored(inbox)


@pytest.fixture
def another(store_url: str) -> Iterator[Inbox]:
    """Give the inbox as another worker has it."""
    store = connect(store_url)
    yield Inbox(store)
    store.close()


def claimed(inbox: Inbox, thread: str = THREAD) -> Lease:
    """Claim a thread that can be claimed."""
    lease = inbox.claim(thread)
    assert lease is not None
    return lease


def begin(inbox: Inbox, *rows: Row) -> Lease:
    """Accept events and claim their thread."""
    inbox.accept(rows or [row("a"), row("b")])
    return claimed(inbox)


def buried(inbox: Inbox, *rows: Row) -> Letter:
    """Return the letter of the first of some events, with the others let go of."""
    lease = begin(inbox, *(rows or [row("a", 20)]))
    if lease.bury("refused"):
        lease.release()
    (letter,) = inbox.letters()
    return letter


# --- Accept. --------------------------------------------------------------------------------------------


def test_an_event_that_stands_twice_in_one_call_is_accepted_once(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a"), row("a")])

    assert stored.queue() == ["a"]
    assert inbox.stats() == {"accepted": 1}


def test_an_event_that_comes_again_is_accepted_once(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a")])
    inbox.accept([row("a"), row("b")])

    assert stored.queue() == ["a", "b"]
    assert inbox.stats() == {"accepted": 2}


def test_an_event_that_was_relayed_is_not_accepted_again(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("a")).finish()

    assert inbox.accept([row("a")]) == 0
    assert stored.queue() == []


def test_an_event_is_remembered_for_a_week(inbox: Inbox) -> None:
    inbox.accept([row("a")])

    assert 0 < SEEN_FOR - inbox.store.pttl("mc:seen:a") + 1 < 60_000


def test_events_wait_in_the_order_of_their_times(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("c", 30), row("a", 10), row("b", 20)])

    assert stored.queue() == ["a", "b", "c"]


def test_events_of_one_time_wait_in_the_order_they_came(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a"), row("b")])
    inbox.accept([row("c")])

    assert stored.queue() == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "12 34 text", "zażółć 😀", "line\nline\r\n", '{"a": "b c"}', "\x01"])
def test_a_body_comes_back_as_it_was(inbox: Inbox, text: str) -> None:
    lease = begin(inbox, Row(seen_key("a"), THREAD, 1795382999900, text))

    assert lease.event.body.decode() == text
    assert lease.event.time == 1795382999900


def test_a_late_event_goes_before_those_that_were_sent_after_it(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("b", 20), row("d", 40)])
    inbox.accept([row("c", 30)])
    inbox.accept([row("a", 10)])

    assert stored.queue() == ["a", "b", "c", "d"]


def test_a_late_event_does_not_go_before_a_head_that_is_worked_on(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("b", 20), row("c", 30))
    inbox.accept([row("a", 10)])

    assert stored.queue() == ["b", "a", "c"]


def test_a_late_event_does_not_go_before_a_head_whose_worker_died(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("b", 20))
    stored.expire()
    inbox.accept([row("a", 10)])

    assert stored.queue() == ["b", "a"]


def test_a_late_event_does_not_go_before_a_head_that_is_tried_again(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("b", 20)).later(60, "refused", counts=True)
    inbox.accept([row("a", 10)])

    assert stored.queue() == ["b", "a"]


def test_a_late_event_goes_before_a_head_that_was_not_begun(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, row("a", 10), row("c", 30))
    lease.finish()
    lease.release()
    inbox.accept([row("b", 20)])

    assert stored.queue() == ["b", "c"]


def test_only_threads_that_were_idle_want_a_worker(inbox: Inbox) -> None:
    assert inbox.accept([row("a"), row("b"), row("c", thread=OTHER)]) == 2
    assert inbox.accept([row("d")]) == 0


def test_a_thread_that_is_worked_on_wants_no_worker(inbox: Inbox) -> None:
    begin(inbox, row("a"))

    assert inbox.accept([row("b")]) == 0


def test_a_thread_that_was_relayed_wants_a_worker_again(inbox: Inbox) -> None:
    begin(inbox, row("a")).finish()

    assert inbox.accept([row("b")]) == 1


def test_a_thread_whose_side_is_paused_wants_no_worker(inbox: Inbox) -> None:
    inbox.pause(SIDE, 90, "it is down")
    inbox.accept([row("a")])
    inbox.claim()

    assert inbox.accept([row("c", thread=OTHER)]) == 0


def test_a_thread_that_waits_is_not_due_sooner_because_more_comes(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("a")).later(60, "refused", counts=True)
    inbox.accept([row("b")])

    assert 55 < float(stored.due_in() or 0) <= 60


def test_a_row_without_a_thread_leaves_only_its_body(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([Row(echo_key("1", "connector:9:0"), "", 10, "m_1")])

    assert inbox.echo("1", "connector:9:0") == ("m_1", "")
    assert stored.names() == {"mc:echo:1:connector:9:0"}
    assert inbox.store.pttl("mc:echo:1:connector:9:0") > 0


def test_an_echo_that_did_not_come_is_none(inbox: Inbox) -> None:
    assert inbox.echo("1", "connector:9:0") is None


def test_an_accept_whose_answer_got_lost_may_be_repeated(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a")])
    inbox.accept([row("a")])

    assert inbox.sweep(10, 64) == 1
    assert stored.queue() == ["a"]


# --- Claim, renew, release. -----------------------------------------------------------------------------


def test_a_lease_names_the_event_at_the_head(inbox: Inbox) -> None:
    event = begin(inbox, row("a", 10), row("b", 20)).event

    assert (event.id, event.time, event.body) == (1, 10, b"a")
    assert (event.attempts, event.history, event.steps) == (0, (), {})


def test_a_thread_is_claimed_by_one(inbox: Inbox, another: Inbox) -> None:
    begin(inbox, row("a"))

    assert another.claim(THREAD) is None


def test_threads_are_claimed_apart(inbox: Inbox, another: Inbox) -> None:
    begin(inbox, row("a"), row("b", thread=OTHER))

    assert claimed(another, OTHER).event.body == b"b"


def test_a_lease_that_ran_out_is_taken_over(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    begin(inbox, row("a"))
    stored.expire()

    assert claimed(another).event.body == b"a"


def test_a_lease_runs_out_after_its_term(inbox: Inbox, stored: Stored) -> None:
    brief = Inbox(inbox.store, lease=0.001)
    begin(brief, row("a"))

    deadline = time.monotonic() + 10
    while not (taken := inbox.claim(THREAD)):
        assert time.monotonic() < deadline
    assert taken.event.body == b"a"
    assert 14 < float(stored.due_in() or 0) <= 15


def test_a_claim_whose_answer_got_lost_gives_the_same_lease(inbox: Inbox) -> None:
    inbox.accept([row("a")])
    inbox.accept([row("b", thread=OTHER)])
    first = inbox._run("claim", "token", 15_000, 0, "")
    again = inbox._run("claim", "token", 15_000, 0, "")

    assert first == again
    assert first[1].startswith(b"0000000000000001 ")


def test_a_thread_is_not_claimed_while_its_head_waits(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("a"), row("b")).later(60, "refused", counts=True)
    assert inbox.claim(THREAD) is None

    stored.end_backoff()
    assert claimed(inbox).event.body == b"a"


def test_a_thread_is_not_claimed_while_its_side_is_paused(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a")])
    inbox.pause(SIDE, 90, "it is down")

    assert inbox.claim(THREAD) is None
    assert inbox.claim() is None
    assert "mc:lease:" + THREAD not in stored.names()


def test_threads_that_wait_for_a_side_go_on_when_its_pause_is_over(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a"), row("b", thread=OTHER)])
    inbox.pause(SIDE, 90, "it is down")
    assert inbox.claim() is None
    stored.end_pause()
    first = claimed(inbox, "")
    first.finish()

    assert {first.thread, claimed(inbox, "").thread} == {THREAD, OTHER}


def test_a_sweep_wants_no_worker_for_a_side_that_is_paused(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a")])
    inbox.pause(SIDE, 90, "it is down")
    assert inbox.sweep(10, 64) == 0

    stored.end_pause()
    assert inbox.sweep(10, 64) == 1


def test_what_waits_for_a_paused_side_is_not_written_again_and_again(inbox: Inbox) -> None:
    inbox.accept([row(str(number), thread=f"in:1:{number}") for number in range(100)])
    inbox.pause(SIDE, 90, "it is down")
    inbox.claim()
    store: Any = inbox.store
    before = store.info("persistence")["rdb_changes_since_last_save"]
    for _ in range(10):
        inbox.sweep(500, 64)
        inbox.claim()

    assert store.info("persistence")["rdb_changes_since_last_save"] == before


def test_a_side_that_asked_to_slow_down_gets_a_few_threads_a_second(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row(str(number), thread=f"in:1:{number}") for number in range(9)])
    inbox.pause(SIDE, 90, "it asks to slow down", rate=4)
    stored.end_pause()
    taken = [inbox.claim() for _ in range(6)]

    assert [lease is not None for lease in taken] == [True] * 4 + [False] * 2


def test_a_side_that_asked_to_slow_down_gets_more_threads_each_second(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row(str(number), thread=f"in:1:{number}") for number in range(20)])
    inbox.pause(SIDE, 90, "it asks to slow down", rate=4)
    for expected in (5, 7, 8):
        stored.end_pause()
        inbox.store.hset("mc:pause:helpdesk", "since", 0)
        taken = 0
        while inbox.claim():
            taken += 1
        assert taken == expected


# --- A side that was away is tried by one thread. -------------------------------------------------------


@pytest.fixture
def back(inbox: Inbox, stored: Stored) -> Inbox:
    """Give an inbox with nine threads, whose side was paused until now."""
    inbox.accept([row(str(number), thread=f"in:1:{number}") for number in range(9)])
    inbox.pause(SIDE, 90, "it is down")
    assert inbox.claim() is None
    stored.end_pause()
    return inbox


def test_a_side_that_was_away_is_tried_by_one_thread(back: Inbox) -> None:
    trial = back.claim()

    assert trial is not None
    assert [back.claim() for _ in range(9)] == [None] * 9
    assert back.claim("in:1:8") is None


def test_a_side_that_is_tried_is_known_as_paused(back: Inbox) -> None:
    claimed(back, "")

    assert back.state().pauses == {SIDE: True}


@pytest.mark.parametrize("end", [Lease.finish, lambda lease: lease.bury("refused")], ids=["done", "dead"])
def test_when_the_trial_has_worked_all_others_follow(back: Inbox, end: Callable[[Lease], bool]) -> None:
    end(claimed(back, ""))

    assert all(back.claim() for _ in range(8))


def test_what_a_trial_does_next_is_no_trial_any_more(inbox: Inbox, back: Inbox) -> None:
    inbox.accept([row(f"{number} again", thread=f"in:1:{number}") for number in range(9)])
    trial = claimed(back, "")
    trial.finish()
    back.pause(SIDE, 90, "it is down again")
    trial.finish()

    assert back.claim() is None


def test_a_trial_that_fails_for_its_own_fault_leaves_it_to_the_next(back: Inbox) -> None:
    first = claimed(back, "")
    first.later(60, "refused", counts=True)
    second = claimed(back, "")

    assert second.thread != first.thread
    assert back.claim() is None


def test_a_trial_that_finds_its_side_away_pauses_it_for_all(back: Inbox) -> None:
    trial = claimed(back, "")
    back.pause(SIDE, 90, "it is still down")
    trial.wait(SIDE, "it is still down")

    assert back.claim() is None


def test_a_trial_whose_worker_died_leaves_it_to_the_next(back: Inbox, stored: Stored) -> None:
    first = claimed(back, "")
    ends: Any = back.store.zscore("mc:pauses", SIDE)
    assert 14 < ends / 1000 - back.now() <= 15

    stored.end_pause()
    assert claimed(back, "").thread != first.thread
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
    back.pause(SIDE, 90, "another worker found it down")
    trial.finish()

    assert back.claim() is None


def test_one_worker_is_enough_to_try_a_side(back: Inbox) -> None:
    assert back.sweep(500, 64) == 1

    claimed(back, "").finish()
    assert back.sweep(500, 64) == 8


def test_one_group_is_enough_to_try_a_side(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row(str(number), thread=f"in:{number}:1") for number in range(9)])
    inbox.pause(SIDE, 90, "it is down")
    inbox.claim()
    stored.end_pause()
    inbox.sweep(500, 64)
    assert inbox.store.zcard("mc:ready") == 1

    claimed(inbox, "").finish()
    inbox.sweep(500, 64)
    assert inbox.store.zcard("mc:ready") == 8


def test_what_waited_for_a_side_is_overdue_from_when_it_is_back(back: Inbox, stored: Stored) -> None:
    for number in range(9):
        stored.wait_for(3600, f"in:1:{number}")
    back.pause(SIDE, 0.001, "it is down")
    until("its pause is over", lambda: back.sweep(500, 64))

    assert back.state().overdue < 30


# --- A reply that needs the helpdesk. -------------------------------------------------------------------

REPLY, PAGE = "out:1:2", "page:1"


def wait_for_helpdesk(inbox: Inbox, *people: int) -> None:
    """Have replies wait until the helpdesk is back, which is paused."""
    inbox.pause(SIDE, 90, "it is down")
    for person in people:
        inbox.accept([row(f"reply {person}", thread=f"out:1:{person}")])
        claimed(inbox, f"out:1:{person}").wait(SIDE, "it is down")


def test_a_reply_can_wait_until_the_helpdesk_is_back(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2)
    assert inbox.claim() is None
    assert inbox.claim(REPLY) is None
    stored.end_pause()

    lease = claimed(inbox, "")
    assert (lease.thread, lease.attempts) == (REPLY, 0)
    assert [entry["reason"] for entry in lease.event.history] == ["it is down"]


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
    inbox.accept([row("a", thread="out:1:3")])

    assert claimed(inbox, "").thread == "out:1:3"


def test_a_reply_that_waited_for_the_helpdesk_is_its_pages_again(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2)
    stored.end_pause()
    lease = claimed(inbox, "")
    assert "waits_for" not in stored.lease(REPLY)
    inbox.accept([row("next", thread=REPLY)])
    lease.finish()
    lease.release()

    assert stored.place(REPLY) == "out:1:"
    assert claimed(inbox, "").event.body == b"next"


def test_a_reply_that_waited_for_the_helpdesk_leaves_nothing_behind(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2)
    inbox.claim()
    stored.end_pause()
    claimed(inbox, "").finish()
    inbox.sweep(10, 64)

    assert stored.names() == {"mc:seen:reply 2", "mc:ids", "mc:stats", "mc:last", "mc:pauses"}


def test_a_page_has_no_larger_share_because_replies_of_it_wait_for_the_helpdesk(
    inbox: Inbox, stored: Stored
) -> None:
    wait_for_helpdesk(inbox, *range(20))
    inbox.claim()
    wait(inbox, "1", *range(20, 40), direction="out")
    wait(inbox, "2", *range(20), direction="out")
    is_back(inbox, stored)

    taken = turns(inbox, 12)
    people = [int(thread.rpartition(":")[2]) for thread in taken if thread.startswith("out:1:")]
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

    assert all(thread.startswith("out:2:") for thread in turns(inbox, 6))


def is_back(inbox: Inbox, stored: Stored) -> None:
    """Have the helpdesk be back, and known to work."""
    stored.end_pause()
    inbox.store.delete("mc:pause:helpdesk")


def test_a_group_of_which_nobody_waits_is_not_held(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a")])
    inbox.pause(SIDE, 90, "it is down")
    inbox.claim()
    stored.end_pause()
    claimed(inbox, THREAD).finish()

    assert "mc:held:helpdesk" not in stored.names()


def test_a_reply_whose_page_is_paused_too_waits_for_that_one_then(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2, 3)
    inbox.claim()
    inbox.pause(PAGE, 90, "its token is refused")
    stored.end_pause()
    assert inbox.claim() is None
    assert stored.place(REPLY) == "out:1:"

    stored.end_pause(PAGE)
    assert claimed(inbox, "").thread == REPLY


def test_a_late_event_does_not_go_before_a_reply_that_waits(inbox: Inbox, stored: Stored) -> None:
    wait_for_helpdesk(inbox, 2)

    assert inbox.accept([row("early", 1, REPLY)]) == 0
    assert stored.queue(REPLY) == ["reply 2", "early"]


def test_a_wait_whose_answer_got_lost_counts_once(inbox: Inbox) -> None:
    lease = begin(inbox)
    for _ in range(2):
        lease.wait(SIDE, "it is down")

    assert inbox.stats()["postponed"] == 1


def test_whoever_takes_a_thread_learns_whether_the_helpdesk_is_paused(inbox: Inbox) -> None:
    inbox.accept([row("a", thread=REPLY), row("b", 20, REPLY)])
    lease = claimed(inbox, REPLY)
    assert lease.event.helpdesk_paused is False
    inbox.pause(SIDE, 90, "it is down")
    lease.finish()

    assert lease.event.helpdesk_paused is True


# --- More of claims. ------------------------------------------------------------------------------------


def test_a_claim_of_an_empty_queue_leaves_no_lease_while_its_side_is_paused(
    inbox: Inbox, stored: Stored
) -> None:
    inbox.pause(SIDE, 90, "it is down")

    assert inbox.claim(THREAD) is None
    assert not stored.lease()


def test_a_paused_side_is_known_as_paused(inbox: Inbox) -> None:
    inbox.pause(SIDE, 90, "it is down")
    inbox.pause("page:1", 1, "it was down")
    inbox.store.zadd("mc:pauses", {"page:1": 0})

    assert inbox.state().pauses == {SIDE: True, "page:1": False}


def test_a_pause_holds_no_other_side_back(inbox: Inbox) -> None:
    inbox.accept([row("a")])
    inbox.pause("page:1", 90, "it is down")

    assert claimed(inbox).event.body == b"a"


def test_a_claim_of_an_empty_queue_leaves_nothing_behind(inbox: Inbox, stored: Stored) -> None:
    assert inbox.claim(THREAD) is None
    assert stored.names() == set()


def test_a_renewed_lease_is_kept_for_another_term(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox, row("a"))
    stored.expire()
    lease.renew()
    lease.check()

    assert another.claim(THREAD) is None
    assert 14 < lease.deadline - time.monotonic() <= 15
    assert 14 < float(stored.due_in() or 0) <= 15


def test_a_lease_is_good_until_its_deadline(inbox: Inbox) -> None:
    lease = begin(inbox, row("a"))
    lease.check()
    lease.deadline = time.monotonic() - 0.001

    with pytest.raises(Stale):
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

    with pytest.raises(Stale):
        stale.check()


def test_a_lease_that_is_lost_records_nothing(stale: Lease, stored: Stored) -> None:
    with pytest.raises(Stale):
        stale.record("call", "ticket")
    with pytest.raises(Stale):
        stale.check()
    assert stale.step("call") is None
    assert "mc:event:1" not in stored.names()


ENDS: dict[str, Callable[[Lease], object]] = {
    "finish": lambda lease: lease.finish(),
    "bury": lambda lease: lease.bury("refused"),
    "later": lambda lease: lease.later(60, "refused", counts=True),
    "wait": lambda lease: lease.wait(SIDE, "refused"),
    "release": lambda lease: lease.release(),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_lease_that_is_lost_changes_nothing(stale: Lease, inbox: Inbox, stored: Stored, end: str) -> None:
    before = stored.lease(), stored.names(), inbox.stats()

    assert not ENDS[end](stale)
    assert (stored.lease(), stored.names(), inbox.stats()) == before
    assert stored.queue() == ["a", "b"]


def test_a_released_thread_can_be_claimed_at_once(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.finish()
    lease.release()

    assert claimed(another, "").event.body == b"b"


# --- What is known of an event. -------------------------------------------------------------------------


def test_a_step_that_was_recorded_is_known(inbox: Inbox) -> None:
    lease = begin(inbox)

    assert lease.step("call") is None
    assert lease.record("call", "ticket") == "ticket"
    assert lease.step("call") == "ticket"


def test_steps_survive_a_worker_that_dies(inbox: Inbox, another: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.record("call", "ticket")
    lease.record("upload:0", "zażółć")
    stored.expire()

    assert claimed(another).event.steps == {"call": "ticket", "upload:0": "zażółć"}


def test_numbered_steps_come_in_the_order_of_their_numbers(inbox: Inbox) -> None:
    lease = begin(inbox)
    for number in (10, 2, 0):
        lease.record(f"sent:{number}", f"m_{number}")
    lease.record("sending:1", "5")

    assert lease.recorded("sent:") == ["m_0", "m_2", "m_10"]


def test_steps_belong_to_one_event(inbox: Inbox) -> None:
    lease = begin(inbox)
    lease.record("call", "ticket")
    lease.finish()

    assert lease.step("call") is None


def test_a_step_that_worked_makes_attempts_count_from_there(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.later(60, "refused", counts=True)
    stored.end_backoff()
    lease = claimed(inbox)
    assert lease.attempts == 1
    lease.achieve("sent:0", "m_1")
    assert lease.step("sent:0") == "m_1"
    lease.later(60, "refused", counts=True)
    stored.end_backoff()

    assert claimed(inbox).attempts == 1


# --- Finish. --------------------------------------------------------------------------------------------


def test_a_finished_event_makes_room_for_the_next(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)

    assert lease.finish() is True
    assert lease.event.body == b"b"
    assert stored.queue() == ["b"]


def test_what_is_known_of_the_next_event_comes_with_it(inbox: Inbox, stored: Stored) -> None:
    letter = buried_with_a_step(inbox, "a", 20)
    lease = begin(inbox, row("b", 10), row("c", 30))
    inbox.revive(letter)
    lease.finish()

    assert (lease.event.body, lease.step("call")) == (b"a", "ticket")
    assert stored.queue() == ["a", "c"]


def buried_with_a_step(inbox: Inbox, name: str, at: int = 10) -> Letter:
    lease = begin(inbox, row(name, at))
    lease.record("call", "ticket")
    lease.record("failed", "refused")
    lease.bury("refused")
    return inbox.letters()[-1]


def test_a_finish_whose_answer_got_lost_takes_one_event_only(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    arguments = ("finish", THREAD, lease.token, lease.event.id, "relayed:in", "", "", "")
    first = inbox._run(*arguments)
    again = inbox._run(*arguments)

    assert first == again
    assert stored.queue() == ["b"]
    assert inbox.stats()["relayed:in"] == 1


def test_the_last_finish_may_be_repeated_too(inbox: Inbox) -> None:
    lease = begin(inbox, row("a"))
    arguments = ("finish", THREAD, lease.token, lease.event.id, "relayed:in", "", "", "")

    assert inbox._run(*arguments) == inbox._run(*arguments) == []
    assert inbox.stats()["relayed:in"] == 1


def test_a_foreseen_step_stands_in_the_record_of_the_next_event(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.foresee("call", "comment:42")
    lease.finish()
    assert lease.step("call") is None
    stored.expire()

    assert claimed(inbox).step("call") == "comment:42"


def test_recording_a_foreseen_step_asks_the_store_nothing(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.foresee("call", "comment:42")
    lease.finish()
    stored.expire()
    claimed(inbox)

    assert lease.record("call", "comment:42") == "comment:42"
    with pytest.raises(Stale):
        lease.record("call", "comment:42")


def test_a_step_that_was_not_foreseen_like_this_is_recorded(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.foresee("call", "comment:42")
    lease.finish()
    lease.record("call", "ticket")
    stored.expire()

    assert claimed(inbox).step("call") == "ticket"


def test_a_step_is_foreseen_for_the_next_event_only(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, row("a"), row("b"), row("c"))
    lease.foresee("call", "comment:42")
    lease.finish()
    lease.finish()
    stored.expire()

    assert claimed(inbox).step("call") is None


def test_a_foreseen_step_overwrites_none_that_was_taken(inbox: Inbox, stored: Stored) -> None:
    letter = buried_with_a_step(inbox, "b", at=20)
    lease = begin(inbox, row("a"), row("c", 30))
    inbox.revive(letter)
    lease.foresee("call", "comment:42")
    lease.finish()

    assert (lease.event.body, lease.step("call")) == (b"b", "ticket")
    stored.expire()
    assert claimed(inbox).step("call") == "ticket"


@pytest.mark.parametrize(
    "step",
    [
        lambda lease: lease.record("call", "ticket"),
        lambda lease: lease.later(60, "refused", counts=True),
    ],
    ids=["record", "later"],
)
def test_of_an_event_that_the_store_forgot_nothing_is_kept(
    inbox: Inbox, stored: Stored, step: Callable[[Lease], object]
) -> None:
    lease = begin(inbox, row("a"), row("b"))
    lease.finish()
    inbox.store.delete(f"mc:jobs:{THREAD}")  # it lost its last writes, and gives the id 2 again
    inbox.store.zadd(f"mc:jobs:{THREAD}", {f"{1:016} 5 10 a": -1})

    with suppress(Stale):
        step(lease)

    assert "mc:event:2" not in stored.names()


def test_a_lease_knows_what_is_cached_of_its_person(inbox: Inbox) -> None:
    inbox.store.set("mc:link:1:2", "42")
    inbox.accept([row("a")])
    lease = inbox.claim(cached=("link", "profile"))

    assert lease is not None
    assert lease.cached("link") == b"42"
    assert lease.cached("profile") is None


def test_what_a_lease_caches_is_there_for_itself_and_for_the_next_one(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    lease.cache("link", b"42", 60)
    assert lease.cached("link") == b"42"
    stored.expire()

    later = inbox.claim(cached=("link",))
    assert later is not None
    assert later.cached("link") == b"42"
    assert 0 < inbox.store.ttl("mc:link:1:2") <= 60


def test_what_a_lease_forgets_is_gone_for_all(inbox: Inbox) -> None:
    lease = begin(inbox)
    lease.cache("link", b"42", 60)
    lease.forget("link")

    assert lease.cached("link") is None
    assert inbox.store.get("mc:link:1:2") is None


def test_after_the_last_event_a_thread_leaves_nothing_behind(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, row("a"))
    lease.record("call", "ticket")

    assert lease.finish() is False
    assert stored.names() == {"mc:seen:a", "mc:ids", "mc:stats", "mc:last"}


def test_after_all_is_relayed_only_marks_with_an_end_ids_and_counters_are_left(
    inbox: Inbox, stored: Stored
) -> None:
    lease = begin(inbox, row("a"), row("b"), row("c"))
    lease.record("call", "ticket")
    lease.later(60, "refused", counts=True)
    stored.end_backoff()
    lease = claimed(inbox)
    lease.finish()
    lease.bury("refused")
    inbox.revive(inbox.letters()[0])
    lease.release()
    while (again := inbox.claim(THREAD)) and again.finish():
        again.release()

    marks = {f"mc:seen:{name}" for name in "abc"}
    assert stored.names() == marks | {"mc:ids", "mc:stats", "mc:last"}
    assert all(0 < inbox.store.pttl(mark) <= SEEN_FOR for mark in marks)


def test_the_backoff_of_one_event_does_not_hold_back_the_next(inbox: Inbox, stored: Stored) -> None:
    begin(inbox).later(60, "refused", counts=True)
    stored.end_backoff()
    lease = claimed(inbox)
    lease.finish()

    assert "not_before" not in stored.lease()


# --- Later. ---------------------------------------------------------------------------------------------


def test_an_event_that_is_put_off_is_tried_again_later(inbox: Inbox, stored: Stored) -> None:
    begin(inbox).later(60, "refused", counts=True)

    assert stored.queue() == ["a", "b"]
    assert 55 < float(stored.due_in() or 0) <= 60
    assert inbox.stats()["postponed"] == 1


def test_attempts_and_reasons_are_kept(inbox: Inbox, stored: Stored) -> None:
    for reason, counts in (("refused", True), ("down", False), ("refused again", True)):
        inbox.accept([row("a")])
        claimed(inbox).later(60, reason, counts=counts)
        stored.end_backoff()

    event = claimed(inbox).event
    assert event.attempts == 2
    assert [entry["reason"] for entry in event.history] == ["refused", "down", "refused again"]
    assert all(set(entry) == {"at", "reason"} for entry in event.history)


def test_the_first_and_the_last_failures_are_kept(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a")])
    for number in range(3 * HISTORY_LENGTH):
        claimed(inbox).later(60, str(number), counts=True)
        stored.end_backoff()

    reasons = [entry["reason"] for entry in claimed(inbox).event.history]
    assert reasons == [str(number) for number in (0, 1, 2, 3, 4, 25, 26, 27, 28, 29)]


def test_a_put_off_whose_answer_got_lost_counts_once(inbox: Inbox) -> None:
    lease = begin(inbox)
    for _ in range(2):
        lease.later(60, "refused", counts=True)

    assert inbox.stats()["postponed"] == 1


def test_a_thread_that_was_put_off_is_not_the_workers_any_more(inbox: Inbox) -> None:
    lease = begin(inbox)
    lease.later(60, "refused", counts=True)

    with pytest.raises(Stale):
        lease.record("call", "ticket")


# --- Dead letters. --------------------------------------------------------------------------------------


def test_a_buried_event_makes_room_for_the_next(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)

    assert lease.bury("refused") is True
    assert lease.event.body == b"b"
    assert stored.queue() == ["b"]
    assert inbox.stats()["dead:in"] == 1


def test_a_dead_letter_tells_its_story(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("a", 20)).later(60, "down", counts=True)
    stored.end_backoff()
    claimed(inbox).bury("refused")

    letter = inbox.letter(1)
    assert letter is not None
    assert (letter.id, letter.thread, letter.time, letter.body) == (1, THREAD, 20, "a")
    assert letter.reason == "refused"
    assert [entry["reason"] for entry in letter.history] == ["down"]
    assert letter.died_at.startswith("20")


def test_dead_letters_come_the_oldest_first(inbox: Inbox) -> None:
    rows = [row(str(number)) for number in range(12)]
    lease = begin(inbox, *rows)
    while lease.bury("refused"):
        pass

    assert [letter.id for letter in inbox.letters()] == list(range(1, 13))


def test_a_letter_that_is_not_there_is_none(inbox: Inbox) -> None:
    assert inbox.letter(1) is None
    assert inbox.letters() == []


def test_a_burial_whose_answer_got_lost_buries_one_event(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox)
    letter = json.dumps({"thread": THREAD})
    arguments = ("finish", THREAD, lease.token, lease.event.id, "dead:in", letter, "", "")

    assert inbox._run(*arguments) == inbox._run(*arguments)
    assert stored.queue() == ["b"]
    assert inbox.state().dead == 1


def test_steps_survive_a_burial_but_attempts_and_the_verdict_do_not(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, row("a"))
    lease.record("call", "ticket")
    lease.record("failed", "refused")
    lease.later(60, "down", counts=True)
    stored.end_backoff()
    claimed(inbox).bury("refused")
    inbox.revive(inbox.letters()[0])

    event = claimed(inbox).event
    assert event.steps == {"call": "ticket"}
    assert (event.attempts, event.history) == (0, ())


def test_a_revived_event_takes_its_place_by_time(inbox: Inbox, stored: Stored) -> None:
    letter = buried(inbox, row("b", 20))
    inbox.accept([row("a", 10), row("c", 30)])

    assert inbox.revive(letter) is True
    assert stored.queue() == ["a", "b", "c"]
    assert inbox.letters() == []


def test_a_revived_event_does_not_go_before_a_head_that_was_begun(inbox: Inbox, stored: Stored) -> None:
    letter = buried(inbox, row("a", 10))
    begin(inbox, row("b", 20), row("c", 30))
    inbox.revive(letter)

    assert stored.queue() == ["b", "a", "c"]


def test_a_revived_event_of_an_idle_thread_is_due_at_once(inbox: Inbox) -> None:
    inbox.revive(buried(inbox))

    assert inbox.sweep(10, 64) == 1
    assert claimed(inbox, "").event.body == b"a"


def test_a_thread_that_waits_is_not_due_sooner_because_an_event_is_revived(
    inbox: Inbox, stored: Stored
) -> None:
    letter = buried(inbox, row("a"), row("b"))
    claimed(inbox).later(60, "refused", counts=True)
    inbox.revive(letter)

    assert 55 < float(stored.due_in() or 0) <= 60


def test_an_event_that_is_revived_twice_comes_back_once(inbox: Inbox, stored: Stored) -> None:
    letter = buried(inbox)
    inbox.revive(letter)

    assert inbox.revive(letter) is False
    assert stored.queue() == ["a"]


def test_a_letter_that_was_thrown_away_does_not_come_back(inbox: Inbox, stored: Stored) -> None:
    letter = buried_with_a_step(inbox, "a")

    assert inbox.drop(letter.id) is True
    assert inbox.drop(letter.id) is False
    assert inbox.revive(letter) is False
    assert stored.names() == {"mc:seen:a", "mc:ids", "mc:stats", "mc:last"}


# --- What is due. ---------------------------------------------------------------------------------------


def test_a_sweep_wants_workers_only_for_threads_that_are_due(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("a")).later(60, "refused", counts=True)
    assert inbox.sweep(10, 64) == 0

    stored.end_backoff()
    assert inbox.sweep(10, 64) == 1


def test_a_thread_that_was_swept_is_there_for_the_next_claim(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("a")).later(60, "refused", counts=True)
    stored.end_backoff()
    inbox.sweep(10, 64)

    assert claimed(inbox, "").event.body == b"a"


def test_a_sweep_tells_no_more_than_is_enough(inbox: Inbox) -> None:
    inbox.accept([row(str(number), thread=f"in:{number}:2") for number in range(9)])

    assert inbox.sweep(10, 5) == 5


def test_a_thread_whose_worker_died_is_claimed_by_another(
    inbox: Inbox, another: Inbox, stored: Stored
) -> None:
    begin(inbox)
    assert another.claim() is None
    stored.expire()

    assert claimed(another, "").event.body == b"a"


def test_what_is_due_in_the_future_is_not_overdue(inbox: Inbox) -> None:
    assert inbox.state().overdue == 0
    begin(inbox, row("a")).later(60, "refused", counts=True)

    assert inbox.state().overdue == 0


def test_overdue_is_how_long_a_thread_waits_for_a_worker(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a"), row("b", thread=OTHER)])
    stored.wait_for(5, OTHER)

    assert 5 <= inbox.state().overdue < 30


def test_what_waits_for_a_side_is_not_overdue(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a")])
    stored.wait_for(5)
    inbox.pause(SIDE, 90, "it is down")
    inbox.claim()

    assert inbox.state().overdue == 0


@pytest.mark.parametrize("thread", [THREAD, "out:1:2", "ticket:7", "fax:1:2", "what"])
def test_the_age_of_the_oldest_event_counts_whatever_it_waits_for(inbox: Inbox, thread: str) -> None:
    inbox.accept([row("a", thread=thread), row("b", thread=thread)])
    inbox.store.zincrby("mc:oldest", -5000, thread)
    inbox.pause(SIDE, 90, "it is down")
    inbox.pause("page:1", 90, "it is down")
    inbox.claim()

    assert 5 <= inbox.state().oldest < 30


def test_the_age_of_the_oldest_event_goes_on_with_the_next_one(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, row("a", 10), row("b", 20))
    stored.make_older("a", 5)
    assert 5 <= inbox.state().oldest < 30
    lease.finish()

    assert inbox.state().oldest < 5


def test_an_event_that_came_late_does_not_hide_the_age_of_those_it_went_before(
    inbox: Inbox, stored: Stored
) -> None:
    inbox.accept([row("b", 20)])
    stored.make_older("b", 5)
    inbox.accept([row("a", 10)])
    assert stored.queue() == ["a", "b"]
    lease = claimed(inbox)
    assert inbox.state().oldest >= 5
    lease.finish()

    assert inbox.state().oldest >= 5


def test_the_state_tells_how_much_there_is_to_do(inbox: Inbox, stored: Stored) -> None:
    buried(inbox, row("a"), row("b"))
    inbox.accept([row("c", thread=OTHER)])

    state = inbox.state()
    assert (state.threads, state.dead) == (2, 1)


# --- Whose turn it is. ----------------------------------------------------------------------------------


def turns(inbox: Inbox, count: int) -> list[str]:
    """Return the threads of so many claims; none is let go of."""
    return [claimed(inbox, "").thread for _ in range(count)]


def wait(inbox: Inbox, page: str, *people: int, direction: str = "in") -> None:
    """Have people wait for a worker, one after the other."""
    for person in people:
        name = f"{direction}:{page}:{person}"
        inbox.accept([row(name, thread=name)])


def test_a_page_does_not_wait_behind_the_many_of_another(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))
    wait(inbox, "2", 1)

    assert "in:2:1" in turns(inbox, 2)


def test_pages_that_wait_get_as_many_workers_each(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))
    turns(inbox, 8)
    wait(inbox, "2", *range(50))

    assert all(thread.startswith("in:2:") for thread in turns(inbox, 8))
    assert {thread[:5] for thread in turns(inbox, 2)} == {"in:1:", "in:2:"}


def test_a_direction_does_not_wait_behind_the_other(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))
    wait(inbox, "1", 1, direction="out")

    assert "out:1:1" in turns(inbox, 2)


def test_a_group_whose_work_is_done_has_its_share_again(inbox: Inbox) -> None:
    wait(inbox, "1", *range(4))
    leases = [claimed(inbox, "") for _ in range(2)]
    wait(inbox, "2", *range(4))
    turns(inbox, 2)
    for lease in leases:
        lease.finish()

    assert [thread[:5] for thread in turns(inbox, 2)] == ["in:1:", "in:1:"]


def test_a_group_whose_workers_died_has_its_share_again(inbox: Inbox, stored: Stored) -> None:
    wait(inbox, "1", *range(4))
    dead = turns(inbox, 2)
    wait(inbox, "2", *range(4))
    turns(inbox, 2)
    for thread in dead:
        stored.expire(thread)

    assert [thread[:5] for thread in turns(inbox, 2)] == ["in:1:", "in:1:"]


def choose(inbox: Inbox, *, newest: bool) -> str:
    """Claim as a worker does that says whether it takes the newest."""
    token = str(time.monotonic_ns())
    return str(inbox._run("claim", token, 15_000, int(newest), "")[0].decode())


def test_who_writes_now_does_not_wait_behind_a_backlog(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))

    assert choose(inbox, newest=True) == "in:1:49"
    assert choose(inbox, newest=True) == "in:1:48"


def test_who_waits_longest_does_not_wait_behind_who_writes_now(inbox: Inbox) -> None:
    wait(inbox, "1", *range(50))

    assert choose(inbox, newest=False) == "in:1:0"
    assert choose(inbox, newest=True) == "in:1:49"
    assert choose(inbox, newest=False) == "in:1:1"


def test_a_worker_takes_the_newest_about_every_second_time(inbox: Inbox) -> None:
    wait(inbox, "1", *range(100))
    taken = turns(inbox, 60)

    oldest = [thread for thread in taken if int(thread.rpartition(":")[2]) < 50]
    assert 10 < len(oldest) < 50


def test_a_thread_whose_turn_is_over_goes_behind_those_that_wait(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a"), row("b")])
    lease = claimed(inbox)
    wait(inbox, "1", 5, 6)
    stored.wait_for(1, "in:1:5")
    lease.finish()
    lease.release()

    assert choose(inbox, newest=True) == "in:1:6"
    assert choose(inbox, newest=False) == "in:1:5"
    assert choose(inbox, newest=True) == THREAD


def test_what_is_remembered_of_the_newest_does_not_grow(inbox: Inbox) -> None:
    wait(inbox, "1", *range(500))

    assert inbox.store.llen("mc:fresh:in:1:") <= 200
    assert inbox.claim() is not None


# --- A body that is made to be hard work. ---------------------------------------------------------------


def test_events_in_descending_time_are_no_more_work_than_others(inbox: Inbox, stored: Stored) -> None:
    def longest(times: Iterable[int]) -> float:
        """Accept events of these times, 250 at once. Return what the slowest call took (seconds)."""
        rows, took = [row(f"{at:06}", at=at) for at in times], []
        for start in range(0, len(rows), 250):
            began = time.monotonic()
            inbox.accept(rows[start : start + 250])
            took.append(time.monotonic() - began)
        return sorted(took)[-3]  # the slowest two may have waited for something else

    ascending = longest(range(20_000, 40_000))
    descending = longest(range(19_999, -1, -1))

    assert descending < 3 * ascending
    assert stored.queue() == [f"{number:06}" for number in range(40_000)]


# --- A store that is full. ------------------------------------------------------------------------------


@pytest.fixture
def full(inbox: Inbox) -> Iterator[Inbox]:
    """Give an inbox whose store takes no more writes, with an event in it."""
    inbox.accept([row("a")])
    store: Any = inbox.store
    store.delete("mc:room")
    store.config_set("maxmemory", 1)
    yield inbox
    store.config_set("maxmemory", 0)


def test_a_full_store_takes_no_more_events(full: Inbox) -> None:
    with pytest.raises(redis.OutOfMemoryError):
        full.accept([row("b")])


def test_a_store_takes_no_more_events_before_it_is_full(inbox: Inbox) -> None:
    store: Any = inbox.store
    store.config_set("maxmemory", int(store.info("memory")["used_memory"] * 1.05))
    try:
        with pytest.raises(redis.OutOfMemoryError, match="nearly full"):
            inbox.accept([row("b")])
        assert inbox.has_room() is False
        store.set("mc:taken:x", "the broker can still write", ex=1)
    finally:
        store.config_set("maxmemory", 0)


def test_what_a_full_store_has_is_relayed(full: Inbox, stored: Stored) -> None:
    lease = claimed(full, "")
    lease.record("call", "ticket")
    lease.later(0.001, "down", counts=False)
    until("it is due", lambda: full.sweep(10, 64) == 1)
    claimed(full, "").finish()

    assert stored.queue() == []


def test_a_store_that_has_room_again_takes_events(full: Inbox) -> None:
    assert full.has_room() is False
    full.store.config_set("maxmemory", 0)
    full.store.delete("mc:room")

    assert full.has_room() is True
    assert full.accept([row("b")]) == 0


# --- Another prefix. ------------------------------------------------------------------------------------


def test_installations_with_prefixes_of_their_own_share_a_store(inbox: Inbox, stored: Stored) -> None:
    other = Inbox(inbox.store, prefix="acme:")
    other.accept([row("a"), row("b", thread=OTHER)])
    inbox.accept([row("a")])

    lease = claimed(inbox, "")
    lease.finish()
    assert inbox.claim() is None
    assert other.state().threads == 2
    assert inbox.state().threads == 0


def test_counters_tell_what_became_of_events_by_lane(inbox: Inbox) -> None:
    begin(inbox).finish()
    inbox.accept([row("c", thread="out:1:2")])
    claimed(inbox, "out:1:2").bury("refused")

    assert inbox.stats() == {"accepted": 3, "relayed:in": 1, "dead:out": 1}


# --- Any interleaving. ----------------------------------------------------------------------------------


@dataclass
class Expected:
    """What a thread should look like: plain lists of (time, id, name)."""

    queue: list[tuple[int, int, str]] = field(default_factory=list)
    owner: Lease | None = None
    expired: bool = False
    waits: bool = False
    waits_for: str = ""
    begun: bool = False

    def insert(self, event: tuple[int, int, str]) -> None:
        """Put an event in its place by time, but not before a head that was begun."""
        first = 1 if self.begun and self.queue else 0
        self.queue[first:] = sorted([*self.queue[first:], event])

    def take(self) -> tuple[int, int, str]:
        """Take the head off, as its owner does."""
        self.waits = False
        head = self.queue.pop(0)
        if not self.queue:
            self.let_go()
        return head

    def let_go(self) -> None:
        """Forget who works on the thread, and that its head was begun."""
        self.owner, self.expired, self.waits, self.begun = None, False, False, False


@dataclass
class ExpectedSide:
    """Whether a side is paused, was away and has not worked since, and by which lease it is tried."""

    paused: bool = False
    untried: bool = False
    trial: Lease | None = None


THREADS = ["in:1:0", "in:1:1", "out:1:0", "out:1:1"]
SIDES = {"in": SIDE, "out": PAGE}
threads = st.sampled_from(THREADS)
sides = st.sampled_from([SIDE, PAGE])
names = st.integers(0, 25).map(str)
numbers = st.integers(0, 3)


class Interleaving(RuleBasedStateMachine):
    """Workers that claim, die, come back late, and repeat themselves, against plain lists."""

    def __init__(self, store: Any) -> None:
        super().__init__()
        for key in store.scan_iter("mc:*"):
            store.delete(key)
        self.workers = [Inbox(store), Inbox(store)]
        self.stored = Stored(self.workers[0])
        self.expected: dict[str, Expected] = {thread: Expected() for thread in THREADS}
        self.sides = {side: ExpectedSide() for side in (SIDE, PAGE)}
        self.leases: list[Lease] = []
        self.accepted, self.done = set[str](), list[str]()
        self.dead: dict[str, tuple[int, int, str]] = {}
        self.steps: dict[str, dict[str, str]] = {}

    @rule(thread=threads, name=names, at=st.integers(0, 5))
    def accept(self, thread: str, name: str, at: int) -> None:
        """Accept an event, perhaps for a second time."""
        self.workers[0].accept([row(name, at, thread)])
        if name not in self.accepted:
            self.accepted.add(name)
            self.expected[thread].insert((at, len(self.accepted), name))

    @rule(worker=st.integers(0, 1), thread=threads)
    def claim(self, worker: int, thread: str) -> None:
        """Claim a thread; it works only if nobody has it and its head does not wait."""
        model = self.expected[thread]
        free = (model.owner is None or model.expired) and not self.is_held(thread)
        lease = self.workers[worker].claim(thread)
        assert (lease is not None) == (free and not model.waits and bool(model.queue))
        self.note_moves()
        if lease:
            self.took(lease)

    @rule(worker=st.integers(0, 1))
    def claim_any(self, worker: int) -> None:
        """Claim the thread whose turn it is; there is one if any can be worked on."""
        self.sweep()
        free = {
            name: self.side_of(name)
            for name, one in self.expected.items()
            if one.queue and not one.owner and not one.waits and not self.is_held(name)
        }
        lease = self.workers[worker].claim()
        assert (lease.thread in free) if lease else not free
        self.note_moves()
        if lease:
            self.took(lease)
            if (side := free[lease.thread]).untried:
                side.trial, side.paused = lease, True

    def side_of(self, thread: str) -> ExpectedSide:
        """Return the side that a thread waits for."""
        return self.sides[self.expected[thread].waits_for or SIDES[thread[:-4]]]

    def is_held(self, thread: str) -> bool:
        """Tell whether the side of a thread is paused, or its own one if it waits for another."""
        return self.side_of(thread).paused or self.sides[SIDES[thread[:-4]]].paused

    def took(self, lease: Lease) -> None:
        """Note that a thread was claimed."""
        model = self.expected[lease.thread]
        model.owner, model.expired, model.begun = lease, False, True
        self.leases.append(lease)
        self.head_is_right(lease)

    def note_moves(self) -> None:
        """Note who waits for another side no more: because it was claimed, or its own side is paused, too."""
        for thread, model in self.expected.items():
            if model.waits_for and "waits_for" not in self.stored.lease(thread):
                assert self.stored.lease(thread).get("token") or self.sides[SIDES[thread[:-4]]].paused
                model.waits_for = ""

    def end_trial(self, lease: Lease, *, worked: bool) -> None:
        """Note that the thread went on which tries a side, if it is one."""
        for side in self.sides.values():
            if side.trial is lease:
                side.trial, side.paused, side.untried = None, False, side.untried and not worked

    @rule(side=sides)
    def pause(self, side: str) -> None:
        """Find a side away."""
        self.workers[0].pause(side, 90, "it is down")
        self.sides[side] = ExpectedSide(paused=True, untried=True)

    @rule(side=sides)
    def end_pause(self, side: str) -> None:
        """Let the pause of a side be over, or the lease of who tries it run out."""
        self.stored.end_pause(side)
        self.sides[side].paused = False

    @rule()
    def sweep(self) -> None:
        """Have what is due wait for a worker: whose lease has run out loses it."""
        self.workers[0].sweep(100, 64)
        for model in self.expected.values():
            if model.expired:
                model.owner, model.expired = None, False

    def head_is_right(self, lease: Lease) -> None:
        """Compare what a lease says with what is known."""
        event = lease.event
        assert (event.time, event.id, event.body.decode()) == self.expected[lease.thread].queue[0]
        assert lease.event.steps == self.steps.get(event.body.decode(), {})

    def pick(self, number: int) -> Lease | None:
        """Return one of the last leases, perhaps one that was lost."""
        return self.leases[-1 - number % len(self.leases)] if self.leases else None

    def owns(self, lease: Lease) -> bool:
        """Tell whether a lease is good."""
        return self.expected[lease.thread].owner is lease

    @rule(number=numbers, repeated=st.booleans())
    def finish(self, *, number: int, repeated: bool) -> None:
        """Finish the event of a lease; a repeated call is one whose answer got lost."""
        if lease := self.pick(number):
            name, owned, announced = lease.event.body.decode(), self.owns(lease), lease._next_step
            if repeated:
                self.workers[0].finish(lease, "relayed:in", "", announced)
                self.announce(lease, announced, left=self.expected[lease.thread].queue[1:] if owned else [])
            goes_on = lease.finish()
            self.taken(lease, name, goes_on=goes_on)
            if goes_on:
                self.announce(lease, announced, left=self.expected[lease.thread].queue)

    def announce(self, lease: Lease, announced: tuple[str, str], left: list[tuple[int, int, str]]) -> None:
        """Note the step that the next event got, unless it had taken it before."""
        if left and announced[0]:
            self.steps.setdefault(left[0][2], {}).setdefault(*announced)

    @rule(number=numbers, value=names)
    def foresee(self, number: int, value: str) -> None:
        """Announce a step of the next event."""
        if lease := self.pick(number):
            lease.foresee("call", value)

    @rule(number=numbers)
    def bury(self, number: int) -> None:
        """Bury the event of a lease."""
        if lease := self.pick(number):
            name, owned, announced = lease.event.body.decode(), self.owns(lease), lease._next_step
            head = self.expected[lease.thread].queue[0] if owned else None
            goes_on = lease.bury("refused")
            self.taken(lease, name, goes_on=goes_on, done=False)
            if goes_on:
                self.announce(lease, announced, left=self.expected[lease.thread].queue)
            if head:
                self.dead[lease.thread + " " + name] = head

    def taken(self, lease: Lease, name: str, *, goes_on: bool, done: bool = True) -> None:
        """Note that the head of a lease was taken off, if the lease was good."""
        if not self.owns(lease):
            assert not goes_on
            return
        model = self.expected[lease.thread]
        self.end_trial(lease, worked=True)
        assert model.take()[2] == name
        if done:
            self.done.append(name)
            self.steps.pop(name, None)
        assert goes_on == bool(model.queue)
        if goes_on:
            self.head_is_right(lease)

    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        """Take a letter back into its thread."""
        letters = self.workers[0].letters()
        assert {f"{letter.thread} {letter.body}" for letter in letters} == set(self.dead)
        if letters:
            letter = data.draw(st.sampled_from(letters))
            assert self.workers[0].revive(letter)
            self.expected[letter.thread].insert(self.dead.pop(f"{letter.thread} {letter.body}"))

    @rule(number=numbers, step=st.sampled_from(["call", "sent:0"]), value=names)
    def record(self, number: int, step: str, value: str) -> None:
        """Record a step; a lease that is lost cannot."""
        if not (lease := self.pick(number)):
            return
        if self.owns(lease):
            lease.record(step, value)
            self.steps.setdefault(lease.event.body.decode(), {})[step] = value
        elif (step, value) == lease._recorded_ahead:
            lease.record(step, value)  # nothing is written: whoever has the thread now finds it there
        else:
            with pytest.raises(Stale):
                lease.record(step, value)

    @rule(number=numbers)
    def later(self, number: int) -> None:
        """Put the head of a lease off."""
        if lease := self.pick(number):
            lease.later(60, "refused", counts=True)
            if self.owns(lease):
                self.end_trial(lease, worked=False)
                model = self.expected[lease.thread]
                model.owner, model.waits = None, True

    @rule(number=numbers, side=sides)
    def wait(self, number: int, side: str) -> None:
        """Put the head of a lease off until a side is back."""
        if lease := self.pick(number):
            lease.wait(side, "it is down")
            if self.owns(lease):
                self.end_trial(lease, worked=False)
                model = self.expected[lease.thread]
                model.owner, model.expired = None, False
                model.waits_for = side if side != SIDES[lease.thread[:-4]] else ""

    @rule(number=numbers)
    def renew(self, number: int) -> None:
        """Renew a lease, perhaps one that ran out."""
        if lease := self.pick(number):
            lease.renew()
            assert bool(lease.deadline) == self.owns(lease)
            if self.owns(lease):
                self.expected[lease.thread].expired = False
                for side in self.sides.values():
                    side.paused = side.paused or side.trial is lease

    @rule(number=numbers)
    def release(self, number: int) -> None:
        """Let go of a thread."""
        if lease := self.pick(number):
            lease.release()
            if self.owns(lease):
                self.expected[lease.thread].let_go()
                self.expected[lease.thread].queue.sort()

    @rule(thread=threads)
    def expire(self, thread: str) -> None:
        """Let the lease of a thread run out, and the backoff of its head be over."""
        self.stored.expire(thread)
        self.stored.end_backoff(thread)
        self.expected[thread].expired, self.expected[thread].waits = True, False

    @invariant()
    def queues_are_as_expected(self) -> None:
        """Compare every queue with its list, and see that what was not begun is in order."""
        for thread, model in self.expected.items():
            assert self.stored.queue(thread) == [name for _, _, name in model.queue]
            waiting = [at for at, _, _ in model.queue[1:]]
            assert waiting == sorted(waiting)
            assert (self.stored.due_in(thread) is not None) == bool(model.queue)

    def teardown(self) -> None:
        """Relay the rest: everything was done once, and nothing is left behind."""
        for letter in self.workers[0].letters():
            self.workers[0].revive(letter)
        for thread in self.expected:
            self.stored.expire(thread)
            self.stored.end_backoff(thread)
        for side in self.sides:
            self.stored.end_pause(side)
        while lease := self.workers[1].claim() or self.workers[1].claim():
            self.relay_all(lease)
        assert sorted(self.done) == sorted(self.accepted)
        left = {name for name in self.stored.names() if not name.startswith(("mc:seen:", "mc:pause:"))}
        assert left <= {"mc:ids", "mc:stats", "mc:last", "mc:pauses"}

    def relay_all(self, lease: Lease) -> None:
        """Relay what a thread holds."""
        self.done.append(lease.event.body.decode())
        while lease.finish():
            self.done.append(lease.event.body.decode())


def test_no_interleaving_loses_doubles_or_disorders_anything(inbox: Inbox) -> None:
    run_state_machine_as_test(
        lambda: Interleaving(inbox.store),  # type: ignore[arg-type]  # whatever makes one will do
        settings=hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None),
    )
