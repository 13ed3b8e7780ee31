"""The Celery app. A message only wakes a worker: what has to be done, in which order, is in the inbox.

So a message may be lost, duplicated or late without harm, and everything that makes Celery keep messages safe
(acknowledgement, visibility timeout, results) is left out. `docs/design.md` says what was measured.
"""

import os
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import celery.beat
import redis
import structlog
from celery import Celery, signals
from celery.beat import SchedulingError
from kombu import Queue
from kombu.exceptions import OperationalError

from connector import logs
from connector.settings import get_settings
from tasks.broker import Broker, outage, transport_options

log = structlog.get_logger(__name__)

WAKE_UPS, SWEEPS = "wake-ups", "sweeps"
HEARTBEAT_VARIABLE = "CONNECTOR_HEARTBEAT"
SWEEP_EVERY = 1.0
"""How often the inbox is searched for queues that are due, in seconds."""
LOOK_FOR_CHECKS_EVERY = 10.0
"""How often it is looked which connections are to be checked, in seconds."""

LONG_AGO = timedelta(days=365)
ENOUGH = 64
"""How many wake-ups wait at most: each brings a worker that goes on for as long as there is work."""

FETCHES = 4
"""How many workers fetch what no webhook brought at the same time, at most: they wait more than they work."""

stopping = Event()
"""Set when the worker is asked to stop: a task then releases its queue after the job under way."""


def _configuration() -> dict[str, Any]:
    settings = get_settings()
    outage.key = settings.broker_key
    return {
        "broker_url": settings.celery_broker_url,
        "broker_transport": "tasks.broker:Transport",
        "broker_transport_options": transport_options(settings.key_prefix),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": 2,
        "task_publish_retry": False,
        # The sweep has a queue of its own: in a flood it would wait behind the wake-ups until it expires, and
        # only the sweep wakes a queue that was put off.
        "task_queues": [Queue(WAKE_UPS), Queue(SWEEPS)],
        "task_default_queue": WAKE_UPS,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "accept_content": ["json"],
        "include": ["tasks.worker", "tasks.checks", "tasks.inbound.backfill", "tasks.outbound.poll"],
        "worker_pool": settings.worker.pool,
        "worker_concurrency": settings.worker.concurrency,
        "worker_prefetch_multiplier": 1,
        # Nobody else on the store may stop a worker, and a full store has no room for its queues.
        "worker_enable_remote_control": False,
        # A call in flight may finish: cutting it off would only make its outcome unknown.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        # The schedule is one line long: nothing about it has to be remembered over a restart.
        "beat_scheduler": "tasks.celery:Scheduler",
        "beat_max_loop_interval": SWEEP_EVERY,
        "beat_schedule": _schedule(settings.helpdesk.poll_interval, settings.check_every * 60),
    }


def _schedule(poll_every: float, check_every: float) -> dict[str, Any]:
    every = {"sweep": SWEEP_EVERY, "poll": poll_every, "check": min(check_every, LOOK_FOR_CHECKS_EVERY)}
    entries: dict[str, Any] = {
        name: {"task": name, "schedule": seconds} for name, seconds in every.items() if seconds
    }
    for entry in entries.values():
        # Without `expires`: it would be set by one machine's clock and checked by another's.
        entry["options"] = {"queue": SWEEPS}
    return entries


app = Celery("connector", amqp=Broker)
app.add_defaults(_configuration)


class Scheduler(celery.beat.Scheduler):
    """Celery's scheduler, which sends nothing while its messages pile up because no worker runs."""

    def setup_schedule(self) -> None:
        """Have comments looked for at the start, too: what was written while nothing ran has waited."""
        super().setup_schedule()
        if poll := self.schedule.get("poll"):
            poll.last_run_at = poll.default_now() - LONG_AGO

    def apply_async(self, entry: Any, *args: Any, **options: Any) -> Any:
        """Send the message of an entry; one that cannot be sent is followed by the next."""
        try:
            if _waiting(SWEEPS) < len(self.schedule):
                return super().apply_async(entry, *args, **options)
        except SchedulingError as error:  # it wraps the other ones, and names no cause
            outage.note(_cause(error.__context__ or error))
        except (OperationalError, redis.RedisError, OSError) as error:
            outage.note(_cause(error))
        return None


def _waiting(queue: str) -> int:
    """Return how many messages wait in a queue."""
    with app.producer_pool.acquire(block=True) as producer:
        channel: Any = producer.channel
        return int(channel.client.llen(queue))


def wake(queues: int) -> int:
    """Wake workers for so many queues, unless enough wake-ups wait already. Return how many were sent.

    One that cannot be sent is no loss: the sweep sends another.
    """
    return _send("relay", queues)


def wake_fetchers(count: int) -> int:
    """Have so many workers fetch, unless enough messages wait already. Return how many were sent."""
    return _send("fetch", count)


def _send(task: str, count: int) -> int:
    sent = 0
    try:
        for _ in range(min(count, ENOUGH - _waiting(WAKE_UPS)) if count else 0):
            app.send_task(task)
            sent += 1
    except (OperationalError, redis.RedisError, OSError) as error:
        outage.note(_cause(error))
    return sent


def _cause(error: BaseException) -> BaseException:
    """Return what the store said, which kombu wraps."""
    return error.__cause__ or error


@signals.setup_logging.connect
def _configure_logs(**_: Any) -> None:
    settings = get_settings()
    logs.configure(os.environ.get("CONNECTOR_PART", "worker"), settings.log_level, settings.log_format)


@signals.worker_shutting_down.connect
def _stop(**_: Any) -> None:
    stopping.set()


@signals.task_prerun.connect
def touch_heartbeat(**_: Any) -> None:
    """Show the supervisor that this worker takes work, or is still working."""
    if path := os.environ.get(HEARTBEAT_VARIABLE):
        Path(path).touch()
