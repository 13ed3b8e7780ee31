"""What is kept of each account's days and dead letters, for people to look at."""

import pytest

from clients.notices import encode, notice
from tasks.inbox.inbox import HOUR, Inbox
from tests.fakes.inbox import PAGE, QUEUE, REPLY, Stored, begin, claimed, new_job

NOBODY = "chat:9"


def test_events_and_replies_are_counted_in_this_hour(inbox: Inbox) -> None:
    inbox.accept([new_job("a"), new_job("b"), new_job("r", queue=REPLY)])
    inbox.accept([new_job("a")])  # it is known
    assert claimed(inbox, REPLY).finish() is False

    (one,) = inbox.activity([PAGE])
    assert (len(one.came), one.came[-1], sum(one.came)) == (24, 2, 2)
    assert (len(one.left), one.left[-1], sum(one.left)) == (24, 1, 1)
    assert one.last_in
    assert one.last_out


def test_the_last_24_hours_are_those_of_yesterday_and_today(inbox: Inbox) -> None:
    this_hour = int(inbox.now() // HOUR)
    for ago, count in ((0, 1), (1, 2), (23, 3), (24, 4)):
        day, hour = divmod(this_hour - ago, 24)
        inbox.store.hset(f"mc:day:{day}:in:{PAGE}:", str(hour), count)

    (one,) = inbox.activity([PAGE])
    assert (one.came[-1], one.came[-2], one.came[0]) == (1, 2, 3)
    assert sum(one.came) == 6


def test_an_account_of_which_nothing_is_known_has_no_activity(inbox: Inbox) -> None:
    begin(inbox)

    one, other = inbox.activity([NOBODY, PAGE])
    assert (one.last_in, one.last_out, sum(one.came), one.dead) == (None, None, 0, 0)
    assert other.last_in
    assert inbox.activity([]) == []


def test_the_counts_of_a_day_are_gone_two_days_later(inbox: Inbox) -> None:
    inbox.accept([new_job("a")])

    (key,) = inbox.store.scan_iter("mc:day:*")
    assert 0 < inbox.store.ttl(key) <= 2 * 24 * HOUR


def test_the_dead_letters_of_an_account_are_known_by_their_ids_the_newest_first(inbox: Inbox) -> None:
    lease = begin(inbox, new_job("a"), new_job("b"), new_job("c"))
    while lease.move_to_dead_letters("refused"):
        pass

    assert inbox.dead_ids(PAGE) == [3, 2, 1]
    assert inbox.dead_ids(NOBODY) == []
    assert inbox.activity([PAGE])[0].dead == 3


def test_what_is_retried_or_dropped_is_no_dead_letter_of_its_account_any_more(inbox: Inbox) -> None:
    lease = begin(inbox, new_job("a"), new_job("b"), new_job("c"))
    while lease.move_to_dead_letters("refused"):
        pass
    first = inbox.dead_letters.get(1)
    assert first
    inbox.dead_letters.requeue(first)
    inbox.dead_letters.drop(2)

    assert inbox.dead_ids(PAGE) == [3]


def test_a_dead_letter_that_another_version_wrote_can_be_dropped(inbox: Inbox) -> None:
    for id_, letter in ((1, "no JSON"), (2, "5"), (3, '{"queue": 7}'), (4, '{"queue": {}}')):
        inbox.store.hset("mc:dead", str(id_), letter)

    assert [inbox.dead_letters.drop(id_) for id_ in (1, 2, 3, 4)] == [True] * 4
    assert inbox.dead_letters.count() == 0


def test_the_ids_of_all_come_without_their_bodies_and_some_are_read_in_their_order(inbox: Inbox) -> None:
    lease = begin(inbox, *(new_job(str(number)) for number in range(12)))
    while lease.move_to_dead_letters("refused"):
        pass

    assert inbox.dead_letters.ids() == list(range(12, 0, -1))
    assert [one.job.id for one in inbox.dead_letters.some([9, 99, 2])] == [9, 2]
    assert inbox.dead_letters.some([]) == []


def test_a_pause_has_its_reason_and_begins_with_the_first_in_a_row(inbox: Inbox, stored: Stored) -> None:
    inbox.pause(PAGE, 1, "first")
    (first,) = inbox.pauses().values()
    inbox.store.hincrby(f"mc:pause:{PAGE}", "began", -5000)
    inbox.pause(PAGE, 1, "second")

    (second,) = inbox.pauses().values()
    assert (first.reason, second.reason) == ("first", "second")
    assert first.since
    assert second.since == first.since - 5
    assert inbox.reasons() == {PAGE: "second"}
    assert stored.queue(QUEUE) == []


def test_a_pause_after_something_worked_begins_anew(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("r", queue=REPLY), new_job("s", queue=REPLY)])
    inbox.pause(PAGE, 1, "first", rate=1)
    inbox.store.hincrby(f"mc:pause:{PAGE}", "began", -5000)
    stored.end_pause(PAGE)
    claimed(inbox, REPLY).finish()
    assert inbox.pauses() == {}

    inbox.pause(PAGE, 1, "second")
    assert inbox.now() - (inbox.pauses()[PAGE].since or 0) < 4


def test_a_pause_is_forgotten_though_as_many_go_on_at_once_as_may(inbox: Inbox, stored: Stored) -> None:
    inbox.accept([new_job("r", queue=REPLY), new_job("s", queue="out:chat:1:3")])
    inbox.pause(PAGE, 1, "first", rate=2)
    stored.end_pause(PAGE)
    first, second = inbox.claim(), inbox.claim()
    assert first
    assert second
    for lease in (first, second):
        lease.finish()

    assert inbox.pauses() == {}


@pytest.mark.parametrize("is_reported", [True, False])
def test_a_page_that_works_again_is_checked_at_once_if_a_ticket_says_that_it_does_not(
    inbox: Inbox, stored: Stored, *, is_reported: bool
) -> None:
    inbox.plan_checks([NOBODY, PAGE], 3600, [])
    inbox.due_checks(9, 3600)
    inbox.accept([new_job("r", queue=REPLY)])
    if is_reported:
        inbox.put(f"report:{PAGE}", "{}")
    inbox.pause(PAGE, 1, "first", rate=1)
    stored.end_pause(PAGE)
    claimed(inbox, REPLY).finish()

    assert inbox.due_checks(9, 3600) == [PAGE] * is_reported


def test_why_some_are_slowed_down_is_read_at_once(inbox: Inbox) -> None:
    inbox.slow(PAGE, 1, encode(notice("near_limits")))

    assert inbox.slowed_of([NOBODY, PAGE]) == [None, encode(notice("near_limits"))]
    assert inbox.slowed_of([]) == []
