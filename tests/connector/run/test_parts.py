"""What tells that a worker takes nothing."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.run.parts import Part, worker_part
from sandbox.stack import free_port
from tasks.celery import HEARTBEAT_VARIABLE
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.store import connect
from tests.conftest import MakeSettings


@pytest.fixture
def worker(store_url: str, make_settings: MakeSettings, tmp_path: Path) -> Iterator[Part]:
    """Give the worker as a part; its heartbeat is a file of the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        yield worker_part(make_settings(redis_url=store_url))


def idle(worker: Part, seconds: float) -> float:
    """Let a worker have taken work some time ago. Return when it was started: then, by the other clock."""
    then = time.time() - seconds
    os.utime(worker.environment[HEARTBEAT_VARIABLE], (then, then))
    return time.monotonic() - seconds


@pytest.fixture
def work_is_due(store_url: str) -> None:
    """Let work be due since long ago."""
    with connect(store_url) as connection:
        Inbox(connection).accept([Job(key="a", queue="in:chat:1:2", time=1, body=b"a")])
        connection.zadd("mc:ready:in:chat:1:", {"in:chat:1:2": 1})


@pytest.mark.usefixtures("work_is_due")
def test_a_worker_that_takes_no_work_that_is_due_is_stuck(worker: Part) -> None:
    started = idle(worker, 60)

    assert worker.is_stuck(started)


def test_a_worker_without_work_is_not_stuck(worker: Part) -> None:
    started = idle(worker, 60)

    assert not worker.is_stuck(started)


@pytest.mark.usefixtures("work_is_due")
def test_a_worker_that_took_work_of_late_is_not_stuck(worker: Part) -> None:
    started = idle(worker, 60)
    Path(worker.environment[HEARTBEAT_VARIABLE]).touch()

    assert not worker.is_stuck(started)


@pytest.mark.usefixtures("work_is_due")
def test_a_worker_that_was_just_started_is_not_stuck(worker: Part) -> None:
    idle(worker, 60)

    assert not worker.is_stuck(time.monotonic())


def test_a_worker_is_not_stuck_because_the_store_is_away(make_settings: MakeSettings) -> None:
    worker = worker_part(make_settings(redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    started = idle(worker, 60)

    assert not worker.is_stuck(started)
    Path(worker.environment[HEARTBEAT_VARIABLE]).unlink()
