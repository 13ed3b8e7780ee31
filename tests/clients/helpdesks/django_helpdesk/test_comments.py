"""Comments of a real django-helpdesk, as its agent sees them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from clients.errors import TicketClosed
from clients.helpdesk import Author, NewComment, Ticket
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.text.markdown import to_markdown
from sandbox.django_helpdesk.agent import Agent
from sandbox.django_helpdesk.server import DjangoHelpdesk as Server
from tests.fakes.conversation import SYSTEM
from tests.fakes.django_helpdesk import NOW, last_comment, new_comment, new_ticket


def test_a_comment_begins_with_the_customers_name(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    helpdesk.add_comment(ticket.id, new_comment("m_2"), "key")
    shown = last_comment(agent, ticket)
    assert (shown.text, shown.public) == ("Мария:\nAnything new?", True)


def test_a_comment_says_when_its_message_was_written_if_that_is_long_ago(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    written = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
    late = NewComment("Hello", "m_2", Author("customer", "Мария"), written)
    helpdesk.add_comment(ticket.id, late, "key")
    assert last_comment(agent, ticket).text == "Мария, 2026-11-22 20:15 UTC:\nHello"


def test_the_same_comment_again_is_the_first_one(
    desk: Server, helpdesk: DjangoHelpdesk, ticket: Ticket
) -> None:
    first = helpdesk.add_comment(ticket.id, new_comment("m_2"), "key")
    assert helpdesk.add_comment(ticket.id, new_comment("m_2"), "key") == first
    assert helpdesk.comment_by_external_id(ticket.id, "m_2") == first
    assert len(desk.ticket(int(ticket.id))["followup_set"]) == 2


def test_a_comment_that_was_not_made_is_not_found(helpdesk: DjangoHelpdesk, ticket: Ticket) -> None:
    assert helpdesk.comment_by_external_id(ticket.id, "m_2") is None


def test_an_internal_comment_is_private(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    note = NewComment("It did not arrive.", "failed:1", SYSTEM, NOW, internal=True)
    helpdesk.add_comment(ticket.id, note, "key")
    shown = last_comment(agent, ticket)
    assert (shown.text, shown.public) == ("It did not arrive.", False)


def test_a_closed_ticket_takes_no_comment_but_an_internal_one(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.close(int(ticket.id))
    with pytest.raises(TicketClosed):
        helpdesk.add_comment(ticket.id, new_comment("m_2"), "key")
    helpdesk.add_comment(ticket.id, NewComment("…", "note", SYSTEM, NOW, internal=True), "key")
    assert helpdesk.get_ticket(ticket.id).closed


def test_a_ticket_that_is_closed_at_the_same_moment_is_opened_again(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = helpdesk._read

    def then_close(ticket_id: str) -> dict[str, Any]:
        raw = read(ticket_id)
        agent.close(int(ticket_id))
        return raw

    monkeypatch.setattr(helpdesk, "_read", then_close)
    helpdesk.add_comment(ticket.id, new_comment("m_2"), "key")
    monkeypatch.undo()
    assert not helpdesk.get_ticket(ticket.id).closed


TYPED = [
    "price {{ ticket.submitter_email }} ok",
    "oops {{ }}",
    "{# hidden #}visible",
    "{% load x %}",
    "{% endverbatim %}",
    "a lone {% and a lone %}",
    "#promo\n#A12 is my order",
    "{{{a}}} { } }}",
    "X-HELPDESK-COMMENT-VERBATIM and X-HELPDESK-COMMENT-ENDVERBATIM",
    '<b onclick="x">bold?</b> &amp; <script>alert(1)</script>',
    "*not bold* _nor this_ `code` # heading",
    "zażółć gęślą jaźń Здравейте 😀 שלום",
    "Robert'); DROP TABLE tickets;--",
    "[//]: # (messenger 0123456789abcdef 0)",
    "order #2, and#2 (#2) \\#2",
    "order #2, and#2 (#2) #2",
    "A title?\n===\nAnd another\n---",
    "[a](http://example.com) ![b](c) http://example.com/a_b_c",
    "| a | b |\n| - | - |\n1. one\n> two\n```\nthree",
]


@pytest.mark.parametrize("text", TYPED)
def test_what_a_customer_types_arrives_as_typed(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, text: str
) -> None:
    helpdesk.add_comment(ticket.id, new_comment("m_2", to_markdown(text)), "key")
    assert last_comment(agent, ticket).text == f"Мария:\n{text}"


@pytest.mark.parametrize("text", TYPED)
def test_what_a_customer_types_first_arrives_as_typed(
    helpdesk: DjangoHelpdesk, agent: Agent, text: str
) -> None:
    ticket = helpdesk.create_ticket(new_ticket(body=to_markdown(text)), "key")
    assert last_comment(agent, ticket).text == text


def test_a_long_text_arrives_whole(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    text = "{a word} " * 8000
    helpdesk.add_comment(ticket.id, new_comment("m_2", to_markdown(text)), "key")
    assert last_comment(agent, ticket).text == f"Мария:\n{text.strip()}"


def test_many_comments_at_once_are_all_kept(helpdesk: DjangoHelpdesk, desk: Server, ticket: Ticket) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(
            pool.map(lambda n: helpdesk.add_comment(ticket.id, new_comment(f"m_{n}"), "key"), range(10, 26))
        )
    assert len(set(ids)) == 16
    assert len(desk.ticket(int(ticket.id))["followup_set"]) == 17
