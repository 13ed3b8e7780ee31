"""Parts that end with their test."""

import sys
from collections.abc import Iterator

import pytest

from connector.run.supervisor import Part
from tests.fakes.parts import MakePart


@pytest.fixture
def make_part() -> Iterator[MakePart]:
    """Give a function that makes a part of a few lines of Python; all end with the test."""
    made: list[Part] = []

    def make(code: str, *arguments: object, name: str = "part", patience: float = 10) -> Part:
        command = [sys.executable, "-S", "-c", code, *map(str, arguments)]
        made.append(Part(name, command, patience=patience))
        return made[-1]

    yield make
    for part in made:
        if part.process:
            part.process.kill()
            part.process.wait()
