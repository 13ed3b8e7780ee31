"""A text becomes parts that a channel takes."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import regex  # type: ignore[import-untyped]  # its stubs are a package of their own

_ENDS: list[regex.Pattern[str]] = [
    regex.compile(r"(?=\n\n)"),
    regex.compile(r"(?=\n)"),
    regex.compile(r"(?<=[.!?…。！？]['\")\]’”»]?)(?=\s)|(?<=[。！？])"),  # noqa: RUF001 - CJK ends of sentences
    regex.compile(r"(?=\s)"),
]


def split_text(text: str, limit: int) -> list[str]:
    """Split a text into parts of at most `limit` UTF-16 code units (2 or more), each stripped, none empty.

    A part ends with a paragraph, else a line, else a sentence, else a word; a word longer than the limit is
    cut between graphemes, a grapheme longer than it between code points. Blank text gives no part.
    """
    parts, text, start = [], text.strip(), 0
    while start < len(text):
        window = text[start : start + limit + 3]
        fits = start + len(window) == len(text) and _units(window) <= limit
        end = start + (len(window) if fits else _cut(window, limit))
        parts.append(text[start:end].rstrip())
        while end < len(text) and text[end].isspace():
            end += 1
        start = end
    return parts


def _units(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)


def _cut(text: str, limit: int) -> int:
    """Find where the first part ends, in code points."""
    sizes = list(accumulate(1 + (char > "\uffff") for char in text[: limit + 1]))
    fit = max(1, bisect_right(sizes, limit))
    window = text[: fit + 2]
    graphemes = list(regex.finditer(r"\X", window))
    # Graphemes of several code points are masked, so that no pattern finds an end inside one: a space can
    # carry an accent.
    masked = "".join(g[0] if len(g[0]) == 1 or g[0].isspace() else "x" * len(g[0]) for g in graphemes)
    for ends in _ENDS:
        if cut := _last(ends.finditer(masked), fit):
            return cut
    return _last(iter(graphemes), fit) or fit


def _last(found: Iterator["regex.Match[str]"], fit: int) -> int:
    return max((match.start() for match in found if match.start() <= fit), default=0)
