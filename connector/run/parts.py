"""The parts of the connector, each a process: its command, and what tells that it is stuck."""

import atexit
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import redis

from connector.run.valkey import command as store_command
from connector.settings import Settings
from tasks.celery import HEARTBEAT_VARIABLE
from tasks.inbox.inbox import Inbox
from tasks.services import inbox_of

STUCK_AFTER = 15.0
"""How long work may be due, and a worker take none of it, before the worker is restarted (seconds)."""


@dataclass(frozen=True, slots=True)
class Part:
    """The description of one process.

    `stops_within` is how long it may take to stop, in seconds. The process keeps the files open that it
    `holds`. `is_stuck` is given when the process was started, by `time.monotonic`, and tells whether it runs
    and takes no work.
    """

    name: str
    command: Sequence[str]
    stops_within: float = 10.0
    environment: Mapping[str, str] = field(default_factory=dict)
    holds: Sequence[IO[str]] = ()
    is_stuck: Callable[[float], bool] = lambda _started: False


def store_part(settings: Settings, lock: IO[str]) -> Part:
    """Return the embedded store, which holds the lock of its data for as long as it lives."""
    return Part("store", store_command(settings), stops_within=20.0, holds=[lock])


def web_part() -> Part:
    """Return the web process."""
    return Part("web", [sys.executable, "-m", "connector", "web"])


def beat_part() -> Part:
    """Return the scheduler."""
    return Part("beat", [sys.executable, "-m", "celery", "-A", "tasks", "-q", "beat"])


def worker_part(settings: Settings) -> Part:
    """Return the worker, with a watch on whether it takes work."""
    descriptor, heartbeat = tempfile.mkstemp(prefix="connector-heartbeat-")
    os.close(descriptor)
    atexit.register(Path(heartbeat).unlink, missing_ok=True)
    name = f"worker-{os.getpid()}@%h"
    command = [sys.executable, "-m", "celery", "-A", "tasks", "-q", "worker", "-n", name]
    # Workers need to know nothing of each other; mingle would wait a second for that at each connection.
    command += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    return Part(
        "worker",
        command,
        stops_within=45.0,
        environment={HEARTBEAT_VARIABLE: heartbeat},
        is_stuck=partial(_takes_nothing, Path(heartbeat), inbox_of(settings, patient=False)),
    )


def _takes_nothing(heartbeat: Path, inbox: Inbox, started: float) -> bool:
    """Return whether work is due for long, and this worker took none in the meantime.

    Celery's Redis consumer can stop for ever while its process lives on, after a restart of the store.
    """
    idle = time.time() - heartbeat.stat().st_mtime
    if min(idle, time.monotonic() - started) < STUCK_AFTER:
        return False
    try:
        return inbox.state().overdue > STUCK_AFTER
    except redis.RedisError:
        return False
