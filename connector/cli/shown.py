"""Kept jobs as an operator names and sees them on a terminal."""

import re
from datetime import UTC, datetime, timedelta

import click

from clients.text.line import one_line
from connector.kept import with_zone
from tasks.inbox.kept_jobs import KeptJob
from tasks.words import described

_AGO = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(value: str) -> datetime:
    """Read a point in time: ISO 8601, in UTC unless it says otherwise, or how long ago it was.

    Raises `click.BadParameter`.
    """
    try:
        if ago := _AGO.fullmatch(value):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return with_zone(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time; write 2026-11-28, 2026-11-28T19:30 (UTC), or how long ago: 90m, 2h, 7d"
        ) from None


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
