"""An upgrade in the middle: what another version left in the store is neither lost nor damaged."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from clients.channels.meta.graph import Profile
from tasks import directions, outcomes, worker
from tasks.inbox.inbox import Row
from tasks.outbound.jobs import Reply
from tests.conftest import PAGE_A
from tests.fakes.conversation import IN, OUT, PSID, TICKET
from tests.fakes.world import World

STORES = Path(__file__).parents[1] / "stores"


def load(world: World, name: str) -> None:
    """Fill the store with what a version left there; its own code wrote the file."""
    for key, typed in json.loads((STORES / f"{name}.json").read_text()).items():
        ((type_, value),) = typed.items()
        match type_:
            case "list":
                world.store.rpush(key, *value)
            case "hash":
                world.store.hset(key, mapping=value)
            case "zset":
                world.store.zadd(key, value)
            case "string":
                world.store.set(key, value)


@pytest.fixture
def left(world: World) -> World:
    """Give a world whose store 0.1.0 left: its worker was killed in a create, its helpdesk had been down."""
    world.desk.open()
    load(world, "0.1.0")
    return world


def work_off(world: World) -> None:
    """Work until nothing is left that can be done now."""
    while worker.work_on(world.service):
        pass


def shown(world: World, psid: str) -> list[str]:
    """Return what stands in the helpdesk of a person, by external id, as it was written."""
    comments = [comment for ticket in world.desk.tickets.values() for comment in ticket.comments]
    opened = [ticket.new for ticket in world.desk.tickets.values() if ticket.new]
    ids = [ticket.external_id for ticket in opened] + [comment.external_id for comment in comments]
    return [one for one in ids if one.startswith(f"m_{psid[-1]}")]


def test_what_waited_is_relayed_in_its_order(left: World) -> None:
    work_off(left)

    assert shown(left, "1001") == ["m_1001", "m_1002", "m_1003"]
    assert shown(left, "1007") == ["m_7002"]


def test_a_create_that_was_begun_is_looked_for_before_it_is_repeated(left: World) -> None:
    left.pass_time("in:107381679302250:1002")
    work_off(left)

    assert left.desk.count("ticket_by_external_id") == 1
    assert shown(left, "1002") == ["m_2001", "m_2002"]


def test_what_was_put_off_keeps_its_attempts(left: World) -> None:
    lease = left.inbox.claim("in:107381679302250:1003")

    assert lease is None or lease.attempts == 2
    left.pass_time("in:107381679302250:1003")
    lease = left.inbox.claim("in:107381679302250:1003")
    assert lease is not None
    assert (lease.attempts, len(lease.event.history)) == (2, 2)


def test_a_dead_letter_can_be_tried_again(left: World) -> None:
    (letter,) = left.inbox.letters()
    assert left.inbox.requeue(letter)
    work_off(left)

    assert shown(left, "1006") == ["m_6001"]


def test_nothing_of_the_old_version_stays_behind(left: World) -> None:
    work_off(left)
    for letter in left.inbox.letters():
        left.inbox.requeue(letter)
    for thread in ("1002", "1003"):
        left.pass_time(f"in:107381679302250:{thread}")
        left.store.zadd("mc:due", {f"in:107381679302250:{thread}": 0}, xx=True)
    work_off(left)

    assert left.left() == set()


def test_what_waited_counts_in_the_age_of_the_oldest(left: World) -> None:
    left.inbox.sweep(100, 64)

    assert left.inbox.state().oldest > 60


UNKNOWN = [
    pytest.param("fax:1:2", "{}", id="a queue of another kind"),
    pytest.param(OUT, '{"type":"Typing","on":true}', id="a job of another kind"),
    pytest.param(OUT, '{"type":"Reply","event":{}}', id="a field that was renamed"),
    pytest.param(OUT, "\x00\x01", id="a body that is no JSON"),
    pytest.param(TICKET, '{"type":"Reply"}', id="a reply without its comment"),
]


@pytest.mark.parametrize(("thread", "body"), UNKNOWN)
def test_what_is_not_understood_waits_and_burns_no_attempt(world: World, thread: str, body: str) -> None:
    world.inbox.accept([Row("a", thread, 1, body)])
    for _ in range(3):
        world.resume(thread)

    assert world.waiting(thread) == 1
    assert world.head(thread).attempts == 0
    assert 0 < world.head(thread).waits <= outcomes.UNKNOWN_DELAY
    assert world.inbox.letters() == []


def test_what_is_not_understood_is_told_loudly(world: World) -> None:
    world.inbox.accept([Row("a", "fax:1:2", 1, "{}")])
    with capture_logs() as told:
        world.work("fax:1:2")

    assert ("not_understood", "error") in {(line["event"], line["log_level"]) for line in told}


def test_what_was_given_up_waits_too_if_the_verdict_is_not_understood(world: World) -> None:
    world.inbox.accept([Row("a", OUT, 1, '{"type":"Typing"}')])
    lease = world.inbox.claim(OUT)
    assert lease
    lease.save_step("failed", "refused")
    lease.release()
    world.work(OUT)

    assert world.waiting(OUT) == 1
    assert world.inbox.letters() == []


def test_a_process_that_understands_it_relays_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.inbox.accept([Row("a", "fax:1:2", 1, "{}")])
    world.work("fax:1:2")
    monkeypatch.setitem(directions.DIRECTIONS, "fax", directions.Direction(lambda *_: None, lambda *_: None))
    world.resume("fax:1:2")

    assert world.waiting("fax:1:2") == 0


@pytest.mark.parametrize("cached", ["[]", '{"name": 5}', "not JSON", ""])
def test_a_cached_profile_of_another_shape_counts_as_absent(world: World, cached: str) -> None:
    world.store.set(f"mc:profile:{PAGE_A}:{PSID}", cached)
    world.receive()
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert ticket.new.title == "Messenger: Anna Nowak"
    assert (
        msgspec.json.decode(world.store.get(f"mc:profile:{PAGE_A}:{PSID}"), type=Profile).name == "Anna Nowak"
    )


def test_a_recorded_upload_of_another_shape_is_made_again(world: World) -> None:
    photo = {"type": "image", "payload": {"url": "https://cdn.fbsbx.com/photo.jpg?oe=1"}}
    world.receive(attachments=[photo])
    lease = world.inbox.claim(IN)
    assert lease
    lease.save_step("upload:0", '{"file": 1}')
    lease.release()
    world.work()

    assert world.desk.uploads == ["photo.jpg"]
    assert world.waiting() == 0


@pytest.mark.parametrize(("field", "value"), [("attempts", "many"), ("history", "[1]"), ("history", "{")])
def test_a_record_of_another_shape_counts_as_absent(world: World, field: str, value: str) -> None:
    world.receive()
    world.store.hset("mc:event:1", field, value)
    world.work()

    assert world.waiting() == 0


def test_a_dead_letter_with_more_fields_is_read(world: World) -> None:
    letter = {"thread": IN, "time": 1, "body": "{}", "reason": "r", "died_at": "", "history": [], "code": "x"}
    world.store.hset("mc:dead", "7", json.dumps(letter))

    assert [one.reason for one in world.inbox.letters()] == ["r"]


def test_a_dead_letter_that_cannot_be_read_is_shown_as_it_stands(world: World) -> None:
    world.store.hset("mc:dead", "7", '{"thread": 5}')

    (letter,) = world.inbox.letters()
    assert letter.body == '{"thread": 5}'
    assert "another version" in letter.reason


def test_fields_that_are_not_known_are_kept_where_a_reply_is_queued_anew(world: World) -> None:
    world.desk.open()
    world.reply(is_confirmed=False)
    event: Any = world.store.zrange(f"mc:jobs:{TICKET}", 0, 0)[0]
    known = msgspec.json.decode(event.split(b" ", 3)[3])
    known["priority"], known["agent_reply"]["comment"]["mood"] = 3, "good"
    world.store.delete(f"mc:jobs:{TICKET}")
    world.store.zadd(f"mc:jobs:{TICKET}", {f"{1:016} 1 1 {json.dumps(known)}": 1})
    world.work(TICKET)

    queued = msgspec.json.decode(world.store.zrange(f"mc:jobs:{OUT}", 0, 0)[0].split(b" ", 3)[3])
    assert (queued["priority"], queued["agent_reply"]["comment"]["mood"]) == (3, "good")
    assert msgspec.convert(queued, Reply).agent_reply.ticket.customer
