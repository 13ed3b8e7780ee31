"""Files of messages and comments: fetched from allowed hosts only, within limits, and named safely.

Meta's pages list no hosts for the files of a message; those seen are `*.fbcdn.net` and `*.fbsbx.com`. Their
URLs are signed and expire. They may name any host, so nothing in a private network can be reached.
"""

import mimetypes
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast
from urllib.parse import unquote, urljoin

import httpx
import regex  # type: ignore[import-untyped]  # its stubs are a package of their own

from clients.errors import FileRefused, FileTooLarge, Unavailable
from clients.http import USER_AGENT, HttpClient, retry_after, unpacked
from clients.text.line import is_misleading
from clients.transport import is_address

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
"""How long each step of a fetch may take, in seconds."""
FILE_WITHIN = 60.0
"""How long a file may take in all, redirects included, in seconds."""
MAX_DIGITS = 20
MAX_PORT = 65_535
MAX_REDIRECTS = 3
IN_MEMORY = 2**20  # bytes; a larger file is kept on disk

# Not the module's functions: those read the machine's own tables, which differ.
_TYPES = mimetypes.MimeTypes()
_TYPES.add_type("audio/mp4", ".m4a")
_TYPES.add_type("audio/ogg", ".ogg")
_TYPE_OF_KIND = {"image": "image/jpeg", "video": "video/mp4", "audio": "audio/mp4"}
_UNKNOWN_TYPE = "application/octet-stream"
_OTHER_NAMES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/mp3": "audio/mpeg",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file that was fetched: `size` in bytes, `stream` at its beginning and open as long as the fetch."""

    filename: str
    content_type: str
    size: int
    stream: BinaryIO

    @property
    def part(self) -> tuple[str, BinaryIO, str]:
        """Return it as a part of a form, as `files` of `call` takes it."""
        return self.filename, self.stream, self.content_type


@dataclass(frozen=True, slots=True)
class Route:
    """How a URL is fetched. `check` raises a `ClientError` for an answer that is not the file.

    `failures` turns errors of httpx into those of the service whose fault they are.
    """

    request: httpx.Request
    transport: httpx.BaseTransport
    check: Callable[[httpx.Response], None]
    failures: Callable[[], AbstractContextManager[None]]


class MediaFetcher:
    """Fetches files over https from `allowed_hosts` and the hosts under them, up to `max_bytes` each.

    A host must lead to public addresses only, and is connected to at an address that was checked. An IP
    address named in `allowed_hosts` is allowed as it is, with http and any port, too.
    """

    def __init__(self, http: HttpClient, allowed_hosts: Sequence[str], max_bytes: int) -> None:
        self._http = http
        self._allowed = [host.lower() for host in allowed_hosts]
        self._max_bytes = max_bytes

    @contextmanager
    def fetch(self, url: str, kind: str) -> Iterator[File]:
        """Fetch one file; `kind` is that of the `MessageAttachment` (image, audio, video, file, sticker).

        Raises FileRefused for a URL that is not allowed or has expired and for a file that is too large,
        Unavailable if it may work later, Busy if its host serves enough other files at the moment.
        """
        fetching = fetched(self._http, parse_url(url), self._route, self._max_bytes)
        with fetching as (target, headers, size, stream):
            yield File(*_name_and_type(target, headers, kind), size, stream)

    def _route(self, url: httpx.URL) -> Route:
        """Return how a URL is fetched: over https from an allowed host, whose address is public."""
        host = url.raw_host.decode("ascii")
        if url.userinfo or url.scheme not in {"http", "https"} or not self._allows(host):
            raise FileRefused("address_not_allowed")
        if not is_address(host) and (url.scheme != "https" or url.port is not None):
            raise FileRefused("address_not_allowed")
        transport = self._http.transport if is_address(host) else self._http.public
        return Route(file_request(url), transport, check_answer, lambda: errors_of(host))

    def _allows(self, host: str) -> bool:
        under = (host.endswith(f".{allowed}") for allowed in self._allowed)
        return host in self._allowed or (any(under) and not is_address(host))


@contextmanager
def fetched(
    http: HttpClient, url: httpx.URL, route: Callable[[httpx.URL], Route], max_bytes: int
) -> Iterator[tuple[httpx.URL, httpx.Headers, int, BinaryIO]]:
    """Fetch a file; yield its URL after redirects, its headers, its size in bytes, and its bytes.

    `route` returns, for the URL and for each that a redirect leads to, how it is fetched, or raises. A file
    that is not there after `FILE_WITHIN` raises `Unavailable`.
    """
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as stream:
        target, headers, size = _fetch_to(cast("BinaryIO", stream), http, url, route, max_bytes)
        stream.seek(0)
        yield target, headers, size, cast("BinaryIO", stream)


def _fetch_to(
    stream: BinaryIO, http: HttpClient, url: httpx.URL, route: Callable[[httpx.URL], Route], max_bytes: int
) -> tuple[httpx.URL, httpx.Headers, int]:
    deadline = time.monotonic() + FILE_WITHIN
    for _ in range(MAX_REDIRECTS + 1):
        way = route(url)
        share = http.transfer_limits.of(way.request.headers["Host"])
        with share, way.failures(), closing(_send(way, deadline)) as response:
            if not response.has_redirect_location:
                way.check(response)
                _check_size(_declared_size(response), max_bytes)
                body = cast("httpx.SyncByteStream", response.stream)
                chunks = unpacked(body, response.headers.get("content-encoding", ""))
                return url, response.headers, _write(stream, chunks, max_bytes)
        url = parse_url(response.headers["Location"], url)
    raise FileRefused("too_many_redirects")


def _send(way: Route, deadline: float) -> httpx.Response:
    way.request.extensions |= {"timeout": TIMEOUT.as_dict(), "deadline": deadline}
    response = way.transport.handle_request(way.request)
    response.request = way.request
    return response


def file_request(url: httpx.URL, headers: Mapping[str, str] | None = None) -> httpx.Request:
    """Return the request for a file: it brings no cookies and asks for the bytes as they are."""
    known = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    return httpx.Request("GET", url, headers=known | dict(headers or {}))


@contextmanager
def spool(chunks: Iterable[bytes], max_bytes: int) -> Iterator[tuple[BinaryIO, int]]:
    """Store chunks in a temporary file; yield it, at its beginning, and its size in bytes.

    Raises FileRefused as soon as there are more than `max_bytes`.
    """
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as stream:
        size = _write(cast("BinaryIO", stream), chunks, max_bytes)
        stream.seek(0)
        yield cast("BinaryIO", stream), size


def _write(stream: BinaryIO, chunks: Iterable[bytes], max_bytes: int) -> int:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        _check_size(size, max_bytes)
        stream.write(chunk)
    return size


def parse_url(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """Read a URL, or what a redirect says. Raises `FileRefused`."""
    try:
        parsed = base.join(url) if base else httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise FileRefused("bad_address") from error
    if not parsed.raw_host or (parsed.port or 0) > MAX_PORT:
        raise FileRefused("bad_address")
    return parsed


def proper_url(url: str, base: str = "") -> httpx.URL:
    """Return a web address as it is asked for: whole, and encoded once. Raises `FileRefused`.

    What is encoded already stays as it is; a per cent sign that encodes nothing is one.
    """
    try:
        joined = urljoin(base.rstrip("/") + "/", url.strip()) if base else url.strip()
    except ValueError:
        raise FileRefused("bad_address") from None
    return parse_url(_LONE_PER_CENT.sub("%25", joined)).copy_with(fragment=None)


_LONE_PER_CENT = re.compile("%(?![0-9A-Fa-f]{2})")


@contextmanager
def errors_of(host: str) -> Iterator[None]:
    """Turn errors of httpx into those of a host that nothing depends on."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise Unavailable("host_no_answer", host=host, maybe_done=False) from error
    except httpx.HTTPError as error:
        raise Unavailable("host_connection_failed", host=host, maybe_done=False) from error


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise FileTooLarge("file_too_large", limit_bytes=max_bytes)


def _declared_size(response: httpx.Response) -> int:
    """Return the size that an answer declares, or 0."""
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() and len(value) < MAX_DIGITS else 0


def check_answer(response: httpx.Response) -> None:
    """Raise `Unavailable` or `FileRefused` for an answer that is not the file."""
    status, host = response.status_code, response.request.headers["Host"]
    if status == 429 or status >= 500:
        after = retry_after(response)
        raise Unavailable("host_error", host=host, status=status, retry_after=after, maybe_done=False)
    # Meta answers 403 with the text "URL signature expired".
    if status in {403, 410}:
        raise FileRefused("link_expired")
    if status != 200:
        raise FileRefused("file_not_provided", host=host, status=status)


# --- Names and types. -----------------------------------------------------------------------------------

_EXTENDED = re.compile(r"filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^;\s]+)", re.IGNORECASE)
_QUOTED = re.compile(r'filename\s*=\s*"((?:[^"\\]|\\.)*)', re.IGNORECASE)
_TOKEN = re.compile(r"filename\s*=\s*([^;\s]+)", re.IGNORECASE)
_EXTENSION = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,10}$")
_MAX_NAME, _MAX_NAME_BYTES = 120, 255
"""How long a name may be, in characters, and in bytes of UTF-8: file systems take no more."""


def safe_filename(name: str, content_type: str, default: str = "file") -> str:
    """Make a name that cannot mislead a file system or a reader, with an extension if the type has one.

    Slashes, leading dots, control characters and those that turn the direction of writing are dropped, and
    what is too long: more than 120 characters, or 255 bytes. A name of nothing else is `default`. An
    extension is added from the type; a name that was given is left without one where the type says nothing.
    """
    given = _clean(name)
    name = given or _clean(default) or "file"
    extension = match[0] if (match := _EXTENSION.search(name)) else ""
    stem = name.removesuffix(extension)
    if not extension and not (given and content_type == _UNKNOWN_TYPE):
        extension = _TYPES.guess_extension(content_type, strict=False) or ""
    return _shortened(stem, _MAX_NAME - len(extension), _MAX_NAME_BYTES - len(extension)) + extension


def _shortened(text: str, characters: int, most_bytes: int) -> str:
    """Cut a text between graphemes; one that is too long by itself between its characters."""
    for pattern in (r"\X", r"(?s)."):
        end = size = 0
        for piece in regex.finditer(pattern, text):
            size += len(piece[0].encode())
            if piece.end() > characters or size > most_bytes:
                break
            end = piece.end()
        if end:
            return text[:end]
    return ""


def canonical_type(content_type: str) -> str:
    """Return a media type without parameters, in lower case, by its registered name."""
    name = content_type.partition(";")[0].strip().lower()
    return _OTHER_NAMES.get(name, name) or _UNKNOWN_TYPE


def _clean(name: str) -> str:
    name = re.sub('"|%22', "'", name)  # uploads write the one as the other, and browsers did so before
    kept = (char for char in name if char not in "/\\" and not is_misleading(char))
    return "".join(kept).lstrip(". \xa0").rstrip()


def disposition_filename(header: str) -> str:
    """Read the name from a Content-Disposition header (RFC 6266, RFC 8187); empty if there is none."""
    if extended := _EXTENDED.search(header):
        return unquote(extended[2], encoding=extended[1])
    if quoted := _QUOTED.search(header):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    token = _TOKEN.search(header)
    return token[1] if token else ""


def _name_and_type(url: httpx.URL, headers: httpx.Headers, kind: str) -> tuple[str, str]:
    name = disposition_filename(headers.get("Content-Disposition", ""))
    name = name or unquote(url.raw_path.decode("ascii").partition("?")[0].rpartition("/")[2])
    content_type = _content_type(headers.get("Content-Type", ""), name, kind)
    return safe_filename(name, content_type, kind), content_type


def _content_type(header: str, name: str, kind: str) -> str:
    """Return the type that the server names; else that of the file name; else that of the kind."""
    type_ = canonical_type(header)
    if type_ in {_UNKNOWN_TYPE, "binary/octet-stream"} or not re.fullmatch(
        r"[\w.+-]+/[\w.+-]+", type_, re.ASCII
    ):
        guess, encoding = _TYPES.guess_type(name, strict=False)
        type_ = guess if guess and not encoding else _TYPE_OF_KIND.get(kind, _UNKNOWN_TYPE)
    # Meta's voice clips are `audioclip-<time>.mp4`, which looks like a video.
    return "audio/mp4" if kind == "audio" and type_ == "video/mp4" else type_
