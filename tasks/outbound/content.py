"""What an agent's comment says on a channel: its text without markup, and what it quotes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import dropwhile, groupby, takewhile
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


@dataclass(frozen=True, slots=True)
class OurLines:
    """How the lines look that `tasks.inbound` adds to what a customer said.

    `possible` ones may be somebody else's, too; a `certain` one shows that a quotation is of a ticket.
    """

    possible: re.Pattern[str]
    certain: re.Pattern[str]

    def none_of(self, lines: Iterable[str]) -> list[str]:
        """Return the lines that are not ours."""
        return [line for line in lines if not self.possible.fullmatch(line)]

    def are_in(self, lines: Iterable[str]) -> bool:
        """Return whether some of the lines are ours for sure."""
        return any(self.certain.fullmatch(line.lstrip(f"{_QUOTED} ")) for line in lines)


@lru_cache
def our_lines(labels: frozenset[str], internal: frozenset[str], language: str) -> OurLines:
    """Return how our lines look on the tickets of a channel with these `labels` and `internal` ones."""
    known, certain = (
        "|".join(_pattern(code, language) for code in sorted(codes)) or "(?!)" for codes in (labels, internal)
    )
    answered, edited = _pattern("in_reply_to", language), _pattern("edited_at", language)
    return OurLines(
        re.compile(rf">.*|\(.*\)|{answered}|(?:{known})(?::(?:\s.*)?|\s\(https?://.*\))"),
        re.compile(rf"{answered}|\((?:{edited})\)|(?:{certain}):\s.*|\((?:{certain})\)"),
    )


def words_of(quotation: str, ours: OurLines) -> str:
    """Return the customer's words in a quotation: without our lines, and the one that says who wrote it."""
    lines = [*dropwhile(lambda line: not line, ours.none_of(quotation.split("\n")))]
    return "\n".join(lines[1:] if len(lines) > 1 and _says_who_wrote(lines[0]) else lines).strip()


def without_our_lines(text: str, ours: OurLines) -> str:
    """Return a plain text whose quotations are without our lines; one that is nothing else is left out."""
    shown: list[str] = []
    for is_quotation, group in groupby(text.split("\n"), lambda line: line.startswith(_QUOTED)):
        lines = [*group]
        said = [line.removeprefix(_QUOTED).strip() for line in lines]
        if not is_quotation or not ours.are_in(said):
            shown += lines
            continue
        theirs = re.sub(r"\n{3,}", "\n\n", "\n".join(ours.none_of(said))).strip("\n")
        if is_visible(theirs):
            shown += [f"{_QUOTED} {line}".rstrip() for line in theirs.split("\n")]
            continue
        while shown and not shown[-1].strip():
            shown.pop()
        if shown and _says_who_wrote(shown[-1]):
            shown.pop()
    return "\n".join(shown).strip()


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
