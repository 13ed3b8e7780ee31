"""A running product for the tests of a module."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.stack import Stack

QUICK: dict[str, Any] = {"worker": {"lease": 3, "echo_wait": 3, "attempts": 3}}
"""Settings that make a test of waiting short; the ratios between them are those of the defaults."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack that the tests of a module share, each with senders of its own."""
    with Stack(tmp_path_factory.mktemp("stack"), settings=QUICK) as running:
        yield running


@pytest.fixture
def run(stack: Stack) -> Callable[..., str]:
    """Run a command of the connector and return what it prints."""

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "connector", *arguments]
        variables = {**os.environ, "CONNECTOR_SETTINGS": str(stack.settings_file)}
        return subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    return run
