"""The guard of calls, over a real connection."""

import httpx
import pytest

from clients.errors import LeaseLost
from clients.http import HttpClient, RestClient, guarded
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


def test_a_client_outlives_more_stopped_requests_than_it_has_connections(server: Counter) -> None:
    limits = httpx.Limits(max_connections=2)
    with HttpClient(httpx.HTTPTransport(limits=limits)) as http:
        helpdesk = helpdesk_at(http, server.url)
        for _ in range(5):
            with guarded(_lost), pytest.raises(LeaseLost):
                helpdesk.ping()
        helpdesk.ping()
    assert server.count == 1


def test_the_guard_lets_requests_pass_while_it_does_not_object(server: Counter) -> None:
    asked: list[int] = []
    with HttpClient() as http, guarded(lambda: asked.append(server.count)):
        helpdesk = helpdesk_at(http, server.url)
        helpdesk.ping()
        helpdesk.ping()
    assert (asked, server.count) == ([0, 1], 2)


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
