"""The doors, over real HTTP and with a real store: what is let in, what is kept, and what is answered."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import redis
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs

from clients.signature import sign
from connector.app import Shared, create_app
from connector.bodies import MAX_BODY, Bodies
from connector.intake import Intake, StoreAway
from connector.line import Line
from connector.metrics import Counters
from connector.refusals import Refusals
from connector.settings import Settings
from sandbox.stack import until
from tasks.inbox import Row
from tasks.store import Outage, connect
from tests.conftest import (
    METRICS_TOKEN,
    PAGE_A,
    PAGE_B,
    PAGE_OFF,
    SECRET_A,
    SECRET_B,
    SECRET_OFF,
    MakeSettings,
    Valkey,
    connection,
    payload,
    settings_in,
)
from tests.fakes.helpdesk_webhooks import headers, signature

PSID = "7623554920995436"
QUEUE = f"in:{PAGE_A}:{PSID}"
MESSENGER, HELPDESK = "/social_media/webhooks/facebook", "/social_media/webhooks/helpdesk"


@contextmanager
def _serving(settings: Settings) -> Iterator[str]:
    """Serve the web application and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(create_app(settings), log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            until("the doors are open", lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


OWN_KEYS = {"mc:room", "mc:probe", "mc:clocks", "mc:installation", "mc:refused"}


class Doors:
    """The doors of a running connector, and its store."""

    def __init__(self, url: str, store_url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, trust_env=False)
        self.store = connect(store_url)
        self._before = self._metrics()

    def meta(self, body: bytes, secret: str = SECRET_A, **headers: str) -> int:
        """Bring a body that an app signed, as Meta does. Return the status of the answer."""
        signed = {"X-Hub-Signature-256": sign(body, secret), "Content-Type": "application/json"}
        return self.http.post(MESSENGER, content=body, headers=signed | headers).status_code

    def helpdesk(self, body: bytes, at: float | None = None, /, **changes: str) -> int:
        """Bring a body that the helpdesk signed. Return the status of the answer."""
        return self.http.post(HELPDESK, content=body, headers=headers(body, at, **changes)).status_code

    def queue(self, thread: str = QUEUE) -> list[dict[str, Any]]:
        """Return the bodies of the events that wait in a thread."""
        found: Any = self.store.zrange(f"mc:jobs:{thread}", 0, -1)
        return [json.loads(event.split(b" ", 3)[3], parse_int=float) for event in found]

    def stored(self) -> set[str]:
        """Return the names of what the inbox keeps, but for what the process keeps of its own."""
        names = {key.decode() for key in self.store.scan_iter("mc:*")} - OWN_KEYS
        return {name for name in names if not name.startswith("mc:celery:")}

    def queues(self) -> set[str]:
        """Return the names of the threads that hold events."""
        return {key.removeprefix("mc:jobs:") for key in self.stored() if key.startswith("mc:jobs:")}

    def metrics(self) -> str:
        """Return what `/metrics` shows."""
        return self.http.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}).text

    def counted(self, name: str) -> float:
        """Return how much one of the numbers under `/metrics` grew in this test."""
        return self._metrics().get(f"connector_{name}", 0) - self._before.get(f"connector_{name}", 0)

    def refused(self, door: str, reason: str, page: str = "") -> float:
        """Return how many more webhooks were refused in this test for a reason."""
        return self.counted(f'webhooks_refused_total{{door="{door}",page="{page}",reason="{reason}"}}')

    def _metrics(self) -> dict[str, float]:
        lines = self.metrics().splitlines()
        named = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in named}


@contextmanager
def _doors(url: str, store_url: str) -> Iterator[Doors]:
    doors = Doors(url, store_url)
    try:
        yield doors
    finally:
        doors.http.close()
        doors.store.close()


@pytest.fixture(scope="module")
def url(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a connector that serves all tests but those that need one of their own."""
    with settings_in(tmp_path_factory.mktemp("doors")) as make, _serving(make(redis_url=valkey)) as url:
        yield url


@pytest.fixture
def doors(url: str, store_url: str) -> Iterator[Doors]:
    with _doors(url, store_url) as found:
        yield found


def item(mid: str, at: int = 1795382999900, psid: str = PSID, page: str = PAGE_A) -> dict[str, Any]:
    """Return a message of a person as Meta sends it."""
    people = {"sender": {"id": psid}, "recipient": {"id": page}}
    return people | {"timestamp": at, "message": {"mid": mid, "text": f"I am {mid}"}}


def entry(*items: dict[str, Any], page: str = PAGE_A) -> dict[str, Any]:
    """Return what Meta sends for one page."""
    return {"id": page, "time": 1795383000123, "messaging": list(items)}


def envelope(*entries: dict[str, Any], object_: str = "page") -> bytes:
    """Return a body of Meta's webhook."""
    return json.dumps({"object": object_, "entry": list(entries)}).encode()


def mids(events: Sequence[dict[str, Any]]) -> list[str]:
    """Return the mids of messages."""
    return [event["message"]["mid"] for event in events]


MESSAGE = envelope(entry(item("m_1")))


# --- The handshake. -------------------------------------------------------------------------------------


def _handshake(doors: Doors, **changes: str | None) -> httpx.Response:
    asked = {"mode": "subscribe", "verify_token": "verify-1", "challenge": "1158201444"} | changes
    query = {f"hub.{name}": value for name, value in asked.items() if value is not None}
    return doors.http.get(MESSENGER, params=query)


def test_the_handshake_gives_the_bare_challenge_back(doors: Doors) -> None:
    response = _handshake(doors, challenge="<b>CHALLENGE</b>")
    assert (response.status_code, response.text) == (200, "<b>CHALLENGE</b>")
    assert response.headers["content-type"].startswith("text/plain")


def test_the_handshake_knows_the_token_of_every_active_connection(doors: Doors) -> None:
    assert _handshake(doors, verify_token="verify-2").status_code == 200


@pytest.mark.parametrize("token", ["verify-3", "verify", "VERIFY-1", "", "\0", "ż", None])
def test_the_handshake_refuses_any_other_token(doors: Doors, token: str | None) -> None:
    assert _handshake(doors, verify_token=token).status_code == 403


@pytest.mark.parametrize("mode", ["unsubscribe", "", None])
def test_the_handshake_refuses_any_other_mode(doors: Doors, mode: str | None) -> None:
    assert _handshake(doors, mode=mode).status_code == 403


# --- The signature of Meta. -----------------------------------------------------------------------------


def test_a_signed_event_is_stored_in_its_threads_queue(doors: Doors) -> None:
    assert doors.meta(MESSAGE) == 200
    assert mids(doors.queue()) == ["m_1"]


@pytest.mark.parametrize("header", ["", "sha256=", "sha256=0", sign(b"another", SECRET_A), "sha256=\xe4"])
def test_a_wrong_signature_is_refused_and_nothing_is_stored(doors: Doors, header: str) -> None:
    raw = httpx.Headers([(b"X-Hub-Signature-256", header.encode("latin-1"))])
    assert doors.http.post(MESSENGER, content=MESSAGE, headers=raw).status_code == 403
    assert doors.stored() == set()


def test_a_missing_signature_is_refused_and_nothing_is_stored(doors: Doors) -> None:
    assert doors.http.post(MESSENGER, content=MESSAGE).status_code == 403
    assert doors.stored() == set()


def test_a_refused_webhook_is_counted(doors: Doors) -> None:
    doors.meta(MESSAGE, "wrong")
    assert doors.refused("messenger", "wrong_secret", PAGE_A) == 1


def test_an_event_signed_by_another_pages_app_is_refused(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1", page=PAGE_B), page=PAGE_B)), SECRET_A) == 403
    assert doors.stored() == set()


def test_among_pages_only_those_of_the_app_that_signed_are_kept(doors: Doors) -> None:
    body = envelope(entry(item("m_a")), entry(item("m_b", page=PAGE_B), page=PAGE_B))
    assert doors.meta(body, SECRET_A) == 200
    assert doors.queues() == {QUEUE}
    assert doors.refused("messenger", "another_app", PAGE_B) == 1


def test_each_page_is_heard_through_its_own_app(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_b", page=PAGE_B), page=PAGE_B)), SECRET_B) == 200
    assert doors.queues() == {f"in:{PAGE_B}:{PSID}"}


def test_what_the_app_of_an_inactive_connection_signs_is_taken_and_ignored(doors: Doors) -> None:
    body = envelope(entry(item("m_1", page=PAGE_OFF), page=PAGE_OFF))
    assert doors.meta(body, SECRET_OFF) == 200
    assert doors.stored() == set()


def test_the_app_of_an_inactive_connection_does_not_speak_for_an_active_page(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1"))), SECRET_OFF) == 403
    assert doors.stored() == set()


def test_of_a_body_that_nobody_signed_no_item_is_read(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    # Reading a million items takes many seconds, in which the doors would be shut for everybody.
    read: list[Any] = []
    monkeypatch.setattr("clients.events._item", lambda *item: read.append(item))
    assert doors.meta(envelope(entry(item("m_1"))), "not ours") == 403
    assert read == []


def test_two_pages_of_one_app_are_heard_in_one_body(store_url: str, make_settings: MakeSettings) -> None:
    first, second = (connection(page_id, SECRET_A) for page_id in (PAGE_A, PAGE_B))
    settings = make_settings(redis_url=store_url, connections=[first, second])
    with _serving(settings) as url, _doors(url, store_url) as doors:
        body = envelope(entry(item("m_a")), entry(item("m_b", page=PAGE_B), page=PAGE_B))
        assert doors.meta(body, SECRET_A) == 200
        assert doors.queues() == {QUEUE, f"in:{PAGE_B}:{PSID}"}


# --- What is none of ours is answered 200, and counted. ---------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (envelope(entry(item("m_1"), page=PAGE_OFF)), "inactive_page"),
        (envelope({"id": PAGE_A, "changes": [{"field": "feed", "value": {}}]}), "change"),
        (payload("messenger/dashboard_test"), "change"),
        (envelope(entry({"recipient": {"id": PAGE_A}, "app_roles": {}})), "event_without_person"),
        (envelope(entry({"recipient": {"id": PAGE_A}})), "event_without_person"),
    ],
)
def test_what_concerns_nobody_here_is_taken_and_counted(doors: Doors, body: bytes, reason: str) -> None:
    assert doors.meta(body) == 200
    assert doors.counted(f'events_ignored_total{{reason="{reason}"}}') == 1
    assert doors.queues() == set()


@pytest.mark.parametrize("page", [f"{PAGE_A}:1", "1:2", "١٢", "", "page"])
def test_what_is_no_page_id_names_no_queue(doors: Doors, page: str) -> None:
    assert doors.meta(envelope(entry(item("m_1", page=page), page=page)), SECRET_B) == 200
    assert doors.queues() == set()


def test_what_is_signed_and_of_a_page_that_is_not_connected_waits_for_that(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1", page="123"), page="123"))) == 200
    assert mids(doors.queue(f"in:123:{PSID}")) == ["m_1"]
    assert doors.counted("events_kept_total") == 1


@pytest.mark.parametrize("name", ["policy_enforcement", "optin_without_person"])
def test_what_is_about_no_person_waits_for_an_operator(doors: Doors, name: str) -> None:
    assert doors.meta(payload(f"messenger/{name}")) == 200
    assert doors.meta(payload(f"messenger/{name}")) == 200
    assert doors.queues() == {f"in:{PAGE_A}:"}


@pytest.mark.parametrize(
    "body",
    [payload("messenger/instagram"), envelope(), b"{}", b"[]", b"no JSON", b"", b"\xff", b"[" * 10_000],
)
def test_what_is_not_understood_is_taken_if_it_is_signed(doors: Doors, body: bytes) -> None:
    assert doors.meta(body) == 200
    assert doors.queues() == set()


@pytest.mark.parametrize("depth", [100, 600, 5000])
def test_a_body_nested_too_deep_is_refused_like_any_that_is_not_signed(doors: Doors, depth: int) -> None:
    body = b'{"a":' * depth + b'"\\u0000"' + b"}" * depth
    assert doors.meta(body, "wrong") == 403


def test_what_is_not_understood_is_refused_if_it_is_not_signed(doors: Doors) -> None:
    assert doors.meta(b"no JSON", "wrong") == 403


def test_what_is_left_out_of_a_body_is_logged_once_for_each_reason(own_doors: Doors) -> None:
    doors = own_doors
    others = [entry(item("m_b", page=PAGE_B), page=PAGE_B)] * 3
    with capture_logs() as logs:
        assert doors.meta(envelope({"id": PAGE_A, "changes": [{}] * 5}, *others), SECRET_A) == 200
    assert [(line["event"], line["page"], line["count"]) for line in logs] == [
        ("ignored", PAGE_A, 5),
        ("webhook_refused", PAGE_B, 3),
    ]
    assert doors.counted('events_ignored_total{reason="change"}') == 5
    assert doors.refused("messenger", "another_app", PAGE_B) == 3


def test_a_signed_body_of_too_many_objects_to_look_at_before_is_taken(doors: Doors) -> None:
    assert doors.meta(envelope(*[{"id": PAGE_A}] * 100_001, entry(item("m_1")))) == 200
    assert mids(doors.queue()) == ["m_1"]


LONG = "9" * 5000
ITEM, ENTRY = json.dumps(item("m_1")), json.dumps(entry(item("m_1")))


@pytest.mark.parametrize(
    "body",
    [
        f'{{"object": "page", "x": {LONG}, "entry": [{ENTRY}]}}',
        f'{{"object": "page", "entry": [{{"id": {LONG}, "messaging": [{{}}]}}, {ENTRY}]}}',
        f'{{"object": "page", "entry": [{LONG}, {ENTRY}]}}',
        f'{{"object": "page", "entry": [{{"time": {LONG}, {ENTRY[1:].replace("time", "x")}]}}',
        f'{{"object": "page", "entry": [{ENTRY[:-2]}, {LONG}]}}]}}',
        f'{{"object": "page", "entry": [{ENTRY[:-2]}, {{"sender": {{"id": {LONG}}}}}]}}]}}',
        f'{{"object": "page", "entry": [{ENTRY[:-4]}, "seq": -{LONG}}}}}]}}]}}',
        f'{{"object": "page", "entry": [{ENTRY.replace("1795382999900", LONG)}]}}',
        f'{{"object": "page", "entry": [{ENTRY[:-4]}, "attachments": [{LONG}]}}}}]}}]}}',
    ],
)
def test_a_number_too_long_for_python_costs_no_event(doors: Doors, body: str) -> None:
    assert doors.meta(body.encode()) == 200
    assert mids(doors.queue()) == ["m_1"]


# --- What is stored. ------------------------------------------------------------------------------------


def test_an_event_is_stored_once_however_often_it_comes(doors: Doors) -> None:
    assert [doors.meta(MESSAGE) for _ in range(3)] == [200, 200, 200]
    assert mids(doors.queue()) == ["m_1"]


def test_an_event_is_stored_once_even_if_it_comes_at_the_same_time(doors: Doors) -> None:
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: doors.meta(MESSAGE), range(64)))
    assert statuses == [200] * 64
    assert mids(doors.queue()) == ["m_1"]


def test_an_event_that_stands_twice_in_one_body_is_stored_once(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1"), item("m_1")), entry(item("m_1")))) == 200
    assert mids(doors.queue()) == ["m_1"]


def test_events_of_one_body_wait_in_the_order_of_their_times(doors: Doors) -> None:
    shuffled = [item(f"m_{number}", at=1795382999000 + number) for number in (3, 1, 4, 2, 5, 0)]
    assert doors.meta(envelope(entry(*shuffled[:3]), entry(*shuffled[3:]))) == 200
    assert mids(doors.queue()) == ["m_0", "m_1", "m_2", "m_3", "m_4", "m_5"]


def test_each_person_has_a_queue(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1"), item("m_2", psid="8")))) == 200
    assert doors.queues() == {QUEUE, f"in:{PAGE_A}:8"}


def test_events_in_standby_are_stored(doors: Doors) -> None:
    assert doors.meta(payload("messenger/standby_text")) == 200
    assert mids(doors.queue()) == ["m_standby"]


def test_our_own_echo_leaves_only_its_mid_and_its_time(doors: Doors) -> None:
    assert doors.meta(payload("messenger/echo_ours")) == 200
    assert doors.stored() == {f"mc:echo:{PAGE_A}:connector:981:0"}
    assert doors.store.get(f"mc:echo:{PAGE_A}:connector:981:0") == b"m_ours 1795383000500"


def test_an_echo_of_the_page_inbox_waits_beside_what_the_person_wrote(doors: Doors) -> None:
    assert doors.meta(payload("messenger/echo_page_inbox")) == 200
    assert mids(doors.queue()) == ["m_inbox"]


@pytest.mark.parametrize("name", ["read", "delivery"])
def test_receipts_wait_beside_the_replies(doors: Doors, name: str) -> None:
    assert doors.meta(payload(f"messenger/{name}")) == 200
    assert doors.queues() == {f"out:{PAGE_A}:{PSID}"}


def test_an_event_wakes_a_worker(doors: Doors) -> None:
    def woken() -> list[Any]:
        found: Any = doors.store.lrange("mc:celery:wake-ups", 0, -1)
        return [json.loads(message) for message in found]

    doors.meta(MESSAGE)
    (message,) = until("a wake-up is sent", woken)
    assert message["headers"]["task"] == "relay"


# --- Who may see the metrics. ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(f"Bearer {METRICS_TOKEN}", 200), ("Bearer another", 401), (METRICS_TOKEN, 401), ("", 401)],
)
def test_the_metrics_are_for_whoever_has_their_token(doors: Doors, authorization: str, status: int) -> None:
    assert doors.http.get("/metrics", headers={"Authorization": authorization}).status_code == status


def test_without_a_token_nobody_sees_the_metrics(store_url: str, make_settings: MakeSettings) -> None:
    with _serving(make_settings(redis_url=store_url, metrics_token="")) as url:
        answer = httpx.get(f"{url}/metrics", trust_env=False)

    assert answer.status_code == 403
    assert "metrics_token" in answer.text


# --- Size. ----------------------------------------------------------------------------------------------


def test_a_body_of_four_mebibytes_is_taken(doors: Doors) -> None:
    assert doors.meta(MESSAGE + b" " * (MAX_BODY - len(MESSAGE))) == 200
    assert mids(doors.queue()) == ["m_1"]


SIGNED = (
    f"X-Hub-Signature-256: sha256={'0' * 64}\r\n"
    "webhook-id: 1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,x\r\n"
)
"""Headers that may be those of a signed request."""


@pytest.mark.parametrize("path", [MESSENGER, HELPDESK])
@pytest.mark.parametrize("header", ["", "X-Hub-Signature-256: sha1=00\r\n", "webhook-id: 1\r\n"])
def test_a_body_that_cannot_be_signed_is_refused_before_it_is_sent(
    doors: Doors, path: str, header: str
) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(doors.url).port or 0), timeout=10) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n{header}\r\n".encode())
        answer = client.recv(1024)
    assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 401 "))
    assert b"connection: close" in answer.lower()


def test_a_body_counts_as_held_until_it_is_done_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.bodies.MAX_HELD", 150_000)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b" " * 100_000}

    async def story() -> None:
        bodies = Bodies()
        first = await bodies.read({}, receive)
        with pytest.raises(HTTPException) as refusal:
            await bodies.read({}, receive)
        assert refusal.value.status_code == 503
        bodies.release(first)
        await bodies.read({}, receive)

    asyncio.run(story())


def test_what_was_refused_is_held_no_more(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.bodies.MAX_HELD", 150_000)
    body = MESSAGE + b" " * 100_000
    assert [doors.meta(body, "wrong") for _ in range(3)] == [403, 403, 403]
    assert [doors.helpdesk(body, signature="v1,wrong") for _ in range(3)] == [401, 401, 401]
    assert doors.meta(body) == 200


def test_a_larger_body_is_refused_before_it_is_sent(doors: Doors) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(doors.url).port or 0), timeout=10) as client:
        head = (
            f"POST {MESSENGER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MAX_BODY + 1}\r\n{SIGNED}\r\n"
        )
        client.sendall(head.encode())
        assert client.recv(1024).startswith(b"HTTP/1.1 413 ")


def _chunked(body: bytes) -> Iterator[bytes]:
    """Give a body in pieces: its length is then not told in advance."""
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


def test_a_larger_body_of_unknown_length_is_refused(doors: Doors) -> None:
    body = MESSAGE + b" " * (MAX_BODY - len(MESSAGE) + 1)
    signed = {"X-Hub-Signature-256": sign(body, SECRET_A)}
    assert doors.http.post(MESSENGER, content=_chunked(body), headers=signed).status_code == 413
    assert doors.stored() == set()


def test_a_body_of_unknown_length_is_taken(doors: Doors) -> None:
    signed = {"X-Hub-Signature-256": sign(MESSAGE, SECRET_A)}
    assert doors.http.post(MESSENGER, content=_chunked(MESSAGE), headers=signed).status_code == 200


def test_a_client_that_hangs_up_leaves_the_door_open(doors: Doors) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(doors.url).port or 0)) as client:
        client.sendall(
            f"POST {MESSENGER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{".encode()
        )
    assert doors.meta(MESSAGE) == 200


@pytest.mark.parametrize("path", [MESSENGER, HELPDESK])
def test_a_body_that_takes_too_long_is_given_up(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("connector.bodies.PATIENCE", 0.05)
    with socket.create_connection(("127.0.0.1", httpx.URL(doors.url).port or 0), timeout=10) as client:
        client.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n{SIGNED}\r\n{{".encode()
        )
        assert client.recv(1024).startswith(b"HTTP/1.1 408 ")


# --- The helpdesk's door. -------------------------------------------------------------------------------

REPLY = payload("helpdesk/comment_of_agent")
OUT = f"out:{PAGE_A}:{PSID}"


def test_an_agents_comment_is_stored_in_its_persons_queue(doors: Doors) -> None:
    assert doors.helpdesk(REPLY) == 202
    assert doors.queues() == {OUT}


def test_a_comment_is_stored_once_however_often_it_comes(doors: Doors) -> None:
    signed = {"id": "msg_2", "signature": signature(REPLY, "msg_2")}
    assert [doors.helpdesk(REPLY), doors.helpdesk(REPLY), doors.helpdesk(REPLY, **signed)] == [202] * 3
    assert len(doors.queue(OUT)) == 1


@pytest.mark.parametrize(
    "name",
    ["comment_internal", "comment_of_customer", "comment_on_foreign_ticket", "ticket_closed", "unknown_type"],
)
def test_what_does_not_go_out_is_taken_and_not_stored(doors: Doors, name: str) -> None:
    assert doors.helpdesk(payload(f"helpdesk/{name}")) == 202
    assert doors.stored() == set()


def test_a_secret_behind_the_address_is_no_signature(doors: Doors) -> None:
    path, wrong = f"{HELPDESK}/whatever", headers(REPLY, signature="v1,AAAA")
    assert doors.http.post(path, content=REPLY, headers=wrong).status_code == 401
    assert doors.http.post(path, content=REPLY, headers=headers(REPLY)).status_code == 202


def test_a_wrong_signature_of_the_helpdesk_is_refused_and_counted(doors: Doors) -> None:
    assert doors.helpdesk(REPLY, signature="v1,AAAA") == 401
    assert doors.refused("helpdesk", "wrong_secret") == 1
    assert doors.stored() == set()


def test_an_old_webhook_of_the_helpdesk_is_refused(doors: Doors) -> None:
    assert doors.http.post(HELPDESK, content=REPLY, headers=headers(REPLY, at=1795383000)).status_code == 401


@pytest.mark.parametrize("body", [b"{}", b"no JSON", payload("helpdesk/comment_without_ticket")])
def test_a_webhook_that_is_not_understood_is_a_bad_request(doors: Doors, body: bytes) -> None:
    assert doors.helpdesk(body) == 400


def test_half_an_emoji_in_a_comment_is_no_fault_of_the_server(doors: Doors) -> None:
    assert doors.helpdesk(REPLY.replace(b"**Anna**", rb"\ud83d")) in {202, 400}


@pytest.mark.parametrize("key", ["type", "ticket", "desk_id", "source", "comment", "body", "url"])
def test_a_number_too_long_for_python_costs_no_comment(doors: Doors, key: str) -> None:
    body = payload("helpdesk/comment_with_file").decode()
    body = body.replace(f'"{key}":', f'"x": {LONG}, "{key}":')
    assert LONG in body

    assert doors.helpdesk(body.encode()) == 202
    assert len(doors.queue(f"out:{PAGE_A}:{PSID}")) == 1


def test_a_large_webhook_of_the_helpdesk_is_refused(doors: Doors) -> None:
    assert doors.helpdesk(b" " * (MAX_BODY + 1)) == 413


def test_comments_of_long_ago_do_not_keep_newer_ones_out(doors: Doors) -> None:
    old = REPLY.replace(b"2026-11-22T20:15:03Z", b"1969-07-20T20:17:40Z")
    assert doors.helpdesk(old.replace(b'"981"', b'"1"')) == 202
    assert doors.helpdesk(REPLY) == 202
    assert len(doors.queue(OUT)) == 2


# --- Why something is not taken. --------------------------------------------------------------------------


@pytest.fixture
def own_doors(store_url: str, make_settings: MakeSettings) -> Iterator[Doors]:
    """Give doors that have told nothing yet."""
    with _serving(make_settings(redis_url=store_url)) as url, _doors(url, store_url) as doors:
        yield doors


OF_AN_UNKNOWN_PAGE = envelope(entry(item("m_1", page="123"), page="123"))
HANDSHAKE = {"hub.mode": "subscribe", "hub.verify_token": "a guess"}


@pytest.mark.parametrize(
    ("ask", "told", "advice"),
    [
        (lambda doors: doors.meta(MESSAGE, "wrong"), f"messenger {PAGE_A} wrong_secret", "app_secret"),
        (lambda doors: doors.meta(OF_AN_UNKNOWN_PAGE, "wrong"), "messenger  unknown_page", "this page_id"),
        (
            lambda doors: doors.http.post(MESSENGER, content=MESSAGE).status_code,
            "messenger  unsigned",
            "X-Hub-Signature-256",
        ),
        (lambda doors: doors.meta(b" " * (MAX_BODY + 1)), "messenger  too_large", ""),
        (
            lambda doors: doors.http.get(MESSENGER, params=HANDSHAKE).status_code,
            "messenger  verify_token",
            "verify_token",
        ),
        (
            lambda doors: doors.helpdesk(REPLY, signature="v1,AAAA"),
            "helpdesk  wrong_secret",
            "helpdesk.webhook_secret",
        ),
        (
            lambda doors: doors.http.post(HELPDESK, content=REPLY).status_code,
            "helpdesk  unsigned",
            "helpdesk.adapter",
        ),
        (lambda doors: doors.helpdesk(b"{}"), "helpdesk  not_understood", "docs/helpdesk-api.md"),
        (lambda doors: doors.helpdesk(REPLY, 1795383000), "helpdesk  clock", "NTP"),
        (lambda doors: doors.helpdesk(b" " * (MAX_BODY + 1)), "helpdesk  too_large", ""),
    ],
)
def test_what_is_refused_is_told_once_with_its_reason_and_what_to_do(
    own_doors: Doors, ask: Callable[[Doors], int], told: str, advice: str
) -> None:
    door, page, reason = told.split(" ")
    with capture_logs() as logs:
        statuses = {ask(own_doors) for _ in range(3)}

    assert own_doors.refused(door, reason, page) == 3
    assert statuses <= {400, 401, 403, 413}
    (line,) = [line for line in logs if line["event"] == "webhook_refused"]
    assert (line["door"], line.get("page", ""), line["reason"]) == (door, page, reason)
    assert advice in line.get("hint", "")


def test_a_helpdesk_is_told_why_its_webhook_is_refused(doors: Doors) -> None:
    wrong = doors.http.post(HELPDESK, content=REPLY, headers=headers(REPLY, signature="v1,AAAA"))
    assert wrong.text == "The signature is not by helpdesk.webhook_secret."


def test_what_is_refused_again_and_again_is_told_once_a_minute_with_its_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals = Refusals(Counters(CollectorRegistry()), {PAGE_A})
    with capture_logs() as logs:
        for second in range(90):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            refusals.refuse("messenger", "wrong_secret", PAGE_A)

    assert [line["count"] for line in logs] == [1, 60]


def test_pages_that_somebody_makes_up_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.refusals.MOST_TOLD", 10)
    refusals = Refusals(Counters(CollectorRegistry()), {PAGE_A})
    with capture_logs() as logs:
        for page in range(100):
            refusals.keep(str(page), 1)

    assert len(logs) == 11


@pytest.mark.parametrize("path", [f"{MESSENGER}/", f"{HELPDESK}/"])
def test_an_address_may_end_in_a_slash(doors: Doors, path: str) -> None:
    if path.startswith(MESSENGER):
        signed = {"X-Hub-Signature-256": sign(MESSAGE, SECRET_A)}
        assert doors.http.post(path, content=MESSAGE, headers=signed).status_code == 200
        query = {"hub.mode": "subscribe", "hub.verify_token": "verify-1", "hub.challenge": "42"}
        assert doors.http.get(path, params=query).text == "42"
    else:
        assert doors.http.post(path, content=REPLY, headers=headers(REPLY)).status_code == 202


# --- The store. -----------------------------------------------------------------------------------------


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[Valkey]:
    """Give a store that the test may stop."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    store = Valkey(folder)
    yield store
    store.stop()


def test_while_the_store_is_away_senders_are_told_to_come_again(
    own_store: Valkey, store_url: str, make_settings: MakeSettings
) -> None:
    settings = make_settings(redis_url=own_store.url, broker_url=store_url)
    with _serving(settings) as url, _doors(url, own_store.url) as doors:
        assert doors.meta(MESSAGE) == 200
        own_store.stop()
        assert (doors.meta(envelope(entry(item("m_2")))), doors.helpdesk(REPLY)) == (503, 503)
        assert doors.counted("events_not_stored_total") == 2
        assert doors.http.get("/readyz").status_code == 503
        assert doors.http.get("/healthz").status_code == 200
        own_store.start()
        assert doors.meta(envelope(entry(item("m_2")))) == 200
        assert mids(doors.queue()) == ["m_1", "m_2"]
        assert doors.http.get("/readyz").status_code == 200


# --- What tells how it fares. -----------------------------------------------------------------------------


def test_the_process_says_that_it_is_alive_and_ready(doors: Doors) -> None:
    assert [doors.http.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]


def test_a_process_is_not_ready_while_its_store_takes_no_writes(
    own_store: Valkey, make_settings: MakeSettings
) -> None:
    with (
        _serving(make_settings(redis_url=own_store.url)) as url,
        _doors(url, own_store.url) as doors,
        closing(connect(own_store.url)) as store,
    ):
        store.replicaof("127.0.0.1", 1)
        assert "read-only replica" in doors.http.get("/readyz").text
        store.replicaof("NO", "ONE")
        store.config_set("maxmemory", 1)
        until("it is full", lambda: doors.http.get("/readyz").text == "the store is full\n")
        assert doors.http.get("/readyz").status_code == 503
        store.config_set("maxmemory", 0)
        until("it has room", lambda: doors.http.get("/readyz").status_code == 200)


def test_metrics_tell_what_waits(doors: Doors) -> None:
    doors.meta(envelope(entry(item("m_1"), item("m_2", psid="8"))))
    assert doors.counted("threads") == 2
    assert doors.counted('events_total{outcome="accepted"}') == 2
    assert doors.counted("dead_letters") == 0


def test_all_who_ask_at_once_get_the_same_answer() -> None:
    asked: list[int] = []

    async def ask() -> None:
        asked.append(1)
        await asyncio.sleep(0)
        if len(asked) == 2:
            raise redis.ConnectionError

    async def story() -> None:
        shared = Shared(ask)
        await asyncio.gather(*(shared() for _ in range(10)))
        answers = await asyncio.gather(*(shared() for _ in range(10)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [redis.ConnectionError] * 10

    asyncio.run(story())
    assert len(asked) == 2


def test_metrics_hold_no_secret(doors: Doors) -> None:
    doors.meta(MESSAGE)
    assert SECRET_A not in doors.metrics()


@pytest.mark.parametrize("path", [MESSENGER, HELPDESK])
def test_other_methods_are_not_allowed(doors: Doors, path: str) -> None:
    assert doors.http.put(path).status_code == 405


def test_under_any_server_a_traceback_shows_no_variables(make_settings: MakeSettings, store_url: str) -> None:
    make_settings(redis_url=store_url)
    code = """
from connector import app, intake
app.app
try:
    text = "what a person wrote"
    raise KeyError
except KeyError:
    intake.log.exception("not_stored")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "KeyError" in run.stderr
    assert "'what a person wrote'" not in run.stdout + run.stderr


# --- Group commit. --------------------------------------------------------------------------------------


class Calls(Line):
    """A line to the store that counts the calls of the script, and can hold them back, or fail."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.sizes, self.broken = list[int](), False
        self.begun, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def call(self, *command: Any) -> Any:
        """Send a command once the gate is open."""
        if self.broken:
            raise redis.ConnectionError
        if command[0] == "EVALSHA":
            self.sizes.append(len(msgspec.msgpack.decode(command[-1])) // 4)
        self.begun.set()
        await self.gate.wait()
        return await super().call(*command)


def _row(name: str) -> Row:
    return Row(f"seen:{name}", f"in:{PAGE_A}:{PSID}", 1, name)


def _names(store_url: str) -> list[str]:
    store = connect(store_url)
    found: Any = store.zrange(f"mc:jobs:{QUEUE}", 0, -1)
    store.close()
    return [event.split(b" ", 3)[3].decode() for event in found]


async def _let_them_wait() -> None:
    """Let the requests that were made get as far as they get without the store."""
    for _ in range(5):
        await asyncio.sleep(0)


def _with_intake(
    store_url: str, scenario: Callable[[Intake, Calls], Any], woken: list[int] | None = None
) -> Calls:
    async def run() -> Calls:
        calls = Calls(store_url)
        wake: Callable[[int], None] = ([] if woken is None else woken).append
        async with Intake(calls, "mc:", wake, Outage("redis_url")) as intake:
            await scenario(intake, calls)
        return calls

    return asyncio.run(run())


def test_requests_that_wait_go_to_the_store_in_one_call(store_url: str) -> None:
    async def scenario(intake: Intake, calls: Calls) -> None:
        await asyncio.gather(*(intake.store([_row(f"e{number}")]) for number in range(50)))

    assert _with_intake(store_url, scenario).sizes == [50]
    assert len(_names(store_url)) == 50


def test_requests_that_come_during_a_call_share_the_next_one(store_url: str) -> None:
    async def scenario(intake: Intake, calls: Calls) -> None:
        calls.gate.clear()
        first = asyncio.create_task(intake.store([_row("e0")]))
        await calls.begun.wait()
        others = [asyncio.create_task(intake.store([_row(f"e{number}")])) for number in range(1, 9)]
        await _let_them_wait()
        calls.gate.set()
        await asyncio.gather(first, *others)

    assert _with_intake(store_url, scenario).sizes == [1, 8]


def test_a_client_that_hangs_up_cancels_nobodys_commit(store_url: str) -> None:
    async def scenario(intake: Intake, calls: Calls) -> None:
        calls.gate.clear()
        requests = [asyncio.create_task(intake.store([_row(f"e{number}")])) for number in range(3)]
        await calls.begun.wait()
        requests[1].cancel()
        calls.gate.set()
        results = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]

    _with_intake(store_url, scenario)
    assert _names(store_url) == ["e0", "e1", "e2"]


def test_a_request_that_gave_up_before_the_call_is_not_stored(store_url: str) -> None:
    async def scenario(intake: Intake, calls: Calls) -> None:
        calls.gate.clear()
        first = asyncio.create_task(intake.store([_row("e0")]))
        await calls.begun.wait()
        second, third = (asyncio.create_task(intake.store([_row(name)])) for name in ("e1", "e2"))
        await _let_them_wait()
        second.cancel()
        calls.gate.set()
        await asyncio.gather(first, third)

    _with_intake(store_url, scenario)
    assert _names(store_url) == ["e0", "e2"]


def test_a_call_that_takes_too_long_fails_its_requests_and_no_later_one(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.intake.PATIENCE", 0.05)

    async def scenario(intake: Intake, calls: Calls) -> None:
        calls.gate.clear()
        with pytest.raises(StoreAway):
            await intake.store([_row("e0")])
        calls.gate.set()
        monkeypatch.setattr("connector.intake.PATIENCE", 4.0)
        await intake.store([_row("e1")])

    _with_intake(store_url, scenario)
    assert _names(store_url) == ["e1"]


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect(store_url)

    async def scenario(intake: Intake, calls: Calls) -> None:
        await intake.store([_row("e0")])
        store.client_pause(300)  # ms
        monkeypatch.setattr("connector.intake.PATIENCE", 0.05)
        with pytest.raises(StoreAway):
            await intake.store([Row("seen:other", f"in:{PAGE_B}:1", 1, "of another thread")])
        monkeypatch.setattr("connector.intake.PATIENCE", 4.0)
        await intake.store([_row("e1")])

    woken: list[int] = []
    _with_intake(store_url, scenario, woken)
    store.close()
    assert woken == [1]


def test_a_store_that_was_started_again_takes_the_same_call(store_url: str) -> None:
    store = connect(store_url)

    async def scenario(intake: Intake, calls: Calls) -> None:
        await intake.store([_row("e0")])
        store.script_flush()
        store.client_kill_filter(_type="normal", skipme=True)
        await intake.store([_row("e1")])

    _with_intake(store_url, scenario)
    store.close()
    assert _names(store_url) == ["e0", "e1"]


def test_one_call_takes_a_thousand_events_at_most(store_url: str) -> None:
    async def scenario(intake: Intake, calls: Calls) -> None:
        batches = [[_row(f"e{batch}.{number}") for number in range(400)] for batch in range(4)]
        await asyncio.gather(*(intake.store(batch) for batch in batches), intake.store([_row("last")]))

    assert _with_intake(store_url, scenario).sizes == [800, 801]


def test_a_request_of_more_events_than_a_call_takes_goes_alone(store_url: str) -> None:
    async def scenario(intake: Intake, calls: Calls) -> None:
        many = [_row(f"e{number}") for number in range(1500)]
        await asyncio.gather(intake.store([_row("first")]), intake.store(many), intake.store([_row("last")]))

    assert _with_intake(store_url, scenario).sizes == [1, 1500, 1]


def test_a_failed_call_fails_its_requests_and_no_later_one(store_url: str) -> None:
    async def scenario(intake: Intake, calls: Calls) -> None:
        calls.broken = True
        results = await asyncio.gather(
            intake.store([_row("e0")]), intake.store([_row("e1")]), return_exceptions=True
        )
        calls.broken = False
        assert [type(result) for result in results] == [StoreAway, StoreAway]
        await intake.store([_row("e2")])

    _with_intake(store_url, scenario)
    assert _names(store_url) == ["e2"]


def test_a_row_that_cannot_be_written_fails_no_later_request(store_url: str) -> None:
    async def scenario(intake: Intake, calls: Calls) -> None:
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is: what counts is the next request
            await asyncio.wait_for(intake.store([_row("\ud83d")]), 0.5)
        await asyncio.wait_for(intake.store([_row("e1")]), 2)

    _with_intake(store_url, scenario)


def _with_line(url: str, scenario: Callable[[Line], Any]) -> None:
    async def run() -> None:
        line = Line(url)
        try:
            await scenario(line)
        finally:
            await line.close()

    asyncio.run(run())


def test_a_line_answers_and_tells_what_the_store_refuses(store_url: str) -> None:
    async def scenario(line: Line) -> None:
        assert await line.call("ECHO", "a" * 200_000) == b"a" * 200_000
        with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
            await line.call("ECHO")
        assert await line.call("PING") == b"PONG"

    _with_line(store_url, scenario)


def test_a_line_logs_in_and_takes_its_database(store_url: str) -> None:
    store = connect(store_url)
    store.acl_setuser("door", enabled=True, passwords=["+secret"], commands=["+@all"], keys=["*"])

    async def scenario(line: Line) -> None:
        told = (await line.call("CLIENT", "INFO")).decode()
        assert " db=3 " in told
        assert " user=door " in told

    try:
        _with_line(store_url.replace("127.0.0.1", "door:secret@127.0.0.1").replace("/0", "/3"), scenario)
    finally:
        store.acl_deluser("door")
        store.close()


def test_a_line_that_broke_is_opened_again(store_url: str) -> None:
    store = connect(store_url)

    async def scenario(line: Line) -> None:
        waits = asyncio.ensure_future(line.call("BLPOP", "nothing", 0))
        until_blocked = asyncio.to_thread(
            until, "it waits", lambda: store.info("clients")["blocked_clients"] == 1
        )
        await until_blocked
        store.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(redis.ConnectionError):
            await waits
        assert await line.call("PING") == b"PONG"

    _with_line(store_url, scenario)
    store.close()


def test_a_worker_is_woken_only_for_a_thread_that_was_idle(store_url: str) -> None:
    async def scenario(intake: Intake, calls: Calls) -> None:
        await intake.store([_row("e0")])
        await intake.store([_row("e1")])

    woken: list[int] = []
    _with_intake(store_url, scenario, woken)
    assert woken == [1]
