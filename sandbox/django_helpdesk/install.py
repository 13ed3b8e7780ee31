"""Builds what a django-helpdesk runs on, once: its virtual environment and a seeded database to copy.

Both are kept in `build/django-helpdesk`, under a name that tells what they were made from, so that a change
of it makes new ones. `python -m sandbox.django_helpdesk.install` builds them ahead of time.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "django-helpdesk"
REQUIREMENTS = HERE / "requirements.txt"
HOST = HERE / "host"


class NotInstalled(Exception):
    """django-helpdesk could not be installed; `str()` says which step failed, and how."""


def interpreter() -> Path:
    """Return the Python that has django-helpdesk. Builds its environment first if need be, alone."""
    home = BUILD / f"venv-{_digest(REQUIREMENTS)}"
    with _alone():
        if not (home / "complete").exists():
            _build_environment(home)
    return home / "bin" / "python"


def fresh_database() -> Path:
    """Return the database of a fresh installation. Makes it first if need be, alone."""
    database = BUILD / f"fresh-{_digest(REQUIREMENTS, *sorted(HOST.glob('*.py')))}.sqlite3"
    python = interpreter()
    with _alone():
        if not database.exists():
            _build_database(python, database)
    return database


def environment(data: Path, secret_key: str) -> dict[str, str]:
    """Return the variables that the host project's settings read."""
    return {
        "DJANGO_SETTINGS_MODULE": "host.settings",
        "HELPDESK_DATA": str(data.resolve()),
        "HELPDESK_SECRET_KEY": secret_key,
    }


def _digest(*files: Path) -> str:
    made_from = [sys.version.encode(), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"\0".join(made_from)).hexdigest()[:12]


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes out; a lock of a process that died is free."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_environment(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)  # what an interrupted build left
    _run("making its virtual environment", [sys.executable, "-m", "venv", "--without-pip", str(home)])
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install"]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    _run("fetching its packages from PyPI", [*pip, *quiet, "--requirement", str(REQUIREMENTS)])
    (home / "complete").touch()


def _build_database(python: Path, database: Path) -> None:
    with TemporaryDirectory(dir=BUILD) as folder:
        data = Path(folder)
        variables = environment(data, secrets.token_urlsafe(50))
        _run("making its database", [str(python), "-m", "host.seed"], variables)
        (data / "db.sqlite3").rename(database)


def _run(step: str, command: list[str], variables: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(  # noqa: S603 - the commands are our own
        command,
        cwd=HERE,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotInstalled(f"Installing django-helpdesk failed at {step}:\n{done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    try:
        fresh_database()
    except NotInstalled as reason:
        sys.exit(str(reason))
