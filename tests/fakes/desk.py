"""A helpdesk that fails where it is told to."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from typing import Any, cast

from clients.channel import Conversation
from clients.errors import ClientError, NotFound, TicketClosed
from clients.helpdesk import (
    AgentReply,
    Attachment,
    Comment,
    Customer,
    Delivery,
    Helpdesk,
    Naming,
    NewComment,
    NewTicket,
    Opening,
    Ticket,
)
from clients.media import File
from tests.fakes.conversation import CUSTOMER
from tests.fakes.failures import Fuse, Outside


@dataclass
class Opened:
    """A ticket of the fake helpdesk."""

    id: str
    new: NewTicket | None = None
    closed: bool = False
    customer: Customer | None = None
    comments: list[NewComment] = field(default_factory=list)

    @property
    def seen(self) -> Ticket:
        """Return what the helpdesk shows of it."""
        return Ticket(self.id, self.closed, self.customer)


class Desk(Outside, Helpdesk):
    """A helpdesk that keeps all in lists. It may forget idempotency keys."""

    remote = "helpdesk"

    def __init__(self, fuse: Fuse) -> None:
        super().__init__(fuse)
        self.tickets: dict[str, Opened] = {}
        self.uploads: list[str] = []
        self.deliveries: dict[str, Delivery] = {}
        self.keys: list[str] = []
        self.written: dict[str, Comment] = {}
        self.asked_since: datetime | None = None
        self.knows_keys = self.takes_files_ahead = self.takes_names = self.takes_edits = True
        self.named: dict[str, Naming] = {}
        self.contents: list[bytes] = []
        self.untrue, self.shown = 0, ""
        self.can_erase, self.erased = True, list[Conversation]()
        self.can_close = self.shows_openings = True
        self.refuses: Callable[[NewTicket | NewComment], Exception | None] = lambda new: None
        self._answers: dict[str, Any] = {}

    def open(self, id_: str = "42") -> Opened:
        """Have a ticket of the sender."""
        self.tickets[id_] = Opened(id_, customer=CUSTOMER)
        return self.tickets[id_]

    def _check(self, new: NewTicket | NewComment) -> None:
        if error := self.refuses(new):
            if isinstance(error, ClientError):
                error.remote = self.remote
            raise error

    def _once(self, key: str, make: Callable[[], Any]) -> Any:
        self.keys.append(key)
        if not self.knows_keys or key not in self._answers:
            self._answers[key] = make()
        return self._answers[key]

    def ping(self) -> None:
        with self.called("ping"):
            pass

    def find_open_ticket(self, conversation: Conversation) -> Ticket | None:
        with self.called("find_open_ticket"):
            found = [one for one in self.tickets.values() if not one.closed and one.customer]
            return found[-1].seen if found else None

    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        with self.called("ticket_by_external_id"):
            made = (one for one in self.tickets.values() if one.new and one.new.external_id == external_id)
            return next((one.seen for one in made), None)

    def get_ticket(self, ticket_id: str) -> Ticket:
        with self.called("get_ticket"):
            return self._ticket(ticket_id).seen

    def _ticket(self, id_: str) -> Opened:
        if id_ not in self.tickets:
            raise NotFound("there is no such ticket")
        return self.tickets[id_]

    def confirm(self, reply: AgentReply) -> AgentReply | None:
        if self.untrue:
            self.untrue -= 1
            return None
        confirmed = super().confirm(reply)
        if confirmed and self.shown:
            comment = dataclasses.replace(confirmed.comment, body=self.shown)
            return dataclasses.replace(confirmed, comment=comment)
        return confirmed

    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        def make() -> Ticket:
            opened = self.open(f"t{len(self.tickets) + 1}")
            opened.new, opened.customer = ticket, ticket.customer
            self._take(ticket)
            return opened.seen

        with self.called("create_ticket"):
            self._check(ticket)
            return cast("Ticket", self._once(key, make))

    def close_ticket(self, ticket_id: str) -> bool:
        with self.called("close_ticket"):
            self._ticket(ticket_id).closed = self._ticket(ticket_id).closed or self.can_close
            return self.can_close

    def name_requester(self, ticket_id: str, naming: Naming) -> bool:
        with self.called("name_requester"):
            if self.takes_names:
                self.named[ticket_id] = naming
            return self.takes_names

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        def make() -> str:
            ticket = self._ticket(ticket_id)
            if ticket.closed:
                raise TicketClosed("the ticket is closed")
            ticket.comments.append(comment)
            self._take(comment)
            return f"{ticket_id}.{len(ticket.comments)}"

        with self.called("add_comment"):
            self._check(comment)
            return cast("str", self._once(key, make))

    def _take(self, text: NewTicket | NewComment) -> None:
        self.contents += [file.stream.read() for file in text.files]

    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        with self.called("comment_by_external_id"):
            comments = self._ticket(ticket_id).comments
            return next((one.external_id for one in comments if one.external_id == external_id), None)

    def read_comment(self, ticket_id: str, comment_id: str, since: datetime) -> Comment | None:
        with self.called("read_comment"):
            self.asked_since = since
            return self.written.get(comment_id)

    def find_comment(self, ticket_id: str, external_id: str) -> Comment | None:
        with self.called("find_comment"):
            for number, one in enumerate(self._ticket(ticket_id).comments, 1):
                if one.external_id == external_id:
                    return Comment(
                        f"{ticket_id}.{number}",
                        one.body,
                        "markdown",
                        one.author.type,
                        internal=one.internal,
                        attachments=(),
                        from_connector=True,
                        created_at=one.created_at,
                    )
            return None

    def find_opening(self, ticket_id: str, external_id: str) -> Opening | None:
        with self.called("find_opening"):
            new = self._ticket(ticket_id).new
            if new is None or new.external_id != external_id:
                return None
            return Opening(new.body if self.shows_openings else "")

    def edit_comment(self, comment_id: str, body: str) -> bool:
        with self.called("edit_comment"):
            if self.takes_edits:
                ticket_id, _, number = comment_id.rpartition(".")
                comments = self._ticket(ticket_id).comments
                comments[int(number) - 1] = dataclasses.replace(comments[int(number) - 1], body=body)
            return self.takes_edits

    def show_delivery(self, comment_id: str, delivery: Delivery) -> None:
        with self.called("show_delivery"):
            self.deliveries[comment_id] = delivery

    def upload(self, file: File, key: str) -> Attachment | None:
        if not self.takes_files_ahead:
            return None

        def make() -> Attachment:
            self.uploads.append(file.filename)
            id_ = str(len(self.uploads))
            return Attachment(
                id_, f"https://acme.example.com/{id_}", file.filename, file.content_type, file.size
            )

        with self.called("upload"):
            return cast("Attachment", self._once(key, make))

    def erase(self, conversation: Conversation, requested_at: datetime, key: str) -> bool:
        with self.called("erase"):
            if self.can_erase:
                self._once(key, lambda: self.erased.append(conversation))
            return self.can_erase

    @contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        with self.called("open_attachment"):
            yield File(attachment.filename, attachment.content_type, 3, BytesIO(b"pdf"))

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        raise NotImplementedError  # for the doors; no task calls it
