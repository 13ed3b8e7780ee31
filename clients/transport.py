"""Connections whose calls end in time, whatever the other side does, and lead where they may.

The timeouts of httpx and httpcore hold for each read and each write: a server that sends a byte now and then
keeps a call for ever. Here each of them is cut to what is left until the deadline of the whole call.
"""

import ipaddress
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import httpcore
import httpx

from clients.errors import FileRefused, Unavailable
from clients.notices import Notice, notice

LONGEST_CALL = 120.0
"""How long a request may take in all that names no deadline, in seconds."""
LOOKUP_WITHIN = 5.0
"""How long the lookup of a host may take, in seconds."""
KEPT, KEPT_FOR = 8, 4.0
"""How many connections stay open for the next request, and for how long, in seconds.

It is less than the five seconds after which uvicorn and many others close one: a request that meets a closing
connection has an unknown outcome, and is expensive to repeat.
"""

Lookup = Callable[[str, int, float], list[str]]
"""Finds the addresses of a host and a port within so many seconds, as `addresses` does."""


class PrivateAddress(FileRefused):
    """A host leads to an address that is not one of the Internet."""


class Untrusted(httpcore.ConnectError):
    """Nobody who is trusted vouches for a host's certificate."""


_ends: ContextVar[float] = ContextVar("ends", default=math.inf)
"""When the request of this thread has to be done; httpcore asks its network backend without the request."""
_guard: ContextVar[Callable[[], None]] = ContextVar("guard", default=lambda: None)


@contextmanager
def guarded(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` just before anything of a request goes out; what it raises stops the request.

    So a worker that was stopped for a while sends nothing once its lease is over. It stands around the calls
    of a job and is no argument of theirs: an adapter could forget to hand it on, and would send twice.
    """
    token = _guard.set(check)
    try:
        yield
    finally:
        _guard.reset(token)


class Transport(httpx.BaseTransport):
    """A transport that keeps to `request.extensions["deadline"]`, by the monotonic clock, in seconds.

    It holds for everything: the lookup of the host, connecting, TLS, the request, the answer's head and body.
    What is not done by then raises the timeout of httpx that belongs to it. Proxies of the environment are
    ignored. `lookup` says at which addresses a host is connected to. With a `proxy` (an address with http)
    it is the proxy that is looked up and connected to, and the proxy looks up all others.

    Each request under way has connections of its own, those that were used last: in one pool for sixteen
    threads httpcore looks at all of them twice a request, which took 12 % of a message (docs/performance.md).
    """

    def __init__(self, tls: ssl.SSLContext, lookup: Lookup | None = None, proxy: str = "") -> None:
        self.tls, self._proxy = tls, httpx.Proxy(proxy) if proxy else None
        self._backend = _Backend(lookup or addresses, is_proxy=bool(proxy))
        self._idle: list[_Connections] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, whose body is still to be read."""
        ends = request.extensions.get("deadline", time.monotonic() + LONGEST_CALL)
        connections = self._taken()
        try:
            with _until(ends):
                response = connections.handle_request(request)
        except BaseException:
            self._idle.append(connections)
            raise
        stream = cast("httpx.SyncByteStream", response.stream)
        response.stream = _Timed(stream, ends, partial(self._idle.append, connections))
        return response

    def _taken(self) -> "_Connections":
        try:
            return self._idle.pop()
        except IndexError:
            return _Connections(self.tls, self._backend, self._proxy)

    def close(self) -> None:
        """Close all connections but those that are in use."""
        for connections in self._idle:
            connections.close()


class _Connections(httpx.HTTPTransport):
    """The connections of a request, one to each host that requests before it went to."""

    def __init__(
        self, tls: ssl.SSLContext, backend: httpcore.NetworkBackend, proxy: httpx.Proxy | None
    ) -> None:
        # httpx has no argument for a network backend; httpcore has.
        options: dict[str, Any] = {
            "ssl_context": tls,
            "max_connections": None,
            "max_keepalive_connections": KEPT,
            "keepalive_expiry": KEPT_FOR,
            "network_backend": backend,
        }
        if proxy:
            host, port = proxy.url.raw_host, proxy.url.port
            url = httpcore.URL(scheme=proxy.url.raw_scheme, host=host, port=port, target=b"/")
            self._pool = httpcore.HTTPProxy(url, proxy_auth=proxy.raw_auth, **options)
        else:
            self._pool = httpcore.ConnectionPool(**options)


class _Timed(httpx.SyncByteStream):
    """A body that has to come before the deadline; once it is closed, `done` is called."""

    def __init__(self, stream: httpx.SyncByteStream, ends: float, done: Callable[[], None]) -> None:
        self._stream, self._ends, self._done = stream, ends, done

    def __iter__(self) -> Iterator[bytes]:
        chunks = iter(self._stream)
        while True:
            with _until(self._ends):  # not around the yield: what the caller does meanwhile is its own
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def close(self) -> None:
        self._stream.close()
        self._done()


@contextmanager
def _until(ends: float) -> Iterator[None]:
    token = _ends.set(ends)
    try:
        yield
    finally:
        _ends.reset(token)


def _left(timeout: float | None, error: type[httpcore.TimeoutException]) -> float:
    """Return how long an operation may take. Raises `error` if there is no time left."""
    left = _ends.get() - time.monotonic()
    if left <= 0:
        raise error(notice("took_too_long"))
    return left if timeout is None else min(timeout, left)


class _Backend(httpcore.NetworkBackend):
    """Opens connections; each operation takes what is left of its call's time at most.

    Errors are raised with a `Notice` that names the host, as one of a proxy if it is that, and the cause.
    """

    def __init__(self, lookup: Lookup, *, is_proxy: bool) -> None:
        self._backend, self._lookup, self._is_proxy = httpcore.SyncBackend(), lookup, is_proxy

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first of a host's addresses that answers."""
        failure: Exception = httpcore.ConnectError(notice("host_not_found", host=self._named(host)))
        for address in self._looked_up(host, port):
            try:
                left = _left(timeout, httpcore.ConnectTimeout)
                stream = self._backend.connect_tcp(address, port, left, local_address, socket_options)
            except httpcore.ConnectTimeout:
                failure = httpcore.ConnectTimeout(
                    notice("connect_timeout", host=self._named(host), port=port)
                )
            except httpcore.ConnectError as error:
                failure = httpcore.ConnectError(_why_refused(error, self._named(host), port))
            else:
                return _Stream(stream)
        raise failure

    def _looked_up(self, host: str, port: int) -> list[str]:
        try:
            return self._lookup(host, port, _left(LOOKUP_WITHIN, httpcore.ConnectTimeout))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(notice("lookup_timeout", host=self._named(host))) from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(notice("host_not_found", host=self._named(host))) from error

    def _named(self, host: str) -> str | Notice:
        return notice("the_proxy", host=host) if self._is_proxy else host


def cause_of(error: httpx.HTTPError) -> Notice:
    """Return why there is no connection."""
    cause = error.__cause__.args[0] if error.__cause__ and error.__cause__.args else None
    return cause if isinstance(cause, Notice) else notice("connect_failed", detail=str(error))


def _why_refused(error: httpcore.ConnectError, host: str | Notice, port: int) -> Notice:
    """Return why a connection came to nothing."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ConnectionRefusedError):
        return notice("connection_refused", host=host, port=port)
    return notice("out_of_reach", host=host, detail=getattr(cause, "strerror", None) or str(error))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.get_extra_info("socket")

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it. httpcore would begin the timeout anew whenever the other side takes some bytes."""
        rest = memoryview(buffer)
        try:
            while rest:
                _guard.get()()
                self._socket.settimeout(_left(timeout, httpcore.WriteTimeout))
                rest = rest[self._socket.send(rest) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        try:
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))
        except httpcore.ConnectTimeout:
            raise httpcore.ConnectTimeout(notice("tls_timeout", host=server_hostname or "")) from None
        except httpcore.ConnectError as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, ssl.SSLCertVerificationError):
                why = cause.verify_message.rstrip(".")
                raise Untrusted(
                    notice("untrusted_certificate", host=server_hostname or "", detail=why)
                ) from error
            raise httpcore.ConnectError(notice("tls_failed", host=server_hostname or "")) from error

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


def addresses(host: str, port: int, seconds: float) -> list[str]:
    """Look a host up. Raises `TimeoutError` after so many seconds, another `OSError`, or `UnicodeError`.

    The system's lookup has no time limit: one that is given up goes on in a thread of its own until its
    resolver gives up as well.
    """
    if is_address(host):
        return [host]
    found: Future[list[str]] = Future()

    def look() -> None:
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result([str(entry[4][0]) for entry in entries])
        except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits
            found.set_exception(error)

    threading.Thread(target=look, name="lookup", daemon=True).start()
    return found.result(timeout=seconds)


def is_address(host: str) -> bool:
    """Return whether a host is named by its IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


# --- Addresses of the Internet. --------------------------------------------------------------------------

_GLOBAL = ipaddress.ip_network("2000::/3")
"""The only addresses of IPv6 that are given out for hosts of the Internet.

https://www.iana.org/assignments/ipv6-address-space
"""
_NOT_HOSTS = [
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocols (RFC 6890), as younger versions of Python know
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "2001::/32",  # Teredo (RFC 4380), and
        "2002::/16",  # 6to4: tunnels to an address of IPv4
        "3fff::/20",  # documentation (RFC 9637)
    )
]


def is_public(text: str) -> bool:
    """Return whether an address is one of a host on the Internet.

    What is not known as such is not: `is_global` takes some for public that lead into private networks, such
    as those that hold an address of IPv4 (64:ff9b::/96, ::/96, ::ffff:0:0/96).
    """
    address = ipaddress.ip_address(text)
    if address.version == 6 and address not in _GLOBAL:
        return False
    odd = address.is_multicast or any(address in network for network in _NOT_HOSTS)
    return address.is_global and not odd


def public_addresses(host: str, port: int, seconds: float) -> list[str]:
    """Look up a host that anybody may have named: each of its addresses must be a public one.

    What was checked is what is connected to. Raises `FileRefused`, or `Unavailable` if it may be found later.
    """
    try:
        found = addresses(host, port, seconds)
    except UnicodeError as error:
        raise FileRefused("bad_address") from error
    except OSError as error:
        raise Unavailable("host_not_found", host=host, maybe_done=False) from error
    if not all(map(is_public, found)):
        raise PrivateAddress("private_address", host=host)
    return found
