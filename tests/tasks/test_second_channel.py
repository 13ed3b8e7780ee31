"""A channel that works as WhatsApp does goes the whole way, and the core knows nothing of it."""

import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from clients.channel import Credentials, NewMessage
from clients.channels.registry import CHANNELS
from clients.helpdesk import Customer, Delivery
from tasks.connections import Connection, Directory
from tasks.inbound.jobs import incoming_job
from tasks.outbound import reminders
from tasks.store import connect
from tests.conftest import MakeSettings
from tests.fakes.toy_channel import Line, Toy
from tests.fakes.web import serving
from tests.fakes.world import World

PERSON = Customer("toy", "48500", "US.1")
IN, OUT = "in:toy:48500:US.1", "out:toy:48500:US.1"
WROTE = {"id": "wamid.in", "person": "US.1", "at": 1795382999900, "text": "Hello?", "voice": "9876"}


@pytest.fixture
def toy(world: World) -> World:
    """Give a world with an account of the toy channel."""
    Line.sent.clear()
    world.channels["toy"] = Toy()
    line = Connection("toy", Credentials("48500", "token", "secret", "v"), "Acme", "9", None)
    world.service = replace(world.service, connections=Directory([*world.service.connections.all, line]))
    return world


def _receive(world: World, *events: dict[str, Any]) -> None:
    body = json.dumps([{"number": "48500", "events": events}]).encode()
    found = [event for entry in Toy().open(body, 0).entries() for event in entry.events()]
    world.inbox.accept(
        [incoming_job(Toy(), event.conversation, event) for event in found if event.conversation]
    )


def _lose(_: Line, __: str, message: NewMessage) -> str:
    Line.sent.append(("lost", message.echo_metadata))
    raise OSError("the worker died")


def _reply_with_unknown_outcome(toy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.reply("Hello", customer=PERSON)
    with monkeypatch.context() as patch:
        patch.setattr(Line, "send", _lose)
        toy.work(OUT)


def test_a_message_opens_a_ticket_with_its_file(toy: World) -> None:
    _receive(toy, WROTE)
    toy.work(IN)

    (ticket,) = toy.desk.tickets.values()
    assert ticket.new
    assert ticket.new.customer
    assert (ticket.new.title, ticket.new.desk_id) == ("Toy: Person US.1", "9")
    assert ticket.new.customer.channel == "toy"
    assert ticket.new.body.startswith("Hello?")
    assert "9876.ogg" in ticket.new.body


def test_its_webhooks_come_in_by_the_door_of_every_channel(
    store_url: str, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHANNELS, "toy", Toy())
    line = Connection("toy", Credentials("48500", "token", "secret", "v"), "Acme", "9", None)
    monkeypatch.setattr("connector.settings.Settings.fixed_connections", [line])
    body = json.dumps([{"number": "48500", "events": [WROTE]}]).encode()
    signature = hmac.digest(b"secret", body, "sha256").hex()
    with serving(make_settings(redis_url=store_url)) as url, connect(store_url) as store:
        answers = [
            httpx.post(url + Toy.path, content=body, headers={"x-toy": one}, trust_env=False).status_code
            for one in ("0" * 64, signature)
        ]

        assert answers == [403, 200]
        assert store.zcard(f"mc:jobs:{IN}") == 1


def test_the_same_message_comes_twice_and_is_shown_once(toy: World) -> None:
    _receive(toy, WROTE)
    _receive(toy, WROTE)
    toy.work(IN)

    assert (toy.desk.count("create_ticket"), toy.desk.count("add_comment")) == (1, 0)


def test_a_reply_is_sent_in_parts_of_the_channels_length(toy: World) -> None:
    toy.reply("Hello there, Anna", customer=PERSON)
    toy.work(OUT)

    assert Line.sent == [("Hello ther", "toy-981-0"), ("e, Anna", "toy-981-1")]
    assert toy.desk.deliveries["981"].message_ids == ["wamid.1", "wamid.2"]


def test_receipts_that_name_each_message_show_a_reply_as_delivered(toy: World) -> None:
    toy.reply("Hello", customer=PERSON)
    toy.work(OUT)
    for status in ("delivered", "read"):
        _receive(toy, {"id": "wamid.1", "person": "US.1", "at": 1795383000000, "status": status})
        toy.work(OUT)
        assert toy.desk.deliveries["981"].status == status


def test_a_part_of_unknown_outcome_is_known_by_what_came_back_with_its_status(
    toy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _reply_with_unknown_outcome(toy, monkeypatch)
    _receive(
        toy,
        {"id": "wamid.7", "person": "US.1", "at": 1795383000000, "status": "sent", "opaque": "toy-981-0"},
    )
    toy.resume(OUT)

    assert Line.sent == [("lost", "toy-981-0")]
    assert toy.desk.deliveries["981"].message_ids == ["wamid.7"]


def test_a_part_that_nothing_shows_is_not_sent_again_unless_a_person_says_so(
    toy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = toy.desk.open()
    _reply_with_unknown_outcome(toy, monkeypatch)
    toy.set_step("sending:0", str(int(toy.inbox.now() * 1000) - 31_000), OUT)
    toy.resume(OUT)

    assert Line.sent == [("lost", "toy-981-0")]
    (letter,) = toy.inbox.dead_letters.all()
    assert toy.desk.deliveries["981"] == Delivery("failed", [], "Toy does not show whether it arrived")
    (note,) = ticket.comments
    assert note.internal
    assert note.body == (
        "It is not known whether your reply reached the customer: Toy does not show whether it arrived. It "
        "was not sent again, so that they do not get it twice. If it did not, an administrator can send it "
        f"again with “connector dead retry {letter.job.id}”."
    )

    toy.inbox.dead_letters.requeue(letter)
    toy.work(OUT)
    assert Line.sent == [("lost", "toy-981-0"), ("Hello", "toy-981-0")]


def test_a_part_that_turns_up_after_all_is_not_sent_again_whoever_says_so(
    toy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.desk.open()
    _reply_with_unknown_outcome(toy, monkeypatch)
    toy.set_step("sending:0", str(int(toy.inbox.now() * 1000) - 31_000), OUT)
    toy.resume(OUT)
    (letter,) = toy.inbox.dead_letters.all()
    _receive(toy, {"id": "wamid.7", "person": "US.1", "at": 1, "status": "sent", "opaque": "toy-981-0"})
    toy.inbox.dead_letters.requeue(letter)
    toy.work(OUT)

    assert Line.sent == [("lost", "toy-981-0")]
    assert toy.desk.deliveries["981"] == Delivery("sent", ["wamid.7"])


@pytest.mark.parametrize("window", [None, timedelta(days=3)])
def test_agents_are_reminded_by_the_channels_own_window(
    toy: World, monkeypatch: pytest.MonkeyPatch, window: timedelta | None
) -> None:
    monkeypatch.setattr(Toy, "reply_window", window)
    (line,) = toy.service.connections.of("toy").all
    reminded = Directory([replace(line, remind_before=timedelta(hours=2))])
    toy.service = replace(toy.service, connections=reminded)
    wrote = int(toy.inbox.now() * 1000) - 71 * 3600 * 1000
    _receive(toy, WROTE | {"at": wrote})
    toy.work(IN)
    reminders.queue_due(toy.service)
    toy.work(OUT)

    (ticket,) = toy.desk.tickets.values()
    assert [one.internal for one in ticket.comments] == ([True] if window else [])


def test_a_channel_that_names_no_rate_sends_as_fast_as_it_can(toy: World) -> None:
    toy.reply("x" * 400, customer=PERSON)
    toy.work(OUT)

    assert len(Line.sent) == 40
    assert not list(toy.store.scan_iter("mc:begun:*"))
