"""A running product for each test that asks for one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.stack import Stack

QUICK: dict[str, Any] = {"worker": {"lease": 3, "echo_wait": 3, "attempts": 3}}
"""Settings that make a test of waiting short; the ratios between them are those of the defaults."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Start a stack; it stops when the test ends."""
    with ExitStack() as running:

        def start(**options: Any) -> Stack:
            options = {"settings": QUICK} | options
            return running.enter_context(Stack(tmp_path / "stack", **options))

        yield start


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack that the tests of a module share, each with senders of its own."""
    with Stack(tmp_path_factory.mktemp("stack"), settings=QUICK) as running:
        yield running
