"""Polling: comments whose webhook was lost are found, whether the helpdesk lists comments or not."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from clients.errors import ServiceDown, Unavailable
from clients.helpdesk import AgentReply
from clients.helpdesks import rest
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from tasks.outbound.jobs import is_public_reply
from tests.fakes.conversation import PERSON
from tests.fakes.rest_helpdesk import Site, answering
from tests.fakes.sandbox_helpdesk import ANNA, SECRET, TOKEN, Desk, Receiver, wait_for

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
WAYS = pytest.mark.parametrize("comment_list", [True, False], ids=["by_list", "by_ticket"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("helpdesk") / "db.sqlite")
    yield desk
    desk.stop()


@pytest.fixture
def desk(server: Desk, comment_list: bool) -> Desk:  # noqa: FBT001 - a parameter of the tests
    """Give an empty helpdesk that lists comments, or does not."""
    server.http.delete("/sandbox/everything").raise_for_status()
    server.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    server.set(
        webhook_url="", webhook_config=True, comment_list=comment_list, forbidden=[]
    ).raise_for_status()
    return server


@pytest.fixture
def helpdesk(desk: Desk) -> Iterator[RestHelpdesk]:
    with HttpClient() as http:
        yield RestHelpdesk(http, base_url=f"{desk.url}/api/v1", api_token=TOKEN, webhook_secret=SECRET)


def _going_out(helpdesk: RestHelpdesk, since: datetime = SINCE) -> list[AgentReply]:
    return [reply for reply in helpdesk.poll(since) if is_public_reply(reply)]


def _bodies(helpdesk: RestHelpdesk, since: datetime = SINCE) -> list[str]:
    return [reply.comment.body for reply in _going_out(helpdesk, since)]


@WAYS
def test_an_agents_comment_is_found_with_whom_it_goes_to(desk: Desk, helpdesk: RestHelpdesk) -> None:
    ticket_id = desk.new_ticket()
    desk.agent(ticket_id, body="Hello")

    (reply,) = _going_out(helpdesk)
    assert (reply.comment.body, reply.is_confirmed) == ("Hello", True)
    assert reply.ticket.id == ticket_id
    assert reply.ticket.customer
    assert reply.ticket.customer.person_id == ANNA["sender_id"]


@WAYS
def test_its_key_is_that_of_its_webhook(desk: Desk, helpdesk: RestHelpdesk) -> None:
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        desk.set(webhook_url=receiver.url).raise_for_status()
        desk.agent(desk.new_ticket())
        wait_for(lambda: bool(receiver.taken))
        headers, body = receiver.taken[0]
        receiver.shutdown()
    told = helpdesk.receive(body, headers, "")

    assert told
    (polled,) = _going_out(helpdesk)
    assert (polled.key, polled.time, polled.comment.body) == (told.key, told.time, told.comment.body)


@WAYS
def test_what_was_written_before_is_not_found(desk: Desk, helpdesk: RestHelpdesk) -> None:
    desk.agent(desk.new_ticket())
    (reply,) = _going_out(helpdesk)

    assert _going_out(helpdesk, reply.time + timedelta(milliseconds=1)) == []
    assert _going_out(helpdesk, reply.time - timedelta(seconds=1)) == [reply]


@WAYS
def test_a_comment_on_a_ticket_that_is_closed_by_now_is_found(desk: Desk, helpdesk: RestHelpdesk) -> None:
    desk.agent(desk.new_ticket(), body="Good-bye", close=True)
    assert _bodies(helpdesk) == ["Good-bye"]


@WAYS
def test_tickets_of_others_are_left_alone(desk: Desk, helpdesk: RestHelpdesk) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        desk.new_ticket(config={"source": "email"})
    desk.new_ticket()
    assert _bodies(helpdesk) == []


@WAYS
def test_internal_comments_and_our_own_do_not_go_out(desk: Desk, helpdesk: RestHelpdesk) -> None:
    ticket_id = desk.new_ticket()
    desk.agent(ticket_id, body="between us", internal=True)
    desk.comment(ticket_id, config={"source": "facebook_messenger"})
    assert _bodies(helpdesk) == []


@WAYS
def test_every_page_is_read_in_order(
    desk: Desk, helpdesk: RestHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "PAGE", "2")
    ticket_ids = [desk.new_ticket(external_id=f"m_{number}") for number in range(5)]
    for number, ticket_id in enumerate(ticket_ids):
        desk.agent(ticket_id, body=f"answer {number}")
        desk.agent(ticket_id, body=f"answer {number} more")

    expected = [f"answer {number}{more}" for number in range(5) for more in ("", " more")]
    assert sorted(_bodies(helpdesk)) == expected


@WAYS
def test_a_ticket_that_may_not_be_seen_does_not_keep_back_others(desk: Desk, helpdesk: RestHelpdesk) -> None:
    hidden, seen = desk.new_ticket(external_id="m_1"), desk.new_ticket(external_id="m_2")
    for ticket_id in (hidden, seen):
        desk.agent(ticket_id, body=f"on {ticket_id}")
    desk.set(forbidden=[hidden]).raise_for_status()
    assert _bodies(helpdesk) == [f"on {seen}"]


@WAYS
def test_what_a_merge_brought_goes_to_whom_it_was_written_to(desk: Desk, helpdesk: RestHelpdesk) -> None:
    mine, theirs = desk.new_ticket(), desk.new_ticket(external_id="m_2", config=ANNA | {"sender_id": "8"})
    desk.agent(mine, body="for Anna")
    desk.http.post(f"/sandbox/tickets/{mine}/merge", json={"into": theirs}).raise_for_status()

    confirmed = {reply.key: helpdesk.confirm(reply) for reply in _going_out(helpdesk)}
    assert len(confirmed) == 1
    (reply,) = confirmed.values()
    assert reply
    assert reply.ticket.customer
    assert reply.ticket.customer.person_id == ANNA["sender_id"]


@pytest.mark.parametrize("comment_list", [True])
def test_a_ticket_whose_config_is_left_out_is_read(desk: Desk, helpdesk: RestHelpdesk) -> None:
    desk.set(webhook_config=False).raise_for_status()
    desk.agent(desk.new_ticket())
    (reply,) = _going_out(helpdesk)

    assert not reply.is_confirmed
    confirmed = helpdesk.confirm(reply)
    assert confirmed
    assert confirmed.ticket.customer


def test_a_comment_that_cannot_be_read_keeps_back_no_other() -> None:
    ticket = {"id": "42", "config": {"source": PERSON.channel, "page_id": "1", "sender_id": "7"}}
    good = {"id": "2", "body": "Hi", "internal": False, "author": {"type": "agent"}, "ticket": ticket}
    helpdesk = answering(200, {"comments": [{"body": "no id"}, None, good]})

    with capture_logs() as logs:
        assert [reply.key for reply in helpdesk.poll(SINCE)] == ["comment:2"]
    assert [one["event"] for one in logs] == ["comment_not_read", "comment_not_read"]


def test_a_list_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "MOST_PAGES", 3)

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("cursor", 0)) + 1
        return httpx.Response(200, json={"comments": [], "next": f"/comments?cursor={number}"})

    site = Site(answer)
    with pytest.raises(Unavailable):
        list(site.helpdesk.poll(SINCE))
    assert len(site.requests) == 4


def test_more_open_tickets_than_are_looked_at_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "PAGE", "1")
    monkeypatch.setattr(rest, "MOST_TICKET_PAGES", 2)

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        if path == "/comments":
            return httpx.Response(404, json={})
        number = int(request.url.params.get("cursor", 0))
        tickets: list[Any] = [{"id": str(number), "config": {}}]
        return httpx.Response(
            200,
            json={"comments": []}
            if "comments" in path
            else {"tickets": tickets, "next": f"?cursor={number + 1}"},
        )

    with capture_logs() as logs:
        assert list(Site(answer).helpdesk.poll(SINCE)) == []
    assert [one["event"] for one in logs] == ["older_tickets_not_polled"]


@pytest.mark.parametrize("comment_list", [False])
def test_a_reply_that_closes_an_old_ticket_is_found_by_the_next_two_polls(
    desk: Desk, helpdesk: RestHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "PAGE", "1")
    old, _ = desk.new_ticket(external_id="m_1"), desk.new_ticket(external_id="m_2")
    lately = datetime.now(UTC) - timedelta(minutes=15)
    assert _bodies(helpdesk, lately) == []
    desk.agent(old, body="Good-bye", close=True)

    # What is too young for one poll is left to the next.
    assert [_bodies(helpdesk, lately) for _ in range(3)] == [["Good-bye"], ["Good-bye"], []]


@pytest.mark.parametrize("comment_list", [False])
def test_after_a_gap_a_reply_that_closed_an_old_ticket_is_found_by_whoever_polls(
    desk: Desk, helpdesk: RestHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "PAGE", "1")
    old, _ = desk.new_ticket(external_id="m_1"), desk.new_ticket(external_id="m_2")
    desk.agent(old, body="Good-bye", close=True)

    assert _bodies(helpdesk, datetime.now(UTC) - timedelta(minutes=15)) == []
    assert _bodies(helpdesk, datetime.now(UTC) - timedelta(hours=1)) == ["Good-bye"]


def test_a_helpdesk_that_is_away_is_not_one_without_a_list() -> None:
    with pytest.raises(ServiceDown):
        list(answering(503).poll(SINCE))
