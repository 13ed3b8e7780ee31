"""Helpdesks for the adapter `rest`: one made of a function, and a server that counts requests."""

from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from clients.channels.meta.events import CHANNEL
from clients.helpdesk import Author, Customer, NewComment, NewTicket
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from clients.media import File
from tests.conftest import PAGE_A, WEBHOOK_SECRET
from tests.fakes import site
from tests.fakes.recording import HELPDESK

TOKEN = "desk-token-that-nobody-may-see"
AT = datetime(2026, 11, 22, 20, 15, 3, 123000, tzinfo=UTC)
PHOTO = b"\x89PNG\r\n\x1a\n"


def helpdesk_at(http: HttpClient, site: str = HELPDESK) -> RestHelpdesk:
    return RestHelpdesk(http, base_url=f"{site}/api/v1", api_token=TOKEN, webhook_secret=WEBHOOK_SECRET)


def customer_of(psid: str) -> Customer:
    return Customer(CHANNEL, PAGE_A, psid)


def new_ticket(mid: str, psid: str = "1") -> NewTicket:
    customer = replace(
        customer_of(psid), display_name="Anna Nowak", picture_url="https://cdn.example.com/anna.jpg"
    )
    body = "Gdzie jest **moja** faktura?"
    return NewTicket("7", "12", "Messenger: Anna Nowak", body, mid, customer, [], AT)


def new_comment(mid: str) -> NewComment:
    return NewComment("Nadal czekam 🙁", mid, Author("customer", "Anna Nowak", "1"), AT)


def new_file() -> File:
    return File("zażółć.png", "image/png", len(PHOTO), BytesIO(PHOTO))


class Site(site.Site):
    """A helpdesk made of one function; it keeps the requests."""

    def __init__(self, answer: site.Answer) -> None:
        super().__init__(answer)
        self.helpdesk = helpdesk_at(self.http)


def answering(status: int, body: Any = None, **headers: str) -> RestHelpdesk:
    return Site(site.always(status, body, **headers)).helpdesk


class Counter(ThreadingHTTPServer):
    """A server that counts the requests of which at least a line came, and knows who is `connected`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.count, self.redirect = 0, ""
        self.connected = set[BaseHTTPRequestHandler]()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counter

    def setup(self) -> None:
        super().setup()
        self.server.connected.add(self)

    def finish(self) -> None:
        super().finish()
        self.server.connected.discard(self)

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
