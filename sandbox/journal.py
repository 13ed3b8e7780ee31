"""A sandbox server's journal: what it was asked, what it stored, which webhooks it sent, line by line.

A test reads from it what a server that was killed meanwhile cannot tell any more: in which order things
happened, and everything that ever touched one message.
"""

import time
from pathlib import Path
from typing import Any

import msgspec
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Journal:
    """A file that grows by a line for each thing that happened; without a path nothing is kept.

    Each line has `at`, in unix seconds, and `kind`: `call`, `stored` or `webhook`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        if path:
            path.touch()

    def note(self, kind: str, **what: Any) -> None:
        """Write a line."""
        if self._path:
            # Opened for each line, so that a server that is killed loses none.
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode({"at": time.time(), "kind": kind, **what}) + b"\n")

    @property
    def is_kept(self) -> bool:
        """Tell whether there is a file."""
        return self._path is not None


class Journaled:
    """ASGI middleware that notes each call with its answer, and the fault that hit it, if one did."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app, self._journal = app, journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and note it."""
        orders = scope["type"] != "http" or scope["path"].startswith("/sandbox/")
        if orders or not self._journal.is_kept:
            await self._app(scope, receive, send)
            return
        began, status, body = time.time(), 0, b""
        if Headers(scope=scope).get("content-type", "").startswith("application/json"):
            body, receive = await _read(receive)

        async def answer(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            self._note(scope, began, status, body)

    def _note(self, scope: Scope, began: float, status: int, body: bytes) -> None:
        query, key = scope["query_string"].decode(), Headers(scope=scope).get("idempotency-key")
        self._journal.note(
            "call",
            began=began,
            call=f"{scope['method']} {scope['path']}{'?' if query else ''}{query}",
            key=key,
            body=body.decode(errors="replace"),
            status=status,
            fault=scope.get("fault"),
        )


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """Read a body whole, and return it with a `receive` that gives it once more."""
    body, first = b"", True
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break

    async def again() -> Message:
        nonlocal first
        if first and message["type"] == "http.request":
            first = False
            return {"type": "http.request", "body": body}
        return await receive()

    return body, again
