"""The sandbox helpdesk's pages: what an agent would see, to read only."""

import base64
from collections.abc import Callable
from html import escape

from starlette.responses import HTMLResponse

from sandbox.helpdesk.shapes import Json

INLINE_BYTES = 1024 * 1024
# Whatever a customer wrote, the browser runs and fetches nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = (
    "body{font:16px sans-serif;max-width:50em;margin:2em auto} pre{white-space:pre-wrap} img{max-width:20em}"
)
Read = Callable[[str], tuple[str, bytes]]


def list_page(tickets: list[Json], desks: dict[str, str]) -> HTMLResponse:
    """Show the tickets under the name of their desk, in the order given."""
    parts = []
    for desk_id, name in desks.items():
        rows = [_row(ticket) for ticket in tickets if ticket["desk_id"] == desk_id]
        parts.append(f"<h2>{escape(name)}</h2><ul>{''.join(rows) or '<li>no tickets</li>'}</ul>")
    return _page("Helpdesk", "".join(parts))


def ticket_page(ticket: Json, comments: list[Json], read: Read) -> HTMLResponse:
    """Show a ticket and its comments; `read` gives an attachment's media type and bytes by its id."""
    state = "closed" if ticket["closed"] else "open"
    about = f"<p>{state}, assigned to {escape(ticket['assignee'] or 'nobody')}</p>"
    first = _part(ticket["requester"]["name"], ticket, read)
    return _page(ticket["title"], about + first + "".join(_comment(comment, read) for comment in comments))


def _row(ticket: Json) -> str:
    state = " (closed)" if ticket["closed"] else ""
    return f'<li><a href="/tickets/{ticket["id"]}">#{ticket["id"]} {escape(ticket["title"])}</a>{state}</li>'


def _comment(comment: Json, read: Read) -> str:
    marks = ["internal"] if comment["internal"] else []
    match comment["config"].get("delivery"):
        case {"status": str(status)}:
            marks.append(status)
    who = f"{comment['author']['name']} ({', '.join([comment['author']['type'], *marks])})"
    return _part(who, comment, read)


def _part(who: str, written: Json, read: Read) -> str:
    files = "".join(_file(attachment, read) for attachment in written["attachments"])
    return (
        f"<hr><p><b>{escape(who)}</b> {written['created_at']}</p><pre>{escape(written['body'])}</pre>{files}"
    )


def _file(attachment: Json, read: Read) -> str:
    label = escape(f"{attachment['filename']}, {attachment['content_type']}, {attachment['size']} bytes")
    if not attachment["content_type"].startswith("image/") or attachment["size"] > INLINE_BYTES:
        return f"<p>{label}</p>"
    media_type, content = read(attachment["id"])
    data = base64.b64encode(content).decode()
    return f'<p><img alt="{label}" src="data:{escape(media_type)};base64,{data}"></p>'


def _page(title: str, inner: str) -> HTMLResponse:
    head = f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>"
    html = f'{head}<h1>{escape(title)}</h1>{inner}<p><a href="/">All tickets</a></p>'
    return HTMLResponse(html, headers={"content-security-policy": POLICY})
