"""Names and titles that fit a line."""

import unicodedata
from urllib.parse import SplitResult, urlsplit

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # and surrogates, which no UTF-8 has, and separators of lines
_TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def one_line(text: str) -> str:
    """Make a name or a title fit for a line, and for a terminal.

    Control characters, and those that turn the direction of writing, are dropped; white space is one space.
    """
    return " ".join("".join(char for char in text if char.isspace() or not is_misleading(char)).split())


def is_misleading(char: str) -> bool:
    """Return whether a character is invisible itself, but changes how the text around it looks."""
    return char in _TURNING or unicodedata.category(char) in _UNPRINTABLE


def parts_of(url: str) -> SplitResult:
    """Return the parts of an address; of one that is none they are empty."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def address(url: str) -> str:
    """Return an address on one line, without what may be a secret in it."""
    parts = parts_of(url)
    return one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
