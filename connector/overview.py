"""The connections as people look at them: does each work, since when, and what is to be done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from clients.channels.registry import CHANNELS
from clients.findings import Level
from clients.notices import Notice, decode
from tasks.connections import Connection, Directory
from tasks.findings import Kept, kept
from tasks.inbound.backfill import UnderWay, under_way
from tasks.inbox.inbox import Activity, Inbox
from tasks.inbox.queues import account_of, account_remote, direction_of


class State(StrEnum):
    """Whether a connection works; those that somebody has to do something about are first."""

    RECONNECT = "reconnect"
    ATTENTION = "attention"
    WORKING = "working"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Standing:
    """A connection, and whether it works.

    `since` is when what is wrong was found (seconds since 1970). `paused` says why nothing is sent.
    """

    connection: Connection
    state: State
    wrong: Sequence[Kept] = ()
    paused: Notice | None = None
    since: float | None = None

    @property
    def remote(self) -> str:
        """Return the account as a remote."""
        return account_remote(self.connection.channel, self.connection.account_id)

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
    """What happened at an account of late, what of it waits (`inbound`, `outbound`), what is fetched."""

    activity: Activity
    inbound: Waiting = field(default_factory=Waiting)
    outbound: Waiting = field(default_factory=Waiting)
    slowed: Notice | None = None
    backfill: UnderWay | None = None


def standings(inbox: Inbox, directory: Directory, desk_id: str | None = None) -> list[Standing]:
    """Return how the connections stand, of one desk or of all, the worst first.

    Raises `redis.RedisError`.
    """
    findings, reasons, paused = inbox.findings(), inbox.reasons(), inbox.state().pauses
    found = []
    for channel in directory.channels.values():
        for one in channel.known.values():
            if desk_id is None or one.desk_id == desk_id:
                name = account_remote(one.channel, one.account_id)
                reason = reasons.get(name) if paused.get(name) else None
                found.append(_standing(one, kept(findings.get(name)), reason))
    order = list(State)
    return sorted(found, key=lambda one: (order.index(one.state), one.connection.name.casefold(), one.remote))


def _standing(connection: Connection, wrong: Sequence[Kept], reason: str | None) -> Standing:
    if not connection.active:
        return Standing(connection, State.OFF)
    paused = decode(reason) if reason else None
    wrong = sorted(wrong, key=lambda one: one.finding.level != Level.STOPS_MESSAGES)
    since = min((one.since for one in wrong), default=None)
    needs_login = any(one.finding.meaning.needs_login for one in wrong) or (
        paused is not None and paused.code in CHANNELS[connection.channel].login_needed
    )
    fault = State.ATTENTION if wrong or paused else State.WORKING
    return Standing(connection, State.RECONNECT if needs_login else fault, wrong, paused, since)


def details(inbox: Inbox, remotes: Sequence[str]) -> dict[str, Details]:
    """Return more of some accounts. Raises `redis.RedisError`."""
    backfills, waiting = under_way(inbox), _waiting(inbox, remotes)
    slowed = {name: inbox.slowed(name) for name in remotes}
    return {
        name: Details(
            activity,
            *waiting[name],
            slowed=decode(reason) if (reason := slowed[name]) else None,
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
