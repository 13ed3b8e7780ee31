"""Pages that are connected, changed and removed while all processes run, within a second or so."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import psutil
import pytest

from connector.cipher import new_key
from sandbox.stack import PAGES, Stack, until
from tests.e2e.added import SOON, Case
from tests.e2e.conftest import QUICK
from tests.e2e.load import metric, part
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.login import APP, APP_SECRET, MANAGER, PATH, form_of, link_to, said

MINUTE, DAY = 60_000, 24 * 3_600_000
SECRET_KEY = new_key()
MARK = "> History: written before this page was connected."


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the module's stack, whose settings list one page; no test restarts a part."""
    settings = QUICK | {"secret_key": SECRET_KEY, "admin_token": ADMIN_TOKEN}
    settings["graph"] = {"app_id": APP, "app_secret": APP_SECRET}
    with Stack(tmp_path_factory.mktemp("stack"), pages=PAGES[:1], settings=settings) as running:
        before = _parts(running)
        yield running
        assert _parts(running) == before


def _parts(stack: Stack) -> dict[str, int]:
    return {name: part(stack, name).pid for name in ("web", "worker", "beat")}


@pytest.fixture
def case(stack: Stack) -> Iterator[Case]:
    case = Case(stack)
    yield case
    case.http.close()


def test_a_page_that_is_added_while_it_runs_gets_its_tickets_and_its_replies(case: Case) -> None:
    case.connect()
    case.write("hello")
    ticket = case.ticket()
    case.stack.reply(ticket["id"], "Good morning")

    assert ticket["config"]["page_id"] == case.page.page_id
    assert case.received(1, 15) == ["Good morning"]


def test_a_new_token_lets_the_replies_that_wait_leave_at_once_and_in_order(case: Case) -> None:
    case.connect()
    case.write("hello")
    ticket = case.ticket()
    new = f"{case.page.access_token}-new"
    page = {"name": case.page.name, "app_id": case.page.app_id, "access_token": new}
    case.stack.ask_meta("PUT", f"/pages/{case.page.page_id}", page)
    for number in range(5):
        case.stack.reply(ticket["id"], str(number))
    paused = f'connector_remote_paused{{remote="facebook_messenger:{case.page.page_id}"}}'
    until("its replies wait", lambda: metric(case.stack, paused) == 1, 15)
    assert case.stack.received(case.psid, case.page) == []
    case.put(200, {"If_Match": "*"}, page_access_token=new)

    # A token that was refused is tried again after half a minute, so it is the new one that did it.
    assert case.received(5, 15) == [str(number) for number in range(5)]


def test_a_token_that_is_revoked_is_renewed_by_a_login_and_the_replies_leave_in_order(case: Case) -> None:
    case.connect()
    case.write("hello")
    ticket = case.ticket()
    app = {"app_secret": APP_SECRET, "redirect_uris": [f"{case.stack.url}{PATH}/callback"]}
    case.stack.ask_meta("PUT", f"/apps/{APP}", app)
    page = {"name": case.page.name, "app_id": case.page.app_id, "access_token": "EAAanother"}
    case.stack.ask_meta("PUT", f"/pages/{case.page.page_id}", page)
    for number in range(5):
        case.stack.reply(ticket["id"], str(number))
    paused = f'connector_remote_paused{{remote="facebook_messenger:{case.page.page_id}"}}'
    until("its replies wait", lambda: metric(case.stack, paused) == 1, 15)
    case.stack.ask_meta("PUT", "/users/1", {"name": "Ola", "tasks": {case.page.page_id: MANAGER}})
    case.stack.ask_meta("PUT", "/login", {"user_id": "1"})
    with httpx.Client(follow_redirects=True, trust_env=False, timeout=30) as browser:
        shown = browser.get(link_to(case.stack.url))
        done = browser.post(shown.url, data={"form": form_of(shown), "page": [case.page.page_id]})

    assert "Connected with a new access token." in said(done)
    assert case.received(5, 15) == [str(number) for number in range(5)]
    case.write("and now?")

    def came() -> bool:
        return "and now?" in [comment["body"] for comment in case.ticket()["comments"]]

    until("a message comes by the app of the login", came, 15)


def test_a_page_that_is_switched_off_opens_no_ticket_until_it_is_on_again_but_its_replies_leave(
    case: Case, run: Callable[..., str]
) -> None:
    case.connect()
    case.write("before")
    ticket = case.ticket()
    run("connections", "disable", case.page.page_id)
    until("the web process knows it", lambda: not case.is_known(), SOON)
    quiet, case.psid = case.psid, f"{case.psid}1"
    case.write("meanwhile")
    until("Meta has delivered it", lambda: case.stack.ask_meta("GET", "/webhooks")["waiting"] == 0)
    case.stack.reply(ticket["id"], "Goodbye")
    replied, case.psid = case.psid, quiet
    assert case.received(1, 15) == ["Goodbye"]
    assert case.stack.tickets(replied) == []
    run("connections", "enable", case.page.page_id)
    until("the web process knows it", case.is_known, SOON)
    case.psid = replied

    assert (case.ticket()["body"], case.ticket()["comments"]) == ("meanwhile", [])
    case.write("afterwards")
    until("it stands there", lambda: case.ticket()["comments"], 15)
    assert [comment["body"] for comment in case.ticket()["comments"]] == ["afterwards"]


def test_what_was_written_before_a_page_is_connected_stands_there_first_and_as_history(case: Case) -> None:
    """One of its people writes before their conversation has had its turn."""
    case.exist()
    people = [f"{case.psid}{number}" for number in range(4)]
    began = int(time.time()) * 1000 - 3 * DAY
    for number, case.psid in enumerate(people):
        for minute in range(2):
            case.write(f"message {minute}", timestamp=began + (10 * number + minute) * MINUTE)
    case.psid = early = f"{people[0]}9"
    case.write("too early", timestamp=began - 2 * DAY)
    case.connect(history_days=4)
    case.psid = people[0]
    case.write("now")
    for number, case.psid in enumerate(people):
        live = ["now"] if number == 0 else []
        shown = case.shown(2 + len(live))
        times = [_at(began + (10 * number + minute) * MINUTE) for minute in range(2)]
        assert shown[:2] == [(f"{MARK}\n\nmessage {minute}", times[minute], True) for minute in range(2)]
        assert [(text, is_history) for text, _, is_history in shown[2:]] == [(one, False) for one in live]

    log = (case.stack.folder / "meta.jsonl").read_text().splitlines()
    path = f"/{case.page.page_id}/messages"
    assert len([line for line in log if path in line and '"POST ' in line]) == 1, "only “now” is seen"
    assert case.stack.tickets(early) == []


def test_a_page_that_is_removed_is_unsubscribed_at_meta(case: Case) -> None:
    case.connect()
    assert case.subscribed()
    answer = case.admin.ask("DELETE", f"/{case.page.page_id}", If_Match="*")

    assert (answer.status_code, answer.text) == (204, "")
    assert case.subscribed() == []
    until("the web process knows it", lambda: not case.is_known(), SOON)


def test_a_page_that_is_added_is_in_the_status(case: Case, run: Callable[..., str]) -> None:
    case.connect()

    assert f"page {case.page.page_id}  active" in run("status")


def test_no_secret_is_in_answers_the_logs_the_stores_files_or_the_list_of_processes(case: Case) -> None:
    case.connect()
    case.write("hello")
    case.ticket()
    path = f"/{case.page.page_id}"
    asked = [case.admin.ask(*one) for one in (("GET", path), ("GET", ""), ("POST", f"{path}/check"))]
    files = [file for file in (case.stack.folder / "data").rglob("*") if file.is_file()]
    supervisor = psutil.Process(case.stack.connector.popen.pid)
    seen = {
        "answers": [answer.content + repr(answer.headers).encode() for answer in asked],
        "the store's files": [file.read_bytes() for file in files],
        "the log": [case.stack.connector.log.read_bytes()],
        "the processes": [
            " ".join([*one.cmdline(), *one.environ().values()]).encode()
            for one in (supervisor, *supervisor.children(recursive=True))
        ],
    }
    for name in ("answers", "the store's files", "the log"):
        assert any(case.page.page_id.encode() in one for one in seen[name]), name
    assert len(seen["the processes"]) > 4
    assert [answer.status_code for answer in asked] == [200, 200, 200]

    page, stack = case.page, case.stack
    secrets = {
        *(page.access_token, page.app_secret, page.verify_token, ADMIN_TOKEN, SECRET_KEY, APP_SECRET),
        *(stack.api_token, stack.webhook_secret, stack.webhook_secret.removeprefix("whsec_")),
        *(secret for one in stack.pages for secret in (one.access_token, one.app_secret, one.verify_token)),
    }
    found = [
        (where, secret)
        for secret in secrets
        for where, every in seen.items()
        for one in every
        if secret.encode() in one
    ]
    assert found == []
