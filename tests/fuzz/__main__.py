"""`python -m tests.fuzz`: the three fuzzers, one after the other, each for a third of the time."""

import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.conftest import Valkey, settings_in
from tests.fuzz import fuzzers
from tests.fuzz.runs import CORPUS, Finding, Fuzzer, run

SHOW_EVERY = 10.0
STOPS_AFTER = 20
"""After so many findings of one fuzzer the next one has its turn: they are mostly the same fault."""


@contextmanager
def _store() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        server = Valkey(Path(folder))
        try:
            yield server.url
        finally:
            server.stop()


class Turn:
    """The time of one fuzzer, and what it found."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name, self._began = name, time.monotonic()
        self._seconds, self._shown = seconds, 0.0
        self.findings: list[Finding] = []
        self.count = 0

    @property
    def _spent(self) -> float:
        return time.monotonic() - self._began

    def goes_on(self, count: int) -> bool:
        """Show how far it is, now and then, and tell whether there is time left."""
        self.count = count
        if self._spent > self._shown + SHOW_EVERY:
            self._shown = self._spent
            click.echo(f"{self._name}: {self._spent:.0f} of {self._seconds:.0f} s, {self.summary}")
        return self._spent < self._seconds and len(self.findings) < STOPS_AFTER

    def note(self, finding: Finding) -> None:
        """Show what was found."""
        self.findings.append(finding)
        click.secho(f"✘ {finding.why}\n  {finding.file}", fg="red")

    @property
    def summary(self) -> str:
        """Return the figures."""
        return f"{self.count:,} inputs, {len(self.findings)} findings"


def _take(fuzzer: Fuzzer[object], turn: Turn, seed: int) -> None:
    for finding in run(fuzzer, seed, turn.goes_on, CORPUS / fuzzer.name):
        if finding:
            turn.note(finding)


@click.command()
@click.option("--duration", default=600.0, show_default=True, help="Seconds, for all three.")
@click.option("--seed", type=int, help="What chance begins with; one of its own if none is given.")
def main(duration: float, seed: int | None) -> None:
    """Look for inputs that the product does not stand; each becomes a file of the corpus, and exit 1."""
    seed = secrets.randbelow(10**6) if seed is None else seed
    turns = {}
    click.echo(f"Seed {seed}, {duration:.0f} s")
    with tempfile.TemporaryDirectory() as folder, settings_in(Path(folder)) as make, _store() as store_url:
        for name, opened in fuzzers.BY_NAME.items():
            with opened(make, store_url) as fuzzer:
                turns[name] = turn = Turn(name, duration / len(fuzzers.BY_NAME))
                _take(fuzzer, turn, seed)
    for name, turn in turns.items():
        click.echo(f"{name}: {turn.summary}")
    found = any(turn.findings for turn in turns.values())
    again = f"make fuzz DURATION={duration:.0f} SEED={seed}"
    click.secho(f"Again: {again}" if found else "Nothing was found", fg="red" if found else "green")
    sys.exit(found)


if __name__ == "__main__":
    main()
