"""A worker's lease of a queue: what is known of the job at its head, and how it goes on."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast

import redis

from clients.channel import Conversation, Rate
from clients.errors import Busy, LeaseLost, Paused
from tasks.inbox import kept_jobs
from tasks.inbox.job import Step, read_job
from tasks.inbox.personal import Personal
from tasks.inbox.queues import HELPDESK, conversation_of, direction_of, person_key
from tasks.inbox.script import InboxScript, ms

MOST_UNKNOWN, UNKNOWN_FOR = 1000, 30 * 24 * 3600
"""How many events of unknown kinds are kept, the newest, and for how long (seconds)."""
HISTORY_LENGTH = 10
"""How many failures of a job are kept: the first ones and the last ones."""

NO_STEP = (Step(), "")

RATE_WINDOW = 1.25
"""In how many seconds an account sends what it may send in one; calls may arrive closer than they left."""
SLOTS = 0.5
"""Which part of a rate is given out as slots to those who wait.

They come back with the sweep, once a second: all whose slot was in that second, or in two.
"""


class Lease:
    """The right to work on a queue, and the job at its head.

    The lease is known to be good until `deadline` on this machine's monotonic clock, which goes on while the
    process is stopped. It is `term` seconds long, from when it was `asked` for. `connections_version` is the
    version of the connections when the job was taken. Every method that changes the store raises
    `redis.RedisError` if it is away.
    """

    def __init__(
        self, script: InboxScript, token: str, term: float, asked: float, answer: Sequence[Any]
    ) -> None:
        self.token = token
        self.deadline = asked + term
        self._script = script
        self._term = term
        self._cached: dict[Personal, bytes] = {}
        self._saved_ahead = self._next_step = NO_STEP
        self._begin(answer)

    def _begin(self, answer: Sequence[Any]) -> None:
        queue, entry, record, _, helpdesk_paused, self.connections_version = answer
        self.queue = queue.decode()
        self.job = read_job(self.queue, entry, record)
        self.attempts, self._steps = self.job.attempts, dict(self.job.steps)
        self._helpdesk_paused = bool(helpdesk_paused)
        self._saved_ahead = NO_STEP if self._next_step[0] in self._steps else self._next_step
        self._next_step = NO_STEP
        self._wrote_at = ""
        self.asks_account = True
        """Whether the job asks its account for anything, if it goes out: a receipt or a reminder does not."""

    @cached_property
    def conversation(self) -> Conversation:
        """Return the conversation that the queue is of. Raises `ValueError` for a ticket's queue."""
        return conversation_of(self.queue)

    def check(self) -> None:
        """Raise `LeaseLost` if another worker may have the queue by now."""
        if time.monotonic() > self.deadline:
            raise LeaseLost("lease_lost")

    def need_helpdesk(self) -> None:
        """Raise `Paused` if the helpdesk was paused when the job was taken.

        A reply gets as far as it can without the helpdesk, then it waits.
        """
        if self._helpdesk_paused:
            raise Paused(HELPDESK)

    def renew(self) -> None:
        """Keep the lease for another term. Once it is lost it stays lost."""
        asked = time.monotonic()
        is_good = self._script.run("renew", self.queue, self.token, ms(self._term))
        self.deadline = asked + self._term if is_good else 0.0

    @property
    def steps(self) -> Mapping[str, str]:
        """Return the steps of the job at the head, and their values."""
        return self._steps

    def step(self, step: Step) -> str | None:
        """Return what was saved for a step of the job at the head; None if it was not taken."""
        return self._steps.get(step)

    def save_step(self, step: Step, value: str) -> str:
        """Save a step before the next one is taken. Raises `LeaseLost` if the lease is lost."""
        if (step, value) != self._saved_ahead:
            value = self._change("save_step", step, value)
        self._saved_ahead = NO_STEP
        self._steps[step] = value
        return value

    def save_time(self, step: Step, rate: Rate | None = None) -> None:
        """Save, by the store's clock, when a step is taken. Raises `LeaseLost` if the lease is lost.

        With a `rate`, which the account's queues share, this raises `Busy` until the job may go on.
        """
        if rate is None:
            self.save_step(step, "NOW")
            return
        limit = (rate.name, rate.per_second, ms(RATE_WINDOW), 1000 / (SLOTS * rate.per_second))
        wait, value = self._ask("begin", step, self._steps.get(step, ""), *limit)
        if wait:
            raise Busy("sending_at_full_speed", retry_after=wait / 1000)
        self._steps[step] = value.decode()

    def complete_step(self, step: Step, value: str) -> str:
        """Save a step that worked: the job gets on, so its attempts count from here."""
        self.attempts = 0
        return self.save_step(step, value)

    def undo_step(self, step: Step) -> None:
        """Take a step back that did not work for sure. Raises `LeaseLost` if the lease is lost."""
        self._change("undo_step", step)
        self._steps.pop(step, None)

    def note_unanswered(self, remind_at: int, closes: int, ticket_id: str) -> None:
        """Note, once, that nobody answered the message at the head yet, which stands on a ticket.

        In ms, a reminder is due at `remind_at`, and the reply window closes at `closes`; whatever is noted
        for a later one stays. Raises `LeaseLost` if the lease is lost.
        """
        step = Step.unanswered()
        if step not in self._steps:
            noted = (str(closes), ticket_id, str(remind_at), str(ms(Personal.UNANSWERED.seconds)))
            self._steps[step] = self._change("note_unanswered", step, *noted)

    def _change(self, name: str, step: Step, *value: str) -> str:
        """Change a step of the job at the head, and return its value."""
        return cast("bytes", self._ask(name, step, *value)).decode()

    def _ask(self, name: str, step: Step, *arguments: Any) -> Any:
        return self._need(
            self._script.run(name, self.queue, self.token, self.job.id, f"step:{step}", *arguments)
        )

    def _need(self, answer: object) -> object:
        """Return what the script answered. Raises `LeaseLost` if that is nothing, as the lease is lost."""
        if answer is None:
            self.deadline = 0.0
            self.check()
        return answer

    def age(self, step: Step) -> float:
        """Return how many seconds ago a step was taken whose time was saved, by the store's clock."""
        return self._script.now() - int(self._steps[step]) / 1000

    def waited(self) -> float:
        """Return how many seconds ago the job was accepted, by the store's clock."""
        return self._script.now() - self.job.accepted / 1000

    def foresee(self, step: Step, value: str) -> None:
        """Let the call that finishes this job save this step for the next one, too.

        It says that the step may have been taken, so it is no harm if it never is. In a burst, b follows a:

        finish a               the store takes a off, and writes the step into the record of b
        save the step of b     nothing to do: it stands there already
        call for b             whoever dies here leaves a record that says to look for its trace

        So a message of a burst costs one call to the store, with one `fsync`, and not two.
        """
        self._next_step = (step, value)

    def note_wrote_at(self, time: int) -> None:
        """Let the call that finishes this job note when the person wrote (ms), unless they wrote later."""
        self._wrote_at = str(min(time, self.job.accepted))

    def finish(self) -> bool:
        """Take the done job off the queue. Return whether there is a next one."""
        return self._finish("relayed" if self.asks_account else "shown")

    def move_to_dead_letters(self, reason: str, code: str = "other") -> bool:
        """Move the job to the dead letters, and count it by its code. Return whether there is a next one."""
        return self._finish("dead", kept_jobs.encode(self.job, reason), code)

    def has_earlier(self) -> bool:
        """Return whether a job waits that was sent before this one."""
        key = self._script.key(f"jobs:{self.queue}")
        found = cast("list[tuple[bytes, float]]", self._script.store.zrange(key, 1, 1, withscores=True))
        return any(at < self.job.time for _, at in found)

    def give_way(self) -> bool:
        """Go on with the job that was sent before this one, but came only after this one was begun.

        Return whether there is a next one.
        """
        answer = self._script.run("give_way", self.queue, self.token, self.job.id)
        if answer:
            self._begin(answer)
        return bool(answer)

    def keep_unknown(self, reason: str) -> None:
        """Keep the job for a version that knows its kind, beside what is done with it now.

        It may be repeated. Raises `LeaseLost`, or `redis.OutOfMemoryError` if the store is full.
        """
        kept = kept_jobs.encode(self.job, reason)
        bounds = MOST_UNKNOWN, ms(UNKNOWN_FOR)
        self._need(self._script.add("keep_unknown", self.queue, self.token, self.job.id, kept, *bounds))

    def _finish(self, outcome: str, letter: bytes = b"", code: str = "") -> bool:
        counter = f"{outcome}:{direction_of(self.queue)}"
        step, value = self._next_step
        ahead = (f"step:{step}", value) if step else NO_STEP
        answer = self._script.run(
            "finish", self.queue, self.token, self.job.id, counter, letter, *ahead, code, *self._noted()
        )
        if answer:
            self._begin(answer)
        return bool(answer)

    def _noted(self) -> Sequence[Any]:
        return (Personal.WROTE_AT, self._wrote_at, ms(Personal.WROTE_AT.seconds)) if self._wrote_at else ()

    def retry_later(self, delay: float, reason: str, *, counts: bool) -> None:
        """Release the queue and try its head again in `delay` seconds; `counts` burns an attempt."""
        self._put_off("retry_later", ms(delay), self.attempts + counts, reason)

    def wait(self, remote: str, reason: str) -> None:
        """Release the queue and try its head again when a remote is back, which burns no attempt."""
        self._put_off("wait", remote, self.attempts, reason)

    def _put_off(self, name: str, until: str | int, attempts: int, reason: str) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        history = [*self.job.history, {"at": at, "reason": reason}]
        kept = [*history[: HISTORY_LENGTH // 2], *history[HISTORY_LENGTH // 2 :][-HISTORY_LENGTH // 2 :]]
        self._script.run(name, self.queue, self.token, self.job.id, until, attempts, json.dumps(kept))

    def release(self) -> None:
        """Release a queue that has more work."""
        self._script.run("release", self.queue, self.token)

    def learn(self, cached: Mapping[Personal, bytes]) -> None:
        """Remember what was found in the cache, by name."""
        self._cached |= cached

    def cached(self, name: Personal) -> bytes | None:
        """Return what is cached of the queue's person under a name given to `Inbox.claim`, or None."""
        return self._cached.get(name)

    def cache(self, name: Personal, value: bytes, seconds: int = 0) -> None:
        """Cache a value for others and for the next job, perhaps for less time than it may be kept.

        It may be lost without harm. Raises `LeaseLost`.
        """
        if self._cached.get(name) != value:
            with suppress(redis.OutOfMemoryError):
                kept_for = ms(seconds or name.seconds)
                self._need(self._script.add("cache", self.queue, self.token, name, value, kept_for))
            self._cached[name] = value

    def note(self, name: Personal, member: str, at: int) -> None:
        """Keep a member of a sorted set at `at` (ms), and none that is too old. Raises `LeaseLost`."""
        kept_for = ms(name.seconds)
        self._need(self._script.run("note", self.queue, self.token, name, member, at, kept_for))

    def forget(self, name: Personal) -> None:
        """Drop what is cached under a name."""
        self._script.run("delete", self._person_key(name))
        self._cached.pop(name, None)

    def _person_key(self, name: Personal) -> str:
        return person_key(name, self.conversation)
