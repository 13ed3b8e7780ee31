"""What a user might pick instead, installed into this folder by the benchmark and by nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bodies import PAGE_ID, SECRET

FOLDER = Path(__file__).parent
VENV = FOLDER / ".venv"
PYTHON = str(VENV / "bin" / "python")
ENVIRONMENT = {"APP_SECRET": SECRET, "PAGE_ID": PAGE_ID, "NODE_ENV": "production"}


class NotInstalled(Exception):
    """A peer cannot be had here; `str()` says why."""


@dataclass(frozen=True)
class Peer:
    """A program that takes Meta's webhooks at `/webhook`; `command` is for a port, run in `FOLDER`."""

    name: str
    install: Callable[[], None]
    command: Callable[[int], Sequence[str]]
    port_variable: str = ""

    def environment(self, port: int) -> dict[str, str]:
        """Return the environment to run it in."""
        return ENVIRONMENT | ({self.port_variable: str(port)} if self.port_variable else {})


def _install_node() -> None:
    """Install what package-lock.json names, without the scripts of packages."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise NotInstalled("node is not installed")
    done, wanted = FOLDER / "node_modules" / ".package-lock.json", FOLDER / "package-lock.json"
    if not done.exists() or done.stat().st_mtime < wanted.stat().st_mtime:
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        done.touch()


def _install_python() -> None:
    done, wanted = VENV / "installed", FOLDER / "requirements.txt"
    if not done.exists() or done.stat().st_mtime < wanted.stat().st_mtime:
        _run([sys.executable, "-m", "venv", str(VENV)])
        _run([PYTHON, "-m", "pip", "install", "--quiet", "--requirement", str(wanted)])
        done.touch()


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(  # noqa: S603 - the commands are our own
            command, cwd=FOLDER, check=True, capture_output=True, timeout=300, env={**os.environ}
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NotInstalled(f"it could not be installed ({command[0]}: {type(error).__name__})") from error


def _bottender(port: int) -> Sequence[str]:
    return ["node", "node_modules/.bin/bottender", "start", "--port", str(port)]


def _botkit(port: int) -> Sequence[str]:
    return ["node", "botkit.js"]


def _flask(port: int) -> Sequence[str]:
    gunicorn = [PYTHON, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    return [*gunicorn, "--worker-class", "gthread", "--threads", "8", "--log-level", "error", "flask_app:app"]


PEERS = (
    Peer("bottender 1.5.5", _install_node, _bottender),
    Peer("botkit 4.15, its Facebook adapter", _install_node, _botkit, port_variable="PORT"),
    Peer("Flask, pymessenger (gunicorn, 8 threads)", _install_python, _flask),
)
