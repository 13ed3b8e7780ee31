"""What an agent's comment says on a channel: its text without markup, and what it quotes."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import dropwhile, takewhile
from urllib.parse import urlsplit

from clients.errors import FileRefused
from clients.helpdesk import Comment
from clients.media import proper_url
from clients.notices import notice
from clients.text.line import one_line
from clients.text.plain import is_visible, to_plain_text
from tasks.words import say

_QUOTED = ">"
_WHO_WROTE = 120
"""How long a line may be that says whose words are quoted."""
_SENTENCE_ENDS = re.compile(r"[^\W\d_]{3,}[.!?]\s")
IsOurs = Callable[[str], bool]
"""Whether a line of a quotation is the connector's own, not the customer's."""


def text_of(comment: Comment, base_url: str) -> str:
    """Return what a comment says, as plain text.

    `base_url` is the helpdesk's. Where its files are is not for the person, who gets the files themselves.
    """
    names: dict[str, str] = {}
    for one in comment.attachments:
        names |= dict.fromkeys((one.url, _whole(one.url, base_url)), one_line(one.filename))

    def is_internal(address: str, tag: str) -> bool:
        whole = _whole(address, base_url)
        return whole in names or (tag == "img" and _origin(whole) == _origin(base_url))

    return _named(to_plain_text(comment.body, comment.body_format, is_internal), names)


def split_quotation(text: str) -> tuple[str, str]:
    """Split a plain text into the quotation that it begins with, its marks taken away, and what follows.

    A line before it that says who wrote it belongs to neither.
    """
    _, quoted, rest = _split(text)
    return "\n".join(quoted), rest


def words_of(quotation: str, is_ours: IsOurs) -> str:
    """Return the customer's words in a quotation: without our lines, and the one that says who wrote it."""
    lines = [*dropwhile(lambda line: not line, _without_ours(quotation.split("\n"), is_ours))]
    return "\n".join(lines[1:] if len(lines) > 1 and _says_who_wrote(lines[0]) else lines).strip()


def without_our_lines(text: str, is_ours: IsOurs) -> str:
    """Return a plain text without the lines of ours in its quotation, and without that if nothing is left."""
    before, quoted, rest = _split(text)
    theirs = _without_ours(quoted, is_ours)
    if len(theirs) == len(quoted):
        return text
    said = re.sub(r"\n{3,}", "\n\n", "\n".join(theirs)).strip("\n").split("\n")
    if not any(map(is_visible, said)):
        return rest
    shown = [f"{_QUOTED} {line}".rstrip() for line in said]
    return "\n".join([*([before] if before else []), *shown, "", rest])


@lru_cache
def ours(labels: frozenset[str], language: str) -> IsOurs:
    """Return what knows the lines that `tasks.inbound` adds to what a customer said, by their look.

    They begin with one of these labels, stand in brackets, or quote what the customer answered.
    """
    known = "|".join(_pattern(code, language) for code in sorted(labels))
    pattern = re.compile(
        rf">.*|\(.*\)|{_pattern('in_reply_to', language)}|(?:{known})(?::(?:\s.*)?|\s\(https?://.*\))"
    )
    return lambda line: pattern.fullmatch(line) is not None


def _pattern(code: str, language: str) -> str:
    """Return a pattern for a sentence with whatever values."""
    return re.escape(one_line(say(notice(code), language))).replace("…", ".*")


def _split(text: str) -> tuple[str, list[str], str]:
    """Return who wrote it, if a line says so, the lines of a quotation, and what follows it."""
    lines = text.split("\n")
    if _says_who_wrote(lines[0]):
        following = [*dropwhile(lambda line: not line.strip(), lines[1:])]
        if following and following[0].startswith(_QUOTED):
            return lines[0], *_quoted(following)
    return "", *_quoted(lines)


def _quoted(lines: list[str]) -> tuple[list[str], str]:
    quoted = [*takewhile(lambda line: line.startswith(_QUOTED), lines)]
    said = [line.removeprefix(_QUOTED).strip() for line in quoted]
    return said, "\n".join(lines[len(quoted) :]).strip()


def _says_who_wrote(line: str) -> bool:
    """Return whether a line may only say who wrote what follows: it is short, and not several sentences."""
    line = line.strip()
    is_short = len(line) <= _WHO_WROTE and not line.startswith(_QUOTED)
    return is_short and line.endswith((":", "\N{FULLWIDTH COLON}")) and not _SENTENCE_ENDS.search(line)


def _without_ours(lines: list[str], is_ours: IsOurs) -> list[str]:
    return [line for line in lines if not is_ours(line)]


def _named(text: str, names: Mapping[str, str]) -> str:
    """Put names in the place of addresses."""
    known = "|".join(re.escape(url) for url in sorted(names, key=len, reverse=True) if url.startswith("http"))
    return re.sub(rf"(?:{known})(?![\w/?&=-])", lambda url: names[url[0]], text) if known else text


def _whole(url: str, base_url: str) -> str:
    """Return an address as it is asked for, or nothing if it is none."""
    try:
        return str(proper_url(url, base_url)) if url else ""
    except FileRefused:
        return ""


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
