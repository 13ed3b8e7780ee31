"""Reading the body_reader of requests, up to a size and within a time."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from starlette.exceptions import HTTPException
from starlette.types import Receive

MAX_BODY = 4 * 1024 * 1024
PATIENCE = 15.0
"""How long a body may take to arrive, in seconds."""
LOOK_EVERY = 1.0
MAX_HELD = 48 * 1024 * 1024
"""How many bytes of body_reader wait in this process before large ones are refused: they are sent again."""
SMALL = 64 * 1024
"""Up to which size, in bytes, a body is taken all the same, as nearly all of Meta's are."""
CLOSE = {"Connection": "close"}
"""Sent with a refusal that leaves a body unread: what is still to come of it is not waited for."""


class BodyReader:
    """Reads body_reader. One timer looks after them all: one for each is a twentieth of a webhook's cost."""

    def __init__(self) -> None:
        self._since: dict[asyncio.Task[Any], float] = {}
        self._looks = False
        self._held = 0

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """Return a request's body, which counts as held until it is released.

        Raises `HTTPException`: 413 for a large one, 408 for a slow one, 503 if too many wait.
        """
        if int(headers.get(b"content-length", 0)) > MAX_BODY:
            raise HTTPException(413, headers=CLOSE)
        loop, task = asyncio.get_running_loop(), cast("asyncio.Task[Any]", asyncio.current_task())
        self._since[task] = since = loop.time()
        if not self._looks:
            self._look(loop)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if loop.time() - since < PATIENCE:
                raise
            task.uncancel()
            raise HTTPException(408, headers=CLOSE) from None
        finally:
            del self._since[task]

    def release(self, body: bytes) -> None:
        """Count a body that was read as done with."""
        self._held -= len(body)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut short what takes too long, and come back while there is anything to look after."""
        for task, since in self._since.items():
            if loop.time() - since >= PATIENCE:
                task.cancel()
        self._looks = bool(self._since)
        if self._looks:
            loop.call_later(LOOK_EVERY, self._look, loop)

    async def _read(self, receive: Receive) -> bytes:
        body, more = bytearray(), True  # a list of pieces takes many times the memory of small ones
        try:
            while more:
                message = await receive()
                piece = message.get("body", b"")
                body += piece
                self._held += len(piece)
                self._check(message["type"], len(body))
                more = message.get("more_body", False)
        except BaseException:
            self._held -= len(body)
            raise
        return bytes(body)

    def _check(self, type_: str, size: int) -> None:
        if type_ == "http.disconnect":
            raise HTTPException(400)
        if size > MAX_BODY:
            raise HTTPException(413, headers=CLOSE)
        if self._held > MAX_HELD and size > SMALL:
            raise HTTPException(503, "Too much is on its way; send it again.", CLOSE)
