"""What many threads share: one expensive reading, and the transfers of a host."""

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Generic, TypeVar

from clients.errors import Busy, RateLimited

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Reads for one thread at a time. Whoever asked before a reading began takes what that one found."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read, self._lock = read, Lock()
        self._found: tuple[float, T] | None = None

    def __call__(self) -> T:
        """Return what is there now, or was at some moment since this call began."""
        asked = time.monotonic()
        with self._lock:
            if self._found is None or self._found[0] < asked:
                began = time.monotonic()
                self._found = began, self._read()
            return self._found[1]


class Answers:
    """Answers that many threads need, each asked for once; what fails is asked again, but for a limit."""

    def __init__(self) -> None:
        self._lock, self._locks = Lock(), dict[Hashable, Lock]()
        self._known: dict[Hashable, Any] = {}

    def once(self, key: Hashable, ask: Callable[[], Any]) -> Any:
        """Return the answer to a question, and ask it if nobody has."""
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            if key not in self._known:
                try:
                    self._known[key] = ask()
                except RateLimited as error:
                    self._known[key] = error
            if isinstance(self._known[key], RateLimited):
                raise self._known[key]
            return self._known[key]


class TransferLimits:
    """How many of a process's threads may fetch files at once.

    One host takes a quarter of them, all hosts together take half: whatever they do, the rest relays on.
    """

    def __init__(self, threads: int) -> None:
        self._of_one, self._of_all = max(1, threads // 4), max(1, threads // 2)
        self._lock = Lock()
        self._running: Counter[str] = Counter()

    @contextmanager
    def of(self, host: str) -> Iterator[None]:
        """Hold a share of a host. Raises `Busy` at once if none is left."""
        with self._lock:
            if self._running[host] >= self._of_one or self._running.total() >= self._of_all:
                raise Busy("transfers_busy")
            self._running[host] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[host] -= 1
                if not self._running[host]:
                    del self._running[host]
