"""Typing bubbles and marks that a message was seen: shown where they can be, waited for by nobody."""

import pytest

from tests.fakes.conversation import INVOICE, OUT, SENT_AT
from tests.fakes.meta import Refusal
from tests.fakes.world import World


def test_while_a_reply_of_several_messages_is_sent_somebody_types(world: World) -> None:
    world.reply("Hello", INVOICE)
    world.work(OUT)

    assert world.meta.actions == ["typing_on", "typing_on"]


def test_nobody_types_while_it_is_not_known_whether_a_part_was_sent(world: World) -> None:
    world.meta.fail("send", Refusal(1, 1357046))
    world.reply("Hello", INVOICE)
    for _ in range(3):
        world.resume(OUT)

    assert world.meta.actions == ["typing_on"]


def test_a_reply_of_one_message_needs_no_typing(world: World) -> None:
    world.reply("Hello")
    world.work(OUT)

    assert world.meta.actions == []


def test_a_message_is_marked_as_seen_once_it_stands_on_the_ticket(world: World) -> None:
    world.receive("m_1")
    world.work()

    assert world.meta.actions == ["mark_seen"]


def test_what_another_app_answers_is_not_marked(world: World) -> None:
    world.receive_item({"timestamp": SENT_AT, "standby": True, "message": {"mid": "m_1", "text": "hi"}})
    world.work()

    assert len(world.desk.tickets) == 1
    assert world.meta.actions == []


def test_neither_is_done_where_the_settings_do_not_want_it(world: World) -> None:
    world.configure(graph={"typing": False, "mark_seen": False})
    world.receive("m_1")
    world.work()
    world.reply("Hello", INVOICE)
    world.work(OUT)

    assert world.meta.actions == []


@pytest.mark.parametrize("refusal", [Refusal(613), Refusal(190), Refusal(2, status=500)])
def test_one_that_fails_harms_nothing_and_is_left_out_for_a_while(world: World, refusal: Refusal) -> None:
    world.meta.fail("action", refusal)
    world.receive("m_1")
    world.receive("m_2")
    world.work()
    world.reply("Hello", INVOICE)
    world.work(OUT)

    assert len(world.desk.tickets) == 1
    assert world.meta.texts() == ["Hello", "file"]
    assert world.meta.count("action") == 1
    assert world.reasons() == []


def test_one_that_is_refused_for_a_person_is_not_left_out_for_others(world: World) -> None:
    world.meta.fail("action", Refusal(10, 2018278))
    world.receive("m_1")
    world.receive("m_2")
    world.work()

    assert world.meta.count("action") == 2
    assert world.meta.actions == ["mark_seen"]
