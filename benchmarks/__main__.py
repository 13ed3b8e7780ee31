"""`python -m benchmarks [suite …] [--quick]`: run the suites in turn, save and print what came out."""

import argparse
import importlib
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.report import Report

SUITES = ("acknowledgement", "through", "latency", "growth", "backlog", "shortcuts", "board")
RESULTS = Path(__file__).parent / "results"


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks of the connector.")
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"{', '.join(SUITES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="the smallest cases, in a minute; no peers")
    parser.add_argument("--results", type=Path, help="where to save what was measured (default: results/)")
    arguments = parser.parse_args(words)
    for suite in set(arguments.suites) - set(SUITES):
        parser.error(f"there is no suite {suite}; there are {', '.join(SUITES)}")
    return arguments


def main(words: Sequence[str]) -> int:
    """Run the suites that the command line names. Return the exit code."""
    arguments = _arguments(words)
    signal.signal(signal.SIGTERM, _stop)  # so that the servers that were started are stopped
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as temporary:
        bench = Bench(Path(temporary), Report(" ".join(["python -m benchmarks", *words])), arguments.quick)
        try:
            failed = [suite for suite in arguments.suites or SUITES if not _run(bench, suite)]
        except KeyboardInterrupt:
            bench.say("stopped")
            return 130
    folder = arguments.results or (None if arguments.quick else RESULTS)
    if folder:
        bench.report.save(folder, "-".join(arguments.suites) or "benchmarks")
    print(bench.report.table())
    return 1 if failed else 0


def _run(bench: Bench, suite: str) -> bool:
    """Run a suite. If it fails, what was measured before is kept, and the report says so."""
    bench.suite, bench.table = suite, ""
    bench.say("begins")
    try:
        importlib.import_module(f"benchmarks.{suite}").run(bench)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other suites are measured
        traceback.print_exc()
        bench.note(f"**{suite} was not measured to its end**: {type(error).__name__}: {error}")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
