"""The Celery app. A message only wakes a worker: what has to be done, in which order, stands in the inbox.

So a message may be lost, doubled or late without harm, and everything that makes Celery keep messages safe
(acknowledgement, visibility timeout, results) is left out. `docs/design.md` says what was measured.
"""

import os
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import celery.beat
import kombu
import redis
from celery import Celery, signals
from celery.app.amqp import AMQP
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.transport import redis as transport
from kombu.utils.json import dumps

from connector import logs
from connector.settings import get_settings

log = logs.get(__name__)

WAKE_UPS, SWEEPS = "connector", "connector-sweep"
HEARTBEAT_VARIABLE = "CONNECTOR_HEARTBEAT"
SWEEP_EVERY = 1.0
"""How often the inbox is searched for threads that are due, in seconds."""

ENOUGH = 64
"""How many wake-ups wait at most: each brings a worker that goes on for as long as there is work."""

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
            # Nothing is written for a message that is taken: in a full store the worker would die of it.
            "ack_emulation": False,
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
        # Nobody else on the store may tell a worker to stop, and a full store has no room for its queues.
        "worker_enable_remote_control": False,
        # A call in flight is let finish: cutting it off would only make its outcome unknown.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        # The schedule is one line long: nothing about it has to be remembered over a restart.
        "beat_scheduler": "tasks.celery:Scheduler",
        "beat_max_loop_interval": SWEEP_EVERY,
        "beat_schedule": _schedule(settings.helpdesk.polls_every),
    }


def _schedule(poll_every: float) -> dict[str, Any]:
    sweep = {"task": "sweep", "schedule": SWEEP_EVERY}
    poll = {"task": "poll", "schedule": poll_every}
    entries = {"sweep": sweep, "poll": poll} if poll_every else {"sweep": sweep}
    for entry in entries.values():
        # Without `expires`: that would be told by one machine's clock and held to by another's.
        entry["options"] = {"queue": SWEEPS}
    return entries


_PUSH = "#!lua flags=allow-oom\nreturn redis.call('LPUSH', KEYS[1], ARGV[1])"
_Channel: Any = transport.Channel
_put, _queue_bind = _Channel._put, _Channel._queue_bind  # noqa: SLF001 - kombu has no public way


def _put_even_if_full(channel: Any, queue: str, message: Any, **options: Any) -> None:
    try:
        _put(channel, queue, message, **options)
    except redis.OutOfMemoryError:
        with channel.conn_or_acquire() as client:
            client.register_script(_PUSH)(keys=[queue], args=[dumps(message)])


def _bind_if_there_is_room(channel: Any, *binding: Any) -> None:
    with suppress(redis.OutOfMemoryError):  # our queues are found without
        _queue_bind(channel, *binding)


# A wake-up that was not acknowledged when the broker went away is no loss. Giving it back over the connection
# that is closed fails, and ends the worker: each restart of the store would restart busy workers (kombu 5.7).
_Channel.do_restore = False
# A wake-up is small, and what it leads to frees memory: a store that is full takes it all the same.
_Channel._put, _Channel._queue_bind = _put_even_if_full, _bind_if_there_is_room  # noqa: SLF001


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


class Scheduler(celery.beat.Scheduler):
    """Beat, which sends nothing more while what it sent before is not taken: no worker runs."""

    def apply_async(self, entry: Any, *args: Any, **options: Any) -> Any:
        """Send the message of an entry."""
        if _waiting(SWEEPS) < len(self.schedule):
            return super().apply_async(entry, *args, **options)
        return None


def _waiting(queue: str) -> int:
    """Return how many messages wait in a queue."""
    with app.producer_pool.acquire(block=True) as producer:
        channel: Any = producer.channel
        return int(channel.client.llen(queue))


def wake(threads: int) -> int:
    """Wake workers for so many threads, unless enough wake-ups wait already. Return how many were sent.

    One that cannot be sent is no loss: the sweep sends another.
    """
    sent = 0
    try:
        for _ in range(min(threads, ENOUGH - _waiting(WAKE_UPS)) if threads else 0):
            app.send_task("relay")
            sent += 1
    except (OperationalError, redis.RedisError, OSError) as error:
        log.warning("wake_up_not_sent", error=type(error).__name__)
    return sent


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
