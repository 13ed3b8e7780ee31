"""The Celery app. A message is only a wake-up: what has to be done, and in which order, stands in the inbox.

So a message may be lost, doubled or late without harm, and everything that makes Celery keep messages safe
(late acknowledgement, visibility timeout, results) is left out. `docs/design.md` says what was measured.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import kombu
import redis
from celery import Celery, signals
from celery.app.amqp import AMQP
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel

from connector import logs
from connector.settings import get_settings

log = logs.get(__name__)

WAKE_UPS, SWEEPS = "connector", "connector-sweep"
HEARTBEAT_VARIABLE = "CONNECTOR_HEARTBEAT"
SWEEP_EVERY = 1.0
"""How often the inbox is searched for threads that are due, in seconds."""

WAKE_SIZE = 32
"""How many threads one wake-up names at most: a worker takes them one after the other."""

stopping = Event()
"""Set when the worker is told to stop: a task then lets go after the event it is at."""


def _configuration() -> dict[str, Any]:
    settings = get_settings()
    return {
        "broker_url": settings.celery_broker_url.replace("unix://", "redis+socket://", 1),
        "broker_transport_options": {
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": 2,
        "task_publish_retry": False,
        # The sweep has a queue of its own: in a flood it would wait behind the wake-ups until it expires, and
        # only the sweep wakes a thread that was put off.
        "task_queues": [Queue(WAKE_UPS), Queue(SWEEPS)],
        "task_default_queue": WAKE_UPS,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "accept_content": ["json"],
        "include": ["tasks.relay", "tasks.poll"],
        "worker_pool": settings.worker.pool,
        "worker_concurrency": settings.worker.concurrency,
        "worker_prefetch_multiplier": 1,
        # Remote control stays on: its connection is what notices a broker that went away (kombu 5.7).
        "worker_enable_remote_control": True,
        # A call in flight is let finish: cutting it off would only make its outcome unknown.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        # The schedule is one line long: nothing about it has to be remembered over a restart.
        "beat_scheduler": "celery.beat:Scheduler",
        "beat_max_loop_interval": SWEEP_EVERY,
        "beat_schedule": _schedule(settings.helpdesk.polls_every),
    }


def _schedule(poll_every: float) -> dict[str, Any]:
    sweep = {"task": "sweep", "schedule": SWEEP_EVERY}
    poll = {"task": "poll", "schedule": poll_every}
    entries = {"sweep": sweep, "poll": poll} if poll_every else {"sweep": sweep}
    for entry in entries.values():
        entry["options"] = {"queue": SWEEPS, "expires": 5 * SWEEP_EVERY}
    return entries


# A wake-up that was not acknowledged when the broker went away is no loss. Giving it back over the connection
# that is closed fails, and ends the worker: each restart of the store would restart busy workers (kombu 5.7).
Channel.do_restore = False


class _Connection(kombu.Connection):
    """A connection to the broker that is tried again soon; kombu waits up to 30 s, and longer each time."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Connect, with these waits between the attempts unless others are asked for."""
        soon = {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}
        return super().ensure_connection(*args, **soon | options)


class _Broker(AMQP):
    Connection = _Connection


app = Celery("connector", amqp=_Broker)
app.add_defaults(_configuration)


def wake(threads: Sequence[str]) -> int:
    """Send wake-ups: one for each thread, or one for several where there are more than the worker has hands.

    Return how many. One that cannot be sent is no loss: the sweep finds the thread again.
    """
    size = max(1, min(WAKE_SIZE, len(threads) // get_settings().worker.concurrency))
    starts = range(0, len(threads), size)
    try:
        for start in starts:
            app.send_task("relay", [list(threads[start : start + size])])
    except (OperationalError, redis.RedisError, OSError) as error:
        log.warning("wake_up_not_sent", error=type(error).__name__)
    return len(starts)


@signals.setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure(os.environ.get("CONNECTOR_PART", "worker"), get_settings().log_level)


@signals.worker_shutting_down.connect
def _let_go(**_: Any) -> None:
    stopping.set()


@signals.task_prerun.connect
def beat_the_heart(**_: Any) -> None:
    """Show the supervisor that this worker takes work, or is still at it."""
    if path := os.environ.get(HEARTBEAT_VARIABLE):
        Path(path).touch()
