"""Accounts whose checks find what a test says, and that tell what was asked of them."""

from collections.abc import Iterator
from typing import cast
from unittest.mock import Mock

from clients.channel import (
    Account,
    Conversation,
    Incoming,
    Newest,
    PastConversation,
    PastConversations,
    Usage,
)
from clients.errors import RateLimited
from clients.findings import Finding
from clients.single_flight import Answers
from tasks.connections import Connection
from tests.conftest import PAGE_A, PAGE_B
from tests.fakes.world import World

CHECKED, OTHER = f"facebook_messenger:{PAGE_A}", f"facebook_messenger:{PAGE_B}"
HOUR, DAY = 3_600_000, 86_400_000


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
        self.moved: dict[str, list[int]] = {}
        """When something was said in each conversation (ms), the newest first; the key is `t_<time>`."""
        self.listed: list[str] = []
        self.hides: Exception | None = None
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

        def conversations(after: str, *, with_newest: bool) -> PastConversations:
            self.listed.append(connection.account_id)
            if self.hides:
                raise self.hides
            times = self.moved.get(connection.account_id, [])
            found = [PastConversation(f"t_{at}", str(at), at) for at in times]
            newest = {one.id: _newest(one) for one in found if with_newest}
            return PastConversations(found, after, newest)

        remote, usage = f"facebook_messenger:{connection.account_id}", self.used.get(connection.account_id)
        return cast(
            "Account",
            Mock(
                check=check,
                repair=repair,
                usage=lambda: usage,
                conversations=conversations,
                remote=remote,
                app=self.app,
            ),
        )


def _newest(conversation: PastConversation) -> Newest:
    person = Conversation("facebook_messenger", PAGE_A, conversation.person_id)
    said = Incoming(person, "message", conversation.id, conversation.time, b"", f"m_{conversation.time}")
    return Newest([said], is_all=True)


def make_due(world: World) -> None:
    """Have both pages be due."""
    for name in (CHECKED, OTHER):
        world.store.zadd("mc:checks", {name: 0})


def connect_page(world: World) -> None:
    """Have the webhooks of a page come for a day; the last one an hour ago."""
    world.inbox.backfills.note_active({CHECKED: 0}, None)
    world.store.hset("mc:connected", CHECKED, int(world.inbox.now() * 1000) - DAY)
    world.store.hset("mc:last", f"in:{CHECKED}:", int(world.inbox.now() * 1000) - HOUR)


def fetched_since(world: World) -> int | None:
    """Return since how many minutes ago that page is fetched."""
    since = world.store.hget(f"mc:backfill:{CHECKED}", "since")
    return since and round((world.inbox.now() * 1000 - int(since)) / 60_000)
