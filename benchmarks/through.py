"""Through: messages a second from the accepted webhook to the comment in the helpdesk, and the way back.

The yardstick is what the same Celery installation does with tasks that are nothing but one POST to the same
helpdesk: no order, no memory of what was done, lost when their worker dies. It is measured right before each
case that is judged by it: the pace of a machine that others use changes within seconds.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from benchmarks.bench import Bench
from benchmarks.feed import Feeder, Webhook, know, messages, replies
from benchmarks.plain_tasks import EMPTY, ONE_POST, PLAIN
from benchmarks.processes import OTHER_CORE, pinned, usage
from benchmarks.product import Product
from sandbox.stack import until

ROUNDS = 5
MESSAGES = 2000
WARM_UP = 200
BURST = 20
CONCURRENCY = 16
SLOW = {0.05: 3200, 0.2: 1600}
"""Seconds that a call takes -> how many messages are sent."""
JUDGED = 0.2
"""With quicker calls it is the processor that sets the limit, not the number of threads."""
RATE = "messages a second"
PAGES = 20
"""So many pages send the replies: what one may send in a second is no question of the connector's speed."""
YARDSTICKS = ("empty tasks", "one-POST tasks")
PARTS = ("worker", "web", "valkey")
WANTED = {"in: new senders": 0.5, "in: known senders": 1.0, f"in: bursts of {BURST}": 2.5}
"""Messages a second of a case as a share of one-POST tasks."""


def run(bench: Bench) -> None:
    """Measure all cases, one after the other in each round."""
    count, rounds = (100, 1) if bench.quick else (MESSAGES, ROUNDS)
    rates, ratios = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    cpu = defaultdict[tuple[str, str], list[float]](list)
    with pinned(OTHER_CORE), Product(bench.folder / "through", pages=PAGES) as product:
        feeder = _started(product)
        for number in range(rounds):
            for case, measure in _cases(product, feeder, count).items():
                bench.say(f"round {number + 1} of {rounds}: {case}")
                beside = _one_post_tasks(feeder, count) if case in WANTED else 0.0
                before = _used(product, case)
                rates[case].append(rate := measure())
                if beside:
                    ratios[case].append(rate / beside)
                for part, used in _used(product, case).items():
                    cpu[case, part].append((used - before[part]) / count * 1000)
    medians = {case: bench.rounds(case, RATE, values) for case, values in rates.items()}
    for (case, part), values in cpu.items():
        bench.rounds(case, f"CPU a message: {part}", values, "ms")
    yardstick = medians["one-POST tasks"]
    for case, rate in medians.items():
        if case not in WANTED:
            bench.figure(case, "ratio to one-POST tasks", rate / yardstick)
    for case, wanted in WANTED.items():
        ratio = bench.rounds(case, "ratio to one-POST tasks", ratios[case])
        bench.target(f"{case}, to one-POST tasks", f"≥ {wanted}", f"{ratio:.2f}", holds=ratio >= wanted)
    for delay, slow_count in ({0.05: 32} if bench.quick else SLOW).items():
        _slow(bench, delay, slow_count)


def _used(product: Product, case: str) -> dict[str, float]:
    """Return the CPU seconds that each part used so far; a yardstick has a worker of its own."""
    running = product.processes
    parts = {part: running[part] for part in PARTS}
    if case in YARDSTICKS:
        parts["worker"] = running["plain worker"]
    return {part: usage(process).cpu for part, process in parts.items()}


def _started(product: Product) -> Feeder:
    """Start everything, and let each thread of both workers open its connections."""
    product.start("stub", core=OTHER_CORE)
    product.start("web")
    product.start("worker")
    product.start("plain worker")
    feeder = Feeder(product)
    feeder.post(messages(WARM_UP))
    feeder.wait_for(WARM_UP)
    _one_post_tasks(feeder, WARM_UP)
    return feeder


def _cases(product: Product, feeder: Feeder, count: int) -> dict[str, Callable[[], float]]:
    """Return how messages a second are measured; each case knows the senders of the one before."""

    def through(webhooks: Iterable[Webhook], *, new: bool = False) -> Callable[[], float]:
        return lambda: _through(product, feeder, list(webhooks), count, new=new)

    return {
        "empty tasks": lambda: _empty_tasks(product, feeder, count),
        "one-POST tasks": lambda: _one_post_tasks(feeder, count),
        "in: new senders": through(messages(count), new=True),
        "in: known senders": through(messages(count)),
        f"in: bursts of {BURST}": through(messages(count, burst=BURST)),
        "out: a reply to each": through(replies(count, pages=PAGES)),
        f"out: bursts of {BURST}": through(replies(count, burst=BURST, first=count, pages=PAGES)),
    }


def _empty_tasks(product: Product, feeder: Feeder, count: int) -> float:
    began = feeder.send_tasks(EMPTY, count)
    until("the queue is empty", lambda: not product.waiting(PLAIN), 120)
    return count / (time.time() - began)


def _one_post_tasks(feeder: Feeder, count: int) -> float:
    feeder.reset()
    began = feeder.send_tasks(ONE_POST, count)
    return count / (feeder.wait_for(count) - began)


def _through(product: Product, feeder: Feeder, webhooks: list[Webhook], count: int, *, new: bool) -> float:
    if new:
        product.store.flushall()
    feeder.reset()
    began = feeder.post(webhooks)
    ended = feeder.wait_for(count)
    feeder.wait_until_quiet()
    if feeder.created() != count:
        raise RuntimeError(f"{count} messages made {feeder.created()} creates")
    return count / (ended - began)


def _slow(bench: Bench, delay: float, count: int) -> None:
    """Measure known senders with calls that take long: the threads wait, and nothing else may take time."""
    case = f"in: known senders, {delay * 1000:.0f} ms a call"
    bench.say(case)
    with pinned(OTHER_CORE), Product(bench.folder / case.replace(" ", "-"), delay=delay) as product:
        feeder = _started(product)
        product.store.flushall()
        know(product.store, count)
        rate = _through(product, feeder, list(messages(count)), count, new=False)
    share = rate / (CONCURRENCY / delay)
    bench.figure(case, RATE, rate)
    bench.figure(case, "ratio to what the threads allow", share)
    if delay == JUDGED:
        bench.target(f"{case}, to {CONCURRENCY} threads", "≥ 0.9", f"{share:.2f}", holds=share >= 0.9)
