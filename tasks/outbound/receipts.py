"""What became of a reply after it was sent: Meta tells up to which moment all was delivered, and read."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import structlog

from clients.channel import Conversation
from clients.channels.meta import events
from clients.errors import LeaseLost, RejectedError, Unavailable
from clients.helpdesk import Delivery
from tasks.inbox.job import sent_mids
from tasks.inbox.lease import Lease
from tasks.inbox.queues import person_key
from tasks.services import Services

log = structlog.get_logger(__name__)

KEPT_FOR = 7 * 24 * 3600
"""How long a reply waits to be delivered and read, in seconds."""
ATTEMPTS = 3
"""How often it is tried to show what became of a reply, if the helpdesk is up and does not take just that."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A reply that was sent: its comment, its mids, and when its last part was (ms, by Meta's clock)."""

    comment_id: str
    mids: list[str]
    at: int

    @property
    def ids(self) -> set[str]:
        """Return the mids as receipts and echoes name them."""
        return {events.proper_mid(mid) for mid in self.mids}

    @property
    def last(self) -> str:
        """Return the mid of the last part."""
        return events.proper_mid(self.mids[-1]) if self.mids else ""

    @property
    def member(self) -> str:
        """Return the reply as the store keeps it."""
        return json.dumps([self.comment_id, self.mids])


def sent(service: Services, lease: Lease, conversation: Conversation, reply: Sent) -> None:
    """Show in a comment that it was sent, and wait for its receipts."""
    remember(service, conversation, reply.mids)
    _show(service, lease, reply, "sent")
    _await(service, _awaiting("delivered", conversation), reply)


def received(service: Services, lease: Lease, conversation: Conversation, receipt: events.Receipt) -> None:
    """Show in the comments that a receipt is about that they were delivered, or read."""
    for earlier in ["delivered", "read"] if receipt.status == "read" else ["delivered"]:
        key = _awaiting(earlier, conversation)
        for reply in _waiting(service, key):
            if not _is_about(receipt, reply):
                continue
            _show(service, lease, reply, receipt.status)
            if receipt.status == "delivered":
                _await(service, _awaiting("read", conversation), _by_metas_clock(reply, receipt))
            service.inbox.forget_noted(key, reply.member)


def _is_about(receipt: events.Receipt, reply: Sent) -> bool:
    """Tell whether all of a reply arrived: the receipt names its last mid, or it was sent until then.

    What the receipt names counts before any time: if it names a part, but not the last, not all is there.
    """
    named = reply.ids & set(receipt.mids)
    return reply.last in named if named else reply.at <= receipt.watermark


def _by_metas_clock(reply: Sent, receipt: events.Receipt) -> Sent:
    """Return a reply with the time by which its receipt tells that it was sent, if that is earlier."""
    return replace(reply, at=min(reply.at, receipt.watermark)) if receipt.watermark else reply


def remember(service: Services, conversation: Conversation, mids: Collection[str]) -> None:
    """Keep the mids of what was sent, to know an echo that comes late and without our mark."""
    if mids:
        service.inbox.note(
            _ours(conversation), json.dumps(list(mids)), int(service.clocks.now() * 1000), KEPT_FOR
        )


def our_mids(service: Services, conversation: Conversation) -> set[str]:
    """Return the mids of all replies that were sent lately."""
    known = service.inbox.noted(_ours(conversation))
    mids = {events.proper_mid(mid) for member, _ in known for mid in json.loads(member)}
    keys = (_awaiting(status, conversation) for status in ("delivered", "read"))
    return mids.union(*(reply.ids for key in keys for reply in _waiting(service, key)))


def mids_of(steps: Mapping[str, str]) -> set[str]:
    """Return the mids of the parts of a reply that were sent so far."""
    return {events.proper_mid(mid) for mid in sent_mids(steps)}


def _waiting(service: Services, key: str) -> Iterator[Sent]:
    for member, sent_at in service.inbox.noted(key):
        comment_id, mids = json.loads(member)
        yield Sent(comment_id, mids, sent_at)


def _await(service: Services, key: str, reply: Sent) -> None:
    service.inbox.note(key, reply.member, reply.at, KEPT_FOR)


def _show(service: Services, lease: Lease, reply: Sent, status: str) -> None:
    """Merge the status into the comment. If that is not taken, the reply was sent all the same."""
    lease.need_helpdesk()
    try:
        service.helpdesk.show_delivery(reply.comment_id, Delivery(status, reply.mids))
    except LeaseLost:
        raise
    except (RejectedError, Unavailable) as error:
        if isinstance(error, Unavailable) and lease.attempts + 1 < ATTEMPTS:
            raise
        log.warning("delivery_not_shown", comment=reply.comment_id, status=status, reason=str(error))


def _ours(conversation: Conversation) -> str:
    return person_key("ours", conversation)


def _awaiting(status: str, conversation: Conversation) -> str:
    return person_key(f"awaiting:{status}", conversation)
