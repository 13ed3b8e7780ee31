"""What stops a page's messages becomes one internal ticket of its desk, which says what changes and the end.

What is wrong with the helpdesk or the store, which all pages share, becomes one of each desk, unless it keeps
tickets from being opened. Whoever checks a connection, pauses it, or sees it work again queues a report if
its ticket does not say what is wrong now. The worker that has the lease of that queue brings the ticket up to
date, so there is one, whoever checks and whoever dies; while the helpdesk is away the report waits. All of it
stands in the log and in `/metrics` as well.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import redis
import structlog
from structlog.contextvars import bind_contextvars

from clients.errors import ClientError, NotFound, RejectedError, TicketClosed
from clients.helpdesk import NewTicket
from clients.notices import ENGLISH, Notice, decode, notice
from clients.text.markdown import to_markdown
from tasks import findings
from tasks.findings import KeptFinding
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job, Step, read_value
from tasks.inbox.queues import HELPDESK, STORE, account_of, desk_of, report_queue
from tasks.notes import is_refused_for_good, notify_once
from tasks.remotes import OVER_AFTER
from tasks.services import Services
from tasks.words import say
from tasks.work import Work

log = structlog.get_logger(__name__)

_NO_TICKETS = frozenset({"helpdesk_away", "helpdesk_token_wrong"})
"""What keeps a ticket from being opened."""


class Report(msgspec.Struct, frozen=True):
    """A ticket that says what stops messages: the codes of that.

    `changed` is when the job that wrote it last was accepted (ms).
    """

    ticket_id: str
    external_id: str
    codes: tuple[str, ...]
    changed: int


@dataclass(frozen=True, slots=True)
class _Target:
    """The desk that is told, and how: `about` stands in ids, `title` says what it is about."""

    desk_id: str
    category_id: str | None
    language: str
    about: str
    title: str
    key_prefix: str


# --- What is queued. --------------------------------------------------------------------------------------


def request(service: Services, name: str) -> None:
    """Queue a report of an account, or a desk, unless its ticket says what is wrong.

    Raises `redis.RedisError`.

    The sweep wakes a worker for it. A full store leaves it to the next check. There is none of the helpdesk.
    """
    if name == HELPDESK:
        return
    found, report = _stopping(service, name), _report_of(service.inbox, name)
    if _codes(found) == (report.codes if report else ()):
        return
    if report or service.settings.check_tickets:
        content = " ".join(f"{one.what.code}@{one.since}" for one in found)
        key = f"report:{name}:{report.changed if report else 0}:{content}"
        now = int(service.inbox.now() * 1000)
        with suppress(redis.OutOfMemoryError):
            service.inbox.accept([Job(key=key, queue=report_queue(name), time=now, body=b"{}")])


def _stopping(service: Services, name: str) -> list[KeptFinding]:
    """Return what agents of an account, or a desk, are told: by the last checks, and by why it is paused."""
    remotes, desk_id = [name], desk_of(name)
    if desk_id is not None:
        remotes = [HELPDESK, STORE] if _has_page(service, desk_id) else []
    found = {one.what.code: one for one in _paused(service, name)}
    for remote in remotes:
        found |= {one.what.code: one for one in findings.kept(service.inbox.findings_of(remote))}
    told = (one for one in found.values() if one.is_reported and one.what.code not in _NO_TICKETS)
    return sorted(told, key=lambda one: one.what.code)


def _paused(service: Services, name: str) -> Iterator[KeptFinding]:
    """Yield why an account is paused, if an operator has to know.

    Between two pauses it counts as paused, unless it worked; one that nobody tries any more does not.
    """
    channel, pause = service.channels.get(name.partition(":")[0]), service.inbox.pauses_of([name]).get(name)
    if channel and pause and pause.until > service.inbox.now() - OVER_AFTER:
        reason = decode(pause.reason)
        if code := channel.stops.get(reason.code):
            yield KeptFinding(Notice(code, reason.values), pause.since or pause.until)


def _has_page(service: Services, desk_id: str) -> bool:
    return any(one.active and one.desk_id == desk_id for one in service.connections.all)


def _codes(found: Iterable[KeptFinding]) -> tuple[str, ...]:
    return tuple(one.what.code for one in found)


def _report_of(inbox: Inbox, name: str) -> Report | None:
    return _read(inbox.get(_key(name)) or b"")


def _read(stored: bytes | str) -> Report | None:
    report: Report | None = read_value(stored, Report, None)
    return report


def _key(name: str) -> str:
    return f"report:{name}"


# --- What is done with it. --------------------------------------------------------------------------------


def relay(work: Work) -> None:
    """Bring the ticket of an account, or a desk, up to date. Raises `ClientError`.

    What the helpdesk does not take does not make it a dead letter: nothing of a customer's is lost.
    """
    work.lease.asks_account = False
    try:
        _bring_up_to_date(work)
    except ClientError as error:
        if not isinstance(error, RejectedError) and not is_refused_for_good(work, error):
            raise
        _log_not_reported(work, error.notice)


def notify(work: Work, reason: Notice) -> None:
    """Log that a report could not be made."""
    _log_not_reported(work, reason)


def _log_not_reported(work: Work, reason: Notice) -> None:
    log.warning("not_reported", remote=account_of(work.lease.queue), reason=str(reason))


def _bring_up_to_date(work: Work) -> None:
    service, name = work.service, account_of(work.lease.queue)
    target = _target(work, name)
    report = _report_of(service.inbox, name) or _opened_before(work)
    found = _stopping(service, name) if target else []
    if report:
        bind_contextvars(ticket=report.ticket_id)
    if _codes(found) == (report.codes if report else ()):
        return
    if report and not found:
        _close(work, report, is_active=bool(target))
    elif report and target:
        _update(work, target, report, found)
    elif target and service.settings.check_tickets:
        _open(work, target, found)


def _target(work: Work, name: str) -> _Target | None:
    """Return who is told; None without an active connection."""
    if (desk_id := desk_of(name)) is not None:
        language = _language(work.service, desk_id)
        title = say(notice("all_messages_stopped"), language)
        is_there = _has_page(work.service, desk_id)
        return _Target(desk_id, None, language, name, title, "connector") if is_there else None
    one = work.service.active_connection(work.conversation.channel, work.conversation.account_id)
    if one is None:
        return None
    title = say(notice("messages_stopped", page=one.name or one.account_id), one.language)
    return _Target(
        one.desk_id,
        one.category_id,
        one.language,
        one.account_id,
        f"{work.channel.title}: {title}",
        work.channel.key_prefix,
    )


def _language(service: Services, desk_id: str) -> str:
    """Return the language of a desk's agents, which is that of its first page."""
    every = sorted(service.connections.all, key=lambda one: (one.desk_id != desk_id, not one.active))
    return every[0].language if every else ENGLISH


def _opened_before(work: Work) -> Report | None:
    """Look for a ticket whose create may have worked, though nobody could note that."""
    begun = _read(work.lease.step(Step.report()) or "")
    ticket = work.service.helpdesk.ticket_by_external_id(begun.external_id) if begun else None
    return _keep(work, msgspec.structs.replace(begun, ticket_id=ticket.id)) if begun and ticket else None


def _open(work: Work, target: _Target, found: list[KeptFinding], after: str = "") -> None:
    """Open a ticket; `after` is one that takes no more comments."""
    accepted, language = work.lease.job.accepted, target.language
    external_id = f"check:{target.about}:{accepted}" + (f":after:{after}" if after else "")
    codes = _codes(found)
    begun = Report("", external_id, codes, accepted)
    parts = [*_paragraphs(found, language), say(notice("report_is_internal"), language)]
    ticket = NewTicket(
        desk_id=target.desk_id,
        category_id=None if "category_missing" in codes else target.category_id,
        title=target.title,
        body="\n\n".join(map(to_markdown, parts)),
        external_id=external_id,
        customer=None,
        attachment_ids=(),
        created_at=datetime.fromtimestamp(found[0].since, UTC),
        language=language,
    )
    work.lease.save_step(Step.report(), msgspec.json.encode(begun).decode())
    key = f"{target.key_prefix}:{target.about}:{external_id}"
    made = work.service.helpdesk.create_ticket(ticket, key)
    _keep(work, msgspec.structs.replace(begun, ticket_id=made.id))


def _update(work: Work, target: _Target, report: Report, found: list[KeptFinding]) -> None:
    """Say on the ticket what is wrong now. Where agents closed it, what is new gets another one."""
    codes, language = _codes(found), target.language
    text = "\n\n".join([say(notice("report_changed"), language), *_paragraphs(found, language)])
    try:
        notify_once(work, report.ticket_id, f"check:{work.lease.job.accepted}:{'+'.join(codes)}", text)
    except (TicketClosed, NotFound):
        if set(codes) - set(report.codes):
            _open(work, target, found, after=report.ticket_id)
            return
    _keep(work, msgspec.structs.replace(report, codes=codes, changed=work.lease.job.accepted))


def _close(work: Work, report: Report, *, is_active: bool) -> None:
    """Say that it is over, and close the ticket if the helpdesk can."""
    name = account_of(work.lease.queue)
    desk_id = desk_of(name)
    language = work.service.language(name) if desk_id is None else _language(work.service, desk_id)
    ends = "report_ends" if desk_id is None else "report_of_desk_ends"
    text = say(notice("report_over" if is_active else ends), language)
    try:
        notify_once(work, report.ticket_id, f"check:{work.lease.job.accepted}:over", text)
        work.service.helpdesk.close_ticket(report.ticket_id)
    except (TicketClosed, NotFound):
        log.info("report_closed_before", ticket=report.ticket_id)  # by agents
    work.service.inbox.delete(_key(name))


def _keep(work: Work, report: Report) -> Report:
    work.lease.check()
    name = account_of(work.lease.queue)
    work.service.inbox.put(_key(name), msgspec.json.encode(report).decode())
    return report


def _paragraphs(found: Iterable[KeptFinding], language: str) -> list[str]:
    """Say of each thing since when it is wrong, what it means, and what to do."""
    return [_paragraph(one, language) for one in found]


def _paragraph(one: KeptFinding, language: str) -> str:
    what = one.finding
    is_for_agents = what.meaning.is_for_page or not what.remedy
    mark = None if is_for_agents else notice("todo_for_operator")
    since = notice("wrong_since", time=f"{datetime.fromtimestamp(one.since, UTC):%Y-%m-%d %H:%M} UTC")
    parts = (what.what, what.means, mark, what.remedy, since)
    return " ".join(say(part, language) for part in parts if part)
