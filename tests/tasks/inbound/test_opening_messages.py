"""What a customer does about the message that opened their ticket, which is no comment there."""

from typing import Any

import pytest

from clients.errors import RejectedError
from tests.fakes.conversation import SENT_AT
from tests.fakes.failures import fault
from tests.fakes.meta import Refusal
from tests.fakes.world import World

META_INBOX = "263902037430900"
FIRST = "the first message of this ticket (“Where is it?”)"
REACTION: dict[str, Any] = {"emoji": "❤️", "action": "react", "mid": "m_1"}


@pytest.fixture
def opened(world: World) -> World:
    """Give a ticket that a customer's message opened, which Meta does not show any more."""
    world.receive("m_1", "Where is it?\n\nI wait.")
    world.work()
    world.meta.fail("message", Refusal(9000001))
    return world


def _told(world: World, **event: Any) -> str:
    world.receive_item({"timestamp": SENT_AT + 9} | event)
    world.work()
    (comment,) = world.desk.tickets["t1"].comments
    return comment.body


def test_a_reaction_to_it_quotes_it(opened: World) -> None:
    assert _told(opened, reaction=REACTION) == f"The customer reacted with ❤️ to {FIRST}."
    assert opened.meta.count("message") == 0


def test_a_reaction_that_is_taken_back_quotes_it(opened: World) -> None:
    told = _told(opened, reaction={"action": "unreact", "mid": "m_1"})
    assert told == f"The customer took back a reaction to {FIRST}."


def test_that_it_was_deleted_is_told_in_its_words(opened: World) -> None:
    told = _told(opened, message={"mid": "m_1", "is_deleted": True})
    assert told == f"The customer deleted {FIRST} in Messenger."


def test_an_answer_to_it_quotes_it(opened: World) -> None:
    told = _told(opened, message={"mid": "m_2", "text": "Hello?", "reply_to": {"mid": "m_1"}})
    assert told == f"> In reply to {FIRST}:\n\nHello?"


def test_what_opened_it_in_metas_inbox_is_quoted_with_who_wrote_it(world: World) -> None:
    echo = {"mid": "m_1", "text": "We have it in blue", "is_echo": True, "app_id": META_INBOX}
    world.receive_item({"timestamp": SENT_AT, "message": echo}, from_page=True)
    world.work()

    told = _told(world, reaction=REACTION)
    assert "(“Page 1 (Meta inbox): We have it in blue”)" in told


def test_where_the_helpdesk_does_not_show_it_the_channel_is_asked(world: World) -> None:
    world.desk.shows_openings = False
    world.receive("m_1", "Where is it?")
    world.work()
    world.meta.said["m_1"] = "Where is it?"

    assert _told(world, reaction=REACTION).endswith("to the message “Where is it?”.")


@pytest.mark.parametrize("error", [Refusal(9000001), Refusal(613), Refusal(2, status=500)])
def test_where_the_channel_does_not_show_it_either_it_is_said_which_one_it_is(
    world: World, error: Refusal
) -> None:
    world.desk.shows_openings = False
    world.receive("m_1", "Where is it?")
    world.work()
    world.meta.fail("message", error)

    assert _told(world, reaction=REACTION).endswith("to the first message of this ticket.")
    assert world.meta.count("message") == 1


@pytest.mark.parametrize("error", [RejectedError("not_offered"), fault()])
def test_where_the_helpdesk_fails_at_it_the_channel_is_asked(world: World, error: Exception) -> None:
    world.receive("m_1", "Where is it?")
    world.work()
    world.desk.fail("find_opening", error)
    world.meta.said["m_1"] = "Where is it?"

    assert _told(world, reaction=REACTION).endswith("to the message “Where is it?”.")


def test_the_first_message_of_another_ticket_is_not_that_of_this_one(world: World) -> None:
    world.receive("m_1", "Where is it?")
    world.work()
    world.desk.tickets["t1"].closed = True
    world.receive("m_2", "Hello?", SENT_AT + 1)
    world.work()
    world.receive_item({"timestamp": SENT_AT + 9, "reaction": REACTION})
    world.work()

    assert world.desk.tickets["t2"].comments[-1].body.endswith("to an earlier message.")
