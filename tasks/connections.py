"""The connections: which accounts there are, and the desk that each leads to."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import chain, groupby
from operator import attrgetter
from threading import Lock
from typing import NamedTuple, Self

import structlog

from clients.channel import Credentials
from tasks.inbox.connections import WITHDRAWN, ConnectionRecords, Record
from tasks.inbox.queues import account_remote

log = structlog.get_logger(__name__)


class Off(NamedTuple):
    """Since when a connection is not active (seconds since 1970), and whether its access was withdrawn."""

    since: float
    is_withdrawn: bool = False


class Taken(NamedTuple):
    """Since when the access is withdrawn that a token gave (seconds since 1970), of which it has a digest.

    Without a digest it was given again then.
    """

    since: float
    digest: str = ""

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read it as the store keeps it."""
        return cls(*json.loads(body))

    def is_of(self, token: str) -> bool:
        """Return whether it is this token's access."""
        return self.digest == digest_of(token)


def digest_of(token: str) -> str:
    """Return what tells a token from others, and does not tell what it is."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Connection:
    """One account of a channel, and the desk it leads to; `language` (en, pl) is its agents'.

    With `link_large_files` a person gets a link to a file of an agent's that is too large for the channel.
    Agents are reminded of a customer whom nobody answered so long before the reply window closes; never if
    `remind_before` is 0. What was said in the time of `history` before it was connected is fetched once.
    `off` is known of one that was switched off at run time, or whose access was withdrawn.
    """

    channel: str
    credentials: Credentials
    name: str
    desk_id: str
    category_id: str | None
    active: bool = True
    language: str = "en"
    link_large_files: bool = False
    remind_before: timedelta = timedelta(0)
    history: timedelta = timedelta(0)
    off: Off | None = None

    @property
    def account_id(self) -> str:
        """Return the account."""
        return self.credentials.account_id


class Connections:
    """All connections of one channel, as they are at a time."""

    def __init__(self, connections: Iterable[Connection] = ()) -> None:
        self.all = tuple(connections)

    @cached_property
    def active(self) -> dict[str, Connection]:
        """Return the active connection of each account."""
        return {one.account_id: one for one in self.all if one.active}

    @cached_property
    def known(self) -> dict[str, Connection]:
        """Return the connection of each account: the active one, or else one that was."""
        return {one.account_id: one for one in self.all} | self.active

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Return the app secret of each account with an active connection."""
        return {account_id: one.credentials.app_secret for account_id, one in self.active.items()}

    @cached_property
    def verify_tokens(self) -> frozenset[str]:
        """Return the verify tokens of the active connections."""
        return frozenset(one.credentials.verify_token for one in self.active.values())

    @cached_property
    def inactive(self) -> frozenset[str]:
        """Return the accounts whose connections are not active."""
        return frozenset(self.known.keys() - self.active.keys())

    @cached_property
    def app_secrets(self) -> tuple[str, ...]:
        """Return the app secrets of all connections, each once."""
        return tuple(dict.fromkeys(one.credentials.app_secret for one in self.all))


Read = Callable[[Record], Connection]
"""Reads a record of the store. Raises `ValueError` if that is not possible."""
_NONE = Connections()


class Directory:
    """The connections as they are now: those of the settings, and those that were added at run time.

    An account that the settings name is theirs alone. Used from many threads: what `of` returns never
    changes. While the store is away, the last known ones are used.
    """

    def __init__(
        self,
        fixed: Iterable[Connection] = (),
        records: ConnectionRecords | None = None,
        read: Read | None = None,
    ) -> None:
        self._fixed = tuple(fixed)
        self._records, self._read = records, read
        self._stored: dict[str, Connection] = {}
        self._taken: dict[str, Taken] = {}
        self._version = 0
        self._lock = Lock()
        self.channels = self._arranged()
        """The connections of each channel; another mapping after each change."""

    def of(self, channel: str) -> Connections:
        """Return the connections of a channel."""
        return self.channels.get(channel, _NONE)

    @property
    def all(self) -> list[Connection]:
        """Return the connections of all channels."""
        return [one for connections in self.channels.values() for one in connections.all]

    def refresh(self, version: int | None = None) -> None:
        """Read what changed since the last time, unless this is the version that is known.

        Raises `redis.RedisError`.
        """
        if self._records is None or version == self._version:
            return
        with self._lock:
            version = self._records.version()
            if version == self._version:
                return
            # A store that lost its last writes counts from an earlier version on.
            is_later = version > self._version
            stored, taken = (self._stored.copy(), self._taken.copy()) if is_later else ({}, {})
            since = self._version if is_later else 0
            for record in self._records.changed(since):
                since = record.version
                if record.name.startswith(WITHDRAWN):
                    taken[record.name.removeprefix(WITHDRAWN)] = Taken.read(record.body)
                    continue
                stored.pop(record.name, None)
                if record.body and (connection := self._decoded(record)):
                    stored[record.name] = connection
            self._stored, self._taken, self._version = stored, taken, max(since, version)
            self.channels = self._arranged()

    def _decoded(self, record: Record) -> Connection | None:
        if self._read is None:
            hint = "set secret_key to the key that its secrets were encrypted with"
            log.error(
                "connection_not_read", connection=record.name, reason="there is no secret_key", hint=hint
            )
            return None
        try:
            return self._read(record)
        except ValueError as error:
            log.error("connection_not_read", connection=record.name, reason=str(error))  # noqa: TRY400
            return None

    def _arranged(self) -> Mapping[str, Connections]:
        fixed = {(one.channel, one.account_id) for one in self._fixed}
        stored = (one for one in self._stored.values() if (one.channel, one.account_id) not in fixed)
        by_channel = attrgetter("channel")
        every = sorted(chain(map(self._as_it_is, self._fixed), stored), key=by_channel)
        return {channel: Connections(found) for channel, found in groupby(every, by_channel)}

    def _as_it_is(self, fixed: Connection) -> Connection:
        """Return a connection of the settings, not active if the access of its token was withdrawn."""
        taken = self._taken.get(account_remote(fixed.channel, fixed.account_id))
        if not fixed.active or taken is None or not taken.is_of(fixed.credentials.access_token):
            return fixed
        return replace(fixed, active=False, off=Off(taken.since, is_withdrawn=True))
