"""What became of a reply after it was sent: the channel reports what was delivered, and read."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import structlog

from clients.channel import Conversation, Receipt
from clients.errors import LeaseLost, RejectedError, Unavailable
from clients.helpdesk import Comment, Delivery
from tasks.inbox.inbox import Inbox
from tasks.inbox.personal import Personal
from tasks.work import Work

log = structlog.get_logger(__name__)

_AWAITING = {"delivered": Personal.AWAITING_DELIVERY, "read": Personal.AWAITING_READ}
ATTEMPTS = 3
"""How often it is tried to show what became of a reply, if the helpdesk is up and does not take just that."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A reply that was sent: its comment, message ids, and time (ms, by the channel's clock)."""

    comment_id: str
    message_ids: list[str]
    at: int

    @property
    def last(self) -> str:
        """Return the id of the last part."""
        return self.message_ids[-1] if self.message_ids else ""

    @property
    def member(self) -> str:
        """Return the reply as the store keeps it."""
        return json.dumps([self.comment_id, self.message_ids])


def sent(work: Work, reply: Sent) -> None:
    """Show in a comment that it was sent, and wait for its receipts."""
    _show(work, reply, "sent")
    _await(work, "delivered", reply)


def received(work: Work, receipt: Receipt) -> None:
    """Show in the comments that a receipt is about that they were delivered, or read."""
    for earlier in ["delivered", "read"] if receipt.status == "read" else ["delivered"]:
        for reply in _waiting(work.service.inbox, work.conversation, earlier):
            if not _is_about(receipt, reply):
                continue
            if _remember_longer(work, reply):
                _show(work, reply, receipt.status)
            if receipt.status == "delivered":
                _await(work, "read", _by_the_channels_clock(reply, receipt))
            work.service.inbox.forget_noted(_AWAITING[earlier], work.conversation, reply.member)


def _is_about(receipt: Receipt, reply: Sent) -> bool:
    """Return whether all of a reply arrived: the receipt names its last part, or it was sent until then.

    What the receipt names counts before any time: if it names a part, but not the last, not all is there.
    """
    named = set(reply.message_ids) & set(receipt.message_ids)
    return reply.last in named if named else reply.at <= receipt.until


def _by_the_channels_clock(reply: Sent, receipt: Receipt) -> Sent:
    """Return a reply with the time by which its receipt says that it was sent, if that is earlier."""
    return replace(reply, at=min(reply.at, receipt.until)) if receipt.until else reply


@dataclass(frozen=True, slots=True)
class SentPart:
    """A message that was sent of a comment: its place among those, and when all were sent (ms)."""

    comment_id: str
    digest: str
    number: int
    at: int

    def is_of(self, comment: Comment) -> bool:
        """Return whether a comment still says what it said when it was sent."""
        return self.digest == _digest(comment)


def remember(work: Work, comment: Comment, message_ids: Collection[str]) -> None:
    """Keep what was sent of a comment, to know an echo that comes late and without our metadata."""
    if message_ids:
        now = int(work.service.clocks.now() * 1000)
        member = json.dumps([comment.id, _digest(comment), list(message_ids)])
        work.lease.note(Personal.OURS, member, now)


def _remember_longer(work: Work, reply: Sent) -> bool:
    """Keep what was sent while its delivery is shown; False if it is not known any more.

    Helpdesks may tell what we show as a change of the comment, which is then compared with that.
    """
    ours = work.service.inbox.noted(Personal.OURS, work.conversation)
    known = [(member, at) for member, at in ours if json.loads(member)[0] == reply.comment_id]
    for member, at in known:
        work.lease.note(Personal.OURS, member, at)
    return bool(known)


def our_part(inbox: Inbox, conversation: Conversation, message_id: str) -> SentPart | None:
    """Return what was sent lately as a message with this id; None if that was nothing of ours."""
    for member, at in inbox.noted(Personal.OURS, conversation):
        comment_id, digest, message_ids = json.loads(member)
        if message_id in message_ids:
            return SentPart(comment_id, digest, message_ids.index(message_id), at)
    return None


def our_ids(inbox: Inbox, conversation: Conversation) -> set[str]:
    """Return the ids of all replies that were sent lately."""
    return our_ids_of(inbox, [conversation])[0]


def our_ids_of(inbox: Inbox, conversations: Sequence[Conversation]) -> list[set[str]]:
    """Return, as `our_ids` does, those of each of these people."""
    noted = inbox.noted_of([Personal.OURS, *_AWAITING.values()], conversations)
    return [
        {id_ for members in one.values() for member in members for id_ in json.loads(member)[-1]}
        for one in noted
    ]


def was_sent(work: Work, comment: Comment) -> bool:
    """Return whether a comment was sent, or a part of it: lately, or ever where the helpdesk keeps that."""
    if comment.sent_as:
        return True
    sent = _remembered(work.service.inbox, work.conversation)
    return any(id_ == comment.id for id_, _, _ in sent)


def is_as_sent(work: Work, comment: Comment) -> bool:
    """Return whether a comment is as it was when it was sent: public, with the same text and files.

    It is not known for longer than we show its delivery; after that only others change it.
    """
    if comment.internal:
        return False
    sent = _remembered(work.service.inbox, work.conversation)
    return any((id_, digest) == (comment.id, _digest(comment)) for id_, digest, _ in sent)


def _digest(comment: Comment) -> str:
    said = json.dumps([comment.body, [one.id for one in comment.attachments]])
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def _remembered(inbox: Inbox, conversation: Conversation) -> Iterator[tuple[str, str, list[str]]]:
    for member, _ in inbox.noted(Personal.OURS, conversation):
        comment_id, digest, message_ids = json.loads(member)
        yield comment_id, digest, message_ids


def _waiting(inbox: Inbox, conversation: Conversation, status: str) -> Iterator[Sent]:
    for member, sent_at in inbox.noted(_AWAITING[status], conversation):
        comment_id, message_ids = json.loads(member)
        yield Sent(comment_id, message_ids, sent_at)


def _await(work: Work, status: str, reply: Sent) -> None:
    work.lease.note(_AWAITING[status], reply.member, reply.at)


def _show(work: Work, reply: Sent, status: str) -> None:
    """Merge the status into the comment. If that is not taken, the reply was sent all the same."""
    work.lease.need_helpdesk()
    try:
        work.service.helpdesk.show_delivery(reply.comment_id, Delivery(status, reply.message_ids))
    except LeaseLost:
        raise
    except (RejectedError, Unavailable) as error:
        if isinstance(error, Unavailable) and work.lease.attempts + 1 < ATTEMPTS:
            raise
        log.warning("delivery_not_shown", comment=reply.comment_id, status=status, reason=str(error))
