"""Whose store this is: two installations on one database would take each other's jobs."""

import time

import redis
import structlog

from tasks.inbox.inbox import Inbox
from tasks.store import REMIND_OF_OUTAGES_EVERY

log = structlog.get_logger(__name__)

MARKED_FOR = 30.0
"""How long the mark of an installation that has ended stays, in seconds."""
MARK_EVERY = 10.0


class Installation:
    """The mark of an installation in the store. All its processes, on all machines, set the same.

    With `is_sure` nobody else can use the store: only the installation's name may have changed.
    """

    def __init__(self, inbox: Inbox, name: str, *, is_sure: bool) -> None:
        self._inbox = inbox
        self._name = name
        self._is_sure = is_sure
        self._marked_at = -MARK_EVERY
        self._logged_at = -REMIND_OF_OUTAGES_EVERY

    def other(self) -> str | None:
        """Set the mark, or return the name of another installation that uses the store.

        Raises `redis.RedisError`.
        """
        holder = self._inbox.mark_installation(self._name, MARKED_FOR, is_sure=self._is_sure)
        return holder if holder != self._name else None

    def keep(self) -> None:
        """Keep the mark while the installation runs, and log another one now and then."""
        now = time.monotonic()
        if now - self._marked_at < MARK_EVERY:
            return
        self._marked_at = now
        try:
            other = self.other()
        except redis.OutOfMemoryError:
            return
        if other and now - self._logged_at >= REMIND_OF_OUTAGES_EVERY:
            self._logged_at = now
            log.error("store_shared", reason=advice(other))


def advice(other: str) -> str:
    """Say what to do about another installation."""
    return (
        f"another installation uses this database ({other}), and each would take the other's events; "
        "give one of them a key_prefix, or a database, of its own"
    )
