"""The inbox: every accepted job, in its queue's order, until it is done. `inbox.lua` holds its rules."""

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import redis

from clients.channel import Conversation
from tasks.inbox.backfills import Backfills
from tasks.inbox.connections import ConnectionRecords
from tasks.inbox.job import Job, PartEcho, read_job
from tasks.inbox.kept_jobs import KeptJobs
from tasks.inbox.lease import Lease
from tasks.inbox.personal import Personal
from tasks.inbox.queues import name_of, outbound_queue, person_key
from tasks.inbox.script import InboxScript, ms

SEEN_FOR = 7 * 24 * 3600 * 1000
"""How long the key of an accepted job is remembered, in ms; channels give up their retries long before."""
SHOWN_AS_PAUSED = 10_000
"""How long a pause is shown beyond its end, in ms: a remote that is still down is paused anew soon after."""
SHOWN_AS_SLOWED = 60_000
"""How long a remote is shown as slowed down after that was asked for, in ms."""
FORGOTTEN_FOR = 31 * 24 * 3600
"""How long it is known that a person was forgotten, in seconds: for longer than a history is fetched."""
HOUR = 3600
AT_ONCE = 1000
"""How many members one call of the script takes out of a set; Lua has a limit."""
REWRITE_EVERY = 60.0
"""How often the store is asked at most to write its file anew, in seconds."""


@dataclass(frozen=True, slots=True)
class InboxState:
    """How much there is to do, by the store's clock; times are in seconds.

    `oldest` is the age of the oldest accepted job that is not done, whatever it waits for; `overdue` is how
    long a queue that could be worked on waits for a worker. `pauses` says of each remote that ever was
    paused whether it still is.
    """

    queues: int
    oldest: float
    overdue: float
    dead: int
    pauses: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a remote is paused, and since when: the first of the pauses in a row (seconds since 1970).

    `until` is when the last one ends, or ended.
    """

    reason: str
    since: float | None
    until: float


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened at an account of late; times are in seconds since 1970, None if never.

    `came` and `left` count the events that came and the replies that were sent in each of the last 24 hours,
    that of this one last. `dead` counts its dead letters.
    """

    last_in: float | None
    last_out: float | None
    came: Sequence[int]
    left: Sequence[int]
    dead: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A customer whom nobody answered, and of whom agents are to be reminded.

    `queue` is that of their replies, `closes` (ms) when their reply window does; `at` is for `forget_due`.
    """

    queue: str
    at: str
    ticket_id: str
    closes: int


class Inbox:
    """The inbox as the tasks and the command line use it.

    Raises `redis.RedisError` if the store is away, or holds another format: nothing is written then.
    `lease` is how long a lease lasts, in seconds; `prefix` begins each key.
    """

    def __init__(self, store: redis.Redis, lease: float = 15.0, prefix: str = "") -> None:
        self.store = store
        self.prefix = prefix + "mc:"
        self._lease = lease
        self._script = InboxScript(store, self.prefix)
        self.connections = ConnectionRecords(self._script)
        self.backfills = Backfills(self._script)
        self.dead_letters = KeptJobs(self._script, "dead", "requeue", "drop")
        self.unknown_events = KeptJobs(self._script, "unknown", "replay", "drop_unknown")

    def key(self, name: str) -> str:
        """Return the whole name of a key."""
        return self._script.key(name)

    def now(self) -> float:
        """Return the store's time, in seconds since 1970. All that is due, or has an age, goes by it."""
        return self._script.now()

    def start(self) -> None:
        """Mark the store with this version's format. Raises `redis.ResponseError` if it is not."""
        self._script.run("start")

    def accept(self, jobs: Iterable[Job | PartEcho]) -> int:
        """Store jobs. Return how many queues want a worker.

        Raises `redis.OutOfMemoryError` if the store is nearly full.
        """
        return int(self._script.add("accept", *accept_arguments(jobs)))

    def accept_fetched(self, jobs: Iterable[Job | PartEcho], known_by: Iterable[str]) -> int:
        """Store jobs that no webhook brought; if one brings the same by one of these keys, it is known.

        Return and raise as `accept`.
        """
        return int(self._script.add("accept", *accept_arguments(jobs), _pack(list(known_by))))

    def seen(self, keys: Sequence[str]) -> set[str]:
        """Return which of these keys are those of jobs that were accepted, as far as that is remembered."""
        with self.store.pipeline(transaction=False) as asked:
            for key in keys:
                asked.exists(self.key(f"seen:{key}"))
            return {key for key, found in zip(keys, asked.execute(), strict=True) if found}

    def claim(self, queue: str = "", cached: Sequence[Personal] = ()) -> Lease | None:
        """Take the lease of the queue whose turn it is, or of a certain one; None if there is none to take.

        `cached` names what the lease reads along from the cache of its person.
        """
        token, asked = secrets.token_hex(8), time.monotonic()
        newest = secrets.randbelow(2)
        answer = self._script.run("claim", token, ms(self._lease), newest, queue, *cached)
        if not answer:
            return None
        lease = Lease(self._script, token, self._lease, asked, answer)
        lease.learn({name: value for name, value in zip(cached, answer[3], strict=True) if value is not None})
        return lease

    def sweep(self, limit: int, enough: int) -> int:
        """Mark at most `limit` queues that are due as waiting for a worker.

        Return how many want one; no more than is `enough` to know.
        """
        return int(self._script.run("sweep", limit, enough))

    def state(self) -> InboxState:
        """Return how much there is to do."""
        queues, oldest, overdue, dead, *pauses = self._script.run("state")
        lasts = zip(pauses[::2], pauses[1::2], strict=True)
        paused = {remote.decode(): float(left) > -SHOWN_AS_PAUSED for remote, left in lasts}
        return InboxState(queues, oldest / 1000, overdue / 1000, dead, paused)

    def has_room(self) -> bool:
        """Write to the store, and return whether it takes more jobs."""
        return bool(self._script.run("probe"))

    def last(self) -> dict[str, float]:
        """Return when something last happened, in seconds since 1970.

        The names are `in:<channel>:<account>:` (a customer's event was accepted), `out:…` (an agent's), and
        `sent:…` (a reply was sent).
        """
        found = cast("dict[bytes, bytes]", self.store.hgetall(self.key("last")))
        return {name.decode(): int(at) / 1000 for name, at in found.items()}

    def activity(self, names: Sequence[str]) -> list[Activity]:
        """Return what happened of late, by accounts (remotes)."""
        this_hour = int(self.now() // HOUR)
        days = (this_hour // 24 - 1, this_hour // 24)
        with self.store.pipeline(transaction=False) as asked:
            for name in names:
                asked.hmget(self.key("last"), f"in:{name}:", f"sent:{name}:")
                asked.zcard(self.key(f"dead:{name}"))
                for way in ("in", "sent"):
                    for day in days:
                        asked.hgetall(self.key(f"day:{day}:{way}:{name}:"))
            answers = iter(asked.execute())
        return [_activity(this_hour, *(next(answers) for _ in range(6))) for _ in names]

    def dead_ids(self, name: str) -> list[int]:
        """Return the ids of the dead letters of an account, the newest first."""
        found = cast("list[bytes]", self.store.zrevrange(self.key(f"dead:{name}"), 0, -1))
        return list(map(int, found))

    def waiting(self) -> Iterator[tuple[str, float]]:
        """Yield each queue that has work, and when its oldest job was accepted (seconds since 1970)."""
        for queue, at in self.store.zscan_iter(self.key("oldest"), count=1000):
            yield queue.decode(), at / 1000

    def oldest_queue(self) -> str:
        """Return the queue of the oldest work; empty if there is none."""
        found = cast("list[bytes]", self.store.zrange(self.key("oldest"), 0, 0))
        return found[0].decode() if found else ""

    def pause(
        self, remote: str, seconds: float, reason: str, rate: float = 0, doubles_to: float = 0
    ) -> float:
        """Send nothing to a remote for a while: `helpdesk`, or `<channel>:<account>`; return how long.

        With a `rate` only so many queues a second go on afterwards, and soon more; else a single one is
        tried, and all others follow when it has worked. With `doubles_to` (seconds) each such pause is twice
        as long as the one before, up to that, until something has worked.
        """
        longest = ms(doubles_to) if doubles_to else 0
        return float(self._script.run("pause", remote, ms(seconds), rate, reason, longest)) / 1000

    def slow(self, remote: str, rate: float, reason: str, seconds: float = 0) -> None:
        """Have so many queues a second at most go on with a remote, and soon more, perhaps after a pause.

        It goes on no sooner, and no faster, than it would without this.
        """
        self._script.run("slow", remote, ms(seconds) if seconds else 0, rate, reason, SHOWN_AS_SLOWED)

    def slowed(self, remote: str) -> str | None:
        """Return why a remote is slowed down, if it is."""
        reason = self.get(f"slowed:{remote}")
        return reason.decode() if reason else None

    def slowed_of(self, remotes: Sequence[str]) -> list[str | None]:
        """Return why each of these is slowed down; None if it is not."""
        names = [self.key(f"slowed:{remote}") for remote in remotes]
        found = cast("list[bytes | None]", self.store.mget(names)) if names else []
        return [reason.decode() if reason else None for reason in found]

    def pauses(self) -> dict[str, Pause]:
        """Return the pause of each remote that is paused, or that was and has not worked since."""
        remotes = cast("list[bytes]", self.store.zrange(self.key("pauses"), 0, -1))
        return self.pauses_of([remote.decode() for remote in remotes])

    def pauses_of(self, remotes: Sequence[str]) -> dict[str, Pause]:
        """Return, as `pauses` does, those of some remotes."""
        with self.store.pipeline(transaction=False) as asked:
            for remote in remotes:
                asked.hmget(self.key(f"pause:{remote}"), "reason", "began")
                asked.zscore(self.key("pauses"), remote)
            found = asked.execute()
        return {
            remote: Pause(reason.decode(), int(began) / 1000 if began else None, (ends or 0) / 1000)
            for remote, (reason, began), ends in zip(remotes, found[::2], found[1::2], strict=True)
            if reason
        }

    def reasons(self) -> dict[str, str]:
        """Return why each remote that is paused is, or that was and has not worked since."""
        return {remote: pause.reason for remote, pause in self.pauses().items()}

    def note_refusals(self, name: str, count: int) -> None:
        """Add to how many webhooks were refused; the name is `<endpoint> <account> <reason>`."""
        self._script.run("refuse", name, count)

    def refusals(self) -> dict[str, tuple[int, float]]:
        """Return how many webhooks were refused, and when the last one was (seconds since 1970)."""
        found = cast("dict[bytes, bytes]", self.store.hgetall(self.key("refused")))
        counts = {name.decode(): value.split(b" ") for name, value in found.items()}
        return {name: (int(count), int(at) / 1000) for name, (count, at) in counts.items()}

    def refused_since(self, remote: str) -> float | None:
        """Return since when webhooks of an account were refused that nobody looked after, in seconds."""
        found = self.store.zscore(self.key("refusing"), remote)
        return None if found is None else found / 1000

    def forget_refused(self, remote: str) -> None:
        """Note no longer that webhooks of an account were refused."""
        self._script.run("forget_noted", "refusing", remote)

    def stats(self) -> dict[str, int]:
        """Return how many jobs were accepted, relayed, postponed and given up, by direction."""
        counts = cast("dict[bytes, bytes]", self.store.hgetall(self.key("stats")))
        return {name.decode(): int(count) for name, count in counts.items()}

    def given_up(self) -> dict[str, int]:
        """Return how many dead letters there ever were, by the code of their reason."""
        counts = cast("dict[bytes, bytes]", self.store.hgetall(self.key("given_up")))
        return {code.decode(): int(count) for code, count in counts.items()}

    def part_echo(self, conversation: Conversation, echo_metadata: str) -> PartEcho | None:
        """Return the echo of a part; None if it has not come."""
        for member, _ in reversed(self.noted(Personal.ECHO, conversation)):
            metadata, message_id, at = msgspec.json.decode(member)
            if metadata == echo_metadata:
                return PartEcho(
                    conversation=conversation, echo_metadata=metadata, message_id=message_id, time=at
                )
        return None

    def echoed_of(self, conversations: Sequence[Conversation]) -> list[set[str]]:
        """Return of each person the message ids of the parts whose echoes came."""
        noted = self.noted_of([Personal.ECHO], conversations)
        return [{msgspec.json.decode(echo)[1] for echo in one[Personal.ECHO]} for one in noted]

    def steps(self, queue: str) -> dict[str, str]:
        """Return the steps taken so far of the job at the head of a queue, whoever works on it."""
        head = cast("list[bytes]", self.store.zrange(self.key(f"jobs:{queue}"), 0, 0))
        if not head:
            return {}
        return dict(read_job(queue, head[0], self._record(head[0])).steps)

    def _record(self, entry: bytes) -> list[bytes]:
        """Return what is known of a begun job: names and values, one after the other."""
        id_ = int(entry.partition(b" ")[0])
        record = cast("dict[bytes, bytes]", self.store.hgetall(self.key(f"job:{id_}")))
        return [part for pair in record.items() for part in pair]

    def get(self, name: str) -> bytes | None:
        """Return a value that was put under a name; None if there is none (any more)."""
        return cast("bytes | None", self.store.get(self.key(name)))

    def put(self, name: str, value: str, seconds: float = 0, *, only_new: bool = False) -> bool:
        """Store a value for so many seconds, 0 for ever; with `only_new` only if there is none.

        Return whether it was stored. Raises `redis.OutOfMemoryError`.
        """
        how = "NX" if only_new else ""
        return bool(self._script.add("put", name, value, ms(seconds) if seconds else 0, how))

    def delete(self, name: str) -> None:
        """Delete a value that was put under a name."""
        self._script.run("delete", name)

    def note_forgotten(self, conversation: Conversation) -> None:
        """Note that a person was forgotten, by a digest: what they said before is not to be fetched again."""
        with suppress(redis.OutOfMemoryError):
            self.put(_forgotten(conversation), str(ms(self.now())), FORGOTTEN_FOR)

    def forgotten_at(self, conversation: Conversation) -> int:
        """Return when a person was forgotten, in ms since 1970; 0 if they never were, lately."""
        return self.forgotten_of([conversation])[0]

    def forgotten_of(self, conversations: Sequence[Conversation]) -> list[int]:
        """Return, as `forgotten_at` does, when each person was forgotten."""
        keys = [self.key(_forgotten(one)) for one in conversations]
        found = cast("list[bytes | None]", self.store.mget(keys)) if keys else []
        return [int(at or 0) for at in found]

    def note_helpdesk_webhook(self) -> None:
        """Note that a webhook of the helpdesk's came. Raises `redis.OutOfMemoryError`."""
        self.put("helpdesk_webhook", str(self.now()))

    def helpdesk_webhook(self) -> float:
        """Return when `note_helpdesk_webhook` was called last, in seconds since 1970; 0 if it never was."""
        return float(self.get("helpdesk_webhook") or 0)

    def noted(self, name: Personal, conversation: Conversation) -> list[tuple[str, int]]:
        """Return what `Lease.note` kept of a person by a name, the oldest first, and of when it is (ms)."""
        found = self.store.zrange(self.key(person_key(name, conversation)), 0, -1, withscores=True)
        return [(member.decode(), int(at)) for member, at in cast("list[tuple[bytes, float]]", found)]

    def noted_of(
        self, names: Sequence[Personal], conversations: Sequence[Conversation]
    ) -> list[dict[Personal, list[str]]]:
        """Return of each person what is noted of them by each name, the oldest first."""
        with self.store.pipeline(transaction=False) as asked:
            for one in conversations:
                for name in names:
                    asked.zrange(self.key(person_key(name, one)), 0, -1)
            answers = iter(asked.execute())
        return [
            {name: [member.decode() for member in next(answers)] for name in names} for _ in conversations
        ]

    def forget_noted(self, name: Personal, conversation: Conversation, *members: str) -> None:
        """Keep members of what is noted of a person no longer."""
        key = person_key(name, conversation)
        for start in range(0, len(members), AT_ONCE):
            self._script.run("forget_noted", key, *members[start : start + AT_ONCE])

    def kept(self, name: Personal, conversation: Conversation) -> str | list[tuple[str, int]] | None:
        """Return what is kept of a person by a name, as text or as `noted` does; None if it is nothing."""
        key = self.key(person_key(name, conversation))
        if self.store.type(key) == b"zset":
            return self.noted(name, conversation)
        value = cast("bytes | None", self.store.get(key))
        return None if value is None else value.decode()

    def jobs(self, queue: str) -> list[Job]:
        """Return the jobs of a queue, the head first, with what is known of those that were begun."""
        entries = cast("list[bytes]", self.store.zrange(self.key(f"jobs:{queue}"), 0, -1))
        return [read_job(queue, entry, self._record(entry)) for entry in entries]

    def forget(self, conversation: Conversation) -> bool:
        """Delete a person's jobs, and what is kept of them by the names of `Personal`.

        Who works on one loses the lease; return whether somebody did. Their dead letters and unknown events
        stay.
        """
        at_work, left = False, 1
        while left:
            somebody, left = self._script.run("forget", name_of(conversation), AT_ONCE, *Personal)
            at_work = at_work or bool(somebody)
        return at_work

    def request_rewrite(self) -> None:
        """Have `rewrite` do so: something was deleted that is to be nowhere any more."""
        self._script.run("put", "rewrite", self.now(), 0, "")

    def rewrite(self) -> None:
        """Have the store write its file anew, if that was requested since the last time and it may be asked.

        What was deleted is in there until then. What is deleted later waits for the next time, in a minute.
        """
        keys = [self.key(name) for name in ("rewrite", "rewritten")]
        requested, last = (float(at or 0) for at in cast("list[bytes | None]", self.store.mget(keys)))
        if requested <= last or (now := self.now()) < last + REWRITE_EVERY:
            return
        try:
            self.store.bgrewriteaof()
        except (
            redis.ResponseError
        ) as error:  # there is no such file, or it is not allowed: nothing can be done
            if "in progress" in str(error):  # that one began before
                return
        self._script.run("put", "rewritten", now, 0, "")

    def note_answer(self, conversation: Conversation, closes: int) -> None:
        """Note that a person was answered, unless their reply window closes later than then (ms)."""
        self._script.run("note_answer", outbound_queue(conversation), closes)

    def unanswered(self, conversation: Conversation) -> tuple[int, str] | None:
        """Return when the reply window of a person whom nobody answered closes (ms), and their ticket."""
        noted = self.get(person_key(Personal.UNANSWERED, conversation))
        return _read_unanswered(noted) if noted else None

    def due_reminders(self, limit: int) -> list[Unanswered]:
        """Return whom agents are to be reminded of by now, those that are due longest first."""
        found = self._script.run("due_reminders", limit)
        due = []
        for queue, at, noted in zip(found[::3], found[1::3], found[2::3], strict=True):
            closes, ticket_id = _read_unanswered(noted)
            due.append(Unanswered(queue.decode(), at.decode(), ticket_id, closes))
        return due

    def forget_due(self, due: Iterable[Unanswered]) -> None:
        """Take reminders off the list of those that are to come, but not one that was moved meanwhile."""
        self._script.run("forget_due", *(value for one in due for value in (one.queue, one.at)))

    def take_turn(self, remote: str, spacing: float, longest: float) -> float | None:
        """Return how many seconds to wait until an account may be asked for its past; None if too long.

        `spacing` seconds later it is somebody else's turn. Who waits is counted in.
        """
        waits = self._script.run("take_turn", remote, ms(spacing), ms(longest))
        return None if waits is None else int(waits) / 1000

    def note_door(self, longest: float) -> None:
        """Note that webhooks can be stored now, and a gap if the last time is longer ago (seconds)."""
        self._script.run("note_door", ms(longest))

    def gaps(self) -> list[tuple[str, int]]:
        """Return the times in which no webhook could be stored: each as `noted`, and when it began (ms)."""
        found = cast("list[bytes]", self.store.zrange(self.key("gaps"), 0, -1))
        return [(gap.decode(), int(gap.partition(b" ")[0])) for gap in found]

    def forget_gap(self, member: str) -> None:
        """Note a gap no longer."""
        self._script.run("forget_noted", "gaps", member)

    def note_clock(self, name: str, measurement: bytes) -> None:
        """Store what was measured of a clock. Raises `redis.OutOfMemoryError`."""
        self._script.add("note_clock", name, measurement)

    def clocks(self) -> dict[str, bytes]:
        """Return what was measured of each clock last."""
        found = cast("dict[bytes, bytes]", self.store.hgetall(self.key("clocks")))
        return {name.decode(): measurement for name, measurement in found.items()}

    def plan_checks(self, names: Sequence[str], within: float, shared: Sequence[str]) -> None:
        """Have checked what never was: what all connections share now, the last of these `within` seconds."""
        if self.store.zcard(self.key("checks")) == len(names) + len(shared):
            return
        self._script.run("plan_checks", 0, *shared)
        for start in range(0, len(names), AT_ONCE):
            self._script.run("plan_checks", ms(within), *names[start : start + AT_ONCE])

    def due_checks(self, limit: int, every: float) -> list[str]:
        """Return which connections are to be checked now; each is due again after so many seconds."""
        return [name.decode() for name in self._script.run("due_checks", limit, ms(every))]

    def put_off_check(self, name: str, seconds: float) -> None:
        """Have a connection checked in so many seconds, and not before."""
        self._script.run("put_off_check", name, ms(seconds))

    def forget_checks(self, name: str) -> None:
        """Forget the checks of a connection that is not active any more, and what they found."""
        self._script.run("forget_checks", name)

    def note_findings(self, name: str, findings: bytes, checked: bytes = b"") -> None:
        """Keep what is wrong with a connection, empty is nothing, and what is known of its last check."""
        self._script.run("note_findings", name, findings, checked)

    def checked(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is kept about the last check of some connections."""
        return cast("list[bytes | None]", self.store.hmget(self.key("checked"), names) if names else [])

    def used_both_ways(self, names: Sequence[str]) -> set[str]:
        """Return of which accounts a message came and a reply was sent since they were connected."""
        if not names:
            return set()
        ways = [f"{way}:{name}:" for name in names for way in ("in", "sent")]
        last = cast("list[bytes | None]", self.store.hmget(self.key("last"), ways))
        since = cast("list[bytes | None]", self.store.hmget(self.key("connected"), names))
        used = zip(names, since, last[::2], last[1::2], strict=True)
        return {
            name
            for name, at, came, sent in used
            if at and came and sent and min(int(came), int(sent)) >= int(at)
        }

    def findings_of(self, name: str) -> bytes | None:
        """Return what is kept of what is wrong with a connection."""
        return cast("bytes | None", self.store.hget(self.key("findings"), name))

    def findings(self) -> dict[str, bytes]:
        """Return what is wrong with each connection that anything is wrong with."""
        found = cast("dict[bytes, bytes]", self.store.hgetall(self.key("findings")))
        return {name.decode(): findings for name, findings in found.items()}

    def mark_installation(self, name: str, seconds: float, *, is_sure: bool) -> str:
        """Mark the store for so long as an installation's, unless it is another's; return whose it is then.

        With `is_sure` it is not asked whose it was. Raises `redis.OutOfMemoryError`.
        """
        holder = self._script.add("mark_installation", name, ms(seconds), "1" if is_sure else "")
        return cast("bytes", holder).decode()


def _activity(
    this_hour: int,
    last: list[bytes | None],
    dead: int,
    *days: Mapping[bytes, bytes],
) -> Activity:
    came, left = (_hours(this_hour, *days[at : at + 2]) for at in (0, 2))
    last_in, last_out = (int(at) / 1000 if at else None for at in last)
    return Activity(last_in, last_out, came, left, dead)


def _hours(this_hour: int, yesterday: Mapping[bytes, bytes], today: Mapping[bytes, bytes]) -> tuple[int, ...]:
    """Return the counts of the last 24 hours, that of this one last."""
    counts = [int(day.get(str(hour).encode(), 0)) for day in (yesterday, today) for hour in range(24)]
    return tuple(counts[this_hour % 24 + 1 : this_hour % 24 + 25])


def _read_unanswered(noted: bytes) -> tuple[int, str]:
    closes, _, ticket_id = noted.decode().partition(" ")
    return int(closes), ticket_id


_pack = msgspec.msgpack.Encoder().encode  # texts only: the store's MessagePack knows no bytes


def _forgotten(conversation: Conversation) -> str:
    return f"forgotten:{hashlib.sha256(name_of(conversation).encode()).hexdigest()}"


def accept_arguments(jobs: Iterable[Job | PartEcho]) -> list[Any]:
    """Return what the script's `accept` takes."""
    packed: list[str] = []
    echoes: list[str] = []
    for job in jobs:
        if isinstance(job, Job):
            body, known_for = job.body.decode(errors="replace"), str(job.known_for or SEEN_FOR)
            packed += (job.key, job.queue, str(job.time), body, known_for)
        else:
            member = msgspec.json.encode((job.echo_metadata, job.message_id, job.time))
            echoes += (name_of(job.conversation), member.decode())
    return [SEEN_FOR, _pack(packed), _pack(echoes)]
