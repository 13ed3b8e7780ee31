"""Connections to the store, and what is wrong with one that does not work, in plain words."""

import ssl
import time
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import redis
import redis.asyncio
import structlog
from redis.backoff import ExponentialBackoff
from redis.exceptions import ClusterError, MasterDownError
from redis.retry import Retry

log = structlog.get_logger(__name__)

REMIND_OF_OUTAGES_EVERY = 60.0
_MOVED = (redis.ReadOnlyError, MasterDownError)
"""What a server answers that is not the primary any more. The address leads to another by now, or soon."""
_FORMAT = "FORMAT "
"""What the inbox's script answers in a store of another format begins so."""
_IN_A_CLUSTER = "it is a node of a cluster; the connector needs a server that is not clustered"
_REASONS: Mapping[type[Exception], str] = {
    redis.AuthenticationError: "it does not accept the password or the user name; "
    "write them as redis://user:password@host",
    redis.ReadOnlyError: "it is a read-only replica; name the primary",
    MasterDownError: "it is a replica, and its primary is away; name the primary",
    ClusterError: _IN_A_CLUSTER,
    redis.BusyLoadingError: "it still reads its data",
    redis.TimeoutError: "it does not answer in time",
    TimeoutError: "it does not answer in time",
}
_REASONS_BY_WORDS = {
    "cluster node": _IN_A_CLUSTER,
    "UNBLOCKED": "it became a replica; name the primary, or an address that follows it",
}
"""What is wrong with a server whose answer redis-py has no type for."""


def options(url: str, timeout: float = 2.0) -> dict[str, Any]:
    """Return how connections are made, beside what their address says.

    A call ends within `timeout` (seconds), and a connection to a server that was the primary is not kept.
    """
    common = {"socket_timeout": timeout, "health_check_interval": 10, "retry_on_error": [*_MOVED]}
    if url.startswith("unix:"):
        return common
    return common | {"socket_connect_timeout": 1.5, "socket_keepalive": True}


class Silences:
    """Closes the idle connections of this process to stores once one was not answered: all may be silent.

    Each would take a timeout of its own, and after a failover work would go on only once several are over.
    """

    def __init__(self) -> None:
        self.count = 0
        self._pools: WeakSet[redis.ConnectionPool] = WeakSet()
        self._lock = RLock()  # whatever is collected while it is held may be a connection that notes

    def include(self, pool: redis.ConnectionPool) -> None:
        """Have the idle connections of a pool closed from now on."""
        with self._lock:
            self._pools.add(pool)

    def note(self) -> None:
        """Note that a connection was not answered in time."""
        with self._lock:
            self.count += 1
            pools = list(self._pools)
        for pool in pools:
            pool.disconnect(inuse_connections=False)


silences = Silences()


class NotingRetry(Retry):
    """Tries a call again, and notes that it was not answered."""

    def call_with_retry(self, do: Callable[[], Any], fail: Callable[..., Any], *args: Any, **how: Any) -> Any:
        """Call `do` until it works, and `fail` with each error."""

        def failed(error: Exception, *more: Any) -> None:
            fail(error, *more)
            if isinstance(error, redis.TimeoutError):
                silences.note()

        return super().call_with_retry(do, failed, *args, **how)


def connect(url: str, *, patient: bool = True) -> redis.Redis:
    """Connect to the store. A patient connection waits while the store restarts or moves."""
    retry = NotingRetry(ExponentialBackoff(cap=0.5, base=0.02), 8 if patient else 0)
    client = redis.Redis.from_url(url, retry=retry, **options(url))
    silences.include(client.connection_pool)
    return client


def connect_async(url: str) -> redis.asyncio.Redis:
    """Connect to the store from an event loop. The caller limits the time of a call."""
    retry = redis.asyncio.retry.Retry(ExponentialBackoff(cap=0.2, base=0.02), 2)
    return redis.asyncio.Redis.from_url(url, retry=retry, **options(url) | {"socket_timeout": None})


def without_secrets(url: str) -> str:
    """Return an address without its user, its password and its options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def has_untrusted_certificate(error: BaseException) -> bool:
    """Return whether a connection failed because the server's certificate is not trusted."""
    return isinstance(_system_error(error), ssl.SSLCertVerificationError)


def _system_error(error: BaseException) -> Any:
    return error.__cause__ or error.__context__


def is_of_another_format(error: BaseException) -> bool:
    """Return whether a store works, but holds what only another version can read."""
    return str(error).startswith(_FORMAT)


def _another_format(error: BaseException) -> str:
    found, ours = str(error).removeprefix(_FORMAT).split()[:2]
    return (
        f"it holds what another version of the connector wrote, in format {found}, and this version reads "
        f"format {ours}; let that version finish what waits and then delete its keys, or give this one a "
        "key_prefix, or a database, of its own"
    )


def reason_of(error: BaseException) -> str:
    """Say why the store does not work. No password is in it."""
    if is_of_another_format(error):
        return _another_format(error)
    if has_untrusted_certificate(error):
        return (
            f"its certificate is not trusted ({_system_error(error).verify_message}); "
            "name the authority that signed it: ?ssl_ca_certs=/path/to/ca.pem"
        )
    for type_, reason in _REASONS.items():
        if isinstance(error, type_):
            return reason
    for said, reason in _REASONS_BY_WORDS.items():
        if said in str(error):
            return reason
    if isinstance(error, redis.ConnectionError):
        return f"it cannot be reached: {str(error).rstrip('.')}"
    return str(error).partition(" script: on ")[0].rstrip(".")


class Outage:
    """Logs that the store is away, once a minute while it is, and when it is back.

    `key` is the setting that names the store.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._logged_at = -REMIND_OF_OUTAGES_EVERY
        self._is_away = False

    def note(self, error: BaseException | None) -> None:
        """Note that a call failed with `error`, or that one worked (None)."""
        if error is None:
            if self._is_away:
                log.info("store_back", setting=self.key)
            self._is_away = False
        elif time.monotonic() - self._logged_at >= REMIND_OF_OUTAGES_EVERY:
            self._logged_at, self._is_away = time.monotonic(), True
            log.error("store_away", setting=self.key, reason=reason_of(error))
