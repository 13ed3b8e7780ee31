"""A worker that dies at any moment."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from clients.channels.meta.events import CHANNEL
from clients.errors import LeaseLost
from clients.helpdesk import Delivery
from tests.conftest import PAGE_A
from tests.fakes.conversation import IN, INVOICE, OUT, PHOTO, PSID, SENT_AT, TICKET
from tests.fakes.crashes import every_crash
from tests.fakes.failures import fault, too_long
from tests.fakes.meta import Refusal
from tests.fakes.replies import TWO_PARTS, later_moment, status_of
from tests.fakes.world import World


def _two_messages(world: World) -> list[str]:
    world.receive("m_1", attachments=[PHOTO])
    world.receive("m_2", "more", SENT_AT + 1)
    return [IN]


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_a_message_opens_one_ticket_with_one_file(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        return _two_messages(world)

    for world in every_crash(worlds, prepare):
        (ticket,) = world.desk.tickets.values()
        assert ticket.new
        assert (ticket.new.external_id, len(ticket.new.attachment_ids)) == ("m_1", 1)
        assert [comment.external_id for comment in ticket.comments] == ["m_2"]
        assert len(world.desk.uploads) == 1 or not knows_keys
        assert world.left() == set()


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_a_message_is_one_comment_with_one_file(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        world.desk.open("41").closed = True
        world.desk.open("42")
        world.store.set(f"mc:open_ticket:{CHANNEL}:{PAGE_A}:{PSID}", "41")
        return _two_messages(world)

    for world in every_crash(worlds, prepare):
        assert list(world.desk.tickets) == ["41", "42"]
        comments = world.desk.tickets["42"].comments
        assert [comment.external_id for comment in comments] == ["m_1", "m_2"]
        assert len(comments[0].attachment_ids) == 1
        assert len(world.desk.uploads) == 1 or not knows_keys
        assert world.left() == set()


def _one_reply(world: World, *, echoes: bool) -> list[str]:
    world.configure(worker={"echo_wait": 0})
    if echoes:
        world.echo_all()
    world.reply("Hello", INVOICE)
    return [OUT]


def _was_sent_once(world: World) -> bool:
    assert world.meta.texts() == ["Hello", "file"]
    assert world.desk.deliveries["981"] == Delivery("sent", ["m_ours_0", "m_ours_1"])
    assert world.reasons() == []
    return world.left() == set()


@pytest.mark.parametrize("echoes", [True, False])
def test_wherever_a_worker_dies_each_part_of_a_reply_is_sent_once(
    worlds: Callable[[], World], *, echoes: bool
) -> None:
    for world in every_crash(worlds, lambda world: _one_reply(world, echoes=echoes)):
        assert _was_sent_once(world)


def test_wherever_two_workers_die_each_part_of_a_reply_is_sent_once(worlds: Callable[[], World]) -> None:
    for world in every_crash(worlds, lambda world: _one_reply(world, echoes=False), again=12):
        assert _was_sent_once(world)


def test_wherever_a_worker_dies_a_reply_of_unknown_person_is_sent_once(worlds: Callable[[], World]) -> None:
    def prepare(world: World) -> list[str]:
        world.configure(worker={"echo_wait": 0})
        world.desk.open()
        world.reply("Hello", is_confirmed=False)
        return [TICKET, OUT]

    for world in every_crash(worlds, prepare):
        assert world.meta.texts() == ["Hello"]
        assert world.left() == set()


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_a_refused_reply_is_one_letter_and_the_agent_is_told_once(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.configure(worker={"echo_wait": 0})
        world.desk.knows_keys = knows_keys
        world.desk.open()
        world.reply()
        world.meta.fail("send", *(Refusal(551) for _ in range(3)))
        return [OUT]

    for world in every_crash(worlds, prepare):
        assert world.meta.sent == []
        assert [note.external_id for note in world.desk.tickets["42"].comments] == ["failed:981"]
        assert len(world.reasons()) == 1


def test_wherever_a_worker_dies_a_receipt_is_shown(worlds: Callable[[], World]) -> None:
    def prepare(world: World) -> list[str]:
        world.reply()
        world.work(OUT)
        world.receive_receipt("read", later_moment())
        return [OUT]

    for world in every_crash(worlds, prepare):
        assert status_of(world) == "read"
        assert not list(world.store.scan_iter("mc:awaiting:*"))


def test_dropping_a_letter_that_was_requeued_forgets_no_step(world: World) -> None:
    world.reply(TWO_PARTS)
    world.desk.open()
    world.meta.fail("send", None, Refusal(551))
    world.work(OUT)
    letter = world.inbox.dead_letters.all()[0]
    world.inbox.dead_letters.requeue(letter)
    assert world.inbox.dead_letters.drop(letter.job.id) is False
    world.work(OUT)
    assert [len(text) for text in world.meta.texts()] == [2000, 100]


def test_a_lost_lease_pauses_no_side(world: World) -> None:
    world.receive("m_0")
    world.desk.fail("create_ticket", fault())
    world.desk.fail("ping", LeaseLost("x"))
    world.work()
    assert not world.paused()


def test_a_fault_of_the_store_while_telling_does_not_bury_untold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.desk.open()
    world.receive("m_0")
    world.desk.fail("add_comment", *too_long())
    original = world.fused.execute_command
    failed: list[bool] = []

    def flaky(*arguments: Any, **options: Any) -> Any:
        if "notified:dead:1" in str(arguments) and not failed:
            failed.append(True)
            raise redis.ConnectionError
        return original(*arguments, **options)

    monkeypatch.setattr(world.fused, "execute_command", flaky)
    world.work()
    world.resume()
    assert failed
    assert [comment.external_id for comment in world.desk.tickets["42"].comments] == ["dead:1"]
