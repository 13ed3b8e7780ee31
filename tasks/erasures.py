"""Forgetting a person: the helpdesk is told, then nothing is kept of them here.

The wish is a job in a queue of its own, so it outlasts an outage of the helpdesk. So is that of
somebody whose conversations the channel cannot name yet, which outlasts an outage of the channel. What came
of it stands under its code, without the person's id, as the person may be shown it.
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import structlog

from clients.channel import App, Conversation, Login, Withdrawal
from clients.errors import Busy, LeaseLost, OutcomeUnknown, RejectedError, RetryableError
from clients.notices import Notice, encode
from tasks import person
from tasks.connections import Directory
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job, Step, read_value
from tasks.inbox.queues import erasure_queue, matching_queue
from tasks.outbound.jobs import UnknownJob
from tasks.work import Work

log = structlog.get_logger(__name__)

T = TypeVar("T")

SHOWN_FOR = 90 * 24 * 3600
"""How long it is shown what came of a wish to be forgotten, in seconds."""

MATCH_AGAIN = 60.0
"""After how long a channel is asked again which conversations a wish means, in seconds."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a wish to be forgotten. `requested_at` is ISO 8601, `reason` an encoded notice.

    `state` is `waiting`; `done`: the helpdesk was told; `helpdesk_cannot`: it has no erasures; `refused`: it
    did not accept it, for the `reason`; or `not_found`: nobody knows yet whose conversations are meant. After
    the second, third and fourth nothing is kept here.
    """

    requested_at: str
    state: str = "waiting"
    reason: str = ""


class Erasure(msgspec.Struct, frozen=True):
    """The wish that a person be forgotten: its code, and when it came (ms)."""

    code: str
    requested_at: int


class Unmatched(msgspec.Struct, frozen=True):
    """The wish of somebody who is known by their id for an app of ours only; `requested_at` is in ms."""

    wish: str
    requested_at: int
    channel: str
    user_id: str


def request(inbox: Inbox, conversation: Conversation, code: str = "", requested_at: int = 0) -> str:
    """Queue the wish that a person be forgotten; return its code, by which `outcome` knows it.

    `requested_at` (ms) is when it came, if not just now. Raises `redis.RedisError`.
    """
    code, now = code or secrets.token_hex(8), int(inbox.now() * 1000)
    requested_at = requested_at or now
    _keep(inbox, code, _waiting_since(requested_at))
    body = msgspec.json.encode(Erasure(code, requested_at))
    inbox.accept([Job(key=f"erasure:{code}:{now}", queue=erasure_queue(conversation), time=now, body=body)])
    return code


def request_all(
    inbox: Inbox, conversations: Sequence[Conversation], code: str = "", requested_at: int = 0
) -> str:
    """Queue the wish that all conversations of a person be forgotten, as far as they are known.

    Return its code, by which `outcomes` knows it. Raises `redis.RedisError`.
    """
    code, requested_at = code or secrets.token_hex(8), requested_at or int(inbox.now() * 1000)
    for number, conversation in enumerate(conversations, 1):
        request(inbox, conversation, code if number == 1 else f"{code}-{number}", requested_at)
    if conversations:
        log.info("deletion_requested", code=code, conversations=len(conversations))
    else:
        _keep(inbox, code, msgspec.structs.replace(_waiting_since(requested_at), state="not_found"))
        hint = f"find the person's ticket, then: connector forget --page … --sender … --code {code}"
        log.warning("deletion_not_matched", code=code, hint=hint)
    return code


def request_match(inbox: Inbox, channel: str, user_id: str) -> str:
    """Queue the wish of a person whose conversations the channel cannot name now; return its code.

    Raises `redis.RedisError`.
    """
    code, now = secrets.token_hex(8), int(inbox.now() * 1000)
    _keep(inbox, code, _waiting_since(now))
    body = msgspec.json.encode(Unmatched(code, now, channel, user_id))
    inbox.accept([Job(key=f"match:{code}", queue=matching_queue(code), time=now, body=body)])
    return code


def find(login: Login, withdrawal: Withdrawal, directory: Directory) -> list[Conversation]:
    """Return the conversations of who wants to be forgotten, of accounts that are connected.

    Raises `RetryableError` while the channel cannot tell; one that refuses to has none.
    """
    try:
        found = login.conversations_of(withdrawal)
    except RejectedError as error:
        log.warning("person_not_matched", reason=str(error))
        return []
    known = directory.of(login.channel).known
    return [one for one in found if one.account_id in known]


def outcomes(inbox: Inbox, code: str) -> list[Outcome]:
    """Return what came of a wish, of each conversation; nothing if there is none of this code (any more)."""
    found: list[Outcome] = []
    while one := outcome(inbox, f"{code}-{len(found) + 1}" if found else code):
        found.append(one)
    return found


def outcome(inbox: Inbox, code: str) -> Outcome | None:
    """Return what came of a wish; None if there is none of this code (any more)."""
    return read_value(inbox.get(_name(code)) or b"", Outcome, None)


def relay(work: Work) -> None:
    """Tell the helpdesk, then forget the person. Raises `ClientError`.

    Who works on something of theirs is stopped, but a call may be under way: the helpdesk is told once more,
    when that must be over.
    """
    erasure, lease = _decode(work.lease.job.body, Erasure), work.lease
    anew = lease.step(Step.told_anew()) is not None
    wish = f"erasure:{erasure.code}:{erasure.requested_at}"
    key = f"{work.channel.key_prefix}:{work.conversation.account_id}:{wish}"
    is_told = work.service.helpdesk.erase(
        work.conversation, _time(erasure.requested_at), f"{key}:anew" if anew else key
    )
    if not anew and person.forget(work.service.inbox, work.conversation) and is_told:
        lease.save_step(Step.told_anew(), "soon")
        raise OutcomeUnknown("person_at_work", retry_after=work.service.settings.worker.lease)
    _close(work, erasure, "done" if is_told else "helpdesk_cannot")


def match(work: Work) -> None:
    """Ask the channel which conversations a wish means, and queue that each be forgotten. Raises `Busy`.

    A repetition queues them anew: it tells the helpdesk under the same key.
    """
    wish, service = _decode(work.lease.job.body, Unmatched), work.service
    graph, login = service.settings.graph, service.channel(wish.channel).login
    secret = graph.app_secret.get_secret_value()
    try:
        found = []
        if login:
            app = login(service.network, App(graph.app_id, secret))
            found = find(app, Withdrawal(secret, wish.user_id), service.connections)
    except LeaseLost:
        raise
    except RetryableError as error:  # however long it lasts: nobody else knows of the wish
        wait = error.retry_after or MATCH_AGAIN
        raise Busy(error.notice.code, retry_after=wait, **error.notice.values) from None
    request_all(service.inbox, found, wish.wish, wish.requested_at)


def note_unmatched(work: Work, _: Notice) -> None:
    """Show that nobody knows whose conversations are meant: the dead letter says why."""
    wish = _decode(work.lease.job.body, Unmatched)
    request_all(work.service.inbox, [], wish.wish, wish.requested_at)


def notify(work: Work, reason: Notice) -> None:
    """Forget the person though the helpdesk refuses to: the dead letter says what is left to do there."""
    erasure = _decode(work.lease.job.body, Erasure)
    person.forget(work.service.inbox, work.conversation)
    _close(work, erasure, "refused", encode(reason))


def _close(work: Work, erasure: Erasure, state: str, reason: str = "") -> None:
    log.info("forgotten", code=erasure.code, helpdesk=state)
    work.service.inbox.request_rewrite()
    outcome = msgspec.structs.replace(_waiting_since(erasure.requested_at), state=state, reason=reason)
    _keep(work.service.inbox, erasure.code, outcome)


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise UnknownJob("unknown_job", detail=str(error)) from None


def _keep(inbox: Inbox, code: str, outcome: Outcome) -> None:
    inbox.put(_name(code), msgspec.json.encode(outcome).decode(), SHOWN_FOR)


def _waiting_since(requested_at: int) -> Outcome:
    return Outcome(requested_at=_time(requested_at).isoformat(timespec="seconds"))


def _name(code: str) -> str:
    return f"erasure:{code}"


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
