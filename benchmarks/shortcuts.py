"""What each shortcut saves: the product beside itself without that one thing, CPU time compared.

Rounds are short and take turns, and the least that each took is compared: what else the machine does can only
add to it.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.acknowledgement import Case, Scene, load
from benchmarks.bench import Bench
from benchmarks.feed import Feeder, Webhook, messages
from benchmarks.processes import OTHER_CORE, SERVER_CORE, answers_at, pinned, server, usage
from benchmarks.product import Product
from benchmarks.variants import WEB
from sandbox.stack import free_port

OURS = ""
"""The product with all its shortcuts, among its variants."""
ROUNDS = 25
ONE, MANY = Scene(seconds=0.5), Scene(batch=100, seconds=0.5)
BATCHED = ("types for plain items", "types for plain envelopes and items")
"""Shortcuts of the web process for messages, of which Meta sends many in a body at times."""
MESSAGES, WARM_UP, BURST = 400, 200, 20
THROUGH = {
    "a pace for wake-ups": ("web", 1, ("web",)),
    "calls past httpx's client": ("worker", 1, ("worker",)),
    "the step saved ahead": ("worker", BURST, ("worker", "valkey")),
}
"""Other shortcuts: the process they are in, how many messages each person sends, and whose CPU they save."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a shortcut is measured by: the CPU time (µs) of each round with it and without it."""

    name: str
    measure: str
    ours: Sequence[float]
    without: Sequence[float]


def run(bench: Bench) -> None:
    """Run the suite."""
    rounds = 1 if bench.quick else ROUNDS
    bench.table = "CPU time, at its least"
    for one in [*_web(bench, rounds), *_through(bench, rounds)]:
        ours, without = min(one.ours), min(one.without)
        case = f"{one.name}: {one.measure}"
        bench.figure(case, "with it", ours, "µs")
        bench.figure(case, "without", without, "µs")
        bench.figure(case, "saved", f"{1 - ours / without:.0%}")
        pairs = zip(one.ours, one.without, strict=True)
        bench.rounds(case, "saved in each round", [(1 - a / b) * 100 for a, b in pairs], "%")


def _web(bench: Bench, rounds: int) -> Iterator[Comparison]:
    """Compare webhooks."""
    cpu = defaultdict[tuple[str, Scene], list[float]](list)
    with ExitStack() as opened, Product(bench.folder / "web") as product:
        cases = [Case(OURS, "", product.door, product.start("web"), keeps=True)]
        cases += [_variant(product, name, opened) for name in WEB if name not in THROUGH]
        for number in range(rounds):
            bench.say(f"webhooks, round {number + 1} of {rounds}")
            for scene in (ONE, MANY):
                for case in cases:
                    if scene == ONE or case.name in {OURS, *BATCHED}:
                        result = load(product.store, case, scene)
                        if not result["kept"] or set(result["statuses"]) != {"200"}:
                            raise RuntimeError(f"without {case.name}: {result}")
                        cpu[case.name, scene].append(result["cpu"])
    for (name, scene), without in cpu.items():
        if name:
            what = "webhook" if scene == ONE else f"webhook of {scene.batch} messages"
            yield Comparison(name, f"web, a {what}", cpu[OURS, scene], without)


def _variant(product: Product, name: str, opened: ExitStack) -> Case:
    port = free_port()
    running = server(
        [sys.executable, "-m", "benchmarks.variants", "web", name],
        product.folder / f"{name}.log",
        core=SERVER_CORE,
        environment=product.environment | {"CONNECTOR_PORT": str(port)},
        answers=answers_at(f"http://127.0.0.1:{port}/readyz"),
    )
    url = product.door.replace(str(product.port), str(port))
    return Case(name, "", url, opened.enter_context(running), keeps=True)


def _through(bench: Bench, rounds: int) -> Iterator[Comparison]:
    """Compare messages on their way to the helpdesk; each variant is an installation of its own."""
    cpu = defaultdict[tuple[str, int], list[Mapping[str, float]]](list)
    with ExitStack() as opened, pinned(OTHER_CORE):
        installed = {name: _installed(bench, name, opened) for name in (OURS, *THROUGH)}
        bursts = {OURS: {burst for _, burst, _ in THROUGH.values()}}
        bursts |= {name: {burst} for name, (_, burst, _) in THROUGH.items()}
        for number in range(rounds):
            bench.say(f"messages, round {number + 1} of {rounds}")
            for name, (product, feeder) in installed.items():
                for burst in bursts[name]:
                    webhooks = list(messages(MESSAGES, burst=burst))
                    cpu[name, burst].append(_used(product, lambda: _relayed(feeder, webhooks)))  # noqa: B023
    for name, (_, burst, parts) in THROUGH.items():
        ours, without = (
            [sum(one[part] for part in parts) for one in cpu[which, burst]] for which in (OURS, name)
        )
        what = "a message" if burst == 1 else f"a message of {burst} in a row"
        yield Comparison(name, f"{' and '.join(parts)}, {what}", ours, without)


def _installed(bench: Bench, name: str, opened: ExitStack) -> tuple[Product, Feeder]:
    product = opened.enter_context(Product(bench.folder / f"through {name}"))
    product.start("stub", core=OTHER_CORE)
    for part in ("web", "worker"):
        product.start(part, without=name if name and THROUGH[name][0] == part else "")
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
    """Return the CPU time that a message took of each process (µs)."""
    before = {part: usage(process).cpu for part, process in product.processes.items()}
    work()
    return {
        part: (usage(process).cpu - before[part]) / MESSAGES * 1e6
        for part, process in product.processes.items()
    }
