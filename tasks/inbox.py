"""The inbox: every accepted event, in its thread's order, until it is done. `inbox.lua` holds its rules."""

import hashlib
import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast

import msgspec
import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from tasks.lease import NO_STEP, Event, Lease

SCRIPT = files("tasks").joinpath("inbox.lua").read_text()
SCRIPT_SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()

SEEN_FOR = 7 * 24 * 3600 * 1000
"""How long an accepted event is remembered, in ms; Meta gives up its retries long before."""
GRACE = 2000
"""How long a wake-up may take to arrive before the next one is sent, in ms."""


class Row(msgspec.Struct, frozen=True):
    """An event to accept.

    `key` is the same for every delivery of the same event. `time` is when it happened, in ms. A row without a
    thread only leaves `body` under its key.
    """

    key: str
    thread: str
    time: int
    body: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: an event that could not be delivered. `reason` is in plain words."""

    id: int
    thread: str
    time: int
    body: str
    reason: str
    died_at: str
    history: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class State:
    """How much there is to do: threads with work, how long the oldest is overdue (seconds), dead letters."""

    threads: int
    overdue: float
    dead: int


class Inbox:
    """The inbox as the tasks and the command line use it. Raises `redis.RedisError` if the store is away."""

    def __init__(self, store: redis.Redis, lease: float = 15.0) -> None:
        self.store = store
        self._lease = lease
        self._script = store.register_script(SCRIPT)

    def _run(self, name: str, *arguments: Any) -> Any:
        return self._script(args=[name, *arguments])

    def accept(self, rows: Iterable[Row]) -> list[str]:
        """Store events and return the threads that were idle and now want a wake-up."""
        return idle_threads(self._run(*accept_arguments(rows)))

    def claim(self, thread: str, side: str, *keys: str) -> Lease | None:
        """Take the lease of a thread, unless it is taken, waits, has no work, or its side is paused.

        The lease knows what is cached under `keys`, three at most.
        """
        token, asked = secrets.token_hex(8), time.monotonic()
        answer = self._run("claim", thread, token, _ms(self._lease), side, *keys)
        event = _event(answer)
        if event is None:
            return None
        lease = Lease(self, thread, token, event, asked + self._lease)
        lease.learn({key: value for key, value in zip(keys, answer[2], strict=True) if value is not None})
        return lease

    def renew(self, lease: Lease) -> float:
        """Renew a lease and return its new deadline."""
        asked = time.monotonic()
        good = self._run("renew", lease.thread, lease.token, _ms(self._lease))
        return asked + self._lease if good else 0.0

    def record(self, lease: Lease, name: str, value: str) -> None:
        """Record a step. Raises `Stale` if the lease is lost."""
        if not self._run("record", lease.thread, lease.token, lease.event.id, f"step:{name}", value):
            lease.deadline = 0.0
            lease.check()

    def finish(self, lease: Lease, counter: str, letter: str, step: tuple[str, str]) -> Event | None:
        """Take the head off a queue and return the next one, for which a step is recorded, if one is named.

        An empty queue ends the lease.
        """
        name, value = step
        recorded = (f"step:{name}", value) if name else NO_STEP
        id_ = lease.event.id
        return _event(self._run("finish", lease.thread, lease.token, id_, counter, letter, *recorded))

    def later(self, lease: Lease, delay: float, attempts: int, history: str) -> None:
        """Put a thread off."""
        self._run("later", lease.thread, lease.token, lease.event.id, _ms(delay), attempts, history)

    def release(self, lease: Lease) -> None:
        """Give a thread back."""
        self._run("release", lease.thread, lease.token, GRACE)

    def sweep(self, limit: int) -> list[str]:
        """Return threads that are due and that nobody works on."""
        return [thread.decode() for thread in self._run("sweep", limit, GRACE)]

    def overdue(self) -> float:
        """Return for how many seconds the longest waiting thread has been due."""
        return float(self._run("overdue")) / 1000

    def state(self) -> State:
        """Return how much there is to do."""
        threads, dead = self.store.zcard("mc:due"), self.store.hlen("mc:dead")
        return State(threads, self.overdue(), dead)

    def stats(self) -> dict[str, int]:
        """Return how many events were accepted, relayed, postponed and given up, by lane."""
        counts = cast("dict[bytes, bytes]", self.store.hgetall("mc:stats"))
        return {name.decode(): int(count) for name, count in counts.items()}

    def pause(self, side: str, seconds: float, reason: str, pace: float = 0) -> None:
        """Send nothing to a side for a while: `helpdesk`, or `page:<page_id>`.

        Threads that wait for it go on one after the other then, `pace` seconds apart.
        """
        key = f"mc:pause:{side}"
        with self.store.pipeline() as pipeline:
            pipeline.delete(key)
            pipeline.hset(key, mapping={"reason": reason, "pace": int(pace * 1000)})
            pipeline.pexpire(key, _ms(seconds))
            # For /metrics. A side that is still down is paused anew soon after each pause.
            pipeline.hset("mc:paused", side, str(int(time.time() + seconds + 10)))
            pipeline.execute()

    def paused_sides(self) -> dict[str, bool]:
        """Return the sides that ever were paused, and whether they are now."""
        until = cast("dict[bytes, bytes]", self.store.hgetall("mc:paused"))
        return {side.decode(): int(end) > time.time() for side, end in until.items()}

    def echo(self, page_id: str, mark: str) -> str | None:
        """Return the mid of a part that came back as an echo."""
        mid = cast("bytes | None", self.store.get(echo_key(page_id, mark)))
        return mid.decode() if mid else None

    def letters(self) -> list[Letter]:
        """Return the dead letters, the oldest first."""
        found = cast("dict[bytes, bytes]", self.store.hgetall("mc:dead"))
        return sorted((_letter(id_, value) for id_, value in found.items()), key=lambda letter: letter.id)

    def letter(self, id_: int) -> Letter | None:
        """Return one dead letter."""
        value = cast("bytes | None", self.store.hget("mc:dead", str(id_)))
        return _letter(id_, value) if value else None

    def revive(self, letter: Letter) -> bool:
        """Put a dead letter back into its thread, in its place by time."""
        return bool(self._run("revive", letter.id, letter.thread, f"{letter.id} {letter.time} {letter.body}"))

    def drop(self, id_: int) -> bool:
        """Throw a dead letter away."""
        return bool(self._run("drop", id_))


def connect(url: str, *, patient: bool = True) -> redis.Redis:
    """Connect to the store. A call ends within seconds; a patient one sits a restart of the store out."""
    return redis.Redis.from_url(
        url,
        socket_timeout=5,
        socket_connect_timeout=2,
        socket_keepalive=True,
        health_check_interval=10,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.02), 8 if patient else 0),
    )


_pack = msgspec.msgpack.Encoder().encode  # texts only: the store's MessagePack knows no bytes


def accept_arguments(rows: Iterable[Row]) -> list[Any]:
    """Return what the script takes to accept rows."""
    flat = [part for row in rows for part in (row.key, row.thread, str(row.time), row.body)]
    return ["accept", GRACE, SEEN_FOR, _pack(flat)]


def idle_threads(answer: Sequence[Any]) -> list[str]:
    """Read what the script answers to an accept."""
    return [thread.decode() for thread in answer[1:]]


def seen_key(key: str) -> str:
    """Name the mark that an event was accepted."""
    return f"mc:seen:{key}"


def echo_key(page_id: str, mark: str) -> str:
    """Name the record that a part of a reply came back as an echo."""
    return f"mc:echo:{page_id}:{mark}"


def _event(answer: Sequence[Any]) -> Event | None:
    if not answer:
        return None
    id_, time_, body = answer[0].split(b" ", 2)
    pairs = [part.decode() for part in answer[1]]
    record = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return Event(
        id=int(id_),
        time=int(time_),
        body=body,
        attempts=int(record.get("attempts", 0)),
        history=tuple(json.loads(record.get("history", "[]"))),
        steps={
            name.removeprefix("step:"): value for name, value in record.items() if name.startswith("step:")
        },
    )


def _letter(id_: bytes | int, value: bytes) -> Letter:
    return Letter(id=int(id_), **json.loads(value))


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
