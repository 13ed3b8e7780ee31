"""The sandbox Meta as a web application, and its command line."""

import argparse
import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.faults import Faults
from sandbox.journal import Journal, Journaled
from sandbox.meta import (
    control,
    errors,
    graph,
    login,
    media,
    phone,
    routing,
    send,
    subscriptions,
    upload,
)
from sandbox.meta.state import Platform
from sandbox.meta.usage import SaysUsage
from sandbox.meta.webhooks import Webhooks

MEDIA = [
    Route("/media/platform/profilepic/", media.serve_picture),
    Route("/media/v/{path:path}", media.serve_file),
]
GRAPH = [
    Route("/{version}/dialog/oauth", login.dialog),
    Route("/{version}/oauth/access_token", login.access_token, methods=["GET", "POST"]),
    Route("/{version}/me/accounts", login.accounts),
    Route("/{version}/{id}/ids_for_pages", login.ids_for_pages),
    Route("/{version}/debug_token", subscriptions.debug_token),
    Route("/{version}/app", subscriptions.own_app),
    Route("/{version}/{id}", graph.node),
    Route("/{version}/{id}/conversations", graph.conversations),
    Route("/{version}/{id}/messages", graph.messages),
    Route("/{version}/{id}/messages", send.send, methods=["POST"]),
    Route("/{version}/{id}/thread_owner", routing.thread_owner),
    Route("/{version}/{id}/take_thread_control", routing.take_thread_control, methods=["POST"]),
    Route("/{version}/{id}/message_attachments", upload.upload, methods=["POST"]),
    Route(
        "/{version}/{id}/subscribed_apps",
        subscriptions.page_subscription,
        methods=["GET", "POST", "DELETE"],
    ),
    Route(
        "/{version}/{id}/subscriptions",
        subscriptions.app_subscription,
        methods=["GET", "POST", "DELETE"],
    ),
]


def create_app(journal: Path | None = None) -> ASGIApp:
    """Return a new Meta that knows nobody; `journal` is the file of `sandbox.journal`, None keeps none."""
    kept = Journal(journal)
    app = Starlette(
        routes=[*control.ROUTES, *phone.ROUTES, *MEDIA, *GRAPH],
        middleware=[Middleware(SaysUsage)],
        exception_handlers={errors.GraphError: errors.refused},
        lifespan=_lifespan,
    )
    app.state.platform = Platform()
    app.state.webhooks = Webhooks(app.state.platform, kept)
    return Journaled(Faults(app), kept)


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Keep the way out open and the webhooks going."""
    # A connection is let go before the other side closes it: a webhook must not fail for that.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=2.0)
    async with httpx.AsyncClient(limits=limits, timeout=None, trust_env=False) as http:  # noqa: S113 - each use has its own
        app.state.platform.http = http
        webhooks = asyncio.create_task(app.state.webhooks.run())
        yield
        webhooks.cancel()
        with suppress(asyncio.CancelledError):
            await webhooks


def main() -> None:
    """Serve a Meta until interrupted."""
    parser = argparse.ArgumentParser(prog="sandbox.meta", description="A Meta to try the connector with.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--journal", type=Path, help="a file that gets a line for each thing that happens")
    options = parser.parse_args()
    with socket.create_server((options.host, options.port)) as listener:
        print(f"Sandbox Meta listens on http://{options.host}:{listener.getsockname()[1]}", flush=True)
        # An access log would show access tokens.
        config = uvicorn.Config(create_app(options.journal), log_level="warning", access_log=False, ws="none")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([listener])
