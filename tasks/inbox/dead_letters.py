"""Dead letters: jobs that could not be done, until a person requeues or drops them."""

from datetime import UTC, datetime
from typing import cast

import msgspec

from clients import notices
from tasks.inbox.job import History, Job, read_value
from tasks.inbox.script import InboxScript


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A job that could not be done, the reason, and when it was given up (ISO 8601).

    `reason` is a notice as `clients.notices.encode` writes it.
    """

    job: Job
    reason: str
    died_at: str


class DeadLetters:
    """The dead letters in the store. Raises `redis.RedisError` if it is away."""

    def __init__(self, script: InboxScript) -> None:
        self._script = script

    def all(self) -> list[DeadLetter]:
        """Return the dead letters, the oldest first."""
        found = cast("dict[bytes, bytes]", self._script.store.hgetall(self._script.key("dead")))
        letters = (_decode(int(id_), value) for id_, value in found.items())
        return sorted(letters, key=lambda letter: letter.job.id)

    def get(self, id_: int) -> DeadLetter | None:
        """Return one dead letter; None if there is none of this id."""
        value = cast("bytes | None", self._script.store.hget(self._script.key("dead"), str(id_)))
        return _decode(id_, value) if value else None

    def requeue(self, letter: DeadLetter) -> bool:
        """Put a job back into its queue, in its place by time. Return whether it was a dead letter still."""
        job = letter.job
        return bool(self._script.run("requeue", job.id, job.queue, job.time, job.body))

    def drop(self, id_: int) -> bool:
        """Delete a dead letter. Return whether there was one."""
        return bool(self._script.run("drop", id_))


class _Stored(msgspec.Struct):
    """A dead letter as the store has it; the steps of its job stay where they were."""

    queue: str = ""
    time: int = 0
    body: str = ""
    reason: str = ""
    died_at: str = ""
    history: History = ()


def encode(job: Job, reason: str) -> bytes:
    """Return a job that is given up now, as the store keeps it."""
    died_at = datetime.now(UTC).isoformat(timespec="seconds")
    stored = _Stored(job.queue, job.time, job.body.decode(), reason, died_at, job.history)
    return msgspec.json.encode(stored)


def _decode(id_: int, value: bytes) -> DeadLetter:
    unread = _Stored(body=value.decode(), reason=notices.encode(notices.notice("unreadable_letter")))
    stored = read_value(value, _Stored, unread)
    job = Job(queue=stored.queue, time=stored.time, body=stored.body.encode(), id=id_, history=stored.history)
    return DeadLetter(job=job, reason=stored.reason, died_at=stored.died_at)
