"""The web application: `uvicorn connector.app:app`."""

import asyncio
import contextlib
import functools
import hmac
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any

import redis
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from clients.channel import App
from clients.channels.registry import CHANNELS
from clients.helpdesk import WEBHOOK_PATH
from clients.http import HttpClient
from connector import logs
from connector.admin import ConnectionAdmin
from connector.messenger.tab import MessengerTab
from connector.onboarding import Onboarding
from connector.settings import Settings, get_settings
from connector.web import board_kept
from connector.web.board import Board
from connector.web.body import BodyReader
from connector.web.connections import ConnectionsApi
from connector.web.group_commit import GroupCommit
from connector.web.login import LoginPages
from connector.web.metrics import Counters, InboxCollector
from connector.web.notifier import Notifier
from connector.web.pages import asset
from connector.web.refusals import Refusals
from connector.web.webhooks import ChannelWebhook, HelpdeskWebhook
from connector.web.withdrawals import STATUS_PATH, DeletionStatus, Withdrawals
from tasks import checks
from tasks.clocks import MEASURE_EVERY, Clocks
from tasks.connections import Directory
from tasks.inbound.backfill import ConnectionNotes
from tasks.inbox.backfills import LONGEST_GAP
from tasks.inbox.inbox import Inbox
from tasks.services import (
    Services,
    build,
    directory_of,
    helpdesk_http,
    helpdesk_of,
    inbox_of,
    network_of,
    store_check_of,
)
from tasks.store import Outage, connect_async, reason_of
from tasks.store_check import StoreCheck, Unusable

log = structlog.get_logger(__name__)

NOTE_DOOR_EVERY = 5.0
"""How often it is noted that webhooks can be stored, in seconds."""
REFRESH_EVERY = 0.5
"""How often it is looked whether a connection changed, in seconds."""


class Application(Starlette):
    """Starlette with a short way to the channels: past middleware and routes it takes 12 to 19 % less CPU."""

    def __init__(self, channels: Mapping[str, ChannelWebhook], **options: Any) -> None:
        super().__init__(**options)
        self._channels = channels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        elif (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and (channel := self._channels.get(scope["path"].removesuffix("/")))
        ):
            await channel(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings, check: StoreCheck) -> Starlette:
    """Build the application from settings; while the store is away, `check` is made again and again."""
    registry = CollectorRegistry()
    notifier = Notifier()
    inbox = inbox_of(settings, patient=False)
    registry.register(InboxCollector(inbox))
    body_reader, counters = BodyReader(), Counters(registry)
    group_commit = GroupCommit(
        connect_async(settings.store_url), inbox.prefix, notifier, Outage(settings.store_key), counters
    )
    directory = directory_of(settings, inbox)
    notes = ConnectionNotes(inbox, directory, fetches_missed=settings.backfill)
    refusals = Refusals(counters, directory)
    channels = {
        channel.path: ChannelWebhook(channel, directory, group_commit, body_reader, refusals)
        for channel in CHANNELS.values()
    }
    clocks = Clocks(inbox, "web")
    adapter = helpdesk_of(settings, HttpClient())
    adapter.clock = clocks.now
    helpdesk = HelpdeskWebhook(adapter, group_commit, body_reader, refusals, inbox.note_helpdesk_webhook)
    opened = contextlib.ExitStack()
    opened.callback(inbox.store.close)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        notifier.start()
        await _refresh(notes)
        watch = asyncio.gather(
            _watch(inbox, clocks, check, refusals),
            _keep_current(notes),
            _note_door(inbox),
        )
        async with group_commit:
            yield
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        notifier.stop()
        opened.close()

    return Application(
        channels,
        lifespan=lifespan,
        routes=[
            # With a slash at its end, too: a redirect would lose the body.
            *(
                route
                for path, channel in channels.items()
                for end in ("", "/")
                for route in (
                    Route(path + end, channel, methods=["POST"]),
                    Route(path + end, channel.handshake, methods=["GET"]),
                )
            ),
            *(Route(WEBHOOK_PATH + end, helpdesk.comments, methods=["POST"]) for end in ("", "/")),
            Route(WEBHOOK_PATH + "/{secret}", helpdesk.comments, methods=["POST"]),
            *_probes(settings, inbox, registry),
            *_operated(settings, inbox, directory, body_reader, refusals, opened),
        ],
    )


def _probes(settings: Settings, inbox: Inbox, registry: CollectorRegistry) -> list[Route]:
    """Return what tells how the process is: alive, ready, and the metrics."""

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("alive\n")

    has_room = AsyncSingleFlight(lambda: run_in_threadpool(inbox.has_room))

    async def readyz(_: Request) -> Response:
        try:
            if await has_room():
                return PlainTextResponse("ready\n")
        except redis.RedisError as error:
            return PlainTextResponse(f"the store does not work: {reason_of(error)}\n", 503)
        return PlainTextResponse("the store is full\n", 503)

    async def metrics(request: Request) -> Response:
        token = settings.metrics_token.get_secret_value()
        if not token:
            raise HTTPException(403, "Nobody sees the metrics; set metrics_token in the settings.")
        if not hmac.compare_digest(
            request.headers.get("authorization", "").encode(), f"Bearer {token}".encode()
        ):
            raise HTTPException(401, "The bearer token is not metrics_token.")
        text = await run_in_threadpool(generate_latest, registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


def _operated(  # noqa: PLR0913, PLR0917 - what connections are shown, and changed, with
    settings: Settings,
    inbox: Inbox,
    directory: Directory,
    body_reader: BodyReader,
    refusals: Refusals,
    opened: contextlib.ExitStack,
) -> Iterator[Route]:
    """Yield that by which people and programs see, change and take back connections."""
    services = _services_of(settings, opened)
    admin = ConnectionAdmin(settings, inbox.connections)
    connections = ConnectionsApi(
        admin, settings.admin_token.get_secret_value(), body_reader, checks.on_request(services)
    )
    app = App(settings.graph.app_id, settings.graph.app_secret.get_secret_value())
    network = network_of(settings)
    opened.callback(network.http.close)
    for login in [channel.login(network, app) for channel in CHANNELS.values() if channel.login]:
        onboarding = Onboarding(settings, admin, login, directory, services)
        yield from LoginPages(settings, login, onboarding, inbox, body_reader).routes
        yield from Withdrawals(settings, login, admin, inbox, directory, body_reader, refusals).routes
    yield from connections.routes
    yield from MessengerTab(settings, admin, inbox, directory, body_reader, services=services).routes
    yield from board_kept.routes(Board(settings, inbox, directory, body_reader))
    yield Route("/assets/{name}", asset)
    yield Route(STATUS_PATH + "/{code}", DeletionStatus(inbox).show)


def _services_of(settings: Settings, opened: contextlib.ExitStack) -> Callable[[], Services]:
    """Return what gives the services, made once they are needed, and closed with all that is `opened`."""

    @functools.cache
    def services() -> Services:
        helpdesk = helpdesk_of(settings, opened.enter_context(helpdesk_http(settings)))
        service = build(settings, helpdesk, patient=False)
        opened.callback(service.network.http.close)
        opened.callback(service.inbox.store.close)
        return service

    return services


class AsyncSingleFlight:
    """Runs a call once for all who ask at the same time: anybody may ask, so it must not cost much."""

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._ask = ask
        self._asked: asyncio.Task[object] | None = None

    async def __call__(self) -> object:
        """Wait for the answer. Raises what asking raises."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asked)


async def _watch(inbox: Inbox, clocks: Clocks, check: StoreCheck, refusals: Refusals) -> None:
    """Try the store until it answers; keep this machine's clock measured, and what was refused."""
    while True:
        try:
            await run_in_threadpool(check)
        except Unusable as error:
            log.error("store_unusable", reason=str(error))  # noqa: TRY400 - one line says it
            signal.raise_signal(signal.SIGTERM)
        with contextlib.suppress(redis.RedisError):
            await run_in_threadpool(clocks.measure_own)
            await run_in_threadpool(refusals.save, inbox)
        await asyncio.sleep(MEASURE_EVERY)


async def _note_door(inbox: Inbox) -> None:
    """Note that webhooks can be stored, as long as they can: what came in a gap is fetched."""
    while True:
        with contextlib.suppress(redis.RedisError):
            await run_in_threadpool(inbox.note_door, LONGEST_GAP)
        await asyncio.sleep(NOTE_DOOR_EVERY)


async def _keep_current(notes: ConnectionNotes) -> None:
    while True:
        await asyncio.sleep(REFRESH_EVERY)
        await _refresh(notes)


async def _refresh(notes: ConnectionNotes) -> None:
    """Take up what was connected, changed or removed. While the store is away, all stays as it is known."""
    with contextlib.suppress(redis.RedisError):
        await run_in_threadpool(notes.refresh)


def __getattr__(name: str) -> Starlette:
    """Build `app` when it is asked for, so that importing the module reads no settings."""
    if name == "app":
        settings = get_settings()
        # Plain uvicorn would leave logs as they are, with variables in tracebacks: texts and tokens.
        part = os.environ.get("CONNECTOR_PART", "web")
        logs.configure(part, settings.log_level, settings.log_format)
        check = store_check_of(settings)
        try:
            check()
        except Unusable as error:
            sys.exit(str(error))
        return create_app(settings, check)
    raise AttributeError(name)
