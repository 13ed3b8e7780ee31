"""The API of a real django-helpdesk: what it does that one must survive.

The facts are of django-helpdesk 2.6.1: a test that goes red with a later one tells what that one does better.
"""

import httpx
import pytest

from sandbox.django_helpdesk.agent import CLOSED, Agent
from sandbox.django_helpdesk.host.accounts import QUEUES, TOKEN
from sandbox.django_helpdesk.server import DjangoHelpdesk
from tests.fakes.sandbox_django_helpdesk import (
    AGENT_ID,
    CONNECTOR_ID,
    OPEN,
    REOPENED,
    add,
    new_ticket,
    newest,
)


def test_who_has_no_token_is_refused(desk: DjangoHelpdesk) -> None:
    url = f"{desk.url}/api/tickets/"

    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"Authorization": "Token nonsense"}).json() == {"detail": "Invalid token."}
    assert httpx.get(url, headers={"Authorization": f"Token {TOKEN}"}).is_success


def test_a_ticket_without_text_is_refused_and_one_without_description_is_an_error(
    desk: DjangoHelpdesk,
) -> None:
    body = {"queue": QUEUES["messenger"], "title": "Anna", "priority": 3}

    assert desk.http.post("/api/tickets/", json=body | {"description": " "}).status_code == 400
    assert desk.http.post("/api/tickets/", json=body).status_code == 500


def test_a_queues_default_owner_is_not_applied(desk: DjangoHelpdesk) -> None:
    ticket = new_ticket(desk, queue=QUEUES["billing"])

    assert desk.ticket(ticket)["assigned_to"] is None


def test_followups_and_tickets_come_oldest_first_and_the_last_page_holds_the_newest(
    desk: DjangoHelpdesk, ticket: int
) -> None:
    newest = [add(desk, ticket, text).json()["id"] for text in "ab"][-1]
    first, last = (desk.http.get(f"/api/followups/?page_size=2&page={page}").json() for page in (1, "last"))
    beyond = desk.http.get("/api/followups/?page_size=2&page=9999")
    tickets = desk.http.get("/api/tickets/?page_size=1&page=last").json()["results"]

    assert first["results"][0]["id"] == 1
    assert last["results"][-1]["id"] == newest
    assert last["next"] is None
    assert beyond.status_code == 404
    assert [one["id"] for one in tickets] == [ticket]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_single_ticket_is_looked_for_among_those_of_a_status(
    desk: DjangoHelpdesk, ticket: int, method: str
) -> None:
    # What the filter leaves is loaded whole, field by field, before one is taken; without it, everything is.
    found = {
        status: desk.http.request(method, f"/api/tickets/{ticket}/?status={status}").status_code
        for status in ("1,2", "3,4,5", "77")
    }

    assert found == {"1,2": 200, "3,4,5": 404, "77": 200}


@pytest.mark.parametrize(
    "ignored",
    ["search=nothing", "custom_messenger_customer=nothing", "queue=99", "submitter_email=nobody@example.com"],
)
def test_other_filters_are_ignored(desk: DjangoHelpdesk, ticket: int, ignored: str) -> None:
    page = desk.http.get(f"/api/tickets/?status=1,2&page_size=1&page=last&{ignored}").json()

    assert [one["id"] for one in page["results"]] == [ticket]


def test_the_author_and_the_time_of_a_followup_are_not_ours_to_say(desk: DjangoHelpdesk, ticket: int) -> None:
    followup = add(desk, ticket, user=AGENT_ID, date="2020-01-01T00:00:00Z", message_id="<mid>").json()

    assert followup["user"] == CONNECTOR_ID
    assert followup["message_id"] is None
    assert not followup["date"].startswith("2020")


def test_a_followup_leaves_a_closed_ticket_closed_and_new_status_reopens_it(
    desk: DjangoHelpdesk, agent: Agent, ticket: int
) -> None:
    agent.close(ticket)
    add(desk, ticket)
    assert desk.ticket(ticket)["status"] == int(CLOSED)
    add(desk, ticket, new_status=REOPENED)

    assert desk.ticket(ticket)["status"] == REOPENED


def test_new_status_that_the_ticket_has_already_does_nothing(desk: DjangoHelpdesk, ticket: int) -> None:
    followup = add(desk, ticket, new_status=OPEN).json()

    assert followup["new_status"] is None
    assert followup["title"] == "Anna"


def test_a_followups_title_renames_the_ticket(desk: DjangoHelpdesk, ticket: int) -> None:
    add(desk, ticket, title="Renamed")

    assert desk.ticket(ticket)["title"] == "Renamed"


def test_a_number_sign_in_a_text_writes_a_private_followup_on_that_ticket(
    desk: DjangoHelpdesk, ticket: int
) -> None:
    other = new_ticket(desk, description=f"see #{ticket}")
    followup = newest(desk, ticket)

    assert followup["title"] == f"Referenced in ticket #{other}"
    assert followup["public"] is False
