"""The command line: what starts, what says why it does not, what starts again.

Most tests share a stack: each leaves it running, as it found it.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from connector.run.valkey import binary
from sandbox.demo import STACKS
from sandbox.stack import Process, Stack, free_port, until
from tests.e2e.conftest import QUICK
from tests.e2e.load import kill, part


def connector(*arguments: str, settings: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "connector", *arguments]
    variables = {**os.environ, "CONNECTOR_SETTINGS": str(settings), **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("helpdesk", STACKS)
def test_the_demos_story_holds(tmp_path: Path, helpdesk: str) -> None:
    command = [sys.executable, "-m", "sandbox.demo", "--once", "--helpdesk", helpdesk]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert run.returncode == 0, run.stdout
    assert "✘" not in run.stdout


def test_wrong_settings_stop_the_start_with_a_line_for_each_fault(tmp_path: Path) -> None:
    page = {
        "page_id": "1",
        "desk_id": "7",
        "app_secret": "5a" * 16,
        "verify_token": "v",
        "page_access_token": "t",
    }
    wrong = {
        "prot": 8000,
        "helpdesk": {
            "base_url": "acme",
            "api_token": "t",
            "webhook_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        },
        "connections": [page, page, page | {"page_id": "2", "page_access_token": ""}],
    }
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(wrong))

    run = connector("up", settings=file)

    assert run.returncode == 1
    faults = run.stderr.splitlines()
    assert any("prot" in fault and "not a known key" in fault for fault in faults)
    assert any("helpdesk.base_url" in fault and "'acme'" in fault for fault in faults)
    assert any("connections[2]" in fault and "page_access_token" in fault for fault in faults)
    assert len(faults) == 3


def test_a_page_with_two_active_connections_stops_the_start(stack: Stack) -> None:
    settings = yaml.safe_load(stack.settings_file.read_text())
    settings["connections"].append(settings["connections"][0])
    file = stack.folder / "doubled.yaml"
    file.write_text(yaml.safe_dump(settings))

    run = connector("up", settings=file)

    assert run.returncode == 1
    assert "2 active connections" in run.stderr


def test_a_second_run_with_the_same_data_says_so(stack: Stack) -> None:

    run = connector("up", settings=stack.settings_file)

    assert run.returncode == 1
    assert "in use by another run" in run.stderr


def test_a_port_that_is_taken_is_named(stack: Stack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        data = str(tmp_path / "other")
        run = connector("up", settings=stack.settings_file, CONNECTOR_PORT=port, CONNECTOR_DATA_DIR=data)

    assert run.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in run.stderr


def test_it_stops_cleanly_and_keeps_what_it_accepted(stack: Stack) -> None:
    stack.desk.kill()
    stack.write("7800000000000000", text="keep me")
    until("Meta has delivered it", lambda: stack.ask_meta("GET", "/webhooks")["waiting"] == 0)

    assert stack.connector.stop() == 0
    stack.desk.start()
    stack.connector.start()
    stack.wait_until_ready()

    until("it is on a ticket", lambda: stack.tickets("7800000000000000"), 60)


def test_children_end_when_the_supervisor_is_killed_and_a_new_run_goes_on(stack: Stack) -> None:
    children = psutil.Process(stack.connector.popen.pid).children(recursive=True)
    stack.connector.kill()
    gone, alive = psutil.wait_procs(children, timeout=40)
    assert not alive
    assert gone
    stack.connector.start()
    stack.wait_until_ready()
    stack.write("7800000000000001", text="hello")

    until("it is on a ticket", lambda: stack.tickets("7800000000000001"), 30)


def test_a_scheduler_that_dies_is_started_again(stack: Stack) -> None:
    before = part(stack, "beat").pid
    kill(stack, "beat")

    assert part(stack, "beat").pid != before


def test_a_worker_that_takes_nothing_is_restarted(stack: Stack) -> None:
    stuck = part(stack, "worker")
    stuck.send_signal(signal.SIGSTOP)
    stack.write("7800000000000002", text="hello")

    until("it is on a ticket", lambda: stack.tickets("7800000000000002"), 60)
    assert not stuck.is_running() or part(stack, "worker").pid != stuck.pid


def test_a_hang_up_takes_new_settings_and_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with Stack(tmp_path / "stack", settings=QUICK) as stack:
        before = {name: part(stack, name).pid for name in ("store", "web", "worker", "beat")}
        for number in range(10):
            stack.write("7800000000000005", text=str(number))
        settings = yaml.safe_load(stack.settings_file.read_text())
        settings["connections"][0]["desk_id"] = stack.pages[1].desk_id
        stack.settings_file.write_text(yaml.safe_dump(settings))
        stack.connector.popen.send_signal(signal.SIGHUP)
        for number in range(10, 20):
            stack.write("7800000000000005", text=str(number))
        until("it has reloaded", lambda: " reloaded " in stack.connector.log.read_text(), 60)
        stack.wait_until_ready()
        stack.write("7800000000000006", text="to the other desk")

        until("all arrived", lambda: len(_texts(stack, "7800000000000005")) >= 20, 60)
        assert _texts(stack, "7800000000000005") == [str(number) for number in range(20)]
        (ticket,) = until("a ticket", lambda: stack.tickets("7800000000000006"), 30)
        assert ticket["desk_id"] == stack.pages[1].desk_id
        after = {name: part(stack, name).pid for name in before}
        assert [name for name in before if after[name] == before[name]] == ["store"]
        assert "killed" not in stack.connector.log.read_text()


def test_a_hang_up_with_faulty_settings_is_told_and_changes_nothing(stack: Stack) -> None:
    before = {name: part(stack, name).pid for name in ("web", "worker", "beat")}
    good = stack.settings_file.read_text()
    stack.settings_file.write_text(good + "prot: 1\n")
    stack.connector.popen.send_signal(signal.SIGHUP)
    until("it is told", lambda: "prot: is not a known key" in stack.connector.log.read_text())
    stack.settings_file.write_text(good)
    stack.write("7800000000000007", text="hello")

    until("it is on a ticket", lambda: stack.tickets("7800000000000007"), 30)
    assert {name: part(stack, name).pid for name in before} == before


class OneByOne(Stack):
    """A stack whose parts run one by one, beside a web server and a store with users of the operator's."""

    def start_connector(self) -> None:
        settings = yaml.safe_load(self.settings_file.read_text())
        store_port = free_port()
        settings["redis_url"] = f"redis://connector:hush@127.0.0.1:{store_port}/3"
        settings["key_prefix"] = "acme:"
        user = ["--user", "connector", "on", ">hush", "~acme:mc:*", "+@all", "-@dangerous"]
        self.settings_file.write_text(yaml.safe_dump(settings))
        web = [sys.executable, "-m", "uvicorn", "connector.app:app", "--port", str(self.port)]
        self.parts: list[Process] = [
            self.process("own-store", [binary(), "--port", str(store_port), "--save", "", *user]),
            self.process("web", web),
            self.process("worker", [sys.executable, "-m", "celery", "-A", "tasks", "worker"]),
            self.process("beat", [sys.executable, "-m", "connector", "beat"]),
            self.process("worker-2", [sys.executable, "-m", "connector", "worker"]),
        ]

    def stop_connector(self) -> None:
        for process in reversed(self.parts):
            process.stop()


def test_the_parts_run_one_by_one_on_a_store_of_their_own(tmp_path: Path) -> None:
    with OneByOne(tmp_path / "stack", settings=QUICK) as stack:
        for number in range(20):
            stack.write("7800000000000003", text=str(number))
        until("all arrived", lambda: len(_texts(stack, "7800000000000003")) == 20, 30)

        assert _texts(stack, "7800000000000003") == [str(number) for number in range(20)]


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_part_that_runs_alone_is_restarted_on_a_hang_up(stack: Stack, tmp_path: Path, name: str) -> None:
    with _alone(stack, tmp_path, name) as alone:
        (before,) = until("it runs", lambda: psutil.Process(alone.popen.pid).children())
        alone.popen.send_signal(signal.SIGHUP)
        until("it has reloaded", lambda: " reloaded " in alone.log.read_text(), 60)

        assert not before.is_running()
        assert len(psutil.Process(alone.popen.pid).children()) == 1


def test_doors_that_run_alone_take_new_settings_on_a_hang_up(stack: Stack, tmp_path: Path) -> None:
    with _alone(stack, tmp_path, "web") as alone:
        settings = yaml.safe_load((tmp_path / "alone.yaml").read_text())
        query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "changed"}
        door = f"http://127.0.0.1:{settings['port']}/social_media/webhooks/facebook"
        until("it answers", lambda: stack.http.get(door, params=query).status_code == 403)
        settings["connections"][0]["verify_token"] = "changed"
        (tmp_path / "alone.yaml").write_text(yaml.safe_dump(settings))
        alone.popen.send_signal(signal.SIGHUP)

        until("it knows the new word", lambda: stack.http.get(door, params=query).status_code == 200)
        assert alone.popen.poll() is None


@contextmanager
def _alone(stack: Stack, folder: Path, name: str) -> Iterator[Process]:
    """Run one more part on the store of a stack, with settings of its own."""
    settings = yaml.safe_load(stack.settings_file.read_text())
    file = folder / "alone.yaml"
    file.write_text(yaml.safe_dump(settings | {"redis_url": stack.store_url, "port": free_port()}))
    command = [sys.executable, "-m", "connector", name, "--settings", str(file)]
    alone = Process(command, folder / "alone.log", {})
    try:
        yield alone
    finally:
        alone.stop()


def _texts(stack: Stack, psid: str) -> list[str]:
    return [entry["body"] for ticket in stack.tickets(psid) for entry in (ticket, *ticket["comments"])]


def test_logs_hold_no_token_and_no_text(stack: Stack) -> None:
    stack.write("7800000000000004", text="a very private matter")
    ticket = until("a ticket", lambda: stack.tickets("7800000000000004"))[0]
    stack.reply(ticket["id"], "a very private answer")
    until("the reply arrived", lambda: stack.received("7800000000000004"))

    log = stack.connector.log.read_text()
    secrets = [stack.api_token, stack.webhook_secret, *(page.access_token for page in stack.pages)]
    secrets += [page.app_secret for page in stack.pages]
    assert "relayed" in log
    assert not [secret for secret in [*secrets, "very private"] if secret in log]
