"""A store that moves: its address leads to another server, and the old one lives on, of no use."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
import redis

from sandbox.stack import Stack, until
from tasks.store import connect
from tests.conftest import Valkey
from tests.e2e.conftest import QUICK
from tests.fakes.proxy import Proxy

numbers = count()
GOES_ON_WITHIN = 5.0
"""How long a failover may be felt, in seconds."""


class Pair:
    """A primary and its replica, behind a proxy that leads to the primary."""

    def __init__(self, folder: Path) -> None:
        self._servers = []
        for name in ("one", "two"):
            (folder / name).mkdir(parents=True)
            self._servers.append(Valkey(folder / name))
        self.follow()

    @property
    def primary(self) -> str:
        return self._servers[0].url

    def follow(self) -> None:
        """Let the second server follow the first one, and wait until it has its data."""
        one, two = (connect(server.url) for server in self._servers)
        port = one.connection_pool.connection_kwargs["port"]
        one.replicaof("NO", "ONE")
        two.replicaof("127.0.0.1", port)
        until("the replica follows", lambda: two.info("replication")["master_link_status"] == "up")

    def fail_over(self) -> None:
        """Swap the roles once the replica has all."""
        one, two = (connect(server.url) for server in self._servers)
        one.client_pause(1000, all=False)

        def offset(store: redis.Redis, name: str) -> int:
            return int(store.info("replication")[name])

        until("it has all", lambda: offset(two, "slave_repl_offset") == offset(one, "master_repl_offset"))
        self._servers.reverse()
        self.follow()
        one.client_unpause()

    def refusals(self) -> int:
        """Return how often the replica refused what only a primary does."""
        with closing(connect(self._servers[1].url)) as replica:
            refused: dict[str, int] = replica.info("errorstats").get("errorstat_READONLY", {})
            return refused.get("count", 0)

    def stop(self) -> None:
        for server in self._servers:
            server.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("pair"))
    yield pair
    pair.stop()


@pytest.fixture(scope="module")
def proxy(pair: Pair) -> Iterator[Proxy]:
    with Proxy(pair.primary) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, proxy: Proxy) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("moving")
    with Stack(folder, settings=QUICK | {"redis_url": proxy.url}) as running:
        yield running


def talk(stack: Stack, within: float) -> None:
    """Have a person write, and an agent reply; both arrive."""
    psid = f"76000000{next(numbers):08}"
    stack.write(psid, text="hello")
    (ticket,) = until("a ticket", lambda: stack.tickets(psid), within)
    stack.reply(ticket["id"], "good day")
    until("the reply", lambda: stack.received(psid), within)


def become_a_replica(pair: Pair, proxy: Proxy) -> None:
    pair.fail_over()
    until("the worker met the replica again and again", lambda: pair.refusals() >= 20)
    proxy.lead(pair.primary)


def fall_silent(_: Pair, proxy: Proxy) -> None:
    proxy.silence()


@pytest.mark.parametrize("move", [become_a_replica, fall_silent])
def test_it_goes_on_within_seconds_when(
    stack: Stack, pair: Pair, proxy: Proxy, move: Callable[[Pair, Proxy], None]
) -> None:
    talk(stack, 20)
    before = stack.connector.log.read_text()
    move(pair, proxy)

    def is_ready() -> bool:
        return stack.http.get(f"{stack.url}/readyz").status_code == 200

    until("it is ready", is_ready, GOES_ON_WITHIN)
    talk(stack, GOES_ON_WITHIN)
    said = stack.connector.log.read_text().removeprefix(before)
    assert "died" not in said
    assert "Traceback" not in said
    assert "UNBLOCKED" not in said
    assert "scheduled task" not in said
    assert said.count("store_away") <= 3, said  # web, worker and beat, once each
