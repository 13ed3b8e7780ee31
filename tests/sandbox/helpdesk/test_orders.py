"""The sandbox helpdesk's own orders, and its journal."""

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from tests.fakes.sandbox_helpdesk import ANNA, DEFAULTS, PNG, TICKET, Desk, Receiver, error, wait_for

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
