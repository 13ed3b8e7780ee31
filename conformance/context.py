"""What the checks work with: tickets and comments as the connector makes them, and what an agent answers."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from clients.channel import Conversation
from clients.errors import ClientError, FileRefused, NotFound, TicketClosed
from clients.helpdesk import (
    AgentReply,
    Attachment,
    Author,
    Customer,
    Helpdesk,
    InvalidWebhook,
    NewComment,
    NewTicket,
    Ticket,
    WebhookNotUnderstood,
)
from clients.helpdesks.rest import RestHelpdesk
from clients.media import File
from clients.notices import say
from clients.text.markdown import link, to_markdown
from clients.text.plain import to_plain_text
from conformance.agent import HelpdeskAgent
from conformance.exchanges import Exchange
from conformance.outcome import Failed, NotChecked, expect
from conformance.receiver import Delivered, Receiver
from conformance.samples import Content, a_customer, an_id
from tasks.outbound.jobs import is_public_reply

T = TypeVar("T")

TITLE = "Conformance check"
MAX_BYTES = 25 * 2**20
RECEIVER_LOOK_EVERY = 0.05
"""How often the deliveries are looked through, in seconds."""
POLL_EVERY = 1.0
CLOCKS = timedelta(minutes=1)
"""How far the helpdesk's clock may be off."""


@dataclass(frozen=True)
class Answered:
    """An agent's reply: between which times it was written, and the webhook that brought it.

    `came` is the reply as it came, `reply` what the connector relays: the same, or what `confirm` read where
    it came unconfirmed. `delivered` is None for one that was found by polling.
    """

    ticket: Ticket
    customer: Customer
    asked_at: datetime
    arrived_at: datetime
    came: AgentReply
    reply: AgentReply
    delivered: Delivered | None


@dataclass
class Context:
    """A helpdesk to check. `wrong_token` is the same one, called with a wrong token.

    `within` is how long an agent's comment may take to arrive, in seconds, and `page` how many comments a
    page of the helpdesk's listing may have. `exchanges` are the calls, if they are recorded. `shared` is what
    several checks share, such as an agent's answer: a person is not asked twice.
    """

    helpdesk: Helpdesk
    desk_id: str
    category_id: str | None = None
    agent: HelpdeskAgent = field(default_factory=HelpdeskAgent)
    receiver: Receiver | None = None
    wrong_token: Helpdesk | None = None
    within: float = 15.0
    page: int = 100
    exchanges: deque[Exchange] = field(default_factory=deque)
    shared: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shared.setdefault("heard from", len(self.receiver.delivered) if self.receiver else 0)

    @property
    def made(self) -> list[str]:
        """Return the tickets that were made."""
        tickets: list[str] = self.shared.setdefault("made", [])
        return tickets

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what was made for an earlier check, or raise why it could not be."""
        if name not in self.shared:
            try:
                self.shared[name] = make()
            except (Failed, NotChecked) as error:
                self.shared[name] = error
        if isinstance(self.shared[name], Exception):
            raise self.shared[name]
        made: T = self.shared[name]
        return made

    # --- What is reported of a check that failed.--------------------------------------------------------

    @property
    def serves_our_api(self) -> bool:
        """Return whether the helpdesk serves our API, so that nobody there reads Python."""
        return type(self.helpdesk) is RestHelpdesk

    def said(self, error: Exception) -> str:
        """Say what was raised: to who wrote the adapter, with its class."""
        words = say(error.notice) if isinstance(error, ClientError) else str(error)
        is_own = self.serves_our_api and isinstance(error, ClientError)
        return words if is_own else f"{type(error).__name__}: {words}"

    def address(self, ticket_id: str) -> str:
        """Return where a person sees a ticket; empty if that is not known."""
        with suppress(ClientError):
            return self.helpdesk.ticket_url(ticket_id)
        return ""

    # --- What the connector does. -----------------------------------------------------------------------

    def new_ticket(
        self, text: str = "Hello", *, customer: Customer | None = None, external_id: str = "", **options: Any
    ) -> NewTicket:
        """Write a ticket as the connector does; `files` are `Content`."""
        customer = customer or a_customer()
        body, ids, files = self._with_files(text, options.get("files", ()))
        return NewTicket(
            desk_id=self.desk_id,
            category_id=self.category_id,
            title=f"{TITLE}: {customer.display_name}",
            body=body,
            external_id=external_id or an_id(),
            customer=customer,
            attachment_ids=ids,
            created_at=datetime.now(UTC),
            files=files,
        )

    def create(self, ticket: NewTicket, key: str = "") -> Ticket:
        """Create a ticket, and remember it for the report."""
        created = self.helpdesk.create_ticket(ticket, key or f"conformance:{ticket.external_id}")
        if created.id not in self.made:
            self.made.append(created.id)
        return created

    def open_ticket(self, text: str = "Hello", **options: Any) -> Ticket:
        """Create a ticket for a customer of its own, unless `customer` is given."""
        return self.create(self.new_ticket(text, **options))

    def new_comment(
        self,
        text: str,
        *,
        customer: Customer | None = None,
        external_id: str = "",
        internal: bool = False,
        files: Sequence[Content] = (),
    ) -> NewComment:
        """Write a comment as the connector does."""
        customer = customer or a_customer()
        body, ids, open_files = self._with_files(text, files)
        return NewComment(
            body=body,
            external_id=external_id or an_id(),
            author=Author("customer", customer.display_name, customer.person_id),
            created_at=datetime.now(UTC),
            internal=internal,
            attachment_ids=ids,
            channel=customer.channel,
            files=open_files,
        )

    def comment(self, ticket_id: str, comment: NewComment, key: str = "") -> str:
        """Add a comment."""
        return self.helpdesk.add_comment(ticket_id, comment, key or f"conformance:{comment.external_id}")

    def message(self, ticket_id: str, text: str, files: Sequence[Content]) -> str:
        """Add a comment with files as the connector does: without those that are refused only there."""
        comment = self.new_comment(text, files=files)
        try:
            return self.comment(ticket_id, comment)
        except FileRefused as error:
            names = ", ".join(content.filename for content in files)
            without = self.new_comment(
                f"{text} ({names}: {say(error.notice)})", external_id=comment.external_id
            )
            return self.comment(ticket_id, without, f"conformance:{an_id()}:without")

    def put(self, ticket_id: str, comment: NewComment, customer: Customer) -> str:
        """Add a comment as the connector does: look, add, and if the ticket takes none, find or open another.

        Return the ticket that took it.
        """
        with suppress(NotFound):
            if self.helpdesk.comment_by_external_id(ticket_id, comment.external_id):
                return ticket_id
        with suppress(TicketClosed, NotFound):
            self.comment(ticket_id, comment)
            return ticket_id
        found = self.helpdesk.find_open_ticket(customer.conversation)
        if found is None:
            new = self.new_ticket(customer=customer, external_id=comment.external_id)
            return self.create(replace(new, body=comment.body)).id
        expect(found.id != ticket_id, f"ticket {ticket_id} takes no comment, and is found as open")
        self.comment(found.id, comment, f"conformance:{comment.external_id}:after:{ticket_id}")
        return found.id

    def _with_files(self, text: str, files: Sequence[Content]) -> tuple[str, list[str], list[File]]:
        """Send files ahead if the helpdesk takes them so; name those that it refuses."""
        paragraphs, ids, open_files = [to_markdown(text)], [], []
        for content in files:
            try:
                stored = self.helpdesk.upload(content.open(), an_id())
            except FileRefused as error:
                paragraphs.append(to_markdown(f"({content.filename} is not here: {say(error.notice)})"))
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
        """Return whether the adapter reads webhooks."""
        return type(self.helpdesk).receive is not Helpdesk.receive

    @property
    def has_poll(self) -> bool:
        """Return whether the adapter polls."""
        return type(self.helpdesk).poll is not Helpdesk.poll

    def relayed(self, reply: AgentReply) -> AgentReply | None:
        """Return a reply as the connector relays it: one that is not confirmed as `confirm` returns it.

        What would not be sent is not asked for. None is a reply that the helpdesk does not have (yet).
        """
        if reply.is_confirmed or not is_public_reply(reply):
            return reply
        with suppress(NotFound):
            confirmed = self.helpdesk.confirm(reply)
            return confirmed and replace(confirmed, is_confirmed=True)
        return None

    def answer(
        self,
        ticket: Ticket,
        customer: Customer,
        text: str,
        *,
        files: Sequence[Content] = (),
        closing: bool = False,
    ) -> Answered:
        """Let an agent reply, and wait until it arrives: it is known by its first word, or first file."""
        if not self._listens and not self.has_poll:
            raise NotChecked("the helpdesk's webhooks lead nowhere")
        asked_at = datetime.now(UTC)
        if closing:
            self.agent.reply_and_close(ticket.id, text)
        else:
            self.agent.reply_as_agent(ticket.id, text, files=[content.open() for content in files])
        name = text.split(maxsplit=1)[0] if text else files[0].filename
        ends = time.monotonic() + self.within
        while time.monotonic() < ends:
            for came, reply, delivered in self.replies(asked_at):
                if names(reply, name):
                    return Answered(ticket, customer, asked_at, datetime.now(UTC), came, reply, delivered)
            wait = RECEIVER_LOOK_EVERY if self._listens else POLL_EVERY
            time.sleep(wait)  # polling: the helpdesk does not tell when it has what it said
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
        """Return whether a webhook is refused as not the helpdesk's own."""
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

    def replies(self, since: datetime) -> Iterator[tuple[AgentReply, AgentReply, Delivered | None]]:
        """Return what webhooks brought so far, or else what polling finds.

        Each as it came, as it is relayed, and with its webhook.
        """
        for came, delivered in self._heard() if self._listens else self._polled(since):
            if reply := self._relayed_once(came):
                yield came, reply, delivered

    def _relayed_once(self, reply: AgentReply) -> AgentReply | None:
        """Return a reply as it is relayed, without asking again: it is looked at many times a second."""
        known: dict[str, AgentReply] = self.shared.setdefault("relayed", {})
        if reply.key not in known and (relayed := self.relayed(reply)):
            known[reply.key] = relayed
        return known.get(reply.key)

    def _polled(self, since: datetime) -> Iterator[tuple[AgentReply, None]]:
        yield from ((reply, None) for reply in self.helpdesk.poll(since))

    def _heard(self) -> Iterator[tuple[AgentReply, Delivered]]:
        """Read each webhook once, as there may be hundreds: those that came since the first check."""
        known: list[AgentReply | None] = self.shared.setdefault("heard", [])
        delivered = self.receiver.delivered[self.shared["heard from"] :] if self.receiver else []
        known += map(self.read, delivered[len(known) :])
        yield from ((reply, one) for reply, one in zip(known, delivered, strict=False) if reply)

    def read(self, delivered: Delivered) -> AgentReply | None:
        """Read a webhook as the connector's endpoint does; None for one that is refused, too."""
        with suppress(InvalidWebhook, WebhookNotUnderstood):
            return self.helpdesk.receive(delivered.body, delivered.headers, delivered.secret)
        return None

    def carries_nothing(self, delivered: Delivered) -> bool:
        """Return whether a webhook is the helpdesk's own, and about no comment."""
        with suppress(InvalidWebhook, WebhookNotUnderstood):
            return self.helpdesk.receive(delivered.body, delivered.headers, delivered.secret) is None
        return False


def names(reply: AgentReply, name: str) -> bool:
    """Return whether a comment has a word, or a file of that name."""
    comment = reply.comment
    return name in comment.body or any(one.filename == name for one in comment.attachments)


def plain(reply: AgentReply) -> str:
    """Return what the customer would be shown of a comment."""
    return to_plain_text(reply.comment.body, reply.comment.body_format)


def conversation_of(reply: AgentReply) -> Conversation | None:
    """Return where a reply would be sent; None for one that would go nowhere."""
    customer = reply.ticket.customer
    return customer.conversation if customer else None
