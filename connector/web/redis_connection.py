"""A connection of the web process to the store, for one call at a time."""

import asyncio
from typing import Any, cast

import hiredis
import redis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from tasks.store import options

_NOT_HERE = ("READONLY", "MASTERDOWN", "LOADING")
"""What a server answers that is not the primary any more, or not yet: its address leads to another soon."""


class RedisConnection:
    """Opened by redis-py, with all that the address asks for, when it is first used and whenever it broke.

    The calls themselves go past redis-py, whose commands, streams and time limits cost more than the call: it
    saves 6 to 11 % of a webhook's CPU. The caller limits the time.
    """

    def __init__(self, url: str) -> None:
        retry = Retry(ExponentialBackoff(cap=0.2, base=0.02), 2)
        self._store = Redis.from_url(
            url, **options(url) | {"protocol": 2, "socket_timeout": None, "retry": retry}
        )
        self._connection: AbstractConnection | None = None
        self._answers = _Answers()

    async def call(self, *command: Any) -> Any:
        """Send a command and return the answer. Raises `redis.RedisError`."""
        if self._answers.transport is None:
            await self._open()
        try:
            answer = await self._answers.to(command)
        except BaseException:
            # Its answer, if one comes, must not be taken for that of the next call.
            await self.close()
            raise
        if isinstance(answer, hiredis.ReplyError):
            if str(answer).startswith(_NOT_HERE):
                await self.close()
            raise redis.ResponseError(str(answer))
        return answer

    async def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._answers = _Answers()
        if self._connection:
            await self._connection.disconnect(nowait=True)

    async def _open(self) -> None:
        await self.close()
        self._connection = self._store.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        await self._connection.connect()
        writer = cast("asyncio.StreamWriter", self._connection._writer)  # noqa: SLF001 - there is no public way
        transport = cast("asyncio.Transport", writer.transport)
        self._answers.transport = transport
        transport.set_protocol(self._answers)


class _Answers(asyncio.Protocol):
    """Reads what comes over one connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._waits: asyncio.Future[Any] | None = None

    def to(self, command: tuple[Any, ...]) -> asyncio.Future[Any]:
        self._waits = asyncio.get_running_loop().create_future()
        cast("asyncio.Transport", self.transport).write(hiredis.pack_command(command))
        return self._waits

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        answer = self._reader.gets()
        if answer is not False and self._waits and not self._waits.done():
            self._waits.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self._waits and not self._waits.done():
            self._waits.set_exception(redis.ConnectionError("the connection to the store broke"))
