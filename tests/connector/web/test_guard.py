"""The limits around uvicorn's protocol, without a network: what is closed, when, and what is not."""

import asyncio
import resource
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from connector.web import guard
from connector.web.guard import MAX_FIELDS, PIPELINED, GuardedProtocol, Watch

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """What a client has of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.got, self.closed, self.aborted = b"", False, False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.got += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class Server:
    """Connections to an application that answers when it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self._made: list[GuardedProtocol] = []
        self._state = ServerState()
        self._config = uvicorn.Config(
            self._answer, interface="asgi3", lifespan="off", log_config=None, proxy_headers=False
        )
        self._config.load()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.let.wait()
        scope["state"]["signed"] = scope["path"] == "/signed"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def connect(self) -> tuple[GuardedProtocol, Wire]:
        """Open a connection."""
        protocol, wire = GuardedProtocol(self._config, self._state, {}), Wire()
        protocol.connection_made(wire)
        self._made.append(protocol)
        return protocol, wire

    def tasks(self) -> int:
        """Count the requests that are worked on."""
        return len(self._state.tasks)

    def end(self) -> None:
        """Lose all connections."""
        for protocol in self._made:
            protocol.connection_lost(None)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Server], Awaitable[None]]], None]]:
    monkeypatch.setattr(guard, "_watch", Watch())

    def run(story: Callable[[Server], Awaitable[None]]) -> None:
        async def whole() -> None:
            server = Server()
            try:
                await story(server)
            finally:
                server.end()

        asyncio.run(asyncio.wait_for(whole(), 10))

    yield run
    assert guard._watch.held == 0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_WITHIN", "MESSAGE_WITHIN", "ANSWER_WITHIN"):
        monkeypatch.setattr(guard, name, 0.05)
    monkeypatch.setattr(guard, "SLOW_CLOSED_EVERY", 0.01)


Run = Callable[[Callable[[Server], Awaitable[None]]], None]


async def _until(probe: Callable[[], object]) -> None:
    while not probe():  # noqa: ASYNC110 - a transport tells nobody what was done to it
        await asyncio.sleep(0.001)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"]
)
def test_a_client_that_does_not_go_on_is_cut_off(run: Run, sent: bytes) -> None:
    async def story(server: Server) -> None:
        protocol, wire = server.connect()
        protocol.data_received(sent)
        await _until(lambda: wire.aborted)

    run(story)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_a_client_that_says_nothing_after_an_answer_is_cut_off(run: Run, connection: str) -> None:
    async def story(server: Server) -> None:
        protocol, wire = server.connect()
        server.let.set()
        protocol.data_received(f"GET / HTTP/1.1\r\nConnection: {connection}\r\n\r\n".encode())
        await _until(lambda: wire.aborted)
        assert b" 200 " in wire.got

    run(story)


@pytest.mark.usefixtures("quick")
def test_a_client_that_does_not_read_is_cut_off(run: Run) -> None:
    async def story(server: Server) -> None:
        protocol, wire = server.connect()
        protocol.data_received(GET)
        protocol.pause_writing()
        await _until(lambda: wire.aborted)

    run(story)


@pytest.mark.usefixtures("quick")
def test_a_refusal_that_nobody_reads_ends_too(run: Run) -> None:
    async def story(server: Server) -> None:
        protocol, wire = server.connect()
        protocol.data_received(b"no HTTP\r\n\r\n")
        await _until(lambda: wire.aborted)
        assert b" 400 " in wire.got

    run(story)


@pytest.mark.usefixtures("quick")
def test_a_client_that_waits_for_its_answer_is_not_cut_off(run: Run) -> None:
    async def story(server: Server) -> None:
        silent, waiting = server.connect(), server.connect()
        waiting[0].data_received(GET)
        await _until(lambda: silent[1].aborted)
        await asyncio.sleep(0.1)  # twice what a client has
        assert not waiting[1].closed
        server.let.set()
        await _until(lambda: b" 200 " in waiting[1].got)

    run(story)


def test_room_is_made_by_closing_what_is_waited_for_longest(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MAX_CONNECTIONS", 3)

    async def story(server: Server) -> None:
        served, half, idle = server.connect(), server.connect(), server.connect()
        served[0].data_received(GET)
        idle[0].data_received(b"GET / HT")
        half[0].data_received(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        _, first = server.connect()
        assert [wire.aborted for wire in (served[1], half[1], idle[1], first)] == [False, False, True, False]
        _, second = server.connect()
        assert [wire.aborted for wire in (served[1], half[1], first, second)] == [False, True, False, False]

    run(story)


def test_a_connection_that_was_answered_makes_room_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_CONNECTIONS", 1)

    async def story(server: Server) -> None:
        server.let.set()
        protocol, idle = server.connect()
        protocol.data_received(GET)
        await _until(lambda: b" 200 " in idle.got)
        _, new = server.connect()
        assert [idle.aborted, new.aborted] == [True, False]

    run(story)


async def _signed(server: Server) -> Wire:
    server.let.set()
    protocol, wire = server.connect()
    protocol.data_received(b"GET /signed HTTP/1.1\r\nHost: x\r\n\r\n")
    await _until(lambda: b" 200 " in wire.got)
    return wire


def test_who_signed_keeps_a_connection_before_who_did_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_CONNECTIONS", 2)

    async def story(server: Server) -> None:
        signed = await _signed(server)
        protocol, unsigned = server.connect()
        protocol.data_received(GET)
        await _until(lambda: b" 200 " in unsigned.got)
        server.connect()
        assert [signed.aborted, unsigned.aborted] == [False, True]

    run(story)


def test_those_who_signed_cannot_keep_all_connections(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MAX_CONNECTIONS", 3)

    async def story(server: Server) -> None:
        signed = [await _signed(server), await _signed(server)]
        _, silent = server.connect()
        _, new = server.connect()
        assert [wire.aborted for wire in (*signed, silent, new)] == [True, False, False, False]

    run(story)


def test_after_a_refusal_nothing_more_is_said(run: Run) -> None:
    async def story(server: Server) -> None:
        protocol, wire = server.connect()
        protocol.data_received(GET)
        await asyncio.sleep(0)  # the application has begun
        protocol.data_received(b"no HTTP\r\n\r\n")
        server.let.set()
        await _until(lambda: not server.tasks())
        assert b" 400 " in wire.got
        assert b" 200 " not in wire.got

    run(story)


@pytest.mark.parametrize(("fields", "status"), [(MAX_FIELDS, b" 200 "), (MAX_FIELDS + 1, b" 431 ")])
def test_headers_are_counted(run: Run, fields: int, status: bytes) -> None:
    async def story(server: Server) -> None:
        server.let.set()
        protocol, wire = server.connect()
        protocol.data_received(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * fields + b"\r\n")
        await _until(lambda: status in wire.got)

    run(story)


def test_few_requests_wait_in_one_connection(run: Run) -> None:
    async def story(server: Server) -> None:
        protocol, wire = server.connect()
        protocol.data_received(GET * (1 + PIPELINED))
        assert not wire.closed
        protocol.data_received(GET)
        assert wire.closed

    run(story)


def test_pipelined_requests_are_all_answered_and_then_hold_nothing(run: Run) -> None:
    async def story(server: Server) -> None:
        protocol, wire = server.connect()
        protocol.data_received(GET * 4)
        server.let.set()
        await _until(lambda: wire.got.count(b" 200 ") == 4)
        assert guard._watch.held == 0
        assert not wire.closed

    run(story)


def test_long_requests_are_refused_while_much_is_held_and_short_ones_are_not(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MAX_UNANSWERED", 100_000)
    body = b"POST / HTTP/1.1\r\nContent-Length: 90000\r\n\r\n" + b" " * 90_000

    async def story(server: Server) -> None:
        (first, held), (second, refused), (third, served) = (server.connect() for _ in range(3))
        first.data_received(body)
        second.data_received(body)
        third.data_received(GET)
        assert b" 503 " in refused.got
        server.let.set()
        await _until(lambda: b" 200 " in held.got and b" 200 " in served.got)

    run(story)


def test_the_rest_of_a_body_is_not_waited_for_once_it_is_answered(run: Run) -> None:
    async def story(server: Server) -> None:
        server.let.set()
        protocol, wire = server.connect()
        protocol.data_received(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        await _until(lambda: b" 200 " in wire.got)
        assert wire.closed

    run(story)


def test_trailers_count_however_long_the_body_was(run: Run) -> None:
    async def story(server: Server) -> None:
        protocol, wire = server.connect()
        protocol.data_received(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        protocol.data_received(b"80000\r\n" + b" " * 0x80000 + b"\r\n0\r\nx: ")
        assert not wire.closed
        protocol.data_received(b"v" * 70_000)
        assert b" 431 " in wire.got

    run(story)


def test_a_process_that_may_not_open_enough_files_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    with capture_logs() as logs:
        guard.raise_file_limit()
    assert [line["limit"] for line in logs] == [256]
