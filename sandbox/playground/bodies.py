"""What a comment says as a tree of few elements, which the page builds without reading any HTML."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from sandbox.staff import SeenComment, SeenFile

Node = str | list[Any]
"""A text, or `[element, attribute, *children]`; the attribute is a link's address, or the id of a file."""

ELEMENTS = frozenset(
    {"p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "hr"}
    | {"table", "thead", "tbody", "tr", "th", "td"}
)
CODE = {"code_inline": "code", "code_block": "pre", "fence": "pre"}
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
# Raw HTML is shown, never passed on.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "maxNesting": 100}).enable(["table", "strikethrough"])


def nodes_of(comment: SeenComment) -> tuple[list[Node], list[SeenFile]]:
    """Return what a comment says, and those of its files that it does not name."""
    if comment.text_format != "markdown":
        return [["p", "as-written", comment.text]] if comment.text else [], list(comment.files)
    files = {_MARKDOWN.normalizeLink(file.url): file for file in comment.files}
    tree, named = SyntaxTreeNode(_MARKDOWN.parse(comment.text)), set[str]()
    nodes = _children(tree, files, named)
    return nodes, [file for url, file in files.items() if url not in named]


def _node(node: SyntaxTreeNode, files: Mapping[str, SeenFile], named: set[str]) -> Node:
    address = str(node.attrs.get("href" if node.type == "link" else "src") or "")
    if address in files:
        named.add(address)
        return ["file", files[address].id]
    if node.type in ("image", "link"):
        return _link(address, _children(node, files, named) or [address])
    if node.type == "softbreak":
        return "\n"
    if node.type in CODE:
        return [CODE[node.type], "", node.content]
    if not node.tag:
        return node.content
    tag = "strong" if node.tag in HEADINGS else node.tag
    return [tag if tag in ELEMENTS else "span", "", *_children(node, files, named)]


def _children(node: SyntaxTreeNode, files: Mapping[str, SeenFile], named: set[str]) -> list[Node]:
    found: list[Node] = []
    for child in node.children:
        found += _children(child, files, named) if child.type == "inline" else [_node(child, files, named)]
    return [one for one in found if one]


def _link(address: str, label: Sequence[Node]) -> Node:
    """Return a link, or only its label where it leads nowhere on the web."""
    is_web = urlsplit(address).scheme in {"http", "https", "mailto"}
    return ["a", address, *label] if is_web else ["span", "", *label]
