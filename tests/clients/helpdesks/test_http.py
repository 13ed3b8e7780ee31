"""What adapters for HTTP APIs share: walking lists, ids in headers, 403, authors in texts, webhooks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from clients.channel import Conversation
from clients.errors import ClientError, NotFound, ServiceDown, Unauthorized, Unavailable
from clients.helpdesk import (
    AgentReply,
    Author,
    Comment,
    Customer,
    NewComment,
    Ticket,
    WebhookNotUnderstood,
    reading_webhook,
)
from clients.helpdesks.http import digest, id_in_location
from clients.jsons import decode
from tests.fakes.conversation import SYSTEM
from tests.fakes.rest_helpdesk import Site

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
DATE = {"Date": "Sat, 28 Nov 2026 12:00:00 GMT"}


# --- Lists in pages. ------------------------------------------------------------------------------------


def _three_pages(address: str) -> Callable[[httpx.Request], httpx.Response]:
    """Return a list whose pages name the next one below `address`."""

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("page", "1"))
        following = f"{address}?state=open&page={number + 1}" if number < 3 else None
        return httpx.Response(200, json={"found": [number], "next": following})

    return answer


@pytest.mark.parametrize("address", ["", "/api/v1/things", "https://elsewhere.example.com/v1/things"])
def test_a_list_is_walked_whatever_host_its_pages_name(address: str) -> None:
    site = Site(_three_pages(address))
    found = [one for page in site.helpdesk.pages("/things", {"state": "open"}) for one in page["found"]]
    assert found == [1, 2, 3]
    assert {request.url.path for request in site.requests} == {"/api/v1/things"}
    assert len({request.url.host for request in site.requests}) == 1
    assert [request.url.params.get("state") for request in site.requests] == ["open"] * 3


def test_the_next_page_may_have_another_name() -> None:
    pages = iter([{"next_page": "/things?page=2"}, {"next_page": ""}])
    site = Site(lambda _: httpx.Response(200, json=next(pages)))
    assert len(list(site.helpdesk.pages("/things", following="next_page"))) == 2


def test_no_more_is_read_than_is_asked_for() -> None:
    site = Site(_three_pages(""))
    next(site.helpdesk.pages("/things"))
    assert len(site.requests) == 1


def test_a_list_that_never_ends_is_left() -> None:
    site = Site(lambda _: httpx.Response(200, json={"next": "?page=2"}))
    with pytest.raises(Unavailable):
        list(site.helpdesk.pages("/things"))
    assert len(site.requests) == 2


# --- Answers that say something in their headers. -------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["/api/v1/things/t%2F7", "https://other.example.com/api/v1/things/t%2F7/", "t%2F7?view=full"],
)
def test_an_id_is_read_from_where_the_new_thing_is(address: str) -> None:
    site = Site(lambda _: httpx.Response(201, headers={"Location": address}))
    assert id_in_location(site.helpdesk.request("POST", "/things", json={})) == "t/7"


def test_an_answer_without_an_id_has_an_unknown_outcome() -> None:
    with pytest.raises(Unavailable) as failure:
        id_in_location(Site(lambda _: httpx.Response(201)).helpdesk.request("POST", "/things"))
    assert failure.value.maybe_done


def test_an_error_is_raised_although_the_whole_answer_is_asked_for() -> None:
    with pytest.raises(NotFound) as failure:
        Site(lambda _: httpx.Response(404)).helpdesk.request("GET", "/things/7")
    assert failure.value.remote == "helpdesk"


# --- 403 is of the token, or of one ticket. -------------------------------------------------------------


def _forbidding(path: str, ping: int) -> Site:
    """Return a helpdesk that answers 403 below a path, and a ping by the status given."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("external_id") == "ping":
            return httpx.Response(ping, json={"tickets": []})
        return httpx.Response(403 if request.url.path.startswith(f"/api/v1{path}") else 200, json={})

    return Site(answer)


def test_a_ticket_that_is_forbidden_is_not_found_while_the_token_is_good() -> None:
    site = _forbidding("/tickets/42", ping=200)
    with pytest.raises(NotFound) as failure:
        site.helpdesk.get_ticket("42")
    assert failure.value.remote == "helpdesk"
    assert len(site.requests) == 2


@pytest.mark.parametrize(
    ("ping", "sort"), [(401, Unauthorized), (403, Unauthorized), (500, Unavailable), (503, ServiceDown)]
)
def test_a_forbidden_ticket_is_what_the_ping_is_that_fails(ping: int, sort: type[ClientError]) -> None:
    site = _forbidding("/tickets/42", ping)
    with pytest.raises(ClientError) as failure:
        site.helpdesk.get_ticket("42")
    assert type(failure.value) is sort
    assert len(site.requests) == 2


def test_a_ping_that_is_forbidden_is_the_tokens_and_asks_for_no_other() -> None:
    site = _forbidding("/", ping=403)
    with pytest.raises(Unauthorized):
        site.helpdesk.ping()
    with pytest.raises(Unauthorized):
        site.helpdesk.get_ticket("42")


def test_a_list_that_is_forbidden_is_no_ticket_that_is_gone() -> None:
    with pytest.raises(Unavailable):
        _forbidding("/tickets", ping=200).helpdesk.find_open_ticket(Conversation("toy", "1", "2"))


# --- What texts begin with. -----------------------------------------------------------------------------


def _signed(author: Author, age: timedelta) -> str:
    site = Site(lambda _: httpx.Response(200, json={"tickets": []}, headers=DATE))
    site.helpdesk.ping()
    return site.helpdesk.signed(NewComment("Hello", "m_1", author, NOW - age))


def test_a_comment_is_signed_with_its_authors_name() -> None:
    author = Author("customer", "*Anna*", "1")
    assert _signed(author, timedelta(seconds=5)) == "**\\*Anna\\***:\n\nHello"


def test_a_comment_that_is_late_says_when_it_was_written() -> None:
    author = Author("customer", "Anna", "1")
    assert _signed(author, timedelta(minutes=90)) == "**Anna**, 2026-11-28 10:30 UTC:\n\nHello"


def test_what_the_connector_says_itself_is_not_signed() -> None:
    assert _signed(SYSTEM, timedelta(minutes=90)) == "Hello"


# --- What is kept, and what comes back. -----------------------------------------------------------------


@pytest.mark.parametrize("external_id", ["m_1", "m_ą/'\"{{ x }}🙂", "\ud83d", "x" * 1000])
def test_a_digest_fits_into_any_field(external_id: str) -> None:
    assert len(digest(external_id)) == 16
    assert digest(external_id).isalnum()
    assert digest(external_id) != digest(external_id.swapcase() + ".")


def test_whom_a_ticket_is_about_is_kept_in_one_word() -> None:
    customer = Customer("toy", "10", "77", display_name="Anna")
    assert str(customer.conversation) == "toy/10/77"
    assert Customer.parse("toy/10/77") == Customer("toy", "10", "77")


@pytest.mark.parametrize("text", ["", "toy", "toy/10", "toy/10/", "/10/77", "toy/10/77/1"])
def test_a_ticket_without_a_customer_is_not_ours(text: str) -> None:
    assert Customer.parse(text) is None


def test_a_reply_has_its_comments_id_and_time() -> None:
    comment = Comment(
        "5", "Hi", "text", "agent", internal=False, attachments=(), from_connector=False, created_at=NOW
    )
    reply = AgentReply.of(Ticket("1", closed=False, customer=None), comment)
    assert (reply.key, reply.time, reply.is_confirmed) == ("comment:5", NOW, True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": 7}', b'{"data": {"id": "x"}}'])
def test_a_webhook_of_another_shape_is_not_understood(body: bytes) -> None:
    with pytest.raises(WebhookNotUnderstood), reading_webhook():
        int(decode(body)["data"]["id"])
