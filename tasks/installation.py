"""Whose store this is: two installations on one database would take each other's events."""

import time

import redis
import structlog

from connector.settings import Settings
from tasks.inbox.inbox import Inbox
from tasks.store import REMIND_EVERY

log = structlog.get_logger(__name__)

MARKED_FOR = 30.0
"""How long the mark of an installation that has ended stays, in seconds."""
MARK_EVERY = 10.0


class Installation:
    """The mark of an installation in the store. All its processes, on all machines, set the same."""

    def __init__(self, settings: Settings, inbox: Inbox) -> None:
        self._name = f"{settings.public_url} with the helpdesk {settings.helpdesk.base_url}"
        # An embedded store is its data folder's, which `connector up` locks: only its name may have changed.
        self._is_sure = not settings.redis_url
        self._inbox = inbox
        self._marked_at = -MARK_EVERY
        self._told_at = -REMIND_EVERY

    def other(self) -> str | None:
        """Set the mark, or return the name of another installation that uses the store.

        Raises `redis.RedisError`.
        """
        holder = self._inbox.mark_installation(self._name, MARKED_FOR, is_sure=self._is_sure)
        return holder if holder != self._name else None

    def keep(self) -> None:
        """Keep the mark while the installation runs, and tell the log of another one now and then."""
        now = time.monotonic()
        if now - self._marked_at < MARK_EVERY:
            return
        self._marked_at = now
        try:
            other = self.other()
        except redis.OutOfMemoryError:
            return
        if other and now - self._told_at >= REMIND_EVERY:
            self._told_at = now
            log.error("store_shared", reason=advice(other))


def advice(other: str) -> str:
    """Say what to do about another installation."""
    return (
        f"another installation uses this database ({other}), and each would take the other's events; "
        "give one of them a key_prefix, or a database, of its own"
    )
