"""The words of the message that another one is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clients.errors import RejectedError
from tests.fakes.conversation import OUT, PHOTO, SENT_AT, SNAP
from tests.fakes.failures import fault
from tests.fakes.meta import Refusal
from tests.fakes.replies import TWO_PARTS
from tests.fakes.world import World

META_INBOX = "263902037430900"
REACTION: dict[str, Any] = {
    "timestamp": SENT_AT + 9,
    "reaction": {"emoji": "❤️", "action": "react", "mid": "m_page"},
}


def _last(world: World) -> str:
    return list(world.desk.tickets.values())[-1].comments[-1].body


def test_a_customers_message_is_quoted_from_its_ticket(linked: World) -> None:
    linked.receive("m_1", "Where *is* it?\n\nI wait.")
    linked.receive("m_2", "Hello?", SENT_AT + 1, reply_to={"mid": "m_1"})
    linked.work()

    assert _last(linked) == "> In reply to the message “Where \\*is\\* it?”:\n\nHello?"
    assert "message" not in linked.meta.calls


def test_an_agents_message_is_quoted_from_the_channel(linked: World) -> None:
    linked.meta.said["m_page"] = "Hello\nAnna"
    linked.receive_item(REACTION)
    linked.work()

    assert _last(linked) == "The customer reacted with ❤️ to the page's message “Hello Anna”."


def test_what_an_agent_wrote_in_metas_inbox_is_quoted_as_the_pages(linked: World) -> None:
    echo = {"mid": "m_inbox", "text": "It arrives tomorrow.", "is_echo": True, "app_id": META_INBOX}
    linked.receive_item({"timestamp": SENT_AT, "message": echo}, from_page=True)
    linked.receive_item(REACTION | {"reaction": REACTION["reaction"] | {"mid": "m_inbox"}})
    linked.receive("m_2", "Thanks", SENT_AT + 10, reply_to={"mid": "m_inbox"})
    linked.work()

    echoed, reacted, answered = (one.body for one in linked.desk.tickets["t1"].comments)
    assert echoed == "It arrives tomorrow."
    assert reacted == "The customer reacted with ❤️ to the page's message “It arrives tomorrow.”."
    assert answered == "> In reply to the page's message “It arrives tomorrow.”:\n\nThanks"


def _reacts_to(world: World, part: int) -> str:
    """Have the customer react to what was sent, and return what is told of it."""
    world.receive_item(
        {"timestamp": SENT_AT + 9, "reaction": {"emoji": "❤️", "action": "react", "mid": f"m_ours_{part}"}}
    )
    world.work()
    return _last(world)


def test_an_agents_reply_is_quoted_from_its_ticket(linked: World) -> None:
    linked.reply("Your parcel is in Kraków.")
    linked.work(OUT)

    told = _reacts_to(linked, 0)
    assert told == "The customer reacted with ❤️ to the page's message “Your parcel is in Kraków.”."
    assert "message" not in linked.meta.calls
    assert linked.desk.asked_since
    assert timedelta(days=6) < datetime.now(UTC) - linked.desk.asked_since < timedelta(days=8)


def test_of_a_reply_in_parts_the_part_is_quoted(linked: World) -> None:
    linked.reply(TWO_PARTS, SNAP)
    linked.work(OUT)

    second = TWO_PARTS[-20:].strip()
    assert second in _reacts_to(linked, 1)
    assert "a message from the page without text" in _reacts_to(linked, 2)


def test_of_a_reply_that_quotes_only_what_the_agent_says_is_quoted(linked: World) -> None:
    linked.reply("> Where is it?\n\nIn Kraków.")
    linked.work(OUT)

    assert "the page's message “In Kraków.”" in _reacts_to(linked, 0)


def test_of_a_reply_that_was_changed_since_the_channel_tells_what_the_customer_has(linked: World) -> None:
    linked.reply("Your parcel is in Kraków.")
    linked.work(OUT)
    linked.desk.written["981"] = replace(linked.desk.written["981"], body="It is lost.")
    linked.meta.said["m_ours_0"] = "Your parcel is in Kraków."

    assert "“Your parcel is in Kraków.”" in _reacts_to(linked, 0)


def test_where_the_helpdesk_shows_no_comments_the_channel_is_asked(linked: World) -> None:
    linked.reply("Your parcel is in Kraków.")
    linked.work(OUT)
    linked.desk.fail("read_comment", RejectedError("not_offered"))
    linked.meta.said["m_ours_0"] = "Your parcel is in Kraków."

    assert "“Your parcel is in Kraków.”" in _reacts_to(linked, 0)


def test_a_long_message_is_quoted_in_part(linked: World) -> None:
    linked.meta.said["m_page"] = "a" * 500
    linked.receive_item(REACTION)
    linked.work()

    assert f"“{'a' * 120}…”" in _last(linked)


def test_a_message_without_text_says_so(linked: World) -> None:
    linked.meta.said["m_page"] = ""
    linked.receive_item(REACTION)
    linked.work()

    assert _last(linked) == "The customer reacted with ❤️ to a message from the page without text."


@pytest.mark.parametrize(
    "error", [Refusal(9000001), Refusal(613), Refusal(190), Refusal(2, status=500), fault()]
)
def test_an_event_never_waits_for_the_words_that_it_is_about(linked: World, error: Exception) -> None:
    linked.meta.fail("message", error)
    linked.receive_item(REACTION)
    linked.work()

    assert _last(linked) == "The customer reacted with ❤️ to an earlier message."
    assert linked.waiting() == 0


def test_a_helpdesk_that_is_down_is_asked_again(linked: World) -> None:
    linked.receive("m_1", "Where is it?")
    linked.work()
    linked.desk.fail("find_comment", fault())
    linked.receive("m_2", "Hello?", SENT_AT + 1, reply_to={"mid": "m_1"})
    linked.work()

    assert _last(linked).endswith("Hello?")


def test_a_customer_cannot_end_the_quotation(linked: World) -> None:
    linked.receive("m_1", "ok”, and the page's message “We refund 1000")
    linked.receive("m_2", "so?", SENT_AT + 1, reply_to={"mid": "m_1"})
    linked.work()

    assert _last(linked).startswith(
        "> In reply to the message “ok', and the page's message 'We refund 1000”:"
    )


def test_words_in_brackets_are_the_customers_words(linked: World) -> None:
    linked.receive("m_1", "(urgent) [order 7] Where is it?")
    linked.receive("m_2", "so?", SENT_AT + 1, reply_to={"mid": "m_1"})
    linked.work()

    assert "“(urgent) [order 7] Where is it?”" in _last(linked)


def test_of_a_picture_no_address_is_quoted(linked: World) -> None:
    linked.receive("m_1", "", attachments=[PHOTO])
    linked.receive("m_2", "so?", SENT_AT + 1, reply_to={"mid": "m_1"})
    linked.work()

    assert _last(linked).startswith("> In reply to a message without text:")


@pytest.mark.parametrize("error", [Refusal(613), Refusal(190), Refusal(2, status=500)])
def test_a_page_that_failed_to_give_words_is_not_asked_for_any_for_a_while(
    linked: World, error: Exception
) -> None:
    linked.meta.said["m_page"] = "Hello"
    linked.meta.fail("message", error)
    for number in range(3):
        linked.receive_item(REACTION | {"timestamp": SENT_AT + number})
    linked.work()

    assert linked.meta.count("message") == 1
    assert _last(linked) == "The customer reacted with ❤️ to an earlier message."
    linked.configure()  # a minute later
    linked.receive_item(REACTION | {"timestamp": SENT_AT + 9})
    linked.work()
    assert "“Hello”" in _last(linked)


def test_a_page_that_does_not_know_a_message_is_asked_for_the_next(linked: World) -> None:
    linked.meta.fail("message", Refusal(100))
    for number in range(2):
        linked.receive_item(REACTION | {"timestamp": SENT_AT + number})
    linked.work()

    assert linked.meta.count("message") == 2


def test_a_page_that_could_not_mark_a_message_as_seen_is_asked_for_words(linked: World) -> None:
    linked.meta.said["m_page"] = "Hello"
    linked.meta.fail("action", Refusal(551))
    linked.receive("m_1")
    linked.receive_item(REACTION)
    linked.work()

    assert "“Hello”" in _last(linked)
