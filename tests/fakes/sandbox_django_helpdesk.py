"""What tests ask of a real django-helpdesk, and a receiver of its webhooks."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from sandbox.django_helpdesk.host.accounts import AGENT, CONNECTOR, CUSTOM_FIELDS, IDS, QUEUES
from sandbox.django_helpdesk.server import DjangoHelpdesk
from sandbox.stack import free_port

OPEN, REOPENED, DUPLICATE = 1, 2, 5
OURS = {f"custom_{name}": f"{name} of Anna" for name in CUSTOM_FIELDS}
NOTHING = dict.fromkeys(OURS, "")
CONNECTOR_ID, AGENT_ID = IDS[CONNECTOR], IDS[AGENT]


class Receiver:
    """Takes the helpdesk's webhooks; each is sent before the request that caused it is answered."""

    def __init__(self, port: int = 0) -> None:
        self.port, self.status, self.silent = port or free_port(), 200, threading.Event()
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.silent.set()
        self.start()

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.bodies.append((self.path, body))
                receiver.silent.wait(10)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @contextmanager
    def down(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    def of(self, ticket_id: int) -> list[dict[str, Any]]:
        """Return the followups of a ticket that were told, the oldest first, each as it was told."""
        told = [
            body for path, body in self.bodies if path == "/followup" and body["ticket"]["id"] == ticket_id
        ]
        return [
            next(one for one in body["ticket"]["followup_set"] if one["id"] == body["followup_id"])
            for body in told
        ]

    def tickets(self) -> list[int]:
        """Return the ids of the new tickets that were told."""
        return [body["ticket"]["id"] for path, body in self.bodies if path == "/new"]


def new_ticket(desk: DjangoHelpdesk, **fields: Any) -> int:
    body = {"queue": QUEUES["messenger"], "title": "Anna", "description": "Hello", "priority": 3, **OURS}
    response = desk.http.post("/api/tickets/", json=body | fields)
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


def add(desk: DjangoHelpdesk, ticket: int, comment: str = "More", **fields: Any) -> httpx.Response:
    return desk.http.post(
        "/api/followups/", json={"ticket": ticket, "comment": comment, "public": True, **fields}
    )


def add_files(desk: DjangoHelpdesk, ticket: int, *names: str) -> httpx.Response:
    files = [("attachments", (name, b"bytes", "image/png")) for name in names]
    data = {"ticket": str(ticket), "comment": "A file", "public": "true"}
    return desk.http.post("/api/followups/", data=data, files=files)


def attach(desk: DjangoHelpdesk, followup: int, name: str, **fields: str) -> httpx.Response:
    data = {"followup": str(followup), **fields}
    return desk.http.post("/api/followups-attachments/", data=data, files={"file": (name, b"bytes")})


def comments(desk: DjangoHelpdesk, ticket: int) -> list[str]:
    return [one["comment"] for one in desk.ticket(ticket)["followup_set"]]


def newest(desk: DjangoHelpdesk, ticket: int) -> dict[str, Any]:
    followup: dict[str, Any] = desk.ticket(ticket)["followup_set"][-1]
    return followup


def custom_fields(ticket: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in ticket.items() if name.startswith("custom_")}
