"""Jobs, records and dead letters that this version does not know: they wait, and nothing is damaged."""

import json

import msgspec
import pytest
from structlog.testing import capture_logs

from clients.channel import Profile
from clients.channels.meta.events import CHANNEL
from tasks import directions, outcomes
from tasks.inbox.job import Job, Step
from tests.conftest import PAGE_A
from tests.fakes.conversation import IN, OUT, PSID, TICKET
from tests.fakes.world import World

UNKNOWN = [
    pytest.param("fax:1:2", "{}", id="a queue of another kind"),
    pytest.param(OUT, '{"type":"Typing","on":true}', id="a job of another kind"),
    pytest.param(OUT, '{"type":"Reply","agent_reply":{}}', id="a field that was renamed"),
    pytest.param(OUT, "\x00\x01", id="a body that is no JSON"),
    pytest.param(TICKET, '{"type":"Reply"}', id="a reply without an event"),
]


@pytest.mark.parametrize(("queue", "body"), UNKNOWN)
def test_what_is_not_understood_waits_and_burns_no_attempt(world: World, queue: str, body: str) -> None:
    world.inbox.accept([Job(key="a", queue=queue, time=1, body=body.encode())])
    for _ in range(3):
        world.resume(queue)

    assert world.waiting(queue) == 1
    assert world.head(queue).attempts == 0
    assert 0 < world.head(queue).waits <= outcomes.UNKNOWN_DELAY
    assert world.inbox.dead_letters.all() == []


def test_what_is_not_understood_is_told_loudly(world: World) -> None:
    world.inbox.accept([Job(key="a", queue="fax:1:2", time=1, body=b"{}")])
    with capture_logs() as told:
        world.work("fax:1:2")

    assert ("not_understood", "error") in {(line["event"], line["log_level"]) for line in told}


def test_what_was_given_up_waits_too_if_the_verdict_is_not_understood(world: World) -> None:
    world.inbox.accept([Job(key="a", queue=OUT, time=1, body=b'{"type":"Typing"}')])
    lease = world.inbox.claim(OUT)
    assert lease
    lease.save_step(Step.failed(), "refused")
    lease.release()
    world.work(OUT)

    assert world.waiting(OUT) == 1
    assert world.inbox.dead_letters.all() == []


def test_a_process_that_understands_it_relays_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.inbox.accept([Job(key="a", queue="fax:1:2", time=1, body=b"{}")])
    world.work("fax:1:2")
    monkeypatch.setitem(directions.DIRECTIONS, "fax", directions.Direction(lambda *_: None, lambda *_: None))
    world.resume("fax:1:2")

    assert world.waiting("fax:1:2") == 0


@pytest.mark.parametrize("cached", ["[]", '{"name": 5}', "not JSON", ""])
def test_a_cached_profile_of_another_shape_counts_as_absent(world: World, cached: str) -> None:
    profile = f"mc:profile:{CHANNEL}:{PAGE_A}:{PSID}"
    world.store.set(profile, cached)
    world.receive()
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert ticket.new.title == "Messenger: Anna Nowak"
    assert (
        msgspec.json.decode(world.store.get(f"mc:profile:{CHANNEL}:{PAGE_A}:{PSID}"), type=Profile).name
        == "Anna Nowak"
    )


def test_a_recorded_upload_of_another_shape_is_made_again(world: World) -> None:
    photo = {"type": "image", "payload": {"url": "https://cdn.fbsbx.com/photo.jpg?oe=1"}}
    world.receive(attachments=[photo])
    lease = world.inbox.claim(IN)
    assert lease
    lease.save_step(Step.upload(0), '{"file": 1}')
    lease.release()
    world.work()

    assert world.desk.uploads == ["photo.jpg"]
    assert world.waiting() == 0


@pytest.mark.parametrize(("field", "value"), [("attempts", "many"), ("history", "[1]"), ("history", "{")])
def test_a_record_of_another_shape_counts_as_absent(world: World, field: str, value: str) -> None:
    world.receive()
    world.store.hset("mc:job:1", field, value)
    world.work()

    assert world.waiting() == 0


def test_a_dead_letter_with_more_fields_is_read(world: World) -> None:
    letter = {"queue": IN, "time": 1, "body": "{}", "reason": "r", "kept_at": "", "history": [], "code": "x"}
    world.store.hset("mc:dead", "7", json.dumps(letter))

    assert [one.reason for one in world.inbox.dead_letters.all()] == ["r"]


def test_a_dead_letter_that_cannot_be_read_is_shown_as_it_stands(world: World) -> None:
    world.store.hset("mc:dead", "7", '{"queue": 5}')

    (letter,) = world.inbox.dead_letters.all()
    assert letter.job.body == b'{"queue": 5}'
    assert "unreadable_letter" in letter.reason
