"""What becomes of a job that failed: it waits, is tried again, or becomes a dead letter.

`postpone`, `try_again` and `give_up` return whether the lease goes on with a next job.
"""

import random

import redis
import structlog

from clients.errors import (
    Busy,
    ClientError,
    GivesWay,
    LeaseLost,
    NotConnected,
    OutcomeUnknown,
    Paused,
    RateLimited,
    RetryableError,
    ServiceDown,
    Unauthorized,
)
from clients.notices import Notice, encode, is_known
from tasks import directions, reports
from tasks.inbox.job import Step
from tasks.inbox.lease import Lease
from tasks.outbound.jobs import UnknownJob
from tasks.remotes import LONGEST, SHORTEST
from tasks.services import Services
from tasks.work import Work

log = structlog.get_logger(__name__)

BUSY_DELAY = 1.0
"""How long a job waits that is not told when it is its turn (seconds)."""
JITTER = 0.5
"""Which part of a backoff is left to chance, so that what failed together does not come back together."""
UNKNOWN_DELAY = 30.0
"""How long a job that this version does not know waits until another process may take it (seconds)."""


def postpone(work: Work, error: RetryableError) -> bool:
    """Put the head off: until its remote is back, which burns no attempt, or by a backoff, which does."""
    lease = work.lease
    if isinstance(error, UnknownJob):
        return _wait_for_another_version(lease, error)
    if isinstance(error, GivesWay):
        return lease.give_way()
    if isinstance(error, Paused):
        lease.wait(error.remote, encode(error.notice))
        return False
    if isinstance(error, OutcomeUnknown | Busy):
        delay = _told(error) or (SHORTEST if isinstance(error, OutcomeUnknown) else BUSY_DELAY)
        lease.retry_later(delay, encode(error.notice), counts=False)
        return False
    if error.remote and _is_outage(work.service, error):
        return _pause(work, error)
    attempts = work.service.settings.worker.attempts
    return try_again(work, error.notice, attempts=attempts, least=_told(error))


def try_again(work: Work, reason: Notice, *, attempts: int, least: float = 0) -> bool:
    """Put the head off by a backoff of at least so many seconds, or give it up after so many attempts."""
    lease = work.lease
    if lease.attempts + 1 >= attempts:
        return give_up(work, reason)
    longest = backoff(lease.attempts, work.service.settings.worker.retry_max)
    delay = max(least, longest * random.uniform(1 - JITTER, 1))  # noqa: S311 - no secret
    log.warning("put_off", queue=lease.queue, id=lease.job.id, seconds=round(delay, 1), reason=str(reason))
    lease.retry_later(delay, encode(reason), counts=True)
    return False


def backoff(attempts: int, longest: float) -> float:
    """Return how many seconds a job waits at most that failed so many times before, and now once more."""
    return min(longest, 2.0**attempts)


def give_up(work: Work, reason: Notice) -> bool:
    """Notify the agent, then move the job to the dead letters and go on with the next."""
    lease = work.lease
    lease.save_step(Step.failed(), encode(reason))
    try:
        directions.of(work).notify(work, reason)
    except UnknownJob as error:
        return _wait_for_another_version(lease, error)
    except (LeaseLost, redis.RedisError):
        raise
    except ClientError as error:
        if isinstance(error, RetryableError) and error.remote and _is_outage(work.service, error):
            return _pause(work, error)
        log.warning("agent_not_notified", queue=lease.queue, id=lease.job.id, reason=str(error))
    except Exception:
        log.exception("agent_not_notified", queue=lease.queue, id=lease.job.id)
    log.error("dead_letter", queue=lease.queue, id=lease.job.id, reason=str(reason))
    return lease.move_to_dead_letters(encode(reason), reason.code if is_known(reason) else "other")


def _wait_for_another_version(lease: Lease, error: UnknownJob) -> bool:
    """Leave a job to a process that knows it, such as a newer one during an upgrade, for however long."""
    log.error("not_understood", queue=lease.queue, id=lease.job.id, reason=str(error), waits=UNKNOWN_DELAY)
    lease.retry_later(UNKNOWN_DELAY, encode(error.notice), counts=False)
    return False


def _pause(work: Work, error: RetryableError) -> bool:
    work.service.remotes.pause(error)
    work.lease.wait(error.remote, encode(error.notice))
    reports.request(work.service, error.remote)
    return False


def _is_outage(service: Services, error: RetryableError) -> bool:
    """Return whether a remote is down, or only this job fails: then the remote answers a ping."""
    of_account = error.remote != "helpdesk"
    if isinstance(error, RateLimited | ServiceDown | NotConnected) or (
        of_account and isinstance(error, Unauthorized)
    ):
        return True
    return not service.is_up(error.remote)


def _told(error: RetryableError) -> float:
    """Return how long the remote asks to wait (seconds): no longer than it would be paused for."""
    return min(error.retry_after or 0, LONGEST)
