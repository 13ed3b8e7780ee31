"""What a random run does not show: work resumes after each restart of the store, a flood holds nobody up, and
nothing grows."""

import itertools
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from sandbox.stack import until
from tests.chaos.flood import Flood, memory
from tests.chaos.loops import running
from tests.chaos.people import People
from tests.chaos.records import read_journal
from tests.chaos.system import System

RESUMES_WITHIN = 5.0
ANSWERED_WITHIN = 1.0
"""How long the answer to an honest webhook may take during a flood, in seconds."""
MEMORY = 200 * 2**20
"""How much memory the web process may ever have, in bytes."""
GROWTH = 1.05
"""How much larger a figure may be in the last third of a soak than in the middle one."""
IN_FLIGHT = (
    "mc:jobs:",
    "mc:lease:",
    "mc:job:",
    "mc:oldest",
    "mc:later",
    "mc:ready",
    "mc:running",
    "mc:held",
)
MARKS = ("mc:seen:", "mc:echo:", "mc:awaiting:", "mc:open_ticket:", "mc:profile:")


@dataclass(frozen=True)
class Proof:
    """What was measured, in words, and whether it is as promised."""

    says: str
    holds: bool


def restarts(system: System, people: People, count: int) -> Proof:
    """Kill the store again and again under load.

    Measured is how long it takes, from when its port answers again, until a message that is written then
    stands in the helpdesk.
    """
    probes = itertools.count(1)
    with running(people.loops()[:1]):
        took = [_resumes(system, people, f"73000000{next(probes):08}") for _ in range(count)]
    says = (
        f"{count} restarts of the store in a row, under load: work resumed within "
        f"{statistics.median(took):.1f} s (half of them), {max(took):.1f} s (the slowest)"
    )
    return Proof(says, max(took) <= RESUMES_WITHIN)


def _resumes(system: System, people: People, psid: str) -> float:
    store = system.parts["store"].popen
    system.away["store"] = 0.0
    store.kill()
    store.wait()
    system.journal.note("havoc", what="store: SIGKILL, one of many in a row")
    until("the store answers", system.store_answers)
    began = time.monotonic()
    people.say(psid, 1)
    until("a message is relayed after the store was restarted", lambda: system.tickets(psid), 60)
    return time.monotonic() - began


def flood(system: System, people: People, seed: str, length: float) -> Iterator[Proof]:
    """Let a tenant flood, and hostile clients do what they can, all at once, while the others write."""
    floods, began = Flood(system, seed), time.time()
    with running([*people.loops(), *floods.loops()]):
        time.sleep(length)  # the length of the flood
    lines = read_journal(system.folder / "meta.jsonl")
    honest = [line for line in lines if line["kind"] == "webhook" and line["began"] >= began]
    took = [line["at"] - line["began"] for line in honest] or [length]
    refused = Counter(line["answer"] for line in honest if not line["answer"].startswith("2"))
    said = ", ".join(f"{count} of {what}" for what, count in sorted(floods.brought.items()))
    says = (
        f"a flood of {length:.0f} s ({said}): {len(honest)} honest webhooks were answered within "
        f"{statistics.median(took):.3f} s (half of them), {max(took):.2f} s (the slowest); "
        f"{sum(refused.values())} were refused"
    )
    yield Proof(says, max(took) <= ANSWERED_WITHIN and not refused and floods.brought["200"] > 0)
    size = memory(system)
    yield Proof(f"the web process had {size / 2**20:.0f} MB at most", 0 < size < MEMORY)


def soak(system: System, people: People, length: float) -> Iterator[Proof]:
    """Let it run under an even load, and compare the last third of the time with the one before."""
    written = people.total
    samples: list[Counter[str]] = []
    ends = time.monotonic() + length
    with running(people.loops()):
        while time.monotonic() < ends:
            samples.append(_sample(system))
            time.sleep(1)  # the distance of two samples
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    yield _memory(middle, last)
    yield from (_count(name, middle, last) for name in ("keys in flight", "wake-ups"))
    until("nothing is on its way", system.is_quiet, 60)
    left = _sample(system)["keys in flight"]
    yield Proof(f"keys in flight once all is done: {left}", left == 0)
    yield _marks(system, people.total - written)


def _count(name: str, middle: list[Counter[str]], last: list[Counter[str]]) -> Proof:
    before, after = _mean(middle, name), _mean(last, name)
    says = f"{name}: {before:.0f} in the middle third, {after:.0f} in the last"
    return Proof(says, after <= before * 2 + 20)


def _sample(system: System) -> Counter[str]:
    """Return the memory of each process in bytes, by part, and how many keys are in flight."""
    found: Counter[str] = Counter()
    for part in system.parts:
        for number, process in enumerate(system.tree(part)):
            try:
                found[f"{part}/{number}"] += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    found["wake-ups"] = int(str(system.redis.llen("mc:celery:wake-ups")))
    found["keys in flight"] = sum(
        1 for key in system.redis.scan_iter(count=1000) if key.startswith(IN_FLIGHT)
    )
    return found


def _mean(samples: list[Counter[str]], name: str) -> float:
    return statistics.fmean(sample[name] for sample in samples)


def _memory(middle: list[Counter[str]], last: list[Counter[str]]) -> Proof:
    names = sorted(name for name in last[-1] if "/" in name)
    sizes = {name: (_mean(middle, name), _mean(last, name)) for name in names}
    grown = [name for name, (before, after) in sizes.items() if after > before * GROWTH + 2**20]
    told = ", ".join(
        f"{name} {before / 2**20:.0f}→{after / 2**20:.0f}" for name, (before, after) in sizes.items()
    )
    return Proof(f"memory of each process, MB, middle third → last third: {told}", not grown)


def _marks(system: System, messages: int) -> Proof:
    """Tell what the marks cost that stay for days on purpose; there is nothing to hold them against."""
    store = system.redis
    keys = [key for key in store.scan_iter(count=1000) if key.startswith(MARKS)]
    some = keys[:: max(1, len(keys) // 500)]
    size = statistics.fmean(int(str(store.memory_usage(key) or 0)) for key in some)
    endless = sum(1 for key in some if store.ttl(key) == -1)
    says = (
        f"marks that expire by themselves: {len(keys)}, {size:.0f} bytes each; "
        f"{endless} of {len(some)} looked at would stay for ever ({messages} messages in the soak)"
    )
    return Proof(says, endless == 0)
