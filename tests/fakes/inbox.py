"""The inbox on a real store, seen from outside, and what most of its tests begin with."""

from typing import Any

from clients.channel import Conversation
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job, Step
from tasks.inbox.kept_jobs import KeptJob
from tasks.inbox.lease import Lease

PERSON = Conversation("chat", "1", "2")
QUEUE, OTHER = "in:chat:1:2", "in:chat:1:3"
REMOTE = "helpdesk"
REPLY, PAGE = "out:chat:1:2", "chat:1"


def new_job(name: str, at: int = 10, queue: str = QUEUE) -> Job:
    return Job(key=name, queue=queue, time=at, body=name.encode())


class Stored:
    """What the store holds, and a clock that can be moved for one queue."""

    def __init__(self, inbox: Inbox) -> None:
        self._store: Any = inbox.store

    def queue(self, queue: str = QUEUE) -> list[str]:
        """Return the bodies of the events that wait in a queue, the head first."""
        return [event.split(b" ", 3)[3].decode() for event in self._store.zrange(f"mc:jobs:{queue}", 0, -1)]

    def lease(self, queue: str = QUEUE) -> dict[str, str]:
        """Return what is kept of a queue's lease."""
        found = self._store.hgetall(f"mc:lease:{queue}")
        return {name.decode(): value.decode() for name, value in found.items()}

    def due_in(self, queue: str = QUEUE) -> float | None:
        """Return in how many seconds a queue is due, 0 if it waits for a worker; None if it has no work."""
        if self._store.zscore(f"mc:ready:{self.place(queue)}", queue) is not None:
            return 0.0
        at = self._store.zscore("mc:later", queue)
        seconds, microseconds = self._store.time()
        return None if at is None else at / 1000 - seconds - microseconds / 1e6

    def place(self, queue: str) -> str:
        """Return the group in which a queue waits."""
        remote = self.lease(queue).get("waits_for")
        return (f"{remote}+" if remote else "") + queue.rpartition(":")[0] + ":"

    def expire(self, queue: str = QUEUE) -> None:
        """Let a lease run out."""
        self._end(queue, "until")

    def end_backoff(self, queue: str = QUEUE) -> None:
        """Let the backoff of a head be over."""
        self._end(queue, "not_before")

    def _end(self, queue: str, name: str) -> None:
        if self._store.hexists(f"mc:lease:{queue}", name):
            self._store.hset(f"mc:lease:{queue}", name, 0)
            self._store.zadd("mc:later", {queue: 0}, xx=True)

    def end_pause(self, remote: str = REMOTE) -> None:
        """Let the pause of a remote be over."""
        self._store.zadd("mc:pauses", {remote: 0}, xx=True)

    def make_older(self, name: str, seconds: float, queue: str = QUEUE) -> None:
        """Have an event be accepted earlier than it was; it is the oldest of its queue."""
        jobs = f"mc:jobs:{queue}"
        event, at = next(
            one for one in self._store.zrange(jobs, 0, -1, withscores=True) if one[0].endswith(name.encode())
        )
        id_, accepted, rest = event.split(b" ", 2)
        earlier = int(accepted) - int(1000 * seconds)
        self._store.zrem(jobs, event)
        self._store.zadd(jobs, {b"%s %d %s" % (id_, earlier, rest): at})
        self._store.zadd("mc:oldest", {queue: earlier})

    def wait_for(self, seconds: float, queue: str = QUEUE) -> None:
        """Have a queue wait for a worker for longer than it does."""
        group = queue.rpartition(":")[0] + ":"
        self._store.zincrby(f"mc:ready:{group}", -1000 * seconds, queue)

    def names(self) -> set[str]:
        """Return all keys but the counts of days, those that go within seconds, and Celery's queues."""
        names = {key.decode() for key in self._store.scan_iter()}
        passing = ("mc:taken:", "mc:room", "mc:begun:", "mc:slots:", "mc:day:")
        return {name for name in names if name.startswith("mc:") and not name.startswith(passing)}


def claimed(inbox: Inbox, queue: str = QUEUE) -> Lease:
    """Claim a queue that can be claimed."""
    lease = inbox.claim(queue)
    assert lease is not None
    return lease


def begin(inbox: Inbox, *jobs: Job) -> Lease:
    """Accept events and claim their queue."""
    inbox.accept(jobs or [new_job("a"), new_job("b")])
    return claimed(inbox)


def died(inbox: Inbox, *jobs: Job) -> KeptJob:
    """Return the letter of the first of some events, with the others released."""
    lease = begin(inbox, *(jobs or [new_job("a", 20)]))
    if lease.move_to_dead_letters("refused"):
        lease.release()
    (letter,) = inbox.dead_letters.all()
    return letter


def died_with_a_step(inbox: Inbox, name: str, at: int = 10) -> KeptJob:
    lease = begin(inbox, new_job(name, at))
    lease.save_step(Step.call(), "ticket")
    lease.save_step(Step.failed(), "refused")
    lease.move_to_dead_letters("refused")
    return inbox.dead_letters.all()[-1]


def turns(inbox: Inbox, count: int) -> list[str]:
    """Return the queues of so many claims; none is released."""
    return [claimed(inbox, "").queue for _ in range(count)]


def wait(inbox: Inbox, page: str, *people: int, direction: str = "in") -> None:
    """Have people wait for a worker, one after the other."""
    for person in people:
        name = f"{direction}:chat:{page}:{person}"
        inbox.accept([new_job(name, queue=name)])
