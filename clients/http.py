"""The HTTP base of both clients: one connection pool, limits of time and size, sorted errors."""

import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, cast
from urllib.parse import quote

import httpx

from clients.errors import ClientError, RateLimited, RejectedError, ServiceDown, Unauthorized, Unavailable
from clients.jsons import NotUnderstood, decode
from clients.notices import Notice, Value, notice
from clients.single_flight import TransferLimits
from clients.transport import Transport, Untrusted, cause_of, public_addresses

USER_AGENT = "messenger-connector"
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": USER_AGENT}
TIMEOUT = httpx.Timeout(20.0, connect=3.0)
"""How long each step of a call may take, in seconds."""
CALL_WITHIN, UPLOAD_WITHIN = 30.0, 120.0
"""How long a call may take in all, without and with files, in seconds."""
LATE = 10.0
"""How long to wait after a call that was not answered in time: it may take effect late (seconds)."""
_PIECE = 64 * 1024  # bytes that are unpacked at once
_NO_LOGIN = httpx.Auth()  # else a name in an address would take the token's place
THREADS = 16
"""How many threads share a client unless its maker says."""


class _NoCookies(httpx.Cookies):
    """A jar that takes none: with what a host set, it could link calls for different pages.

    A jar with a policy that allows none does the same, and reads all headers of each answer for it.
    """

    def extract_cookies(self, response: httpx.Response) -> None:
        """Take nothing."""


_NO_COOKIES = _NoCookies()


class HttpClient(httpx.Client):
    """A client for many calls from many threads.

    It keeps no cookies and ignores proxies that the environment names. `transport` leads everywhere, `public`
    to public addresses only. `transfer_limits` divides the transfers of files among their hosts. `file_hosts`
    are hosts of the helpdesk's files, beside its own, that may be in a private network. The certificates in
    `ca_file` (PEM) are trusted beside those that always are. `transport` goes by way of the `proxy`, and so
    does `public` if `public_by_proxy`: at which addresses it connects is up to the proxy then.
    """

    def __init__(  # noqa: PLR0913 - each is a setting
        self,
        transport: httpx.BaseTransport | None = None,
        *,
        transfer_limits: TransferLimits | None = None,
        file_hosts: Sequence[str] = (),
        ca_file: str = "",
        proxy: str = "",
        public_by_proxy: bool = False,
    ) -> None:
        if transport:
            self.transport = self.public = transport
        else:
            tls = httpx.create_ssl_context(trust_env=False)
            if ca_file:
                tls.load_verify_locations(ca_file)
            self.transport = Transport(tls, proxy=proxy)
            self.public = (
                Transport(tls, proxy=proxy) if proxy and public_by_proxy else Transport(tls, public_addresses)
            )
        self.transfer_limits = transfer_limits or TransferLimits(THREADS)
        self.file_hosts = frozenset(host.lower() for host in file_hosts)
        super().__init__(transport=self.transport, timeout=TIMEOUT, trust_env=False)

    @property  # type: ignore[misc]  # nobody is to set any
    def cookies(self) -> httpx.Cookies:
        """Return the jar, which stays empty."""
        return _NO_COOKIES

    def exchange(self, request: httpx.Request, max_bytes: int) -> httpx.Response:
        """Send a request and read its answer.

        Raises `httpx.DecodingError` for an answer that has more than `max_bytes` once it is unpacked.
        """
        response = self.send(request, auth=_NO_LOGIN, stream=True)
        try:
            response.stream = _Bounded(response, max_bytes)
            response.read()
        finally:
            response.close()
        return response

    def close(self) -> None:
        """Close all connections."""
        self.public.close()
        super().close()


class _Unreadable(httpx.DecodingError):
    """The body of an answer cannot be read."""

    def __init__(self, code: str, **values: Value) -> None:
        super().__init__(code)
        self.notice = Notice(code, values)


class _Bounded(httpx.SyncByteStream):
    """The body of an answer, unpacked, and no more than so many bytes of it."""

    def __init__(self, response: httpx.Response, max_bytes: int) -> None:
        self._stream, self._max_bytes = cast("httpx.SyncByteStream", response.stream), max_bytes
        self._encoding = response.headers.pop("content-encoding", "")

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in unpacked(self._stream, self._encoding):
            size += len(chunk)
            if size > self._max_bytes:
                raise _Unreadable("response_too_large", limit_bytes=self._max_bytes)
            yield chunk

    def close(self) -> None:
        self._stream.close()


def unpacked(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Undo a `Content-Encoding`, a little at a time: some kilobytes may unpack to gigabytes.

    Raises `httpx.DecodingError`. https://www.rfc-editor.org/rfc/rfc9110#field.content-encoding
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        yield from chunks
    elif encoding in {"gzip", "x-gzip"}:
        yield from _gunzipped(chunks)
    else:
        raise _Unreadable("unknown_compression")


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker, begun = zlib.decompressobj(wbits=31), False
    try:
        for chunk in chunks:
            begun = True
            yield unpacker.decompress(chunk, _PIECE)
            while unpacker.unconsumed_tail:
                yield unpacker.decompress(unpacker.unconsumed_tail, _PIECE)
    except zlib.error as error:
        raise _Unreadable("not_gzip") from error
    if begun and not unpacker.eof:
        raise _Unreadable("response_cut_off")


def segment(id_: str) -> str:
    """Make an id safe as one segment of a path. Raises `RejectedError` for one that no path can hold.

    https://www.rfc-editor.org/rfc/rfc3986#section-5.2.4
    """
    if id_ in {"", ".", ".."}:
        raise RejectedError("bad_id")
    return quote(id_, safe="", errors="replace")


class RestClient:
    """Sends requests to one service and turns every failure into a `ClientError`."""

    service: ClassVar[str] = "the_service"
    """The code of the service's name."""
    if_untrusted: ClassVar[str] = ""
    """The code of what can be done where the service's certificate is not trusted; it has a `cause`."""
    max_answer: ClassVar[int] = 16 * 2**20
    """How large an answer may be, in bytes."""

    def __init__(self, http: HttpClient, base_url: str, headers: Mapping[str, str], remote: str) -> None:
        self._http = http
        self.remote = remote
        self._base_url = base_url.rstrip("/")
        self._headers = {**_HEADERS, **headers}
        self._date: tuple[str, float, float] = "", 0.0, 0.0

    def remote_now(self) -> datetime | None:
        """Return the time by the service's own clock, as its last answer gave it; None before the first.

        `Date` has whole seconds, and was written at some moment between request and answer. Of the times that
        it may be by that, this is the nearest to our own, so that a clock that is right is found to be.
        https://www.rfc-editor.org/rfc/rfc9110#field.date
        """
        header, asked, answered = self._date
        try:
            date = parsedate_to_datetime(header)
        except (ValueError, TypeError):
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        now = time.monotonic()
        earliest, latest = (date + timedelta(seconds=one) for one in (now - answered, now - asked + 1))
        return min(max(datetime.now(UTC), earliest), latest)

    def asked_for(self, response: httpx.Response) -> str:
        """Return the path that was asked for, below `base_url`, as it was sent: an id may hold a slash."""
        base = httpx.URL(self._base_url).raw_path.rstrip(b"/")
        return response.request.url.raw_path.partition(b"?")[0].removeprefix(base).decode("ascii")

    def _note_headers(self, response: httpx.Response, asked: float) -> None:
        """Keep what the headers of an answer say beside it, which was asked for at a time (monotonic)."""
        if date := response.headers.get("date"):
            self._date = date, asked, time.monotonic()

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return the JSON of its answer.

        `options` are those of `httpx.Request`, and `timeout` for each step. In all it may take `CALL_WITHIN`,
        with files `UPLOAD_WITHIN`. Raises `ClientError`. An id in `path` has to be a `segment`.
        """
        with self.failures():
            return self._json(self._exchange(method, path, options))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request as `call` does; return the whole answer, with its headers. Raises `ClientError`."""
        with self.failures():
            return self._exchange(method, path, options)

    def _exchange(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        headers = self._headers | options.pop("headers", {})
        within = UPLOAD_WITHIN if "files" in options else CALL_WITHIN
        asked, timeout = time.monotonic(), options.pop("timeout", TIMEOUT)
        extensions = {"timeout": timeout.as_dict(), "deadline": asked + within}
        request = httpx.Request(
            method, self._base_url + path, headers=headers, extensions=extensions, **options
        )
        response = self._http.exchange(request, self.max_answer)
        self._note_headers(response, asked)
        if not response.is_success:
            raise self.error(response)
        return response

    def _json(self, response: httpx.Response) -> Any:
        try:
            return decode(response.content)
        except NotUnderstood:
            raise Unavailable(
                "unreadable_response", service=notice(self.service), cause=notice("not_json")
            ) from None

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Name the remote of every failure, and turn a request that brought no answer into `Unavailable`."""
        try:
            with _sorted_failures(self.service, self._base_url, self.if_untrusted):
                yield
        except ClientError as error:
            error.remote = self.remote
            raise

    def error(self, response: httpx.Response) -> ClientError:
        """Sort an answer that is not a success by its status; services refine this."""
        service, status, after = notice(self.service), response.status_code, retry_after(response)
        if status == 429:
            return RateLimited("rate_limited", service=service, retry_after=after)
        if status == 401:
            return Unauthorized("token_refused", service=service)
        if status in {407, 502, 503, 504}:
            code = "proxy_password" if status == 407 else "http_status"
            return ServiceDown(code, service=service, status=status, retry_after=after)
        if response.is_redirect:
            return ServiceDown("redirected", service=service)
        # Some say 403 when a token has expired. Whether all calls fail or only this one, a ping shows.
        if status >= 500 or status in {403, 408, 425}:
            return Unavailable("http_status", service=service, status=status, retry_after=after)
        return RejectedError("http_status", service=service, status=status)


@contextmanager
def _sorted_failures(name: str, base_url: str, if_untrusted: str) -> Iterator[None]:
    service = notice(name)
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeEncodeError):
        # Without its cause, which may show the token: one with a line break in it makes no header.
        raise RejectedError("call_impossible", service=service) from None
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        why = cause_of(error)
        if if_untrusted and isinstance(error.__cause__, Untrusted):
            why = notice(if_untrusted, cause=why)
        raise Unavailable("unreachable", service=service, cause=why, maybe_done=False) from error
    except httpx.ProxyError as error:
        why = notice("proxy_refused", detail=str(error))
        raise Unavailable("unreachable", service=service, cause=why, maybe_done=False) from error
    except httpx.TimeoutException as error:
        host = httpx.URL(base_url).host
        raise Unavailable("no_answer", service=service, host=host, retry_after=LATE) from error
    except httpx.TransportError as error:
        raise Unavailable("connection_lost", service=service, host=httpx.URL(base_url).host) from error
    except _Unreadable as error:
        raise Unavailable("unreadable_response", service=service, cause=error.notice) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RejectedError("call_impossible", service=service, error=type(error).__name__) from error


def retry_after(response: httpx.Response) -> float | None:
    """Return the `Retry-After` of an answer in seconds, of whatever length: the errors bound it.

    A date, which RFC 9110 allows as well, is ignored.
    """
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
