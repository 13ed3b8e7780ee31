"""Comments of the sandbox helpdesk."""

from typing import Any

import pytest

from tests.fakes.sandbox_helpdesk import READ, Desk, Receiver, error, wait_for


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
