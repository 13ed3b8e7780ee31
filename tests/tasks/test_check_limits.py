"""The checks keep within the channel's limits, and what is limited is no fault."""

import pytest
from structlog.testing import capture_logs

from clients.channel import Usage
from clients.errors import RateLimited
from clients.findings import finding
from tasks import checks, findings
from tasks.inbox.queues import report_queue
from tests.conftest import PAGE_A, PAGE_B
from tests.fakes.checked_pages import Pages
from tests.fakes.world import World

A, B = f"facebook_messenger:{PAGE_A}", f"facebook_messenger:{PAGE_B}"
EXPIRES = finding("page_token_expires", time="2026-12-24 18:00 UTC")
FAR = 9e15


def limited(*, of_app: bool, retry_after: float | None = 1200) -> RateLimited:
    error = RateLimited("facebook_rate_limit", retry_after=retry_after)
    error.is_of_app = of_app
    return error


def wait_of(world: World, name: str) -> float:
    """Return in how many minutes a connection is to be checked."""
    due: float = world.store.zscore("mc:checks", name)
    return (due / 1000 - world.inbox.now()) / 60


def check_a_then_b(world: World, pages: Pages) -> list[str]:
    """Have both pages checked, one after the other; return which were."""
    pages.checked.clear()
    world.store.zadd("mc:checks", {A: FAR, B: FAR, "helpdesk": FAR, "store": FAR})
    for name in (A, B):
        world.store.zadd("mc:checks", {name: 0})
        checks.take_turn(world.service)
    return pages.checked


def test_when_an_app_is_limited_the_checks_of_all_its_pages_are_put_off(world: World, pages: Pages) -> None:
    pages.limited[PAGE_A] = limited(of_app=True)
    with capture_logs() as logs:
        assert check_a_then_b(world, pages) == [PAGE_A]

    assert [(one["event"], one["for_seconds"]) for one in logs] == [("checks_put_off", 1200)]
    assert 19.9 < wait_of(world, B) < 51
    assert world.inbox.findings() == {}
    assert check_a_then_b(world, pages) == []


def test_who_is_limited_for_longer_is_left_alone_for_longer(world: World, pages: Pages) -> None:
    check_now = checks.on_request(lambda: world.service)
    for seconds in (60, 3600, 60):
        pages.limited[PAGE_A] = limited(of_app=True, retry_after=seconds)
        check_now(PAGE_A)
    check_a_then_b(world, pages)

    assert 59 < wait_of(world, B) < 91


def test_when_a_page_is_limited_the_others_are_checked(world: World, pages: Pages) -> None:
    pages.limited[PAGE_A] = limited(of_app=False)
    assert check_a_then_b(world, pages) == [PAGE_A, PAGE_B]
    assert check_a_then_b(world, pages) == [PAGE_B]


@pytest.mark.parametrize(("of_app", "checked"), [(0.9, [PAGE_A]), (0.1, [PAGE_A, PAGE_B])])
def test_checks_stop_short_of_the_limits(
    world: World, pages: Pages, of_app: float, checked: list[str]
) -> None:
    pages.used[PAGE_A] = Usage(0.9, of_app=of_app)

    assert check_a_then_b(world, pages) == checked
    assert 9.9 < wait_of(world, A) < 41
    assert world.inbox.slowed(A)


def test_nobody_is_left_alone_for_ever(world: World, pages: Pages) -> None:
    pages.used[PAGE_A] = Usage(1.0, regain=float("inf"))
    check_a_then_b(world, pages)

    assert 59 < wait_of(world, A) < 91


def test_a_check_by_hand_that_is_limited_says_when_to_try_again_and_is_not_kept(
    world: World, pages: Pages
) -> None:
    findings.note(world.inbox, A, [EXPIRES])
    pages.limited[PAGE_A] = limited(of_app=True)
    found = checks.on_request(lambda: world.service)(PAGE_A)
    assert found

    (said,) = [one for one in found if one["code"] == "checks_limited"]
    assert said["level"] == "warning"
    assert "Check again after 20" in said["remedy"]
    (before,) = findings.kept(world.inbox.findings_of(A))
    assert before.what.code == "page_token_expires"  # nobody knows whether that is over
    world.resume(report_queue(A))
    assert world.desk.tickets == {}


def test_in_a_turn_all_pages_share_what_was_asked(world: World, pages: Pages) -> None:
    for _ in range(2):
        world.store.zadd("mc:checks", {A: 0, B: 0})
        checks.take_turn(world.service)

    one, other, later, last = pages.known
    assert one is other is not None
    assert later is last is not one
