"""Trying the store before it is relied on: all that is used of it, and of Celery's broker."""

import secrets
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any, cast

import kombu
import redis
from celery import signals
from redis.exceptions import MasterDownError

from clients.channel import Conversation
from connector.settings import Settings, get_settings
from tasks.broker import transport_options
from tasks.celery import app
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job, Step
from tasks.inbox.lease import Lease
from tasks.inbox.queues import HELPDESK, inbound_queue
from tasks.installation import MARKED_FOR, Installation, advice
from tasks.store import Outage, connect, has_untrusted_certificate, reason_of

_PASS = (
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
    "notes",
    "pauses",
    "pause:helpdesk",
)
"""What a trial leaves in the store."""


class Unusable(Exception):
    """The store answers, and cannot be used; `str()` names the setting, the cause and the remedy."""


class StoreCheck:
    """Tries the store until it answers: then it is known whether it can be used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store, self._broker = Outage(settings.store_key), Outage(settings.broker_key)
        self._done = False

    def __call__(self) -> None:
        """Try it, unless that is done. While it is away that is logged. Raises `Unusable`."""
        if not self._done:
            tried = self._works(self._store, self._try_store)
            self._done = tried and self._works(self._broker, self._try_broker)

    def _works(self, outage: Outage, trial: Callable[[], None]) -> bool:
        try:
            trial()
        except redis.RedisError as error:
            if not _may_pass(error):
                raise Unusable(f"{outage.key}: the store cannot be used: {reason_of(error)}") from None
            outage.note(error)
            return False
        outage.note(None)
        return True

    def _try_broker(self) -> None:
        try_broker(self._settings)

    def _try_store(self) -> None:
        settings = self._settings
        with closing(connect(settings.store_url, patient=False)) as store:
            inbox = Inbox(store, prefix=settings.key_prefix)
            inbox.state()  # a store of another format is refused before anything is written
            try_inbox(settings)
            inbox.start()
            other = Installation(settings, inbox).other()
        if other:
            renamed = f"if it is this one under an earlier name, start again in {MARKED_FOR:.0f} s"
            raise Unusable(f"{settings.store_key}: {advice(other)}; {renamed}")


def _may_pass(error: redis.RedisError) -> bool:
    """Tell whether a store may work later that does not now: it is away, or moves, or is full."""
    if isinstance(error, redis.AuthenticationError) or has_untrusted_certificate(error):
        return False
    return isinstance(error, _PASS) or str(error).startswith(_CODES_THAT_PASS)


def try_inbox(settings: Settings) -> None:
    """Do all that the inbox does, with keys that are gone afterwards. Raises `redis.RedisError`."""
    with closing(connect(settings.store_url, patient=False)) as store:
        inbox = Inbox(store, prefix=f"{settings.key_prefix}mc:trial:{secrets.token_hex(4)}:")
        left = [*_LEFT]
        try:
            inbox.accept([Job(key="trial", queue=inbound_queue(_NOBODY), time=0, body=b"{}")])
            lease = cast("Lease", inbox.claim())
            left.append(f"taken:{lease.token}")
            _relay(inbox, lease)
        finally:
            with suppress(redis.RedisError):
                store.delete(*map(inbox.key, left))


def _relay(inbox: Inbox, lease: Lease) -> None:
    lease.save_time(Step.call())
    lease.undo_step(Step.call())
    lease.renew()
    lease.cache("link", b"", 1)
    lease.forget("link")
    inbox.pause(HELPDESK, 0, "trial", rate=1)
    inbox.put("value", "trial")
    inbox.get("value")
    inbox.note("notes", "trial", 0, 1)
    inbox.noted("notes")
    inbox.forget_noted("notes", "trial")
    inbox.part_echo(_NOBODY, "trial")
    inbox.sweep(1, 1)
    lease.finish()
    inbox.dead_letters.all()
    inbox.state()
    inbox.stats()
    inbox.has_room()


def try_broker(settings: Settings) -> None:
    """Send a message to a queue that is gone afterwards, and wait for it. Raises `redis.RedisError`."""
    how = transport_options(settings)
    with app.connection_for_write(settings.celery_broker_url, transport_options=how) as connection:
        channel: Any = connection.channel()
        queue = f"trial-{secrets.token_hex(4)}"
        kombu.Producer(channel).publish({}, routing_key=queue)
        channel.client.brpop([queue], timeout=1)


@signals.celeryd_init.connect
@signals.beat_init.connect
def check_at_start(**_: Any) -> None:
    """End a process of Celery's that could do nothing with its store."""
    try:
        StoreCheck(get_settings())()
    except Unusable as error:
        sys.exit(str(error))
