"""What the sandbox helpdesk is told, shape by shape, and how it refuses."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

Json = dict[str, Any]
_FILLED = r"[^\s\x1c-\x1f\x85\ufeff]"  # what any dialect of regular expressions takes for a character to see
Line = Annotated[str, Meta(pattern=_FILLED, max_length=255)]
Text = Annotated[str, Meta(pattern=_FILLED, max_length=100_000)]
Format = Literal["markdown", "html", "text"]
Instant = Annotated[datetime, Meta(tz=True)]
Source = Literal["facebook_messenger"]
MediaType = Annotated[str, Meta(pattern=r"^[\w.+-]+/[\w.+-]+(;[ -~]*)?\Z", max_length=255)]
Limit = Annotated[str, Meta(pattern=r"^([1-9][0-9]?|100)\Z")]
Cursor = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,17}\Z")]
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
    behind newer ones. `retry_waits` are in seconds, and the last of them goes on for a day. `forbidden` are
    the tickets, by their ids, that the API's token may not see. Without `erasures`, or
    `comment_list`, the helpdesk has none; without `closing` the API closes no tickets, and without `pings`
    it sends none.
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
    forbidden: list[str] = []
    erasures: bool = True
    comment_list: bool = True
    closing: bool = True
    pings: bool = True


class CustomerConfig(Struct, tag_field="source", tag="facebook_messenger"):
    """What the `config` of a customer's ticket holds; it may hold more."""

    page_id: Line
    sender_id: Line
    page_name: str | UnsetType = UNSET
    sender_name: str | UnsetType = UNSET
    sender_first_name: str | UnsetType = UNSET
    sender_last_name: str | UnsetType = UNSET
    sender_profile_pic: str | UnsetType = UNSET
    history: bool | UnsetType = UNSET


class ConnectorConfig(Struct, tag_field="source", tag="connector"):
    """What the `config` of an internal ticket holds, which has no customer; it may hold more."""


TicketConfig = CustomerConfig | ConnectorConfig


class Erasure(Strict):
    """The `erasure` of `POST /erasures`."""

    source: Source
    page_id: Line
    sender_id: Line
    requested_at: Instant


class Delivery(Struct):
    """What became of an agent's comment."""

    status: Literal["sent", "delivered", "read", "failed"]
    message_ids: list[str]
    error: str | UnsetType = UNSET


class CommentConfig(Struct):
    """What the `config` that the connector tells of a comment holds; it may hold more."""

    source: Source | UnsetType = UNSET
    delivery: Delivery | UnsetType = UNSET
    history: bool | UnsetType = UNSET


class Requester(Strict):
    """Who asked."""

    name: Line
    external_id: Line
    avatar_url: str | UnsetType = UNSET


class Author(Strict):
    """Who wrote a comment."""

    type: Literal["customer", "agent", "system"]
    name: Line
    external_id: Line | UnsetType = UNSET
    automated: bool | UnsetType = UNSET


class NewTicket(Strict):
    """The `ticket` of `POST /tickets`."""

    desk_id: Line
    title: Line
    body: Text
    body_format: Literal["markdown"]
    external_id: Line
    requester: Requester
    attachment_ids: list[Line]
    created_at: Instant
    config: Json
    category_id: Line | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a `config` that is not the connector's."""
        msgspec.convert(self.config, TicketConfig)


class TicketPatch(Strict):
    """The `ticket` of `PATCH /tickets/{id}`."""

    title: Line | UnsetType = UNSET
    requester: Requester | UnsetType = UNSET
    config: Json | UnsetType = UNSET
    closed: Literal[True] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a `config` that is not the connector's."""
        if self.config is not UNSET:
            msgspec.convert(self.config, TicketConfig)


class AnyComment(Strict, kw_only=True):
    """A comment as the store takes it."""

    body: str
    author: Author
    body_format: Format
    external_id: str | None
    internal: bool
    attachment_ids: list[Line]
    created_at: Instant | None
    config: Json


class NewComment(AnyComment, kw_only=True):
    """The `comment` of `POST /tickets/{id}/comments`."""

    body: Text
    body_format: Literal["markdown"]
    external_id: Line
    created_at: Instant

    def __post_init__(self) -> None:
        """Refuse a `config` that is not the connector's."""
        msgspec.convert(self.config, CommentConfig)


class CommentPatch(Strict):
    """The `comment` of `PATCH /comments/{id}`."""

    body: Text | UnsetType = UNSET
    config: Json | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse a `config` that is not the connector's."""
        msgspec.convert(self.config or {}, CommentConfig)


class NewFile(Strict):
    """A file as an agent attaches it; in JSON its bytes are base64."""

    filename: Line
    content_type: MediaType
    base64: bytes


class TicketFilter(Strict):
    """The query of `GET /tickets`."""

    source: str | UnsetType = UNSET
    page_id: str | UnsetType = UNSET
    sender_id: str | UnsetType = UNSET
    external_id: str | UnsetType = UNSET
    closed: Literal["true", "false"] | UnsetType = UNSET
    limit: Limit = "100"
    cursor: Cursor | UnsetType = UNSET


class ListFilter(Strict):
    """The query of `GET /comments`."""

    source: str | UnsetType = UNSET
    after: Instant | UnsetType = UNSET
    limit: Limit = "100"
    cursor: Cursor | UnsetType = UNSET


class CommentFilter(Strict):
    """The query of `GET /tickets/{id}/comments`."""

    external_id: str | UnsetType = UNSET
    after: Instant | UnsetType = UNSET


class TicketBody(Strict):
    """The body of `POST /tickets`."""

    ticket: NewTicket


class TicketPatchBody(Strict):
    """The body of `PATCH /tickets/{id}`."""

    ticket: TicketPatch


class CommentBody(Strict):
    """The body of `POST /tickets/{id}/comments`."""

    comment: NewComment


class ErasureBody(Strict):
    """The body of `POST /erasures`."""

    erasure: Erasure


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
    """The body of `POST /sandbox/tickets/{id}/comments`; files alone will do.

    With `close` it closes the ticket as well.
    """

    body: Annotated[str, Meta(max_length=100_000)]
    body_format: Format = "markdown"
    internal: bool = False
    close: bool = False
    agent: Line = "Ola"
    automated: bool = False
    files: list[NewFile] = []
    config: Json = {}


class NewBody(Strict):
    """The body of `PATCH /sandbox/comments/{id}`."""

    body: Annotated[str, Meta(min_length=1, max_length=100_000)]


class Merge(Strict):
    """The body of `POST /sandbox/tickets/{id}/merge`."""

    into: Line


class SandboxFilter(Strict):
    """The query of `GET /sandbox/tickets`."""

    sender_id: str | UnsetType = UNSET
    page_id: str | UnsetType = UNSET
