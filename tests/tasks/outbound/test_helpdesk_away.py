"""Replies and receipts while the helpdesk is away."""

from tests.fakes.conversation import INVOICE, OUT
from tests.fakes.failures import away
from tests.fakes.replies import later_moment, status_of
from tests.fakes.world import World


def waits_for(world: World, queue: str = OUT) -> bytes | None:
    """Return the remote that a queue waits for, if that is not the one where its events go."""
    remote: bytes | None = world.store.hget(f"mc:lease:{queue}", "waits_for")
    return remote


def test_a_reply_that_finds_the_helpdesk_away_waits_until_it_is_back(world: World) -> None:
    world.reply()
    world.desk.fail("show_delivery", away())
    world.work(OUT)
    assert waits_for(world) == b"helpdesk"
    assert world.paused()
    assert not world.work("")

    world.end_pause()
    assert world.work("")
    assert status_of(world) == "sent"
    assert world.meta.texts() == ["Hello"]


def test_while_the_helpdesk_is_paused_a_reply_is_sent_and_asks_it_nothing(world: World) -> None:
    world.inbox.pause("helpdesk", 60, "it is down")
    before = world.paused()
    world.reply()
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.desk.calls == []
    assert waits_for(world) == b"helpdesk"
    assert world.paused() <= before
    assert world.head(OUT).attempts == 0


def test_while_the_helpdesk_is_paused_no_file_is_asked_of_it(world: World) -> None:
    world.inbox.pause("helpdesk", 60, "it is down")
    world.reply("Look", INVOICE)
    world.work(OUT)
    assert world.meta.texts() == ["Look"]
    assert world.desk.calls == []
    assert waits_for(world) == b"helpdesk"

    world.end_pause()
    world.work("")
    assert world.meta.texts() == ["Look", "file"]
    assert status_of(world) == "sent"


def test_while_the_helpdesk_is_paused_a_receipt_asks_it_nothing(world: World) -> None:
    world.reply()
    world.work(OUT)
    world.desk.calls.clear()
    world.inbox.pause("helpdesk", 60, "it is down")
    world.receive_receipt("delivery", later_moment())
    world.work(OUT)

    assert world.desk.calls == []
    assert waits_for(world) == b"helpdesk"
