"""A person's text, and links to what they sent, become markdown."""

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, urlsplit

from clients.text.line import one_line

# What CommonMark and GitHub's extensions act on, each alternative in the only places where they do. Lines are
# stripped before, so that none is indented code.
_ACTIVE = r"""
    ^\#                                         # heading; some need no space behind it
  | ^>                                          # block quote
  | ^[-+*](?=\s|$) | ^[0-9]{1,9}[.)](?=\s|$)    # list item
  | ^(?:-|\*+|_+)(?=[-*_ \t]*$)                # thematic break
  | (?<=\n)[-=|:](?=[-=|: \t]*$)                # underline of a heading, second line of a table
  | ^`{3,} | ^~{3,}                             # fence
  | (?P<run>\*+|_+|~+|`+)                       # emphasis, strikethrough, code: see _acts
  | !(?=\[|https?://|www\.)                     # image; an address may become a link
  | (?<=ftp):(?=//)                             # an address that we make no link of
  | \[(?=\^)                                    # footnote
  | \](?=[ \t]*\n?[ \t]*[(\[:]|\{)              # link, reference, attributes
  | (?:^|(?<=\S))\{                             # attributes
  | ^:(?=\s)                                    # definition
  | <(?=[a-z/!?$]|[^\s<>]{1,64}@)               # HTML, autolink
  | &(?=\#?\w{1,32};)                           # entity
  | \\(?=[!-/:-@\[-`{-~]|$|https?://|www\.)    # escape, hard break; an address may become a link
"""
_FLAGS = re.VERBOSE | re.MULTILINE | re.IGNORECASE
_SPECIAL = re.compile(_ACTIVE, _FLAGS)
_URL = r"(?P<url>(?:https?://|www\.)(?:[^\s<>()]|\([^\s<>()]*\))*(?:[^\s<>()?!.,:*~'\"\]]|\([^\s<>()]*\)))"
_SPECIAL_OR_URL = re.compile(rf"{_URL} | {_ACTIVE}", _FLAGS)
_AFTER_URL = re.compile(r"\S{0,100}")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
# In what is taken for a bare URL, as by GitHub's extension, a backslash is a part of it and protects nothing.
_ENTITIES = {
    "<": "&lt;",
    "{": "&#123;",
    ">": "&gt;",
    "&": "&amp;",
    "[": "&#91;",
    "]": "&#93;",
    "!": "&#33;",
    ":": "&#58;",
    '"': "&quot;",
    "^": "&#94;",
}
# Of each mark: what may open something, and what may close it.
_PAIRS = {
    "*": (re.compile(r"(?<!\*)\*++(?=[^ \n])"), re.compile(r"(?<=[^ \n*])\*")),
    "~": (re.compile(r"(?<!~)~++(?=[^ \n])"), re.compile(r"(?<=[^ \n~])~")),
    "_": (re.compile(r"(?<!\w)_++(?=[^ \n])"), re.compile(r"(?<=[^ \n_])_")),
    "`": (re.compile(r"`++"), re.compile(r"`")),
}


def to_markdown(text: str) -> str:
    """Write a person's text as markdown that renders as it was typed, line by line, blank lines kept.

    Only what CommonMark, GitHub's extensions or older dialects would act on is escaped; a URL that they would
    act on becomes a link to itself, which works everywhere. White space at the ends of lines is dropped.
    """
    text = re.sub(r"\A[\s\ufeff]+", "", text)  # a byte order mark is none of the first line's to renderers
    text = "\n".join(line.strip() for line in text.splitlines())
    escaped = _SPECIAL_OR_URL.sub(_escape(text), text)
    return re.sub(r"(?<=[^\n])\n(?=[^\n])", "  \n", escaped)


def _escape(text: str) -> Callable[[re.Match[str]], str]:
    """Return what escapes each match of `_SPECIAL_OR_URL` in this text."""
    pairs = _pairs(text)

    def escape(match: re.Match[str]) -> str:
        if "url" in match.re.groupindex and match["url"]:
            # Renderers that look for bare URLs take what follows for a part of it, up to a space.
            near = match[0] + _AFTER_URL.match(text, match.end())[0]  # type: ignore[index]  # it always does
            return match[0] if _SPECIAL.sub(escape, near) == near else _link_to_itself(match[0])
        if match["run"] and not _acts(match, pairs):
            return match[0]
        return _PUNCTUATION.sub(_escaped, match[0])

    return escape


def _escaped(mark: re.Match[str]) -> str:
    return _ENTITIES.get(mark[0], f"\\{mark[0]}")


def _link_to_itself(url: str) -> str:
    return link(url, f"http://{url}" if url.lower().startswith("www.") else url)


def _pairs(text: str) -> set[str]:
    """Return the marks that may open something in this text that a later one closes."""
    marks = set()
    for mark, (opener, closer) in _PAIRS.items():
        opening = opener.search(text)
        if opening and closer.search(text, opening.end()):
            marks.add(mark)
    return marks


def _acts(run: re.Match[str], pairs: set[str]) -> bool:
    """Return whether a run of one mark may open or close something: not alone, not amid a word if `_`."""
    if run[0][0] not in pairs:
        return False
    before = run.string[max(0, run.start() - 1) : run.start()] or " "
    after = run.string[run.end() : run.end() + 1] or " "
    if run[0][0] == "_" and before.isalnum() and after.isalnum():
        return False
    return run[0][0] == "`" or before not in " \n" or after not in " \n"


_NAMED = re.compile(r"(?<=://)[\w-]++(?:\.[\w-]++)*+|(?<![\w-])[\w-]++(?:\.[\w-]++)++")


def preview(title: str, url: str) -> str:
    """Write the link of a preview that a person sent.

    If anything in the title looks like the name of another host than the one it leads to, that host is told
    too, in ASCII (RFC 5890). Full stops of other scripts (RFC 3490, 3.1) count as dots, and characters that
    are not seen do not count.
    """
    host = _host(url)
    seen = "".join(char for char in title if unicodedata.category(char) not in {"Cc", "Cf"})
    read = unicodedata.normalize("NFKC", seen).replace("\u3002", ".").casefold()
    names = {name.removeprefix("www.") for name in _NAMED.findall(read)}
    if title.strip() == url.strip() or not names - {host.removeprefix("www.")}:
        return link(title, url)
    return link(f"{title} ({_ascii(host) or url})", url)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


_LABEL = re.compile(r"[\\`*~\[\]<>\"]|^\^|!(?=\[)|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w{1,32};)")
_UNSAFE_IN_URL = re.compile(r"[\x00-\x20\x7f()<>\[\]\"`\\\s]")


def link(label: str, url: str) -> str:
    """Write a markdown link. A URL that is not of the web, a place, mail or telephone is shown as text."""
    label = one_line(label) or one_line(url)
    target = _target(url)
    return f"[{_label(label)}]({target})" if target else to_markdown(f"{label} ({url.strip()})")


def image(name: str, url: str) -> str:
    """Write a markdown image; what kinds of URL count is as in `link`."""
    if not _target(url):
        return link(name, url)
    # Showdown looks for addresses in the HTML that it made, even in attributes.
    shown = _label(one_line(name) or one_line(url))
    return f"![{_ADDRESSES.sub(_entity, shown)}]({_target(url)})"


_ADDRESSES = re.compile(r":(?=//)|(?<=www)\.|@", re.IGNORECASE)


def _entity(char: re.Match[str]) -> str:
    return f"&#{ord(char[0])};"


def _label(text: str) -> str:
    escaped = _LABEL.sub(_escaped, text)
    # markdown-it takes a backslash for a part of an address, even in a label: behind a word of five letters.
    return escaped.replace("://", "&#58;//") if "\\" in escaped else escaped


def _target(url: str) -> str:
    """Return a URL as it may stand between the parentheses of a link, or nothing if it may not."""
    if not re.match(r"(https?|geo|mailto|tel):", url.strip(), re.IGNORECASE):
        return ""
    encoded = _UNSAFE_IN_URL.sub(lambda match: quote(match[0], safe=""), url.strip())
    return re.sub(r"&(?=#?\w{1,32};)", "&amp;", encoded)
