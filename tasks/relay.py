"""The Celery tasks: take a thread's lease, relay its events one after the other, let go."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
from structlog.contextvars import clear_contextvars

from clients.errors import (
    Away,
    Busy,
    ClientError,
    NotConnected,
    Paused,
    RateLimited,
    RejectedError,
    RetryableError,
    Stale,
    Unauthorized,
    Undecided,
)
from clients.http import guarded
from connector import logs
from tasks import inbound, outbound, poll, profiles
from tasks.accept import UnknownJob, side_of
from tasks.celery import ENOUGH, app, stopping, wake
from tasks.lease import Lease, lane_of
from tasks.renewer import renewed
from tasks.services import Services, services
from tasks.sides import LONGEST, SHORTEST

log = logs.get(__name__)

CACHED = (inbound.LINK, inbound.UNNAMED, profiles.CACHE)
"""What is cached of a person, and comes with the lease."""
SWEEP_SIZE = 500
TURN = 5.0
"""How long a busy thread is worked on before it lets go, so that others get their turn (seconds)."""
BUSY_DELAY = 1.0
"""How long an event waits for a file host that serves as many others as it may (seconds)."""
UNKNOWN_DELAY = 30.0
"""How long an event waits that this version does not know, until another process may take it (seconds)."""
UNEXPECTED_ATTEMPTS = 3
"""How often an event is tried that our own code stumbles over."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of thread: how its events are relayed, and how the agent is told of one that cannot be."""

    relay: Callable[[Services, Lease], None]
    tell: Callable[[Services, Lease, str], None]


LANES = {
    "in": Lane(inbound.relay, inbound.tell),
    "out": Lane(outbound.relay, outbound.tell),
    "ticket": Lane(outbound.find_person, outbound.tell),
}


@app.task(name="relay")
def relay() -> None:
    """Work on one thread after the other, as long as a turn lasts and there is work; others go on then."""
    service, turn_ends = services(), time.monotonic() + TURN
    while not stopping.is_set():
        try:
            if not work_on(service):
                return
        except redis.RedisError as error:
            log.warning("nothing_taken", error=type(error).__name__)
            return
        except Exception:
            # Whatever it is, the other threads are not to wait; this one goes on when its lease has run out.
            log.exception("not_worked_on")
        if time.monotonic() > turn_ends:
            wake(1)
            return


@app.task(name="sweep")
def sweep() -> None:
    """Wake workers for what is due: what was put off, whose worker died, or whose wake-up was lost."""
    service = services()
    wake(service.inbox.sweep(SWEEP_SIZE, ENOUGH))
    poll.note_start(service)
    service.clocks.measure_own()
    service.clocks.measure("helpdesk", service.helpdesk.now())
    service.installation.keep()


def work_on(service: Services, thread: str = "") -> bool:
    """Take a thread, or a certain one, and relay what it holds. Return whether there was one to take."""
    lease = service.inbox.claim(thread, CACHED)
    if lease is None:
        return False
    try:
        with renewed(lease, service.settings.worker.lease), guarded(lease.check):
            _take_turn(service, lease)
    except (Stale, redis.RedisError) as error:
        # Whoever has the thread next finds in the inbox how far this got.
        log.warning("lease_lost", thread=lease.thread, id=lease.event.id, error=type(error).__name__)
    return True


def _take_turn(service: Services, lease: Lease) -> None:
    turn_ends = time.monotonic() + TURN
    while relay_head(service, lease):
        if stopping.is_set() or time.monotonic() > turn_ends:
            lease.release()
            return


def relay_head(service: Services, lease: Lease) -> bool:
    """Relay the event at the head. Return whether the lease goes on with a next one."""
    if reason := lease.step("failed"):
        return _give_up(service, lease, reason)
    clear_contextvars()
    try:
        _lane(lease).relay(service, lease)
    except (Stale, redis.RedisError):
        raise
    except RetryableError as error:
        return _postpone(service, lease, error)
    except RejectedError as error:
        return _give_up(service, lease, str(error))
    except OSError as error:  # no room on the disk, no more file handles: not the event's fault
        log.exception("relay_failed", thread=lease.thread, id=lease.event.id)
        reason = f"the connector's machine has a fault ({error.strerror or type(error).__name__})"
        return _try_again(service, lease, reason, attempts=service.settings.worker.attempts)
    except Exception as error:
        log.exception("relay_failed", thread=lease.thread, id=lease.event.id)
        reason = f"the connector stumbled over it ({type(error).__name__}); its log has the details"
        return _try_again(service, lease, reason, attempts=UNEXPECTED_ATTEMPTS)
    log.info("relayed", thread=lease.thread, id=lease.event.id)
    if lease.asks_page:
        service.sides.works(side_of(lease.thread))
    return lease.finish()


def _lane(lease: Lease) -> Lane:
    """Return what is done with a thread's events. Raises `UnknownJob`."""
    try:
        return LANES[lane_of(lease.thread)]
    except KeyError:
        raise UnknownJob(f"this version knows no queue of the kind “{lane_of(lease.thread)}”") from None


def _wait_for_another_version(lease: Lease, error: UnknownJob) -> bool:
    """Leave an event to a process that knows it, such as a newer one during an upgrade, for however long."""
    log.error(
        "not_understood", thread=lease.thread, id=lease.event.id, reason=str(error), waits=UNKNOWN_DELAY
    )
    lease.later(UNKNOWN_DELAY, str(error), counts=False)
    return False


def _postpone(service: Services, lease: Lease, error: RetryableError) -> bool:
    """Put the head off: until its side is back, which burns no attempt, or by a backoff, which does."""
    if isinstance(error, UnknownJob):
        return _wait_for_another_version(lease, error)
    if isinstance(error, Paused):
        lease.wait(error.side, str(error))
        return False
    if isinstance(error, Undecided | Busy):
        delay = _told(error) or (SHORTEST if isinstance(error, Undecided) else BUSY_DELAY)
        lease.later(delay, str(error), counts=False)
        return False
    if error.side and _is_outage(service, error):
        return _pause(service, lease, error)
    attempts = service.settings.worker.attempts
    return _try_again(service, lease, str(error), attempts=attempts, least=_told(error))


def _told(error: RetryableError) -> float:
    """Return how long the other side asks to wait (seconds): no longer than it would be paused for."""
    return min(error.retry_after or 0, LONGEST)


def _pause(service: Services, lease: Lease, error: RetryableError) -> bool:
    service.sides.pause(error)
    lease.wait(error.side, str(error))
    return False


def _is_outage(service: Services, error: RetryableError) -> bool:
    """Tell whether a side is down, or only this event fails: then the side answers when it is asked."""
    page = error.side.removeprefix("page:") if error.side.startswith("page:") else None
    if isinstance(error, RateLimited | Away | NotConnected) or (page and isinstance(error, Unauthorized)):
        return True
    try:
        if page:
            service.messenger(service.connection(page)).ping()
        else:
            service.helpdesk.ping()
    except Stale:
        raise
    except RetryableError:
        return True
    except RejectedError:
        pass
    return False


def _try_again(service: Services, lease: Lease, reason: str, *, attempts: int, least: float = 0) -> bool:
    burnt = lease.attempts + 1
    if burnt >= attempts:
        return _give_up(service, lease, f"{reason} (tried {burnt} times)")
    backoff = min(service.settings.worker.retry_max, 2.0**lease.attempts)
    delay = max(least, backoff * random.uniform(0.5, 1))  # noqa: S311 - only jitter
    log.warning("put_off", thread=lease.thread, id=lease.event.id, seconds=round(delay, 1), reason=reason)
    lease.later(delay, reason, counts=True)
    return False


def _give_up(service: Services, lease: Lease, reason: str) -> bool:
    """Tell the agent, then move the event to the dead letters and go on with the next."""
    lease.record("failed", reason)
    try:
        _lane(lease).tell(service, lease, reason)
    except UnknownJob as error:
        return _wait_for_another_version(lease, error)
    except (Stale, redis.RedisError):
        raise
    except ClientError as error:
        if isinstance(error, RetryableError) and error.side and _is_outage(service, error):
            return _pause(service, lease, error)
        log.warning("agent_not_told", thread=lease.thread, id=lease.event.id, reason=str(error))
    except Exception:
        log.exception("agent_not_told", thread=lease.thread, id=lease.event.id)
    log.error("dead_letter", thread=lease.thread, id=lease.event.id, reason=reason)
    return lease.bury(reason)
