"""What each shortcut saves: the product beside itself without that one thing, CPU time compared.

One is there for something else, which is compared as well: how often the store is called.

Rounds are short and take turns, and the least that each took is compared: what else the machine does can only
add to it.
"""

import itertools
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil
import uvloop

from benchmarks.bench import Bench
from benchmarks.bodies import SENDERS
from benchmarks.feed import Feeder, Webhook, messages
from benchmarks.load import Load, prepared
from benchmarks.load import run as put_load
from benchmarks.processes import OTHER_CORE, SERVER_CORE, answers_at, cpu_time, pinned, server
from benchmarks.product import Product
from benchmarks.variants import WEB
from sandbox.stack import free_port

OURS = ""
"""The product with all its shortcuts, among its variants."""
WEB_ROUNDS, THROUGH_ROUNDS = 45, 20
CONNECTIONS, SECONDS = 32, 0.25
PREPARED = {1: 10_000, 100: 1_000}
"""Messages in a body -> how many bodies are sent at most in a round."""
BATCHED = ("reading page ids only", "types for plain items", "types for plain envelopes and items")
"""Shortcuts of the web process for messages, of which Meta sends many in a body at times."""
LONG = ("reading page ids only",)
"""The ones among them that save nothing in a short body."""
MESSAGES, WARM_UP = 500, 200


@dataclass(frozen=True, slots=True)
class Through:
    """A shortcut that messages on their way to the helpdesk are measured by.

    `part` is the process that does without it, `saves` are those whose CPU it saves. A body holds `batch`
    messages; each person sends `burst` in a row.
    """

    part: str
    saves: Sequence[str]
    batch: int = 100
    burst: int = 1


THROUGH = {
    "the step saved ahead": Through("worker", ["worker", "valkey"], burst=20),
    "connections of each request": Through("worker", ["worker"], burst=20),
    "what a call needs of the script": Through("worker", ["valkey"], burst=20),
}


STORE_CALLS = "calls to the store"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a shortcut is measured by, mostly CPU time: that of each round with it and without it."""

    name: str
    measure: str
    ours: Sequence[float]
    without: Sequence[float]
    unit: str = "µs"


def run(bench: Bench) -> None:
    """Run the suite."""
    bench.table = "CPU time, the least of all rounds"
    web = _web(bench, 1 if bench.quick else WEB_ROUNDS)
    through = _through(bench, 1 if bench.quick else THROUGH_ROUNDS)
    for one in [*web, *through]:
        ours, without = min(one.ours), min(one.without)
        case = f"{one.name}: {one.measure}"
        bench.figure(case, "with it", ours, one.unit)
        bench.figure(case, "without", without, one.unit)
        bench.figure(case, "saved", f"{1 - ours / without:.0%}")
        pairs = zip(one.ours, one.without, strict=True)
        bench.rounds(case, "saved in each round", [(1 - a / b) * 100 for a, b in pairs], "%")


def _web(bench: Bench, rounds: int) -> Iterator[Comparison]:
    """Compare webhooks of one message, and of many where that matters."""
    cpu = defaultdict[tuple[str, int], list[float]](list)
    with ExitStack() as opened, pinned(OTHER_CORE), Product(bench.folder / "web") as product:
        cases = {OURS: (product.door, product.start("web"))}
        names = [name for name in WEB if name not in THROUGH]
        cases |= {name: _variant(product, name, opened) for name in names[: 1 if bench.quick else None]}
        for number in range(rounds):
            bench.say(f"webhooks, round {number + 1} of {rounds}")
            for batch, count in PREPARED.items():
                requests = prepared(product.door, batch, SENDERS, count)
                for name, (url, process) in random.sample(list(cases.items()), len(cases)):
                    if name not in LONG if batch == 1 else name in {OURS, *BATCHED}:
                        cpu[name, batch].append(_webhook(url, process, requests))
                        product.store.flushall()
    for (name, batch), without in cpu.items():
        if name:
            what = "webhook" if batch == 1 else f"webhook of {batch} messages"
            yield Comparison(name, f"web, a {what}", cpu[OURS, batch], without)


def _webhook(url: str, process: psutil.Process, requests: Sequence[tuple[int, bytes]]) -> float:
    """Return the CPU time that a webhook takes (µs)."""
    load = Load(itertools.cycle(requests))
    before = cpu_time(process)
    uvloop.run(put_load(load, url, CONNECTIONS, SECONDS, warm_up=0))
    if set(load.statuses) != {200}:
        raise RuntimeError(f"webhooks were answered {dict(load.statuses)}")
    return (cpu_time(process) - before) / load.statuses[200] * 1e6


def _variant(product: Product, name: str, opened: ExitStack) -> tuple[str, psutil.Process]:
    port = free_port()
    running = server(
        [sys.executable, "-m", "benchmarks.variants", "web", name],
        product.folder / f"{name}.log",
        core=SERVER_CORE,
        environment=product.environment | {"CONNECTOR_PORT": str(port)},
        answers=answers_at(f"http://127.0.0.1:{port}/readyz"),
    )
    return product.door.replace(str(product.port), str(port)), opened.enter_context(running)


def _through(bench: Bench, rounds: int) -> Iterator[Comparison]:
    """Compare messages on their way to the helpdesk; each variant is an installation of its own."""
    cpu = defaultdict[tuple[str, str], list[Mapping[str, float]]](list)
    with ExitStack() as opened, pinned(OTHER_CORE):
        installed = {name: _installed(bench, name, opened) for name in (OURS, *THROUGH)}
        for number in range(rounds):
            bench.say(f"messages, round {number + 1} of {rounds}")
            for name, one in THROUGH.items():
                for which in (OURS, name):
                    product, feeder = installed[which]
                    webhooks = list(messages(MESSAGES, batch=one.batch, burst=one.burst))
                    cpu[which, name].append(_used(product, partial(_relayed, feeder, webhooks)))
    for name, one in THROUGH.items():
        both = [cpu[which, name] for which in (OURS, name)]
        what = "a message" if one.burst == 1 else f"a message of {one.burst} in a row"
        ours, without = ([sum(used[part] for part in one.saves) for used in each] for each in both)
        yield Comparison(name, f"{' and '.join(one.saves)}, {what}", ours, without)
        ours, without = ([used[STORE_CALLS] for used in each] for each in both)
        yield Comparison(name, f"{STORE_CALLS}, {what}", ours, without, unit="")


def _installed(bench: Bench, name: str, opened: ExitStack) -> tuple[Product, Feeder]:
    product = opened.enter_context(Product(bench.folder / f"through {name}"))
    product.start("stub", core=OTHER_CORE)
    for part in ("web", "worker"):
        product.start(part, without=name if name and THROUGH[name].part == part else "")
    feeder = Feeder(product)
    feeder.post(messages(WARM_UP))
    feeder.wait_for(WARM_UP)
    feeder.wait_until_quiet()
    return product, feeder


def _relayed(feeder: Feeder, webhooks: Sequence[Webhook]) -> None:
    feeder.reset()
    feeder.post(webhooks)
    feeder.wait_for(MESSAGES)
    feeder.wait_until_quiet()


def _used(product: Product, work: Callable[[], None]) -> dict[str, float]:
    """Return the CPU time that a message took of each process (µs), and how often it called the store."""
    before = {part: cpu_time(process) for part, process in product.processes.items()}
    called = _scripts_run(product)
    work()
    used = {
        part: (cpu_time(process) - before[part]) / MESSAGES * 1e6
        for part, process in product.processes.items()
    }
    return used | {STORE_CALLS: (_scripts_run(product) - called) / MESSAGES}


def _scripts_run(product: Product) -> int:
    """Return how often the inbox's script ran, in which every change of the store is made."""
    stats: Any = product.store.info("commandstats")
    return sum(one["calls"] for name, one in stats.items() if name in {"cmdstat_evalsha", "cmdstat_eval"})
