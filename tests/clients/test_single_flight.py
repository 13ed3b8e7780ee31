"""What threads share: one expensive reading, never older than the question; the transfers of hosts."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import pytest

from clients.errors import Busy
from clients.single_flight import SingleFlight, TransferLimits
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

    monkeypatch.setattr("clients.single_flight.time", SimpleNamespace(monotonic=clock))
    shared = SingleFlight(read)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(shared)
        until("it is read", lambda: len(moments) == 2)
        others = [pool.submit(shared) for _ in range(9)]
        until("all have asked", lambda: len(moments) == 11)
        gate.release(2)
        assert (first.result(), {other.result() for other in others}) == (1, {2})


def test_what_was_read_before_is_read_again() -> None:
    readings = itertools.count(1)
    shared = SingleFlight(lambda: next(readings))
    assert (shared(), shared()) == (1, 2)


def test_a_reading_that_fails_is_nobody_elses() -> None:
    outcomes = iter([OSError("away"), None])

    def read() -> str:
        if error := next(outcomes):
            raise error
        return "there"

    shared = SingleFlight(read)
    with pytest.raises(OSError, match="away"):
        shared()
    assert shared() == "there"


# --- The transfers of hosts. ------------------------------------------------------------------------------


def _taken(transfer_limits: TransferLimits, hosts: list[str]) -> list[str]:
    """Return which of these hosts get a share one after the other, while all keep theirs."""
    taken = []
    with ExitStack() as held:
        for host in hosts:
            with suppress(Busy):
                held.enter_context(transfer_limits.of(host))
                taken.append(host)
    return taken


@pytest.mark.parametrize(("threads", "transfer_limits"), [(1, 1), (2, 1), (4, 1), (8, 2), (16, 4), (64, 16)])
def test_a_host_takes_a_quarter_of_the_threads(threads: int, transfer_limits: int) -> None:
    assert _taken(TransferLimits(threads), ["a:80"] * threads) == ["a:80"] * transfer_limits


def test_all_hosts_together_take_half_of_the_threads() -> None:
    assert len(_taken(TransferLimits(16), [f"{number}:80" for number in range(16)])) == 8


def test_a_share_is_free_again_whatever_happened() -> None:
    transfer_limits = TransferLimits(4)
    for _ in range(10):
        with pytest.raises(OSError, match="broken"), transfer_limits.of("a:80"):
            raise OSError("broken")
    assert _taken(transfer_limits, ["a:80", "b:80"]) == ["a:80", "b:80"]


def test_another_host_is_not_kept_waiting() -> None:
    assert _taken(TransferLimits(8), ["a:80"] * 8 + ["b:80"]) == ["a:80", "a:80", "b:80"]
