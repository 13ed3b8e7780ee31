"""Reading JSON that others sent: quickly where it is proper, and without what no store takes."""

import json
from typing import Any

import msgspec

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading JSON of another shape than the one that was promised may raise."""

_LONG = 310
"""From how many characters on a number may be beyond the range of floats."""


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


def decode_or_none(body: bytes) -> Any:
    """Read JSON that only adds to what is known already, such as why something was refused."""
    try:
        return decode(body)
    except NotUnderstood:
        return None


def _decode_odd(body: bytes) -> Any:
    try:
        return _clean(json.loads(body, parse_int=_whole_number))
    except (ValueError, RecursionError):
        raise NotUnderstood from None


def _whole_number(digits: str) -> float:
    """Read a whole number; beyond the range of floats it is infinite, as Python refuses very long ones."""
    return int(digits) if len(digits) < _LONG else float(digits)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode().replace("\0", "")
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(one) for key, one in value.items()}
    return value
