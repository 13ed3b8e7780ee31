"""Idempotency keys of the sandbox helpdesk."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fakes.sandbox_helpdesk import Desk, error, wait_for


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": ""}, {"idempotency-key": "two words"}])
@pytest.mark.parametrize("path", ["tickets", "tickets/1/comments", "attachments"])
def test_a_create_without_a_proper_key_is_400(desk: Desk, path: str, headers: dict[str, str]) -> None:
    response = desk.http.post(f"/api/v1/{path}", json={}, headers=headers)
    assert error(response) == (400, "bad_request", "Idempotency-Key")


def test_a_repeat_with_the_same_key_answers_the_first_result(desk: Desk) -> None:
    attachment_id = desk.upload().json()["attachment"]["id"]
    first, repeat = (desk.ticket("k", attachment_ids=[attachment_id]) for _ in range(2))
    assert (repeat.status_code, repeat.content) == (201, first.content)
    assert len(desk.get("tickets")["tickets"]) == 1


def test_only_a_repeat_is_marked_as_replayed(desk: Desk) -> None:
    first, repeat = desk.ticket("k"), desk.ticket("k")
    assert "idempotency-replayed" not in first.headers
    assert repeat.headers["idempotency-replayed"] == "true"


def test_a_repeated_comment_is_added_once_even_when_the_ticket_has_closed_since(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    first = desk.comment(ticket_id, "k")
    desk.http.post(f"/sandbox/tickets/{ticket_id}/close").raise_for_status()
    assert desk.comment(ticket_id, "k").content == first.content
    assert desk.bodies(ticket_id) == ["More"]


def test_a_repeated_upload_answers_the_first_attachment(desk: Desk) -> None:
    assert desk.upload("k").json() == desk.upload("k").json()


def test_a_key_belongs_to_one_endpoint(desk: Desk) -> None:
    ticket = desk.ticket("k").json()["ticket"]
    assert "idempotency-replayed" not in desk.comment(ticket["id"], "k").headers


def test_a_key_with_another_body_is_422(desk: Desk) -> None:
    desk.ticket("k")
    assert error(desk.ticket("k", title="Other")) == (422, "invalid", "Idempotency-Key")


def test_a_key_with_another_ticket_is_422(desk: Desk) -> None:
    desk.comment(desk.new_ticket(), "k")
    assert error(desk.comment(desk.new_ticket(), "k")) == (422, "invalid", "Idempotency-Key")


def test_a_refused_create_leaves_its_key_free(desk: Desk) -> None:
    assert desk.ticket("k", desk_id="8").status_code == 422
    assert desk.ticket("k").status_code == 201


def test_a_key_whose_request_is_still_coming_in_is_409(desk: Desk) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def slow_body() -> Iterator[bytes]:
        yield b'{"ticket": '
        arrived.set()
        assert go_on.wait(10)
        yield b"{}}"

    def send_slowly() -> int:
        headers = {"idempotency-key": "k", "content-type": "application/json"}
        with desk.client() as client:
            return client.post("/api/v1/tickets", content=slow_body(), headers=headers).status_code

    with ThreadPoolExecutor() as pool:
        slow = pool.submit(send_slowly)
        assert arrived.wait(10)
        # The slow one's head may still be on its way. A request without a body is refused on the spot,
        # so it cannot itself hold the key when the slow one comes.
        wait_for(lambda: desk.create("tickets", "k").status_code == 409)
        assert error(desk.ticket("k")) == (409, "in_progress", None)
        go_on.set()
        assert slow.result() == 422
    assert desk.ticket("k").status_code == 201


def test_a_helpdesk_that_does_not_honour_keys_creates_again(desk: Desk) -> None:
    desk.set(honour_idempotency=False)
    ticket_id = desk.new_ticket()
    assert desk.comment(ticket_id, "k").json() != desk.comment(ticket_id, "k").json()
    assert desk.bodies(ticket_id) == ["More", "More"]


def test_one_key_from_sixteen_clients_creates_one_ticket(desk: Desk) -> None:
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: desk.ticket("k").status_code, range(64)))
    assert set(statuses) <= {201, 409}
    assert len(desk.get("tickets")["tickets"]) == 1
