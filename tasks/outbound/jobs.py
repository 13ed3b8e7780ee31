"""What the queues of what goes out hold: agents' replies, and receipts of those before them."""

from typing import Any

import msgspec

from clients.channel import Conversation
from clients.channels.meta.events import CHANNEL
from clients.errors import RetryableError
from clients.helpdesk import SOURCE, HelpdeskEvent, Ticket
from tasks.inbox.inbox import Row, seen_key
from tasks.inbox.queues import outbound_queue, ticket_queue


class UnknownJob(RetryableError):
    """Another version of the connector, older or newer, put this here: what is to be done is not known."""


class Reply(msgspec.Struct, tag=True):
    """An agent's comment on its way to Messenger."""

    event: HelpdeskEvent


class Receipt(msgspec.Struct, tag=True):
    """What Meta says of the replies before it: those of `mids`, and all until `watermark` (ms), arrived."""

    status: str
    watermark: int
    mids: tuple[str, ...] = ()


def decode_job(body: bytes) -> Reply | Receipt:
    """Read what an outbound queue holds. Raises `UnknownJob`."""
    try:
        return msgspec.json.decode(body, type=Reply | Receipt)
    except msgspec.MsgspecError as error:
        raise UnknownJob("unknown_job", detail=str(error)) from None


def is_public_reply(event: HelpdeskEvent) -> bool:
    """Tell whether a comment may go to Messenger; what is not said outright counts as no.

    What an agent wrote in Meta's own inbox was put on the ticket by the connector: it never goes back.
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


def reply_row(event: HelpdeskEvent, known: bytes = b"{}") -> Row:
    """Return the row for a comment that goes out.

    `known` is the row that it was before: fields that another version put there are kept.
    """
    person = person_of(event.ticket)
    name = outbound_queue(person) if person else ticket_queue(event.ticket.id)
    prefix = "" if person else "ticket:"
    time = max(0, int(event.time.timestamp() * 1000))
    body = _merged(msgspec.json.decode(known), msgspec.to_builtins(Reply(event)))
    return Row(seen_key(prefix + event.key), name, time, msgspec.json.encode(body).decode())


def _merged(known: Any, new: Any) -> Any:
    """Return the new value, with what only the known one has."""
    if not (isinstance(known, dict) and isinstance(new, dict)):
        return new
    return known | {key: _merged(known.get(key), value) for key, value in new.items()}
