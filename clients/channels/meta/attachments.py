"""What a message brings along, by type.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/reference/messages
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clients.channel import Attachment, Line
from clients.channels.meta.values import address, amount, as_dict, as_list, as_text, dicts, milliseconds
from clients.notices import N_, Notice, add_sentences, notice

_THUMBS = frozenset({"369239263222822", "369239343222814", "369239383222810"})
"""The ids of Messenger's thumb, in its three sizes."""
_MOST_LINES = 30
"""How many lines of what nobody knows are shown."""
_DEEPEST = 8
"""How many levels of it are shown."""
_SECRET = re.compile("token|secret|password|credential|authorization|sdp", re.IGNORECASE)
"""Keys of what nobody but us is to see."""
_NAMES = frozenset({"id", "mid", "type", "is_echo"})
"""Keys of what nobody knows that say nothing to people."""


def attachments_of(message: dict[str, Any]) -> Iterator[Attachment]:
    """Read the attachments; in 2026 a sticker came as a sticker and once more as an image."""
    raw, said = [as_dict(one) for one in as_list(message.get("attachments"))], as_text(message.get("text"))
    stickers = {name for one in raw if one.get("type") == "sticker" for name in _names(one)}
    for one in raw:
        if one.get("type") != "image" or not _names(one) & stickers:
            yield _attachment(one, said)


def _names(attachment: dict[str, Any]) -> set[str]:
    """Return the names by which two attachments are recognised as the same sticker."""
    payload = as_dict(attachment.get("payload"))
    return {as_text(payload.get("sticker_id")), as_text(payload.get("url"))} - {""}


def _attachment(attachment: dict[str, Any], said: str) -> Attachment:
    """Read an attachment of a message whose text is `said`."""
    kind, payload = as_text(attachment.get("type")) or "unknown", as_dict(attachment.get("payload"))
    if "template_type" in payload:
        return _shown("template", _template(attachment, payload, said))
    read = _TYPES.get(kind, _unknown)
    return read(kind, attachment, payload)


def _shown(kind: str, lines: Iterator[Line] | tuple[Line, ...]) -> Attachment:
    return Attachment(kind, lines=tuple(lines))


def _url(attachment: dict[str, Any], payload: dict[str, Any]) -> str:
    return address(payload.get("url") or attachment.get("url"))


def _title(attachment: dict[str, Any], payload: dict[str, Any]) -> str:
    return as_text(payload.get("title") or attachment.get("title"))


def _file(kind: str, attachment: dict[str, Any], payload: dict[str, Any]) -> Attachment:
    if as_text(payload.get("sticker_id")) in _THUMBS:
        return Attachment("sticker", lines=(Line("👍"),))
    kind = "sticker" if "sticker_id" in payload else kind
    return Attachment(kind, _url(attachment, payload), _title(attachment, payload), is_file=True)


def _location(kind: str, attachment: dict[str, Any], payload: dict[str, Any]) -> Attachment:
    title, url, place = as_text(attachment.get("title")), _url(attachment, payload), ""
    coordinates = as_dict(payload.get("coordinates"))
    try:
        latitude, longitude = (float(coordinates[key]) for key in ("lat", "long"))
        if abs(latitude) <= 90 and abs(longitude) <= 180:
            place = ",".join(f"{one:.6f}".rstrip("0").rstrip(".") for one in (latitude, longitude))
            url = f"https://www.google.com/maps?q={place}"
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    shown = title or (notice("map") if url else notice("unknown_place"))
    return _shown(kind, (Line(shown, url, label=notice("location")), *_words(place)))


def _link(kind: str, attachment: dict[str, Any], payload: dict[str, Any]) -> Attachment:
    title, url = _title(attachment, payload), _url(attachment, payload)
    if not title and not url:
        return _shown(kind, (Line(notice("unsupported_share")),))
    return _shown(kind, (Line(title or url, url),))


def _post(code: str) -> Callable[[str, dict[str, Any], dict[str, Any]], Attachment]:
    """Return a reader of a post that was shared."""

    def read(kind: str, attachment: dict[str, Any], payload: dict[str, Any]) -> Attachment:
        title, url = _title(attachment, payload), _url(attachment, payload)
        id_ = as_text(payload.get("reel_video_id") or payload.get("id"))
        return _shown(kind, (Line(title or url or id_, url, label=notice(code)),))

    return read


def _products(kind: str, attachment: dict[str, Any], payload: dict[str, Any]) -> Attachment:
    """Read products of a catalogue; a template of any other shape shows what it has."""
    elements = dicts(as_dict(payload.get("product")).get("elements"))
    lines = tuple(line for element in elements for line in _product(element))
    return _shown("product", lines) if lines else _unknown(kind, attachment, payload)


def _product(element: dict[str, Any]) -> Iterator[Line]:
    number = as_text(element.get("retailer_id") or element.get("id"))
    url = address(element.get("url"))
    if title := as_text(element.get("title")) or number or url:
        yield Line(title, url, label=notice("product"))
    yield from _words(as_text(element.get("subtitle")))
    yield from _picture(element)
    if number and element.get("title"):
        yield Line(number, label=notice("item_number"))
    yield from _buttons(element)


def _words(text: str) -> Iterator[Line]:
    if text.strip():
        yield Line(text)


def _picture(element: dict[str, Any]) -> Iterator[Line]:
    if url := address(element.get("image_url")):
        yield Line(notice("picture"), url)


_BOOKINGS = {
    "requested": "appointment_requested",
    "confirmed": "appointment_confirmed",
    "declined": "appointment_declined",
    "cancelled": "appointment_cancelled",
}


def _appointment(kind: str, attachment: dict[str, Any], payload: dict[str, Any]) -> Attachment:
    status = as_text(payload.get("status"))
    what = notice(_BOOKINGS.get(status, "appointment"), status=status)
    number = as_text(payload.get("booking_id"))
    lines = [Line(_period(payload), label=what)]
    lines += [Line(number, label=notice("booking_number"))] if number else []
    return _shown(kind, tuple(lines))


def _period(payload: dict[str, Any]) -> str:
    """Write from when until when, in the time zone of the booking."""
    name = as_text(payload.get("timezone"))
    zone: tzinfo = UTC
    try:
        zone = ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        name = "UTC"
    start, end = (_moment(payload.get(key), zone) for key in ("start_time", "end_time"))
    shown = [f"{start:%Y-%m-%d %H:%M}"] if start else []
    if end:
        shown.append(f"{end:%H:%M}" if start and start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}")
    return f"{'–'.join(shown)} ({name or 'UTC'})" if shown else ""


def _moment(value: Any, zone: tzinfo) -> datetime | None:
    try:
        return datetime.fromtimestamp(at / 1000, zone) if (at := milliseconds(value)) else None
    except (OverflowError, ValueError, OSError):  # the end of all calendars, in a zone that is ahead
        return None


def _template(attachment: dict[str, Any], payload: dict[str, Any], said: str) -> Iterator[Line]:
    """Read what a template shows, but for what the message says already."""
    lines = [
        line for line in _template_lines(attachment, payload) if line.url or _adds(line.text, said.strip())
    ]
    if lines:
        yield from lines
    else:
        kind = as_text(payload.get("template_type"))
        yield Line("" if said.strip() else notice("unknown_template", kind=kind))


def _template_lines(attachment: dict[str, Any], payload: dict[str, Any]) -> Iterator[Line]:
    kind, elements = as_text(payload.get("template_type")), dicts(payload.get("elements"))
    if kind == "media" and not elements:
        yield Line(_media({}))
    yield Line(as_text(payload.get("text")) or _title(attachment, payload))
    yield from _buttons(payload)
    for element in elements:
        yield Line(as_text(element.get("title")), address(as_dict(element.get("default_action")).get("url")))
        yield Line(as_text(element.get("subtitle")))
        yield from _price(element)
        yield from _picture(element)
        if kind == "media":
            yield Line(_media(element))
        yield from _buttons(element)
    if total := amount(as_dict(payload.get("summary")).get("total_cost")):
        yield Line(f"{total} {as_text(payload.get('currency'))}".strip(), label=notice("total"))


def _price(element: dict[str, Any]) -> Iterator[Line]:
    price, currency = amount(element.get("price")), as_text(element.get("currency"))
    if price:
        times = f"{as_text(element.get('quantity'))} × " if element.get("quantity") else ""
        yield Line(f"{times}{price} {currency}".strip())


def _adds(text: str | Notice, said: str) -> bool:
    """Return whether a line is more than what the message says already."""
    return isinstance(text, Notice) or text.strip() not in {"", said}


def _media(element: dict[str, Any]) -> Notice:
    return notice("template_video" if element.get("media_type") == "video" else "template_picture")


def _buttons(holder: dict[str, Any]) -> Iterator[Line]:
    for button in dicts(holder.get("buttons")):
        title, url = as_text(button.get("title")), address(button.get("url"))
        if title.strip() or url:
            yield Line(title, url, is_button=True)


def _unknown(kind: str, attachment: dict[str, Any], payload: dict[str, Any]) -> Attachment:
    title, url = _title(attachment, payload), _url(attachment, payload)
    what = notice("unknown_attachment", kind=kind)
    lines = [Line(title or url, url, label=what) if title or url else Line(what)]
    rest = {key: value for key, value in payload.items() if key not in {"url", "title"}}
    return _shown(kind, (*lines, *leaves(rest)))


def leaves(value: Any, *path: str) -> Iterator[Line]:
    """Show the texts, numbers and links of what nobody knows, each under its keys; a few of many."""
    for count, line in enumerate(_leaves(value, path, _DEEPEST), 1):
        if count > _MOST_LINES:
            yield Line("…")
            return
        yield line


def _leaves(value: Any, path: tuple[str, ...], levels: int) -> Iterator[Line]:
    name = " › ".join(path)
    if isinstance(value, dict | list) and not levels:
        yield Line("…", label=name)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key not in _NAMES and not _SECRET.search(key):
                yield from _leaves(one, (*path, str(key)), levels - 1)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, path, levels - 1)
    elif text := str(value).lower() if isinstance(value, bool) else as_text(value):
        yield Line(text, address(value), label=name)


_TYPES: dict[str, Callable[[str, dict[str, Any], dict[str, Any]], Attachment]] = {
    "image": _file,
    "video": _file,
    "audio": _file,
    "file": _file,
    "sticker": _file,
    "location": _location,
    "fallback": _link,
    "share": _link,
    "template": _products,
    "appointment_booking": _appointment,
    "reel": _post("shared_reel"),
    "ig_reel": _post("shared_instagram_reel"),
    "post": _post("shared_post"),
    "ig_post": _post("shared_instagram_post"),
    "story_mention": _post("mentioned_in_story"),
}

add_sentences(
    {
        "location": N_("Location"),
        "map": N_("map"),
        "unknown_place": N_("unknown"),
        "unsupported_share": N_("The customer shared something that Messenger does not pass on."),
        "unknown_attachment": N_("Messenger delivered an attachment of the kind “{kind}”"),
        "unknown_template": N_("Messenger delivered a template of the kind “{kind}”."),
        "template_picture": N_("an image"),
        "template_video": N_("a video"),
        "product": N_("Product"),
        "item_number": N_("Item number"),
        "picture": N_("Picture"),
        "total": N_("Total"),
        "booking_number": N_("Booking number"),
        "appointment": N_("Appointment ({status})"),
        "appointment_requested": N_("Appointment requested"),
        "appointment_confirmed": N_("Appointment confirmed"),
        "appointment_declined": N_("Appointment declined"),
        "appointment_cancelled": N_("Appointment cancelled"),
        "shared_reel": N_("Shared reel"),
        "shared_instagram_reel": N_("Shared Instagram reel"),
        "shared_post": N_("Shared post"),
        "shared_instagram_post": N_("Shared Instagram post"),
        "mentioned_in_story": N_("Mention in a story"),
    }
)
