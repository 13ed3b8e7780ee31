"""The format of the store: one that another version wrote is refused, and not touched."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
import redis
from structlog.testing import capture_logs

from clients.channel import Conversation
from clients.channels.meta.signature import sign
from sandbox.stack import free_port
from tasks import worker
from tasks.inbox.backfills import Backfill
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job, Step
from tasks.inbox.kept_jobs import KeptJob
from tasks.inbox.lease import Lease
from tasks.inbox.personal import Personal
from tasks.inbox.queues import inbound_queue
from tasks.outbound import poll
from tasks.store import connect, is_of_another_format
from tests.conftest import PAGE_A, SECRET_A, MakeSettings, payload
from tests.fakes.inbox import PERSON
from tests.fakes.stores import refusal
from tests.fakes.web import MESSENGER, serving
from tests.fakes.world import World

QUEUE = inbound_queue(Conversation("chat", "1", "2"))
JOB = Job(key="a", queue=QUEUE, time=1, body=b"{}")
LATER = {"mc:format": "3", "mc:ids": "7", "mc:jobs:x": "unheard of"}
EARLIER = {"mc:ids": "7", "mc:queue:in:1:2": "0000000000000007 1795382999900 {}"}
"""What 0.1.0 left: it wrote no format."""


def fill(store: Any, content: dict[str, str]) -> None:
    """Have a store hold just this."""
    store.flushall()
    store.mset(content)


def dump(store: Any) -> dict[bytes, bytes]:
    """Return all that a store holds."""
    return {key: store.dump(key) for key in store.scan_iter()}


@pytest.fixture
def store(store_url: str) -> Iterator[Any]:
    with closing(connect(store_url)) as connection:
        yield connection


def test_the_first_job_gives_an_empty_store_its_format(store: Any) -> None:
    Inbox(store).accept([JOB])

    assert store.get("mc:format") == b"2"


def test_the_format_stands_behind_the_key_prefix(store: Any) -> None:
    Inbox(store, prefix="acme:").accept([JOB])

    assert store.get("acme:mc:format") == b"2"
    assert Inbox(store).claim() is None


def test_a_store_that_lost_everything_gets_its_format_again(store: Any) -> None:
    inbox = Inbox(store)
    inbox.accept([JOB])
    store.flushall()
    inbox.accept([JOB])

    assert inbox.claim() is not None


@pytest.mark.parametrize(("content", "format_"), [(LATER, "3"), (EARLIER, "1")], ids=["later", "0.1.0"])
def test_a_store_of_another_format_is_refused_at_start(
    store: Any, store_url: str, make_settings: MakeSettings, content: dict[str, str], format_: str
) -> None:
    fill(store, content)
    before = dump(store)
    said = refusal(make_settings(redis_url=store_url))

    assert said.startswith("redis_url: the store cannot be used: ")
    assert f"in format {format_}, and this version reads format 2;" in said
    assert "key_prefix" in said
    assert "\n" not in said
    assert dump(store) == before


COMMANDS = [
    ["-m", "celery", "-A", "tasks", "worker"],
    ["-m", "celery", "-A", "tasks", "beat"],
    ["-m", "uvicorn", "connector.app:app", "--port", "0"],
    ["-m", "connector", "up"],
    ["-m", "connector", "web"],
    ["-m", "connector", "worker"],
    ["-m", "connector", "beat"],
    ["-m", "connector", "status"],
    ["-m", "connector", "dead", "list"],
    ["-m", "connector", "dead", "show", "7"],
    ["-m", "connector", "dead", "retry", "--all"],
    ["-m", "connector", "dead", "drop", "--all", "--yes"],
    ["-m", "connector", "unknown", "replay", "--all"],
    ["-m", "connector", "connections", "list"],
    ["-m", "connector", "backfill", "--page", PAGE_A, "--since", "6d"],
    ["-m", "connector", "forget", "--page", PAGE_A, "--sender", "7", "--yes"],
    ["-m", "connector", "export", "--page", PAGE_A, "--sender", "7"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_part_refuses_it_in_one_line_and_writes_nothing(
    store: Any, store_url: str, make_settings: MakeSettings, command: list[str]
) -> None:
    make_settings(redis_url=store_url, port=free_port())
    fill(store, EARLIER)
    before = dump(store)
    run = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, check=False)

    assert run.returncode == 1
    said = [line for line in run.stderr.splitlines() if "redis_url" in line]
    assert len(said) == 1, run.stderr
    assert said[0].startswith("redis_url: the store cannot be used: it holds what another version")
    assert "Traceback" not in run.stderr
    assert dump(store) == before


CHANGES: dict[str, Callable[[Inbox, Lease], object]] = {
    "accept": lambda inbox, _: inbox.accept([JOB]),
    "claim": lambda inbox, _: inbox.claim(),
    "sweep": lambda inbox, _: inbox.sweep(1, 1),
    "start": lambda inbox, _: inbox.start(),
    "has_room": lambda inbox, _: inbox.has_room(),
    "pause": lambda inbox, _: inbox.pause("helpdesk", 1, "it is down"),
    "note_refusals": lambda inbox, _: inbox.note_refusals("messenger 1 unsigned", 1),
    "put": lambda inbox, _: inbox.put("poll", "1"),
    "note_door": lambda inbox, _: inbox.note_door(300),
    "take_turn": lambda inbox, _: inbox.take_turn("messenger:1", 1, 1),
    "request_backfill": lambda inbox, _: inbox.backfills.request("messenger:1", 1),
    "due_backfills": lambda inbox, _: inbox.backfills.due(1),
    "claim_backfill": lambda inbox, _: inbox.backfills.claim(1),
    "save_backfill": lambda inbox, _: inbox.backfills.save(Backfill("messenger:1", 1, b"", ""), b""),
    "end_backfill": lambda inbox, _: inbox.backfills.end(Backfill("messenger:1", 1, b"", "")),
    "note": lambda _, lease: lease.note(Personal.OURS, "m_1", 1),
    "forget_person": lambda inbox, _: inbox.forget(PERSON),
    "forget_noted": lambda inbox, _: inbox.forget_noted(Personal.OURS, PERSON, "m_1"),
    "note_clock": lambda inbox, _: inbox.note_clock("worker", b"[0,0]"),
    "mark_installation": lambda inbox, _: inbox.mark_installation("ours", 30, is_sure=True),
    "drop": lambda inbox, _: inbox.dead_letters.drop(7),
    "replay": lambda inbox, lease: inbox.unknown_events.requeue(
        KeptJob(job=lease.job, reason="", kept_at="")
    ),
    "drop_unknown": lambda inbox, _: inbox.unknown_events.drop(7),
    "keep_unknown": lambda _, lease: lease.keep_unknown("a new kind"),
    "renew": lambda _, lease: lease.renew(),
    "save_step": lambda _, lease: lease.save_step(Step.call(), "ticket"),
    "undo_step": lambda _, lease: lease.undo_step(Step.call()),
    "cache": lambda _, lease: lease.cache(Personal.PROFILE, b"{}"),
    "forget": lambda _, lease: lease.forget(Personal.PROFILE),
    "finish": lambda _, lease: lease.finish(),
    "retry_later": lambda _, lease: lease.retry_later(1, "it is down", counts=True),
    "wait": lambda _, lease: lease.wait("helpdesk", "it is down"),
    "release": lambda _, lease: lease.release(),
}


@pytest.mark.parametrize("content", [LATER, EARLIER], ids=["later", "0.1.0"])
@pytest.mark.parametrize("change", CHANGES)
def test_who_runs_already_changes_nothing_in_a_store_of_another_format(
    store: Any, content: dict[str, str], change: str
) -> None:
    inbox = Inbox(store)
    inbox.accept([JOB])
    lease = inbox.claim()
    assert lease
    fill(store, content)
    before = dump(store)

    with pytest.raises(redis.ResponseError) as refused:
        CHANGES[change](inbox, lease)
    assert is_of_another_format(refused.value)
    assert dump(store) == before


def test_a_worker_whose_store_is_replaced_in_the_middle_writes_nothing(world: World) -> None:
    before: list[dict[bytes, bytes]] = []

    def replace() -> None:
        fill(world.store, LATER)
        before.append(dump(world.store))

    world.receive()
    world.desk.hooks["create_ticket"] = replace
    with capture_logs() as told:
        world.work()

    assert [dump(world.store)] == before
    assert "lease_lost" in {line["event"] for line in told}


def test_the_sweep_and_the_poll_leave_it_alone_and_say_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.configure(helpdesk={"poll_every": 60})
    monkeypatch.setattr(worker, "services", lambda: world.service)
    fill(world.store, LATER)
    before = dump(world.store)
    with capture_logs() as told:
        worker.sweep()
        worker.relay()
        poll.take_turn(world.service)

    assert dump(world.store) == before
    assert [line["event"] for line in told] == ["sweep_failed", "claim_failed", "poll_failed"]
    assert all("in format 3" in line["reason"] for line in told)


def test_the_doors_answer_503_and_store_nothing(
    store: Any, store_url: str, make_settings: MakeSettings
) -> None:
    with serving(make_settings(redis_url=store_url)) as url, httpx.Client(trust_env=False) as http:
        fill(store, EARLIER)
        before = dump(store)
        body = payload("messenger/message_text")
        answer = http.post(
            url + MESSENGER, content=body, headers={"X-Hub-Signature-256": sign(body, SECRET_A)}
        )
        ready = http.get(f"{url}/readyz")

        assert (answer.status_code, ready.status_code) == (503, 503)
        assert "in format 1" in ready.text
        assert dump(store) == before
