"""From an item of a channel's webhook to the job that the inbox takes."""

import msgspec

from clients.channel import Conversation
from clients.channels.meta import events
from tasks.inbox.job import Job, PartEcho
from tasks.inbox.queues import inbound_queue, outbound_queue
from tasks.outbound.jobs import Receipt

_RECEIPTS = frozenset({"delivery", "read"})


def messenger_job(conversation: Conversation, item: events.Item) -> Job | PartEcho:
    """Return the job for an item of Meta's webhook.

    The echo of our own part only leaves its mid and its time, for the reply that may wait for it. Receipts
    are about replies, so they queue up with them.
    """
    if item.echo_metadata and item.mid:
        return PartEcho(
            channel=conversation.channel,
            account_id=conversation.account_id,
            echo_metadata=item.echo_metadata,
            mid=item.mid,
            time=item.time,
        )
    if item.kind in _RECEIPTS:
        return Job(key=item.key, queue=outbound_queue(conversation), time=item.time, body=_receipt(item))
    return Job(key=item.key, queue=inbound_queue(conversation), time=item.time, body=item.body)


def _receipt(item: events.Item) -> bytes:
    event = events.parse(item.body)
    told = event if isinstance(event, events.Receipt) else events.Receipt("", 0)
    return msgspec.json.encode(Receipt(told.status, told.watermark, told.mids))
