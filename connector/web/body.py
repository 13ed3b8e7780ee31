"""Reading the bodies of requests, up to a size and within a time."""

import asyncio
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

MAX_BODY = 4 * 1024 * 1024
BODY_WITHIN = 15.0
"""How long a body may take to arrive, in seconds."""
MAX_WAITING = 48 * 1024 * 1024
"""How many bytes of bodies wait in this process before large ones are refused: they are sent again."""
SMALL = 64 * 1024
"""Up to which size, in bytes, a body is taken all the same, as nearly all webhooks are."""
CLOSE = {"Connection": "close"}
"""Sent with a refusal that leaves a body unread: what is still to come of it is not waited for."""


class BodyReader:
    """Reads bodies, and knows how much of them waits."""

    def __init__(self) -> None:
        self._held = 0

    async def read(
        self, headers: Mapping[bytes, bytes], receive: Receive, max_bytes: int = MAX_BODY
    ) -> bytes:
        """Return a request's body, which counts as held until it is released.

        Raises `HTTPException`: 413 for a large one, 408 for one that does not go on, 503 if too many wait.
        """
        if int(headers.get(b"content-length", 0)) > max_bytes:
            raise HTTPException(413, headers=CLOSE)
        # Nearly all bodies come whole with their head, and need no timer (docs/performance.md).
        message = await receive()
        if not message.get("more_body", False):
            return self._hold(message, 0, max_bytes)
        try:
            async with asyncio.timeout(BODY_WITHIN):
                return await self._read(message, receive, max_bytes)
        except TimeoutError:
            raise HTTPException(408, headers=CLOSE) from None

    def release(self, body: bytes) -> None:
        """Count a body that was read as done with."""
        self._held -= len(body)

    async def _read(self, message: Message, receive: Receive, max_bytes: int) -> bytes:
        body = bytearray()  # a list of pieces takes many times the memory of small ones
        try:
            body += self._hold(message, 0, max_bytes)
            while message.get("more_body", False):
                message = await receive()
                body += self._hold(message, len(body), max_bytes)
        except BaseException:
            self._held -= len(body)
            raise
        return bytes(body)

    def _hold(self, message: Message, before: int, max_bytes: int) -> bytes:
        """Return a piece of a body, which counts as held, `before` of which so many bytes came."""
        if message["type"] == "http.disconnect":
            raise HTTPException(400)
        piece: bytes = message.get("body", b"")
        if before + len(piece) > max_bytes:
            raise HTTPException(413, headers=CLOSE)
        if self._held + len(piece) > MAX_WAITING and before + len(piece) > SMALL:
            raise HTTPException(503, "Too much is on its way; send it again.", CLOSE)
        self._held += len(piece)
        return piece
