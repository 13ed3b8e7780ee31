"""`connector conformance`: what it reports, what it asks, and what it says when it cannot run."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from conformance.checks import CHECKS
from conformance.context import Context
from conformance.receiver import Receiver
from conformance.runner import judge
from connector.cli import conformance
from sandbox.stack import free_port
from tests.conftest import MakeSettings
from tests.fakes.commands import Run
from tests.fakes.sandbox_agent import SandboxAgent
from tests.fakes.sandbox_helpdesk import SECRET, TOKEN, Desk, social_media_desk

Settle = Callable[..., None]


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def desk(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    url = f"http://127.0.0.1:{port}/social_media/webhooks/helpdesk"
    with social_media_desk(tmp_path_factory.mktemp("helpdesk"), url) as desk:
        yield desk


@pytest.fixture
def settle(make_settings: MakeSettings, desk: Desk, port: int) -> Settle:
    """Give a function that writes settings that name the sandbox helpdesk."""

    def settle(api_token: str = TOKEN) -> None:
        told = {"base_url": f"{desk.url}/api/v1", "api_token": api_token, "webhook_secret": SECRET}
        make_settings(port=port, helpdesk=told)

    return settle


def test_the_command_reports_what_can_be_checked_without_anybody(run: Run, settle: Settle, port: int) -> None:
    settle()
    with Receiver(port=port):  # the connector may run meanwhile: no webhooks are taken
        result = run("conformance", "--non-interactive")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "passed       a ping is answered" in result.stdout
    assert (
        "not checked  a closed ticket takes no message\n             nobody is there to close"
        in result.stdout
    )
    assert ", 0 failed, 0 cannot, " in result.stdout


def test_the_command_fails_with_what_to_do(run: Run, settle: Settle) -> None:
    settle(api_token="expired")
    result = run("conformance", "--non-interactive")
    assert result.exit_code == 1
    assert "FAILED       a ping is answered\n             the helpdesk rejected the access" in result.stdout
    assert "Why it matters: nothing is lost. After an outage" in result.stdout
    assert f"0 passed, 1 failed, 0 cannot, {len(CHECKS) - 1} not checked" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [(("--desk", "404"), "no desk 404"), (("--desk", "7", "--category", "405"), "no category 405")],
)
def test_a_desk_or_category_that_is_not_there_is_one_line(
    run: Run, settle: Settle, arguments: tuple[str, ...], missing: str
) -> None:
    settle()
    result = run("conformance", "--non-interactive", *arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"The helpdesk has {missing}, so no ticket can be made there. Create it,")
    assert result.stderr.count("\n") == 1


def test_where_no_ticket_can_be_made_the_other_checks_are_left_out(
    run: Run, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformance, "missing", lambda _: "")  # a helpdesk need not tell
    settle()
    result = run("conformance", "--non-interactive", "--desk", "404")

    assert result.exit_code == 1
    assert f"2 passed, 1 failed, 0 cannot, {len(CHECKS) - 3} not checked" in result.stdout
    assert "first this has to hold: a new ticket says whom it is about" in result.stdout


def test_the_command_reports_as_json(
    run: Run, settle: Settle, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle()
    monkeypatch.setattr(conformance, "TerminalAgent", lambda *_: SandboxAgent(desk.http))
    result = run("conformance", "--json", "--desk", "7")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["passed"]) == (0, True)
    assert {one["outcome"] for one in report["checks"]} == {"passed", "cannot"}
    assert len(report["checks"]) == len(CHECKS)
    assert list(report["cannot"]) == ["internal comments on closed tickets"]
    there = {ticket["id"] for ticket in desk.http.get("/sandbox/tickets").json()["tickets"]}
    assert set(report["tickets"]) <= there


def test_a_person_may_skip_everything(settle: Settle, desk: Desk) -> None:
    settle()
    done = subprocess.run(
        [sys.executable, "-m", "connector", "conformance"],
        input="s\n" * 100,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert "it was skipped" in done.stdout
    assert "\nClose ticket " in done.stderr


def test_a_wrong_webhook_secret_is_told(settle: Settle, desk: Desk, port: int) -> None:
    with HttpClient() as http, Receiver(port=port) as receiver:
        other = "whsec_" + base64.b64encode(b"another secret of 32 bytes .....").decode()
        helpdesk = RestHelpdesk(http, base_url=f"{desk.url}/api/v1", api_token=TOKEN, webhook_secret=other)
        context = Context(helpdesk, "7", agent=SandboxAgent(desk.http), receiver=receiver, within=2)
        (check,) = (one for one in CHECKS if one.name == "an agent's comment arrives")
        result = judge(check, context)
    assert "all were refused; the helpdesk has another webhook_secret" in result.detail


def test_a_closed_terminal_ends_the_questions(settle: Settle, desk: Desk) -> None:
    settle()
    done = subprocess.run(
        [sys.executable, "-m", "connector", "conformance"],
        input="",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("Is it so?") == 1
    assert "Stopped; " in done.stderr
    assert ", 0 failed, " in done.stdout


def test_a_port_that_is_taken_is_named(run: Run, settle: Settle, port: int) -> None:
    settle()
    with Receiver(port=port):
        result = run("conformance")
    assert result.exit_code == 1
    assert f"port {port} on 127.0.0.1 is in use" in result.stderr


def test_a_desk_has_to_be_known(run: Run, make_settings: MakeSettings) -> None:
    make_settings(connections=[])
    result = run("conformance", "--non-interactive")
    assert (result.exit_code, result.stderr) == (
        1,
        "Name a desk with --desk, as there is no connection in the settings.\n",
    )
