"""The door of the helpdesk, over real HTTP and with a real store: what is let in, kept, and answered."""

import pytest

from clients.channels.meta.events import CHANNEL
from connector.web.body import MAX_BODY
from tests.conftest import PAGE_A, payload
from tests.fakes.helpdesk_webhooks import headers, signature
from tests.fakes.web import HELPDESK, LONG, PSID, REPLY, Doors

OUT = f"out:{CHANNEL}:{PAGE_A}:{PSID}"


def test_an_agents_comment_is_stored_in_its_persons_queue(doors: Doors) -> None:
    assert doors.helpdesk(REPLY) == 202
    assert doors.queues() == {OUT}


def test_a_comment_is_stored_once_however_often_it_comes(doors: Doors) -> None:
    signed = {"id": "msg_2", "signature": signature(REPLY, "msg_2")}
    assert [doors.helpdesk(REPLY), doors.helpdesk(REPLY), doors.helpdesk(REPLY, **signed)] == [202] * 3
    assert len(doors.queue(OUT)) == 1


@pytest.mark.parametrize(
    "name",
    ["comment_internal", "comment_of_customer", "comment_on_foreign_ticket", "ticket_closed", "unknown_type"],
)
def test_what_does_not_go_out_is_taken_and_not_stored(doors: Doors, name: str) -> None:
    assert doors.helpdesk(payload(f"helpdesk/{name}")) == 202
    assert doors.stored() == set()


def test_a_secret_behind_the_address_is_no_signature(doors: Doors) -> None:
    path, wrong = f"{HELPDESK}/whatever", headers(REPLY, signature="v1,AAAA")
    assert doors.http.post(path, content=REPLY, headers=wrong).status_code == 401
    assert doors.http.post(path, content=REPLY, headers=headers(REPLY)).status_code == 202


def test_a_wrong_signature_of_the_helpdesk_is_refused_and_counted(doors: Doors) -> None:
    assert doors.helpdesk(REPLY, signature="v1,AAAA") == 401
    assert doors.refused("helpdesk", "wrong_secret") == 1
    assert doors.stored() == set()


def test_an_old_webhook_of_the_helpdesk_is_refused(doors: Doors) -> None:
    answer = doors.http.post(HELPDESK, content=REPLY, headers=headers(REPLY, at=1795383000))
    assert answer.status_code == 401
    assert answer.text.endswith(" seconds off; compare both machines' clocks.")


@pytest.mark.parametrize("body", [b"{}", b"no JSON", payload("helpdesk/comment_without_ticket")])
def test_a_webhook_that_is_not_understood_is_a_bad_request(doors: Doors, body: bytes) -> None:
    assert doors.helpdesk(body) == 400


def test_half_an_emoji_in_a_comment_is_no_fault_of_the_server(doors: Doors) -> None:
    assert doors.helpdesk(REPLY.replace(b"**Anna**", rb"\ud83d")) in {202, 400}


@pytest.mark.parametrize("key", ["type", "ticket", "desk_id", "source", "comment", "body", "url"])
def test_a_number_too_long_for_python_costs_no_comment(doors: Doors, key: str) -> None:
    body = payload("helpdesk/comment_with_file").decode()
    body = body.replace(f'"{key}":', f'"x": {LONG}, "{key}":')
    assert LONG in body

    assert doors.helpdesk(body.encode()) == 202
    assert len(doors.queue(f"out:{CHANNEL}:{PAGE_A}:{PSID}")) == 1


def test_a_large_webhook_of_the_helpdesk_is_refused(doors: Doors) -> None:
    assert doors.helpdesk(b" " * (MAX_BODY + 1)) == 413


def test_comments_of_long_ago_do_not_keep_newer_ones_out(doors: Doors) -> None:
    old = REPLY.replace(b"2026-11-22T20:15:03Z", b"1969-07-20T20:17:40Z")
    assert doors.helpdesk(old.replace(b'"981"', b'"1"')) == 202
    assert doors.helpdesk(REPLY) == 202
    assert len(doors.queue(OUT)) == 2


def test_a_webhook_without_a_comment_is_noted_for_a_check_that_waits_for_it(doors: Doors) -> None:
    ping = b'{"type": "ping", "timestamp": "2026-11-22T20:15:03Z", "data": {}}'
    assert doors.helpdesk(ping, signature="v1,AAAA") == 401
    assert doors.helpdesk(REPLY) == 202
    assert doors.store.get("mc:helpdesk_webhook") is None

    assert doors.helpdesk(ping) == 202
    assert doors.store.get("mc:helpdesk_webhook")
