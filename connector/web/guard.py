"""What a client may cost the web process before the application sees anything of it.

uvicorn limits neither heads, nor silent connections, nor what waits in one. This is its protocol with limits,
for `connector web`. Under plain `uvicorn connector.app:app` only those of the application hold.
"""

import asyncio
import resource
import socket
from collections import deque
from contextlib import suppress

import structlog
import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

log = structlog.get_logger(__name__)

MAX_CONNECTIONS = 900
"""One more, and the connection is closed whose client has let us wait longest."""
ACCEPTED_AT_ONCE = 16
"""How many new connections are accepted between two rounds of reading from those that are open."""
HEAD_LIMIT = 64 * 1024
"""How long a head may be, and trailers, in bytes; of a chunked body's framing, what exceeds the body."""
MAX_FIELDS = 100
"""How many headers and trailers a request may have: a short one takes twenty times its length in memory."""
HEAD_WITHIN = 10.0
MESSAGE_WITHIN = 30.0
ANSWER_WITHIN = 10.0
"""How long a head and a whole request may take to arrive, and an answer to be read, in seconds."""
PIPELINED = 8
"""How many requests may wait in one connection."""
MAX_UNANSWERED = 48 * 1024 * 1024
"""How many bytes of unanswered requests this process holds before it refuses long ones."""
SHORT = 16 * 1024
"""Up to which length, in bytes, a request is taken all the same, as nearly all webhooks are."""
SLICE = 4 * 1024
SLOW_CLOSED_EVERY = 1.0
"""How often connections are closed whose clients take too long, in seconds."""
NEVER = float("inf")
FILES_NEEDED = MAX_CONNECTIONS + 100


class TooMuch(Exception):
    """The client asks for more than it may; it is answered 400."""


class Watch:
    """What the connections of this process may cost together."""

    def __init__(self) -> None:
        self.held = 0
        self._open: set[GuardedProtocol] = set()
        self._looks = False

    def add(self, one: "GuardedProtocol") -> None:
        """Look after a connection; where there are too many, close the one that is waited for longest."""
        self._open.add(one)
        if len(self._open) > MAX_CONNECTIONS:
            waited_for = [each for each in self._open if each.waits_since < NEVER]
            # Whoever can sign loses no connection to those who cannot, and may not take up all of them.
            spared = sum(each.signed for each in self._open) <= MAX_CONNECTIONS // 2
            waited_for.sort(key=lambda each: (spared and each.signed, each.waits_since))
            if waited_for:
                waited_for[0].give_up()
        if not self._looks:
            self._look(one.loop)

    def remove(self, one: "GuardedProtocol") -> None:
        """Forget a connection."""
        self._open.discard(one)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what takes too long, and come back while there is anything to look after."""
        now = loop.time()
        for one in [one for one in self._open if one.waits_since + one.patience < now]:
            one.give_up()
        self._looks = bool(self._open)
        if self._looks:
            loop.call_later(SLOW_CLOSED_EVERY, self._look, loop)


_watch = Watch()


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with limits.

    `waits_since`, by the loop's clock, is when we began to wait for the client, for `patience` seconds.
    `signed` is whether a request came in this connection that the application found signed: it says so with
    `signed` in the scope's `state`.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; where there are too many, close the one that is waited for longest."""
        super().connection_made(transport)
        self._in_message = self.signed = False
        self._beside_body = self._length = 0
        self._lengths: deque[int] = deque()
        self._answered: RequestResponseCycle | None = None
        self._wait(HEAD_WITHIN)
        _watch.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        _watch.remove(self)
        _watch.held -= self._length + sum(self._lengths)
        self._length = 0
        self._lengths.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came, a little at a time, so that no more than that is read beyond a limit."""
        for start in range(0, len(data), SLICE):
            piece = data[start : start + SLICE]
            self._beside_body += len(piece)
            self._length += len(piece)
            _watch.held += len(piece)
            super().data_received(piece)
            if self.transport.is_closing():
                self._end()
                return
            if self._beside_body > HEAD_LIMIT or len(self.headers or ()) > MAX_FIELDS:
                self._refuse(b"431 Request Header Fields Too Large")
                return
            if _watch.held > MAX_UNANSWERED and self._length > SHORT:
                self._refuse(b"503 Service Unavailable")
                return

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_message = True
        if self.waits_since == NEVER:
            self._wait(HEAD_WITHIN)

    def on_headers_complete(self) -> None:
        """Take a request, unless it wants to become something else, or too many wait already."""
        if self.parser.should_upgrade() or len(self.pipeline) >= PIPELINED:
            raise TooMuch
        super().on_headers_complete()
        self._wait(MESSAGE_WITHIN)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        # Once for itself, and as much may frame it.
        self._beside_body = max(0, self._beside_body - 2 * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._lengths.append(self._length)
        self._beside_body = self._length = 0
        self._in_message = False
        self.waits_since = NEVER
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer; if the request has not ended before, it is not waited for.

        What uvicorn does then, but for its timer: the watch closes a connection that stays silent, too.
        """
        if self._lengths:
            _watch.held -= self._lengths.popleft()
        if self._answered and self._answered.scope["state"].get("signed"):
            self.signed = True
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
                return
        if self.cycle.more_body:
            self.transport.close()
        if not self._in_message or self.transport.is_closing():
            self._wait(HEAD_WITHIN)

    def pause_writing(self) -> None:
        """Stop answering until the client reads."""
        super().pause_writing()
        self._wait(ANSWER_WITHIN)

    def _wait(self, seconds: float) -> None:
        """Limit the time that the client has, from now on (seconds)."""
        self.waits_since, self.patience = self.loop.time(), seconds

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()
        self._end()

    def _end(self) -> None:
        """Send nothing more on what is closing, and close it once its client had time to read the answer."""
        if self._answered:
            self._answered.disconnected = True
        if self.headers:
            self.headers.clear()
        self._wait(ANSWER_WITHIN)

    def give_up(self) -> None:
        """Close the connection at once."""
        self._end()
        self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)


def listen(config: uvicorn.Config) -> list[socket.socket]:
    """Return the socket to listen on, as often as connections are to be accepted at once.

    uvloop accepts one per socket and round (libuv since 1.45, pull request 3696): a webhook that comes behind
    a thousand new connections would wait for a thousand rounds.
    """
    listener = config.bind_socket()
    return [listener, *(listener.dup() for _ in range(ACCEPTED_AT_ONCE - 1))]


def raise_file_limit() -> None:
    """Raise this process's limit of open files to the system's; log if that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        with suppress(ValueError, OSError):  # macOS has another limit still
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < FILES_NEEDED:
        hint = f"raise it to {FILES_NEEDED} at least (ulimit -n, or LimitNOFILE= of systemd)"
        log.warning("few_open_files_allowed", limit=limit, hint=hint)
