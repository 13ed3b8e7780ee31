"""Names and titles that fit a line."""

import unicodedata

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
