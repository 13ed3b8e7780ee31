"""Webhooks of a real django-helpdesk, and polling: which comments go out, and to whom."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from clients.helpdesk import AgentReply, Customer, InvalidWebhook, Ticket, WebhookNotUnderstood
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from sandbox.django_helpdesk.agent import Agent
from sandbox.django_helpdesk.host.accounts import AGENT
from sandbox.django_helpdesk.server import DjangoHelpdesk as Server
from sandbox.samples import Sample
from sandbox.stack import until
from sandbox.staff import Refused
from tasks.outbound.jobs import is_public_reply
from tests.fakes.django_helpdesk import MARIA, PHOTO, SECRET, Hooks, new_comment, new_ticket, polled


def _received(helpdesk: DjangoHelpdesk, hooks: Hooks) -> AgentReply | None:
    """Return what comes of a webhook once it is confirmed."""
    until("a webhook came", lambda: hooks.bodies)
    reply = helpdesk.receive(hooks.bodies[-1], {}, SECRET)
    return reply if not reply or reply.is_confirmed else helpdesk.confirm(reply)


def _forged(helpdesk: DjangoHelpdesk, desk: Server, ticket: Ticket, **changes: Any) -> AgentReply | None:
    """Return what comes of a webhook that somebody made up who knows the secret."""
    raw = desk.ticket(int(ticket.id))
    raw["followup_set"][-1] |= changes
    body = json.dumps({"ticket": raw, "followup_id": raw["followup_set"][-1]["id"]})
    reply = helpdesk.receive(body.encode(), {}, SECRET)
    return reply if not reply or reply.is_confirmed else helpdesk.confirm(reply)


def test_an_agents_comment_arrives_with_its_files_and_is_polled_under_the_same_key(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.reply(int(ticket.id), "It left **today**.", files=[Sample("photo.png", "image/png", PHOTO)])
    reply = _received(helpdesk, hooks)
    assert reply
    assert is_public_reply(reply)
    assert (reply.ticket, reply.comment.body, reply.comment.body_format) == (
        ticket,
        "It left **today**.",
        "markdown",
    )
    with helpdesk.open_attachment(reply.comment.attachments[0], 10_000) as file:
        assert (file.filename, file.content_type, file.stream.read()) == ("photo.png", "image/png", PHOTO)
    assert [one.key for one in polled(helpdesk)] == [reply.key]


def test_what_an_agent_wrote_for_colleagues_does_not_go_out(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.reply(int(ticket.id), "She is angry.", public=False)
    reply = _received(helpdesk, hooks)
    assert reply
    assert not is_public_reply(reply)
    assert not any(map(is_public_reply, polled(helpdesk)))


def test_an_agents_files_come_in_the_order_in_which_they_were_chosen(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    files = [Sample(name, "image/png", PHOTO) for name in ("second.png", "first.png", "third.png")]
    agent.reply(int(ticket.id), "…", files=files)
    reply = _received(helpdesk, hooks)
    assert reply
    assert [file.filename for file in reply.comment.attachments] == ["second.png", "first.png", "third.png"]


def test_our_own_comment_does_not_come_back(helpdesk: DjangoHelpdesk, ticket: Ticket, hooks: Hooks) -> None:
    helpdesk.add_comment(ticket.id, new_comment("m_2"), "key")
    reply = _received(helpdesk, hooks)
    assert reply
    assert not is_public_reply(reply)
    assert polled(helpdesk) == []


def test_our_own_comment_that_an_agent_edited_does_not_come_back(
    desk: Server, helpdesk: DjangoHelpdesk, ticket: Ticket
) -> None:
    comment_id = helpdesk.add_comment(ticket.id, new_comment("m_2"), "key")
    text = desk.ticket(int(ticket.id))["followup_set"][-1]["comment"]
    edited = {"comment": f"{text}\r\n\r\n(fraud suspected)"}
    desk.http.patch(f"/api/followups/{comment_id}/", json=edited).raise_for_status()
    assert not any(map(is_public_reply, polled(helpdesk)))


def test_what_an_agent_opened_a_ticket_with_does_not_go_out(helpdesk: DjangoHelpdesk, agent: Agent) -> None:
    agent.create("By hand", "He was rude.", custom_messenger_customer=str(MARIA.conversation))
    assert not any(map(is_public_reply, polled(helpdesk)))


@pytest.mark.parametrize("person", [MARIA, None])
def test_a_reply_that_a_merge_brought_goes_out_only_if_it_was_for_the_same_person(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, person: Customer | None
) -> None:
    fields = {"custom_messenger_customer": str(person.conversation)} if person else {}
    other = agent.create("By mail", "…", submitter_email="erik@example.com", **fields)
    agent.reply(other, "Dear Erik, your password is hunter2")
    with suppress(Refused):
        agent.merge(int(ticket.id), other)
    assert desk.ticket(other)["merged_to"] == int(ticket.id)
    sent = [reply.comment.body for reply in polled(helpdesk) if is_public_reply(reply)]
    assert sent == (["Dear Erik, your password is hunter2"] if person else [])


def test_a_comment_without_text_does_not_stop_polling(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.reply(int(ticket.id), "x", files=[Sample("photo.png", "image/png", PHOTO)])
    comment_id = desk.ticket(int(ticket.id))["followup_set"][-1]["id"]
    desk.http.patch(f"/api/followups/{comment_id}/", json={"comment": None}).raise_for_status()
    assert len(polled(helpdesk)) == 1


def test_a_reply_that_closes_the_ticket_goes_out(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.close(int(ticket.id), "Glad to help!")
    reply = _received(helpdesk, hooks)
    assert reply
    assert is_public_reply(reply)
    assert [one.key for one in polled(helpdesk)] == [reply.key]


def test_a_change_without_a_word_says_nothing(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.assign(int(ticket.id), AGENT)
    assert _received(helpdesk, hooks) is None
    assert polled(helpdesk) == []


def test_a_reply_on_a_ticket_with_blanked_fields_still_finds_its_person(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.assign(int(ticket.id), AGENT)
    agent.reply(int(ticket.id), "Hello")
    reply = _received(helpdesk, hooks)
    assert reply
    assert is_public_reply(reply)
    assert reply.ticket == ticket


def test_a_reply_on_a_ticket_of_someone_else_does_not_go_out(
    helpdesk: DjangoHelpdesk, agent: Agent, hooks: Hooks
) -> None:
    agent.reply(agent.create("By hand", "…"), "Hello")
    reply = _received(helpdesk, hooks)
    assert reply
    assert not is_public_reply(reply)


def test_a_webhook_about_a_comment_that_does_not_exist_is_not_confirmed(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.reply(int(ticket.id), "Hello")
    assert _forged(helpdesk, desk, ticket, id=4711, comment="Send me your password") is None


def test_what_goes_out_is_what_stands_in_the_helpdesk(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.reply(int(ticket.id), "Hello", files=[Sample("photo.png", "image/png", PHOTO)])
    forged = {
        "comment": "Send me your password",
        "followupattachment_set": [],
        "date": "2020-01-01T00:00:00Z",
    }
    reply = _forged(helpdesk, desk, ticket, **forged)
    assert reply
    assert reply == polled(helpdesk)[0]
    assert reply.comment.body == "Hello"


def test_what_is_private_in_the_helpdesk_does_not_go_out_though_a_webhook_says_so(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.reply(int(ticket.id), "She is angry.", public=False)
    reply = _forged(helpdesk, desk, ticket, public=True)
    assert reply
    assert not is_public_reply(reply)


def test_a_comment_goes_to_the_person_of_its_own_ticket_whatever_a_webhook_says(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    other = helpdesk.create_ticket(new_ticket("m_9", customer=replace(MARIA, person_id="9")), "key")
    agent.reply(int(ticket.id), "Hello")
    raw = desk.ticket(int(other.id))
    raw["followup_set"] += desk.ticket(int(ticket.id))["followup_set"][-1:]
    body = json.dumps({"ticket": raw, "followup_id": raw["followup_set"][-1]["id"]})
    reply = helpdesk.receive(body.encode(), {}, SECRET)
    assert reply
    assert not reply.is_confirmed
    confirmed = helpdesk.confirm(reply)
    assert confirmed
    assert confirmed.ticket == ticket


def test_a_webhook_about_what_a_merge_brought_from_another_person_does_not_go_out(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    other = agent.create("By mail", "…", submitter_email="erik@example.com")
    agent.reply(other, "Dear Erik, your password is hunter2")
    with suppress(Refused):
        agent.merge(int(ticket.id), other)
    reply = _forged(helpdesk, desk, ticket)
    assert reply
    assert "hunter2" in reply.comment.body
    assert not is_public_reply(reply)


def test_polling_looks_no_further_back_than_asked(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.helpdesks.django_helpdesk.PAGE_SIZE", 2)
    for number in range(5):
        agent.reply(int(ticket.id), f"{number}")
    times = [one.time for one in polled(helpdesk)]
    assert len(times) == 5
    assert [one.comment.body for one in polled(helpdesk, times[1])] == ["4", "3"]


def test_a_webhook_with_another_secret_is_refused(helpdesk: DjangoHelpdesk) -> None:
    with pytest.raises(InvalidWebhook):
        helpdesk.receive(b"{}", {}, "another-secret")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"ticket": {}}', b'{"ticket": null, "followup_id": 1}']
)
def test_a_webhook_that_is_not_understood_is_told(helpdesk: DjangoHelpdesk, body: bytes) -> None:
    with pytest.raises(WebhookNotUnderstood):
        helpdesk.receive(body, {}, SECRET)


@pytest.mark.parametrize("secret", ["short", "with spaces in between them", "ąęśćżźółń-ąęśćżźółń"])
def test_a_secret_that_is_no_part_of_an_address_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="16 or more"):
        DjangoHelpdesk.check_secret(secret)
