"""Webhooks of the sandbox helpdesk."""

import base64
import json
import time
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.fakes.openapi import check_webhook
from tests.fakes.sandbox_helpdesk import ANNA, PNG, SECRET, Desk, Receiver, wait_for


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
    desk.set(webhook_url=receiver.url, webhook_late=1, webhook_late_after=1)
    ticket_id = desk.new_ticket()
    for body in ("first", "second"):
        desk.agent(ticket_id, body=body)
    wait_for(lambda: desk.webhooks()["sent"] == 4)
    assert receiver.comments()[:2] == ["first", "second"]
    # Two late ones may overtake each other: each has a connection of its own.
    assert sorted(receiver.comments()[2:]) == ["first", "second"]


def test_an_agent_who_changes_a_comment_and_deletes_it_is_told_twice(desk: Desk, receiver: Receiver) -> None:
    desk.set(webhook_url=receiver.url)
    path = f"/sandbox/comments/{desk.agent(desk.new_ticket(), body='first').json()['comment']['id']}"
    assert desk.http.patch(path, json={"body": "second"}).is_success
    assert desk.http.delete(path).is_success
    wait_for(lambda: desk.webhooks()["sent"] == 3)
    assert receiver.comments() == ["first", "second", "second"]


def test_without_a_webhook_url_nothing_waits(desk: Desk) -> None:
    desk.agent(desk.new_ticket())
    assert desk.webhooks() == {"sent": 0, "failed_attempts": 0, "delivered": 0, "waiting": 0}
