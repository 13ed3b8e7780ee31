"""Clocks that differ. The store's decides what is due and how old something is; the others are only measured.

A difference does no harm to what is relayed, but a machine whose clock is wrong has other problems: with
certificates, and with the times in its logs.
"""

import socket
import time
from contextlib import suppress
from datetime import datetime
from threading import Lock

import msgspec
import redis
import structlog

from tasks.inbox.inbox import Inbox

log = structlog.get_logger(__name__)

TOLERATED = 2.0
"""How many seconds a clock may differ from the store's before that is logged."""
MEASURE_EVERY = 10.0
REMIND_OF_CLOCKS_EVERY = 3600.0
KEPT_FOR = 3600.0
"""How long a measurement is shown, in seconds: its process may be gone."""


class Clocks:
    """Measures clocks against the store's, each every `MEASURE_EVERY` seconds, and logs those that differ.

    This process's own clock is named by its part (web, worker) and its machine.
    """

    def __init__(self, inbox: Inbox, part: str) -> None:
        self._inbox = inbox
        self._own = f"{part}@{socket.gethostname()}"
        self._lock = Lock()
        self._ahead = 0.0
        self._measured: dict[str, float] = {}
        self._logged_at: dict[str, float] = {}

    def now(self) -> float:
        """Return the store's time as far as it is known, in seconds since 1970. Asks nobody."""
        return time.time() - self._ahead

    def measure_own(self) -> None:
        """Measure this machine's clock. Raises `redis.RedisError`."""
        if self._is_due(self._own):
            self._ahead = self._against_store(time.time())
            self._note(self._own, self._ahead)

    def measure(self, name: str, now: datetime | None) -> None:
        """Measure the clock of another service by the time in its last answer, if it had one."""
        if now is not None and self._is_due(name):
            self._note(name, self._against_store(now.timestamp()))

    def _against_store(self, now: float) -> float:
        """Return by how much a time is ahead of the store's, at least: that takes a while to ask."""
        asked = time.monotonic()
        stores = self._inbox.now()
        return now + min(max(stores - now, 0.0), time.monotonic() - asked) - stores

    def _is_due(self, name: str) -> bool:
        with self._lock:
            now = time.monotonic()
            if now - self._measured.get(name, -MEASURE_EVERY) < MEASURE_EVERY:
                return False
            self._measured[name] = now
            return True

    def _note(self, name: str, ahead: float) -> None:
        with suppress(redis.OutOfMemoryError):
            self._inbox.note_clock(name, msgspec.json.encode([round(ahead, 1), self._inbox.now()]))
        now = time.monotonic()
        if abs(ahead) <= TOLERATED:
            if self._logged_at.pop(name, None) is not None:
                log.info("clock_agrees", clock=name)
        elif now - self._logged_at.get(name, -REMIND_OF_CLOCKS_EVERY) >= REMIND_OF_CLOCKS_EVERY:
            self._logged_at[name] = now
            hint = "compare both machines' clocks with a time server (NTP)"
            log.warning("clock_differs_from_the_stores", clock=name, seconds_ahead=round(ahead, 1), hint=hint)


def differences(inbox: Inbox) -> dict[str, float]:
    """Return by how many seconds each clock that was measured lately is ahead of the store's."""
    now = inbox.now()
    measured = {name: msgspec.json.decode(value) for name, value in inbox.clocks().items()}
    return {name: ahead for name, (ahead, at) in measured.items() if now - at < KEPT_FOR}
