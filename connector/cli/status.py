"""`connector status`: the state of each page on one screen, and why something does not get through."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from clients.channels.registry import CHANNELS
from clients.text.line import one_line
from connector.cli.common import counted, state_of
from connector.settings import Settings
from tasks.findings import kept, last_check
from tasks.inbound.backfill import UnderWay, under_way
from tasks.inbox.inbox import Inbox
from tasks.inbox.queues import HELPDESK, STORE, account_id_of, account_of, account_remote, direction_of
from tasks.services import directory_of
from tasks.words import described, say

DAY, HOUR, MINUTE = 86_400, 3_600, 60


@dataclass(slots=True)
class Way:
    """One direction of a page: how many queues wait, and since when the oldest does (seconds since 1970)."""

    queues: int = 0
    oldest: float | None = None

    def add(self, at: float) -> None:
        """Count a queue."""
        self.queues += 1
        self.oldest = at if self.oldest is None else min(at, self.oldest)


@dataclass(slots=True)
class PageStatus:
    """The state of a page; times are in seconds since 1970.

    `paused` says why nothing is sent to it, `slowed` why little is. `wrong` is what its last
    check found to be wrong. `backfill` is how far the fetching of what no webhook brought got, if it is not
    done.
    """

    page_id: str
    name: str = ""
    channel: str = ""
    connection: str = "unknown"
    last_webhook: float | None = None
    last_reply: float | None = None
    last_check: float | None = None
    paused: str | None = None
    slowed: str | None = None
    to_helpdesk: Way = field(default_factory=Way)
    to_channel: Way = field(default_factory=Way)
    dead: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    backfill: UnderWay | None = None


@dataclass(slots=True)
class Status:
    """The state of the connector. `refused` counts webhooks of no known page, by endpoint and reason.

    `helpdesk_wrong` and `store_wrong` are what their last checks found to be wrong.
    """

    now: float
    helpdesk: str
    helpdesk_paused: str | None
    helpdesk_wrong: list[str]
    store_wrong: list[str]
    dead_letters: int
    unknown_events: int
    pages: list[PageStatus]
    refused: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def status_of(settings: Settings, inbox: Inbox) -> Status:
    """Read the store. Raises `redis.RedisError`."""
    pages: defaultdict[str, PageStatus] = defaultdict(lambda: PageStatus(""))
    directory = directory_of(settings, inbox)
    directory.refresh()
    for one in directory.all:
        page = pages[account_remote(one.channel, one.account_id)]
        page.name = one.name
        page.connection = "active" if page.connection == "active" else state_of(one.off, is_active=one.active)
    for name, at in inbox.last().items():
        way, account = direction_of(name), account_of(name)
        if way == "in":
            pages[account].last_webhook = at
        elif way == "sent":
            pages[account].last_reply = at
    for queue, at in inbox.waiting():
        _add_waiting(pages[account_of(queue)], direction_of(queue), at)
    letters = inbox.dead_letters.all()
    for account, reason in ((account_of(letter.job.queue), described(letter.reason)) for letter in letters):
        dead = pages[account].dead
        dead[reason] = dead.get(reason, 0) + 1
    anybody = Counter[str]()
    for name, (count, _) in inbox.refusals().items():
        endpoint, page_id, reason = name.split(" ")
        if page_id:
            pages[account_remote(endpoint, page_id)].refused[reason] = count
        else:
            anybody[f"{endpoint}: {reason}"] += count
    wrong, backfills = inbox.findings(), under_way(inbox)
    reasons = {remote: described(reason) for remote, reason in inbox.reasons().items()}
    checked = dict(zip(pages, map(last_check, inbox.checked(list(pages))), strict=True))
    for account, page in pages.items():
        page.last_check = check.at if (check := checked[account]) else None
        page.page_id, page.paused = account_id_of(account), reasons.get(account)
        page.channel = _title(account)
        slowed = inbox.slowed(account)
        page.slowed = described(slowed) if slowed else None
        page.wrong = _said(wrong.get(account))
        page.backfill = backfills.get(account)
    return Status(
        now=inbox.now(),
        helpdesk=settings.helpdesk.base_url,
        helpdesk_paused=reasons.get(HELPDESK),
        helpdesk_wrong=_said(wrong.get(HELPDESK)),
        store_wrong=_said(wrong.get(STORE)),
        dead_letters=len(letters),
        unknown_events=inbox.unknown_events.count(),
        pages=sorted(pages.values(), key=lambda page: (page.connection != "active", page.page_id)),
        refused=dict(anybody),
    )


def _title(account: str) -> str:
    channel = CHANNELS.get(account.partition(":")[0])
    return channel.title if channel else "its channel"


def _add_waiting(page: PageStatus, direction: str, at: float) -> None:
    if direction != "report":  # which nobody waits for
        (page.to_channel if direction in {"out", "ticket", "match"} else page.to_helpdesk).add(at)


def _said(findings: bytes | None) -> list[str]:
    return [say(one.finding.what) for one in kept(findings)]


def lines_of(status: Status) -> Iterator[str]:
    """Yield the lines of the screen."""
    yield f"helpdesk  {status.helpdesk}  {_paused(status.helpdesk_paused)}"
    yield from (f"  wrong          {one_line(what)}" for what in status.helpdesk_wrong)
    yield from (f"store     {one_line(what)}" for what in status.store_wrong)
    for page in status.pages:
        yield ""
        yield (
            one_line(f"page {page.page_id or '(not known yet)'}  {page.name}".rstrip())
            + f"  {page.connection}"
        )
        yield f"  last webhook   {_ago(status.now, page.last_webhook)}"
        yield f"  last reply     {_ago(status.now, page.last_reply)}"
        yield f"  last check     {_ago(status.now, page.last_check)}"
        yield f"  {page.channel:<14} {_paused(page.paused, page.slowed)}"
        yield f"  to helpdesk    {_waiting(status.now, page.to_helpdesk)}"
        yield f"  to {page.channel:<11} {_waiting(status.now, page.to_channel)}"
        if page.backfill:
            yield f"  backfill       {_fetched(status.now, page.backfill)}"
        yield from (f"  wrong          {one_line(what)}" for what in page.wrong)
        yield from _counted("dead letters", page.dead)
        yield from _counted("refused", page.refused)
    if status.refused:
        yield ""
        yield from _counted("refused", status.refused)
    yield ""
    hint = "; see “connector dead list”" if status.dead_letters else ""
    yield f"{counted(status.dead_letters, 'dead letter')}{hint}"
    if status.unknown_events:
        unknown = counted(status.unknown_events, "unknown event")
        yield f"{unknown}; see “connector unknown list”, and replay them after an upgrade"


def _paused(reason: str | None, slowed: str | None = None) -> str:
    if reason:
        return f"paused: {one_line(reason)}"
    return f"slowed down: {one_line(slowed)}" if slowed else "works, as far as is known"


def _fetched(now: float, backfill: UnderWay) -> str:
    what = "history " if backfill.is_history else ""
    state = "running" if backfill.is_running else f"goes on in {max(0, int(backfill.next - now))} s"
    if backfill.reason:
        state += f" ({one_line(backfill.reason)})"
    known = f"{backfill.known}{'' if backfill.all_known else ' or more'}"
    known += " conversation" if known == "1" else " conversations"
    return (
        f"{what}since {_moment(backfill.since)}, {state}: {backfill.looked_at} of {known}, "
        f"{counted(backfill.messages, 'message')}, {backfill.new} of them new"
    )


def _waiting(now: float, way: Way) -> str:
    if not way.queues:
        return "nothing waits"
    who = "1 person waits" if way.queues == 1 else f"{way.queues} people wait"
    return f"{who}, since {_ago(now, way.oldest)}"


def _counted(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    for reason, count in sorted(counts.items(), key=lambda item: -item[1]):
        yield f"  {title:<14} {counted(count, 'time')}: {one_line(reason)}"


def _ago(now: float, at: float | None) -> str:
    if at is None:
        return "never"
    seconds = max(0, int(now - at))
    units = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))
    size, unit = next((one for one in units if seconds >= one[0]), units[-1])
    return f"{seconds // size} {unit} ago ({_moment(at)})"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
