"""The webhook of a real django-helpdesk: what is told, and what it does to who waits for it.

The facts are of django-helpdesk 2.6.1: a test that goes red with a later one tells what that one does better.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.django_helpdesk.agent import CLOSED, Agent
from sandbox.django_helpdesk.host.accounts import ADMIN, QUEUES
from sandbox.django_helpdesk.server import DjangoHelpdesk
from sandbox.samples import photo
from sandbox.stack import until
from sandbox.staff import Refused
from tests.fakes.sandbox_django_helpdesk import AGENT_ID, CONNECTOR_ID, Receiver, add, comments, newest


def test_every_followup_is_told_ours_and_private_ones_too_with_a_relative_file(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver, ticket: int
) -> None:
    add(desk, ticket, "ours")
    agent.reply(ticket, "private", public=False)
    agent.reply(ticket, "public", files=[photo()])
    ours, private, public = receiver.of(ticket)

    assert ticket in receiver.tickets()
    assert [one["user"] for one in (ours, private, public)] == [CONNECTOR_ID, AGENT_ID, AGENT_ID]
    assert [one["public"] for one in (ours, private, public)] == [True, False, True]
    assert public["followupattachment_set"][0]["file"].startswith("/media/helpdesk/attachments/")


def test_closing_and_assigning_are_told_as_followups_without_text(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver, ticket: int
) -> None:
    agent.assign(ticket, ADMIN)
    agent.close(ticket)
    assigned, closed = receiver.of(ticket)

    assert (assigned["title"], assigned["comment"], assigned["public"]) == ("Assigned to admin", "", False)
    assert (closed["new_status"], closed["comment"], closed["public"]) == (int(CLOSED), "", True)


def test_a_change_of_the_ticket_by_the_api_is_not_told(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    desk.http.patch(f"/api/tickets/{ticket}/", json={"status": int(CLOSED), "assigned_to": AGENT_ID})

    assert desk.ticket(ticket)["status"] == int(CLOSED)
    assert receiver.of(ticket) == []


def test_a_receiver_that_fails_is_not_asked_again(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    receiver.status = 500
    assert add(desk, ticket).status_code == 201
    receiver.status = 200
    add(desk, ticket, "next")

    assert [one["comment"] for one in receiver.of(ticket)] == ["More", "next"]


def test_a_receiver_that_does_not_answer_is_left_after_three_seconds(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    receiver.silent.clear()
    try:
        response = add(desk, ticket)
    finally:
        receiver.silent.set()

    assert response.status_code == 201
    assert 2.9 < response.elapsed.total_seconds() < 10


def test_a_receiver_that_is_down_is_an_error_though_all_is_stored(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver, ticket: int
) -> None:
    with receiver.down():
        assert add(desk, ticket, "ours").status_code == 500
        with pytest.raises(Refused, match="500"):
            agent.reply(ticket, "theirs", files=[photo()])
        body = {"queue": QUEUES["messenger"], "title": "Stored", "description": "Hello", "priority": 3}
        assert desk.http.post("/api/tickets/", json=body).status_code == 500

    assert comments(desk, ticket) == ["Hello", "ours", "theirs"]
    assert len(newest(desk, ticket)["followupattachment_set"]) == 1
    assert desk.tickets()[-1]["title"] == "Stored"
    assert receiver.of(ticket) == []


def test_who_is_called_by_the_webhook_may_call_back(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    receiver.silent.clear()
    try:
        with ThreadPoolExecutor() as pool:
            response = pool.submit(add, desk, ticket)
            until("the webhook has come", lambda: receiver.of(ticket))
            assert desk.ticket(ticket)["followup_set"][-1]["comment"] == "More"
            assert not response.done()
            receiver.silent.set()
    finally:
        receiver.silent.set()
