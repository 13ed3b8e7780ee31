"""Kept jobs as an operator names and sees them: which are meant, and how they are shown."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec

from clients.notices import decode
from clients.text.line import is_misleading, one_line
from tasks.inbox.kept_jobs import KeptJob
from tasks.inbox.queues import account_id_of, account_of
from tasks.words import described, say

_AGO = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(value: str) -> datetime:
    """Read a point in time: ISO 8601, in UTC unless it says otherwise, or how long ago it was.

    Raises `click.BadParameter`.
    """
    try:
        if ago := _AGO.fullmatch(value):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return _with_zone(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time; write 2026-11-28, 2026-11-28T19:30 (UTC), or how long ago: 90m, 2h, 7d"
        ) from None


def _with_zone(time: datetime) -> datetime:
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
            (self.page is None or _page_of(kept) == self.page.strip())
            and (self.reason is None or self.reason.casefold() in described(kept.reason).casefold())
            and self._in_time(kept)
        )

    def _in_time(self, kept: KeptJob) -> bool:
        if self.since is None and self.until is None:
            return True
        try:
            at = _with_zone(datetime.fromisoformat(kept.kept_at))
        except ValueError:
            return False
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


def _page_of(kept: KeptJob) -> str:
    """Return the page that a job is of; nothing for a reply whose ticket is not known to be of one."""
    return account_id_of(account_of(kept.job.queue))


def table(jobs: list[KeptJob], since: str) -> str:
    """Show jobs as lines below a header, safe for a terminal; `since` is what happened when one was kept."""
    rows = [
        ("ID", f"{since.upper()} AT", "QUEUE", "REASON"),
        *(
            (str(one.job.id), *map(one_line, (one.kept_at, one.job.queue, described(one.reason))))
            for one in jobs
        ),
    ]
    id_, at, queue = (max(len(row[column]) for row in rows) for column in range(3))
    return "\n".join(f"{row[0]:>{id_}}  {row[1]:{at}}  {row[2]:{queue}}  {row[3]}" for row in rows)


def summary(kept: KeptJob, since: str) -> dict[str, Any]:
    """Return what a list shows of a job: nothing that the customer or the agent wrote."""
    return {
        "id": kept.job.id,
        f"{since}_at": kept.kept_at,
        "page_id": _page_of(kept) or None,
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
    """Write JSON that is safe for a terminal: JSON itself leaves some characters alone that one acts on."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(json.dumps(c)[1:-1] if c != "\n" and is_misleading(c) else c for c in text)
