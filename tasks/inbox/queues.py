"""From an event at a door to the row that the inbox takes: its conversation, its time, its identity."""

from typing import Any

import msgspec

from clients.channels.meta import events
from clients.errors import RetryableError
from clients.helpdesk import SOURCE, HelpdeskEvent, Ticket
from tasks.inbox.inbox import Row, echo_key, seen_key


class UnknownJob(RetryableError):
    """Another version of the connector, older or newer, put this here: what is to be done is not known."""


_RECEIPTS = frozenset({"delivery", "read"})


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
        raise UnknownJob(f"this version cannot read it: {error}") from None


def inbound_queue(conversation: events.Conversation) -> str:
    """Name the queue of what a person wrote."""
    return f"in:{conversation.account_id}:{conversation.person_id}"


def outbound_queue(conversation: events.Conversation) -> str:
    """Name the queue of what goes to a person."""
    return f"out:{conversation.account_id}:{conversation.person_id}"


def ticket_queue(ticket_id: str) -> str:
    """Name the queue of replies whose person is not known before the ticket was read."""
    return f"ticket:{ticket_id}"


def conversation_of(name: str) -> events.Conversation:
    """Return the conversation that a queue's name holds."""
    _, page_id, psid = name.split(":", 2)
    return events.Conversation(page_id, psid)


def account_of(name: str) -> str:
    """Return the page that a queue's name holds; empty for a ticket's queue."""
    return "" if name.startswith("ticket:") else conversation_of(name).account_id


def remote_of(name: str) -> str:
    """Return the remote that a queue's events go to: the helpdesk, or a page."""
    return f"page:{account_of(name)}" if name.startswith("out:") else "helpdesk"


def messenger_row(conversation: events.Conversation, item: events.Item) -> Row:
    """Return the row for an item of Meta's webhook.

    The echo of our own part only leaves its mid and its time, for the reply that may wait for it. Receipts
    are about replies, so they queue up with them.
    """
    if item.echo_metadata and item.mid:
        return Row(
            echo_key(conversation.account_id, item.echo_metadata), "", item.time, f"{item.mid} {item.time}"
        )
    if item.kind in _RECEIPTS:
        return Row(seen_key(item.key), outbound_queue(conversation), item.time, _receipt(item))
    return Row(seen_key(item.key), inbound_queue(conversation), item.time, item.body.decode())


def _receipt(item: events.Item) -> str:
    event = events.parse(item.body)
    told = event if isinstance(event, events.Receipt) else events.Receipt("", 0)
    return msgspec.json.encode(Receipt(told.status, told.watermark, told.mids)).decode()


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


def person_of(ticket: Ticket) -> events.Conversation | None:
    """Return whom a ticket of ours is about; None for a ticket that is not ours."""
    config = ticket.config or {}
    page_id, psid = config.get("page_id"), config.get("sender_id")
    if config.get("source") != SOURCE or not page_id or not psid:
        return None
    return events.Conversation(str(page_id), str(psid))


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
