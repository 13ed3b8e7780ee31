"""The inbox: every accepted event, in its queue's order, until it is done. `inbox.lua` holds its rules."""

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeVar, cast

import msgspec
import redis

from clients.notices import encode, notice
from tasks.inbox.lease import NO_STEP, Event, Lease

T = TypeVar("T")

_SOURCE = files("tasks.inbox").joinpath("inbox.lua").read_text()
SCRIPT = "#!lua flags=allow-oom\n" + _SOURCE
"""What workers run: it frees memory in the end, so a full store must let it."""
ACCEPT_SCRIPT = "#!lua\n" + _SOURCE
ACCEPT_SHA = hashlib.sha1(ACCEPT_SCRIPT.encode(), usedforsecurity=False).hexdigest()

SEEN_FOR = 7 * 24 * 3600 * 1000
"""How long an accepted event is remembered, in ms; Meta gives up its retries long before."""
SHOWN_AS_PAUSED = 10_000
"""How long a pause is shown beyond its end, in ms: a remote that is still down is paused anew soon after."""


class Row(msgspec.Struct, frozen=True):
    """An event to accept.

    `key` is the same for every delivery of the same event. `time` is when it happened, in ms. A row without a
    queue only leaves `body` under its key.
    """

    key: str
    queue: str
    time: int
    body: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter: an event that could not be delivered. `reason` is in plain words."""

    id: int
    queue: str
    time: int
    body: str
    reason: str
    died_at: str
    history: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class State:
    """How much there is to do, by the store's clock; times are in seconds.

    `oldest` is the age of the oldest accepted event that is not done, whatever it waits for; `overdue` is how
    long a queue that could be worked on waits for a worker. `pauses` tells of each remote that ever was
    paused whether it still is.
    """

    queues: int
    oldest: float
    overdue: float
    dead: int
    pauses: Mapping[str, bool]


class Inbox:
    """The inbox as the tasks and the command line use it. Raises `redis.RedisError` if the store is away.

    `prefix` begins each of its keys.
    """

    def __init__(self, store: redis.Redis, lease: float = 15.0, prefix: str = "") -> None:
        self.store = store
        self.prefix = prefix + "mc:"
        self._lease = lease
        self._script = store.register_script(SCRIPT)
        self._accept = store.register_script(ACCEPT_SCRIPT)

    def _run(self, name: str, *arguments: Any) -> Any:
        return self._script(args=[self.prefix, name, *arguments])

    def key(self, name: str) -> str:
        """Return the whole name of a key."""
        return self.prefix + name

    def accept(self, rows: Iterable[Row]) -> int:
        """Store events and return how many queues now want a worker.

        Raises `redis.OutOfMemoryError` if the store is nearly full.
        """
        return int(self._accept(args=accept_arguments(rows, self.prefix)))

    def claim(self, queue: str = "", cached: Sequence[str] = ()) -> Lease | None:
        """Take the lease of the queue whose turn it is, or of a certain one; None if there is none to take.

        The lease knows what is cached of its person under these names.
        """
        token, asked = secrets.token_hex(8), time.monotonic()
        newest = secrets.randbelow(2)
        answer = self._run("claim", token, _ms(self._lease), newest, queue, *cached)
        if not answer:
            return None
        lease = Lease(self, answer[0].decode(), token, _event(answer), asked + self._lease)
        lease.learn({name: value for name, value in zip(cached, answer[3], strict=True) if value is not None})
        return lease

    def renew(self, lease: Lease) -> float:
        """Renew a lease and return its new deadline."""
        asked = time.monotonic()
        good = self._run("renew", lease.queue, lease.token, _ms(self._lease))
        return asked + self._lease if good else 0.0

    def save_step(self, lease: Lease, name: str, value: str) -> str:
        """Record a step and return its value; `NOW` is the store's time. Raises `LeaseLost`."""
        recorded = self._run("record", lease.queue, lease.token, lease.event.id, f"step:{name}", value)
        if recorded is None:
            lease.deadline = 0.0
            lease.check()
            return ""
        return cast("bytes", recorded).decode()

    def finish(self, lease: Lease, counter: str, letter: str, step: tuple[str, str]) -> Event | None:
        """Take the head off a queue and return the next one, for which a step is recorded, if one is named.

        An empty queue ends the lease.
        """
        name, value = step
        recorded = (f"step:{name}", value) if name else NO_STEP
        id_ = lease.event.id
        answer = self._run("finish", lease.queue, lease.token, id_, counter, letter, *recorded)
        return _event(answer) if answer else None

    def retry_later(self, lease: Lease, delay: float, attempts: int, history: str) -> None:
        """Put a queue off."""
        self._run("later", lease.queue, lease.token, lease.event.id, _ms(delay), attempts, history)

    def wait(self, lease: Lease, remote: str, attempts: int, history: str) -> None:
        """Put a queue off until a remote is back."""
        self._run("wait", lease.queue, lease.token, lease.event.id, remote, attempts, history)

    def release(self, lease: Lease) -> None:
        """Give a queue back."""
        self._run("release", lease.queue, lease.token)

    def sweep(self, limit: int, enough: int) -> int:
        """Have queues that are due wait for a worker, `limit` at most.

        Return how many want one; no more than is `enough` to know.
        """
        return int(self._run("sweep", limit, enough))

    def state(self) -> State:
        """Return how much there is to do."""
        queues, oldest, overdue, dead, *pauses = self._run("state")
        lasts = zip(pauses[::2], pauses[1::2], strict=True)
        paused = {remote.decode(): float(left) > -SHOWN_AS_PAUSED for remote, left in lasts}
        return State(queues, oldest / 1000, overdue / 1000, dead, paused)

    def has_room(self) -> bool:
        """Write to the store, and tell whether it takes more events."""
        return bool(self._run("probe"))

    def last(self) -> dict[str, float]:
        """Return when something last happened, in seconds since 1970.

        The names are `in:<page>:` (a customer's event was accepted), `out:<page>:` (an agent's), and
        `sent:<page>:` (a reply was sent).
        """
        found = cast("dict[bytes, bytes]", self.store.hgetall(self.key("last")))
        return {name.decode(): int(at) / 1000 for name, at in found.items()}

    def waiting(self) -> Iterator[tuple[str, float]]:
        """Yield each queue that has work, and when its oldest event was accepted (seconds since 1970)."""
        for queue, at in self.store.zscan_iter(self.key("oldest"), count=1000):
            yield queue.decode(), at / 1000

    def reasons(self) -> dict[str, str]:
        """Return why each remote that is paused is, or that was and has not worked since."""
        remotes = cast("list[bytes]", self.store.zrange(self.key("pauses"), 0, -1))
        found = {
            remote.decode(): self.store.hget(self.key(f"pause:{remote.decode()}"), "reason")
            for remote in remotes
        }
        return {remote: cast("bytes", reason).decode() for remote, reason in found.items() if reason}

    def note_refusals(self, name: str, count: int) -> None:
        """Add to how many webhooks were refused; the name is `<door> <page> <reason>`."""
        self._run("refuse", name, count)

    def refusals(self) -> dict[str, tuple[int, float]]:
        """Return how many webhooks were refused, and when the last one was (seconds since 1970)."""
        found = cast("dict[bytes, bytes]", self.store.hgetall(self.key("refused")))
        counts = {name.decode(): value.split(b" ") for name, value in found.items()}
        return {name: (int(count), int(at) / 1000) for name, (count, at) in counts.items()}

    def stats(self) -> dict[str, int]:
        """Return how many events were accepted, relayed, postponed and given up, by direction."""
        counts = cast("dict[bytes, bytes]", self.store.hgetall(self.key("stats")))
        return {name.decode(): int(count) for name, count in counts.items()}

    def given_up(self) -> dict[str, int]:
        """Return how many dead letters there ever were, by the code of their reason."""
        counts = cast("dict[bytes, bytes]", self.store.hgetall(self.key("given_up")))
        return {code.decode(): int(count) for code, count in counts.items()}

    def now(self) -> float:
        """Return the store's time, in seconds since 1970. All that is due, or has an age, goes by it."""
        seconds, microseconds = self.store.time()
        return seconds + microseconds / 1e6

    def pause(self, remote: str, seconds: float, reason: str, rate: float = 0) -> None:
        """Send nothing to a remote for a while: `helpdesk`, or `page:<page_id>`.

        With a `rate` only so many queues a second go on afterwards, and soon more; else a single one is
        tried, and all others follow when it has worked.
        """
        self._run("pause", remote, _ms(seconds), rate, reason)

    def note(self, name: str, member: str, at: int, seconds: float) -> None:
        """Keep a member of a sorted set at `at` (ms), and none that is so many seconds older."""
        self._run("note", name, member, at, _ms(seconds))

    def echo(self, page_id: str, echo_metadata: str) -> tuple[str, str] | None:
        """Return the mid of a part that came back as an echo, and its time (ms) if it is known."""
        left = cast("bytes | None", self.store.get(self.key(echo_key(page_id, echo_metadata))))
        if not left:
            return None
        mid, _, time_ = left.decode().partition(" ")  # 0.1.0 left the mid only
        return mid, time_

    def steps(self, queue: str) -> dict[str, str]:
        """Return the steps taken so far of the event at the head of a queue, whoever works on it."""
        head = cast("list[bytes]", self.store.zrange(f"{self.prefix}jobs:{queue}", 0, 0))
        if not head:
            return {}
        id_ = int(head[0].partition(b" ")[0])
        record = cast("dict[bytes, bytes]", self.store.hgetall(f"{self.prefix}event:{id_}"))
        steps = ((name.decode(), value.decode()) for name, value in record.items())
        return {name.removeprefix("step:"): value for name, value in steps if name.startswith("step:")}

    def letters(self) -> list[DeadLetter]:
        """Return the dead letters, the oldest first."""
        found = cast("dict[bytes, bytes]", self.store.hgetall(self.key("dead")))
        return sorted(
            (_dead_letter(id_, value) for id_, value in found.items()), key=lambda letter: letter.id
        )

    def letter(self, id_: int) -> DeadLetter | None:
        """Return one dead letter."""
        value = cast("bytes | None", self.store.hget(self.key("dead"), str(id_)))
        return _dead_letter(id_, value) if value else None

    def requeue(self, letter: DeadLetter) -> bool:
        """Put a dead letter back into its queue, in its place by time."""
        return bool(self._run("requeue", letter.id, letter.queue, letter.time, letter.body))

    def drop(self, id_: int) -> bool:
        """Throw a dead letter away."""
        return bool(self._run("drop", id_))


_pack = msgspec.msgpack.Encoder().encode  # texts only: the store's MessagePack knows no bytes


def accept_arguments(rows: Iterable[Row], prefix: str) -> list[Any]:
    """Return what the script takes to accept rows; `prefix` is the inbox's."""
    flat = [part for row in rows for part in (row.key, row.queue, str(row.time), row.body)]
    return [prefix, "accept", SEEN_FOR, _pack(flat)]


def seen_key(key: str) -> str:
    """Name the mark that an event was accepted."""
    return f"seen:{key}"


def echo_key(page_id: str, echo_metadata: str) -> str:
    """Name the record that a part of a reply came back as an echo."""
    return f"echo:{page_id}:{echo_metadata}"


def _event(answer: Sequence[Any]) -> Event:
    id_, accepted, time_, body = answer[1].split(b" ", 3)
    pairs = [part.decode() for part in answer[2]]
    record = dict(zip(pairs[::2], pairs[1::2], strict=True))
    steps = {name.removeprefix("step:"): value for name, value in record.items() if name.startswith("step:")}
    return Event(
        id=int(id_),
        accepted=int(accepted),
        time=int(time_),
        body=body,
        attempts=_read(record.get("attempts", ""), int, 0),
        history=_read(record.get("history", ""), _History, ()),
        steps=steps,
        helpdesk_paused=bool(answer[4]),
    )


_History = tuple[dict[str, str], ...]


def _read(text: str | bytes, type_: type[T], absent: T) -> T:
    """Read a value that this version wrote, or another one: of another shape it counts as absent."""
    try:
        return msgspec.json.decode(text, type=type_)
    except msgspec.MsgspecError:
        return absent


class _Buried(msgspec.Struct):
    """A dead letter as the store has it; what other versions wrote beside that is left alone."""

    queue: str = ""
    time: int = 0
    body: str = ""
    reason: str = ""
    died_at: str = ""
    history: _History = ()


def _dead_letter(id_: bytes | int, value: bytes) -> DeadLetter:
    unread = _Buried(body=value.decode(), reason=encode(notice("unreadable_letter")))
    return DeadLetter(id=int(id_), **msgspec.structs.asdict(_read(value, _Buried, unread)))


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
