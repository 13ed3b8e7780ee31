"""The sandbox helpdesk's pages: what an agent would see, to read only."""

from datetime import datetime
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse

from sandbox.helpdesk.bodies import Read, body_html
from sandbox.helpdesk.shapes import Json

# Whatever a customer wrote, the browser runs and fetches nothing.
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "referrer-policy": "no-referrer",
}
STYLE = (Path(__file__).parent / "page.css").read_text()
ROLES = {"customer": "customer", "agent": "agent", "system": "connector"}
DELIVERY = {"sent": "✓ sent", "delivered": "✓✓ delivered", "read": "✓✓ read", "failed": "✕ not delivered"}


def list_page(tickets: list[Json], desks: dict[str, str]) -> HTMLResponse:
    """Show the tickets under the name of their desk, in the order given."""
    parts = ["<h1>Helpdesk</h1>"]
    for desk_id, name in desks.items():
        rows = [_row(ticket) for ticket in tickets if ticket["desk_id"] == desk_id]
        rows = rows or ["<li>no tickets</li>"]
        parts.append(f'<h2>{escape(name)}</h2><ul class="tickets">{"".join(rows)}</ul>')
    return _page("Helpdesk", *parts)


def ticket_page(ticket: Json, comments: list[Json], read: Read) -> HTMLResponse:
    """Show a ticket and its comments; `read` gives an attachment's media type and bytes by its id."""
    state = "closed" if ticket["closed"] else "open"
    about = f"#{ticket['id']}, {state}, assigned to {ticket['assignee'] or 'nobody'}"
    return _page(
        ticket["title"],
        '<nav><a href="/">All tickets</a></nav>',
        f'<h1>{escape(ticket["title"])}</h1><p class="about">{escape(about)}</p>',
        _article(ticket, ticket["requester"]["name"], _began(ticket), "", read),
        *(_comment(comment, read) for comment in comments),
    )


def _began(ticket: Json) -> str:
    return "system" if ticket["config"]["source"] == "connector" else "customer"


def _row(ticket: Json) -> str:
    state = " (closed)" if ticket["closed"] else ""
    return f'<li><a href="/tickets/{ticket["id"]}">#{ticket["id"]} {escape(ticket["title"])}</a>{state}</li>'


def _comment(comment: Json, read: Read) -> str:
    author, marks = comment["author"], ""
    if comment["internal"]:
        marks += ' <span class="badge note">internal note</span>'
    match comment["config"].get("delivery"):
        case {"status": str(status), **told}:
            about = ": ".join(filter(None, [DELIVERY.get(status, status), str(told.get("error", ""))]))
            marks += f' <span class="delivery {escape(status)}">{escape(about)}</span>'
    return _article(comment, author["name"], author["type"], marks, read)


def _article(written: Json, who: str, role: str, marks: str, read: Read) -> str:
    look = f"{role} internal" if written.get("internal") else role
    return (
        f'<article class="{look}"><header>'
        f'<span class="face" aria-hidden="true">{escape(who[:1].upper())}</span> <b>{escape(who)}</b>'
        f' <span class="badge">{ROLES[role]}</span>{marks} {_time(written["created_at"])}</header>'
        f'<div class="body" dir="auto">{body_html(written, read)}</div></article>'
    )


def _time(iso: str) -> str:
    return f'<time datetime="{iso}">{datetime.fromisoformat(iso):%Y-%m-%d %H:%M} UTC</time>'


def _page(title: str, *parts: str) -> HTMLResponse:
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    return HTMLResponse("\n".join([f"{head}<main>", *parts, "</main>"]), headers=HEADERS)
