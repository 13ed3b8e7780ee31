"""A running playground between the two sandboxes; each test has a customer of its own, and no ticket."""

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest

from tests.fakes.pages import leaked
from tests.fakes.playground import SECRETS, Beside, playground

SUPERVISOR = """
import subprocess, sys
while True:
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)", "worker"])
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with playground(tmp_path_factory.mktemp("playground")) as beside:
        yield beside


@pytest.fixture
def beside(running: Beside) -> Iterator[Beside]:
    """The module's playground, with nobody's tickets, and Anna new to the page. It tells no secrets."""
    running.begin()
    yield running
    assert leaked(running.answers, SECRETS) == []


@pytest.fixture
def supervised(beside: Beside) -> Iterator[Beside]:
    """Return the playground beside a connector that does nothing but run a worker, again and again."""
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR]) as supervisor:
        beside.stack.connector = SimpleNamespace(popen=supervisor)
        yield beside
        children = psutil.Process(supervisor.pid).children()
        supervisor.kill()
        for child in children:
            child.kill()
