"""What no webhook brought is fetched once the checks see that it was missed, and since when."""

import json

import pytest
from structlog.testing import capture_logs

from clients.errors import RateLimited, RejectedError
from clients.findings import Finding, finding
from clients.notices import notice
from tasks import checks
from tasks.inbound import backfill
from tests.conftest import PAGE_A
from tests.fakes.checked_pages import CHECKED as A
from tests.fakes.checked_pages import HOUR, Pages, connect_page, fetched_since, make_due
from tests.fakes.checked_pages import OTHER as B
from tests.fakes.world import World

UNSUBSCRIBED = finding("page_not_subscribed")
AWAY = finding("facebook_away", reason=notice("host_no_answer", host="graph.facebook.com"))


def test_what_was_said_while_a_page_was_not_subscribed_is_fetched(world: World, pages: Pages) -> None:
    connect_page(world)
    pages.found[PAGE_A] = [UNSUBSCRIBED]
    make_due(world)
    checks.take_turn(world.service)

    assert fetched_since(world) == 60


def test_what_is_said_until_a_subscription_is_in_effect_is_fetched_as_well(
    world: World, pages: Pages
) -> None:
    connect_page(world)
    pages.found[PAGE_A] = [UNSUBSCRIBED]
    make_due(world)
    before = world.inbox.now()
    checks.take_turn(world.service)
    claimed = world.inbox.backfills.claim(1)
    assert claimed
    world.inbox.backfills.end(claimed)

    (again,) = world.inbox.backfills.all()
    assert before - 61 <= again.since / 1000 < before
    assert again.next / 1000 >= before + checks.IN_EFFECT_AFTER


def test_who_dies_before_the_repair_has_asked_for_it(
    world: World, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_page(world)
    pages.refuses = KeyboardInterrupt()  # as if the process ended there
    with pytest.raises(KeyboardInterrupt):
        checks.repair(world.service, world.service.connections.all[0], [UNSUBSCRIBED])

    assert fetched_since(world) == 60


@pytest.mark.parametrize(
    "code",
    [
        "app_not_subscribed",
        "app_secret_wrong",
        "app_subscribed_elsewhere",
        "app_subscription_inactive",
        "page_not_subscribed",
        "permission_to_message_missing",
        "webhook_address_not_reached",
        "webhook_address_wrong",
    ],
)
def test_what_was_said_until_somebody_put_it_right_is_fetched(world: World, code: str) -> None:
    (connection,) = [one for one in world.service.connections.all if one.account_id == PAGE_A]
    connect_page(world)
    checks.note(world.service, connection, [finding(code, app_id="1")])
    assert fetched_since(world) is None
    checks.note(world.service, connection, [])

    assert fetched_since(world) == 60


def test_a_page_of_which_no_webhook_ever_came_is_fetched_since_it_was_connected(
    world: World, pages: Pages
) -> None:
    connect_page(world)
    world.store.hdel("mc:last", f"in:{A}:")
    checks.repair(world.service, world.service.connections.all[0], [UNSUBSCRIBED])

    assert fetched_since(world) == 24 * 60


def test_what_was_said_before_a_page_was_connected_is_not(world: World, pages: Pages) -> None:
    world.inbox.backfills.note_active({A: 0}, None)
    checks.repair(world.service, world.service.connections.all[0], [UNSUBSCRIBED])

    assert fetched_since(world) == 0


@pytest.fixture
def refused(world: World) -> None:
    """Have webhooks of page A been refused 20 minutes ago, and come again since."""
    connect_page(world)
    world.inbox.note_refusals(f"facebook_messenger {PAGE_A} wrong_secret", 3)
    world.store.zadd("mc:refusing", {A: world.inbox.now() * 1000 - 20 * 60_000}, xx=True)
    world.inbox.note_refusals(f"facebook_messenger {PAGE_A} wrong_secret", 1)
    world.store.hset("mc:last", f"in:{A}:", int(world.inbox.now() * 1000))


@pytest.mark.usefixtures("refused")
def test_what_was_in_webhooks_that_were_refused_is_fetched_once(world: World, pages: Pages) -> None:
    make_due(world)
    checks.take_turn(world.service)
    since = fetched_since(world)
    for _ in range(2):  # the second one is of what was written while the first one was
        world.store.zadd("mc:backfills", {A: 0}, xx=True)
        claimed = world.inbox.backfills.claim(1)
        assert claimed
        world.inbox.backfills.end(claimed)
    make_due(world)
    checks.take_turn(world.service)

    assert since == 25
    assert fetched_since(world) is None
    assert world.store.hget(f"mc:backfill:{B}", "since") is None


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("found", [finding("app_secret_wrong"), AWAY])
def test_what_was_refused_waits_until_nothing_keeps_webhooks_away(
    world: World, pages: Pages, found: Finding
) -> None:
    pages.found[PAGE_A] = [found]
    make_due(world)
    checks.take_turn(world.service)
    before = fetched_since(world)
    pages.found[PAGE_A] = []
    make_due(world)
    checks.take_turn(world.service)

    assert before is None
    assert fetched_since(world) in {25, 60}  # a wrong secret is a gap of its own


@pytest.mark.parametrize(
    "name",
    [
        f"facebook_messenger {PAGE_A} clock",
        "facebook_messenger  wrong_secret",
        "facebook_messenger 999 wrong_secret",
        "helpdesk  wrong_secret",
    ],
)
def test_what_is_refused_of_no_connected_page_is_not_fetched(world: World, pages: Pages, name: str) -> None:
    connect_page(world)
    world.inbox.note_refusals(name, 1)

    assert world.store.zrange("mc:refusing", 0, -1) == []


def _checked_at(world: World, pages: Pages, *minutes: float) -> int | None:
    """Have people have written so many minutes ago, and a check look; return as `fetched_since`."""
    now = int(world.inbox.now() * 1000)
    pages.moved[PAGE_A] = [now - int(ago * 60_000) for ago in minutes]
    make_due(world)
    checks.take_turn(world.service)
    return fetched_since(world)


def _came(world: World, at: int) -> None:
    world.store.set(f"mc:seen:t_{at}", "")


def test_what_no_webhook_told_of_is_fetched_though_others_came_later(world: World, pages: Pages) -> None:
    connect_page(world)
    pages.moved[PAGE_A] = [int(world.inbox.now() * 1000) - minutes * 60_000 for minutes in (3, 20, 90)]
    for at in pages.moved[PAGE_A][::2]:
        _came(world, at)
    make_due(world)
    with capture_logs() as logs:
        checks.take_turn(world.service)

    assert fetched_since(world) == 25
    assert [(one["event"], one["remote"]) for one in logs] == [("webhook_missing", A)]
    assert pages.listed == [PAGE_A]


@pytest.mark.parametrize("minutes", [[], [1.9], [25 * 60]])
def test_what_may_still_come_or_is_older_than_the_connection_is_not(
    world: World, pages: Pages, minutes: list[float]
) -> None:
    connect_page(world)
    assert _checked_at(world, pages, *minutes) is None


def test_what_was_said_before_a_page_was_connected_is_not_fetched_along(world: World, pages: Pages) -> None:
    connect_page(world)
    assert _checked_at(world, pages, 24 * 60 - 1) == 24 * 60


def _fetch_all(world: World, began: float) -> None:
    """Let the backfill be done that began so many minutes ago."""
    claimed = world.inbox.backfills.claim(1)
    assert claimed
    at = int((world.inbox.now() - began * 60) * 1000)
    assert backfill.finish(world.service, claimed, backfill.Progress(at, 0))


def test_what_is_not_known_after_it_was_fetched_either_is_not_fetched_at_each_check(
    world: World, pages: Pages
) -> None:
    """Nobody wanted it, say, or the channel refuses to show it."""
    connect_page(world)
    _checked_at(world, pages, 20)
    claimed = world.inbox.backfills.claim(1)
    assert claimed
    world.inbox.backfills.end(claimed)
    make_due(world)
    with capture_logs() as logs:
        checks.take_turn(world.service)

    assert (fetched_since(world), logs, pages.listed) == (None, [], [PAGE_A, PAGE_A])


def test_what_another_backfill_looked_at_is_not_fetched_again(world: World, pages: Pages) -> None:
    connect_page(world)
    world.inbox.backfills.request(A, int(world.inbox.now() * 1000) - HOUR)
    _fetch_all(world, began=10)

    assert _checked_at(world, pages, 12, 59) is None
    assert world.store.delete(f"mc:looked:{A}")
    assert _checked_at(world, pages, 12, 59) == 64


def test_what_was_said_before_a_backfill_began_to_look_is_not_forgotten(world: World, pages: Pages) -> None:
    connect_page(world)
    world.inbox.backfills.request(A, int(world.inbox.now() * 1000) - HOUR)
    _fetch_all(world, began=30)

    assert _checked_at(world, pages, 40, 61) == 66


def test_what_was_said_while_the_lists_never_held_still_is_looked_at_again(
    world: World, pages: Pages
) -> None:
    connect_page(world)
    now = int(world.inbox.now() * 1000)
    world.inbox.backfills.request(A, now - HOUR)
    claimed = world.inbox.backfills.claim(1)
    assert claimed
    moved = backfill.Progress(now - 10 * 60_000, now - 15 * 60_000, lists=2, passes=backfill.MOST_PASSES)
    assert backfill.finish(world.service, claimed, moved)

    assert _checked_at(world, pages, 12) == 17


def test_a_webhook_that_was_lost_since_the_last_look_is_seen_by_the_next(world: World, pages: Pages) -> None:
    connect_page(world)
    assert _checked_at(world, pages) is None
    looked = world.store.get(f"mc:looked:{A}")
    begins, ends = json.loads(looked)[0]
    world.store.set(f"mc:looked:{A}", json.dumps([[begins, ends - 30 * 60_000]]))

    assert _checked_at(world, pages, 20, 40) == 25


def test_a_mark_of_a_clock_that_was_fast_is_none(world: World, pages: Pages) -> None:
    connect_page(world)
    now = int(world.inbox.now() * 1000)
    world.store.set(f"mc:looked:{A}", json.dumps([[now - 24 * HOUR, now + 24 * HOUR]]))

    assert _checked_at(world, pages, 20) == 25
    assert json.loads(world.store.get(f"mc:looked:{A}"))[-1][1] < now + 24 * HOUR


def test_a_mark_of_another_version_is_none(world: World, pages: Pages) -> None:
    connect_page(world)
    world.store.set(f"mc:looked:{A}", int(world.inbox.now() * 1000))

    assert _checked_at(world, pages, 20) == 25


def test_a_backfill_that_is_not_done_does_not_begin_anew(world: World, pages: Pages) -> None:
    connect_page(world)
    _checked_at(world, pages, 20)
    claimed = world.inbox.backfills.claim(1)
    assert claimed
    world.inbox.backfills.save(claimed, b"so far")
    _checked_at(world, pages, 20)

    assert world.inbox.backfills.state(A) == b"so far"


@pytest.mark.parametrize("found", [AWAY, finding("app_secret_wrong")])
def test_a_page_that_cannot_be_read_anyway_is_not_asked(world: World, pages: Pages, found: Finding) -> None:
    connect_page(world)
    pages.found[PAGE_A] = [found]

    assert _checked_at(world, pages, 20) is None
    assert pages.listed == []


def test_where_nothing_missed_is_fetched_no_page_is_asked(world: World, pages: Pages) -> None:
    connect_page(world)
    world.configure(backfill=False)

    assert _checked_at(world, pages, 20) is None
    assert pages.listed == []


@pytest.mark.parametrize("error", [RejectedError("app_lacks_permission"), RateLimited("rate_limited")])
def test_a_list_that_is_refused_is_no_fault_of_the_check(
    world: World, pages: Pages, error: Exception
) -> None:
    connect_page(world)
    pages.hides = error
    with capture_logs() as logs:
        assert _checked_at(world, pages, 20) is None

    assert [one["log_level"] for one in logs] == ["info"]
