"""A worker's lease of a queue: what is known of the event at its head, and how it goes on."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import redis

from clients.errors import LeaseLost, Paused

if TYPE_CHECKING:  # the inbox makes leases
    from tasks.inbox.inbox import Inbox

HISTORY_LENGTH = 10
"""How many failures of an event are kept; the first and the last ones tell the story."""

NO_STEP = ("", "")


@dataclass(frozen=True, slots=True)
class Event:
    """An accepted event with what is known of it: how often it failed, why, and the steps taken so far.

    In ms, `accepted` is when it came, by the store's clock, and `time` when it happened, by its sender's.
    `helpdesk_paused` tells whether the helpdesk was left alone when it was taken.
    """

    id: int
    accepted: int
    time: int
    body: bytes
    attempts: int = 0
    history: tuple[dict[str, str], ...] = ()
    steps: Mapping[str, str] = field(default_factory=dict)
    helpdesk_paused: bool = False


class Lease:
    """The right to work on a queue, and the event at its head.

    The lease is known to be good until `deadline` on this machine's monotonic clock, which goes on while the
    process is stopped.
    """

    def __init__(self, inbox: "Inbox", queue: str, token: str, event: Event, deadline: float) -> None:
        self.queue = queue
        self.token = token
        self.deadline = deadline
        self._inbox = inbox
        self._cached: dict[str, bytes] = {}
        self._recorded_ahead = self._next_step = NO_STEP
        self.asks_page = True
        """Whether the event asks its page for anything, if it is one that goes out: a receipt does not."""
        self._begin(event)

    def check(self) -> None:
        """Raise `LeaseLost` if another worker may have the queue by now."""
        if time.monotonic() > self.deadline:
            raise LeaseLost("the work on this queue was interrupted for too long")

    def need_helpdesk(self) -> None:
        """Raise `Paused` if the helpdesk is left alone: a reply comes as far as it can, then it waits."""
        if self.event.helpdesk_paused:
            raise Paused("helpdesk")

    def renew(self) -> None:
        """Keep the lease for another term. Once it is lost it stays lost."""
        self.deadline = self._inbox.renew(self)

    def step(self, name: str) -> str | None:
        """Return what was recorded for a step of the event at the head."""
        return self._steps.get(name)

    def recorded(self, prefix: str) -> list[str]:
        """Return what was recorded for the steps `<prefix>0`, `<prefix>1`, …, in their order."""
        numbers = sorted(int(name.removeprefix(prefix)) for name in self._steps if name.startswith(prefix))
        return [self._steps[f"{prefix}{number}"] for number in numbers]

    def save_step(self, name: str, value: str) -> str:
        """Record a step before the next one is taken. Raises `LeaseLost` if the lease is lost."""
        if (name, value) != self._recorded_ahead:
            value = self._inbox.save_step(self, name, value)
        self._recorded_ahead = NO_STEP
        self._steps[name] = value
        return value

    def save_time(self, name: str) -> None:
        """Record, by the store's clock, when a step is taken. Raises `LeaseLost` if the lease is lost."""
        self.save_step(name, "NOW")

    def age(self, name: str) -> float:
        """Return how many seconds ago a step was taken whose time was recorded, by the store's clock."""
        return self._inbox.now() - int(self._steps[name]) / 1000

    def waited(self) -> float:
        """Return how many seconds ago the event was accepted, by the store's clock."""
        return self._inbox.now() - self.event.accepted / 1000

    def foresee(self, name: str, value: str) -> None:
        """Have this step recorded for the next event, too, by the call that finishes this one.

        It says that the step may have been taken, so it is no harm if it never is. In a burst, b follows a:

        finish a               the store takes a off, and writes the step into the record of b
        save the step of b     nothing to do: it stands there already
        call for b             whoever dies here leaves a record that says to look for its trace

        So a message of a burst costs one call to the store, with one `fsync`, and not two.
        """
        self._next_step = (name, value)

    def complete_step(self, name: str, value: str) -> str:
        """Record a step that worked: the event gets on, so its attempts count from here."""
        self.attempts = 0
        return self.save_step(name, value)

    def finish(self) -> bool:
        """Take the done event off the queue. Return whether there is a next one."""
        return self._finish("relayed" if self.asks_page else "shown")

    def move_to_dead_letters(self, reason: str) -> bool:
        """Move the event to the dead letters. Return whether there is a next one."""
        letter = {
            "queue": self.queue,
            "time": self.event.time,
            "body": self.event.body.decode(),
            "reason": reason,
            "died_at": _now(),
            "history": self.event.history,
        }
        return self._finish("dead", json.dumps(letter))

    def learn(self, cached: Mapping[str, bytes]) -> None:
        """Take what was found in the cache."""
        self._cached |= cached

    def cached(self, name: str) -> bytes | None:
        """Return what is cached of the queue's person under a name that the lease was claimed with."""
        return self._cached.get(name)

    def cache(self, name: str, value: bytes, seconds: int) -> None:
        """Keep a value that can be lost without harm, for others and for the next event."""
        if self._cached.get(name) != value:
            with suppress(redis.OutOfMemoryError):
                self._inbox.store.set(self._cache_key(name), value, ex=seconds)
            self._cached[name] = value

    def forget(self, name: str) -> None:
        """Drop what is cached under a name."""
        self._inbox.store.delete(self._cache_key(name))
        self._cached.pop(name, None)

    def _cache_key(self, name: str) -> str:
        return self._inbox.key(f"{name}:{self.queue.partition(':')[2]}")

    def retry_later(self, delay: float, reason: str, *, counts: bool) -> None:
        """Let go of the queue and try its head again in `delay` seconds; `counts` burns an attempt."""
        self._inbox.retry_later(self, delay, self.attempts + counts, self._history_with(reason))

    def wait(self, remote: str, reason: str) -> None:
        """Let go of the queue and try its head again when a remote is back, which burns no attempt."""
        self._inbox.wait(self, remote, self.attempts, self._history_with(reason))

    def _history_with(self, reason: str) -> str:
        history = [*self.event.history, {"at": _now(), "reason": reason}]
        kept = [*history[: HISTORY_LENGTH // 2], *history[HISTORY_LENGTH // 2 :][-HISTORY_LENGTH // 2 :]]
        return json.dumps(kept)

    def release(self) -> None:
        """Let go of a queue that has more work."""
        self._inbox.release(self)

    def _finish(self, outcome: str, letter: str = "") -> bool:
        counter = f"{outcome}:{direction_of(self.queue)}"
        event = self._inbox.finish(self, counter, letter, self._next_step)
        if event is None:
            return False
        self._begin(event)
        return True

    def _begin(self, event: Event) -> None:
        self.event, self.attempts, self._steps = event, event.attempts, dict(event.steps)
        self._recorded_ahead = NO_STEP if self._next_step[0] in self._steps else self._next_step
        self._next_step = NO_STEP
        self.asks_page = True


def direction_of(queue: str) -> str:
    """Return the first part of a queue's name: which way its events go."""
    return queue.partition(":")[0]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
