"""The helpdesk and the pages, when they are away: told in the log as it begins, each hour, and as it ends."""

import time
from threading import Lock

from clients.errors import RetryableError, Unauthorized
from connector import logs

log = logs.get(__name__)

REMIND_EVERY = 3600.0


class Sides:
    """What this process found of the other sides; used from many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._since: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def away(self, error: RetryableError) -> None:
        """Take down that a side is left alone for a while."""
        now, side = time.monotonic(), error.side
        with self._lock:
            since = self._since.setdefault(side, now)
            if now - self._told.get(side, -REMIND_EVERY) < REMIND_EVERY:
                return
            self._told[side] = now
        tell = log.error if isinstance(error, Unauthorized) else log.warning
        tell("side_paused", side=side, reason=str(error), for_seconds=round(now - since))

    def works(self, side: str) -> None:
        """Take down that a side did what it was asked."""
        if side not in self._since:
            return
        with self._lock:
            since = self._since.pop(side, None)
            self._told.pop(side, None)
        if since is not None:
            log.info("side_back", side=side, after_seconds=round(time.monotonic() - since))
