"""The connections as people look at them: does each work, since when, and what is to be done."""

import heapq
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain

from clients.channels.registry import CHANNELS
from clients.findings import Level
from clients.notices import Notice, decode, notice
from tasks.connections import Connection, Directory
from tasks.findings import Checked, KeptFinding, kept, last_check
from tasks.inbound.backfill import UnderWay, under_way
from tasks.inbox.inbox import Activity, Inbox, InboxState, Pause
from tasks.inbox.kept_jobs import KeptJob
from tasks.inbox.queues import HELPDESK, STORE, account_of, account_remote, direction_of

OVERDUE = 60.0
"""How long work may wait for a worker before that is told, in seconds."""


class State(StrEnum):
    """Whether a connection works; those that somebody has to do something about are first.

    One is `UNCHECKED` until that is known: no check has looked at it, and not both ways were used yet.
    """

    RECONNECT = "reconnect"
    ATTENTION = "attention"
    UNCHECKED = "unchecked"
    WORKING = "working"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Standing:
    """A connection, and whether it works.

    `since` is when what is wrong was found, or when it was switched off (seconds since 1970). `paused` says
    why nothing is sent.
    """

    connection: Connection
    state: State
    wrong: Sequence[KeptFinding] = ()
    paused: Notice | None = None
    since: float | None = None

    @property
    def remote(self) -> str:
        """Return the account as a remote."""
        return account_remote(self.connection.channel, self.connection.account_id)

    @property
    def stops_messages(self) -> bool:
        """Return whether what is wrong keeps messages or replies from getting through."""
        return self.paused is not None or any(one.stops_messages for one in self.wrong)

    @property
    def can_be_fixed(self) -> bool:
        """Return whether the connector can put something right by itself."""
        return any(one.finding.meaning.can_be_fixed for one in self.wrong)


@dataclass(slots=True)
class Waiting:
    """How many people wait for something, and since when the first does (seconds since 1970)."""

    people: int = 0
    since: float | None = None

    def add(self, at: float) -> None:
        """Count one."""
        self.people += 1
        self.since = at if self.since is None else min(at, self.since)


@dataclass(frozen=True, slots=True)
class Details:
    """What happened at an account of late, what of it waits (`inbound`, `outbound`), its last check."""

    activity: Activity
    inbound: Waiting = field(default_factory=Waiting)
    outbound: Waiting = field(default_factory=Waiting)
    slowed: Notice | None = None
    checked: Checked | None = None
    backfill: UnderWay | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What concerns all connections: how much there is to do, and whether helpdesk and store work.

    `oldest` is the age of the oldest work, `overdue` how long work waits that a worker could do (seconds).
    `since` is when what is wrong with the helpdesk was found (seconds since 1970).
    """

    people: int
    oldest: float
    overdue: float
    dead: int
    unknown: int
    helpdesk: Sequence[KeptFinding]
    paused: Notice | None
    store: Sequence[KeptFinding]
    since: float | None

    @property
    def stops_messages(self) -> bool:
        """Return whether no connection gets its messages through."""
        stops = any(one.finding.level == Level.STOPS_MESSAGES for one in (*self.store, *self.helpdesk))
        return stops or self.paused is not None or self.overdue > OVERDUE


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong: what, what it means for messages, what to do about it, since when."""

    what: Notice
    means: Notice | None
    todo: Notice | None
    since: float | None


def problem_of(kept: KeptFinding) -> Problem:
    """Return what a finding tells."""
    return Problem(kept.what, kept.finding.means, kept.finding.remedy, kept.since)


def shared_problems(shared: Shared) -> Iterator[Problem]:
    """Yield what is wrong with what all connections need."""
    yield from map(problem_of, (*shared.store, *shared.helpdesk))
    if shared.paused and not shared.helpdesk:
        what = notice("board_helpdesk_paused", reason=shared.paused)
        yield Problem(what, notice("board_helpdesk_means"), notice("board_helpdesk_todo"), shared.since)
    if shared.overdue > OVERDUE:
        what, since = notice("board_overdue"), time.time() - shared.overdue
        yield Problem(what, notice("board_overdue_means"), notice("board_overdue_todo"), since)


def whole(inbox: Inbox, directory: Directory, desk_id: str | None = None) -> tuple[Shared, list[Standing]]:
    """Return how everything stands, and how the connections do, of one desk or of all, the worst first.

    Raises `redis.RedisError`.
    """
    work, findings = inbox.state(), inbox.findings()
    pauses = _pauses(inbox, work)
    helpdesk, store = _worst_first(kept(findings.get(HELPDESK))), _worst_first(kept(findings.get(STORE)))
    pause = pauses.get(HELPDESK)
    shared = Shared(
        people=work.queues,
        oldest=work.oldest,
        overdue=work.overdue,
        dead=work.dead,
        unknown=inbox.unknown_events.count(),
        helpdesk=helpdesk,
        paused=decode(pause.reason) if pause else None,
        store=store,
        since=_since(helpdesk, pause),
    )
    return shared, _standings(inbox, directory, findings, pauses, desk_id)


def _pauses(inbox: Inbox, work: InboxState) -> dict[str, Pause]:
    """Return the pauses that are not over; one of a remote that nobody tried since says nothing any more."""
    return {remote: pause for remote, pause in inbox.pauses().items() if work.pauses.get(remote)}


def _standings(
    inbox: Inbox,
    directory: Directory,
    findings: Mapping[str, bytes],
    pauses: Mapping[str, Pause],
    desk_id: str | None,
) -> list[Standing]:
    known = {
        account_remote(one.channel, one.account_id): one
        for channel in directory.channels.values()
        for one in channel.known.values()
        if desk_id is None or one.desk_id == desk_id
    }
    unchecked = _unchecked(inbox, list(known))
    found = [
        _standing(one, kept(findings.get(name)), pauses.get(name), is_checked=name not in unchecked)
        for name, one in known.items()
    ]
    order = {state: number for number, state in enumerate(State)}

    def worst_first(one: Standing) -> tuple[int, bool, str, str]:
        return order[one.state], not one.stops_messages, one.connection.name.casefold(), one.remote

    return sorted(found, key=worst_first)


def _unchecked(inbox: Inbox, remotes: Sequence[str]) -> set[str]:
    """Return those that neither a check nor what went both ways says anything about."""
    checked = zip(remotes, inbox.checked(remotes), strict=True)
    left = [name for name, stored in checked if last_check(stored) is None]
    return set(left) - inbox.used_both_ways(left)


def _standing(
    connection: Connection, wrong: Sequence[KeptFinding], pause: Pause | None, *, is_checked: bool
) -> Standing:
    if not connection.active:
        return _off(connection)
    if not wrong and not pause:
        return Standing(connection, State.WORKING if is_checked else State.UNCHECKED)
    paused = decode(pause.reason) if pause else None
    wrong = _worst_first(wrong)
    needs_login = any(one.finding.meaning.needs_login for one in wrong) or (
        paused is not None and paused.code in CHANNELS[connection.channel].login_needed
    )
    state = State.RECONNECT if needs_login else State.ATTENTION
    return Standing(connection, state, wrong, paused, _since(wrong, pause))


def _off(connection: Connection) -> Standing:
    """Return how one stands that is not active: whose access was withdrawn has to be connected again."""
    since = connection.off.since if connection.off else None
    if not connection.off or not connection.off.is_withdrawn:
        return Standing(connection, State.OFF, since=since)
    withdrawn = KeptFinding(notice("access_withdrawn"), connection.off.since, is_confirmed=True)
    return Standing(connection, State.RECONNECT, [withdrawn], since=since)


def _worst_first(wrong: Iterable[KeptFinding]) -> list[KeptFinding]:
    return sorted(wrong, key=lambda one: one.finding.level != Level.STOPS_MESSAGES)


def _since(wrong: Iterable[KeptFinding], pause: Pause | None) -> float | None:
    times = [one.since for one in wrong]
    if pause and pause.since:
        times.append(pause.since)
    return min(times, default=None)


def details(
    inbox: Inbox, remotes: Sequence[str], backfills: Mapping[str, UnderWay] | None = None
) -> dict[str, Details]:
    """Return more of some accounts; `backfills` are those that are under way, if they are known already.

    Raises `redis.RedisError`.
    """
    backfills = under_way(inbox) if backfills is None else backfills
    waiting = _waiting(inbox, remotes)
    slowed = dict(zip(remotes, inbox.slowed_of(remotes), strict=True))
    checked = dict(zip(remotes, inbox.checked(remotes), strict=True))
    return {
        name: Details(
            activity,
            *waiting[name],
            slowed=decode(reason) if (reason := slowed[name]) else None,
            checked=last_check(checked[name]),
            backfill=backfills.get(name),
        )
        for name, activity in zip(remotes, inbox.activity(remotes), strict=True)
    }


def _waiting(inbox: Inbox, remotes: Iterable[str]) -> Mapping[str, tuple[Waiting, Waiting]]:
    """Return what waits of each account: for the helpdesk, and for its channel."""
    found = {name: (Waiting(), Waiting()) for name in remotes}
    for queue, at in inbox.waiting():
        way = {"in": 0, "out": 1}.get(direction_of(queue))
        if way is not None and (name := account_of(queue)) in found:
            found[name][way].add(at)
    return found


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong: when (seconds since 1970), what, where (a remote), and its dead letter."""

    at: float
    what: Notice
    remote: str
    letter: int | None = None


def last_troubles(inbox: Inbox, shared: Shared, every: Iterable[Standing], most: int) -> list[Trouble]:
    """Return what went wrong last, the newest first. Raises `redis.RedisError`."""
    found = chain(
        (Trouble(one.since, one.what, HELPDESK) for one in shared.helpdesk),
        (Trouble(one.since, one.what, STORE) for one in shared.store),
        chain.from_iterable(map(_troubles_of, every)),
        _refused(inbox),
        _died(inbox, most),
    )
    return heapq.nlargest(most, found, key=lambda one: one.at)


def _troubles_of(standing: Standing) -> Iterator[Trouble]:
    yield from (Trouble(one.since, one.what, standing.remote) for one in standing.wrong)
    if standing.paused and standing.since and not standing.wrong:
        yield Trouble(standing.since, notice("board_paused", reason=standing.paused), standing.remote)


def _refused(inbox: Inbox) -> Iterator[Trouble]:
    for name, (count, at) in inbox.refusals().items():
        endpoint, account_id, reason = name.split(" ")
        remote = account_remote(endpoint, account_id) if account_id else endpoint
        yield Trouble(at, notice("board_refused", reason=reason, count=count), remote)


def _died(inbox: Inbox, most: int) -> Iterator[Trouble]:
    letters = inbox.dead_letters
    for one in letters.some(letters.ids()[:most]):
        if at := kept_since(one):
            yield Trouble(at, decode(one.reason), account_of(one.job.queue), one.job.id)


def kept_since(kept: KeptJob) -> float | None:
    """Return since when a job is kept, in seconds since 1970; None if that is not known."""
    try:
        return datetime.fromisoformat(kept.kept_at).timestamp()
    except ValueError:
        return None
