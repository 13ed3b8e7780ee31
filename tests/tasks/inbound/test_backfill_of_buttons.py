"""A button that was pressed is a message where it is fetched: it stands there once."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.inbound import backfill
from tests.fakes.fetching import ACCOUNT, bodies, fetch, relay
from tests.fakes.world import World

HOUR = 3_600_000

pytestmark = pytest.mark.usefixtures("asleep")


def _ask(world: World, now: int) -> None:
    backfill.fetch_since(world.service, ACCOUNT, datetime.fromtimestamp(now / 1000, UTC) - timedelta(hours=3))


@pytest.mark.parametrize(("is_forgotten", "earlier"), [(False, 0), (True, 0), (True, 1)])
def test_what_a_button_said_is_not_doubled(
    world: World, now: int, *, is_forgotten: bool, earlier: int
) -> None:
    for _ in range(earlier):
        world.receive("m_first", "first", at=now - 2 * HOUR)
    world.receive_item({"timestamp": now - HOUR, "postback": {"mid": "m_0", "title": "Yes", "payload": "Y"}})
    relay(world)
    for key in world.store.scan_iter("mc:seen:*" if is_forgotten else "nothing"):
        world.store.delete(key)
    world.meta.say("m_0", now - HOUR, message="Yes")
    _ask(world, now)
    fetch(world)
    assert world.waiting() == is_forgotten
    relay(world)

    assert len(bodies(world)) == earlier + 1


def test_a_button_whose_webhook_comes_after_it_was_fetched_is_not_doubled(world: World, now: int) -> None:
    world.meta.say("m_0", now - HOUR, message="Yes")
    _ask(world, now)
    fetch(world)
    world.receive_item({"timestamp": now - HOUR, "postback": {"mid": "m_0", "title": "Yes", "payload": "Y"}})

    assert world.waiting() == 1
