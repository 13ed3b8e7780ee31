"""Pauses of the helpdesk and of accounts that are down: nothing calls them for a while.

The log says so at the beginning, each hour, and at the end.
"""

import time
from threading import Lock

import structlog

from clients.channel import Usage
from clients.errors import RateLimited, RetryableError, Unauthorized
from clients.notices import encode, notice
from tasks.inbox.inbox import Inbox

log = structlog.get_logger(__name__)

SHORTEST, SHORTEST_UNAUTHORIZED, LONGEST = 2.0, 30.0, 600.0
"""How long a pause lasts, in seconds."""
LIMITED_RATE = 4
"""How many queues a second go on at first with a remote that asked to slow down.

All at once they would only meet the limit again; channels take only so many files a second from one account.
"""
REFUSED_RATE = 16
"""How many queues a second go on at first after a token was refused: agents are notified then."""
SLOW_AT, PAUSE_AT = 0.8, 0.95
"""From which share of its limits on an account is slowed down, and paused now and then."""
SLOW_EVERY = 3.0
"""How often an account is slowed down at most, in seconds: it gets faster again by itself."""
LONGEST_BEFORE_LIMIT = 60.0
"""How long an account is paused at its limit that has not been refused yet, in seconds; before it, less."""
REMIND_OF_PAUSES_EVERY = 3600.0
RESTS_FOR = 60.0
"""How long a remote that failed is asked for nothing that can be left out, in seconds."""
OVER_AFTER = 60.0
"""How long after a pause, in seconds, another is logged as new: another worker may have seen it work."""


class Remotes:
    """What this process knows about the remotes; used from many threads."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._lock = Lock()
        self._worked: set[str] = set()
        self._since: dict[str, float] = {}
        self._until: dict[str, float] = {}
        self._logged_at: dict[str, float] = {}
        self._rests_until: dict[str, float] = {}
        self._slowed_at: dict[str, float] = {}
        self._slowing_logged_at: dict[str, float] = {}

    def pause(self, error: RetryableError) -> None:
        """Pause the remote of an error, for as long as it asks. Raises `redis.RedisError`.

        One that asks to slow down, and does not say for how long, is paused for longer each time.
        """
        shortest, rate, doubles_to = SHORTEST, 0, 0.0
        if isinstance(error, Unauthorized):
            shortest, rate = SHORTEST_UNAUTHORIZED, REFUSED_RATE
        elif isinstance(error, RateLimited):
            rate, doubles_to = LIMITED_RATE, 0.0 if error.retry_after else LONGEST
        seconds = min(max(error.retry_after or 0, shortest), LONGEST)
        self._log(error)
        self._until[error.remote] = time.monotonic() + seconds
        self._worked.discard(error.remote)
        lasts = self._inbox.pause(error.remote, seconds, encode(error.notice), rate, doubles_to)
        self._until[error.remote] = time.monotonic() + lasts

    def slow_down(self, account: str, usage: Usage | None) -> None:
        """Slow an account down that has used much of its limits, before it is refused anything.

        What is under way goes on. Raises `redis.RedisError`.
        """
        if usage is None or (usage.share < SLOW_AT and not usage.regain):
            return
        now = time.monotonic()
        with self._lock:
            before = self._slowed_at.get(account, -OVER_AFTER)
            if now - before < SLOW_EVERY:
                return
            self._slowed_at[account] = now
        rate = max(1.0, LIMITED_RATE * (1 - usage.share) / (1 - SLOW_AT))
        seconds, reason = _pause_of(usage), notice("usage_high", percent=round(100 * usage.share))
        if now - before > OVER_AFTER or now - self._slowing_logged_at[account] >= REMIND_OF_PAUSES_EVERY:
            self._slowing_logged_at[account] = now
            log.warning("remote_slowed", remote=account, reason=str(reason), paused_for=round(seconds))
        self._inbox.slow(account, rate, encode(reason), seconds)

    def rest(self, remote: str) -> None:
        """Note that a remote failed at what nobody waits for: it is not asked for such things for a while."""
        self._rests_until[remote] = time.monotonic() + RESTS_FOR

    def is_resting(self, remote: str) -> bool:
        """Return whether a remote failed lately at what nobody waits for."""
        return time.monotonic() < self._rests_until.get(remote, 0)

    def works(self, remote: str) -> bool:
        """Note that a call to a remote worked; one that was under way when the pause began proves nothing.

        Return whether it may not have worked before, as far as this process knows.
        """
        if remote in self._worked or time.monotonic() < self._until.get(remote, 0):
            return False
        with self._lock:
            self._worked.add(remote)
            since = self._since.pop(remote, None)
            self._logged_at.pop(remote, None)
        if since is not None:
            log.info("remote_back", remote=remote, after_seconds=round(time.monotonic() - since))
        return True

    def _log(self, error: RetryableError) -> None:
        now, remote = time.monotonic(), error.remote
        with self._lock:
            if now - self._until.get(remote, now) > OVER_AFTER:
                self._since.pop(remote, None)
                self._logged_at.pop(remote, None)
            since = self._since.setdefault(remote, now)
            if now - self._logged_at.get(remote, -REMIND_OF_PAUSES_EVERY) < REMIND_OF_PAUSES_EVERY:
                return
            self._logged_at[remote] = now
        write = log.error if isinstance(error, Unauthorized) else log.warning
        write("remote_paused", remote=remote, reason=str(error), for_seconds=round(now - since))


def _pause_of(usage: Usage) -> float:
    """Return for how many seconds an account is left alone, so that it does not meet its limit."""
    if usage.regain:
        return min(usage.regain, LONGEST)
    if usage.share < PAUSE_AT:
        return 0
    return max(SHORTEST, LONGEST_BEFORE_LIMIT * (usage.share - PAUSE_AT) / (1 - PAUSE_AT))
