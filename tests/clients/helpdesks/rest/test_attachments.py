"""Files that agents add: where the token goes, what is refused, and whose fault it is."""

import httpx
import pytest

from clients.channels.meta.events import CHANNEL
from clients.errors import Busy, ClientError, FileRefused, RateLimited, Unauthorized, Unavailable
from clients.helpdesk import Attachment
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from clients.single_flight import TransferLimits
from tests.conftest import PAGE_A
from tests.fakes.rest_helpdesk import TOKEN, Counter, Site, answering, helpdesk_at


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
    with HttpClient() as http, pytest.raises(FileRefused, match="helpdesk_file_host") as failure:
        _open(helpdesk_at(http), url)
    assert (server.count, failure.value.remote) == (0, "")
    with HttpClient(file_hosts=["127.0.0.1"]) as http:
        assert _open(helpdesk_at(http), url) == b'{"tickets": []}'


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/3", "http://localhost:9/3", "http://[::1]:9/3"])
def test_a_redirect_of_the_helpdesk_leads_into_no_private_network(server: "Counter", target: str) -> None:
    server.redirect = target
    with HttpClient() as http, pytest.raises(FileRefused, match="helpdesk_file_host"):
        _open(helpdesk_at(http, server.url), "/files/3")
    assert server.count == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "data:,x", "ftp://x/y", "http://x:99999/"])
def test_a_redirect_to_what_is_none_of_the_web_is_refused(server: "Counter", target: str) -> None:
    server.redirect = target
    with HttpClient() as http, pytest.raises(FileRefused):
        _open(helpdesk_at(http, server.url), "/files/3")


def test_the_helpdesks_own_files_may_be_in_a_private_network(server: "Counter") -> None:
    with HttpClient() as http:
        assert _open(helpdesk_at(http, server.url), "/files/3") == b'{"tickets": []}'


def test_a_helpdesk_that_hands_out_enough_files_is_left_alone_at_once(server: "Counter") -> None:
    with HttpClient(transfer_limits=TransferLimits(1)) as http:
        taken = http.transfer_limits.of(server.url.removeprefix("http://"))
        with taken, pytest.raises(Busy):
            _open(helpdesk_at(http, server.url), "/files/3")
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
        _open(answering(status), "/files/3")
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
        _open(helpdesk_at(http), url)


def test_a_failure_of_another_service_keeps_its_side() -> None:
    site = Site(lambda _: httpx.Response(200, content=b"bytes"))
    failure = Unavailable("Facebook cannot be reached")
    failure.remote = f"{CHANNEL}:{PAGE_A}"
    with pytest.raises(Unavailable), site.helpdesk.open_attachment(_attachment("/files/3"), 100):
        raise failure
    assert failure.remote == f"{CHANNEL}:{PAGE_A}"


@pytest.mark.parametrize(
    ("status", "sort"), [(401, FileRefused), (403, FileRefused), (404, FileRefused), (500, Unavailable)]
)
def test_a_file_on_a_foreign_host_is_not_the_helpdesks_fault(status: int, sort: type[ClientError]) -> None:
    helpdesk = Site(lambda request: httpx.Response(status)).helpdesk
    with pytest.raises(ClientError) as failure:
        _open(helpdesk, "https://files.example.com/3")
    assert type(failure.value) is sort
    assert failure.value.remote == ""
