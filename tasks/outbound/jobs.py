"""What the queues of what goes out hold: agents' replies, and receipts of those before them."""

from typing import Any

import msgspec

from clients.errors import RetryableError
from clients.helpdesk import AgentReply
from tasks.inbox.inbox import Row, seen_key
from tasks.inbox.queues import outbound_queue, ticket_queue


class UnknownJob(RetryableError):
    """Another version of the connector, older or newer, put this here: what is to be done is not known."""


class Reply(msgspec.Struct, tag=True):
    """An agent's comment on its way to Messenger."""

    agent_reply: AgentReply


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
        raise UnknownJob(f"this version cannot read it: {error}") from None


def is_public_reply(reply: AgentReply) -> bool:
    """Tell whether a comment may go to the customer; what is not said outright counts as no.

    Where the ticket is not known yet, it may. What the connector itself put on the ticket never goes back.
    """
    comment = reply.comment
    return (
        comment.internal is False
        and comment.author_type == "agent"
        and not comment.from_connector
        and (not reply.is_confirmed or reply.ticket.customer is not None)
    )


def reply_row(reply: AgentReply, known: bytes = b"{}") -> Row:
    """Return the row for a comment that goes out.

    `known` is the row that it was before: fields that another version put there are kept.
    """
    customer = reply.ticket.customer if reply.is_confirmed else None
    name = outbound_queue(customer.conversation) if customer else ticket_queue(reply.ticket.id)
    prefix = "" if customer else "ticket:"
    time = max(0, int(reply.time.timestamp() * 1000))
    body = _merged(msgspec.json.decode(known), msgspec.to_builtins(Reply(reply)))
    return Row(seen_key(prefix + reply.key), name, time, msgspec.json.encode(body).decode())


def _merged(known: Any, new: Any) -> Any:
    """Return the new value, with what only the known one has."""
    if not (isinstance(known, dict) and isinstance(new, dict)):
        return new
    return known | {key: _merged(known.get(key), value) for key, value in new.items()}
