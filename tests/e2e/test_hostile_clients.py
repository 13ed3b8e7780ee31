"""Clients that want to hurt: what they cost the web process, and what an honest webhook notices of it."""

import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest

from clients.signature import sign
from connector.guard import HEAD_WITHIN, MAX_CONNECTIONS
from sandbox.stack import Process, free_port, until
from tests.conftest import PAGE_A, SECRET_A, MakeSettings, payload, settings_in

PATH = "/social_media/webhooks/facebook"
MESSAGE = payload("messenger/message_text")
SIGNED = f"X-Hub-Signature-256: {sign(MESSAGE, SECRET_A)}\r\n"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n"
WRONG = f"X-Hub-Signature-256: sha256={'0' * 64}\r\n"
MEGABYTE = 2**20
MEMORY = 200 * MEGABYTE


class Web:
    """A real `connector web`, and an honest Meta in front of it."""

    def __init__(self, process: Process, port: int) -> None:
        self.process, self.port = process, port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10)

    def honest(self) -> float:
        """Bring a webhook as Meta does, in a connection of its own. Return how many seconds that took."""
        began = time.monotonic()
        headers = {"X-Hub-Signature-256": sign(MESSAGE, SECRET_A)}
        assert httpx.post(
            f"http://127.0.0.1:{self.port}{PATH}", content=MESSAGE, headers=headers, trust_env=False
        ).is_success
        return time.monotonic() - began

    def slowest(self, seconds: float = 1.5) -> float:
        """Bring webhooks for a while. Return how long the slowest answer took."""
        ends, slowest = time.monotonic() + seconds, 0.0
        while time.monotonic() < ends:
            slowest = max(slowest, self.honest())
        return slowest

    def memory(self) -> int:
        """Return the most memory that the process ever had, in bytes."""
        status = Path(f"/proc/{self.process.popen.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=15)

    def send(self, *pieces: bytes) -> bytes:
        """Send bytes until the other side has enough; return the beginning of what it answers."""
        with self.connect() as client:
            with suppress(OSError):
                for piece in pieces:
                    client.sendall(piece)
            with suppress(OSError):
                return client.recv(4096)
        return b""


@pytest.fixture
def web(store_url: str, tmp_path: Path) -> Iterator[Web]:
    port = free_port()
    with settings_in(tmp_path) as make:
        _write(make, store_url, port)
        process = Process([sys.executable, "-m", "connector", "web"], tmp_path / "web.log", {})
        running = Web(process, port)
        until("the web process answers", lambda: running.http.get("/healthz").is_success)
        running.honest()
        yield running
        running.http.close()
        process.stop()


def _write(make: MakeSettings, store_url: str, port: int) -> None:
    make(redis_url=store_url, port=port)


@pytest.fixture
def attacked(web: Web) -> Iterator[Callable[[Callable[[], object], int], float]]:
    """Give a function that lets clients do something all the time, and returns the slowest honest answer."""
    threads: list[Thread] = []
    over = False

    def attack(what: Callable[[], object], clients: int) -> float:
        def again() -> None:
            while not over:
                with suppress(OSError):
                    what()

        threads.extend(Thread(target=again, daemon=True) for _ in range(clients))
        for thread in threads:
            thread.start()
        return web.slowest()

    yield attack
    over = True
    for thread in threads:
        thread.join(20)


NESTED = b'{"object":"page","entry":' + b"[" * (2 * MEGABYTE)
TINY = json.dumps({"object": "page", "entry": [{"id": PAGE_A, "messaging": [{"a": 1}] * 100_000}]}).encode()
ODD = b'{"object":"page","entry":[{"id":1e400,"x":"' + b"\\u0000\\ud83d" * 300_000 + b'"}]}'


@pytest.mark.parametrize("body", [NESTED, TINY, ODD], ids=["nested", "tiny", "odd"])
@pytest.mark.parametrize("header", ["", WRONG], ids=["unsigned", "wrongly signed"])
def test_bodies_that_nobody_signed_cost_others_nothing(
    web: Web, attacked: Callable[..., float], body: bytes, header: str
) -> None:
    request = f"{HEAD}Content-Length: {len(body)}\r\n{header}\r\n".encode()

    assert attacked(lambda: web.send(request, body), 4) < 1
    assert web.memory() < MEMORY


def test_a_signed_body_of_very_many_items_holds_nobody_up(web: Web) -> None:
    items = [
        {
            "sender": {"id": str(n % 500)},
            "timestamp": 1795383000000 - n,
            "message": {"mid": f"m_{n}", "text": "x"},
        }
        for n in range(30_000)
    ]
    body = json.dumps({"object": "page", "entry": [{"id": PAGE_A, "time": 1, "messaging": items}]}).encode()
    headers = {"X-Hub-Signature-256": sign(body, SECRET_A)}
    answers: list[int] = []
    sender = Thread(
        target=lambda: answers.append(web.http.post(PATH, content=body, headers=headers).status_code)
    )
    sender.start()
    slowest = web.honest()
    while sender.is_alive():
        slowest = max(slowest, web.honest())
    sender.join()

    assert answers == [200]
    assert slowest < 0.5


def test_endless_headers_are_cut_off(web: Web, attacked: Callable[..., float]) -> None:
    many = [b"".join(b"x-%d: %s\r\n" % (n, b"v" * 1000) for n in range(1000))] * 20

    assert attacked(lambda: web.send(HEAD.encode(), *many), 8) < 1
    assert web.send(HEAD.encode(), *many).startswith((b"HTTP/1.1 431 ", b""))
    assert web.memory() < MEMORY


def test_one_endless_header_is_cut_off(web: Web, attacked: Callable[..., float]) -> None:
    one = [b"x-long: ", *[b"v" * MEGABYTE] * 20]

    assert attacked(lambda: web.send(HEAD.encode(), *one), 8) < 1
    assert web.memory() < MEMORY


def test_endless_trailers_are_cut_off(web: Web, attacked: Callable[..., float]) -> None:
    head = f"{HEAD}Transfer-Encoding: chunked\r\n{SIGNED}\r\n1\r\n{{\r\n0\r\n".encode()

    assert attacked(lambda: web.send(head, *[b"x-trailer: " + b"v" * MEGABYTE] * 20), 8) < 1
    assert web.memory() < MEMORY


def test_a_head_of_usual_size_is_taken(web: Web) -> None:
    request = f"{HEAD}x-many: {'v' * 32_000}\r\nContent-Length: {len(MESSAGE)}\r\n{SIGNED}\r\n".encode()

    assert web.send(request + MESSAGE).startswith(b"HTTP/1.1 200 ")


def test_many_pipelined_requests_are_cut_off(web: Web, attacked: Callable[..., float]) -> None:
    many = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000

    assert attacked(lambda: web.send(many, many), 4) < 1
    assert web.memory() < MEMORY


def test_a_few_pipelined_requests_are_answered(web: Web) -> None:
    with web.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
        answer = b""
        while answer.count(b"alive") < 4:
            more = client.recv(4096)
            assert more
            answer += more


def test_silent_connections_shut_nobody_out(web: Web) -> None:
    with ExitStack() as silent:
        for _ in range(MAX_CONNECTIONS + 150):
            silent.enter_context(web.connect())

        assert web.slowest() < 1
    assert web.memory() < MEMORY


def test_a_silent_connection_is_closed(web: Web) -> None:
    with web.connect() as client:
        client.sendall(HEAD.encode())
        began = time.monotonic()
        assert client.recv(1) == b""
        assert HEAD_WITHIN - 1 < time.monotonic() - began < HEAD_WITHIN + 3


def test_bodies_that_are_held_back_stay_within_the_memory(web: Web) -> None:
    request = f"{HEAD}Content-Length: {4 * MEGABYTE}\r\n{WRONG}\r\n".encode()
    with ExitStack() as held:
        for _ in range(60):
            client = held.enter_context(web.connect())
            with suppress(OSError):
                client.sendall(request + b" " * (3 * MEGABYTE))

        assert web.slowest() < 1
    assert web.memory() < MEMORY


def test_a_request_for_a_websocket_is_refused_at_once(web: Web) -> None:
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n"
    began = time.monotonic()

    assert web.send(f"GET / HTTP/1.1\r\nHost: x\r\n{upgrade}".encode()).startswith(b"HTTP/1.1 400 ")
    assert time.monotonic() - began < 1
