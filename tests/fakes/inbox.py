"""The inbox on a real store, seen from outside, and what most of its tests begin with."""

from typing import Any

from clients.channel import Conversation
from tasks.inbox.inbox import DeadLetter, Inbox, Row, seen_key
from tasks.inbox.lease import Lease

PERSON = Conversation("chat", "1", "2")
THREAD, OTHER = "in:chat:1:2", "in:chat:1:3"
REMOTE = "helpdesk"
REPLY, PAGE = "out:chat:1:2", "chat:1"


def row(name: str, at: int = 10, thread: str = THREAD) -> Row:
    return Row(seen_key(name), thread, at, name)


class Stored:
    """What the store holds, and a clock that can be moved for one thread."""

    def __init__(self, inbox: Inbox) -> None:
        self._store: Any = inbox.store

    def queue(self, thread: str = THREAD) -> list[str]:
        """Return the bodies of the events that wait in a thread, the head first."""
        return [event.split(b" ", 3)[3].decode() for event in self._store.zrange(f"mc:jobs:{thread}", 0, -1)]

    def lease(self, thread: str = THREAD) -> dict[str, str]:
        """Return what is kept of a thread's lease."""
        found = self._store.hgetall(f"mc:lease:{thread}")
        return {name.decode(): value.decode() for name, value in found.items()}

    def due_in(self, thread: str = THREAD) -> float | None:
        """Return in how many seconds a thread is due, 0 if it waits for a worker; None if it has no work."""
        if self._store.zscore(f"mc:ready:{self.place(thread)}", thread) is not None:
            return 0.0
        at = self._store.zscore("mc:later", thread)
        seconds, microseconds = self._store.time()
        return None if at is None else at / 1000 - seconds - microseconds / 1e6

    def place(self, thread: str) -> str:
        """Return the group in which a thread waits."""
        remote = self.lease(thread).get("waits_for")
        return (f"{remote}+" if remote else "") + thread.rpartition(":")[0] + ":"

    def expire(self, thread: str = THREAD) -> None:
        """Let a lease run out."""
        self._end(thread, "until")

    def end_backoff(self, thread: str = THREAD) -> None:
        """Let the backoff of a head be over."""
        self._end(thread, "not_before")

    def _end(self, thread: str, name: str) -> None:
        if self._store.hexists(f"mc:lease:{thread}", name):
            self._store.hset(f"mc:lease:{thread}", name, 0)
            self._store.zadd("mc:later", {thread: 0}, xx=True)

    def end_pause(self, remote: str = REMOTE) -> None:
        """Let the pause of a remote be over."""
        self._store.zadd("mc:pauses", {remote: 0}, xx=True)

    def make_older(self, name: str, seconds: float, thread: str = THREAD) -> None:
        """Have an event be accepted earlier than it was; it is the oldest of its thread."""
        jobs = f"mc:jobs:{thread}"
        event, at = next(
            one for one in self._store.zrange(jobs, 0, -1, withscores=True) if one[0].endswith(name.encode())
        )
        id_, accepted, rest = event.split(b" ", 2)
        earlier = int(accepted) - int(1000 * seconds)
        self._store.zrem(jobs, event)
        self._store.zadd(jobs, {b"%s %d %s" % (id_, earlier, rest): at})
        self._store.zadd("mc:oldest", {thread: earlier})

    def wait_for(self, seconds: float, thread: str = THREAD) -> None:
        """Have a thread wait for a worker for longer than it does."""
        group = thread.rpartition(":")[0] + ":"
        self._store.zincrby(f"mc:ready:{group}", -1000 * seconds, thread)

    def names(self) -> set[str]:
        """Return all keys but those that go by themselves within seconds, and those of Celery's queue."""
        names = {key.decode() for key in self._store.scan_iter()}
        passing = ("mc:taken:", "mc:room")
        return {name for name in names if name.startswith("mc:") and not name.startswith(passing)}


def claimed(inbox: Inbox, thread: str = THREAD) -> Lease:
    """Claim a thread that can be claimed."""
    lease = inbox.claim(thread)
    assert lease is not None
    return lease


def begin(inbox: Inbox, *rows: Row) -> Lease:
    """Accept events and claim their thread."""
    inbox.accept(rows or [row("a"), row("b")])
    return claimed(inbox)


def buried(inbox: Inbox, *rows: Row) -> DeadLetter:
    """Return the letter of the first of some events, with the others let go of."""
    lease = begin(inbox, *(rows or [row("a", 20)]))
    if lease.move_to_dead_letters("refused"):
        lease.release()
    (letter,) = inbox.letters()
    return letter


def buried_with_a_step(inbox: Inbox, name: str, at: int = 10) -> DeadLetter:
    lease = begin(inbox, row(name, at))
    lease.save_step("call", "ticket")
    lease.save_step("failed", "refused")
    lease.move_to_dead_letters("refused")
    return inbox.letters()[-1]


def turns(inbox: Inbox, count: int) -> list[str]:
    """Return the threads of so many claims; none is let go of."""
    return [claimed(inbox, "").queue for _ in range(count)]


def wait(inbox: Inbox, page: str, *people: int, direction: str = "in") -> None:
    """Have people wait for a worker, one after the other."""
    for person in people:
        name = f"{direction}:chat:{page}:{person}"
        inbox.accept([row(name, thread=name)])
