"""Failures on demand: a worker that dies, a remote that answers with an error."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis

from clients.errors import ClientError, RejectedError, ServiceDown, Unavailable


class Crash(BaseException):
    """The worker dies."""


class Fuse:
    """Lets the worker of this thread die before the n-th call to the outside or to the store."""

    def __init__(self) -> None:
        self._left: int | None = None
        self._thread = threading.get_ident()

    def arm(self, steps: int) -> None:
        """Let `steps` more steps pass."""
        self._left = steps

    def disarm(self) -> None:
        """Let all steps pass."""
        self._left = None

    def burn(self) -> None:
        """Take a step."""
        if self._left is None or threading.get_ident() != self._thread:
            return
        self._left -= 1
        if self._left < 0:
            self.disarm()
            raise Crash


class FusedStore(redis.Redis):
    """A store whose calls burn the fuse, and fail a few times if that was wanted."""

    fuse: Fuse
    failures = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Burn the fuse, then do it."""
        self.fuse.burn()
        if self.failures:
            self.failures -= 1
            raise redis.ConnectionError
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis leaves it so


class Outside:
    """One remote: notes what it is asked, and fails where it was told to."""

    remote = ""

    def __init__(self, fuse: Fuse) -> None:
        self.calls: list[str] = []
        self.hooks: dict[str, Callable[[], object]] = {}
        self._fuse = fuse
        self._faults: defaultdict[str, list[tuple[Exception | None, bool]]] = defaultdict(list)

    def fail(self, name: str, *errors: Exception | None, after: bool = False) -> None:
        """Let the next calls of a name fail, each with its error; with `after` they work all the same."""
        self._faults[name] += [(error, after) for error in errors]

    @contextmanager
    def called(self, name: str) -> Iterator[None]:
        """Note a call, and let it fail if that was wanted."""
        self._fuse.burn()
        self.calls.append(name)
        self.hooks.get(name, lambda: None)()
        faults = self._faults[name]
        error, after = faults.pop(0) if faults else (None, False)
        if isinstance(error, ClientError):
            error.remote = self.remote
        if error and not after:
            raise error
        yield
        if error:
            raise error

    def count(self, name: str) -> int:
        """Return how often a call was made."""
        return self.calls.count(name)


def fault() -> Unavailable:
    """Return what a 500 becomes."""
    return Unavailable("it answered 500")


def too_long() -> list[Exception]:
    """Return what a refused message meets: it is tried once more, without names."""
    return [RejectedError("it is too long"), RejectedError("it is too long")]


def away() -> ServiceDown:
    """Return what a 503 becomes, or an address where something else answers."""
    return ServiceDown("it is down")
