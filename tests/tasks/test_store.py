"""The store: what is done while it moves or is away."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Thread
from typing import Any

import pytest
import redis
from kombu.exceptions import OperationalError
from structlog.testing import capture_logs

from sandbox.stack import until
from tasks.celery import app
from tasks.store import Outage, Silences, connect, connect_async, reason_of
from tests.conftest import MakeSettings
from tests.fakes.proxy import Proxy
from tests.fakes.stores import Serve


@pytest.fixture
def moving(serve: Serve) -> Iterator[tuple[str, Callable[[], None]]]:
    """Give an address, and a function that makes the store there a replica, and leads to another."""
    old, new = serve("--replica-serve-stale-data", "no"), serve()
    with Proxy(old) as proxy, closing(connect(old)) as primary:

        def move() -> None:
            primary.replicaof("127.0.0.1", 1)
            proxy.lead(new)

        yield proxy.url, move


@pytest.mark.parametrize(
    "call",
    [lambda store: store.set("a", "b"), lambda store: store.exists("a") == 0],
    ids=["READONLY", "MASTERDOWN"],
)
def test_a_patient_connection_goes_where_the_address_leads(
    moving: tuple[str, Callable[[], None]], call: Callable[[redis.Redis], bool]
) -> None:
    url, move = moving
    with closing(connect(url)) as store:
        store.ping()
        move()

        assert call(store)


def test_a_connection_without_patience_fails_once(moving: tuple[str, Callable[[], None]]) -> None:
    url, move = moving
    with closing(connect(url, patient=False)) as store:
        store.ping()
        move()
        with pytest.raises(redis.ReadOnlyError):
            store.set("a", "b")

        assert store.set("a", "b")


@pytest.mark.parametrize("command", [("SET", "a", "b"), ("EXISTS", "a")], ids=["READONLY", "MASTERDOWN"])
def test_a_connection_of_the_web_process_goes_where_the_address_leads(
    moving: tuple[str, Callable[[], None]], command: tuple[str, ...]
) -> None:
    url, move = moving

    async def talk() -> object:
        async with connect_async(url) as store:
            await store.execute_command("PING")  # type: ignore[no-untyped-call]
            move()
            return await store.execute_command(*command)  # type: ignore[no-untyped-call]

    assert asyncio.run(talk()) in {True, 0}


def test_the_silence_of_one_connection_is_waited_for_and_not_that_of_each(store_url: str) -> None:
    with Proxy(store_url) as proxy, closing(connect(f"{proxy.url}?socket_timeout=0.3")) as store:
        both = [store.connection_pool.get_connection() for _ in range(2)]
        for connection in both:
            store.connection_pool.release(connection)
        proxy.silence()

        assert store.ping()
        assert [connection.is_connected for connection in both] == [False, True]


def test_a_silence_may_be_noted_in_the_middle_of_another_step() -> None:
    found = Silences()

    class Noting(redis.ConnectionPool):
        def __hash__(self) -> int:
            found.note()  # as a connection does that is collected just then
            return 1

    pool = Noting()
    thread = Thread(target=found.include, args=[pool], daemon=True)
    thread.start()
    thread.join(10)

    assert not thread.is_alive()
    assert found.count


def test_a_worker_does_not_count_a_replica_as_a_broker(
    store_url: str, serve: Serve, make_settings: MakeSettings
) -> None:
    make_settings(redis_url=store_url)
    replica = serve("--replicaof", "127.0.0.1", "1")
    with app.connection_for_read(replica) as broker:
        with pytest.raises(OperationalError, match="read only replica"):
            broker.ensure_connection(max_retries=1)

        transport: Any = broker.transport
        assert (transport.channels, transport._avail_channels) == ([], [])


def test_a_user_who_may_delete_nothing_is_no_replica(store_url: str, make_settings: MakeSettings) -> None:
    make_settings(redis_url=store_url)
    with closing(connect(store_url)) as store:
        store.acl_setuser("narrow", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-del"])
        with app.connection_for_read(store_url.replace("//", "//narrow:any@")) as broker:
            assert broker.ensure_connection(max_retries=1)
        store.acl_deluser("narrow")


def test_a_primary_that_becomes_a_replica_while_a_worker_waits_is_told_in_plain_words(serve: Serve) -> None:
    url = serve()
    with closing(connect(url)) as waiting, closing(connect(url)) as store, ThreadPoolExecutor() as pool:
        answer = pool.submit(waiting.brpop, ["nothing"], 20)
        until("it waits", lambda: store.info("clients")["blocked_clients"] == 1)
        store.replicaof("127.0.0.1", 1)

        assert reason_of(answer.exception() or AssertionError()).startswith("it became a replica;")


def test_a_store_that_is_away_is_told_once_a_minute_and_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outage = Outage("redis_url")
    with capture_logs() as logs:
        for second in range(100):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            outage.note(redis.TimeoutError())
        outage.note(None)
        outage.note(None)

    told = [(line["event"], line["setting"]) for line in logs]
    assert told == [("store_away", "redis_url")] * 2 + [("store_back", "redis_url")]


def test_a_store_that_comes_and_goes_is_not_told_each_time() -> None:
    outage = Outage("redis_url")
    with capture_logs() as logs:
        for _ in range(10):
            outage.note(redis.ReadOnlyError())
            outage.note(None)

    assert [line["event"] for line in logs] == ["store_away", "store_back"]
