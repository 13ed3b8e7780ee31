"""Runs parts of the connector as child processes: starts them again when they die, and stops them cleanly."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from connector.run.parts import Part
from connector.run.valkey import wait_until_ready
from connector.settings import PATH_VARIABLE, settings_path

log = structlog.get_logger(__name__)

PART_VARIABLE = "CONNECTOR_PART"
"""Names the part to a process that a supervisor started."""
TICK = 0.2
HEALTH_CHECK_EVERY = 5.0
"""How often it is checked whether the store is right and no part is stuck, in seconds."""
RESTART_DELAYS = (0.2, 1.0, 2.0, 5.0)
STEADY_AFTER = 2.0
"""How long a part must have run for its next restart not to be delayed (seconds)."""


@dataclass(slots=True)
class Child:
    """A part with its process, which may not be started yet, or be over.

    `started` and `restart_at` are by `time.monotonic`; `restart_at` is 0 unless the next start is delayed.
    `failures` counts how often in a row it died soon.
    """

    part: Part
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restart_at: float = 0.0
    failures: int = 0

    def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C is for the supervisor alone."""
        named = {PATH_VARIABLE: str(settings_path().resolve()), PART_VARIABLE: self.part.name}
        self.process = subprocess.Popen(  # noqa: S603 - the commands are our own
            self.part.command,
            env={**os.environ, **named, **self.part.environment},
            start_new_session=True,
            pass_fds=[file.fileno() for file in self.part.holds],
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
                self.process.wait(self.part.stops_within)
            except subprocess.TimeoutExpired:
                log.warning("killed", name=self.part.name, reason="it did not stop in time")
                self.process.kill()
                self.process.wait()


class Supervisor:
    """Keeps parts running, each as a child, until it is told to stop; then stops them, the last one first.

    On SIGHUP it asks whether it `may_reload`, and then restarts all parts but the store, one after the other.
    """

    def __init__(
        self,
        children: Sequence[Child],
        store_url: str,
        check: Callable[[], None] = lambda: None,
        may_reload: Callable[[], bool] = lambda: False,
    ) -> None:
        self._children = children
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
                self._look_after_children()
                if self._reload_asked:
                    self._reload()
                time.sleep(TICK)  # the loop's rhythm: how soon a part that died, or a signal, is seen
        finally:
            for child in reversed(self._children):
                log.info("stopping", name=child.part.name)
                child.stop()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _ask_to_reload(self, *_: object) -> None:
        self._reload_asked = True

    def _reload(self) -> None:
        self._reload_asked = False
        if not self._may_reload():
            return
        for child in self._children:
            if child.part.name != "store" and not self._stopping:
                log.info("restarting", name=child.part.name)
                child.stop()
                child.restart_at, child.failures = 0.0, 0
                child.start()
        log.info("reloaded")

    def _start(self) -> None:
        stores = [child for child in self._children if child.part.name == "store"]
        for child in stores:
            child.start()
            wait_until_ready(self._store_url)
        self._check()
        for child in self._children:
            if child not in stores:
                child.start()

    def _look_after_children(self) -> None:
        look = time.monotonic() - self._looked > HEALTH_CHECK_EVERY
        if look:
            self._looked = time.monotonic()
            self._check()
        for child in self._children:
            if child.process and child.process.poll() is not None:
                self._restart(child)
            elif look and child.part.is_stuck(child.started):
                log.error("stuck", name=child.part.name, reason="work is due and it takes none")
                child.signal(signal.SIGKILL)

    def _restart(self, child: Child) -> None:
        """Start a part again: soon the first time, later if it dies again and again."""
        now = time.monotonic()
        if not child.restart_at:
            steady = now - child.started > STEADY_AFTER
            child.failures = 0 if steady else min(child.failures + 1, len(RESTART_DELAYS) - 1)
            delay = RESTART_DELAYS[child.failures]
            code = child.process.returncode if child.process else None
            log.error("died", name=child.part.name, code=code, restart_in=delay)
            child.restart_at = now + delay
        elif now >= child.restart_at:
            child.restart_at = 0.0
            child.start()


if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)

    def _die_with_parent() -> None:
        """Have the kernel stop a child whose supervisor was killed: it would keep its port (prctl(2))."""
        _libc.prctl(1, signal.SIGTERM)

else:

    def _die_with_parent() -> None:
        """Do nothing: only Linux can tie a child to its parent."""
