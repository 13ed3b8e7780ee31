"""Files from elsewhere: fetched from where they may come from, within limits, named safely.

Meta's pages list no hosts for the files of a message; those seen are `*.fbcdn.net` and `*.fbsbx.com`. Their
URLs are signed and expire. They are fetched as a stranger's would be: nothing private can be reached.
"""

import ipaddress
import mimetypes
import re
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast
from urllib.parse import unquote

import httpx

from clients.errors import FileRefused, Unavailable
from clients.http import no_cookies
from clients.text import is_misleading

TIMEOUT = httpx.Timeout(10.0, connect=3.0, pool=5.0)
SECONDS_PER_FILE = 60.0
MAX_REDIRECTS = 3
IN_MEMORY = 2**20  # bytes; a larger file is kept on disk

# Not the module's functions: those read the machine's own tables, which differ.
_TYPES = mimetypes.MimeTypes()
_TYPES.add_type("audio/mp4", ".m4a")
_TYPES.add_type("audio/ogg", ".ogg")
_TYPE_OF_KIND = {"image": "image/jpeg", "video": "video/mp4", "audio": "audio/mp4"}
_UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class File:
    """A file that was fetched: `size` in bytes, `stream` at its beginning and open as long as the fetch."""

    filename: str
    content_type: str
    size: int
    stream: BinaryIO


class MediaFetcher:
    """Fetches files over https from `allowed_hosts` and the hosts under them, up to `max_bytes` each.

    A host must lead to public addresses only, and is connected to at the address that was checked. An IP
    address named in `allowed_hosts` is allowed as it is, with http and any port, too.
    """

    def __init__(self, allowed_hosts: Sequence[str], max_bytes: int) -> None:
        self._allowed = [host.lower() for host in allowed_hosts]
        self._max_bytes = max_bytes
        # No connection is kept: a kept one belongs to an address, but its certificate to one host there.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(timeout=TIMEOUT, limits=limits, trust_env=False, cookies=no_cookies())

    def close(self) -> None:
        """Close the HTTP client."""
        self._client.close()

    @contextmanager
    def fetch(self, url: str, kind: str) -> Iterator[File]:
        """Fetch one file; `kind` is Meta's type of the attachment (image, audio, video, file...).

        Raises FileRefused for a URL that is not allowed or has expired and for a file that is too large,
        Unavailable if the file may be had later.
        """
        deadline = time.monotonic() + SECONDS_PER_FILE
        target, response = self._open(url, deadline)
        with closing(response):
            _check_status(response)
            _check_size(int(response.headers.get("Content-Length", 0)), self._max_bytes)
            with spool(_chunks(response, deadline), self._max_bytes) as (stream, size):
                yield File(*_name_and_type(target, response.headers, kind), size, stream)

    def _open(self, url: str, deadline: float) -> tuple[httpx.URL, httpx.Response]:
        """Follow redirects, each checked as the first URL, to the response that is none."""
        target = _parse(url)
        for _ in range(MAX_REDIRECTS + 1):
            _check_deadline(deadline)
            response = _send(self._client, self._request(target))
            if not response.has_redirect_location:
                return target, response
            response.close()
            target = _parse(response.headers["Location"], target)
        raise FileRefused("its address leads through too many redirects")

    def _request(self, url: httpx.URL) -> httpx.Request:
        """Check a URL and build the request for it, which goes to the very address that was checked."""
        host = url.raw_host.decode("ascii")
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if url.userinfo or url.scheme not in {"http", "https"} or not self._allows(host):
            raise FileRefused("its address is not one that files are taken from")
        if _is_address(host):
            return self._client.build_request("GET", url, headers=headers)
        if url.scheme != "https" or url.port is not None:
            raise FileRefused("its address is not one that files are taken from")
        pinned = url.copy_with(host=_resolve(host))
        extensions = {"sni_hostname": host}  # TLS asks for the host, and checks the certificate against it
        return self._client.build_request(
            "GET", pinned, headers=headers | {"Host": host}, extensions=extensions
        )

    def _allows(self, host: str) -> bool:
        under = (host.endswith(f".{allowed}") for allowed in self._allowed)
        return host in self._allowed or (any(under) and not _is_address(host))


@contextmanager
def spool(chunks: Iterable[bytes], max_bytes: int) -> Iterator[tuple[BinaryIO, int]]:
    """Store chunks in a temporary file; give it, at its beginning, with its size in bytes.

    Raises FileRefused as soon as there are more than `max_bytes`.
    """
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as stream:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            _check_size(size, max_bytes)
            stream.write(chunk)
        stream.seek(0)
        yield cast("BinaryIO", stream), size


def _parse(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return base.join(url) if base else httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise FileRefused("its address cannot be read") from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolve(host: str) -> str:
    """Look a host up, once, and give its first address. All of them must be public."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as error:
        raise FileRefused("its address cannot be read") from error
    except OSError as error:
        raise Unavailable(f"{host} cannot be found at the moment", maybe_done=False) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not all(map(_is_public, addresses)):
        raise FileRefused("its address leads into a private network")
    return addresses[0]


# What holds an IPv4 address or leads to one, and what was private once: `is_global` takes some for public.
# https://www.iana.org/assignments/iana-ipv6-special-registry
_LEADING_ELSEWHERE = [
    ipaddress.ip_network(network)
    for network in (
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fec0::/10",
        "192.88.99.0/24",
    )
]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if any(address in network for network in _LEADING_ELSEWHERE):
        return False
    return address.is_global and not address.is_multicast


@contextmanager
def _network_errors(host: str) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        raise Unavailable(f"{host} did not answer in time", maybe_done=False) from error
    except httpx.HTTPError as error:
        raise Unavailable(f"the connection to {host} failed", maybe_done=False) from error


def _send(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    with _network_errors(request.headers["Host"]):
        return client.send(request, stream=True)


def _chunks(response: httpx.Response, deadline: float) -> Iterator[bytes]:
    with _network_errors(response.request.headers["Host"]):
        for chunk in response.iter_bytes():
            _check_deadline(deadline)
            yield chunk


def _check_deadline(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise Unavailable("it takes too long to fetch", maybe_done=False)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise FileRefused(f"it is larger than {max_bytes / 2**20:.4g} MB")


def _check_status(response: httpx.Response) -> None:
    status, host = response.status_code, response.request.headers["Host"]
    if status == 429 or status >= 500:
        after = response.headers.get("Retry-After", "")
        retry_after = float(after) if after.isdecimal() else None
        raise Unavailable(f"{host} answers {status} at the moment", retry_after=retry_after, maybe_done=False)
    # Meta answers 403 with the text "URL signature expired".
    if status in {403, 410}:
        raise FileRefused("its link has expired")
    if status != 200:
        raise FileRefused(f"{host} does not give it ({status})")


# --- Names and types. -----------------------------------------------------------------------------------

_EXTENDED = re.compile(r"filename\*\s*=\s*(utf-8|iso-8859-1)'[^']*'([^;\s]+)", re.IGNORECASE)
_QUOTED = re.compile(r'filename\s*=\s*"((?:[^"\\]|\\.)*)', re.IGNORECASE)
_TOKEN = re.compile(r"filename\s*=\s*([^;\s]+)", re.IGNORECASE)
_EXTENSION = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9]{1,10}$")
_MAX_NAME = 120  # characters


def safe_filename(name: str, content_type: str, default: str = "file") -> str:
    """Make a name that cannot mislead a file system or a reader, with an extension.

    Slashes, leading dots, control characters and those that turn the direction of writing are dropped, and
    all but 120 characters. A name of nothing else is `default`; an extension is added from the type.
    """
    name = _clean(name) or _clean(default) or "file"
    extension = match[0] if (match := _EXTENSION.search(name)) else ""
    stem = name.removesuffix(extension)
    extension = extension or _TYPES.guess_extension(content_type, strict=False) or ""
    return stem[: _MAX_NAME - len(extension)] + extension


def _clean(name: str) -> str:
    kept = (char for char in name if char not in "/\\" and not is_misleading(char))
    return "".join(kept).lstrip(". \xa0").rstrip()


def disposition_filename(header: str) -> str:
    """Read the name from a Content-Disposition header (RFC 6266, RFC 8187), or give an empty one."""
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
    """Give the type the server tells, if it tells one; else what the name says; else what the kind does."""
    told = header.partition(";")[0].strip().lower()
    if told in {_UNKNOWN_TYPE, "binary/octet-stream"} or not re.fullmatch(
        r"[\w.+-]+/[\w.+-]+", told, re.ASCII
    ):
        guess, encoding = _TYPES.guess_type(name, strict=False)
        told = guess if guess and not encoding else _TYPE_OF_KIND.get(kind, _UNKNOWN_TYPE)
    # Meta's voice clips are `audioclip-<time>.mp4`, which looks like a video.
    return "audio/mp4" if kind == "audio" and told == "video/mp4" else told
