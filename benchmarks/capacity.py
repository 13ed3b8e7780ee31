"""Capacity: what ten, a thousand and a million messages a second take, from what the benchmarks measured.

`python -m benchmarks.capacity` reads what was measured last (`benchmarks/results/*.json`) and prints two
tables: how many of each part are needed, and, from a small simulation, how long a message then waits.
"""

import heapq
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from benchmarks.report import markdown, number

RESULTS = Path(__file__).parent / "results"
RATES = (10, 1_000, 1_000_000)
"""Messages a second, both ways together."""
REPLIES = 0.4
"""The share of them that are replies."""
CALL = 0.1
"""How long a call to the helpdesk or to Meta takes, in seconds."""
CALLS = {"in": 1.1, "out": 2.0}
"""Calls for a message: nearly all senders are known; a reply is sent, and then shown as sent."""
HANDS = 16
BUSY = 0.6
"""How busy a part may be on average, so that a rush does not queue up."""
MESSAGES_A_SENDER = 10
"""How many messages a day a person writes who writes at all."""
CORE, GIGABYTE = 20.0, 4.0
"""What a month costs, in dollars: a core, and a gigabyte of memory."""
CELL = 500.0
"""How many megabytes all processes of one installation need beside their workers."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a message takes: CPU seconds of each part, and bytes in the store while it is remembered."""

    web: float
    worker: Mapping[str, float]
    store: float
    mark: float
    sender: float
    worker_memory: float


def measured(folder: Path = RESULTS) -> Measured:
    """Read what was measured; of two runs the later one counts."""
    runs = sorted(
        (json.loads(path.read_text()) for path in folder.glob("*.json")), key=lambda run: str(run["began"])
    )
    figures = {(one["case"], one["measure"]): one["value"] for run in runs for one in run["figures"]}

    def cpu(case: str, part: str) -> float:
        return float(figures[case, f"CPU a message: {part}"]) / 1000

    cases = {"in": "in: known senders", "out": "out: a reply to each"}
    return Measured(
        web=max(cpu(case, "web") for case in cases.values()),
        worker={way: cpu(case, "worker") for way, case in cases.items()},
        store=max(cpu(case, "valkey") for case in cases.values()),
        mark=float(figures["a dedup mark", "takes of the store's memory"]),
        sender=float(figures["a known sender", "takes of the store's memory"]),
        worker_memory=float(figures["worker", "memory (10 pages)"]),
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """What a rate needs: installations, and in all of them web processes, workers, cores and gigabytes."""

    installations: int
    web: int
    workers: int
    cores: float
    memory: float
    bound: str

    @property
    def cost(self) -> float:
        """Return what a month costs, in dollars."""
        return self.cores * CORE + self.memory * GIGABYTE


def layout(rate: float, what: Measured) -> Layout:
    """Return what a rate of messages a second needs; one store serves one installation."""
    worker_cpu = what.worker["in"] * (1 - REPLIES) + what.worker["out"] * REPLIES
    calls = CALLS["in"] * (1 - REPLIES) + CALLS["out"] * REPLIES
    needs = {
        "the store's one core": rate * what.store / BUSY,
        "the workers' cores": rate * worker_cpu / BUSY,
        "the workers' threads": rate * calls * CALL / HANDS / BUSY,
    }
    installations = math.ceil(needs["the store's one core"])
    workers = max(
        installations, math.ceil(needs["the workers' cores"]), math.ceil(needs["the workers' threads"])
    )
    web = max(installations, math.ceil(rate * what.web / BUSY))
    cores = rate * (what.web + what.store + worker_cpu) / BUSY
    marks = rate * 7 * 86400 * what.mark + rate * (1 - REPLIES) * 86400 / MESSAGES_A_SENDER * what.sender
    memory = marks / 1e9 + (workers * what.worker_memory + installations * CELL) / 1000
    return Layout(installations, web, workers, cores, memory, max(needs, key=lambda need: needs[need]))


def waits(load: float, *, burst: int = 1, messages: int = 50_000, seed: int = 1) -> list[float]:
    """Simulate one worker whose hands are busy for a share of `load`.

    Return how long each message took from its arrival to the end of its call, in seconds. People write
    `burst` messages at once; a thread's messages are relayed one after the other, whatever hands are free.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    gap = burst * CALL / HANDS / load
    starts = itertools.accumulate(chance.expovariate(1 / gap) for _ in range(messages // burst))
    waiting = [(start, number, at, start) for at, start in enumerate(starts) for number in range(burst)]
    heapq.heapify(waiting)
    hands, done, found = [0.0] * HANDS, dict[int, float](), list[float]()
    while waiting:
        ready, number, thread, arrived = heapq.heappop(waiting)
        if done.get(thread, 0.0) > ready:  # the one before it is under way
            heapq.heappush(waiting, (done[thread], number, thread, arrived))
            continue
        done[thread] = max(heapq.heappop(hands), ready) + chance.expovariate(1 / CALL)
        heapq.heappush(hands, done[thread])
        found.append(done[thread] - arrived)
    return found


def layouts(what: Measured) -> Iterator[Sequence[str]]:
    """Yield the table of what each rate needs."""
    yield "messages a second", "installations", "web", "workers", "cores", "memory", "a month", "bound by"
    for rate in RATES:
        need = layout(rate, what)
        counts = (f"{count:,}" for count in (rate, need.installations, need.web, need.workers))
        yield (
            *counts,
            f"{number(need.cores)}",
            f"{number(need.memory)} GB",
            f"${number(need.cost)}",
            need.bound,
        )


def simulated() -> Iterator[Sequence[str]]:
    """Yield the table of how long a message takes."""
    yield "threads busy", "one message each: p50", "p99", "five at once each: p50", "p99"
    for load in (0.3, 0.6, 0.8, 0.95):
        cells = [f"{load:.0%}"]
        for burst in (1, 5):
            percentiles = quantiles(waits(load, burst=burst), n=100)
            cells += [f"{percentiles[49]:.2f} s", f"{percentiles[98]:.2f} s"]
        yield cells


def main() -> None:
    """Print both tables."""
    print(markdown(*layouts(measured())), markdown(*simulated()), sep="\n\n")


if __name__ == "__main__":
    main()
