"""`connector check`: whether everything is connected as it has to be, what to do if not, and `--fix`."""

import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import click
import redis

from clients.findings import Finding, Level, finding
from clients.single_flight import Answers
from clients.text.line import one_line
from connector.cli.common import counted, fail, read_settings, settings_option
from connector.settings import Settings, doubtful, get_settings
from tasks import checks
from tasks.connections import Connection
from tasks.inbox.queues import HELPDESK, STORE
from tasks.services import Services, build
from tasks.words import say

AT_ONCE = 8
"""How many pages are checked at the same time."""
_MARKS = {
    Level.OK: "ok",
    Level.UNKNOWN: "?",
    Level.WARNING: "WARNING",
    Level.STOPS_MESSAGES: "WRONG",
}


@dataclass(slots=True)
class CheckReport:
    """What was found so far, by what it is about; printed at once unless it is `quiet`."""

    quiet: bool
    found: dict[str, list[Finding]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def add(self, about: str, findings: Iterable[Finding]) -> list[Finding]:
        """Print findings as they come, and return them."""
        found = []
        for one in findings:
            found.append(one)
            self._print(about, _MARKS[one.level], one)
        with self.lock:
            self.found[about] = found
        return found

    def add_fixed(self, about: str, before: Iterable[Finding], after: list[Finding]) -> None:
        """Print what is right now and was not before, and what is still wrong or new."""
        left = {one.code for one in after}
        for one in before:
            if one.meaning.can_be_fixed and one.code not in left:
                self._print(about, "FIXED", one)
        for one in after:
            if one.is_wrong:
                self._print(about, _MARKS[one.level], one)
        with self.lock:
            self.found[about] = after

    def wrong(self) -> Iterator[tuple[str, Finding]]:
        """Yield what is wrong, and what it is about."""
        for about, findings in self.found.items():
            yield from ((about, one) for one in findings if one.is_wrong)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        every = [
            {"about": about} | checks.as_data(one) for about, found in self.found.items() for one in found
        ]
        return {"is_right": not any(self.wrong()), "findings": every}

    def _print(self, about: str, mark: str, one: Finding) -> None:
        if self.quiet:
            return
        parts = [one.what, one.means, one.remedy] if one.is_wrong and mark != "FIXED" else [one.what]
        text = " ".join(say(part) for part in parts if part)
        with self.lock:
            click.echo(f"{mark:<8} {one_line(about)}: {one_line(text)}")


@click.command()
@settings_option
@click.option("--page", metavar="ID", help="Check this page only.")
@click.option("--fix", is_flag=True, help="Repair what can be repaired: subscribe the app and the pages.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, once all is checked.")
def check(*, page: str | None, fix: bool, as_json: bool) -> None:
    """Check settings, store, helpdesk and each connected page; ends with 1 if anything is wrong.

    A line says what is wrong, what it means for messages, and what to do.
    """
    settings = read_settings("check", get_settings)
    service, report = build(settings, patient=False), CheckReport(quiet=as_json)
    with suppress(redis.RedisError):  # then those of the settings are known, and the store is reported
        service.connections.refresh()
    active = [one for one in service.connections.all if one.active]
    connections = [one for one in active if page is None or one.account_id == page.strip()]
    if page is not None and not connections:
        hint = "“connector status” shows those there are"
        fail(f"There is no active connection of the page {one_line(page)}; {hint}.")
    report.add("settings", _doubts(settings))
    store = report.add("store", checks.check_store(service.inbox))
    helpdesk = report.add("helpdesk", checks.check_helpdesk(service))
    with suppress(redis.RedisError):  # that is among what was found
        checks.note_shared(service, STORE, store)
        checks.note_shared(service, HELPDESK, helpdesk)
    if not connections:
        report.add("connections", [finding("no_connections")])
    known = None if fix else Answers()  # what is asked after a repair has to be asked anew
    hiding = next((one for one in helpdesk if one.meaning.hides_others), None)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for done in [
            threads.submit(_check_page, service, one, report, known, fix=fix, hiding=hiding)
            for one in connections
        ]:
            done.result()
    wrong = list(report.wrong())
    click.echo(json.dumps(report.as_json(), ensure_ascii=False) if as_json else _summary(report, wrong))
    sys.exit(bool(wrong))


def _check_page(  # noqa: PLR0913 - what all pages share, and one of them
    service: Services,
    connection: Connection,
    report: CheckReport,
    known: Answers | None,
    *,
    fix: bool,
    hiding: Finding | None,
) -> None:
    """Check a page, but not its desk where what is wrong with the helpdesk is `hiding` that."""

    def look() -> Iterator[Finding]:
        if hiding:
            yield from checks.check_account(service, connection, known)
            yield finding("desk_unknown", desk_id=connection.desk_id, reason=hiding.values["reason"])
        else:
            yield from checks.check_connection(service, connection, known)

    about = f"page {connection.account_id} {connection.name}".strip()
    found = report.add(about, look())
    if fixable := [one for one in found if fix and one.meaning.can_be_fixed]:
        with suppress(redis.RedisError):  # that is among what was found
            failed = checks.repair(service, connection, fixable)
            found = [*look(), *failed]
            report.add_fixed(about, fixable, found)
    with suppress(redis.RedisError):
        checks.note(service, connection, found)


def _doubts(settings: Settings) -> Iterator[Finding]:
    found = {key: advice for key, advice in doubtful(settings).items() if key != "connections"}
    for key, advice in found.items():
        yield finding("setting_doubtful", setting=key, advice=advice)
    if not found:
        yield finding("settings_good")


def _summary(report: CheckReport, wrong: list[tuple[str, Finding]]) -> str:
    pages = [about for about in report.found if about.startswith("page ")]
    faulty = {about for about, _ in wrong if about in pages}
    stopping = sum(one.level == Level.STOPS_MESSAGES for _, one in wrong)
    checked = f"{counted(len(pages), 'page')} checked"
    unknown = sum(one.level == Level.UNKNOWN for found in report.found.values() for one in found)
    left = f"; {counted(unknown, 'question')} could not be answered (?)" if unknown else ""
    if not wrong:
        return f"{'Nothing was found to be wrong' if left else 'Everything is in order'}: {checked}{left}."
    stops = "stops" if stopping == 1 else "stop"
    found = f"{counted(len(wrong), 'fault')} found, of which {stopping} {stops} messages"
    return f"{found}; {checked}, {len(faulty)} with faults{left}."
