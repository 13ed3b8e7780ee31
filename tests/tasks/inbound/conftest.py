"""A sender whose ticket is known."""

from datetime import UTC, datetime

import pytest

from tasks.inbound import backfill
from tests.fakes.world import World


@pytest.fixture
def linked(world: World) -> World:
    """Give a world where the sender's ticket is remembered."""
    world.receive("m_0")
    world.work()
    world.desk.calls.clear()
    world.desk.keys.clear()
    return world


@pytest.fixture
def now() -> int:
    """Return the time in ms, of the second that has begun."""
    return int(datetime.now(UTC).timestamp()) * 1000


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wake nobody: the test works by itself."""
    monkeypatch.setattr(backfill, "wake", int)
    monkeypatch.setattr(backfill, "wake_fetchers", int)
