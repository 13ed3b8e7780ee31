"""The connections: which accounts there are, and the desk that each leads to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from clients.channel import Credentials


@dataclass(frozen=True, slots=True)
class Connection:
    """One account of a channel, and the desk it leads to; `language` (en, pl) is its agents'.

    With `link_large_files` a person gets a link to a file of an agent's that is too large for the channel.
    Agents are reminded of a customer whom nobody answered so long before the reply window closes; never if
    `remind_before` is 0.
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

    @property
    def account_id(self) -> str:
        """Return the account."""
        return self.credentials.account_id


class Connections:
    """All connections of one channel."""

    def __init__(self, connections: Iterable[Connection] = ()) -> None:
        self.all = tuple(connections)

    @cached_property
    def active(self) -> dict[str, Connection]:
        """Return the active connection of each account."""
        return {one.account_id: one for one in self.all if one.active}

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Return the app secret of each account with an active connection."""
        return {account_id: one.credentials.app_secret for account_id, one in self.active.items()}

    @cached_property
    def inactive(self) -> frozenset[str]:
        """Return the accounts whose connections are not active."""
        return frozenset(one.account_id for one in self.all) - self.active.keys()

    @cached_property
    def app_secrets(self) -> tuple[str, ...]:
        """Return the app secrets of all connections, each once."""
        return tuple(dict.fromkeys(one.credentials.app_secret for one in self.all))
