"""What a person sends stands on their ticket."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.samples import document, photo
from sandbox.stack import PAGES, Stack, until

numbers = itertools.count()
PAGE = PAGES[0].page_id


@pytest.fixture
def psid(stack: Stack) -> Iterator[str]:
    stack.ask_meta("DELETE", "/faults")
    yield f"7600000000{next(numbers):06}"
    stack.ask_desk("DELETE", "/faults")


def bodies(stack: Stack, psid: str, count: int) -> list[str]:
    """Wait for a number of bodies on the person's only ticket."""

    def enough() -> list[str] | None:
        tickets = stack.tickets(psid)
        found = [entry["body"] for ticket in tickets for entry in (ticket, *ticket["comments"])]
        return found if len(found) >= count else None

    return until(f"{count} bodies", enough)


def send_event(stack: Stack, psid: str, **event: Any) -> None:
    item = {"sender": {"id": psid}, "recipient": {"id": PAGE}, "timestamp": 1795382999900, **event}
    stack.ask_meta("POST", f"/pages/{PAGE}/events", {"items": [item]})


def test_several_files_in_one_message_stand_in_their_order(stack: Stack, psid: str) -> None:
    stack.write(psid, text="both", files=[photo().as_json(), document().as_json()])

    (body,) = bodies(stack, psid, 1)
    (ticket,) = stack.tickets(psid)
    assert [one["content_type"] for one in ticket["attachments"]] == ["image/png", "application/pdf"]
    lines = body.split("\n\n")
    assert lines[0] == "both"
    assert lines[1].startswith("![")
    assert lines[2].startswith("[invoice.pdf](")


def test_a_file_that_cannot_be_fetched_is_named_with_its_link(stack: Stack, psid: str) -> None:
    stack.ask_meta("PUT", "/behaviour", {"media_lifetime": -10})
    stack.write(psid, text="see this", files=[photo().as_json()])
    stack.ask_meta("PUT", "/behaviour", {"media_lifetime": 86400})

    (body,) = bodies(stack, psid, 1)
    assert body.startswith("see this")
    assert "its link has expired" in body
    assert "/media/" in body


def test_a_file_from_a_foreign_host_is_not_fetched(stack: Stack, psid: str) -> None:
    foreign = {"type": "image", "payload": {"url": "https://intranet.example.com/secret.png"}}
    send_event(stack, psid, message={"mid": f"m_{psid}", "attachments": [foreign]})

    (body,) = bodies(stack, psid, 1)
    assert "could not be downloaded: files from its address are not allowed" in body
    assert "https://intranet.example.com/secret.png" in body


def test_a_file_that_the_helpdesk_refuses_does_not_hold_back_the_text(stack: Stack, psid: str) -> None:
    fault = {"method": "POST", "path": "/api/v1/attachments", "times": 1, "status": 415, "body": {}}
    stack.ask_desk("PUT", "/faults", [fault])
    stack.write(psid, text="see this", files=[photo().as_json()])

    (body,) = bodies(stack, psid, 1)
    assert body.startswith("see this")
    assert "could not be added to the ticket: the helpdesk does not accept files of this type" in body


def test_a_location_is_a_link_to_a_map(stack: Stack, psid: str) -> None:
    place = {"type": "location", "title": "Pinned", "payload": {"coordinates": {"lat": 52.37, "long": 4.89}}}
    send_event(stack, psid, message={"mid": f"m_{psid}", "attachments": [place]})

    assert "[Pinned](https://www.google.com/maps?q=52.37,4.89)" in bodies(stack, psid, 1)[0]


def test_events_that_are_no_messages_are_shown_too(stack: Stack, psid: str) -> None:
    first = stack.write(psid, text="hello")
    bodies(stack, psid, 1)
    second = stack.write(psid, text="Where is it?", reply_to=first)
    bodies(stack, psid, 2)
    send_event(stack, psid, reaction={"emoji": "\u2764\ufe0f", "action": "react", "mid": second})
    send_event(stack, psid, optin={"type": "notification_messages", "title": "News"})

    assert bodies(stack, psid, 4)[1:] == [
        "> In reply to the first message of this ticket (“hello”):\n\nWhere is it?",
        "The customer reacted with \u2764\ufe0f to the message “Where is it?”.",
        "The customer agreed to receive messages.\n\nTopic: News",
    ]


def test_an_edited_message_is_edited_on_its_ticket(stack: Stack, psid: str) -> None:
    stack.write(psid, text="hello")
    second = stack.write(psid, text="Where is it?")
    bodies(stack, psid, 2)
    send_event(stack, psid, message_edit={"mid": second, "text": "Where is my hat?", "num_edit": 1})

    until("the comment is edited", lambda: bodies(stack, psid, 2)[1].startswith("Where is my hat?"))
    assert bodies(stack, psid, 2)[1].endswith("\n\n> Where is it?")


def test_the_first_messages_at_once_open_one_ticket(stack: Stack, psid: str) -> None:
    path = f"/pages/{PAGE}/people/{psid}/messages:batch"
    stack.ask_meta("POST", path, [{"text": f"{number}"} for number in range(10)])

    assert bodies(stack, psid, 10) == [str(number) for number in range(10)]
    assert len(stack.tickets(psid)) == 1


def test_a_sender_whose_profile_meta_hides_gets_a_ticket_all_the_same(stack: Stack, psid: str) -> None:
    stack.ask_meta("PUT", f"/pages/{PAGE}/people/{psid}", {"profile": "none"})
    stack.write(psid, text="who am I?")

    bodies(stack, psid, 1)
    assert stack.tickets(psid)[0]["requester"]["name"] == f"Messenger user {psid[-4:]}"


def test_a_message_on_a_ticket_that_was_closed_meanwhile_opens_a_new_one(stack: Stack, psid: str) -> None:
    stack.write(psid, text="first")
    bodies(stack, psid, 1)
    stack.ask_desk("POST", f"/tickets/{stack.tickets(psid)[0]['id']}/close")
    stack.write(psid, text="second")

    assert bodies(stack, psid, 2) == ["first", "second"]
    assert [ticket["closed"] for ticket in stack.tickets(psid)] == [True, False]


def test_a_message_that_the_helpdesk_refuses_is_a_dead_letter_and_the_next_ones_arrive(
    stack: Stack, psid: str, run: Callable[..., str]
) -> None:
    stack.write(psid, text="before")
    bodies(stack, psid, 1)
    send_event(stack, psid, message={"mid": f"m_{psid}", "text": "x" * 100_001})
    stack.write(psid, text="after")

    found = bodies(stack, psid, 3)
    assert found[0] == "before"
    assert found[-1] == "after" or found[1] == "after"
    assert "could not be added to this ticket" in "".join(found)
    (line,) = [one for one in run("dead", "list").splitlines() if psid in one]
    letter_id = line.split()[0]
    assert '"timestamp": 1795382999900' in run("dead", "show", letter_id)
    assert run("dead", "drop", letter_id) == "1 dropped.\n"
    assert psid not in run("dead", "list")


def test_a_dead_letter_that_is_tried_again_arrives(stack: Stack, psid: str, run: Callable[..., str]) -> None:
    fault = {"method": "POST", "path": "/api/v1/tickets", "times": 2, "status": 422, "body": {}}
    stack.ask_desk("PUT", "/faults", [fault])
    stack.write(psid, text="once more")
    (line,) = until("a dead letter", lambda: [one for one in run("dead", "list").splitlines() if psid in one])

    assert run("dead", "retry", line.split()[0]) == "1 requeued.\n"
    assert bodies(stack, psid, 1) == ["once more"]
    assert psid not in run("dead", "list")


def test_a_reaction_after_the_ticket_was_closed_opens_none(stack: Stack, psid: str) -> None:
    stack.write(psid, text="hello")
    bodies(stack, psid, 1)
    stack.ask_desk("POST", f"/tickets/{stack.tickets(psid)[0]['id']}/close")
    send_event(
        stack, psid, reaction={"reaction": "love", "emoji": "\u2764\ufe0f", "action": "react", "mid": "m_1"}
    )
    stack.write(psid, text="one more thing")

    assert bodies(stack, psid, 2) == ["hello", "one more thing"]


def test_an_event_of_an_unknown_kind_is_shown_and_kept_as_it_came(
    stack: Stack, psid: str, run: Callable[..., str]
) -> None:
    send_event(stack, psid, gift={"name": "A mug"})

    (body,) = bodies(stack, psid, 1)
    assert body == "Messenger reported an event of the kind “gift”.\n\nName: A mug"
    (line,) = until("it", lambda: [one for one in run("unknown", "list").splitlines() if psid in one])
    assert '"gift": {' in run("unknown", "show", line.split()[0])
    assert "see “connector unknown list”" in run("status")
    assert psid not in run("dead", "list")
    assert run("unknown", "drop", line.split()[0]) == "1 dropped.\n"
