"""Whose store this is: two installations on one database would take each other's events."""

import time
from typing import cast

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
        key, store = self._inbox.key("installation"), self._inbox.store
        if store.set(key, self._name, nx=not self._is_sure, px=int(MARKED_FOR * 1000)):
            return None
        found = (cast("bytes | None", store.get(key)) or b"").decode()
        if found == self._name:
            store.pexpire(key, int(MARKED_FOR * 1000))
        return found if found not in {"", self._name} else None

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
