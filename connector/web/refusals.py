"""Webhooks that are refused, and events that are left out: counted, and logged with what to do about it."""

import time
from collections import Counter
from collections.abc import Mapping

import redis
import structlog

from clients.channels.registry import CHANNELS
from connector.web.metrics import Counters
from tasks.connections import Directory
from tasks.inbox.inbox import Inbox

log = structlog.get_logger(__name__)

TELL_EVERY = 60.0
"""How often a page's refusals for one reason are logged, in seconds; what came in between is counted."""
MOST_TOLD = 1000
"""How many pages and reasons are distinguished at most: anybody can make up the page id in a body."""

UNSIGNED, WRONG_SECRET, CLOCK, TOO_LARGE = "unsigned", "wrong_secret", "clock", "too_large"
UNKNOWN_PAGE, INACTIVE_PAGE, ANOTHER_APP = "unknown_page", "inactive_page", "another_app"
VERIFY_TOKEN, NOT_UNDERSTOOD, SLOW = "verify_token", "not_understood", "slow"

_UNREAD = {413: TOO_LARGE, 408: SLOW}
_OF_THE_HELPDESK: Mapping[str, str] = {
    UNSIGNED: "it is not signed as helpdesk.adapter expects; look where the helpdesk sends its webhooks",
    WRONG_SECRET: "it is not signed with helpdesk.webhook_secret; give the helpdesk the same secret",
    CLOCK: "its timestamp is more than five minutes off; "
    "compare both machines' clocks with a time server (NTP)",
    NOT_UNDERSTOOD: "it is signed, but no event of the API; compare it with docs/helpdesk-api.md",
}
_ADVICE = {"helpdesk": _OF_THE_HELPDESK, **{name: channel.advice for name, channel in CHANNELS.items()}}
Key = tuple[str, str, str]


class Refusals:
    """Counts by endpoint, page and reason, for `/metrics` and the log.

    `endpoint` is a channel's name, or `helpdesk`. The metrics name only connected pages: anybody can make up
    other ids.
    """

    def __init__(self, counters: Counters, directory: Directory) -> None:
        self._counters, self._directory = counters, directory
        self._told: dict[Key, float] = {}
        self._untold = Counter[Key]()
        self._unsaved = Counter[Key]()

    def refuse(
        self, endpoint: str, reason: str, page: str = "", count: int = 1, **details: str | int
    ) -> None:
        """Note that webhooks, or entries of them, were refused."""
        known = page if page in self._directory.of(endpoint).active else ""
        self._counters.refused.labels(endpoint, known, reason).inc(count)
        self._unsaved[endpoint, known, reason] += count
        self._log("webhook_refused", (endpoint, page, reason), count, details)

    def note_unread(self, endpoint: str, status: int) -> None:
        """Note why a body was not read, if that is what an answer of this status says."""
        if reason := _UNREAD.get(status):
            self.refuse(endpoint, reason)

    def leave_out(
        self, endpoint: str, reason: str, page: str = "", count: int = 1, **details: str | int
    ) -> None:
        """Note that events of a channel are not relayed."""
        self._counters.ignored.labels(reason).inc(count)
        self._log("ignored", (endpoint, page, reason), count, details)

    def keep(self, endpoint: str, page: str, count: int) -> None:
        """Note that events wait until their page is connected."""
        if not count:
            return
        self._counters.kept.inc(count)
        self._log("kept_until_connected", (endpoint, page, UNKNOWN_PAGE), count, {})

    def save(self, inbox: Inbox) -> None:
        """Add what was refused since the last time to the totals in the store. Raises `redis.RedisError`."""
        for key in list(self._unsaved):  # requests add to it meanwhile
            count = self._unsaved.pop(key)
            try:
                inbox.note_refusals(" ".join(key), count)
            except redis.RedisError:
                self._unsaved[key] += count
                raise

    def _log(self, event: str, key: Key, count: int, details: Mapping[str, str | int]) -> None:
        endpoint, page, reason = key
        if key not in self._told and len(self._told) >= MOST_TOLD:
            key = (endpoint, page := "", reason)
        self._untold[key] += count
        now = time.monotonic()
        if now - self._told.get(key, -TELL_EVERY) < TELL_EVERY:
            return
        self._told[key] = now
        hint = _ADVICE.get(endpoint, {}).get(reason)
        fields = {
            "endpoint": endpoint,
            "page": page,
            "reason": reason,
            "count": self._untold.pop(key),
            "hint": hint,
        }
        log.warning(event, **{name: value for name, value in fields.items() if value}, **details)
