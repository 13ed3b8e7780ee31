"""Receipts: delivered, then read."""

import json

import pytest
from structlog.testing import capture_logs

from clients.channels.meta.events import CHANNEL
from clients.errors import NotFound
from clients.notices import encode
from tasks.outbound import receipts
from tests.conftest import PAGE_A
from tests.fakes.conversation import OUT, PSID, SENT_AT
from tests.fakes.failures import away, fault
from tests.fakes.replies import TWO_PARTS, later_moment, lose_answer, status_of
from tests.fakes.world import World


def test_a_reply_is_shown_as_delivered_and_then_as_read(world: World) -> None:
    world.reply()
    world.work(OUT)
    seen = [status_of(world)]
    for status in ("delivery", "read"):
        world.receive_receipt(status, later_moment())
        world.work(OUT)
        seen.append(status_of(world))

    assert seen == ["sent", "delivered", "read"]
    assert world.desk.deliveries["981"].message_ids == ["m_ours_0"]
    assert not list(world.store.scan_iter("mc:awaiting:*"))


def test_a_reply_that_was_read_is_not_shown_as_delivered_any_more(world: World) -> None:
    world.reply()
    world.work(OUT)
    for status in ("read", "delivery"):
        world.receive_receipt(status, later_moment())
        world.work(OUT)

    assert status_of(world) == "read"
    assert world.desk.count("show_delivery") == 2


def test_a_receipt_is_no_proof_that_its_page_works(world: World) -> None:
    error = away()
    error.remote = f"{CHANNEL}:{PAGE_A}"
    with capture_logs() as logs:
        world.service.remotes.pause(error)
        world.service.remotes._until.clear()
        world.end_pause(error.remote)
        world.receive_receipt("delivery", later_moment())
        assert world.work("")

    assert not list(world.inbox.waiting())
    assert world.inbox.reasons() == {error.remote: encode(error.notice)}
    assert f"sent:{CHANNEL}:{PAGE_A}:" not in world.inbox.last()
    assert [line["event"] for line in logs if line["event"].startswith("remote_")] == ["remote_paused"]


def test_a_receipt_is_about_all_replies_up_to_its_moment(world: World) -> None:
    for id_ in ("1", "2", "3"):
        world.reply(id_=id_)
        world.work(OUT)
    key = f"mc:awaiting:delivered:{CHANNEL}:{PAGE_A}:{PSID}"
    for score, member in enumerate(world.store.zrange(key, 0, -1)):
        world.store.zadd(key, {member: 1000 + score})
    world.receive_receipt("delivery", 1_000_000_001_001)
    world.store.zadd(key, {json.dumps(["4", ["m"]]): 1_000_000_001_002})
    world.work(OUT)

    assert {status_of(world, id_) for id_ in ("1", "2", "3")} == {"delivered"}
    assert "4" not in world.desk.deliveries


def test_a_receipt_for_a_comment_that_is_gone_is_done(world: World) -> None:
    world.reply()
    world.work(OUT)
    world.desk.fail("show_delivery", NotFound("gone"))
    world.receive_receipt("delivery", later_moment())
    world.work(OUT)

    assert world.reasons() == []
    assert world.left() == set()


def test_a_receipt_waits_while_the_helpdesk_is_down(world: World) -> None:
    world.reply()
    world.work(OUT)
    world.desk.fail("show_delivery", away())
    world.receive_receipt("delivery", later_moment())
    world.work(OUT)
    assert status_of(world) == "sent"
    world.resume(OUT)

    assert status_of(world) == "delivered"


def test_a_receipt_that_cannot_be_shown_in_the_end_tells_nobody(world: World) -> None:
    world.configure(worker={"attempts": 1})
    world.desk.open()
    world.reply()
    world.work(OUT)
    world.desk.calls.clear()
    world.desk.fail("show_delivery", fault())
    world.receive_receipt("delivery", later_moment())
    world.work(OUT)

    assert world.reasons() == ["it answered 500"]
    assert world.desk.calls == ["show_delivery", "ping"]


def test_a_reply_that_was_sent_is_no_dead_letter_because_that_cannot_be_shown(world: World) -> None:
    world.reply()
    world.desk.fail("show_delivery", *(fault() for _ in range(receipts.ATTEMPTS)))
    for _ in range(receipts.ATTEMPTS):
        assert world.waiting(OUT) == 1
        world.resume(OUT)

    assert world.waiting(OUT) == 0
    assert world.reasons() == []
    assert world.meta.texts() == ["Hello"]


def test_what_waits_for_a_receipt_is_forgotten_in_the_end(world: World) -> None:
    world.reply()
    world.work(OUT)

    assert 0 < world.store.ttl(f"mc:awaiting:delivered:{CHANNEL}:{PAGE_A}:{PSID}") <= 7 * 24 * 3600


def _receipt(world: World, watermark: int, *mids: str, status: str = "delivery") -> None:
    world.receive_item({"timestamp": SENT_AT + 99_000, status: {"watermark": watermark, "mids": mids}})
    world.work(OUT)


@pytest.mark.parametrize("mid", ["m_ours_0", "ours_0"])
def test_a_receipt_that_names_a_message_is_about_it_whatever_the_clocks_say(world: World, mid: str) -> None:
    world.reply()
    world.work(OUT)
    _receipt(world, 1, mid)
    assert status_of(world) == "delivered"


def test_a_receipt_that_names_the_first_part_says_nothing_of_the_last(world: World) -> None:
    world.reply(TWO_PARTS)
    world.work(OUT)
    _receipt(world, later_moment(), "m_ours_0")
    assert status_of(world) == "sent"
    _receipt(world, 1, "m_ours_1")
    assert status_of(world) == "delivered"


def test_what_a_receipt_named_is_read_by_the_time_that_it_told(world: World) -> None:
    """Our clock, by which nothing of Meta's is judged, may be hours ahead."""
    world.reply()
    world.work(OUT)
    at = later_moment() - 3_600_000
    _receipt(world, at, "m_ours_0")
    _receipt(world, at, status="read")
    assert status_of(world) == "read"


def test_a_part_that_its_echo_told_of_is_dated_by_the_echo(world: World) -> None:
    lose_answer(world, sent=True)
    echo = {"is_echo": True, "mid": "m_ours_0", "metadata": "connector:981:0"}
    world.receive_item({"timestamp": SENT_AT, "message": echo}, from_page=True)
    world.resume(OUT)
    _receipt(world, SENT_AT - 1)
    assert status_of(world) == "sent"
    _receipt(world, SENT_AT)
    assert status_of(world) == "delivered"
