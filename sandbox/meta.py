"""A Meta to try the connector with: its Messenger platform, small and strict.

`/vNN.N/...` is the Graph API, `/media/...` the media host. An order for the sandbox itself goes here:

| call                                          | does                                                      |
| --------------------------------------------- | --------------------------------------------------------- |
| POST /sandbox/connect                         | app, page and both subscriptions at once:                 |
|                                               | `meta_control.Connection`; 400 when the handshake fails   |
| PUT /sandbox/apps/{app_id}                    | keeps an app: `meta_control.NewApp`                       |
| PUT /sandbox/pages/{page_id}                  | keeps a page: `meta_control.NewPage`                      |
| GET /sandbox/pages/{page_id}/people           | `[{psid, name, messages}]`                                |
| PUT .../people/{psid}                         | keeps a person: `meta_control.NewPerson`                  |
| POST .../people/{psid}/messages               | the person writes: `meta_thread.Writing`;                 |
|                                               | `{mid, timestamp}`                                        |
| POST .../people/{psid}/messages:batch         | a list of the same, at once                               |
| GET .../people/{psid}/messages                | the thread, oldest first                                  |
| POST .../people/{psid}/age                    | `{hours}`: the person's last message becomes older        |
| PUT .../people/{psid}/thread_owner            | `{app_id}`: that app owns the thread; null: nobody        |
| POST /sandbox/pages/{page_id}/inbox           | `{psid, text}`: an agent writes in Meta's own inbox       |
| POST /sandbox/pages/{page_id}/events          | `{items, standby?}`: raw events, sent as they are         |
| PUT /sandbox/behaviour                        | changes some of `meta_state.Behaviour`; answers all       |
| GET /sandbox/webhooks                         | `{sent, delivered, failed_attempts, waiting, alerts,      |
|                                               | unsubscribed}`; `waiting` counts events, the numbers      |
|                                               | before it count requests                                  |
| GET, PUT, DELETE /sandbox/faults              | the list of `faults.Fault` that is in force               |

An order that is not understood is answered 400, one for an unknown page or person 404.
"""

import argparse
import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox import (
    meta_control,
    meta_errors,
    meta_graph,
    meta_media,
    meta_send,
    meta_subscriptions,
    meta_upload,
)
from sandbox.faults import Faults
from sandbox.meta_state import Platform
from sandbox.meta_webhooks import Webhooks

MEDIA = [
    Route("/media/platform/profilepic/", meta_media.serve_picture),
    Route("/media/v/{path:path}", meta_media.serve_file),
]
GRAPH = [
    Route("/{version}/debug_token", meta_subscriptions.debug_token),
    Route("/{version}/{id}", meta_graph.node),
    Route("/{version}/{id}/conversations", meta_graph.conversations),
    Route("/{version}/{id}/messages", meta_graph.messages),
    Route("/{version}/{id}/messages", meta_send.send, methods=["POST"]),
    Route("/{version}/{id}/message_attachments", meta_upload.upload, methods=["POST"]),
    Route(
        "/{version}/{id}/subscribed_apps",
        meta_subscriptions.page_subscription,
        methods=["GET", "POST", "DELETE"],
    ),
    Route(
        "/{version}/{id}/subscriptions",
        meta_subscriptions.app_subscription,
        methods=["GET", "POST", "DELETE"],
    ),
]


def create_app() -> ASGIApp:
    """Return a new Meta that knows nobody."""
    app = Starlette(
        routes=[*meta_control.ROUTES, *MEDIA, *GRAPH],
        exception_handlers={meta_errors.GraphError: meta_errors.refused},
        lifespan=_lifespan,
    )
    app.state.platform = Platform()
    app.state.webhooks = Webhooks(app.state.platform)
    return Faults(app)


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
    options = parser.parse_args()
    with socket.create_server((options.host, options.port)) as listener:
        print(f"Sandbox Meta listens on http://{options.host}:{listener.getsockname()[1]}", flush=True)
        # An access log would show access tokens.
        config = uvicorn.Config(create_app(), log_level="warning", access_log=False, ws="none")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
