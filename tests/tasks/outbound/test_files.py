"""Several pictures in one message, and files that are too large for one."""

import dataclasses
import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from clients.errors import Unavailable
from clients.helpdesk import Delivery
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import INVOICE, OUT, SNAP
from tests.fakes.crashes import every_crash
from tests.fakes.meta import Refusal
from tests.fakes.world import World

ANOTHER = dataclasses.replace(SNAP, id="6", url="https://acme.example.com/files/6", filename="snap2.png")
FILM = dataclasses.replace(
    INVOICE,
    id="7",
    url="https://acme.example.com/files/7",
    filename="film.mp4",
    content_type="video/mp4",
    size=30 * 1024 * 1024,
)
LINK = "film.mp4\nhttps://acme.example.com/files/7"
TOO_LARGE = Refusal(100, 2018109)
MESSAGE_REFUSED = Refusal(100)


@pytest.fixture
def linking(world: World) -> World:
    world.configure(connections=[connection(PAGE_A, SECRET_A, link_large_files=True)])
    return world


def test_pictures_that_follow_each_other_are_one_message(world: World) -> None:
    world.reply("Hello", SNAP, ANOTHER, INVOICE, SNAP)
    world.work(OUT)

    assert world.meta.texts() == ["Hello", "image image", "file", "image"]
    assert [one["metadata"] for one in world.meta.sent] == [f"connector:981:{n}" for n in (0, 1, 3, 4)]
    assert [one["payload"]["attachment_id"] for one in world.meta.sent[1]["attachments"]] == ["a_0", "a_1"]
    assert world.desk.deliveries["981"] == Delivery("sent", [f"m_ours_{n}" for n in range(4)])
    assert world.left() == set()


def test_no_message_has_more_than_thirty_pictures(world: World) -> None:
    world.reply("", *[SNAP] * 31)
    world.work(OUT)

    assert world.meta.texts() == [" ".join(["image"] * 30), "image"]


@pytest.mark.parametrize("refusal", [Refusal(100, 2018047), MESSAGE_REFUSED, Refusal(100, 2018074)])
def test_pictures_that_are_refused_together_are_sent_one_by_one(world: World, refusal: Refusal) -> None:
    world.reply("", SNAP, ANOTHER)
    world.meta.fail("send", refusal)
    world.work(OUT)

    assert world.meta.texts() == ["image", "image"]
    assert world.reasons() == []


def test_a_picture_that_cannot_be_sent_does_not_cost_the_others(world: World) -> None:
    world.desk.open()
    world.reply("", SNAP, ANOTHER)
    world.meta.fail("send", MESSAGE_REFUSED, Refusal(100, 2018109))
    world.work(OUT)

    assert world.meta.texts() == ["image"]
    assert "“snap.png” (the file is too large for Facebook" in world.desk.tickets["42"].comments[0].body


def test_pictures_of_unknown_outcome_are_not_sent_again(world: World) -> None:
    world.echo_all()
    world.reply("", SNAP, ANOTHER)
    world.meta.fail("send", httpx.ReadTimeout("slow"), after=True)
    world.work(OUT)
    world.resume(OUT)

    assert world.meta.texts() == ["image image"]


def test_pictures_outside_the_window_are_not_tried_one_by_one(world: World) -> None:
    world.desk.open()
    world.reply("", SNAP, ANOTHER)
    world.meta.fail("send", Refusal(10, 2018278))
    world.work(OUT)

    assert world.meta.count("send") == 1


@pytest.mark.parametrize("refused", [False, True])
def test_each_picture_is_sent_once_wherever_the_worker_dies(
    worlds: Callable[[], World], *, refused: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.configure(worker={"echo_wait": 0})
        world.echo_all()
        world.desk.open()
        world.reply("Hello", SNAP, ANOTHER)
        if refused:
            world.meta.fail("send", None, MESSAGE_REFUSED)
        return [OUT]

    for world in every_crash(worlds, prepare):
        pictures = " ".join(world.meta.texts()).split().count("image")
        assert (world.meta.texts().count("Hello"), pictures) == (1, 2)


def test_a_file_that_is_too_large_is_told(world: World) -> None:
    world.desk.open()
    world.reply("Hello", FILM)
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]
    assert "“film.mp4” (it is larger than 25 MB)" in world.desk.tickets["42"].comments[0].body


def test_a_file_that_is_too_large_goes_as_a_link_where_links_are_allowed(linking: World) -> None:
    ticket = linking.desk.open()
    linking.reply("Hello", FILM, INVOICE)
    linking.work(OUT)

    assert linking.meta.texts() == ["Hello", LINK, "file"]
    assert linking.meta.uploads == ["a_0"]
    assert [(one.internal, one.body) for one in ticket.comments] == [
        (True, "Too large to be sent, so the customer got a link instead of the file: film.mp4.")
    ]
    assert linking.desk.deliveries["981"].status == "sent"


def test_a_file_that_only_meta_finds_too_large_goes_as_a_link(linking: World) -> None:
    linking.desk.open()
    linking.reply("", dataclasses.replace(FILM, size=0))
    linking.meta.fail("upload", TOO_LARGE)
    linking.work(OUT)

    assert linking.meta.texts() == [LINK]


def test_a_link_of_unknown_outcome_is_looked_for_as_a_text(linking: World) -> None:
    linking.desk.open()
    linking.reply("", FILM)
    linking.meta.fail("send", httpx.ReadTimeout("slow"), after=True)
    linking.work(OUT)
    linking.configure(
        connections=[connection(PAGE_A, SECRET_A, link_large_files=True)], worker={"echo_wait": 0}
    )
    linking.resume(OUT)

    assert linking.meta.texts() == [LINK]
    assert linking.desk.deliveries["981"].message_ids == ["m_ours_0"]


def test_a_link_that_expires_is_the_same_after_a_crash(
    worlds: Callable[[], World], rsa_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(1_795_000_000)
    monkeypatch.setattr("clients.cloudfront.time", lambda: next(clock))
    cloudfront = {"key_pair_id": "K1", "private_key_file": str(rsa_key)}

    def prepare(world: World) -> list[str]:
        world.configure(
            connections=[connection(PAGE_A, SECRET_A, link_large_files=True)],
            worker={"echo_wait": 0},
            attachments={"delivery": "cloudfront", "cloudfront": cloudfront},
        )
        world.desk.open()
        world.reply("", FILM)
        return [OUT]

    for world in every_crash(worlds, prepare):
        assert len(world.meta.sent) == 1


def test_a_link_lasts_as_long_as_people_need_it(linking: World, rsa_key: Path) -> None:
    cloudfront = {"key_pair_id": "K1", "private_key_file": str(rsa_key), "link_expires_in": 90 * 24 * 3600}
    linking.configure(
        connections=[connection(PAGE_A, SECRET_A, link_large_files=True)],
        attachments={"delivery": "cloudfront", "cloudfront": cloudfront},
    )
    linking.desk.open()
    linking.reply("", FILM)
    linking.work(OUT)

    expires = int(re.findall(r"Expires=(\d+)", linking.meta.texts()[0])[0])
    assert expires == pytest.approx(time.time() + 90 * 24 * 3600, abs=60)


def test_a_reply_with_a_link_was_sent_even_if_its_note_cannot_be_added(linking: World) -> None:
    linking.desk.open()
    linking.reply("Hello", FILM)
    linking.desk.refuses = lambda new: Unavailable("unreachable") if "Too large" in new.body else None
    for _ in range(5):
        linking.resume(OUT)

    assert linking.meta.texts() == ["Hello", LINK]
    assert linking.reasons() == []
    assert linking.desk.deliveries["981"].status == "sent"


@pytest.mark.parametrize("url", ["", "http://[x", "https://", "ftp://acme.example.com/film.mp4"])
def test_a_link_that_cannot_be_made_costs_no_other_file(linking: World, url: str) -> None:
    linking.desk.open()
    linking.reply("Hello", dataclasses.replace(FILM, url=url), INVOICE)
    linking.work(OUT)

    assert linking.meta.texts() == ["Hello", "file"]
    assert "“film.mp4”" in linking.reasons()[0]


def test_a_long_name_leaves_room_for_the_link(linking: World) -> None:
    linking.desk.open()
    linking.reply("", dataclasses.replace(FILM, filename="a" * 2100))
    linking.work(OUT)

    assert linking.meta.texts() == ["a" * 200 + "\nhttps://acme.example.com/files/7"]


def test_a_link_to_a_file_without_a_name_is_told(linking: World) -> None:
    ticket = linking.desk.open()
    linking.reply("", dataclasses.replace(FILM, filename=""))
    linking.work(OUT)

    assert linking.meta.texts() == ["7\nhttps://acme.example.com/files/7"]
    assert len(ticket.comments) == 1


def test_sixty_pictures_are_two_messages(world: World) -> None:
    world.reply("", *[SNAP] * 60)
    world.work(OUT)

    assert world.meta.texts() == [" ".join(["image"] * 30)] * 2


def test_pictures_for_a_person_who_cannot_be_reached_are_not_tried_one_by_one(world: World) -> None:
    world.desk.open()
    world.reply("", SNAP, ANOTHER)
    world.meta.fail("send", Refusal(551))
    world.work(OUT)
    world.inbox.dead_letters.requeue(world.inbox.dead_letters.all()[0])
    world.work(OUT)

    assert world.meta.texts() == ["image image"]
    assert world.meta.count("send") == 2
