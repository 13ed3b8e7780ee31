"""The sandbox Meta, over real HTTP: the Graph API, the media host and the webhooks it sends."""

import base64
import hashlib
import hmac
import itertools
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn

from sandbox.meta import upload as meta_upload
from sandbox.meta.app import create_app
from sandbox.meta.webhooks import signed_headers, wire_body

VERIFY_TOKEN = "verify-me"
SECRET = "0123456789abcdef0123456789abcdef"
PSID = "7623554920995436"
NUMBERS = itertools.count(1)
QUIET = {
    "seed": 1,
    "duplicate": 0,
    "duplicate_delay": [0, 0.02],
    "late": 0,
    "batch": 1,
    "shuffle": False,
    "echoes": True,
    "echo_before_response": 0,
    "receipts": True,
    "retry_waits": [0, 0.05],
    "minute": 60,
    "media_lifetime": 3600,
    "lost_after_send": None,
    "regain": 1,
}


class Receiver(ThreadingHTTPServer):
    """An app's callback, which records what comes to each path, and a host of files."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.came: dict[str, list[tuple[Any, bytes]]] = defaultdict(list)
        self.answers: dict[str, Callable[[int], int]] = {}
        self.challenge: str | None = None
        self.files: dict[str, tuple[str, bytes]] = {}
        self.gate = threading.Event()
        self.gate.set()

    def items(self, path: str) -> list[dict[str, Any]]:
        entries = [entry for _, body in list(self.came[path]) for entry in json.loads(body)["entry"]]
        return [item for entry in entries for item in entry.get("messaging", [])]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        came = self.server.came[self.path]
        came.append((self.headers, body))
        number = len(came)
        self.server.gate.wait(20)
        status_of = self.server.answers.get(self.path)
        self.answer(status_of(number) if status_of else 200, b"EVENT_RECEIVED")

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path in self.server.files:
            self.server.gate.wait(20)
            self.answer(200, self.server.files[address.path][1], self.server.files[address.path][0])
            return
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        good = query.get("hub.mode") == "subscribe" and query.get("hub.verify_token") == VERIFY_TOKEN
        challenge = self.server.challenge or query.get("hub.challenge", "")
        self.answer(200 if good else 403, challenge.encode() if good else b"no")

    def answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Say nothing."""


class Page:
    """A page connected to an app, with the calls that a test makes of both."""

    def __init__(self, http: httpx.Client, receiver: Receiver, **connection: Any) -> None:
        number = next(NUMBERS)
        self.http, self.receiver = http, receiver
        self.id, self.app_id, self.token = f"1073816793{number:05}", f"33794789755{number:05}", f"EAA{number}"
        self.path = f"/hook/{number}"
        self.app_token = f"{self.app_id}|{SECRET}"
        self.connected = self.connect(**connection)

    def connect(self, **changes: Any) -> httpx.Response:
        order = {
            "app_id": self.app_id,
            "app_secret": SECRET,
            "page_id": self.id,
            "page_name": "Sugester",
            "access_token": self.token,
            "callback_url": self.receiver.url + self.path,
            "verify_token": VERIFY_TOKEN,
        }
        return self.http.post("/sandbox/connect", json=order | changes)

    def order(self, method: str, path: str, body: Any = None, psid: str | None = PSID) -> Any:
        person = f"/people/{psid}" if psid else ""
        answer = self.http.request(method, f"/sandbox/pages/{self.id}{person}{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def writes(self, text: str | None = None, psid: str = PSID, **more: Any) -> str:
        return str(self.order("POST", "/messages", {"text": text, **more}, psid)["mid"])

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(f"/v26.0/{path}", params={"access_token": self.token, **params})

    def send(self, message: dict[str, Any] | None, psid: str = PSID, **more: Any) -> httpx.Response:
        body = {"recipient": {"id": psid}, "messaging_type": "RESPONSE", **more}
        body |= {"message": message} if message is not None else {}
        return self.http.post("/v26.0/me/messages", params={"access_token": self.token}, json=body)

    def thread(self, psid: str = PSID) -> list[dict[str, Any]]:
        thread: list[dict[str, Any]] = self.order("GET", "/messages", psid=psid)
        return thread

    def items(self) -> list[dict[str, Any]]:
        self.settle()
        return self.receiver.items(self.path)

    def settle(self) -> None:
        wait_until(lambda: self.http.get("/sandbox/webhooks").json()["waiting"] == 0)

    def behave(self, **changes: Any) -> None:
        assert self.http.put("/sandbox/behaviour", json=changes).status_code == 200

    def upload(self, kind: str, name: str, data: bytes, content_type: str) -> httpx.Response:
        form = {"message": json.dumps({"attachment": {"type": kind, "payload": {"is_reusable": True}}})}
        return self.http.post(
            f"/v26.0/{self.id}/message_attachments",
            params={"access_token": self.token},
            data=form,
            files={"filedata": (name, data, content_type)},
        )


def wait_until(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)  # polling: the server tells nobody


def fault(answer: httpx.Response) -> tuple[int, int, int | None]:
    error = answer.json()["error"]
    assert error["fbtrace_id"]
    return answer.status_code, error["code"], error.get("error_subcode")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("meta") / "journal.jsonl"


@pytest.fixture(scope="module")
def http(journal: Path) -> Iterator[httpx.Client]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(journal), log_level="warning", access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        yield client
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def page(http: httpx.Client, receiver: Receiver) -> Iterator[Page]:
    http.put("/sandbox/behaviour", json=QUIET)
    page = Page(http, receiver)
    assert page.connected.status_code == 200, page.connected.text
    yield page
    receiver.gate.set()
    receiver.answers.clear()
    receiver.challenge = None
    http.put("/sandbox/behaviour", json=QUIET)
    page.settle()


# Subscribing


def test_a_callback_that_knows_the_verify_token_is_subscribed(page: Page) -> None:
    data = {"object": "page", "callback_url": page.receiver.url + page.path, "verify_token": VERIFY_TOKEN}
    data |= {"fields": "messages", "include_values": "true", "access_token": page.app_token}
    answer = page.http.post(f"/v26.0/{page.app_id}/subscriptions", data=data)
    assert answer.json() == {"success": True}
    listed = page.http.get(f"/v26.0/{page.app_id}/subscriptions", params={"access_token": page.app_token})
    assert listed.json()["data"][0]["fields"] == [{"name": "messages", "version": "v26.0"}]


def test_a_callback_that_refuses_the_handshake_is_not_subscribed(page: Page) -> None:
    answer = page.connect(verify_token="another")
    assert fault(answer) == (400, 2200, None)
    assert "HTTP Status Code = 403" in answer.json()["error"]["message"]


def test_a_callback_that_answers_another_challenge_is_not_subscribed(page: Page) -> None:
    page.receiver.challenge = '"quoted"'
    assert fault(page.connect()) == (400, 2200, None)


def test_a_callback_that_cannot_be_reached_is_not_subscribed(page: Page) -> None:
    assert fault(page.connect(callback_url="http://127.0.0.1:1/hook")) == (400, 2200, None)


def test_the_app_subscription_wants_the_app_s_own_token(page: Page) -> None:
    url = f"/v26.0/{page.app_id}/subscriptions"
    assert fault(page.http.get(url, params={"access_token": f"{page.app_id}|wrong"})) == (400, 190, None)
    assert fault(page.http.get(url, params={"access_token": page.token})) == (400, 100, None)


def test_an_app_without_subscription_gets_no_webhook(page: Page) -> None:
    url, params = f"/v26.0/{page.app_id}/subscriptions", {"access_token": page.app_token}
    assert page.http.delete(url, params=params).json() == {"success": True}
    page.writes("hello")
    assert page.items() == []


def test_the_page_subscription_is_listed_replaced_and_deleted(page: Page) -> None:
    url, params = f"/v26.0/{page.id}/subscribed_apps", {"access_token": page.token}
    page.http.post(url, params={**params, "subscribed_fields": "messages,message_echoes"})
    (app,) = page.http.get(url, params=params).json()["data"]
    assert (app["id"], app["subscribed_fields"]) == (page.app_id, ["messages", "message_echoes"])
    assert page.http.delete(url, params=params).json() == {"success": True}
    assert page.http.get(url, params=params).json() == {"data": []}


def test_an_unknown_field_cannot_be_subscribed(page: Page) -> None:
    params = {"access_token": page.token, "subscribed_fields": "message"}
    answer = page.http.post(f"/v26.0/{page.id}/subscribed_apps", params=params)
    assert fault(answer) == (400, 100, None)


def test_only_fields_of_both_levels_are_sent(page: Page) -> None:
    params = {"access_token": page.token, "subscribed_fields": "messages,message_reads"}
    page.http.post(f"/v26.0/{page.id}/subscribed_apps", params=params)
    page.writes("hello")
    assert page.send({"text": "hi"}).status_code == 200
    assert [set(item) & {"message", "delivery", "read"} for item in page.items()] == [{"message"}, {"read"}]


# Webhooks


def test_the_body_is_escaped_and_signed_as_meta_does() -> None:
    message = {"mid": "m_TEST", "text": "äöå <b> 50% a@b/c 😀"}
    item = {
        "sender": {"id": PSID},
        "recipient": {"id": "102208592487070"},
        "timestamp": 1795382999900,
        "message": message,
    }
    entry = {"time": 1795383000123, "id": "102208592487070", "messaging": [item]}
    body = wire_body({"object": "page", "entry": [entry]})
    assert rb"\u00e4\u00f6\u00e5 \u003Cb> 50\u0025 a\u0040b\/c \ud83d\ude00" in body
    headers = signed_headers(body, SECRET)
    digest = "cf9d8bfc8b7dd33e74df7ed5eb55731e699a78137b3cfb75a4367568885ca712"
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert headers["X-Hub-Signature"] == "sha1=be78dd2262f797de78b54c2e3142699ea8a84022"


def test_what_a_person_writes_comes_signed(page: Page) -> None:
    mid = page.writes("zażółć")
    (item,) = page.items()
    assert item["message"] == {"mid": mid, "text": "zażółć"}
    assert (item["sender"], item["recipient"]) == ({"id": PSID}, {"id": page.id})
    headers, body = page.receiver.came[page.path][0]
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert (headers["User-Agent"], headers["Content-Type"]) == ("facebookexternalua", "application/json")


def test_an_id_of_a_message_looks_like_meta_s(page: Page) -> None:
    assert re.fullmatch(r"m_[\w-]{86}", page.writes("hello"))


def test_a_reply_a_quick_reply_and_a_sticker_come_with_their_keys(page: Page) -> None:
    first = page.writes("one")
    page.writes("Yes", quick_reply="YES", reply_to=first)
    page.writes(sticker_id=369239263222822)
    _, answer, like = [item["message"] for item in page.items()]
    assert answer["quick_reply"] == {"payload": "YES"}
    assert answer["reply_to"] == {"mid": first, "is_self_reply": True}
    assert like["attachments"][0]["type"] == "sticker"
    assert like["attachments"][0]["payload"]["sticker_id"] == 369239263222822


def test_events_of_one_thread_come_in_order(page: Page) -> None:
    people = [str(10**15 + number) for number in range(20)]
    for psid in people:
        page.order("POST", "/messages:batch", [{"text": str(number)} for number in range(10)], psid)
    items = page.items()
    for psid in people:
        texts = [item["message"]["text"] for item in items if item["sender"]["id"] == psid]
        assert texts == [str(number) for number in range(10)]


def test_threads_are_sent_beside_each_other(page: Page) -> None:
    page.receiver.gate.clear()
    for number in range(40):
        page.writes("hello", psid=str(10**15 + number))
    wait_until(lambda: len(page.receiver.came[page.path]) >= 32)
    assert page.http.get("/sandbox/webhooks").json()["waiting"] == 40
    assert len(page.receiver.came[page.path]) == 32
    page.receiver.gate.set()
    assert len(page.items()) == 40


def test_the_next_event_of_a_thread_waits_for_the_first_attempt_of_the_one_before(page: Page) -> None:
    page.receiver.gate.clear()
    page.order("POST", "/messages:batch", [{"text": "1"}, {"text": "2"}])
    page.writes("other", psid="1000000000000001")
    wait_until(lambda: len(page.receiver.came[page.path]) == 2)
    texts = {item["message"]["text"] for item in page.receiver.items(page.path)}
    page.receiver.gate.set()
    assert texts == {"1", "other"}


def test_several_threads_may_share_a_body(page: Page) -> None:
    page.behave(batch=5, shuffle=True)
    page.receiver.gate.clear()
    for number in range(60):
        page.writes("hello", psid=str(10**15 + number))
    page.receiver.gate.set()
    assert len({item["sender"]["id"] for item in page.items()}) == 60
    sizes = [len(json.loads(body)["entry"]) for _, body in page.receiver.came[page.path]]
    assert max(sizes) == 5


def test_a_failed_webhook_comes_again_and_may_be_overtaken(page: Page) -> None:
    page.receiver.answers[page.path] = lambda number: 500 if number == 1 else 200
    page.behave(retry_waits=[0.2])
    page.order("POST", "/messages:batch", [{"text": "1"}, {"text": "2"}])
    assert [item["message"]["text"] for item in page.items()] == ["1", "2", "1"]


def test_a_success_other_than_200_is_none(page: Page) -> None:
    page.receiver.answers[page.path] = lambda number: 202 if number == 1 else 200
    page.writes("hello")
    assert len(page.items()) == 2


def test_an_answer_after_five_seconds_is_none(page: Page) -> None:
    before = page.http.get("/sandbox/webhooks").json()["failed_attempts"]
    page.receiver.gate.clear()
    page.writes("hello")
    wait_until(lambda: page.http.get("/sandbox/webhooks").json()["failed_attempts"] > before)
    page.receiver.gate.set()
    assert len(page.items()) >= 2


def test_a_page_whose_webhooks_keep_failing_is_unsubscribed_after_an_alert(page: Page) -> None:
    page.receiver.answers[page.path] = lambda _: 503
    page.behave(minute=0.01)
    page.writes("hello")
    wait_until(lambda: page.get(f"{page.id}/subscribed_apps").json() == {"data": []})
    page.settle()
    webhooks = page.http.get("/sandbox/webhooks").json()
    (alert,) = [alert for alert in webhooks["alerts"] if alert["page_id"] == page.id]
    (end,) = [end for end in webhooks["unsubscribed"] if end["page_id"] == page.id]
    assert alert["at"] < end["at"]


def test_a_success_ends_the_outage(page: Page) -> None:
    page.receiver.answers[page.path] = lambda number: 503 if number % 2 else 200
    page.behave(minute=0.02, retry_waits=[0])
    unsubscribed_at = time.monotonic() + 60 * 0.02 + 0.1
    while time.monotonic() < unsubscribed_at:
        page.writes("hello")
        page.settle()
    assert page.get(f"{page.id}/subscribed_apps").json()["data"]


def test_a_duplicate_is_the_same_event_again(page: Page) -> None:
    page.behave(duplicate=1)
    mid = page.writes("hello")
    assert [item["message"]["mid"] for item in page.items()] == [mid, mid]


def test_a_late_copy_comes_behind_newer_events(page: Page) -> None:
    page.behave(late=1)
    page.order("POST", "/messages:batch", [{"text": "1"}, {"text": "2"}])
    assert [item["message"]["text"] for item in page.items()][:2] == ["1", "2"]
    assert sorted(item["message"]["text"] for item in page.items()) == ["1", "1", "2", "2"]


def test_raw_events_are_sent_as_they_are_and_open_the_window(page: Page) -> None:
    item = {
        "sender": {"id": PSID},
        "recipient": {"id": page.id},
        "timestamp": 1,
        "postback": {"payload": "GO"},
    }
    odd = {"sender": {"id": PSID}, "recipient": {"id": page.id}, "never_seen": {}}
    page.order("POST", "/events", {"items": [item, odd]}, psid=None)
    assert page.items() == [item, odd]
    assert page.send({"text": "hi"}).status_code == 200


def test_events_stand_by_while_another_app_owns_the_thread(page: Page) -> None:
    page.writes("one")
    page.order("PUT", "/thread_owner", {"app_id": "263902037430900"})
    page.writes("two")
    page.settle()
    entries = [json.loads(body)["entry"][0] for _, body in page.receiver.came[page.path]]
    assert [sorted(set(entry) - {"id", "time"}) for entry in entries] == [["messaging"], ["standby"]]


# Sending


def test_a_sent_message_is_echoed_delivered_and_read(page: Page) -> None:
    page.writes("hello")
    answer = page.send({"text": "hi", "metadata": "981.1"}).json()
    assert answer["recipient_id"] == PSID
    _, echo, delivery, read = page.items()
    assert (echo["sender"], echo["recipient"]) == ({"id": page.id}, {"id": PSID})
    assert echo["message"] == {
        "mid": answer["message_id"],
        "is_echo": True,
        "app_id": int(page.app_id),
        "metadata": "981.1",
        "text": "hi",
    }
    assert delivery["delivery"] == {"mids": [answer["message_id"]], "watermark": echo["timestamp"]}
    assert read["read"] == {"watermark": echo["timestamp"]}


def test_echoes_and_receipts_can_be_off(page: Page) -> None:
    page.writes("hello")
    page.behave(echoes=False, receipts=False)
    page.send({"text": "hi"})
    assert len(page.items()) == 1


def test_an_echo_may_overtake_the_answer(page: Page) -> None:
    page.writes("hello")
    page.settle()
    page.behave(echo_before_response=1)
    answer = page.send({"text": "hi"}).json()
    assert page.receiver.items(page.path)[1]["message"]["mid"] == answer["message_id"]


def test_a_message_may_be_sent_although_the_answer_is_an_error(page: Page) -> None:
    page.writes("hello")
    page.behave(lost_after_send={"every": 1})
    assert fault(page.send({"text": "hi"})) == (500, 1, 1357046)
    assert [message.get("text") for message in page.thread()] == ["hello", "hi"]
    assert "message" in page.items()[1]


def test_what_an_agent_writes_in_meta_s_inbox_is_echoed_without_metadata(page: Page) -> None:
    page.writes("hello")
    mid = page.order("POST", "/inbox", {"psid": PSID, "text": "from the inbox"}, psid=None)["mid"]
    echo = page.items()[1]["message"]
    assert echo == {"mid": mid, "is_echo": True, "app_id": 263902037430900, "text": "from the inbox"}


def test_a_form_brings_objects_as_json_text(page: Page) -> None:
    page.writes("hello")
    form = {"recipient": json.dumps({"id": PSID}), "message": json.dumps({"text": "hi"})}
    headers = {"Authorization": f"Bearer {page.token}"}
    answer = page.http.post(f"/v26.0/{page.id}/messages", data=form, headers=headers)
    assert answer.json()["recipient_id"] == PSID


@pytest.mark.parametrize(
    ("message", "more", "expected"),
    [
        ({"text": "x" * 2001}, {}, (400, 100, None)),
        ({"text": "😀" * 1001}, {}, (400, 100, None)),
        ({"text": "hi", "metadata": "x" * 1000}, {}, (400, 100, None)),
        ({"text": "hi", "attachment": {"type": "image", "payload": {}}}, {}, (400, 100, None)),
        ({}, {}, (400, 100, 2018034)),
        ({"attachment": {"type": "file", "payload": {}}}, {}, (400, 100, 2018034)),
        ({"attachment": {"type": "card", "payload": {}}}, {}, (400, 100, None)),
        ({"attachment": {"type": "file", "payload": {"attachment_id": "1"}}}, {}, (400, 100, 2018074)),
        ({"attachments": [{"type": "file", "payload": {}}]}, {}, (400, 100, None)),
        ({"attachments": [{"type": "image", "payload": {}}] * 31}, {}, (400, 100, None)),
        (None, {}, (400, 100, None)),
        ("hi", {}, (400, 100, None)),
        ({"text": "hi"}, {"recipient": {}}, (400, 100, None)),
        ({"text": "hi"}, {"recipient": {"id": "404"}}, (400, 100, 2018001)),
        ({"text": "hi"}, {"messaging_type": "ANSWER"}, (400, 100, None)),
        ({"text": "hi"}, {"messaging_type": "MESSAGE_TAG"}, (400, 100, None)),
        ({"text": "hi"}, {"messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"}, (400, 100, 1893061)),
        ({"text": "hi"}, {"messaging_type": "MESSAGE_TAG", "tag": "HELLO"}, (400, 100, None)),
        ({"text": "hi"}, {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}, (403, 10, None)),
        ({"text": "hi"}, {"tag": "HUMAN_AGENT"}, (400, 100, None)),
        ({"text": "hi"}, {"sender_action": "typing_on"}, (400, 100, 2018014)),
        (None, {"sender_action": "dance"}, (400, 100, None)),
        ({"text": "hi"}, {"reply_to": {"mid": "m_x"}}, (400, 100, None)),
    ],
)
def test_a_wrong_message_is_refused(page: Page, message: Any, more: Any, expected: Any) -> None:
    page.writes("hello")
    assert fault(page.send(message, **more)) == expected
    assert len(page.thread()) == 1


def test_a_text_of_2000_utf_16_units_is_sent(page: Page) -> None:
    page.writes("hello")
    assert page.send({"text": "😀" * 1000}).status_code == 200


def test_a_sender_action_is_answered_with_the_recipient_alone(page: Page) -> None:
    page.writes("hello")
    assert page.send(None, sender_action="typing_on").json() == {"recipient_id": PSID}


def test_a_reply_to_a_message_is_echoed_so(page: Page) -> None:
    mid = page.writes("hello")
    page.send({"text": "hi"}, reply_to={"mid": mid})
    assert page.items()[1]["message"]["reply_to"] == {"mid": mid}


def test_a_message_outside_the_window_is_refused_with_meta_s_words(page: Page) -> None:
    page.writes("hello")
    page.order("POST", "/age", {"hours": 24.1})
    answer = page.send({"text": "hi"})
    assert fault(answer) == (400, 10, 2018278)
    assert answer.json()["error"]["message"].startswith(
        "(#10) This message is sent outside of allowed window."
    )
    assert answer.json()["error"]["type"] == "OAuthException"


def test_a_person_who_never_wrote_cannot_be_written_to(page: Page) -> None:
    page.order("PUT", "", {"first_name": "Anna"})
    assert fault(page.send({"text": "hi"})) == (400, 10, 2018278)


def test_a_human_agent_may_answer_for_seven_days(page: Page) -> None:
    app = {"app_secret": SECRET, "human_agent": True}
    page.http.put(f"/sandbox/apps/{page.app_id}", json=app)
    page.writes("hello")
    page.order("POST", "/age", {"hours": 24 * 6.9})
    tagged = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    assert page.send({"text": "sorry for the wait"}, **tagged).status_code == 200
    assert (page.thread()[1]["messaging_type"], page.thread()[1]["tag"]) == ("MESSAGE_TAG", "HUMAN_AGENT")
    page.order("POST", "/age", {"hours": 24 * 0.2})
    assert fault(page.send({"text": "too late"}, **tagged)) == (400, 10, 2018278)


def test_another_app_s_thread_cannot_be_written_to(page: Page) -> None:
    page.writes("hello")
    page.order("PUT", "/thread_owner", {"app_id": "263902037430900"})
    assert fault(page.send({"text": "hi"})) == (400, 10, 2018300)
    page.order("PUT", "/thread_owner", {"app_id": None})
    assert page.send({"text": "hi"}).status_code == 200


def test_media_are_limited_to_ten_a_second(page: Page) -> None:
    page.writes("hello")
    attachment_id = page.upload("image", "a.png", b"png", "image/png").json()["attachment_id"]
    message = {"attachment": {"type": "image", "payload": {"attachment_id": attachment_id}}}
    answers = [page.send(message) for _ in range(11)]
    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    assert fault(answers[10]) == (400, 613, None)
    (usage,) = json.loads(answers[10].headers["X-Business-Use-Case-Usage"])[page.id]
    assert (usage["type"], usage["call_count"]) == ("messenger", 100)


def test_another_page_s_path_is_refused(page: Page) -> None:
    answer = page.http.post("/v26.0/999/messages", json={"access_token": page.token})
    assert fault(answer) == (400, 100, 33)


def test_a_path_without_version_is_refused(page: Page) -> None:
    assert fault(page.http.get("/graph/me")) == (400, 2500, None)


# Tokens


def test_a_call_without_token_is_refused(page: Page) -> None:
    assert fault(page.http.get("/v26.0/me")) == (400, 104, None)


def test_an_unknown_token_is_refused(page: Page) -> None:
    assert fault(page.get("me", access_token="EAAwrong")) == (400, 190, None)


def test_a_token_that_was_replaced_is_refused(page: Page) -> None:
    new = {"name": "Sugester", "access_token": page.token + "new", "app_id": page.app_id}
    page.order("PUT", "", new, psid=None)
    assert fault(page.get("me")) == (400, 190, 460)


def test_an_app_may_require_the_proof_of_its_secret(page: Page) -> None:
    page.http.put(f"/sandbox/apps/{page.app_id}", json={"app_secret": SECRET, "require_proof": True})
    proof = hmac.new(SECRET.encode(), page.token.encode(), hashlib.sha256).hexdigest()
    assert page.get("me", appsecret_proof=proof).json() == {"id": page.id, "name": "Sugester"}
    missing = page.get("me")
    assert fault(missing) == (400, 100, None)
    assert "require an appsecret_proof" in missing.json()["error"]["message"]


def test_a_wrong_proof_is_refused_always(page: Page) -> None:
    answer = page.get("me", appsecret_proof="0" * 64)
    assert fault(answer) == (400, 100, None)
    assert answer.json()["error"]["type"] == "GraphMethodException"


def test_debug_token_tells_a_good_token_from_a_revoked_one(page: Page) -> None:
    def debug() -> Any:
        params = {"input_token": page.token, "access_token": page.app_token}
        return page.http.get("/v26.0/debug_token", params=params).json()["data"]

    assert (debug()["is_valid"], debug()["profile_id"], debug()["expires_at"]) == (True, page.id, 0)
    new = {"name": "Sugester", "access_token": page.token + "new", "app_id": page.app_id}
    page.order("PUT", "", new, psid=None)
    assert (debug()["is_valid"], debug()["error"]["subcode"]) == (False, 460)


def test_debug_token_tells_an_unknown_token_with_status_200(page: Page) -> None:
    params = {"input_token": "EAAwrong", "access_token": page.app_token}
    answer = page.http.get("/v26.0/debug_token", params=params)
    assert (answer.status_code, answer.json()["data"]["is_valid"]) == (200, False)


# Files


def test_a_photo_a_person_sends_is_on_the_media_host_until_its_url_expires(page: Page) -> None:
    photo = {"filename": "a b.jpg", "content_type": "image/jpeg", "base64": base64.b64encode(b"jpg").decode()}
    page.writes(files=[photo])
    (item,) = page.items()
    (attachment,) = item["message"]["attachments"]
    url = attachment["payload"]["url"]
    assert attachment["type"] == "image"
    assert re.search(r"/v/t1\.15752-9/\d+_n\.jpg\?_nc_cat=1&oh=03_\w+&oe=[0-9A-F]+$", url)
    answer = page.http.get(url)
    assert (answer.content, answer.headers["content-type"]) == (b"jpg", "image/jpeg")
    page.behave(media_lifetime=0)
    expired = page.http.get(page.thread()[0]["attachments"][0]["url"])
    assert (expired.status_code, expired.text) == (403, "URL signature expired")


def test_a_url_that_was_tampered_with_is_refused(page: Page) -> None:
    photo = {"filename": "a.jpg", "content_type": "image/jpeg", "base64": ""}
    page.writes(files=[photo])
    url = page.thread()[0]["attachments"][0]["url"]
    assert page.http.get(re.sub("oe=.*", "oe=FFFFFFFF", url)).status_code == 403
    assert page.http.get("/media/v/t1.15752-9/1_n.jpg").status_code == 403


def test_a_file_keeps_its_name_and_a_voice_clip_does_not(page: Page) -> None:
    files = [
        {"filename": "faktura ż.pdf", "content_type": "application/pdf", "base64": "cGRm"},
        {"filename": "rec.mp4", "content_type": "audio/mp4", "base64": "bXA0"},
        {"filename": "film.mov", "content_type": "video/quicktime", "base64": "bW92"},
    ]
    page.writes(files=files)
    shown = page.thread()[0]["attachments"]
    assert [item["type"] for item in shown] == ["file", "audio", "video"]
    document, clip, film = [item["url"] for item in shown]
    assert re.search(r"/v/t59\.2708-21/\d+\.pdf/faktura%20%C5%BC\.pdf\?.*&dl=1$", document)
    assert re.search(r"/audioclip-\d+\.mp4\?", clip)
    assert re.search(r"/v/t42\.3356-2/\d+\.mov/video-\d+\.mov\?", film)
    assert "attachment" in page.http.get(document).headers["content-disposition"]


def test_a_file_is_sent_with_the_call(page: Page) -> None:
    page.writes("hello")
    message = {"attachment": {"type": "file", "payload": {}}}
    answer = page.http.post(
        "/v26.0/me/messages",
        params={"access_token": page.token},
        data={"recipient": json.dumps({"id": PSID}), "message": json.dumps(message)},
        files={"filedata": ("invoice.pdf", b"%PDF", "application/pdf")},
    )
    assert answer.status_code == 200
    (sent,) = page.thread()[1]["attachments"]
    digest = hashlib.sha256(b"%PDF").hexdigest()
    assert (sent["filename"], sent["content_type"], sent["size"]) == ("invoice.pdf", "application/pdf", 4)
    assert (sent["type"], sent["sha256"]) == ("file", digest)
    echo = page.items()[1]["message"]
    assert page.http.get(echo["attachments"][0]["payload"]["url"]).content == b"%PDF"


def test_a_file_is_fetched_from_its_url_and_saved_when_reusable(page: Page) -> None:
    page.writes("hello")
    page.receiver.files["/files/a%20b.png"] = ("image/png", b"png")
    payload = {"url": page.receiver.url + "/files/a%20b.png", "is_reusable": True}
    saved = page.send({"attachment": {"type": "image", "payload": payload}}).json()["attachment_id"]
    page.send({"attachment": {"type": "image", "payload": {"attachment_id": saved}}})
    first, again = [message["attachments"][0] for message in page.thread()[1:]]
    assert (first["filename"], first["sha256"]) == ("a b.png", again["sha256"])


def test_an_upload_by_url_is_answered_with_an_id(page: Page) -> None:
    page.receiver.files["/files/c.mp4"] = ("audio/mp4", b"mp4")
    payload = {"url": page.receiver.url + "/files/c.mp4", "is_reusable": True}
    body = {"access_token": page.token, "message": {"attachment": {"type": "audio", "payload": payload}}}
    answer = page.http.post(f"/v26.0/{page.id}/message_attachments", json=body)
    assert re.fullmatch(r"\d{15,16}", answer.json()["attachment_id"])


def test_an_upload_without_attachment_is_refused(page: Page) -> None:
    body = {"access_token": page.token, "message": {}}
    assert fault(page.http.post("/v26.0/me/message_attachments", json=body)) == (400, 100, None)


def test_several_images_go_in_one_message(page: Page) -> None:
    page.writes("hello")
    page.receiver.files["/files/a.png"] = ("image/png", b"png")
    image = {"type": "image", "payload": {"url": page.receiver.url + "/files/a.png"}}
    page.send({"attachments": [image, image]})
    assert len(page.items()[1]["message"]["attachments"]) == 2


def test_another_page_s_attachment_cannot_be_sent(page: Page) -> None:
    saved = page.upload("image", "a.png", b"png", "image/png").json()["attachment_id"]
    other = Page(page.http, page.receiver)
    other.writes("hello")
    message = {"attachment": {"type": "image", "payload": {"attachment_id": saved}}}
    assert fault(other.send(message)) == (400, 100, 2018074)


def test_a_saved_attachment_expires(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.writes("hello")
    saved = page.upload("image", "a.png", b"png", "image/png").json()["attachment_id"]
    monkeypatch.setattr(meta_upload, "ASSET_LIFETIME", -1)
    message = {"attachment": {"type": "image", "payload": {"attachment_id": saved}}}
    assert fault(page.send(message)) == (400, 100, 2018074)


def test_a_url_that_cannot_be_fetched_is_refused(page: Page) -> None:
    page.writes("hello")
    for url in (page.receiver.url + "/files/missing.png", "http://127.0.0.1:1/a.png", "nonsense"):
        message = {"attachment": {"type": "image", "payload": {"url": url}}}
        assert fault(page.send(message)) == (400, 100, 2018008)


@pytest.mark.parametrize(
    ("kind", "content_type", "subcode"), [("file", "text/plain", 2018008), ("video", "video/mp4", 2018294)]
)
def test_a_url_that_answers_too_late_is_refused(
    page: Page, monkeypatch: pytest.MonkeyPatch, kind: str, content_type: str, subcode: int
) -> None:
    page.writes("hello")
    page.settle()
    monkeypatch.setattr(meta_upload, "FETCH_TIMEOUT", 0.1)
    monkeypatch.setattr(meta_upload, "VIDEO_FETCH_TIMEOUT", 0.1)
    page.receiver.files["/files/slow"] = (content_type, b"slow")
    page.receiver.gate.clear()
    message = {"attachment": {"type": kind, "payload": {"url": page.receiver.url + "/files/slow"}}}
    assert fault(page.send(message)) == (400, 100, subcode)


def test_an_image_over_8_mb_is_not_fetched(page: Page) -> None:
    page.writes("hello")
    page.receiver.files["/files/big.png"] = ("image/png", bytes(8 * 2**20 + 1))
    payload = {"url": page.receiver.url + "/files/big.png"}
    assert fault(page.send({"attachment": {"type": "image", "payload": payload}})) == (400, 100, 2018008)


def test_an_upload_over_25_mb_is_refused(page: Page) -> None:
    answer = page.upload("file", "big.zip", bytes(25 * 2**20 + 1), "application/zip")
    assert fault(answer) == (400, 100, 2018109)


def test_an_upload_of_another_type_is_refused(page: Page) -> None:
    assert fault(page.upload("image", "a.pdf", b"%PDF", "application/pdf")) == (400, 100, 2018047)


# Reading


def test_a_full_profile_has_a_picture_that_expires(page: Page) -> None:
    page.order("PUT", "", {"first_name": "Anna", "last_name": "Nowak"})
    profile = page.get(PSID, fields="first_name,last_name,name,profile_pic").json()
    assert (profile["id"], profile["name"], profile["first_name"]) == (PSID, "Anna Nowak", "Anna")
    picture = page.http.get(profile["profile_pic"])
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    page.behave(media_lifetime=0)
    expired = page.http.get(page.get(PSID).json()["profile_pic"])
    assert (expired.status_code, expired.text) == (403, "URL signature expired")


def test_a_profile_may_be_an_empty_object(page: Page) -> None:
    page.order("PUT", "", {"profile": "empty"})
    answer = page.get(PSID)
    assert (answer.status_code, answer.json()) == (200, {})


def test_a_profile_may_not_be_there(page: Page) -> None:
    page.order("PUT", "", {"profile": "none"})
    answer = page.get(PSID)
    assert fault(answer) == (400, 100, 2018218)
    assert answer.json()["error"]["message"] == "(#100) No profile available for this user."


def test_a_field_of_the_profile_may_be_refused(page: Page) -> None:
    page.order("PUT", "", {"first_name": "Anna"})
    assert fault(page.get(PSID, fields="first_name,locale")) == (400, 100, 2018247)
    assert fault(page.get(PSID, fields="first_nam")) == (400, 100, None)


def test_an_unknown_person_has_no_profile(page: Page) -> None:
    assert fault(page.get("404")) == (400, 100, 33)


def test_a_conversation_is_found_by_its_person(page: Page) -> None:
    page.order("PUT", "", {"first_name": "Anna", "last_name": "Nowak"})
    page.writes("hello")
    answer = page.get(f"{page.id}/conversations", user_id=PSID, fields="participants").json()
    (conversation,) = answer["data"]
    assert conversation["id"].startswith("t_")
    assert [end["name"] for end in conversation["participants"]["data"]] == ["Anna Nowak", "Sugester"]
    node = page.get(conversation["id"], fields="snippet,messages{id,from}").json()
    assert (node["snippet"], len(node["messages"]["data"])) == ("hello", 1)


def test_conversations_come_newest_first_by_cursor(page: Page) -> None:
    for number in range(3):
        page.writes("hello", psid=str(10**15 + number), timestamp=1795382999900 + number)
    first = page.get(f"{page.id}/conversations", limit=2).json()
    after = first["paging"]["cursors"]["after"]
    second = page.get(f"{page.id}/conversations", limit=2, after=after).json()
    ids = [item["id"][-1] for item in first["data"] + second["data"]]
    assert ids == ["2", "1", "0"]
    assert "next" in first["paging"]
    assert "next" not in second["paging"]


def test_conversations_may_be_read_twice_a_second(page: Page) -> None:
    answers = [page.get(f"{page.id}/conversations") for _ in range(3)]
    assert fault(answers[2]) == (400, 80006, None)
    assert page.id in json.loads(answers[2].headers["X-Business-Use-Case-Usage"])


def test_a_cursor_that_is_none_is_refused(page: Page) -> None:
    assert fault(page.get(f"{page.id}/conversations", after="AAAA")) == (400, 100, None)


def test_only_the_20_newest_messages_are_told_in_detail(page: Page) -> None:
    mids = [page.writes(str(number)) for number in range(22)]
    fields = "id,created_time,from,message"
    listed = page.get(f"t_10{PSID}/messages", fields=fields, limit=22).json()["data"]
    assert [item["id"] for item in listed] == mids[::-1]
    assert [item.get("message") for item in listed[-3:]] == ["2", None, None]
    assert fault(page.get(mids[0])) == (400, 9000001, None)


def test_a_message_is_read_with_a_fresh_url_of_its_file(page: Page) -> None:
    mid = page.writes(files=[{"filename": "a.pdf", "content_type": "application/pdf", "base64": "cGRm"}])
    message = page.get(mid, fields="from,to,message,attachments").json()
    (file,) = message["attachments"]["data"]
    assert (file["name"], file["mime_type"], file["size"]) == ("a.pdf", "application/pdf", 3)
    assert page.http.get(file["file_url"]).content == b"pdf"
    assert (message["from"]["id"], message["to"]["data"][0]["id"]) == (PSID, page.id)


def test_photos_and_videos_are_read_each_in_their_way(page: Page) -> None:
    files = [
        {"filename": "a.jpg", "content_type": "image/jpeg", "base64": ""},
        {"filename": "a.mp4", "content_type": "video/mp4", "base64": ""},
    ]
    photo, film = page.get(page.writes(files=files), fields="attachments").json()["attachments"]["data"]
    assert "url" in photo["image_data"]
    assert "url" in film["video_data"]


def test_an_unknown_conversation_is_refused(page: Page) -> None:
    assert fault(page.get("t_404/messages")) == (400, 100, 33)


def test_the_page_tells_its_name_and_its_routing(page: Page) -> None:
    assert page.get(page.id).json() == {"id": page.id, "name": "Sugester"}
    assert page.get("me", fields="messaging_feature_status").json()["messaging_feature_status"][
        "msgr_multi_app"
    ]


# Orders


def test_the_people_of_a_page_are_listed(page: Page) -> None:
    page.writes("hello")
    people = page.order("GET", "/people", psid=None)
    assert people == [{"psid": PSID, "name": "Person 5436", "messages": 1}]


def test_a_thread_shows_raw_attachments_as_they_are(page: Page) -> None:
    place = {"type": "location", "title": "Pinned", "payload": {"coordinates": {"lat": 52.37, "long": 4.89}}}
    page.writes(attachments=[place])
    assert page.thread()[0]["attachments"] == [place]
    assert page.items()[0]["message"]["attachments"] == [place]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/sandbox/behaviour", {"dupplicate": 1}, 400),
        ("PUT", "/sandbox/behaviour", {"retry_waits": []}, 400),
        ("PUT", "/sandbox/apps/1", {}, 400),
        ("PUT", "/sandbox/pages/404", {"name": "x", "access_token": "y", "app_id": "404"}, 400),
        ("POST", "/sandbox/pages/404/events", {"items": []}, 404),
        ("GET", "/sandbox/pages/{page}/people/404/messages", None, 404),
        ("POST", "/sandbox/pages/{page}/people/{silent}/age", {"hours": 1}, 400),
    ],
)
def test_an_order_that_is_not_understood_is_refused(
    page: Page, method: str, path: str, body: Any, status: int
) -> None:
    page.order("PUT", "", {"first_name": "Silent"})
    answer = page.http.request(method, path.format(page=page.id, silent=PSID), json=body)
    assert (answer.status_code, "error" in answer.json()) == (status, True)


def test_the_journal_tells_each_attempt_of_a_webhook(page: Page, journal: Path) -> None:
    statuses = iter([503, 200])
    page.receiver.answers[page.path] = lambda _: next(statuses)
    mid = page.writes("Hello")
    page.settle()

    lines = [json.loads(line) for line in journal.read_text().splitlines() if mid in line]
    assert [(line["kind"], line["answer"]) for line in lines] == [("webhook", "503"), ("webhook", "200")]
    assert lines[0]["events"] == [{"what": "messages", "mid": mid, "psid": PSID, "metadata": None}]
    assert lines[0]["began"] <= lines[0]["at"] <= lines[1]["began"]


def test_the_journal_tells_what_a_page_sent(page: Page, journal: Path) -> None:
    page.writes("Hello")
    mid = page.send({"text": "Hi", "metadata": "connector:9:0"}).json()["message_id"]
    page.settle()

    lines = [json.loads(line) for line in journal.read_text().splitlines() if "connector:9:0" in line]
    stored, called, echoed = [line for line in lines if line["kind"] in {"call", "stored"} or line["events"]][
        :3
    ]
    assert (stored["kind"], stored["mid"], stored["psid"]) == ("stored", mid, PSID)
    assert called["call"].startswith("POST /v26.0/me/messages")
    assert echoed["events"][0]["what"] == "message_echoes"


def test_a_fault_on_order_stands_before_the_graph(page: Page) -> None:
    error = {
        "error": {"message": "(#2) Service temporarily unavailable", "type": "OAuthException", "code": 2}
    }
    page.http.put("/sandbox/faults", json=[{"path": "/v*/me", "status": 500, "body": error, "times": 1}])
    assert [page.get("me").status_code for _ in range(2)] == [500, 200]
    page.http.delete("/sandbox/faults")


def test_it_says_where_it_listens_and_stops_when_told() -> None:
    command = [sys.executable, "-m", "sandbox.meta", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert httpx.get(f"{url}/sandbox/webhooks", trust_env=False).json()["waiting"] == 0
        process.terminate()
        assert process.wait(10) in (0, -15)
