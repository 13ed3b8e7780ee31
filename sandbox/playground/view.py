"""All that the page shows of a customer, as one document: read from the sandboxes each time."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import httpx

from sandbox.playground import log
from sandbox.playground.bodies import nodes_of
from sandbox.playground.faults import WINDOW, Faults
from sandbox.playground.meta import Meta
from sandbox.stack import Stack
from sandbox.staff import Refused, SeenComment, SeenFile, SeenTicket, Staff

Json = dict[str, Any]
FRESH_FOR = 0.3
"""How long a document is given again, in seconds: many pages may ask at once."""
RESTS_FOR = 4
"""How many times longer than it took to read a document it is given again: helpdesks have other work."""
SHOWN_INLINE = ("image", "audio", "video")


class View:
    """Reads what the page shows. Used from many threads, one at a time."""

    def __init__(self, stack: Stack, meta: Meta, faults: Faults) -> None:
        self._stack, self._meta, self._faults = stack, meta, faults
        self._staff: Staff = stack.staff_of(stack.desk_url)
        self._journals: Mapping[str, Path] = {
            "Meta": stack.folder / "meta.jsonl",
            "helpdesk": stack.folder / "helpdesk.jsonl",
        }
        self._lock = Lock()
        self._known: dict[tuple[str, str], tuple[float, Json]] = {}  # each with when it is read anew

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._staff.leave()

    def document(self, page_id: str, psid: str) -> Json:
        """Return what there is to show now."""
        with self._lock:
            due, known = self._known.get((page_id, psid), (0.0, {}))
            if (began := time.monotonic()) >= due:
                known, ended = self._read(page_id, psid), time.monotonic()
                self._known[page_id, psid] = (ended + max(FRESH_FOR, RESTS_FOR * (ended - began)), known)
            return known

    def file_of(self, psid: str, ticket_id: str, file_id: str) -> SeenFile | None:
        """Return a file of a customer's ticket. Raises `Refused`, `httpx.TransportError`."""
        with self._lock:
            tickets = self._staff.tickets(psid)
        comments = (one for ticket in tickets if ticket.id == ticket_id for one in ticket.comments)
        return next((file for one in comments for file in one.files if file.id == file_id), None)

    def forget(self) -> None:
        """Read anew what is asked for next: something was done."""
        with self._lock:
            self._known.clear()

    def _read(self, page_id: str, psid: str) -> Json:
        phone = self._phone(page_id, psid)
        return {
            "pages": [{"id": page.page_id, "name": page.name} for page in self._stack.pages],
            "customers": self._customers(),
            "phone": phone,
            "desk": self._desk(psid),
            "connector": self._connector(),
            "faults": self._faults.shown(phone["wrote_at"]),
            "killed": self._faults.killed,
            "log": log.entries(dict(self._journals)),
            "log_lacks": "" if self._journals["helpdesk"].exists() else self._stack.helpdesk,
        }

    def _customers(self) -> list[Json]:
        return [
            {"page_id": page.page_id, "page": page.name, "psid": person["psid"], "name": person["name"]}
            for page in self._stack.pages
            for person in self._meta.ask("GET", f"/pages/{page.page_id}/people")
        ]

    def _phone(self, page_id: str, psid: str) -> Json:
        path = f"/pages/{page_id}/people/{psid}"
        try:
            person, thread = self._meta.ask("GET", path), self._meta.ask("GET", f"{path}/messages")
        except Refused:
            return {"name": "", "wrote_at": None, "messages": []}
        names = {page.page_id: page.name for page in self._stack.pages}
        said = {one["mid"]: one for one in thread}
        wrote_at = person["wrote_at"]
        return {
            **person,
            "page": names.get(page_id, page_id),
            "closes_at": wrote_at and wrote_at + WINDOW * 3_600_000,
            "messages": [_message(one, said, f"/phone/{page_id}/{psid}/files") for one in thread],
        }

    def _desk(self, psid: str) -> Json:
        agent, url = self._staff.name, self._stack.desk_url
        shown: Json = {"kind": self._stack.helpdesk, "agent": agent, "url": url, "note": self._staff.note}
        try:
            tickets = self._staff.tickets(psid)
        except httpx.TransportError:
            return {**shown, "error": "The helpdesk does not answer.", "tickets": None}
        except (Refused, httpx.HTTPStatusError) as error:
            return {**shown, "error": f"The helpdesk refuses to show its tickets: {error}", "tickets": None}
        return {**shown, "error": "", "tickets": [_ticket(one, psid) for one in reversed(tickets)]}

    def _connector(self) -> Json:
        try:
            figures = _figures(self._stack.metrics())
        except httpx.TransportError:
            figures = {}
        if not figures:
            return {"runs": False}
        paused = [name for name, value in figures.items() if name.startswith(_PAUSED) and value]
        return {
            "runs": True,
            "waiting": int(figures.get("connector_queues", 0)),
            "oldest": int(figures.get("connector_oldest_seconds", 0)),
            "dead": int(figures.get("connector_dead_letters", 0)),
            "paused": [_remote(name) for name in paused],
        }


_PAUSED = 'connector_remote_paused{remote="'


def _figures(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def _remote(name: str) -> str:
    """Say which remote is paused, as people call it."""
    remote = name.removeprefix(_PAUSED).partition('"')[0]
    return "the helpdesk" if remote == "helpdesk" else "Meta"


def _message(told: Json, said: Mapping[str, Json], files: str) -> Json:
    answered = said.get((told.get("reply_to") or {}).get("mid", ""))
    return {
        "mid": told["mid"],
        "mine": told["sender"] == "person",
        "text": told.get("text", ""),
        "at": told["timestamp"],
        "edited": told.get("num_edit", 0),
        "reaction": told.get("reaction", ""),
        "deleted": told.get("is_deleted", False),
        "tapped": "postback" in told or "quick_reply" in told,
        "answers": (answered.get("text") or "a file") if answered else "",
        "files": [
            _sent_file(file, f"{files}/{told['mid']}/{number}")
            for number, file in enumerate(told["attachments"])
        ],
    }


def _sent_file(told: Json, address: str) -> Json:
    """Return a file of a message; of what is none, such as a location, only what it is."""
    if "filename" not in told:
        return {"kind": "none", "name": str(told.get("title") or told.get("type"))}
    return _file(address, told["filename"], told["content_type"], told["size"]) | {
        "is_sticker": told["type"] == "sticker"
    }


def _ticket(ticket: SeenTicket, psid: str) -> Json:
    return {
        "id": ticket.id,
        "title": ticket.title,
        "desk": ticket.desk_id,
        "owner": ticket.owner or "",
        "closed": ticket.closed,
        "url": ticket.url,
        "comments": [
            _comment(number, one, f"/tickets/{psid}/{ticket.id}/files")
            for number, one in enumerate(ticket.comments)
        ],
    }


def _comment(number: int, comment: SeenComment, files: str) -> Json:
    nodes, rest = nodes_of(comment)
    return {
        "id": comment.id if number else f"first-{comment.id}",  # tickets and comments have ids of their own
        "role": comment.role,
        "who": comment.who,
        "at": round(comment.at * 1000),
        "internal": comment.internal,
        "delivery": comment.delivery,
        "error": comment.error,
        "nodes": nodes,
        "files": {file.id: _seen_file(file, files) for file in comment.files},
        "rest": [file.id for file in rest],
    }


def _seen_file(file: SeenFile, files: str) -> Json:
    return _file(f"{files}/{file.id}", file.filename, file.content_type, file.size)


def _file(address: str, name: str, content_type: str, size: int) -> Json:
    kind = content_type.partition("/")[0]
    return {
        "kind": kind if kind in SHOWN_INLINE else "file",
        "name": name,
        "type": content_type,
        "size": size,
        "src": address,
    }


def plainly(error: Refused) -> str:
    """Return what a server said when it refused something, out of its JSON."""
    text = str(error).partition(": ")[2]
    try:
        said = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        return text
    return str(said["message"] if isinstance(said, dict) else said)
