"""Tickets of a real django-helpdesk: found, created, merged, closed, named."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clients.channel import Conversation
from clients.channels.meta.events import CHANNEL
from clients.errors import TicketClosed
from clients.helpdesk import Naming, Ticket
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.http import HttpClient
from sandbox.django_helpdesk.agent import Agent
from sandbox.django_helpdesk.host.accounts import AGENT, QUEUES
from sandbox.django_helpdesk.server import DjangoHelpdesk as Server
from sandbox.staff import Refused
from tests.fakes.django_helpdesk import MARIA, adapter, last_comment, new_comment, new_ticket


def test_a_ticket_is_found_by_its_sender_and_by_its_external_id(
    helpdesk: DjangoHelpdesk, ticket: Ticket
) -> None:
    assert helpdesk.find_open_ticket(MARIA.conversation) == ticket
    assert helpdesk.ticket_by_external_id("m_1") == ticket
    assert helpdesk.get_ticket(ticket.id) == ticket
    assert ticket.customer == MARIA


def test_another_sender_has_no_ticket(helpdesk: DjangoHelpdesk, ticket: Ticket) -> None:
    assert helpdesk.find_open_ticket(Conversation(CHANNEL, MARIA.account_id, "1")) is None
    assert helpdesk.ticket_by_external_id("m_2") is None


def test_the_newest_open_ticket_of_a_sender_is_found(helpdesk: DjangoHelpdesk, ticket: Ticket) -> None:
    newer = helpdesk.create_ticket(new_ticket("m_2"), "key")
    assert helpdesk.find_open_ticket(MARIA.conversation) == newer


def test_a_ticket_is_found_among_more_than_a_page_of_them(
    helpdesk: DjangoHelpdesk, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.helpdesks.django_helpdesk.PAGE_SIZE", 2)
    for number in range(5):
        other = replace(MARIA, person_id=str(number))
        helpdesk.create_ticket(new_ticket(f"other{number}", customer=other), "key")
    assert helpdesk.find_open_ticket(MARIA.conversation) == ticket
    assert helpdesk.ticket_by_external_id("m_1") == ticket


def test_an_agent_sees_the_message_and_nothing_of_the_mark(agent: Agent, ticket: Ticket) -> None:
    (opening,) = agent.comments(int(ticket.id))
    assert (opening.text, opening.public) == ("Good morning", True)


def test_a_closed_ticket_is_closed_and_found_by_its_external_id_only(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.close(int(ticket.id))
    assert helpdesk.get_ticket(ticket.id).closed
    assert helpdesk.find_open_ticket(MARIA.conversation) is None
    assert helpdesk.ticket_by_external_id("m_1") == helpdesk.get_ticket(ticket.id)


def test_a_reopened_ticket_is_open(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    agent.close(int(ticket.id))
    agent.reopen(int(ticket.id))
    assert helpdesk.find_open_ticket(MARIA.conversation) == ticket


def test_a_ticket_is_found_when_the_owners_form_has_blanked_its_field(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.assign(int(ticket.id), AGENT)
    assert not desk.ticket(int(ticket.id))["custom_messenger_customer"]

    assert helpdesk.find_open_ticket(MARIA.conversation) == ticket
    assert desk.ticket(int(ticket.id))["custom_messenger_customer"] == str(MARIA.conversation)


def test_a_ticket_of_nobodys_is_not_taken_for_anybodys(helpdesk: DjangoHelpdesk, agent: Agent) -> None:
    agent.create("By hand", "Call the supplier.")
    assert helpdesk.find_open_ticket(Conversation(MARIA.channel, MARIA.account_id, "not/one/word")) is None


def test_a_ticket_without_a_customer_is_nobodys_and_can_be_closed(
    helpdesk: DjangoHelpdesk, agent: Agent
) -> None:
    made = helpdesk.create_ticket(new_ticket("check:1", customer=None), "key")
    assert made == helpdesk.get_ticket(made.id) == helpdesk.ticket_by_external_id("check:1")
    assert made.customer is None

    assert helpdesk.close_ticket(made.id)
    assert helpdesk.get_ticket(made.id).closed


def test_closing_a_ticket_does_not_close_the_one_that_it_was_merged_into(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    made = helpdesk.create_ticket(new_ticket("check:1", customer=None), "key")
    with suppress(Refused):  # the page is done by half
        agent.merge(int(ticket.id), int(made.id))
    assert helpdesk.get_ticket(made.id).id == ticket.id

    assert helpdesk.close_ticket(made.id)
    assert not helpdesk.get_ticket(ticket.id).closed


def test_a_merged_ticket_leads_to_the_one_it_was_merged_into(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    into = agent.create("Another", "…", submitter_email="maria@example.com")
    with suppress(Refused):  # the page is done by half when it stumbles: our tickets have no submitter
        agent.merge(into, int(ticket.id))

    assert helpdesk.get_ticket(ticket.id).id == str(into)
    helpdesk.add_comment(ticket.id, new_comment("m_2"), "key")
    assert last_comment(agent, helpdesk.get_ticket(str(into))).text == "Мария:\nAnything new?"


def test_a_ticket_that_was_merged_into_another_persons_takes_no_more(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    into = helpdesk.create_ticket(new_ticket("m_2", customer=replace(MARIA, person_id="1")), "key")
    with suppress(Refused):
        agent.merge(int(into.id), int(ticket.id))
    with pytest.raises(TicketClosed):
        helpdesk.add_comment(ticket.id, new_comment("m_3"), "key")
    assert helpdesk.find_open_ticket(MARIA.conversation) is None


def test_a_merged_ticket_that_is_opened_again_stands_for_itself(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    into = helpdesk.create_ticket(new_ticket("m_2"), "key")
    with suppress(Refused):
        agent.merge(int(into.id), int(ticket.id))
    agent.close(int(into.id))
    desk.http.patch(f"/api/tickets/{ticket.id}/", json={"status": 2}).raise_for_status()
    helpdesk.add_comment(ticket.id, new_comment("m_3"), "key")
    assert helpdesk.find_open_ticket(MARIA.conversation) == helpdesk.get_ticket(ticket.id)


def test_a_message_that_was_moved_to_a_ticket_does_not_make_it_its_persons(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    other = agent.create("By mail", "…", submitter_email="erik@example.com")
    (opening,) = desk.ticket(int(ticket.id))["followup_set"]
    desk.http.patch(f"/api/followups/{opening['id']}/", json={"ticket": other}).raise_for_status()
    assert helpdesk.get_ticket(str(other)).customer is None


def test_a_status_of_its_own_can_be_open(desk: Server, http: HttpClient, ticket: Ticket) -> None:
    desk.http.patch(f"/api/tickets/{ticket.id}/", json={"status": 3}).raise_for_status()
    assert adapter(desk, http).find_open_ticket(MARIA.conversation) is None
    assert adapter(desk, http, open_statuses=[1, 2, 3]).find_open_ticket(MARIA.conversation) == Ticket(
        ticket.id, closed=False, customer=MARIA
    )


def test_a_time_without_a_zone_is_in_the_helpdesks_own(desk: Server, http: HttpClient) -> None:
    helpdesk = adapter(desk, http, time_zone="America/New_York")
    assert helpdesk._time("2026-11-23T05:43:37") == datetime(2026, 11, 23, 10, 43, 37, tzinfo=UTC)


def test_a_category_and_its_owner_are_set(desk: Server, http: HttpClient) -> None:
    helpdesk = adapter(desk, http, owners={"billing": 2})
    ticket = helpdesk.create_ticket(new_ticket(category_id="billing"), "key")
    stored = desk.ticket(int(ticket.id))
    assert (stored["custom_messenger_category"], stored["assigned_to"]) == ("billing", 2)


def test_a_desk_can_have_an_owner(desk: Server, http: HttpClient) -> None:
    helpdesk = adapter(desk, http, owners={f"desk:{QUEUES['messenger']}": 2})
    ticket = helpdesk.create_ticket(new_ticket(), "key")
    assert desk.ticket(int(ticket.id))["assigned_to"] == 2


def test_a_title_is_cut_to_what_is_taken(desk: Server, helpdesk: DjangoHelpdesk) -> None:
    ticket = helpdesk.create_ticket(new_ticket(title="Messenger: " + "x" * 300), "key")
    assert len(desk.ticket(int(ticket.id))["title"]) == 200


@pytest.mark.parametrize(
    ("old_title", "title"), [("Messenger: Мария", "Messenger: Мария Ли"), ("Another", "Messenger: Мария")]
)
def test_a_ticket_gets_a_name_unless_an_agent_gave_it_another_title(
    desk: Server, helpdesk: DjangoHelpdesk, ticket: Ticket, old_title: str, title: str
) -> None:
    naming = Naming(old_title, "Messenger: Мария Ли", replace(MARIA, display_name="Мария Ли"))
    assert helpdesk.name_requester(ticket.id, naming)

    stored = desk.ticket(int(ticket.id))
    assert (stored["title"], stored["custom_messenger_customer"]) == (title, str(MARIA.conversation))
    assert helpdesk.find_open_ticket(MARIA.conversation) == ticket
