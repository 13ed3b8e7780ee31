"""What is said in a thread of the sandbox Meta, and the events that this makes."""

from typing import Any

from sandbox.meta import media as meta_media
from sandbox.meta.shapes import Tap, Writing
from sandbox.meta.state import Attachment, File, Message, Page, Person, Platform, new_mid, now_ms
from sandbox.meta.webhooks import Event, Webhooks

# What Meta calls the reactions that Messenger offers (Messenger Platform, "message_reactions").
REACTIONS = {
    "❤️": "love",
    "😆": "smile",
    "😮": "wow",
    "😢": "sad",
    "😠": "angry",
    "👍": "like",
    "👎": "dislike",
}


def person_writes(webhooks: Webhooks, page: Page, person: Person, writing: Writing, origin: str) -> Message:
    """Put what the person writes into the thread, and tell the app."""
    platform = webhooks.platform
    message = Message(
        mid=new_mid(),
        psid=person.psid,
        sender="person",
        timestamp=person.next_timestamp() if writing.timestamp is None else writing.timestamp,
        text=writing.text,
        attachments=_attachments(platform, writing, origin),
        extra=_extra(page, writing),
    )
    page.add(message)
    person.wrote_at = max(person.wrote_at or 0, message.timestamp)
    webhooks.publish(Event(page, _item(platform, page, message), standby=_elsewhere(page, person)))
    return message


def tell_sent(webhooks: Webhooks, page: Page, person: Person, message: Message) -> Event | None:
    """Tell the app what the page sent: the echo, which is returned, then that it was delivered and read."""
    platform = webhooks.platform
    watermark, standby = message.timestamp, _elsewhere(page, person)
    echo = Event(page, _item(platform, page, message), standby) if platform.behaviour.echoes else None
    if echo is not None:
        webhooks.publish(echo)
    if platform.behaviour.receipts:
        delivery = {"mids": [message.mid], "watermark": watermark}
        for key, receipt in (("delivery", delivery), ("read", {"watermark": watermark})):
            ends = {"sender": {"id": person.psid}, "recipient": {"id": page.id}}
            webhooks.publish(
                Event(page, {**ends, "timestamp": person.next_timestamp(), key: receipt}, standby)
            )
    return echo


def person_reacts(webhooks: Webhooks, page: Page, message: Message, emoji: str | None) -> None:
    """Put the person's reaction to a message, or take it back, and tell the app."""
    told: dict[str, Any] = {"mid": message.mid, "action": "react" if emoji else "unreact"}
    if emoji:
        told |= {"emoji": emoji, "reaction": REACTIONS.get(emoji, "other")}
    message.reaction = emoji
    person = page.person(message.psid)
    person.wrote_at = max(person.wrote_at or 0, now_ms())
    _tell(webhooks, page, person, {"reaction": told})


def person_edits(webhooks: Webhooks, page: Page, message: Message, text: str) -> None:
    """Change what a message of the person says, and tell the app."""
    message.text, message.num_edit = text, message.num_edit + 1
    told = {"mid": message.mid, "text": text, "num_edit": message.num_edit}
    _tell(webhooks, page, page.person(message.psid), {"message_edit": told})


def person_unsends(webhooks: Webhooks, page: Page, message: Message) -> None:
    """Delete a message of the person, and tell the app."""
    message.text, message.attachments, message.extra, message.is_deleted = None, [], {}, True
    message.reaction = None
    told = {"mid": message.mid, "is_deleted": True}
    _tell(webhooks, page, page.person(message.psid), {"message": told})


def person_taps(webhooks: Webhooks, page: Page, person: Person, tap: Tap) -> Message:
    """Put the title of a button that the person taps into the thread, and tell the app."""
    button = {"title": tap.title, "payload": tap.payload}
    message = Message(
        mid=new_mid(),
        psid=person.psid,
        sender="person",
        timestamp=person.next_timestamp(),
        text=tap.title,
        extra={"postback": button},
    )
    page.add(message)
    person.wrote_at = max(person.wrote_at or 0, message.timestamp)
    _tell(webhooks, page, person, {"postback": {"mid": message.mid, **button}}, message.timestamp)
    return message


def _tell(
    webhooks: Webhooks, page: Page, person: Person, what: dict[str, Any], at: int | None = None
) -> None:
    """Tell the app what the person did, now unless it was `at` another time (ms)."""
    ends = {"sender": {"id": person.psid}, "recipient": {"id": page.id}}
    item = {**ends, "timestamp": person.next_timestamp() if at is None else at, **what}
    webhooks.publish(Event(page, item, _elsewhere(page, person)))


def attachment_items(platform: Platform, message: Message) -> list[dict[str, Any]]:
    """Return the attachments as an event shows them, with URLs that are good from now."""
    return [
        item.raw
        if item.media is None
        else {**item.raw, "payload": {"url": meta_media.url(platform, item.media), **item.raw["payload"]}}
        for item in message.attachments
    ]


def _item(platform: Platform, page: Page, message: Message) -> dict[str, Any]:
    """Return the event of a message; on an echo the page is the sender."""
    body: dict[str, Any] = {"mid": message.mid}
    ends = [message.psid, page.id]
    if message.sender == "page":
        body |= {"is_echo": True, "app_id": message.app_id}
        ends.reverse()
    if message.metadata is not None:
        body["metadata"] = message.metadata
    if message.text is not None:
        body["text"] = message.text
    if message.attachments:
        body["attachments"] = attachment_items(platform, message)
    sender, recipient = ends
    return {
        "sender": {"id": sender},
        "recipient": {"id": recipient},
        "timestamp": message.timestamp,
        "message": body | message.extra,
    }


def _attachments(platform: Platform, writing: Writing, origin: str) -> list[Attachment]:
    attachments = [Attachment(raw) for raw in writing.attachments]
    for upload in writing.files:
        kind = meta_media.kind_of(upload.content_type)
        file = File(upload.filename, upload.content_type, upload.base64)
        media = meta_media.store(platform, kind, file, origin)
        attachments.append(Attachment({"type": kind, "payload": {}}, media))
    if writing.sticker_id is not None:
        file = File("sticker.png", "image/png", meta_media.drawing(str(writing.sticker_id)))
        media = meta_media.store(platform, "sticker", file, origin)
        raw = {"type": "sticker", "payload": {"sticker_id": writing.sticker_id}}
        attachments.append(Attachment(raw, media))
    return attachments


def _extra(page: Page, writing: Writing) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if writing.reply_to is not None:
        answered = page.messages.get(writing.reply_to)
        is_self_reply = answered is not None and answered.sender == "person"
        extra["reply_to"] = {"mid": writing.reply_to, "is_self_reply": is_self_reply}
    if writing.quick_reply is not None:
        extra["quick_reply"] = {"payload": writing.quick_reply}
    return extra


def _elsewhere(page: Page, person: Person) -> bool:
    """Tell whether another app owns the thread, so that the page's app only stands by."""
    return person.owner_app_id not in (None, page.app_id)
