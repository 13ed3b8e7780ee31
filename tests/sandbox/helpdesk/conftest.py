"""A running sandbox helpdesk, and what takes its webhooks."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.sandbox_helpdesk import DEFAULTS, Desk, Receiver


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("helpdesk") / "db.sqlite")
    yield desk
    desk.stop()


@pytest.fixture
def desk(running: Desk) -> Desk:
    """The module's helpdesk, emptied, with desk 7 and category 12."""
    running.http.delete("/sandbox/everything").raise_for_status()
    running.http.delete("/sandbox/faults").raise_for_status()
    running.set(**DEFAULTS).raise_for_status()
    running.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    category = {"name": "Messenger", "owner": "Ewa"}
    running.http.put("/sandbox/categories/12", json=category).raise_for_status()
    return running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Start a helpdesk of the test's own, on one file however often it is started."""
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> Desk:
            desk = Desk(tmp_path / "db.sqlite", *options)
            stack.callback(lambda: desk.process.poll() is None and desk.stop(kill=True))
            desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
            return desk

        yield start


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()
