"""Who may ask the sandbox helpdesk, and what it does with tickets."""

from typing import Any

import httpx
import pytest

from tests.fakes.sandbox_helpdesk import ANNA, TICKET, TOKEN, Desk, error

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
