"""What became of a reply after it was sent: Meta tells up to which moment all was delivered, and read."""

import json
from collections.abc import Iterator

from clients import events
from clients.errors import RejectedError
from connector import logs
from tasks.services import Services

log = logs.get(__name__)

KEPT_FOR = 7 * 24 * 3600
"""How long a reply waits to be delivered and read, in seconds."""


def sent(service: Services, thread: events.Thread, comment_id: str, mids: list[str], sent_at: int) -> None:
    """Show in a comment that it was sent, at `sent_at` (ms), and wait for its receipts."""
    _show(service, comment_id, mids, "sent")
    _await(service, _awaiting("delivered", thread), json.dumps([comment_id, mids]), sent_at)


def received(service: Services, thread: events.Thread, status: str, watermark: int) -> None:
    """Show in the comments sent until `watermark` (ms) that they were delivered, or read."""
    for earlier in ["delivered", "read"] if status == "read" else ["delivered"]:
        key = _awaiting(earlier, thread)
        for member, sent_at in _until(service, key, watermark):
            comment_id, mids = json.loads(member)
            _show(service, comment_id, mids, status)
            if status == "delivered":
                _await(service, _awaiting("read", thread), member, sent_at)
            service.inbox.store.zrem(key, member)


def awaited_mids(service: Services, thread: events.Thread) -> set[str]:
    """Return the mids of the replies that were sent, and not read yet as far as we know."""
    keys = (_awaiting(status, thread) for status in ("delivered", "read"))
    members = [member for key in keys for member, _ in _until(service, key, "+inf")]
    return {mid for member in members for mid in json.loads(member)[1]}


def _until(service: Services, key: str, watermark: int | str) -> Iterator[tuple[str, int]]:
    found: list[tuple[bytes, float]] = service.inbox.store.zrangebyscore(  # type: ignore[assignment]
        key, "-inf", watermark, withscores=True
    )
    for member, sent_at in found:
        yield member.decode(), int(sent_at)


def _await(service: Services, key: str, member: str, sent_at: int) -> None:
    service.inbox.store.zadd(key, {member: sent_at})
    service.inbox.store.expire(key, KEPT_FOR)


def _show(service: Services, comment_id: str, mids: list[str], status: str) -> None:
    try:
        service.helpdesk.merge_config(comment_id, {"delivery": {"status": status, "message_ids": mids}})
    except RejectedError as error:
        log.warning("delivery_not_shown", comment=comment_id, status=status, reason=str(error))


def _awaiting(status: str, thread: events.Thread) -> str:
    return f"mc:awaiting:{status}:{thread.page_id}:{thread.psid}"
