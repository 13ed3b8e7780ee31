"""Latency: how long one message takes on an idle system, from the webhook's first byte to the other side."""

import time
from collections.abc import Iterable
from statistics import quantiles

from benchmarks.bench import Bench
from benchmarks.feed import Feeder, Webhook, messages, replies
from benchmarks.processes import OTHER_CORE, pinned
from benchmarks.product import Product

SENT = 300
PAUSE = 0.05
"""How long the system is left alone before each message, in seconds."""
LIMIT = 25.0
"""How long it may take until a message is a ticket, in ms (p50)."""


def run(bench: Bench) -> None:
    """Send messages one by one, each when the one before is through."""
    count = 5 if bench.quick else SENT
    with pinned(OTHER_CORE), Product(bench.folder / "latency") as product:
        feeder = _started(product)
        cases = {
            "webhook to a new ticket": messages(count, batch=1),
            "webhook to a comment": messages(count, batch=1),
            "comment to the Send API": replies(count, first=1000),
        }
        for case, webhooks in cases.items():
            bench.say(case)
            p50 = _note(bench, case, _latencies(feeder, webhooks))
            if case == "webhook to a new ticket":
                bench.target(f"{case}, p50", f"≤ {LIMIT:.0f} ms", f"{p50:.1f} ms", holds=p50 <= LIMIT)


def _started(product: Product) -> Feeder:
    """Start everything, let each thread of the worker open its connections, then forget the senders."""
    product.start("stub", core=OTHER_CORE)
    for name in ("web", "worker", "beat"):
        product.start(name)
    feeder = Feeder(product)
    for webhooks in (messages(200), replies(200)):
        feeder.reset()
        feeder.post(webhooks)
        feeder.wait_for(200)
    feeder.wait_until_quiet()
    product.store.flushall()
    return feeder


def _latencies(feeder: Feeder, webhooks: Iterable[Webhook]) -> list[float]:
    """Return the latency of each webhook in ms."""
    found = []
    for webhook in webhooks:
        feeder.wait_until_quiet()
        feeder.reset()
        time.sleep(PAUSE)  # an idle system is what is measured
        sent = time.time()
        feeder.post([webhook])
        found.append((feeder.wait_for(1) - sent) * 1000)
    return found


def _note(bench: Bench, case: str, latencies: list[float]) -> float:
    percentiles = quantiles(latencies, n=100, method="inclusive")
    bench.figure(case, "p50", percentiles[49], "ms")
    bench.figure(case, "p99", percentiles[98], "ms")
    return percentiles[49]
