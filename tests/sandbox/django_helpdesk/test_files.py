"""Files of a real django-helpdesk: what is refused, stored and given back.

The facts are of django-helpdesk 2.6.1: a test that goes red with a later one tells what that one does better.
"""

import httpx
import pytest

from sandbox.django_helpdesk.host.accounts import QUEUES
from sandbox.django_helpdesk.server import DjangoHelpdesk
from tests.fakes.sandbox_django_helpdesk import Receiver, add, add_files, attach, comments, newest


@pytest.mark.parametrize("name", ["clip.mp4", "photo.jpeg", "a.gif", "a.webp", f"{'ф' * 150}.png"])
def test_a_followup_with_a_file_it_refuses_is_an_error_though_stored(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int, name: str
) -> None:
    assert add_files(desk, ticket, name).status_code == 500
    assert newest(desk, ticket)["comment"] == "A file"
    assert newest(desk, ticket)["followupattachment_set"] == []
    assert newest(desk, ticket)["email_recipients"] is None
    assert receiver.of(ticket) == []


def test_the_other_files_of_a_refused_one_are_stored(desk: DjangoHelpdesk, ticket: int) -> None:
    assert add_files(desk, ticket, "clip.mp4", "photo.PNG").status_code == 500
    assert [one["filename"] for one in newest(desk, ticket)["followupattachment_set"]] == ["photo.PNG"]


def test_files_come_back_by_name_not_in_their_order(desk: DjangoHelpdesk, ticket: int) -> None:
    add_files(desk, ticket, "b.png", "a.png")
    files = newest(desk, ticket)["followupattachment_set"]

    assert [one["filename"] for one in files] == ["a.png", "b.png"]
    assert [one["filename"] for one in sorted(files, key=lambda one: int(one["id"]))] == ["b.png", "a.png"]


def test_a_new_ticket_with_a_file_it_refuses_is_refused_whole(desk: DjangoHelpdesk) -> None:
    before = len(desk.tickets())
    data = {"queue": str(QUEUES["messenger"]), "title": "Anna", "description": "Hello", "priority": "3"}
    response = desk.http.post("/api/tickets/", data=data, files={"attachment": ("clip.mp4", b"bytes")})

    assert response.status_code == 400
    assert response.json() == {"attachment": ["Unsupported file extension: .mp4"]}
    assert len(desk.tickets()) == before


def test_a_file_alone_needs_its_followup_and_is_refused_with_a_reason(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    followup = add(desk, ticket).json()["id"]
    told = len(receiver.of(ticket))
    refused, taken = attach(desk, followup, "clip.mp4"), attach(desk, followup, "a.png")

    assert refused.status_code == 400
    assert refused.json() == {"file": ["Unsupported file extension: .mp4"]}
    assert taken.json().items() >= {"filename": "a.png", "mime_type": "image/png", "size": 5}.items()
    assert attach(desk, 99_999, "a.png").status_code == 400
    assert len(receiver.of(ticket)) == told


def test_a_file_without_extension_may_be_called_anything(desk: DjangoHelpdesk, ticket: int) -> None:
    followup = add(desk, ticket).json()["id"]
    clip = attach(desk, followup, "clip", filename="clip.mp4", mime_type="video/mp4").json()

    assert (clip["filename"], clip["mime_type"]) == ("clip.mp4", "video/mp4")
    assert httpx.get(clip["file"]).content == b"bytes"


def test_an_empty_file_is_refused_and_nothing_is_stored(desk: DjangoHelpdesk, ticket: int) -> None:
    data = {"ticket": str(ticket), "comment": "A file", "public": "true"}
    response = desk.http.post("/api/followups/", data=data, files={"attachments": ("a.txt", b"")})

    assert response.status_code == 400
    assert comments(desk, ticket) == ["Hello"]
