"""`connector check`: what its last line says, and what it keeps."""

from collections.abc import Iterator

import pytest

from clients.errors import Unauthorized
from clients.findings import Finding, finding
from connector.cli import check
from connector.cli.check import CheckReport, _summary
from tasks import findings
from tasks.inbox.queues import HELPDESK, STORE
from tests.conftest import PAGE_A, MakeSettings
from tests.fakes.checked_pages import Pages
from tests.fakes.commands import Run
from tests.fakes.world import World

FINE = finding("page_token_valid")
UNKNOWN = finding("desk_unknown", desk_id="7", reason="?")
WRONG = finding("page_not_subscribed")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([FINE], "Everything is in order: 1 page checked."),
        (
            [FINE, UNKNOWN],
            "Nothing was found to be wrong: 1 page checked; 1 question could not be answered (?).",
        ),
        (
            [UNKNOWN] * 2,
            "Nothing was found to be wrong: 1 page checked; 2 questions could not be answered (?).",
        ),
        (
            [WRONG, UNKNOWN],
            (
                "1 fault found, of which 1 stops messages; 1 page checked, 1 with faults; "
                "1 question could not be answered (?)."
            ),
        ),
    ],
)
def test_the_last_line_says_what_could_not_be_checked(found: list[Finding], said: str) -> None:
    report = CheckReport(quiet=True)
    report.add("settings", [])
    report.add("page 1", found)

    assert _summary(report, list(report.wrong())) == said


@pytest.fixture
def world(store_url: str, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World(store_url, make_settings)
    monkeypatch.setattr(check, "build", lambda *_, **__: world.service)
    yield world
    world.close()


def test_what_keeps_webhooks_away_is_kept_though_nothing_is_put_right(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = Pages()
    pages.found[PAGE_A] = [finding("app_secret_wrong")]
    monkeypatch.setattr(type(world.service), "account", lambda _, connection: pages.account(connection))
    done = run("check", "--page", PAGE_A)

    assert done.exit_code == 1
    kept = findings.kept(world.inbox.findings_of(f"facebook_messenger:{PAGE_A}"))
    assert [one.what.code for one in kept] == ["app_secret_wrong"]
    assert pages.repaired == []


def test_what_is_wrong_with_the_helpdesk_is_kept_and_hides_what_is_wrong_with_a_desk(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, remote = Pages(), f"facebook_messenger:{PAGE_A}"
    monkeypatch.setattr(type(world.service), "account", lambda _, connection: pages.account(connection))
    missing = finding("desk_missing", desk_id="7")
    findings.note(world.inbox, remote, [missing])
    world.desk.fail("ping", Unauthorized("unauthorized"))
    shown = run("check", "--page", PAGE_A).stdout

    assert "?        page" in shown
    kept = {name: findings.kept(world.inbox.findings_of(name)) for name in (HELPDESK, STORE, remote)}
    codes = {name: [one.what.code for one in found] for name, found in kept.items()}
    assert codes[HELPDESK] == ["helpdesk_token_wrong"]
    assert codes[remote] == ["desk_missing"]
    run("check", "--page", PAGE_A)
    assert world.inbox.findings_of(HELPDESK) is None
