"""A minute of `make chaos`: processes are killed, both remotes have bad days, and nobody notices."""

import os
import subprocess
import sys
from pathlib import Path

SEED = 20261123


def test_a_minute_in_which_everything_goes_wrong_loses_doubles_and_disorders_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos", "--duration", "60", "--seed", str(SEED)]
    # How soon work resumes is measured there: without coverage, which makes each start twice as long.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    with subprocess.Popen(
        [*command, "--folder", str(tmp_path / "chaos")],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        try:
            told, _ = run.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            run.terminate()  # not killed: it has to stop what it started
            told, _ = run.communicate()

    assert run.returncode == 0, told
    assert "5 restarts of the store in a row" in told
    assert "a flood of 5 s" in told
