"""Storing what comes in: the events of all requests that wait go to the store in one call."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Self

import redis
from redis.asyncio import Redis

from connector import logs
from tasks.inbox import SCRIPT, Row, accept_arguments, idle_threads

log = logs.get(__name__)

ROWS_AT_ONCE = 1000
"""How many events one call stores at most; the store does nothing else meanwhile."""
PATIENCE = 4.0
"""How long a request waits for the store, in seconds. Meta waits for five."""


class StoreAway(Exception):
    """The events could not be stored; the sender has to send them again."""


class Intake:
    """Group commit. A task of its own talks to the store, so that a client that hangs up cancels nothing."""

    def __init__(self, store: Redis, wake: Callable[[Sequence[str]], None]) -> None:
        self._script = store.register_script(SCRIPT)
        self._wake = wake
        self._waiting: list[tuple[Sequence[Row], asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._away = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def store(self, rows: Sequence[Row]) -> None:
        """Return once the rows are stored. Raises `StoreAway`; they may be stored all the same."""
        loop = asyncio.get_running_loop()
        stored = loop.create_future()
        self._waiting.append((rows, stored))
        self._arrived.set()
        timer = loop.call_later(PATIENCE, _give_up, stored)  # asyncio.wait_for costs five times as much
        try:
            await stored
        finally:
            timer.cancel()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            batch = self._next_batch()
            if not self._waiting:
                self._arrived.clear()
            if batch:
                await self._commit(batch)

    def _next_batch(self) -> list[tuple[Sequence[Row], asyncio.Future[None]]]:
        """Take the requests that still wait, up to a limit of events, and always one."""
        self._waiting = [(rows, stored) for rows, stored in self._waiting if not stored.done()]
        count = size = 0
        for rows, _ in self._waiting:
            if count and size + len(rows) > ROWS_AT_ONCE:
                break
            count, size = count + 1, size + len(rows)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _commit(self, batch: Sequence[tuple[Sequence[Row], asyncio.Future[None]]]) -> None:
        rows = [row for rows, _ in batch for row in rows]
        try:
            idle = idle_threads(await self._script(args=accept_arguments(rows)))
        except (redis.RedisError, OSError) as error:
            self._note_away(type(error).__name__)
            _settle(batch, StoreAway())
            return
        except Exception:
            # This task has to live on: without it nothing would be stored any more.
            log.exception("not_stored", events=len(rows))
            _settle(batch, StoreAway())
            return
        self._note_away(None)
        _settle(batch, None)
        if idle:
            self._wake(idle)

    def _note_away(self, reason: str | None) -> None:
        """Log when the store goes away and when it is back, not each request in between."""
        if reason and not self._away:
            log.error("store_away", reason=reason)
        elif self._away and not reason:
            log.info("store_back")
        self._away = reason is not None


def _give_up(stored: asyncio.Future[None]) -> None:
    if not stored.done():
        stored.set_exception(StoreAway())


def _settle(batch: Sequence[tuple[Sequence[Row], asyncio.Future[None]]], error: Exception | None) -> None:
    for _, stored in batch:
        if stored.done():  # its client hung up
            continue
        if error:
            stored.set_exception(error)
        else:
            stored.set_result(None)
