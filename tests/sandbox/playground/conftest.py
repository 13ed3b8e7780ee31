"""A running playground between the two sandboxes; each test has a customer of its own, and no ticket."""

from collections.abc import Iterator

import pytest

from tests.fakes.pages import leaked
from tests.fakes.playground import SECRETS, Beside, playground


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
