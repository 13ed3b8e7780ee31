"""What Meta's webhooks say, as plain values.

`split` takes an envelope apart at the endpoint; `parse` reads one item later, in a task. Neither raises for
anything Meta, or anybody, may send: what is not known becomes an `OtherEvent`, which shows that it came.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from clients.channel import (
    Attachment,
    Conversation,
    Echo,
    Event,
    Incoming,
    Line,
    Message,
    OtherEvent,
    Receipt,
)
from clients.jsons import NotUnderstood, decode
from clients.notices import N_, Notice, add_sentences, notice
from clients.text.line import one_line

CHANNEL = "facebook_messenger"
"""The name of the channel: in queues and caches, and in what the helpdesk gets."""
DELETED = "message_deleted"
"""The kind of event that a message was deleted. It has the mid of the message, and is another event."""
ECHO_METADATA_PREFIX = "connector:"
# The fact sheets of Meta disagree on a digit of the Page inbox's app id; both are taken for it.
_MID_PREFIXES = ("m_", "mid.")
PAGE_INBOX_APP_IDS = frozenset({"26390203743090", "263902037430900"})


class Entry(msgspec.Struct, frozen=True):
    """What came for one page at a time (ms), its items not read yet: whoever sent it may not be Meta.

    `raw` holds JSON, or values of any kind. `changes` counts updates of fields that are not about messages.
    """

    account_id: str
    time: int
    raw: Sequence[Any]
    changes: int

    def events(self) -> Iterator[Incoming]:
        """Read the items, one after the other."""
        for raw in self.raw:
            if isinstance(raw, msgspec.Raw) and (plain := _plain_item(self.account_id, raw)):
                yield plain
                continue
            # What is nested too deep to be read, or written again, is nothing that Meta sends.
            with suppress(RecursionError, NotUnderstood):
                item = decode(bytes(raw)) if isinstance(raw, msgspec.Raw) else raw
                if isinstance(item, dict):
                    yield _item(self.account_id, item, self.time)


def echo_metadata(comment_id: str, part: int) -> str:
    """Return the `metadata` that names a part of a reply; Meta gives it back in the echo."""
    return f"{ECHO_METADATA_PREFIX}{comment_id}:{part}"


class _Named(msgspec.Struct, gc=False):
    id: str | int = ""


class _Naming(msgspec.Struct, gc=False):
    entry: list[_Named] = []


_naming = msgspec.json.Decoder(_Naming).decode
_MANY_OBJECTS = 100_000


def page_ids(body: bytes) -> set[str] | None:
    """Return the pages that an envelope names, and read no more of it; None if it is not as Meta writes them.

    It costs milliseconds, whatever the body holds: whoever sent it may not be Meta. It saves 17 % of
    the CPU of a webhook of 100 messages.
    """
    if body.count(b"{") > _MANY_OBJECTS:
        return None
    try:
        return {str(entry.id) for entry in _naming(body).entry}
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


def split(body: bytes, received: int = 0) -> Iterator[Entry]:
    """Take an envelope apart, entry by entry. Raises `NotUnderstood` if the body is no JSON object.

    An object other than `page` has no entries for us. `received` (ms) is the time of events that have none.
    """
    if (entries := _plain_entries(body, received)) is not None:
        return entries
    envelope = decode(body)
    if not isinstance(envelope, dict):
        raise NotUnderstood
    if envelope.get("object") != "page":
        return iter(())
    return (_entry(entry, received) for entry in _list(envelope.get("entry")) if isinstance(entry, dict))


def parse(body: bytes) -> Event:
    """Read one item as `Incoming.body` holds it."""
    item = _dict(decode(body))
    kind = _kind(item)
    return _row(kind).read(item, kind)


def _is_echo(message: dict[str, Any]) -> bool:
    """Return whether a message is marked as the page's own."""
    return _is_true(message.get("is_echo"))


def _is_true(mark: Any) -> bool:
    """Read a mark; some relays write it as a text."""
    return str(mark).lower() in {"true", "1"}


def proper_mid(mid: str) -> str:
    """Return a mid with its prefix, which Meta leaves out at times: it is the same wherever it comes."""
    return mid if not mid or mid.startswith(_MID_PREFIXES) else f"{_MID_PREFIXES[0]}{mid}"


def kind_of(body: bytes) -> str:
    """Return Meta's word for what an item is."""
    return one_line(_kind(_dict(decode(body))))


def external_id(body: bytes) -> str:
    """Return what names an item for ever: its mid, or else a digest of all it says."""
    item = _dict(decode(body))
    kind = _kind(item)
    mid = _own_mid(item, kind)
    if kind == DELETED and mid:
        return f"{DELETED}:{mid}"
    return mid or f"event:{_digest(_dump(item))}"


def _content(item: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return what an item holds under its kind."""
    return _dict(item.get("message" if kind == DELETED else kind))


def _own_mid(item: dict[str, Any], kind: str) -> str:
    """Return the mid that is the event's own; reactions and edits name the mid of another."""
    return proper_mid(_text(_content(item, kind).get("mid"))) if _row(kind).has_mid else ""


def _key(page_id: str, kind: str, mid: str, item: bytes = b"") -> str:
    """Return what is the same for every delivery of an event: its mid, or all it says."""
    return _digest(f"{page_id}\0{kind}\0{mid}".encode(errors="replace") + (b"" if mid else item))


class _PlainEntry(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    messaging: list[msgspec.Raw]
    time: int = 0


class _PlainEnvelope(msgspec.Struct, forbid_unknown_fields=True):
    object: Literal["page"]
    entry: list[_PlainEntry]


class _Person(msgspec.Struct):
    id: str


class _Said(msgspec.Struct):
    mid: str
    is_echo: bool = False
    is_deleted: bool = False


class _PlainItem(msgspec.Struct):
    sender: _Person
    timestamp: int
    message: _Said


_plain_envelope = msgspec.json.Decoder(_PlainEnvelope).decode
_plain = msgspec.json.Decoder(_PlainItem).decode


def _plain_entries(body: bytes, received: int) -> Iterator[Entry] | None:
    """Read an envelope as Meta writes nearly all of them; None for any other.

    With `_plain_item` it saves 16 % of a webhook's CPU, 38 % of one of 100 messages (docs/performance.md).
    """
    if not body.isascii() or b"\\u0000" in body:
        return None
    try:
        envelope = _plain_envelope(body)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return (
        Entry(entry.id, _milliseconds(entry.time) or received, entry.messaging, 0) for entry in envelope.entry
    )


def _plain_item(page_id: str, raw: msgspec.Raw) -> Incoming | None:
    """Read what a person wrote; None for any other item."""
    try:
        item = _plain(raw)
    except (msgspec.MsgspecError, RecursionError):
        return None
    psid, mid = item.sender.id, proper_mid(item.message.mid)
    if (
        item.message.is_echo
        or item.message.is_deleted
        or psid in {"", page_id}
        or not mid
        or not _EARLIEST <= item.timestamp <= _LATEST
    ):
        return None
    conversation = Conversation(CHANNEL, page_id, psid)
    return Incoming(conversation, "message", _key(page_id, "message", mid), item.timestamp, bytes(raw), mid)


def _entry(entry: dict[str, Any], received: int) -> Entry:
    page_id = _text(entry.get("id"))
    raw = [*_list(entry.get("messaging")), *_list(entry.get("standby"))]
    time = _milliseconds(entry.get("time")) or received
    return Entry(page_id, time, raw, len(_list(entry.get("changes"))))


def _item(page_id: str, item: dict[str, Any], sent: int) -> Incoming:
    kind = _kind(item)
    content = _content(item, kind)
    if "message" in item and content and page_id and _text(_dict(item.get("sender")).get("id")) == page_id:
        # What the page is the sender of is never by the customer, whatever else it says.
        content = content | {"is_echo": True}
        item = item | {"message": content}
    metadata = _text(content.get("metadata")) if kind == "message" and _is_echo(content) else ""
    time = _milliseconds(item.get("timestamp")) or sent
    mid, row = _own_mid(item, kind), _row(kind)
    return Incoming(
        conversation=_conversation(page_id, item),
        kind=kind,
        key=_key(page_id, kind, mid, _dump(item)),
        time=time,
        body=_dump(item | {"timestamp": time}),
        message_id=mid or None,
        echo_metadata=metadata if metadata.startswith(ECHO_METADATA_PREFIX) else None,
        is_receipt=row.is_receipt,
        is_notable=row.is_notable,
    )


_encode = msgspec.json.Encoder(order="sorted").encode


def _dump(item: dict[str, Any]) -> bytes:
    """Write an item so that equal ones are equal to the byte; what msgspec cannot write, the slow way."""
    try:
        return _encode(item)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError):
        return json.dumps(item, separators=(",", ":"), sort_keys=True).encode()


def _digest(value: bytes) -> str:
    return hashlib.blake2b(value, digest_size=16).hexdigest()


def _conversation(page_id: str, item: dict[str, Any]) -> Conversation | None:
    """Find the person. On an echo the page is the sender."""
    for side in ("sender", "recipient"):
        id_ = _text(_dict(item.get(side)).get("id"))
        if id_ and id_ != page_id:
            return Conversation(CHANNEL, page_id, id_)
    return None


_ENVELOPE_KEYS = frozenset({"sender", "recipient", "timestamp", "hop_context", "lead"})


def _kind(item: dict[str, Any]) -> str:
    """Name the event by the key that holds it, as Meta's list of webhook events does."""
    if _is_true(_dict(item.get("message")).get("is_deleted")):
        return DELETED
    if known := next((kind for kind in _ROWS if kind in item), None):
        return known
    return next((_text(key) for key in sorted(item) if key not in _ENVELOPE_KEYS), "unknown")


_FETCHED = frozenset({"image", "video", "audio", "file", "sticker"})


def _attachments(message: dict[str, Any]) -> Iterator[Attachment]:
    """Read the attachments; in 2026 a sticker came as a sticker and once more as an image."""
    raw, said = [_dict(one) for one in _list(message.get("attachments"))], _text(message.get("text"))
    stickers = {name for one in raw if one.get("type") == "sticker" for name in _names(one)}
    for attachment in raw:
        if attachment.get("type") != "image" or not _names(attachment) & stickers:
            yield _attachment(attachment, said)


def _names(attachment: dict[str, Any]) -> set[str]:
    """Return the names by which two attachments are recognised as the same sticker."""
    payload = _dict(attachment.get("payload"))
    return {_text(payload.get("sticker_id")), _text(payload.get("url"))} - {""}


def _is_sticker(attachment: dict[str, Any]) -> bool:
    return "sticker_id" in _dict(attachment.get("payload"))


def _attachment(attachment: dict[str, Any], said: str) -> Attachment:
    """Read an attachment of a message whose text is `said`."""
    payload = _dict(attachment.get("payload"))
    kind = _text(attachment.get("type")) or "unknown"
    url = _unwrapped(_text(payload.get("url") or attachment.get("url")))
    title = _text(payload.get("title") or attachment.get("title"))
    if lines := _template(payload, title, said):
        return Attachment("template", lines=lines)
    if kind in _FETCHED:
        return Attachment("sticker" if _is_sticker(attachment) else kind, url, title, is_file=True)
    if kind == "location":
        return _location(_dict(payload.get("coordinates")), title)
    return Attachment("link" if url else kind, url, title, _product_titles(payload))


def _template(payload: dict[str, Any], title: str, said: str) -> tuple[Line, ...]:
    """Read what a template shows, but for what the message says already; nothing if it is no template."""
    if not (kind := _text(payload.get("template_type"))):
        return ()
    elements = [_dict(element) for element in _list(payload.get("elements"))]
    lines = [Line(_text(payload.get("text")) or title), *_buttons(payload)]
    for element in elements:
        address = _unwrapped(_text(_dict(element.get("default_action")).get("url")))
        lines += [Line(_text(element.get("title")), address), Line(_text(element.get("subtitle")))]
        lines += [Line(_media(element))] if kind == "media" else []
        lines += _buttons(element)
    if kind == "media" and not elements:
        lines.insert(0, Line(_media({})))
    shown = tuple(line for line in lines if _adds(line.text, said.strip()))
    return shown or (Line("" if said.strip() else notice("unknown_template", kind=kind)),)


def _adds(text: str | Notice, said: str) -> bool:
    """Return whether a line is more than what the message says already."""
    return isinstance(text, Notice) or text.strip() not in {"", said}


def _media(element: dict[str, Any]) -> Notice:
    return notice("template_video" if element.get("media_type") == "video" else "template_picture")


def _buttons(holder: dict[str, Any]) -> Iterator[Line]:
    for button in map(_dict, _list(holder.get("buttons"))):
        yield Line(_text(button.get("title")), _unwrapped(_text(button.get("url"))), is_button=True)


def _location(coordinates: dict[str, Any], title: str) -> Attachment:
    try:
        latitude, longitude = (float(coordinates[key]) for key in ("lat", "long"))
    except (KeyError, TypeError, ValueError, OverflowError):
        return Attachment("location", title=title)
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return Attachment("location", title=title)
    place = ",".join(f"{degrees:.6f}".rstrip("0").rstrip(".") for degrees in (latitude, longitude))
    return Attachment("location", f"https://www.google.com/maps?q={place}", title, place)


def _product_titles(payload: dict[str, Any]) -> str:
    elements = _list(_dict(payload.get("product")).get("elements"))
    return ", ".join(filter(None, (_text(_dict(element).get("title")) for element in elements)))


_REDIRECTS = re.compile(
    r"(?:(?:www|m|l|lm)\.)?facebook\.com/l\.php|(?:l\.)?messenger\.com/l\.php|l\.instagram\.com/(?:l\.php)?"
)
_PLACEHOLDER = "https://www.facebook.com/commerce/update"
"""Where Meta leads for what it shows only in its own apps: a page that says so."""


def _unwrapped(url: str) -> str:
    """Return a web address, taken out of Meta's own redirects; nothing if there is none, or no use in it."""
    for _ in range(3):
        target = _redirected(url)
        if not target:
            break
        url = target
    address = _address(url)
    return "" if address.startswith(_PLACEHOLDER) else address


def _redirected(url: str) -> str:
    """Return where one of Meta's redirects leads, such as `l.facebook.com/l.php?u=`, or nothing."""
    try:
        parts = urlsplit(url.strip())
        is_web = _REDIRECTS.fullmatch(f"{parts.hostname}{parts.path}") and parts.scheme in {"http", "https"}
    except ValueError:
        return ""
    name = "u" if is_web else "target_url" if parts.scheme == "fbrpc" else ""
    query = parts.query or parts.path.partition("?")[2]
    return _address(next(iter(parse_qs(query).get(name, [])), ""))


def _address(value: Any) -> str:
    """Return a web address, or nothing if it is not one."""
    url = _text(value).strip()
    try:
        return url if urlsplit(url).scheme in {"http", "https"} else ""
    except ValueError:
        return ""


@dataclass(frozen=True)
class _Row:
    """A kind of event: how it is read, and what becomes of it.

    `has_mid` says whether the mid in it is its own. One that does not `opens_ticket` is shown on an open
    ticket only, an `internal` one to agents only. `is_notable` is one that an operator is to see even if it
    names no person, such as an opt-in on a web page.
    """

    read: Callable[[dict[str, Any], str], Event]
    has_mid: bool = False
    opens_ticket: bool = True
    internal: bool = True
    is_receipt: bool = False
    is_notable: bool = False


def _message(item: dict[str, Any], kind: str) -> Message | Echo:
    message = _content(item, kind)
    mid, time = proper_mid(_text(message.get("mid"))), _time(item)
    text, attachments = _text(message.get("text")), tuple(_attachments(message))
    if not _is_echo(message):
        return Message(mid, time, text, attachments)
    app_id = _text(message.get("app_id"))
    in_inbox = app_id in PAGE_INBOX_APP_IDS
    is_by_agent = in_inbox or not app_id  # Meta leaves the app id of its own inbox out at times
    author = notice("from_meta_inbox") if is_by_agent else notice("from_app", app_id=one_line(app_id))
    return Echo(mid, time, text, attachments, author, is_by_agent=is_by_agent, may_be_ours=not in_inbox)


def _receipt(status: str) -> Callable[[dict[str, Any], str], Event]:
    """Return a reader of receipts. One that names neither mids nor a watermark is no receipt."""

    def read(item: dict[str, Any], kind: str) -> Event:
        receipt = _content(item, kind)
        if not {"watermark", "mids"} & receipt.keys():
            return _other()(item, kind)
        mids = (proper_mid(_text(mid)) for mid in _list(receipt.get("mids")))
        return Receipt(status, _milliseconds(receipt.get("watermark")), tuple(filter(None, mids)))

    return read


def _other(field: str = "", code: str = "") -> Callable[[dict[str, Any], str], Event]:
    """Return a reader of what is no message: it is shown as a sentence, with one field of it."""

    def read(item: dict[str, Any], kind: str) -> Event:
        detail = _text(_content(item, kind).get(field)) if field else ""
        summary = notice(code, detail=detail) if detail else notice("unknown_event", kind=kind)
        row = _row(kind)
        return OtherEvent(kind, _time(item), summary, opens_ticket=row.opens_ticket, internal=row.internal)

    return read


def _deletion(item: dict[str, Any], kind: str) -> Event:
    message = _content(item, kind)
    code = "page_deleted_message" if _is_echo(message) else "customer_deleted_message"
    summary = notice(code, mid=proper_mid(_text(message.get("mid"))))
    return OtherEvent(kind, _time(item), summary, opens_ticket=False)


# Every kind of event, by the key that holds it; an item with several of them is what comes first here. A
# row's page is
# https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/reference/<page>
_ROWS: dict[str, _Row] = {
    # messages, message-echoes
    "message": _Row(_message, has_mid=True, internal=False, is_notable=True),
    # message-edits
    "message_edit": _Row(_other("text", "message_edited")),
    # message-reactions
    "reaction": _Row(_other("emoji", "reacted"), opens_ticket=False),
    # message-deliveries
    "delivery": _Row(_receipt("delivered"), is_receipt=True),
    # message-reads
    "read": _Row(_receipt("read"), is_receipt=True),
    # messaging_postbacks
    "postback": _Row(_other("title", "button_pressed"), has_mid=True, is_notable=True),
    # messaging_referrals
    "referral": _Row(_other("ref", "came_by_link"), is_notable=True),
    # messaging_optins
    "optin": _Row(_other(), is_notable=True),
    # messaging_handovers
    "pass_thread_control": _Row(_other(), opens_ticket=False),
    "take_thread_control": _Row(_other(), opens_ticket=False),
    "request_thread_control": _Row(_other(), opens_ticket=False),
    "app_roles": _Row(_other(), opens_ticket=False),
    # messaging_feedback, messaging_policy_enforcement, and what orders and forms bring
    "messaging_feedback": _Row(_other(), is_notable=True),
    "policy_enforcement": _Row(_other(), is_notable=True),
    "order": _Row(_other(), is_notable=True),
    "form": _Row(_other(), is_notable=True),
    # messages: one that was deleted. It has the mid of the message, and is another event.
    DELETED: _Row(_deletion, has_mid=True, opens_ticket=False),
}
_UNKNOWN = _Row(_other())


add_sentences(
    {
        "message_edited": N_("The customer edited a message. It now reads:\n\n{detail}"),
        "reacted": N_("The customer reacted with {detail} to a message."),
        "button_pressed": N_("The customer pressed the button “{detail}”."),
        "came_by_link": N_("The customer came through the link “{detail}”."),
        "customer_deleted_message": N_("The customer deleted a message in Messenger ({mid})."),
        "page_deleted_message": N_("The page deleted a message in Messenger ({mid})."),
        "unknown_event": N_("Messenger reported an event of the kind “{kind}”."),
        "unknown_template": N_("Messenger delivered a template of the kind “{kind}”."),
        "template_picture": N_("an image"),
        "template_video": N_("a video"),
        "messenger_user": N_("Messenger user {digits}"),
        "from_meta_inbox": N_("{page} (Meta inbox)"),
        "from_app": N_("{page} (app {app_id})"),
    }
)


def _row(kind: str) -> _Row:
    return _ROWS.get(kind, _UNKNOWN)


def _time(item: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(_milliseconds(item.get("timestamp")) / 1000, UTC)


_EARLIEST = 100_000_000_000  # below are seconds
_LATEST = 253_402_300_799_000  # the end of the year 9999, where datetime ends


def _milliseconds(value: Any) -> int:
    """Read a time; Meta gives milliseconds, at times seconds, and now and then either as a string."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    number = number * 1000 if number < _EARLIEST else number
    return min(max(number, 0), _LATEST)


_LARGEST_ID = 10**40


def _text(value: Any) -> str:
    """Return ids and texts as text: Meta writes the same id as a string here and as a number there."""
    if isinstance(value, str):
        return value
    return repr(value) if type(value) in {int, float} and abs(value) < _LARGEST_ID else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
