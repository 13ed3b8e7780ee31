"""An agent's comment becomes plain text: markdown, HTML, lines.

HTML is read by hand: the libraries that were looked at write Markdown again (html2text, markdownify) or lay
pages out in columns (inscriptis), and none asks for each link and picture whether its address is for the
customer to see.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import regex  # type: ignore[import-untyped]  # its stubs are a package of their own
from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.rules_inline import StateInline

LONGEST_MARKDOWN = 200_000
"""How many characters are read as markdown at most: hostile ones take quadratic time."""


IsInternal = Callable[[str, str], bool]
"""Returns whether an address, in a tag (`a` or `img`), must not be shown to the person."""


def nothing_internal(address: str, tag: str) -> bool:
    """Return False: any address may be shown."""
    return False


def to_plain_text(body: str, body_format: str, is_internal: IsInternal = nothing_internal) -> str:
    """Turn an agent's comment into the text that a person reads in a channel that shows no markup.

    `body_format` is "markdown" (CommonMark with tables and strikethrough; HTML in it stays as typed, but for
    `<br>`), "html" or "text"; any other is taken for "text", and so is markdown of more than
    `LONGEST_MARKDOWN` characters, which no channel takes anyway. Raises nothing, whatever the body is.

    Of links and pictures whose address `is_internal` only the labels stay.
    """
    # JSON can carry halves of surrogate pairs, which no UTF-8 request can.
    body = body.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    body = body.replace("\r\n", "\n").replace("\r", "\n")
    if body_format == "markdown" and len(body) <= LONGEST_MARKDOWN:
        return _markdown_to_text(body, is_internal)
    return _html_to_text(body, is_internal) if body_format == "html" else _tidy(body)


_INVISIBLE = regex.compile(r"[\s\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\u2800]*")


def is_visible(text: str) -> bool:
    """Return whether anything of a text can be seen: channels refuse what looks empty."""
    return not _INVISIBLE.fullmatch(text)


def _tidy(text: str) -> str:
    """Strip the text, and each line at its end; leave one blank line where there are several."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip()


_BR = re.compile(r"<br\s*/?>", re.IGNORECASE)
_REST_OF_URL = re.compile(r"://[^\s<>\[\]`]*[^\s<>\[\]`*_~.,:;!?'\")]")
_NESTING = 16


def _line_break(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - markdown-it calls it so
    """Inline rule: `<br>` is a line break."""
    match = _BR.match(state.src, state.pos)
    if match is None:
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos = match.end()
    return True


_AS_TYPED = re.compile(
    r"""(?<![\w.+-])[\w.+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)+(?![\w])        # an address of mail
      | (?<![\w*#+])[*#]{1,2}[0-9][0-9*#+]*\#                          # a code to dial
      | (?<![\w.-])_[\w-]*\.[a-z0-9]{1,5}(?![\w])                    # a file, such as __init__.py
      | (?<=[0-9])\*(?=[a-z0-9]) | (?<=[a-z0-9])\*(?=[0-9])          # times""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_BEGUN_ADDRESS = re.compile(
    r"""[("'*_~]*+(?:www\.|(?:[\w-]++\.){1,9}[a-z]{2,24}/)[^\s<>\[\]`]*+$""", re.IGNORECASE
)
_REST_OF_ADDRESS = re.compile(_REST_OF_URL.pattern.removeprefix("://"))
_LOOK_BACK = 200
"""How many characters before a mark it is looked for the beginning of an address."""


def _as_typed(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - markdown-it calls it so
    """Inline rule: marks amid what is no prose are no emphasis, as in `_shop_@example.com` or `30*20*10`."""
    if state.src[state.pos] not in "*_#":
        return False
    match = _AS_TYPED.match(state.src, state.pos)
    before = state.src[max(0, state.pos - _LOOK_BACK) : state.pos]
    if match is None and _BEGUN_ADDRESS.match(re.split(r"\s", before)[-1]):
        match = _REST_OF_ADDRESS.match(state.src, state.pos)
    return _taken(state, match, silent)


def _taken(state: StateInline, match: re.Match[str] | None, silent: bool) -> bool:  # noqa: FBT001
    """Take what matches as it stands. Return whether anything does."""
    if match is None:
        return False
    if not silent:
        state.pending += unescapeAll(match[0])
    state.pos = match.end()
    return True


def _bare_url(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - markdown-it calls it so
    """Inline rule: a URL is no place for emphasis (`https://example.com/_next_/`)."""
    scheme = state.src[max(0, state.pos - 5) : state.pos].lower()
    match = _REST_OF_URL.match(state.src, state.pos) if scheme.endswith(("http", "https")) else None
    return _taken(state, match, silent)


class _Markdown(MarkdownIt):
    """CommonMark with tables and strikethrough, read as people write in a chat: a new line is a new line."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "breaks": True, "maxNesting": _NESTING})
        self.enable(["table", "strikethrough"])
        self.inline.ruler.before("newline", "bare_url", _bare_url)
        self.inline.ruler.before("newline", "as_typed", _as_typed)
        self.inline.ruler.before("autolink", "line_break", _line_break)

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - markdown-it's name
        """Leave an address as the agent typed it: it is for reading, too."""
        return url


_MARKDOWN = _Markdown()


def _markdown_to_text(body: str, is_internal: IsInternal) -> str:
    tokens = _MARKDOWN.parse(body)
    # markdown-it drops what is nested deeper than maxNesting. Nothing an agent wrote may go missing.
    if any(token.level >= _NESTING - 1 for token in tokens):
        return _tidy(body)
    return _html_to_text(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}), is_internal)


# Not html.parser: in Python 3.11 it takes minutes for 100 kB of `<x `, and raises on `<![`. Each loop here is
# possessive (`*+`) or runs up to a character it cannot pass, so that the time grows with the length only.
_MARKUP = re.compile(
    r"""<!--.*?(?:-->|\Z)
      | <(?P<dropped>script|style|head|title|template)(?=[\s/>])[^<>]*>.*?(?:</(?P=dropped)\s*>|(?=<body)|\Z)
      | <(?P<end>/?)(?P<tag>[a-z][a-z0-9:-]*+)(?P<attributes>(?:[^<>"']|"[^"]*+"|'[^']*+')*+)>
      | <[!?][^<>]*>""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""([^\s=/"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"']+))?""")
_PARAGRAPH = re.compile("blockquote|details|dl|fieldset|figure|h[1-6]|hr|ol|p|pre|table|ul")
_LINE = re.compile(
    "address|article|aside|body|caption|center|d[dt]|div|figcaption|footer|form|header|legend|li|main|nav|"
    "option|section|summary|tr"
)
_DEPTH = 40  # Containers deeper than this change nothing: their text goes on in the one around them.


def _html_to_text(source: str, is_internal: IsInternal) -> str:
    writer, position = _Writer(is_internal), 0
    for markup in _MARKUP.finditer(source):
        writer.words(_unescaped(source[position : markup.start()]))
        position = markup.end()
        if not markup["tag"]:
            continue
        if markup["end"]:
            writer.end(markup["tag"].lower())
        else:
            writer.start(markup["tag"].lower(), _attributes(markup["attributes"]))
    writer.words(_unescaped(source[position:]))
    return writer.text()


def _unescaped(source: str) -> str:
    """Read entities. Python reads no number of thousands of digits; one of nine names no character."""
    return html.unescape(re.sub(r"&#[0-9]{9,}+;?", "\ufffd", source))


def _attributes(source: str) -> dict[str, str]:
    found = ((name.lower(), value) for name, value in _ATTRIBUTE.findall(source))
    return {name: _unescaped(value[1:-1] if value[:1] in {"'", '"'} else value) for name, value in found}


@dataclass(slots=True)
class _Container:
    """A block quote, a list or an item of one, while it is open."""

    tag: str
    first: str = ""  # stands before its first line
    rest: str = ""  # stands before its other lines
    number: int = 1  # of the next item


class _Writer:
    """Writes lines of plain text, from the tags and the words of an HTML document in their order."""

    def __init__(self, is_internal: IsInternal) -> None:
        self._is_internal = is_internal
        self._lines: list[str] = []
        self._line: list[str] = []  # the pieces of the line that is being written
        self._containers: list[_Container] = []
        self._blank: int | None = None  # a blank line comes next, in so many block quotes
        self._link: tuple[str, int] | None = None  # its address, and where in the line it starts
        self._verbatim = 0  # how many <pre> and <code> are open
        self._cells: int | None = None  # how many cells the row has so far; None outside of cells

    def text(self) -> str:
        """Return what was written."""
        self._end_link()
        self._cells = None
        self._end_line()
        return "\n".join(self._lines).strip()

    def words(self, text: str) -> None:
        """Write text; white space counts as HTML has it."""
        text = text.replace("\xa0", " ")
        if self._verbatim:
            self._write_verbatim(text)
            return
        text = re.sub(r"[ \t\n\f]+", " ", text)
        if not self._line or self._line[-1].endswith(" "):
            text = text.removeprefix(" ")
        if text:
            self._line.append(text)

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take a start tag. Tags that mean nothing to plain text are passed over."""
        if tag in {"table", "tr"}:
            self._cells = None
        self._end_block(tag)
        match tag:
            case "br":
                self._break()
            case "hr":
                self._line.append("———")
                self._end_block(tag)
            case "img":
                self.words(_image_text(attributes, self._is_internal))
            case "a":
                self._end_link()
                address = _address(attributes.get("href", ""))
                self._link = ("" if self._is_internal(address, "a") else address, len(self._line))
            case "td" | "th":
                self._start_cell()
            case "pre" | "code":
                self._verbatim += 1
            case "blockquote" | "ul" | "ol" | "li":
                self._open(tag, attributes)

    def end(self, tag: str) -> None:
        """Take an end tag, with or without its start tag."""
        if tag == "a":
            self._end_link()
        elif tag in {"pre", "code"}:
            self._verbatim = max(0, self._verbatim - 1)
        elif tag in {"table", "tr"}:
            self._cells = None
        elif tag in {"blockquote", "ul", "ol", "li"}:
            self._end_line()
            self._close(tag)
        self._end_block(tag)

    def _write_verbatim(self, text: str) -> None:
        for number, line in enumerate(text.split("\n")):
            if number:
                self._break()
            self._line.append(line)

    def _break(self) -> None:
        if "".join(self._line).strip() or self._cells is not None:
            self._end_line()
        else:
            self._ask_blank()

    def _end_block(self, tag: str) -> None:
        if _PARAGRAPH.fullmatch(tag):
            self._end_line()
            # Lists are written tight: many editors put each item into a paragraph of its own.
            if not any(container.tag == "li" for container in self._containers):
                self._ask_blank()
        elif _LINE.fullmatch(tag):
            self._end_line()

    def _ask_blank(self) -> None:
        quotes = sum(container.tag == "blockquote" for container in self._containers)
        self._blank = quotes if self._blank is None else min(self._blank, quotes)

    def _end_line(self) -> None:
        if self._cells is not None:
            self.words(" ")
            return
        text = "".join(self._line).rstrip()
        self._line.clear()
        if self._link:
            self._link = (self._link[0], 0)
        if text:
            self._write_line(text)

    def _write_line(self, text: str) -> None:
        if self._blank is not None and self._lines:
            self._lines.append(("> " * self._blank).rstrip())
        self._blank = None
        self._lines.append("".join(container.first for container in self._containers) + text)
        for container in self._containers:
            container.first = container.rest

    def _end_link(self) -> None:
        address, start = self._link or ("", 0)
        self._link = None
        if not address:
            return
        written = "".join(self._line[start:])
        label = written.strip()
        shown = address if _bare(label) in {"", _bare(address)} else f"{label} ({address})"
        self._line[start:] = [written.replace(label, shown, 1) if label else f"{written}{shown} "]

    def _start_cell(self) -> None:
        if self._cells:
            if self._line:
                self._line[-1] = self._line[-1].rstrip()
            self._line.append(" | ")
        self._cells = (self._cells or 0) + 1

    def _open(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "li":
            self._close("li")
        if len(self._containers) >= _DEPTH:
            return
        container = _Container(tag)
        if tag == "blockquote":
            container.first = container.rest = "> "
        elif tag == "ol":
            container.number = _number(attributes.get("start", ""))
        elif tag == "li":
            container.first, container.rest = self._marker(), "  "
        self._containers.append(container)

    def _marker(self) -> str:
        if not self._containers or self._containers[-1].tag != "ol":
            return "• "
        self._containers[-1].number += 1
        return f"{self._containers[-1].number - 1}. "

    def _close(self, tag: str) -> None:
        """Close the innermost container of this tag. An item ends within its list only."""
        for index in reversed(range(len(self._containers))):
            if self._containers[index].tag == tag:
                del self._containers[index:]
                return
            if tag == "li" and self._containers[index].tag in {"ul", "ol"}:
                return


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 1


def _address(href: str) -> str:
    """Return the address that a person can use: of the web, or bare, of mail or telephone; else empty."""
    href = re.sub(r"[\t\n]", "", href).strip().replace(" ", "%20")
    if href.startswith("//"):
        return f"https:{href}"
    if _BARE_HOST.match(href):
        return href
    scheme, _, rest = href.partition(":")
    match scheme.lower():
        case "http" | "https":
            return href
        case "mailto" | "tel" | "sms":
            return unquote(rest.partition("?")[0])
    return ""


# An address of the web without its scheme, as agents type them; what ends like a file is one beside the page.
_BARE_HOST = re.compile(
    r"www\.[\w-]+\.\w|(?!(?:[\w-]+\.){1,9}(?:html?|php|aspx?|pdf|docx?|xlsx?|txt|csv|zip|png|jpe?g|gif|svg|webp|mp[34])"
    r"(?:[?#]|$))(?:[\w-]+\.){1,9}[^\W\d_]{2,24}(?::[0-9]+)?(?:[/?#]|$)",
    re.IGNORECASE,
)


def _bare(address: str) -> str:
    """Return an address in a form that is the same for all ways to write it."""
    address = re.sub(r"^(https?://|mailto:|tel:|sms:)|[\s()-]", "", unquote(address).casefold())
    return address.rstrip("/")


def _image_text(attributes: Mapping[str, str], is_internal: IsInternal) -> str:
    """Show a picture by its name and its address; an emoji as a character, a dot not at all."""
    if _is_dot(attributes):
        return ""
    name, source = attributes.get("alt", "").strip(), attributes.get("src", "").strip()
    address = _address(source) if re.match("https?:|//", source, re.IGNORECASE) else ""
    if is_internal(source, "img") or (name and _stands_for_a_character(name, attributes)):
        address = ""
    return f"{name} ({address})" if name and address else name or address


def _is_dot(attributes: Mapping[str, str]) -> bool:
    """Return whether a picture is not to be seen, as those are that count who reads a mail."""
    sizes = {attributes.get(name, "").strip().lower().removesuffix("px") for name in ("width", "height")}
    style = re.sub(r"\s", "", attributes.get("style", "").lower())
    return bool(sizes & {"0", "1"}) or bool(
        re.search(r"(^|;)(display:none|(width|height):[01](px)?(;|$))", style)
    )


def _stands_for_a_character(name: str, attributes: Mapping[str, str]) -> bool:
    """Return whether a picture is an emoji, as editors put them in."""
    return "emoji" in attributes.get("class", "").lower() or not re.search(r"[^\W_]", name)
