"""Storing what comes in: the events of all requests that wait go to the store in one call."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import redis

from connector import logs
from connector.line import Line
from tasks.inbox import ACCEPT_SCRIPT, ACCEPT_SHA, Row, accept_arguments
from tasks.store import Outage

log = logs.get(__name__)

ROWS_AT_ONCE = 1000
"""How many events one call stores at most; the store does nothing else meanwhile."""
PATIENCE = 2.0
"""How long one call may take, in seconds. A request waits for two at most, and Meta five seconds for it."""

Waiting = tuple[Sequence[Row], asyncio.Future[None]]


class StoreAway(Exception):
    """The events could not be stored; the sender has to send them again."""


class Intake:
    """Group commit. Tasks of its own talk to the store, so that a client that hangs up cancels nothing.

    Each has a line of its own. With two the store is never idle between calls. Requests that are under way at
    the same time have no order among them.
    """

    def __init__(
        self, lines: Sequence[Line], prefix: str, wake: Callable[[int], None], outage: Outage
    ) -> None:
        self._lines = lines
        self._prefix = prefix
        self._wake = wake
        self._waiting: list[Waiting] = []
        self._arrived = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._outage = outage
        self._failed = 0.0

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run(line)) for line in self._lines]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self._lines:
            await line.close()

    async def store(self, rows: Sequence[Row]) -> None:
        """Return once the rows are stored. Raises `StoreAway`; they may be stored all the same."""
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, stored))
        self._arrived.set()
        await stored

    async def _run(self, line: Line) -> None:
        while True:
            await self._arrived.wait()
            batch = self._next_batch()
            if not self._waiting:
                self._arrived.clear()
            if batch:
                await self._commit(line, batch)

    def _next_batch(self) -> list[Waiting]:
        """Take the requests that still wait, up to a limit of events, and always one."""
        self._waiting = [(rows, stored) for rows, stored in self._waiting if not stored.done()]
        count = size = 0
        for rows, _ in self._waiting:
            if count and size + len(rows) > ROWS_AT_ONCE:
                break
            count, size = count + 1, size + len(rows)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _commit(self, line: Line, batch: Sequence[Waiting]) -> None:
        rows = [row for rows, _ in batch for row in rows]
        if line.opened < self._failed:  # what another line met, this one would only meet again
            await line.close()
        try:
            async with asyncio.timeout(PATIENCE):
                ready = await _accept(line, accept_arguments(rows, self._prefix))
        except (redis.RedisError, OSError) as error:
            self._failed = time.monotonic()
            self._outage.note(error)
            _settle(batch, StoreAway())
            return
        except Exception:
            # This task has to live on: without it nothing would be stored any more.
            log.exception("not_stored", events=len(rows))
            _settle(batch, StoreAway())
            return
        self._outage.note(None)
        _settle(batch, None)
        if ready:
            self._wake(ready)


async def _accept(line: Line, arguments: Sequence[Any]) -> int:
    try:
        return int(await line.call("EVALSHA", ACCEPT_SHA, 0, *arguments))
    except (redis.ResponseError, redis.ConnectionError):  # the store was started again, and lost the script
        return int(await line.call("EVAL", ACCEPT_SCRIPT, 0, *arguments))


def _settle(batch: Sequence[Waiting], error: Exception | None) -> None:
    for _, stored in batch:
        if stored.done():  # its client hung up
            continue
        if error:
            stored.set_exception(error)
        else:
            stored.set_result(None)
