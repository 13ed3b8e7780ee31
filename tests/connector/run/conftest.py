"""Children that end with their test."""

import sys
from collections.abc import Callable, Iterator

import pytest

from connector.run.parts import Part
from connector.run.supervisor import Child
from tests.fakes.children import MakeChild


@pytest.fixture
def make_child() -> Iterator[MakeChild]:
    """Give a function that makes a child of a few lines of Python; all end with the test."""
    made: list[Child] = []

    def make(
        code: str,
        *arguments: object,
        name: str = "part",
        stops_within: float = 10,
        is_stuck: Callable[[float], bool] = lambda _started: False,
    ) -> Child:
        command = [sys.executable, "-S", "-c", code, *map(str, arguments)]
        made.append(Child(Part(name, command, stops_within, is_stuck=is_stuck)))
        return made[-1]

    yield make
    for child in made:
        if child.process:
            child.process.kill()
            child.process.wait()
