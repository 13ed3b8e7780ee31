"""The adapter `django_helpdesk`: django-helpdesk 2.6, which has neither keys, nor filters, nor signatures.

https://django-helpdesk.readthedocs.io/en/stable/api.html
"""

import hmac
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import PurePath
from threading import Lock
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import httpx

from clients.channel import Conversation
from clients.errors import ClientError, FileRefused, NotFound, RejectedError, TicketClosed, Unavailable
from clients.helpdesk import (
    AgentReply,
    Attachment,
    Comment,
    Customer,
    InvalidWebhook,
    Naming,
    NewComment,
    NewTicket,
    Ticket,
    reading_webhook,
)
from clients.helpdesks.django_texts import Mark, escaped, for_its_markdown, marked, read_mark, unmarked
from clients.helpdesks.http import HttpHelpdesk, digest
from clients.http import HttpClient, segment
from clients.jsons import MALFORMED, decode, decode_or_none
from clients.media import File
from clients.notices import notice, say
from clients.single_flight import SingleFlight
from clients.text.markdown import to_markdown

OPEN, CLOSED = (1, 2), 4
"""The statuses open and reopened, and closed; 3 and 5 are resolved and duplicate (`helpdesk/settings.py`)."""
PAGE_SIZE = 1000
"""How much a call lists: for each, django-helpdesk loads all open tickets, a thousand in about a second."""
NEWEST_PAGES = 5
"""How many pages of the newest comments are searched for a ticket that is not among the open ones."""
LONGEST_TITLE = 200
LONGEST_STEM = 100
"""How much of a name is taken for the file system, in bytes: more than 255 in all make a 500."""

_MERGED = re.compile(r"\[[^\]]*#(\d+)\]")
"""How the title of a comment begins that a merge brought from another ticket, in any language."""

Json = dict[str, Any]


class DjangoHelpdesk(HttpHelpdesk):
    """A django-helpdesk. `base_url` is where its pages are; its API is at `/api/` below.

    A desk is a queue's id. `owners` names the user, by id, to whom a new ticket of a category is assigned, or
    of a desk as `desk:<id>`: the API ignores a queue's default owner, and does not say who it is.
    `open_statuses` is its `HELPDESK_TICKET_OPEN_STATUSES`, `time_zone` its `TIME_ZONE`, if `USE_TZ` is off.
    """

    always_there = ("/api/tickets/", "/api/followups/")
    poll_every = 60.0
    max_answer = 128 * 2**20  # a list of a thousand tickets has all their comments
    cannot: ClassVar[Mapping[str, str]] = {
        "idempotency keys": "a mark in the text is looked for before anything is repeated",
        "search by sender": "the open tickets are listed; the one that is found is remembered for a day",
        "signed webhooks": "their address has a secret, and each comment is read back before it is sent",
        "webhooks on request": "whether they arrive shows with the first reply",
        "webhooks that are repeated": "the newest comments are polled every minute",
        "files ahead of a comment": "they are added to it; one that is refused is named in it",
        "authors that are no users": "a comment begins with the customer's name",
        "a time of a comment's own": "a comment says when its message was written, if that is a while ago",
        "delivery status of a comment": "an internal comment says what failed, the rest is not shown",
        "finding comments": "what a message answers is looked up in its channel",
        "edited messages": "an internal comment tells the new text",
    }

    @classmethod
    def check_secret(cls, webhook_secret: str) -> None:
        """Raise `ValueError` for what can be guessed, or does not fit into an address."""
        if not re.fullmatch(r"[\w.~-]{16,}", webhook_secret, re.ASCII):
            raise ValueError(
                "must be 16 or more letters, digits, - and _, as it is a part of the webhook's address; make "
                'one with: python3 -c "import secrets;print(secrets.token_urlsafe(24))"'
            )

    def __init__(  # noqa: PLR0913 - each is a setting
        self,
        http: HttpClient,
        *,
        base_url: str,
        api_token: str,
        webhook_secret: str,
        customer_field: str = "messenger_customer",
        category_field: str = "messenger_category",
        priority: int = 3,
        owners: Mapping[str, int] | None = None,
        open_statuses: Sequence[int] = OPEN,
        time_zone: str = "UTC",
    ) -> None:
        super().__init__(http, base_url, {"Authorization": f"Token {api_token}"})
        self._secret = webhook_secret
        self._customer_field, self._category_field = f"custom_{customer_field}", f"custom_{category_field}"
        self._priority = priority
        self._open, self._zone = frozenset(open_statuses), ZoneInfo(time_zone)
        self._is_listed = {"status": ",".join(map(str, sorted(self._open)))}
        self._open_tickets, self._expensive = SingleFlight(self._list_open_tickets), Lock()
        self._owners = {str(name): user for name, user in (owners or {}).items()}

    def ping(self) -> None:
        """Ask for one comment."""
        self.call("GET", "/api/followups/", params={"page_size": "1"})

    def ticket_url(self, ticket_id: str) -> str:
        """Return the ticket's page."""
        return f"{self._base_url}/tickets/{segment(ticket_id)}/"

    def find_open_ticket(self, conversation: Conversation) -> Ticket | None:
        """Search the open tickets for a customer, and write anew the field that an agent's form blanked."""
        found = [raw for raw in self._open_tickets() if self._is_about(raw, conversation)]
        if not found:
            return None
        newest, word = max(found, key=lambda raw: int(raw["id"])), str(conversation)
        if newest.get(self._customer_field, word) != word:
            path, field = f"/api/tickets/{newest['id']}/", {self._customer_field: word}
            self.call("PATCH", path, params=self._is_listed, json=field)
        return self._ticket(newest)

    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        """Search the open tickets, then the newest comments, for a ticket that began with this id."""
        name = digest(external_id)
        for raw in self._open_tickets():
            if _complete(_by_digest(raw["followup_set"], name)):
                return self._ticket(raw)
        for page in islice(self._newest(), NEWEST_PAGES):
            if (found := _by_digest(page, name)) and _complete(found):
                return self.get_ticket(str(found["ticket"]))
        return None

    def get_ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket, or the one that it was merged into."""
        return self._ticket(self._read(ticket_id))

    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        """Create a ticket. Its text is its first comment, too, and the files are added there."""
        customer = str(ticket.customer.conversation) if ticket.customer else ""
        mark = Mark(digest(ticket.external_id), len(ticket.files), customer)
        fields: Json = {
            "queue": ticket.desk_id,
            "title": ticket.title[:LONGEST_TITLE],
            "description": marked(for_its_markdown(ticket.body), mark),
            "priority": self._priority,
        }
        if customer:
            fields[self._customer_field] = customer
        if ticket.category_id:  # an empty one is refused
            fields[self._category_field] = ticket.category_id
        if owner := self._owners.get(ticket.category_id or "") or self._owners.get(f"desk:{ticket.desk_id}"):
            fields["assigned_to"] = owner
        raw = self._stored_ticket(fields, mark)
        self._add_files(_by_digest(raw["followup_set"], mark.digest), ticket.files, ticket.language)
        return self._ticket(raw)

    def close_ticket(self, ticket_id: str) -> bool:
        """Change the ticket's status; not that of one that it was merged into."""
        if self._is_open(self._read_one(ticket_id)):
            path = f"/api/tickets/{segment(ticket_id)}/"
            self.call("PATCH", path, params=self._is_listed, json={"status": CLOSED})
        return True

    def name_requester(self, ticket_id: str, naming: Naming) -> bool:
        """Change the ticket's title, unless an agent did; the name stands nowhere else."""
        raw = self._read(ticket_id)
        if raw["title"] == naming.old_title[:LONGEST_TITLE]:
            title = {"title": naming.title[:LONGEST_TITLE]}
            self.call("PATCH", f"/api/tickets/{raw['id']}/", params=self._is_listed, json=title)
        return True

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        """Add a comment, or what an earlier try left out of it.

        A ticket that an agent closes at this very moment is opened again, as the message would not be seen.
        """
        raw = self._read(ticket_id)
        mark = Mark(digest(comment.external_id), len(comment.files))
        followup = _by_digest(raw["followup_set"], mark.digest)
        if followup is None and not self._is_open(raw) and not comment.internal:
            raise TicketClosed("ticket_closed")
        if followup is None:
            fields = {
                "ticket": raw["id"],
                "comment": escaped(marked(for_its_markdown(self.signed(comment)), mark)),
                "public": not comment.internal,
            }
            status = {} if comment.internal else {"new_status": raw["status"]}
            followup = self._stored_comment(fields | status, mark)
        self._add_files(followup, comment.files, comment.language)
        return str(followup["id"])

    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        """Return the id of the comment with this mark, once its files are there."""
        found = _by_digest(self._read(ticket_id)["followup_set"], digest(external_id))
        return str(found["id"]) if found and _complete(found) else None

    def may_receive(self, headers: Mapping[str, str], secret: str) -> bool:
        """Return whether the secret in the address is right."""
        return hmac.compare_digest(secret.encode(), self._secret.encode())

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        """Read the comment that a webhook is about, out of all that it brings.

        Whoever knows the secret may claim anything: `confirm` asks what is true of it.
        """
        if not self.may_receive(headers, secret):
            raise InvalidWebhook
        with reading_webhook():
            data = decode(body)
            raw, followup_id = _checked(data["ticket"]), data.get("followup_id")
            about = (one for one in raw["followup_set"] if one["id"] == followup_id)
            reply = next((self._agent_reply(raw, one) for one in about if _says_something(one)), None)
        # A ticket that does not even claim to be a customer's needs no look: nothing is sent.
        return reply and replace(reply, is_confirmed=reply.ticket.customer is None)

    def confirm(self, reply: AgentReply) -> AgentReply | None:
        """Read the comment that a webhook names, and the ticket that it is on."""
        try:
            followup = _followup(self.call("GET", f"/api/followups/{segment(reply.comment.id)}/"))
            raw = self._read(str(followup["ticket"]))
            return self._agent_reply(raw, followup, nobodys=self._is_nobodys(raw, followup))
        except NotFound:
            return None
        except MALFORMED:
            raise Unavailable("helpdesk_bad_answer", field="followup") from None

    def poll(self, since: datetime) -> Iterator[AgentReply]:
        """Return the comments that were written since then, the newest first.

        A private comment needs no look at its ticket.
        """
        tickets: dict[str, Json] = {}
        for page in self._newest():
            for followup in map(_followup, reversed(page)):
                if self._time(followup["date"]) < since:
                    return
                ours = read_mark(followup["comment"]) is not None
                if ours or followup["public"] is not True or not _says_something(followup):
                    continue
                with suppress(NotFound):  # deleted, or merged into one that is not shown to us
                    ticket_id = str(followup["ticket"])
                    raw = tickets[ticket_id] = tickets.get(ticket_id) or self._read(ticket_id)
                    yield self._agent_reply(raw, followup, nobodys=self._is_nobodys(raw, followup))

    def _is_nobodys(self, raw: Json, followup: Json) -> bool:
        """Return whether a comment began its ticket, or was merged in from another person's."""
        origin = _origin(followup)
        together = (one["id"] for one in raw["followup_set"] if _origin(one) == origin)
        if followup["id"] == min(together, default=None):
            return True
        return origin is not None and self._customer(self._read_one(origin)) != self._customer(raw)

    def error(self, response: httpx.Response) -> ClientError:
        """Sort an error by what django-rest-framework says."""
        return _refused(response) if response.status_code == 400 else super().error(response)

    def _read(self, ticket_id: str) -> Json:
        """Read a ticket, or the one that it was merged into, and so on, unless that is another person's.

        The replies there would reach that other person. One that was opened again stands for itself.
        """
        seen, raw = {ticket_id}, self._read_one(ticket_id)
        customer = self._customer(raw)
        while raw.get("merged_to") and not self._is_open(raw) and str(raw["merged_to"]) not in seen:
            seen.add(str(raw["merged_to"]))
            into = self._read_one(str(raw["merged_to"]))
            if customer and self._customer(into) not in {None, customer}:
                return raw
            raw = into
        return raw

    def _read_one(self, ticket_id: str) -> Json:
        """Read a ticket, among the open ones first: django-helpdesk loads all that it looks among."""
        path = f"/api/tickets/{segment(ticket_id)}/"
        try:
            return _checked(self._expensive_call(path, self._is_listed))
        except NotFound:
            return _checked(self._expensive_call(path, {}))

    def _expensive_call(self, path: str, query: Mapping[str, str]) -> Any:
        """Read tickets, one call after the other: many at once would only time out together."""
        with self._expensive:
            return self.call("GET", path, params=query)

    def _list_open_tickets(self) -> list[Json]:
        """List the open tickets; no other filter works."""
        query = self._is_listed | {"page_size": str(PAGE_SIZE)}
        with self._expensive:
            return [_checked(raw) for page in self.pages("/api/tickets/", query) for raw in page["results"]]

    def _newest(self) -> Iterator[list[Json]]:
        """List the comments page by page, the newest page first; each has the oldest first."""
        query = {"page_size": str(PAGE_SIZE)}
        last = self.call("GET", "/api/followups/", params=query | {"page": "last"})
        yield last["results"]
        for number in range(-(-last["count"] // PAGE_SIZE) - 1, 0, -1):
            yield self.call("GET", "/api/followups/", params=query | {"page": str(number)})["results"]

    def _stored_ticket(self, fields: Json, mark: Mark) -> Json:
        try:
            return _checked(self.call("POST", "/api/tickets/", json=fields))
        except Unavailable as error:
            # It is stored before its webhook is sent, and that fails while the receiver is down: a 500.
            with suppress(ClientError):  # the first error says how long to wait before the next look
                tickets = self._open_tickets() if error.maybe_done else []
                found = next((raw for raw in tickets if _by_digest(raw["followup_set"], mark.digest)), None)
                if found:
                    return found
            raise

    def _stored_comment(self, fields: Json, mark: Mark) -> Json:
        try:
            return _followup(self.call("POST", "/api/followups/", json=fields))
        except Unavailable as error:
            with suppress(ClientError):  # the same
                raw = self._read(str(fields["ticket"])) if error.maybe_done else {"followup_set": []}
                if found := _by_digest(raw["followup_set"], mark.digest):
                    return found
            raise

    def _add_files(self, followup: Json | None, files: Sequence[File], language: str) -> None:
        """Add the files that a comment lacks, then say in it which were refused, and that this is all."""
        mark = read_mark(followup["comment"]) if followup else None
        if followup is None or mark is None or not mark.files:
            return
        there, refused = Counter(one["filename"] for one in followup["followupattachment_set"]), []
        for file in files:
            if there[file.filename]:
                there[file.filename] -= 1
                continue
            try:
                self._add_file(followup["id"], file)
            except FileRefused as error:
                why = notice("file_left_out", filename=file.filename, reason=error.notice)
                refused.append(to_markdown(f"({say(why, language)})"))
        text = "\n\n".join([unmarked(followup["comment"]), *refused])
        self.call("PATCH", f"/api/followups/{followup['id']}/", json={"comment": marked(text, mark.complete)})

    def _add_file(self, followup_id: int, file: File) -> None:
        sent = {"file": (_stored_name(file.filename), file.stream, file.content_type)}
        fields = {
            "followup": str(followup_id),
            "filename": file.filename,
            "mime_type": file.content_type,
            "size": str(file.size),
        }
        try:
            self.call("POST", "/api/followups-attachments/", data=fields, files=sent)
        except RejectedError as error:
            raise FileRefused("helpdesk_refuses_kind") from error

    def _ticket(self, raw: Json) -> Ticket:
        return Ticket(str(raw["id"]), not self._is_open(raw), self._customer(raw))

    def _time(self, value: str) -> datetime:
        """Read a time; with `USE_TZ = False` it comes without its zone."""
        time = datetime.fromisoformat(value)
        return time if time.tzinfo else time.replace(tzinfo=self._zone)

    def _is_open(self, raw: Json) -> bool:
        return raw["status"] in self._open

    def _customer(self, raw: Json) -> Customer | None:
        """Return whom a ticket is about: by its custom field, or by the mark of its own first text.

        Or by that of a ticket that was merged into it. Any other comment may have been moved or copied here.
        """
        if customer := Customer.parse(str(raw.get(self._customer_field) or "")):
            return customer
        merged = (one["comment"] for one in raw["followup_set"] if _origin(one))
        marks = map(read_mark, [raw["description"], *merged])
        return next((Customer.parse(mark.customer) for mark in marks if mark and mark.customer), None)

    def _is_about(self, raw: Json, conversation: Conversation) -> bool:
        customer = self._customer(raw)
        return customer is not None and customer.conversation == conversation

    def _agent_reply(self, raw: Json, followup: Json, *, nobodys: bool = False) -> AgentReply:
        ticket = replace(self._ticket(raw), customer=None) if nobodys else self._ticket(raw)
        return AgentReply.of(ticket, _comment(followup, self._time(followup["date"])))


def _checked(raw: Any) -> Json:
    """Take a ticket as the API gives it. Raises `Unavailable` for anything else."""
    try:
        known = {"id": int(raw["id"]), "status": int(raw["status"]), "description": raw["description"] or ""}
        return {**raw, **known, "followup_set": [_followup(one) for one in raw["followup_set"]]}
    except MALFORMED:
        raise Unavailable("helpdesk_bad_answer", field="ticket") from None


def _followup(raw: Any) -> Json:
    """Take a comment as the API gives it. Raises `Unavailable` for anything else."""
    try:
        return {**raw, "id": int(raw["id"]), "comment": raw["comment"] or ""}
    except MALFORMED:
        raise Unavailable("helpdesk_bad_answer", field="followup") from None


def _by_digest(followups: Sequence[Json], name: str) -> Json | None:
    marked_ones = ((one, read_mark(one["comment"] or "")) for one in followups)
    return next((one for one, mark in marked_ones if mark and mark.digest == name), None)


def _complete(followup: Json | None) -> bool:
    mark = read_mark(followup["comment"]) if followup else None
    return mark is not None and not mark.files


def _origin(followup: Json) -> str | None:
    """Return the ticket that a comment was on before a merge."""
    merged = _MERGED.match(followup.get("title") or "")
    return merged[1] if merged else None


def _says_something(followup: Json) -> bool:
    """Return whether it is more than a change of status or owner, which are comments without text here."""
    return bool((followup["comment"] or "").strip() or followup["followupattachment_set"])


def _comment(followup: Json, time: datetime) -> Comment:
    text = followup["comment"] or ""
    ours = read_mark(text) is not None
    return Comment(
        id=str(followup["id"]),
        body=text,
        body_format="markdown",
        author_type="agent" if followup["user"] and not ours else "system",
        internal=followup["public"] is not True,
        attachments=tuple(_attachment(one) for one in sorted(followup["followupattachment_set"], key=_id)),
        from_connector=ours,
        created_at=time,
    )


def _id(raw: Json) -> int:
    """Return what puts files into the order in which the agent chose them; they are listed by name."""
    return int(raw["id"])


def _attachment(raw: Json) -> Attachment:
    kind = str(raw["mime_type"] or "application/octet-stream")
    return Attachment(str(raw["id"]), str(raw["file"]), str(raw["filename"]), kind, int(raw["size"] or 0))


def _stored_name(name: str) -> str:
    path = PurePath(name)
    suffix = ".jpg" if path.suffix.lower() == ".jpeg" else path.suffix  # it takes only one of the two
    return path.stem.encode()[:LONGEST_STEM].decode(errors="ignore") + suffix


def _refused(response: httpx.Response) -> ClientError:
    """Name the fields that were not taken; what is said of them may quote the customer."""
    try:
        fields = sorted(str(name)[:60] for name in decode_or_none(response.content))
    except MALFORMED:
        fields = []
    if fields == ["ticket"]:
        return NotFound("helpdesk_not_found")
    if not fields:
        return RejectedError("http_status", service=notice("helpdesk"), status=400)
    return RejectedError("helpdesk_refused", status=400, detail=", ".join(fields))
