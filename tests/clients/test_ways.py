"""The ways to both remotes: a private authority, a proxy, and what is said where there is no way."""

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import httpcore
import pytest
import trustme

from clients import http as http_module
from clients.channel import NewMessage
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.graph import Page
from clients.errors import FileRefused, ServiceDown, Unavailable
from clients.helpdesk import Attachment
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from clients.media import MediaFetcher
from clients.notices import say
from clients.transport import Transport
from connector.settings import SettingsError
from sandbox.stack import free_port
from tasks.services import build
from tests.conftest import PAGE_A, WEBHOOK_SECRET, MakeSettings

ANSWER = b'{"tickets":[],"message_id":"m_1","recipient_id":"1"}'


class Handler(BaseHTTPRequestHandler):
    """Answers every request with the same JSON, and closes the connection."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    do_POST = do_GET  # noqa: N815 - as http.server calls it

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """A server, with TLS if there is a context for it."""

    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer; who breaks the handshake off gets nothing."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with suppress(OSError), self.tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def _serving(server: Server) -> Iterator[int]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def plain() -> Iterator[int]:
    """Give the port of a server without TLS."""
    with _serving(Server(("127.0.0.1", 0), Handler)) as port:
        yield port


@pytest.fixture
def authority() -> trustme.CA:
    """Give an authority that nobody knows."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """Give the file with its certificate."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return str(file)


@pytest.fixture
def encrypted(authority: trustme.CA) -> Iterator[int]:
    """Give the port of a server with TLS, which is desk.test and graph.test."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("desk.test", "graph.test", "cdn.test").configure_cert(tls)
    server = Server(("127.0.0.1", 0), Handler)
    server.tls = tls
    with _serving(server) as port:
        yield port


def _names(monkeypatch: pytest.MonkeyPatch, *known: str) -> list[str]:
    """Let no name that ends with .test be found but the known ones, as this machine; return what is asked."""
    real, asked = socket.getaddrinfo, []

    def getaddrinfo(host: str, *args: Any, **options: Any) -> list[Any]:
        asked.append(host)
        if host in known:
            return real("127.0.0.1", *args, **options)
        if str(host).endswith(".test"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def _desk(http: HttpClient, url: str) -> RestHelpdesk:
    return RestHelpdesk(http, base_url=url, api_token="desk-token", webhook_secret=WEBHOOK_SECRET)


def _page(http: HttpClient, url: str) -> Page:
    return Page(
        http, url, page_id="1", token="page-token", app_secret="secret", media=MediaFetcher(http, [], 0)
    )


def _no_way(url: str, call: Callable[[HttpClient, str], object] | None = None, **options: Any) -> str:
    """Return what agents are told of a call that could not be sent."""
    call = call or (lambda http, url: _desk(http, url).ping())
    with HttpClient(**options) as http, pytest.raises(Unavailable) as failure:
        call(http, url)
    assert not failure.value.maybe_done
    return say(failure.value.notice)


def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _names(monkeypatch)

    assert _no_way("https://desk.test") == "the helpdesk cannot be reached: desk.test was not found (DNS)"


def test_a_port_where_nobody_listens_is_told() -> None:
    port = free_port()
    said = _no_way(f"http://127.0.0.1:{port}")

    assert said == f"the helpdesk cannot be reached: 127.0.0.1 refused the connection on port {port}"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpcore.ConnectTimeout("timed out"), "127.0.0.1 did not accept a connection on port 9 in time"),
        (
            httpcore.ConnectError("[Errno 101] …"),
            "127.0.0.1 is not available on the network (Network is unreachable)",
        ),
    ],
)
def test_a_network_without_a_way_is_told(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    error.__cause__ = OSError(101, "Network is unreachable")

    def connect_tcp(*_: object) -> None:
        raise error

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect_tcp)

    assert _no_way("http://127.0.0.1:9") == f"the helpdesk cannot be reached: {words}"


def test_a_certificate_of_an_authority_nobody_knows_is_told_with_the_remedy(
    encrypted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, "desk.test")
    said = _no_way(f"https://desk.test:{encrypted}")

    assert "desk.test has a certificate that is not trusted (" in said
    assert said.endswith("if your own authority signed it, name it in helpdesk.ca_file")


def test_a_certificate_for_another_name_is_told(
    encrypted: int, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, "other.test")
    said = _no_way(f"https://other.test:{encrypted}", ca_file=ca_file)

    assert "other.test has a certificate that is not trusted (Hostname mismatch" in said


def test_a_certificate_of_facebooks_that_is_not_trusted_has_no_remedy_of_the_helpdesks(
    encrypted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, "graph.test")
    said = _no_way(
        f"https://graph.test:{encrypted}",
        lambda http, url: _page(http, url).send("1", NewMessage("m", "x")),
    )

    assert "Facebook cannot be reached: graph.test has a certificate that is not trusted (" in said
    assert "ca_file" not in said


def test_a_server_without_tls_is_told(plain: int) -> None:
    assert _no_way(f"https://127.0.0.1:{plain}").endswith("127.0.0.1 failed the TLS handshake")


def test_a_server_that_does_not_answer_in_time_is_told_with_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_module, "CALL_WITHIN", 0.3)
    mute, fails = socket.create_server(("127.0.0.1", 0)), pytest.raises(Unavailable)
    with mute, HttpClient() as http, fails as failure:
        _desk(http, f"http://127.0.0.1:{mute.getsockname()[1]}").ping()
    assert say(failure.value.notice) == "the helpdesk (127.0.0.1) did not respond in time"
    assert failure.value.maybe_done


def test_a_helpdesk_with_a_certificate_of_ones_own_authority_is_reached(
    encrypted: int, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, "desk.test")
    with HttpClient(ca_file=ca_file) as http:
        _desk(http, f"https://desk.test:{encrypted}").ping()


def test_beside_ones_own_authority_the_usual_ones_are_trusted(ca_file: str) -> None:
    with HttpClient(ca_file=ca_file) as http, HttpClient() as usual:
        own, known = (cast("Transport", one.transport).tls.cert_store_stats() for one in (http, usual))
    assert own["x509_ca"] == known["x509_ca"] + 1


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read (No such file or directory)"), ("no certificate", "holds no certificate")],
)
def test_a_file_that_holds_no_authority_is_a_fault(
    make_settings: MakeSettings, tmp_path: Path, content: str | None, words: str
) -> None:
    if content:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(SettingsError) as refusal:
        make_settings(helpdesk={"ca_file": str(tmp_path / "ca.pem")})
    (fault,) = refusal.value.faults
    assert fault.startswith(f"helpdesk.ca_file: {words}")


@dataclass
class Proxy:
    """A proxy that leads every name to one port of this machine; `heads` are what it was asked."""

    port: int
    refusal: bytes = b""
    heads: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.queue = threading.Thread(target=self._accept, daemon=True)
        self.queue.start()

    def close(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.queue.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.port)) as server, suppress(OSError):
            head = client.recv(65536)
            self.heads.append(head)
            if self.refusal:
                client.sendall(self.refusal)
                return
            if head.startswith(b"CONNECT"):
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(head)
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join(10)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(encrypted: int) -> Iterator[Proxy]:
    """Give a proxy to the server with TLS."""
    proxy = Proxy(encrypted)
    yield proxy
    proxy.close()


@pytest.fixture
def plain_proxy(plain: int) -> Iterator[Proxy]:
    """Give a proxy to the server without TLS."""
    proxy = Proxy(plain)
    yield proxy
    proxy.close()


def test_calls_go_by_way_of_the_proxy_which_looks_the_name_up(
    proxy: Proxy, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _names(monkeypatch)
    with HttpClient(ca_file=ca_file, proxy=proxy.url) as http:
        _desk(http, "https://desk.test").ping()

    (head,) = proxy.heads
    assert head.startswith(b"CONNECT desk.test:443 HTTP/1.1\r\n")
    assert b"desk-token" not in head
    assert "desk.test" not in asked


def test_calls_without_tls_go_by_way_of_the_proxy_too(plain_proxy: Proxy) -> None:
    with HttpClient(proxy=plain_proxy.url) as http:
        _desk(http, "http://desk.test/api").ping()

    assert plain_proxy.heads[0].startswith(b"GET http://desk.test/api/tickets?external_id=ping HTTP/1.1\r\n")


def test_the_proxy_gets_its_password_and_nobody_else_does(proxy: Proxy, ca_file: str) -> None:
    url = proxy.url.replace("//", "//way:hu%40sh@")
    with HttpClient(ca_file=ca_file, proxy=url) as http:
        _desk(http, "https://desk.test").ping()

    assert b"Basic " + base64.b64encode(b"way:hu@sh") in proxy.heads[0]


def test_a_proxy_that_refuses_is_told(proxy: Proxy) -> None:
    proxy.refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    said = _no_way("https://desk.test", proxy=proxy.url)

    assert said == "the helpdesk cannot be reached: the proxy refused the connection (403 Forbidden)"


def test_a_proxy_that_asks_for_a_password_does_not_cost_a_reply(plain_proxy: Proxy) -> None:
    plain_proxy.refusal = (
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    with (
        HttpClient(proxy=plain_proxy.url) as http,
        pytest.raises(ServiceDown, match="proxy_password"),
    ):
        _desk(http, "http://desk.test").ping()


def test_a_proxy_that_is_away_is_told() -> None:
    port = free_port()
    said = _no_way("https://desk.test", proxy=f"http://way:hush@127.0.0.1:{port}")

    assert (
        said == f"the helpdesk cannot be reached: the proxy 127.0.0.1 refused the connection on port {port}"
    )


def test_a_proxy_that_says_nothing_is_not_waited_for_beyond_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_module, "CALL_WITHIN", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with HttpClient(proxy=url) as http, pytest.raises(Unavailable, match="no_answer"):
            _desk(http, "https://desk.test").ping()


def test_customers_files_go_by_way_of_the_proxy_if_it_is_metas(
    proxy: Proxy, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _names(monkeypatch)
    with HttpClient(ca_file=ca_file, proxy=proxy.url, public_by_proxy=True) as http:
        files = MediaFetcher(http, ["cdn.test"], 2**20)
        with files.fetch("https://cdn.test/a.pdf", "file") as file:
            assert file.stream.read() == ANSWER
    assert proxy.heads[0].startswith(b"CONNECT cdn.test:443 HTTP/1.1\r\n")
    assert "cdn.test" not in asked


@pytest.mark.parametrize("url", ["https://other.test/a", "http://cdn.test/a", "https://cdn.test:8443/a"])
def test_what_may_not_be_fetched_is_not_asked_of_the_proxy_either(proxy: Proxy, url: str) -> None:
    with HttpClient(proxy=proxy.url, public_by_proxy=True) as http:
        fetching = MediaFetcher(http, ["cdn.test"], 2**20).fetch(url, "file")
        with pytest.raises(FileRefused), fetching:
            pass
    assert proxy.heads == []


def test_agents_files_on_other_hosts_keep_their_check_and_avoid_the_proxy(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, "elsewhere.test")
    stranger = Attachment("3", "https://elsewhere.test/a.pdf", "a.pdf", "application/pdf", 5)
    with HttpClient(proxy=proxy.url) as http:
        opening = _desk(http, "https://desk.test").open_attachment(stranger, 2**20)
        with pytest.raises(FileRefused, match="helpdesk_file_host"), opening:
            pass
    assert proxy.heads == []


def test_each_side_has_the_way_that_the_settings_name(
    plain: int, plain_proxy: Proxy, make_settings: MakeSettings
) -> None:
    service = build(
        make_settings(
            graph={"base_url": f"http://127.0.0.1:{plain}"},
            helpdesk={"base_url": "http://desk.test", "http_proxy": plain_proxy.url},
        )
    )
    service.helpdesk.ping()
    service.account(service.connection(CHANNEL, PAGE_A)).send("1", NewMessage("m", "x"))

    assert [head.split()[1] for head in plain_proxy.heads] == [b"http://desk.test/tickets?external_id=ping"]


def test_metas_side_has_a_proxy_of_its_own(
    plain: int, plain_proxy: Proxy, make_settings: MakeSettings
) -> None:
    service = build(
        make_settings(
            graph={"base_url": "http://graph.test", "http_proxy": plain_proxy.url},
            helpdesk={"base_url": f"http://127.0.0.1:{plain}"},
        )
    )
    service.helpdesk.ping()
    service.account(service.connection(CHANNEL, PAGE_A)).send("1", NewMessage("m", "x"))

    assert [head.split()[1].split(b"?")[0] for head in plain_proxy.heads] == [
        f"http://graph.test/v26.0/{PAGE_A}/messages".encode()
    ]


@pytest.mark.parametrize("url", ["proxy:3128", "https://proxy:3128", "socks5://proxy:1080", "http://proxy/a"])
@pytest.mark.parametrize("remote", ["graph", "helpdesk"])
def test_what_is_no_proxy_is_a_fault(make_settings: MakeSettings, remote: str, url: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        make_settings(**{remote: {"http_proxy": url}})
    (fault,) = refusal.value.faults
    assert fault.startswith(f"{remote}.http_proxy: must be the proxy's address")


def test_the_password_of_a_proxy_is_not_shown(make_settings: MakeSettings) -> None:
    url = "http://way:hush@proxy.internal:3128"
    assert "hush" not in repr(make_settings(graph={"http_proxy": url}, helpdesk={"http_proxy": url}))
