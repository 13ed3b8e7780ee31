"""Taking part in the running demo from a second terminal."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.demo import FOLDER, STACKS, stack_with
from sandbox.stack import until

Talk = Callable[..., str]


@pytest.fixture(scope="module", params=STACKS)
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder in which a demo's stack runs."""
    home = tmp_path_factory.mktemp("home")
    with stack_with(request.param)(home / FOLDER):
        yield home


@pytest.fixture
def talk(home: Path) -> Talk:
    """Run a command of the sandbox beside the running stack."""
    return lambda *arguments: sandbox(home, *arguments).stdout


def sandbox(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=30, check=False)


def test_what_is_written_and_replied_is_shown_on_both_sides(talk: Talk, tmp_path: Path) -> None:
    file = tmp_path / "terms.txt"
    file.write_text("the terms")
    talk("write", "Where is my parcel?")
    until("there is a ticket", lambda: "Where is my parcel?" in talk("show").partition("Ticket")[2])
    talk("write", "--file", str(file))
    talk("reply", "On its way!", "--file", str(file))
    talk("reply", "--internal", "a nuisance")

    until("the file is there", lambda: "[file terms.txt]" in talk("show").partition("Ticket")[0])
    messenger, _, ticket = talk("show").partition("Ticket")
    assert "page  On its way!" in messenger
    assert "page  [file terms.txt]" in messenger
    assert "a nuisance" not in messenger
    assert "a nuisance  (internal)" in ticket
    assert "[terms.txt]" in ticket


def test_a_closed_ticket_is_shown_as_closed(talk: Talk) -> None:
    talk("write", "one more thing")
    until("there is a ticket", lambda: "Ticket" in talk("show"))
    talk("close")

    assert "(closed)" in talk("show")


def test_without_a_running_demo_it_says_how_to_start_one(tmp_path: Path) -> None:
    run = sandbox(tmp_path, "show")

    assert run.returncode == 1
    assert "make demo" in run.stderr


def test_a_second_demo_in_the_same_folder_leaves_the_first_one_alone(home: Path) -> None:
    command = [sys.executable, "-m", "sandbox.demo", "--once"]
    run = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60, check=False)

    assert run.returncode == 1
    assert "already runs" in run.stderr
    assert (home / FOLDER / "stack.json").is_file()
