"""What the adapter asked the helpdesk, and what it was answered: the evidence beside a check that failed."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import httpx

from clients.http import HttpClient, unpacked

MOST_KEPT = 200
"""How many exchanges are kept."""
MOST_BYTES, MOST_SHOWN = 4096, 300
"""How much of an answer is kept, in bytes, and shown, in characters."""
SHORTEST_SECRET = 6
"""How long what may be a secret is at least, in characters: shorter words are in every answer."""
_KNOWN = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"),
        *("idempotency-key", "transfer-encoding", "range"),
    }
)
"""Headers that hold no secret. What any other one holds is not shown."""


class Exchange:
    """A request and its answer. `status` is 0 where no answer came. No header is shown, and no secret."""

    def __init__(self, request: httpx.Request) -> None:
        self.method, self.status = request.method, 0
        self._path = request.url.raw_path.decode("ascii")
        self._kind = self._packing = ""
        self._kept, self._failure = bytearray(), ""
        values = [value for name, value in request.headers.items() if name.lower() not in _KNOWN]
        words = {word for value in values for word in (value, *value.split())}
        self._secrets = {word for word in words if len(word) >= SHORTEST_SECRET}

    @property
    def path(self) -> str:
        """Return the path with its query."""
        return self._without_secrets(self._path)

    @property
    def body(self) -> str:
        """Return the beginning of the answer, if it is text; why there is none, if none came."""
        if self._failure or not self.status:
            return self._failure
        if self._kept and not self._kind.startswith(("text/", "application/json", "application/problem+")):
            return f"({self._kind or 'of no type'})"
        text = self._without_secrets(self._unpacked().decode(errors="replace"))
        return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"

    def answered(self, response: httpx.Response) -> None:
        """Note the answer, whose body is still to come."""
        self.status = response.status_code
        self._kind = response.headers.get("content-type", "")
        self._packing = response.headers.get("content-encoding", "")

    def failed(self, error: Exception) -> None:
        """Note that no answer came."""
        self._failure = f"{type(error).__name__}: {error}"

    def came(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        self._kept += chunk[: MOST_BYTES - len(self._kept)]

    def _unpacked(self) -> bytes:
        whole = bytearray()
        with suppress(httpx.DecodingError):  # its end was not kept
            for piece in unpacked([bytes(self._kept)], self._packing):
                whole += piece
        return bytes(whole)

    def _without_secrets(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "…")
        return text


class Recorder(httpx.BaseTransport):
    """Passes requests on, and keeps the last exchanges."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner
        self.exchanges: deque[Exchange] = deque(maxlen=MOST_KEPT)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, whose body is still to be read."""
        exchange = Exchange(request)
        self.exchanges.append(exchange)
        try:
            response = self._inner.handle_request(request)
        except Exception as error:
            exchange.failed(error)
            raise
        exchange.answered(response)
        response.stream = _Kept(cast("httpx.SyncByteStream", response.stream), exchange)
        return response

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()


class _Kept(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, exchange: Exchange) -> None:
        self._stream, self._exchange = stream, exchange

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._exchange.came(chunk)
            yield chunk

    def close(self) -> None:
        self._stream.close()


def recorded(http: HttpClient) -> deque[Exchange]:
    """Return the exchanges with the helpdesk, from now on, by way of a client."""
    if not isinstance(http.transport, Recorder):
        # httpx has no public way to change the transport of a client.
        http.transport = http._transport = Recorder(http.transport)  # noqa: SLF001
    return http.transport.exchanges
