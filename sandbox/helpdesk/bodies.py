"""What somebody wrote, as HTML: markdown with the files that it names, any other format as it is."""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from itertools import takewhile

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sandbox.helpdesk.shapes import Json

INLINE_BYTES = 1024 * 1024
Read = Callable[[str], tuple[str, bytes]]
# Raw HTML is shown, never passed on. What is nested deeper than `maxNesting` would be dropped.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "maxNesting": 1000}).enable(["table", "strikethrough"])


def body_html(written: Json, read: Read) -> str:
    """Return the body of a ticket or comment with its files, below it those that it does not name.

    `read` gives an attachment's media type and bytes by its id.
    """
    files = {_MARKDOWN.normalizeLink(one["url"]): one for one in written["attachments"]}
    if written["body_format"] != "markdown":
        return f'<div class="as-written">{escape(written["body"])}</div>{_below(files.values(), read)}'
    tokens, named = _MARKDOWN.parse(written["body"]), set[str]()
    for token in tokens:
        token.children = token.children and list(_with_files(token.children, files, named, read))
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return str(html) + _below([one for url, one in files.items() if url not in named], read)


def _with_files(
    tokens: Sequence[Token], files: dict[str, Json], named: set[str], read: Read
) -> Iterator[Token]:
    """Yield the parts of a line, files in the place of links to them; add their addresses to `named`."""
    rest = iter(tokens)
    for token in rest:
        address = str(token.attrGet("href" if token.type == "link_open" else "src") or "")
        if address in files:
            named.add(address)
            parts = [token] if token.type == "image" else takewhile(_is_label, rest)
            yield _html(file_html(files[address], "".join(one.content for one in parts), read))
        elif token.type == "image":  # somewhere else, where the browser must not ask for it
            yield _html(f'<a href="{escape(address)}">{escape(token.content or address)}</a>')
        else:
            yield token


def _is_label(token: Token) -> bool:
    return token.type != "link_close"


def _html(html: str) -> Token:
    return Token("html_inline", "", 0, content=html)


def _below(files: Iterable[Json], read: Read) -> str:
    return "".join(f"<p>{file_html(one, one['filename'], read)}</p>" for one in files)


def file_html(file: Json, label: str, read: Read) -> str:
    """Return a picture, unless it is a large one, or the label of a file with its type and size."""
    if file["content_type"].startswith("image/") and file["size"] <= INLINE_BYTES:
        media_type, content = read(file["id"])
        data = base64.b64encode(content).decode()
        return f'<img alt="{escape(label)}" src="data:{escape(media_type)};base64,{data}">'
    about = f"{file['content_type']}, {_size(file['size'])}"
    return f'<span class="file">{escape(label)} <small>{escape(about)}</small></span>'


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1e3:.0f} kB" if size < 1_000_000 else f"{size / 1e6:.1f} MB"
