"""Erasures of the sandbox helpdesk: nothing of the person is left, and all of the others."""

from typing import Any

import pytest

from tests.fakes.sandbox_helpdesk import ANNA, Desk

ERASURE = ANNA | {"requested_at": "2026-11-22T20:15:03Z"}


def _erase(desk: Desk, **changes: Any) -> int:
    return desk.create("erasures", json={"erasure": ERASURE | changes}).status_code


def test_a_persons_tickets_are_gone_with_all_that_is_in_them(desk: Desk) -> None:
    attachment = desk.upload().json()["attachment"]
    ticket_id = desk.new_ticket()
    desk.comment(ticket_id, attachment_ids=[attachment["id"]])
    assert _erase(desk) == 201

    assert desk.get("tickets")["tickets"] == []
    assert desk.http.get(f"/api/v1/tickets/{ticket_id}/comments").status_code == 404
    assert desk.http.get(attachment["url"]).status_code == 404


def test_nobody_elses_ticket_is_touched(desk: Desk) -> None:
    others = [{"sender_id": "8"}, {"page_id": "1002"}]
    kept = {desk.new_ticket(external_id=f"m_{who}", config=ANNA | who) for who in others}
    desk.new_ticket()
    _erase(desk)

    assert {ticket["id"] for ticket in desk.get("tickets")["tickets"]} == kept


def test_a_person_without_tickets_is_erased_all_the_same(desk: Desk) -> None:
    assert _erase(desk) == 201


@pytest.mark.parametrize("changes", [{"sender_id": ""}, {"requested_at": "yesterday"}, {"why": "no reason"}])
def test_an_erasure_of_another_shape_is_refused(desk: Desk, changes: dict[str, Any]) -> None:
    assert _erase(desk, **changes) == 422
