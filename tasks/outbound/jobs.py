"""What the queues of what goes out hold: agents' replies, receipts of those before them, reminders."""

import msgspec

from clients.channel import Receipt
from clients.errors import RetryableError
from clients.helpdesk import AgentReply
from tasks.inbox.job import Job
from tasks.inbox.queues import outbound_queue, ticket_queue


class UnknownJob(RetryableError):
    """Another version of the connector, older or newer, stored this job: what is to be done is not known."""


class Reply(msgspec.Struct, frozen=True, tag=True):
    """An agent's comment on its way to a person."""

    agent_reply: AgentReply


class Reminder(msgspec.Struct, frozen=True, tag=True):
    """A ticket whose customer nobody had answered when it was queued, and when their reply window closes.

    `closes` is in ms since 1970, by the channel's clock.
    """

    ticket_id: str
    closes: int


def decode_job(body: bytes) -> Reply | Receipt | Reminder:
    """Read what an outbound queue holds. Raises `UnknownJob`."""
    try:
        return msgspec.json.decode(body, type=Reply | Receipt | Reminder)
    except msgspec.MsgspecError as error:
        raise UnknownJob("unknown_job", detail=str(error)) from None


def is_public_reply(reply: AgentReply) -> bool:
    """Return whether a comment may go to the customer; what is not said clearly counts as no.

    Where the ticket is not known yet, it may. What the connector itself put on the ticket never goes back. A
    change is not sent, so it counts even if it made the comment internal.
    """
    comment = reply.comment
    return (
        (comment.internal is False or bool(reply.change))
        and comment.author_type == "agent"
        and not comment.from_connector
        and (not reply.is_confirmed or reply.ticket.customer is not None)
    )


def reply_job(reply: AgentReply) -> Job:
    """Return the job for a comment that goes out."""
    customer = reply.ticket.customer if reply.is_confirmed else None
    queue = outbound_queue(customer.conversation) if customer else ticket_queue(reply.ticket.id)
    key = reply.key if customer else f"ticket:{reply.key}"
    time = max(0, int(reply.time.timestamp() * 1000))
    return Job(key=key, queue=queue, time=time, body=msgspec.json.encode(Reply(reply)))
