"""Attachments of the sandbox helpdesk."""

import hashlib
from typing import Any

import pytest

from tests.fakes.sandbox_helpdesk import PNG, Desk, error


def test_an_attachment_comes_back_byte_for_byte(desk: Desk) -> None:
    attachment = desk.upload(name="zdjęcie 1/ą.png").json()["attachment"]
    assert attachment["url"].startswith(f"{desk.url}/files/{attachment['id']}/zdj%C4%99cie%201%2F")
    response = desk.http.get(attachment["url"])
    assert (response.content, response.headers["content-type"]) == (PNG, "image/png")


def test_an_attachment_tells_its_name_type_and_size(desk: Desk) -> None:
    attachment = desk.upload().json()["attachment"]
    url = f"{desk.url}/files/{attachment['id']}/a.png"
    assert attachment == {
        "id": attachment["id"],
        "url": url,
        "filename": "a.png",
        "content_type": "image/png",
        "size": len(PNG),
    }


def test_a_large_attachment_comes_back(desk: Desk) -> None:
    content = bytes(range(256)) * 40_000
    url = desk.upload(content=content).json()["attachment"]["url"]
    assert hashlib.sha256(desk.http.get(url).content).digest() == hashlib.sha256(content).digest()


@pytest.mark.parametrize(
    "request_",
    [
        {"files": {"picture": ("a.png", PNG)}},
        {"files": [("file", ("a.png", PNG)), ("file", ("b.png", PNG))]},
        {"data": {"file": "text"}},
        {"content": b"x"},
    ],
)
def test_an_upload_is_one_part_named_file(desk: Desk, request_: dict[str, Any]) -> None:
    assert error(desk.create("attachments", **request_)) == (422, "invalid", "file")


def test_attachments_are_listed_in_the_order_they_were_given(desk: Desk) -> None:
    first, second = (desk.upload(name=name).json()["attachment"] for name in ("a.png", "b.png"))
    ticket = desk.ticket(attachment_ids=[second["id"], first["id"]]).json()["ticket"]
    assert ticket["attachments"] == [second, first]


def test_an_attachment_is_used_once(desk: Desk) -> None:
    attachment_id = desk.upload().json()["attachment"]["id"]
    ticket_id = desk.new_ticket(attachment_ids=[attachment_id])
    response = desk.comment(ticket_id, attachment_ids=[attachment_id])
    assert error(response) == (422, "invalid", "comment.attachment_ids")


def test_an_attachment_named_twice_is_refused_and_stays_free(desk: Desk) -> None:
    attachment_id = desk.upload().json()["attachment"]["id"]
    assert desk.ticket(attachment_ids=[attachment_id, attachment_id]).status_code == 422
    assert desk.ticket(attachment_ids=[attachment_id]).status_code == 201
