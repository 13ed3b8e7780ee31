"""Replies whose person is not known."""

from dataclasses import replace

import pytest

from tasks.outbound import reply
from tests.fakes.conversation import OUT, TICKET
from tests.fakes.failures import away
from tests.fakes.world import World


def test_a_reply_whose_person_is_not_known_is_queued_for_whom_the_ticket_names(world: World) -> None:
    world.desk.open()
    world.reply(is_confirmed=False)
    world.work(TICKET)
    assert world.meta.sent == []
    assert world.wake_ups() == 1
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_reply_on_a_ticket_that_is_not_ours_goes_nowhere(world: World) -> None:
    world.desk.open().customer = None
    world.reply(is_confirmed=False)
    world.work(TICKET)

    assert world.left() == set()


def test_what_confirm_returns_is_sent_though_it_does_not_say_that_it_is_confirmed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = world.desk.open().seen
    monkeypatch.setattr(world.desk, "confirm", lambda reply: replace(reply, ticket=ticket))
    world.reply(is_confirmed=False)
    world.work(TICKET)
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_reply_on_a_ticket_that_is_gone_is_a_dead_letter(world: World) -> None:
    world.reply(is_confirmed=False)
    world.work(TICKET)

    assert world.reasons() == ["there is no such ticket"]
    assert world.waiting(TICKET) == 0


def test_a_reply_whose_ticket_cannot_be_read_waits(world: World) -> None:
    world.desk.open()
    world.reply(is_confirmed=False)
    world.desk.fail("get_ticket", away())
    world.work(TICKET)
    assert world.paused()
    world.resume(TICKET)

    assert world.waiting(OUT) == 1


def test_a_reply_that_was_queued_already_is_queued_once(world: World) -> None:
    world.desk.open()
    world.reply()
    world.reply(is_confirmed=False)
    world.work(TICKET)
    world.work(TICKET)
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_reply_that_the_helpdesk_does_not_show_yet_is_looked_for_again(world: World) -> None:
    world.desk.open()
    world.desk.untrue = 1
    world.reply(is_confirmed=False)
    world.work(TICKET)
    assert world.head(TICKET).attempts == 0
    world.resume(TICKET)
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_reply_that_the_helpdesk_never_shows_goes_nowhere(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply, "SHOWN_WITHIN", 0)
    world.desk.open()
    world.desk.untrue = 1
    world.reply(is_confirmed=False)
    world.work(TICKET)

    assert (world.left(), world.reasons(), world.meta.sent) == (set(), [], [])


def test_what_is_sent_is_what_the_helpdesk_shows(world: World) -> None:
    world.desk.open()
    world.desk.shown = "Hello Anna"
    world.reply("Send me your password", is_confirmed=False)
    world.work(TICKET)
    world.work(OUT)

    assert world.meta.texts() == ["Hello Anna"]
