"""Backfills and gaps in the store: who is at what, and since when nobody could store a webhook."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import pytest

from tasks.inbox.backfills import LONGEST_GAP, Backfill
from tasks.inbox.inbox import Inbox
from tasks.store import connect

PAGE, OTHER = "chat:1", "chat:2"


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    with closing(connect(store_url)) as store:
        yield Inbox(store)


@pytest.fixture
def store(inbox: Inbox) -> Any:
    return inbox.store


def claimed(inbox: Inbox) -> Backfill:
    return cast("Backfill", inbox.backfills.claim(4))


def test_a_backfill_is_done_by_one_worker(inbox: Inbox) -> None:
    inbox.backfills.request(PAGE, 7)
    backfill = claimed(inbox)

    assert (backfill.remote, backfill.since, backfill.state) == (PAGE, 7, b"")
    assert inbox.backfills.claim(4) is None


def test_no_more_backfills_are_done_at_once_than_may_be(inbox: Inbox) -> None:
    for remote in (PAGE, OTHER):
        inbox.backfills.request(remote, 1)
    assert inbox.backfills.due(1) == 1
    first = inbox.backfills.claim(1)
    assert inbox.backfills.due(1) == 0
    assert inbox.backfills.claim(1) is None

    assert first
    inbox.backfills.end(first)
    assert inbox.backfills.claim(1)


def test_where_one_left_off_the_next_goes_on(inbox: Inbox) -> None:
    inbox.backfills.request(PAGE, 1)
    inbox.backfills.save(claimed(inbox), b"so far", 0)

    assert claimed(inbox).state == b"so far"


def test_what_is_put_off_is_not_due_yet(inbox: Inbox) -> None:
    inbox.backfills.request(PAGE, 1)
    inbox.backfills.save(claimed(inbox), b"so far", 60)

    assert inbox.backfills.due(4) == 0
    assert inbox.backfills.claim(4) is None


def test_a_worker_that_died_is_followed_when_its_lease_is_over(inbox: Inbox, store: Any) -> None:
    inbox.backfills.request(PAGE, 1)
    dead = claimed(inbox)
    inbox.backfills.save(dead, b"so far")
    for name in ("backfills", "fetching"):
        store.zadd(f"mc:{name}", {PAGE: 1})

    assert claimed(inbox).state == b"so far"
    assert not inbox.backfills.save(dead, b"too late")
    assert not inbox.backfills.end(dead)


def test_a_new_request_begins_anew_from_the_earlier_time(inbox: Inbox) -> None:
    inbox.backfills.request(PAGE, 5)
    under_way = claimed(inbox)
    inbox.backfills.save(under_way, b"so far")
    inbox.backfills.request(PAGE, 9)

    assert not inbox.backfills.save(under_way, b"further")
    again = claimed(inbox)
    assert (again.since, again.state) == (5, b"")


def test_who_begins_a_backfill_is_at_it(inbox: Inbox) -> None:
    begun = inbox.backfills.begin(PAGE, 5)

    assert inbox.backfills.claim(4) is None
    assert inbox.backfills.save(begun, b"so far")
    assert inbox.backfills.end(begun)


def test_nothing_is_left_of_a_backfill_that_is_done(inbox: Inbox, store: Any) -> None:
    inbox.backfills.request(PAGE, 5)
    inbox.backfills.end(claimed(inbox))

    assert list(store.scan_iter("mc:*")) == []


def test_what_is_said_after_a_request_is_fetched_again_if_that_is_asked_for(inbox: Inbox, store: Any) -> None:
    asked = int(inbox.now() * 1000)
    inbox.backfills.request(PAGE, 5, again=600)
    inbox.backfills.request(PAGE, 9)  # which takes nothing back
    first = claimed(inbox)
    inbox.backfills.end(first)

    assert first.since == 5
    assert inbox.backfills.claim(4) is None
    (waiting,) = inbox.backfills.all()
    assert 599_000 <= waiting.next - asked <= 610_000
    store.zadd("mc:backfills", {PAGE: 1})
    second = claimed(inbox)
    assert 0 <= second.since + 60_000 - asked < 10_000
    inbox.backfills.end(second)
    assert list(store.scan_iter("mc:*")) == []


def test_a_changed_connection_does_not_bring_forward_what_is_fetched_again(inbox: Inbox) -> None:
    inbox.backfills.request(PAGE, 5, again=600)
    inbox.backfills.end(claimed(inbox))
    inbox.connections.put(PAGE, b"record")

    assert inbox.backfills.due(4) == 0


def test_the_first_start_is_no_gap(inbox: Inbox) -> None:
    inbox.note_door(300)
    inbox.note_door(300)

    assert inbox.gaps() == []


@pytest.mark.parametrize(("seconds", "count"), [(20, 0), (40, 1)])
def test_a_time_without_a_door_is_a_gap_if_no_restart_takes_as_long(
    inbox: Inbox, store: Any, seconds: int, count: int
) -> None:
    last = int((inbox.now() - seconds) * 1000)
    store.set("mc:door", last)
    inbox.note_door(LONGEST_GAP)
    inbox.note_door(LONGEST_GAP)  # another web process

    gaps = inbox.gaps()
    assert [began for _, began in gaps] == [last] * count
    for gap, _ in gaps:
        inbox.forget_gap(gap)
    assert inbox.gaps() == []


def test_a_door_whose_store_is_full_is_none(inbox: Inbox, store: Any) -> None:
    inbox.note_door(300)
    store.delete("mc:door")
    store.set("mc:room", "0", px=60_000)
    inbox.note_door(300)

    assert store.get("mc:door") is None


def test_turns_are_spaced_for_each_account_whoever_takes_them(inbox: Inbox) -> None:
    waits = [inbox.take_turn(PAGE, 10, 60) for _ in range(3)]

    assert [round(cast("float", wait)) for wait in waits] == [0, 10, 20]
    assert inbox.take_turn(OTHER, 10, 60) == 0


def test_a_turn_that_would_take_too_long_is_not_waited_for(inbox: Inbox) -> None:
    inbox.take_turn(PAGE, 10, 60)

    assert inbox.take_turn(PAGE, 10, 1) is None
    assert round(cast("float", inbox.take_turn(PAGE, 10, 60))) == 10


def test_an_account_that_nobody_asks_leaves_nothing(inbox: Inbox, store: Any) -> None:
    inbox.take_turn(PAGE, 10, 60)

    assert store.pttl(f"mc:turn:{PAGE}") > 0
