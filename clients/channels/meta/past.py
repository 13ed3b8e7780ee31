"""What Meta's Conversations API says of conversations, as the items that a webhook would have brought.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/conversations
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from clients.channel import Conversation, Incoming, Newest, PastConversation
from clients.channels.meta.events import CHANNEL, past_event
from clients.channels.meta.kinds import FETCHED, HISTORY, STANDBY
from clients.channels.meta.values import as_dict, as_text, dicts, is_true, proper_mid

Item = dict[str, Any]
SPACING = 0.6
"""How many seconds there are between two calls for one page: Meta allows two a second, as it counts them."""
MOST_SHOWN = 20
"""How many messages of a conversation can be read, the newest; of older ones only the id and the time."""
CONVERSATION_FIELDS = "id,updated_time,participants,is_owner"
LISTED_WITH = 10
"""How many messages are listed with each of 25 conversations; Meta would allow 20."""
NEWEST_FIELDS = f"messages.limit({LISTED_WITH}){{id,created_time}}"
"""https://developers.facebook.com/docs/graph-api/guides/field-expansion"""
MESSAGE_FIELDS = "id,created_time,from,to,message,attachments,shares,sticker,reply_to"


def milliseconds_of(time: Any) -> int:
    """Read a time as the Graph API writes it, in ms since 1970; 0 if it is none."""
    try:
        return int(datetime.strptime(as_text(time), "%Y-%m-%dT%H:%M:%S%z").timestamp() * 1000)
    except ValueError:
        return 0


def after(answer: Item) -> str:
    """Return the cursor with which a list goes on; empty at its end."""
    paging = as_dict(answer.get("paging"))
    return as_text(as_dict(paging.get("cursors")).get("after")) if paging.get("next") else ""


def conversation_of(page_id: str, conversation: Item) -> PastConversation | None:
    """Read a conversation of the list; None if it names no person."""
    ends = dicts(as_dict(conversation.get("participants")).get("data"))
    person = next((id_ for one in ends if (id_ := as_text(one.get("id"))) and id_ != page_id), "")
    id_, time = as_text(conversation.get("id")), milliseconds_of(conversation.get("updated_time"))
    is_overheard = conversation.get("is_owner") is False
    return PastConversation(id_, person, time, is_overheard) if id_ and person else None


def newest_of(page_id: str, conversation: PastConversation, item: Item) -> Newest:
    """Read the messages that are listed with a conversation."""
    answer = as_dict(item.get("messages"))
    listed = dicts(answer.get("data"))
    messages = (hidden(page_id, conversation, one) for one in listed)
    # Meta may list fewer than it was asked for where there are more.
    is_all = 0 < len(listed) < LISTED_WITH and not as_dict(answer.get("paging")).get("next")
    return Newest([one for one in messages if one.message_id], is_all)


def readable(
    page_id: str, conversation: PastConversation, message: Item, connected: int = 0
) -> Incoming | None:
    """Read a message; None if nothing of it is shown but its id and its time.

    One that was written before the page was `connected` (ms) is history.
    """
    sender = as_text(as_dict(message.get("from")).get("id"))
    return _event(page_id, conversation, message, sender, connected) if sender else None


def hidden(page_id: str, conversation: PastConversation, message: Item) -> Incoming:
    """Read the id and the time of a message that is not shown any more."""
    event = _event(page_id, conversation, {key: message.get(key) for key in ("id", "created_time")}, "")
    return unknown(page_id, conversation, event.time) if not event.message_id else event


def unknown(page_id: str, conversation: PastConversation, time: int) -> Incoming:
    """Return what stands for hidden messages of which nothing is known."""
    return Incoming(Conversation(CHANNEL, page_id, conversation.person_id), "message", "", time, b"")


def _event(
    page_id: str, conversation: PastConversation, message: Item, sender: str, connected: int = 0
) -> Incoming:
    is_echo, ends = sender == page_id, [{"id": conversation.person_id}, {"id": page_id}]
    who, whom = reversed(ends) if is_echo else ends
    time = milliseconds_of(message.get("created_time"))
    item = {
        "sender": who,
        "recipient": whom,
        "timestamp": time,
        "message": _content(message) | ({"is_echo": True} if is_echo else {}),
        FETCHED: True,
    }
    marks = {STANDBY: conversation.is_overheard, HISTORY: time < connected}
    return past_event(page_id, item | {name: True for name, is_so in marks.items() if is_so})


def _content(message: Item) -> Item:
    """Write what a message holds as a webhook has it."""
    text, attachments = as_text(message.get("message")), list(_attachments(message))
    content: Item = {"mid": proper_mid(as_text(message.get("id"))), "text": text}
    if attachments:
        content["attachments"] = attachments
    if reply_to := as_text(as_dict(message.get("reply_to")).get("mid")):
        content["reply_to"] = {"mid": reply_to}
    if not text and not attachments:
        content["is_unsupported"] = True
    return content


def _attachments(message: Item) -> Iterator[Item]:
    sticker = as_text(message.get("sticker"))
    if sticker:
        yield {"type": "sticker", "payload": {"url": sticker}}
    for one in dicts(as_dict(message.get("attachments")).get("data")):
        kind, url = _file(one)
        if not url or url != sticker:
            yield {"type": kind, "payload": {"url": url}}
    for one in dicts(as_dict(message.get("shares")).get("data")):
        link = as_text(one.get("link"))
        if link and link != sticker:  # a sticker is a share as well
            yield {"type": "fallback", "payload": {"url": link, "title": as_text(one.get("name"))}}


def _file(attachment: Item) -> tuple[str, str]:
    """Return as what a webhook would bring a file, and its address."""
    image, video = as_dict(attachment.get("image_data")), as_dict(attachment.get("video_data"))
    kind = as_text(attachment.get("mime_type")).partition("/")[0]
    if image:
        return "sticker" if is_true(image.get("render_as_sticker")) else "image", as_text(image.get("url"))
    if video:
        return "video", as_text(video.get("url"))
    return kind if kind in {"image", "video", "audio"} else "file", as_text(attachment.get("file_url"))
