"""What became of a reply after it was sent: Meta tells up to which moment all was delivered, and read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from clients import events
from clients.errors import RejectedError, Stale, Unavailable
from clients.helpdesk import Delivery
from connector import logs
from tasks.lease import Lease
from tasks.services import Services

log = logs.get(__name__)

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
    def member(self) -> str:
        """Return the reply as the store keeps it."""
        return json.dumps([self.comment_id, self.mids])


def sent(service: Services, lease: Lease, thread: events.Thread, reply: Sent) -> None:
    """Show in a comment that it was sent, and wait for its receipts."""
    _show(service, lease, reply, "sent")
    _await(service, _awaiting("delivered", thread), reply)


def received(service: Services, lease: Lease, thread: events.Thread, status: str, watermark: int) -> None:
    """Show in the comments sent until `watermark` (ms) that they were delivered, or read."""
    for earlier in ["delivered", "read"] if status == "read" else ["delivered"]:
        key = _awaiting(earlier, thread)
        for reply in _until(service, key, watermark):
            _show(service, lease, reply, status)
            if status == "delivered":
                _await(service, _awaiting("read", thread), reply)
            service.inbox.store.zrem(service.inbox.key(key), reply.member)


def awaited_mids(service: Services, thread: events.Thread) -> set[str]:
    """Return the mids of the replies that were sent, and not read yet as far as we know."""
    keys = (_awaiting(status, thread) for status in ("delivered", "read"))
    return {mid for key in keys for reply in _until(service, key, "+inf") for mid in reply.mids}


def _until(service: Services, key: str, watermark: int | str) -> Iterator[Sent]:
    found: list[tuple[bytes, float]] = service.inbox.store.zrangebyscore(  # type: ignore[assignment]
        service.inbox.key(key), "-inf", watermark, withscores=True
    )
    for member, sent_at in found:
        comment_id, mids = json.loads(member)
        yield Sent(comment_id, mids, int(sent_at))


def _await(service: Services, key: str, reply: Sent) -> None:
    service.inbox.note(key, reply.member, reply.at, KEPT_FOR)


def _show(service: Services, lease: Lease, reply: Sent, status: str) -> None:
    """Merge the status into the comment. If that is not taken, the reply was sent all the same."""
    lease.need_helpdesk()
    try:
        service.helpdesk.show_delivery(reply.comment_id, Delivery(status, reply.mids))
    except Stale:
        raise
    except (RejectedError, Unavailable) as error:
        if isinstance(error, Unavailable) and lease.attempts + 1 < ATTEMPTS:
            raise
        log.warning("delivery_not_shown", comment=reply.comment_id, status=status, reason=str(error))


def _awaiting(status: str, thread: events.Thread) -> str:
    return f"awaiting:{status}:{thread.page_id}:{thread.psid}"
