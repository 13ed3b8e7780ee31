"""An object of Meta's JSON that notes what was read of it, so that all else can be shown, too."""

import re
from collections.abc import Iterator
from typing import Any

from clients.channel import Line
from clients.channels.meta.values import address, amount, as_text, is_mark, is_true, milliseconds
from clients.notices import N_, Notice, add_sentences, notice
from clients.text.line import one_line

_SECRET = re.compile("token|secret|password|credential|authorization|sdp", re.IGNORECASE)
"""Keys of what nobody but us is to see."""
_NAMES = frozenset(
    {"id", "mid", "type", "is_echo", "attachment_id", "is_reusable", "user_ref", "template_type"}
)
"""Keys under which a single word says nothing to people."""
_PICTURES = frozenset({"image_url", "photo_url"})
"""Keys of addresses of pictures, wherever they stand."""
_MOST_KEYS = 8
"""How many keys a line of what nobody knows names: the last ones."""
LABELS = {
    "address": "address",
    "alt_text": "description",
    "caption": "caption",
    "color": "color",
    "commands": "command",
    "coupon_code": "coupon_code",
    "currency": "currency",
    "description": "description",
    "event": "what_happened",
    "form_id": "form_number",
    "label": "label",
    "lat": "latitude",
    "link": "link",
    "long": "longitude",
    "name": "name",
    "note": "remark",
    "notification_messages_frequency": "frequency",
    "notification_messages_timezone": "time_zone",
    "order_number": "order_number",
    "order_url": "link",
    "payload": "payload",
    "payment_method": "payment_method",
    "price": "price",
    "quantity": "quantity",
    "quick_reply": "quick_reply",
    "reason": "metas_reason",
    "recipient_name": "recipient_name",
    "ref": "reference",
    "referral": "reference",
    "service": "service",
    "shipping_cost": "shipping",
    "status": "status",
    "subtotal": "subtotal",
    "text": "text",
    "timezone": "time_zone",
    "title": "title",
    "url": "link",
}
"""What agents read instead of a key that stands where nothing reads it."""


class Fields:
    """An object of Meta's JSON; any other value counts as one without keys.

    A value counts as read if it is of the type that was asked for. `rest` shows what is left, of the objects
    in it as well. Nothing here raises, whatever stands there.
    """

    def __init__(self, value: Any) -> None:
        """Take what Meta sent."""
        self._left: dict[str, Any] = dict(value) if isinstance(value, dict) else {}
        self._inner: dict[str, list[Fields]] = {}

    def __contains__(self, key: str) -> bool:
        """Return whether something stands under a key that was not read yet."""
        return self._left.get(key) is not None

    def get(self, key: str) -> Any:
        """Return what stands under a key, and leave it unread."""
        return self._left.get(key)

    def add(self, key: str, value: Any) -> None:
        """Put back what was read, or add what stands elsewhere; nothing if that is nothing."""
        if value not in (None, ""):
            self._left.setdefault(key, value)

    def text(self, *keys: str) -> str:
        """Read the first text or number that there is; of the keys behind it nothing is read."""
        for key in keys:
            if text := as_text(self._left.get(key)):
                del self._left[key]
                return text
        return ""

    def code(self, key: str) -> str:
        """Read a single word, such as a kind or a status; what has several is no code, and stays."""
        return self.text(key) if _is_word(self._left.get(key)) else ""

    def amount(self, key: str) -> str:
        """Read an amount of money."""
        shown = amount(self._left.get(key))
        return shown if self.text(key) else ""

    def address(self, *keys: str) -> str:
        """Read the first web address that there is."""
        for key in keys:
            value = self._left.get(key)
            # One that is of no use to people, such as a page of Meta's that says so, is read all the same.
            if as_text(value).startswith(("http://", "https://", "fbrpc://")):
                found = address(value)
                self._left.pop(key)
                if found:
                    return found
        return ""

    def mark(self, key: str) -> bool:
        """Read a mark."""
        value = self._left.get(key)
        if value is None or not is_mark(value):
            return False
        del self._left[key]
        return is_true(value)

    def time(self, key: str) -> int:
        """Read a time, in milliseconds; 0 if there is none."""
        if at := milliseconds(self._left.get(key)):
            del self._left[key]
        return at

    def number(self, key: str, most: float) -> float | None:
        """Return the number under a key if it is between `-most` and `most`, and leave it unread."""
        try:
            number = float(self._left.get(key))  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return None
        return number if abs(number) <= most else None

    def words(self, *keys: str) -> str:
        """Read the first text, number or yes or no that there is, or several of them in a list."""
        for key in keys:
            value = self._left.get(key)
            said = [_said(one) for one in (value if isinstance(value, list) else [value])]
            if said and all(said):
                del self._left[key]
                return ", ".join(said)
        return ""

    def truth(self, *keys: str, is_question: bool = False) -> bool | None:
        """Read the first value that there is if it is a yes or a no, of a question for one also as a text."""
        key = next((key for key in keys if self._left.get(key) not in (None, "", [])), "")
        value = self._left.get(key)
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        if not isinstance(value, bool) and not (is_question and str(value).lower() in {"true", "false"}):
            return None
        del self._left[key]
        return is_true(value)

    def object(self, key: str) -> "Fields":
        """Read an object."""
        if isinstance(self._left.get(key), dict):
            self._inner.setdefault(key, []).append(Fields(self._left.pop(key)))
        return self._inner[key][0] if self._inner.get(key) else Fields(None)

    def objects(self, key: str) -> "list[Fields]":
        """Read what an array holds, or what stands there alone; what is no object is under the same key."""
        value = self._left.pop(key, None)
        values = value if isinstance(value, list) else [] if value is None else [value]
        found = [Fields(one if isinstance(one, dict) else {key: one}) for one in values]
        self._inner.setdefault(key, []).extend(found)
        return found

    def named_objects(self, key: str) -> "list[tuple[str, Fields]]":
        """Read the objects of an object, each with its name, or those of an array."""
        value = self._left.get(key)
        if not isinstance(value, dict):
            return [("", one) for one in self.objects(key)]
        holder = self.object(key)
        return [(name, holder.object(name)) for name, one in value.items() if isinstance(one, dict)]

    def skip(self, *keys: str) -> None:
        """Leave out what says nothing to people, and what is read elsewhere."""
        for key in keys:
            self._left.pop(key, None)

    def rest(self) -> Iterator[Line]:
        """Show what was not read, once."""
        for inner in [one for several in self._inner.values() for one in several]:
            yield from inner.rest()
        left, self._left = self._left, {}
        yield from leaves(left)


def leaves(value: Any, *path: str) -> Iterator[Line]:
    """Show the texts, numbers and links of what nobody knows, each under its keys, however deep."""
    todo = [(value, path)]
    while todo:
        one, keys = todo.pop()
        if isinstance(one, dict):
            todo += [
                (one[key], (*keys, str(key))[-_MOST_KEYS:])
                for key in reversed(one)
                if not _SECRET.search(key)
            ]
        elif isinstance(one, list):
            todo += [(inner, keys) for inner in reversed(one)]
        elif (text := _said(one)) and not (keys and keys[-1] in _NAMES and _is_word(one)):
            yield _leaf(text, address(one), keys)


def _leaf(text: str, url: str, keys: tuple[str, ...]) -> Line:
    if url and keys and keys[-1] in _PICTURES:
        return Line(notice("picture"), url, label=_label(keys[:-1]), is_picture=True)
    return Line(text, url, label=_label(keys))


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else as_text(value).strip()


def _is_word(value: Any) -> bool:
    text = as_text(value)
    return isinstance(value, bool) or (len(text.split()) == 1 and "://" not in text)


def _label(keys: tuple[str, ...]) -> str | Notice:
    known = LABELS.get(keys[0]) if len(keys) == 1 else None
    return notice(known) if known else one_line(" › ".join(keys))


add_sentences(
    {
        "address": N_("Address"),
        "caption": N_("Caption"),
        "color": N_("Color"),
        "coupon_code": N_("Coupon code"),
        "currency": N_("Currency"),
        "description": N_("Description"),
        "form_number": N_("Form number"),
        "frequency": N_("Frequency"),
        "label": N_("Label"),
        "latitude": N_("Latitude"),
        "link": N_("Link"),
        "longitude": N_("Longitude"),
        "name": N_("Name"),
        "order_number": N_("Order number"),
        "payment_method": N_("Payment method"),
        "price": N_("Price"),
        "quantity": N_("Quantity"),
        "recipient_name": N_("Recipient"),
        "service": N_("Service"),
        "shipping": N_("Shipping"),
        "status": N_("Status"),
        "subtotal": N_("Subtotal"),
        "text": N_("Text"),
        "time_zone": N_("Time zone"),
        "title": N_("Title"),
        "what_happened": N_("Event"),
    }
)
