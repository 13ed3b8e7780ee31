"""Forgetting a person: the helpdesk is told, then nothing is kept of them here.

The wish is a job in a queue of its own, so it outlasts an outage of the helpdesk. What came of it stands
under its code, without the person's id, as the person may be shown it.
"""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from clients.channel import Conversation
from clients.errors import OutcomeUnknown
from clients.notices import Notice, encode
from tasks import person
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job, Step, read_value
from tasks.inbox.queues import erasure_queue
from tasks.outbound.jobs import UnknownJob
from tasks.work import Work

log = structlog.get_logger(__name__)

SHOWN_FOR = 90 * 24 * 3600
"""How long it is shown what came of a wish to be forgotten, in seconds."""


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


def request(inbox: Inbox, conversation: Conversation, code: str = "") -> str:
    """Queue the wish that a person be forgotten; return its code, by which `outcome` knows it.

    Raises `redis.RedisError`.
    """
    code, now = code or secrets.token_hex(8), int(inbox.now() * 1000)
    _keep(inbox, code, Outcome(requested_at=_time(now).isoformat(timespec="seconds")))
    body = msgspec.json.encode(Erasure(code, now))
    inbox.accept([Job(key=f"erasure:{code}:{now}", queue=erasure_queue(conversation), time=now, body=body)])
    return code


def request_all(inbox: Inbox, conversations: Sequence[Conversation]) -> str:
    """Queue the wish that all conversations of a person be forgotten, as far as they are known.

    Return its code, by which `outcomes` knows it. Raises `redis.RedisError`.
    """
    code = secrets.token_hex(8)
    if not conversations:
        now = datetime.fromtimestamp(int(inbox.now()), UTC)
        _keep(inbox, code, Outcome(requested_at=now.isoformat(timespec="seconds"), state="not_found"))
    for number, conversation in enumerate(conversations, 1):
        request(inbox, conversation, code if number == 1 else f"{code}-{number}")
    return code


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
    erasure, lease = _decode(work.lease.job.body), work.lease
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


def notify(work: Work, reason: Notice) -> None:
    """Forget the person though the helpdesk refuses to: the dead letter says what is left to do there."""
    erasure = _decode(work.lease.job.body)
    person.forget(work.service.inbox, work.conversation)
    _close(work, erasure, "refused", encode(reason))


def _close(work: Work, erasure: Erasure, state: str, reason: str = "") -> None:
    log.info("forgotten", code=erasure.code, helpdesk=state)
    requested_at = _time(erasure.requested_at).isoformat(timespec="seconds")
    _keep(work.service.inbox, erasure.code, Outcome(requested_at=requested_at, state=state, reason=reason))


def _decode(body: bytes) -> Erasure:
    try:
        return msgspec.json.decode(body, type=Erasure)
    except msgspec.MsgspecError as error:
        raise UnknownJob("unknown_job", detail=str(error)) from None


def _keep(inbox: Inbox, code: str, outcome: Outcome) -> None:
    inbox.put(_name(code), msgspec.json.encode(outcome).decode(), SHOWN_FOR)


def _name(code: str) -> str:
    return f"erasure:{code}"


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
