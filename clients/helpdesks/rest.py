"""The adapter `rest`: the API that docs/helpdesk-api.md describes.

Whom a ticket is about, and what the connector itself wrote, stands in an object `config` there.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import structlog
from standardwebhooks import Webhook

from clients.channel import Conversation
from clients.channels.registry import CHANNELS
from clients.errors import ClientError, NotFound, RejectedError, TicketClosed, Unavailable
from clients.helpdesk import (
    CONNECTOR,
    AgentReply,
    Attachment,
    Category,
    Comment,
    Customer,
    Delivery,
    InvalidWebhook,
    Naming,
    NewComment,
    NewTicket,
    Opening,
    Ticket,
    WebhookTimestampOff,
    reading_webhook,
)
from clients.helpdesks.http import HttpHelpdesk
from clients.http import HttpClient, segment
from clients.jsons import MALFORMED, decode, decode_or_none
from clients.media import File

ERASURES, ALL_COMMENTS, PING = "/erasures", "/comments", "/webhooks/ping"
OPTIONAL = {ERASURES, ALL_COMMENTS, PING}
"""Paths that a helpdesk need not have."""
PAGE = "100"
"""How many tickets or comments a page of a list has at most."""
MOST_PAGES = 1000
"""How many pages of comments one poll reads at most."""
MOST_TICKET_PAGES = 10
"""How many pages of tickets one poll looks through at most, of open ones, where comments cannot be listed."""
GAP = timedelta(minutes=30)
"""For how long nobody polled if there was a gap, in which tickets may have been closed, too."""
TOLERANCE = 300.0
"""How old, or how new, a webhook may be, in seconds."""

NO_DESK, NO_CATEGORY = "no_such_desk", "no_such_category"
"""The codes of a 404 that says so; any other may only mean that the helpdesk does not offer the question."""

OF_NOBODY = {"source": "connector"}
"""The `config` of a ticket without a customer."""

T = TypeVar("T")
log = structlog.get_logger(__name__)


class NotOffered(RejectedError):
    """The helpdesk does not have a part of the API that it need not have."""


class RestHelpdesk(HttpHelpdesk):
    """A helpdesk with our own API."""

    always_there = ("/tickets", "/attachments")
    poll_every = 300.0

    @classmethod
    def check_secret(cls, webhook_secret: str) -> None:
        """Raise `ValueError` for what is no secret of Standard Webhooks.

        https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
        """
        try:
            key = base64.b64decode(webhook_secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if not webhook_secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError(
                "must be whsec_ and a key of 24 to 64 bytes in base64; make one with: "
                "python3 -c \"import base64,os;print('whsec_'+base64.b64encode(os.urandom(32)).decode())\""
            )

    def __init__(self, http: HttpClient, *, base_url: str, api_token: str, webhook_secret: str) -> None:
        super().__init__(http, base_url, {"Authorization": f"Bearer {api_token}"})
        self._webhook = Webhook(webhook_secret)
        self._were_open: dict[str, tuple[list[Ticket], list[Ticket]]] = {}

    def ping(self) -> None:
        """Search for a ticket that is not there."""
        self.call("GET", "/tickets", params={"external_id": "ping"})

    def has_desk(self, desk_id: str) -> bool | None:
        """Ask for the desk, which a helpdesk need not offer."""
        return self._has(f"/desks/{segment(desk_id)}", NO_DESK)

    def has_category(self, category_id: str) -> bool | None:
        """Ask for the category, which a helpdesk need not offer."""
        return self._has(f"/categories/{segment(category_id)}", NO_CATEGORY)

    def categories(self, desk_id: str) -> Sequence[Category] | None:
        """Ask for the categories of a desk, which a helpdesk need not offer."""
        try:
            answer = self.call("GET", "/categories", params={"desk_id": desk_id})
        except RejectedError:
            return None
        return _list_of(_category, answer, "categories")

    def _has(self, path: str, code_if_not: str) -> bool | None:
        """Ask whether something is there. A helpdesk that does not offer the question answers 404, too."""
        try:
            self.call("GET", path)
        except RejectedError as error:
            return False if error.notice.values.get("detail") == code_if_not else None
        return True

    def ticket_url(self, ticket_id: str) -> str:
        """Return what the helpdesk says is the ticket's address."""
        return _one(_url, self.call("GET", f"/tickets/{segment(ticket_id)}"), "ticket")

    def find_open_ticket(self, conversation: Conversation) -> Ticket | None:
        """Return the newest open ticket of a customer."""
        query = _ids(conversation) | {"closed": "false", "limit": "1"}
        return next(iter(_list_of(_ticket, self.call("GET", "/tickets", params=query), "tickets")), None)

    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        """Return the ticket that was created with this id."""
        answer = self.call("GET", "/tickets", params={"external_id": external_id})
        return next(iter(_list_of(_ticket, answer, "tickets", external_id)), None)

    def get_ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket. Raises `NotFound`."""
        return _one(_ticket, self.call("GET", f"/tickets/{segment(ticket_id)}"), "ticket")

    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        """Create a ticket with its first message."""
        fields = {
            "desk_id": ticket.desk_id,
            "title": ticket.title,
            "body": ticket.body,
            "body_format": "markdown",
            "external_id": ticket.external_id,
            "requester": _requester(ticket.customer) if ticket.customer else _CONNECTOR,
            "attachment_ids": list(ticket.attachment_ids),
            "created_at": _iso(ticket.created_at),
            "config": {
                **(_config(ticket.customer) if ticket.customer else OF_NOBODY),
                **_history(is_history=ticket.is_history),
            },
        } | _without_empty(category_id=ticket.category_id)
        return _one(_ticket, self._create("/tickets", {"ticket": fields}, key), "ticket")

    def close_ticket(self, ticket_id: str) -> bool:
        """Change the ticket to closed, which a helpdesk need not offer."""
        path = f"/tickets/{segment(ticket_id)}"
        try:
            answer = self.call("PATCH", path, json={"ticket": {"closed": True}})
        except RejectedError:
            return False
        # Some helpdesks ignore what they do not know, and answer with what they have.
        return _one(_ticket, answer, "ticket").closed

    def name_requester(self, ticket_id: str, naming: Naming) -> bool:
        """Change the ticket's requester and `config`, and its title unless an agent did."""
        path = f"/tickets/{segment(ticket_id)}"
        fields: dict[str, Any] = {
            "requester": _requester(naming.customer),
            "config": _config(naming.customer),
        }
        if _one(_title, self.call("GET", path), "ticket") == naming.old_title:
            fields["title"] = naming.title
        try:
            self.call("PATCH", path, json={"ticket": fields})
        except RejectedError:  # many helpdesks do not offer it
            return False
        return True

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
            "config": {**_without_empty(source=comment.channel), **_history(is_history=comment.is_history)},
        }
        path = f"/tickets/{segment(ticket_id)}/comments"
        return _one(_id, self._create(path, {"comment": fields}, key), "comment")

    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        """Return the id of the comment that was created with this id."""
        path = f"/tickets/{segment(ticket_id)}/comments"
        answer = self.call("GET", path, params={"external_id": external_id})
        return next(iter(_list_of(_id, answer, "comments", external_id)), None)

    def find_comment(self, ticket_id: str, external_id: str) -> Comment | None:
        """Return the comment that was created with this id."""
        path = f"/tickets/{segment(ticket_id)}/comments"
        answer = self.call("GET", path, params={"external_id": external_id})
        return next(iter(_list_of(_comment, answer, "comments", external_id)), None)

    def find_opening(self, ticket_id: str, external_id: str) -> Opening | None:
        """Return what the ticket began with, which a helpdesk need not show, if that has this id."""
        found = self.ticket_by_external_id(external_id)
        if found is None or found.id != ticket_id:
            return None
        return _one(_opening, self.call("GET", f"/tickets/{segment(ticket_id)}"), "ticket")

    def read_comment(self, ticket_id: str, comment_id: str, since: datetime) -> Comment | None:
        """Look for a comment among those that were written since then."""
        path = f"/tickets/{segment(ticket_id)}/comments"
        answer = self.call("GET", path, params={"after": _iso(since)})
        return _one(partial(_comment_of, comment_id), answer, "comments")

    def edit_comment(self, comment_id: str, body: str) -> bool:
        """Change the comment's body."""
        answer = self.call("PATCH", f"/comments/{segment(comment_id)}", json={"comment": {"body": body}})
        # Some helpdesks ignore what they do not know, and answer with what they have.
        return _one(_body_of, answer, "comment").split() == body.split()

    def show_delivery(self, comment_id: str, delivery: Delivery) -> None:
        """Merge the delivery into the comment's `config`."""
        shown = {"status": delivery.status, "message_ids": list(delivery.message_ids)}
        config = {"delivery": shown | _without_empty(error=delivery.error)}
        self.call("PATCH", f"/comments/{segment(comment_id)}", json={"comment": {"config": config}})

    def upload(self, file: File, key: str) -> Attachment:
        """Store a file."""
        answer = self.call("POST", "/attachments", files={"file": file.part}, headers=_idempotency(key))
        return _one(_attachment, answer, "attachment")

    def erase(self, conversation: Conversation, requested_at: datetime, key: str) -> bool:
        """Ask for an erasure; what the helpdesk answers beside its status is not looked at."""
        erasure = _ids(conversation) | {"requested_at": _iso(requested_at)}
        try:
            self.request("POST", ERASURES, json={"erasure": erasure}, headers=_idempotency(key))
        except NotOffered:
            return False
        return True

    def request_webhook(self) -> str | None:
        """Ask for a webhook of the type `ping`, which a helpdesk need not offer."""
        try:
            answer = self.request("POST", PING)
        except NotOffered:
            return None
        with suppress(*MALFORMED):
            return _url(decode_or_none(answer.content)["webhook"])
        return ""

    def poll(self, since: datetime) -> Iterable[AgentReply]:
        """List the comments that were written since then; where that is not offered, ticket by ticket."""
        try:
            for channel in CHANNELS:
                yield from self._new_comments(channel, since)
        except NotOffered:
            for channel in CHANNELS:
                yield from self._comments_by_ticket(channel, since)

    def _new_comments(self, channel: str, since: datetime) -> Iterator[AgentReply]:
        query = {"source": channel, "after": _iso(since), "limit": PAGE}
        for page in _bounded(self.pages(ALL_COMMENTS, query), MOST_PAGES):
            yield from _readable(_listed_reply, page)

    def _comments_by_ticket(self, channel: str, since: datetime) -> Iterator[AgentReply]:
        for ticket in self._recent_tickets(channel, since):
            path = f"/tickets/{segment(ticket.id)}/comments"
            with suppress(NotFound):  # it was deleted meanwhile, or the token may not see it
                answer = self.call("GET", path, params={"after": _iso(since)})
                yield from _readable(partial(_reply_on, ticket), answer)

    def _recent_tickets(self, channel: str, since: datetime) -> Iterator[Ticket]:
        """Return all open tickets, and others where agents may have answered: they answer and close at once.

        Those are the newest, many more after a gap, and those that were open at the last two polls: what is
        too young for one poll is left to the next.
        """
        query, known = {"source": channel, "limit": PAGE}, set[str]()
        still_open = self._listed(query | {"closed": "false"}, MOST_TICKET_PAGES)
        had_gap = (self.now() or datetime.now(UTC)) - since > GAP
        newest = self._listed(query, MOST_TICKET_PAGES if had_gap else 1)
        before, long_before = self._were_open.get(channel, ([], []))
        for ticket in (*still_open, *newest, *before, *long_before):
            if ticket.id not in known:
                known.add(ticket.id)
                yield ticket
        self._were_open[channel] = still_open, before
        if len(still_open) >= int(PAGE) * MOST_TICKET_PAGES:
            log.warning("older_tickets_not_polled", tickets=len(known), hint="offer GET /comments")

    def _listed(self, query: Mapping[str, str], most: int) -> list[Ticket]:
        """Return so many pages of tickets at most."""
        pages = islice(self.pages("/tickets", query), most)
        return [ticket for page in pages for ticket in _list_of(_ticket, page, "tickets")]

    def may_receive(self, headers: Mapping[str, str], secret: str) -> bool:
        """Return whether the headers of Standard Webhooks are there."""
        return all(headers.get(f"webhook-{name}") for name in ("id", "timestamp", "signature"))

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        """Verify the signature of Standard Webhooks and read the comment, if it brings one."""
        self._verify(body, headers)
        with reading_webhook():
            return _agent_reply(decode(body))

    def _verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Check the signature, then the age: by a clock that is given, unlike the library's own check.

        https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
        """
        id_, sent, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
        try:
            sent_at = datetime.fromtimestamp(float(sent), UTC)
            expected = self._webhook.sign(id_, sent_at, body.decode()).encode()
        except (ValueError, OverflowError, OSError):
            raise InvalidWebhook from None
        if not id_ or not any(hmac.compare_digest(expected, one.encode()) for one in given.split(" ")):
            raise InvalidWebhook
        off = self.clock() - sent_at.timestamp()
        if abs(off) > TOLERANCE:
            raise WebhookTimestampOff(off)

    def error(self, response: httpx.Response) -> ClientError:
        """Sort an error: a closed ticket has its own name, and a refusal says what was refused."""
        if response.status_code == 409:
            return self._conflict(response)
        if response.status_code == 404 and (missing := _what_was_wrong(response)) in {NO_DESK, NO_CATEGORY}:
            return NotFound("helpdesk_not_found", detail=missing)
        if response.status_code in {404, 405, 501} and self.asked_for(response) in OPTIONAL:
            return NotOffered("helpdesk_not_found")
        error = super().error(response)
        if type(error) is RejectedError and (detail := _what_was_wrong(response)):
            return RejectedError("helpdesk_refused", status=response.status_code, detail=detail)
        return error

    def _conflict(self, response: httpx.Response) -> ClientError:
        """Distinguish a closed ticket from a create that is still under way with the same key."""
        try:
            code = decode_or_none(response.content)["error"]["code"]
        except MALFORMED:
            code = ""
        if code == "ticket_closed":
            return TicketClosed("ticket_closed")
        return Unavailable("helpdesk_still_busy")

    def _create(self, path: str, body: dict[str, Any], key: str) -> Any:
        return self.call("POST", path, json=body, headers=_idempotency(key))


def _one(reader: Callable[[Any], T], answer: Any, key: str) -> T:
    """Read what an answer holds under `key`."""
    try:
        return reader(answer[key])
    except MALFORMED:
        raise Unavailable("helpdesk_bad_answer", field=key) from None


def _list_of(reader: Callable[[Any], T], answer: Any, key: str, external_id: str = "") -> list[T]:
    """Read a list; with an external id only what bears it: some helpdesks ignore a filter."""

    def is_wanted(value: Any) -> bool:
        return not external_id or value.get("external_id", external_id) == external_id

    def read(values: Any) -> list[T]:
        if not isinstance(values, list):
            raise TypeError("what is found is a list")
        return [reader(value) for value in values if is_wanted(value)]

    return _one(read, answer, key)


def _category(value: Any) -> Category:
    id_ = _id(value)
    return Category(id_, str(value.get("name") or id_))


def _id(value: Any) -> str:
    """Read an id: a string, though many helpdesks write numbers."""
    id_ = value["id"]
    if not isinstance(id_, str | int) or isinstance(id_, bool) or id_ == "":
        raise ValueError("an id is a string")
    return str(id_)


def _body_of(value: Any) -> str:
    return str(value.get("body") or "")


def _url(value: Any) -> str:
    return str(value.get("url") or "")


def _ticket(value: Any) -> Ticket:
    return Ticket(_id(value), value.get("closed") is True, _customer(value.get("config")))


def _opening(value: Any) -> Opening:
    return Opening(_body_of(value), str(value.get("body_format") or "markdown"))


def _customer(config: Any) -> Customer | None:
    """Read whom a ticket is about; None for a ticket that the connector did not make."""
    if not isinstance(config, dict) or not _is_ours(config):
        return None
    page_id, sender_id = config.get("page_id"), config.get("sender_id")
    return Customer(config["source"], str(page_id), str(sender_id)) if page_id and sender_id else None


def _is_ours(config: dict[str, Any]) -> bool:
    source = config.get("source")
    return isinstance(source, str) and source in CHANNELS


def _title(value: Any) -> str:
    return str(value.get("title") or "")


def _attachment(value: Any) -> Attachment:
    return Attachment(
        id=_id(value),
        url=str(value["url"]),
        filename=str(value.get("filename") or ""),
        content_type=str(value.get("content_type") or "application/octet-stream"),
        size=int(value.get("size") or 0),
    )


def _comment(value: Any) -> Comment:
    internal, config, author = value.get("internal"), value.get("config"), value.get("author") or {}
    return Comment(
        id=_id(value),
        body=str(value.get("body") or ""),
        body_format=str(value.get("body_format") or "text"),
        author_type=str(author.get("type") or ""),
        internal=internal if isinstance(internal, bool) else None,
        attachments=tuple(_attachment(one) for one in value.get("attachments") or []),
        from_connector=isinstance(config, dict) and _is_ours(config),
        created_at=_time(value.get("created_at")),
        is_automated=author.get("automated") is True,
        sent_as=_sent_as(config),
    )


def _sent_as(config: Any) -> tuple[str, ...]:
    """Read the message ids of the delivery that `show_delivery` merged into a comment."""
    delivery = config.get("delivery") if isinstance(config, dict) else None
    ids = delivery.get("message_ids") if isinstance(delivery, dict) else None
    return tuple(one for one in ids if isinstance(one, str)) if isinstance(ids, list) else ()


def _comment_of(comment_id: str, values: Any) -> Comment | None:
    return next((_comment(value) for value in values if _id(value) == comment_id), None)


def _readable(reader: Callable[[Any], AgentReply], page: Any) -> Iterator[AgentReply]:
    """Read the comments of a page; one that cannot be read does not keep back the others."""
    for value in _list_of(_itself, page, "comments"):
        try:
            yield reader(value)
        except MALFORMED:
            log.warning("comment_not_read", hint="it is not as the API describes it")


def _itself(value: Any) -> Any:
    return value


def _listed_reply(value: Any) -> AgentReply:
    """Read a comment of the list of all: it tells its ticket as a webhook does."""
    ticket = value.get("ticket") or {"id": value["ticket_id"]}
    return AgentReply.of(
        _ticket(ticket), _comment(value), is_confirmed=isinstance(ticket.get("config"), dict)
    )


def _reply_on(ticket: Ticket, value: Any) -> AgentReply:
    """Read a comment of a ticket; one that a merge brought there is of the ticket that it was written on."""
    written_on = str(value.get("ticket_id") or ticket.id)
    if written_on != ticket.id:
        unread = Ticket(written_on, closed=False, customer=None)
        return AgentReply.of(unread, _comment(value), is_confirmed=False)
    return AgentReply.of(ticket, _comment(value))


def _bounded(pages: Iterator[T], most: int) -> Iterator[T]:
    """Yield pages. Raises `Unavailable` if there are more than so many."""
    yield from islice(pages, most)
    if next(pages, None) is not None:
        raise Unavailable("helpdesk_endless_list")


_CHANGES = {"comment.created": "", "comment.updated": "updated", "comment.deleted": "deleted"}


def _agent_reply(value: Any) -> AgentReply | None:
    """Read the comment that a webhook is about; other types are ignored.

    A ticket that lacks its `config` may be anybody's: `confirm` reads it.
    """
    change = _CHANGES.get(str(value["type"]))
    if change is None:
        return None
    ticket, comment = value["data"]["ticket"], value["data"]["comment"]
    has_config = isinstance(ticket.get("config"), dict)
    reply = AgentReply.of(_ticket(ticket), _comment(comment), is_confirmed=has_config)
    return (
        replace(reply, key=f"{reply.key}:{change}:{value.get('timestamp')}", change=change)
        if change
        else reply
    )


def _what_was_wrong(response: httpx.Response) -> str:
    """Return the code and the field that an error names; its message may quote the customer."""
    try:
        error = decode_or_none(response.content)["error"]
        named = [str(error[key]) for key in ("code", "field") if error.get(key)]
    except MALFORMED:
        return ""
    return ": ".join(name[:60] for name in named)


def _time(value: Any) -> datetime:
    """Read an ISO 8601 time; one that is missing or broken costs the reply its place, not its delivery."""
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return datetime.now(UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _idempotency(key: str) -> dict[str, str]:
    """Return the header that makes a create repeatable; a header holds ASCII only."""
    return {"Idempotency-Key": quote(key, safe=":$=+/,@!*()", errors="replace")}


_CONNECTOR = {"name": CONNECTOR, "external_id": "connector"}


def _requester(customer: Customer) -> dict[str, str]:
    return _without_empty(
        name=customer.display_name, external_id=customer.person_id, avatar_url=customer.picture_url
    )


def _config(customer: Customer) -> dict[str, str]:
    return _ids(customer.conversation) | _without_empty(
        page_name=customer.account_name,
        sender_name=customer.name,
        sender_first_name=customer.first_name,
        sender_last_name=customer.last_name,
        sender_profile_pic=customer.picture_url,
    )


def _history(*, is_history: bool) -> dict[str, bool]:
    """Mark what was written before the page was connected, so that no rule of the helpdesk answers it."""
    return {"history": True} if is_history else {}


def _ids(conversation: Conversation) -> dict[str, str]:
    """Return what says whose ticket it is, in `config` and in a search."""
    ids = (conversation.channel, conversation.account_id, conversation.person_id)
    return dict(zip(("source", "page_id", "sender_id"), ids, strict=True))


def _without_empty(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}
