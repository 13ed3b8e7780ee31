"""A page of the sandbox Meta, and the callback of its app."""

import itertools
import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import uvicorn

from sandbox.meta.app import create_app

VERIFY_TOKEN = "verify-me"
SECRET = "0123456789abcdef0123456789abcdef"
PSID = "7623554920995436"
NUMBERS = itertools.count(1)
QUIET = {
    "seed": 1,
    "deliver": True,
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
    "code_lifetime": 600,
    "subscription_delay": 0,
    "lost_after_send": None,
    "regain": 1,
    "usage": {},
    "app_usage": None,
}


@contextmanager
def serving_meta(journal: Path | None = None) -> Iterator[str]:
    """Serve a sandbox Meta and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(create_app(journal), log_level="warning", access_log=False, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


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
