"""Files are fetched from Meta's CDN only, within limits, and named safely."""

import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from clients import media
from clients.errors import Busy, FileRefused, Unavailable
from clients.http import HttpClient
from clients.media import File, MediaFetcher, disposition_filename, proper_url, safe_filename, spool
from clients.single_flight import TransferLimits
from sandbox.stack import until

PHOTO = os.urandom(3 * 2**20)
DEAD = "2a03:2880:f0ff:12:face:b00c:0:3"
PUBLIC = "157.240.1.1"
CDN = "scontent.xx.fbcdn.net"


class Cdn(ThreadingHTTPServer):
    """A server that answers each path with a status, headers and a body; None stalls, then drops."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, dict[str, str], bytes | None]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.stalling = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, status: int = 200, body: bytes | None = b"x", **headers: str) -> str:
        """Set the answer for a path and give its URL."""
        self.answers[path] = (
            status,
            {name.replace("_", "-"): value for name, value in headers.items()},
            body,
        )
        return self.url + path

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Cdn

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers["Host"]))
        status, headers, body = self.server.answers[self.path.partition("?")[0]]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if body is None:
            self.wfile.flush()
            self.server.stalling.wait(30)
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@contextmanager
def _running(server: Cdn) -> Iterator[Cdn]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.stalling.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def cdn() -> Iterator[Cdn]:
    with _running(Cdn()) as server:
        yield server


@contextmanager
def _fetcher(max_bytes: int = 2**23) -> Iterator[MediaFetcher]:
    with HttpClient() as http:
        yield MediaFetcher(http, ["fbcdn.net", "127.0.0.1"], max_bytes)


def _fetch(url: str, kind: str = "image", max_bytes: int = 2**23) -> File:
    with _fetcher(max_bytes) as fetcher, fetcher.fetch(url, kind) as file:
        return file


def _resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name lead to these addresses; give the list of the names that were asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    return asked


def test_a_file_arrives_byte_for_byte(cdn: Cdn) -> None:
    url = cdn.answer("/v/photo.jpg", body=PHOTO, Content_Type="image/jpeg", Content_Length=str(len(PHOTO)))
    with _fetcher() as fetcher, fetcher.fetch(f"{url}?oh=1", "image") as file:
        assert (file.filename, file.content_type, file.size) == ("photo.jpg", "image/jpeg", len(PHOTO))
        assert hashlib.sha256(file.stream.read()).digest() == hashlib.sha256(PHOTO).digest()
    assert file.stream.closed


def test_an_empty_file_is_a_file(cdn: Cdn) -> None:
    assert _fetch(cdn.answer("/a.txt", body=b"")).size == 0


def test_errors_of_the_caller_pass_unchanged(cdn: Cdn) -> None:
    url = cdn.answer("/a.jpg")
    with pytest.raises(httpx.ConnectError), _fetcher() as fetcher, fetcher.fetch(url, "image"):
        raise httpx.ConnectError("the helpdesk is away")


def test_a_redirect_is_followed(cdn: Cdn) -> None:
    cdn.answer("/real.png", Content_Type="image/png")
    assert _fetch(cdn.answer("/a", 302, Location="/real.png")).filename == "real.png"


def test_every_response_is_closed(cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> None:
    responses: list[httpx.Response] = []
    send = media._send

    def sending(way: media.Route, deadline: float) -> httpx.Response:
        responses.append(send(way, deadline))
        return responses[-1]

    monkeypatch.setattr(media, "_send", sending)
    cdn.answer("/gone", 404)
    with pytest.raises(FileRefused):
        _fetch(cdn.answer("/a", 302, Location="/gone"))
    assert [response.is_closed for response in responses] == [True, True]


@pytest.mark.parametrize("target", ["https://evil.example/a", "http://localhost/a", "file:///etc/passwd"])
def test_a_redirect_to_elsewhere_is_refused(cdn: Cdn, target: str) -> None:
    with pytest.raises(FileRefused):
        _fetch(cdn.answer("/a", 302, Location=target))


def test_a_redirect_loop_is_refused(cdn: Cdn) -> None:
    with pytest.raises(FileRefused, match="too_many_redirects"):
        _fetch(cdn.answer("/a", 302, Location="/a"))
    assert len(cdn.requests) == 4


def test_a_file_that_says_it_is_too_large_is_not_read(cdn: Cdn) -> None:
    url = cdn.answer("/a", body=None, Content_Length=str(2**23 + 1))
    with pytest.raises(FileRefused, match="file_too_large limit_bytes=8388608"):
        _fetch(url)


def test_a_file_that_turns_out_too_large_is_refused(cdn: Cdn) -> None:
    with pytest.raises(FileRefused, match="file_too_large"):
        _fetch(cdn.answer("/a", body=b"x" * 1001), max_bytes=1000)
    assert _fetch(cdn.answer("/b", body=b"x" * 1000), max_bytes=1000).size == 1000


def test_an_expired_url_is_refused_without_showing_its_query(cdn: Cdn) -> None:
    with pytest.raises(FileRefused, match=r"^link_expired$"):
        _fetch(cdn.answer("/a", 403, b"URL signature expired") + "?oh=secret")


@pytest.mark.parametrize("status", [204, 206, 304, 400, 404])
def test_any_other_status_is_refused(cdn: Cdn, status: int) -> None:
    with pytest.raises(FileRefused, match=str(status)):
        _fetch(cdn.answer("/a", status, b""))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_may_be_asked_later(cdn: Cdn, status: int) -> None:
    with pytest.raises(Unavailable) as raised:
        _fetch(cdn.answer("/a", status, Retry_After="7"))
    assert (raised.value.retry_after, raised.value.maybe_done) == (7.0, False)


def test_a_server_that_stalls_may_be_asked_later(cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "TIMEOUT", httpx.Timeout(0.2))
    with pytest.raises(Unavailable, match="host_no_answer"):
        _fetch(cdn.answer("/a", body=None, Content_Length="5"))


@pytest.mark.parametrize("length", ["9" * 400, "-1", "abc", "5, 6"])
def test_a_length_that_is_none_is_no_fault_of_ours(cdn: Cdn, length: str) -> None:
    with pytest.raises((Unavailable, FileRefused)):
        _fetch(cdn.answer("/a", body=b"abc", Content_Length=length))


@pytest.mark.parametrize(
    ("told", "seconds"), [("99999999", 3600.0), ("9" * 400, 3600.0), ("-1", None), ("x", None)]
)
def test_a_host_does_not_ask_for_more_than_an_hour(cdn: Cdn, told: str, seconds: float | None) -> None:
    with pytest.raises(Unavailable) as raised:
        _fetch(cdn.answer("/a", 503, Retry_After=told))
    assert raised.value.retry_after == seconds


def test_a_host_that_serves_enough_files_is_left_alone_at_once(cdn: Cdn) -> None:
    slow, quick = cdn.answer("/slow", body=None, Content_Length="5"), cdn.answer("/quick")
    with HttpClient(transfer_limits=TransferLimits(8)) as http, ThreadPoolExecutor(2) as pool:
        fetcher = MediaFetcher(http, ["127.0.0.1"], 2**20)

        def fetch(url: str) -> None:
            with fetcher.fetch(url, "file"):
                pass

        slow_ones = [pool.submit(fetch, slow) for _ in range(2)]
        until("both are under way", lambda: len(cdn.requests) == 2)
        with pytest.raises(Busy):
            fetch(quick)
        with _running(Cdn()) as other:
            fetch(other.answer("/quick"))
        cdn.stalling.set()
        assert all(isinstance(one.exception(), Unavailable) for one in slow_ones)
        fetch(quick)


def test_a_share_is_given_back_before_the_file_is_handed_on(cdn: Cdn) -> None:
    url = cdn.answer("/a")
    with HttpClient(transfer_limits=TransferLimits(1)) as http:
        fetcher = MediaFetcher(http, ["127.0.0.1"], 2**20)
        with fetcher.fetch(url, "file"), fetcher.fetch(url, "file"):
            pass


def test_a_file_cut_short_may_be_asked_for_later(cdn: Cdn) -> None:
    with pytest.raises(Unavailable, match="host_connection_failed"):
        _fetch(cdn.answer("/a", body=b"abc", Content_Length="5"))


def test_a_server_that_is_away_may_be_asked_later() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="host_connection_failed"):
            _fetch(f"http://127.0.0.1:{unused.getsockname()[1]}/a")


@pytest.mark.parametrize(
    "url",
    [
        f"http://{CDN}/a",
        f"https://{CDN}:8443/a",
        f"https://user:pass@{CDN}/a",
        "https://evil.example/a",
        "https://evilfbcdn.net/a",
        "https://fbcdn.net.evil.example/a",
        f"https://evil.example\\@{CDN}/a",
        "https://127.0.0.2/a",
        "https://127.1/a",
        "https://[::1]/a",
        f"https://{PUBLIC}/a",
        f"ftp://{CDN}/a",
        "http://u@127.0.0.1/a",
        "file:///etc/passwd",
        "//fbcdn.net/a",
        "https://[",
        f"https://{'a' * 64}.fbcdn.net/a",
        "https://a..fbcdn.net/",
        "",
    ],
)
def test_an_address_that_is_not_allowed_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    def connect(*args: Any, **options: Any) -> None:
        pytest.fail("nothing may be connected to")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(FileRefused):
        _fetch(url)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "fe80::1%2",
    ],
)
def test_a_name_that_leads_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    asked = _resolving_to(monkeypatch, PUBLIC, address)
    with pytest.raises(FileRefused, match="private_address"):
        _fetch(f"https://{CDN}/a")
    assert asked == [CDN]


def test_a_name_that_cannot_be_found_may_be_found_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*args: Any, **options: Any) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    with pytest.raises(Unavailable, match="host_not_found"):
        _fetch(f"https://{CDN}/a")


def _tls(monkeypatch: pytest.MonkeyPatch, folder: Path, server: Cdn, host: str) -> list[Any]:
    """Give the server a certificate that is trusted for `host`; lead PUBLIC to it; list the connections."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC).replace(tzinfo=None)  # cryptography compares without zones
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now)
    builder = builder.not_valid_after(now + timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    pem = folder / "cdn.pem"
    encodings = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(encodings[0]) + key.private_bytes(*encodings)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setattr(certifi, "where", lambda: str(pem))
    return _connecting_to(monkeypatch, server)


def _connecting_to(monkeypatch: pytest.MonkeyPatch, server: Cdn) -> list[Any]:
    connected: list[Any] = []

    def create_connection(address: Any, *args: Any, **options: Any) -> socket.socket:
        connected.append(address)
        client = socket.socket()
        client.connect(("127.0.0.1", server.server_port))
        return client

    monkeypatch.setattr(socket, "create_connection", create_connection)
    return connected


def test_the_address_that_was_checked_is_the_one_connected_to(
    cdn: Cdn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connected = _tls(monkeypatch, tmp_path, cdn, CDN)
    asked = _resolving_to(monkeypatch, PUBLIC)
    cdn.answer("/a.jpg", body=b"photo")
    assert _fetch(f"https://{CDN}/a.jpg?oe=1").size == 5
    assert (asked, connected, cdn.requests) == ([CDN], [(PUBLIC, 443)], [("/a.jpg?oe=1", CDN)])


@pytest.mark.parametrize("failure", [OSError(101, "Network is unreachable"), TimeoutError()])
def test_an_address_that_does_not_answer_is_passed_over(
    cdn: Cdn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: OSError
) -> None:
    _tls(monkeypatch, tmp_path, cdn, CDN)
    connect = socket.create_connection

    def create_connection(address: Any, *args: Any, **options: Any) -> socket.socket:
        if address[0] == DEAD:
            raise failure
        return connect(address, *args, **options)

    monkeypatch.setattr(socket, "create_connection", create_connection)
    _resolving_to(monkeypatch, DEAD, PUBLIC)
    cdn.answer("/a.jpg", body=b"photo")
    assert _fetch(f"https://{CDN}/a.jpg").size == 5
    _resolving_to(monkeypatch, DEAD, PUBLIC, "10.0.0.1")
    with pytest.raises(FileRefused):
        _fetch(f"https://{CDN}/b.jpg")


def test_a_certificate_for_another_host_is_not_accepted(
    cdn: Cdn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _tls(monkeypatch, tmp_path, cdn, "evil.example")
    _resolving_to(monkeypatch, PUBLIC)
    with pytest.raises(Unavailable):
        _fetch(f"https://{CDN}/a.jpg")
    assert cdn.requests == []


def test_proxies_of_the_environment_are_ignored(cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert _fetch(cdn.answer("/a")).size == 1


@given(
    st.text()
    | st.text(alphabet="ahtps:/@?#[]%.\\0127fbcdnet \ud800\u3002").map("https:".__add__)
    | st.text(alphabet="/?#%. a\n\ud800é").map(f"https://{CDN}".__add__)
)
def test_any_url_is_refused_or_tried(url: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        _resolving_to(monkeypatch, "10.0.0.1")
        with pytest.raises((FileRefused, Unavailable)):
            _fetch(url)


@pytest.mark.parametrize(
    ("path", "kind", "headers", "named"),
    [
        ("/1/offer%20ż.pdf", "file", {"Content_Type": "application/pdf"}, ("offer ż.pdf", "application/pdf")),
        ("/cdn/", "image", {}, ("image.jpg", "image/jpeg")),
        ("/cdn/", "audio", {}, ("audio.m4a", "audio/mp4")),
        ("/cdn/", "file", {}, ("file.bin", "application/octet-stream")),
        ("/1/LICENSE", "file", {}, ("LICENSE", "application/octet-stream")),
        (
            "/x",
            "file",
            {"Content_Disposition": "attachment; filename*=UTF-8''LICENSE"},
            ("LICENSE", "application/octet-stream"),
        ),
        ("/audioclip-17.mp4", "audio", {"Content_Type": "video/mp4"}, ("audioclip-17.mp4", "audio/mp4")),
        ("/audioclip-17.mp4", "audio", {}, ("audioclip-17.mp4", "audio/mp4")),
        ("/v.mp4", "video", {"Content_Type": "video/mp4"}, ("v.mp4", "video/mp4")),
        ("/a.png", "image", {"Content_Type": "Application/Octet-Stream"}, ("a.png", "image/png")),
        ("/a.png", "image", {"Content_Type": "binary/octet-stream"}, ("a.png", "image/png")),
        ("/a", "image", {"Content_Type": "image/webp; q=1"}, ("a.webp", "image/webp")),
        ("/a.jpg", "image", {"Content_Type": "image/jpg"}, ("a.jpg", "image/jpeg")),
        (
            "/x",
            "file",
            {"Content_Disposition": "attachment; filename*=UTF-8''Oferta%20%22final%22%2050%25.pdf"},
            ("Oferta 'final' 50%.pdf", "application/pdf"),
        ),
        ("/a.tar.gz", "file", {"Content_Type": "nonsense"}, ("a.tar.gz", "application/octet-stream")),
        ("/x", "file", {"Content_Disposition": 'attachment; filename="a b.txt"'}, ("a b.txt", "text/plain")),
    ],
)
def test_a_file_is_named_and_typed(
    cdn: Cdn, path: str, kind: str, headers: dict[str, str], named: tuple[str, str]
) -> None:
    sent = path.replace("ż", "%C5%BC")
    file = _fetch(cdn.answer(sent, 200, b"x", **headers), kind)
    assert (file.filename, file.content_type) == named


@pytest.mark.parametrize(
    ("name", "content_type", "safe"),
    [
        ("../../etc/passwd", "", "etcpasswd"),
        ("..\\a\x00\r\n\u202efdp.exe", "", "afdp.exe"),
        (".htaccess", "text/plain", "htaccess.txt"),
        (" . ", "image/png", "file.png"),
        ("rodzina 👩‍👩‍👧.jpg", "", "rodzina 👩‍👩‍👧.jpg"),
        ("invoice 12.03", "application/pdf", "invoice 12.03.pdf"),
        ("a.7z", "application/pdf", "a.7z"),
        ("a", "unknown/type", "a"),
        ('Oferta "final" 50%.pdf', "", "Oferta 'final' 50%.pdf"),
        ("say %22hi%22 50%.pdf", "", "say 'hi' 50%.pdf"),
        ("a" * 200 + ".jpeg", "", "a" * 115 + ".jpeg"),
        ("ก" * 118 + ".pdf", "application/pdf", "ก" * 83 + ".pdf"),
        ("👩‍👩‍👧" * 20 + ".pdf", "application/pdf", "👩‍👩‍👧" * 13 + ".pdf"),
        ("e" + "\u0301" * 300, "", "e" + "\u0301" * 119),
    ],
)
def test_a_filename_is_safe(name: str, content_type: str, safe: str) -> None:
    assert safe_filename(name, content_type) == safe


@given(
    st.text() | st.text(alphabet="./\\\x00\u202e a\ud800"), st.sampled_from(["image/png", "", "x"]), st.text()
)
def test_any_name_becomes_a_safe_one(name: str, content_type: str, default: str) -> None:
    safe = safe_filename(name, content_type, default)
    assert len(safe) <= 120
    assert len(safe.encode()) <= 255
    assert not safe.startswith(".")
    assert not set(safe) & set("/\\\x00\n\u202e")
    assert safe.encode().decode() == safe


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename=a.pdf", "a.pdf"),
        (r'attachment; filename="a \"b\"; c.pdf"; size=1', 'a "b"; c.pdf'),
        ("attachment; filename=\"fallback.pdf\"; filename*=UTF-8''z%20%C5%BC.pdf", "z ż.pdf"),
        ("inline; filename*=iso-8859-1'en'%A3.txt", "£.txt"),
        ("attachment; filename*=UTF-8''Oferta%20%22final%22%2050%25.pdf", 'Oferta "final" 50%.pdf'),
        ("inline", ""),
        ("", ""),
    ],
)
def test_the_name_is_read_from_the_content_disposition(header: str, name: str) -> None:
    assert disposition_filename(header) == name


def test_chunks_are_spooled_to_disk_when_there_are_many() -> None:
    with spool([PHOTO[:5], PHOTO[5:]], len(PHOTO)) as (stream, size):
        assert (size, stream.fileno() >= 0, stream.read()) == (len(PHOTO), True, PHOTO)


@pytest.mark.parametrize(
    ("url", "proper"),
    [
        ("https://x.example/att/umowa nr 7.pdf", "https://x.example/att/umowa%20nr%207.pdf"),
        ("https://x.example/umowa%20nr%207.pdf", "https://x.example/umowa%20nr%207.pdf"),
        ("https://x.example/zażółć.pdf", "https://x.example/za%C5%BC%C3%B3%C5%82%C4%87.pdf"),
        ("https://x.example/100% pewne.pdf", "https://x.example/100%25%20pewne.pdf"),
        ("https://x.example/100%25%20pewne.pdf", "https://x.example/100%25%20pewne.pdf"),
        (
            "https://x.example/x.pdf?response-content-disposition=attachment; filename=umowa 7.pdf",
            "https://x.example/x.pdf?response-content-disposition=attachment;%20filename=umowa%207.pdf",
        ),
        ("/api/v1/files/77", "https://desk.example.com/api/v1/files/77"),
        ("files/77", "https://desk.example.com/api/v1/files/77"),
        ("https://x.example/a#page=2", "https://x.example/a"),
    ],
)
def test_an_address_is_whole_and_encoded_once(url: str, proper: str) -> None:
    assert str(proper_url(url, "https://desk.example.com/api/v1")) == proper
    assert str(proper_url(proper, "https://desk.example.com/api/v1")) == proper
