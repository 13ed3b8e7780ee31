"""From an item of a channel's webhook to the job that the inbox takes."""

import msgspec

from clients.channel import Conversation
from clients.channels.meta import events
from tasks.inbox.inbox import Row, echo_key, seen_key
from tasks.inbox.queues import inbound_queue, outbound_queue
from tasks.outbound.jobs import Receipt

_RECEIPTS = frozenset({"delivery", "read"})


def messenger_row(conversation: Conversation, item: events.Item) -> Row:
    """Return the row for an item of Meta's webhook.

    The echo of our own part only leaves its mid and its time, for the reply that may wait for it. Receipts
    are about replies, so they queue up with them.
    """
    if item.echo_metadata and item.mid:
        return Row(echo_key(conversation, item.echo_metadata), "", item.time, f"{item.mid} {item.time}")
    if item.kind in _RECEIPTS:
        return Row(seen_key(item.key), outbound_queue(conversation), item.time, _receipt(item))
    return Row(seen_key(item.key), inbound_queue(conversation), item.time, item.body.decode())


def _receipt(item: events.Item) -> str:
    event = events.parse(item.body)
    told = event if isinstance(event, events.Receipt) else events.Receipt("", 0)
    return msgspec.json.encode(Receipt(told.status, told.watermark, told.mids)).decode()
