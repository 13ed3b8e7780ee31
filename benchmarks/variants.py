"""The product without one of its shortcuts, to see what each is worth: `benchmarks.shortcuts` compares them.

`python -m benchmarks.variants web|worker NAME …`, with the settings of `connector web`.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Self

import celery.__main__
import redis
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from clients import http, transport
from clients.channels.meta import events
from clients.jsons import NotUnderstood, decode
from connector import app
from connector.cli import run
from connector.settings import get_settings
from connector.web.body import BODY_WITHIN, MAX_BODY, BodyReader
from connector.web.group_commit import GroupCommit, StoreUnavailable
from connector.web.guard import GuardedProtocol
from connector.web.webhooks import ChannelWebhook
from tasks.inbox import script
from tasks.inbox.inbox import accept_arguments
from tasks.inbox.job import Job, PartEcho
from tasks.inbox.lease import Lease
from tasks.inbox.script import script_of


class EachByItself(GroupCommit):
    """Stores the events of each request in a call of its own."""

    async def __aenter__(self) -> Self:
        self._script = Redis.from_url(get_settings().store_url).register_script(
            script_of("accept", adds=True).text
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def store(self, jobs: Sequence[Job | PartEcho]) -> None:
        """Return once the rows are stored."""
        try:
            ready = await self._script(args=[self._prefix, "accept", *accept_arguments(jobs)])
        except redis.RedisError:
            raise StoreUnavailable from None
        if ready:
            self._wake(ready)


class Routed(app.Application):
    """Leads webhooks through middleware and routes, to an ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        await Starlette.__call__(self, scope, receive, send)


class Plain(Routed):
    """Leads webhooks through middleware and routes, to an endpoint with Starlette's request and response."""

    def __init__(
        self, channels: Mapping[str, ChannelWebhook], *, routes: Sequence[Route], **options: Any
    ) -> None:
        def endpoint(channel: ChannelWebhook) -> Callable[[Request], Awaitable[Response]]:
            async def take(request: Request) -> Response:
                return await channel._take(dict(request.scope["headers"]), request.receive)  # noqa: SLF001

            return take

        ours = [
            Route(path + end, endpoint(channel), methods=["POST"])
            for path, channel in channels.items()
            for end in ("", "/")
        ]
        super().__init__(channels, routes=[*ours, *routes], **options)


class TimedReader(BodyReader):
    """Limits the time of every body with a timer of its own."""

    async def read(
        self, headers: Mapping[bytes, bytes], receive: Receive, max_bytes: int = MAX_BODY
    ) -> bytes:
        """Return a request's body."""
        async with asyncio.timeout(BODY_WITHIN):
            return await super().read(headers, receive, max_bytes)


class TimedProtocol(GuardedProtocol):
    """Limits the silence after every answer with a timer of its own, as uvicorn does."""

    def on_response_complete(self) -> None:
        """End an answer."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )


class OnePool(transport.Transport):
    """Has one pool of connections for all requests."""

    def _taken(self) -> Any:
        self._idle[1:] = []
        return self._idle[0] if self._idle else super()._taken()


def _share_connections() -> None:
    _set(http, "Transport", OnePool)()
    _set(transport, "KEPT", 64)()


def _time_each() -> None:
    _set(app, "BodyReader", TimedReader)()
    _set(run, "GuardedProtocol", TimedProtocol)()


def _all_read(body: bytes) -> Collection[str]:
    """Return the pages that an envelope names, once all of it is read."""
    try:
        envelope = decode(body)
    except NotUnderstood:
        return ()
    entries = envelope.get("entry") if isinstance(envelope, dict) else None
    if not isinstance(entries, list):
        return ()
    return {str(entry.get("id")) for entry in entries if isinstance(entry, dict)}


def _set(owner: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


def _nothing(*_: Any) -> None:
    pass


WEB: Mapping[str, Callable[[], None]] = {
    "group commit": _set(app, "GroupCommit", EachByItself),
    "the way around routes": _set(app, "Application", Routed),
    "the way around routes, requests and responses": _set(app, "Application", Plain),
    "no timers for a request": _time_each,
    "types for plain items": _set(events, "_plain_item", _nothing),
    "types for plain envelopes and items": _set(events, "_plain_envelope", _nothing),
    "reading page ids only": _set(events, "_page_ids", _all_read),
}
"""What is taken away from the web process, by name."""
WORKER: Mapping[str, Callable[[], None]] = {
    "the step saved ahead": _set(Lease, "foresee", _nothing),
    "connections of each request": _share_connections,
    "what a call needs of the script": _set(script, "source_of", lambda _: script.SOURCE),
}
"""What is taken away from the worker, by name."""


def main() -> None:
    """Take something away, then serve as `connector web` does, or work as its worker."""
    part, *names = sys.argv[1:]
    for name in names:
        (WEB if part == "web" else WORKER)[name]()
    if part == "web":
        run.web([])
    sys.argv = ["celery", "-A", "tasks", "-q", "worker"]
    celery.__main__.main()


if __name__ == "__main__":
    main()
