"""Clients that want to hurt: what they cost the web process, and what an honest webhook notices of it."""

import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import httpx
import pytest

from clients.channels.meta.signature import sign
from connector.web.guard import HEAD_WITHIN, MAX_CONNECTIONS, raise_file_limit
from sandbox.stack import Process, free_port, until
from tests.conftest import PAGE_A, SECRET_A, payload, settings_in

PATH = "/social_media/webhooks/facebook"
MESSAGE = payload("messenger/message_text")
SIGNED = f"X-Hub-Signature-256: {sign(MESSAGE, SECRET_A)}\r\n"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n"
WRONG = f"X-Hub-Signature-256: sha256={'0' * 64}\r\n"
PROMPT = 2.0
"""How soon an honest webhook is answered: within a second, and another one on a machine that is busy."""
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
        """Send bytes until the other remote has enough; return the beginning of what it answers."""
        with self.connect() as client:
            with suppress(OSError):
                for piece in pieces:
                    client.sendall(piece)
            with suppress(OSError):
                return client.recv(4096)
        return b""


@contextmanager
def _running(store_url: str, folder: Path, *command: str) -> Iterator[Web]:
    raise_file_limit()  # of this process, which opens as many connections
    port = free_port()
    with settings_in(folder) as make:
        make(redis_url=store_url, port=port)
        named = [word.format(port=port) for word in command]
        process = Process([sys.executable, "-m", *named], folder / "web.log", {})
        running = Web(process, port)
        until("the web process answers", lambda: running.http.get("/healthz").is_success)
        running.honest()
        yield running
        running.http.close()
        process.stop()


@pytest.fixture
def web(store_url: str, tmp_path: Path) -> Iterator[Web]:
    with _running(store_url, tmp_path, "connector", "web") as web:
        yield web


@pytest.fixture
def plain(store_url: str, tmp_path: Path) -> Iterator[Web]:
    """Give the same under a uvicorn that knows nothing of us."""
    with _running(store_url, tmp_path, "uvicorn", "connector.app:app", "--port", "{port}") as web:
        yield web


def _received(client: socket.socket, expected: bytes) -> bool:
    answer = b""
    while expected not in answer:
        if not (more := client.recv(4096)):
            return False
        answer += more
    return True


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

        new = [Thread(target=again, daemon=True) for _ in range(clients)]
        threads.extend(new)
        for thread in new:
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

    assert attacked(lambda: web.send(request, body), 4) < PROMPT
    assert web.memory() < MEMORY


MANY = json.dumps(
    {
        "object": "page",
        "entry": [
            {
                "id": PAGE_A,
                "time": 1,
                "messaging": [
                    {
                        "sender": {"id": str(n % 500)},
                        "timestamp": 1795383000000 - n,
                        "message": {"mid": f"m_{n}", "text": "x"},
                    }
                    for n in range(30_000)
                ],
            }
        ],
    }
).encode()
PAGES = json.dumps({"object": "page", "entry": [{"id": PAGE_A, "changes": [1]}] * 80_000}).encode()


@pytest.mark.parametrize("body", [MANY, TINY, PAGES], ids=["messages", "tiny", "pages"])
def test_a_signed_body_of_very_many_items_holds_nobody_up(web: Web, body: bytes) -> None:
    headers = {"X-Hub-Signature-256": sign(body, SECRET_A)}
    answers: list[int] = []

    def bring() -> None:  # may take its time, as long as nobody else waits for it
        answers.append(web.http.post(PATH, content=body, headers=headers, timeout=60).status_code)

    sender = Thread(target=bring)
    sender.start()
    slowest = web.honest()
    while sender.is_alive():
        slowest = max(slowest, web.honest())
    sender.join()

    assert answers == [200]
    assert slowest < PROMPT
    assert web.process.log.stat().st_size < 10_000


def test_many_large_bodies_of_one_app_stay_within_the_memory(web: Web) -> None:
    body = b'{"object":"page","entry":[' + b",".join([b'{"x":{}}'] * 200_000) + b"]}"
    headers = {"X-Hub-Signature-256": sign(body, SECRET_A)}
    answers: list[int] = []

    def bring() -> None:
        answers.append(web.http.post(PATH, content=body, headers=headers, timeout=60).status_code)

    senders = [Thread(target=bring) for _ in range(6)]
    for sender in senders:
        sender.start()
    slowest = web.slowest()
    for sender in senders:
        sender.join()

    assert answers == [200] * 6
    assert slowest < 1
    assert web.memory() < MEMORY


def test_endless_headers_are_cut_off(web: Web, attacked: Callable[..., float]) -> None:
    many = [b"".join(b"x-%d: %s\r\n" % (n, b"v" * 1000) for n in range(1000))] * 20

    assert attacked(lambda: web.send(HEAD.encode(), *many), 8) < PROMPT
    assert web.send(HEAD.encode(), *many).startswith((b"HTTP/1.1 431 ", b""))
    assert web.memory() < MEMORY


def test_one_endless_header_is_cut_off(web: Web, attacked: Callable[..., float]) -> None:
    one = [b"x-long: ", *[b"v" * MEGABYTE] * 20]

    assert attacked(lambda: web.send(HEAD.encode(), *one), 8) < PROMPT
    assert web.memory() < MEMORY


def test_very_many_short_headers_stay_within_the_memory(web: Web) -> None:
    many = b"GET / HTTP/1.1\r\n" + b"aa:bb\r\n" * 9000  # they take twenty times their length
    with ExitStack() as held:
        for _ in range(300):
            client = held.enter_context(web.connect())
            with suppress(OSError):
                client.sendall(many)

        assert web.slowest() < PROMPT
    assert web.memory() < MEMORY


def test_endless_trailers_are_cut_off(web: Web, attacked: Callable[..., float]) -> None:
    head = f"{HEAD}Transfer-Encoding: chunked\r\n{SIGNED}\r\n".encode()
    body = b"3f0000\r\n" + b" " * 0x3F0000 + b"\r\n0\r\n"
    many = b"aa:bb\r\n" * 500_000

    assert (
        attacked(lambda: web.send(head, b"1\r\n{\r\n0\r\n", *[b"x-trailer: " + b"v" * MEGABYTE] * 20), 4)
        < PROMPT
    )
    assert attacked(lambda: web.send(head, body, many), 4) < PROMPT
    assert web.memory() < MEMORY


def test_a_head_of_usual_size_is_taken(web: Web) -> None:
    request = f"{HEAD}x-many: {'v' * 32_000}\r\nContent-Length: {len(MESSAGE)}\r\n{SIGNED}\r\n".encode()

    assert web.send(request + MESSAGE).startswith(b"HTTP/1.1 200 ")


def test_many_pipelined_requests_are_cut_off(web: Web, attacked: Callable[..., float]) -> None:
    many = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000

    assert attacked(lambda: web.send(many, many), 4) < PROMPT
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

        assert web.slowest() < PROMPT
    assert web.memory() < MEMORY


def test_silent_connections_cut_off_nobody_who_signs(web: Web) -> None:
    request = f"{HEAD}Content-Length: {len(MESSAGE)}\r\n{SIGNED}\r\n".encode() + MESSAGE
    with web.connect() as meta, ExitStack() as silent:
        meta.sendall(request)
        assert _received(meta, b" 200 OK")
        for _ in range(MAX_CONNECTIONS + 50):
            silent.enter_context(web.connect())
        web.honest()  # all of the silent ones were accepted before this one
        meta.sendall(request)
        assert _received(meta, b" 200 OK")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"alive"),
        (f"{HEAD}Content-Length: 9\r\n{WRONG}\r\n{{".encode(), b""),
    ],
    ids=["kept alive", "half a body"],
)
def test_busy_looking_connections_shut_nobody_out(web: Web, sent: bytes, answer: bytes) -> None:
    with ExitStack() as kept:
        for _ in range(MAX_CONNECTIONS + 50):
            client = kept.enter_context(web.connect())
            client.sendall(sent)
            assert _received(client, answer)

        assert web.slowest() < PROMPT


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

        assert web.slowest() < PROMPT
    assert web.memory() < MEMORY


WEBSOCKET = (
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def test_a_request_for_a_websocket_is_refused_at_once(web: Web) -> None:
    began = time.monotonic()

    assert web.send(WEBSOCKET).startswith(b"HTTP/1.1 400 ")
    assert time.monotonic() - began < PROMPT


# --- Under plain uvicorn. --------------------------------------------------------------------------------


def test_plain_uvicorn_refuses_websockets_at_once(plain: Web) -> None:
    began = time.monotonic()

    # Without the package websockets, which the connector does not install, uvicorn takes it for a GET.
    status = 403 if find_spec("websockets") else 404
    assert plain.send(WEBSOCKET).startswith(b"HTTP/1.1 %d " % status)
    assert time.monotonic() - began < PROMPT


def test_under_plain_uvicorn_bodies_are_limited_too(plain: Web) -> None:
    request = f"{HEAD}Content-Length: {4 * MEGABYTE}\r\n"
    with ExitStack() as held:
        for _ in range(60):
            client = held.enter_context(plain.connect())
            with suppress(OSError):
                client.sendall(f"{request}{WRONG}\r\n".encode() + b" " * (3 * MEGABYTE))

        assert plain.slowest() < PROMPT
        unsigned = held.enter_context(plain.connect())
        unsigned.sendall(f"{request}\r\n".encode())
        assert unsigned.recv(4096).startswith(b"HTTP/1.1 403 ")
    assert plain.memory() < MEMORY
