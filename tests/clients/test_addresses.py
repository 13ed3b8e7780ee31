"""Ids, hosts and cookies that want a call to go elsewhere."""

import http.server
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
import pytest

from clients.channel import NewFile, NewMessage, PastConversation
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.graph import Page
from clients.errors import RejectedError, Unavailable
from clients.findings import finding
from clients.helpdesk import (
    AgentReply,
    Author,
    Comment,
    Customer,
    Delivery,
    Helpdesk,
    Naming,
    NewComment,
    NewTicket,
    Ticket,
)
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient, segment
from clients.media import File, MediaFetcher
from clients.transport import is_public
from tests.conftest import WEBHOOK_SECRET

NOT_PUBLIC = """
    0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 192.0.0.1 192.0.0.8 192.0.2.1 192.88.99.1
    192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255
    :: ::1 ::10.0.0.1 ::8.8.8.8 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::10.0.0.1
    64:ff9b::8.8.8.8 64:ff9b:1::1 64:ff9b:1::8.8.8.8 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2
    2001:db8::1 2002:7f00:1:: 2002:808:808::1 3fff::1 4000::1 5f00::1 fc00::1 fd00::1 fe80::1 fe80::1%2
    fec0::1 ff02::1 ff0e::1
"""


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_an_address_that_is_none_of_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2a03:2880:f11c::1", "157.240.0.1"])
def test_an_address_of_the_internetis_public(address: str) -> None:
    assert is_public(address)


SITE = "http://site.test"
HOSTILE = "../../oauth/access_token?x#y%2e"
QUOTED = b"..%2F..%2Foauth%2Faccess_token%3Fx%23y%252e"
NOW = datetime.now(UTC)

Call = Callable[[Any, str], object]


def _file() -> File:
    return File("a.png", "image/png", 1, io.BytesIO(b"x"))


def _customer(id_: str) -> Customer:
    return Customer(CHANNEL, id_, id_, display_name="Anna")


def _new_ticket(id_: str) -> NewTicket:
    return NewTicket(id_, id_, "Messenger", "Hi", id_, _customer(id_), [id_], NOW)


def _naming(id_: str) -> Naming:
    return Naming(id_, "Messenger: Anna", _customer(id_))


def _new_comment(id_: str) -> NewComment:
    return NewComment("Hi", id_, Author("customer", "Anna", id_), NOW)


def _reply(id_: str) -> AgentReply:
    comment = Comment(
        id_, "Hi", "markdown", "agent", internal=False, attachments=(), from_connector=False, created_at=NOW
    )
    return AgentReply.of(Ticket(id_, closed=False, customer=None), comment, is_confirmed=False)


OF_A_HELPDESK: dict[str, Call] = {
    "ping": lambda desk, _: desk.ping(),
    "has_desk": lambda desk, id_: desk.has_desk(id_),
    "has_category": lambda desk, id_: desk.has_category(id_),
    "categories": lambda desk, id_: desk.categories(id_),
    "find_open_ticket": lambda desk, id_: desk.find_open_ticket(_customer(id_).conversation),
    "ticket_by_external_id": lambda desk, id_: desk.ticket_by_external_id(id_),
    "get_ticket": lambda desk, id_: desk.get_ticket(id_),
    "create_ticket": lambda desk, id_: desk.create_ticket(_new_ticket(id_), id_),
    "ticket_url": lambda desk, id_: desk.ticket_url(id_),
    "close_ticket": lambda desk, id_: desk.close_ticket(id_),
    "name_requester": lambda desk, id_: desk.name_requester(id_, _naming(id_)),
    "add_comment": lambda desk, id_: desk.add_comment(id_, _new_comment(id_), id_),
    "comment_by_external_id": lambda desk, id_: desk.comment_by_external_id(id_, id_),
    "find_comment": lambda desk, id_: desk.find_comment(id_, id_),
    "find_opening": lambda desk, id_: desk.find_opening(id_, id_),
    "read_comment": lambda desk, id_: desk.read_comment(id_, id_, NOW),
    "edit_comment": lambda desk, id_: desk.edit_comment(id_, "Hi"),
    "show_delivery": lambda desk, id_: desk.show_delivery(id_, Delivery("sent", [id_])),
    "upload": lambda desk, id_: desk.upload(_file(), id_),
    "erase": lambda desk, id_: desk.erase(_customer(id_).conversation, NOW, id_),
    "request_webhook": lambda desk, _: desk.request_webhook(),
    "poll": lambda desk, _: list(desk.poll(NOW)),
    "confirm": lambda desk, id_: desk.confirm(_reply(id_)),
}
OF_MESSENGER: dict[str, Call] = {
    "send": lambda page, id_: page.send(id_, NewMessage(id_, files=[NewFile("file", id_)], reply_to=id_)),
    "upload": lambda page, _: page.upload("file", _file()),
    "ping": lambda page, _: page.ping(),
    "check": lambda page, _: list(page.check(f"{SITE}/hook")),
    "repair": lambda page, _: page.repair(finding("page_not_subscribed"), f"{SITE}/hook"),
    "repair the app": lambda page, _: page.repair(finding("app_not_subscribed"), f"{SITE}/hook"),
    "profile": lambda page, id_: page.profile(id_),
    "show_typing": lambda page, id_: page.show_typing(id_),
    "conversations": lambda page, _: page.conversations(),
    "conversation_with": lambda page, id_: page.conversation_with(id_),
    "check_grant": lambda page, _: list(page.check_grant()),
    "past": lambda page, id_: page.past(PastConversation(id_, "7", 0), NOW),
    "unsubscribe": lambda page, _: page.unsubscribe(),
    "mark_seen": lambda page, id_: page.mark_seen(id_),
    "owner_of": lambda page, id_: page.owner_of(id_),
    "words_of": lambda page, id_: page.words_of(id_),
    "find_quoted": lambda page, id_: page.find_quoted(id_, "Hi", "Hi"),
    "find_sent": lambda page, id_: page.find_sent(id_, "Hi", timedelta(days=1), ()),
}
CALLS: list[tuple[str, str]] = [
    *(("rest", name) for name in OF_A_HELPDESK),
    *(("django", name) for name in OF_A_HELPDESK),
    *(("messenger", name) for name in OF_MESSENGER),
]
WORDS = {
    b"",
    *b"tickets comments attachments api followups messages conversations message_attachments".split(),
    *b"desks categories erasures webhooks ping hook app debug_token subscribed_apps subscriptions".split(),
    b"thread_owner",
}


def _sent(client: str, call: str, id_: str) -> list[httpx.Request]:
    """Make a call with an id, and have the other remote repeat that id; return the requests."""
    requests: list[httpx.Request] = []
    one: dict[str, Any] = {"id": id_, "ticket": id_, "comment": "", "followup_set": [], "status": 1}
    one |= {"description": "", "url": "/", "title": id_}
    answer: dict[str, Any] = {"ticket": one, "comment": one, "attachment": one, "tickets": [], "comments": []}
    answer |= {"data": [{"id": id_}], "results": [], "count": 0, "next": None, "message_id": "m"}

    def keep(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json=answer | {"attachment_id": "1"})

    with HttpClient(httpx.MockTransport(keep)) as http, suppress(Unavailable):
        if client == "messenger":
            OF_MESSENGER[call](
                Page(http, SITE, page_id=id_, token="t", app_secret="s", media=MediaFetcher(http, [], 0)), id_
            )
        else:
            adapter = RestHelpdesk if client == "rest" else DjangoHelpdesk
            desk = adapter(http, base_url=SITE, api_token="t", webhook_secret=WEBHOOK_SECRET)
            OF_A_HELPDESK[call](desk, id_)
    return requests


@pytest.mark.parametrize(("client", "call"), CALLS)
def test_an_id_stays_one_segment_of_every_path(client: str, call: str) -> None:
    paths = [request.url.raw_path.partition(b"?")[0] for request in _sent(client, call, HOSTILE)]
    assert not {part for path in paths for part in path.split(b"/")} - WORDS - {QUOTED}


@pytest.mark.parametrize("id_", ["", ".", "..", "\ud800"])
@pytest.mark.parametrize(("client", "call"), CALLS)
def test_what_is_no_id_reaches_no_other_path(client: str, call: str, id_: str) -> None:
    usual = {request.url.raw_path.partition(b"?")[0] for request in _sent(client, call, "7")}
    with suppress(RejectedError):
        for request in _sent(client, call, id_):
            assert request.url.raw_path.partition(b"?")[0].replace(b"%3F", b"7") in usual


def test_every_method_that_calls_is_tested_here() -> None:
    others = {"call", "error", "failures", "now", "remote_now", "open_attachment", "receive", "may_receive"}
    others |= {"asked_for", "request", "fetch", "usage"}
    for class_, calls in ((Helpdesk, OF_A_HELPDESK), (Page, OF_MESSENGER)):
        methods = {name for name in dir(class_) if callable(getattr(class_, name)) and name[0] != "_"}
        assert methods - others - {"check_secret", "clock"} == {name for name in calls if " " not in name}


@pytest.mark.parametrize("id_", ["", ".", ".."])
def test_what_no_path_can_hold_is_no_id(id_: str) -> None:
    with pytest.raises(RejectedError):
        segment(id_)


class Cookies(http.server.BaseHTTPRequestHandler):
    """Sets a cookie and notes those that come."""

    came: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Cookies.came.append(self.headers.get("Cookie", ""))
        self.send_response(200)
        self.send_header("Set-Cookie", "who=you")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cookies) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Cookies.came.clear()
        yield f"http://127.0.0.1:{server.server_port}/a.jpg"
        server.shutdown()


def test_cookies_of_file_hosts_are_not_sent_again(url: str) -> None:
    with HttpClient() as client:
        media = MediaFetcher(client, ["127.0.0.1"], 1000)
        for _ in range(2):
            with media.fetch(url, "image"):
                pass

    assert Cookies.came == ["", ""]


def test_cookies_of_a_helpdesk_are_not_sent_again(url: str) -> None:
    with HttpClient() as client:
        for _ in range(2):
            with client.stream("GET", url):
                pass

    assert Cookies.came == ["", ""]
