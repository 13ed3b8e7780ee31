"""The REST API by which connections are listed, added, changed and removed: docs/connector-api.yaml."""

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core
import redis
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from connector import admin
from connector.admin import ConnectionAdmin, ListedConnection
from connector.web.body import CLOSE, BodyReader
from connector.web.problems import ApiProblem
from tasks.store import reason_of

log = structlog.get_logger(__name__)

MAX_BODY = 16 * 1024
"""How large the body of a connection may be, in bytes."""
MOST_LISTED, LISTED = 100, 50
"""How many connections a page of the list has at most, and where nobody asks for a number."""
_TAG = re.compile(r'(W/)?"([^"]*)"')
_REFUSALS: Mapping[type[admin.Refused], tuple[int, str]] = {
    admin.NoSecretKey: (403, "no-secret-key"),
    admin.NoConnection: (404, "no-connection"),
    admin.Fixed: (409, "fixed"),
    admin.AlreadyConnected: (412, "already-connected"),
    admin.ChangedMeanwhile: (412, "changed-meanwhile"),
    admin.InvalidFields: (422, "invalid-fields"),
}
_UNREAD = {
    408: ("slow-body", "The body did not arrive in time."),
    413: ("large-body", f"The body has more than {MAX_BODY} bytes."),
    503: ("busy", "Too much is on its way; send it again."),
}
Handler = Callable[[Request], Awaitable[Response]]
Check = Callable[[str], list[dict[str, Any]] | None]
"""Checks the connection of a page and returns the findings; None if the page is not connected."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What answers each method of one resource, to whoever has the token; a refusal becomes a problem."""

    token: str
    handlers: Mapping[str, Handler]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        try:
            answer = await self._answer(Request(scope, receive))
        except ApiProblem as problem:
            answer = problem.response()
        answer.headers["Cache-Control"] = "no-store"
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        self._authorize(request.headers.get("authorization", ""))
        handler = self.handlers.get(request.method)
        if not handler:
            allowed = {"Allow": ", ".join(self.handlers), **CLOSE}
            raise ApiProblem(405, "no-method", "The resource does not know this method.", headers=allowed)
        try:
            return await handler(request)
        except admin.Refused as error:
            raise _problem(error) from None
        except redis.OutOfMemoryError:
            raise ApiProblem(503, "store-full", "The store is full.") from None
        except redis.RedisError as error:
            raise ApiProblem(503, "store-away", f"The store does not work: {reason_of(error)}.") from None

    def _authorize(self, given: str) -> None:
        if not self.token:
            detail = "Connections are not shown or changed here: set admin_token in the settings."
            raise ApiProblem(403, "no-admin-token", detail, headers=CLOSE)
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            headers = {"WWW-Authenticate": "Bearer", **CLOSE}
            raise ApiProblem(401, "wrong-token", "The bearer token is not admin_token.", headers=headers)


class ConnectionsApi:
    """`/connections`, `/connections/{page_id}`, and `/connections/{page_id}/check`."""

    def __init__(self, admin: ConnectionAdmin, token: str, body_reader: BodyReader, check: Check) -> None:
        self._admin, self._body_reader, self._check = admin, body_reader, check
        self.routes = [
            Route("/connections", Resource(token, {"GET": self._list, "HEAD": self._list})),
            Route("/connections/{account_id}/check", Resource(token, {"POST": self._findings})),
            # Whatever else is below is no page, which is said as of any other that is not there.
            Route(
                "/connections/{account_id:path}",
                Resource(
                    token,
                    {"GET": self._get, "HEAD": self._get, "PUT": self._put, "DELETE": self._delete},
                ),
            ),
        ]

    async def _list(self, request: Request) -> Response:
        limit, after = _limit(request), request.query_params.get("after", "")
        found = await run_in_threadpool(self._admin.list, limit + 1, after)
        shown = found[:limit]
        next_ = shown[-1].page_id if len(found) > limit else None
        return JSONResponse({"connections": [one.as_json() for one in shown], "next": next_})

    async def _get(self, request: Request) -> Response:
        return _shown(await run_in_threadpool(self._admin.get, _page(request)))

    async def _put(self, request: Request) -> Response:
        fields = await self._fields(request)
        page_id, found = await self._found(request)
        if found and found.fixed:
            raise admin.Fixed(page_id)
        version = _expected(request, found)
        entry = await run_in_threadpool(self._admin.put, page_id, fields, version)
        log.info("connection_changed" if found else "connection_added", page=page_id, version=entry.version)
        if found:
            return _shown(entry)
        return _shown(entry, 201, {"Location": f"/connections/{page_id}"})

    async def _delete(self, request: Request) -> Response:
        page_id, found = await self._found(request)
        if not found:
            raise admin.NoConnection(page_id)
        if found.fixed:
            raise admin.Fixed(page_id)
        version = _expected(request, found) or 0
        not_done = await run_in_threadpool(self._admin.remove, page_id, version)
        log.info("connection_removed", page=page_id, not_done=not_done or None)
        return JSONResponse({"not_done": not_done}) if not_done else Response(status_code=204)

    async def _findings(self, request: Request) -> Response:
        page_id = _page(request)
        found = await run_in_threadpool(self._check, page_id)
        if found is None:
            raise admin.NoConnection(page_id)
        return JSONResponse({"findings": found})

    async def _found(self, request: Request) -> tuple[str, ListedConnection | None]:
        page_id = _page(request)
        try:
            return page_id, await run_in_threadpool(self._admin.get, page_id)
        except admin.NoConnection:
            return page_id, None

    async def _fields(self, request: Request) -> Mapping[str, Any]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiProblem(415, "no-json", "Send the connection as application/json.", headers=CLOSE)
        try:
            headers = dict(request.scope["headers"])
            body = await self._body_reader.read(headers, request.receive, MAX_BODY)
        except HTTPException as error:
            kind, detail = _UNREAD.get(error.status_code, ("no-body", "The body did not arrive."))
            raise ApiProblem(error.status_code, kind, detail, headers=error.headers) from None
        self._body_reader.release(body)
        try:
            fields = pydantic_core.from_json(body, allow_inf_nan=False)
        except ValueError:  # its message quotes the body
            raise ApiProblem(400, "no-json", "The body is not proper JSON.") from None
        if not isinstance(fields, dict):
            raise ApiProblem(422, "invalid-fields", "The body must be an object: a connection's fields.")
        return fields


def _page(request: Request) -> str:
    return str(request.path_params["account_id"])


def _limit(request: Request) -> int:
    given = request.query_params.get("limit", str(LISTED))
    if not re.fullmatch("[0-9]{1,4}", given, re.ASCII) or not 1 <= int(given) <= MOST_LISTED:
        wrong = [("limit", f"must be a number from 1 to {MOST_LISTED}")]
        raise ApiProblem(422, "invalid-fields", "The list cannot be shown so.", errors=wrong)
    return int(given)


def _expected(request: Request, found: ListedConnection | None) -> int | None:
    """Return the version that a request is about; None if it adds a connection.

    https://www.rfc-editor.org/rfc/rfc9110#section-13.1
    """
    if_match, if_none_match = (request.headers.get(name) for name in ("if-match", "if-none-match"))
    if if_none_match is not None and if_none_match.strip() != "*":
        raise ApiProblem(400, "bad-condition", "If-None-Match can only be *: add, and replace nothing.")
    if found is None:
        if if_match is not None:
            raise ApiProblem(412, "no-connection", "There is no connection of this page to replace.")
        return None
    if if_none_match is not None:
        raise admin.AlreadyConnected(found.page_id)
    if if_match is None:
        detail = "Say which version is meant: send its ETag as If-Match."
        raise ApiProblem(428, "no-condition", detail)
    if if_match.strip() != "*" and ("", str(found.version)) not in _TAG.findall(if_match):
        raise admin.ChangedMeanwhile(found.page_id)
    return found.version


def _shown(entry: ListedConnection, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    tag = {} if entry.fixed else {"ETag": f'"{entry.version}"'}
    return JSONResponse(entry.as_json(), status, tag | dict(headers or {}))


def _problem(error: admin.Refused) -> ApiProblem:
    status, kind = _REFUSALS[type(error)]
    if isinstance(error, admin.InvalidFields):
        return ApiProblem(status, kind, "The connection was not stored: see errors.", errors=error.faults)
    return ApiProblem(status, kind, str(error))
