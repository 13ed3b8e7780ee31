"""A dear reading that many threads share."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
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
