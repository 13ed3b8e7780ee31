"""Celery's way to the store: kombu's Redis transport, as the connector needs it."""

from contextlib import suppress
from typing import Any

import kombu
import redis
from celery.app.amqp import AMQP
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError

from tasks.store import NotingRetry, Outage, options, silences, without_secrets

_SOON = {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}
"""How long it is waited between attempts to connect, in seconds."""
_OPTIONS = _SOON | {
    # Nothing is written for a message that is taken: in a full store the worker would die of it.
    "ack_emulation": False,
    # A worker that waits for a message is answered each second. So much longer may an answer take.
    "health_check_interval": 1,
}
_Channel: Any = kombu_redis.Channel
_Transport: Any = kombu_redis.Transport
_PUSH = "#!lua flags=allow-oom\nreturn redis.call('LPUSH', KEYS[1], ARGV[1])"


outage = Outage("broker_url")
"""Logs when the broker is away; `tasks.celery` sets `key`, the setting that names the broker."""


def transport_options(key_prefix: str) -> dict[str, Any]:
    """Return the options of Celery's transport; every key begins with `key_prefix`."""
    return _OPTIONS | {"global_keyprefix": f"{key_prefix}mc:celery:"}


class Channel(_Channel):  # type: ignore[misc]
    """A channel over connections that redis-py makes from the address, as it does for the inbox."""

    # A wake-up that was not acknowledged when the broker went away is no loss. Returning it over the
    # connection that is closed fails, and ends the worker: each restart of the store would restart busy
    # workers (kombu 5.7).
    do_restore = False

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's own
        url = self.connection.client.hostname
        named: dict[str, Any] = redis.connection.parse_url(url)  # type: ignore[no-untyped-call]
        self.connection_class = named.pop("connection_class", redis.Connection)
        watched = super()._connparams(asynchronous)["connection_class"]
        once = NotingRetry(NoBackoff(), 1)  # as redis-py would try again, but that notes nothing
        return {"db": 0} | options(url) | named | {"connection_class": watched, "retry": once}

    def _get_pool(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's own
        pool = super()._get_pool(asynchronous)
        silences.include(pool)
        return pool

    def _on_connection_disconnect(self, connection: Any) -> None:
        """Note that the connection over which a worker waits for messages was given up."""
        is_waiting = self._in_poll is connection
        super()._on_connection_disconnect(connection)
        if is_waiting:
            silences.note()

    def _put(self, queue: str, message: Any, **how: Any) -> None:
        """Store a message, even in a full store: it is small, and leads to what frees memory."""
        try:
            super()._put(queue, message, **how)
        except redis.OutOfMemoryError:
            with self.conn_or_acquire() as client:
                client.register_script(_PUSH)(keys=[queue], args=[dumps(message)])

    def _queue_bind(self, *binding: Any) -> None:
        with suppress(redis.OutOfMemoryError):  # our queues are found without
            super()._queue_bind(*binding)


class Transport(_Transport):  # type: ignore[misc]
    """A transport that connects anew whatever the store answers: kombu would end the worker."""

    Channel = Channel
    can_parse_url = True  # by redis-py: kombu takes the database from elsewhere, and does not verify TLS
    connection_errors = (*_Transport.connection_errors, redis.RedisError)

    def establish_connection(self) -> Any:
        """Connect. Raises `redis.ReadOnlyError` where the address leads to a replica.

        It would say so only afterwards, and after five restarts within a second Celery logs a critical error.
        """
        connection = super().establish_connection()
        try:
            with suppress(NoPermissionError):
                self._avail_channels[-1].client.delete("trial")
        except redis.RedisError:
            self.close_connection(connection)
            raise
        return connection

    def on_readable(self, fileno: int) -> None:
        """Read what came over a connection. Raises `redis.RedisError`, and logs that."""
        try:
            super().on_readable(fileno)
        except redis.RedisError as error:
            outage.note(error)
            raise
        outage.note(None)

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:  # noqa: FBT001, FBT002
        """Return an address without its user, its password and its options, for logs."""
        return without_secrets(uri)


class _Connection(kombu.Connection):
    """A connection to the broker that is tried again soon; kombu waits up to 30 s, and longer each time."""

    def ensure_connection(self, errback: Any = None, *args: Any, **how: Any) -> Any:
        """Connect, soon again unless other waits are asked for."""
        return super().ensure_connection(lambda error, _: outage.note(error), *args, **_SOON | how)


class Broker(AMQP):
    """Celery's AMQP interface with our connection."""

    Connection = _Connection
