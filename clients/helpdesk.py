"""The helpdesk: what the connector asks of one (`Helpdesk`), and the values that go back and forth.

An adapter is a class with these methods; `docs/adapters.md` shows how one is written. What each method has to
hold so that nothing is lost, doubled or shown to the wrong person stands in its docstring.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from clients.errors import Unavailable
from clients.jsons import MALFORMED, NotUnderstood
from clients.media import File
from clients.notices import ENGLISH

WEBHOOK_PATH = "/social_media/webhooks/helpdesk"
"""Where the connector takes the helpdesk's webhooks."""
SOURCE = "facebook_messenger"
"""What `config.source` says of a ticket, or a comment, that the connector made."""
Config = Mapping[str, Any]


class InvalidWebhook(Exception):
    """The webhook is not signed by the helpdesk, or too old."""


class WebhookTimestampOff(InvalidWebhook):
    """The webhook is signed, but older, or newer, than it may be: perhaps a clock is wrong."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the webhook's timestamp is {seconds:.0f} seconds off; compare both machines' clocks"
        )
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


SYSTEM = Author("system", "Messenger")
"""The author of what the connector itself has to say."""


@dataclass(frozen=True, slots=True)
class Requester:
    """The sender, seen from the helpdesk."""

    name: str
    external_id: str
    avatar_url: str = ""


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A ticket to create. `body` is markdown, `external_id` unique.

    `attachment_ids` come from `upload`; `files` are those that it did not take ahead, open. `language` is the
    agents', for what the adapter itself has to say.
    """

    desk_id: str
    category_id: str | None
    title: str
    body: str
    external_id: str
    requester: Requester
    attachment_ids: Sequence[str]
    created_at: datetime
    config: Config
    files: Sequence[File] = ()
    language: str = ENGLISH


@dataclass(frozen=True, slots=True)
class NewComment:
    """A comment to create. `body` is markdown; `external_id` is unique in its ticket.

    `attachment_ids` come from `upload`; `files` are those that it did not take ahead, open. `language` is the
    agents', for what the adapter itself has to say.
    """

    body: str
    external_id: str
    author: Author
    created_at: datetime
    internal: bool = False
    attachment_ids: Sequence[str] = ()
    config: Config = field(default_factory=dict)
    files: Sequence[File] = ()
    language: str = ENGLISH


@dataclass(frozen=True, slots=True)
class Naming:
    """The name of a ticket's sender, which was not known when the ticket was created.

    `old_title` is what the ticket was called then: if it has another title by now, an agent chose that.
    """

    old_title: str
    title: str
    requester: Requester
    config: Config


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, as far as the connector looks at it. `config` is None where the helpdesk left it out."""

    id: str
    closed: bool
    config: Config | None


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

    `body_format` is markdown, html or text, `author_type` customer, agent or system.
    """

    id: str
    body: str
    body_format: str
    author_type: str
    internal: bool | None
    attachments: tuple[Attachment, ...]
    config: Config
    created_at: datetime


@dataclass(frozen=True, slots=True)
class HelpdeskEvent:
    """What a webhook of the helpdesk says. `comment` is there for `comment.created`.

    `key` is the same for every delivery of the same event.
    """

    type: str
    key: str
    time: datetime
    ticket: Ticket
    comment: Comment | None


def comment_created(ticket: Ticket, comment: Comment) -> HelpdeskEvent:
    """Return the event of a comment, whether a webhook or `poll` brings it."""
    return HelpdeskEvent("comment.created", f"comment:{comment.id}", comment.created_at, ticket, comment)


def sender_of(config: Config) -> str:
    """Write whom a ticket is about in one word, `<page id>/<sender id>`, for a field that can be searched."""
    return f"{config['page_id']}/{config['sender_id']}"


def config_of(sender: str) -> Config:
    """Return the `config` of a ticket whose `sender_of` is known; without one it is not the connector's."""
    page_id, _, sender_id = sender.partition("/")
    return {"source": SOURCE, "page_id": page_id, "sender_id": sender_id} if sender_id else {}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an agent's comment. `status` is sent, delivered, read or failed."""

    status: str
    message_ids: Sequence[str]
    error: str = ""


class Helpdesk(ABC):
    """What the connector asks of a helpdesk. Every method raises `ClientError`.

    It is made once for each process, as `Adapter(http, base_url=…, api_token=…, webhook_secret=…, **options)`
    with what the settings say, and called from many threads.
    """

    cannot: ClassVar[Mapping[str, str]] = {}
    """What the helpdesk cannot do, and what happens instead."""
    clock: Callable[[], float] = staticmethod(time.time)
    """Tells the time that the age of webhooks goes by, in seconds since 1970; the doors set it."""
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

    def ticket_url(self, ticket_id: str) -> str:
        """Return where agents see a ticket, for people to follow; empty if it is not known."""
        return ""

    @abstractmethod
    def find_open_ticket(self, page_id: str, psid: str) -> Ticket | None:
        """Return the newest open ticket of a sender. One open ticket a sender rests on this."""

    @abstractmethod
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        """Return the ticket that was created with this id, open or not. Asked before a create is repeated."""

    @abstractmethod
    def get_ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket with its `config`. Raises `NotFound`."""

    @abstractmethod
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        """Create a ticket; the same `key` again returns the first one, if the helpdesk can."""

    def name_requester(self, ticket_id: str, naming: Naming) -> bool:
        """Put the sender's name on their ticket. Return whether it is there.

        False is a helpdesk that cannot: its agents are told the name in an internal comment.
        """
        return False

    @abstractmethod
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        """Add a comment and return its id. Raises `TicketClosed` or `NotFound` if the ticket takes none.

        An internal one tells agents what went wrong: on closed tickets as well, where the helpdesk can.
        """

    @abstractmethod
    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        """Return the id of the comment that was created with this id, once all of it is there.

        Asked before a create is repeated.
        """

    @abstractmethod
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> AbstractContextManager[File]:
        """Fetch an attachment. Raises `FileRefused`."""

    def upload(self, file: File, key: str) -> Attachment | None:
        """Store a file ahead of the ticket or comment that shows it. Raises `FileRefused`.

        None is a helpdesk that takes files only with their comment, and finds them in its `files`.
        """
        return None

    def show_delivery(self, comment_id: str, delivery: Delivery) -> None:  # noqa: B027 - not all can
        """Show in an agent's comment what became of it; a failure is told in an internal comment as well."""

    def may_receive(self, headers: Mapping[str, str], secret: str) -> bool:
        """Tell whether a webhook with these headers can be the helpdesk's; else its body is not read."""
        return True

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> HelpdeskEvent | None:
        """Verify and read a webhook; None is one that is nothing to the connector. Touches no network.

        `secret` is what follows the door's address in the URL. Raises `InvalidWebhook` or
        `WebhookNotUnderstood`.
        """
        raise InvalidWebhook

    def confirm(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        """Read what a webhook left out, or only claims; None is a comment that the helpdesk does not have.

        Asked for events whose ticket came without its `config`, before anything is sent. Where webhooks are
        not signed, nothing of what they claim may be believed: leave the `config` out in `receive`, and read
        the comment as well here.
        """
        return replace(event, ticket=self.get_ticket(event.ticket.id))

    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        """Return the agents' comments that were written since then, for webhooks that may be lost.

        All of them, on closed tickets too. `since` is aware, by the connector's clock, and reaches back ten
        minutes each time. One that cannot be read must not keep back the others: leave out what is gone.
        Their keys are those of the webhooks, so that a comment that came already is not sent again.
        """
        return ()
