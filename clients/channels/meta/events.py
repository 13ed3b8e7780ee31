"""What Meta's webhooks say, as plain values.

`split` takes an envelope apart at the endpoint; `parse` reads one item later, in a task. Neither raises for
anything Meta, or anybody, may send: what is not known becomes an `OtherEvent`, which shows that it came.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec

from clients.channel import Conversation, Event, Incoming
from clients.channels.meta import kinds
from clients.channels.meta.kinds import (
    BESIDE,
    BY_PAGE,
    ENVELOPE,
    MESSAGE,
    POSTBACK,
    STANDBY,
    content_of,
    is_echo,
    kinds_in,
    own_mid,
    row_of,
)
from clients.channels.meta.values import (
    EARLIEST,
    LATEST,
    as_dict,
    as_text,
    is_milliseconds,
    milliseconds,
    proper_mid,
)
from clients.jsons import NotUnderstood, decode
from clients.text.line import one_line

CHANNEL = "facebook_messenger"
"""The name of the channel: in queues and caches, and in what the helpdesk gets."""
ECHO_METADATA_PREFIX = "connector:"


class Entry(msgspec.Struct, frozen=True):
    """What came for one page, its items not read yet: whoever sent it may not be Meta.

    `raw` holds JSON, or values of any kind; `sent` (ms) is the time of those that have none. `changes` counts
    updates that say nothing, as those of the test button in Meta's dashboard.
    """

    account_id: str
    raw: Sequence[Any]
    sent: int
    changes: int = 0

    def events(self) -> Iterator[Incoming]:
        """Read the items, one after the other; those that are no objects are one event of an unknown kind."""
        strange = []
        for raw in self.raw:
            if isinstance(raw, msgspec.Raw) and (plain := _plain_item(self.account_id, raw)):
                yield plain
                continue
            # What is nested too deep to be read, or written again, is nothing that Meta sends.
            with suppress(RecursionError, NotUnderstood):
                item = decode(bytes(raw)) if isinstance(raw, msgspec.Raw) else raw
                if isinstance(item, dict):
                    yield from _items(self.account_id, item, self.sent)
                elif item:
                    strange.append(item)
        if strange:
            with suppress(RecursionError):
                yield from _items(self.account_id, {"messaging": strange}, self.sent)


def echo_metadata(comment_id: str, part: int) -> str:
    """Return the `metadata` that names a part of a reply; Meta gives it back in the echo."""
    return f"{ECHO_METADATA_PREFIX}{comment_id}:{part}"


class Envelope(msgspec.Struct, frozen=True):
    """A body of Meta's, read no further than it was asked for: whoever sent it may not be Meta.

    `received` (ms) is the time of events that have none.
    """

    body: bytes
    received: int = 0

    @property
    def account_ids(self) -> Collection[str]:
        """Return the pages that it names; none if it is not as Meta writes it."""
        return _page_ids(self.body)

    def entries(self) -> Iterable[Entry]:
        """Take it apart, entry by entry. Raises `NotUnderstood` if it is no JSON object.

        An object other than `page` has no entries for us.
        """
        if plain := _plain_envelope(self.body):
            return plain.entries()
        envelope = decode(self.body)
        if not isinstance(envelope, dict):
            raise NotUnderstood
        if envelope.get("object") != "page":
            return ()
        entries = _all(envelope.get("entry"))
        return (_entry(entry, self.received) for entry in entries if isinstance(entry, dict))


_SHORT = 16 * 1024
"""Up to which size, in bytes, a body is taken apart before it is known who signed it."""


def opened(body: bytes, received: int) -> "Envelope | _PlainEnvelope":
    """Return what a body holds; `received` is when it came (ms)."""
    return (len(body) <= _SHORT and _plain_envelope(body)) or Envelope(body, received)


class _Named(msgspec.Struct, frozen=True, gc=False):
    id: str | int = ""


class _Naming(msgspec.Struct, frozen=True, gc=False):
    entry: list[_Named] | _Named = []


_naming = msgspec.json.Decoder(_Naming).decode
_MANY_OBJECTS = 100_000


def _page_ids(body: bytes) -> Collection[str]:
    """Return the pages that an envelope names, and read no more of it; none if it is not as Meta writes them.

    It costs milliseconds, whatever the body holds.
    """
    if body.count(b"{") > _MANY_OBJECTS:
        return ()
    try:
        entries = _naming(body).entry
        return {str(one.id) for one in (entries if isinstance(entries, list) else [entries])}
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return ()


def parse(body: bytes, own_app_id: str = "") -> Event:
    """Read one item as `Incoming.body` holds it; with the id of our app it is named where the item has it."""
    return kinds.parse(as_dict(decode(body)), own_app_id)


def kind_of(body: bytes) -> str:
    """Return Meta's word for what an item is."""
    return one_line(kinds.kind_of(as_dict(decode(body))))


def external_id(body: bytes) -> str:
    """Return what names an item for ever: its mid, or else a digest of all it says.

    What was pressed, and what was deleted, have the mid of a message, and are other events.
    """
    item = as_dict(decode(body))
    kind = kinds.kind_of(item)
    if mid := own_mid(item, kind):
        return mid if kind == MESSAGE else f"{kind}:{mid}"
    return f"event:{_digest(_dump(_without_standby(item)))}"


def _without_standby(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as it is wherever it comes: it may come in both lists."""
    return {key: item[key] for key in item if key != STANDBY}


def _key(page_id: str, kind: str, mid: str, item: bytes = b"") -> str:
    """Return what is the same for every delivery of an event: its mid, or all it says."""
    return _digest(f"{page_id}\0{kind}\0{mid}".encode(errors="replace") + (b"" if mid else item))


_KEYS = {"account_id": "id", "raw": "messaging", "sent": "time"}


class _PlainEntry(Entry, frozen=True, forbid_unknown_fields=True, rename=_KEYS):
    account_id: str
    raw: list[msgspec.Raw]
    sent: Annotated[int, msgspec.Meta(ge=EARLIEST, le=LATEST)]
    changes: Literal[0] = 0


class _PlainEnvelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    object: Literal["page"]
    entry: list[_PlainEntry]

    @property
    def account_ids(self) -> Collection[str]:
        return {one.account_id for one in self.entry}

    def entries(self) -> Iterable[Entry]:
        return self.entry


class _Person(msgspec.Struct, frozen=True):
    id: str


class _PlainMessage(msgspec.Struct, frozen=True):
    mid: str
    is_echo: bool = False
    is_deleted: bool = False


class _PlainItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sender: _Person
    recipient: _Person
    timestamp: int
    message: _PlainMessage


_decode_plain = msgspec.json.Decoder(_PlainEnvelope).decode
_plain = msgspec.json.Decoder(_PlainItem).decode


def past_event(page_id: str, item: dict[str, Any]) -> Incoming:
    """Read an item that was made of a message of the Conversations API, which may have come by webhook, too.

    What a person pressed is a message there, with the mid of the postback.
    """
    event = _item(page_id, item, 0)
    return msgspec.structs.replace(event, known_by=(_key(page_id, POSTBACK, event.message_id or ""),))


def _plain_envelope(body: bytes) -> _PlainEnvelope | None:
    """Read an envelope as Meta writes nearly all of them; None for any other.

    With `_plain_item` it saves 28 % of a webhook's CPU, 63 % of one of 100 messages (docs/performance.md).
    """
    try:
        return _decode_plain(body) if body.isascii() and b"\\u0000" not in body else None
    except (msgspec.MsgspecError, RecursionError):
        return None


def _plain_item(page_id: str, raw: msgspec.Raw) -> Incoming | None:
    """Read what a person wrote; None for any other item."""
    try:
        item = _plain(raw)
    except (msgspec.MsgspecError, RecursionError):
        return None
    message, psid, mid = item.message, item.sender.id, proper_mid(item.message.mid)
    is_theirs = psid and psid != page_id and not (message.is_echo or message.is_deleted)
    if not (is_theirs and mid and is_milliseconds(item.timestamp)):
        return None
    conversation = Conversation(CHANNEL, page_id, psid)
    return Incoming(conversation, "message", _key(page_id, "message", mid), item.timestamp, bytes(raw), mid)


_DASHBOARD = "0"
"""The page that the test button in Meta's dashboard names."""
_ENTRY = frozenset({"id", "time", "messaging", "standby", "changes"})


def _entry(entry: dict[str, Any], received: int) -> Entry:
    page_id, changes = as_text(entry.get("id")), _all(entry.get("changes"))
    told = [] if page_id == _DASHBOARD else [one for one in changes if one]
    standby = (one | {STANDBY: True} if isinstance(one, dict) else one for one in _all(entry.get("standby")))
    others = [*_others(entry), *(_unknown("changes", one) for one in told)]
    raw = [*_all(entry.get("messaging")), *standby, *others]
    return Entry(page_id, raw, milliseconds(entry.get("time")) or received, len(changes) - len(told))


def _others(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Read what stands in an entry beside all that is known to stand there; it may be an item itself."""
    left = {key: value for key, value in entry.items() if key not in _ENTRY and value}
    if left.keys() & {"sender", "recipient"}:
        yield left
        return
    for key, value in left.items():
        found = _all(value)
        yield from (_unknown(key, one) for one in found if isinstance(one, dict))
        if texts := [one for one in found if not isinstance(one, dict)]:
            yield _unknown(key, texts)


def _unknown(key: str, value: Any) -> dict[str, Any]:
    """Return what stands under a key that nobody knows as an item, of the person whom it names, if any."""
    holders = (as_dict(value), as_dict(as_dict(value).get("value")))
    ends = {end: one[end] for one in holders for end in ("sender", "recipient", "timestamp") if end in one}
    return ends | {key if key not in ENVELOPE else f"entry.{key}": value}


def _all(value: Any) -> list[Any]:
    """Return what an array holds, or what stands there instead, unless that is nothing."""
    return value if isinstance(value, list) else [value] if value else []


def _items(page_id: str, item: dict[str, Any], sent: int) -> Iterator[Incoming]:
    """Read an item; of one that holds several kinds of event, each is one, so that none hides another.

    What belongs to none of them goes with the first that opens a ticket, or is shown, or alone if none is.
    """
    found = [*kinds_in(item)]
    own = {kind: {kind} | BESIDE.get(kind, frozenset()) for kind in found}
    rest = item.keys() - ENVELOPE - {"hop_context"}.union(*own.values())
    shown = [kind for kind in found if not row_of(kind).is_receipt]
    if shown:
        own[min(shown, key=lambda kind: not row_of(kind).opens_ticket)] |= rest | {"hop_context"}
    elif rest or not found:
        own[""] = {*rest, "hop_context"}
    for keys in own.values():
        yield _item(page_id, {key: item[key] for key in item if key in keys or key in ENVELOPE}, sent)


REDELIVERED_WITHIN = 2 * 60 * 60 * 1000
"""For how long (ms) an event without an id and a time of its own counts as the same as an equal one.

Meta does not say whether the time of an entry, which is when it was sent, stays when it is sent again. After
an hour of failures it sends nothing again.
https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks
"""


def _item(page_id: str, item: dict[str, Any], sent: int) -> Incoming:
    kind = kinds.kind_of(item)
    content = content_of(item, kind)
    sender = as_text(as_dict(item.get("sender")).get("id"))
    if page_id and sender == page_id:
        # What the page is the sender of is never by the customer, whatever else it says.
        if "message" in item and content:
            content = content | {"is_echo": True}
            item = item | {"message": content}
        elif not row_of(kind).has_mid:
            item = item | {BY_PAGE: True}
    metadata = as_text(content.get("metadata")) if kind == "message" and is_echo(content) else ""
    time = milliseconds(item.get("timestamp")) or sent
    mid, row = own_mid(item, kind), row_of(kind)
    is_named = mid or row.is_receipt or milliseconds(item.get("timestamp"))
    return Incoming(
        conversation=None if row.about_page else _conversation(page_id, item),
        kind=kind,
        key=_key(page_id, kind, mid, _dump(_without_standby(item))),
        time=time,
        body=_dump(item | {"timestamp": time}),
        message_id=mid or None,
        echo_metadata=metadata if metadata.startswith(ECHO_METADATA_PREFIX) else None,
        is_receipt=row.is_receipt,
        is_notable=not row.is_receipt and kind != kinds.NOTHING,
        known_for=0 if is_named else REDELIVERED_WITHIN,
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
        id_ = as_text(as_dict(item.get(side)).get("id"))
        if id_ and id_ != page_id:
            return Conversation(CHANNEL, page_id, id_)
    return None
