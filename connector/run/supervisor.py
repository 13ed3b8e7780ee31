"""Runs parts of the connector as child processes: starts them again when they die, and stops them cleanly."""

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import redis
import structlog

from connector.run.valkey import command as store_command
from connector.run.valkey import wait_until_ready
from connector.settings import PATH_VARIABLE, Settings, settings_path
from tasks.celery import HEARTBEAT_VARIABLE
from tasks.inbox.inbox import Inbox
from tasks.services import inbox_of

log = structlog.get_logger(__name__)

PART_VARIABLE = "CONNECTOR_PART"
"""Names the part to a process that a supervisor started."""
TICK = 0.2
HEALTH_CHECK_EVERY = 5.0
"""How often it is checked whether the store is right and no part is stuck, in seconds."""
STUCK_AFTER = 15.0
"""How long work may be due, and a worker take none of it, before the worker is restarted (seconds)."""
RESTART_DELAYS = (0.2, 1.0, 2.0, 5.0)
STEADY_AFTER = 2.0
"""How long a part must have run for its next restart not to be delayed (seconds)."""


@dataclass
class Part:
    """One child process.

    `patience` is how long it may take to stop, in seconds. The process keeps the files that it `holds` open.
    """

    name: str
    command: Sequence[str]
    patience: float = 10.0
    environment: Mapping[str, str] = field(default_factory=dict)
    holds: Sequence[IO[str]] = ()
    is_stuck: Callable[[], bool] = lambda: False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restart_at: float = 0.0
    failures: int = 0

    def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C is for the supervisor alone."""
        named = {PATH_VARIABLE: str(settings_path().resolve()), PART_VARIABLE: self.name}
        self.process = subprocess.Popen(  # noqa: S603 - the commands are our own
            self.command,
            env={**os.environ, **named, **self.environment},
            start_new_session=True,
            pass_fds=[file.fileno() for file in self.holds],
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - nothing here runs in threads
        )
        self.started = time.monotonic()

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, if it runs."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self) -> None:
        """Ask the process to stop; if it does not in time, kill it. What it was doing is in the inbox."""
        self.signal(signal.SIGTERM)
        if self.process:
            try:
                self.process.wait(self.patience)
            except subprocess.TimeoutExpired:
                log.warning("killed", name=self.name, reason="it did not stop in time")
                self.process.kill()
                self.process.wait()


def store_part(settings: Settings, lock: IO[str]) -> Part:
    """Return the embedded store, which holds the lock of its data for as long as it lives."""
    return Part("store", store_command(settings), patience=20.0, holds=[lock])


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
    part = Part("worker", command, patience=45.0, environment={HEARTBEAT_VARIABLE: heartbeat})
    inbox = inbox_of(settings, patient=False)
    part.is_stuck = lambda: _takes_nothing(part, Path(heartbeat), inbox)
    return part


def _takes_nothing(part: Part, heartbeat: Path, inbox: Inbox) -> bool:
    """Return whether work is due for long, and this worker took none in the meantime.

    Celery's Redis consumer can stop for ever while its process lives on, after a restart of the store.
    """
    idle = time.time() - heartbeat.stat().st_mtime
    if min(idle, time.monotonic() - part.started) < STUCK_AFTER:
        return False
    try:
        return inbox.state().overdue > STUCK_AFTER
    except redis.RedisError:
        return False


class Supervisor:
    """Keeps parts running until it is asked to stop; then stops them, the last one first.

    On SIGHUP it asks whether it `may_reload`, and then restarts all parts but the store, one after the other.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        store_url: str,
        check: Callable[[], None] = lambda: None,
        may_reload: Callable[[], bool] = lambda: False,
    ) -> None:
        self._parts = parts
        self._store_url = store_url
        self._check = check
        self._may_reload = may_reload
        self._stopping = self._reload_asked = False
        self._looked = time.monotonic()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Run until SIGTERM or SIGINT; `ready` is called once all parts are started.

        Raises what `check` raises, which is called before the parts are started, and now and then.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._ask_to_reload)
        try:
            self._start()
            ready()
            while not self._stopping:
                self._look_after_parts()
                if self._reload_asked:
                    self._reload()
                time.sleep(TICK)  # the loop's rhythm: how soon a part that died, or a signal, is seen
        finally:
            for part in reversed(self._parts):
                log.info("stopping", name=part.name)
                part.stop()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _ask_to_reload(self, *_: object) -> None:
        self._reload_asked = True

    def _reload(self) -> None:
        self._reload_asked = False
        if not self._may_reload():
            return
        for part in self._parts:
            if part.name != "store" and not self._stopping:
                log.info("restarting", name=part.name)
                part.stop()
                part.restart_at, part.failures = 0.0, 0
                part.start()
        log.info("reloaded")

    def _start(self) -> None:
        stores = [part for part in self._parts if part.name == "store"]
        for part in stores:
            part.start()
            wait_until_ready(self._store_url)
        self._check()
        for part in self._parts:
            if part not in stores:
                part.start()

    def _look_after_parts(self) -> None:
        look = time.monotonic() - self._looked > HEALTH_CHECK_EVERY
        if look:
            self._looked = time.monotonic()
            self._check()
        for part in self._parts:
            if part.process and part.process.poll() is not None:
                self._restart(part)
            elif look and part.is_stuck():
                log.error("stuck", name=part.name, reason="work is due and it takes none")
                part.signal(signal.SIGKILL)

    def _restart(self, part: Part) -> None:
        """Start a part again: soon the first time, later if it dies again and again."""
        now = time.monotonic()
        if not part.restart_at:
            steady = now - part.started > STEADY_AFTER
            part.failures = 0 if steady else min(part.failures + 1, len(RESTART_DELAYS) - 1)
            delay = RESTART_DELAYS[part.failures]
            code = part.process.returncode if part.process else None
            log.error("died", name=part.name, code=code, restart_in=delay)
            part.restart_at = now + delay
        elif now >= part.restart_at:
            part.restart_at = 0.0
            part.start()


if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)

    def _die_with_parent() -> None:
        """Have the kernel stop a child whose supervisor was killed: it would keep its port (prctl(2))."""
        _libc.prctl(1, signal.SIGTERM)

else:

    def _die_with_parent() -> None:
        """Do nothing: only Linux can tie a child to its parent."""
