"""The event log: what the sandboxes' journals say went between them and the connector, line by line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

MARK = "viewer=playground"
"""Stands in the address of what the page itself fetches, which is none of the connector's calls."""
LINES = 150
TAIL = 400_000
"""How much of a journal's end is read, in bytes."""
SECRET = frozenset(
    {"access_token", "appsecret_proof", "client_secret", "code", "fb_exchange_token", "input_token", "oh"}
)
CALLS = (
    (r"POST /v[\d.]+/\w+/messages", "sends a message"),
    (r"POST /v[\d.]+/\w+/message_attachments", "uploads a file"),
    (r"GET /media/", "fetches a file"),
    (r"GET /v[\d.]+/\d+\?fields=first_name", "asks for the customer's name"),
    (r"GET /v[\d.]+/\w+/conversations", "reads what was said"),
    (r"GET /v[\d.]+/m_", "reads a message"),
    (r"\w+ /v[\d.]+/", "asks the Graph API"),
    (r"GET /api/v1/tickets\?.*sender_id=", "looks for the customer's open ticket"),
    (r"GET /api/v1/tickets\?external_id=ping", "asks whether the helpdesk answers"),
    (r"GET /api/v1/(tickets\?|tickets/\d+/comments\?)external_id=", "looks whether it is there already"),
    (r"GET /api/v1/tickets/", "reads the ticket"),
    (r"GET /api/v1/comments", "looks for comments whose webhook was lost"),
    (r"POST /api/v1/tickets/\d+/comments", "adds a comment"),
    (r"POST /api/v1/tickets", "opens a ticket"),
    (r"PATCH /api/v1/tickets/", "changes the ticket"),
    (r"PATCH /api/v1/comments/", "changes a comment"),
    (r"POST /api/v1/attachments", "uploads a file"),
    (r"POST /api/v1/webhooks/ping", "asks for a webhook, to see that one arrives"),
    (r"GET /api/v1/categories", "asks for the categories of a desk"),
    (r"GET /api/v1/desks/", "asks whether a desk is there"),
    (r"POST /api/v1/erasures", "asks for a person to be forgotten"),
    (r"GET /files/", "fetches a file"),
    (r"GET /helpdesk/api/tickets/\d+/", "reads the ticket"),
    (r"GET /helpdesk/api/tickets/", "looks for the customer's open ticket"),
    (r"POST /helpdesk/api/tickets/", "opens a ticket"),
    (r"PATCH /helpdesk/api/tickets/", "changes the ticket"),
    (r"GET /helpdesk/api/followups/\d+/", "reads a comment"),
    (r"GET /helpdesk/api/followups/\?page_size=1$", "asks whether the helpdesk answers"),
    (r"GET /helpdesk/api/followups/", "looks for comments"),
    (r"POST /helpdesk/api/followups/", "adds a comment"),
    (r"PATCH /helpdesk/api/followups/", "changes a comment"),
    (r"POST /helpdesk/api/followups-attachments/", "uploads a file"),
)
"""What calls are for; the first that fits."""
ACTIONS = {"typing_on": "shows that somebody types", "mark_seen": "marks the messages as seen"}
EVENTS = {
    "messages": "a customer wrote",
    "message_echoes": "what the page sent, echoed",
    "message_deliveries": "delivered to the customer",
    "message_reads": "read by the customer",
    "message_edits": "a customer edited a message",
    "message_reactions": "a customer reacted",
    "messaging_postbacks": "a customer tapped a button",
    "comment.created": "a comment was added",
    "followup": "a comment was added",
    "comment.updated": "a comment was changed",
    "comment.deleted": "a comment was deleted",
    "ticket.closed": "the ticket was closed",
    "ticket.reopened": "the ticket was opened again",
    "ticket.merged": "tickets were merged",
}
Entry = dict[str, Any]


def entries(journals: dict[str, Path]) -> list[Entry]:
    """Return the newest lines of the journals, by the names of their servers; the newest first."""
    found = [entry for server, path in journals.items() for entry in _entries(server, path)]
    return sorted(found, key=lambda entry: float(entry["at"]), reverse=True)[:LINES]


def _entries(server: str, path: Path) -> Iterator[Entry]:
    for offset, line in _lines(path):
        told = json.loads(line)
        if entry := _told(server, told):
            yield {"id": f"{server}-{offset}", "at": round(told.get("began", told["at"]), 3), **entry}


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the whole lines at the end of a file, with where they begin."""
    if not path.exists():
        return
    with path.open("rb") as file:
        start = max(0, path.stat().st_size - TAIL)
        file.seek(start)
        if start:
            file.readline()  # of which the beginning is not read
        offset = file.tell()
        for line in file:
            if line.endswith(b"\n"):
                yield offset, line
            offset += len(line)


def _told(server: str, told: dict[str, Any]) -> Entry | None:
    if told["kind"] == "webhook":
        return _webhook(server, told)
    if told["kind"] == "call" and MARK not in told["call"]:
        return _call(server, told)
    return None


def _webhook(server: str, told: dict[str, Any]) -> Entry:
    names = [event["what"] or "an event" for event in told["events"]] if "events" in told else [told["type"]]
    detail = told.get("events") or {name: told[name] for name in ("ticket", "comment") if name in told}
    return {
        "from": server,
        "to": "connector",
        "what": ", ".join(EVENTS.get(name, name) for name in names),
        "call": "webhook " + ", ".join(names),
        "answer": told["answer"],
        "ok": told["answer"].startswith("2"),
        "detail": _pretty(detail),
    }


def _call(server: str, told: dict[str, Any]) -> Entry:
    body = _decoded(told["body"])
    answer = "no answer" if not told["status"] or "hangs up" in (told["fault"] or "") else str(told["status"])
    return {
        "from": "connector",
        "to": server,
        "what": _purpose(told["call"], body),
        "call": without_secrets(told["call"]),
        "answer": answer,
        "ok": answer.startswith("2"),
        "fault": told["fault"] or "",
        "detail": "\n".join(filter(None, [*_headers(told), _pretty(body)])),
    }


def _headers(told: dict[str, Any]) -> Iterator[str]:
    """Yield what a call brings besides its body."""
    if "?" in (call := without_secrets(told["call"])):
        yield call
    if told["key"]:
        yield f"Idempotency-Key: {told['key']}"


def _purpose(call: str, body: Any) -> str:
    """Say what a call is for."""
    match body:
        case {"sender_action": str(action)}:
            return ACTIONS.get(action, action)
        case {"message": {"attachment": {"type": str(kind)}}}:
            return f"sends {'an' if kind[0] in 'aeiou' else 'a'} {kind}"
        case {"message": {"text": str()}}:
            return "sends a text"
        case {"comment": {"config": {"delivery": {"status": str(status)}}}}:
            return f"shows the reply as {status}"
    return next(purpose for pattern, purpose in (*CALLS, ("", "calls")) if re.match(pattern, call))


def without_secrets(call: str) -> str:
    """Return a call without what opens anything."""
    address, _, query = call.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name not in SECRET]
    return f"{address}?{urlencode(kept, safe=',:')}" if kept else address


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""
