"""Keeps the leases of this process alive while their queues are worked on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from tasks.inbox.lease import Lease


class Renewer:
    """One thread that renews the leases of this process; `interval` is how often, in seconds.

    `show_alive` is called each time, so that work which takes long is not taken for a worker that hangs.
    """

    def __init__(self, interval: float, show_alive: Callable[[], None]) -> None:
        self._interval, self._show_alive = interval, show_alive
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def renewed(self, lease: Lease) -> Iterator[None]:
        """Renew a lease until the block ends."""
        with self._lock:
            self._leases.add(lease)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._leases.discard(lease)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._interval):
            with self._lock:
                leases = list(self._leases)
            for lease in leases:
                self._renew(lease)
            if leases:
                self._show_alive()

    @staticmethod
    def _renew(lease: Lease) -> None:
        try:
            lease.renew()
        except redis.RedisError:
            # The lease runs out by itself if the store stays away.
            return
