"""Accepting events: each once, in the order of their times, while there is room."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
import redis

from sandbox.stack import until
from tasks.inbox.inbox import SEEN_FOR, Inbox
from tasks.inbox.job import Job, PartEcho, Step
from tests.fakes.inbox import OTHER, PERSON, QUEUE, REMOTE, Stored, begin, claimed, new_job


def test_an_event_that_stands_twice_in_one_call_is_accepted_once(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a"), new_job("a")])

    assert stored.queue() == ["a"]
    assert inbox.stats() == {"accepted": 1}


def test_an_event_that_comes_again_is_accepted_once(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a")])
    inbox.accept([new_job("a"), new_job("b")])

    assert stored.queue() == ["a", "b"]
    assert inbox.stats() == {"accepted": 2}


def test_an_event_that_was_relayed_is_not_accepted_again(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("a")).finish()

    assert inbox.accept([new_job("a")]) == 0
    assert stored.queue() == []


def test_an_event_is_remembered_for_a_week(inbox: Inbox) -> None:
    inbox.accept([new_job("a")])

    assert 0 < SEEN_FOR - inbox.store.pttl("mc:seen:a") + 1 < 60_000


def test_an_event_that_nothing_names_is_remembered_for_as_long_as_it_says(inbox: Inbox) -> None:
    inbox.accept([msgspec.structs.replace(new_job("a"), known_for=1000), new_job("b")])

    assert 0 < inbox.store.pttl("mc:seen:a") <= 1000
    assert SEEN_FOR - inbox.store.pttl("mc:seen:b") < 60_000


def test_events_wait_in_the_order_of_their_times(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("c", 30), new_job("a", 10), new_job("b", 20)])

    assert stored.queue() == ["a", "b", "c"]


def test_events_of_one_time_wait_in_the_order_they_came(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a"), new_job("b")])
    inbox.accept([new_job("c")])

    assert stored.queue() == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "12 34 text", "zażółć 😀", "line\nline\r\n", '{"a": "b c"}', "\x01"])
def test_a_body_comes_back_as_it_was(inbox: Inbox, text: str) -> None:
    lease = begin(inbox, Job(key="a", queue=QUEUE, time=1795382999900, body=text.encode()))

    assert lease.job.body.decode() == text
    assert lease.job.time == 1795382999900


def test_a_late_event_goes_before_those_that_were_sent_after_it(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("b", 20), new_job("d", 40)])
    inbox.accept([new_job("c", 30)])
    inbox.accept([new_job("a", 10)])

    assert stored.queue() == ["a", "b", "c", "d"]


def test_a_late_event_does_not_go_before_a_head_that_is_worked_on(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("b", 20), new_job("c", 30))
    inbox.accept([new_job("a", 10)])

    assert stored.queue() == ["b", "a", "c"]


def test_a_late_event_does_not_go_before_a_head_whose_worker_died(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("b", 20))
    stored.expire()
    inbox.accept([new_job("a", 10)])

    assert stored.queue() == ["b", "a"]


def test_a_late_event_does_not_go_before_a_head_that_is_tried_again(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("b", 20)).retry_later(60, "refused", counts=True)
    inbox.accept([new_job("a", 10)])

    assert stored.queue() == ["b", "a"]


def test_a_late_event_goes_before_a_head_that_was_not_begun(inbox: Inbox, stored: Stored) -> None:
    lease = begin(inbox, new_job("a", 10), new_job("c", 30))
    lease.finish()
    lease.release()
    inbox.accept([new_job("b", 20)])

    assert stored.queue() == ["b", "c"]


def test_only_queues_that_were_idle_want_a_worker(inbox: Inbox) -> None:
    assert inbox.accept([new_job("a"), new_job("b"), new_job("c", queue=OTHER)]) == 2
    assert inbox.accept([new_job("d")]) == 0


def test_a_queue_that_is_worked_on_wants_no_worker(inbox: Inbox) -> None:
    begin(inbox, new_job("a"))

    assert inbox.accept([new_job("b")]) == 0


def test_a_queue_that_was_relayed_wants_a_worker_again(inbox: Inbox) -> None:
    begin(inbox, new_job("a")).finish()

    assert inbox.accept([new_job("b")]) == 1


def test_a_queue_whose_side_is_paused_wants_no_worker(inbox: Inbox) -> None:
    inbox.pause(REMOTE, 90, "it is down")
    inbox.accept([new_job("a")])
    inbox.claim()

    assert inbox.accept([new_job("c", queue=OTHER)]) == 0


def test_a_queue_that_waits_is_not_due_sooner_because_more_comes(inbox: Inbox, stored: Stored) -> None:
    begin(inbox, new_job("a")).retry_later(60, "refused", counts=True)
    inbox.accept([new_job("b")])

    assert 55 < float(stored.due_in() or 0) <= 60


def test_an_echo_of_a_part_leaves_only_its_mid_and_its_time(inbox: Inbox, stored: Stored) -> None:
    echo = PartEcho(conversation=PERSON, echo_metadata="connector:9:0", message_id="m_1", time=10)
    inbox.accept([echo])

    assert inbox.part_echo(PERSON, "connector:9:0") == echo
    assert stored.names() == {"mc:echo:chat:1:2"}
    assert inbox.store.pttl("mc:echo:chat:1:2") > 0


def test_an_echo_that_did_not_come_is_none(inbox: Inbox) -> None:
    assert inbox.part_echo(PERSON, "connector:9:0") is None


def test_an_accept_whose_answer_got_lost_may_be_repeated(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("a")])
    inbox.accept([new_job("a")])

    assert inbox.sweep(10, 64) == 1
    assert stored.queue() == ["a"]


def test_events_in_descending_time_are_no_more_work_than_others(inbox: Inbox, stored: Stored) -> None:
    def worked() -> float:
        """Return how many seconds the store has used the processor, whatever else the machine does."""
        used: Any = inbox.store.info("cpu")
        return float(used["used_cpu_user_main_thread"])

    def work(times: Iterable[int]) -> float:
        """Accept events of these times, 250 at once. Return how long the store worked (seconds)."""
        rows = [new_job(f"{at:06}", at=at) for at in times]
        before = worked()
        for start in range(0, len(rows), 250):
            inbox.accept(rows[start : start + 250])
        return worked() - before

    ascending = work(range(20_000, 40_000))
    descending = work(range(19_999, -1, -1))

    assert 0 < descending < 3 * ascending
    assert stored.queue() == [f"{number:06}" for number in range(40_000)]


@pytest.fixture
def full(inbox: Inbox) -> Iterator[Inbox]:
    """Give an inbox whose store takes no more writes, with an event in it."""
    inbox.accept([new_job("a")])
    store: Any = inbox.store
    store.delete("mc:room")
    store.config_set("maxmemory", 1)
    yield inbox
    store.config_set("maxmemory", 0)


def test_a_full_store_takes_no_more_events(full: Inbox) -> None:
    with pytest.raises(redis.OutOfMemoryError):
        full.accept([new_job("b")])


def test_a_store_takes_no_more_events_before_it_is_full(inbox: Inbox) -> None:
    store: Any = inbox.store
    store.config_set("maxmemory", int(store.info("memory")["used_memory"] * 1.05))
    try:
        with pytest.raises(redis.OutOfMemoryError, match="nearly full"):
            inbox.accept([new_job("b")])
        assert inbox.has_room() is False
        store.set("mc:taken:x", "the broker can still write", ex=1)
    finally:
        store.config_set("maxmemory", 0)


def test_what_a_full_store_has_is_relayed(full: Inbox, stored: Stored) -> None:
    lease = claimed(full, "")
    lease.save_step(Step.call(), "ticket")
    lease.retry_later(0.001, "down", counts=False)
    until("it is due", lambda: full.sweep(10, 64) == 1)
    claimed(full, "").finish()

    assert stored.queue() == []


def test_a_store_that_has_room_again_takes_events(full: Inbox) -> None:
    assert full.has_room() is False
    full.store.config_set("maxmemory", 0)
    full.store.delete("mc:room")

    assert full.has_room() is True
    assert full.accept([new_job("b")]) == 0
