"""Trying the store before it is relied on: all that is used of it, and of Celery's broker."""

import secrets
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import kombu
import redis
from redis.exceptions import MasterDownError

from clients.channel import Conversation, Rate
from clients.errors import LeaseLost
from tasks.broker import transport_options
from tasks.celery import app
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job, Step
from tasks.inbox.lease import Lease
from tasks.inbox.personal import DAY, Personal
from tasks.inbox.queues import HELPDESK, inbound_queue
from tasks.installation import MARKED_FOR, Installation, advice
from tasks.store import Outage, connect, has_untrusted_certificate, reason_of


class _Lost(redis.RedisError):
    """The store lost what it had just stored: it moved to another server meanwhile, or was emptied."""


_PASS = (
    _Lost,
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    MasterDownError,
)
_CODES_THAT_PASS = ("NOREPLICAS", "MISCONF", "UNBLOCKED")


_NOBODY = Conversation("trial", "1", "2")
_LEFT = (
    "format",
    "ids",
    "oldest",
    "seen:trial",
    "stats",
    "last",
    "room",
    "probe",
    "value",
    "pauses",
    "pause:helpdesk",
    "slowed:helpdesk",
    "begun:helpdesk:trial",
    "door",
    "turn:trial",
    "backfill:trial",
    "connected",
    "inactive",
    "backfills",
    "fetching",
)
"""The keys that a trial leaves in the store."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and which setting says so."""

    setting: str
    url: str


Found = TypeVar("Found")

Mark = Callable[[Inbox], Installation]
"""Makes the mark of this installation in an inbox."""


class Unusable(Exception):
    """The store answers, and cannot be used; `str()` names the setting, the cause and the remedy."""


class StoreCheck:
    """Tries the store, and the broker, until both answer: then it is known whether they can be used."""

    def __init__(self, store: Address, broker: Address, key_prefix: str, mark: Mark) -> None:
        self._store, self._broker, self._key_prefix, self._mark = store, broker, key_prefix, mark
        self._outages = {address: Outage(address.setting) for address in (store, broker)}
        self._done = False

    def __call__(self) -> None:
        """Try them, unless that is done. While one is away that is logged. Raises `Unusable`."""
        if not self._done:
            tried = self._works(self._store, self._try_store)
            self._done = tried and self._works(self._broker, self._try_broker)

    def _works(self, address: Address, trial: Callable[[], None]) -> bool:
        try:
            trial()
        except redis.RedisError as error:
            if not _may_pass(error):
                raise Unusable(f"{address.setting}: the store cannot be used: {reason_of(error)}") from None
            self._outages[address].note(error)
            return False
        self._outages[address].note(None)
        return True

    def _try_broker(self) -> None:
        try_broker(self._broker.url, self._key_prefix)

    def _try_store(self) -> None:
        with closing(connect(self._store.url, patient=False)) as store:
            inbox = Inbox(store, prefix=self._key_prefix)
            inbox.state()  # a store of another format is refused before anything is written
            _try_inbox(store, self._key_prefix)
            inbox.start()
            other = self._mark(inbox).other()
        if other:
            renamed = f"if it is this one under an earlier name, start again in {MARKED_FOR:.0f} s"
            raise Unusable(f"{self._store.setting}: {advice(other)}; {renamed}")


def _may_pass(error: redis.RedisError) -> bool:
    """Return whether a store may work later that does not now: it is away, or moves, or is full."""
    if isinstance(error, redis.AuthenticationError) or has_untrusted_certificate(error):
        return False
    return isinstance(error, _PASS) or str(error).startswith(_CODES_THAT_PASS)


def _try_inbox(store: redis.Redis, key_prefix: str) -> None:
    """Do all that the inbox does, with keys that are gone afterwards. Raises `redis.RedisError`."""
    inbox = Inbox(store, prefix=f"{key_prefix}mc:trial:{secrets.token_hex(4)}:")
    left = [*_LEFT, *_days_of(inbox.now())]
    try:
        inbox.accept([Job(key="trial", queue=inbound_queue(_NOBODY), time=0, body=b"{}")])
        lease = _still_there(inbox.claim())
        left.append(f"taken:{lease.token}")
        _relay(inbox, lease)
        _fetch(inbox)
    except LeaseLost:
        _still_there(None)
    finally:
        with suppress(redis.RedisError):
            store.delete(*map(inbox.key, left))


def _days_of(now: float) -> list[str]:
    """Return where it may be counted that a job was accepted: midnight may come in between."""
    today, queue = int(now // DAY), inbound_queue(_NOBODY)
    return [f"day:{day}:{queue.rpartition(':')[0]}:" for day in (today, today + 1)]


def _still_there(found: Found | None) -> Found:
    if found is None:
        raise _Lost("it lost what it had just stored")
    return found


def _relay(inbox: Inbox, lease: Lease) -> None:
    lease.save_time(Step.call(), Rate("trial", 1))
    lease.undo_step(Step.call())
    lease.renew()
    lease.cache(Personal.OPEN_TICKET, b"", 1)
    lease.forget(Personal.OPEN_TICKET)
    inbox.pause(HELPDESK, 0, "trial", rate=1)
    inbox.slow(HELPDESK, 1, "trial")
    inbox.put("value", "trial")
    inbox.get("value")
    lease.note(Personal.OURS, "trial", 0)
    inbox.noted(Personal.OURS, _NOBODY)
    inbox.forget_noted(Personal.OURS, _NOBODY, "trial")
    inbox.part_echo(_NOBODY, "trial")
    inbox.sweep(1, 1)
    lease.finish()
    inbox.dead_letters.all()
    inbox.dead_letters.some(inbox.dead_letters.ids() or [0])
    inbox.dead_ids("trial:1")
    inbox.activity(["trial:1"])
    inbox.pauses()
    inbox.slowed_of(["trial:1"])
    inbox.state()
    inbox.stats()
    inbox.has_room()


def _fetch(inbox: Inbox) -> None:
    inbox.seen(["trial"])
    inbox.note_door(1)
    inbox.gaps()
    inbox.take_turn("trial", 1, 1)
    inbox.backfills.note_active({"trial": 1}, 0)
    inbox.backfills.note_inactive(inbox.backfills.connected() - inbox.backfills.inactive())
    inbox.backfills.history("trial")
    inbox.backfills.request("trial", 0)
    inbox.backfills.all()
    inbox.backfills.due(1)
    backfill = _still_there(inbox.backfills.claim(1))
    inbox.backfills.save(backfill, b"")
    inbox.backfills.end(backfill)


def try_broker(url: str, key_prefix: str) -> None:
    """Send a message to a queue that is gone afterwards, and wait for it. Raises `redis.RedisError`."""
    how = transport_options(key_prefix)
    with app.connection_for_write(url, transport_options=how) as connection:
        channel: Any = connection.channel()
        queue = f"trial-{secrets.token_hex(4)}"
        kombu.Producer(channel).publish({}, routing_key=queue)
        channel.client.brpop([queue], timeout=1)
