"""The adapter `rest`, with a journal of what it asked the helpdesk, and of the webhooks that came.

A note of kind `call` has `operation` (its name in docs/helpdesk-api.yaml), `call`, `status` (0: no answer)
and the start of the answer's `body`; one of kind `webhook` has what it told. `why` says what went wrong,
`off` how something differs from the document.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from clients.errors import ClientError
from clients.helpdesk import (
    AgentReply,
    Attachment,
    InvalidWebhook,
    WebhookNotUnderstood,
    WebhookTimestampOff,
)
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from clients.jsons import decode
from clients.media import File
from clients.notices import say
from conformance.rest import operation_of
from sandbox.journal import Journal

SHOWN = 300
"""How many characters of a body are noted."""


class Person(msgspec.Struct):
    """Who wrote."""

    type: str
    name: str


class Stored(msgspec.Struct):
    """An attachment as the document has it."""

    id: str
    url: str
    filename: str
    content_type: str
    size: int

    def attachment(self) -> Attachment:
        """Return it as adapters fetch it."""
        return Attachment(self.id, self.url, self.filename, self.content_type, self.size)


class ToldTicket(msgspec.Struct):
    """A ticket as webhooks tell it."""

    id: str


class ToldComment(msgspec.Struct):
    """A comment as webhooks tell it."""

    id: str
    body: str
    body_format: str
    author: Person
    internal: bool
    attachments: list[Stored]
    config: dict[str, Any]
    created_at: str


class SeenTicket(ToldTicket):
    """A ticket as calls answer it."""

    desk_id: str
    category_id: str | None
    title: str
    closed: bool
    config: dict[str, Any]
    url: str


class SeenComment(ToldComment):
    """A comment as calls answer it."""

    ticket_id: str


class OneTicket(msgspec.Struct):
    """An answer with a ticket."""

    ticket: SeenTicket


class Tickets(msgspec.Struct):
    """An answer with tickets."""

    tickets: list[SeenTicket]


class OneComment(msgspec.Struct):
    """An answer with a comment."""

    comment: SeenComment


class Comments(msgspec.Struct):
    """An answer with comments."""

    comments: list[SeenComment]


class OneAttachment(msgspec.Struct):
    """An answer with an attachment."""

    attachment: Stored


class Told(msgspec.Struct):
    """What every webhook has."""

    type: str
    timestamp: str
    data: msgspec.Raw


class TicketData(msgspec.Struct):
    """The `data` of a webhook about a ticket."""

    ticket: ToldTicket


class CommentData(TicketData):
    """The `data` of a webhook about a comment."""

    comment: ToldComment


ANSWERS: Mapping[str, type[msgspec.Struct]] = {
    "findTickets": Tickets,
    "createTicket": OneTicket,
    "getTicket": OneTicket,
    "changeTicket": OneTicket,
    "findComments": Comments,
    "createComment": OneComment,
    "changeComment": OneComment,
    "uploadAttachment": OneAttachment,
}


class Witness(RestHelpdesk):
    """Writes down each call and each webhook, in the file `journal`."""

    def __init__(self, http: HttpClient, *, journal: str, **known: str) -> None:
        super().__init__(http, **known)
        self._journal, self._seen = Journal(Path(journal)), threading.local()

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request, and note what came of it."""
        self._seen.response, why, off = None, "", ""
        called = operation_of(method, path)
        operation = called.name if called else ""
        query = f"?{urlencode(options['params'])}" if options.get("params") else ""
        try:
            answer = super().call(method, path, **options)
            off = _difference(answer, ANSWERS[operation])
        except ClientError as error:
            why = say(error.notice)
            raise
        finally:
            self._note(operation, f"{method} {path}{query}", why, off, self._seen.response)
        return answer

    def error(self, response: httpx.Response) -> ClientError:
        """Keep the answer for the note."""
        self._seen.response = response
        return super().error(response)

    def _json(self, response: httpx.Response) -> Any:
        self._seen.response = response
        return super()._json(response)

    def _note(
        self, operation: str, call: str, why: str, off: str = "", response: httpx.Response | None = None
    ) -> None:
        status, body = (0, "") if response is None else (response.status_code, response.text[:SHOWN])
        noted = {"operation": operation, "call": call, "status": status, "body": body}
        self._journal.note("call", **noted, why=why, off=off)

    @contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        """Fetch a file, and note if it cannot be fetched."""
        opened = False
        try:
            with super().open_attachment(attachment, max_bytes) as file:
                opened = True
                yield file
        except ClientError as error:
            if not opened:
                self._note("getFile", f"GET {attachment.url}", say(error.notice))
            raise

    def may_receive(self, headers: Mapping[str, str], secret: str) -> bool:
        """Tell whether a webhook can be the helpdesk's, and note one that cannot."""
        may = super().may_receive(headers, secret)
        if not may:
            why = "webhook-id, webhook-timestamp or webhook-signature is missing"
            self._journal.note("webhook", why=why, off="")
        return may

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        """Read a webhook, and note what it told, or why it is refused."""
        try:
            reply = super().receive(body, headers, secret)
        except (InvalidWebhook, WebhookNotUnderstood) as error:
            self._journal.note("webhook", why=_why(error), off="", body=body[:SHOWN].decode(errors="replace"))
            raise
        self._journal.note("webhook", why="", off=_difference_of_webhook(body), **_told(body, reply))
        return reply


def _told(body: bytes, reply: AgentReply | None) -> dict[str, Any]:
    told = {"type": str(decode(body)["type"])}
    if reply is None:
        return told
    comment = reply.comment
    return told | {"comment": comment.id, "author": comment.author_type, "internal": comment.internal}


def _why(error: Exception) -> str:
    if isinstance(error, WebhookTimestampOff):
        return f"the webhook's timestamp is {error.seconds:.0f} seconds off; compare both machines' clocks"
    if isinstance(error, InvalidWebhook):
        return "its signature is wrong: made with another secret, or of other bytes than were sent"
    return "its body is not understood: type, data.ticket.id or data.comment.id is missing or wrong"


def _difference(told: object, shape: type[msgspec.Struct]) -> str:
    """Say how an answer differs from what the document requires, if it does."""
    try:
        msgspec.convert(told, shape)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _difference_of_webhook(body: bytes) -> str:
    try:
        told = msgspec.json.decode(body, type=Told)
        msgspec.json.decode(told.data, type=CommentData if told.type == "comment.created" else TicketData)
    except msgspec.ValidationError as error:
        return str(error)
    return ""
