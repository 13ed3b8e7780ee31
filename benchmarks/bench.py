"""What a suite gets: where to put files, how thorough to be, and a place for what it measured."""

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Figure, Report, Target


@dataclass
class Bench:
    """One run. `folder` is temporary; `quick` asks for the smallest case, only to see that all works.

    `suite` and `table` say where the next figures belong.
    """

    folder: Path
    report: Report
    quick: bool = False
    suite: str = ""
    table: str = ""
    _began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Tell on standard error how far the run is."""
        print(f"{time.monotonic() - self._began:6.0f} s  {self.suite}: {text}", file=sys.stderr, flush=True)

    def figure(self, case: str, measure: str, value: float | str, unit: str = "") -> None:
        """Note what was measured, in the table that `table` names."""
        self.report.figures.append(Figure(self.suite, case, measure, value, unit, self.table))

    def rounds(self, case: str, measure: str, values: Sequence[float], unit: str = "") -> float:
        """Note the median of several rounds, and return it."""
        median = statistics.median(values)
        figure = Figure(self.suite, case, measure, median, unit, self.table, tuple(values))
        self.report.figures.append(figure)
        return median

    def target(self, text: str, wanted: str, measured: str, *, holds: bool | None, why: str = "") -> None:
        """Note whether a target is met; `holds` is None where it cannot be told."""
        self.report.targets.append(Target(self.suite, text, wanted, measured, holds, why))

    def note(self, text: str) -> None:
        """Add a sentence to the head of the report."""
        self.report.notes.append(text)

    def chart(self, title: str, bars: Mapping[str, float]) -> None:
        """Have bars drawn; the chart is named for the suite."""
        self.report.charts[f"{self.suite}: {title}"] = bars
