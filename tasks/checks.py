"""The checks of connections: what each finds, what is put right, and what is told of it once.

A few connections are checked at a time, each every `check_every` minutes. What is wrong is kept in the store,
so that the log says when it began and when it is over, whichever worker looks.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import msgspec
import redis
import structlog

from clients.errors import ClientError, RetryableError, Unauthorized
from clients.findings import Finding, Level, finding
from clients.helpdesk import Helpdesk
from clients.notices import ENGLISH, Notice, notice
from tasks.celery import app, stopping
from tasks.connections import Connection
from tasks.inbound import backfill
from tasks.inbox.inbox import Inbox
from tasks.inbox.queues import account_remote
from tasks.services import Services, services
from tasks.store import reason_of
from tasks.words import say

log = structlog.get_logger(__name__)

THREADS = 4
"""How many connections a worker checks at the same time: each takes about five calls, one after the other."""
CHECKING_TURN = 8.0
"""How long a worker goes on to take connections, in seconds."""
NEARLY_FULL = 0.8
"""From which part of its memory on a store is nearly full."""
SAID_FOR = 24 * 3600.0
"""For how long it is not said again that an account was subscribed again, in seconds."""


class Kept(msgspec.Struct, frozen=True):
    """A finding as the store keeps it; `since` is in seconds since 1970."""

    what: Notice
    since: float

    @property
    def finding(self) -> Finding:
        """Return the finding."""
        return Finding(self.what.code, self.what.values)


_checking = Lock()
_decode, _encode = msgspec.json.Decoder(list[Kept]).decode, msgspec.json.Encoder().encode


# --- What is checked. -------------------------------------------------------------------------------------


def check_connection(service: Services, connection: Connection) -> Iterator[Finding]:
    """Yield what is right and wrong about a connection, each as soon as it is known."""
    yield from check_account(service, connection)
    yield from check_desk(service.helpdesk, connection)


def on_request(
    services: Callable[[], Services],
) -> Callable[[str], list[dict[str, Any]] | None]:
    """Return what checks the connection of an account now, and keeps what is wrong, as any other check does.

    It returns the findings, None without a connection.
    """

    def check_now(account_id: str) -> list[dict[str, Any]] | None:
        service = services()
        service.connections.refresh()
        known = [one for one in service.connections.all if one.account_id == account_id]
        for connection in sorted(known, key=lambda one: not one.active)[:1]:
            found = list(check_connection(service, connection))
            note(service.inbox, account_remote(connection.channel, account_id), found)
            return [as_data(one, connection.language) for one in found]
        return None

    return check_now


def check_account(service: Services, connection: Connection) -> Iterator[Finding]:
    """Yield what its channel says of a connection, and of the way to us."""
    yield from service.account(connection).check(_callback_url(service, connection))


def check_helpdesk(helpdesk: Helpdesk) -> Iterator[Finding]:
    """Yield whether the helpdesk answers, and takes the token."""
    try:
        helpdesk.ping()
    except Unauthorized as error:
        yield finding("helpdesk_token_wrong", reason=error.notice)
    except ClientError as error:
        away = isinstance(error, RetryableError)
        yield finding("helpdesk_away" if away else "helpdesk_refuses_check", reason=error.notice)
    else:
        yield finding("helpdesk_works")


def check_desk(helpdesk: Helpdesk, connection: Connection) -> Iterator[Finding]:
    """Yield whether the desk and the category of a connection exist."""
    desk_id, category_id = connection.desk_id, connection.category_id
    try:
        is_there = helpdesk.has_desk(desk_id)
        if is_there is None:
            yield finding("desk_unknown", desk_id=desk_id, reason=notice("helpdesk_does_not_tell"))
        else:
            yield finding("desk_exists" if is_there else "desk_missing", desk_id=desk_id)
        if category_id and helpdesk.has_category(category_id) is False:
            yield finding("category_missing", category_id=category_id)
    except ClientError as error:
        yield finding("desk_unknown", desk_id=desk_id, reason=error.notice)


def check_store(inbox: Inbox) -> Iterator[Finding]:
    """Yield whether the store takes writes, and has memory left."""
    try:
        has_room = inbox.has_room()
    except redis.RedisError as error:
        yield finding("store_away", reason=reason_of(error))
        return
    if not has_room:
        yield finding("store_full")
    elif (used := _used_memory(inbox)) > NEARLY_FULL:
        yield finding("store_nearly_full", percent=round(used * 100))
    else:
        yield finding("store_works")


def _used_memory(inbox: Inbox) -> float:
    """Return which part of its memory a store uses; 0 where it has no limit, or does not tell."""
    with suppress(redis.RedisError):
        memory: Mapping[str, Any] = inbox.store.info("memory")
        if limit := memory.get("maxmemory"):
            return float(memory["used_memory"] / limit)
    return 0.0


def repair(service: Services, connection: Connection, found: Iterable[Finding]) -> Iterator[Finding]:
    """Put right what can be; yield what could not be, and why."""
    account, callback_url = service.account(connection), _callback_url(service, connection)
    for one in found:
        try:
            account.repair(one, callback_url)
        except ClientError as error:
            yield finding("repair_failed", what=one.what, reason=error.notice)


def as_data(found: Finding, language: str = ENGLISH) -> dict[str, Any]:
    """Return a finding as JSON has it, with its sentences."""
    parts = {"what": found.what, "means": found.means, "remedy": found.remedy}
    said = {name: say(part, language) if part else "" for name, part in parts.items()}
    return {"code": found.code, "level": str(found.level), "can_be_fixed": found.meaning.can_be_fixed} | said


def _callback_url(service: Services, connection: Connection) -> str:
    return service.settings.public_url + service.channel(connection.channel).path


# --- The schedule. ----------------------------------------------------------------------------------------


@app.task(name="check")
def check() -> None:
    """Check the connections whose turn it is."""
    take_turn(services())


def take_turn(service: Services) -> None:
    """Check connections that are due, a few at a time, unless this process just does; others have others."""
    every = service.settings.check_every * 60
    if not every or not _checking.acquire(blocking=False):
        return
    try:
        _check_due(service, every)
    except redis.RedisError as error:
        log.warning("check_failed", reason=reason_of(error))
    finally:
        _checking.release()


def _check_due(service: Services, every: float) -> None:
    everyone = service.connections.all
    active = {account_remote(one.channel, one.account_id): one for one in everyone if one.active}
    service.inbox.plan_checks(list(active), every)
    turn_ends = time.monotonic() + CHECKING_TURN
    with ThreadPoolExecutor(THREADS, thread_name_prefix="check") as threads:
        while not stopping.is_set() and time.monotonic() < turn_ends:
            due = service.inbox.due_checks(THREADS, every)
            for name in due:
                if name not in active:
                    service.inbox.forget_checks(name)
            connected = [name for name in due if name in active]
            list(threads.map(lambda name: _check_and_note(service, name, active[name]), connected))
            if len(due) < THREADS:
                return


def _check_and_note(service: Services, name: str, connection: Connection) -> None:
    try:
        found = list(check_connection(service, connection))
        note(service.inbox, name, _without_repaired(service, name, connection, found))
    except redis.RedisError as error:
        log.warning("check_failed", remote=name, reason=reason_of(error))
    except Exception:  # a fault of ours: the others are not to be left out
        log.exception("check_failed", remote=name)


def _without_repaired(
    service: Services, name: str, connection: Connection, found: list[Finding]
) -> list[Finding]:
    """Put right what is put right unasked, and return what is still wrong."""
    faults = [one for one in found if one.meaning.is_fixed_unasked]
    if not faults:
        return found
    if failed := list(repair(service, connection, faults)):
        return [*found, *failed]
    _fetch_missed(service, name)
    # Whoever unsubscribes it again and again is not reported each time.
    with suppress(redis.OutOfMemoryError):
        if service.inbox.put(f"repaired:{name}", "1", SAID_FOR, only_new=True):
            log.warning("page_subscribed_again", remote=name)
    return [one for one in found if one not in faults]


def _fetch_missed(service: Services, name: str) -> None:
    """Have fetched what was said while no webhooks came: since the last one, or the check before at most."""
    before = service.inbox.now() - 2 * 60 * service.settings.check_every
    last = min(service.inbox.last().get(f"in:{name}:", before), before)
    backfill.fetch_since(service, name, datetime.fromtimestamp(last, UTC))


def note(inbox: Inbox, name: str, found: Iterable[Finding]) -> None:
    """Keep what is wrong with a connection; log what began and what is over. Raises `redis.RedisError`."""
    found = list(found)
    known = {one.what.code: one for one in kept(inbox.findings_of(name))}
    now = inbox.now()
    wrong = {
        one.code: Kept(one.what, known[one.code].since if one.code in known else now)
        for one in found
        if one.is_wrong
    }
    if any(one.meaning.hides_others for one in found):
        wrong = known | wrong  # nobody knows whether the others are over
    if wrong != known:
        inbox.note_findings(name, _encode(list(wrong.values())) if wrong else b"")
    for code in wrong.keys() - known.keys():
        one = wrong[code].finding
        write = log.error if one.level == Level.STOPS_MESSAGES else log.warning
        write("finding_began", remote=name, finding=str(one.what), hint=say(one.remedy) if one.remedy else "")
    for code in known.keys() - wrong.keys():
        log.info("finding_over", remote=name, code=code, after_seconds=round(now - known[code].since))


def kept(stored: bytes | None) -> list[Kept]:
    """Read what the store keeps of a connection."""
    try:
        return _decode(stored) if stored else []
    except msgspec.MsgspecError:  # of another version
        return []
