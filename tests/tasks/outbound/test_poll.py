"""Polling: agents' comments whose webhook was lost are found, and none goes out twice."""

import dataclasses
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from clients.channels.meta.events import CHANNEL
from clients.errors import Unavailable
from clients.helpdesk import AgentReply, Comment, Customer, Ticket
from tasks.clocks import Clocks
from tasks.inbox.inbox import Inbox
from tasks.outbound import poll
from tasks.outbound.jobs import reply_job
from tasks.store import connect

NOW = datetime.now(UTC) - timedelta(minutes=1)
OURS = Ticket("42", closed=False, customer=Customer(CHANNEL, "1", "7"))
THREAD = f"out:{CHANNEL}:1:7"


def _reply(id_: str, **changes: Any) -> AgentReply:
    fields: dict[str, Any] = {
        "id": id_,
        "body": "Hi",
        "body_format": "text",
        "author_type": "agent",
        "internal": False,
    }
    known = fields | {"attachments": (), "from_connector": False, "created_at": NOW} | changes
    return AgentReply(f"comment:{id_}", NOW, OURS, Comment(**known))


class Desk:
    """A helpdesk that is polled."""

    def __init__(self) -> None:
        self.replies: list[AgentReply] = []
        self.asked: list[datetime] = []
        self.is_down = False
        self.asks = 0
        self.ahead = timedelta()

    def ping(self) -> None:
        self.asks += 1

    def now(self) -> datetime | None:
        return datetime.now(UTC) + self.ahead

    def poll(self, since: datetime) -> Iterable[AgentReply]:
        self.asked.append(since)
        yield from self.replies
        if self.is_down:
            raise Unavailable("the helpdesk cannot be reached")


class World:
    """A worker's services, as far as polling needs them."""

    def __init__(self, url: str) -> None:
        self.helpdesk, self.inbox = Desk(), Inbox(connect(url))
        self.clocks = Clocks(self.inbox, "worker")
        self.settings = SimpleNamespace(helpdesk=SimpleNamespace(poll_interval=60.0))

    def queued(self) -> int:
        return self.inbox.store.zcard(f"mc:jobs:{THREAD}")


@pytest.fixture
def world(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(store_url)
    monkeypatch.setattr(poll, "wake", int)
    yield world
    world.inbox.store.close()


def _poll(world: World) -> None:
    poll.take_turn(world)  # type: ignore[arg-type]  # it is all that polling asks of the services


def _again(world: World) -> None:
    """Poll as if its time had come."""
    world.inbox.store.delete("mc:poll")
    _poll(world)


def test_a_comment_that_is_found_is_queued(world: World) -> None:
    world.helpdesk.replies = [_reply("981")]
    _poll(world)
    assert world.queued() == 1


def test_a_comment_that_came_by_webhook_is_not_queued_again(world: World) -> None:
    world.inbox.accept([reply_job(_reply("981"))])
    world.helpdesk.replies = [_reply("981")]
    _poll(world)
    assert world.queued() == 1


def test_only_what_goes_out_is_queued(world: World) -> None:
    private, ours = _reply("1", internal=True), _reply("2", from_connector=True)
    world.helpdesk.replies = [private, ours, _reply("3", author_type="system")]
    _poll(world)
    assert world.queued() == 0


def test_the_first_poll_looks_back_at_nothing(world: World) -> None:
    before = datetime.now(UTC)
    _poll(world)
    assert world.helpdesk.asked[0] >= before


def test_each_poll_looks_back_a_little_beyond_the_one_before(world: World) -> None:
    last = datetime.now(UTC) - timedelta(hours=1)
    world.inbox.store.set("mc:polled", str(last.timestamp()))
    _poll(world)
    assert abs(world.helpdesk.asked[0] - (last - poll.OVERLAP)) < timedelta(seconds=1)


def test_no_poll_looks_back_beyond_the_first(world: World) -> None:
    _poll(world)
    _again(world)
    _again(world)
    assert abs(world.helpdesk.asked[2] - world.helpdesk.asked[0]) < timedelta(milliseconds=10)


def test_a_comment_that_was_just_written_is_left_to_its_webhook(world: World) -> None:
    world.helpdesk.replies = [dataclasses.replace(_reply("981"), time=datetime.now(UTC))]
    _poll(world)
    assert world.queued() == 0


def test_a_poll_never_looks_back_to_where_it_is_forgotten_what_was_sent(world: World) -> None:
    world.inbox.store.set("mc:polled", str((NOW - timedelta(days=30)).timestamp()))
    with capture_logs() as logs:
        _poll(world)
    assert datetime.now(UTC) - world.helpdesk.asked[0] < timedelta(days=6, minutes=1)
    assert [one["event"] for one in logs] == ["replies_may_be_missing"]


def test_a_poll_that_fails_halfway_keeps_what_it_found(world: World) -> None:
    world.helpdesk.is_down, world.helpdesk.replies = True, [_reply("981")]
    _poll(world)
    assert world.queued() == 1
    assert not world.inbox.store.exists("mc:polled")


def test_a_poll_that_fails_is_made_good_by_the_next(world: World) -> None:
    world.inbox.store.set("mc:polled", str((NOW - timedelta(hours=1)).timestamp()))
    world.helpdesk.is_down = True
    _poll(world)
    world.helpdesk.is_down, world.helpdesk.replies = False, [_reply("981")]
    _again(world)
    assert abs(world.helpdesk.asked[1] - world.helpdesk.asked[0]) < timedelta(seconds=5)
    assert world.queued() == 1


def test_of_many_workers_one_polls(world: World) -> None:
    _poll(world)
    _poll(world)
    assert len(world.helpdesk.asked) == 1


def test_the_first_poll_looks_back_to_when_the_connector_started(world: World) -> None:
    poll.note_start(world)  # type: ignore[arg-type]
    started = world.inbox.now() - 55
    world.inbox.store.set("mc:poll_start", started)
    poll.note_start(world)  # type: ignore[arg-type]
    _poll(world)
    assert abs(world.helpdesk.asked[0].timestamp() - started) < 1


def test_the_start_is_told_by_the_helpdesks_clock(world: World) -> None:
    world.helpdesk.ahead = timedelta(hours=1)
    world.inbox.store.set("mc:poll_start", world.inbox.now() - 55)
    _poll(world)
    assert abs(world.helpdesk.asked[0] - (datetime.now(UTC) + timedelta(hours=1, seconds=-55))) < timedelta(
        seconds=1
    )


def test_a_connector_that_does_not_poll_notes_no_start(world: World) -> None:
    world.settings.helpdesk.poll_interval = 0
    poll.note_start(world)  # type: ignore[arg-type]
    assert not world.inbox.store.exists("mc:poll_start")
