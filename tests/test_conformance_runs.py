"""How the conformance suite is run: from the command line, and as tests of a vendor's own."""

import base64
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from clients.http import HttpClient
from clients.rest_helpdesk import RestHelpdesk
from connector.conformance import command, person
from connector.conformance.bench import Bench
from connector.conformance.checks import CHECKS
from connector.conformance.hands import Hands
from connector.conformance.receiver import Receiver
from connector.conformance.samples import Content
from connector.conformance.suite import Cannot, NotChecked, judge
from sandbox.stack import free_port
from tests.conftest import MakeSettings
from tests.test_cli import Run, logs_as_before, run
from tests.test_conformance import SandboxHands
from tests.test_sandbox_helpdesk import SECRET, TOKEN, Desk

__all__ = ["logs_as_before", "run"]

ROOT = Path(__file__).parent.parent
Settle = Callable[..., None]


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def desk(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    url = f"http://127.0.0.1:{port}/social_media/webhooks/helpdesk"
    desk = Desk(tmp_path_factory.mktemp("helpdesk") / "db.sqlite", "--webhook-url", url)
    desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    yield desk
    desk.stop()


@pytest.fixture
def settle(make_settings: MakeSettings, desk: Desk, port: int) -> Settle:
    """Give a function that writes settings that name the sandbox helpdesk."""

    def settle(api_token: str = TOKEN) -> None:
        told = {"base_url": f"{desk.url}/api/v1", "api_token": api_token, "webhook_secret": SECRET}
        make_settings(port=port, helpdesk=told)

    return settle


# --- The command. ---------------------------------------------------------------------------------------


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
    assert "What this helpdesk cannot do, and what happens instead:\n  polling: " in result.stdout
    assert ", 0 failed, 3 cannot, " in result.stdout


def test_the_command_fails_with_what_to_do(run: Run, settle: Settle) -> None:
    settle(api_token="expired")
    result = run("conformance", "--non-interactive")
    assert result.exit_code == 1
    assert (
        "FAILED       a ping is answered\n             the helpdesk does not accept the access"
        in result.stdout
    )
    assert "Why it matters: nothing is lost. After an outage" in result.stdout
    assert f"0 passed, 1 failed, 0 cannot, {len(CHECKS) - 1} not checked" in result.stdout


def test_the_command_reports_as_json(
    run: Run, settle: Settle, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle()
    monkeypatch.setattr(command, "Person", lambda *_: SandboxHands(desk.http))
    result = run("conformance", "--json", "--desk", "7")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["passed"]) == (0, True)
    assert {one["outcome"] for one in report["checks"]} == {"passed", "cannot"}
    assert len(report["checks"]) == len(CHECKS)
    assert list(report["cannot"]) == ["internal comments on closed tickets", "polling"]
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
        bench = Bench(helpdesk, "7", hands=SandboxHands(desk.http), receiver=receiver, within=2)
        (check,) = (one for one in CHECKS if one.name == "an agent's comment arrives")
        result = judge(check, bench)
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


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a function that asks a person for something, answers for them, and returns what they read."""

    def ask(do: Callable[[Hands], object], answer: str = "", url: str = "") -> str:
        monkeypatch.setattr("click.prompt", lambda *_, **__: answer)
        with person.Files() as files:
            do(person.Person(files, lambda _: url))
        return capsys.readouterr().err

    return ask


def test_a_person_gets_the_files_to_add_by_http(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("click.echo", lambda text, **_: said.append(text))
    monkeypatch.setattr("click.prompt", lambda *_, **__: "")
    content = Content("żółw a.txt", "text/plain", "żółw".encode("cp1250"))
    with person.Files() as files:
        person.Person(files).reply_as_agent("12", "Hello", files=[content.open()])
        url = said[0].split()[-1]
        answer = httpx.get(url, trust_env=False)
        missing = httpx.get(f"{files.origin}/99/x", trust_env=False)
    assert "Write a public reply on ticket 12:\n\n    Hello\n" in said[0]
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/%C5%BC%C3%B3%C5%82w%20a.txt")
    assert answer.content == content.data
    assert answer.headers["content-disposition"] == "attachment"
    assert missing.status_code == 404


def test_a_person_gets_a_long_line_to_copy_by_http(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("click.echo", lambda text, **_: said.append(text))
    monkeypatch.setattr("click.prompt", lambda *_, **__: "")
    with person.Files() as files:
        person.Person(files).reply_as_agent("12", "x" * 80)
        (url,) = (word.strip(",") for word in said[0].split() if word.startswith("http"))
        assert httpx.get(url, trust_env=False).text == "x" * 80


def test_a_person_is_told_where_the_ticket_is(asked: Callable[..., str]) -> None:
    told = asked(lambda hands: hands.close_ticket("12"), url="https://acme.example.com/tickets/12")
    assert "Close ticket 12 (https://acme.example.com/tickets/12)." in told


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda hands: hands.close_ticket("12"), "Close ticket 12."),
        (lambda hands: hands.reopen_ticket("12"), "Open ticket 12 again."),
        (
            lambda hands: hands.reply_as_agent("12", "Hello", internal=True),
            "Write an internal comment on ticket 12:",
        ),
        (lambda hands: hands.reply_as_agent("12", ""), "Write a public reply on ticket 12, without any text"),
        (
            lambda hands: hands.reply_and_close("12", "Bye"),
            "Write a public reply on ticket 12, and close it in the same step:\n\n    Bye",
        ),
        (
            lambda hands: hands.merge_ticket("12", "13"),
            "Merge ticket 12 into ticket 13, so that 13 is the one",
        ),
        (
            lambda hands: hands.forbid_ticket("12"),
            "Take the right to see ticket 12 from the connector's user",
        ),
    ],
)
def test_a_person_is_asked_in_plain_words(
    capsys: pytest.CaptureFixture[str],
    asked: Callable[..., str],
    do: Callable[[Hands], None],
    words: str,
) -> None:
    with pytest.raises(NotChecked, match="skipped"):
        asked(do, "S")
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "do",
    [
        lambda hands: hands.reply_and_close("12", "Bye"),
        lambda hands: hands.merge_ticket("12", "13"),
        lambda hands: hands.forbid_ticket("12"),
    ],
)
def test_a_person_may_say_that_the_helpdesk_has_no_such_thing(
    asked: Callable[..., str], do: Callable[[Hands], None]
) -> None:
    with pytest.raises(Cannot, match="nothing depends on it"):
        asked(do, "n")


class Looking(SandboxHands):
    """Agents whom somebody sits beside who is asked what they see."""

    def __init__(self, http: httpx.Client, answer: str) -> None:
        super().__init__(http)
        self._answer, self.claims = answer, [""]

    def confirm(self, ticket_id: str, claim: str) -> bool:
        self.claims.append(claim)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("click.prompt", lambda *_, **__: self._answer)
            with person.Files() as files:
                return person.Person(files).confirm(ticket_id, claim)


SEEN = {
    "a ticket is where it was asked for, and in its customer's name",
    "messages to a merged ticket stand on the one that is left, once",
    "a customer's empty file does not hold up its message",
    "a customer's text files keep their encoding",
    "comments stand in their order",
    "internal comments stay internal",
    "a customer's files are there, byte for byte",
    "a file that is refused is named, and the text is there",
    "texts are shown as they were typed",
    "a text of 60,000 characters is shown whole",
}


@pytest.mark.parametrize(("answer", "outcome"), [("y", "passed"), ("n", "failed"), ("s", "not checked")])
def test_a_person_says_what_nothing_else_can_read(desk: Desk, answer: str, outcome: str) -> None:
    looking = Looking(desk.http, answer)
    with HttpClient() as http:
        helpdesk = RestHelpdesk(http, base_url=f"{desk.url}/api/v1", api_token=TOKEN, webhook_secret=SECRET)
        bench = Bench(helpdesk, "7", hands=looking)
        outcomes = {one.name: judge(one, bench).outcome for one in CHECKS if one.name in SEEN}

    assert outcomes == dict.fromkeys(SEEN, outcome)
    assert any("{{ ticket.submitter_email }}" in claim for claim in looking.claims) is (answer == "y")


# --- The plugin. ----------------------------------------------------------------------------------------

VENDORS = f"""
import pytest
from clients.rest_helpdesk import RestHelpdesk
from connector.conformance.testing import HelpdeskConformance

class Own(RestHelpdesk):
    cannot = {{"coffee": "there is tea"}}

    def get_ticket(self, ticket_id):
        raise RuntimeError("not written yet")

class TestOwn(HelpdeskConformance):
    desk_id = "7"

    @pytest.fixture
    def helpdesk(self, http):
        return Own(http, base_url="URL/api/v1", api_token="{TOKEN}", webhook_secret="{SECRET}")
"""


def vendors_tests(folder: Path, source: str) -> str:
    """Run tests as a vendor does, and return what pytest prints."""
    (folder / "test_own.py").write_text(source)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "connector.pytest_plugin",
            "-W",
            "error",
            "-rfs",
            "--color=no",
        ],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_vendor_gets_each_check_as_a_test(desk: Desk, tmp_path: Path) -> None:
    printed = vendors_tests(tmp_path, VENDORS.replace("URL", desk.url))
    assert f"collected {len(CHECKS)} items" in printed
    assert "FAILED test_own.py::TestOwn::test_conformance[a new ticket says whom it is about]" in printed
    assert "RuntimeError: not written yet" in printed
    assert "To mend it: This call has to work; see its error." in printed
    assert "nobody is there to reply as an agent" in printed
    assert "What the helpdesk cannot do, and what happens instead" in printed
    assert "\ncoffee: there is tea\n" in printed


WITHOUT_A_HELPDESK = """
from connector.conformance.testing import HelpdeskConformance

class TestOwn(HelpdeskConformance):
    pass
"""

SOMEBODY_ELSES = """
import sys

def test_nothing():
    assert not {"clients", "httpx", "connector.conformance"} & {*sys.modules}
"""


def test_a_class_without_a_helpdesk_says_so(tmp_path: Path) -> None:
    printed = vendors_tests(tmp_path, WITHOUT_A_HELPDESK)
    assert "NotImplementedError: the class needs a fixture `helpdesk`" in printed


def test_other_peoples_tests_are_left_alone(tmp_path: Path) -> None:
    printed = vendors_tests(tmp_path, SOMEBODY_ELSES)
    assert "1 passed" in printed
    assert "helpdesk" not in printed


def test_the_entry_point_leads_to_the_plugin() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert hasattr(import_module(declared["messenger_connector"]), "pytest_terminal_summary")
