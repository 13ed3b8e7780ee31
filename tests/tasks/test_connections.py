"""Connections that are added, changed and removed while the work goes on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from structlog.testing import capture_logs

from connector.cipher import Cipher, new_key
from connector.connection import SECRETS
from connector.connection import Connection as Stored
from tasks.connections import Connection, Directory, Off, Taken, digest_of
from tasks.inbox.connections import WITHDRAWN
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import IN, OUT, PAGE
from tests.fakes.meta import Refusal
from tests.fakes.world import World

KEY, OTHER_KEY = new_key(), new_key()
NEW = "204496721830099"


def _stored(page_id: str = NEW, *, key: str = KEY, **fields: Any) -> bytes:
    return Stored.model_validate(connection(page_id, SECRET_A, **fields)).encode(Cipher([key]))


def _put(world: World, page_id: str = NEW, **fields: Any) -> None:
    world.inbox.connections.put(f"facebook_messenger:{page_id}", _stored(page_id, **fields))


@pytest.fixture
def world(worlds: Callable[[], World]) -> World:
    world = worlds()
    world.configure(secret_key=KEY, connections=[])
    return world


@pytest.fixture
def directory(world: World) -> Directory:
    return world.service.connections


def test_the_store_has_no_secret_in_the_clear() -> None:
    assert SECRET_A.encode() not in _stored()
    assert b"EAA" not in _stored()


def test_a_connection_that_is_added_is_known_after_the_next_look(world: World, directory: Directory) -> None:
    _put(world, desk_id="9")
    assert NEW not in directory.of("facebook_messenger").active
    directory.refresh()

    (found,) = directory.of("facebook_messenger").all
    assert (found.account_id, found.desk_id, found.credentials.app_secret) == (NEW, "9", SECRET_A)


def test_what_was_taken_once_does_not_change(world: World, directory: Directory) -> None:
    before = directory.of("facebook_messenger")
    _put(world)
    directory.refresh()
    assert before.all == ()


def test_a_connection_that_is_changed_or_removed_is_known_as_it_is(
    world: World, directory: Directory
) -> None:
    _put(world, desk_id="9")
    directory.refresh()
    _put(world, desk_id="10", active=False)
    directory.refresh()
    assert [(one.desk_id, one.active) for one in directory.all] == [("10", False)]

    world.inbox.connections.remove(f"facebook_messenger:{NEW}")
    directory.refresh()
    assert directory.all == []


def test_a_page_of_the_settings_is_theirs_alone(world: World) -> None:
    world.configure(secret_key=KEY, connections=[connection(PAGE_A, SECRET_A, desk_id="7")])
    _put(world, PAGE_A, desk_id="9")
    world.service.connections.refresh()

    assert [one.desk_id for one in world.service.connections.all] == ["7"]


def test_a_page_of_the_settings_is_not_active_once_the_access_of_its_token_was_withdrawn(
    world: World,
) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A)])
    directory, (fixed,) = world.service.connections, world.service.connections.all
    name, token = f"{WITHDRAWN}facebook_messenger:{PAGE_A}", fixed.credentials.access_token

    def take(taken: Taken) -> Connection:
        world.inbox.connections.put(name, json.dumps(taken).encode(), is_same=True)
        directory.refresh()
        (one,) = directory.all
        return one

    taken = take(Taken(7, digest_of(token)))
    assert (taken.active, taken.off) == (False, Off(7, is_withdrawn=True))
    assert directory.of("facebook_messenger").inactive == {PAGE_A}
    assert take(Taken(8, digest_of("another"))) == take(Taken(9)) == fixed
    assert world.store.zcard("mc:checks") == 0


def test_a_store_that_lost_its_last_changes_is_read_anew(world: World, directory: Directory) -> None:
    _put(world)
    _put(world, "204496721830098")
    directory.refresh()
    world.store.set("mc:version", 1)
    world.store.zrem("mc:changed", "facebook_messenger:204496721830098")
    world.store.hdel("mc:connections", "facebook_messenger:204496721830098")
    directory.refresh()

    assert [one.account_id for one in directory.all] == [NEW]


def test_while_the_store_is_away_the_last_known_ones_are_used(
    world: World, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(world)
    directory.refresh()

    def away(*_: Any, **__: Any) -> Any:
        raise redis.ConnectionError

    monkeypatch.setattr(world.fused, "execute_command", away)
    with pytest.raises(redis.ConnectionError):
        directory.refresh()
    assert [one.account_id for one in directory.all] == [NEW]


@pytest.mark.parametrize("key", ["", OTHER_KEY], ids=["none", "another"])
def test_a_connection_that_cannot_be_decrypted_is_told_and_costs_no_other(world: World, key: str) -> None:
    _put(world)
    world.configure(secret_key=key, connections=[connection(PAGE_A, SECRET_A)])
    with capture_logs() as logs:
        world.service.connections.refresh()

    assert [one.account_id for one in world.service.connections.all] == [PAGE_A]
    assert [(line["event"], line["connection"]) for line in logs] == [
        ("connection_not_read", f"facebook_messenger:{NEW}")
    ]


def test_a_connection_that_is_refused_is_told_without_its_secrets(world: World, directory: Directory) -> None:
    fields = connection(NEW, "hush") | {name: SecretStr("hush") for name in SECRETS}
    body = Stored.model_construct(**fields).encode(Cipher([KEY]))
    world.inbox.connections.put(f"facebook_messenger:{NEW}", body)
    with capture_logs() as logs:
        directory.refresh()

    (line,) = logs
    assert line["reason"].startswith("app_secret: must be 32 digits")
    assert "hush" not in str(line)


def test_a_worker_takes_a_change_up_with_its_next_job(world: World) -> None:
    _put(world, PAGE_A, desk_id="77")
    world.receive()
    world.work(IN)

    assert [one.new.desk_id for one in world.desk.tickets.values() if one.new] == ["77"]


def test_a_new_token_lets_waiting_replies_go_at_once(world: World) -> None:
    _put(world, PAGE_A)
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(190, 463))
    world.work(OUT)
    assert world.paused(PAGE)
    _put(world, PAGE_A, page_access_token="EAAnew")
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_page_that_is_not_active_any_more_opens_no_ticket(world: World) -> None:
    _put(world, PAGE_A, active=False)
    world.receive()
    world.work(IN)
    assert world.desk.tickets == {}
    _put(world, PAGE_A)
    world.resume(IN)

    assert len(world.desk.tickets) == 1


def test_what_is_in_flight_for_a_page_that_is_not_active_any_more_is_finished(world: World) -> None:
    _put(world, PAGE_A, active=False)
    ticket = world.desk.open()
    world.receive()
    world.reply()
    world.work(IN)
    world.work(OUT)

    assert len(ticket.comments) == 1
    assert world.meta.texts() == ["Hello"]
