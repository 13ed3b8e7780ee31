"""What the queues of what goes out hold: agents' replies, and receipts of those before them."""

import msgspec

from clients.channel import Conversation, Receipt
from clients.channels.meta.events import CHANNEL
from clients.errors import RetryableError
from clients.helpdesk import SOURCE, HelpdeskEvent, Ticket
from tasks.inbox.job import Job
from tasks.inbox.queues import outbound_queue, ticket_queue


class UnknownJob(RetryableError):
    """Another version of the connector, older or newer, put this here: what is to be done is not known."""


class Reply(msgspec.Struct, tag=True):
    """An agent's comment on its way to a person."""

    event: HelpdeskEvent


def decode_job(body: bytes) -> Reply | Receipt:
    """Read what an outbound queue holds. Raises `UnknownJob`."""
    try:
        return msgspec.json.decode(body, type=Reply | Receipt)
    except msgspec.MsgspecError as error:
        raise UnknownJob("unknown_job", detail=str(error)) from None


def is_public_reply(event: HelpdeskEvent) -> bool:
    """Tell whether a comment may go out; what is not said outright counts as no.

    What an agent wrote in the channel's own inbox was put on the ticket by the connector: it never goes back.
    """
    comment = event.comment
    return (
        comment is not None
        and comment.internal is False
        and comment.author_type == "agent"
        and comment.config.get("source") != SOURCE
        and (event.ticket.config is None or person_of(event.ticket) is not None)
    )


def person_of(ticket: Ticket) -> Conversation | None:
    """Return whom a ticket of ours is about; None for a ticket that is not ours."""
    config = ticket.config or {}
    page_id, psid = config.get("page_id"), config.get("sender_id")
    if config.get("source") != SOURCE or not page_id or not psid:
        return None
    return Conversation(CHANNEL, str(page_id), str(psid))


def reply_job(event: HelpdeskEvent) -> Job:
    """Return the job for a comment that goes out."""
    person = person_of(event.ticket)
    name = outbound_queue(person) if person else ticket_queue(event.ticket.id)
    prefix = "" if person else "ticket:"
    time = max(0, int(event.time.timestamp() * 1000))
    return Job(key=prefix + event.key, queue=name, time=time, body=msgspec.json.encode(Reply(event)))
