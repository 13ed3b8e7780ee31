"""A sender whose ticket is known."""

import pytest

from tests.fakes.world import World


@pytest.fixture
def linked(world: World) -> World:
    """Give a world where the sender's ticket is remembered."""
    world.receive("m_0")
    world.work()
    world.desk.calls.clear()
    world.desk.keys.clear()
    return world
