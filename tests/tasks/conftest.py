"""What many tests of the tasks need: a world, and stores of their own."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from connector.run.valkey import binary
from sandbox.stack import Process, free_port, until
from tasks.store import connect
from tests.conftest import MakeSettings
from tests.fakes.checked_pages import Pages
from tests.fakes.stores import Serve
from tests.fakes.world import World


@pytest.fixture
def worlds(store_url: str, make_settings: MakeSettings) -> Iterator[Callable[[], World]]:
    """Give a function that makes a new world, with nothing in its store."""
    made: list[World] = []

    def make() -> World:
        made.append(World(store_url, make_settings))
        for key in made[-1].store.scan_iter("mc:*"):
            made[-1].store.delete(key)
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(worlds: Callable[[], World]) -> World:
    return worlds()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Give a function that starts a store with options, and returns its address."""
    servers: list[Process] = []

    def start(*options: str, scheme: str = "redis", ready: bool = True) -> str:
        port = free_port()
        command = [binary(), "--port", str(port), "--dir", str(tmp_path), "--save", "", *options]
        servers.append(Process(command, tmp_path / "valkey.log", {}))
        url = f"{scheme}://127.0.0.1:{port}/0"
        if ready:
            until("it answers", lambda: _answers(url))
        return url

    yield start
    for server in servers:
        server.stop()


def _answers(url: str) -> bool:
    with closing(connect(url, patient=False)) as store:
        try:
            return bool(store.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False


@pytest.fixture
def pages(world: World, monkeypatch: pytest.MonkeyPatch) -> Pages:
    """Give the accounts that are checked, and what is found of each."""
    known = Pages()
    monkeypatch.setattr(type(world.service), "account", lambda _, connection: known.account(connection))
    return known
