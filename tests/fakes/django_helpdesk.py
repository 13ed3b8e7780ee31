"""What a real django-helpdesk is asked with, and a receiver of its webhooks."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from clients.channels.meta.events import CHANNEL
from clients.helpdesk import AgentReply, Author, Customer, NewComment, NewTicket, Ticket
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.http import HttpClient
from clients.media import File
from sandbox.django_helpdesk.agent import Agent, Comment
from sandbox.django_helpdesk.host.accounts import QUEUES
from sandbox.django_helpdesk.server import DjangoHelpdesk as Server

SECRET = "a-secret-in-the-address"
MARIA = Customer(CHANNEL, "107381679302250", "7623554920995436")
PHOTO = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
NOW = datetime.now(UTC)


class Hooks(ThreadingHTTPServer):
    """Takes webhooks, and answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.bodies: list[bytes] = []
        self.status = 200

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.server_port}/{SECRET}"


class _Hook(BaseHTTPRequestHandler):
    server: Hooks

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def adapter(desk: Server, http: HttpClient, **options: Any) -> DjangoHelpdesk:
    known = {"base_url": desk.url, "api_token": desk.token, "webhook_secret": SECRET}
    return DjangoHelpdesk(http, **known | options)


def new_file(name: str = "photo.png", data: bytes = PHOTO, kind: str = "image/png") -> File:
    return File(name, kind, len(data), io.BytesIO(data))


def new_ticket(external_id: str = "m_1", body: str = "Good morning", **changes: Any) -> NewTicket:
    fields: dict[str, Any] = {
        "desk_id": str(QUEUES["messenger"]),
        "category_id": None,
        "title": "Messenger: Мария",
        "body": body,
        "external_id": external_id,
        "customer": replace(MARIA, display_name="Мария"),
        "attachment_ids": (),
        "created_at": NOW,
    }
    return NewTicket(**fields | changes)


def new_comment(external_id: str, body: str = "Anything new?", **changes: Any) -> NewComment:
    return NewComment(body, external_id, Author("customer", "Мария"), datetime.now(UTC), **changes)


def last_comment(agent: Agent, ticket: Ticket) -> Comment:
    return agent.comments(int(ticket.id))[-1]


def polled(helpdesk: DjangoHelpdesk, since: datetime | None = None) -> list[AgentReply]:
    return list(helpdesk.poll(since or NOW - timedelta(minutes=1)))
