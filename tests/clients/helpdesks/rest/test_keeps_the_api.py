"""The adapter `rest` asks what docs/helpdesk-api.yaml says, and reads the answers that are its examples."""

from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO

import httpx
import pytest
from openapi_core.exceptions import OpenAPIError

from clients.channels.meta.events import CHANNEL
from clients.helpdesk import (
    Attachment,
    Author,
    Category,
    Comment,
    Customer,
    Delivery,
    Naming,
    NewComment,
    NewTicket,
    Opening,
    Ticket,
)
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from clients.media import File
from tests.conftest import WEBHOOK_SECRET, payload
from tests.fakes.conversation import SYSTEM
from tests.fakes.helpdesk_webhooks import headers
from tests.fakes.openapi import check_request, check_response, check_webhook, example

SITE = "https://acme.example.com"
AT = datetime(2026, 11, 22, 20, 15, 3, 123000, tzinfo=UTC)
BARE = Customer(CHANNEL, "1001", "7623", display_name="Messenger user 7623")
ANNA = Customer(
    CHANNEL,
    "1001",
    "7623",
    display_name="Anna Nowak",
    account_name="Sugester",
    name="Anna Nowak",
    first_name="Anna",
    last_name="Nowak",
    picture_url="https://cdn.example.com/anna.jpg",
)
TICKET = NewTicket("7", "12", "Messenger: Anna Nowak", "Hello", "m_1", ANNA, ["3"], AT)
BARE_TICKET = NewTicket("7", None, "Messenger", "Hello", "m_1", BARE, [], AT)
COMMENT = NewComment("More", "m_2", Author("customer", "Anna Nowak", "7623"), AT, attachment_ids=["3"])
ECHO = NewComment("Hello", "m_3", Author("agent", "Sugester (Meta inbox)"), AT, channel=CHANNEL)
NOTE = NewComment("It was not sent.", "failed:981", SYSTEM, AT, internal=True)
SENT = Delivery("sent", ["m_4"])
FAILED = Delivery("failed", [], "the person has blocked the page")
NAMED = Naming("Messenger: Anna Nowak", "Messenger: Anna Nowak-Lis", ANNA)
KEY = "facebook:1001:m_1:upload:0"

FOUND = Ticket("42", closed=False, customer=Customer(CHANNEL, "107381679302250", "7623554920995436"))
STORED = Attachment(**example("Attachment"))

ANSWERS = {
    ("GET", "/tickets"): (200, {"tickets": [example("Ticket")]}),
    ("POST", "/tickets"): (201, {"ticket": example("Ticket")}),
    ("GET", "/tickets/42"): (200, {"ticket": example("Ticket")}),
    ("PATCH", "/tickets/42"): (200, {"ticket": example("Ticket")}),
    ("GET", "/tickets/42/comments"): (200, {"comments": [example("Comment")]}),
    ("POST", "/tickets/42/comments"): (201, {"comment": example("Comment")}),
    ("PATCH", "/comments/980"): (200, {"comment": example("Comment")}),
    ("GET", "/desks/7"): (200, {"desk": {"id": "7", "name": "Sugester"}}),
    ("GET", "/desks/8"): (404, {"error": {"code": "no_such_desk", "message": "there is no desk 8"}}),
    ("GET", "/categories"): (200, {"categories": [{"id": "12", "name": "Social media"}]}),
    ("GET", "/categories/12"): (200, {"category": {"id": "12"}}),
    ("GET", "/categories/13"): (404, {"error": {"code": "no_such_category"}}),
    ("POST", "/attachments"): (201, {"attachment": example("Attachment")}),
}


def _answer(request: httpx.Request) -> httpx.Response:
    path = request.url.path.removeprefix("/api/v1")
    if path.startswith("/files/"):
        response = httpx.Response(200, content=b"%PDF", headers={"Content-Type": "application/pdf"})
    else:
        status, body = ANSWERS[request.method, path]
        response = httpx.Response(status, json=body)
    check_request(request)
    check_response(request, response)
    return response


@pytest.fixture
def helpdesk() -> RestHelpdesk:
    """A helpdesk that takes nothing and answers nothing but what is documented."""
    http = HttpClient(httpx.MockTransport(_answer))
    return RestHelpdesk(http, base_url=f"{SITE}/api/v1", api_token="t", webhook_secret=WEBHOOK_SECRET)


def _fetched(helpdesk: RestHelpdesk) -> bytes:
    with helpdesk.open_attachment(STORED, max_bytes=100) as file:
        return file.stream.read()


def _file() -> File:
    return File("zażółć.pdf", "application/pdf", 4, BytesIO(b"%PDF"))


def _id_of(comment: Comment | None) -> str:
    return comment.id if comment else ""


CALLS: dict[str, tuple[Callable[[RestHelpdesk], object], object]] = {
    "ping": (lambda helpdesk: helpdesk.ping(), None),
    "find an open ticket": (lambda helpdesk: helpdesk.find_open_ticket(ANNA.conversation), FOUND),
    "look a ticket up": (lambda helpdesk: helpdesk.ticket_by_external_id("m_AbC123"), FOUND),
    "read a ticket": (lambda helpdesk: helpdesk.get_ticket("42"), FOUND),
    "create a ticket": (lambda helpdesk: helpdesk.create_ticket(TICKET, KEY), FOUND),
    "create a ticket of whom little is known": (
        lambda helpdesk: helpdesk.create_ticket(BARE_TICKET, KEY),
        FOUND,
    ),
    "give a ticket its sender's name": (lambda helpdesk: helpdesk.name_requester("42", NAMED), True),
    "add a comment": (lambda helpdesk: helpdesk.add_comment("42", COMMENT, KEY), "980"),
    "add what an agent wrote at Meta": (lambda helpdesk: helpdesk.add_comment("42", ECHO, KEY), "980"),
    "add an internal comment": (lambda helpdesk: helpdesk.add_comment("42", NOTE, KEY), "980"),
    "look a comment up": (lambda helpdesk: helpdesk.comment_by_external_id("42", "m_DeF456"), "980"),
    "read a comment": (lambda helpdesk: _id_of(helpdesk.find_comment("42", "m_DeF456")), "980"),
    "read an agent's comment": (lambda helpdesk: _id_of(helpdesk.read_comment("42", "980", AT)), "980"),
    "read an agent's comment that is not there": (
        lambda helpdesk: _id_of(helpdesk.read_comment("42", "979", AT)),
        "",
    ),
    "read what a ticket began with": (
        lambda helpdesk: helpdesk.find_opening("42", "m_AbC123"),
        Opening("Where is my parcel?"),
    ),
    "read what a ticket began with that is another": (
        lambda helpdesk: helpdesk.find_opening("41", "m_AbC123"),
        None,
    ),
    "change a comment": (lambda helpdesk: helpdesk.edit_comment("980", example("Comment")["body"]), True),
    "change a comment of a helpdesk that does not": (
        lambda helpdesk: helpdesk.edit_comment("980", "Where is parcel 117?"),
        False,
    ),
    "show that a reply was sent": (lambda helpdesk: helpdesk.show_delivery("980", SENT), None),
    "show that a reply failed": (lambda helpdesk: helpdesk.show_delivery("980", FAILED), None),
    "look for a desk": (lambda helpdesk: helpdesk.has_desk("7"), True),
    "look for a desk that is not there": (lambda helpdesk: helpdesk.has_desk("8"), False),
    "look for a category": (lambda helpdesk: helpdesk.has_category("12"), True),
    "look for a category that is not there": (lambda helpdesk: helpdesk.has_category("13"), False),
    "list the categories of a desk": (
        lambda helpdesk: helpdesk.categories("7"),
        [Category("12", "Social media")],
    ),
    "store a file": (lambda helpdesk: helpdesk.upload(_file(), "facebook:ż\n"), STORED),
    "fetch a file": (_fetched, b"%PDF"),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_and_its_answer_are_as_documented(helpdesk: RestHelpdesk, name: str) -> None:
    call, result = CALLS[name]
    assert call(helpdesk) == result


@pytest.mark.parametrize(
    "name",
    [
        "comment_of_agent",
        "comment_of_customer",
        "comment_of_system",
        "comment_internal",
        "comment_from_page_inbox",
        "comment_with_file",
        "comment_on_foreign_ticket",
        "comment_on_ticket_without_config",
    ],
)
def test_each_webhook_that_is_understood_is_as_documented(helpdesk: RestHelpdesk, name: str) -> None:
    body = payload(f"helpdesk/{name}")
    sent = headers(body) | {"content-type": "application/json"}
    assert helpdesk.receive(body, sent, "")
    check_webhook("comment.created", sent, body)


@pytest.mark.parametrize("type_", ["ticket.closed", "ticket.reopened"])
def test_each_webhook_that_is_ignored_is_as_documented(helpdesk: RestHelpdesk, type_: str) -> None:
    body = payload(f"helpdesk/{type_.replace('.', '_')}")
    sent = headers(body) | {"content-type": "application/json"}
    assert helpdesk.receive(body, sent, "") is None
    check_webhook(type_, sent, body)


@pytest.mark.parametrize(
    "name", ["comment_internal_as_text", "comment_without_internal", "comment_without_comment"]
)
def test_a_webhook_that_says_too_little_is_not_as_documented(name: str) -> None:
    body = payload(f"helpdesk/{name}")
    with pytest.raises(OpenAPIError):
        check_webhook("comment.created", headers(body) | {"content-type": "application/json"}, body)
