"""What one message costs as the installation grows, how much each thing weighs, and how long processes start.

Messages come one at a time: the next is posted when the one before stands in the helpdesk. So each costs the
same steps (accept, wake, lease, relay, finish), and only the size around it differs.
"""

import itertools
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import cast

import httpx
import redis

from benchmarks.bench import Bench
from benchmarks.bodies import PAGE_ID, SECRET, Bodies, psid
from benchmarks.processes import OTHER_CORE, Usage, pinned, usage
from benchmarks.product import Product
from sandbox.meta.webhooks import signed_headers
from sandbox.stack import NeverHappened, until
from tasks.celery import SWEEPS

FLAT = 1.15
PARTS = ("web", "worker", "valkey")
FEW_PAGES, MANY_PAGES = 10, 10_000
SEEN_WITHIN = 1.0
"""How long a change of a connection may take until it is seen, in seconds."""

# Writes copies of a key under the names of other senders (ARGV[3] is the first psid), or of other marks.
_COPY = """
for i = ARGV[4], ARGV[5] do
  local name = ARGV[3] == '' and string.sub(redis.sha1hex(i), 1, 32) or string.format('%.0f', ARGV[3] + i)
  redis.call('SET', KEYS[1] .. name, ARGV[1], 'PX', ARGV[2])
end
"""
AT_ONCE = 10_000
POLLS_EVERY = 0.003


@dataclass(frozen=True, slots=True)
class Size:
    """How much the store holds beside the work: senders that are known, and dedup marks."""

    name: str
    senders: int
    marks: int = 0


SIZES = (
    Size("1 known sender", 1),
    Size("1,000 known senders", 1_000),
    Size("100,000 known senders", 100_000),
    Size("1,000 known senders, 1,000,000 dedup marks", 1_000, 1_000_000),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a message cost: CPU time of each part, and the time from its post to the helpdesk, in ms."""

    cpu: dict[str, float]
    wall: float

    @property
    def total(self) -> float:
        """Return the CPU time of all parts."""
        return sum(self.cpu.values())


def run(bench: Bench) -> None:
    """Run the suite."""
    with ExitStack() as opened:
        small = opened.enter_context(Product(bench.folder / "few", pages=FEW_PAGES))
        products = {f"{FEW_PAGES} pages": small}
        _start(bench, small, f"{FEW_PAGES} pages")
        if not bench.quick:
            large = opened.enter_context(Product(bench.folder / "many", pages=MANY_PAGES))
            products[f"{MANY_PAGES:,} pages"] = large
            _start(bench, large, f"{MANY_PAGES:,} pages")
        added = FEW_PAGES if bench.quick else MANY_PAGES
        name = f"{added:,} pages added at run time"
        products[name] = opened.enter_context(Product(bench.folder / "added", pages=0, added=added))
        _start(bench, products[name], name)
        _changes(bench, products[name], name)
        _store_sizes(bench, small)
        _page_counts(bench, products)


def _start(bench: Bench, product: Product, name: str) -> None:
    """Start all, and note how long each takes until it is of use, and what it weighs then."""
    bench.table = "start-up and memory"
    bench.say(f"starting with {name}")
    product.start("stub", core=OTHER_CORE)

    def beat() -> None:
        product.start("beat")
        until("a sweep was sent", lambda: product.waiting(SWEEPS))

    def worker() -> None:
        _post(product, Bodies(senders=1).one()[0])
        product.start("worker")
        until("an event was relayed", lambda: _created(product))

    starts = {"web": lambda: product.start("web"), "beat": beat, "worker": worker}
    seconds = {part: _timed(start) for part, start in starts.items()}
    if not bench.quick:
        _prefork_memory(bench, product, name)
    for part in ("web", "worker", "beat", "valkey"):
        if part in seconds:
            bench.figure(part, f"starts within ({name})", seconds[part], "s")
        bench.figure(part, f"memory ({name})", usage(product.processes[part]).memory / 2**20, "MiB")


def _prefork_memory(bench: Bench, product: Product, name: str) -> None:
    """Look what a worker's main process and a child weigh with the pool `prefork`."""
    settings = {"CONNECTOR_WORKER__POOL": "prefork", "CONNECTOR_WORKER__CONCURRENCY": "1"}
    main = product.start("prefork", "-n", "prefork@%h", core=OTHER_CORE, environment=settings)
    child = until("a child process runs", lambda: next(iter(main.children()), None))
    bodies = Bodies()

    def works() -> bool:
        _post(product, bodies.one()[0])
        return bool(child.net_connections())

    until("the child relays, so that it has its clients", works)
    for part, process in (("worker (prefork): main", main), ("worker (prefork): each child", child)):
        bench.figure(part, f"memory ({name})", process.memory_info().rss / 2**20, "MiB")
    for process in (main, child):  # it has nothing in hand, and is not to share the work from here on
        process.kill()


def _changes(bench: Bench, product: Product, name: str) -> None:
    """Change a connection, and see after how long the web process answers by it."""
    seconds = [_seen_after(product, f"changed-{number}") for number in range(3 if bench.quick else 20)]
    bench.table = "a connection changes"
    bench.rounds(name, "seen by the web process within", seconds, "s")
    most = max(seconds)
    bench.target(
        f"a change of one of {name}, until the web process answers by it",
        f"≤ {SEEN_WITHIN:g} s",
        f"{statistics.median(seconds):.2f} s, {most:.2f} s at most",
        holds=most <= SEEN_WITHIN,
    )


def _seen_after(product: Product, verify_token: str) -> float:
    query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": verify_token}
    with httpx.Client(trust_env=False) as http:

        def is_seen() -> bool:
            return http.get(product.door, params=query).is_success

        product.change_last_page(verify_token)
        return _timed(lambda: until("the change is seen", is_seen))


def _timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def _post(product: Product, body: bytes) -> None:
    httpx.post(
        product.door, content=body, headers=signed_headers(body, SECRET), trust_env=False
    ).raise_for_status()


def _created(product: Product) -> int:
    count = httpx.get(f"{product.stub}/count", trust_env=False).json()
    return int(count["tickets"] + count["comments"])


def _store_sizes(bench: Bench, product: Product) -> None:
    """Measure a message at each size of the store, in turn and again."""
    sizes, rounds, messages = (SIZES[:1], 1, 20) if bench.quick else (SIZES, 4, 150)
    # Until then there are keys of what is under way.
    until("the inbox is empty", lambda: not product.store.exists("mc:oldest"), 30)
    kept = _kept(product.store)
    costs: dict[str, list[Cost]] = {size.name: [] for size in sizes}
    weights: dict[str, float] = {}
    for number, size in itertools.product(range(rounds), sizes):
        product.store.flushall()
        weights |= _fill(product.store, kept, size)
        known = random.choices(range(size.senders), k=messages)  # noqa: S311 - not a secret
        costs[size.name].append(cost := _cost(product, PAGE_ID, known))
        bench.say(f"round {number + 1}, {size.name}: {cost.total:.2f} ms of CPU, {cost.wall:.1f} ms")
    bench.table = "what the store holds"
    for thing, weight in weights.items():
        bench.figure(thing, "takes of the store's memory", weight, "bytes")
    _tell(bench, costs)
    for before, after in ((0, 1), (1, 2), (1, 3)):
        if after < len(sizes):
            _flat(bench, costs, sizes[before].name, sizes[after].name)


@dataclass(frozen=True, slots=True)
class KeptValue:
    """A key that the connector itself wrote, to be copied: `prefix` is the first part of its name."""

    thing: str
    prefix: str
    value: bytes
    ttl: int


def _fill(store: redis.Redis, kept: Sequence[KeptValue], size: Size) -> dict[str, float]:
    """Bring the store to a size. Return how many bytes each thing takes, where there are enough to tell."""
    weights = {}
    for thing, count in (("a known sender", size.senders), ("a dedup mark", size.marks)):
        grown = sum(_copies(store, one, count) for one in kept if one.thing == thing)
        if count >= AT_ONCE:
            weights[thing] = grown / count
    return weights


def _kept(store: redis.Redis) -> list[KeptValue]:
    """Look what the connector keeps of a sender, and of a message that was relayed."""
    patterns = {f"mc:*:{PAGE_ID}:{psid(0)}": "a known sender", "mc:seen:*": "a dedup mark"}
    found = []
    for pattern, thing in patterns.items():
        keys = sorted(cast("list[bytes]", store.keys(pattern)))
        for key in keys if thing == "a known sender" else keys[:1]:
            prefix = key.decode().rpartition(":")[0] + ":"
            found.append(KeptValue(thing, prefix, cast("bytes", store.get(key)), store.pttl(key)))
    return found


def _copies(store: redis.Redis, kept: KeptValue, count: int) -> int:
    """Write copies of a key. Return by how many bytes the store has grown."""
    before, copy = store.info("memory")["used_memory"], store.register_script(_COPY)
    first = psid(0) if kept.thing == "a known sender" else ""
    for start in range(0, count, AT_ONCE):
        end = min(start + AT_ONCE, count) - 1
        copy(keys=[kept.prefix], args=[kept.value, kept.ttl, first, start, end])
    return int(store.info("memory")["used_memory"] - before)


def _page_counts(bench: Bench, products: dict[str, Product]) -> None:
    """Measure a message with few and with many connected pages, those of the settings and added ones."""
    costs: dict[str, list[Cost]] = {name: [] for name in products}
    rounds, messages = (1, 20) if bench.quick else (4, 150)
    for number, (name, product) in itertools.product(range(rounds), products.items()):
        costs[name].append(cost := _cost(product, product.last_page, [0] * messages))
        bench.say(f"round {number + 1}, {name}: {cost.total:.2f} ms of CPU, {cost.wall:.1f} ms")
    bench.table = "connected pages"
    _tell(bench, costs)
    few, *many = costs
    for name in () if bench.quick else many:
        _flat(bench, costs, few, name)


def _cost(product: Product, page_id: str, senders: Sequence[int]) -> Cost:
    """Post a message of each of these senders, one at a time, and see what it takes."""
    with httpx.Client(trust_env=False) as http, pinned(OTHER_CORE):
        for sender in senders[:10]:
            _relay(http, product, page_id, sender)
        before = _used(product)
        seconds = [_relay(http, product, page_id, sender) for sender in senders]
        after = _used(product)
    cpu = {part: (after[part].cpu - before[part].cpu) * 1000 / len(senders) for part in PARTS}
    return Cost(cpu, statistics.median(seconds) * 1000)


def _relay(http: httpx.Client, product: Product, page_id: str, sender: int) -> float:
    """Post a message and wait until nothing is left to do. Return after how long the helpdesk had it."""
    body, (mid,) = Bodies(senders=1, page_id=page_id, first_sender=sender).one()
    began = time.time()
    http.post(product.door, content=body, headers=signed_headers(body, SECRET)).raise_for_status()
    while product.store.zcard("mc:oldest"):
        time.sleep(POLLS_EVERY)  # polling: the store tells nobody that a queue is empty
        if time.time() > began + 20:
            raise NeverHappened(f"{mid} is relayed")
    _, last, created = http.get(f"{product.stub}/last").json()
    if last != mid:
        raise NeverHappened(f"{mid} stands in the helpdesk")
    return float(created) - began


def _used(product: Product) -> dict[str, Usage]:
    return {part: usage(product.processes[part]) for part in PARTS}


def _tell(bench: Bench, costs: Mapping[str, Sequence[Cost]]) -> None:
    for name, rounds in costs.items():
        bench.rounds(name, "CPU of a message", [cost.total for cost in rounds], "ms")
        for part in PARTS:
            bench.rounds(name, part, [cost.cpu[part] for cost in rounds], "ms")
        bench.rounds(name, "from the door to the helpdesk", [cost.wall for cost in rounds], "ms")


def _flat(bench: Bench, costs: Mapping[str, Sequence[Cost]], before: str, after: str) -> None:
    """Tell whether a step costs more than it may; where the rounds do not agree, it cannot be told."""
    ratios = [two.total / one.total for one, two in zip(costs[before], costs[after], strict=True)]
    holds = [ratio <= FLAT for ratio in sorted(ratios)[1:-1]]  # without the best and the worst
    bench.target(
        f"CPU of a message: {after}, of that with {before}",
        f"≤ {FLAT}",
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        holds=holds[0] if len(set(holds)) == 1 else None,
        why="" if len(set(holds)) == 1 else "the rounds do not agree: this machine is too noisy to tell",
    )
