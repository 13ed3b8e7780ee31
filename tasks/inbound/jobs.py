"""From an event of a channel's webhook to the job that the inbox takes."""

import msgspec

from clients.channel import Channel, Conversation, Incoming, Receipt
from tasks.inbox.job import Job, PartEcho
from tasks.inbox.queues import inbound_queue, outbound_queue


def incoming_job(channel: Channel, conversation: Conversation, event: Incoming) -> Job | PartEcho:
    """Return the job for an event of a channel's webhook.

    The echo of our own part only leaves its message id and its time, for the reply that may wait for it.
    Receipts are about replies, so they queue up with them.
    """
    if event.echo_metadata and event.message_id:
        return PartEcho(
            conversation=conversation,
            echo_metadata=event.echo_metadata,
            message_id=event.message_id,
            time=event.time,
        )
    if event.is_receipt:
        queue, body = outbound_queue(conversation), _receipt(channel, event)
        return Job(key=event.key, queue=queue, time=event.time, body=body)
    return Job(
        key=event.key,
        queue=inbound_queue(conversation),
        time=event.time,
        body=event.body,
        known_for=event.known_for,
    )


def _receipt(channel: Channel, event: Incoming) -> bytes:
    read = channel.parse(event.body)
    return msgspec.json.encode(read if isinstance(read, Receipt) else Receipt("", 0))
