import base64
import contextlib
import hashlib
import json
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.fakes.openapi import check_webhook

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


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("helpdesk") / "db.sqlite")
    yield desk
    desk.stop()


@pytest.fixture
def desk(running: Desk) -> Desk:
    """The module's helpdesk, emptied, with desk 7 and category 12."""
    running.http.delete("/sandbox/everything").raise_for_status()
    running.http.delete("/sandbox/faults").raise_for_status()
    running.set(**DEFAULTS).raise_for_status()
    running.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    category = {"name": "Messenger", "owner": "Ewa"}
    running.http.put("/sandbox/categories/12", json=category).raise_for_status()
    return running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Start a helpdesk of the test's own, on one file however often it is started."""
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> Desk:
            desk = Desk(tmp_path / "db.sqlite", *options)
            stack.callback(lambda: desk.process.poll() is None and desk.stop(kill=True))
            desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
            return desk

        yield start


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)  # polling: the server tells nobody


def error(response: httpx.Response) -> tuple[int, str, str | None]:
    told = response.json()["error"]
    return response.status_code, told["code"], told.get("field")


# Who may ask, and how.


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}])
@pytest.mark.parametrize("path", ["/api/v1/tickets", "/api/v1/nothing", "/files/1/a.png"])
def test_a_missing_or_wrong_token_is_401(desk: Desk, path: str, headers: dict[str, str]) -> None:
    response = httpx.get(desk.url + path, headers=headers, trust_env=False)
    assert error(response) == (401, "unauthorized", None)


@pytest.mark.parametrize("content", [b"{", b"", b'{"ticket": {"title": "\xff"}}'])
def test_a_body_that_is_not_json_is_400(desk: Desk, content: bytes) -> None:
    headers = {"idempotency-key": "k", "content-type": "application/json"}
    response = desk.http.post("/api/v1/tickets", content=content, headers=headers)
    assert error(response) == (400, "bad_request", None)


def test_json_that_is_not_called_json_is_415(desk: Desk) -> None:
    response = desk.http.post("/api/v1/tickets", content=b"{}", headers={"idempotency-key": "k"})
    assert response.status_code == 415


@pytest.mark.parametrize("path", ["tickets/99", "tickets/x", "tickets/99/comments", "nothing"])
def test_what_does_not_exist_is_404(desk: Desk, path: str) -> None:
    assert error(desk.http.get(f"/api/v1/{path}")) == (404, "not_found", None)


def test_a_comment_that_does_not_exist_cannot_be_patched(desk: Desk) -> None:
    response = desk.http.patch("/api/v1/comments/99", json={"comment": {"body": "x"}})
    assert error(response) == (404, "not_found", None)


def test_a_method_that_is_not_offered_is_405(desk: Desk) -> None:
    response = desk.http.put("/api/v1/tickets", json={})
    assert error(response) == (405, "method_not_allowed", None)
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


# Tickets.


def test_a_ticket_is_answered_as_it_was_told(desk: Desk) -> None:
    told: dict[str, Any] = {
        "desk_id": "7",
        "category_id": "12",
        "title": "Anna",
        "body": "Hello **you**",
        "body_format": "markdown",
        "external_id": "m_1",
        "requester": {"name": "Anna", "external_id": "7623", "avatar_url": "https://example.com/a.jpg"},
        "created_at": "2026-11-22T20:15:03.5+01:00",
        "config": ANNA,
    }
    ticket = desk.ticket(**told).json()["ticket"]
    own = {"created_at": "2026-11-22T19:15:03.500000Z", "closed": False, "attachments": [], "assignee": "Ewa"}
    assert ticket == told | own | {"id": ticket["id"], "url": f"{desk.url}/tickets/{ticket['id']}"}


def test_a_ticket_can_be_read_by_its_id(desk: Desk) -> None:
    ticket = desk.ticket().json()["ticket"]
    assert desk.get(f"tickets/{ticket['id']}") == {"ticket": ticket}


def test_a_ticket_without_a_category_has_no_assignee(desk: Desk) -> None:
    assert desk.ticket().json()["ticket"]["assignee"] is None


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("ticket.colour", {"colour": "red"}),
        ("ticket.desk_id", {"desk_id": "8"}),
        ("ticket.desk_id", {"desk_id": 7}),
        ("ticket.category_id", {"category_id": "13"}),
        ("ticket.title", {"title": ""}),
        ("ticket.body", {"body": " \n"}),
        ("ticket.body", {"body": "x" * 100_001}),
        ("ticket.body", {"body": None}),
        ("ticket.body_format", {"body_format": "rtf"}),
        ("ticket.requester", {"requester": None}),
        ("ticket.requester.name", {"requester": {}}),
        ("ticket.attachment_ids", {"attachment_ids": ["99"]}),
        ("ticket.attachment_ids[0]", {"attachment_ids": [1]}),
        ("ticket.created_at", {"created_at": "2026-11-22T20:15:03"}),
        (None, {"created_at": "0001-01-01T00:00:00+01:00"}),
        ("ticket.config", {"config": []}),
        ("sender_id", {"config": {"source": "facebook_messenger", "page_id": "1001"}}),
        ("source", {"config": ANNA | {"source": "email"}}),
    ],
)
def test_a_ticket_with_a_fault_is_422_and_the_field_is_named(
    desk: Desk, field: str | None, changes: dict[str, Any]
) -> None:
    assert error(desk.ticket(**changes)) == (422, "invalid", field)
    assert desk.get("tickets") == {"tickets": []}


@pytest.mark.parametrize("name", TICKET)
def test_a_ticket_that_lacks_something_is_422_and_the_field_is_named(desk: Desk, name: str) -> None:
    ticket = {known: value for known, value in TICKET.items() if known != name}
    response = desk.create("tickets", json={"ticket": ticket})
    assert error(response) == (422, "invalid", f"ticket.{name}")


def test_a_body_of_100_000_characters_is_taken(desk: Desk) -> None:
    assert desk.ticket(body="ż" * 100_000).status_code == 201


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["closed", "other page", "later", "first"]),
        ({"limit": 1}, ["closed"]),
        ({"source": "facebook_messenger", "page_id": "1001", "sender_id": "7623"}, ["later", "first"]),
        ({"sender_id": "7623", "limit": 1}, ["other page"]),
        ({"page_id": "2002"}, ["other page"]),
        ({"source": "email"}, []),
        ({"closed": "true"}, ["closed"]),
        ({"closed": "false", "page_id": "1001"}, ["later", "first"]),
        ({"external_id": "m_1"}, ["first"]),
        ({"external_id": ""}, []),
    ],
)
def test_tickets_are_found_by_every_filter_newest_first(
    desk: Desk, query: dict[str, Any], found: list[str]
) -> None:
    desk.new_ticket(title="first", config=ANNA, external_id="m_1")
    desk.new_ticket(title="later", config=ANNA)
    desk.new_ticket(title="other page", config=ANNA | {"page_id": "2002"})
    closed = desk.new_ticket(title="closed", config=ANNA | {"page_id": "3003", "sender_id": "1"})
    desk.http.post(f"/sandbox/tickets/{closed}/close").raise_for_status()
    assert [ticket["title"] for ticket in desk.get("tickets", **query)["tickets"]] == found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sender", "1"),
        ("closed", "maybe"),
        ("closed", "null"),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "many"),
    ],
)
def test_a_filter_that_is_unknown_or_wrong_is_422(desk: Desk, field: str, value: str) -> None:
    assert error(desk.http.get("/api/v1/tickets", params={field: value})) == (422, "invalid", field)


def test_a_filter_that_comes_twice_is_422(desk: Desk) -> None:
    response = desk.http.get("/api/v1/tickets", params={"sender_id": ["1", "2"]})
    assert error(response) == (422, "invalid", None)


# Comments.


def test_a_comment_is_answered_as_it_was_told(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    told: dict[str, Any] = {
        "body": "More",
        "body_format": "markdown",
        "external_id": "m_2",
        "author": {"type": "customer", "name": "Anna", "external_id": "7623"},
        "internal": True,
        "created_at": "2026-11-22T20:15:03.000000Z",
        "config": {"a": 1},
    }
    comment = desk.comment(ticket_id, **told).json()["comment"]
    author = {**comment["author"], "type": "customer", "name": "Anna", "external_id": "7623"}
    own = {"id": comment["id"], "ticket_id": ticket_id, "attachments": [], "author": author}
    assert comment == told | own
    assert isinstance(author["id"], str)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("comment.colour", {"colour": "red"}),
        ("comment.body", {"body": ""}),
        ("comment.author.type", {"author": {"type": "robot", "name": "R"}}),
        ("comment.author.name", {"author": {"type": "system"}}),
        ("comment.internal", {"internal": "false"}),
        ("comment.attachment_ids", {"attachment_ids": ["99"]}),
        ("delivery.status", {"config": {"delivery": READ | {"status": "seen"}}}),
    ],
)
def test_a_comment_with_a_fault_is_422_and_the_field_is_named(
    desk: Desk, field: str, changes: dict[str, Any]
) -> None:
    assert error(desk.comment(desk.new_ticket(), **changes)) == (422, "invalid", field)


def test_a_comment_needs_a_ticket_that_exists(desk: Desk) -> None:
    assert error(desk.comment("99")) == (404, "not_found", None)


@pytest.mark.parametrize("kind", ["customer", "agent", "system"])
def test_a_closed_ticket_takes_no_comment(desk: Desk, kind: str) -> None:
    ticket_id = desk.new_ticket()
    desk.http.post(f"/sandbox/tickets/{ticket_id}/close").raise_for_status()
    response = desk.comment(ticket_id, author={"type": kind, "name": "X"}, internal=kind == "system")
    assert error(response) == (409, "ticket_closed", None)
    assert desk.bodies(ticket_id) == []


def test_an_agent_answers_and_closes_in_one_step(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url)
    ticket_id = desk.new_ticket()
    desk.agent(ticket_id, body="Bye", close=True).raise_for_status()
    wait_for(lambda: len(receiver.taken) == 2)
    told = [(event["type"], event["data"]["ticket"]["closed"]) for event in receiver.events()]
    assert told == [("ticket.closed", True), ("comment.created", True)]
    assert desk.get(f"tickets/{ticket_id}")["ticket"]["closed"]


def test_a_merged_ticket_is_closed_and_its_comments_are_where_it_went(desk: Desk) -> None:
    merged, left = desk.new_ticket(), desk.new_ticket()
    desk.comment(merged, external_id="m_1").raise_for_status()
    desk.http.post(f"/sandbox/tickets/{merged}/merge", json={"into": left}).raise_for_status()
    assert desk.comment(merged).status_code == 409
    assert desk.bodies(left) == desk.bodies(merged) == ["More"]
    assert desk.bodies(merged, external_id="m_1") == ["More"]


def test_a_forbidden_ticket_is_not_shown_to_the_token(desk: Desk) -> None:
    hidden, shown = desk.new_ticket(), desk.new_ticket()
    desk.set(forbidden=[hidden]).raise_for_status()
    answers = [
        desk.http.get(f"/api/v1/tickets/{hidden}"),
        desk.http.get(f"/api/v1/tickets/{hidden}/comments"),
        desk.comment(hidden),
    ]
    found = [ticket["id"] for ticket in desk.get("tickets", limit=1)["tickets"]]
    every = {ticket["id"] for ticket in desk.http.get("/sandbox/tickets").json()["tickets"]}
    desk.set(forbidden=[]).raise_for_status()
    assert [one.status_code for one in answers] == [403, 403, 403]
    assert found == [shown]
    assert {hidden, shown} <= every


def test_a_reopened_ticket_takes_comments_again(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    desk.http.post(f"/sandbox/tickets/{ticket_id}/close").raise_for_status()
    assert desk.comment(ticket_id, "k").status_code == 409
    desk.http.post(f"/sandbox/tickets/{ticket_id}/reopen").raise_for_status()
    assert desk.comment(ticket_id, "k").status_code == 201


def test_comments_come_in_the_order_they_were_added(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    for body, hour in [("one", 12), ("two", 10), ("three", 11)]:
        desk.comment(ticket_id, body=body, created_at=f"2026-11-22T{hour}:00:00Z")
    assert desk.bodies(ticket_id) == ["one", "two", "three"]


def test_comments_are_found_by_external_id_in_their_own_ticket(desk: Desk) -> None:
    ticket_id, other = desk.new_ticket(), desk.new_ticket()
    desk.comment(ticket_id, body="one", external_id="m_1")
    desk.comment(ticket_id, body="two", external_id="m_2")
    desk.comment(other, body="other", external_id="m_1")
    assert desk.bodies(ticket_id, external_id="m_1") == ["one"]


def test_comments_after_a_moment_are_strictly_later(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    for second in (1, 2, 3):
        desk.comment(ticket_id, body=str(second), created_at=f"2026-11-22T20:00:0{second}Z")
    assert desk.bodies(ticket_id, after="2026-11-22T20:00:02Z") == ["3"]
    assert desk.bodies(ticket_id, after="2026-11-22T21:00:01.9+01:00") == ["2", "3"]


@pytest.mark.parametrize(
    ("field", "value"), [("before", "x"), ("after", "1795383000"), ("after", "2026-11-22")]
)
def test_a_comment_filter_that_is_unknown_or_wrong_is_422(desk: Desk, field: str, value: str) -> None:
    response = desk.http.get(f"/api/v1/tickets/{desk.new_ticket()}/comments", params={field: value})
    assert error(response) == (422, "invalid", field)


def test_a_patch_merges_the_top_level_of_config(desk: Desk) -> None:
    config = {"source": "facebook_messenger", "delivery": {"status": "sent", "message_ids": ["m_1", "m_2"]}}
    comment = desk.comment(desk.new_ticket(), config=config).json()["comment"]
    changes = {"delivery": {"status": "read", "message_ids": ["m_1"]}}
    patch = {"comment": {"config": changes}}
    patched = desk.http.patch(f"/api/v1/comments/{comment['id']}", json=patch).json()["comment"]
    assert patched == comment | {"config": config | changes}


def test_a_patch_replaces_the_body_for_good(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    comment = desk.comment(ticket_id, config={"a": 1}).json()["comment"]
    desk.http.patch(f"/api/v1/comments/{comment['id']}", json={"comment": {"body": "New"}}).raise_for_status()
    assert desk.get(f"tickets/{ticket_id}/comments") == {"comments": [comment | {"body": "New"}]}


@pytest.mark.parametrize("patch", [{"body": None}, {"body": ""}, {"config": None}, {"internal": True}])
def test_a_patch_with_a_fault_is_422(desk: Desk, patch: dict[str, Any]) -> None:
    comment = desk.comment(desk.new_ticket()).json()["comment"]
    response = desk.http.patch(f"/api/v1/comments/{comment['id']}", json={"comment": patch})
    assert error(response) == (422, "invalid", f"comment.{next(iter(patch))}")


# Attachments.


def test_an_attachment_comes_back_byte_for_byte(desk: Desk) -> None:
    attachment = desk.upload(name="zdjęcie 1/ą.png").json()["attachment"]
    assert attachment["url"].startswith(f"{desk.url}/files/{attachment['id']}/zdj%C4%99cie%201%2F")
    response = desk.http.get(attachment["url"])
    assert (response.content, response.headers["content-type"]) == (PNG, "image/png")


def test_an_attachment_tells_its_name_type_and_size(desk: Desk) -> None:
    attachment = desk.upload().json()["attachment"]
    url = f"{desk.url}/files/{attachment['id']}/a.png"
    assert attachment == {
        "id": attachment["id"],
        "url": url,
        "filename": "a.png",
        "content_type": "image/png",
        "size": len(PNG),
    }


def test_a_large_attachment_comes_back(desk: Desk) -> None:
    content = bytes(range(256)) * 40_000
    url = desk.upload(content=content).json()["attachment"]["url"]
    assert hashlib.sha256(desk.http.get(url).content).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    "request_",
    [
        {"files": {"picture": ("a.png", PNG)}},
        {"files": [("file", ("a.png", PNG)), ("file", ("b.png", PNG))]},
        {"data": {"file": "text"}},
        {"content": b"x"},
    ],
)
def test_an_upload_is_one_part_named_file(desk: Desk, request_: dict[str, Any]) -> None:
    assert error(desk.create("attachments", **request_)) == (422, "invalid", "file")


def test_attachments_are_listed_in_the_order_they_were_given(desk: Desk) -> None:
    first, second = (desk.upload(name=name).json()["attachment"] for name in ("a.png", "b.png"))
    ticket = desk.ticket(attachment_ids=[second["id"], first["id"]]).json()["ticket"]
    assert ticket["attachments"] == [second, first]


def test_an_attachment_is_used_once(desk: Desk) -> None:
    attachment_id = desk.upload().json()["attachment"]["id"]
    ticket_id = desk.new_ticket(attachment_ids=[attachment_id])
    response = desk.comment(ticket_id, attachment_ids=[attachment_id])
    assert error(response) == (422, "invalid", "comment.attachment_ids")


def test_an_attachment_named_twice_is_refused_and_stays_free(desk: Desk) -> None:
    attachment_id = desk.upload().json()["attachment"]["id"]
    assert desk.ticket(attachment_ids=[attachment_id, attachment_id]).status_code == 422
    assert desk.ticket(attachment_ids=[attachment_id]).status_code == 201


# Idempotency.


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": ""}, {"idempotency-key": "two words"}])
@pytest.mark.parametrize("path", ["tickets", "tickets/1/comments", "attachments"])
def test_a_create_without_a_proper_key_is_400(desk: Desk, path: str, headers: dict[str, str]) -> None:
    response = desk.http.post(f"/api/v1/{path}", json={}, headers=headers)
    assert error(response) == (400, "bad_request", "Idempotency-Key")


def test_a_repeat_with_the_same_key_answers_the_first_result(desk: Desk) -> None:
    attachment_id = desk.upload().json()["attachment"]["id"]
    first, repeat = (desk.ticket("k", attachment_ids=[attachment_id]) for _ in range(2))
    assert (repeat.status_code, repeat.content) == (201, first.content)
    assert len(desk.get("tickets")["tickets"]) == 1


def test_only_a_repeat_is_marked_as_replayed(desk: Desk) -> None:
    first, repeat = desk.ticket("k"), desk.ticket("k")
    assert "idempotency-replayed" not in first.headers
    assert repeat.headers["idempotency-replayed"] == "true"


def test_a_repeated_comment_is_added_once_even_when_the_ticket_has_closed_since(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    first = desk.comment(ticket_id, "k")
    desk.http.post(f"/sandbox/tickets/{ticket_id}/close").raise_for_status()
    assert desk.comment(ticket_id, "k").content == first.content
    assert desk.bodies(ticket_id) == ["More"]


def test_a_repeated_upload_answers_the_first_attachment(desk: Desk) -> None:
    assert desk.upload("k").json() == desk.upload("k").json()


def test_a_key_belongs_to_one_endpoint(desk: Desk) -> None:
    ticket = desk.ticket("k").json()["ticket"]
    assert "idempotency-replayed" not in desk.comment(ticket["id"], "k").headers


def test_a_key_with_another_body_is_422(desk: Desk) -> None:
    desk.ticket("k")
    assert error(desk.ticket("k", title="Other")) == (422, "invalid", "Idempotency-Key")


def test_a_key_with_another_ticket_is_422(desk: Desk) -> None:
    desk.comment(desk.new_ticket(), "k")
    assert error(desk.comment(desk.new_ticket(), "k")) == (422, "invalid", "Idempotency-Key")


def test_a_refused_create_leaves_its_key_free(desk: Desk) -> None:
    assert desk.ticket("k", desk_id="8").status_code == 422
    assert desk.ticket("k").status_code == 201


def test_a_key_whose_request_is_still_coming_in_is_409(desk: Desk) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def slow_body() -> Iterator[bytes]:
        yield b'{"ticket": '
        arrived.set()
        assert go_on.wait(10)
        yield b"{}}"

    def send_slowly() -> int:
        headers = {"idempotency-key": "k", "content-type": "application/json"}
        with desk.client() as client:
            return client.post("/api/v1/tickets", content=slow_body(), headers=headers).status_code

    with ThreadPoolExecutor() as pool:
        slow = pool.submit(send_slowly)
        assert arrived.wait(10)
        # The slow one's head may still be on its way. A request without a body is refused on the spot,
        # so it cannot itself hold the key when the slow one comes.
        wait_for(lambda: desk.create("tickets", "k").status_code == 409)
        assert error(desk.ticket("k")) == (409, "in_progress", None)
        go_on.set()
        assert slow.result() == 422
    assert desk.ticket("k").status_code == 201


def test_a_helpdesk_that_does_not_honour_keys_creates_again(desk: Desk) -> None:
    desk.set(honour_idempotency=False)
    ticket_id = desk.new_ticket()
    assert desk.comment(ticket_id, "k").json() != desk.comment(ticket_id, "k").json()
    assert desk.bodies(ticket_id) == ["More", "More"]


def test_one_key_from_sixteen_clients_creates_one_ticket(desk: Desk) -> None:
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: desk.ticket("k").status_code, range(64)))
    assert set(statuses) <= {201, 409}
    assert len(desk.get("tickets")["tickets"]) == 1


# Webhooks.


def test_a_comment_is_told_with_its_ticket(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url)
    ticket_id = desk.new_ticket(config=ANNA)
    file = {"filename": "a.png", "content_type": "image/png", "base64": base64.b64encode(PNG).decode()}
    comment = desk.agent(ticket_id, body="Hello **Anna**", files=[file]).json()["comment"]
    wait_for(receiver.events)
    [event] = receiver.events()
    assert event["type"] == "comment.created"
    assert event["data"] == {
        "ticket": {"id": ticket_id, "desk_id": "7", "closed": False, "config": ANNA},
        "comment": {
            "id": comment["id"],
            "body": "Hello **Anna**",
            "body_format": "markdown",
            "internal": False,
            "author": {"type": "agent", "id": comment["author"]["id"], "name": "Ola"},
            "attachments": comment["attachments"],
            "config": {},
            "created_at": comment["created_at"],
        },
    }


def test_every_webhook_is_as_documented(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url)
    ticket_id = desk.new_ticket()
    file = {"filename": "a.png", "content_type": "image/png", "base64": base64.b64encode(PNG).decode()}
    desk.agent(ticket_id, files=[file])
    desk.comment(ticket_id)
    for act in ("close", "reopen"):
        desk.http.post(f"/sandbox/tickets/{ticket_id}/{act}").raise_for_status()
    desk.set(webhook_config=False)
    desk.agent(ticket_id, internal=True)
    wait_for(lambda: desk.webhooks()["delivered"] == 5)
    for headers, body in receiver.taken:
        check_webhook(json.loads(body)["type"], headers, body)


def test_a_webhook_carries_a_standard_signature(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url)
    desk.agent(desk.new_ticket(), body="żółw")
    wait_for(receiver.events)
    [(headers, body)] = receiver.taken
    Webhook(SECRET).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)


def test_a_comment_that_came_over_the_api_is_told_too(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url)
    desk.comment(desk.new_ticket(), body="From Anna")
    wait_for(receiver.events)
    assert receiver.events()[0]["data"]["comment"]["author"]["type"] == "customer"


def test_closing_and_reopening_are_told_once_each(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url)
    ticket_id = desk.new_ticket()
    for act in ("close", "close", "reopen", "reopen"):
        desk.http.post(f"/sandbox/tickets/{ticket_id}/{act}").raise_for_status()
    wait_for(lambda: not desk.webhooks()["waiting"])
    told = [(event["type"], event["data"]["ticket"]["closed"]) for event in receiver.events()]
    assert told == [("ticket.closed", True), ("ticket.reopened", False)]
    assert all(set(event["data"]) == {"ticket"} for event in receiver.events())


def test_the_ticket_of_a_webhook_can_lack_its_config(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url, webhook_config=False)
    desk.agent(desk.new_ticket(config=ANNA))
    wait_for(receiver.events)
    assert set(receiver.events()[0]["data"]["ticket"]) == {"id", "desk_id", "closed"}


def test_a_webhook_is_repeated_with_the_same_id_until_it_is_taken(desk: Desk, receiver: Receiver) -> None:
    statuses = iter([500, 302, 429, 200])
    receiver.answer = lambda _: next(statuses)
    desk.set(webhook_url=receiver.url)
    desk.agent(desk.new_ticket())
    wait_for(lambda: desk.webhooks()["delivered"] == 1)
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 1
    assert desk.webhooks() == {"sent": 4, "failed_attempts": 3, "delivered": 1, "waiting": 0}


def test_each_event_has_a_webhook_id_of_its_own(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url)
    ticket_id = desk.new_ticket()
    desk.agent(ticket_id)
    desk.agent(ticket_id)
    wait_for(lambda: desk.webhooks()["delivered"] == 2)
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 2


def test_a_receiver_that_is_down_gets_its_webhook_later(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url="http://127.0.0.1:9/hook")
    desk.agent(desk.new_ticket())
    wait_for(lambda: desk.webhooks()["failed_attempts"] >= 2)
    desk.set(webhook_url=receiver.url)
    wait_for(lambda: desk.webhooks()["delivered"] == 1)


def test_the_waits_grow_as_they_are_set(desk: Desk, receiver: Receiver) -> None:
    times: list[float] = []

    def take_the_third(_: dict[str, Any]) -> int:
        times.append(time.monotonic())
        return 200 if len(times) == 3 else 503

    receiver.answer = take_the_third
    desk.set(webhook_url=receiver.url, retry_waits=[0.01, 1])
    desk.agent(desk.new_ticket())
    wait_for(lambda: desk.webhooks()["delivered"] == 1)
    assert times[1] - times[0] < 1 <= times[2] - times[1]


def test_webhooks_of_one_ticket_come_in_order_whatever_fails(desk: Desk, receiver: Receiver) -> None:
    failed: set[str] = set()

    def fail_each_once(event: dict[str, Any]) -> int:
        body = event["data"]["comment"]["body"]
        if body in failed:
            return 200
        failed.add(body)
        return 500

    receiver.answer = fail_each_once
    desk.set(webhook_url=receiver.url, retry_waits=[0.01])
    ticket_id = desk.new_ticket()
    for n in range(5):
        desk.agent(ticket_id, body=str(n))
    wait_for(lambda: desk.webhooks()["delivered"] == 5)
    assert receiver.comments() == [body for n in range(5) for body in (str(n), str(n))]


def test_a_ticket_whose_webhook_fails_does_not_hold_up_another(desk: Desk, receiver: Receiver) -> None:
    receiver.answer = lambda event: 500 if event["data"]["comment"]["body"] == "stuck" else 200
    desk.set(webhook_url=receiver.url)
    desk.agent(desk.new_ticket(), body="stuck")
    desk.agent(desk.new_ticket(), body="free")
    wait_for(lambda: desk.webhooks()["delivered"] == 1)
    assert desk.webhooks()["waiting"] == 1


def test_a_webhook_can_come_twice(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url, webhook_duplicate=1)
    desk.agent(desk.new_ticket())
    wait_for(lambda: desk.webhooks()["sent"] == 2)
    [first, second] = [headers["webhook-id"] for headers, _ in receiver.taken]
    assert first == second


def test_a_webhook_can_come_once_more_behind_newer_ones(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url, webhook_late=1, webhook_late_after=0.5)
    ticket_id = desk.new_ticket()
    for body in ("first", "second"):
        desk.agent(ticket_id, body=body)
    wait_for(lambda: desk.webhooks()["sent"] == 4)
    assert receiver.comments() == ["first", "second", "first", "second"]


def test_without_a_webhook_url_nothing_waits(desk: Desk) -> None:
    desk.agent(desk.new_ticket())
    assert desk.webhooks() == {"sent": 0, "failed_attempts": 0, "delivered": 0, "waiting": 0}


# The sandbox's own orders.


def test_a_wrong_setting_is_422_and_changes_nothing(desk: Desk) -> None:
    assert error(desk.set(webhook_duplicate=2, webhook_url="x")) == (422, "invalid", "webhook_duplicate")
    assert error(desk.set(colour="red")) == (422, "invalid", "colour")
    assert desk.set().json() == DEFAULTS | {"closed_comments": "refuse", "forbidden": []}


def test_an_agent_has_one_id_however_often_they_write(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    ids = [desk.agent(ticket_id, agent=name).json()["comment"]["author"]["id"] for name in ("A", "B", "A")]
    assert ids[0] == ids[2] != ids[1]


def test_an_agent_may_write_on_a_closed_ticket(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    desk.http.post(f"/sandbox/tickets/{ticket_id}/close").raise_for_status()
    assert desk.agent(ticket_id).status_code == 201


def test_an_agent_may_send_a_file_alone_but_not_nothing(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    file = {"filename": "a.txt", "content_type": "text/plain", "base64": "YQ=="}
    comment = desk.agent(ticket_id, body="", files=[file]).json()["comment"]
    assert desk.http.get(comment["attachments"][0]["url"]).content == b"a"
    assert error(desk.agent(ticket_id, body="")) == (422, "invalid", "body")


def test_an_agents_comment_carries_what_was_ordered(desk: Desk) -> None:
    order = {"body": "<b>x</b>", "body_format": "html", "internal": True, "config": {"a": 1}}
    comment = desk.agent(desk.new_ticket(), **order).json()["comment"]
    assert {name: comment[name] for name in order} == order


def test_everything_about_a_senders_tickets_can_be_read(desk: Desk) -> None:
    desk.new_ticket(config=ANNA | {"sender_id": "other"})
    attachment_id = desk.upload().json()["attachment"]["id"]
    ticket_id = desk.new_ticket(config=ANNA, attachment_ids=[attachment_id])
    desk.comment(ticket_id, body="one", external_id="m_1")
    desk.agent(ticket_id, body="two")
    query = {"sender_id": "7623", "page_id": "1001"}
    [ticket] = desk.http.get("/sandbox/tickets", params=query).json()["tickets"]
    assert ticket["attachments"][0]["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert [(comment["body"], comment["external_id"]) for comment in ticket["comments"]] == [
        ("one", "m_1"),
        ("two", None),
    ]


def test_an_emptied_helpdesk_gives_no_id_again(desk: Desk) -> None:
    before = desk.new_ticket()
    desk.http.delete("/sandbox/everything").raise_for_status()
    assert desk.get("tickets") == {"tickets": []}
    assert desk.ticket().status_code == 422
    desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    assert int(desk.new_ticket()) > int(before)


def test_faults_can_be_ordered(desk: Desk) -> None:
    fault = {"path": "/api/v1/tickets", "method": "POST", "status": 503, "after": True, "times": 1}
    desk.http.put("/sandbox/faults", json=[fault]).raise_for_status()
    assert desk.ticket("k").status_code == 503
    assert desk.ticket("k").headers["idempotency-replayed"] == "true"


def test_a_slow_answer_comes_after_the_work(desk: Desk) -> None:
    fault = {"path": "/api/v1/tickets", "method": "POST", "delay": 3, "after": True, "times": 1}
    desk.http.put("/sandbox/faults", json=[fault]).raise_for_status()
    with pytest.raises(httpx.ReadTimeout):
        desk.create("tickets", json={"ticket": TICKET}, timeout=0.5)
    assert len(desk.get("tickets")["tickets"]) == 1


def test_a_late_answer_is_the_servers_own(desk: Desk) -> None:
    fault = {"path": "/api/v1/tickets", "method": "POST", "delay": 0.1, "after": True, "times": 1}
    desk.http.put("/sandbox/faults", json=[fault]).raise_for_status()
    assert desk.ticket().json()["ticket"]["title"] == "Anna"


# The journal.


def test_the_journal_tells_calls_what_is_stored_and_webhooks(tmp_path: Path, receiver: Receiver) -> None:
    file = tmp_path / "journal.jsonl"
    desk = Desk(tmp_path / "db.sqlite", "--journal", str(file))
    desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    desk.set(webhook_url=receiver.url)
    desk.http.put("/sandbox/faults", json=[{"path": "/api/*", "times": 1, "status": 503}]).raise_for_status()
    for _ in range(2):
        desk.ticket("key", external_id="m_1")
    desk.agent("1")
    wait_for(lambda: desk.webhooks()["delivered"] == 1)
    desk.stop()

    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["call", "stored", "call", "stored", "webhook"]
    refused, ticket, taken, comment, webhook = lines
    assert (refused["call"], refused["key"]) == ("POST /api/v1/tickets", "key")
    assert (refused["status"], refused["fault"]) == (503, "answers 503")
    assert "m_1" in refused["body"]
    assert (ticket["ticket"], ticket["external_id"]) == ("1", "m_1")
    assert (taken["status"], taken["fault"]) == (201, None)
    assert (comment["ticket"], comment["comment"]) == ("1", "1")
    assert (webhook["type"], webhook["comment"], webhook["answer"]) == ("comment.created", "1", "204")
    assert refused["at"] <= webhook["began"] <= webhook["at"]


# The pages.


def test_a_tickets_page_shows_it_with_its_comments_and_pictures(desk: Desk) -> None:
    attachment_id = desk.upload().json()["attachment"]["id"]
    ticket = desk.ticket(attachment_ids=[attachment_id]).json()["ticket"]
    desk.comment(ticket["id"], body="See <script>", config={"delivery": READ}, internal=True)
    html = httpx.get(ticket["url"], trust_env=False).text
    assert "See &lt;script&gt;" in html
    assert "(customer, internal, read)" in html
    assert f"data:image/png;base64,{base64.b64encode(PNG).decode()}" in html


def test_a_page_names_the_files_it_does_not_show(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    desk.agent(ticket_id, files=[{"filename": "a.pdf", "content_type": "application/pdf", "base64": "YQ=="}])
    assert "a.pdf, application/pdf, 1 bytes" in desk.http.get(f"/tickets/{ticket_id}").text


def test_the_front_page_lists_tickets_newest_first(desk: Desk) -> None:
    for title in ("<one>", "two"):
        desk.new_ticket(title=title)
    html = desk.http.get("/").text
    assert html.index("Social Media") < html.index("two") < html.index("&lt;one&gt;")


# The process.


def test_it_prints_where_it_listens_and_nothing_more(start: Callable[..., Desk]) -> None:
    desk = start()
    desk.new_ticket()
    assert desk.first_line == f"The sandbox helpdesk listens on {desk.url}\n"
    assert desk.stop() == ""


def test_kill_9_loses_no_answered_create(start: Callable[..., Desk]) -> None:
    desk = start()
    answered = [desk.ticket(str(n)).content for n in range(50)]
    desk.stop(kill=True)
    desk = start()
    assert len(desk.get("tickets")["tickets"]) == 50
    first = desk.ticket("0")
    assert first.headers["idempotency-replayed"] == "true"
    assert first.content == answered[0]


def test_a_webhook_that_waits_outlives_kill_9(start: Callable[..., Desk], receiver: Receiver) -> None:
    desk = start("--webhook-url", "http://127.0.0.1:9/hook")
    desk.agent(desk.new_ticket(), body="late")
    wait_for(lambda: desk.webhooks()["failed_attempts"])
    desk.stop(kill=True)
    desk = start("--webhook-url", receiver.url)
    wait_for(lambda: desk.webhooks()["delivered"] == 1)
    assert receiver.comments() == ["late"]


def test_a_webhook_is_given_up_after_a_day(start: Callable[..., Desk], tmp_path: Path) -> None:
    desk = start("--webhook-url", "http://127.0.0.1:9/hook")
    desk.agent(desk.new_ticket())
    desk.stop(kill=True)
    with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite")) as db, db:
        db.execute("UPDATE events SET created = created - 24 * 3600")
    desk = start()
    wait_for(lambda: not desk.webhooks()["waiting"])
    assert desk.webhooks()["delivered"] == 0


def test_a_restart_keeps_the_settings_it_is_not_told(start: Callable[..., Desk]) -> None:
    desk = start("--no-honour-idempotency", "--webhook-url", "http://127.0.0.1:9/a")
    desk.stop()
    settings = start("--webhook-url", "http://127.0.0.1:9/b").set().json()
    assert (settings["honour_idempotency"], settings["webhook_url"]) == (False, "http://127.0.0.1:9/b")


def test_sixteen_clients_create_hundreds_of_comments_without_loss(desk: Desk) -> None:
    ticket_id = desk.new_ticket()

    def add(n: int) -> str:
        return str(desk.comment(ticket_id, body=str(n)).raise_for_status().json()["comment"]["body"])

    with ThreadPoolExecutor(16) as pool:
        told = set(pool.map(add, range(400)))
    assert set(desk.bodies(ticket_id)) == told == {str(n) for n in range(400)}
