"""How many webhooks are answered a second: ours, what it is built on, and what one might use instead."""

import contextlib
import itertools
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import redis

from benchmarks import peers
from benchmarks.baselines import BROKER_VARIABLE
from benchmarks.bench import Bench
from benchmarks.bodies import SECRET, Bodies
from benchmarks.load import WARM_UP
from benchmarks.processes import OTHER_CORE, SERVER_CORE, answers_at, pinned, server, usage
from benchmarks.product import Product, valkey
from sandbox.meta.webhooks import signed_headers
from sandbox.stack import NeverHappened, free_port

BARE, SIGNED, DELAY = "bare Starlette", "Starlette + HMAC", "Starlette + HMAC + `task.delay()`"
OURS = "ours"
OF_SIGNED, OF_DELAY, OF_PEERS, P99_OF_SIGNED = 0.75, 8.0, 4.0, 1.5
"""What is wanted of requests a second, and of p99, as ratios."""
NOTHING = "no: answers, then works"
REQUESTS_A_SECOND, EVENTS_A_SECOND = 50_000, 100_000
"""For how fast a server requests are prepared: twice what was seen."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One way to put load on a server."""

    connections: int = 32
    batch: int = 1
    rounds: int = 3
    seconds: float = 2.0

    @property
    def name(self) -> str:
        """Return what it is called in the report."""
        return f"{_count(self.connections, 'connection')}, {_count(self.batch, 'message')} a body"


MAIN = Scene(rounds=15, seconds=1.0)
SCENES = (
    MAIN,
    Scene(batch=100),
    Scene(connections=1, rounds=2, seconds=1.0),
    Scene(connections=256, rounds=2, seconds=1.5),
    Scene(connections=1, batch=100, rounds=2, seconds=1.0),
    Scene(connections=256, batch=100, rounds=2, seconds=1.5),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A server under load.

    `durable` says what a 200 of it is worth; with `keeps` the events have to stand in the store then.
    """

    name: str
    durable: str
    url: str
    process: psutil.Process
    keeps: bool = False
    scenes: Sequence[Scene] = SCENES
    options: Sequence[str] = ()


Results = dict[tuple[str, Scene], list[dict[str, Any]]]


def run(bench: Bench) -> None:
    """Run the suite."""
    with ExitStack() as opened, Product(bench.folder / "acknowledgement") as product:
        cases = [*_baselines(bench, opened), *_ours(bench, product, opened)]
        if not bench.quick:
            cases += _peers(bench, opened)
        results = _measure(bench, product.store, cases)
    _tell(bench, cases, results)
    _targets(bench, results)


def _baselines(bench: Bench, opened: ExitStack) -> Iterator[Case]:
    in_memory = ("--appendonly", "no")  # as whoever follows a tutorial runs it
    broker, _ = opened.enter_context(valkey(bench.folder / "broker", options=in_memory))
    store = f"redis://127.0.0.1:{broker.connection_pool.connection_kwargs['port']}/0"
    cases = [
        (BARE, "bare", "no"),
        (DELAY, "delay", "in memory; a killed worker loses it"),
        (SIGNED, "hmac", "no"),  # right before ours, which is compared with it round by round
    ]
    for name, word, durable in cases:
        port = free_port()
        url = f"http://127.0.0.1:{port}/webhook"
        command = [sys.executable, "-m", "benchmarks.baselines", word, "--port", str(port)]
        log = bench.folder / f"{word}.log"
        environment = {BROKER_VARIABLE: store}
        running = server(command, log, core=SERVER_CORE, environment=environment, answers=answers_at(url))
        yield Case(name, durable, url, opened.enter_context(running))


def _ours(bench: Bench, product: Product, opened: ExitStack) -> Iterator[Case]:
    process, kept = product.start("web"), "yes, on disk"
    yield Case(OURS, kept, product.door, process, keeps=True)
    if bench.quick:
        return
    idle, alone = ("--senders", "10000000"), (MAIN,)
    yield Case("ours, each message of another sender", kept, product.door, process, True, SCENES[:2], idle)
    closing = ("--no-keep-alive",)
    yield Case("ours, without keep-alive", kept, product.door, process, True, alone, closing)


def _peers(bench: Bench, opened: ExitStack) -> Iterator[Case]:
    for peer in peers.PEERS:
        bench.say(f"preparing {peer.name}")
        try:
            url, process = _start(peer, bench, opened)
        except (peers.NotInstalled, NeverHappened) as error:
            bench.table = MAIN.name
            bench.figure(peer.name, "durable", NOTHING)
            bench.figure(peer.name, "requests a second", f"not measured: {str(error).partition(chr(10))[0]}")
        else:
            yield Case(peer.name, NOTHING, url, process)


def _start(peer: peers.Peer, bench: Bench, opened: ExitStack) -> tuple[str, psutil.Process]:
    peer.install()
    port = free_port()
    url, log = f"http://127.0.0.1:{port}/webhook", bench.folder / f"{peer.name.partition(' ')[0]}.log"
    command, environment = peer.command(port), peer.environment(port)
    body, _ = Bodies().one()

    def answers() -> bool:
        return httpx.post(url, content=body, headers=signed_headers(body, SECRET), trust_env=False).is_success

    with contextlib.chdir(peers.FOLDER):
        running = server(command, log, core=SERVER_CORE, environment=environment, answers=answers)
        return url, opened.enter_context(running)


def _measure(bench: Bench, store: redis.Redis, cases: Sequence[Case]) -> Results:
    """Put every scene on every case in turn, and again: so that what slows the machine down slows all."""
    results: Results = defaultdict(list)
    scenes = (Scene(rounds=1, seconds=0.5),) if bench.quick else SCENES
    for number, scene in itertools.product(range(max(scene.rounds for scene in scenes)), scenes):
        for case in cases:
            if number < scene.rounds and (scene in case.scenes or bench.quick):
                results[case.name, scene].append(result := load(store, case, scene))
                bench.say(f"{scene.name}, {case.name}: {result['rps']:,.0f} a second {result['statuses']}")
    return results


def load(store: redis.Redis, case: Case, scene: Scene) -> dict[str, Any]:
    """Put load on a case. `kept` is whether those events stand in the store that were answered 200.

    A request that came twice left its events once.
    """
    options = ["--connections", str(scene.connections), "--batch", str(scene.batch)]
    rate = min(REQUESTS_A_SECOND, EVENTS_A_SECOND / scene.batch)
    prepared = int(rate * (scene.seconds + WARM_UP)) if case.keeps else 10_000
    options += ["--seconds", str(scene.seconds), "--requests", str(prepared), *case.options]
    before = usage(case.process).cpu
    with pinned(OTHER_CORE):
        command = [sys.executable, "-m", "benchmarks.load", case.url, *options]
        done = subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own command
    result: dict[str, Any] = json.loads(done.stdout)
    answers = sum(result["statuses"].values()) or 1
    result["cpu"] = (usage(case.process).cpu - before) / answers * 1_000_000
    result["kept"] = not case.keeps or _stored(store) == result["taken"] * scene.batch
    store.flushall()
    return result


def _stored(store: redis.Redis) -> int:
    """Count the events that stand in the inbox."""
    with store.pipeline(transaction=False) as pipeline:
        for key in store.scan_iter("mc:jobs:*", count=10_000):
            pipeline.zcard(key)
        return sum(pipeline.execute())


def _tell(bench: Bench, cases: Sequence[Case], results: Results) -> None:
    scenes = dict.fromkeys(scene for _, scene in results)
    for scene in scenes:
        bench.table = scene.name
        for case in cases:
            if rounds := results.get((case.name, scene)):
                bench.figure(case.name, "durable", case.durable)
                bench.rounds(case.name, "requests a second", [one["rps"] for one in rounds])
                bench.rounds(case.name, "of HMAC only", _ratios(results, scene, case.name, SIGNED))
                bench.rounds(case.name, "p50", [one["p50"] for one in rounds], "ms")
                bench.rounds(case.name, "p99", [one["p99"] for one in rounds], "ms")
                bench.rounds(case.name, "its CPU for each request", [one["cpu"] for one in rounds], "µs")
    main = next(iter(scenes))
    medians = {
        name: statistics.median(one["rps"] for one in rounds)
        for (name, scene), rounds in results.items()
        if scene == main
    }
    bench.chart(f"webhooks answered a second, {main.name}", medians)


def _ratios(results: Results, scene: Scene, case: str, base: str, key: str = "rps") -> list[float]:
    """Return how one case compares with another, round by round."""
    pairs = zip(results[case, scene], results[base, scene], strict=True)
    return [one[key] / other[key] if other[key] else 0.0 for one, other in pairs]


def _targets(bench: Bench, results: Results) -> None:
    scene = next(iter(results))[1]
    wanted = [(SIGNED, OF_SIGNED), (DELAY, OF_DELAY), *((peer.name, OF_PEERS) for peer in peers.PEERS[:2])]
    for base, least in wanted:
        if (base, scene) in results:
            ratio = statistics.median(_ratios(results, scene, OURS, base))
            text = f"requests a second, {scene.name}, of {base}"
            bench.target(
                text, f"≥ {least}", f"{ratio:.2f}", holds=ratio >= least, why=_why(results, scene, base)
            )
    ratio = statistics.median(_ratios(results, scene, OURS, SIGNED, "p99"))
    bench.target(
        f"p99, {scene.name}, of {SIGNED}",
        f"≤ {P99_OF_SIGNED}",
        f"{ratio:.2f}",
        holds=ratio <= P99_OF_SIGNED,
        why=_why(results, scene, SIGNED),
    )
    rounds = [one for (name, _), all_ in results.items() if name.startswith(OURS) for one in all_]
    faults = sum(not one["kept"] or set(one["statuses"]) != {"200"} for one in rounds)
    text = f"all is answered 200, and all of it stands in the inbox, in {len(rounds)} rounds"
    bench.target(text, "0 faults", f"{faults}", holds=not faults)
    busiest = max(one["busy"] for all_ in results.values() for one in all_)
    bench.target(
        "the load is not what limits: share of its core that it took",
        "< 90 %",
        f"{busiest:.0%}",
        holds=busiest < 0.9,
    )


def _why(results: Results, scene: Scene, base: str) -> str:
    """Say what a request costs, which is what the comparison comes from."""
    ours, theirs = (statistics.median(one["cpu"] for one in results[case, scene]) for case in (OURS, base))
    return f"{ours:.0f} µs of CPU for each request, not {theirs:.0f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
