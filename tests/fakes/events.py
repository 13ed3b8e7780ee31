"""Events of Messenger: a thread, a message, and envelopes taken apart."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from clients.channel import Conversation, Message, MessageAttachment
from clients.channels.meta import events
from clients.channels.meta.events import CHANNEL, Entry, parse

THREAD = Conversation(CHANNEL, "107381679302250", "7623554920995436")
SENT = 1795382999900


def split(body: bytes, received: int = 0) -> list[Entry]:
    """Take an envelope apart."""
    return list(events.Envelope(body, received).entries())


def time_of(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def new_message(mid: str, text: str = "", *attachments: MessageAttachment, at: int = SENT) -> Message:
    return Message(mid, time_of(at), text, attachments)


def with_message(message: str, **item: Any) -> bytes:
    """Write an envelope whose message is this JSON text."""
    people = {"sender": {"id": THREAD.person_id}, "recipient": {"id": THREAD.account_id}, "timestamp": SENT}
    body = {"object": "page", "entry": [{"id": THREAD.account_id, "messaging": [people | item]}]}
    return json.dumps(body)[:-5].encode() + f', "message": {message}}}]}}]}}'.encode()


def parsed_message(message: str) -> Message:
    event = parse(next(split(with_message(message))[0].events()).body)
    assert isinstance(event, Message)
    return event
