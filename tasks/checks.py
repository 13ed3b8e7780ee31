"""The checks of connections, of the helpdesk and of the store: what each finds, and what is put right.

A few connections are checked at a time, each every `check_every` minutes, or once an hour where there are
many; helpdesk and store as often.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from threading import Lock
from typing import Any

import redis
import structlog

from clients.channel import Account
from clients.errors import LONGEST_RETRY_AFTER, ClientError, RateLimited, RetryableError, Unauthorized
from clients.findings import Finding, finding
from clients.helpdesk import WEBHOOK_PATH, Helpdesk
from clients.notices import ENGLISH, notice
from clients.single_flight import Answers
from clients.text.line import address
from tasks import findings, reports
from tasks.celery import app, stopping
from tasks.connections import Connection
from tasks.inbound import backfill, gaps
from tasks.inbox.inbox import Inbox
from tasks.inbox.queues import HELPDESK, STORE, account_remote, desk_remote
from tasks.remotes import SLOW_AT
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
WEBHOOK_WITHIN = 5.0
"""How long to wait for a webhook that the helpdesk was asked for, in seconds."""
WEBHOOK_LOOK_EVERY = 0.1
"""How often it is looked whether that webhook came, in seconds."""
OTHERS_KNOW_AFTER = 1.0
"""After how long, in seconds, every process that takes webhooks knows a new connection."""
IN_EFFECT_AFTER = 600.0
"""After how long, in seconds, a subscription is in effect: what is said until then is fetched once more."""
FEW = 20
"""How many connections are each checked every `check_every` minutes; more take as much longer."""
LONGEST_INTERVAL = 3600.0
"""How long that is at most, in seconds, unless `check_every` is longer."""
WEBHOOK_LATE = 120.0
"""How much later than what it tells of a webhook may come, in seconds; clocks may differ by as much."""
LEFT_ALONE_FOR = 600.0
"""For how long nothing near its limits is checked that does not say for how long, in seconds."""
REFUSED_LATELY = 3600.0
"""How old a refused webhook may be to say why none arrives, in seconds."""


_POLLED = ("helpdesk_webhook_refused", "helpdesk_webhook_elsewhere", "helpdesk_webhook_missing")
_UNPOLLED = (
    "helpdesk_webhook_refused_unpolled",
    "helpdesk_webhook_elsewhere_unpolled",
    "helpdesk_webhook_missing_unpolled",
)
"""What is wrong with the helpdesk's webhooks, where replies are looked for, and where they are not."""
_REFUSALS = {
    "wrong_secret": "webhook_wrong_secret",
    "unsigned": "webhook_unsigned",
    "clock": "webhook_clock",
    "not_understood": "webhook_not_understood",
}
"""Why webhooks are refused, as the store counts it, and what it is called here; what says most is first."""

_checking = Lock()


# --- What is checked. -------------------------------------------------------------------------------------


def check_connection(
    service: Services, connection: Connection, known: Answers | None = None
) -> Iterator[Finding]:
    """Yield what is right and wrong about a connection, each as soon as it is known."""
    yield from check_account(service, connection, known)
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
            if any(one.meaning.may_pass for one in found):
                time.sleep(OTHERS_KNOW_AFTER)  # the web processes learn of a change as late
                found = list(check_connection(service, connection))
            if connection.active:
                note(service, connection, found)
            found += [*_noted_of_helpdesk(service), *_noted_of_store(service)]
            return [as_data(one, connection.language) for one in found]
        return None

    return check_now


def followed(service: Services, connection: Connection, *, fix: bool = False) -> Iterator[Finding]:
    """Check a connection, then what all share, for somebody who looks on; keep what is wrong.

    With `fix` it is put right before, as far as that can be. One that is not active is looked at only.
    """
    time.sleep(OTHERS_KNOW_AFTER)  # it may have been changed a moment ago
    failed: list[Finding] = []
    if fix:
        wrong = [one for one in check_account(service, connection) if one.meaning.can_be_fixed]
        failed = repair(service, connection, wrong)
    found = []
    for one in chain(check_connection(service, connection), failed):
        found.append(one)
        yield one
    if connection.active:
        note(service, connection, found)
    yield from _noted_of_helpdesk(service)
    yield from _noted_of_store(service)


def check_account(
    service: Services, connection: Connection, known: Answers | None = None
) -> Iterator[Finding]:
    """Yield what its channel says of a connection, and of the way to us.

    Connections that are checked one after the other share what is `known`.
    """
    account = service.account(connection)
    try:
        yield from account.check(_callback_url(service, connection), known)
    except RateLimited as error:
        seconds = error.retry_after or LEFT_ALONE_FOR
        again = datetime.now(UTC) + timedelta(seconds=seconds + 60)  # it is said without its seconds
        _leave_alone(service, account, seconds, of_app=error.is_of_app)
        yield finding("checks_limited", time=f"{again:%Y-%m-%d %H:%M} UTC")
    else:
        _heed_usage(service, account)


def check_helpdesk(service: Services) -> Iterator[Finding]:
    """Yield whether the helpdesk answers, takes the token, and its webhooks reach the connector."""
    try:
        service.helpdesk.ping()
    except Unauthorized as error:
        yield finding("helpdesk_token_wrong", reason=error.notice)
    except ClientError as error:
        away = isinstance(error, RetryableError)
        yield finding("helpdesk_away" if away else "helpdesk_refuses_check", reason=error.notice)
    else:
        yield finding("helpdesk_works")
        if type(service.helpdesk).receive is not Helpdesk.receive:
            yield _webhook(service)


def _noted_of_helpdesk(service: Services) -> list[Finding]:
    """Check the helpdesk, and keep what is wrong."""
    found = list(check_helpdesk(service))
    note_shared(service, HELPDESK, found)
    return found


def _noted_of_store(service: Services) -> list[Finding]:
    """Check the store, and keep what is wrong."""
    found = list(check_store(service.inbox))
    note_shared(service, STORE, found)
    return found


def note_shared(service: Services, name: str, found: Iterable[Finding]) -> None:
    """Keep what is wrong with what all connections share, and tell the agents of each desk.

    Raises `redis.RedisError`.
    """
    found = list(found)
    over = findings.note(service.inbox, name, found)
    if over or any(one.is_wrong for one in found):
        for desk in _desks(service):
            reports.request(service, desk)


def _desks(service: Services) -> list[str]:
    return sorted({desk_remote(one.desk_id) for one in service.connections.all if one.active})


def _webhook(service: Services) -> Finding:
    """Have the helpdesk send a webhook, and return whether it came: the web process notes that."""
    try:
        asked = service.inbox.now()
        url = service.helpdesk.request_webhook()
        if url is None:
            return finding("helpdesk_webhook_unknown", reason=notice("helpdesk_sends_none_on_request"))
        if _came(service.inbox, asked):
            return finding("helpdesk_webhook_arrives")
        return _why_not(service, url)
    except ClientError as error:
        return finding("helpdesk_webhook_unknown", reason=error.notice)
    except redis.RedisError as error:
        return finding("helpdesk_webhook_unknown", reason=reason_of(error))


def _came(inbox: Inbox, asked: float) -> bool:
    ends = time.monotonic() + WEBHOOK_WITHIN
    while time.monotonic() < ends:
        if inbox.helpdesk_webhook() >= asked:
            return True
        time.sleep(WEBHOOK_LOOK_EVERY)  # polling: the web process only notes that one came
    return False


def _why_not(service: Services, url: str) -> Finding:
    """Return what it means that no webhook came that should have gone to an address, if that is known."""
    ours = service.settings.public_url + WEBHOOK_PATH
    lately = service.inbox.now() - REFUSED_LATELY
    refusals = service.inbox.refusals()
    codes = _POLLED if service.settings.helpdesk.poll_interval else _UNPOLLED
    for reason, code in _REFUSALS.items():
        _, at = refusals.get(f"helpdesk  {reason}", (0, 0.0))
        if at > lately:
            return finding(codes[0], reason=notice(code))
    if url and url.rstrip("/") != ours:
        return finding(codes[1], url=address(url), ours=ours)
    return finding(codes[2], seconds=round(WEBHOOK_WITHIN), ours=ours)


def check_desk(helpdesk: Helpdesk, connection: Connection) -> Iterator[Finding]:
    """Yield whether the desk and the category of a connection exist."""
    desk_id, category_id = connection.desk_id, connection.category_id
    try:
        is_there = helpdesk.has_desk(desk_id)
        if is_there is None:
            yield finding("desk_unknown", desk_id=desk_id, reason=notice("helpdesk_does_not_tell"))
        else:
            yield finding("desk_exists" if is_there else "desk_missing", desk_id=desk_id)
        if category_id and (has_it := helpdesk.has_category(category_id)) is not None:
            yield finding("category_exists" if has_it else "category_missing", category_id=category_id)
    except ClientError as error:
        yield finding("desk_unknown", desk_id=desk_id, reason=error.notice)


def check_store(inbox: Inbox) -> Iterator[Finding]:
    """Yield whether the store takes writes, has memory left, and keeps what it took."""
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
    yield from check_durability(inbox.store)


def check_durability(store: redis.Redis) -> Iterator[Finding]:
    """Yield whether a store keeps what it took, by its settings. Many hosted ones do not show theirs."""
    settings = _settings_of(store)
    if not (appends := settings.get("appendonly")):
        yield finding("store_persistence_unknown")
    elif appends == "no":
        yield finding("store_keeps_nothing")
    elif settings.get("appendfsync") == "no":
        yield finding("store_writes_late")
    else:
        yield finding("store_keeps_data")
    if not (policy := settings.get("maxmemory-policy")):
        yield finding("store_eviction_unknown")
    else:
        yield finding("store_keeps_all") if policy == "noeviction" else finding("store_evicts", policy=policy)


def _settings_of(store: redis.Redis) -> dict[str, str]:
    """Return by which settings a store keeps its data, as far as it shows them; some do so in `INFO` only."""
    found: dict[str, str] = {}
    with suppress(redis.RedisError):
        persistence: Mapping[str, Any] = store.info("persistence")
        if "aof_enabled" in persistence:
            found["appendonly"] = "yes" if persistence["aof_enabled"] else "no"
        if policy := store.info("memory").get("maxmemory_policy"):
            found["maxmemory-policy"] = policy
    with suppress(redis.RedisError):
        shown: Mapping[Any, Any] = store.config_get("appendonly", "appendfsync", "maxmemory-policy")
        found |= shown
    return found


def _used_memory(inbox: Inbox) -> float:
    """Return which part of its memory a store uses; 0 where it has no limit, or does not tell."""
    with suppress(redis.RedisError):
        memory: Mapping[str, Any] = inbox.store.info("memory")
        if limit := memory.get("maxmemory"):
            return float(memory["used_memory"] / limit)
    return 0.0


def note(service: Services, connection: Connection, found: Sequence[Finding]) -> None:
    """Keep what is wrong with a connection, have fetched what was missed until it was over, and tell agents.

    Raises `redis.RedisError`.
    """
    name = account_remote(connection.channel, connection.account_id)
    over = findings.note(service.inbox, name, found)
    if missed := [one.since for one in over if one.finding.meaning.stops_webhooks]:
        _fetch_missed(service, name, min(missed))
    _fetch_refused(service, name, found)
    reports.request(service, name)


def repair(service: Services, connection: Connection, found: Sequence[Finding]) -> list[Finding]:
    """Put right what can be, and have fetched what was missed meanwhile; return what could not be, and why.

    It is asked for before as well: whoever dies in between leaves an account with which nothing is wrong.
    Raises `redis.RedisError`.
    """
    name = account_remote(connection.channel, connection.account_id)
    missed, now = any(one.meaning.stops_webhooks for one in found), service.inbox.now()
    if missed:
        _fetch_missed(service, name, now)
    failed = list(_repair(service, connection, found))
    if missed:
        _fetch_missed(service, name, now)
    return failed


def _repair(service: Services, connection: Connection, found: Sequence[Finding]) -> Iterator[Finding]:
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


def interval_of(service: Services) -> float:
    """Return after how many seconds a connection is checked anew; 0 if never.

    Where there are many it takes longer, as they share the limits of their app.
    """
    every = service.settings.check_every * 60
    active = sum(one.active for one in service.connections.all)
    return max(every, min(every * active / FEW, LONGEST_INTERVAL))


def take_turn(service: Services) -> None:
    """Check connections that are due, a few at a time, unless this process just does; others have others."""
    every = interval_of(service)
    if not every or not _checking.acquire(blocking=False):
        return
    try:
        _check_due(service, every)
    except redis.RedisError as error:
        log.warning("check_failed", reason=reason_of(error))
    finally:
        _checking.release()


def _check_due(service: Services, every: float) -> None:
    service.connections.refresh()  # else one that was just added would be forgotten as one that was removed
    planned = _planned(service, every)
    turn_ends = time.monotonic() + CHECKING_TURN
    with ThreadPoolExecutor(THREADS, thread_name_prefix="check") as threads:
        while not stopping.is_set() and time.monotonic() < turn_ends:
            due = service.inbox.due_checks(THREADS, every)
            for name in due:
                if name not in planned:
                    service.inbox.forget_checks(name)
                    reports.request(service, name)
            list(threads.map(_try, [(name, planned[name]) for name in due if name in planned]))
            if len(due) < THREADS:
                return


def _planned(service: Services, every: float) -> Mapping[str, Callable[[], object]]:
    """Plan the checks, and return them by what they are about."""
    connections, known = backfill.names_of(service.connections), Answers()
    shared: dict[str, Callable[[], object]] = {}
    if connections:
        shared = {HELPDESK: partial(_noted_of_helpdesk, service), STORE: partial(_noted_of_store, service)}
    each: dict[str, Callable[[], object]] = {
        name: partial(_check_and_note, service, name, one, known) for name, one in connections.items()
    }
    # A report that a full store did not take is asked for again, and a desk without a page is seen to be.
    each |= {desk: partial(reports.request, service, desk) for desk in _desks(service)}
    service.inbox.plan_checks(list(each), every, list(shared))
    return shared | each


def _try(named: tuple[str, Callable[[], object]]) -> None:
    """Make a check. What fails is logged: the others are not to be left out."""
    name, check_now = named
    try:
        check_now()
    except redis.RedisError as error:
        log.warning("check_failed", remote=name, reason=reason_of(error))
    except Exception:  # a fault of ours, or an adapter's
        log.exception("check_failed", remote=name)


def _check_and_note(service: Services, name: str, connection: Connection, known: Answers) -> None:
    if not _is_left_alone_for(service, connection):
        found = list(check_connection(service, connection, known))
        service.connections.refresh()
        if service.active_connection(connection.channel, connection.account_id) != connection:
            return  # it was removed, or changed: then its turn comes anew
        left = _without_repaired(service, name, connection, found)
        note(service, connection, left)
        if not _hides_gaps(left) and not _is_left_alone_for(service, connection):
            _look_for_gap(service, name, connection)
    if seconds := _is_left_alone_for(service, connection):
        # Not all at once then: they would only meet the limit again.
        spread = random.uniform(0, interval_of(service))  # noqa: S311 - no secret
        service.inbox.put_off_check(name, seconds + spread)


def _is_left_alone_for(service: Services, connection: Connection) -> float:
    """Return for how long a connection is not to be checked on schedule, in seconds."""
    account = service.account(connection)
    untils = [service.inbox.get(f"unchecked:{name}") for name in (account.remote, account.app) if name]
    return max(0.0, max(float(until or 0) for until in untils) - service.inbox.now())


def _leave_alone(service: Services, account: Account, seconds: float, *, of_app: bool) -> None:
    """Have an account, or all those of its app, not be checked on schedule for so many seconds."""
    name = account.app if of_app and account.app else account.remote
    with suppress(redis.RedisError):
        known, until = service.inbox.get(f"unchecked:{name}"), service.inbox.now() + seconds
        if until > float(known or 0):
            service.inbox.put(f"unchecked:{name}", str(until), seconds)
        if known is None:
            log.warning("checks_put_off", remote=account.remote, of_app=of_app, for_seconds=round(seconds))


def _heed_usage(service: Services, account: Account) -> None:
    """Go easy on an account, or its app, that has used much of what the channel allows."""
    usage = account.usage()
    if usage is None or (usage.share < SLOW_AT and not usage.regain):
        return
    with suppress(redis.RedisError):
        service.remotes.slow_down(account.remote, usage)
    seconds = min(usage.regain, LONGEST_RETRY_AFTER) or LEFT_ALONE_FOR
    _leave_alone(service, account, seconds, of_app=usage.of_app >= SLOW_AT)


def _without_repaired(
    service: Services, name: str, connection: Connection, found: list[Finding]
) -> list[Finding]:
    """Put right what is put right unasked, and return what is still wrong."""
    faults = [one for one in found if one.meaning.is_fixed_unasked]
    if not faults:
        return found
    if failed := repair(service, connection, faults):
        return [*found, *failed]
    # Whoever unsubscribes it again and again is not reported each time.
    with suppress(redis.OutOfMemoryError):
        if service.inbox.put(f"repaired:{name}", "1", SAID_FOR, only_new=True):
            log.warning("page_subscribed_again", remote=name)
    return [one for one in found if one not in faults]


def _fetch_refused(service: Services, name: str, found: Sequence[Finding]) -> None:
    """Have fetched what was in webhooks that were refused, once a check finds nothing that keeps them away.

    No more often than that: anybody can send a webhook with a wrong signature.
    """
    if _hides_gaps(found):
        return
    if (refused := service.inbox.refused_since(name)) is not None:
        since = datetime.fromtimestamp(refused, UTC) - backfill.OVERLAP
        backfill.fetch_since(service, name, since, IN_EFFECT_AFTER)
        service.inbox.forget_refused(name)


def _hides_gaps(found: Sequence[Finding]) -> bool:
    """Return whether webhooks may still not come, so that what is missed is not all known yet."""
    return any(one.meaning.stops_webhooks or one.meaning.hides_others for one in found)


def _look_for_gap(service: Services, name: str, connection: Connection) -> None:
    """Have fetched what was said since the last look at an account, if no webhook told of some of it.

    What stood in the way, and is over, may be a proxy, a certificate or a name server that no check saw.
    """
    inbox = service.inbox
    connected = inbox.backfills.connected_at(name)
    if not service.settings.backfill or connected is None or inbox.backfills.is_wanted(name):
        return
    unlooked = max(connected, backfill.oldest_known(service)), int((inbox.now() - WEBHOOK_LATE) * 1000)
    try:
        missed = gaps.first_missed(service, connection, unlooked)
    except ClientError as error:  # the next check asks again
        log.info("messages_not_compared", remote=name, reason=str(error))
        return
    if missed is not None:
        since = max(missed / 1000 - backfill.OVERLAP.total_seconds(), connected / 1000)
        backfill.fetch_since(service, name, datetime.fromtimestamp(since, UTC))
    gaps.note_looked(inbox, name, unlooked)


def _fetch_missed(service: Services, name: str, known: float) -> None:
    """Have fetched what was said while no webhooks came, which is `known` since then (seconds since 1970).

    They came until the last one, or the check before at most; if none ever came, all since it was connected
    may be missing. What was said before that stays.
    """
    inbox = service.inbox
    connected = inbox.backfills.connected_at(name)
    if connected is not None:
        before = known - 2 * interval_of(service)
        last = inbox.last().get(f"in:{name}:", connected / 1000)
        since = max(min(last, before), connected / 1000)
        backfill.fetch_since(service, name, datetime.fromtimestamp(since, UTC), IN_EFFECT_AFTER)
