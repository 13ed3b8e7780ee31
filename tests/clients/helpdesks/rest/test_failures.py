"""Failures of the helpdesk's API, each by its sort."""

import logging
from collections.abc import Callable
from io import BytesIO
from typing import Any

import httpx
import pytest

from clients.errors import (
    LONGEST_RETRY_AFTER,
    ClientError,
    FileRefused,
    NotFound,
    RateLimited,
    RejectedError,
    ServiceDown,
    TicketClosed,
    Unauthorized,
    Unavailable,
)
from clients.helpdesk import Ticket
from clients.helpdesks.rest import RestHelpdesk
from clients.http import LATE, HttpClient
from clients.media import File
from tests.conftest import WEBHOOK_SECRET
from tests.fakes.rest_helpdesk import (
    TOKEN,
    Counter,
    Site,
    answering,
    customer_of,
    new_comment,
    new_file,
    new_ticket,
)


def _get(helpdesk: RestHelpdesk) -> Ticket:
    return helpdesk.get_ticket("42")


@pytest.mark.parametrize(
    ("status", "body", "sort"),
    [
        (400, {}, RejectedError),
        (401, {}, Unauthorized),
        (403, {}, Unauthorized),
        (404, {}, NotFound),
        (408, {}, Unavailable),
        (409, {"error": {"code": "ticket_closed"}}, TicketClosed),
        (409, {"error": {"code": "in_progress"}}, Unavailable),
        (409, {"error": "ticket_closed"}, Unavailable),
        (409, None, Unavailable),
        (410, {}, NotFound),
        (413, {}, FileRefused),
        (415, {}, FileRefused),
        (422, {}, RejectedError),
        (425, {}, Unavailable),
        (429, {}, RateLimited),
        (500, {}, Unavailable),
        (503, {}, ServiceDown),
        (302, {}, ServiceDown),
    ],
)
def test_each_status_has_its_sort(status: int, body: Any, sort: type[ClientError]) -> None:
    with pytest.raises(ClientError) as failure:
        _get(answering(status, body))
    assert type(failure.value) is sort
    assert failure.value.remote == "helpdesk"


@pytest.mark.parametrize("id_", ["x/tickets", "tickets", "attachments", "../tickets", "tickets?", "/tickets"])
def test_a_ticket_that_is_not_there_is_no_outage_whatever_its_id(id_: str) -> None:
    helpdesk = answering(404, {})
    with pytest.raises(NotFound):
        helpdesk.get_ticket(id_)
    with pytest.raises(NotFound):
        helpdesk.comment_by_external_id(id_, "m_1")
    with pytest.raises(NotFound):
        helpdesk.add_comment(id_, new_comment("m_1"), "key")


def test_a_ticket_that_the_token_may_not_see_is_as_if_it_were_gone() -> None:
    site = Site(lambda request: httpx.Response(200 if _is_ping(request) else 403, json={"tickets": []}))
    for call in (
        lambda: site.helpdesk.get_ticket("42"),
        lambda: site.helpdesk.comment_by_external_id("42", "m_1"),
        lambda: site.helpdesk.add_comment("42", new_comment("m_1"), "key"),
    ):
        with pytest.raises(NotFound, match="helpdesk_forbids"):
            call()
        assert _is_ping(site.requests[-1])


def _is_ping(request: httpx.Request) -> bool:
    return "external_id=ping" in str(request.url)


@pytest.mark.parametrize(
    "call",
    [
        lambda helpdesk: helpdesk.ping(),
        lambda helpdesk: helpdesk.get_ticket("42"),
        lambda helpdesk: helpdesk.add_comment("42", new_comment("m_1"), "key"),
        lambda helpdesk: helpdesk.find_open_ticket(customer_of("1").conversation),
    ],
)
def test_a_token_that_is_forbidden_everything_is_no_ticket_that_is_gone(
    call: Callable[[RestHelpdesk], object],
) -> None:
    with pytest.raises(Unauthorized):
        call(answering(403, {}))


@pytest.mark.parametrize(
    ("ticket", "address"),
    [({"url": "https://acme.example.com/tickets/42"}, "https://acme.example.com/tickets/42"), ({}, "")],
)
def test_a_ticket_is_where_the_helpdesk_says(ticket: dict[str, str], address: str) -> None:
    helpdesk = answering(200, {"ticket": {"id": "42"} | ticket})
    assert helpdesk.ticket_url("42") == address


@pytest.mark.parametrize("status", [404, 405])
def test_an_api_that_is_not_there_is_an_outage(status: int) -> None:
    helpdesk = answering(status, {})
    with pytest.raises(ServiceDown):
        helpdesk.find_open_ticket(customer_of("1").conversation)
    with pytest.raises(ServiceDown):
        helpdesk.create_ticket(new_ticket("m_1"), "key")
    with pytest.raises(ServiceDown):
        helpdesk.upload(new_file(), "key")


@pytest.mark.parametrize(("status", "sort"), [(429, RateLimited), (503, Unavailable)])
def test_retry_after_is_passed_on(status: int, sort: type[RateLimited | Unavailable]) -> None:
    with pytest.raises(sort) as failure:
        _get(answering(status, Retry_After="7"))
    assert failure.value.retry_after == 7


@pytest.mark.parametrize("value", ["", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_retry_after_that_is_no_number_is_ignored(value: str) -> None:
    with pytest.raises(RateLimited) as failure:
        _get(answering(429, Retry_After=value))
    assert failure.value.retry_after is None


@pytest.mark.parametrize("value", ["1" + "0" * 8, "9" * 400])
def test_a_retry_after_is_no_longer_than_anybody_waits(value: str) -> None:
    with pytest.raises(RateLimited) as failure:
        _get(answering(429, Retry_After=value))
    assert failure.value.retry_after == LONGEST_RETRY_AFTER


def test_an_answer_with_a_number_too_long_for_python_is_read() -> None:
    content = b'{"ticket": {"id": "1", "config": {"x": %s}}}' % (b"9" * 5000)
    assert _get(Site(lambda _: httpx.Response(200, content=content)).helpdesk).id == "1"


def test_a_number_too_long_for_python_does_not_hide_that_a_ticket_is_closed() -> None:
    content = b'{"error": {"code": "ticket_closed", "x": %s}}' % (b"9" * 5000)
    with pytest.raises(TicketClosed):
        _get(Site(lambda _: httpx.Response(409, content=content)).helpdesk)


def test_a_number_too_long_for_python_does_not_hide_which_field_is_refused() -> None:
    content = b'{"error": {"code": "invalid", "field": "title", "x": %s}}' % (b"9" * 5000)
    with pytest.raises(RejectedError, match="invalid: title"):
        _get(Site(lambda _: httpx.Response(422, content=content)).helpdesk)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b"{"])
def test_a_success_that_is_no_json_has_an_unknown_outcome(content: bytes) -> None:
    site = Site(lambda _: httpx.Response(201, content=content))
    with pytest.raises(Unavailable) as failure:
        site.helpdesk.create_ticket(new_ticket("m_1"), "k")
    assert failure.value.maybe_done


def test_half_an_emoji_in_an_answer_can_be_stored() -> None:
    content = b'{"attachment": {"id": "3", "url": "/files/3", "filename": "\\ud83d.png"}}'
    site = Site(lambda _: httpx.Response(201, content=content))
    with BytesIO(b"x") as stream:
        uploaded = site.helpdesk.upload(File("a.png", "image/png", 1, stream), "k")
    assert uploaded.filename == "?.png"


def test_a_helpdesk_that_ignores_the_search_for_an_external_id_hides_nothing() -> None:
    body = {"tickets": [{"id": "1", "external_id": "m_0"}], "comments": [{"id": "2", "external_id": "m_0"}]}
    assert answering(200, body).ticket_by_external_id("m_1") is None
    assert answering(200, body).comment_by_external_id("1", "m_1") is None


def test_an_answer_that_does_not_repeat_the_external_id_is_believed() -> None:
    body = {"tickets": [{"id": "1"}], "comments": [{"id": "2"}]}
    assert answering(200, body).ticket_by_external_id("m_1") == Ticket("1", closed=False, customer=None)
    assert answering(200, body).comment_by_external_id("1", "m_1") == "2"


def test_a_call_that_was_not_answered_in_time_may_take_effect_late() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer")

    with pytest.raises(Unavailable) as failure:
        Site(fail).helpdesk.create_ticket(new_ticket("m_1"), "k")
    assert failure.value.retry_after == LATE


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"ticket": None},
        {"ticket": {}},
        {"ticket": []},
        {"ticket": {"id": ""}},
        {"ticket": {"id": None}},
        {"ticket": {"id": True}},
    ],
)
def test_a_success_without_an_id_has_an_unknown_outcome(body: Any) -> None:
    with pytest.raises(Unavailable) as failure:
        answering(201, body).create_ticket(new_ticket("m_1"), "k")
    assert failure.value.maybe_done


@pytest.mark.parametrize("body", [None, {}, {"tickets": None}, {"tickets": [{}]}])
def test_a_search_whose_answer_is_improper_finds_out_nothing(body: Any) -> None:
    with pytest.raises(Unavailable):
        answering(200, body).ticket_by_external_id("m_1")


@pytest.mark.parametrize(
    ("error", "maybe_done"),
    [
        (httpx.ConnectError, False),
        (httpx.ConnectTimeout, False),
        (httpx.ReadTimeout, True),
        (httpx.WriteTimeout, True),
        (httpx.ReadError, True),
        (httpx.WriteError, True),
        (httpx.RemoteProtocolError, True),
    ],
)
def test_without_an_answer_the_outcome_is_unknown_once_a_byte_went_out(
    error: type[httpx.TransportError],
    maybe_done: bool,  # noqa: FBT001 - a table's column
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("no answer")

    with pytest.raises(Unavailable) as failure:
        Site(fail).helpdesk.create_ticket(new_ticket("m_1"), "k")
    assert (failure.value.maybe_done, failure.value.remote) == (maybe_done, "helpdesk")


@pytest.mark.parametrize("error", [httpx.TooManyRedirects, httpx.UnsupportedProtocol])
def test_a_call_that_can_never_work_is_rejected(error: type[httpx.RequestError]) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("never")

    with pytest.raises(RejectedError):
        _get(Site(fail).helpdesk)


def test_no_failure_and_no_log_holds_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown = []
    for status in (200, 400, 401, 404, 409, 429, 500):
        with pytest.raises(ClientError) as failure:
            _get(answering(status, {"echo": TOKEN}))
        shown.append(f"{failure.value!r} {failure.value.__cause__!r}")
    assert TOKEN not in "".join(shown) + caplog.text


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN}ż"])
def test_a_token_that_no_header_takes_is_not_shown(server: "Counter", token: str) -> None:
    with HttpClient() as http:
        helpdesk = RestHelpdesk(http, base_url=server.url, api_token=token, webhook_secret=WEBHOOK_SECRET)
        with pytest.raises(ClientError) as failure:
            helpdesk.ping()
    assert TOKEN not in f"{failure.value!r} {failure.value.__cause__!r}"


@pytest.mark.parametrize("status", [404, 405, 400])
def test_a_helpdesk_need_not_list_its_categories(status: int) -> None:
    assert answering(status, {"error": {"code": "not_found"}}).categories("7") is None


@pytest.mark.parametrize("status", [404, 405, 400])
def test_whether_a_desk_is_there_is_not_known_where_a_helpdesk_does_not_offer_that(status: int) -> None:
    assert answering(status, {"error": {"code": "not_found"}}).has_desk("7") is None
