"""The people who work in the demo's helpdesk, whichever it is: what they see, and what they do."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

import httpx

from sandbox.samples import Sample


class Refused(Exception):
    """The helpdesk did not take what was sent: `status` of the answer, and `str()` says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status}: {why}")
        self.status = status


@dataclass(frozen=True)
class SeenFile:
    """A file of a comment; `size` is in bytes."""

    id: str
    url: str
    filename: str
    content_type: str
    size: int
    sha256: str


@dataclass(frozen=True)
class SeenComment:
    """A comment as it stands on a ticket.

    `who` wrote it, in a `role`, at a time (`at`, seconds since 1970). `delivery` is sent, delivered, read,
    failed or empty, and `error` says why it failed; `message_ids` are those of Messenger.
    """

    id: str
    author: str
    text: str
    text_format: Literal["markdown", "html", "text"]
    internal: bool
    files: tuple[SeenFile, ...]
    delivery: str = ""
    message_ids: tuple[str, ...] = ()
    who: str = ""
    role: Literal["customer", "agent", "system"] = "agent"
    at: float = 0
    error: str = ""


@dataclass(frozen=True)
class SeenTicket:
    """A ticket. The first of its `comments` is the message that opened it; `url` is its page."""

    id: str
    title: str
    desk_id: str
    category_id: str | None
    owner: str | None
    closed: bool
    comments: tuple[SeenComment, ...]
    url: str = ""


class Staff(ABC):
    """Agents who see all tickets. What they do raises `Refused`, or `httpx.TransportError`."""

    name: ClassVar[str]
    """The agent who works, and owns the tickets of the first page."""
    note: ClassVar[str]
    """How a person gets in who wants to watch."""
    refused: ClassVar[frozenset[str]] = frozenset()
    """Types of samples that the helpdesk does not take."""
    shows_delivery: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, url: str) -> None:
        """Take where the helpdesk is."""

    @abstractmethod
    def tickets(self, psid: str) -> list[SeenTicket]:
        """Return a customer's tickets, the oldest first."""

    @abstractmethod
    def reply(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[Sample] = ()
    ) -> None:
        """Comment on a ticket."""

    @abstractmethod
    def close(self, ticket_id: str) -> None:
        """Close a ticket."""

    @abstractmethod
    def reopen(self, ticket_id: str) -> None:
        """Open a closed ticket again."""

    @abstractmethod
    def leave(self) -> None:
        """Close all connections."""


class SandboxStaff(Staff):
    """The agents of the sandbox helpdesk, by its orders (`sandbox.helpdesk`)."""

    name = "Ola"
    note = "the helpdesk's tickets"

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/sandbox", timeout=30, trust_env=False)

    def tickets(self, psid: str) -> list[SeenTicket]:
        """Return a customer's tickets, the oldest first."""
        told = self._http.get("/tickets", params={"sender_id": psid}).raise_for_status().json()
        return [_ticket(one) for one in reversed(told["tickets"])]

    def reply(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[Sample] = ()
    ) -> None:
        """Comment on a ticket."""
        sent = [file.as_json() for file in files]
        self._order(f"/tickets/{ticket_id}/comments", {"body": text, "internal": internal, "files": sent})

    def close(self, ticket_id: str) -> None:
        """Close a ticket."""
        self._order(f"/tickets/{ticket_id}/close")

    def reopen(self, ticket_id: str) -> None:
        """Open a closed ticket again."""
        self._order(f"/tickets/{ticket_id}/reopen")

    def leave(self) -> None:
        """Close all connections."""
        self._http.close()

    def _order(self, path: str, body: Any = None) -> None:
        response = self._http.post(path, json=body)
        if response.is_error:
            raise Refused(response.status_code, response.text)


def _ticket(told: dict[str, Any]) -> SeenTicket:
    author = {"type": "customer", "name": told["requester"]["name"]}
    first = {**told, "internal": False, "author": author, "config": {}}
    return SeenTicket(
        id=told["id"],
        title=told["title"],
        desk_id=told["desk_id"],
        category_id=told["category_id"],
        owner=told["assignee"],
        closed=told["closed"],
        comments=tuple(_comment(one) for one in (first, *told["comments"])),
        url=told["url"],
    )


def _comment(told: dict[str, Any]) -> SeenComment:
    delivery = told["config"].get("delivery", {})
    return SeenComment(
        id=told["id"],
        author=told["author"]["type"],
        text=told["body"],
        text_format=told["body_format"],
        internal=told["internal"],
        files=tuple(
            SeenFile(**{key: one[key] for key in ("id", "url", "filename", "content_type", "size", "sha256")})
            for one in told["attachments"]
        ),
        delivery=delivery.get("status", ""),
        message_ids=tuple(delivery.get("message_ids", ())),
        who=told["author"]["name"],
        role=told["author"]["type"],
        at=datetime.fromisoformat(told["created_at"]).timestamp(),
        error=delivery.get("error", ""),
    )
