"""The guard of calls, over a real connection."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from clients.errors import LeaseLost, Unavailable
from clients.http import HttpClient, RestClient
from clients.transport import guarded
from sandbox.stack import until
from tests.fakes.rest_helpdesk import Counter, helpdesk_at


def _lost() -> None:
    raise LeaseLost("the lease is over")


def test_the_guard_stops_a_request_before_a_byte_goes_out(server: Counter) -> None:
    with HttpClient() as http:
        helpdesk = helpdesk_at(http, server.url)
        with guarded(_lost), pytest.raises(LeaseLost):
            helpdesk.ping()
        assert server.count == 0
        helpdesk.ping()
        assert server.count == 1


def test_the_guard_stops_a_request_on_a_connection_that_is_open(server: Counter) -> None:
    with HttpClient() as http:
        helpdesk = helpdesk_at(http, server.url)
        helpdesk.ping()
        with guarded(_lost), pytest.raises(LeaseLost):
            helpdesk.ping()
        helpdesk.ping()
    assert server.count == 2


def test_the_guard_stops_a_request_whose_head_is_out_before_its_body(server: Counter) -> None:
    asked: list[str] = []

    def lost_after_the_head() -> None:
        asked.append("asked")
        if len(asked) > 1:
            _lost()

    with HttpClient() as http, guarded(lost_after_the_head), pytest.raises(LeaseLost):
        helpdesk_at(http, server.url).edit_comment("1", "text")
    assert len(asked) == 2


def test_a_stopped_request_leaves_no_connection_open(server: Counter) -> None:
    with HttpClient() as http:
        for _ in range(5):
            with guarded(_lost), pytest.raises(LeaseLost):
                helpdesk_at(http, server.url).ping()
        until("none is open", lambda: not server.connected, 5)


def test_the_guard_lets_requests_pass_while_it_does_not_object(server: Counter) -> None:
    asked: list[int] = []
    with HttpClient() as http, guarded(lambda: asked.append(server.count)):
        helpdesk = helpdesk_at(http, server.url)
        helpdesk.ping()
        helpdesk.ping()
    assert (asked, server.count) == ([0, 1], 2)


def test_what_is_connected_outlives_a_request_to_another_host_that_fails(server: Counter) -> None:
    with HttpClient() as http:
        for _ in range(3):
            helpdesk_at(http, server.url).ping()
            with pytest.raises(Unavailable):
                helpdesk_at(http, "http://127.0.0.1:1").ping()
        assert len(server.connected) == 1


def test_requests_one_after_the_other_share_a_connection_whatever_thread_they_are_of(
    server: Counter,
) -> None:
    with HttpClient() as http, ThreadPoolExecutor(1) as other:
        for _ in range(2):
            helpdesk_at(http, server.url).ping()
            other.submit(helpdesk_at(http, server.url).ping).result()
        assert (len(server.connected), server.count) == (1, 4)


def test_requests_at_the_same_time_have_a_connection_each_and_the_client_closes_them_all(
    server: Counter,
) -> None:
    with HttpClient() as http:
        for _ in range(2):
            with http.stream("GET", server.url) as one, http.stream("GET", server.url) as other:
                assert (one.status_code, other.status_code) == (200, 200)
                one.read(), other.read()
        assert (len(server.connected), server.count) == (2, 4)
    until("none is open", lambda: not server.connected, 5)


def test_a_name_in_the_address_does_not_take_the_place_of_the_token() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Authorization"])
        return httpx.Response(200, json={})

    with HttpClient(httpx.MockTransport(answer)) as http:
        RestClient(http, "https://anna:secret@desk.example", {"Authorization": "Bearer t"}, "desk").call(
            "GET", "/"
        )
    assert asked == ["Bearer t"]
