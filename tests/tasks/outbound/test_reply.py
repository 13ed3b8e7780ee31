"""Replies: their parts, files and texts."""

import dataclasses

import httpx
import pytest

from clients.helpdesk import Delivery
from sandbox.stack import until
from tests.fakes.conversation import INVOICE, OUT, PAGE
from tests.fakes.meta import Refusal
from tests.fakes.replies import TWO_PARTS, status_of
from tests.fakes.world import World


def test_a_reply_is_sent_and_shown_as_sent(world: World) -> None:
    world.reply("Hello", INVOICE)
    world.work(OUT)

    assert world.meta.texts() == ["Hello", "file"]
    assert [one["metadata"] for one in world.meta.sent] == ["connector:981:0", "connector:981:1"]
    assert world.meta.sent[1]["attachment"]["payload"] == {"attachment_id": "a_0"}
    assert world.desk.deliveries["981"] == Delivery("sent", ["m_ours_0", "m_ours_1"])
    assert world.left() == set()


def test_a_part_is_recorded_before_the_next_is_sent(world: World) -> None:
    recorded = []
    world.reply(TWO_PARTS)
    world.meta.hooks["send"] = lambda: recorded.append((world.step("sent:0"), world.step("sending:1")))
    world.work(OUT)

    assert [sent for sent, _ in recorded] == [None, "m_ours_0"]
    assert recorded[1][1]


def test_a_reply_that_failed_halfway_is_resumed(world: World) -> None:
    world.reply(TWO_PARTS, INVOICE)
    world.meta.fail("send", None, httpx.ConnectError("down"))
    world.meta.fail("ping", httpx.ConnectError("down"))
    world.work(OUT)
    assert world.paused(PAGE)
    world.resume(OUT)

    assert [len(text) for text in world.meta.texts()] == [2000, 100, 4]
    assert world.meta.texts()[2] == "file"


def test_a_file_that_was_uploaded_to_meta_is_not_uploaded_again(world: World) -> None:
    world.reply("", INVOICE)
    world.meta.fail("send", httpx.ConnectError("down"))
    world.work(OUT)
    world.resume(OUT)

    assert world.meta.uploads == ["a_0"]
    assert world.meta.texts() == ["file"]


def test_a_part_that_got_on_makes_attempts_count_afresh(world: World) -> None:
    world.reply(TWO_PARTS)
    world.configure(worker={"echo_wait": 0})
    world.meta.fail("send", Refusal(2, status=500), None, Refusal(2, status=500))
    world.work(OUT)
    assert world.head(OUT).attempts == 1
    world.resume(OUT)

    assert world.head(OUT).attempts == 1
    assert world.step("sent:0")


def test_a_picture_is_sent_as_one(world: World) -> None:
    world.reply("", dataclasses.replace(INVOICE, filename="a.png", content_type="image/png"))
    world.work(OUT)

    assert world.meta.texts() == ["image"]


def test_a_file_may_be_sent_by_its_address(world: World) -> None:
    world.configure(attachments={"delivery": "url"})
    world.reply("", INVOICE)
    world.work(OUT)

    assert world.meta.sent[0]["attachment"]["payload"] == {"url": INVOICE.url}
    assert world.meta.uploads == []


def test_a_reply_of_nothing_is_a_dead_letter(world: World) -> None:
    ticket = world.desk.open()
    world.reply("")
    world.work(OUT)

    assert world.meta.sent == []
    assert status_of(world) == "failed"
    assert len(world.reasons()) == len(ticket.comments) == 1


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("/api/v1/files/77", "http://127.0.0.1:9/api/v1/files/77"),
        (
            "https://acme.example.com/files/umowa nr 7.pdf",
            "https://acme.example.com/files/umowa%20nr%207.pdf",
        ),
    ],
)
def test_the_address_of_a_file_is_whole_and_encoded(world: World, url: str, asked: str) -> None:
    world.configure(attachments={"delivery": "url"})
    world.reply("", dataclasses.replace(INVOICE, url=url))
    world.work(OUT)

    assert world.meta.sent[0]["attachment"]["payload"] == {"url": asked}


@pytest.mark.parametrize("url", ["http://[", "https://"])
def test_an_address_of_a_file_that_is_none_costs_that_file_only(world: World, url: str) -> None:
    world.configure(attachments={"delivery": "url"})
    world.reply("Hello", dataclasses.replace(INVOICE, url=url))
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]
    assert "“invoice.pdf”" in world.reasons()[0]


def test_a_file_waits_while_the_page_sends_as_many_as_it_may(world: World) -> None:
    world.reply("Hello", *[INVOICE] * 11)
    world.work(OUT)

    assert world.meta.texts() == ["Hello", *["file"] * 10]
    assert world.head(OUT).attempts == 0
    assert world.head(OUT).reasons == [
        "the page is sending as fast as it may; this message has to wait its turn"
    ]
    assert 0 < world.head(OUT).waits <= 1.3
    assert not world.paused(PAGE)

    until("it is sent in its turn", lambda: world.resume(OUT) and len(world.meta.sent) == 12)
    assert status_of(world) == "sent"


def test_a_file_that_is_refused_as_a_picture_does_not_wait_for_its_second_try(world: World) -> None:
    picture = dataclasses.replace(INVOICE, filename="a.png", content_type="image/png")
    world.reply("", picture)
    world.meta.fail("send", Refusal(100, 2018047))
    world.work(OUT)

    assert world.meta.texts() == ["file"]
