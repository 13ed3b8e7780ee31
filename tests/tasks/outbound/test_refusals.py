"""Replies that are refused, as a whole or in part."""

import dataclasses

import pytest

from clients.channels.meta.events import CHANNEL
from clients.errors import Unauthorized
from clients.helpdesk import Attachment, Delivery
from tasks import remotes
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import CUSTOMER, INVOICE, OUT, PAGE
from tests.fakes.failures import away, fault
from tests.fakes.meta import FILE_UNKNOWN, OUTSIDE_WINDOW, Refusal
from tests.fakes.replies import TWO_PARTS, status_of
from tests.fakes.world import World


def test_a_reply_that_is_refused_is_a_dead_letter_and_the_agent_is_told(world: World) -> None:
    ticket = world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(551))
    world.work(OUT)

    (reason,) = world.reasons()
    assert "cannot be reached" in reason
    assert world.desk.deliveries["981"] == Delivery("failed", [], reason)
    (note,) = ticket.comments
    assert note.internal
    assert reason in note.body
    assert "Part of it was delivered" not in note.body
    assert "connector dead retry 1" in note.body


@pytest.mark.parametrize(("status", "is_transient"), [(503, False), (400, True)])
def test_an_unknown_error_that_does_not_pass_is_told_in_metas_own_words(
    world: World, status: int, *, is_transient: bool
) -> None:
    ticket = world.desk.open()
    world.configure(worker={"attempts": 2, "echo_wait": 0})
    world.reply()
    for _ in range(2):
        words = {"error_user_title": "Not now", "error_user_msg": "Archived."}
        world.meta.fail("send", Refusal(4711, 0, status, **words, is_transient=is_transient))
        world.pass_time(OUT)
        world.work(OUT)

    assert "“Not now Archived.” (Facebook error 4711)" in ticket.comments[0].body
    assert "It was tried 2 times." in ticket.comments[0].body
    assert world.waiting(OUT) == 0


def test_a_reply_that_is_refused_in_part_says_so(world: World) -> None:
    ticket = world.desk.open()
    world.reply(TWO_PARTS)
    world.meta.fail("send", None, Refusal(551))
    world.work(OUT)

    assert world.desk.deliveries["981"].message_ids == ["m_ours_0"]
    assert "Part of it was delivered" in ticket.comments[0].body


def test_a_reply_that_is_requeued_sends_what_is_missing(world: World) -> None:
    world.desk.open()
    world.reply(TWO_PARTS)
    world.meta.fail("send", None, Refusal(551))
    world.work(OUT)
    world.inbox.dead_letters.requeue(world.inbox.dead_letters.all()[0])
    world.work(OUT)

    assert [len(text) for text in world.meta.texts()] == [2000, 100]
    assert world.meta.count("conversations") == 0
    assert world.desk.deliveries["981"].status == "sent"


def test_the_agent_of_a_reply_that_failed_learns_that_a_retry_sent_it(world: World) -> None:
    ticket = world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(551))
    world.work(OUT)
    world.inbox.dead_letters.requeue(world.inbox.dead_letters.all()[0])
    world.work(OUT)

    failed, sent = ticket.comments
    assert "was not delivered" in failed.body
    assert sent.body == "The reply that was not delivered at first has now been sent to the customer."
    assert sent.internal


def test_a_file_that_is_refused_does_not_hold_back_the_next(world: World) -> None:
    world.desk.open()
    world.reply("", INVOICE, dataclasses.replace(INVOICE, id="4", filename="b.pdf"))
    world.meta.fail("send", Refusal(*FILE_UNKNOWN), Refusal(*FILE_UNKNOWN))
    world.work(OUT)

    assert world.meta.texts() == ["file"]
    (reason,) = world.reasons()
    assert "invoice.pdf" in reason
    assert "b.pdf" not in reason


def test_outside_the_window_a_page_that_may_uses_the_tag_for_human_agents(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert [one["tag"] for one in world.meta.sent] == ["HUMAN_AGENT"]
    assert world.reasons() == []


def test_outside_the_window_a_page_that_may_not_uses_no_tag(world: World) -> None:
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert world.meta.sent == []
    (reason,) = world.reasons()
    assert "no longer allows a reply" in reason


def test_while_the_pages_token_is_refused_the_agent_is_told_once_that_the_reply_waits(world: World) -> None:
    ticket = world.desk.open()
    world.reply()
    for _ in range(3):
        world.meta.fail("send", Refusal(190))
        world.resume(OUT)
        assert 25 < world.paused(PAGE) <= 30
    assert [note.external_id for note in ticket.comments] == ["waiting:981"]
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.reasons() == []


def test_after_a_refused_token_several_replies_are_tried_so_that_their_agents_are_told(world: World) -> None:
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(190))
    world.work(OUT)

    assert world.store.hget(f"mc:pause:{CHANNEL}:{PAGE_A}", "rate") == b"16"


def test_each_ticket_that_waits_has_one_note_and_all_replies_go_out_in_order(world: World) -> None:
    tickets = [world.desk.open(f"T{number}") for number in range(3)]
    for number in range(3):
        person = dataclasses.replace(CUSTOMER, person_id=f"10{number}")
        for text in (f"{number} first", f"{number} second"):
            world.reply(text, id_=text, ticket_id=f"T{number}", customer=person)
    world.meta.fail("send", *(Refusal(190) for _ in range(6)))
    while world.meta.count("send") < 6:
        world.end_pause(PAGE)
        world.work("")
    assert [[note.external_id for note in ticket.comments] for ticket in tickets] == [
        [f"waiting:{number} first"] for number in range(3)
    ]

    while len(world.meta.sent) < 6:
        world.end_pause(PAGE)
        world.work("")
    for number in range(3):
        sent = [text for text in world.meta.texts() if text.startswith(str(number))]
        assert sent == [f"{number} first", f"{number} second"]
    assert [len(ticket.comments) for ticket in tickets] == [1, 1, 1]
    assert world.reasons() == []


def test_a_reply_on_a_closed_ticket_waits_for_the_token_too(world: World) -> None:
    world.desk.open().closed = True
    world.reply()
    world.meta.fail("send", Refusal(190))
    world.work(OUT)
    assert world.reasons() == []
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_failure_is_shown_in_the_comment_even_if_its_ticket_is_closed(world: World) -> None:
    world.desk.open().closed = True
    world.reply()
    world.meta.fail("send", Refusal(551))
    world.work(OUT)

    assert status_of(world) == "failed"
    assert len(world.reasons()) == 1


def test_a_helpdesk_that_refuses_our_token_makes_no_note_of_it(world: World) -> None:
    ticket = world.desk.open()
    world.reply("", INVOICE)
    for call in ("open_attachment", "ping"):
        world.desk.fail(call, Unauthorized("the token is refused"))
    world.work(OUT)

    assert ticket.comments == []
    assert world.paused() > 25


def test_the_agent_of_a_reply_is_told_once_however_often_telling_fails(world: World) -> None:
    ticket = world.desk.open()
    world.desk.knows_keys = False
    world.reply()
    world.meta.fail("send", Refusal(551))
    world.desk.fail("show_delivery", away())
    world.desk.fail("add_comment", fault(), after=True)
    world.desk.fail("ping", fault())
    for _ in range(4):
        world.resume(OUT)

    assert len(ticket.comments) == 1
    assert len(world.reasons()) == 1
    assert world.meta.count("send") == 1


SETUP = Attachment("4", "https://acme.example.com/files/4", "setup.exe", "application/x-msdownload", 3)


@pytest.mark.parametrize("refusal", [Refusal(546), Refusal(100), Refusal(4242)])
def test_a_file_that_meta_does_not_take_costs_itself_only(world: World, refusal: Refusal) -> None:
    world.desk.open()
    world.meta.fail("upload", refusal)
    world.reply("Hello", SETUP, INVOICE)
    world.work(OUT)

    assert world.meta.texts() == ["Hello", "file"]
    assert "“setup.exe”" in world.reasons()[0]
    assert "“setup.exe”" in world.desk.tickets["42"].comments[0].body


@pytest.mark.parametrize("remote", ["helpdesk", "page"])
def test_a_file_that_cannot_be_moved_for_ever_costs_itself_only(world: World, remote: str) -> None:
    world.configure(worker={"attempts": 3})
    for _ in range(3):
        if remote == "page":
            world.meta.fail("upload", Refusal(2))
        else:
            world.desk.fail("open_attachment", fault())
    world.reply("Hello", SETUP, INVOICE)
    for _ in range(4):
        world.resume(OUT)

    assert world.meta.texts() == ["Hello", "file"]
    assert "“setup.exe”" in world.reasons()[0]


def test_the_last_try_of_a_file_waits_while_its_side_is_down(world: World) -> None:
    world.configure(worker={"attempts": 1})
    world.desk.fail("open_attachment", fault())
    world.desk.fail("ping", fault(), fault())
    world.reply("Hello", INVOICE)
    world.work(OUT)
    assert world.paused()
    world.resume(OUT)

    assert world.meta.texts() == ["Hello", "file"]
    assert world.reasons() == []


def test_a_text_that_meta_does_not_let_through_fails_alone(world: World) -> None:
    world.meta.fail("send", Refusal(368, 1346003))
    world.reply("https://evil.example", id_="1")
    world.reply("Hello", id_="2")
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]
    assert "perhaps because of a link in it" in world.reasons()[0]
    assert not world.paused(PAGE)


def test_a_page_that_is_blocked_waits(world: World) -> None:
    world.meta.fail("send", Refusal(368))
    world.reply()
    world.work(OUT)

    assert world.paused(PAGE)
    assert world.reasons() == []


def test_a_wrong_app_secret_pauses_the_page_until_it_is_mended(world: World) -> None:
    wrong = Refusal(100, message="Invalid appsecret_proof provided in the API argument")
    world.meta.fail("send", wrong)
    world.reply()
    world.work(OUT)
    assert world.paused(PAGE) > remotes.SHORTEST
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
