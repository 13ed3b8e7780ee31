"""The sandbox helpdesk's REST API: `docs/helpdesk-api.yaml`, held to the letter."""

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

from sandbox.helpdesk.shapes import (
    CommentBody,
    CommentFilter,
    ErasureBody,
    Json,
    ListFilter,
    NewFile,
    PatchBody,
    Refused,
    TicketBody,
    TicketFilter,
    TicketPatchBody,
)
from sandbox.helpdesk.store import Store

T = TypeVar("T")


class Api:
    """What the connector asks of a helpdesk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_progress: set[tuple[str, str]] = set()

    def routes(self) -> list[Route]:
        """Return the routes under `/api/v1`."""
        return [
            _route("/tickets", GET=self.tickets, POST=self.add_ticket),
            _route("/tickets/{id}", GET=self.ticket, PATCH=self.patch_ticket),
            _route("/tickets/{id}/comments", GET=self.comments, POST=self.add_comment),
            _route("/comments", GET=self.all_comments),
            _route("/comments/{id}", PATCH=self.patch_comment),
            _route("/attachments", POST=self.add_attachment),
            _route("/desks/{id}", GET=self.desk),
            _route("/categories", GET=self.categories),
            _route("/categories/{id}", GET=self.category),
            _route("/erasures", POST=self.add_erasure),
            _route("/webhooks/ping", POST=self.send_ping),
        ]

    async def desk(self, request: Request) -> Response:
        """Answer what a desk is called."""
        id_ = request.path_params["id"]
        if (name := self._store.desk_names().get(id_)) is None:
            raise Refused(404, "no_such_desk", f"there is no desk {id_}")
        return as_json({"desk": {"id": id_, "name": name}})

    async def category(self, request: Request) -> Response:
        """Answer what a category is called."""
        id_ = request.path_params["id"]
        if (name := self._store.category_names().get(id_)) is None:
            raise Refused(404, "no_such_category", f"there is no category {id_}")
        return as_json({"category": {"id": id_, "name": name}})

    async def categories(self, request: Request) -> Response:
        """Answer the categories of a desk: all desks have the same."""
        if not request.query_params.get("desk_id"):
            raise Refused(422, "invalid", "name the desk", "desk_id")
        names = self._store.category_names()
        return as_json({"categories": [{"id": id_, "name": name} for id_, name in names.items()]})

    async def tickets(self, request: Request) -> Response:
        """Answer the tickets that meet every filter."""
        wanted = read_query(request, TicketFilter)
        hidden = self._store.settings.forbidden
        found = self._store.tickets(wanted, site_of(request), hidden=hidden)
        return as_json({"tickets": found} | _next(request, found, wanted.limit))

    async def ticket(self, request: Request) -> Response:
        """Answer one ticket."""
        return as_json({"ticket": self._store.ticket(self._ticket_id(request), site_of(request))})

    async def add_ticket(self, request: Request) -> Response:
        """Open a ticket."""
        with self._claim(request, "tickets") as key:
            new = (await read_body(request, TicketBody)).ticket
            return self._once(
                "tickets", key, new, lambda: {"ticket": self._store.add_ticket(new, site_of(request))}
            )

    async def patch_ticket(self, request: Request) -> Response:
        """Change a ticket's title, requester or config, or close it."""
        patch = (await read_body(request, TicketPatchBody)).ticket
        if patch.closed and not self._store.settings.closing:
            raise Refused(422, "invalid", "tickets are not closed here", "ticket.closed")
        with self._store.transaction():
            ticket = self._store.patch_ticket(request.path_params["id"], patch, site_of(request))
        return as_json({"ticket": ticket})

    async def comments(self, request: Request) -> Response:
        """Answer a ticket's comments."""
        wanted = read_query(request, CommentFilter)
        return as_json({"comments": self._store.comments(self._ticket_id(request), wanted, site_of(request))})

    async def all_comments(self, request: Request) -> Response:
        """Answer the comments of all tickets that meet every filter, each with its ticket."""
        if not self._store.settings.comment_list:
            raise Refused(404, "not_found", "comments cannot be listed here")
        wanted = read_query(request, ListFilter)
        hidden = self._store.settings.forbidden
        found = self._store.all_comments(wanted, site_of(request), hidden=hidden)
        return as_json({"comments": found} | _next(request, found, wanted.limit))

    async def add_comment(self, request: Request) -> Response:
        """Add a comment to a ticket."""
        ticket_id = self._ticket_id(request)
        with self._claim(request, "comments") as key:
            new = (await read_body(request, CommentBody)).comment
            return self._once(
                "comments",
                key,
                [ticket_id, new],
                lambda: {"comment": self._store.add_comment(ticket_id, new, site_of(request))},
            )

    async def patch_comment(self, request: Request) -> Response:
        """Change a comment's body or config."""
        patch = (await read_body(request, PatchBody)).comment
        with self._store.transaction():
            comment = self._store.patch_comment(request.path_params["id"], patch, site_of(request))
        return as_json({"comment": comment})

    async def add_attachment(self, request: Request) -> Response:
        """Keep a file."""
        with self._claim(request, "attachments") as key:
            new = await _upload(request)
            # Not the raw body: a repeat has a multipart boundary of its own.
            asked = [new.filename, new.content_type, hashlib.sha256(new.base64).hexdigest()]
            return self._once(
                "attachments",
                key,
                asked,
                lambda: {"attachment": self._store.add_attachment(new, site_of(request))},
            )

    async def add_erasure(self, request: Request) -> Response:
        """Delete what is kept of a person."""
        if not self._store.settings.erasures:
            raise Refused(404, "not_found", "there are no erasures here")
        with self._claim(request, "erasures") as key:
            new = (await read_body(request, ErasureBody)).erasure
            return self._once("erasures", key, new, lambda: {"erasure": self._store.erase(new)})

    async def send_ping(self, request: Request) -> Response:
        """Send a webhook that is about nothing."""
        if not self._store.settings.pings:
            raise Refused(404, "not_found", "there are no pings here")
        with self._store.transaction():
            self._store.add_ping()
        return as_json({"webhook": {"url": self._store.settings.webhook_url}}, 202)

    def _ticket_id(self, request: Request) -> str:
        """Return the ticket that is asked for; raise `Refused` 403 where the token may not see it."""
        ticket_id: str = request.path_params["id"]
        if ticket_id in self._store.settings.forbidden:
            raise Refused(403, "forbidden", "the token may not see this ticket")
        return ticket_id

    @contextmanager
    def _claim(self, request: Request, endpoint: str) -> Iterator[str]:
        """Hold the request's idempotency key while its body comes in and it is done."""
        key = request.headers.get("idempotency-key", "")
        if not re.fullmatch("[!-~]+", key):
            raise Refused(400, "bad_request", "a create needs an Idempotency-Key", "Idempotency-Key")
        if not self._store.settings.honour_idempotency:
            yield key
            return
        if (endpoint, key) in self._in_progress:
            raise Refused(409, "in_progress", "a request with this key is in progress")
        self._in_progress.add((endpoint, key))
        try:
            yield key
        finally:
            self._in_progress.discard((endpoint, key))

    def _once(self, endpoint: str, key: str, asked: object, make: Callable[[], Json]) -> Response:
        with self._store.transaction():
            answer, repeated = self._store.once(endpoint, key, asked, make)
        headers = {"idempotency-replayed": "true"} if repeated else {}
        return Response(answer, 201, headers, media_type="application/json")


class Bearer:
    """ASGI middleware: 401 without the bearer token (RFC 6750)."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve who has the token."""
        given = Headers(scope=scope).get("authorization", "")
        if not hmac.compare_digest(given.encode(), self._expected):
            raise Refused(401, "unauthorized", "the bearer token is missing or wrong")
        await self._app(scope, receive, send)


def _route(path: str, **endpoints: Callable[[Request], Awaitable[Response]]) -> Route:
    """Return one route for all methods of a path, so that a 405 names them all (RFC 9110, section 15.5.6)."""

    async def answer(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=[*endpoints])


def _next(request: Request, found: list[Json], limit: str) -> Json:
    """Return where the next page of a list is, if this one is full."""
    if len(found) < int(limit):
        return {}
    return {"next": str(request.url.include_query_params(cursor=found[-1]["id"]))}


async def _upload(request: Request) -> NewFile:
    """Return the one part `file` of a multipart body (RFC 7578)."""
    async with request.form() as form:
        match form.multi_items():
            case [("file", UploadFile(filename=str(name), content_type=media_type) as file)]:
                told = {"filename": name, "content_type": media_type or "application/octet-stream"}
                return msgspec.convert(told | {"base64": await file.read()}, NewFile)
    raise Refused(422, "invalid", "the body has to be multipart/form-data with one part, a file", "file")


def read_query(request: Request, shape: type[T]) -> T:
    """Return the query; raises `Refused` 422 for a filter that comes twice, `msgspec.ValidationError`."""
    asked = dict(request.query_params)
    if len(asked) < len(request.query_params.multi_items()):
        raise Refused(422, "invalid", "a filter comes twice")
    return msgspec.convert(asked, shape)


def site_of(request: Request) -> str:
    """Return the address the request came to, with a slash at its end."""
    return str(request.base_url)


def as_json(value: object, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def read_body(request: Request, shape: type[T]) -> T:
    """Return the JSON body; raises `Refused` 400 or 415, `msgspec.ValidationError` for the shape."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "unsupported_media_type", "the body has to be application/json")
    try:
        return msgspec.json.decode(await request.body(), type=shape)
    except msgspec.ValidationError:
        raise
    except ValueError as error:
        raise Refused(400, "bad_request", f"the body is not JSON: {error}") from error


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):  # never: Starlette calls this for no other
        raise error
    told = {"code": error.code, "message": error.message, "field": error.field}
    return as_json({"error": {name: value for name, value in told.items() if value}}, error.status)


async def _invalid(request: Request, error: Exception) -> Response:
    # msgspec tells the place only in words: "... unknown field `x` - at `$.ticket`".
    field = re.search(r"field `(.*?)`", str(error))
    place = re.search(r" at `\$\.(.*)`", str(error))
    path = ".".join(found[1] for found in (place, field) if found)
    return await _refused(request, Refused(422, "invalid", str(error), path))


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "not_found", 405: "method_not_allowed"}.get(status, "bad_request")
    answer = await _refused(request, Refused(status, code, str(error)))
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def _gone(request: Request, error: Exception) -> Response:
    """Answer a client that has hung up, which nobody reads; without it the log shows a traceback."""
    return Response(status_code=400)


HANDLERS: dict[type[Exception], ExceptionHandler] = {
    Refused: _refused,
    msgspec.ValidationError: _invalid,
    HTTPException: _http_error,
    ClientDisconnect: _gone,
}
