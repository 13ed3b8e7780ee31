"""What a message brings along, by type.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/reference/messages
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from clients.channel import Line, MessageAttachment
from clients.channels.meta.fields import Fields
from clients.channels.meta.values import as_text
from clients.notices import N_, Notice, add_sentences, notice
from clients.text.line import parts_of

_THUMBS = frozenset({"369239263222822", "369239343222814", "369239383222810"})
"""The ids of Messenger's thumb, in its three sizes."""
_FILES = frozenset({"image", "video", "audio", "file", "sticker"})


def attachments_of(message: Fields, said: str) -> Iterator[MessageAttachment]:
    """Read the attachments of a message that says `said`.

    In 2026 a sticker came as a sticker and once more as an image. Its id may stand in the message instead. An
    image without such an id is one more, though it is equal to another.
    """
    raw = [
        (one, one.code("type") or "unknown", one.object("payload")) for one in message.objects("attachments")
    ]
    stickers = [payload for _, kind, payload in raw if kind == "sticker"]
    pictures = stickers + [payload for _, kind, payload in raw if kind == "image"]
    if sticker_id := message.code("sticker_id"):
        if not pictures:
            yield _sticker(sticker_id)
        elif not any("sticker_id" in payload for payload in pictures):
            pictures[0].add("sticker_id", sticker_id)
    images = [payload for payload in pictures if payload not in stickers]
    again = _again(stickers, images) if len(pictures) > 1 else []
    for one, kind, payload in raw:
        if payload in again:
            payload.address("url")
            payload.code("sticker_id")
        else:
            yield _attachment(kind, one, payload, said)


def _again(stickers: list[Fields], images: list[Fields]) -> list[Fields]:
    """Return the pictures of stickers that another one of them, or an image with its id, shows already."""
    names, again = set[str](), list[Fields]()
    for payload in (*stickers, *(one for one in images if "sticker_id" in one)):
        again += [payload] if _names(payload) & names else []
        names |= _names(payload)
    return again + [one for one in images if "sticker_id" not in one and _names(one) & names]


def _names(payload: Fields) -> set[str]:
    """Return the names by which two pictures are recognised as one sticker.

    Addresses are signed anew, and one file has several hosts.
    """
    path = parts_of(as_text(payload.get("url"))).path
    return {as_text(payload.get("sticker_id")), path} - {"", "/"}


def _sticker(id_: str) -> MessageAttachment:
    return MessageAttachment(
        "sticker", lines=(Line("👍" if id_ in _THUMBS else notice("sticker_without_picture")),)
    )


def _attachment(kind: str, attachment: Fields, payload: Fields, said: str) -> MessageAttachment:
    """Read an attachment of a message whose text is `said`; what no reader reads of it is shown as it is."""
    template = as_text(payload.get("template_type"))
    if kind in _FILES and not template:
        return _file(kind, attachment, payload)
    kind, read = ("template", _template) if template else (kind, _TYPES.get(kind, _unknown))
    shown = (*read(kind, attachment, payload), *attachment.rest())
    lines = tuple(line for line in shown if line.url or line.label or _adds(line.text, said.strip()))
    if not lines and template and not said.strip():
        lines = (Line(notice("unknown_template", kind=template)),)
    if not lines and not template:
        lines = (Line(notice("unsupported_share")),)
    return MessageAttachment(kind, lines=lines)


def _adds(text: str | Notice, said: str) -> bool:
    """Return whether a line is more than what the message says already."""
    return isinstance(text, Notice) or text.strip() not in {"", said}


def _url(attachment: Fields, payload: Fields) -> str:
    return payload.address("url") or attachment.address("url", "payload")


def _title(attachment: Fields, payload: Fields) -> str:
    title, other = payload.text("title"), attachment.text("title")
    if title and other.strip() != title.strip():
        attachment.add("title", other)
    return title or other


def _file(kind: str, attachment: Fields, payload: Fields) -> MessageAttachment:
    url, sticker_id = _url(attachment, payload), payload.code("sticker_id")
    title = as_text(payload.get("title") or attachment.get("title"))
    if sticker_id in _THUMBS:
        return MessageAttachment("sticker", lines=(*_sticker(sticker_id).lines, *attachment.rest()))
    kind = "sticker" if sticker_id else kind
    return MessageAttachment(kind, url, title, tuple(attachment.rest()), is_file=True)


def _location(kind: str, attachment: Fields, payload: Fields) -> Iterator[Line]:
    title, url = _title(attachment, payload), _url(attachment, payload)
    if place := _place(payload.object("coordinates")) or _place(payload) or _place(attachment):
        url = f"https://www.google.com/maps?q={place}"
    shown = title or (notice("map") if url else notice("unknown_place"))
    yield Line(shown, url, label=notice("location"))
    yield from _words(place)


def _place(holder: Fields) -> str:
    latitude, longitude = holder.number("lat", 90), holder.number("long", 180)
    if latitude is None or longitude is None:
        return ""
    holder.skip("lat", "long")
    return ",".join(f"{one:.6f}".rstrip("0").rstrip(".") for one in (latitude, longitude))


def _link(kind: str, attachment: Fields, payload: Fields) -> Iterator[Line]:
    title, url = _title(attachment, payload), _url(attachment, payload)
    if title or url:
        yield Line(title or url, url)


def _post(code: str) -> Callable[[str, Fields, Fields], Iterator[Line]]:
    """Return a reader of a post that was shared."""

    def read(kind: str, attachment: Fields, payload: Fields) -> Iterator[Line]:
        title, url = _title(attachment, payload), _url(attachment, payload)
        id_ = payload.text("reel_video_id", "id")
        shown = title or url or id_ or notice("unknown_post")
        yield Line(shown, url, label=notice(code))

    return read


def _products(kind: str, attachment: Fields, payload: Fields) -> Iterator[Line]:
    """Read products of a catalogue; a template of any other shape shows what it has."""
    elements = payload.object("product").objects("elements")
    lines = [line for element in elements for line in _product(element)]
    yield from lines or _unknown(kind, attachment, payload)


def _product(element: Fields) -> Iterator[Line]:
    title, number, url = element.text("title"), element.text("retailer_id", "id"), element.address("url")
    if shown := title or number or url:
        yield Line(shown, url, label=notice("product"))
    yield from _words(element.text("subtitle"))
    yield from _price(element)
    yield from _picture(element)
    if number and title:
        yield Line(number, label=notice("item_number"))
    yield from _buttons(element)
    yield from element.rest()


def _words(text: str) -> Iterator[Line]:
    if text.strip():
        yield Line(text)


def _picture(element: Fields, key: str = "image_url") -> Iterator[Line]:
    if url := element.address(key):
        yield Line(notice("picture"), url, is_picture=True)


_BOOKINGS = {
    "requested": "appointment_requested",
    "confirmed": "appointment_confirmed",
    "declined": "appointment_declined",
    "cancelled": "appointment_cancelled",
    "rescheduled": "appointment_rescheduled",
}


def _appointment(kind: str, attachment: Fields, payload: Fields) -> Iterator[Line]:
    status = payload.code("status")
    what = notice(_BOOKINGS.get(status, "appointment_of_status" if status else "appointment"), status=status)
    yield Line(_period(payload) or notice("unknown_time"), label=what)
    if number := payload.text("booking_id"):
        yield Line(number, label=notice("booking_number"))


def _period(payload: Fields) -> str:
    """Write from when until when, in the time zone of the booking."""
    name = as_text(payload.get("timezone"))
    zone: tzinfo = UTC
    try:
        zone = ZoneInfo(name) if name else UTC
        payload.skip("timezone")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        name = "UTC"
    start, end = (_moment(payload, key, zone) for key in ("start_time", "end_time"))
    shown = [f"{start:%Y-%m-%d %H:%M}"] if start else []
    if end:
        shown.append(f"{end:%H:%M}" if start and start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}")
    return f"{'–'.join(shown)} ({name or 'UTC'})" if shown else ""


def _moment(payload: Fields, key: str, zone: tzinfo) -> datetime | None:
    try:
        return datetime.fromtimestamp(at / 1000, zone) if (at := payload.time(key)) else None
    except (OverflowError, ValueError, OSError):  # the end of all calendars, in a zone that is ahead
        return None


_HOW_TEMPLATES_LOOK = ("sharable", "image_aspect_ratio", "top_element_style")


def _template(kind: str, attachment: Fields, payload: Fields) -> Iterator[Line]:
    """Read what a template shows."""
    type_, elements = payload.code("template_type"), payload.objects("elements")
    if type_ == "media" and not elements:
        yield Line(_media(Fields(None)))
    title = _title(attachment, payload)
    if text := payload.text("text") or title:
        yield Line(text)
    if title != text:
        yield from _words(title)
    yield from _words(payload.text("subtitle"))
    yield from _picture(payload)
    yield from _link_of(attachment, payload)
    yield from _buttons(payload)
    if url := payload.address("coupon_url"):
        yield Line(payload.text("coupon_url_button_title") or url, url, is_button=True)
    for element in elements:
        action = element.object("default_action")
        yield Line(element.text("title"), action.address("url"))
        _skip_settings(action)
        yield from _words(element.text("subtitle"))
        yield from _price(element)
        yield from _picture(element)
        yield from _images(element)
        if type_ == "media":
            yield Line(_media(element), element.address("url"))
        yield from _buttons(element)
        yield from element.rest()
    if total := payload.object("summary").amount("total_cost"):
        yield Line(f"{total} {payload.text('currency')}".strip(), label=notice("total"))
    payload.skip(*_HOW_TEMPLATES_LOOK)


def _images(element: Fields) -> Iterator[Line]:
    """Show the pictures of a grid, each with what it leads to.

    https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/template/image-grid
    """
    for image in element.objects("images"):
        image.mark("is_hero_image")
        yield from _picture(image, "url")
        action = image.object("action")
        if url := action.address("url"):
            yield Line(action.text("title") or url, url)
        _skip_settings(action)


def _link_of(attachment: Fields, payload: Fields) -> Iterator[Line]:
    if url := _url(attachment, payload):
        yield Line(url, url)


def _price(element: Fields) -> Iterator[Line]:
    if price := element.amount("price"):
        count, currency = element.text("quantity"), element.text("currency")
        yield Line(f"{f'{count} × ' if count else ''}{price} {currency}".strip())


def _media(element: Fields) -> Notice:
    return notice("template_video" if element.code("media_type") == "video" else "template_picture")


def _buttons(holder: Fields) -> Iterator[Line]:
    for button in holder.objects("buttons"):
        title, url = button.text("title"), button.address("url")
        if title.strip() or url:
            yield Line(title, url, is_button=True)
        _skip_settings(button)
        yield from button.rest()


def _skip_settings(button: Fields) -> None:
    """Leave out what a button does, and how what it opens looks."""
    button.code("type")
    button.code("payload")
    button.skip("webview_height_ratio", "messenger_extensions", "webview_share_button", "fallback_url")


def _unknown(kind: str, attachment: Fields, payload: Fields) -> Iterator[Line]:
    title, url = _title(attachment, payload), _url(attachment, payload)
    what = notice("unknown_attachment", kind=kind)
    yield Line(title or url, url, label=what) if title or url else Line(what)


_TYPES: dict[str, Callable[[str, Fields, Fields], Iterator[Line]]] = {
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
        "unknown_post": N_("not passed on by Messenger"),
        "sticker_without_picture": N_("Messenger delivered a sticker without its picture."),
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
        "unknown_time": N_("at an unknown time"),
        "appointment": N_("Appointment"),
        "appointment_of_status": N_("Appointment ({status})"),
        "appointment_rescheduled": N_("Appointment rescheduled"),
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
