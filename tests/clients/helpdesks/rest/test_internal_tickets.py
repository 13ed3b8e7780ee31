"""Internal tickets, and webhooks on request: a helpdesk need not close the ones, nor send the others."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from clients.errors import ServiceDown, Unauthorized
from clients.helpdesk import Ticket
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from tests.fakes.rest_helpdesk import Site, answering, new_ticket
from tests.fakes.sandbox_helpdesk import SECRET, TOKEN, Desk, social_media_desk

INTERNAL = replace(new_ticket("check:1:2"), customer=None, category_id=None)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with social_media_desk(tmp_path_factory.mktemp("desk")) as desk:
        yield desk


@pytest.fixture
def helpdesk(desk: Desk) -> Iterator[RestHelpdesk]:
    desk.set(closing=True, pings=True, webhook_url="http://127.0.0.1:9/").raise_for_status()
    with HttpClient() as http:
        yield RestHelpdesk(http, base_url=f"{desk.url}/api/v1", api_token=TOKEN, webhook_secret=SECRET)


def test_an_internal_ticket_is_about_nobody_and_is_found_by_its_external_id(
    desk: Desk, helpdesk: RestHelpdesk
) -> None:
    made = helpdesk.create_ticket(INTERNAL, "k1")

    assert made == helpdesk.get_ticket(made.id) == helpdesk.ticket_by_external_id("check:1:2")
    assert made.customer is None
    told = desk.get(f"tickets/{made.id}")["ticket"]
    assert told["config"] == {"source": "connector"}
    assert told["requester"] == {"name": "Messenger connector", "external_id": "connector"}


def test_what_agents_write_on_an_internal_ticket_is_not_polled(desk: Desk, helpdesk: RestHelpdesk) -> None:
    made = helpdesk.create_ticket(INTERNAL, "k2")
    desk.agent(made.id, body="I am on it.").raise_for_status()

    assert list(helpdesk.poll(INTERNAL.created_at)) == []


def test_an_internal_ticket_is_closed(helpdesk: RestHelpdesk) -> None:
    made = helpdesk.create_ticket(INTERNAL, "k3")
    for _ in range(2):
        assert helpdesk.close_ticket(made.id)
    assert helpdesk.get_ticket(made.id) == Ticket(made.id, closed=True, customer=None)


def test_a_helpdesk_need_not_close_tickets(desk: Desk, helpdesk: RestHelpdesk) -> None:
    made = helpdesk.create_ticket(INTERNAL, "k4")
    desk.set(closing=False).raise_for_status()
    assert not helpdesk.close_ticket(made.id)


def test_a_helpdesk_that_ignores_what_it_does_not_know_has_closed_nothing() -> None:
    assert not answering(200, {"ticket": {"id": "1", "closed": False}}).close_ticket("1")


def test_a_webhook_is_asked_for_and_its_address_is_told(helpdesk: RestHelpdesk) -> None:
    assert helpdesk.request_webhook() == "http://127.0.0.1:9/"


def test_a_helpdesk_need_not_send_webhooks_on_request(desk: Desk, helpdesk: RestHelpdesk) -> None:
    desk.set(pings=False).raise_for_status()
    assert helpdesk.request_webhook() is None


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"webhook": {}}'])
def test_a_helpdesk_need_not_say_where_its_webhooks_go(body: bytes) -> None:
    assert Site(lambda _: httpx.Response(202, content=body)).helpdesk.request_webhook() == ""


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (503, ServiceDown)])
def test_any_other_answer_to_the_request_is_what_it_is_elsewhere(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        answering(status).request_webhook()
