"""Jobs that are kept for an operator: the dead letters, and the events of kinds that nobody knew."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import msgspec

from clients import notices
from tasks.inbox.job import History, Job, read_value
from tasks.inbox.script import InboxScript


class KeptJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is kept, why, and since when (ISO 8601).

    `reason` is a notice as `clients.notices.encode` writes it.
    """

    job: Job
    reason: str
    kept_at: str


class KeptJobs:
    """The jobs that are kept in one hash of the store. Raises `redis.RedisError` if it is away.

    `requeue` and `drop` name the script's functions that take a job out of it.
    """

    def __init__(self, script: InboxScript, name: str, requeue: str, drop: str) -> None:
        self._script, self._name = script, name
        self._requeue, self._drop = requeue, drop

    def all(self) -> list[KeptJob]:
        """Return the jobs, the oldest first."""
        found = cast("dict[bytes, bytes]", self._script.store.hgetall(self._script.key(self._name)))
        kept = (_decode(int(id_), value) for id_, value in found.items())
        return sorted(kept, key=lambda one: one.job.id)

    def ids(self) -> list[int]:
        """Return the ids of all, the newest first."""
        found = cast("list[bytes]", self._script.store.hkeys(self._script.key(self._name)))
        return sorted(map(int, found), reverse=True)

    def some(self, ids: Sequence[int]) -> list[KeptJob]:
        """Return those of these ids that there are, in this order."""
        if not ids:
            return []
        names = list(map(str, ids))
        found = cast("list[bytes | None]", self._script.store.hmget(self._script.key(self._name), names))
        return [_decode(id_, value) for id_, value in zip(ids, found, strict=True) if value]

    def count(self) -> int:
        """Return how many there are."""
        return self._script.store.hlen(self._script.key(self._name))

    def get(self, id_: int) -> KeptJob | None:
        """Return one job; None if there is none of this id."""
        value = cast("bytes | None", self._script.store.hget(self._script.key(self._name), str(id_)))
        return _decode(id_, value) if value else None

    def requeue(self, kept: KeptJob) -> bool:
        """Put a job back into its queue, in its place by time. Return whether it was kept still."""
        job = kept.job
        return bool(self._script.run(self._requeue, job.id, job.queue, job.time, job.body))

    def drop(self, id_: int) -> bool:
        """Delete a job. Return whether there was one."""
        return bool(self._script.run(self._drop, id_))


class _Stored(msgspec.Struct, frozen=True):
    """A kept job as the store has it; the steps that were taken of it stay where they were."""

    queue: str = ""
    time: int = 0
    body: str = ""
    reason: str = ""
    kept_at: str = ""
    history: History = ()


def encode(job: Job, reason: str) -> bytes:
    """Return a job that is kept from now on, as the store has it."""
    kept_at = datetime.now(UTC).isoformat(timespec="seconds")
    stored = _Stored(job.queue, job.time, job.body.decode(), reason, kept_at, job.history)
    return msgspec.json.encode(stored)


def _decode(id_: int, value: bytes) -> KeptJob:
    unread = _Stored(body=value.decode(), reason=notices.encode(notices.notice("unreadable_letter")))
    stored = read_value(value, _Stored, unread)
    job = Job(queue=stored.queue, time=stored.time, body=stored.body.encode(), id=id_, history=stored.history)
    return KeptJob(job=job, reason=stored.reason, kept_at=stored.kept_at)
