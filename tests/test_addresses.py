"""Ids, hosts and cookies that want a call to go elsewhere."""

import http.server
import threading
from collections.abc import Iterator
from typing import ClassVar

import httpx
import pytest

from clients.errors import RejectedError
from clients.http import HttpClient, segment
from clients.media import MediaFetcher, _is_public
from clients.messenger import Messenger


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "::7f00:1",
        "::ffff:8.8.8.8",
        "::ffff:0:8.8.8.8",
        "fec0::1",
        "192.88.99.1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "127.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "ff02::1",
    ],
)
def test_an_address_that_leads_into_a_private_network_is_not_public(address: str) -> None:
    assert not _is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2a03:2880:f11c::1", "157.240.0.1"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert _is_public(address)


def test_an_id_stays_one_segment_of_a_path() -> None:
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.partition(b"?")[0])
        return httpx.Response(200, json={"name": "Anna", "data": []})

    with HttpClient(httpx.MockTransport(answer)) as client:
        meta = Messenger(client, "https://graph.facebook.com/v26.0", page_id="1", token="t", app_secret="s")
        meta.profile("../../oauth/access_token")

    assert asked == [b"/v26.0/..%2F..%2Foauth%2Faccess_token"]


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
    media = MediaFetcher(["127.0.0.1"], 1000)
    for _ in range(2):
        with media.fetch(url, "image"):
            pass
    media.close()

    assert Cookies.came == ["", ""]


def test_cookies_of_a_helpdesk_are_not_sent_again(url: str) -> None:
    with HttpClient() as client:
        for _ in range(2):
            with client.stream("GET", url):
                pass

    assert Cookies.came == ["", ""]
