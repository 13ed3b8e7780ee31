"""The helpdesk: what the connector asks of one (`Helpdesk`), and the values that go back and forth.

An adapter is a class with these methods; `docs/adapters.md` shows how one is written. What each method has to
guarantee, so that nothing is lost, duplicated or shown to the wrong person, is in its docstring.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal

from clients.channel import Conversation
from clients.errors import Unavailable
from clients.jsons import MALFORMED, NotUnderstood
from clients.media import File
from clients.notices import ENGLISH

WEBHOOK_PATH = "/social_media/webhooks/helpdesk"
"""Where the connector takes the helpdesk's webhooks."""
CONNECTOR = "Messenger connector"
"""In whose name a ticket is that has no customer."""


class InvalidWebhook(Exception):
    """The webhook is not signed by the helpdesk, or too old."""


class WebhookTimestampOff(InvalidWebhook):
    """The webhook is signed, but some `seconds` older, or newer, than it may be: a clock may be wrong."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class WebhookNotUnderstood(Exception):
    """The webhook is signed, but its body is not what the helpdesk promised to send."""


@contextmanager
def reading_webhook() -> Iterator[None]:
    """Turn whatever comes of reading a body of another shape than expected into `WebhookNotUnderstood`."""
    try:
        yield
    except (NotUnderstood, Unavailable, *MALFORMED):  # the second is what readers of answers raise
        raise WebhookNotUnderstood from None


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a comment. `type` is customer, agent or system."""

    type: Literal["customer", "agent", "system"]
    name: str
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom a ticket is about: a person who writes to an account of a channel, such as a Facebook page.

    The helpdesk has to return the first three fields with the ticket, for as long as it has it: replies go to
    whom they name. The others are for people to see. In what the connector creates, `display_name` is never
    empty; the rest is, where the channel does not know it. `picture_url` expires, so copy the picture.
    """

    channel: str
    account_id: str
    person_id: str
    display_name: str = ""
    account_name: str = ""
    name: str = ""
    first_name: str = ""
    last_name: str = ""
    picture_url: str = ""

    @property
    def conversation(self) -> Conversation:
        """Return the conversation that messages to the customer belong to."""
        return Conversation(self.channel, self.account_id, self.person_id)

    @classmethod
    def parse(cls, text: str) -> "Customer | None":
        """Return whom a ticket is about from its `str(conversation)`; None for any other text.

        For helpdesks that keep it in one field. A ticket that has none there is not the connector's.
        """
        ids = text.split("/")
        return cls(*ids) if len(ids) == 3 and all(ids) else None


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket to create. `body` is markdown, `external_id` unique.

    Without a `customer` it is internal: the connector itself has something to say to agents. Nobody is to be
    answered or mailed, and `Ticket.customer` is None for as long as the helpdesk has it.

    `attachment_ids` come from `upload`; `files` are those that it did not take ahead, open. `language` is the
    agents', for what the adapter itself has to say. One that `is_history` was written before the account was
    connected: nothing may answer it by itself.
    """

    desk_id: str
    category_id: str | None
    title: str
    body: str
    external_id: str
    customer: Customer | None
    attachment_ids: Sequence[str]
    created_at: datetime
    files: Sequence[File] = ()
    language: str = ENGLISH
    is_history: bool = False

    @property
    def author_name(self) -> str:
        """Return in whose name the ticket is."""
        return self.customer.display_name if self.customer else CONNECTOR


@dataclass(frozen=True, slots=True)
class NewComment:
    """A comment to create. `body` is markdown; `external_id` is unique in its ticket.

    `channel` is the one that brought it; empty for what the connector itself has to say.
    `attachment_ids` come from `upload`; `files` are those that it did not take ahead, open. `language` is the
    agents', for what the adapter itself has to say. `is_history` is as for a ticket.
    """

    body: str
    external_id: str
    author: Author
    created_at: datetime
    internal: bool = False
    attachment_ids: Sequence[str] = ()
    channel: str = ""
    files: Sequence[File] = ()
    language: str = ENGLISH
    is_history: bool = False


@dataclass(frozen=True, slots=True)
class Naming:
    """The name of a ticket's customer, which was not known when the ticket was created.

    `old_title` is what the ticket was called then: if it has another title by now, an agent chose that.
    """

    old_title: str
    title: str
    customer: Customer


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, as far as the connector looks at it.

    If `customer` is None, it is not the connector's, or an internal one: no comment on it is ever sent.
    """

    id: str
    closed: bool
    customer: Customer | None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that is in the helpdesk. `size` is in bytes, 0 if unknown.

    The `url` of one that `upload` returned stands as a link in the ticket's text: agents open it.
    """

    id: str
    url: str
    filename: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as it stands in the helpdesk. `internal` is None where the helpdesk does not say.

    `body_format` is markdown, html or text, `author_type` customer, agent or system. `from_connector` is True
    for what the connector added to the ticket, also for what an agent wrote in the channel's own inbox.
    `is_automated` is True for what no person wrote: some channels allow only a person to answer late.
    `sent_as` are the channel's ids of its messages, if it was sent and the helpdesk keeps its `Delivery`.
    """

    id: str
    body: str
    body_format: str
    author_type: str
    internal: bool | None
    attachments: tuple[Attachment, ...]
    from_connector: bool
    created_at: datetime
    is_automated: bool = False
    sent_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opening:
    """What a ticket began with; the body is empty where the helpdesk does not show it."""

    body: str = ""
    body_format: str = "markdown"


@dataclass(frozen=True, slots=True)
class Category:
    """A category that tickets can have."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class AgentReply:
    """A new comment on a ticket. Only one that an agent wrote publicly, on a customer's ticket, is sent.

    `change` is what happened to one that is not new: `updated` or `deleted`; the agent learns that the
    customer has it as it was. `key` is the same whenever, and however, the connector learns of the same
    comment, or change; `time` is when the comment was written. `is_confirmed` is False where a webhook leaves
    something out, or cannot be believed: then nothing of it is sent, but what `confirm` returns for it.
    """

    key: str
    time: datetime
    ticket: Ticket
    comment: Comment
    is_confirmed: bool = True
    change: str = ""

    @classmethod
    def of(cls, ticket: Ticket, comment: Comment, *, is_confirmed: bool = True) -> "AgentReply":
        """Return the reply that a comment is, whether a webhook or `poll` brings it."""
        return cls(f"comment:{comment.id}", comment.created_at, ticket, comment, is_confirmed)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an agent's comment. `status` is sent, delivered, read or failed.

    `message_ids` are the channel's, one for each part that was sent. `error` is a sentence for the agent.
    """

    status: str
    message_ids: Sequence[str]
    error: str = ""


class Helpdesk(ABC):
    """What the connector asks of a helpdesk. Every method raises `ClientError`.

    It is made once for each process, as `Adapter(http, base_url=…, api_token=…, webhook_secret=…, **options)`
    with the values of the settings, and called from many threads.
    """

    cannot: ClassVar[Mapping[str, str]] = {}
    """What the helpdesk cannot do, and what happens instead."""
    clock: Callable[[], float] = staticmethod(time.time)
    """Returns the time that the age of webhooks goes by, in seconds since 1970; the web process sets it."""
    poll_every: ClassVar[float] = 0
    """How often `poll` is asked unless the settings say, in seconds; 0 is never."""

    @classmethod
    def check_secret(cls, webhook_secret: str) -> None:
        """Raise `ValueError`, with what to do, for a secret that webhooks cannot be verified with."""
        if not webhook_secret.strip() and cls.receive is not Helpdesk.receive:
            raise ValueError("must not be empty")

    @abstractmethod
    def ping(self) -> None:
        """Ask for something small, to learn whether the helpdesk is up and takes the token."""

    def now(self) -> datetime | None:
        """Return the time by the helpdesk's own clock, or None if it is not known."""
        return None

    def has_desk(self, desk_id: str) -> bool | None:
        """Return whether there is a desk that tickets can go to; None where that cannot be told."""
        return None

    def has_category(self, category_id: str) -> bool | None:
        """Return whether there is a category for tickets; None where that cannot be told."""
        return None

    def categories(self, desk_id: str) -> Sequence[Category] | None:
        """Return the categories that tickets of a desk can have; None where a helpdesk does not list them."""
        return None

    def ticket_url(self, ticket_id: str) -> str:
        """Return where agents see a ticket, for people to follow; empty if it is not known."""
        return ""

    @abstractmethod
    def find_open_ticket(self, conversation: Conversation) -> Ticket | None:
        """Return the newest open ticket of a customer; None if they have none. They get a new one then."""

    @abstractmethod
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        """Return the ticket that was created with this id, open or not, or None.

        Asked before a create is repeated.
        """

    @abstractmethod
    def get_ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket with its customer. Raises `NotFound`."""

    @abstractmethod
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        """Create a ticket; the same `key` again returns the first one, if the helpdesk can."""

    def close_ticket(self, ticket_id: str) -> bool:
        """Close an internal ticket, whose last comment says that all is well. Return whether that was done.

        False is a helpdesk that cannot: its agents close the ticket. One that is closed already stays so.
        """
        return False

    def name_requester(self, ticket_id: str, naming: Naming) -> bool:
        """Put the customer's name on their ticket. Return whether it is there.

        False is a helpdesk that cannot: its agents get the name in an internal comment.
        """
        return False

    @abstractmethod
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        """Add a comment and return its id. Raises `TicketClosed` or `NotFound` if the ticket takes none.

        An internal one says to agents what went wrong: on closed tickets as well, where the helpdesk can.
        """

    @abstractmethod
    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        """Return the id of the comment that was created with this id, once all of it is there.

        Asked before a create is repeated.
        """

    def find_comment(self, ticket_id: str, external_id: str) -> Comment | None:
        """Return the comment that was created with this id, to quote it or to change it; None if unknown.

        This one knows none: what a message answers is then looked up in its channel.
        """
        return None

    def find_opening(self, ticket_id: str, external_id: str) -> Opening | None:
        """Return what a ticket began with if it was created with this id, to quote it; None if unknown.

        This one knows none: what the first message of a ticket says is then looked up in its channel.
        """
        return None

    def read_comment(self, ticket_id: str, comment_id: str, since: datetime) -> Comment | None:
        """Return an agent's comment, written since then, to quote what a customer answers; None if unknown.

        This one knows none: its words are then looked up in the channel that it was sent to.
        """
        return None

    def edit_comment(self, comment_id: str, body: str) -> bool:
        """Change the body (markdown) of a comment whose message was edited. Return whether that was done.

        False is a helpdesk that cannot: its agents get the new text in an internal comment.
        """
        return False

    @abstractmethod
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> AbstractContextManager[File]:
        """Fetch an attachment. Raises `FileRefused`, also if it has more than `max_bytes`."""

    def upload(self, file: File, key: str) -> Attachment | None:
        """Store a file ahead of the ticket or comment that shows it. Raises `FileRefused`.

        None is a helpdesk that takes files only with their comment, and finds them in its `files`.
        """
        return None

    def show_delivery(self, comment_id: str, delivery: Delivery) -> None:  # noqa: B027 - not all can
        """Show in an agent's comment what became of it; a failure is also said in an internal comment."""

    def erase(self, conversation: Conversation, requested_at: datetime, key: str) -> bool:
        """Have the helpdesk delete what it keeps of a person who asked for that. Return whether it will.

        False is a helpdesk that cannot: what it has is then dealt with there. Asked before the connector
        itself forgets them, and a second time, by another `key`, where a create may have been under way.
        The same `key` again has no other effect.
        """
        return False

    def request_webhook(self) -> str | None:
        """Have the helpdesk send a webhook now, to see whether its webhooks reach the connector.

        It carries no comment, so `receive` returns None for it. Return the address that it goes to, empty
        where the helpdesk does not say. None is a helpdesk that cannot be asked for one.
        """
        return None

    def may_receive(self, headers: Mapping[str, str], secret: str) -> bool:
        """Return whether a webhook with these headers can be the helpdesk's; else its body is not read."""
        return True

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        """Verify and read a webhook; None is one that is not about a new comment. Touches no network.

        `secret` is what follows `WEBHOOK_PATH` in the URL. Raises `InvalidWebhook` or
        `WebhookNotUnderstood`.
        """
        raise InvalidWebhook

    def confirm(self, reply: AgentReply) -> AgentReply | None:
        """Read what a webhook left out, or only claims; None is a comment that the helpdesk does not have.

        Asked for each reply that is not confirmed, before anything is sent; what it returns is believed.
        This one reads the ticket. Where webhooks are not signed, nothing of what they claim may be believed:
        read the comment as well, and take the ticket from there.
        """
        return replace(reply, ticket=self.get_ticket(reply.ticket.id), is_confirmed=True)

    def poll(self, since: datetime) -> Iterable[AgentReply]:
        """Return the agents' comments that were written since then, for webhooks that may be lost.

        All of them, on closed tickets too. `since` is aware, by the connector's clock, and reaches back ten
        minutes each time. One that cannot be read must not keep back the others: leave out what is gone.
        Their keys are those of the webhooks, so that a comment that came already is not sent again.
        """
        return ()
