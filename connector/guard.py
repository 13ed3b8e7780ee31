"""What a client may cost the web process before the application sees anything of it.

uvicorn limits neither heads, nor silent connections, nor how many requests wait in one connection. This is
its protocol with limits, for `connector web`. Under plain `uvicorn connector.app:app` only those of the
application hold.
"""

import asyncio
import resource
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from connector import logs

log = logs.get(__name__)

MAX_CONNECTIONS = 900
"""One more, and the connection is closed that has waited longest for the head of a request."""
HEAD_LIMIT = 64 * 1024
"""How long a head may be, and trailers, in bytes; of a chunked body's framing, what exceeds the body."""
HEAD_WITHIN = 10.0
MESSAGE_WITHIN = 30.0
"""How long a head, and a whole request, may take to arrive, in seconds."""
PIPELINED = 8
"""How many requests may wait in one connection."""
SLICE = 16 * 1024
FILES_NEEDED = MAX_CONNECTIONS + 100


class TooMuch(Exception):
    """The client asks for more than it may."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits."""

    _watch: ClassVar[asyncio.TimerHandle | None] = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; where there are too many, close one that is silent."""
        super().connection_made(transport)
        self.head_since: float | None = self.loop.time()
        self.message_since: float | None = None
        self._overhead = 0
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()
        if GuardedProtocol._watch is None:
            self._look()

    def data_received(self, data: bytes) -> None:
        """Read what came, a little at a time, so that no more than that is read beyond a limit."""
        for start in range(0, len(data), SLICE):
            piece = data[start : start + SLICE]
            self._overhead += len(piece)
            super().data_received(piece)
            if self.transport.is_closing():
                return
            if self._overhead > HEAD_LIMIT:
                self._refuse(b"431 Request Header Fields Too Large")
                return

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.message_since = self.loop.time()
        self.head_since = self.head_since or self.message_since

    def on_headers_complete(self) -> None:
        """Take a request, unless it wants to become something else, or too many wait already."""
        self.head_since = None
        if self.parser.should_upgrade() or len(self.pipeline) >= PIPELINED:
            raise TooMuch
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._overhead -= 2 * len(body)  # once for itself, and as much may frame it
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._overhead, self.message_since = 0, None
        super().on_message_complete()

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()

    def _make_room(self) -> None:
        silent = [one for one in self._guarded() if one.head_since is not None]
        oldest = min(silent, key=lambda one: one.head_since or 0.0)  # there is one: this very connection
        oldest.transport.abort()

    def _guarded(self) -> "list[GuardedProtocol]":
        return [one for one in self.connections if isinstance(one, GuardedProtocol)]

    def _look(self) -> None:
        """Close what takes too long, and come back while there is anything to look after."""
        now = self.loop.time()
        for one in self._guarded():
            if (
                now - (one.head_since or now) > HEAD_WITHIN
                or now - (one.message_since or now) > MESSAGE_WITHIN
            ):
                one.transport.abort()
        GuardedProtocol._watch = self.loop.call_later(1.0, self._look) if self.connections else None


def raise_file_limit() -> None:
    """Let this process have as many connections as the system allows; tell if that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if max(soft, wanted) < FILES_NEEDED:
        hint = f"raise it to {FILES_NEEDED} at least (ulimit -n, or LimitNOFILE= of systemd)"
        log.warning("few_open_files_allowed", limit=wanted, hint=hint)
