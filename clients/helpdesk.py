"""The helpdesk: what the connector needs of one (`Helpdesk`), and `rest`, the adapter for our own API.

A helpdesk of another make is another class with these methods. What each method has to hold so that nothing
is lost, doubled or shown to the wrong person stands in its docstring.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

from clients.errors import (
    Away,
    ClientError,
    FileRefused,
    NotFound,
    RejectedError,
    TicketClosed,
    Unavailable,
)
from clients.http import HttpClient, RestClient
from clients.jsons import NotUnderstood, decode
from clients.media import File, safe_filename, spool

SOURCE = "facebook_messenger"
EVENT_TYPES = frozenset({"comment.created", "ticket.closed", "ticket.reopened"})

T = TypeVar("T")
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading JSON of another shape than the one that was promised may raise."""
Config = Mapping[str, Any]


class InvalidWebhook(Exception):
    """The webhook is not signed by the helpdesk, or too old."""


class WebhookNotUnderstood(Exception):
    """The webhook is signed, but its body is not what the helpdesk promised to send."""


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
    """A ticket to create. `body` is markdown, `external_id` unique; `attachment_ids` come from `upload`."""

    desk_id: str
    category_id: str | None
    title: str
    body: str
    external_id: str
    requester: Requester
    attachment_ids: Sequence[str]
    created_at: datetime
    config: Config


@dataclass(frozen=True, slots=True)
class NewComment:
    """A comment to create. `body` is markdown; `external_id` is unique in its ticket."""

    body: str
    external_id: str
    author: Author
    created_at: datetime
    internal: bool = False
    attachment_ids: Sequence[str] = ()
    config: Config = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, as far as the connector looks at it. `config` is None where the helpdesk left it out."""

    id: str
    closed: bool
    config: Config | None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that is in the helpdesk. `size` is in bytes, 0 if unknown."""

    id: str
    url: str
    filename: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as it stands in the helpdesk. `internal` is None where the helpdesk does not say."""

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


class Helpdesk(Protocol):
    """What the connector asks of a helpdesk. Every call raises `ClientError`."""

    def ping(self) -> None:
        """Ask for something small, to learn whether the helpdesk is up and takes the token."""

    def find_open_ticket(self, page_id: str, psid: str) -> Ticket | None:
        """Return the newest open ticket of a sender. One open ticket a sender rests on this."""

    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        """Return the ticket that was created with this id, open or not. Asked before a create is repeated."""

    def get_ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket with its `config`. Raises `NotFound`."""

    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        """Create a ticket; the same `key` again returns the first one, if the helpdesk can."""

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        """Add a comment and return its id. Raises `TicketClosed` or `NotFound` if the ticket takes none."""

    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        """Return the id of the comment that was created with this id. Asked before a create is repeated."""

    def merge_config(self, comment_id: str, config: Config) -> None:
        """Merge `config` into a comment's."""

    def upload(self, file: File, key: str) -> Attachment:
        """Store a file, so that a ticket or a comment can be created with it."""

    def open_attachment(self, attachment: Attachment, max_bytes: int) -> AbstractContextManager[File]:
        """Fetch an attachment. Raises `FileRefused`."""

    def receive(self, body: bytes, headers: Mapping[str, str]) -> HelpdeskEvent | None:
        """Verify and read a webhook; None is a type that the connector does not know.

        Touches no network. Raises `InvalidWebhook` or `WebhookNotUnderstood`.
        """


_COLLECTIONS = ("/tickets", "/attachments")
"""What is always there: a proxy that answers 404 here speaks for a helpdesk that is being deployed."""


class RestHelpdesk(RestClient):
    """The adapter `rest`: the API that docs/helpdesk-api.md describes."""

    service = "the helpdesk"

    def __init__(self, http: HttpClient, *, base_url: str, api_token: str, webhook_secret: str) -> None:
        self._authorization = {"Authorization": f"Bearer {api_token}"}
        super().__init__(http, base_url, self._authorization, "helpdesk")
        self._origin = _origin(base_url)
        self._webhook = Webhook(webhook_secret)

    def ping(self) -> None:
        """Search for a ticket that is not there."""
        self.call("GET", "/tickets", params={"external_id": "ping"})

    def find_open_ticket(self, page_id: str, psid: str) -> Ticket | None:
        """Return the newest open ticket of a sender."""
        query = {"source": SOURCE, "page_id": page_id, "sender_id": psid, "closed": "false", "limit": "1"}
        return next(iter(_list_of(_ticket, self.call("GET", "/tickets", params=query), "tickets")), None)

    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        """Return the ticket that was created with this id."""
        answer = self.call("GET", "/tickets", params={"external_id": external_id})
        return next(iter(_list_of(_ticket, answer, "tickets", external_id)), None)

    def get_ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket. Raises `NotFound`."""
        return _one(_ticket, self.call("GET", f"/tickets/{_segment(ticket_id)}"), "ticket")

    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        """Create a ticket with its first message."""
        fields = {
            "desk_id": ticket.desk_id,
            "title": ticket.title,
            "body": ticket.body,
            "body_format": "markdown",
            "external_id": ticket.external_id,
            "requester": _without_empty(
                name=ticket.requester.name,
                external_id=ticket.requester.external_id,
                avatar_url=ticket.requester.avatar_url,
            ),
            "attachment_ids": list(ticket.attachment_ids),
            "created_at": _iso(ticket.created_at),
            "config": dict(ticket.config),
        } | _without_empty(category_id=ticket.category_id)
        return _one(_ticket, self._create("/tickets", {"ticket": fields}, key), "ticket")

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        """Add a comment and return its id."""
        author = comment.author
        fields = {
            "body": comment.body,
            "body_format": "markdown",
            "external_id": comment.external_id,
            "author": _without_empty(type=author.type, name=author.name, external_id=author.external_id),
            "internal": comment.internal,
            "attachment_ids": list(comment.attachment_ids),
            "created_at": _iso(comment.created_at),
            "config": dict(comment.config),
        }
        path = f"/tickets/{_segment(ticket_id)}/comments"
        return _one(_id, self._create(path, {"comment": fields}, key), "comment")

    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        """Return the id of the comment that was created with this id."""
        path = f"/tickets/{_segment(ticket_id)}/comments"
        answer = self.call("GET", path, params={"external_id": external_id})
        return next(iter(_list_of(_id, answer, "comments", external_id)), None)

    def merge_config(self, comment_id: str, config: Config) -> None:
        """Merge `config` into a comment's."""
        self.call("PATCH", f"/comments/{_segment(comment_id)}", json={"comment": {"config": dict(config)}})

    def upload(self, file: File, key: str) -> Attachment:
        """Store a file."""
        files = {"file": (file.filename, file.stream, file.content_type)}
        answer = self.call("POST", "/attachments", files=files, headers=_idempotency(key))
        return _one(_attachment, answer, "attachment")

    @contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        """Fetch a file. The token goes to the helpdesk's own origin and nowhere else."""
        with ExitStack() as opened:
            # Not around the yield: what the caller does with the file is the caller's own.
            with self._file_failures(attachment):
                response = opened.enter_context(self._get_file(attachment))
                if response.status_code != 200 or _is_a_login_page(response, attachment):
                    raise self._not_fetched(response)
                stream, size = opened.enter_context(spool(response.iter_bytes(), max_bytes))
            name = safe_filename(attachment.filename, attachment.content_type)
            yield File(name, attachment.content_type, size, stream)

    def _get_file(self, attachment: Attachment) -> AbstractContextManager[httpx.Response]:
        url = self._address(attachment)
        headers = self._authorization if self._is_ours(url) else {}
        return self._http.stream("GET", url, headers=headers, follow_redirects=True)

    @contextmanager
    def _file_failures(self, attachment: Attachment) -> Iterator[None]:
        """Blame the helpdesk for its own origin only: a file may be on a host that is not its."""
        try:
            with self.failures():
                yield
        except ClientError as error:
            if not self._is_ours(self._address(attachment)):
                error.side = ""
            raise

    def _address(self, attachment: Attachment) -> str:
        try:
            url = urljoin(self._base_url + "/", attachment.url)
            is_of_the_web = _origin(url)[0] in {"http", "https"}
        except ValueError:
            is_of_the_web = False
        if not is_of_the_web:
            raise FileRefused("its address is not one of the web")
        return url

    def _is_ours(self, url: str) -> bool:
        return _origin(url) == self._origin

    def _not_fetched(self, response: httpx.Response) -> ClientError:
        ours = self._is_ours(str(response.request.url))
        if (
            response.status_code >= 500
            or response.status_code == 429
            or (ours and response.status_code == 401)
        ):
            return self.error(response)
        return FileRefused(f"the helpdesk did not hand out the file ({response.status_code})")

    def receive(self, body: bytes, headers: Mapping[str, str]) -> HelpdeskEvent | None:
        """Verify the signature of Standard Webhooks and read the event."""
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            raise InvalidWebhook from None
        try:
            return _event(decode(body), headers["webhook-id"])
        except (NotUnderstood, *_MALFORMED):
            raise WebhookNotUnderstood from None

    def error(self, response: httpx.Response) -> ClientError:
        """Sort an error: a closed ticket and a missing thing have their own names."""
        if response.status_code == 409:
            return self._conflict(response)
        if response.status_code in {404, 405} and response.request.url.path.endswith(_COLLECTIONS):
            return Away("the helpdesk's API is not there; check base_url if this does not pass by itself")
        if response.status_code in {404, 410}:
            return NotFound("the helpdesk does not know it (any more)")
        if response.status_code in {413, 415}:
            return FileRefused(f"the helpdesk does not take the file ({response.status_code})")
        error = super().error(response)
        if type(error) is RejectedError:
            return RejectedError(f"{error}{_what_was_wrong(response)}")
        return error

    def _conflict(self, response: httpx.Response) -> ClientError:
        """Tell a closed ticket from a create that is still under way with the same key."""
        try:
            code = response.json()["error"]["code"]
        except (ValueError, KeyError, TypeError):
            code = ""
        if code == "ticket_closed":
            return TicketClosed("the ticket is closed")
        return Unavailable("the helpdesk is still busy with the same call")

    def _create(self, path: str, body: dict[str, Any], key: str) -> Any:
        return self.call("POST", path, json=body, headers=_idempotency(key))


def _one(reader: Callable[[Any], T], answer: Any, key: str) -> T:
    """Read what an answer holds under `key`."""
    try:
        return reader(answer[key])
    except _MALFORMED:
        raise Unavailable(f"the helpdesk's answer has no proper {key}") from None


def _list_of(reader: Callable[[Any], T], answer: Any, key: str, external_id: str = "") -> list[T]:
    """Read a list; with an external id only what bears it: some helpdesks ignore a filter."""

    def is_wanted(value: Any) -> bool:
        return not external_id or value.get("external_id", external_id) == external_id

    return _one(lambda values: [reader(value) for value in values if is_wanted(value)], answer, key)


def _id(value: Any) -> str:
    """Read an id: a string, though many helpdesks write numbers."""
    id_ = value["id"]
    if not isinstance(id_, str | int) or isinstance(id_, bool) or id_ == "":
        raise ValueError("an id is a string")
    return str(id_)


def _ticket(value: Any) -> Ticket:
    config = value.get("config")
    return Ticket(_id(value), value.get("closed") is True, config if isinstance(config, dict) else None)


def _attachment(value: Any) -> Attachment:
    return Attachment(
        id=_id(value),
        url=str(value["url"]),
        filename=str(value.get("filename") or ""),
        content_type=str(value.get("content_type") or "application/octet-stream"),
        size=int(value.get("size") or 0),
    )


def _comment(value: Any) -> Comment:
    internal, config = value.get("internal"), value.get("config")
    return Comment(
        id=_id(value),
        body=str(value.get("body") or ""),
        body_format=str(value.get("body_format") or "text"),
        author_type=str((value.get("author") or {}).get("type") or ""),
        internal=internal if isinstance(internal, bool) else None,
        attachments=tuple(_attachment(one) for one in value.get("attachments") or []),
        config=config if isinstance(config, dict) else {},
        created_at=_time(value.get("created_at")),
    )


def _event(value: Any, webhook_id: str) -> HelpdeskEvent | None:
    type_, data = str(value["type"]), value["data"]
    if type_ not in EVENT_TYPES:
        return None
    comment = _comment(data["comment"]) if type_ == "comment.created" else None
    return HelpdeskEvent(
        type=type_,
        key=f"comment:{comment.id}" if comment else f"webhook:{webhook_id}",
        time=comment.created_at if comment else _time(value.get("timestamp")),
        ticket=_ticket(data["ticket"]),
        comment=comment,
    )


def _what_was_wrong(response: httpx.Response) -> str:
    """Return the code and the field that an error names; its message may quote the customer."""
    try:
        error = response.json()["error"]
        named = [str(error[key]) for key in ("code", "field") if error.get(key)]
    except (ValueError, RecursionError, *_MALFORMED):
        return ""
    return f" ({': '.join(name[:60] for name in named)})" if named else ""


def _is_a_login_page(response: httpx.Response, attachment: Attachment) -> bool:
    """Tell whether a redirect led to a page for people, as some helpdesks do where a token is missing."""
    got = response.headers.get("content-type", "").partition(";")[0]
    return bool(response.history) and got == "text/html" != attachment.content_type


def _time(value: Any) -> datetime:
    """Read an ISO 8601 time; one that is missing or broken costs the reply its place, not its delivery."""
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return datetime.now(UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port: what has to be the same for a token to be sent."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


def _idempotency(key: str) -> dict[str, str]:
    """Return the header that makes a create repeatable; a header holds ASCII only."""
    return {"Idempotency-Key": quote(key, safe=":$=+/,@!*()")}


def _segment(id_: str) -> str:
    """Make an id safe as one segment of a path."""
    return quote(id_, safe="")


def _without_empty(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}
