"""The command line: which settings are used, and what is said of wrong ones."""

import importlib.metadata
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from structlog.testing import capture_logs

from connector.cli.run import _may_reload
from connector.settings import PATH_VARIABLE, Settings
from connector.web.guard import ACCEPTED_AT_ONCE
from sandbox.stack import free_port
from tests.conftest import MakeSettings, connection
from tests.fakes.commands import Run


def served(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
    """Stand in for a server that ran."""
    server.started = True
    not_served(server, sockets)


def not_served(_: uvicorn.Server, sockets: list[socket.socket]) -> None:
    """Stand in for a server that did not start."""
    for one in sockets:
        one.close()


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


@pytest.mark.parametrize("command", [["dead", "list"], ["unknown", "list"], ["connections", "list"]])
def test_the_settings_may_be_named_within_the_command(run: Run, unnamed: Path, command: list[str]) -> None:
    group, name = command
    assert run(group, "--settings", str(unnamed), name).exit_code == 0


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
    result = run("worker")

    assert result.exit_code == 1
    assert {line.partition(":")[0] for line in result.stderr.splitlines()} == {"prot", "port", "log_level"}
    assert len(result.stderr.splitlines()) == 3


@pytest.mark.usefixtures("dead")
@pytest.mark.parametrize("arguments", [["list"], ["show", "1"], ["retry", "1"], ["drop", "1"]])
def test_dead_letters_need_nothing_of_the_settings_but_what_leads_to_the_store(
    run: Run, settings_file: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    page = {"page_id": "1", "desk_id": "7", "page_access_token": ""}
    wrong = {"redis_url": store_url, "port": 70_000, "prot": 1, "connections": [page], "graph": "none"}
    settings_file.write_text(yaml.safe_dump(wrong))
    monkeypatch.setenv("CONNECTOR_CONNECTIONS__0__ACTIVE", "perhaps")
    monkeypatch.setenv("CONNECTOR_ATTACHMENTS", "[")

    assert run("dead", *arguments).exit_code == 0


def test_what_leads_to_the_store_has_to_be_right_for_dead_letters(run: Run, settings_file: Path) -> None:
    settings_file.write_text(yaml.safe_dump({"redis_url": "store:6379", "log_level": "loud", "port": 0}))
    result = run("dead", "list")

    assert result.exit_code == 1
    assert {line.partition(":")[0] for line in result.stderr.splitlines()} == {"redis_url", "log_level"}


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


@pytest.mark.parametrize("connections", [[], None])
def test_doubts_about_the_settings_are_told_at_start(
    run: Run, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, connections: list[Any] | None
) -> None:
    monkeypatch.setattr(uvicorn.Server, "run", served)
    make_settings(**({"connections": connections} if connections is not None else {}), port=free_port())
    result = run("web")

    assert ("no page is connected" in result.stderr) == (connections == [])


def test_a_part_that_a_supervisor_started_leaves_the_doubts_to_it(
    run: Run, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uvicorn.Server, "run", served)
    make_settings(connections=[], port=free_port())
    monkeypatch.setenv("CONNECTOR_PART", "web")
    monkeypatch.setenv("CONNECTOR_PROT", "1")

    assert run("web").stderr.count("hint") == 0


def test_web_alone_says_why_it_cannot_listen(run: Run, make_settings: MakeSettings) -> None:
    make_settings(host="192.0.2.7")
    result = run("web")

    assert result.exit_code == 1
    assert "host 192.0.2.7 is no address of this machine" in result.stderr


# --- The rest. ------------------------------------------------------------------------------------------


def test_it_says_its_version(run: Run) -> None:
    assert importlib.metadata.version("messenger-connector") in run("--version").stdout


def test_every_command_says_what_it_does(run: Run) -> None:
    listed = run("--help").stdout

    assert all(command in listed for command in ("up", "web", "worker", "beat", "dead"))


def test_the_doors_open_where_the_settings_say(
    run: Run, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[uvicorn.Config] = []

    def serve(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        assert [one.getsockname() for one in sockets] == [("127.0.0.2", port)] * ACCEPTED_AT_ONCE
        served(server, sockets)
        opened.append(server.config)

    port = free_port()
    monkeypatch.setattr(uvicorn.Server, "run", serve)
    make_settings(host="127.0.0.2", port=port)

    assert run("web").exit_code == 0
    (config,) = opened
    assert (config.app, config.host, config.port) == ("connector.app:app", "127.0.0.2", port)
    assert config.access_log is False


def test_doors_that_could_not_be_opened_are_a_failure(
    run: Run, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_settings(port=free_port())
    monkeypatch.setattr(uvicorn.Server, "run", not_served)

    assert run("web").exit_code == 3


# --- New settings while it runs. ------------------------------------------------------------------------


def refusals(settings: Settings) -> list[str]:
    """Return why the settings that are there now may not take the place of these."""
    with capture_logs() as logged:
        assert not _may_reload("up", settings)
    return [str(line["reason"]) for line in logged if line["event"] == "reload_refused"]


def test_other_connections_and_tokens_may_be_reloaded(make_settings: MakeSettings) -> None:
    old = make_settings()
    make_settings(connections=[connection("1", 32 * "e")], helpdesk={"api_token": "new"})

    assert _may_reload("up", old)


def test_faulty_settings_are_not_reloaded_and_each_fault_is_told(
    make_settings: MakeSettings, settings_file: Path
) -> None:
    old = make_settings()
    settings_file.write_text(
        yaml.safe_dump(yaml.safe_load(settings_file.read_text()) | {"prot": 1, "port": 0})
    )

    assert sorted(reason.partition(":")[0] for reason in refusals(old)) == ["port", "prot"]


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("redis_url", {"redis_url": "redis://127.0.0.1:1/0"}),
        ("data_dir", {"data_dir": "/elsewhere"}),
        ("port", {"port": 8001}),
        ("helpdesk.base_url", {"helpdesk": {"base_url": "https://acme.example.com"}}),
    ],
)
def test_what_needs_a_restart_is_not_reloaded_and_is_told(
    make_settings: MakeSettings, key: str, change: dict[str, Any]
) -> None:
    old = make_settings()
    make_settings(**change)

    assert refusals(old) == [f"{key}: a change needs a restart"]
