"""The texts and names that persons and agents write: hostile markdown, HTML, addresses, file names and headers.

Words are planted where any renderer shows them, so that none may go missing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from markdown_it import MarkdownIt
from markdown_it.token import Token

from clients.media import disposition_filename, safe_filename
from clients.text import image, link, split_text, to_markdown, to_plain_text
from tests.fuzz import known
from tests.fuzz.runs import Fault, bounded

LIMITS = (2, 3, 10, 160, 2000)
"""How long a part may be, in UTF-16 code units; no part fits into less than two."""
LONGEST_NAME = 120
PLANTED = re.compile(r"word[0-9]+x")
RENDERER = MarkdownIt("commonmark", {"html": True, "linkify": not known.LINKIFY_EATS_AN_ESCAPE})
RENDERER.enable(["table", "strikethrough", "linkify"])
HARMLESS = {"paragraph_open", "paragraph_close", "inline", "text", "softbreak", "hardbreak", "link_open", "link_close"}
"""The tokens of what may be seen of a person's text: paragraphs, lines and links."""
HARMLESS |= {"s_open", "s_close", "em_open", "em_close"} if known.A_MARK_SLIPS_THROUGH else set()

MARKS = [*"\\`*_~[]()<>#+-=.!|:&;/@\t\"'{}$^%\n ", "\n\n", "  \n", "    ", "**", "__", "~~", "```", "~~~", "> ", "- ", "1. ", "]("]
PIECES = [
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<iframe src=//x>", "<!--", "-->"),
    *("<![CDATA[", "]]>", "<?php ?>", "<!DOCTYPE html>", "<a href='javascript:alert(1)'>", "</p>", "<br>", "<b x='", "</", "<x "),
    *("<ul><li>", "</li></ul>", "<ol start=9999999999>", "<blockquote>", "<pre>", "<td>", "<style>", "<title>", "<template>"),
    *("[a](javascript:alert(1))", "[a](data:text/html;base64,PHN2Zz4=)", "![a](https://x.y/z.png)", "[a]: https://x.y 'z'", "[a]", "[^1]"),
    *("[a][a]", "[a](<https://x.y> \"t\")", "<https://x.y>", "<a@x.y>", "https://x.y/_a_*b*~c~`d`<e>&amp;(f)", "www.x.y", "a@x.y", "HTTPS://X.Y?q=[1]"),
    *("&lt;", "&#60;", "&#x3c;script&#x3e;", "&amp;lt;", "&copy", "&#xD800;", "&#0;", "&#9999999999;", "&nbsp;", "&NotEqualTilde;"),
    *("\n|-|-|\n", "|a|b|\n|-|-|\n|c|d|", "\n===\n", "\n---\n", "***", "# a", "- [ ] a", "1) a", "+ a", "\n: a\n", ":::", "$$x$$", "==a=="),
    *("\ud83d", "\udcff", "\x00", "\x01", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\u200b", "\u200d", "\u202e", "\u2066", "\xa0"),
    *("😀", "👩‍👩‍👧", "🇵🇱", "e\u0301" * 3, "Z\u0351\u036b\u0343" * 40, " \u0301", "ﷺ", "ẞ", "İ", "漢字。", "שלום", "ก็", "\r\n", "\r", "\v", "\f"),
    *("a" * 300, "😀" * 200, "{{7*7}}", "${jndi:ldap://x}", "%s%n", "'; DROP TABLE x; --", "..\\..\\", "../../etc/passwd", "CON", "a.exe\u202egnp."),
]
REPEATED = ["[", "](", "<", "<x ", "</", "<!--", "&#", "*a ", "_a_ ", "`", "``a", "> ", "- ", "|", "\\", "![", "<a href=", "(", "\n\n", " ", "<b>", "~~", "a@", "http://", "\u0301", "word", "*_", "'\"", ";filename="]
"""What makes a parser slow if it looks back, or ahead, for each."""
SCHEMES = ["https://x.y/a b(c)<d>", "javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:,x", "mailto:a@x.y", "geo:1,2", "tel:+1", "//x.y", "", "https://[::1", "ht\ntps://x"]
HEADERS = ["attachment; filename=", 'filename="', "filename*=UTF-8''", "filename*=iso-8859-1'en'%ff%00", "%2e%2e%2f", "%", "%zz", '\\"', '"', "; ", "=?utf-8?q?x?="]


@dataclass(frozen=True)
class Text:
    """A text. Words `word<n>x` in it that stand in paragraphs of their own must stay."""

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
            kind = random.choice((MARKS, MARKS, PIECES, PIECES, SCHEMES, HEADERS))
            pieces += random.choices(kind, k=random.randint(1, 4))
            if random.random() < 0.4:
                pieces.append(f"\n\nword{number}x\n\n")
        return Text("".join(pieces))

    def check(self, sample: Text) -> None:
        """Put it through all that reads or writes texts."""
        text = sample.text
        if known.A_BACKSLASH_OPENS_AN_ADDRESS:
            text = re.sub(r"\\+(?=https?:)", "", text, flags=re.IGNORECASE)
        for check in (_check_markdown, _check_links, _check_plain, _check_parts, _check_names):
            with bounded(check.__name__.removeprefix("_check_")):
                check(text)

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
    # HTML hides what stands in a comment, a script, or between quotation marks, so the words stand before all.
    words = "".join(f"<p>{word}</p>" for word in PLANTED.findall(text))
    plain = to_plain_text(words + text, "html")
    if missing := set(PLANTED.findall(words)) - set(PLANTED.findall(plain)):
        raise Fault(f"html lost {sorted(missing)}")


def _check_parts(text: str) -> None:
    text = _clean(text)
    for limit in LIMITS if len(text) < 3000 else LIMITS[-2:]:
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
            if not name.strip(". ") or len(name) > LONGEST_NAME or name.startswith(".") or set(name) & set('/\\\0\r\n'):
                raise Fault(f"a file is named {name[:200]!r}")


def _clean(text: str) -> str:
    """Leave out what JSON is read without."""
    return text.encode(errors="replace").decode().replace("\0", "")


def _tokens(markdown: str) -> list[Token]:
    found = []
    for token in RENDERER.parse(markdown):
        found += [token, *(token.children or ())]
    return found
