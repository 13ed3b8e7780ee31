"""The helpdesk's API as the connector uses it: each method by a recording, and what goes out."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from clients.channels.meta.events import CHANNEL
from clients.errors import NotFound, TicketClosed
from clients.helpdesk import Delivery, Naming, NewComment, NewTicket, Opening, Ticket
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from tests.conftest import PAGE_A
from tests.fakes.conversation import SYSTEM
from tests.fakes.recording import FOLDER, SITES, cassette
from tests.fakes.rest_helpdesk import (
    AT,
    PHOTO,
    TOKEN,
    Site,
    answering,
    customer_of,
    helpdesk_at,
    new_comment,
    new_file,
    new_ticket,
)


@contextmanager
def _recorded(name: str) -> Iterator[RestHelpdesk]:
    """Give a helpdesk that answers from a cassette."""
    with cassette(f"helpdesk/{name}"), HttpClient() as http:
        yield helpdesk_at(http, SITES.helpdesk)


def test_a_ping_is_answered() -> None:
    with _recorded("ping") as helpdesk:
        helpdesk.ping()


def test_a_ticket_is_created() -> None:
    with _recorded("create_ticket") as helpdesk:
        ticket = helpdesk.create_ticket(new_ticket("m_1"), f"facebook:{PAGE_A}:m_1")
    assert (ticket.closed, ticket.customer) == (False, customer_of("1"))


def test_a_ticket_that_is_created_again_is_the_first_one() -> None:
    with _recorded("create_ticket_again") as helpdesk:
        tickets = {helpdesk.create_ticket(new_ticket("m_2"), "facebook:2").id for _ in range(2)}
    assert len(tickets) == 1


def test_a_ticket_without_a_category_is_created() -> None:
    anna = replace(customer_of("3"), display_name="Anna")
    new = NewTicket("7", None, "Messenger", "Hi", "m_3", anna, [], AT)
    with _recorded("create_ticket_without_category") as helpdesk:
        assert helpdesk.create_ticket(new, "facebook:3").customer == customer_of("3")


def test_the_open_ticket_of_a_sender_is_found() -> None:
    with _recorded("find_open_ticket") as helpdesk:
        made = helpdesk.create_ticket(new_ticket("m_4", psid="4"), "facebook:4")
        assert helpdesk.find_open_ticket(customer_of("4").conversation) == made


def test_a_sender_without_an_open_ticket_has_none() -> None:
    with _recorded("find_open_ticket_none") as helpdesk:
        assert helpdesk.find_open_ticket(customer_of("404").conversation) is None


def test_a_ticket_is_found_by_its_external_id() -> None:
    with _recorded("ticket_by_external_id") as helpdesk:
        made = helpdesk.create_ticket(new_ticket("m_5"), "facebook:5")
        assert helpdesk.ticket_by_external_id("m_5") == made


def test_a_ticket_is_read() -> None:
    with _recorded("get_ticket") as helpdesk:
        made = helpdesk.create_ticket(new_ticket("m_6"), "facebook:6")
        assert helpdesk.get_ticket(made.id) == made


def test_a_ticket_that_is_not_there_is_not_found() -> None:
    with _recorded("get_ticket_none") as helpdesk, pytest.raises(NotFound) as refusal:
        helpdesk.get_ticket("no/such ticket")
    assert refusal.value.remote == "helpdesk"


def test_a_comment_is_added_and_found_by_its_external_id() -> None:
    with _recorded("add_comment") as helpdesk:
        ticket = helpdesk.create_ticket(new_ticket("m_7"), "facebook:7")
        made = helpdesk.add_comment(ticket.id, new_comment("m_7a"), "facebook:7a")
        assert helpdesk.comment_by_external_id(ticket.id, "m_7a") == made


def test_a_comment_is_read_and_changed() -> None:
    with _recorded("edit_comment") as helpdesk:
        ticket = helpdesk.create_ticket(new_ticket("m_12"), "facebook:12")
        made = helpdesk.add_comment(ticket.id, new_comment("m_12a"), "facebook:12a")
        assert helpdesk.edit_comment(made, "**new**")
        comment = helpdesk.find_comment(ticket.id, "m_12a")
        assert comment
        assert (comment.id, comment.body, comment.body_format) == (made, "**new**", "markdown")


def test_a_comment_is_read_by_its_own_id_among_those_of_its_time() -> None:
    with _recorded("read_comment") as helpdesk:
        ticket = helpdesk.create_ticket(new_ticket("m_13"), "facebook:13")
        first, second = (
            helpdesk.add_comment(ticket.id, new_comment(mid), f"facebook:{mid}") for mid in ("13a", "13b")
        )
        comment = helpdesk.read_comment(ticket.id, second, AT - timedelta(days=1))
        assert comment
        assert comment.id == second
        assert helpdesk.read_comment(ticket.id, first, AT) is None


def test_a_ticket_shows_what_it_began_with() -> None:
    with _recorded("find_opening") as helpdesk:
        new = new_ticket("m_14")
        made = helpdesk.create_ticket(new, "facebook:14")
        assert helpdesk.find_opening(made.id, "m_14") == Opening(new.body)
        assert helpdesk.find_opening("another", "m_14") is None


def test_an_internal_comment_is_added() -> None:
    note = NewComment("It was not sent.", "note-1", SYSTEM, AT, internal=True)
    with _recorded("add_comment_internal") as helpdesk:
        ticket = helpdesk.create_ticket(new_ticket("m_8"), "facebook:8")
        assert helpdesk.add_comment(ticket.id, note, "facebook:8a")


def test_a_comment_that_is_not_there_is_not_found() -> None:
    with _recorded("comment_by_external_id_none") as helpdesk:
        ticket = helpdesk.create_ticket(new_ticket("m_9"), "facebook:9")
        assert helpdesk.comment_by_external_id(ticket.id, "m_none") is None


def test_a_closed_ticket_takes_no_comment() -> None:
    with _recorded("add_comment_closed") as helpdesk:
        ticket = helpdesk.create_ticket(new_ticket("m_10"), "facebook:10")
        httpx.post(f"{SITES.helpdesk}/sandbox/tickets/{ticket.id}/close")
        with pytest.raises(TicketClosed):
            helpdesk.add_comment(ticket.id, new_comment("m_10a"), "facebook:10a")


def test_a_delivery_is_merged_into_the_comments_config() -> None:
    with _recorded("merge_config") as helpdesk:
        ticket = helpdesk.create_ticket(new_ticket("m_11"), "facebook:11")
        comment = helpdesk.add_comment(ticket.id, new_comment("m_11a"), "facebook:11a")
        helpdesk.show_delivery(comment, Delivery("sent", ["m_x"]))


def test_a_file_is_uploaded_and_fetched() -> None:
    with _recorded("upload") as helpdesk:
        uploaded = helpdesk.upload(new_file(), "facebook:12")
        assert (uploaded.filename, uploaded.content_type, uploaded.size) == ("zażółć.png", "image/png", 8)
        with helpdesk.open_attachment(uploaded, max_bytes=8) as file:
            assert (file.filename, file.size, file.stream.read()) == ("zażółć.png", 8, PHOTO)


def test_no_cassette_holds_a_token() -> None:
    cassettes = [file.read_text() for file in FOLDER.glob("**/*.yaml")]
    assert cassettes
    assert not [text for text in cassettes if TOKEN in text or "Bearer" in text or "127.0.0.1" in text]


CREATES: dict[str, Callable[[RestHelpdesk, str], object]] = {
    "ticket": lambda helpdesk, key: helpdesk.create_ticket(new_ticket("m_1"), key),
    "comment": lambda helpdesk, key: helpdesk.add_comment("42", new_comment("m_1"), key),
    "attachment": lambda helpdesk, key: helpdesk.upload(new_file(), key),
}


@pytest.mark.parametrize("what", CREATES)
def test_a_create_carries_the_token_and_its_key(what: str) -> None:
    site = Site(lambda _: httpx.Response(201, json={what: {"id": "1", "url": "/files/1"}}))
    CREATES[what](site.helpdesk, "facebook:1:mid.$cAA=:x")
    (request,) = site.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["idempotency-key"] == "facebook:1:mid.$cAA=:x"


ANNA = replace(customer_of("7"), display_name="Anna", name="Anna")
NAMING = Naming("Messenger: a", "Messenger: Anna", ANNA)
CONFIG = {"source": "facebook_messenger", "page_id": PAGE_A, "sender_id": "7", "sender_name": "Anna"}


@pytest.mark.parametrize(
    ("found", "sent"), [("Messenger: a", {"title": "Messenger: Anna"}), ("Where is my invoice?", {})]
)
def test_a_ticket_gets_a_name_but_no_title_where_an_agent_gave_it_one(
    found: str, sent: dict[str, str]
) -> None:
    site = Site(lambda _: httpx.Response(200, json={"ticket": {"id": "42", "title": found}}))
    assert site.helpdesk.name_requester("42", NAMING)

    request = site.requests[-1]
    assert (request.method, request.url.path) == ("PATCH", "/api/v1/tickets/42")
    known = {"requester": {"name": "Anna", "external_id": "7"}, "config": CONFIG}
    assert json.loads(request.content) == {"ticket": known | sent}


@pytest.mark.parametrize("status", [404, 405, 422])
def test_a_helpdesk_that_changes_no_tickets_is_known_by_its_answer(status: int) -> None:
    site = Site(
        lambda request: httpx.Response(
            status if request.method == "PATCH" else 200, json={"ticket": {"id": "42", "title": "x"}}
        )
    )
    assert site.helpdesk.name_requester("42", NAMING) is False


def test_a_key_beyond_ascii_is_escaped() -> None:
    site = Site(lambda _: httpx.Response(201, json={"ticket": {"id": "1"}}))
    site.helpdesk.create_ticket(new_ticket("m_1"), "facebook:ż\n")
    assert site.requests[0].headers["idempotency-key"] == "facebook:%C5%BC%0A"


def test_a_new_ticket_is_written_as_the_contract_says() -> None:
    site = Site(lambda _: httpx.Response(201, json={"ticket": {"id": 1}}))
    assert site.helpdesk.create_ticket(new_ticket("m_1"), "k") == Ticket("1", closed=False, customer=None)
    assert json.loads(site.requests[0].content) == {
        "ticket": {
            "desk_id": "7",
            "category_id": "12",
            "title": "Messenger: Anna Nowak",
            "body": "Gdzie jest **moja** faktura?",
            "body_format": "markdown",
            "external_id": "m_1",
            "requester": {
                "name": "Anna Nowak",
                "external_id": "1",
                "avatar_url": "https://cdn.example.com/anna.jpg",
            },
            "attachment_ids": [],
            "created_at": "2026-11-22T20:15:03.123Z",
            "config": {
                "source": "facebook_messenger",
                "page_id": PAGE_A,
                "sender_id": "1",
                "sender_profile_pic": "https://cdn.example.com/anna.jpg",
            },
        }
    }


def test_what_is_known_of_a_customer_is_written_as_the_contract_says() -> None:
    site = Site(lambda _: httpx.Response(201, json={"ticket": {"id": 1}}))
    known = {"account_name": "Sugester", "name": "Anna Nowak", "first_name": "Anna", "last_name": "Nowak"}
    new = new_ticket("m_1")
    assert new.customer
    new = replace(new, customer=replace(new.customer, **known))
    site.helpdesk.create_ticket(new, "k")
    assert json.loads(site.requests[0].content)["ticket"]["config"] == {
        "source": "facebook_messenger",
        "page_id": PAGE_A,
        "page_name": "Sugester",
        "sender_id": "1",
        "sender_name": "Anna Nowak",
        "sender_first_name": "Anna",
        "sender_last_name": "Nowak",
        "sender_profile_pic": "https://cdn.example.com/anna.jpg",
    }


def test_what_is_history_says_so_for_the_helpdesks_own_rules() -> None:
    site = Site(lambda request: httpx.Response(201, json={request.url.path.split("/")[-1][:-1]: {"id": 1}}))
    site.helpdesk.create_ticket(replace(new_ticket("m_1"), is_history=True), "k")
    site.helpdesk.add_comment("42", replace(new_comment("m_1"), channel=CHANNEL, is_history=True), "k")
    ticket, comment = (json.loads(one.content) for one in site.requests)

    assert ticket["ticket"]["config"]["history"] is True
    assert comment["comment"]["config"] == {"source": "facebook_messenger", "history": True}


@pytest.mark.parametrize(("channel", "config"), [(CHANNEL, {"source": "facebook_messenger"}), ("", {})])
def test_a_comment_names_the_channel_that_brought_it(channel: str, config: dict[str, str]) -> None:
    site = Site(lambda _: httpx.Response(201, json={"comment": {"id": 1}}))
    site.helpdesk.add_comment("42", replace(new_comment("m_1"), channel=channel), "k")
    assert json.loads(site.requests[0].content)["comment"]["config"] == config


@pytest.mark.parametrize(
    "config",
    [
        None,
        "facebook_messenger",
        {},
        {"source": "email", "page_id": "1", "sender_id": "2"},
        {"source": ["facebook_messenger"], "page_id": "1", "sender_id": "2"},
        {"source": "facebook_messenger", "page_id": "1"},
        {"source": "facebook_messenger", "page_id": "", "sender_id": "2"},
    ],
    ids=repr,
)
def test_a_ticket_that_the_connector_did_not_make_has_no_customer(config: object) -> None:
    found = answering(200, {"ticket": {"id": "1", "config": config}}).get_ticket("1")
    assert found.customer is None


def test_an_id_stays_one_segment_of_the_path() -> None:
    site = Site(lambda _: httpx.Response(200, json={"ticket": {"id": "1"}}))
    site.helpdesk.get_ticket("../admin?x#y")
    assert site.requests[0].url.raw_path == b"/api/v1/tickets/..%2Fadmin%3Fx%23y"
