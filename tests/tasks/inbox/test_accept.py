"""Accepting events: each once, in the order of their times, while there is room."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import redis

from sandbox.stack import until
from tasks.inbox.inbox import SEEN_FOR, Inbox, Row, echo_key, seen_key
from tests.fakes.inbox import OTHER, PERSON, REMOTE, THREAD, Stored, begin, claimed, row


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
    begin(inbox, row("b", 20)).retry_later(60, "refused", counts=True)
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
    inbox.pause(REMOTE, 90, "it is down")
    inbox.accept([row("a")])
    inbox.claim()

    assert inbox.accept([row("c", thread=OTHER)]) == 0


def test_a_thread_that_waits_is_not_due_sooner_because_more_comes(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, row("a")).retry_later(60, "refused", counts=True)
    inbox.accept([row("b")])

    assert 55 < float(stored.due_in() or 0) <= 60


def test_a_row_without_a_thread_leaves_only_its_body(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([Row(echo_key(PERSON, "connector:9:0"), "", 10, "m_1")])

    assert inbox.echo(PERSON, "connector:9:0") == ("m_1", "")
    assert stored.names() == {"mc:echo:chat:1:connector:9:0"}
    assert inbox.store.pttl("mc:echo:chat:1:connector:9:0") > 0


def test_an_echo_that_did_not_come_is_none(inbox: Inbox) -> None:
    assert inbox.echo(PERSON, "connector:9:0") is None


def test_an_accept_whose_answer_got_lost_may_be_repeated(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([row("a")])
    inbox.accept([row("a")])

    assert inbox.sweep(10, 64) == 1
    assert stored.queue() == ["a"]


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
    lease.save_step("call", "ticket")
    lease.retry_later(0.001, "down", counts=False)
    until("it is due", lambda: full.sweep(10, 64) == 1)
    claimed(full, "").finish()

    assert stored.queue() == []


def test_a_store_that_has_room_again_takes_events(full: Inbox) -> None:
    assert full.has_room() is False
    full.store.config_set("maxmemory", 0)
    full.store.delete("mc:room")

    assert full.has_room() is True
    assert full.accept([row("b")]) == 0
