"""What the sandbox helpdesk knows: its rules and its SQLite file.

A `Store` is used by one thread. Its methods do not commit: whoever writes opens a `transaction`, so that
a ticket or comment, its webhook event and its idempotency key are kept together or not at all.
"""

import hashlib
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Struct, UnsetType

from sandbox.helpdesk.shapes import (
    AnyComment,
    Author,
    CommentFilter,
    CommentPatch,
    Erasure,
    Json,
    ListFilter,
    NewFile,
    NewTicket,
    Refused,
    Settings,
    TicketFilter,
    TicketPatch,
)
from sandbox.journal import Journal

T = TypeVar("T")
SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB);
CREATE TABLE IF NOT EXISTS desks (id TEXT PRIMARY KEY, name TEXT);
CREATE TABLE IF NOT EXISTS categories (id TEXT PRIMARY KEY, name TEXT, owner TEXT);
CREATE TABLE IF NOT EXISTS people (
    id INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT, known_as TEXT, UNIQUE (type, known_as));
CREATE TABLE IF NOT EXISTS tickets (
    id INTEGER PRIMARY KEY AUTOINCREMENT, desk_id TEXT, category_id TEXT, title TEXT, body TEXT,
    body_format TEXT, external_id TEXT, requester TEXT, assignee TEXT, config TEXT,
    closed INTEGER DEFAULT 0, created_at TEXT);
CREATE INDEX IF NOT EXISTS tickets_of_a_sender ON tickets (json_extract(config, '$.sender_id'));
CREATE INDEX IF NOT EXISTS tickets_by_external_id ON tickets (external_id);
CREATE TABLE IF NOT EXISTS merged (ticket_id INTEGER PRIMARY KEY, into_id INTEGER);
CREATE TABLE IF NOT EXISTS comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ticket_id INTEGER, body TEXT, body_format TEXT,
    external_id TEXT, author TEXT, internal INTEGER, config TEXT, created_at TEXT, written_on INTEGER);
CREATE INDEX IF NOT EXISTS comments_of_a_ticket ON comments (ticket_id, external_id);
CREATE TABLE IF NOT EXISTS attachments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, filename TEXT, content_type TEXT, size INTEGER, sha256 TEXT,
    used_by TEXT, position INTEGER, content BLOB);
CREATE INDEX IF NOT EXISTS attachments_in_use ON attachments (used_by, position);
CREATE TABLE IF NOT EXISTS idempotency_keys (
    endpoint TEXT, key TEXT, fingerprint TEXT, answer BLOB, PRIMARY KEY (endpoint, key));
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, webhook_id TEXT, ticket_id INTEGER, body BLOB,
    state TEXT DEFAULT 'waiting', sent INTEGER DEFAULT 0, failed INTEGER DEFAULT 0, created REAL);
CREATE INDEX IF NOT EXISTS waiting_events ON events (ticket_id, id) WHERE state = 'waiting';
"""
EMPTY = """
DELETE FROM desks; DELETE FROM categories; DELETE FROM people; DELETE FROM tickets; DELETE FROM merged;
DELETE FROM comments; DELETE FROM attachments; DELETE FROM idempotency_keys; DELETE FROM events;
"""
# Each filter of `GET /tickets` but `limit`, and what it asks of a ticket.
CONDITIONS = {
    "source": "json_extract(config, '$.source') = :source",
    "page_id": "json_extract(config, '$.page_id') = :page_id",
    "sender_id": "json_extract(config, '$.sender_id') = :sender_id",
    "external_id": "external_id = :external_id",
    "closed": "closed = (:closed = 'true')",
    "cursor": "id < CAST(:cursor AS INTEGER)",
}


class Event(Struct):
    """A webhook that is still to be delivered; `created` is in unix seconds."""

    id: int
    webhook_id: str
    body: bytes
    failed: int
    created: float


class Store:
    """The SQLite file at `path`; `on_event` is told the ticket of each new event, before the commit.

    `site` is everywhere the address the helpdesk was asked at, with a slash at its end.
    """

    def __init__(self, path: str, journal: Journal) -> None:
        self._journal = journal
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        # In WAL mode NORMAL loses a commit only to a power cut, never to a killed process.
        self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {SCHEMA}")
        row = self._one("SELECT value FROM settings")
        self.settings = msgspec.json.decode(row["value"], type=Settings) if row else Settings()
        self.on_event: Callable[[int], None] = lambda _: None

    def transaction(self) -> sqlite3.Connection:
        """Return the context in which writes belong together: it commits, or rolls back on an error."""
        return self._db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def clear(self) -> None:
        """Forget everything but the settings; ids go on, so that none ever means two things."""
        for statement in EMPTY.split(";"):
            self._db.execute(statement)

    def merge_settings(self, changes: Json) -> Settings:
        """Change some settings; raise `msgspec.ValidationError` for a wrong one."""
        self.settings = msgspec.convert(msgspec.to_builtins(self.settings) | changes, Settings)
        self._db.execute("REPLACE INTO settings VALUES (1, ?)", [msgspec.json.encode(self.settings)])
        return self.settings

    def put_desk(self, desk_id: str, name: str) -> None:
        """Keep a desk."""
        self._db.execute("REPLACE INTO desks VALUES (?, ?)", [desk_id, name])

    def put_category(self, category_id: str, name: str, owner: str) -> None:
        """Keep a category and its owner."""
        self._db.execute("REPLACE INTO categories VALUES (?, ?, ?)", [category_id, name, owner])

    def desk_names(self) -> dict[str, str]:
        """Return the name of each desk by its id."""
        return {row["id"]: row["name"] for row in self._db.execute("SELECT id, name FROM desks ORDER BY id")}

    def category_names(self) -> dict[str, str]:
        """Return the name of each category by its id."""
        return {row["id"]: row["name"] for row in self._db.execute("SELECT id, name FROM categories")}

    def once(self, endpoint: str, key: str, asked: object, make: Callable[[], Json]) -> tuple[bytes, bool]:
        """Return the JSON of `make()`, or of its first result for this key, and whether it is a repeat.

        Raises `Refused` 422 for a key that came with something else before.
        """
        if not self.settings.honour_idempotency:
            return msgspec.json.encode(make()), False
        fingerprint = hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()
        kept = self._one(
            "SELECT fingerprint, answer FROM idempotency_keys WHERE endpoint = ? AND key = ?", endpoint, key
        )
        if kept is None:
            answer = msgspec.json.encode(make())
            row = [endpoint, key, fingerprint, answer]
            self._db.execute("INSERT INTO idempotency_keys VALUES (?, ?, ?, ?)", row)
            return answer, False
        if kept["fingerprint"] != fingerprint:
            raise Refused(422, "invalid", "this key came with another request before", "Idempotency-Key")
        return kept["answer"], True

    def tickets(
        self, wanted: TicketFilter, site: str, *, limit: int | None = None, hidden: Iterable[str] = ()
    ) -> list[Json]:
        """Return the tickets that meet every filter, newest first; `limit` -1 is all of them."""
        asked = msgspec.to_builtins(wanted)
        conditions = [sql for name, sql in CONDITIONS.items() if name in asked]
        conditions.append("id NOT IN (SELECT value FROM json_each(:hidden))")
        rows = self._db.execute(
            f"SELECT * FROM tickets WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT :limit",  # noqa: S608 - our own words
            asked | {"limit": limit or int(wanted.limit), "hidden": _text([int(one) for one in hidden])},
        )
        return [self._ticket(row, site) for row in rows]

    def ticket(self, ticket_id: str, site: str) -> Json:
        """Return a ticket; raise `Refused` 404 when there is none."""
        return self._ticket(self._found("SELECT * FROM tickets WHERE id = ?", ticket_id), site)

    def add_ticket(self, new: NewTicket, site: str) -> Json:
        """Open a ticket; the owner of its category becomes its assignee."""
        if self._one("SELECT id FROM desks WHERE id = ?", new.desk_id) is None:
            raise Refused(422, "invalid", f"there is no desk {new.desk_id}", "ticket.desk_id")
        row = _columns(new)
        row["assignee"] = self._owner(row["category_id"])
        ticket_id = self._insert("tickets", row)
        self._attach(new.attachment_ids, f"ticket {ticket_id}", "ticket.attachment_ids")
        self._journal.note("stored", ticket=str(ticket_id), external_id=new.external_id)
        return self.ticket(str(ticket_id), site)

    def patch_ticket(self, ticket_id: str, patch: TicketPatch, site: str) -> Json:
        """Replace title and requester, merge `config`, close it; raise `Refused` 404 without the ticket."""
        row = self._found("SELECT * FROM tickets WHERE id = ?", ticket_id)
        title = row["title"] if patch.title is UNSET else patch.title
        requester = row["requester"] if patch.requester is UNSET else _text(patch.requester)
        added = {} if patch.config is UNSET else patch.config
        values = [title, requester, _text(msgspec.json.decode(row["config"]) | added), ticket_id]
        self._db.execute("UPDATE tickets SET title = ?, requester = ?, config = ? WHERE id = ?", values)
        if patch.closed is not UNSET:
            return self.set_closed(ticket_id, site, closed=True)
        return self.ticket(ticket_id, site)

    def set_closed(self, ticket_id: str, site: str, *, closed: bool) -> Json:
        """Close or reopen a ticket and tell it by an event, unless it is so already."""
        before = self.ticket(ticket_id, site)
        if before["closed"] == closed:
            return before
        self._db.execute("UPDATE tickets SET closed = ? WHERE id = ?", [closed, before["id"]])
        after = self.ticket(ticket_id, site)
        self._add_event("ticket.closed" if closed else "ticket.reopened", after)
        return after

    def merge(self, ticket_id: str, into_id: str, site: str) -> Json:
        """Close a ticket and move its comments to another, where they are found from now on; return that."""
        merged, into = self.set_closed(ticket_id, site, closed=True), self.ticket(into_id, site)
        self._db.execute("REPLACE INTO merged VALUES (?, ?)", [merged["id"], into["id"]])
        self._db.execute("UPDATE comments SET ticket_id = ? WHERE ticket_id = ?", [into["id"], merged["id"]])
        return into

    def comments(self, ticket_id: str, wanted: CommentFilter, site: str) -> list[Json]:
        """Return a ticket's comments, or those of the one that it was merged into, in the order they came in.

        Raises `Refused` 404 without the ticket.
        """
        ticket = self.ticket(ticket_id, site)
        rows = self._db.execute(
            """SELECT * FROM comments WHERE created_at > :after AND ticket_id = coalesce(
                   (SELECT into_id FROM merged WHERE merged.ticket_id = :ticket_id), :ticket_id)
               AND (:external_id IS NULL OR external_id = :external_id) ORDER BY id""",
            {
                "ticket_id": ticket["id"],
                "after": _iso(wanted.after) if wanted.after else "",
                "external_id": _given(wanted.external_id),
            },
        )
        return [self._comment(row, site) for row in rows]

    def all_comments(self, wanted: ListFilter, site: str, *, hidden: Iterable[str]) -> list[Json]:
        """Return the comments of all tickets in the order they came in, each with its ticket."""
        rows = self._db.execute(
            """SELECT comments.* FROM comments JOIN tickets ON tickets.id = written_on
               WHERE comments.created_at > :after AND comments.id > :cursor
               AND (:source IS NULL OR json_extract(tickets.config, '$.source') = :source)
               AND written_on NOT IN (SELECT value FROM json_each(:hidden))
               ORDER BY comments.id LIMIT :limit""",
            {
                "after": _iso(wanted.after) if wanted.after else "",
                "cursor": int(wanted.cursor or 0),
                "source": _given(wanted.source),
                "hidden": _text([int(one) for one in hidden]),
                "limit": int(wanted.limit),
            },
        )
        return [self._with_ticket(self._comment(row, site), site) for row in rows]

    def _with_ticket(self, comment: Json, site: str) -> Json:
        ticket = self.ticket(comment["ticket_id"], site)
        return comment | {"ticket": _told_ticket(ticket, with_config=self.settings.webhook_config)}

    def add_comment(self, ticket_id: str, new: AnyComment, site: str, *, even_closed: bool = False) -> Json:
        """Add a comment, and the event that tells it; raise `Refused` 409 on a closed ticket."""
        ticket = self.ticket(ticket_id, site)
        if ticket["closed"] and not even_closed:
            raise Refused(409, "ticket_closed", "the ticket is closed")
        row = _columns(new) | {"author": _text(self._person(new.author))}
        row |= dict.fromkeys(("ticket_id", "written_on"), ticket["id"])
        comment_id = self._insert("comments", row)
        self._attach(new.attachment_ids, f"comment {comment_id}", "comment.attachment_ids")
        comment = self._comment(self._found("SELECT * FROM comments WHERE id = ?", comment_id), site)
        self._add_event("comment.created", ticket, comment)
        self._journal.note("stored", ticket=ticket["id"], comment=comment["id"], external_id=new.external_id)
        return comment

    def patch_comment(self, comment_id: str, patch: CommentPatch, site: str) -> Json:
        """Replace the body, merge the top level of `config`; raise `Refused` 404 without the comment."""
        row = self._found("SELECT * FROM comments WHERE id = ?", comment_id)
        body = row["body"] if patch.body is UNSET else patch.body
        added = {} if patch.config is UNSET else patch.config
        config = _text(msgspec.json.decode(row["config"]) | added)
        self._db.execute("UPDATE comments SET body = ?, config = ? WHERE id = ?", [body, config, comment_id])
        return self._comment(self._found("SELECT * FROM comments WHERE id = ?", comment_id), site)

    def change_comment(self, comment_id: str, body: str | None, site: str) -> Json:
        """Change a comment as an agent does, or delete it with None; the event tells it."""
        row = self._found("SELECT * FROM comments WHERE id = ?", comment_id)
        ticket = self.ticket(str(row["ticket_id"]), site)
        if body is None:
            comment = self._comment(row, site)
            self._db.execute("DELETE FROM comments WHERE id = ?", [comment_id])
        else:
            comment = self.patch_comment(comment_id, CommentPatch(body=body), site)
        self._add_event("comment.deleted" if body is None else "comment.updated", ticket, comment)
        return comment

    def erase(self, wanted: Erasure) -> Json:
        """Delete a person's tickets with all that is in them; return what was asked for."""
        person = [wanted.source, wanted.page_id, wanted.sender_id]
        rows = self._db.execute(
            """SELECT id FROM tickets WHERE json_extract(config, '$.source') = ?
               AND json_extract(config, '$.page_id') = ? AND json_extract(config, '$.sender_id') = ?""",
            person,
        )
        for ticket_id in [row["id"] for row in rows]:
            self._delete_ticket(ticket_id)
        self._db.execute("DELETE FROM people WHERE type = 'customer' AND known_as = ?", [wanted.sender_id])
        self._journal.note("erased", sender_id=wanted.sender_id)
        told: Json = msgspec.to_builtins(wanted)
        return told

    def _delete_ticket(self, ticket_id: int) -> None:
        comments = f"SELECT 'comment ' || id FROM comments WHERE written_on = {ticket_id:d}"  # noqa: S608 - a number
        for sql in (
            f"DELETE FROM attachments WHERE used_by = 'ticket ' || :id OR used_by IN ({comments})",  # noqa: S608 - our own words
            """DELETE FROM idempotency_keys WHERE json_extract(answer, '$.ticket.id') = :text
               OR json_extract(answer, '$.comment.ticket_id') = :text""",
            "DELETE FROM comments WHERE written_on = :id",
            "DELETE FROM merged WHERE ticket_id = :id OR into_id = :id",
            "DELETE FROM events WHERE ticket_id = :id",
            "DELETE FROM tickets WHERE id = :id",
        ):
            self._db.execute(sql, {"id": ticket_id, "text": str(ticket_id)})

    def add_attachment(self, new: NewFile, site: str) -> Json:
        """Keep a file, for one ticket or comment to use."""
        row = {
            "filename": new.filename,
            "content_type": new.content_type,
            "size": len(new.base64),
            "sha256": hashlib.sha256(new.base64).hexdigest(),
            "content": new.base64,
        }
        attachment_id = self._insert("attachments", row)
        return _attachment(self._found("SELECT * FROM attachments WHERE id = ?", attachment_id), site)

    def file(self, attachment_id: str) -> tuple[str, bytes]:
        """Return an attachment's media type and bytes; raise `Refused` 404 when there is none."""
        row = self._found("SELECT content_type, content FROM attachments WHERE id = ?", attachment_id)
        return row["content_type"], row["content"]

    def digest(self, attachment_id: str) -> str:
        """Return an attachment's SHA-256 in hex."""
        row = self._found("SELECT sha256 FROM attachments WHERE id = ?", attachment_id)
        return str(row["sha256"])

    def next_event(self, ticket_id: int) -> Event | None:
        """Return the oldest event of a ticket that waits."""
        row = self._one(
            """SELECT id, webhook_id, body, failed, created FROM events
               WHERE state = 'waiting' AND ticket_id = ? ORDER BY id LIMIT 1""",
            ticket_id,
        )
        return Event(**row) if row else None

    def waiting_tickets(self) -> list[int]:
        """Return the tickets with events that wait."""
        rows = self._db.execute("SELECT DISTINCT ticket_id FROM events WHERE state = 'waiting'")
        return [row["ticket_id"] for row in rows]

    def count_attempt(self, event_id: int, *, worked: bool) -> None:
        """Count one attempt to deliver an event."""
        self._db.execute(
            "UPDATE events SET sent = sent + 1, failed = failed + ? WHERE id = ?", [not worked, event_id]
        )

    def finish_event(self, event_id: int, state: Literal["delivered", "given up"]) -> None:
        """Take an event out of those that wait."""
        self._db.execute("UPDATE events SET state = ?, body = NULL WHERE id = ?", [state, event_id])

    def webhook_counts(self) -> Json:
        """Return how many webhooks were `sent` and `failed_attempts`, events `delivered` and `waiting`."""
        return dict(
            self._found(
                """SELECT coalesce(sum(sent), 0) AS sent, coalesce(sum(failed), 0) AS failed_attempts,
                          count(*) FILTER (WHERE state = 'delivered') AS delivered,
                          count(*) FILTER (WHERE state = 'waiting') AS waiting FROM events"""
            )
        )

    def _one(self, sql: str, *values: object) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return row

    def _found(self, sql: str, *values: object) -> sqlite3.Row:
        row = self._one(sql, *values)
        if row is None:
            raise Refused(404, "not_found", "there is no such thing")
        return row

    def _insert(self, table: str, row: Json) -> int:
        places = ", ".join(f":{column}" for column in row)
        sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"  # noqa: S608 - our own names
        self._db.execute(sql, row)
        return int(self._found("SELECT last_insert_rowid() AS id")["id"])

    def _owner(self, category_id: str | None) -> str | None:
        if category_id is None:
            return None
        row = self._one("SELECT owner FROM categories WHERE id = ?", category_id)
        if row is None:
            raise Refused(422, "invalid", f"there is no category {category_id}", "ticket.category_id")
        return str(row["owner"])

    def _person(self, author: Author) -> Json:
        """Return the author with an id that stays the same for one external id, or else one name."""
        who = [author.type, author.external_id or author.name]
        self._db.execute("INSERT OR IGNORE INTO people (type, known_as) VALUES (?, ?)", who)
        row = self._found("SELECT id FROM people WHERE type = ? AND known_as = ?", *who)
        told: Json = msgspec.to_builtins(author)
        return {"id": str(row["id"])} | told

    def _attach(self, attachment_ids: Iterable[str], used_by: str, field: str) -> None:
        for position, attachment_id in enumerate(attachment_ids):
            taken = self._db.execute(
                "UPDATE attachments SET used_by = ?, position = ? WHERE id = ? AND used_by IS NULL",
                [used_by, position, attachment_id],
            )
            if not taken.rowcount:
                raise Refused(422, "invalid", f"attachment {attachment_id} is unknown or in use", field)

    def _attachments(self, used_by: str, site: str) -> list[Json]:
        rows = self._db.execute(
            "SELECT id, filename, content_type, size FROM attachments WHERE used_by = ? ORDER BY position",
            [used_by],
        )
        return [_attachment(row, site) for row in rows]

    def _ticket(self, row: sqlite3.Row, site: str) -> Json:
        return dict(row) | {
            "id": str(row["id"]),
            "closed": bool(row["closed"]),
            "requester": msgspec.json.decode(row["requester"]),
            "config": msgspec.json.decode(row["config"]),
            "attachments": self._attachments(f"ticket {row['id']}", site),
            "url": f"{site}tickets/{row['id']}",
        }

    def _comment(self, row: sqlite3.Row, site: str) -> Json:
        known = dict(row)
        return known | {
            "id": str(row["id"]),
            "ticket_id": str(known.pop("written_on")),
            "internal": bool(row["internal"]),
            "author": msgspec.json.decode(row["author"]),
            "config": msgspec.json.decode(row["config"]),
            "attachments": self._attachments(f"comment {row['id']}", site),
        }

    def add_ping(self) -> None:
        """Add an event that is about nothing; it waits behind none of a ticket's."""
        self._queue_event("ping", {}, 0)

    def _add_event(self, kind: str, ticket: Json, comment: Json | None = None) -> None:
        data: Json = {"ticket": _told_ticket(ticket, with_config=self.settings.webhook_config)}
        if comment:
            data["comment"] = _told_comment(comment)
        self._queue_event(kind, data, int(ticket["id"]))

    def _queue_event(self, kind: str, data: Json, ticket_id: int) -> None:
        if not self.settings.webhook_url:
            return
        body = msgspec.json.encode({"type": kind, "timestamp": _iso(None), "data": data})
        self._db.execute(
            "INSERT INTO events (webhook_id, ticket_id, body, created) VALUES (?, ?, ?, ?)",
            [f"msg_{uuid.uuid4().hex}", ticket_id, body, time.time()],
        )
        self.on_event(ticket_id)


def _columns(new: NewTicket | AnyComment) -> Json:
    """Return what is told of a ticket or comment as its row keeps it, without the attachments."""
    row = {name: _given(value) for name, value in msgspec.structs.asdict(new).items()}
    row |= {"config": _text(new.config), "created_at": _iso(new.created_at)}
    del row["attachment_ids"]
    if isinstance(new, NewTicket):
        row["requester"] = _text(new.requester)
    return row


def _given(value: T | UnsetType) -> T | None:
    """Return what was told, None for what was not."""
    return None if value is UNSET else value


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _told_ticket(ticket: Json, *, with_config: bool) -> Json:
    """Return what a webhook tells of a ticket."""
    names = ("id", "desk_id", "closed", "config") if with_config else ("id", "desk_id", "closed")
    return {name: ticket[name] for name in names}


def _told_comment(comment: Json) -> Json:
    """Return what a webhook tells of a comment."""
    names = ("id", "body", "body_format", "internal", "attachments", "config", "created_at")
    author = {
        name: comment["author"][name]
        for name in ("type", "id", "name", "automated")
        if name in comment["author"]
    }
    return {name: comment[name] for name in names} | {"author": author}


def _attachment(row: sqlite3.Row, site: str) -> Json:
    return {
        "id": str(row["id"]),
        "url": f"{site}files/{row['id']}/{quote(row['filename'], safe='')}",
        "filename": row["filename"],
        "content_type": row["content_type"],
        "size": row["size"],
    }


def _iso(moment: datetime | None) -> str:
    """Write a moment (none: now) in UTC and always to the microsecond, so that texts sort as times do."""
    try:
        utc = (moment or datetime.now(UTC)).astimezone(UTC)
    except OverflowError as error:
        raise Refused(422, "invalid", "that is before or after all time") from error
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")
