"""The sandbox helpdesk as a web application, and its command line."""

import argparse
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import uvicorn
from msgspec import UNSET
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from sandbox.faults import Faults
from sandbox.helpdesk.api import HANDLERS, Api, Bearer, as_json, read_body, read_query, site_of
from sandbox.helpdesk.pages import list_page, ticket_page
from sandbox.helpdesk.shapes import (
    AgentComment,
    AnyComment,
    Author,
    Category,
    CommentFilter,
    Desk,
    Json,
    Merge,
    NewBody,
    Refused,
    SandboxFilter,
    TicketFilter,
)
from sandbox.helpdesk.store import Store
from sandbox.helpdesk.webhooks import Webhooks
from sandbox.journal import Journal, Journaled


class Sandbox:
    """Orders for the sandbox itself, its pages and its files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """Return the pages and the routes under `/sandbox`."""
        return [
            Route("/", self.list_page),
            Route("/tickets/{id}", self.ticket_page),
            Route("/sandbox/settings", self.put_settings, methods=["PUT"]),
            Route("/sandbox/desks/{id}", self.put_desk, methods=["PUT"]),
            Route("/sandbox/categories/{id}", self.put_category, methods=["PUT"]),
            Route("/sandbox/tickets", self.tickets),
            Route("/sandbox/tickets/{id}/comments", self.add_comment, methods=["POST"]),
            Route("/sandbox/comments/{id}", self.change_comment, methods=["PATCH", "DELETE"]),
            Route("/sandbox/tickets/{id}/merge", self.merge, methods=["POST"]),
            Route("/sandbox/tickets/{id}/close", self.close, methods=["POST"]),
            Route("/sandbox/tickets/{id}/reopen", self.reopen, methods=["POST"]),
            Route("/sandbox/webhooks", self.webhooks),
            Route("/sandbox/everything", self.clear, methods=["DELETE"]),
        ]

    async def list_page(self, request: Request) -> Response:
        """Show the tickets of every desk."""
        tickets = self._store.tickets(TicketFilter(), site_of(request))
        return list_page(tickets, self._store.desk_names())

    async def ticket_page(self, request: Request) -> Response:
        """Show one ticket with its comments."""
        ticket = self._store.ticket(request.path_params["id"], site_of(request))
        comments = self._store.comments(ticket["id"], CommentFilter(), site_of(request))
        return ticket_page(ticket, comments, self._store.file)

    async def file(self, request: Request) -> Response:
        """Answer an attachment's bytes."""
        media_type, content = self._store.file(request.path_params["id"])
        return Response(content, headers={"content-type": media_type, "x-content-type-options": "nosniff"})

    async def put_settings(self, request: Request) -> Response:
        """Change some settings."""
        changes = await read_body(request, Json)
        with self._store.transaction():
            return as_json(self._store.merge_settings(changes))

    async def put_desk(self, request: Request) -> Response:
        """Keep a desk."""
        desk = await read_body(request, Desk)
        with self._store.transaction():
            self._store.put_desk(request.path_params["id"], desk.name)
        return as_json(desk)

    async def put_category(self, request: Request) -> Response:
        """Keep a category."""
        category = await read_body(request, Category)
        with self._store.transaction():
            self._store.put_category(request.path_params["id"], category.name, category.owner)
        return as_json(category)

    async def add_comment(self, request: Request) -> Response:
        """Write a comment as an agent does in the helpdesk itself."""
        order = await read_body(request, AgentComment)
        if not (order.body.strip() or order.files):
            raise Refused(422, "invalid", "a comment needs a body or a file", "body")
        site = site_of(request)
        ticket_id = request.path_params["id"]
        with self._store.transaction():
            if order.close:
                self._store.set_closed(ticket_id, site, closed=True)
            new = AnyComment(
                body=order.body,
                body_format=order.body_format,
                external_id=None,
                internal=order.internal,
                author=Author(type="agent", name=order.agent, automated=order.automated or UNSET),
                attachment_ids=[self._store.add_attachment(file, site)["id"] for file in order.files],
                created_at=None,
                config=order.config,
            )
            comment = self._store.add_comment(ticket_id, new, site, even_closed=True)
        return as_json({"comment": comment}, 201)

    async def change_comment(self, request: Request) -> Response:
        """Change a comment as an agent does, or delete it."""
        body = (await read_body(request, NewBody)).body if request.method == "PATCH" else None
        with self._store.transaction():
            comment = self._store.change_comment(request.path_params["id"], body, site_of(request))
        return as_json({"comment": comment})

    async def merge(self, request: Request) -> Response:
        """Merge a ticket into another."""
        order = await read_body(request, Merge)
        with self._store.transaction():
            ticket = self._store.merge(request.path_params["id"], order.into, site_of(request))
        return as_json({"ticket": ticket})

    async def close(self, request: Request) -> Response:
        """Close a ticket."""
        return self._set_closed(request, closed=True)

    async def reopen(self, request: Request) -> Response:
        """Open a closed ticket again."""
        return self._set_closed(request, closed=False)

    async def tickets(self, request: Request) -> Response:
        """Answer everything about the tickets, for a test to compare."""
        filters = read_query(request, SandboxFilter)
        wanted = TicketFilter(sender_id=filters.sender_id, page_id=filters.page_id)
        site = site_of(request)
        tickets = self._store.tickets(wanted, site, limit=-1)
        for ticket in tickets:
            ticket["comments"] = self._store.comments(ticket["id"], CommentFilter(), site)
            for written in [ticket, *ticket["comments"]]:
                for attachment in written["attachments"]:
                    attachment["sha256"] = self._store.digest(attachment["id"])
        return as_json({"tickets": tickets})

    async def webhooks(self, request: Request) -> Response:
        """Answer how the webhooks fare."""
        return as_json(self._store.webhook_counts())

    async def clear(self, request: Request) -> Response:
        """Forget everything but the settings."""
        with self._store.transaction():
            self._store.clear()
        return Response(status_code=204)

    def _set_closed(self, request: Request, *, closed: bool) -> Response:
        with self._store.transaction():
            ticket = self._store.set_closed(request.path_params["id"], site_of(request), closed=closed)
        return as_json({"ticket": ticket})


def create_app(  # noqa: PLR0913 - the options of the command line
    db: str,
    api_token: str,
    webhook_secret: str,
    *,
    webhook_url: str | None = None,
    honour_idempotency: bool | None = None,
    journal: Path | None = None,
) -> ASGIApp:
    """Return the helpdesk that keeps everything in the file `db`; None leaves a setting as it is there.

    `journal` is the file of `sandbox.journal`; None keeps none.

    Raises `ValueError` for a webhook secret that is not `whsec_<base64>`, `sqlite3.Error` for the file.
    """
    kept = Journal(journal)
    store = Store(db, kept)
    given = {"webhook_url": webhook_url, "honour_idempotency": honour_idempotency}
    with store.transaction():
        store.merge_settings({name: value for name, value in given.items() if value is not None})
    api, sandbox, token = Api(store), Sandbox(store), [Middleware(Bearer, token=api_token)]
    files = [Route("/{id}/{filename:path}", sandbox.file)]
    app = Starlette(
        routes=[
            Mount("/api/v1", routes=api.routes(), middleware=token),
            Mount("/files", routes=files, middleware=token),
            *sandbox.routes(),
        ],
        exception_handlers=HANDLERS,
        lifespan=_lifespan(store, webhook_secret, kept),
    )
    return Journaled(Faults(app), kept)


def _lifespan(
    store: Store, secret: str, journal: Journal
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    webhooks = Webhooks(store, secret, journal)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        webhooks.start()
        yield
        await webhooks.stop()
        store.close()

    return lifespan


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where it listens; with port 0 only the system knows."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        print(f"The sandbox helpdesk listens on http://{host}:{port}", flush=True)


def main() -> None:
    """Run the helpdesk until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.helpdesk", description="A helpdesk to try with.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9002, help="0: any that is free")
    parser.add_argument("--db", required=True, help="the SQLite file")
    parser.add_argument("--api-token", required=True)
    parser.add_argument("--webhook-secret", required=True, help="whsec_<base64>")
    parser.add_argument("--webhook-url", help="where webhooks go; as last time if not given")
    parser.add_argument("--honour-idempotency", action=argparse.BooleanOptionalAction)
    parser.add_argument("--journal", type=Path, help="a file that gets a line for each thing that happens")
    options = vars(parser.parse_args())
    host, port = options.pop("host"), options.pop("port")
    app = create_app(**options)
    # A client that never ends its request must not keep the process from stopping.
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=5)
    _Server(config).run()
