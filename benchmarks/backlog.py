"""Backlog: what waiting costs while a side is away, and how long others wait while the backlog drains.

First the helpdesk is away while many people write. When it is back, people who never wrote before do so, too:
they are not to wait behind yesterday. Then a page among the crowd of another, beside one that is slow, and
beside one whose token is refused.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles

import httpx

from benchmarks.bench import Bench
from benchmarks.bodies import PAGE_ID, SECRET, Bodies
from benchmarks.feed import IN, Feeder, Webhook, messages, replies
from benchmarks.processes import OTHER_CORE, pinned, usage
from benchmarks.product import Product
from sandbox.meta.webhooks import signed_headers
from sandbox.stack import NeverHappened, until
from tasks.celery import SWEEPS, WAKE_UPS

TOKEN = "benchmarks"
PAGE_A, PAGE_B = PAGE_ID, str(int(PAGE_ID) + 1)
NEWCOMERS_EVERY = 0.25
"""How often somebody writes who never did before, in seconds."""
OUTSTANDING = 500
"""How many messages are on their way at most while the steady rate is measured."""
WAITERS = ("worker", "beat", "valkey")
FEW = 10
"""How many claims may be remembered while waiting is measured: each try of a side is one, for a lease."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How many messages a second get through, and the CPU time of worker and store for each (ms)."""

    rate: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many events of how many people wait, and for how long waiting is watched (seconds).

    Before that the store forgets who had claimed what was in hand, which takes a `lease` (seconds).
    """

    events: int = 100_000
    people: int = 50_000
    steady: int = 10_000
    crowd: int = 10_000
    slow_replies: int = 100
    slow: float = 5.0
    lease: float = 15.0
    watched: float = 20.0
    probes: int = 20


QUICK = Sizes(
    events=400,
    people=200,
    steady=200,
    crowd=200,
    slow_replies=20,
    slow=1.0,
    lease=1.0,
    watched=2.0,
    probes=3,
)
_first_people = itertools.count(1_000_000, 1_000_000)


def run(bench: Bench) -> None:
    """Run the suite."""
    sizes = QUICK if bench.quick else Sizes()
    settings = {"metrics_token": TOKEN, "worker": {"lease": sizes.lease}}
    with (
        pinned(OTHER_CORE),
        Product(bench.folder / "backlog", pages=2, settings=settings) as product,
    ):
        feeder = _started(product)
        before = _steady(bench, product, feeder, sizes)
        drain = _outage(bench, product, feeder, sizes)
        _compare(bench, drain, [before, _steady(bench, product, feeder, sizes)])
        for case in (_sent_replies, _crowd, _slow_page, _refused_page):
            feeder.have()
            feeder.wait_until_quiet()
            bench.say(case.__name__.strip("_").replace("_", " "))
            case(bench, product, feeder, sizes)


def _started(product: Product) -> Feeder:
    product.start("stub", core=OTHER_CORE)
    for name in ("web", "worker", "beat"):
        product.start(name)
    # Its rewrite would count as what waiting writes.
    product.store.config_set("auto-aof-rewrite-percentage", 0)
    feeder = Feeder(product)
    feeder.post(messages(200))
    feeder.wait_for(200)
    return feeder


def written(count: int, people: int, *, page_id: str = PAGE_A) -> Iterator[Webhook]:
    """Yield Meta's webhooks of `count` messages of new people in turn, a hundred in a body."""
    bodies = Bodies(min(100, count), people, page_id=page_id, first_sender=next(_first_people))
    for _ in range(count // bodies.batch):
        body, _mids = bodies.one()
        yield IN, body, signed_headers(body, SECRET)


def _steady(bench: Bench, product: Product, feeder: Feeder, sizes: Sizes) -> Speed:
    """Measure how many messages a second get through while none has to wait for long."""
    bench.say("the steady rate")
    feeder.wait_until_quiet()
    feeder.reset()
    began, cpu, sent = time.time(), _cpu(product), 0
    for webhook in written(sizes.steady, sizes.steady // 2):
        feeder.post([webhook])
        sent += min(100, sizes.steady)
        feeder.wait_for(max(1, sent - OUTSTANDING))
    seconds = feeder.wait_for(sizes.steady) - began
    return Speed(sizes.steady / seconds, (_cpu(product) - cpu) * 1000 / sizes.steady)


# --- The helpdesk is away, then it is back. -------------------------------------------------------------


def _outage(bench: Bench, product: Product, feeder: Feeder, sizes: Sizes) -> Speed:
    """Let very much wait for the helpdesk. Measure how many messages a second get through when it is back."""
    case = f"{sizes.events:,} events of {sizes.people:,} people"
    bench.table = "an outage of the helpdesk"
    bench.say(case)
    feeder.wait_until_quiet()
    feeder.reset()
    feeder.have(away=True)
    began = feeder.post(written(sizes.events, sizes.people))
    _waiting(bench, product, case, sizes)
    _age(bench, product, case, time.time() - began)
    bench.say("the helpdesk is back")
    feeder.have()
    back, cpu = time.time(), _cpu(product)
    newcomers, wake_ups = _newcomers(product, feeder, sizes.events)
    feeder.wait_until_quiet()
    cpu = _cpu(product) - cpu
    creates = feeder.creates()
    waits = [creates.get(mid, float("inf")) - at for mid, at in newcomers.items()]
    bench.figure(case, "newcomers", len(waits))
    p50, p99 = _percentiles(bench, case, waits)
    bench.target(
        "a newcomer's message on a ticket while it drains, p50", "≤ 5 s", f"{p50:.2f} s", holds=p50 <= 5
    )
    bench.target("… p99", "≤ 15 s", f"{p99:.2f} s", holds=p99 <= 15)
    bench.figure(case, "wake-ups that waited at most", wake_ups)
    faults = abs(feeder.created() - len(creates)) + abs(len(creates) - sizes.events - len(newcomers))
    bench.target("all events are done once", "0 faults", str(faults), holds=not faults)
    seconds = max(at for mid, at in creates.items() if mid not in newcomers) - back
    return Speed(sizes.events / seconds, cpu * 1000 / len(creates))


def _newcomers(product: Product, feeder: Feeder, events: int) -> tuple[dict[str, float], int]:
    """Have newcomers write until all is done. Return when each was accepted, and the most wake-ups."""
    accepted: dict[str, float] = {}
    wake_ups, ends = 0, time.monotonic() + 1800
    while feeder.created() < events + len(accepted):
        mid, at = _message(feeder)
        accepted[mid] = at
        wake_ups = max(wake_ups, product.waiting(WAKE_UPS) + product.waiting(SWEEPS))
        time.sleep(NEWCOMERS_EVERY)  # how often somebody writes
        if time.monotonic() > ends:
            raise NeverHappened("the backlog is done")
    return accepted, wake_ups


def _message(feeder: Feeder, page_id: str = PAGE_A) -> tuple[str, float]:
    """Have a new person write. Return the mid, and when it was accepted."""
    body, (mid,) = Bodies(senders=1, page_id=page_id, first_sender=next(_first_people)).one()
    return mid, feeder.post([(IN, body, signed_headers(body, SECRET))])


def _compare(bench: Bench, drain: Speed, steady: Sequence[Speed]) -> None:
    """Compare the drain with the steady rate before and after it: a machine is not always as quick."""
    bench.table = "messages a second"
    for case, speeds in {"drain": [drain], "steady, before and after": steady}.items():
        rate = bench.rounds(case, "rate", [one.rate for one in speeds])
        cpu = bench.rounds(case, "CPU a message", [one.cpu for one in speeds], "ms")
    ratio, why = drain.rate / rate, f"{drain.cpu:.2f} ms of CPU for each message, not {cpu:.2f}"
    bench.target("the drain, of the steady rate", "≥ 0.9", f"{ratio:.2f}", holds=ratio >= 0.9, why=why)


def _age(bench: Bench, product: Product, case: str, truth: float) -> None:
    """Compare the metric with the age of the event that was accepted first."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    text = httpx.get(f"{product.url}/metrics", headers=headers, trust_env=False).text
    told = next(
        float(line.split()[1]) for line in text.splitlines() if line.startswith("connector_oldest_seconds ")
    )
    bench.figure(case, "oldest event, by the metric", told, "s")
    bench.target(
        "connector_oldest_seconds, off by", "≤ 1 s", f"{told - truth:+.2f} s", holds=abs(told - truth) <= 1
    )


# --- What waiting costs. --------------------------------------------------------------------------------


def _waiting(bench: Bench, product: Product, case: str, sizes: Sizes) -> None:
    """Note what the parts that wait use, and what they write."""
    # The end of each would be measured, too.
    until("the claims before it have expired", lambda: _claims(product) < FEW, 120)
    cpu, size, began = _cpu(product), _written(product), time.monotonic()
    time.sleep(sizes.watched)  # what happens in this time is what is measured
    seconds = time.monotonic() - began
    share, rate = (_cpu(product) - cpu) / seconds, (_written(product) - size) / seconds
    bench.figure(case, "threads that wait", product.store.zcard("mc:oldest"))
    bench.figure(case, "CPU while waiting", 100 * share, "% of a core")
    bench.figure(case, "written while waiting", rate / 1000, "kB/s")
    bench.target(f"waiting ({case}): CPU of a core", "≤ 5 %", f"{share:.1%}", holds=share <= 0.05)
    bench.target(
        f"waiting ({case}): to the AOF", "≤ 10 kB/s", f"{rate / 1000:.1f} kB/s", holds=rate <= 10_000
    )


def _claims(product: Product) -> int:
    """Count the claims that the store remembers. It drops one that has expired when it is looked at."""
    return sum(1 for _ in product.store.scan_iter("mc:taken:*", count=10_000))


def _cpu(product: Product) -> float:
    return sum(usage(product.processes[name]).cpu for name in WAITERS)


def _written(product: Product) -> int:
    return int(product.store.info("persistence")["aof_current_size"])


# --- A page beside another one. -------------------------------------------------------------------------


def _crowd(bench: Bench, product: Product, feeder: Feeder, sizes: Sizes) -> None:
    """Have people write to page A while very many write to page B."""
    bench.table, case = "a page beside another one", f"{sizes.crowd:,} people write to the other"
    feeder.reset()
    feeder.post(written(sizes.crowd, sizes.crowd, page_id=PAGE_B))
    _probe(bench, feeder, case, sizes.probes, _message)


def _slow_page(bench: Bench, product: Product, feeder: Feeder, sizes: Sizes) -> None:
    """Have an agent of page A reply while the calls of page B take seconds."""
    case = f"the other's calls take {sizes.slow:.0f} s"
    feeder.reset()
    feeder.have(slow={PAGE_B: sizes.slow})
    feeder.post(replies(sizes.slow_replies, first=next(_first_people), page_id=PAGE_B))
    _probe(bench, feeder, case, 3, _reply)


def _refused_page(bench: Bench, product: Product, feeder: Feeder, sizes: Sizes) -> None:
    """Have an agent of page A reply while very many replies of page B wait for its token."""
    case = f"{sizes.crowd:,} replies of the other wait for its token"
    feeder.reset()
    feeder.have(refused=[PAGE_B])
    feeder.post(replies(sizes.crowd, first=next(_first_people), page_id=PAGE_B))
    _waiting(bench, product, case, sizes)
    _probe(bench, feeder, case, sizes.probes, _reply)
    if not bench.quick:  # it is asked every half minute
        feeder.have()
        mended = time.time()
        bench.figure(case, "all sent after it was mended", _all_sent(feeder, sizes) - mended, "s")


def _sent_replies(bench: Bench, product: Product, feeder: Feeder, sizes: Sizes) -> None:
    """Have replies sent while the helpdesk is away, which has to be told that they were."""
    bench.table, case = "an outage of the helpdesk", f"{sizes.crowd:,} replies"
    feeder.reset()
    feeder.have(away=True)
    feeder.post(replies(sizes.crowd, first=next(_first_people)))
    feeder.wait_for(sizes.crowd, within=300)
    _waiting(bench, product, case, sizes)
    feeder.have()
    back = time.time()
    feeder.wait_until_quiet()
    bench.figure(case, "all done after it was back", time.time() - back, "s")


def _all_sent(feeder: Feeder, sizes: Sizes) -> float:
    """Wait until the replies of both pages are sent. Return when the last one was."""
    return feeder.wait_for(sizes.crowd + sizes.probes, within=300)


def _reply(feeder: Feeder) -> tuple[str, float]:
    """Have an agent of page A reply. Return the part's mark, and when the reply was accepted."""
    number = next(_first_people)
    return f"connector:{number}:0", feeder.post(replies(1, first=number))


def _probe(
    bench: Bench, feeder: Feeder, case: str, probes: int, post: Callable[[Feeder], tuple[str, float]]
) -> None:
    """Post a few, one after the other, and note how long each took."""
    waits = [_arrival(feeder, *post(feeder)) for _ in range(probes)]
    p50, p99 = _percentiles(bench, case, waits)
    bench.target(f"the page's own while {case}, p50", "≤ 5 s", f"{p50:.2f} s", holds=p50 <= 5)
    bench.target("… p99", "≤ 15 s", f"{p99:.2f} s", holds=p99 <= 15)


def _arrival(feeder: Feeder, id_: str, accepted: float, within: float = 120.0) -> float:
    """Wait until something stands on the other side. Return how long it took."""
    return until(f"{id_} arrives", lambda: feeder.created_at(id_), within) - accepted


def _percentiles(bench: Bench, case: str, waits: Sequence[float]) -> tuple[float, float]:
    percentiles = quantiles(waits, n=100, method="inclusive")
    bench.figure(case, "p50", percentiles[49], "s")
    bench.figure(case, "p99", percentiles[98], "s")
    return percentiles[49], percentiles[98]
