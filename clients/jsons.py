"""Reading JSON that others sent: quickly where it is proper, and without what no store takes."""

import json
from typing import Any

import msgspec

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading JSON of another shape than the one that was promised may raise."""


class NotUnderstood(Exception):
    """The body is not JSON."""


def decode(body: bytes) -> Any:
    """Read JSON. Raises `NotUnderstood`.

    NUL characters are dropped, and halves of characters outside the basic plane become question marks: Meta,
    and some helpdesks, cut an emoji in two where they shorten a text.
    """
    try:
        value = msgspec.json.decode(body)
        return _clean(value) if b"\\u0000" in body else value
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _decode_odd(body)


def _decode_odd(body: bytes) -> Any:
    try:
        return _clean(json.loads(body))
    except (ValueError, RecursionError):
        raise NotUnderstood from None


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode().replace("\0", "")
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(one) for key, one in value.items()}
    return value
