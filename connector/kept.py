"""Kept jobs as an operator chooses and sees them, whether by the command line or on the board."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from clients.notices import decode
from clients.text.line import is_misleading
from tasks.inbox.kept_jobs import KeptJob
from tasks.inbox.queues import account_id_of, account_of
from tasks.words import described, say


def with_zone(time: datetime) -> datetime:
    """Return a time with its zone: UTC, unless it says otherwise."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which jobs are meant: of a page, kept since a time between two, with words in the reason."""

    page: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reason: str | None = None

    def match(self, kept: KeptJob) -> bool:
        """Return whether a job is meant. One without a page or a time is not, if these filter."""
        return (
            (self.page is None or page_of(kept) == self.page.strip())
            and (self.reason is None or self.reason.casefold() in described(kept.reason).casefold())
            and self._in_time(kept)
        )

    def _in_time(self, kept: KeptJob) -> bool:
        if self.since is None and self.until is None:
            return True
        try:
            at = with_zone(datetime.fromisoformat(kept.kept_at))
        except ValueError:
            return False
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


def page_of(kept: KeptJob) -> str:
    """Return the page that a job is of; nothing for a reply whose ticket is not known to be of one."""
    return account_id_of(account_of(kept.job.queue))


def summary(kept: KeptJob, since: str) -> dict[str, Any]:
    """Return what a list shows of a job: nothing that the customer or the agent wrote."""
    return {
        "id": kept.job.id,
        f"{since}_at": kept.kept_at,
        "page_id": page_of(kept) or None,
        "queue": kept.job.queue,
    } | reason_of(kept.reason)


def whole(kept: KeptJob, since: str) -> dict[str, Any]:
    """Return all that is stored of a job."""
    return {
        "id": kept.job.id,
        "queue": kept.job.queue,
        f"{since}_at": kept.kept_at,
        **reason_of(kept.reason),
        "history": [one | reason_of(one.get("reason", "")) for one in kept.job.history],
        "event": read(kept.job.body),
    }


def reason_of(stored: str) -> dict[str, Any]:
    """Return a stored reason as scripts read it, with its sentence for people."""
    notice = decode(stored)
    return {"code": notice.code, "values": msgspec.to_builtins(notice.values), "reason": say(notice)}


def read(body: bytes) -> Any:
    """Return what a job holds; as text, if it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def as_json(value: Any) -> str:
    """Write JSON that is safe to show: JSON itself leaves some characters alone that a terminal acts on."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(json.dumps(c)[1:-1] if c != "\n" and is_misleading(c) else c for c in text)
