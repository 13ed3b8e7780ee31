"""The pages of a real django-helpdesk: what its agent sees, and what they do to a ticket.

The facts are of django-helpdesk 2.6.1: a test that goes red with a later one tells what that one does better.
"""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.django_helpdesk.agent import CLOSED, Agent, Comment
from sandbox.django_helpdesk.host.accounts import AGENT, QUEUES
from sandbox.django_helpdesk.server import DjangoHelpdesk
from sandbox.samples import document, photo
from sandbox.staff import Refused
from tests.fakes.sandbox_django_helpdesk import (
    AGENT_ID,
    DUPLICATE,
    NOTHING,
    OPEN,
    OURS,
    REOPENED,
    Receiver,
    add,
    comments,
    custom_fields,
    new_ticket,
    newest,
)

# What the agent does in its pages.


def test_an_agent_reads_and_writes_comments_on_the_page(
    desk: DjangoHelpdesk, agent: Agent, ticket: int
) -> None:
    agent.reply(ticket, "Hello **Anna**\nsecond line", files=[photo(), document("счёт 1.pdf")])
    agent.reply(ticket, "a nuisance", public=False)

    assert agent.comments(ticket) == [
        Comment("Ticket Opened", "Hello", "fb-connector", public=True),
        Comment("Anna", "Hello Anna\nsecond line", AGENT, public=True, files=("photo.png", "счёт 1.pdf")),
        Comment("Anna", "a nuisance", AGENT, public=False),
    ]
    assert comments(desk, ticket)[1] == "Hello **Anna**\r\nsecond line"
    assert ticket in [row["id"] for row in agent.tickets()]


def test_an_agent_closes_and_reopens(desk: DjangoHelpdesk, agent: Agent, ticket: int) -> None:
    agent.close(ticket, "Bye")
    assert desk.ticket(ticket)["status"] == int(CLOSED)
    assert ticket not in [row["id"] for row in agent.tickets()]
    assert ticket in [row["id"] for row in agent.tickets("status=4")]
    agent.reopen(ticket)

    assert desk.ticket(ticket)["status"] == REOPENED


def test_what_a_page_does_not_take_is_told(agent: Agent) -> None:
    with pytest.raises(Refused, match="404"):
        agent.comments(99_999)
    with pytest.raises(Refused, match="This field is required"):
        agent.create("", "A text")


# What its own pages do to a ticket.


def test_the_small_form_for_the_owner_blanks_the_custom_fields(
    desk: DjangoHelpdesk, agent: Agent, ticket: int
) -> None:
    assert custom_fields(desk.ticket(ticket)) == OURS
    agent.assign(ticket, AGENT)

    assert desk.ticket(ticket)["assigned_to"] == AGENT_ID
    assert custom_fields(desk.ticket(ticket)) == NOTHING


def test_the_reply_form_keeps_the_custom_fields(desk: DjangoHelpdesk, agent: Agent, ticket: int) -> None:
    agent.reply(ticket, "Hello")

    assert custom_fields(desk.ticket(ticket)) == OURS


def test_a_reply_from_a_page_that_was_open_for_a_while_undoes_what_happened_since(
    desk: DjangoHelpdesk, agent: Agent, ticket: int
) -> None:
    form = agent.reply_form(ticket)
    changes = {
        "status": REOPENED,
        "title": "New",
        "queue": QUEUES["billing"],
        "custom_messenger_category": "12",
    }
    desk.http.patch(f"/api/tickets/{ticket}/", json=changes)
    agent.send(form, "Hello")
    found = desk.ticket(ticket)

    assert (found["status"], found["title"], found["queue"]) == (OPEN, "Anna", QUEUES["messenger"])
    assert custom_fields(found) == OURS


def test_a_merge_of_tickets_without_an_address_fails_half_way(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver, ticket: int
) -> None:
    other = new_ticket(desk, description="Other")
    with pytest.raises(Refused, match="500"):
        agent.merge(ticket, other)
    merged = desk.ticket(other)

    assert (merged["status"], merged["merged_to"], merged["followup_set"]) == (DUPLICATE, ticket, [])
    assert comments(desk, ticket) == ["Hello", "Other"]


def test_a_merge_moves_the_followups_and_tells_nobody(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver
) -> None:
    into, other = (new_ticket(desk, submitter_email=f"{name}@example.com") for name in ("anna", "bruno"))
    add(desk, other, "a note", public=False)
    told = len(receiver.bodies)
    agent.merge(into, other)
    merged, moved = desk.ticket(other), desk.ticket(into)["followup_set"][1:]

    assert (merged["status"], merged["merged_to"], merged["followup_set"]) == (DUPLICATE, into, [])
    assert custom_fields(merged) == custom_fields(desk.ticket(into)) == OURS
    assert [one["title"] for one in moved] == [f"[Merged from #{other}] Anna"] * 2
    assert [one["public"] for one in moved] == [True, False]
    assert len(receiver.bodies) == told


def test_a_merged_ticket_takes_followups_that_no_page_shows(desk: DjangoHelpdesk, agent: Agent) -> None:
    into, other = (new_ticket(desk, submitter_email=f"{name}@example.com") for name in ("anna", "bruno"))
    agent.merge(into, other)
    add(desk, other, "lost", new_status=REOPENED)

    assert comments(desk, other) == ["lost"]
    assert desk.ticket(other)["merged_to"] == into
    assert agent.comments(other) == []
    with pytest.raises(Refused, match="no form"):
        agent.reply(other, "Hello")


def test_a_status_that_an_agent_sets_while_a_followup_is_added_is_lost(tmp_path: Path) -> None:
    # What takes time in there is mail: here the server that it goes to takes the connection, and is silent.
    with (
        socket.create_server(("127.0.0.1", 0)) as mail,
        DjangoHelpdesk(tmp_path, mail_port=mail.getsockname()[1]) as desk,
        Agent(desk.url) as agent,
        ThreadPoolExecutor() as pool,
    ):
        ticket = new_ticket(desk)
        desk.http.patch(f"/api/tickets/{ticket}/", json={"assigned_to": AGENT_ID})
        form = agent.reply_form(ticket)
        adding = pool.submit(add, desk, ticket)
        connection, _ = mail.accept()
        agent.send(form, "", status=CLOSED)
        assert desk.ticket(ticket)["status"] == int(CLOSED)
        connection.close()
        assert adding.result().status_code == 201

        assert desk.ticket(ticket)["status"] == OPEN
        assert newest(desk, ticket)["new_status"] == int(CLOSED)
