"""A sandbox helpdesk in a process of its own, and a receiver of its webhooks."""

import base64
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

TOKEN = "a-token"
SECRET = f"whsec_{base64.b64encode(b'a secret of 24 bytes ...').decode()}"
DEFAULTS = {
    "webhook_url": "",
    "honour_idempotency": True,
    "webhook_duplicate": 0,
    "webhook_late": 0,
    "webhook_late_after": 0,
    "webhook_config": True,
    "retry_waits": [0.05],
    "erasures": True,
    "comment_list": True,
    "closing": True,
    "pings": True,
}
READ = {"status": "read", "message_ids": ["m_1"]}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ANNA = {"source": "facebook_messenger", "page_id": "1001", "sender_id": "7623"}
TICKET: dict[str, Any] = {
    "desk_id": "7",
    "title": "Anna",
    "body": "Hello",
    "body_format": "markdown",
    "external_id": "m_0",
    "requester": {"name": "Anna Nowak", "external_id": "7623"},
    "attachment_ids": [],
    "created_at": "2026-11-22T20:15:03Z",
    "config": ANNA,
}
COMMENT: dict[str, Any] = {
    "body": "More",
    "body_format": "markdown",
    "external_id": "m_00",
    "author": {"type": "customer", "name": "Anna Nowak", "external_id": "7623"},
    "internal": False,
    "attachment_ids": [],
    "created_at": "2026-11-22T20:15:03Z",
    "config": {},
}


class Desk:
    """A sandbox helpdesk in a process of its own, and a client of it."""

    def __init__(self, db: Path, *options: str) -> None:
        command = [sys.executable, "-m", "sandbox.helpdesk", "--port", "0", "--db", str(db)]
        secrets = ["--api-token", TOKEN, "--webhook-secret", SECRET]
        self.process = subprocess.Popen([*command, *secrets, *options], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.first_line = self.process.stdout.readline()
        assert self.first_line or self.process.communicate()[0], "it did not start"
        self.url = self.first_line.split()[-1]
        self.http = self.client()

    def client(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {TOKEN}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=20)

    def stop(self, *, kill: bool = False) -> str:
        """End it, and return what it printed after its first line."""
        self.http.close()
        self.process.kill() if kill else self.process.terminate()
        return self.process.communicate(timeout=20)[0]

    def create(self, path: str, key: str | None = None, **request: Any) -> httpx.Response:
        headers = {"idempotency-key": key or uuid.uuid4().hex}
        return self.http.post(f"/api/v1/{path}", headers=headers, **request)

    def ticket(self, key: str | None = None, **changes: Any) -> httpx.Response:
        return self.create("tickets", key, json={"ticket": TICKET | changes})

    def comment(self, ticket_id: str, key: str | None = None, **changes: Any) -> httpx.Response:
        return self.create(f"tickets/{ticket_id}/comments", key, json={"comment": COMMENT | changes})

    def upload(self, key: str | None = None, name: str = "a.png", content: bytes = PNG) -> httpx.Response:
        return self.create("attachments", key, files={"file": (name, content, "image/png")})

    def agent(self, ticket_id: str, **order: Any) -> httpx.Response:
        return self.http.post(f"/sandbox/tickets/{ticket_id}/comments", json={"body": "Hi"} | order)

    def set(self, **settings: Any) -> httpx.Response:
        return self.http.put("/sandbox/settings", json=settings)

    def get(self, path: str, **query: Any) -> Any:
        return self.http.get(f"/api/v1/{path}", params=query).raise_for_status().json()

    def new_ticket(self, **changes: Any) -> str:
        return str(self.ticket(**changes).raise_for_status().json()["ticket"]["id"])

    def bodies(self, ticket_id: str, **query: Any) -> list[str]:
        return [comment["body"] for comment in self.get(f"tickets/{ticket_id}/comments", **query)["comments"]]

    def webhooks(self) -> dict[str, int]:
        return dict(self.http.get("/sandbox/webhooks").json())


@contextmanager
def social_media_desk(folder: Path, webhook_url: str = "") -> Iterator[Desk]:
    """Give a running sandbox helpdesk with desk 7."""
    desk = Desk(folder / "db.sqlite", *(["--webhook-url", webhook_url] if webhook_url else []))
    desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    yield desk
    desk.stop()


class Receiver(ThreadingHTTPServer):
    """Takes webhooks; answers each with what `answer` returns for it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Take)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[dict[str, Any]], int] = lambda _: 204

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.taken]

    def comments(self) -> list[str]:
        return [event["data"]["comment"]["body"] for event in self.events()]


class Take(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.answer(json.loads(body)))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)  # polling: the server tells nobody


def error(response: httpx.Response) -> tuple[int, str, str | None]:
    told = response.json()["error"]
    return response.status_code, told["code"], told.get("field")
