"""The helpdesk's API as the connector uses it: each method by a recording, each failure by its sort."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import httpx
import pytest

from clients.errors import (
    LONGEST_RETRY_AFTER,
    Away,
    Busy,
    ClientError,
    FileRefused,
    NotFound,
    RateLimited,
    RejectedError,
    Stale,
    TicketClosed,
    Unauthorized,
    Unavailable,
)
from clients.helpdesk import (
    SYSTEM,
    Attachment,
    Author,
    Delivery,
    Naming,
    NewComment,
    NewTicket,
    Requester,
    Ticket,
)
from clients.http import LATE, HttpClient, guarded
from clients.media import File
from clients.rest_helpdesk import RestHelpdesk
from clients.shared import Shares
from tests.conftest import PAGE_A, WEBHOOK_SECRET
from tests.recording import FOLDER, HELPDESK, SITES, cassette

TOKEN = "desk-token-that-nobody-may-see"
AT = datetime(2026, 11, 22, 20, 15, 3, 123000, tzinfo=UTC)
PHOTO = b"\x89PNG\r\n\x1a\n"


def _helpdesk(http: HttpClient, site: str = HELPDESK) -> RestHelpdesk:
    return RestHelpdesk(http, base_url=f"{site}/api/v1", api_token=TOKEN, webhook_secret=WEBHOOK_SECRET)


@contextmanager
def _recorded(name: str) -> Iterator[RestHelpdesk]:
    """Give a helpdesk that answers from a cassette."""
    with cassette(f"helpdesk/{name}"), HttpClient() as http:
        yield _helpdesk(http, SITES.helpdesk)


def _config(psid: str) -> dict[str, str]:
    return {"source": "facebook_messenger", "page_id": PAGE_A, "sender_id": psid}


def _new_ticket(mid: str, psid: str = "1") -> NewTicket:
    requester = Requester("Anna Nowak", psid, "https://cdn.example.com/anna.jpg")
    body = "Gdzie jest **moja** faktura?"
    return NewTicket("7", "12", "Messenger: Anna Nowak", body, mid, requester, [], AT, _config(psid))


def _new_comment(mid: str) -> NewComment:
    return NewComment("Nadal czekam 🙁", mid, Author("customer", "Anna Nowak", "1"), AT)


def _file() -> File:
    return File("zażółć.png", "image/png", len(PHOTO), BytesIO(PHOTO))


# --- Each method, as recorded. --------------------------------------------------------------------------


def test_a_ping_is_answered() -> None:
    with _recorded("ping") as helpdesk:
        helpdesk.ping()


def test_a_ticket_is_created() -> None:
    with _recorded("create_ticket") as helpdesk:
        ticket = helpdesk.create_ticket(_new_ticket("m_1"), f"facebook:{PAGE_A}:m_1")
    assert (ticket.closed, ticket.config) == (False, _config("1"))


def test_a_ticket_that_is_created_again_is_the_first_one() -> None:
    with _recorded("create_ticket_again") as helpdesk:
        tickets = {helpdesk.create_ticket(_new_ticket("m_2"), "facebook:2").id for _ in range(2)}
    assert len(tickets) == 1


def test_a_ticket_without_a_category_is_created() -> None:
    new = NewTicket("7", None, "Messenger", "Hi", "m_3", Requester("Anna", "3"), [], AT, _config("3"))
    with _recorded("create_ticket_without_category") as helpdesk:
        assert helpdesk.create_ticket(new, "facebook:3").config == _config("3")


def test_the_open_ticket_of_a_sender_is_found() -> None:
    with _recorded("find_open_ticket") as helpdesk:
        made = helpdesk.create_ticket(_new_ticket("m_4", psid="4"), "facebook:4")
        assert helpdesk.find_open_ticket(PAGE_A, "4") == made


def test_a_sender_without_an_open_ticket_has_none() -> None:
    with _recorded("find_open_ticket_none") as helpdesk:
        assert helpdesk.find_open_ticket(PAGE_A, "404") is None


def test_a_ticket_is_found_by_its_external_id() -> None:
    with _recorded("ticket_by_external_id") as helpdesk:
        made = helpdesk.create_ticket(_new_ticket("m_5"), "facebook:5")
        assert helpdesk.ticket_by_external_id("m_5") == made


def test_a_ticket_is_read() -> None:
    with _recorded("get_ticket") as helpdesk:
        made = helpdesk.create_ticket(_new_ticket("m_6"), "facebook:6")
        assert helpdesk.get_ticket(made.id) == made


def test_a_ticket_that_is_not_there_is_not_found() -> None:
    with _recorded("get_ticket_none") as helpdesk, pytest.raises(NotFound) as refusal:
        helpdesk.get_ticket("no/such ticket")
    assert refusal.value.side == "helpdesk"


def test_a_comment_is_added_and_found_by_its_external_id() -> None:
    with _recorded("add_comment") as helpdesk:
        ticket = helpdesk.create_ticket(_new_ticket("m_7"), "facebook:7")
        made = helpdesk.add_comment(ticket.id, _new_comment("m_7a"), "facebook:7a")
        assert helpdesk.comment_by_external_id(ticket.id, "m_7a") == made


def test_an_internal_comment_is_added() -> None:
    note = NewComment("It was not sent.", "note-1", SYSTEM, AT, internal=True)
    with _recorded("add_comment_internal") as helpdesk:
        ticket = helpdesk.create_ticket(_new_ticket("m_8"), "facebook:8")
        assert helpdesk.add_comment(ticket.id, note, "facebook:8a")


def test_a_comment_that_is_not_there_is_not_found() -> None:
    with _recorded("comment_by_external_id_none") as helpdesk:
        ticket = helpdesk.create_ticket(_new_ticket("m_9"), "facebook:9")
        assert helpdesk.comment_by_external_id(ticket.id, "m_none") is None


def test_a_closed_ticket_takes_no_comment() -> None:
    with _recorded("add_comment_closed") as helpdesk:
        ticket = helpdesk.create_ticket(_new_ticket("m_10"), "facebook:10")
        httpx.post(f"{SITES.helpdesk}/sandbox/tickets/{ticket.id}/close")
        with pytest.raises(TicketClosed):
            helpdesk.add_comment(ticket.id, _new_comment("m_10a"), "facebook:10a")


def test_a_delivery_is_merged_into_the_comments_config() -> None:
    with _recorded("merge_config") as helpdesk:
        ticket = helpdesk.create_ticket(_new_ticket("m_11"), "facebook:11")
        comment = helpdesk.add_comment(ticket.id, _new_comment("m_11a"), "facebook:11a")
        helpdesk.show_delivery(comment, Delivery("sent", ["m_x"]))


def test_a_file_is_uploaded_and_fetched() -> None:
    with _recorded("upload") as helpdesk:
        uploaded = helpdesk.upload(_file(), "facebook:12")
        assert (uploaded.filename, uploaded.content_type, uploaded.size) == ("zażółć.png", "image/png", 8)
        with helpdesk.open_attachment(uploaded, max_bytes=8) as file:
            assert (file.filename, file.size, file.stream.read()) == ("zażółć.png", 8, PHOTO)


def test_no_cassette_holds_a_token() -> None:
    cassettes = [file.read_text() for file in FOLDER.glob("**/*.yaml")]
    assert cassettes
    assert not [text for text in cassettes if TOKEN in text or "Bearer" in text or "127.0.0.1" in text]


# --- What goes out. -------------------------------------------------------------------------------------

Answer = Callable[[httpx.Request], httpx.Response]


class Site:
    """A helpdesk made of one function; it keeps the requests."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[httpx.Request] = []

        def keep(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return answer(request)

        self.helpdesk = _helpdesk(HttpClient(httpx.MockTransport(keep)))


def _answering(status: int, body: Any = None, **headers: str) -> RestHelpdesk:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Site(lambda _: httpx.Response(status, json=body, headers=named)).helpdesk


CREATES: dict[str, Callable[[RestHelpdesk, str], object]] = {
    "ticket": lambda helpdesk, key: helpdesk.create_ticket(_new_ticket("m_1"), key),
    "comment": lambda helpdesk, key: helpdesk.add_comment("42", _new_comment("m_1"), key),
    "attachment": lambda helpdesk, key: helpdesk.upload(_file(), key),
}


@pytest.mark.parametrize("what", CREATES)
def test_a_create_carries_the_token_and_its_key(what: str) -> None:
    site = Site(lambda _: httpx.Response(201, json={what: {"id": "1", "url": "/files/1"}}))
    CREATES[what](site.helpdesk, "facebook:1:mid.$cAA=:x")
    (request,) = site.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["idempotency-key"] == "facebook:1:mid.$cAA=:x"


NAMING = Naming("Messenger: a", "Messenger: Anna", Requester("Anna", "7"), {"sender_name": "Anna"})


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
    known = {"requester": {"name": "Anna", "external_id": "7"}, "config": {"sender_name": "Anna"}}
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
    site.helpdesk.create_ticket(_new_ticket("m_1"), "facebook:ż\n")
    assert site.requests[0].headers["idempotency-key"] == "facebook:%C5%BC%0A"


def test_a_new_ticket_is_written_as_the_contract_says() -> None:
    site = Site(lambda _: httpx.Response(201, json={"ticket": {"id": 1}}))
    assert site.helpdesk.create_ticket(_new_ticket("m_1"), "k") == Ticket("1", closed=False, config=None)
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
            "config": _config("1"),
        }
    }


def test_an_id_stays_one_segment_of_the_path() -> None:
    site = Site(lambda _: httpx.Response(200, json={"ticket": {"id": "1"}}))
    site.helpdesk.get_ticket("../admin?x#y")
    assert site.requests[0].url.raw_path == b"/api/v1/tickets/..%2Fadmin%3Fx%23y"


# --- Failures, sorted. ----------------------------------------------------------------------------------


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
        (503, {}, Away),
        (302, {}, Away),
    ],
)
def test_each_status_has_its_sort(status: int, body: Any, sort: type[ClientError]) -> None:
    with pytest.raises(ClientError) as failure:
        _get(_answering(status, body))
    assert type(failure.value) is sort
    assert failure.value.side == "helpdesk"


@pytest.mark.parametrize("id_", ["x/tickets", "tickets", "attachments", "../tickets", "tickets?", "/tickets"])
def test_a_ticket_that_is_not_there_is_no_outage_whatever_its_id(id_: str) -> None:
    helpdesk = _answering(404, {})
    with pytest.raises(NotFound):
        helpdesk.get_ticket(id_)
    with pytest.raises(NotFound):
        helpdesk.comment_by_external_id(id_, "m_1")
    with pytest.raises(NotFound):
        helpdesk.add_comment(id_, _new_comment("m_1"), "key")


def test_a_ticket_that_the_token_may_not_see_is_as_if_it_were_gone() -> None:
    site = Site(lambda request: httpx.Response(200 if _is_ping(request) else 403, json={"tickets": []}))
    for call in (
        lambda: site.helpdesk.get_ticket("42"),
        lambda: site.helpdesk.comment_by_external_id("42", "m_1"),
        lambda: site.helpdesk.add_comment("42", _new_comment("m_1"), "key"),
    ):
        with pytest.raises(NotFound, match="forbids it"):
            call()
        assert _is_ping(site.requests[-1])


def _is_ping(request: httpx.Request) -> bool:
    return "external_id=ping" in str(request.url)


@pytest.mark.parametrize(
    "call",
    [
        lambda helpdesk: helpdesk.ping(),
        lambda helpdesk: helpdesk.get_ticket("42"),
        lambda helpdesk: helpdesk.add_comment("42", _new_comment("m_1"), "key"),
        lambda helpdesk: helpdesk.find_open_ticket(PAGE_A, "1"),
    ],
)
def test_a_token_that_is_forbidden_everything_is_no_ticket_that_is_gone(
    call: Callable[[RestHelpdesk], object],
) -> None:
    with pytest.raises(Unauthorized):
        call(_answering(403, {}))


@pytest.mark.parametrize(
    ("ticket", "address"),
    [({"url": "https://acme.example.com/tickets/42"}, "https://acme.example.com/tickets/42"), ({}, "")],
)
def test_a_ticket_is_where_the_helpdesk_says(ticket: dict[str, str], address: str) -> None:
    helpdesk = _answering(200, {"ticket": {"id": "42"} | ticket})
    assert helpdesk.ticket_url("42") == address


@pytest.mark.parametrize("status", [404, 405])
def test_an_api_that_is_not_there_is_an_outage(status: int) -> None:
    helpdesk = _answering(status, {})
    with pytest.raises(Away):
        helpdesk.find_open_ticket(PAGE_A, "1")
    with pytest.raises(Away):
        helpdesk.create_ticket(_new_ticket("m_1"), "key")
    with pytest.raises(Away):
        helpdesk.upload(_file(), "key")


@pytest.mark.parametrize(("status", "sort"), [(429, RateLimited), (503, Unavailable)])
def test_retry_after_is_passed_on(status: int, sort: type[RateLimited | Unavailable]) -> None:
    with pytest.raises(sort) as failure:
        _get(_answering(status, Retry_After="7"))
    assert failure.value.retry_after == 7


@pytest.mark.parametrize("value", ["", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_retry_after_that_is_no_number_is_ignored(value: str) -> None:
    with pytest.raises(RateLimited) as failure:
        _get(_answering(429, Retry_After=value))
    assert failure.value.retry_after is None


@pytest.mark.parametrize("value", ["1" + "0" * 8, "9" * 400])
def test_a_retry_after_is_no_longer_than_anybody_waits(value: str) -> None:
    with pytest.raises(RateLimited) as failure:
        _get(_answering(429, Retry_After=value))
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
    with pytest.raises(RejectedError, match=r"\(invalid: title\)"):
        _get(Site(lambda _: httpx.Response(422, content=content)).helpdesk)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b"{"])
def test_a_success_that_is_no_json_has_an_unknown_outcome(content: bytes) -> None:
    site = Site(lambda _: httpx.Response(201, content=content))
    with pytest.raises(Unavailable) as failure:
        site.helpdesk.create_ticket(_new_ticket("m_1"), "k")
    assert failure.value.maybe_done


def test_half_an_emoji_in_an_answer_can_be_stored() -> None:
    content = b'{"attachment": {"id": "3", "url": "/files/3", "filename": "\\ud83d.png"}}'
    site = Site(lambda _: httpx.Response(201, content=content))
    with BytesIO(b"x") as stream:
        uploaded = site.helpdesk.upload(File("a.png", "image/png", 1, stream), "k")
    assert uploaded.filename == "?.png"


def test_a_helpdesk_that_ignores_the_search_for_an_external_id_hides_nothing() -> None:
    body = {"tickets": [{"id": "1", "external_id": "m_0"}], "comments": [{"id": "2", "external_id": "m_0"}]}
    assert _answering(200, body).ticket_by_external_id("m_1") is None
    assert _answering(200, body).comment_by_external_id("1", "m_1") is None


def test_an_answer_that_does_not_repeat_the_external_id_is_believed() -> None:
    body = {"tickets": [{"id": "1"}], "comments": [{"id": "2"}]}
    assert _answering(200, body).ticket_by_external_id("m_1") == Ticket("1", closed=False, config=None)
    assert _answering(200, body).comment_by_external_id("1", "m_1") == "2"


def test_a_call_that_was_not_answered_in_time_may_take_effect_late() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer")

    with pytest.raises(Unavailable) as failure:
        Site(fail).helpdesk.create_ticket(_new_ticket("m_1"), "k")
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
        _answering(201, body).create_ticket(_new_ticket("m_1"), "k")
    assert failure.value.maybe_done


@pytest.mark.parametrize("body", [None, {}, {"tickets": None}, {"tickets": [{}]}])
def test_a_search_whose_answer_is_improper_finds_out_nothing(body: Any) -> None:
    with pytest.raises(Unavailable):
        _answering(200, body).ticket_by_external_id("m_1")


@pytest.mark.parametrize(
    ("error", "maybe_done"),
    [
        (httpx.ConnectError, False),
        (httpx.ConnectTimeout, False),
        (httpx.PoolTimeout, False),
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
        Site(fail).helpdesk.create_ticket(_new_ticket("m_1"), "k")
    assert (failure.value.maybe_done, failure.value.side) == (maybe_done, "helpdesk")


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
            _get(_answering(status, {"echo": TOKEN}))
        shown.append(f"{failure.value!r} {failure.value.__cause__!r}")
    assert TOKEN not in "".join(shown) + caplog.text


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN}ż"])
def test_a_token_that_no_header_takes_is_not_shown(server: "Counter", token: str) -> None:
    with HttpClient() as http:
        helpdesk = RestHelpdesk(http, base_url=server.url, api_token=token, webhook_secret=WEBHOOK_SECRET)
        with pytest.raises(ClientError) as failure:
            helpdesk.ping()
    assert TOKEN not in f"{failure.value!r} {failure.value.__cause__!r}"


# --- Attachments. ---------------------------------------------------------------------------------------


def _attachment(url: str, content_type: str = "application/pdf") -> Attachment:
    return Attachment("3", url, "invoice.pdf", content_type, 5)


def _open(helpdesk: RestHelpdesk, url: str, max_bytes: int = 100) -> bytes:
    with helpdesk.open_attachment(_attachment(url), max_bytes) as file:
        return file.stream.read()


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://helpdesk.test/files/3", "http://helpdesk.test/files/3"),
        ("http://helpdesk.test:80/files/3", "http://helpdesk.test/files/3"),
        ("HTTP://Helpdesk.test/files/3", "http://helpdesk.test/files/3"),
        ("/files/3", "http://helpdesk.test/files/3"),
        ("//helpdesk.test/files/3", "http://helpdesk.test/files/3"),
        ("files/3", "http://helpdesk.test/api/v1/files/3"),
    ],
)
def test_the_token_goes_to_the_helpdesks_own_origin(url: str, target: str) -> None:
    site = Site(lambda _: httpx.Response(200, content=b"bytes"))
    assert _open(site.helpdesk, url) == b"bytes"
    (request,) = site.requests
    assert (str(request.url), request.headers.get("authorization")) == (target, f"Bearer {TOKEN}")


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.test/3",
        "http://helpdesk.test:8080/3",
        "https://helpdesk.test/3",
        "http://helpdesk.test.evil.test/3",
        "http://helpdesk.test@evil.test/3",
        "//cdn.test/3",
    ],
)
def test_the_token_goes_nowhere_else(url: str) -> None:
    site = Site(lambda _: httpx.Response(200, content=b"bytes"))
    _open(site.helpdesk, url)
    assert TOKEN not in str(site.requests[0].headers.raw)


@pytest.mark.parametrize(
    "target", ["http://cdn.test/3", "http://helpdesk.test:8080/3", "https://helpdesk.test/3", "//cdn.test/3"]
)
def test_the_token_does_not_follow_a_redirect_to_elsewhere(target: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/files/3":
            return httpx.Response(302, headers={"Location": target})
        return httpx.Response(200, content=b"bytes")

    site = Site(answer)
    assert _open(site.helpdesk, "/files/3") == b"bytes"
    assert [TOKEN in str(request.headers.raw) for request in site.requests] == [True, False]


def test_the_token_is_not_sent_where_a_foreign_host_redirects_to() -> None:
    targets = {"/files/3": "http://cdn.test/3", "/3": "http://helpdesk.test/api/v1/tickets"}

    def answer(request: httpx.Request) -> httpx.Response:
        target = targets.get(request.url.path)
        return httpx.Response(302, headers={"Location": target}) if target else httpx.Response(200)

    site = Site(answer)
    _open(site.helpdesk, "/files/3")
    assert [TOKEN in str(request.headers.raw) for request in site.requests] == [True, False, False]


def test_a_file_in_a_private_network_is_refused_unless_its_host_is_named(server: "Counter") -> None:
    url = f"{server.url}/files/3"
    with HttpClient() as http, pytest.raises(FileRefused, match=r"helpdesk\.file_hosts") as failure:
        _open(_helpdesk(http), url)
    assert (server.count, failure.value.side) == (0, "")
    with HttpClient(file_hosts=["127.0.0.1"]) as http:
        assert _open(_helpdesk(http), url) == b'{"tickets": []}'


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/3", "http://localhost:9/3", "http://[::1]:9/3"])
def test_a_redirect_of_the_helpdesk_leads_into_no_private_network(server: "Counter", target: str) -> None:
    server.redirect = target
    with HttpClient() as http, pytest.raises(FileRefused, match="private network"):
        _open(_helpdesk(http, server.url), "/files/3")
    assert server.count == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "data:,x", "ftp://x/y", "http://x:99999/"])
def test_a_redirect_to_what_is_none_of_the_web_is_refused(server: "Counter", target: str) -> None:
    server.redirect = target
    with HttpClient() as http, pytest.raises(FileRefused):
        _open(_helpdesk(http, server.url), "/files/3")


def test_the_helpdesks_own_files_may_be_in_a_private_network(server: "Counter") -> None:
    with HttpClient() as http:
        assert _open(_helpdesk(http, server.url), "/files/3") == b'{"tickets": []}'


def test_a_helpdesk_that_hands_out_enough_files_is_left_alone_at_once(server: "Counter") -> None:
    with HttpClient(shares=Shares(1)) as http:
        taken = http.shares.of(server.url.removeprefix("http://"))
        with taken, pytest.raises(Busy):
            _open(_helpdesk(http, server.url), "/files/3")
    assert server.count == 0


def test_a_redirect_to_a_login_page_is_refused() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/files/3":
            return httpx.Response(302, headers={"Location": "/login"})
        return httpx.Response(200, html="<form>Sign in</form>")

    with pytest.raises(FileRefused):
        _open(Site(answer).helpdesk, "/files/3")


@pytest.mark.parametrize(
    ("status", "sort"),
    [
        (400, FileRefused),
        (401, Unauthorized),
        (403, FileRefused),
        (404, FileRefused),
        (410, FileRefused),
        (429, RateLimited),
        (500, Unavailable),
    ],
)
def test_a_file_that_is_not_handed_out_has_its_sort(status: int, sort: type[ClientError]) -> None:
    with pytest.raises(ClientError) as failure:
        _open(_answering(status), "/files/3")
    assert type(failure.value) is sort


def test_a_file_that_is_too_large_is_refused() -> None:
    site = Site(lambda _: httpx.Response(200, content=b"123456"))
    with pytest.raises(FileRefused):
        _open(site.helpdesk, "/files/3", max_bytes=5)


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "http://helpdesk.test:99999/",
        "//helpdesk.test:x/",
        "http://:80/",
        "file:///etc/passwd",
        "data:,x",
        "ftp://x/y",
    ],
)
def test_an_address_that_is_none_of_the_web_is_refused(url: str) -> None:
    with HttpClient() as http, pytest.raises(FileRefused):
        _open(_helpdesk(http), url)


def test_a_failure_of_another_service_keeps_its_side() -> None:
    site = Site(lambda _: httpx.Response(200, content=b"bytes"))
    failure = Unavailable("Facebook cannot be reached")
    failure.side = f"page:{PAGE_A}"
    with pytest.raises(Unavailable), site.helpdesk.open_attachment(_attachment("/files/3"), 100):
        raise failure
    assert failure.side == f"page:{PAGE_A}"


# --- The guard, over a real connection. -------------------------------------------------------------------


class Counter(ThreadingHTTPServer):
    """A server that counts the requests of which at least a line came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.count, self.redirect = 0, ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counter

    def parse_request(self) -> bool:
        self.server.count += 1
        return super().parse_request()

    def do_GET(self) -> None:
        body = b'{"tickets": []}'
        self.send_response(302 if self.server.redirect else 200)
        if self.server.redirect:
            self.send_header("Location", self.server.redirect)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Counter]:
    with Counter() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _lost() -> None:
    raise Stale("the lease is over")


def test_the_guard_stops_a_request_before_a_byte_goes_out(server: Counter) -> None:
    with HttpClient() as http:
        helpdesk = _helpdesk(http, server.url)
        with guarded(_lost), pytest.raises(Stale):
            helpdesk.ping()
        assert server.count == 0
        helpdesk.ping()
        assert server.count == 1


def test_the_guard_stops_a_request_on_a_connection_that_is_open(server: Counter) -> None:
    with HttpClient() as http:
        helpdesk = _helpdesk(http, server.url)
        helpdesk.ping()
        with guarded(_lost), pytest.raises(Stale):
            helpdesk.ping()
        helpdesk.ping()
    assert server.count == 2


def test_a_client_outlives_more_stopped_requests_than_it_has_connections(server: Counter) -> None:
    limits = httpx.Limits(max_connections=2)
    with HttpClient(httpx.HTTPTransport(limits=limits)) as http:
        helpdesk = _helpdesk(http, server.url)
        for _ in range(5):
            with guarded(_lost), pytest.raises(Stale):
                helpdesk.ping()
        helpdesk.ping()
    assert server.count == 1


def test_the_guard_lets_requests_pass_while_it_does_not_object(server: Counter) -> None:
    asked: list[int] = []
    with HttpClient() as http, guarded(lambda: asked.append(server.count)):
        helpdesk = _helpdesk(http, server.url)
        helpdesk.ping()
        helpdesk.ping()
    assert (asked, server.count) == ([0, 1], 2)


@pytest.mark.parametrize(
    ("status", "sort"), [(401, FileRefused), (403, FileRefused), (404, FileRefused), (500, Unavailable)]
)
def test_a_file_on_a_foreign_host_is_not_the_helpdesks_fault(status: int, sort: type[ClientError]) -> None:
    helpdesk = Site(lambda request: httpx.Response(status)).helpdesk
    with pytest.raises(ClientError) as failure:
        _open(helpdesk, "https://files.example.com/3")
    assert type(failure.value) is sort
    assert failure.value.side == ""
