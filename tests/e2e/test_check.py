"""`connector check` and the checks on schedule, between real processes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from sandbox.stack import Page, Stack, until
from tasks.findings import kept
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.chaos.system import FAKED

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("check")) as running:
        yield running


@pytest.fixture
def check(stack: Stack) -> Iterator[Run]:
    """Run `connector check`; whatever a test broke is whole again afterwards."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "connector", "check", *arguments]
        environment = {**os.environ, "CONNECTOR_SETTINGS": str(stack.settings_file), **variables}
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        _hides_secrets(stack, result.stdout + result.stderr)
        return result

    yield run
    for page in stack.pages:
        stack.ask_meta("PUT", f"/pages/{page.page_id}/token", {})
        stack._connect(page)


def _hides_secrets(stack: Stack, text: str) -> None:
    secrets = [stack.api_token, stack.webhook_secret]
    for page in stack.pages:
        secrets += [page.access_token, page.app_secret, page.verify_token]
    assert [secret for secret in secrets if secret in text] == []


def lines(result: subprocess.CompletedProcess[str], mark: str) -> list[str]:
    return [line for line in result.stdout.splitlines() if line.startswith(f"{mark} ")]


def wrong(result: subprocess.CompletedProcess[str]) -> list[str]:
    return lines(result, "WRONG") + lines(result, "WARNING")


def first(stack: Stack) -> Page:
    return stack.pages[0]


def setting(page: Page, key: str) -> str:
    return f"CONNECTOR_CONNECTIONS__{page.page_id}__{key}"


def test_where_all_is_well_each_check_is_a_line_and_the_end_is_0(check: Run) -> None:
    result = check()

    assert (result.returncode, wrong(result)) == (0, [])
    assert len(lines(result, "ok")) >= 2 + 2 * 7
    assert result.stdout.splitlines()[-1] == "Everything is in order: 2 pages checked."


def test_a_page_that_it_looked_at_counts_as_checked_and_what_was_wrong_is_kept(
    stack: Stack, check: Run
) -> None:
    page = first(stack)
    remote = f"facebook_messenger:{page.page_id}"
    with closing(connect(stack.store_url)) as store:
        inbox = Inbox(store)
        store.delete(inbox.key("checked"))
        check("--page", page.page_id)
        assert inbox.checked([remote]) != [None]
        assert inbox.findings_of(remote) is None

        stack.ask_meta("POST", f"/pages/{page.page_id}/unsubscribe")
        check("--page", page.page_id)
        assert [one.what.code for one in kept(inbox.findings_of(remote))] == ["page_not_subscribed"]


def test_a_page_that_was_unsubscribed_is_reported_and_fixed_when_asked(stack: Stack, check: Run) -> None:
    page = first(stack)
    stack.ask_meta("POST", f"/pages/{page.page_id}/unsubscribe")
    result = check()

    (line,) = wrong(result)
    assert result.returncode == 1
    assert f"page {page.page_id} {page.name}: The page is not subscribed" in line
    assert "Customers' messages do not arrive." in line
    assert result.stdout.splitlines()[-1] == (
        "1 fault found, of which 1 stops messages; 2 pages checked, 1 with faults."
    )
    fixed = check("--fix")
    assert (fixed.returncode, len(lines(fixed, "FIXED"))) == (0, 1)
    assert check().returncode == 0


def test_a_callback_that_moved_is_taken_up(stack: Stack, check: Run) -> None:
    page = first(stack)
    moved = {"callback_url": "https://old.example.com/hook?key=hidden"}
    stack.ask_meta("PATCH", f"/apps/{page.app_id}/subscription", moved)
    result = check("--page", page.page_id)

    (line,) = wrong(result)
    assert f"https://old.example.com/hook instead of {stack.url}" in line
    assert check("--page", page.page_id, "--fix").returncode == 0
    assert check().returncode == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"active": False}, "is disabled"),
        ({"fields": ["messages", "feed"]}, "The webhook of the Meta app lacks fields: message_edits, "),
    ],
)
def test_an_apps_subscription_that_is_not_whole_is_made_whole(
    stack: Stack, check: Run, changes: dict[str, Any], told: str
) -> None:
    page = first(stack)
    stack.ask_meta("PATCH", f"/apps/{page.app_id}/subscription", changes)

    assert told in wrong(check())[0]
    assert check("--fix").returncode == 0
    assert check().returncode == 0


def test_a_token_that_has_expired_is_reported(stack: Stack, check: Run) -> None:
    stack.ask_meta("PUT", f"/pages/{first(stack).page_id}/token", {"expires_at": 1_700_000_000})
    result = check()

    assert result.returncode == 1
    assert "The page access token is not valid. (Facebook error 190/463)" in wrong(result)[0]


def test_permissions_that_are_missing_are_reported(stack: Stack, check: Run) -> None:
    granted = {"scopes": ["pages_read_engagement"], "expires_at": 4_000_000_000}
    stack.ask_meta("PUT", f"/pages/{first(stack).page_id}/token", granted)
    result = check()

    told = "\n".join(wrong(result))
    assert "The permission pages_messaging is missing." in told
    assert "Permissions are missing: pages_manage_metadata." in told
    assert "The page access token expires on 2096-10-02" in told
    assert len(lines(result, "?")) == 1


def test_a_limit_of_metas_is_a_warning_that_says_when_to_try_again(stack: Stack, check: Run) -> None:
    error = {"error": {"code": 4, "message": "(#4) Application request limit reached"}}
    stack.ask_meta("PUT", "/faults", [{"path": "*/app", "status": 400, "body": error, "times": 9}])
    result = check("--page", first(stack).page_id)
    stack.ask_meta("DELETE", "/faults")

    (line,) = wrong(result)
    assert result.returncode == 1
    assert line.startswith("WARNING")
    assert re.search("too many requests.*Check again after 20..-..-.. ..:.. UTC", line)
    with closing(connect(stack.store_url)) as store:  # else the checks of the other tests wait until then
        assert store.delete(*store.scan_iter("mc:unchecked:*")) == 1
    assert check().returncode == 0


def test_a_wrong_app_secret_is_reported(stack: Stack, check: Run) -> None:
    result = check("--page", first(stack).page_id, **{setting(first(stack), "APP_SECRET"): "0d" * 16})

    assert "Facebook rejects the app secret." in wrong(result)[0]
    assert "0d0d" not in result.stdout + result.stderr


def test_a_verify_token_that_the_running_connector_does_not_have_is_reported(
    stack: Stack, check: Run
) -> None:
    result = check(**{setting(first(stack), "VERIFY_TOKEN"): "another"})

    (line,) = wrong(result)
    assert "does not answer as the connector does: the webhook address returned an error (HTTP 403)." in line


def test_a_public_url_that_leads_nowhere_is_reported(check: Run) -> None:
    result = check(CONNECTOR_PUBLIC_URL="http://127.0.0.1:9")

    assert any("cannot be reached from this machine" in line for line in wrong(result))
    assert any("instead of http://127.0.0.1:9/" in line for line in wrong(result))


def test_a_clock_that_is_wrong_is_reported(stack: Stack, check: Run) -> None:
    result = check("--page", first(stack).page_id, **(FAKED | {"FAKETIME": "+3600"}))

    (line,) = wrong(result)
    assert re.search(r"The clock of this machine is (3599|360\d) s ahead of Facebook's\.", line)


def test_a_desk_and_a_category_that_are_missing_are_reported(stack: Stack, check: Run) -> None:
    page = first(stack)
    result = check(**{setting(page, "DESK_ID"): "99", setting(page, "CATEGORY_ID"): "98"})

    told = "\n".join(wrong(result))
    assert "The helpdesk has no desk 99." in told
    assert "The helpdesk has no category 98." in told


def test_a_helpdesk_that_rejects_the_token_or_is_down_is_reported(check: Run) -> None:
    assert "The helpdesk rejects the token" in wrong(check(CONNECTOR_HELPDESK__API_TOKEN="wrong"))[0]
    (line,) = wrong(check(CONNECTOR_HELPDESK__BASE_URL="http://127.0.0.1:9/api/v1"))
    assert "The helpdesk cannot be used: the helpdesk cannot be reached" in line


def test_a_store_or_a_meta_that_is_away_is_reported_and_the_rest_is_checked(check: Run) -> None:
    result = check(CONNECTOR_REDIS_URL="redis://127.0.0.1:9/0")
    (line,) = wrong(result)
    assert "The store cannot be used" in line
    assert any("The page sends its events" in line for line in lines(result, "ok"))

    result = check(CONNECTOR_GRAPH__BASE_URL="http://127.0.0.1:9")
    assert all("could not be checked" in line for line in wrong(result))
    assert len(wrong(result)) == 2


def test_json_has_every_finding(stack: Stack, check: Run) -> None:
    stack.ask_meta("POST", f"/pages/{first(stack).page_id}/unsubscribe")
    result = check("--json")
    report = json.loads(result.stdout)

    assert (result.returncode, report["is_right"]) == (1, False)
    (one,) = [one for one in report["findings"] if one["level"] == "stops_messages"]
    assert (one["code"], one["can_be_fixed"]) == ("page_not_subscribed", True)
    assert one["about"] == f"page {first(stack).page_id} {first(stack).name}"


def test_a_page_that_is_not_connected_cannot_be_checked(check: Run) -> None:
    result = check("--page", "1")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("There is no active connection of the page 1;")


def test_by_itself_an_unsubscribed_page_is_subscribed_again_and_that_is_said_once(
    stack: Stack, check: Run
) -> None:
    page = first(stack)
    log = stack.folder / "schedule.log"
    variables = {"CONNECTOR_CHECK_EVERY": "0.02"}
    worker = stack.process("schedule", [sys.executable, "-m", "connector", "worker"], **variables)
    beat = stack.process("beat", [sys.executable, "-m", "connector", "beat"], **variables)
    try:
        for _ in range(2):
            stack.ask_meta("POST", f"/pages/{page.page_id}/unsubscribe")
            until("it is subscribed again", lambda: check("--page", page.page_id).returncode == 0)
        granted = {"scopes": ["pages_messaging"]}
        stack.ask_meta("PUT", f"/pages/{page.page_id}/token", granted)
        until("what is missing is logged", lambda: "permissions_missing" in log.read_text())
        shown = until("it is counted", lambda: stack.metrics().partition("connector_check_findings{")[2])
        stack.ask_meta("PUT", f"/pages/{page.page_id}/token", {})
        until("that it is over is logged", lambda: "finding_over" in log.read_text())
    finally:
        beat.stop()
        worker.stop()
    text = log.read_text() + stack.connector.log.read_text()
    _hides_secrets(stack, text)
    assert text.count("page_subscribed_again") == 1
    assert text.count("finding_began") == 1
    assert f'"permissions_missing",level="warning",remote="facebook_messenger:{page.page_id}"}} 1.0' in shown


def test_what_stops_messages_is_one_ticket_of_the_pages_desk_until_it_is_over(
    stack: Stack, check: Run
) -> None:
    page = first(stack)

    def every() -> list[dict[str, Any]]:
        return [one for one in stack.tickets() if one["config"] == {"source": "connector"}]

    check()
    until("what other tests broke is over", lambda: all(one["closed"] for one in every()))
    before = len(every())
    variables = {"CONNECTOR_CHECK_EVERY": "0.02"}
    command = [sys.executable, "-m", "connector"]
    workers = [stack.process(f"reports-{number}", [*command, "worker"], **variables) for number in range(2)]
    beat = stack.process("reports-beat", [*command, "beat"], **variables)

    def reported() -> list[dict[str, Any]]:
        return every()[before:]

    try:
        granted = {"scopes": ["pages_read_engagement", "pages_manage_metadata"]}
        stack.ask_meta("PUT", f"/pages/{page.page_id}/token", granted)
        (ticket,) = until("there is a ticket", reported)
        workers[0].kill()
        stack.reply(ticket["id"], "I am on it.")
        stack.ask_meta("PUT", f"/pages/{page.page_id}/token", {})
        until("it is closed", lambda: reported()[0]["closed"])
    finally:
        for process in (beat, *workers):
            process.stop()
    (ticket,) = reported()
    assert ticket["desk_id"] == page.desk_id
    assert ticket["title"] == f"Messenger: Messages of the page {page.name} do not get through"
    assert "The permission pages_messaging is missing." in ticket["body"]
    system = [one["body"] for one in ticket["comments"] if one["author"]["type"] == "system"]
    assert system == ["It is over: the last check found nothing that stops messages."]


def test_the_helpdesks_webhooks_are_asked_for(stack: Stack, check: Run) -> None:
    page = "--page", first(stack).page_id
    assert any("The helpdesk's webhooks reach the connector." in line for line in lines(check(*page), "ok"))

    stack.ask_desk("PUT", "/settings", {"pings": False})
    (line,) = lines(check(*page), "?")
    assert "is not known: the helpdesk cannot be asked for one." in line

    stack.ask_desk("PUT", "/settings", {"pings": True, "webhook_url": "http://127.0.0.1:9/old"})
    (line,) = wrong(check(*page))
    assert f"sends its webhooks to http://127.0.0.1:9/old instead of {stack.url}" in line
    stack.ask_desk("PUT", "/settings", {"webhook_url": f"{stack.url}/social_media/webhooks/helpdesk"})
