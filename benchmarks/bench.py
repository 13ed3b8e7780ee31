"""What a suite gets: where to put files, how thorough to be, and a place for what it measured."""

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Figure, Report, Target


@dataclass
class Bench:
    """One run. `folder` is temporary; `quick` asks for the smallest case, only to see that all works."""

    folder: Path
    report: Report
    quick: bool = False
    suite: str = ""
    _began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Tell on standard error how far the run is."""
        print(f"{time.monotonic() - self._began:6.0f} s  {self.suite}: {text}", file=sys.stderr, flush=True)

    def figure(self, case: str, measure: str, value: float | str, unit: str = "") -> None:
        """Note what was measured."""
        self.report.figures.append(Figure(self.suite, case, measure, value, unit))

    def rounds(self, case: str, measure: str, values: Sequence[float], unit: str = "") -> float:
        """Note the median of several rounds with their spread, and return it."""
        median = statistics.median(values)
        spread = (max(values) - min(values)) / median if len(values) > 1 and median else None
        self.report.figures.append(Figure(self.suite, case, measure, median, unit, spread))
        return median

    def target(self, text: str, wanted: str, measured: str, *, holds: bool | None, why: str = "") -> None:
        """Note whether a target is met; `holds` is None where it cannot be told."""
        self.report.targets.append(Target(self.suite, text, wanted, measured, holds, why))

    def note(self, text: str) -> None:
        """Add a sentence to the head of the report."""
        self.report.notes.append(text)
