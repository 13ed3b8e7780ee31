"""A reply that its agent changed, or deleted, after it was sent: the customer has it as it was."""

import dataclasses
from datetime import UTC, datetime

import pytest

from clients.helpdesk import AgentReply, Attachment, Comment, Ticket
from tasks.outbound.jobs import is_public_reply, reply_job
from tests.fakes.conversation import CUSTOMER, INVOICE, OUT, SENT_AT, TICKET
from tests.fakes.meta import Refusal
from tests.fakes.replies import later_moment
from tests.fakes.world import World


def _change(  # noqa: PLR0913 - what there is of a change
    world: World,
    change: str,
    body: str = "Helo",
    *files: Attachment,
    is_confirmed: bool = True,
    internal: bool = False,
    sent_as: tuple[str, ...] = (),
) -> None:
    at = datetime.fromtimestamp(SENT_AT / 1000, UTC)
    comment = Comment("981", body, "text", "agent", internal, files, from_connector=False, created_at=at)
    comment = dataclasses.replace(comment, sent_as=sent_as)
    ticket = Ticket("42", closed=False, customer=CUSTOMER if is_confirmed else None)
    reply = AgentReply.of(ticket, comment, is_confirmed=is_confirmed)
    changed = dataclasses.replace(reply, key=f"comment:981:{change}:1", change=change)
    assert is_public_reply(changed)
    world.inbox.accept([reply_job(changed)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("updated", "You changed this reply after it was sent. Messenger cannot change it"),
        ("deleted", "You deleted this reply after it was sent. Messenger cannot take it back"),
    ],
)
def test_the_agent_learns_that_the_customer_has_it_as_it_was(world: World, change: str, words: str) -> None:
    ticket = world.desk.open()
    world.reply("Hello")
    _change(world, change)
    world.work(OUT)

    (note,) = ticket.comments
    assert note.internal
    assert note.body.startswith(words)
    assert world.meta.texts() == ["Hello"]


def test_the_agent_learns_it_once_however_often_a_reply_is_changed(world: World) -> None:
    ticket = world.desk.open()
    world.desk.knows_keys = True
    world.reply("Hello")
    world.work(OUT)
    for _ in range(2):
        _change(world, "updated")
        world.work(OUT)

    assert len(ticket.comments) == 1


def test_of_a_reply_that_was_not_sent_nothing_is_told(world: World) -> None:
    ticket = world.desk.open()
    _change(world, "updated")
    world.work(OUT)

    assert ticket.comments == []
    assert world.waiting(OUT) == 0


def test_of_a_reply_that_failed_no_change_is_told(world: World) -> None:
    ticket = world.desk.open()
    world.reply("Hello")
    world.meta.fail("send", Refusal(551))
    _change(world, "updated")
    world.work(OUT)

    assert [note.external_id for note in ticket.comments] == ["failed:981"]


def test_a_change_whose_ticket_came_without_its_customer_is_told_all_the_same(world: World) -> None:
    ticket = world.desk.open()
    world.reply("Hello")
    world.work(OUT)
    _change(world, "updated", is_confirmed=False)
    world.work(TICKET)
    world.work(OUT)

    assert [note.external_id for note in ticket.comments] == ["updated:981"]


def test_a_change_of_what_we_show_in_a_comment_is_none_of_the_reply(world: World) -> None:
    ticket = world.desk.open()
    world.reply("Hello")
    _change(world, "updated", "Hello")
    world.work(OUT)

    assert ticket.comments == []


@pytest.mark.parametrize("files", [(), (dataclasses.replace(INVOICE, id="77"),)])
def test_a_reply_whose_file_was_removed_or_exchanged_was_changed(
    world: World, files: tuple[Attachment, ...]
) -> None:
    ticket = world.desk.open()
    world.reply("Hello", INVOICE)
    _change(world, "updated", "Hello", *files)
    world.work(OUT)

    assert [note.external_id for note in ticket.comments] == ["updated:981"]


def test_a_reply_with_a_file_that_is_as_it_was_sent_was_not_changed(world: World) -> None:
    ticket = world.desk.open()
    world.reply("Hello", INVOICE)
    _change(world, "updated", "Hello", INVOICE)
    world.work(OUT)

    assert ticket.comments == []


def test_a_reply_that_was_made_internal_after_it_was_sent_was_changed(world: World) -> None:
    ticket = world.desk.open()
    world.reply("Hello")
    _change(world, "updated", "Hello", internal=True)
    world.work(OUT)

    assert [note.external_id for note in ticket.comments] == ["updated:981"]


def test_of_an_internal_comment_that_was_never_sent_no_change_is_told(world: World) -> None:
    ticket = world.desk.open()
    _change(world, "updated", internal=True)
    world.work(OUT)

    assert ticket.comments == []


def test_a_reply_that_is_deleted_as_it_was_sent_is_told(world: World) -> None:
    ticket = world.desk.open()
    world.reply("Hello")
    _change(world, "deleted", "Hello")
    world.work(OUT)

    assert len(ticket.comments) == 1


@pytest.mark.parametrize("change", ["updated", "deleted"])
def test_a_reply_of_long_ago_is_known_by_what_the_helpdesk_keeps_of_its_delivery(
    world: World, change: str
) -> None:
    ticket = world.desk.open()
    _change(world, change, sent_as=("m_ours_0",))
    world.work(OUT)

    assert [note.external_id for note in ticket.comments] == [f"{change}:981"]


def test_a_late_receipt_is_no_change_of_a_reply(world: World) -> None:
    ticket = world.desk.open()
    world.reply("Hello")
    world.work(OUT)
    (ours,) = world.store.scan_iter("mc:ours:*")
    world.store.pexpire(ours, 60_000)
    world.receive_receipt("delivery", later_moment())
    world.work(OUT)
    assert world.desk.deliveries["981"].status == "delivered"
    assert world.store.pttl(ours) > 6 * 24 * 3600 * 1000
    _change(world, "updated", "Hello", sent_as=("m_ours_0",))
    world.work(OUT)

    assert ticket.comments == []


def test_a_receipt_of_a_reply_that_is_not_known_any_more_changes_no_comment(world: World) -> None:
    world.reply("Hello")
    world.work(OUT)
    world.store.delete(*world.store.scan_iter("mc:ours:*"))
    world.receive_receipt("delivery", later_moment())
    world.work(OUT)

    assert world.desk.deliveries["981"].status == "sent"
    assert world.waiting(OUT) == 0
