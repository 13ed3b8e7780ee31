"""The command line: dead letters, which settings are used, and what is said of wrong ones."""

import importlib.metadata
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click.testing
import pytest
import structlog
import uvicorn
import yaml

from connector.cli import main
from connector.settings import PATH_VARIABLE, get_settings
from sandbox.stack import free_port
from tasks.inbox import Inbox, Row, seen_key
from tasks.store import connect
from tests.conftest import MakeSettings

THREAD = "in:107381679302250:7623554920995436"

Run = Callable[..., click.testing.Result]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Put back the logging that a command configures for its process."""
    root = logging.getLogger()
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configuration)


@pytest.fixture
def run() -> Run:
    """Give a function that runs a command."""

    def run(*arguments: str) -> click.testing.Result:
        get_settings.cache_clear()
        return click.testing.CliRunner().invoke(main, arguments)

    return run


@pytest.fixture
def settings_file(store_url: str, make_settings: MakeSettings, tmp_path: Path) -> Path:
    """Give the settings file in use, which names a real store."""
    make_settings(redis_url=store_url)
    return tmp_path / "settings.yaml"


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    with closing(connect(store_url)) as store:
        yield Inbox(store)


def waiting(inbox: Inbox) -> list[str]:
    """Return the bodies of the events that wait."""
    found: Any = inbox.store.zrange(f"mc:jobs:{THREAD}", 0, -1)
    return [event.split(b" ", 3)[3].decode() for event in found]


@pytest.fixture
def dead(inbox: Inbox, settings_file: Path) -> Inbox:
    """Give an inbox with three dead letters, the ids 1 to 3."""
    inbox.accept([Row(seen_key(str(at)), THREAD, at, json.dumps({"text": "zażółć"})) for at in (1, 2, 3)])
    lease = inbox.claim(THREAD)
    assert lease
    while lease.bury(f"reason {lease.event.id}"):
        pass
    return inbox


def ids(inbox: Inbox) -> list[int]:
    """Return the ids of the dead letters."""
    return [letter.id for letter in inbox.letters()]


# --- Dead letters. --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("settings_file")
def test_no_dead_letters_are_said_to_be_none(run: Run) -> None:
    result = run("dead", "list")

    assert (result.exit_code, result.stdout) == (0, "There are no dead letters.\n")


@pytest.mark.usefixtures("dead")
def test_dead_letters_are_listed_the_oldest_first(run: Run) -> None:
    lines = run("dead", "list").stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert THREAD in lines[0]
    assert lines[0].endswith("reason 1")


@pytest.mark.parametrize("command", [["list"], ["show", "1"]])
def test_a_dead_letter_does_nothing_to_the_terminal(
    run: Run, inbox: Inbox, settings_file: Path, command: list[str]
) -> None:
    inbox.accept(
        [
            Row(
                seen_key("1"),
                THREAD,
                1,
                json.dumps({"text": "\x1b]0;x\x07 \x9b2J \u202e"}, ensure_ascii=False),
            )
        ]
    )
    lease = inbox.claim(THREAD)
    assert lease
    lease.bury("because\n\x1b[2J \x9b31m \u202e")

    printed = run("dead", *command).stdout
    assert "because" in printed
    assert not re.search("[^\\n -~]", printed)


@pytest.mark.usefixtures("dead")
def test_a_dead_letter_is_shown_whole(run: Run) -> None:
    result = run("dead", "show", "2")

    shown = json.loads(result.stdout)
    assert shown["died_at"].startswith("20")
    del shown["died_at"]
    assert shown == {
        "id": 2,
        "thread": THREAD,
        "reason": "reason 2",
        "history": [],
        "event": {"text": "zażółć"},
    }
    assert "zażółć" in result.stdout


def test_a_dead_letter_that_is_tried_again_is_back_in_its_thread(run: Run, dead: Inbox) -> None:
    result = run("dead", "retry", "2")

    assert result.stdout == "1 back in their threads.\n"
    assert ids(dead) == [1, 3]
    assert len(waiting(dead)) == 1


def test_a_thread_of_which_letters_are_tried_again_is_woken_once(run: Run, dead: Inbox) -> None:
    run("dead", "retry", "1", "3")

    messages: Any = dead.store.lrange("mc:celery:wake-ups", 0, -1)
    (headers,) = [json.loads(message)["headers"] for message in messages]
    assert headers["task"] == "relay"


def test_all_dead_letters_may_be_tried_again(run: Run, dead: Inbox) -> None:
    result = run("dead", "retry", "--all")

    assert result.stdout == "3 back in their threads.\n"
    assert ids(dead) == []
    assert len(waiting(dead)) == 3


def test_a_dead_letter_may_be_thrown_away(run: Run, dead: Inbox) -> None:
    result = run("dead", "drop", "1", "2")

    assert result.stdout == "2 dropped.\n"
    assert ids(dead) == [3]
    assert waiting(dead) == []


def test_all_dead_letters_may_be_thrown_away(run: Run, dead: Inbox) -> None:
    assert run("dead", "drop", "--all").stdout == "3 dropped.\n"
    assert ids(dead) == []


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_an_id_that_is_not_there_is_named(run: Run, dead: Inbox, command: str) -> None:
    result = run("dead", command, "77")

    assert result.exit_code == 1
    assert "no dead letter 77" in result.stderr
    assert ids(dead) == [1, 2, 3]


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_where_one_id_is_not_there_nothing_is_done(run: Run, dead: Inbox, command: str) -> None:
    assert run("dead", command, "1", "77").exit_code == 1
    assert ids(dead) == [1, 2, 3]


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_without_an_id_nothing_is_done(run: Run, dead: Inbox, command: str) -> None:
    result = run("dead", command)

    assert result.exit_code == 1
    assert "--all" in result.stderr
    assert ids(dead) == [1, 2, 3]


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_ids_and_all_together_do_nothing(run: Run, dead: Inbox, command: str) -> None:
    letters = dead.letters()
    result = run("dead", command, "--all", str(letters[0].id))

    assert result.exit_code == 1
    assert dead.letters() == letters


@pytest.mark.parametrize("arguments", [["list"], ["show", "1"], ["retry", "--all"], ["drop", "1"]])
def test_a_store_that_is_away_is_said_to_be(
    run: Run, make_settings: MakeSettings, arguments: list[str]
) -> None:
    make_settings(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    result = run("dead", *arguments)

    assert result.exit_code == 1
    assert "redis_url: the store does not work: it cannot be reached" in result.stderr
    assert isinstance(result.exception, SystemExit)


# --- Settings. ------------------------------------------------------------------------------------------


@pytest.fixture
def unnamed(settings_file: Path, tmp_path: Path) -> Iterator[Path]:
    """Give a settings file that nothing names, from a folder that has none."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(PATH_VARIABLE)
        patch.chdir(elsewhere)
        yield settings_file


def test_the_settings_may_be_named_before_the_command(run: Run, unnamed: Path) -> None:
    assert run("--settings", str(unnamed), "dead", "list").exit_code == 0


def test_the_settings_may_be_named_after_the_command(run: Run, unnamed: Path) -> None:
    assert run("dead", "list", "--settings", str(unnamed)).exit_code == 0


def test_settings_named_after_the_command_go_before_those_named_before_it(run: Run, unnamed: Path) -> None:
    assert run("--settings", "missing.yaml", "dead", "list", "--settings", str(unnamed)).exit_code == 0


@pytest.mark.usefixtures("unnamed")
@pytest.mark.parametrize("command", [["dead", "list"], ["up"], ["web"], ["worker"], ["beat"]])
def test_without_settings_a_command_says_where_it_looked(run: Run, command: list[str]) -> None:
    result = run(*command)

    assert result.exit_code == 1
    assert result.stderr.startswith("settings.yaml: there is no such file")


def test_wrong_settings_are_told_with_a_line_for_each_fault(run: Run, settings_file: Path) -> None:
    wrong = yaml.safe_load(settings_file.read_text()) | {"prot": 1, "port": 70_000, "log_level": "loud"}
    settings_file.write_text(yaml.safe_dump(wrong))
    result = run("dead", "list")

    assert result.exit_code == 1
    assert {line.partition(":")[0] for line in result.stderr.splitlines()} == {"prot", "port", "log_level"}
    assert len(result.stderr.splitlines()) == 3


@pytest.mark.usefixtures("settings_file")
def test_a_variable_that_no_setting_has_is_warned_of(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_PROT", "8001")
    result = run("dead", "list")

    assert result.exit_code == 0
    assert "CONNECTOR_PROT" in result.stderr
    assert "CONNECTOR_PROT" not in result.stdout


@pytest.mark.usefixtures("settings_file")
def test_variables_that_are_settings_are_not_warned_of(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_PORT", "8001")

    assert run("dead", "list").stderr == ""


# --- The rest. ------------------------------------------------------------------------------------------


def test_it_says_its_version(run: Run) -> None:
    assert importlib.metadata.version("messenger-connector") in run("--version").stdout


def test_every_command_says_what_it_does(run: Run) -> None:
    listed = run("--help").stdout

    assert all(command in listed for command in ("up", "web", "worker", "beat", "dead"))


def test_the_doors_open_where_the_settings_say(
    run: Run, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: opened.update(options, app=app))
    make_settings(host="127.0.0.2", port=8123)

    assert run("web").exit_code == 0
    assert (opened["app"], opened["host"], opened["port"]) == ("connector.app:app", "127.0.0.2", 8123)
    assert opened["access_log"] is False
