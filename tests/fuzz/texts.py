"""What persons and agents write: hostile markdown, HTML, addresses, names of files, and headers.

Words are planted where any renderer shows them, so that none may go missing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from markdown_it import MarkdownIt
from markdown_it.token import Token

from clients.media import disposition_filename, safe_filename
from clients.text.markdown import image, link, to_markdown
from clients.text.plain import to_plain_text
from clients.text.split import split_text
from tests.fuzz.runs import Fault, bounded

LIMITS = (2, 3, 10, 160, 2000)
"""How long a part may be, in UTF-16 code units; no part fits into less than two."""
LONGEST_NAME = 120
PLANTED = re.compile(r"word[0-9]+x")
RENDERER = MarkdownIt("commonmark", {"html": True, "linkify": True})
RENDERER.enable(["table", "strikethrough", "linkify"])
RENDERER.validateLink = lambda url: True  # type: ignore[method-assign]  # others look at no address
LINKED = re.compile("(https?:|ftp:|geo:|mailto:|tel:|//)", re.IGNORECASE)
HARMLESS = {
    "paragraph_open",
    "paragraph_close",
    "inline",
    "text",
    "softbreak",
    "hardbreak",
    "link_open",
    "link_close",
}
"""The tokens of what may be seen of a person's text: paragraphs, lines and links."""

MARKS = [
    *"\\`*_~[]()<>#+-=.!|:&;/@\t\"'{}$^%\n ",
    "\n\n",
    "  \n",
    "    ",
    *("**", "__", "~~", "```", "~~~", "](", "> ", "- ", "1. "),
]


def _pieces(name: str) -> list[str]:
    return (Path(__file__).parent / "pieces" / f"{name}.txt").read_text(encoding="utf-8").split("\n")[:-1]


MARKUP, ADDRESSES, HEADERS = _pieces("markup"), _pieces("addresses"), _pieces("headers")
ODD = [
    "\ud83d",
    "\udcff",
    "\r\n",
    " \u0301",
    "Z\u0351\u036b\u0343" * 40,
    "a" * 300,
    "😀" * 200,
    "ht\ntps://x.y",
]
ODD += ["\n|-|-|\n", "|a|b|\n|-|-|\n|c|d|", "\n===\n", "\n---\n", "\n: a\n"]
ODD += "\x00\x01\x1b\x7f\x85\r\v\f\u2028\u2029\ufeff\u200b\u200d\u202e\u2066\xa0"
REPEATED = [*_pieces("repeated"), "\n\n", "\u0301"]
"""What makes a parser slow if it looks back, or ahead, for each."""


@dataclass(frozen=True)
class Text:
    """A text. Words `word<n>x` in it stand in paragraphs of their own, which everybody sees."""

    text: str


class Texts:
    """The texts under fire."""

    name = "texts"

    def make(self, random: Random) -> Text:
        """Make a text of hostile pieces and planted words."""
        if random.random() < 0.05:
            return Text(random.choice(REPEATED) * random.choice((100, 3000, 3000, 20_000)))
        pieces: list[str] = []
        for number in range(random.choice((1, 3, 8, 30))):
            kind = random.choice((MARKS, MARKS, MARKUP, MARKUP, ODD, ADDRESSES, HEADERS))
            pieces += random.choices(kind, k=random.randint(1, 4))
            if random.random() < 0.4:
                pieces.append(f"\n\n{'> ' * random.choice((0, 0, 2, 40))}word{number}x\n\n")
        return Text("".join(pieces))

    def check(self, sample: Text) -> None:
        """Put it through all that reads or writes texts."""
        for check in (_check_markdown, _check_links, _check_plain, _check_parts, _check_names):
            with bounded(check.__name__.removeprefix("_check_")):
                check(sample.text)

    def dump(self, sample: Text) -> bytes:
        """Write it, halves of surrogate pairs too."""
        return sample.text.encode("utf-8", "surrogatepass")

    def load(self, data: bytes) -> Iterator[Text]:
        """Read it."""
        yield Text(data.decode("utf-8", "surrogatepass"))


def _check_markdown(text: str) -> None:
    strange = {token.type for token in _tokens(to_markdown(_clean(text)))} - HARMLESS
    if strange:
        raise Fault(f"a person's text became {sorted(strange)}")


def _check_links(text: str) -> None:
    text = _clean(text)[:2000]
    for label, url in ((text, "https://x.y/z"), ("a", text), (text, text)):
        for write, own in ((link, set[str]()), (image, {"image"})):
            strange = {token.type for token in _tokens(write(label, url))} - HARMLESS - own
            if strange:
                raise Fault(f"{write.__name__} became {sorted(strange)}")


def _check_plain(text: str) -> None:
    for body_format in ("markdown", "text", "other"):
        plain = to_plain_text(text, body_format)
        plain.encode()
        if missing := set(PLANTED.findall(text)) - set(PLANTED.findall(plain)):
            raise Fault(f"{body_format} lost {sorted(missing)}")
    # HTML hides what stands in a comment, a script, or between quotation marks: the words stand before all.
    words = "".join(f"<p>{word}</p>" for word in PLANTED.findall(text))
    plain = to_plain_text(words + text, "html")
    if missing := set(PLANTED.findall(words)) - set(PLANTED.findall(plain)):
        raise Fault(f"html lost {sorted(missing)}")


def _check_parts(text: str) -> None:
    text = _clean(text)
    for limit in LIMITS if len(text) < 3000 else LIMITS[-1:]:
        parts = split_text(text, limit)
        if any(len(part.encode("utf-16-le")) > 2 * limit for part in parts):
            raise Fault(f"a part is longer than {limit}")
        if any(not part or part != part.strip() for part in parts):
            raise Fault(f"a part is empty, or has white space around it (limit {limit})")
        if "".join("".join(parts).split()) != "".join(text.split()):
            raise Fault(f"the parts are not the text (limit {limit})")


def _check_names(text: str) -> None:
    for raw in (text, disposition_filename(text), disposition_filename(f'attachment; filename="{text}"')):
        for content_type in ("image/png", text[:50], ""):
            name = safe_filename(raw, content_type)
            name.encode()
            if (
                not name.strip(". ")
                or len(name) > LONGEST_NAME
                or name.startswith(".")
                or set(name) & set("/\\\0\r\n")
            ):
                raise Fault(f"a file is named {name[:200]!r}")


def _clean(text: str) -> str:
    """Leave out what JSON is read without."""
    return text.encode(errors="replace").decode().replace("\0", "")


def _tokens(markdown: str) -> list[Token]:
    """Parse markdown as the most trusting renderer does. Raises `Fault` for a link to where none may lead."""
    found: list[Token] = []
    for token in RENDERER.parse(markdown):
        found += [token, *(token.children or ())]
    for token in found:
        target = str(token.attrGet("href") or token.attrGet("src") or "https:")
        if not LINKED.match(target):
            raise Fault(f"there is a link to {target[:100]!r}")
    return found
