"""Answers of a django-helpdesk that say something else than it did, or hide it."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from clients.errors import NotFound, RejectedError, ServiceDown, Unauthorized, Unavailable
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.http import HttpClient
from sandbox.django_helpdesk.server import DjangoHelpdesk as Server
from tests.fakes.django_helpdesk import MARIA, SECRET, adapter, new_comment, new_ticket


@pytest.fixture
def deaf(
    desk: Server, tmp_path_factory: pytest.TempPathFactory, http: HttpClient
) -> Iterator[DjangoHelpdesk]:
    """Give a helpdesk whose webhook's receiver is down: it answers 500 although it stored."""
    with Server(
        tmp_path_factory.mktemp("deaf"),
        followup_webhook="http://127.0.0.1:9/",
        new_ticket_webhook="http://127.0.0.1:9/",
    ) as server:
        yield adapter(server, http)


def test_what_was_stored_behind_a_500_is_found_and_not_repeated(deaf: DjangoHelpdesk) -> None:
    ticket = deaf.create_ticket(new_ticket(), "key")
    first = deaf.add_comment(ticket.id, new_comment("m_2"), "key")
    assert deaf.add_comment(ticket.id, new_comment("m_2"), "key") == first
    assert deaf.ticket_by_external_id("m_1") == deaf.find_open_ticket(MARIA.conversation) == ticket


def test_an_unknown_ticket_is_not_found(helpdesk: DjangoHelpdesk) -> None:
    with pytest.raises(NotFound):
        helpdesk.get_ticket("999")
    with pytest.raises(NotFound):
        helpdesk.add_comment("999", new_comment("m_2"), "key")


def test_a_wrong_token_is_told(desk: Server, http: HttpClient) -> None:
    with pytest.raises(Unauthorized):
        adapter(desk, http, api_token="wrong").ping()


def test_a_wrong_address_is_told(desk: Server, http: HttpClient) -> None:
    with pytest.raises(ServiceDown):
        adapter(desk, http, base_url=f"{desk.url}/elsewhere").ping()


LONG = "9" * 5000


def _adapter_of(answer: Callable[[httpx.Request], httpx.Response]) -> DjangoHelpdesk:
    http = HttpClient(httpx.MockTransport(answer))
    return DjangoHelpdesk(http, base_url="http://127.0.0.1:9", api_token="token", webhook_secret=SECRET)


def test_a_number_too_long_for_python_hides_no_comment() -> None:
    said = {"id": 5, "comment": "Hello", "public": True, "user": 2, "date": "2026-11-22T20:15:03Z"}
    followup = said | {"title": "", "followupattachment_set": [], "time_spent": "LONG"}
    ticket = {"id": 1, "status": 1, "description": "", "followup_set": [followup], "on_hold": "LONG"}
    body = json.dumps({"ticket": ticket, "followup_id": 5}).replace('"LONG"', LONG).encode()
    event = _adapter_of(lambda _: httpx.Response(500)).receive(body, {}, SECRET)
    assert event
    assert event.comment
    assert event.comment.body == "Hello"


@pytest.mark.parametrize(
    ("more", "named"),
    [(LONG, "priority, x"), ("[" * 5000, "http_status service=helpdesk status=400"), ("null", "priority, x")],
)
def test_a_refusal_names_its_fields_whatever_stands_in_them(more: str, named: str) -> None:
    content = f'{{"priority": ["no"], "x": {more}}}'.encode()
    helpdesk = _adapter_of(lambda _: httpx.Response(400, content=content))
    with pytest.raises(RejectedError, match=named):
        helpdesk.get_ticket("1")


@pytest.mark.parametrize("id_", ["api/tickets", "x/api/followups", "tickets"])
def test_a_ticket_that_is_not_there_is_no_outage_whatever_its_id(id_: str) -> None:
    with pytest.raises(NotFound):
        _adapter_of(lambda _: httpx.Response(404)).get_ticket(id_)


def test_a_ticket_that_the_token_may_not_see_is_as_if_it_were_gone() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403 if "/tickets/" in request.url.path else 200, json={"results": []})

    helpdesk = _adapter_of(answer)
    with pytest.raises(NotFound):
        helpdesk.get_ticket("1")
    with pytest.raises(Unavailable):
        helpdesk.find_open_ticket(MARIA.conversation)
