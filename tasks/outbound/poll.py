"""Finding the agents' comments whose webhook was lost: the helpdesk is asked for what was written since."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import redis
import structlog

from clients.errors import ClientError
from tasks.celery import app, wake
from tasks.outbound.jobs import is_public_reply, reply_job
from tasks.services import Services, services
from tasks.store import reason_of

log = structlog.get_logger(__name__)

OVERLAP = timedelta(minutes=10)
"""How far back each poll looks beyond the one before: what came by webhook as well is known by its key."""
SETTLED = timedelta(seconds=10)
"""How old a comment is before polling takes it: a helpdesk may store its files after it, and send it last."""
FARTHEST_BACK = timedelta(days=6)
"""How far back a poll looks at most; after seven days it is forgotten which comments were sent."""


@app.task(name="poll")
def poll() -> None:
    """Look for lost comments."""
    take_turn(services())


def note_start(service: Services) -> None:
    """Note when the connector first ran with polling: what agents wrote since then has to be sent."""
    if service.settings.helpdesk.poll_interval:
        with suppress(redis.OutOfMemoryError):  # the sweep has to go on, and comes again
            service.inbox.put("poll_start", str(service.inbox.now()), only_new=True)


def take_turn(service: Services) -> None:
    """Queue the comments that were written since the last poll, unless another worker just does."""
    turn = service.settings.helpdesk.poll_interval * 0.9
    try:
        if service.inbox.put("poll", "1", turn, only_new=True):
            service.helpdesk.ping()  # its answer has the helpdesk's time
            _queue_since(service, _last_poll(service))
    except ClientError as error:
        log.warning("poll_failed", reason=str(error))
    except redis.RedisError as error:
        log.warning("poll_failed", reason=reason_of(error))


def _queue_since(service: Services, since: datetime) -> None:
    began = _now(service)
    young = began - SETTLED
    jobs = []
    try:
        for reply in service.helpdesk.poll(since):
            if reply.time < young and is_public_reply(reply):
                jobs.append(reply_job(reply))  # noqa: PERF401 - what was found before an error is kept
    finally:
        if jobs:
            wake(service.inbox.accept(jobs))
    service.inbox.put("polled", str(began.timestamp()))


def _now(service: Services) -> datetime:
    """Return the helpdesk's time, as what is compared with it is the times of its comments."""
    return service.helpdesk.now() or datetime.fromtimestamp(service.inbox.now(), UTC)


def _last_poll(service: Services) -> datetime:
    """Return since when comments are looked for. What was there before the start is not sent."""
    now, last = _now(service), service.inbox.get("polled")
    if last is None:
        started = service.inbox.get("poll_start")
        age = service.inbox.now() - float(started) if started else 0.0
        since = max(now - timedelta(seconds=age), now - FARTHEST_BACK)
        service.inbox.put("poll_from", str(since.timestamp()))
        return since
    first = service.inbox.get("poll_from") or b"0"
    since = max(datetime.fromtimestamp(float(last), UTC) - OVERLAP, datetime.fromtimestamp(float(first), UTC))
    if since < now - FARTHEST_BACK:
        log.warning(
            "replies_may_be_missing",
            written_after=since.isoformat(),
            written_before=(now - FARTHEST_BACK).isoformat(),
        )
    return max(since, now - FARTHEST_BACK)
