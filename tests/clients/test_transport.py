"""Calls and files end in time and have a limited size, whatever the other remote does."""

import gzip
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from clients import http as http_module
from clients import media, transport
from clients.channel import NewMessage
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.graph import Page
from clients.errors import FileRefused, Unavailable
from clients.helpdesk import Attachment
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient, RestClient
from clients.media import File, MediaFetcher
from clients.transport import addresses
from tests.conftest import WEBHOOK_SECRET

WITHIN, LIMIT = 0.5, 10.0
"""The deadline that the tests set, and when a test would say that there is none, in seconds."""
PACE = 0.05
"""Between two bytes of a server that drips; far below each timeout."""
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ATTACHMENT = Attachment("3", "/files/3", "a.pdf", "application/pdf", 5)

Talk = Callable[[socket.socket, threading.Event], None]


@contextmanager
def _server(talk: Talk) -> Iterator[str]:
    """Run a server that talks to each connection in a thread of its own; give its address."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):  # the client hung up
            talk(client, over)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(client,), daemon=True))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
    accepting.join(LIMIT)
    for thread in threads:
        thread.join(LIMIT)


def _read_head(client: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        more = client.recv(65536)
        if not more:
            raise ConnectionError
        got += more
    return got


def _drip(client: socket.socket, over: threading.Event, bytes_: bytes) -> None:
    for byte in bytes_:
        if over.wait(PACE):
            return
        client.sendall(bytes([byte]))


def _answering(raw: bytes, dripping: bytes = b"") -> Talk:
    """Answer each request with some bytes at once, then with others one by one."""

    def talk(client: socket.socket, over: threading.Event) -> None:
        _read_head(client)
        client.sendall(raw)
        _drip(client, over, dripping)

    return talk


def _packed(body: bytes, encoding: bytes = b"gzip") -> Talk:
    head = OK + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body))
    return _answering(head + body)


def _tiny_window(client: socket.socket, over: threading.Event) -> None:
    """Read a request a little at a time."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    while not over.wait(PACE):
        if not client.recv(1024):
            return


def _mute(_: socket.socket, over: threading.Event) -> None:
    """Take a connection and say nothing."""
    over.wait(LIMIT)


LONG = b"x" * 10_000
DRIPS: dict[str, Talk] = {
    "its head": _answering(b"HTTP/1.1 200 OK\r\nX-Slow: ", LONG),
    "its body": _answering(OK + b"Content-Length: 10000\r\n\r\n", LONG),
    "its chunks": _answering(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 2000),
    "continue": _answering(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "nothing": _mute,
}


def _set_deadlines(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    for module, name in (
        (http_module, "CALL_WITHIN"),
        (http_module, "UPLOAD_WITHIN"),
        (media, "FILE_WITHIN"),
    ):
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture(autouse=True)
def _short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    _set_deadlines(monkeypatch, WITHIN)


@contextmanager
def _in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LIMIT


def _desk(http: HttpClient, url: str) -> RestHelpdesk:
    return RestHelpdesk(http, base_url=url, api_token="token", webhook_secret=WEBHOOK_SECRET)


def _page(http: HttpClient, url: str) -> Page:
    return Page(http, url, page_id="1", token="token", app_secret="secret", media=MediaFetcher(http, [], 0))


def _large_file() -> File:
    data = os.urandom(8 * 2**20)
    return File("a.bin", "application/octet-stream", len(data), io.BytesIO(data))


# --- Time. ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", DRIPS)
def test_a_call_ends_in_time_though_the_answer_drips(what: str) -> None:
    in_time = pytest.raises(Unavailable, match="no_answer")
    with _server(DRIPS[what]) as url, HttpClient() as http, _in_time(), in_time as failure:
        _page(http, url).send("1", NewMessage("m", "Hello"))
    assert (failure.value.maybe_done, failure.value.remote) == (True, f"{CHANNEL}:1")


UPLOADS: dict[str, Callable[[HttpClient, str], object]] = {
    "Meta": lambda http, url: _page(http, url).upload("file", _large_file()),
    "the helpdesk": lambda http, url: _desk(http, url).upload(_large_file(), "key"),
}


@pytest.mark.parametrize("to", UPLOADS)
def test_an_upload_ends_in_time_though_it_is_taken_in_drips(to: str) -> None:
    in_time = pytest.raises(Unavailable, match="no_answer")
    with _server(_tiny_window) as url, HttpClient() as http, _in_time(), in_time as failure:
        UPLOADS[to](http, url)
    assert failure.value.maybe_done


@pytest.mark.parametrize("what", DRIPS)
def test_a_customers_file_ends_in_time_though_it_drips(what: str) -> None:
    with _server(DRIPS[what]) as url, HttpClient() as http, _in_time():
        fetching = MediaFetcher(http, ["127.0.0.1"], 2**20).fetch(f"{url}/a", "image")
        with pytest.raises(Unavailable, match="no_answer"), fetching:
            pass


@pytest.mark.parametrize("what", DRIPS)
def test_an_agents_file_ends_in_time_though_it_drips(what: str) -> None:
    with _server(DRIPS[what]) as url, HttpClient() as http, _in_time():
        opening = _desk(http, url).open_attachment(ATTACHMENT, 2**20)
        with pytest.raises(Unavailable, match="no_answer") as failure, opening:
            pass
    assert failure.value.remote == "helpdesk"


def test_the_deadline_of_a_file_spans_its_redirects() -> None:
    def talk(client: socket.socket, over: threading.Event) -> None:
        _read_head(client)
        over.wait(WITHIN * 0.6)
        client.sendall(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n")

    with _server(talk) as url, HttpClient() as http, _in_time():
        fetching = MediaFetcher(http, ["127.0.0.1"], 2**20).fetch(f"{url}/a", "image")
        with pytest.raises(Unavailable, match="no_answer"), fetching:
            pass


def test_a_handshake_that_drips_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "TIMEOUT", httpx.Timeout(2 * LIMIT))

    def talk(client: socket.socket, over: threading.Event) -> None:
        client.recv(65536)
        _drip(client, over, b"\x16\x03\x03\x40\x00" + LONG)

    in_time = pytest.raises(Unavailable, match="unreachable")
    with _server(talk) as url, HttpClient() as http, _in_time(), in_time as failure:
        _desk(http, url.replace("http:", "https:")).ping()
    assert not failure.value.maybe_done


def test_a_request_without_a_deadline_has_one_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LONGEST_CALL", WITHIN)
    in_time = pytest.raises(httpx.ReadTimeout)
    with _server(DRIPS["its body"]) as url, HttpClient() as http, _in_time(), in_time:
        http.get(url)


def test_a_lookup_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: over.wait(LIMIT) and [])
    with HttpClient() as http, _in_time(), pytest.raises(Unavailable, match="unreachable") as failure:
        _desk(http, "http://helpdesk.test").ping()
    over.set()
    assert not failure.value.maybe_done


def test_an_address_needs_no_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: pytest.fail("nothing to look up"))
    assert addresses("127.0.0.1", 80, 1) == ["127.0.0.1"]
    assert addresses("2001:db8::1", 80, 1) == ["2001:db8::1"]


def test_the_first_address_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any, **options: Any) -> list[Any]:
        found = [(2, 1, 6, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]
        return found if host == "desk.test" else list(real(host, *args, **options))

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    answer = OK + b'Content-Length: 14\r\n\r\n{"tickets":[]}'
    with _server(_answering(answer)) as url, HttpClient() as http:
        _desk(http, url.replace("127.0.0.1", "desk.test")).ping()


# --- Size. ----------------------------------------------------------------------------------------------

BOMB = gzip.compress(b" " * 2**28)
"""A quarter of a megabyte that unpacks to 256."""


@pytest.fixture
def _small_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RestClient, "max_answer", 10**5)
    _set_deadlines(monkeypatch, LIMIT)


@pytest.mark.usefixtures("_small_answers")
def test_an_answer_that_never_ends_is_not_taken() -> None:
    def talk(client: socket.socket, over: threading.Event) -> None:
        _read_head(client)
        client.sendall(OK + b"\r\n")
        while not over.is_set():
            client.sendall(LONG)

    too_much = pytest.raises(Unavailable, match="response_too_large limit_bytes=100000")
    with _server(talk) as url, HttpClient() as http, _in_time(), too_much as failure:
        _page(http, url).send("1", NewMessage("m", "Hello"))
    assert failure.value.maybe_done


@pytest.mark.usefixtures("_small_answers")
def test_an_answer_that_unpacks_to_too_much_is_not_taken() -> None:
    too_much = pytest.raises(Unavailable, match="response_too_large limit_bytes=100000")
    with _server(_packed(BOMB)) as url, HttpClient() as http, _in_time(), too_much:
        _desk(http, url).ping()


@pytest.mark.usefixtures("_small_answers")
def test_a_file_that_unpacks_to_too_much_is_refused() -> None:
    with _server(_packed(BOMB)) as url, HttpClient() as http, _in_time():
        fetching = MediaFetcher(http, ["127.0.0.1"], 2**20).fetch(f"{url}/a", "image")
        with pytest.raises(FileRefused, match="file_too_large"), fetching:
            pass


def test_what_is_unpacked_comes_a_little_at_a_time() -> None:
    assert max(map(len, http_module.unpacked([BOMB], "gzip"))) <= 64 * 1024


@pytest.mark.parametrize("body", [b'{"tickets":[]}', b'{"tickets":[]}' + b" " * 70_000])
def test_an_answer_that_is_packed_is_read(body: bytes) -> None:
    with _server(_packed(gzip.compress(body))) as url, HttpClient() as http:
        _desk(http, url).ping()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [(b"gzip", b"no gzip"), (b"gzip", BOMB[:1000]), (b"gzip, gzip", BOMB), (b"br", b"x")],
)
def test_an_answer_that_cannot_be_unpacked_has_an_unknown_outcome(encoding: bytes, body: bytes) -> None:
    not_taken = pytest.raises(Unavailable, match="unreadable_response")
    with _server(_packed(body, encoding)) as url, HttpClient() as http, not_taken as failure:
        _page(http, url).send("1", NewMessage("m", "Hello"))
    assert failure.value.maybe_done
