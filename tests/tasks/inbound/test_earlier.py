"""What the agents of a new ticket are told of the time before it."""

import json
from collections.abc import Callable

import pytest

from clients.errors import FileRefused, RejectedError
from clients.helpdesk import NewComment, NewTicket
from tasks.inbox.personal import Personal
from tests.conftest import PAGE_A, payload
from tests.fakes.conversation import IN, PERSON, PHOTO, SENT_AT
from tests.fakes.crashes import every_crash
from tests.fakes.echoes import receive_unmarked_echo
from tests.fakes.world import World


def test_what_another_app_sends_to_who_never_wrote_is_context_of_the_ticket_that_they_open(
    world: World,
) -> None:
    world.receive_body(payload("messenger/echo_of_another_app"))
    world.work()
    assert world.desk.tickets == {}
    assert world.left() == set()
    world.receive(at=SENT_AT + 99_000)
    world.work()

    (ticket,) = world.desk.tickets.values()
    (note,) = ticket.comments
    assert note.internal
    assert "Page 1 (app 1517776481860111): Our bot answers" in note.body
    assert not list(world.store.scan_iter("mc:context:*"))


def test_a_file_that_another_app_sends_is_not_moved_for_no_ticket(world: World) -> None:
    receive_unmarked_echo(world, "m_9", app_id="9", text="", attachments=[PHOTO])
    world.work()
    assert world.desk.uploads == []
    world.receive(at=SENT_AT + 99_000)
    world.work()

    (note,) = world.desk.tickets["t1"].comments
    assert "Page 1 (app 9): ![photo.jpg](https://acme.example.com/1)" in note.body
    assert list(note.attachment_ids) == ["1"]


@pytest.mark.parametrize("knows_keys", [True, False])
@pytest.mark.parametrize("takes_files_ahead", [True, False])
def test_wherever_a_worker_dies_context_is_told_once_with_its_files(
    worlds: Callable[[], World], *, knows_keys: bool, takes_files_ahead: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys, world.desk.takes_files_ahead = knows_keys, takes_files_ahead
        receive_unmarked_echo(world, "m_9", app_id="9", attachments=[PHOTO])
        world.receive(at=SENT_AT + 99_000)
        return [IN]

    for world in every_crash(worlds, prepare):
        (ticket,) = world.desk.tickets.values()
        assert [one.external_id for one in ticket.comments] == ["context:m_1"]
        (note,) = ticket.comments
        assert len([*note.attachment_ids, *note.files]) == 1
        assert not list(world.store.scan_iter("mc:context:*"))


def _open(world: World) -> NewComment:
    """Have the customer open a ticket, and return what it is noted on it."""
    world.receive(at=SENT_AT + 99_000)
    world.work()
    (note,) = world.desk.tickets["t1"].comments
    return note


def test_the_links_and_buttons_that_another_app_sent_are_shown(world: World) -> None:
    button = {"type": "web_url", "title": "Order", "url": "https://acme.example/order"}
    template = {"template_type": "button", "text": "What now?", "buttons": [button]}
    shared = {"type": "fallback", "payload": {"title": "Hours", "url": "https://acme.example/hours"}}
    for number, one in enumerate([{"type": "template", "payload": template}, shared]):
        receive_unmarked_echo(
            world, f"m_e{number}", app_id="9", text="", attachments=[one], at=SENT_AT + number
        )
    world.work()

    body = _open(world).body
    assert "Page 1 (app 9):\n\nWhat now?\n\n- [Order](https://acme.example/order)" in body
    assert "Page 1 (app 9): [Hours](https://acme.example/hours)" in body


def test_the_files_of_several_messages_are_all_moved(world: World) -> None:
    for number in range(2):
        receive_unmarked_echo(
            world, f"m_e{number}", app_id="9", text="", attachments=[PHOTO, PHOTO], at=SENT_AT + number
        )
    world.work()
    world.receive(at=SENT_AT + 99_000, attachments=[PHOTO])
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert len({*ticket.new.attachment_ids, *ticket.comments[0].attachment_ids}) == 5


def test_of_a_file_that_is_refused_the_words_beside_it_are_shown_with_a_link(world: World) -> None:
    def refuse(new: NewTicket | NewComment) -> Exception | None:
        return FileRefused("refused_with_file") if new.attachment_ids else None

    world.desk.refuses = refuse
    receive_unmarked_echo(world, "m_9", app_id="9", text="Our menu", attachments=[PHOTO])
    world.work()

    body = _open(world).body
    assert "Our menu" in body
    assert "https://cdn.fbsbx.com/photo.jpg" in body


def test_a_file_that_goes_with_its_comment_goes_with_the_note(world: World) -> None:
    world.desk.takes_files_ahead = False
    receive_unmarked_echo(world, "m_9", app_id="9", text="Our menu", attachments=[PHOTO])
    world.work()

    assert [file.filename for file in _open(world).files] == ["photo.jpg"]


def test_of_more_messages_than_are_shown_it_is_said_how_many_there_were(world: World) -> None:
    for number in range(25):
        receive_unmarked_echo(
            world, f"m_e{number}", app_id="9", text=f"Offer {number:02}", at=SENT_AT + number
        )
    world.work()

    body = _open(world).body
    assert "25 messages were sent before this ticket; these are the last 20:" in body
    assert ("Offer 04" in body, "Offer 05" in body) == (False, True)


def test_what_the_helpdesk_does_not_take_stays_for_the_next_ticket(world: World) -> None:
    world.receive_body(payload("messenger/echo_of_another_app"))
    world.work()
    world.desk.refuses = lambda new: RejectedError("refused") if "bot answers" in new.body else None
    world.receive(at=SENT_AT + 99_000)
    world.work()
    assert world.desk.tickets["t1"].comments == []
    world.desk.refuses = lambda new: None
    world.desk.tickets["t1"].closed = True
    world.receive("m_2", at=SENT_AT + 99_001)
    world.work()

    assert "Our bot answers" in world.desk.tickets["t2"].comments[0].body


def test_of_messages_that_are_refused_together_those_that_can_are_shown_by_themselves(world: World) -> None:
    for number, text in enumerate(["one", "bad", "three"]):
        receive_unmarked_echo(
            world, f"m_e{number}", app_id="9", text=text, attachments=[PHOTO], at=SENT_AT + number
        )
    world.work()
    world.desk.refuses = lambda new: RejectedError("refused") if "bad" in new.body else None
    world.receive(at=SENT_AT + 99_000)
    world.work()

    comments = world.desk.tickets["t1"].comments
    assert [one.body.split("\n\n")[2] for one in comments] == ["one", "three"]
    assert len({id_ for one in comments for id_ in one.attachment_ids}) == 2
    assert world.desk.count("upload") == 3
    assert [
        json.loads(body)["message"]["text"] for body, _ in world.inbox.noted(Personal.CONTEXT, PERSON)
    ] == ["bad"]


def test_a_line_that_an_earlier_version_kept_is_shown(world: World) -> None:
    world.receive_body(payload("messenger/echo_of_another_app"))
    world.work()
    key = f"mc:{Personal.CONTEXT}:{PERSON.channel}:{PAGE_A}:{PERSON.person_id}"
    world.store.zadd(key, {"m_8 2026-11-22 20:00 UTC, Page 1: Hi *there*": SENT_AT - 1})

    assert "2026-11-22 20:00 UTC, Page 1: Hi \\*there\\*" in _open(world).body
