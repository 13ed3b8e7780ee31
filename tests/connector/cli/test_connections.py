"""`connector connections` and `connector secrets`: what they change, refuse and show, which is no secret."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click
import pytest

from clients.channel import Withdrawal
from connector import links
from connector.admin import ConnectionAdmin
from connector.cipher import Cipher, new_key
from connector.cli import connections
from connector.connection import Connection
from connector.settings import get_settings
from tasks.inbox.inbox import Inbox
from tests.conftest import PAGE_A, SECRET_A, MakeSettings
from tests.fakes.admin import ADMIN_TOKEN, FIELDS, NEW, TOKEN
from tests.fakes.commands import Run

KEY = new_key()
SECRETS = f"{TOKEN}\n{SECRET_A}\nverify-1\n"
pytestmark = pytest.mark.usefixtures("configure")


@pytest.fixture
def configure(make_settings: MakeSettings, store_url: str) -> Callable[..., Any]:
    """Put settings into use, and give a function that changes them."""

    def configure(**changes: Any) -> Any:
        graph = {"base_url": "http://127.0.0.1:9"}
        return make_settings(**{"redis_url": store_url, "secret_key": KEY, "graph": graph} | changes)

    configure()
    return configure


@pytest.fixture
def added(run: Run, configure: Callable[..., Any]) -> None:
    result = run("connections", "add", NEW, "--desk", "8", "--name", "Fakturownia", input=SECRETS)
    assert (result.exit_code, result.stdout) == (0, f"Page {NEW} is connected.\n")


def stored(inbox: Inbox, key: str = KEY) -> Connection:
    record = inbox.connections.get(f"facebook_messenger:{NEW}")
    assert record
    return Connection.decode(record.body, Cipher([key]))


# --- Adding. ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("added")
def test_a_page_is_added_with_secrets_from_a_pipe(inbox: Inbox) -> None:
    found = stored(inbox)

    assert (found.desk_id, found.page_name, found.active) == ("8", "Fakturownia", True)
    secrets = [found.page_access_token, found.app_secret, found.verify_token]
    assert [secret.get_secret_value() for secret in secrets] == [TOKEN, SECRET_A, "verify-1"]


def test_at_a_terminal_secrets_are_asked_for_and_do_not_appear(
    run: Run, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prompt(text: str, **options: Any) -> str:
        assert options["hide_input"]
        asked.append(text)
        return FIELDS[text]

    monkeypatch.setattr(connections, "_is_terminal", lambda: True)
    monkeypatch.setattr(click, "prompt", prompt)
    result = run("connections", "add", NEW, "--desk", "8")

    assert result.exit_code == 0
    assert asked == ["page_access_token", "app_secret", "verify_token"]
    assert stored(inbox).app_secret.get_secret_value() == SECRET_A


def test_a_secret_may_come_from_a_file_and_is_not_asked_for_then(
    run: Run, inbox: Inbox, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    file = ["--page-access-token-file", str(tmp_path / "token")]
    run("connections", "add", NEW, "--desk", "8", *file, input=f"{SECRET_A}\nverify-1\n")

    assert stored(inbox).page_access_token.get_secret_value() == TOKEN


def test_an_inactive_page_needs_no_secrets(run: Run, inbox: Inbox) -> None:
    assert run("connections", "add", NEW, "--desk", "8", "--inactive").exit_code == 0
    assert not stored(inbox).active


def test_the_history_of_a_page_may_be_wanted(run: Run, inbox: Inbox) -> None:
    secrets = f"{TOKEN}\n{SECRET_A}\nverify-1\n"
    assert (
        run("connections", "add", NEW, "--desk", "8", "--history-days", "2.5", input=secrets).exit_code == 0
    )
    assert stored(inbox).history_days == 2.5


def test_each_field_that_is_wrong_is_a_line(run: Run) -> None:
    result = run("connections", "add", NEW, "--language", "de", input=f"{TOKEN}\nhush\nverify-1\n")

    assert result.exit_code == 1
    assert sorted(line.partition(":")[0] for line in result.stderr.splitlines()) == [
        *("app_secret", "desk_id", "language")
    ]
    assert "hush" not in result.stderr


@pytest.mark.usefixtures("added")
def test_a_page_is_not_added_twice(run: Run) -> None:
    result = run("connections", "add", NEW, "--desk", "8")  # before its secrets are asked for

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Page {NEW} is connected already")


def test_without_a_key_it_is_said_what_to_do(run: Run, configure: Callable[..., Any]) -> None:
    configure(secret_key="")
    result = run("connections", "add", NEW, "--desk", "8", input=SECRETS)

    assert result.exit_code == 1
    assert "“connector secrets new-key” prints a key" in result.stderr


# --- Looking. -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("added")
def test_connections_are_listed_with_where_they_come_from(run: Run) -> None:
    header, first, _, third, last = run("connections", "list").stdout.splitlines()

    assert header.split() == ["PAGE", "STATE", "DESK", "FROM", "NAME"]
    assert first.split() == [PAGE_A, "active", "7", "settings", "Page", "1"]
    assert third.split() == [NEW, "active", "8", "added", "Fakturownia"]
    assert last.split()[1] == "inactive"


def test_all_are_listed_however_many_are_read_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "AT_ONCE", 1)

    assert len(run("connections", "list").stdout.splitlines()) == 4


def test_no_connections_are_said_to_be_none(run: Run, configure: Callable[..., Any]) -> None:
    configure(connections=[])

    assert run("connections", "list").stdout.startswith("No page is connected")


@pytest.mark.usefixtures("added")
def test_one_that_cannot_be_read_is_listed_with_why(run: Run, configure: Callable[..., Any]) -> None:
    configure(secret_key=new_key(), connections=[])
    _, line = run("connections", "list").stdout.splitlines()

    assert line.split()[1] == "unusable"
    assert line.endswith("with a key that secret_key does not have (any more)")


@pytest.mark.usefixtures("added")
def test_a_connection_is_shown_with_how_its_secrets_end(run: Run) -> None:
    lines = [line.split(maxsplit=1) for line in run("connections", "show", NEW).stdout.splitlines()]

    assert [*map(tuple, lines)][:5] == [
        ("page_id", NEW),
        ("page_name", "Fakturownia"),
        ("page_access_token", "set, ends in …cdef"),
        ("app_secret", "set, ends in …5a5a"),
        ("verify_token", "set"),
    ]
    assert ["active", "yes"] in lines
    assert ["category_id", "–"] in lines


@pytest.mark.usefixtures("added")
def test_a_page_whose_access_was_withdrawn_is_shown_as_such_with_what_to_do(run: Run, inbox: Inbox) -> None:
    admin = ConnectionAdmin(get_settings(), inbox.connections)
    assert admin.withdraw(Withdrawal(SECRET_A, account_id=NEW, time=1795383000)) == [NEW]
    (row,) = [line for line in run("connections", "list").stdout.splitlines() if NEW in line]
    shown = run("connections", "show", NEW).stdout

    assert row.split()[1] == "withdrawn"
    assert "since 2026-11-22 21:30 UTC: Access to the page was taken back at Facebook" in shown
    assert "log in with Facebook again, or enter a new token" in shown


@pytest.mark.usefixtures("added")
def test_json_is_what_the_api_answers(run: Run) -> None:
    shown = json.loads(run("connections", "show", NEW, "--json").stdout)
    listed = json.loads(run("connections", "list", "--json").stdout)

    assert shown["app_secret"] == {"set": True, "ends_in": "5a5a"}
    assert shown in listed


@pytest.mark.parametrize("command", ["show", "enable", "disable", "remove", "token"])
def test_a_page_that_is_not_connected_is_said_to_be_none(run: Run, command: str) -> None:
    result = run("connections", command, NEW)

    assert (result.exit_code, result.stderr) == (1, f"There is no connection of page {NEW}.\n")


def test_while_the_store_is_away_it_is_said(run: Run, configure: Callable[..., Any]) -> None:
    configure(redis_url="redis://127.0.0.1:1/0")
    result = run("connections", "list")

    assert result.exit_code == 1
    assert result.stderr.startswith("redis_url: the store does not work")


# --- Changing. ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("added")
def test_what_is_given_is_changed_and_nothing_else(run: Run, inbox: Inbox) -> None:
    assert run("connections", "change", NEW, "--desk", "9", "--human-agent").exit_code == 0
    found = stored(inbox)

    assert (found.desk_id, found.human_agent, found.page_name) == ("9", True, "Fakturownia")
    assert found.page_access_token.get_secret_value() == TOKEN


@pytest.mark.usefixtures("added")
def test_a_change_of_nothing_is_refused(run: Run) -> None:
    result = run("connections", "change", NEW)

    assert result.exit_code == 1
    assert "Say what to change" in result.stderr


@pytest.mark.usefixtures("added")
def test_a_page_gets_a_new_token(run: Run, inbox: Inbox) -> None:
    result = run("connections", "token", NEW, input="EAAnew\n")

    assert result.stdout == f"Page {NEW} has a new token.\n"
    assert stored(inbox).page_access_token.get_secret_value() == "EAAnew"


@pytest.mark.usefixtures("added")
def test_a_connection_is_switched_off_and_on(run: Run, inbox: Inbox) -> None:
    assert run("connections", "disable", NEW).stdout == f"Page {NEW} is not active any more.\n"
    assert not stored(inbox).active
    assert run("connections", "enable", NEW).stdout == f"Page {NEW} is active.\n"
    assert stored(inbox).active


@pytest.mark.parametrize("command", [["enable"], ["disable"], ["remove", "--yes"], ["change", "--desk", "1"]])
def test_a_page_of_the_settings_is_changed_there(run: Run, command: list[str]) -> None:
    result = run("connections", *command, PAGE_A)

    assert result.exit_code == 1
    assert result.stderr == f"The settings list page {PAGE_A}: change it there, and reload.\n"


# --- Removing. ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("added")
def test_a_removal_asks_first(run: Run, inbox: Inbox) -> None:
    assert run("connections", "remove", NEW, input="n\n").exit_code == 1
    assert stored(inbox)


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize(("options", "answer"), [([], "y\n"), (["--yes"], "")])
def test_a_page_that_is_removed_is_gone_and_what_was_not_done_is_said(
    run: Run, inbox: Inbox, options: list[str], answer: str
) -> None:
    result = run("connections", "remove", NEW, *options, input=answer)

    assert (result.exit_code, result.stdout) == (1, f"Page {NEW} is removed.\n")
    assert "The page was not unsubscribed: Facebook cannot be reached" in result.stderr
    assert inbox.connections.get(f"facebook_messenger:{NEW}") is None


# --- Secrets. -----------------------------------------------------------------------------------------------


def test_no_command_takes_a_secret_as_an_argument_or_shows_one(run: Run) -> None:
    outputs = [
        run("connections", "add", NEW, "--desk", "8", "--json", input=SECRETS),
        run("connections", "add", NEW, "--desk", "8", input=SECRETS),
        run("connections", "change", NEW, "--app-secret-file", "-", input=f"{SECRET_A}0"),
        run("connections", "token", NEW, "--json", input=TOKEN),
        run("connections", "show", NEW),
        run("connections", "list", "--json"),
        run("connections", "remove", NEW, "--yes", "--json"),
    ]
    said = "".join(output.output + repr(output.exception) for output in outputs)

    assert [output.exit_code for output in outputs] == [0, 1, 1, 0, 0, 0, 1]
    assert not [secret for secret in (TOKEN, SECRET_A, "verify-1", KEY) if secret in said]


def test_a_new_key_is_one_that_the_settings_take(run: Run, configure: Callable[..., Any]) -> None:
    key = run("secrets", "new-key").stdout.strip()

    assert configure(secret_key=f"{key}, {KEY}").cipher


@pytest.mark.usefixtures("added")
def test_all_secrets_are_encrypted_anew_and_then_not_again(
    run: Run, inbox: Inbox, configure: Callable[..., Any]
) -> None:
    newest = new_key()
    configure(secret_key=f"{newest},{KEY}")
    first, second = run("secrets", "rotate"), run("secrets", "rotate")

    assert first.exit_code == second.exit_code == 0
    assert first.stdout.startswith("1 connection was encrypted anew, 0 were before.")
    assert second.stdout.startswith("0 connections were encrypted anew, 1 was before.")
    assert stored(inbox, newest).app_secret.get_secret_value() == SECRET_A


@pytest.mark.usefixtures("added")
def test_what_cannot_be_encrypted_anew_is_named(run: Run, configure: Callable[..., Any]) -> None:
    configure(secret_key=new_key())
    result = run("secrets", "rotate")

    assert result.exit_code == 1
    assert f"page {NEW}: its secrets were encrypted with a key" in result.stderr
    assert "can be taken out" not in result.stdout


def test_without_a_key_nothing_is_encrypted_anew(run: Run, configure: Callable[..., Any]) -> None:
    configure(secret_key="")
    result = run("secrets", "rotate")

    assert result.exit_code == 1
    assert result.stderr.startswith("Secrets cannot be stored")


# --- A link to connect pages by a login. --------------------------------------------------------------------


def test_a_link_is_printed_that_the_connector_takes(run: Run, configure: Callable[..., Any]) -> None:
    app = {"app_id": "1", "app_secret": SECRET_A}
    configure(admin_token=ADMIN_TOKEN, public_url="https://acme.example.com", graph=app)
    result = run(
        "connections", "link", "--desk", "7", "--language", "pl", "--return-url", "https://a.example/"
    )
    printed = urlsplit(result.stdout.strip())

    assert f"{printed.scheme}://{printed.netloc}{printed.path}" == "https://acme.example.com/connect/facebook"
    link = links.read(dict(parse_qsl(printed.query)), printed.path, ADMIN_TOKEN, time.time())
    assert (link.desk_id, link.language, link.return_url) == ("7", "pl", "https://a.example/")


def test_a_link_to_the_tab_is_printed_that_needs_no_app(run: Run, configure: Callable[..., Any]) -> None:
    configure(admin_token=ADMIN_TOKEN, public_url="https://acme.example.com")
    printed = urlsplit(run("connections", "link", "--desk", "7", "--tab").stdout.strip())

    assert printed.path == "/desks/7/messenger"
    link = links.read(dict(parse_qsl(printed.query)), printed.path, ADMIN_TOKEN, time.time(), "7")
    assert (link.desk_id, link.return_url) == ("7", "")


def test_without_an_admin_token_no_link_to_the_tab_is_printed(run: Run) -> None:
    result = run("connections", "link", "--desk", "7", "--tab")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Nobody can open the Messenger tab: set admin_token.\n"


def test_without_an_app_no_link_is_printed(run: Run) -> None:
    result = run("connections", "link", "--desk", "7")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "set graph.app_id, graph.app_secret, admin_token" in result.stderr
