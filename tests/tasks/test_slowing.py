"""A page that has used much of Meta's limits is slowed down before Meta refuses it anything."""

import json
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from clients.channel import Usage
from clients.errors import RateLimited
from tasks import remotes
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tests.conftest import PAGE_A
from tests.fakes.conversation import IN, INVOICE, OUT, PAGE
from tests.fakes.meta import Refusal
from tests.fakes.replies import status_of
from tests.fakes.world import World

OTHER_PAGE = "facebook_messenger:204496721830011"


def use(world: World, percent: int, regain: int = 0) -> None:
    """Have Meta say how much of its limits the page has used, and in how many minutes it may do more."""
    use = {"type": "messenger", "call_count": percent, "estimated_time_to_regain_access": regain}
    world.meta.headers["X-Business-Use-Case-Usage"] = json.dumps({PAGE_A: [use]})


def slowed(world: World) -> float | None:
    """Return how many queues a second go on with the page, if it is slowed down."""
    rate = world.store.hget(f"mc:pause:{PAGE}", "rate")
    return float(rate) if rate else None


def test_a_page_that_has_used_little_is_not_slowed_down(world: World) -> None:
    use(world, 79)
    world.reply()
    world.work(OUT)

    assert (slowed(world), world.inbox.slowed(PAGE)) == (None, None)


@pytest.mark.parametrize(("percent", "rate"), [(80, 4), (90, 2), (94, 1.2)])
def test_the_more_a_page_has_used_the_slower_it_gets(world: World, percent: int, rate: float) -> None:
    use(world, percent)
    world.reply()
    world.work(OUT)

    assert slowed(world) == pytest.approx(rate)
    assert not world.paused(PAGE)
    assert status_of(world) == "sent"


@pytest.mark.parametrize(
    ("percent", "regain", "seconds"), [(95, 0, 2), (97, 0, 24), (100, 0, 60), (120, 0, 60), (100, 5, 300)]
)
def test_just_before_its_limit_a_page_pauses(world: World, percent: int, regain: int, seconds: int) -> None:
    use(world, percent, regain)
    world.reply()
    world.work(OUT)

    assert world.paused(PAGE) == pytest.approx(seconds, abs=1)
    assert slowed(world) == 1
    assert status_of(world) == "sent"


@pytest.mark.parametrize(("percent", "is_paused"), [(90, False), (100, True)])
def test_a_page_slows_down_for_what_its_app_has_used_and_no_other_page_before_it_is_told(
    world: World, percent: int, *, is_paused: bool
) -> None:
    use(world, 5)
    world.meta.headers["X-App-Usage"] = json.dumps({"call_count": percent})
    world.reply()
    world.work(OUT)

    assert slowed(world) == pytest.approx(1 if is_paused else 2)
    assert bool(world.paused(PAGE)) is is_paused
    assert world.store.hget(f"mc:pause:{OTHER_PAGE}", "rate") is None
    assert world.paused(OTHER_PAGE) == 0


def test_a_pause_before_the_limit_has_an_end_whatever_meta_says(world: World) -> None:
    use(world, 100, regain=10**6)
    world.reply()
    world.work(OUT)

    assert 590 < world.paused(PAGE) <= remotes.LONGEST


def test_what_is_under_way_as_a_page_pauses_is_sent_to_its_end(world: World) -> None:
    use(world, 100)
    world.reply("Hello", INVOICE)
    world.work(OUT)

    assert world.meta.texts() == ["Hello", "file"]
    assert status_of(world) == "sent"


def test_replies_of_a_paused_page_wait_with_no_attempt_and_no_note(world: World) -> None:
    ticket = world.desk.open()
    use(world, 100)
    world.reply()
    world.work(OUT)
    world.reply("Again", id_="982")
    world.work(OUT)
    assert (world.waiting(OUT), world.head(OUT).attempts, world.head(OUT).reasons) == (1, 0, [])

    world.meta.headers.clear()
    world.resume(OUT)
    assert world.meta.texts() == ["Hello", "Again"]
    assert ticket.comments == []


def test_messages_of_customers_come_in_while_their_page_pauses(world: World) -> None:
    use(world, 100)
    world.reply()
    world.work(OUT)
    world.receive()
    world.work(IN)

    assert len(world.desk.tickets) == 1
    assert world.paused() == world.paused(OTHER_PAGE) == 0


def test_a_page_that_stays_busy_is_slowed_down_again_and_told_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[Any] = []
    monkeypatch.setattr(world.inbox, "slow", lambda *arguments: rates.append(arguments[1]))
    with capture_logs() as logs:
        for second in range(10):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            world.service.remotes.slow_down(PAGE, Usage(0.8 + second / 100))

    assert rates == pytest.approx([4, 3.4, 2.8, 2.2])
    assert [(line["event"], line["remote"], line["reason"]) for line in logs] == [
        ("remote_slowed", PAGE, "usage_high percent=80")
    ]


@pytest.mark.parametrize(("step", "told"), [(50, 2), (61, 74)])
def test_a_page_that_is_slowed_down_is_told_each_hour_and_when_it_begins(
    world: World, monkeypatch: pytest.MonkeyPatch, step: int, told: int
) -> None:
    with capture_logs() as logs:
        for second in range(0, 4500, step):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            world.service.remotes.slow_down(PAGE, Usage(0.9))

    assert len(logs) == told


def test_a_page_that_meta_limits_is_paused_by_what_meta_asks(world: World) -> None:
    use(world, 85)
    world.reply()
    world.meta.fail("send", Refusal(613))
    world.work(OUT)
    assert world.paused(PAGE)
    assert world.inbox.slowed(PAGE) is None


def limit(world: World) -> float:
    """Have Meta limit the page, without saying for how long; return how long it pauses."""
    world.meta.fail("send", Refusal(613))
    world.end_pause(PAGE)
    world.resume(OUT)
    return world.paused(PAGE)


def test_a_page_that_stays_limited_is_paused_twice_as_long_each_time(world: World) -> None:
    world.reply()
    lengths = [limit(world) for _ in range(11)]

    assert lengths == pytest.approx([2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600], abs=0.5)
    assert world.head(OUT).attempts == 0


def test_a_page_that_worked_again_is_paused_as_shortly_as_at_first(world: World) -> None:
    world.reply()
    for _ in range(4):
        limit(world)
    world.end_pause(PAGE)
    world.resume(OUT)
    world.reply("Again", id_="982")

    assert limit(world) == pytest.approx(2, abs=0.5)


def test_what_fails_as_a_pause_has_begun_makes_it_no_longer(world: World) -> None:
    error = RateLimited("facebook_rate_limit")
    error.remote = PAGE
    for _ in range(3):
        world.service.remotes.pause(error)

    assert world.paused(PAGE) <= 2


def test_a_pause_that_was_cut_short_is_whole_again_if_the_page_is_still_limited(world: World) -> None:
    error = RateLimited("facebook_rate_limit")
    error.remote = PAGE
    world.service.remotes.pause(error)
    world.store.zadd("mc:pauses", {PAGE: 0})
    world.service.remotes.pause(error)

    assert world.paused(PAGE) > 1


def going_on(inbox: Inbox) -> int:
    """Return how many queues of a page go on at once, out of twenty."""
    inbox.accept([Job(key=str(one), queue=f"out:{PAGE}:{one}", time=one, body=b"{}") for one in range(20)])
    return sum(inbox.claim() is not None for _ in range(20))


def test_a_page_that_is_slowed_down_goes_on_a_little(world: World) -> None:
    world.inbox.slow(PAGE, 4, "it is busy")

    assert going_on(world.inbox) == 4


def test_slowing_down_shortens_no_pause_and_speeds_nothing_up(world: World) -> None:
    world.inbox.pause(PAGE, 60, "it is limited", rate=2)
    world.inbox.slow(PAGE, 4, "it is busy")
    world.inbox.slow(PAGE, 4, "it is busy", 5)

    assert world.paused(PAGE) > 55
    assert slowed(world) == 2
    assert world.inbox.reasons()[PAGE] == "it is limited"


def test_a_page_that_was_away_is_still_tried_with_one_reply(world: World) -> None:
    world.inbox.pause(PAGE, 1, "it is down")
    world.end_pause(PAGE)
    world.inbox.slow(PAGE, 4, "it is busy", 60)

    assert going_on(world.inbox) == 1
