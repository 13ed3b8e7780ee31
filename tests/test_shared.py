"""A dear reading that many threads share: few readings, and none that is older than the question."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from clients.shared import Shared
from sandbox.stack import until

WAITS = 10.0


def test_those_who_ask_while_it_is_read_share_the_next_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    readings, gate, moments = itertools.count(1), threading.Semaphore(0), list[float]()

    def clock() -> float:
        moments.append(time.monotonic())
        return moments[-1]

    def read() -> int:
        assert gate.acquire(timeout=WAITS)
        return next(readings)

    monkeypatch.setattr("clients.shared.time", SimpleNamespace(monotonic=clock))
    shared = Shared(read)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(shared)
        until("it is read", lambda: len(moments) == 2)
        others = [pool.submit(shared) for _ in range(9)]
        until("all have asked", lambda: len(moments) == 11)
        gate.release(2)
        assert (first.result(), {other.result() for other in others}) == (1, {2})


def test_what_was_read_before_is_read_again() -> None:
    readings = itertools.count(1)
    shared = Shared(lambda: next(readings))
    assert (shared(), shared()) == (1, 2)


def test_a_reading_that_fails_is_nobody_elses() -> None:
    outcomes = iter([OSError("away"), None])

    def read() -> str:
        if error := next(outcomes):
            raise error
        return "there"

    shared = Shared(read)
    with pytest.raises(OSError, match="away"):
        shared()
    assert shared() == "there"
