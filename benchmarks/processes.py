"""Servers on free ports of 127.0.0.1, each on a core of its own, and what they use."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from sandbox.stack import NeverHappened, Process, until

_cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
SERVER_CORE = _cores[0] if _cores else None
"""Where the server runs that is measured; None where the system cannot pin."""
OTHER_CORE = _cores[-1] if _cores else None
"""Where everything else runs: the load and the store."""


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Run on one core meanwhile; processes that are started here stay there."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def server(
    command: Sequence[str],
    log: Path,
    *,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    answers: Callable[[], object] = lambda: True,
) -> Iterator[psutil.Process]:
    """Run a server until the end of the block; it begins once `answers` returns something true.

    Raises `NeverHappened` with the end of its log if it dies or does not answer in time.
    """
    with pinned(core):
        process = Process(command, log, environment or {})
    try:
        until_it(process, answers)
        yield psutil.Process(process.popen.pid)
    finally:
        process.stop()


def until_it(process: Process, answers: Callable[[], object], within: float = 60.0) -> None:
    """Wait until a process does something. Raises `NeverHappened` if it dies, or not in time."""

    def probe() -> object:
        if process.popen.poll() is not None:
            raise NeverHappened(f"{process.log.stem} runs; its log says:\n{process.log.read_text()[-2000:]}")
        return answers()

    until(f"{process.log.stem} answers", probe, within)


def answers_at(url: str) -> Callable[[], bool]:
    """Return a probe that tells whether an address answers a GET with anything below 500."""
    return lambda: httpx.get(url, trust_env=False).status_code < 500


def cpu_time(process: psutil.Process) -> float:
    """Return the CPU seconds that a process used: on Linux to the microsecond, and without its children."""
    if sys.platform != "linux":
        return usage(process).cpu
    # As clock_getcpuclockid(3) names the clock of a process; /proc tells whole hundredths only.
    return time.clock_gettime(~process.pid << 3 | 2)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its children used since they began: CPU seconds, and memory in bytes now (RSS)."""

    cpu: float
    memory: int


def usage(process: psutil.Process) -> Usage:
    """Look what a process and its children use."""
    family = [process, *process.children(recursive=True)]
    times = [one.cpu_times() for one in family]
    return Usage(sum(t.user + t.system for t in times), sum(one.memory_info().rss for one in family))
