"""Events of kinds that are not known: shown, kept as they came, and shown anew by one that does."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from clients.channels.meta import kinds
from clients.channels.meta.messenger import Messenger
from clients.notices import decode, say
from tasks.inbox.job import Job
from tasks.inbox.lease import Lease
from tests.conftest import PAGE_A
from tests.fakes.conversation import IN, SENT_AT
from tests.fakes.crashes import every_crash
from tests.fakes.failures import Crash, fault
from tests.fakes.world import World

GIFT: dict[str, Any] = {"timestamp": SENT_AT, "gift": {"name": "A mug", "url": "https://shop.example/mug"}}
SHOWN = "The customer submitted a form."
NOBODY = f"in:facebook_messenger:{PAGE_A}:"


@contextmanager
def _upgraded() -> Iterator[None]:
    """Be a version that knows the kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kinds.ROWS, "gift", replace(kinds.ROWS["form"]))
        patch.setattr(Messenger, "kinds", Messenger.kinds | {"gift"})
        yield


def _replay(world: World) -> bool:
    (kept,) = world.inbox.unknown_events.all()
    return world.inbox.unknown_events.requeue(kept)


def _bodies(world: World) -> list[str]:
    return [comment.body for comment in world.desk.tickets["t1"].comments]


def test_it_is_shown_and_kept_as_it_came(linked: World) -> None:
    linked.receive_item(GIFT)
    linked.work()

    assert len(_bodies(linked)) == 1
    (kept,) = linked.inbox.unknown_events.all()
    assert b'"gift":{"name":"A mug","url":"https://shop.example/mug"}' in kept.job.body
    assert say(decode(kept.reason)) == (
        "this version of the connector does not know events of the kind “gift”"
    )
    assert linked.inbox.dead_letters.all() == []


@pytest.mark.parametrize("item", [{"reaction": {"mid": "m_0", "emoji": "❤️"}}, {"message": {"mid": "m_9"}}])
def test_an_event_of_a_kind_that_is_known_is_not_kept(linked: World, item: dict[str, Any]) -> None:
    linked.receive_item({"timestamp": SENT_AT} | item)
    linked.work()

    assert linked.inbox.unknown_events.all() == []


def test_one_that_only_joins_tickets_is_kept_where_there_is_none(world: World) -> None:
    world.configure(events={"other": "join_ticket"})
    world.receive_item(GIFT)
    world.work()

    assert world.desk.tickets == {}
    assert world.inbox.unknown_events.count() == 1


def test_one_without_a_person_is_kept_and_is_no_dead_letter(world: World) -> None:
    body = json.dumps(GIFT).encode()
    world.inbox.accept([Job(key="a", queue=NOBODY, time=SENT_AT, body=body)])
    world.work(NOBODY)

    assert world.inbox.unknown_events.count() == 1
    assert world.inbox.dead_letters.all() == []
    assert world.waiting(NOBODY) == 0


def test_once_its_kind_is_known_a_replay_shows_it_anew(linked: World) -> None:
    linked.receive_item(GIFT)
    linked.work()
    with _upgraded():
        _replay(linked)
        linked.work()

    before, after = linked.desk.tickets["t1"].comments
    assert after.body.startswith(SHOWN)
    assert after.external_id.startswith(f"{before.external_id}:replay:")
    assert len(set(linked.desk.keys)) == 2
    assert linked.inbox.unknown_events.all() == []
    assert linked.left() == set()


def test_a_replay_before_its_kind_is_known_adds_nothing_and_keeps_it(linked: World) -> None:
    linked.receive_item(GIFT)
    linked.work()
    _replay(linked)
    linked.work()

    assert len(_bodies(linked)) == 1
    assert linked.inbox.unknown_events.count() == 1


def test_a_replay_after_one_that_came_too_early_shows_it_once(linked: World) -> None:
    linked.receive_item(GIFT)
    linked.work()
    _replay(linked)
    linked.work()
    with _upgraded():
        _replay(linked)
        linked.work()

    assert len(_bodies(linked)) == 2


def test_a_replay_goes_before_what_was_written_later(linked: World) -> None:
    linked.receive_item(GIFT)
    linked.work()
    linked.receive("m_2", "later", SENT_AT + 1)
    with _upgraded():
        _replay(linked)
        linked.work()

    assert [body.split("\n")[0] for body in _bodies(linked)[1:]] == [SHOWN, "later"]


def test_a_replay_that_was_given_up_is_retried_as_a_replay(linked: World) -> None:
    linked.receive_item(GIFT)
    linked.work()
    with _upgraded():
        _replay(linked)
        linked.desk.fail("add_comment", *(ValueError() for _ in range(3)))
        for _ in range(3):
            linked.resume(IN)
        (letter,) = linked.inbox.dead_letters.all()
        linked.inbox.dead_letters.requeue(letter)
        linked.work()

    assert ":replay:" in linked.desk.tickets["t1"].comments[-1].external_id
    assert _bodies(linked)[-1].startswith(SHOWN)


def test_a_replay_of_unknown_outcome_is_looked_up_before_it_is_repeated(linked: World) -> None:
    linked.desk.knows_keys = False
    linked.receive_item(GIFT)
    linked.work()
    with _upgraded():
        _replay(linked)
        linked.desk.fail("add_comment", fault(), after=True)
        linked.work()
        linked.resume(IN)

    assert len(_bodies(linked)) == 2


def test_a_full_store_does_not_hold_it_up(linked: World) -> None:
    linked.receive_item(GIFT)
    linked.store.config_set("maxmemory", 1)
    try:
        with capture_logs() as told:
            linked.work()
    finally:
        linked.store.config_set("maxmemory", 0)

    assert len(_bodies(linked)) == 1
    assert linked.waiting() == 0
    assert linked.inbox.unknown_events.all() == []
    assert "unknown_event_not_kept" in {line["event"] for line in told}


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_it_is_shown_once_and_kept(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        world.receive("m_0")
        world.receive_item(GIFT)
        return [IN]

    for world in every_crash(worlds, prepare):
        assert len(_bodies(world)) == 1
        assert [one.job.id for one in world.inbox.unknown_events.all()] == [2]
        assert world.left() == {"mc:unknown", "mc:unknown_since"}


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_a_replay_is_shown_once(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        world.receive("m_0")
        world.work()
        world.receive_item(GIFT)
        lease = world.inbox.claim(IN)
        assert lease
        lease.keep_unknown("a new kind")
        lease.finish()
        _replay(world)
        world.receive("m_2", "later", SENT_AT + 1)
        return [IN]

    with _upgraded():
        for world in every_crash(worlds, prepare):
            assert [body.split("\n")[0] for body in _bodies(world)] == [SHOWN, "later"]
            assert world.left() == set()


def test_wherever_a_worker_dies_a_replay_that_comes_too_early_is_kept(worlds: Callable[[], World]) -> None:
    def prepare(world: World) -> list[str]:
        world.receive("m_0")
        world.receive_item(GIFT)
        world.work()
        _replay(world)
        return [IN]

    for steps in range(8):
        world = worlds()
        queues = prepare(world)
        world.fuse.arm(steps)
        with suppress(Crash):
            world.work(*queues)
        world.fuse.disarm()
        world.resume()
        assert len(_bodies(world)) == 1
        assert world.inbox.unknown_events.count() == 1
        assert world.waiting() == 0
        world.close()


def test_one_whose_worker_died_before_it_was_done_is_not_replayed_yet(
    linked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked.desk.knows_keys = False
    linked.receive_item(GIFT)
    with monkeypatch.context() as patch:
        patch.setattr(Lease, "finish", Mock(side_effect=Crash))
        with pytest.raises(Crash):
            linked.work()
    with _upgraded():
        assert not _replay(linked)
        linked.resume()

    assert len(_bodies(linked)) == 1
