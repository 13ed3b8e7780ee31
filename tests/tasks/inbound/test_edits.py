"""A message that its sender edited."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from clients.errors import RejectedError
from tests.fakes.conversation import IN, SENT_AT
from tests.fakes.crashes import every_crash
from tests.fakes.failures import fault
from tests.fakes.world import World

EDITED = """\
Where is parcel 117?

(Edited by the customer on 2026-11-22 21:30 UTC. The earlier text:)

> Where is it?"""


def _edit(text: str, number: int = 1) -> dict[str, Any]:
    return {
        "timestamp": SENT_AT + number * 1000,
        "message_edit": {"mid": "m_1", "text": text, "num_edit": number},
    }


def _bodies(world: World) -> list[str]:
    return [comment.body for comment in list(world.desk.tickets.values())[-1].comments]


def test_its_comment_gets_the_new_text_and_keeps_the_earlier_one(linked: World) -> None:
    linked.receive("m_1", "Where is it?")
    linked.receive_item(_edit("Where is parcel 117?"))
    linked.work()

    assert _bodies(linked) == [EDITED]


def test_edited_twice_it_keeps_all_earlier_texts(linked: World) -> None:
    linked.receive("m_1", "Where is it?")
    linked.receive_item(_edit("Where is parcel 117?"))
    linked.receive_item(_edit("Found it!", 2))
    linked.work()

    (body,) = _bodies(linked)
    assert body.startswith("Found it!\n\n(Edited")
    assert body.endswith("\n".join(f"> {line}".rstrip() for line in EDITED.split("\n")))


def test_a_helpdesk_that_cannot_change_comments_gets_an_internal_one(linked: World) -> None:
    linked.desk.takes_edits = False
    linked.receive("m_1", "Where is it?")
    linked.receive_item(_edit("Where is parcel 117?"))
    linked.work()

    assert _bodies(linked) == [
        "Where is it?",
        "The customer edited the message “Where is it?”. It now reads:\n\nWhere is parcel 117?",
    ]
    assert linked.desk.tickets["t1"].comments[1].internal


def test_a_helpdesk_that_refuses_the_change_gets_an_internal_comment(linked: World) -> None:
    linked.receive("m_1", "Where is it?")
    linked.work()
    linked.desk.fail("edit_comment", RejectedError("it takes no changes"))
    linked.receive_item(_edit("Where is parcel 117?"))
    linked.work()

    assert len(_bodies(linked)) == 2


def test_the_words_that_the_channel_shows_by_now_are_not_told_as_the_earlier_ones(world: World) -> None:
    world.receive("m_1", "Where is it?")
    world.work()
    world.meta.said["m_1"] = "Where is parcel 117?"
    world.receive_item(_edit("Where is parcel 117?"))
    world.work()

    told = "The customer edited the first message of this ticket (“Where is it?”). It now reads:"
    assert _bodies(world) == [f"{told}\n\nWhere is parcel 117?"]
    assert "message" not in world.meta.calls


def test_of_the_first_message_it_is_said_which_one_it_is_though_the_helpdesk_does_not_show_it(
    world: World,
) -> None:
    world.desk.shows_openings = False
    world.receive("m_1", "Where is it?")
    world.work()
    world.meta.said["m_1"] = "Where is parcel 117?"
    world.receive_item(_edit("Where is parcel 117?"))
    world.work()

    told = "The customer edited the first message of this ticket. It now reads:"
    assert _bodies(world) == [f"{told}\n\nWhere is parcel 117?"]


def test_of_a_closed_ticket_a_new_one_tells_the_new_text(linked: World) -> None:
    linked.receive("m_1", "Where is it?")
    linked.work()
    linked.desk.tickets["t1"].closed = True
    linked.receive_item(_edit("Where is parcel 117?"))
    linked.work()

    assert _bodies(linked) == []
    new = linked.desk.tickets["t2"].new
    assert new
    assert new.body.endswith("It now reads:\n\nWhere is parcel 117?")
    assert linked.desk.tickets["t1"].comments[0].body == "Where is it?"


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_it_is_edited_once(worlds: Callable[[], World], *, knows_keys: bool) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        world.receive("m_0")
        world.receive("m_1", "Where is it?")
        world.work()
        world.receive_item(_edit("Where is parcel 117?"))
        return [IN]

    for world in every_crash(worlds, prepare):
        assert _bodies(world) == [EDITED]
        assert world.left() == set()


def test_an_edit_that_comes_after_a_newer_one_leaves_the_newer_text(linked: World) -> None:
    linked.receive("m_1", "Where is it?")
    linked.receive_item(_edit("second", 2))
    linked.work()
    linked.receive_item(_edit("first", 1))
    linked.work()

    edited, note = _bodies(linked)
    assert edited.startswith("second\n")
    assert note == "The customer had edited the message “second” before. It read:\n\nfirst"


def test_a_dead_edit_that_is_retried_after_a_newer_one_leaves_the_newer_text(linked: World) -> None:
    linked.receive("m_1", "Where is it?")
    linked.work()
    linked.desk.fail("edit_comment", *(ValueError() for _ in range(3)))
    linked.receive_item(_edit("first", 1))
    for _ in range(3):
        linked.resume(IN)
    (letter,) = linked.inbox.dead_letters.all()
    linked.receive_item(_edit("second", 2))
    linked.work()
    linked.inbox.dead_letters.requeue(letter)
    linked.work()

    bodies = _bodies(linked)
    assert bodies[0].startswith("second\n")
    assert bodies[-1].endswith("It read:\n\nfirst")


def test_a_helpdesk_that_tidies_what_it_stores_has_it_edited_once(linked: World) -> None:
    linked.receive("m_1", "one\ntwo")
    linked.work()
    linked.desk.fail("edit_comment", fault(), after=True)
    linked.receive_item(_edit("new"))
    linked.work()
    comments = linked.desk.tickets["t1"].comments
    comments[0] = replace(comments[0], body=comments[0].body.replace("  \n", "\n"))
    linked.resume(IN)

    assert _bodies(linked)[0].count("Edited by the customer") == 1


def test_a_helpdesk_that_fails_at_changes_alone_gets_an_internal_comment(linked: World) -> None:
    linked.configure(worker={"attempts": 1})
    linked.receive("m_1", "Where is it?")
    linked.work()
    linked.desk.fail("edit_comment", fault())
    linked.receive_item(_edit("Where is parcel 117?"))
    linked.work()

    assert _bodies(linked)[1].endswith("It now reads:\n\nWhere is parcel 117?")


def test_the_earlier_text_keeps_its_lines(linked: World) -> None:
    linked.receive("m_1", "one\ntwo\n\nthree")
    linked.receive_item(_edit("new"))
    linked.work()

    assert _bodies(linked)[0].endswith("> one  \n> two\n>\n> three")


def test_an_edit_is_one_in_whichever_list_it_comes(linked: World) -> None:
    linked.receive("m_1", "Where is it?")
    linked.receive_item(_edit("new"))
    linked.receive_item(_edit("new") | {"standby": True})
    linked.work()

    (body,) = _bodies(linked)
    assert body.count("Edited by the customer") == 1


TOLD = "The customer edited an earlier message. It now reads:\n\nWhere is parcel 117?"


def test_an_edit_that_waits_with_its_message_goes_behind_it(linked: World) -> None:
    linked.receive_item(_edit("Where is parcel 117?"))
    linked.receive("m_1", "Where is it?")
    linked.work()

    assert _bodies(linked) == [EDITED]


def test_a_message_that_comes_after_its_edit_is_shown_as_edited(linked: World) -> None:
    linked.receive_item(_edit("Where is parcel 117?"))
    linked.work()
    linked.receive("m_1", "Where is it?")
    linked.receive("m_2", "Hello?")
    linked.work()

    assert _bodies(linked) == [TOLD, EDITED, "Hello?"]


def test_an_edit_that_opens_the_ticket_of_its_message_is_known_to_it(world: World) -> None:
    world.receive_item(_edit("Where is parcel 117?"))
    world.work()
    world.receive("m_1", "Where is it?")
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert ticket.new.body == TOLD
    assert [comment.body for comment in ticket.comments] == [EDITED]


def test_of_two_edits_that_come_before_their_message_the_newer_is_shown_in_it(linked: World) -> None:
    for number, text in ((2, "second"), (1, "first")):
        linked.receive_item(_edit(text, number))
        linked.work()
    linked.receive("m_1", "Where is it?")
    linked.work()

    told, before, message = _bodies(linked)
    assert told.endswith("It now reads:\n\nsecond")
    assert before == "The customer had edited an earlier message before. It read:\n\nfirst"
    assert message.startswith("second\n\n(Edited by the customer")


def test_a_message_that_came_after_its_edit_can_be_edited_again(linked: World) -> None:
    linked.receive_item(_edit("Where is parcel 117?"))
    linked.work()
    linked.receive("m_1", "Where is it?")
    linked.work()
    linked.receive_item(_edit("Found it!", 2))
    linked.work()

    assert len(_bodies(linked)) == 2
    assert _bodies(linked)[1].startswith("Found it!\n\n(Edited")
    assert "> Where is parcel 117?" in _bodies(linked)[1]


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_a_message_that_comes_after_its_edit_is_shown_once(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        world.receive("m_0")
        world.receive_item(_edit("Where is parcel 117?"))
        world.work()
        world.receive("m_1", "Where is it?")
        world.receive("m_2", "Hello?")
        return [IN]

    for world in every_crash(worlds, prepare):
        assert _bodies(world) == [TOLD, EDITED, "Hello?"]
        assert world.left() == set()
