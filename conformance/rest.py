"""Words for a helpdesk that serves our API: its operations, as docs/helpdesk-api.yaml names them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from conformance.exchanges import Exchange

DOCUMENT = "docs/helpdesk-api.yaml"


@dataclass(frozen=True)
class Operation:
    """An operation, how its path ends, and what answers it."""

    name: str
    method: str
    path: str
    answer: str

    def is_called(self, method: str, path: str) -> bool:
        """Return whether a call, whose path may begin with that of the API, is of this operation."""
        pattern = re.sub(r"\{\w+\}", "[^/]+", self.path)
        return method == self.method and bool(re.search(f"{pattern}$", path))


_TICKET = '{"id": "…", "closed": false, "config": {…}, "url": "…", …}'
_COMMENT = '{"id": "…", "body": "…", "author": {…}, "internal": false, "config": {…}, …}'
OPERATIONS = (
    Operation("findTickets", "GET", "/tickets", f'200 {{"tickets": [{_TICKET}, …]}}'),
    Operation("createTicket", "POST", "/tickets", f'201 {{"ticket": {_TICKET}}}'),
    Operation("getTicket", "GET", "/tickets/{ticket_id}", f'200 {{"ticket": {_TICKET}}}'),
    Operation("changeTicket", "PATCH", "/tickets/{ticket_id}", f'200 {{"ticket": {_TICKET}}}'),
    Operation("findComments", "GET", "/tickets/{ticket_id}/comments", f'200 {{"comments": [{_COMMENT}, …]}}'),
    Operation(
        "listComments", "GET", "/comments", f'200 {{"comments": [{_COMMENT}, …]}}, or 404 without lists'
    ),
    Operation("createComment", "POST", "/tickets/{ticket_id}/comments", f'201 {{"comment": {_COMMENT}}}'),
    Operation("changeComment", "PATCH", "/comments/{comment_id}", f'200 {{"comment": {_COMMENT}}}'),
    Operation("sendPing", "POST", "/webhooks/ping", '202 {"webhook": {"url": "…"}}, or 404 without pings'),
    Operation("createErasure", "POST", "/erasures", '201 {"erasure": {…}}, or 404 without erasures'),
    Operation(
        "uploadAttachment",
        "POST",
        "/attachments",
        '201 {"attachment": {"id": "…", "url": "…", "filename": "…", "content_type": "…", "size": 1}}',
    ),
    Operation(
        "listCategories", "GET", "/categories", '200 {"categories": [{"id": "…", …}]}, or 404 without lists'
    ),
    Operation("getDesk", "GET", "/desks/{desk_id}", '200 {"desk": {"id": "…", "name": "…"}}'),
    Operation(
        "getCategory", "GET", "/categories/{category_id}", '200 {"category": {"id": "…", "name": "…"}}'
    ),
)


def name_of(exchange: Exchange) -> str:
    """Return the name of an exchange's operation: that of fetching a file, if it is no other."""
    operation = operation_of(exchange.method, _path(exchange))
    return operation.name if operation else "getFile"


def expected_of(exchanges: Sequence[Exchange]) -> str:
    """Return what the last call should have been answered."""
    last = exchanges[-1] if exchanges else None
    operation = operation_of(last.method, _path(last)) if last else None
    if operation is None:
        return f"an answer as {DOCUMENT} describes it."
    return f"{operation.name} answers {operation.answer}; see {DOCUMENT}."


def ticket_of(exchange: Exchange) -> str:
    """Return the id of the ticket that an exchange was about, if its path names one."""
    found = re.search(r"/tickets/([^/]+)(?:/comments)?$", _path(exchange))
    return unquote(found[1]) if found else ""


def operation_of(method: str, path: str) -> Operation | None:
    """Return the operation that a call is of; None for one that the API does not have."""
    return next((one for one in OPERATIONS if one.is_called(method, path)), None)


def _path(exchange: Exchange) -> str:
    return exchange.path.partition("?")[0]
