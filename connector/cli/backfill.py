"""`connector backfill`: fetch messages that no webhook brought, and relay them."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click
import msgspec
import redis

from clients.errors import ClientError, RateLimited, RetryableError
from clients.text.line import one_line
from connector.cli.common import counted, fail, reachable_inbox, read_settings, settings_option
from connector.cli.shown import moment
from connector.settings import get_settings
from tasks.connections import Connection
from tasks.inbound import backfill as fetching
from tasks.inbound.backfill import OLDEST, Fetcher, Progress
from tasks.inbox.backfills import Backfill
from tasks.inbox.job import Job
from tasks.inbox.queues import account_remote
from tasks.services import Services, build
from tasks.store import reason_of
from tasks.words import say

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

SCALE = 1000
"""How many steps the progress bar has: it shows how far back in time the conversations were looked at."""
ROUNDING = timedelta(minutes=1)
LONGEST_PAUSE = 20.0
"""How long the command waits by itself if Meta limits it, in seconds: it has a backfill for 30 at most."""


@click.command()
@click.option("--page", metavar="ID", required=True, help="The page whose messages are fetched.")
@click.option(
    "--since",
    type=moment,
    metavar="TIME",
    required=True,
    help="Those from then or later: 2026-11-28, 2h, 6d.",
)
@click.option("--dry-run", is_flag=True, help="Count only: nothing is relayed.")
@settings_option
def backfill(*, page: str, since: datetime, dry_run: bool) -> None:
    """Fetch a page's messages that no webhook brought, and relay them in their place by time.

    Those that the connector knows are left out. Meta shows the last 20 messages of a conversation: where
    there may be more, the ticket says so. If the command is stopped, the workers go on with it.
    """
    settings = read_settings("backfill", get_settings)
    reachable_inbox(settings)
    service = build(settings)
    service.connections.refresh()
    every = service.connections.all
    connection = next((one for one in every if one.active and one.account_id == page.strip()), None)
    if connection is None:
        fail(f"The page {one_line(page)} has no active connection; “connector status” shows those there are.")
    if since < datetime.now(UTC) - OLDEST - ROUNDING:
        fail(
            f"The connector remembers for 7 days which messages came; what is older might come twice. "
            f"Name a time within the last {OLDEST.days} days."
        )
    try:
        progress = (_count if dry_run else _relay)(service, connection, since)
    except ClientError as error:
        fail(
            f"Nothing more can be fetched: {one_line(say(error.notice))}.{'' if dry_run else _goes_on(error)}"
        )
    except redis.RedisError as error:
        fail(f"{settings.store_key}: the store does not work: {reason_of(error)}")
    click.echo(_summary(progress, dry_run=dry_run))


def _goes_on(error: ClientError) -> str:
    if isinstance(error, RetryableError):
        return " The workers of the running connector go on with it by themselves."
    return ""


def _count(service: Services, connection: Connection, since: datetime) -> Progress:
    return _follow(Fetcher(service, connection, since, _take_none))


def _take_none(jobs: Sequence[Job], known_by: Sequence[str]) -> None:
    """Relay nothing."""


def _relay(service: Services, connection: Connection, since: datetime) -> Progress:
    """Fetch as a worker does, so that the workers go on with it if this process ends."""
    backfills, remote = service.inbox.backfills, account_remote(connection.channel, connection.account_id)
    begun = backfills.begin(remote, int(since.timestamp() * 1000))
    fetcher = fetching.fetcher_of(service, connection, begun, service.inbox.accept_fetched)
    latest = fetcher.first()

    def keep(progress: Progress) -> None:
        nonlocal latest
        latest = progress
        if not backfills.save(begun, msgspec.json.encode(progress)):
            fail("Another backfill of this page has begun, which does the work of this one, too.")

    try:
        progress = _follow(fetcher, keep)
    except RetryableError as error:
        fetching.put_off(service, begun, latest, error)
        raise
    except (ClientError, KeyboardInterrupt) as error:
        _leave(service, begun, latest, error)
        raise
    fetching.finish(service, begun, progress)
    return progress


def _leave(service: Services, begun: Backfill, latest: Progress, error: BaseException) -> None:
    """Let the workers go on at once if somebody stopped the command; what failed for good is over."""
    if isinstance(error, KeyboardInterrupt):
        service.inbox.backfills.save(begun, msgspec.json.encode(latest), 0)
    else:
        service.inbox.backfills.end(begun)


def _follow(fetcher: Fetcher, keep: Callable[[Progress], object] = lambda _: None) -> Progress:
    """Take all steps with a progress bar, and return what there was. Raises `ClientError`."""
    progress, shown = fetcher.first(), 0
    bar: ProgressBar[Progress | None]
    with click.progressbar(length=SCALE, label="Fetching", show_eta=False, item_show_func=_now) as bar:
        for step in _steps(fetcher, progress):
            keep(step)
            progress, reached = step, max(shown, _reached(fetcher, step))
            bar.update(reached - shown, step)
            shown = reached
        bar.update(SCALE - shown, progress)
    return progress


def _steps(fetcher: Fetcher, progress: Progress) -> Iterator[Progress]:
    """Yield how far each step got, with a pause where Meta limits how fast the page may ask."""
    step: Progress | None = progress
    while step is not None:
        try:
            step = fetcher.step(progress)
        except RateLimited as error:
            wait = error.retry_after or 2.0**progress.attempts
            if wait > LONGEST_PAUSE:
                raise
            progress = msgspec.structs.replace(progress, attempts=progress.attempts + 1)
            time.sleep(wait)  # the channel's limit: it names a wait, or else each one is longer
            continue
        if step is not None:
            progress = step
            yield progress
            if progress.wait:
                time.sleep(min(progress.wait, LONGEST_PAUSE))  # until Meta may give it


def _reached(fetcher: Fetcher, progress: Progress) -> int:
    """Return how much of the time has been looked at, the newest first."""
    since, now = fetcher.since.timestamp() * 1000, progress.began
    at = progress.todo[0].time if progress.todo else now
    return min(SCALE, max(0, int(SCALE * (now - at) / max(1, now - since))))


def _now(progress: Progress | None) -> str:
    if progress is None:
        return ""
    return f"{counted(progress.conversations, 'conversation')}, {counted(progress.new, 'new message')}"


def _summary(progress: Progress, *, dry_run: bool) -> str:
    what = "would be relayed" if dry_run else "will be relayed"
    summary = (
        f"{counted(progress.conversations, 'conversation')} with {counted(progress.messages, 'message')}: "
        f"{progress.messages - progress.new} known already, {progress.new} new, which {what}."
    )
    if not progress.hidden:
        return summary
    told = "the tickets would say so" if dry_run else "the tickets say so"
    return f"{summary}\nMeta no longer shows {progress.hidden} more, or more than that; {told}."
