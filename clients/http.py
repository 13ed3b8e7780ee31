"""The HTTP base of both clients: one connection pool, explicit timeouts, sorted errors."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import httpx

from clients.errors import Away, ClientError, RateLimited, RejectedError, Unauthorized, Unavailable
from clients.jsons import NotUnderstood, decode

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "messenger-connector"}
TIMEOUT = httpx.Timeout(connect=3.0, read=20.0, write=20.0, pool=5.0)
LATE = 10.0
"""How long to wait after a call that was not answered in time: it may take effect late (seconds)."""
# Shorter than the five seconds after which uvicorn and many others close an idle connection: a request
# that meets a closing connection has an unknown outcome, and is dear to repeat.
_LIMITS = httpx.Limits(max_connections=128, max_keepalive_connections=64, keepalive_expiry=4.0)

_guard: ContextVar[Callable[[], None] | None] = ContextVar("guard", default=None)


@contextmanager
def guarded(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` just before each request's first byte goes out; what it raises stops the request.

    A worker that was stopped for a while then finds out that its lease is over, and not the other side.
    """
    token = _guard.set(check)
    try:
        yield
    finally:
        _guard.reset(token)


def no_cookies() -> CookieJar:
    """Return a jar that takes none: what one host set would be sent again, and tell files and pages apart."""
    return CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))


class HttpClient(httpx.Client):
    """A client for many calls from many threads. It ignores proxies that the environment names."""

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self.transport = transport or httpx.HTTPTransport(limits=_LIMITS, trust_env=False)
        super().__init__(transport=self.transport, timeout=TIMEOUT, trust_env=False, cookies=no_cookies())

    def exchange(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read its answer, without cookies, logins and redirects.

        These take a quarter of what a call costs, and a REST API has no use for them.
        """
        response = self.transport.handle_request(request)
        response.request = request
        try:
            response.read()
        finally:
            response.close()
        return response


def segment(id_: str) -> str:
    """Make an id safe as one segment of a path. Raises `RejectedError` for one that no path can hold."""
    if id_ in {"", ".", ".."}:
        raise RejectedError("an id is missing, or is none")
    return quote(id_, safe="")


class RestClient:
    """Sends requests to one service and turns every failure into a `ClientError`."""

    service = "the service"

    def __init__(self, http: HttpClient, base_url: str, headers: Mapping[str, str], side: str) -> None:
        self._http = http
        self._side = side
        self._base_url = base_url.rstrip("/")
        self._headers = {**_HEADERS, **headers}
        self._told: tuple[datetime, float] | None = None

    def remote_now(self) -> datetime | None:
        """Return the time by the service's own clock, as its last answer told it; None before the first.

        `Date` is in whole seconds: https://www.rfc-editor.org/rfc/rfc9110#field.date
        """
        if self._told is None:
            return None
        date, at = self._told
        return date + timedelta(seconds=time.monotonic() - at)

    def _note_time(self, response: httpx.Response) -> None:
        with suppress(ValueError, TypeError):
            date = parsedate_to_datetime(response.headers.get("date", ""))
            self._told = date if date.tzinfo else date.replace(tzinfo=UTC), time.monotonic()

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return the JSON of its answer.

        `options` are those of `httpx.Request`, and `timeout`. Raises `ClientError`.
        """
        headers = self._headers | options.pop("headers", {})
        extensions = _extensions(options.pop("timeout", TIMEOUT))
        with self.failures():
            request = httpx.Request(
                method, self._base_url + path, headers=headers, extensions=extensions, **options
            )
            response = self._http.exchange(request)
            self._note_time(response)
            if not response.is_success:
                raise self.error(response)
            return self._json(response)

    def _json(self, response: httpx.Response) -> Any:
        try:
            return decode(response.content)
        except NotUnderstood:
            raise Unavailable(f"{self.service} answered with something that is not JSON") from None

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Name the side of every failure, and turn a request that brought no answer into `Unavailable`."""
        try:
            with _sorted_failures(self.service):
                yield
        except ClientError as error:
            error.side = self._side
            raise

    def error(self, response: httpx.Response) -> ClientError:
        """Sort an answer that is not a success by its status; services refine this."""
        said = f"{self.service} answered {response.status_code}"
        if response.status_code == 429:
            return RateLimited(f"{self.service} asks to slow down", retry_after=retry_after(response))
        if response.status_code == 401:
            return Unauthorized(f"{self.service} does not accept the access token")
        if response.status_code in {502, 503, 504}:
            return Away(said, retry_after=retry_after(response))
        if response.is_redirect:
            return Away(f"{self.service} answers with a redirect; check its address in the settings")
        # Some say 403 when a token has expired. Whether all calls fail or only this one, a ping tells.
        if response.status_code >= 500 or response.status_code in {403, 408, 425}:
            return Unavailable(said, retry_after=retry_after(response))
        return RejectedError(said)


@contextmanager
def _sorted_failures(service: str) -> Iterator[None]:
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeEncodeError):
        # Without its cause, which may show the token: one with a line break in it makes no header.
        raise RejectedError(f"the call to {service} is not possible; check its address and token") from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unavailable(f"{service} cannot be reached", maybe_done=False) from error
    except httpx.TimeoutException as error:
        raise Unavailable(f"{service} did not answer in time", retry_after=LATE) from error
    except httpx.TransportError as error:
        raise Unavailable(f"the connection to {service} broke") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RejectedError(f"the call to {service} is not possible: {type(error).__name__}") from error


def _extensions(timeout: httpx.Timeout) -> dict[str, Any]:
    """Return the httpx extensions that limit a request's time and ask the guard before it goes out."""
    extensions: dict[str, Any] = {"timeout": timeout.as_dict()}
    check = _guard.get()
    if check is None:
        return extensions

    def trace(name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("send_request_headers.started"):
            check()

    return extensions | {"trace": trace}


def retry_after(response: httpx.Response) -> float | None:
    """Return the `Retry-After` of an answer in seconds; a date, which RFC 9110 allows as well, is ignored."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() and len(value) < 10 else None
