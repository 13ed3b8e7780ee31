"""The web application: `uvicorn connector.app:app`."""

import contextlib
import gc
from collections.abc import AsyncIterator

import redis
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from clients.http import http_client
from connector.doors import Doors
from connector.intake import Intake
from connector.metrics import Counters, InboxCollector
from connector.settings import Settings, get_settings
from connector.waker import Waker
from tasks.inbox import Inbox, connect, connect_async
from tasks.services import helpdesk_of


def create_app(settings: Settings) -> Starlette:
    """Build the application from settings."""
    registry = CollectorRegistry()
    store, waker = connect_async(settings.store_url), Waker()
    inbox = Inbox(connect(settings.store_url, patient=False))
    registry.register(InboxCollector(inbox))
    intake = Intake(store, waker)
    doors = Doors(settings, intake, helpdesk_of(settings, http_client()), Counters(registry))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        _freeze()
        waker.start()
        async with intake, store:
            yield
        waker.stop()

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(_: Request) -> Response:
        try:
            await run_in_threadpool(inbox.store.ping)
        except redis.RedisError:
            return PlainTextResponse("the store does not answer\n", 503)
        return PlainTextResponse("ready\n")

    async def metrics(_: Request) -> Response:
        text = await run_in_threadpool(generate_latest, registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    messenger = "/social_media/webhooks/facebook"
    return Starlette(
        lifespan=lifespan,
        routes=[
            Route(messenger, doors.messenger, methods=["POST"]),  # first, as it is asked most
            Route(messenger, doors.handshake, methods=["GET"]),
            Route("/social_media/webhooks/helpdesk", doors.comments, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
    )


def _freeze() -> None:
    """Keep the garbage collector off what lives for ever: it cost most of the slowest answers' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def __getattr__(name: str) -> Starlette:
    """Build `app` when it is asked for, so that importing the module reads no settings."""
    if name == "app":
        return create_app(get_settings())
    raise AttributeError(name)
