"""Storing what comes in: the jobs of all requests that wait go to the store in one call."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import redis
import structlog
from redis.asyncio import Redis
from starlette.exceptions import HTTPException

from connector.web.metrics import Counters
from tasks.inbox.inbox import accept_arguments
from tasks.inbox.job import Job, PartEcho
from tasks.inbox.script import script_of
from tasks.store import Outage, silences

log = structlog.get_logger(__name__)

JOBS_AT_ONCE = 1000
"""How many jobs one call stores at most; the store does nothing else meanwhile."""
COMMIT_WITHIN = 2.0
"""How long one call may take, in seconds. A request waits for two at most, a channel five seconds for it."""

Waiting = tuple[Sequence[Job | PartEcho], asyncio.Future[None]]


class StoreUnavailable(HTTPException):
    """The jobs could not be stored; the sender has to send them again."""

    def __init__(self) -> None:
        super().__init__(503, "The events could not be stored; send them again.")


class GroupCommit:
    """Group commit. A task of its own talks to the store, so that a client that hangs up cancels nothing.

    One call at a time: what comes meanwhile goes with the next, and many jobs together cost little more. It
    saves 53 % of the CPU of a webhook (docs/performance.md).
    """

    def __init__(
        self, store: Redis, prefix: str, wake: Callable[[int], None], outage: Outage, counters: Counters
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._wake = wake
        self._waiting: list[Waiting] = []
        self._arrived = asyncio.Event()
        self._outage = outage
        self._counters = counters
        self._silences = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._store.aclose()

    async def store(self, jobs: Sequence[Job | PartEcho]) -> None:
        """Return once the jobs are stored. Raises `StoreUnavailable`; they may be stored all the same."""
        if not jobs:
            await asyncio.sleep(0)  # others' turn
            return
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((jobs, stored))
        self._arrived.set()
        await stored

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            batch = self._next_batch()
            if not self._waiting:
                self._arrived.clear()
            if batch:
                await self._commit(batch)

    def _next_batch(self) -> list[Waiting]:
        """Take the requests that still wait, up to a limit of jobs, and always one."""
        self._waiting = [(jobs, stored) for jobs, stored in self._waiting if not stored.done()]
        count = size = 0
        for jobs, _ in self._waiting:
            if count and size + len(jobs) > JOBS_AT_ONCE:
                break
            count, size = count + 1, size + len(jobs)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _commit(self, batch: Sequence[Waiting]) -> None:
        jobs = [job for jobs, _ in batch for job in jobs]
        try:
            async with asyncio.timeout(COMMIT_WITHIN):
                if self._silences != silences.count:
                    await self._reconnect()
                ready = await _accept(self._store, [self._prefix, "accept", *accept_arguments(jobs)])
        except (redis.RedisError, OSError) as error:
            if isinstance(error, TimeoutError | redis.TimeoutError):
                silences.note()
            self._outage.note(error)
            self._fail(batch)
            return
        except Exception:
            # This task has to live on: without it nothing would be stored any more.
            log.exception("not_stored", events=len(jobs))
            self._fail(batch)
            return
        self._outage.note(None)
        for stored in _waited_for(batch):
            stored.set_result(None)
        if ready:
            self._wake(ready)

    async def _reconnect(self) -> None:
        """Leave a connection that may be as silent as another was: this one would take its time, too."""
        self._silences = silences.count
        pool = self._store.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        await connection.disconnect(nowait=True)  # by TLS, it would wait for the silent server's goodbye
        await pool.release(connection)

    def _fail(self, batch: Sequence[Waiting]) -> None:
        self._counters.not_stored.inc(sum(len(jobs) for jobs, _ in batch))
        for stored in _waited_for(batch):
            stored.set_exception(StoreUnavailable())


async def _accept(store: Redis, arguments: Sequence[Any]) -> int:
    script = script_of("accept", adds=True)
    try:
        return int(await store.evalsha(script.sha, 0, *arguments))
    except redis.exceptions.NoScriptError:  # the store was started, or started again
        return int(await store.eval(script.text, 0, *arguments))


def _waited_for(batch: Sequence[Waiting]) -> Iterator[asyncio.Future[None]]:
    """Yield what requests wait for whose clients did not hang up."""
    return (stored for _, stored in batch if not stored.done())
