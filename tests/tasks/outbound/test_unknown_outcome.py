"""Parts of unknown outcome."""

import dataclasses
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tasks.outbound import parts
from tests.fakes.conversation import INVOICE, OUT, PAGE
from tests.fakes.meta import Refusal
from tests.fakes.replies import lose_answer
from tests.fakes.world import World


def _end_echo_wait(world: World, number: int = 0) -> None:
    """Let the time be over in which the echo of a part is waited for; the clock of Meta stays as it is."""
    world.set_step(f"sending:{number}", str(int(time.time() * 1000) - 31_000))


def test_a_part_whose_echo_came_is_not_sent_again(world: World) -> None:
    world.echo_all()
    lose_answer(world, sent=True)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.meta.count("conversations") == 0
    assert world.desk.deliveries["981"].message_ids == ["m_ours_0"]


def test_an_echo_is_waited_for_and_no_attempt_is_burnt(world: World) -> None:
    lose_answer(world, sent=True)
    assert world.head(OUT).attempts == 1
    for _ in range(12):
        world.resume(OUT)

    assert world.head(OUT).attempts == 1
    assert 0 < world.head(OUT).waits <= 1
    assert world.meta.count("send") == 1
    assert not world.paused(PAGE)


def test_a_part_that_stands_in_the_conversation_is_not_sent_again(world: World) -> None:
    lose_answer(world, sent=True)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.desk.deliveries["981"].message_ids == ["m_ours_0"]


def test_a_file_that_stands_in_the_conversation_is_not_sent_again(world: World) -> None:
    lose_answer(world, sent=True, text="", file=INVOICE)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["file"]


def test_a_part_that_stands_nowhere_is_sent_again(world: World) -> None:
    lose_answer(world, sent=False)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.meta.count("conversations") == 1


def test_another_message_in_the_conversation_is_not_taken_for_the_part(world: World) -> None:
    world.reply("Goodbye", id_="980")
    world.work(OUT)
    lose_answer(world, sent=False)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["Goodbye", "Hello"]


def test_the_same_text_sent_by_an_earlier_reply_is_not_taken_for_the_part(world: World) -> None:
    world.reply("Hello", id_="980")
    world.work(OUT)
    lose_answer(world, sent=False)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello", "Hello"]
    assert world.desk.deliveries["981"].message_ids == ["m_ours_1"]


def test_an_earlier_file_of_the_reply_is_not_taken_for_the_next(world: World) -> None:
    world.reply("", INVOICE, dataclasses.replace(INVOICE, id="4"))
    world.meta.fail("send", None, httpx.ReadTimeout("slow"))
    world.work(OUT)
    _end_echo_wait(world, 1)
    world.resume(OUT)

    assert world.meta.texts() == ["file", "file"]
    assert world.desk.deliveries["981"].message_ids == ["m_ours_0", "m_ours_1"]


def test_a_comment_of_too_many_messages_fails_before_any_is_sent(world: World) -> None:
    world.desk.open()
    world.reply("a" * 2000 * parts.MOST_PARTS + "b")
    world.work(OUT)

    (note,) = world.desk.tickets["42"].comments
    assert world.meta.sent == []
    assert "it would take 51 messages, but at most 50 can be sent; shorten it" in note.body
    assert world.desk.deliveries["981"].status == "failed"


def test_a_comment_of_as_many_messages_as_are_sent_is_sent(world: World) -> None:
    world.desk.open()
    world.reply("a" * 2000 * parts.MOST_PARTS)
    world.work(OUT)

    assert len(world.meta.sent) == 50


def test_a_note_shows_a_file_name_on_one_line_as_it_is(world: World) -> None:
    world.desk.open()
    world.meta.fail("upload", Refusal(100, 2018047))
    world.reply("", dataclasses.replace(INVOICE, filename="*a*\n\n# <b>\u202e.pdf"))
    world.work(OUT)

    (note,) = world.desk.tickets["42"].comments
    assert r"“\*a\* # &lt;b>.pdf”" in note.body


def test_the_same_text_sent_long_before_is_not_taken_for_the_part(world: World) -> None:
    world.meta.sent.append({"mid": "m_old", "text": "Hello", "at": datetime.now(UTC) - timedelta(minutes=5)})
    lose_answer(world, sent=False)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.count("send") == 2
    assert len(world.meta.sent) == 2


def test_a_conversation_that_may_not_be_read_lets_the_part_be_sent_again(world: World) -> None:
    lose_answer(world, sent=False)
    _end_echo_wait(world)
    world.meta.fail("conversations", Refusal(10))
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_conversation_that_may_not_be_read_yet_does_not_pause_the_page(world: World) -> None:
    lose_answer(world, sent=True)
    _end_echo_wait(world)
    world.meta.fail("conversations", Refusal(80006))
    world.resume(OUT)
    assert not world.paused(PAGE)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.waiting(OUT) == 0


def test_a_conversation_that_cannot_be_read_now_lets_the_part_wait(world: World) -> None:
    lose_answer(world, sent=True)
    _end_echo_wait(world)
    world.meta.fail("conversations", httpx.ReadTimeout("slow"))
    world.resume(OUT)
    assert world.meta.count("send") == 1
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.waiting(OUT) == 0


def test_a_part_that_did_not_go_out_needs_no_look(world: World) -> None:
    world.reply()
    world.meta.fail("send", httpx.ConnectError("down"))
    world.work(OUT)
    assert world.step("sending:0") is None
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.meta.count("conversations") == 0


@pytest.mark.parametrize("code", [190, 613])
def test_a_part_that_was_turned_away_for_now_needs_no_look(world: World, code: int) -> None:
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(code))
    world.work(OUT)
    assert world.step("sending:0") is None
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.meta.count("conversations") == 0
