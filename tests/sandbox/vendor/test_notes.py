"""What the demo with a vendor's helpdesk writes down of calls and webhooks, and says about them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from clients.channels.meta.events import CHANNEL
from clients.errors import ClientError
from clients.helpdesk import Attachment, Customer, InvalidWebhook, Naming, WebhookNotUnderstood
from clients.http import HttpClient
from sandbox.vendor.notes import Notes
from sandbox.vendor.witness import Witness
from tests.fakes.openapi import example
from tests.fakes.vendor import SECRET


class Seen:
    """A witness before a helpdesk that always answers the same, and its notes."""

    def __init__(self, file: Path, answer: httpx.Response) -> None:
        http = HttpClient(httpx.MockTransport(lambda _: answer))
        known = {"base_url": "http://desk.test/api", "api_token": "t", "webhook_secret": SECRET}
        self.witness, self.notes = Witness(http, journal=str(file), **known), Notes(file)

    def receive(self, body: bytes, secret: str = SECRET) -> None:
        """Take a webhook that is signed with this secret."""
        now = datetime.now(UTC)
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign("msg_1", now, body.decode()),
        }
        assert self.witness.may_receive(headers, "")
        self.witness.receive(body, headers, "")


@pytest.fixture
def see(tmp_path: Path) -> Callable[[int, Any], Seen]:
    return lambda status, body: Seen(tmp_path / "calls.jsonl", httpx.Response(status, json=body))


def test_a_call_that_is_refused_is_told_with_its_answer_and_its_place(
    see: Callable[[int, Any], Seen],
) -> None:
    seen = see(422, {"error": {"code": "invalid", "field": "ticket.desk_id"}})
    with pytest.raises(ClientError):
        seen.witness.call("POST", "/tickets", json={})

    (told,) = seen.notes.failures()
    assert told.startswith("POST /tickets: 422. ")
    assert '"field":"ticket.desk_id"' in told
    assert ", createTicket" in told


def test_an_answer_that_lacks_what_the_document_requires_is_told(see: Callable[[int, Any], Seen]) -> None:
    seen = see(200, {"tickets": [example("Ticket") | {"id": 4}]})
    assert seen.witness.ticket_by_external_id("m_AbC123")

    (told,) = seen.notes.failures()
    assert "Expected `str`, got `int` - at `$.tickets[0].id`" in told
    assert seen.notes.differences() == ["findTickets: Expected `str`, got `int` - at `$.tickets[0].id`"]


def test_an_answer_as_the_document_has_it_is_not_told(see: Callable[[int, Any], Seen]) -> None:
    seen = see(200, {"comments": [example("Comment")]})
    seen.witness.comment_by_external_id("a/b", "m_DeF456")

    assert seen.notes.failures() == seen.notes.differences() == []
    (call,) = seen.notes.of("call")
    assert (call["operation"], call["status"]) == ("findComments", 200)


def test_a_ticket_that_is_changed_is_noted_by_its_operations(see: Callable[[int, Any], Seen]) -> None:
    seen = see(200, {"ticket": example("Ticket")})
    customer = Customer(CHANNEL, "1", "7", display_name="Anna")
    naming = Naming("Messenger", "Messenger: Anna", customer)
    assert seen.witness.name_requester("42", naming)

    assert [one["operation"] for one in seen.notes.of("call")] == ["getTicket", "changeTicket"]
    assert seen.notes.differences() == []


def test_a_closed_ticket_is_no_failure(see: Callable[[int, Any], Seen]) -> None:
    seen = see(409, {"error": {"code": "ticket_closed"}})
    with pytest.raises(ClientError):
        seen.witness.call("POST", "/tickets/4/comments", json={})

    assert seen.notes.failures() == []


def test_what_came_before_the_step_is_no_failure_of_it(see: Callable[[int, Any], Seen]) -> None:
    seen = see(500, {})
    with pytest.raises(ClientError):
        seen.witness.ping()
    seen.notes.begin()

    assert seen.notes.failures() == []


def test_a_file_that_cannot_be_fetched_is_told(see: Callable[[int, Any], Seen]) -> None:
    seen = see(404, {})
    file = Attachment("3", "http://desk.test/files/3", "a.png", "image/png", 1)
    with pytest.raises(ClientError), seen.witness.open_attachment(file, 10):
        pass

    (told,) = seen.notes.failures()
    assert "GET http://desk.test/files/3" in told
    assert ", getFile" in told


def test_it_says_what_became_of_webhooks(see: Callable[[int, Any], Seen]) -> None:
    seen = see(200, {})
    assert seen.notes.about_webhooks("981").startswith("no webhook came (see docs/helpdesk-api.yaml:")

    assert not seen.witness.may_receive({}, "")
    assert "refused: webhook-id, webhook-timestamp or" in seen.notes.about_webhooks("981")

    with pytest.raises(InvalidWebhook):
        seen.receive(b"{}", "whsec_" + "A" * 32)
    assert "refused: its signature is wrong" in seen.notes.about_webhooks("981")

    with pytest.raises(WebhookNotUnderstood):
        seen.receive(b'{"type": "comment.created", "data": {}}')
    assert "refused: its body is not understood" in seen.notes.about_webhooks("981")

    seen.receive(b'{"type": "ticket.closed", "timestamp": "t", "data": {"ticket": {"id": "4"}}}')
    assert "none of them of comment 981" in seen.notes.about_webhooks("981")

    seen.receive(
        b'{"type": "comment.created", "timestamp": "t", "data": {"ticket": {"id": "4"}, "comment": '
        b'{"id": "981", "author": {"type": "user"}}}}'
    )
    assert "author.type 'user', internal None" in seen.notes.about_webhooks("981")
    assert any("missing required field" in one for one in seen.notes.differences())
