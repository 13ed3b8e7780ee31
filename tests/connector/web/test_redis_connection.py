"""The connection of the web process to its store."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis

from connector.web.redis_connection import RedisConnection
from sandbox.stack import until
from tasks.store import connect


def _with_line(url: str, scenario: Callable[[RedisConnection], Any]) -> None:
    async def run() -> None:
        line = RedisConnection(url)
        try:
            await scenario(line)
        finally:
            await line.close()

    asyncio.run(run())


def test_a_line_answers_and_tells_what_the_store_refuses(store_url: str) -> None:
    async def scenario(line: RedisConnection) -> None:
        assert await line.call("ECHO", "a" * 200_000) == b"a" * 200_000
        with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
            await line.call("ECHO")
        assert await line.call("PING") == b"PONG"

    _with_line(store_url, scenario)


def test_a_line_logs_in_and_takes_its_database(store_url: str) -> None:
    store = connect(store_url)
    store.acl_setuser("door", enabled=True, passwords=["+secret"], commands=["+@all"], keys=["*"])

    async def scenario(line: RedisConnection) -> None:
        told = (await line.call("CLIENT", "INFO")).decode()
        assert " db=3 " in told
        assert " user=door " in told

    try:
        _with_line(store_url.replace("127.0.0.1", "door:secret@127.0.0.1").replace("/0", "/3"), scenario)
    finally:
        store.acl_deluser("door")
        store.close()


def test_a_line_that_broke_is_opened_again(store_url: str) -> None:
    store = connect(store_url)

    async def scenario(line: RedisConnection) -> None:
        waits = asyncio.ensure_future(line.call("BLPOP", "nothing", 0))
        until_blocked = asyncio.to_thread(
            until, "it waits", lambda: store.info("clients")["blocked_clients"] == 1
        )
        await until_blocked
        store.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(redis.ConnectionError):
            await waits
        assert await line.call("PING") == b"PONG"

    _with_line(store_url, scenario)
    store.close()
