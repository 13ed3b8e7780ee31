"""The staff of a django-helpdesk in the demo: the agent's web pages, and the API for what they hide."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from sandbox.django_helpdesk.agent import Agent, Comment
from sandbox.django_helpdesk.host.accounts import AGENT, CONNECTOR, IDS, PASSWORDS
from sandbox.django_helpdesk.server import api, every_ticket, writer_of
from sandbox.samples import Sample
from sandbox.staff import SeenComment, SeenFile, SeenTicket, Staff

CLOSED = frozenset({3, 4, 5})
NAMES = {number: name.title() for name, number in IDS.items()}


class DjangoStaff(Staff):
    """An agent who works in the web pages of a django-helpdesk."""

    name = AGENT.title()
    note = f"the helpdesk: log in as {AGENT}, password {PASSWORDS[AGENT]}"
    refused = frozenset({"audio/wav"})
    shows_delivery = False

    def __init__(self, url: str) -> None:
        self._url = f"{url}/helpdesk"
        self._agent, self._http = Agent(self._url), api(self._url)
        self._hashes: dict[str, str] = {}

    def tickets(self, psid: str) -> list[SeenTicket]:
        """Return a customer's tickets, the oldest first."""
        return [self._ticket(one) for one in every_ticket(self._http) if writer_of(one) == psid]

    def reply(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[Sample] = ()
    ) -> None:
        """Comment on a ticket."""
        self._agent.reply(int(ticket_id), text, public=not internal, files=files)

    def close(self, ticket_id: str) -> None:
        """Close a ticket."""
        self._agent.close(int(ticket_id))

    def reopen(self, ticket_id: str) -> None:
        """Open a closed ticket again."""
        self._agent.reopen(int(ticket_id))

    def leave(self) -> None:
        """Close all connections."""
        self._agent.__exit__()
        self._http.close()

    def _ticket(self, told: dict[str, Any]) -> SeenTicket:
        seen = self._agent.comments(told["id"])
        # Not strict: one may have come between the two answers.
        comments = map(self._comment, told["followup_set"], seen)
        return SeenTicket(
            id=str(told["id"]),
            title=told["title"],
            desk_id=str(told["queue"]),
            category_id=told["custom_messenger_category"] or None,
            owner=NAMES.get(told["assigned_to"]),
            closed=told["status"] in CLOSED,
            comments=tuple(comment for comment in comments if comment.text or comment.files),
            url=f"{self._url}/tickets/{told['id']}/",
        )

    def _comment(self, told: dict[str, Any], seen: Comment) -> SeenComment:
        return SeenComment(
            id=str(told["id"]),
            author=NAMES.get(told["user"], ""),
            text=seen.text,
            text_format="text",
            internal=not seen.public,
            files=tuple(map(self._file, told["followupattachment_set"])),
            who=seen.author,
            role="system" if told["user"] in (None, IDS[CONNECTOR]) else "agent",
            at=datetime.fromisoformat(told["date"]).timestamp(),
        )

    def _file(self, told: dict[str, Any]) -> SeenFile:
        return SeenFile(
            id=str(told["id"]),
            url=told["file"],
            filename=told["filename"],
            content_type=told["mime_type"],
            size=told["size"],
            sha256=self._hash(told["file"]),
        )

    def _hash(self, url: str) -> str:
        """Fetch a file, once: tickets are looked at again and again, and files stay as they are."""
        if url not in self._hashes:
            self._hashes[url] = sha256(self._http.get(url).raise_for_status().content).hexdigest()
        return self._hashes[url]
