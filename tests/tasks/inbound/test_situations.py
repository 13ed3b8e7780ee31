"""What agents read of each situation of `tests/payloads/messenger/`: the comment that stands beside it."""

import os

import pytest

from tests.fakes.situations import SITUATIONS, path_of, shown
from tests.fakes.world import World


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_becomes_the_comment_that_is_written_beside_it(world: World, name: str) -> None:
    becomes = shown(world, name)
    if os.environ.get("WRITE_SITUATIONS"):  # to be read before it is committed
        path_of(name).write_text(becomes)
    assert becomes == path_of(name).read_text()


def test_there_are_as_many_situations_as_were_promised() -> None:
    assert len(SITUATIONS) >= 120
