"""Accounts whose checks find what a test says, and that tell what was asked of them."""

from collections.abc import Iterator
from typing import cast
from unittest.mock import Mock

from clients.channel import Account, Usage
from clients.errors import RateLimited
from clients.findings import Finding
from clients.single_flight import Answers
from tasks.connections import Connection


class Pages:
    """What the fake accounts find, and what was put right."""

    def __init__(self) -> None:
        self.found: dict[str, list[Finding]] = {}
        self.checked: list[str] = []
        self.known: list[Answers | None] = []
        self.repaired: list[tuple[str, str]] = []
        self.refuses: BaseException | None = None
        self.limited: dict[str, RateLimited] = {}
        self.used: dict[str, Usage] = {}
        self.app = "app"

    def account(self, connection: Connection) -> Account:
        """Return the account of a connection."""

        def check(_url: str, known: Answers | None) -> Iterator[Finding]:
            self.checked.append(connection.account_id)
            self.known.append(known)
            yield from self.found.get(connection.account_id, [])
            if error := self.limited.get(connection.account_id):
                raise error

        def repair(found: Finding, _: str) -> None:
            if self.refuses:
                raise self.refuses
            self.repaired.append((connection.account_id, found.code))

        remote, usage = f"facebook_messenger:{connection.account_id}", self.used.get(connection.account_id)
        return cast(
            "Account", Mock(check=check, repair=repair, usage=lambda: usage, remote=remote, app=self.app)
        )
