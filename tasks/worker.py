"""The Celery tasks: take a queue's lease, do its jobs one after the other, release it."""

import time

import redis
import structlog
from structlog.contextvars import clear_contextvars

from clients.errors import (
    LeaseLost,
    RejectedError,
    RetryableError,
)
from clients.notices import decode, notice
from clients.transport import guarded
from tasks import directions, outcomes, reports
from tasks.celery import ENOUGH, app, stopping, wake
from tasks.inbound import backfill
from tasks.inbox.job import Step
from tasks.inbox.personal import Personal
from tasks.inbox.queues import remote_of
from tasks.outbound import poll, reminders
from tasks.services import Services, services
from tasks.store import reason_of
from tasks.work import Work

log = structlog.get_logger(__name__)

CACHED = (
    Personal.OPEN_TICKET,
    Personal.UNNAMED,
    Personal.PROFILE,
    Personal.EARLY_EDIT,
    Personal.WROTE_AT,
)
"""What is cached of a person, and comes with the lease."""
SWEEP_SIZE = 500
TURN = 5.0
"""How long a busy queue is worked on before it is released, so that others get their turn (seconds)."""
UNEXPECTED_ATTEMPTS = 3
"""How often a job is tried in which our own code raises an unexpected error."""


@app.task(name="relay")
def relay() -> None:
    """Work on one queue after the other, as long as a turn lasts and there is work; others go on then."""
    service, turn_ends = services(), time.monotonic() + TURN
    while not stopping.is_set():
        try:
            if not work_on(service):
                return
        except redis.RedisError as error:
            log.warning("claim_failed", reason=reason_of(error))
            return
        except Exception:
            # Whatever it is, the other queues are not to wait; this one goes on when its lease has run out.
            log.exception("work_failed")
        if time.monotonic() > turn_ends:
            wake(1)
            return


@app.task(name="sweep")
def sweep() -> None:
    """Wake workers for what is due: put off, left by a worker that died, not woken, or a reminder."""
    service = services()
    try:
        wake(service.inbox.sweep(SWEEP_SIZE, ENOUGH))
        service.connections.refresh()
        reminders.queue_due(service)
        poll.note_start(service)
        backfill.queue_due(service)
        service.clocks.measure_own()
        service.clocks.measure("helpdesk", service.helpdesk.now())
        service.installation.keep()
        service.inbox.rewrite()
    except redis.RedisError as error:
        log.warning("sweep_failed", reason=reason_of(error))


def work_on(service: Services, queue: str = "") -> bool:
    """Take the queue whose turn it is, or a certain one, and do its jobs. Return whether there was one."""
    lease = service.inbox.claim(queue, CACHED)
    if lease is None:
        return False
    try:
        with service.renewer.renewed(lease), guarded(lease.check):
            _take_turn(Work(service, lease))
    except (LeaseLost, redis.RedisError) as error:
        # Whoever has the queue next finds in the inbox how far this got.
        log.warning("lease_lost", queue=lease.queue, id=lease.job.id, error=type(error).__name__)
    return True


def _take_turn(work: Work) -> None:
    turn_ends = time.monotonic() + TURN
    while relay_head(work):
        if stopping.is_set() or time.monotonic() > turn_ends:
            work.lease.release()
            return


def relay_head(work: Work) -> bool:
    """Do the job at the head. Return whether the lease goes on with a next one."""
    service, lease = work.service, work.lease
    service.connections.refresh(lease.connections_version)
    if failed := lease.step(Step.failed()):
        return outcomes.give_up(work, decode(failed))
    clear_contextvars()
    try:
        directions.of(work).relay(work)
    except (LeaseLost, redis.RedisError):
        raise
    except RetryableError as error:
        return outcomes.postpone(work, error)
    except RejectedError as error:
        return outcomes.give_up(work, error.notice)
    except OSError as error:  # no room on the disk, no more file handles: not the job's fault
        log.exception("relay_failed", queue=lease.queue, id=lease.job.id)
        reason = notice("machine_fault", detail=error.strerror or type(error).__name__)
        return outcomes.try_again(work, reason, attempts=service.settings.worker.attempts)
    except Exception as error:
        log.exception("relay_failed", queue=lease.queue, id=lease.job.id)
        reason = notice("internal_error", error=type(error).__name__)
        return outcomes.try_again(work, reason, attempts=UNEXPECTED_ATTEMPTS)
    log.info("relayed", queue=lease.queue, id=lease.job.id)
    remote = remote_of(lease.queue)
    is_back = lease.asks_account and service.remotes.works(remote)
    goes_on = lease.finish()
    if is_back:
        reports.request(service, remote)
    return goes_on
