"""What the checks work with: tickets and comments as the connector makes them, and what an agent answers."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from clients.errors import FileRefused
from clients.helpdesk import (
    SOURCE,
    Attachment,
    Author,
    Helpdesk,
    HelpdeskEvent,
    InvalidWebhook,
    NewComment,
    NewTicket,
    Requester,
    Ticket,
    WebhookNotUnderstood,
)
from clients.media import File
from clients.text import link, to_markdown, to_plain_text
from connector.conformance.hands import Hands
from connector.conformance.receiver import Delivered, Receiver
from connector.conformance.samples import Content, Sender, a_sender, an_id
from connector.conformance.suite import Failed, NotChecked

T = TypeVar("T")

TITLE = "Conformance check"
MAX_BYTES = 25 * 2**20
LOOK_EVERY = 0.05
"""How often the deliveries are looked through, in seconds."""
POLL_EVERY = 1.0


@dataclass(frozen=True)
class Answered:
    """An agent's comment: between when and when it was written, its event, and the webhook that brought that.

    `delivered` is None for an event that was found by polling.
    """

    ticket: Ticket
    sender: Sender
    asked_at: datetime
    arrived_at: datetime
    event: HelpdeskEvent
    delivered: Delivered | None


@dataclass
class Bench:
    """A helpdesk to check. `stranger` is the same one, called with a wrong token.

    `within` is how long an agent's comment may take to arrive, in seconds. `kept` is what several checks
    share, such as an agent's answer: a person is not asked twice.
    """

    helpdesk: Helpdesk
    desk_id: str
    category_id: str | None = None
    hands: Hands = field(default_factory=Hands)
    receiver: Receiver | None = None
    stranger: Helpdesk | None = None
    within: float = 15.0
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def made(self) -> list[str]:
        """Return the tickets that were made."""
        tickets: list[str] = self.kept.setdefault("made", [])
        return tickets

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what was made for an earlier check, or raise why it could not be."""
        if name not in self.kept:
            try:
                self.kept[name] = make()
            except (Failed, NotChecked) as error:
                self.kept[name] = error
        if isinstance(self.kept[name], Exception):
            raise self.kept[name]
        made: T = self.kept[name]
        return made

    # --- What the connector does. -----------------------------------------------------------------------

    def new_ticket(
        self, text: str = "Hello", *, sender: Sender | None = None, external_id: str = "", **options: Any
    ) -> NewTicket:
        """Write a ticket as the connector does; `files` are `Content`."""
        sender = sender or a_sender()
        body, ids, files = self._with_files(text, options.get("files", ()))
        return NewTicket(
            desk_id=self.desk_id,
            category_id=self.category_id,
            title=f"{TITLE}: {sender.name}",
            body=body,
            external_id=external_id or an_id(),
            requester=Requester(sender.name, sender.psid),
            attachment_ids=ids,
            created_at=datetime.now(UTC),
            config=sender.config,
            files=files,
        )

    def create(self, ticket: NewTicket, key: str = "") -> Ticket:
        """Create a ticket, and remember it for the report."""
        created = self.helpdesk.create_ticket(ticket, key or f"facebook:conformance:{ticket.external_id}")
        if created.id not in self.made:
            self.made.append(created.id)
        return created

    def open_ticket(self, text: str = "Hello", **options: Any) -> Ticket:
        """Create a ticket of a sender of its own, unless told otherwise."""
        return self.create(self.new_ticket(text, **options))

    def new_comment(
        self,
        text: str,
        *,
        external_id: str = "",
        internal: bool = False,
        files: Sequence[Content] = (),
    ) -> NewComment:
        """Write a comment as the connector does."""
        body, ids, open_files = self._with_files(text, files)
        return NewComment(
            body=body,
            external_id=external_id or an_id(),
            author=Author("customer", "Zoë O'Brien-Łąka", "1"),
            created_at=datetime.now(UTC),
            internal=internal,
            attachment_ids=ids,
            config={"source": SOURCE},
            files=open_files,
        )

    def comment(self, ticket_id: str, comment: NewComment, key: str = "") -> str:
        """Add a comment."""
        return self.helpdesk.add_comment(
            ticket_id, comment, key or f"facebook:conformance:{comment.external_id}"
        )

    def _with_files(self, text: str, files: Sequence[Content]) -> tuple[str, list[str], list[File]]:
        """Send files ahead if the helpdesk takes them so; name those that it refuses."""
        paragraphs, ids, open_files = [to_markdown(text)], [], []
        for content in files:
            try:
                stored = self.helpdesk.upload(content.open(), an_id())
            except FileRefused as error:
                paragraphs.append(to_markdown(f"({content.filename} is not here: {error})"))
                continue
            if stored is None:
                open_files.append(content.open())
                paragraphs.append(f"({to_markdown(content.filename)})")
            else:
                ids.append(stored.id)
                paragraphs.append(link(stored.filename, stored.url))
        return "\n\n".join(paragraphs), ids, open_files

    def bytes_of(self, attachment: Attachment) -> bytes:
        """Fetch an attachment whole."""
        with self.helpdesk.open_attachment(attachment, MAX_BYTES) as file:
            return file.stream.read()

    # --- What an agent does, and what comes of it. ------------------------------------------------------

    @property
    def has_webhooks(self) -> bool:
        """Tell whether the adapter reads webhooks."""
        return type(self.helpdesk).receive is not Helpdesk.receive

    @property
    def has_poll(self) -> bool:
        """Tell whether the adapter polls."""
        return type(self.helpdesk).poll is not Helpdesk.poll

    def confirmed(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        """Return an event as the connector relays it: with its ticket, and confirmed where it has to be."""
        return event if event.ticket.config is not None else self.helpdesk.confirm(event)

    def answer(
        self,
        ticket: Ticket,
        sender: Sender,
        text: str,
        *,
        internal: bool = False,
        files: Sequence[Content] = (),
    ) -> Answered:
        """Have an agent comment, and wait until it arrives. `text` is known by its first word."""
        if not (self.receiver and self.has_webhooks) and not self.has_poll:
            raise NotChecked("the helpdesk's webhooks lead nowhere")
        asked_at = datetime.now(UTC)
        self.hands.reply_as_agent(
            ticket.id, text, internal=internal, files=[content.open() for content in files]
        )
        word, ends = text.split(maxsplit=1)[0], time.monotonic() + self.within
        while time.monotonic() < ends:
            for event, delivered in self.events(asked_at):
                if event.comment and word in event.comment.body:
                    return Answered(ticket, sender, asked_at, datetime.now(UTC), event, delivered)
            time.sleep(LOOK_EVERY if self._listens else POLL_EVERY)  # polling is one of the two ways checked
        late = f"did not arrive within {self.within:.0f} s"
        raise Failed(f"an agent's comment on ticket {ticket.id} {late}{self._came()}")

    def _came(self) -> str:
        """Say what came of webhooks, for an agent's comment that did not arrive."""
        if not (self.receiver and self.has_webhooks):
            return ""
        came = tuple(self.receiver.delivered)
        refused = sum(self.refuses(one.body, one.headers, one.secret) for one in came)
        if came and refused == len(came):
            return f": {refused} webhooks came, and all were refused; the helpdesk has another webhook_secret"
        return f"; {len(came)} webhooks came to {self.receiver.url} in all"

    def refuses(self, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
        """Tell whether a webhook is refused as not the helpdesk's own."""
        try:
            self.helpdesk.receive(body, headers, secret)
        except InvalidWebhook:
            return True
        except WebhookNotUnderstood:
            pass
        return False

    @property
    def _listens(self) -> bool:
        return self.receiver is not None and self.has_webhooks

    def events(self, since: datetime) -> Iterator[tuple[HelpdeskEvent, Delivered | None]]:
        """Return what webhooks told so far, with them; or else what polling tells."""
        if not (self.receiver and self.has_webhooks):
            yield from ((event, None) for event in self.helpdesk.poll(since))
            return
        for delivered in tuple(self.receiver.delivered):
            if event := self.read(delivered):
                yield event, delivered

    def read(self, delivered: Delivered) -> HelpdeskEvent | None:
        """Read a webhook as the connector's door does; None for one that is refused, too."""
        with suppress(InvalidWebhook, WebhookNotUnderstood):
            return self.helpdesk.receive(delivered.body, delivered.headers, delivered.secret)
        return None


def plain(event: HelpdeskEvent) -> str:
    """Return what Messenger would show of a comment."""
    return to_plain_text(event.comment.body, event.comment.body_format) if event.comment else ""
