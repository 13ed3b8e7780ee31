"""What the sandbox helpdesk is told, shape by shape, and how it refuses."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Json = dict[str, Any]
Line = Annotated[str, Meta(pattern=r"\S", max_length=255)]
Text = Annotated[str, Meta(pattern=r"\S", max_length=100_000)]
Format = Literal["markdown", "html", "text"]
Instant = Annotated[datetime, Meta(tz=True)]
MediaType = Annotated[str, Meta(pattern=r"^[\w.+-]+/[\w.+-]+(;[ -~]*)?\Z", max_length=255)]
Seconds = Annotated[float, Meta(ge=0)]


class Refused(Exception):
    """A request the helpdesk does not do: the status and the `error` of its answer."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field = status, code, message, field


class Strict(Struct, forbid_unknown_fields=True):
    """A shape that refuses keys it does not know."""


class Settings(Strict):
    """How the helpdesk behaves.

    With an empty `webhook_url` events are not kept for later. `webhook_duplicate` is the probability that
    a webhook comes twice in a row, `webhook_late` that it comes once more `webhook_late_after` seconds later,
    behind newer ones. `retry_waits` are in seconds, and the last of them goes on for a day.
    """

    webhook_url: str = ""
    honour_idempotency: bool = True
    webhook_duplicate: Annotated[float, Meta(ge=0, le=1)] = 0.0
    webhook_late: Annotated[float, Meta(ge=0, le=1)] = 0.0
    webhook_late_after: Seconds = 5.0
    webhook_config: bool = True
    retry_waits: Annotated[list[Seconds], Meta(min_length=1)] = field(
        default_factory=lambda: [0.5, 1, 2, 4, 8, 16, 30]
    )
    closed_comments: Literal["refuse"] = "refuse"


class Requester(Strict):
    """Who asked."""

    name: Line
    external_id: str | None = None
    avatar_url: str | None = None


class Author(Strict):
    """Who wrote a comment."""

    type: Literal["customer", "agent", "system"]
    name: Line
    external_id: str | None = None


class NewTicket(Strict):
    """The `ticket` of `POST /tickets`."""

    desk_id: Line
    title: Line
    body: Text
    requester: Requester
    category_id: str | None = None
    body_format: Format = "markdown"
    external_id: str | None = None
    attachment_ids: list[str] = []
    created_at: Instant | None = None
    config: Json = {}


class NewComment(Strict):
    """The `comment` of `POST /tickets/{id}/comments`."""

    body: Text
    author: Author
    body_format: Format = "markdown"
    external_id: str | None = None
    internal: bool = False
    attachment_ids: list[str] = []
    created_at: Instant | None = None
    config: Json = {}


class CommentPatch(Strict):
    """The `comment` of `PATCH /comments/{id}`."""

    body: Text | UnsetType = UNSET
    config: Json | UnsetType = UNSET


class NewFile(Strict):
    """A file as an agent attaches it; in JSON its bytes are base64."""

    filename: Line
    content_type: MediaType
    base64: bytes


class TicketFilter(Strict):
    """The query of `GET /tickets`."""

    source: str | None = None
    page_id: str | None = None
    sender_id: str | None = None
    external_id: str | None = None
    closed: bool | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 100


class CommentFilter(Strict):
    """The query of `GET /tickets/{id}/comments`."""

    external_id: str | None = None
    after: Instant | None = None


class TicketBody(Strict):
    """The body of `POST /tickets`."""

    ticket: NewTicket


class CommentBody(Strict):
    """The body of `POST /tickets/{id}/comments`."""

    comment: NewComment


class PatchBody(Strict):
    """The body of `PATCH /comments/{id}`."""

    comment: CommentPatch


class Desk(Strict):
    """The body of `PUT /sandbox/desks/{id}`."""

    name: Line


class Category(Strict):
    """The body of `PUT /sandbox/categories/{id}`."""

    name: Line
    owner: Line


class AgentComment(Strict):
    """The body of `POST /sandbox/tickets/{id}/comments`; files alone will do."""

    body: Annotated[str, Meta(max_length=100_000)]
    body_format: Format = "markdown"
    internal: bool = False
    agent: Line = "Ola"
    files: list[NewFile] = []
    config: Json = {}


class SandboxFilter(Strict):
    """The query of `GET /sandbox/tickets`."""

    sender_id: str | None = None
    page_id: str | None = None
