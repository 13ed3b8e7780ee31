"""What an agent's comment says on a channel: its text without markup, and what it quotes."""

import re
from collections.abc import Mapping
from itertools import takewhile
from urllib.parse import urlsplit

from clients.errors import FileRefused
from clients.helpdesk import Comment
from clients.media import proper_url
from clients.text.line import one_line
from clients.text.plain import to_plain_text

_QUOTED = ">"


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
    """Split a plain text into the quotation that it begins with, its marks taken away, and what follows."""
    lines = text.split("\n")
    quoted = list(takewhile(lambda line: line.startswith(_QUOTED), lines))
    said = "\n".join(line.removeprefix(_QUOTED).strip() for line in quoted)
    return said, "\n".join(lines[len(quoted) :]).strip()


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
