"""`python -m tests.chaos`: the run, the table, and the story of the first message that went wrong."""

import secrets
import shutil
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from sandbox.stack import NeverHappened, until
from tests.chaos import proofs
from tests.chaos.havoc import Havoc
from tests.chaos.ledger import IN, OUT, Ledger, Wrong
from tests.chaos.loops import Loop, running
from tests.chaos.people import People
from tests.chaos.records import Records, read_journal
from tests.chaos.story import tell
from tests.chaos.system import System
from tests.e2e.load import RESTLESS

SETTLES_WITHIN = 60.0
LEAST = 20
"""How many messages a part has to have accepted for its outcome to mean anything."""
WARM_UP = 3.0
KINDS = ("lost", "doubled", "out of order", "stuck", "dead")
META = RESTLESS | {"receipts": True, "regain": 0}
"""A Meta that delivers twice, late, and mixes the threads in its bodies.

Its limits hold, but it does not tell a page that met one to wait for a whole minute.
"""
UNSAFE = {
    "honour_idempotency": False,
    "webhook_duplicate": 0.2,
    "webhook_late": 0.1,
    "webhook_late_after": 4,
    "retry_waits": [0.2, 0.5, 1, 2],
}
"""A helpdesk that takes a create twice if it is asked twice, and delivers its webhooks twice and late."""
CLOCKS = {"web": -240.0, "worker-1": 3600.0, "worker-2": -8.0, "beat": 8.0}
"""By how many seconds the clocks are wrong, as if each part ran on a machine that nobody looks after."""
HOLDS = """\
appendfsync always: what was answered 200 is on disk; neither a killed process nor a power cut loses it.
appendfsync everysec: what was answered 200 is in the kernel's hands; a killed process loses nothing, but
while a slow fsync is under way Valkey may answer before it writes, and a power cut can cost the last second
or two. A power cut cannot be tried here: this run shows what kill -9 does under each, and no more."""


@dataclass(frozen=True)
class Plan:
    """How the time is spent, in seconds; each of the two parts at random is followed by a settlement."""

    duration: float

    @property
    def random(self) -> float:
        return self.duration * 0.27

    @property
    def outage(self) -> float:
        return self.random / 4

    @property
    def restarts(self) -> int:
        return max(5, min(50, int(self.duration / 12)))

    @property
    def flood(self) -> float:
        return min(20.0, max(5.0, self.duration * 0.05))

    @property
    def soak(self) -> float:
        """At least so long; what the parts before it left of the time is added."""
        return self.duration * 0.12 if self.duration >= 150 else 0.0


@dataclass(frozen=True)
class Part:
    """What became of one part of the run."""

    name: str
    ledger: Ledger
    wrong: list[Wrong]
    done: Counter[str]


class Run:
    """A run: two parts at random, one for each way of writing the store's file, then the proofs."""

    def __init__(self, system: System, seed: int, plan: Plan) -> None:
        self._system, self._seed, self._plan = system, seed, plan
        self._ends = time.monotonic() + plan.duration
        self.proofs_so_far: list[proofs.Proof] = []

    def parts(self) -> Iterator[Part]:
        """Go through the parts at random: one for each way of writing the store's file."""
        self._system.ask_meta("PUT", "/behaviour", META | {"seed": self._seed})
        self._system.ask_desk("PUT", "/settings", UNSAFE)
        for group, fsync in enumerate(("always", "everysec"), 1):
            self._system.sync(fsync)
            yield self._part(group, fsync)

    def _part(self, group: int, fsync: str) -> Part:
        seed, length = f"{self._seed} {fsync}", self._plan.random
        people = People(self._system, seed, group=group, rate=8)
        havoc = Havoc(self._system, seed, outage=self._plan.outage, pace=1.8 if length < 60 else 2.5)
        progress = Loop("the progress", lambda: self._show(people, havoc))
        with running([*people.loops(), progress]):
            time.sleep(WARM_UP)  # people write while all is well, so that there are tickets to work on
            with running(havoc.loops(length - WARM_UP)):
                time.sleep(length - WARM_UP)  # the length of this part
        self._settle()
        return self._account(fsync, people, havoc.done)

    def _account(self, name: str, people: People, done: Counter[str]) -> Part:
        ledger = Ledger(self._system, people, Records(self._system))
        part = Part(name, ledger, ledger.wrong(), done)
        if ledger.accepted[IN] < LEAST:
            says = f"{name}: only {ledger.accepted[IN]} messages were accepted, which shows nothing"
            self.proofs_so_far.append(proofs.Proof(says, holds=False))
        return part

    def _settle(self) -> None:
        """Lift every fault, and wait until all is through; what is not, the ledger finds stuck."""
        self._system.calm()
        began = time.monotonic()
        try:
            until("all is through", self._system.is_quiet, SETTLES_WITHIN)
            quiet = f"quiet {time.monotonic() - began:.0f} s later"
        except NeverHappened as reason:
            quiet = str(reason)
            self.proofs_so_far.append(proofs.Proof(f"after all faults were lifted: {reason}", holds=False))
        click.echo(f"{self._left()} all faults lifted; {quiet}")

    def _left(self) -> str:
        return f"[{max(0, self._ends - time.monotonic()):4.0f} s left]"

    def _show(self, people: People, havoc: Havoc) -> float:
        folder = self._system.folder
        stored = sum(line["kind"] == "stored" for line in read_journal(folder / "helpdesk.jsonl"))
        sent = sum(line["kind"] == "stored" for line in read_journal(folder / "meta.jsonl"))
        doing = "; ".join(havoc.recent[-3:])
        havoc.recent.clear()
        click.echo(f"{self._left()} {people.total} written, {stored} stored, {sent} sent | {doing}")
        return 3.0

    def proofs(self) -> tuple[Part, list[proofs.Proof]]:
        """Go through what a random part does not show; what is written meanwhile has to arrive as well."""
        people = People(self._system, f"{self._seed} proofs", group=4, rate=10, senders=20)
        found = [proofs.restarts(self._system, people, self._plan.restarts)]
        while people.total < 2 * LEAST:  # they resume so soon that few messages come meanwhile
            people.write()
        self._settle()
        found += proofs.flood(self._system, people, f"{self._seed} proofs", self._plan.flood)
        self._settle()
        if self._plan.soak:
            left = self._ends - time.monotonic()
            found += proofs.soak(self._system, people, max(self._plan.soak, left))
        return self._account("proofs", people, Counter(SIGKILL=self._plan.restarts)), found


def table(parts: Sequence[Part]) -> Iterator[str]:
    """Yield the lines of the table."""
    columns = ("part    ", "what    ", "accepted", "arrived", *KINDS, "other", "p50 s", "p99 s", "longest s")
    yield " | ".join(columns)
    for part in parts:
        for what in (IN, OUT):
            counts = Counter(one.kind for one in part.wrong if one.direction == what)
            other = sum(count for kind, count in counts.items() if kind not in KINDS)
            stays = sorted(part.ledger.stays[what]) or [0.0]
            transfer_limits = statistics.quantiles([*stays, stays[-1]], n=100)
            figures = [part.ledger.accepted[what], part.ledger.arrived[what]]
            figures += [*(counts[kind] for kind in KINDS), other]
            times = [f"{seconds:.1f}" for seconds in (transfer_limits[49], transfer_limits[98], stays[-1])]
            cells = [part.name, what, *map(str, figures), *times]
            yield " | ".join(cell.rjust(len(name)) for cell, name in zip(cells, columns, strict=True))


def verdict(system: System, parts: Sequence[Part], found: Sequence[proofs.Proof]) -> bool:
    """Print what came out. Return whether all is well."""
    wrong = [one for part in parts for one in part.wrong]
    click.echo()
    for line in [*table(parts), "", *HOLDS.splitlines(), ""]:
        click.echo(line)
    for part in parts:
        click.echo(
            f"{part.name}: {', '.join(f'{count} {what}' for what, count in sorted(part.done.items()))}"
        )
    for proof in found:
        click.secho(f"{'✔' if proof.holds else '✘'} {proof.says}", fg=None if proof.holds else "red")
    for one in wrong[:20]:
        click.secho(f"✘ {one.kind}: {one.what}", fg="red")
    if wrong:
        click.secho("\nThe story of the first one:", bold=True)
        for line in tell(system, wrong[0]):
            click.echo(line)
    return not wrong and all(proof.holds for proof in found)


@click.command()
@click.option("--duration", default=600.0, show_default=True, help="Seconds.")
@click.option("--seed", type=int, help="What chance begins with; one of its own if none is given.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("var/chaos"), show_default=True)
def main(duration: float, seed: int | None, folder: Path) -> None:
    """Let everything go wrong at once; tell what was lost, doubled or out of order: nothing, or exit 1."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    seed = secrets.randbelow(10**6) if seed is None else seed
    shutil.rmtree(folder, ignore_errors=True)
    click.echo(f"Seed {seed}, {duration:.0f} s; logs and journals in {folder}")
    with System(folder, clocks=CLOCKS) as system:
        run = Run(system, seed, Plan(duration))
        parts = list(run.parts())
        last, found = run.proofs()
        parts.append(last)
        well = verdict(system, parts, [*run.proofs_so_far, *found])
    click.secho(
        f"Seed {seed}: {'nothing' if well else 'something'} went wrong", fg="green" if well else "red"
    )
    sys.exit(not well)


if __name__ == "__main__":
    main()
