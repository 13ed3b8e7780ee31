"""From an item of a channel's webhook to the job that the inbox takes."""

import msgspec

from clients.channel import Channel, Conversation, Incoming, Receipt
from tasks.inbox.inbox import Row, echo_key, seen_key
from tasks.inbox.queues import inbound_queue, outbound_queue


def incoming_row(channel: Channel, conversation: Conversation, item: Incoming) -> Row:
    """Return the row for an event of a channel's webhook.

    The echo of our own part only leaves its message id and its time, for the reply that may wait for it.
    Receipts are about replies, so they queue up with them.
    """
    if item.echo_metadata and item.message_id:
        body = f"{item.message_id} {item.time}"
        return Row(echo_key(conversation, item.echo_metadata), "", item.time, body)
    if item.is_receipt:
        return Row(seen_key(item.key), outbound_queue(conversation), item.time, _receipt(channel, item))
    return Row(seen_key(item.key), inbound_queue(conversation), item.time, item.body.decode())


def _receipt(channel: Channel, item: Incoming) -> str:
    event = channel.parse(item.body)
    receipt = event if isinstance(event, Receipt) else Receipt("", 0)
    return msgspec.json.encode(receipt).decode()
