"""A customer's text stays text, whatever renders the markdown: it makes no tag, picture or foreign link."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import cmarkgfm
import commonmark
import markdown
import mistune
import pytest
from cmarkgfm.cmark import Options
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from clients.helpdesks.django_texts import for_its_markdown
from clients.text.markdown import image, link, to_markdown

FOLDER = Path(__file__).parents[2] / "renderers"
Rendered = Mapping[str, str]
Render = Callable[[str], Rendered]

STRUCTURE = frozenset(
    [
        "p",
        "br",
        "em",
        "strong",
        "del",
        "s",
        "code",
        "pre",
        "ul",
        "ol",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "blockquote",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    ]
)
"""What a text may become at worst, as some renderers know marks of their own. None of it runs or loads."""
HARMLESS = frozenset({"id", "align", "start", "class", "style"})
"""Attributes that a renderer makes by itself on structure; their values are looked at as well."""

FRAGMENTS = [
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<script>",
    "</p>",
    "<!--",
    "-->",
    "<?php",
    "<a href=//e>",
    "<javascript:alert(1)>",
    "<http://e.example>",
    "javascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "![p](http://evil/p.png)",
    "![p] (http://evil/p.png)",
    "![p][r]",
    "![",
    "[a](javascript:alert(1))",
    "[r]: http://evil",
    "[^1]",
    "[^1]: x",
    "*[HTML]: x",
    "{: onclick=x}",
    "{onclick=x}",
    "http://x/",
    "https://x/?a=1&b=2",
    "www.x.pl/",
    "ftp://x/",
    "mailto:a@b.c",
    "a@b.example",
    "xmpp:a@b.c",
    "//x/",
    "&lt;",
    "&#60;",
    "&colon;",
    "\\",
    "`",
    "``",
    "```",
    "~~~",
    "*",
    "**",
    "_",
    "__",
    "~~",
    "|",
    "|-|-|",
    "\n",
    "\n\n",
    "    ",
    "\t",
    "> ",
    "# ",
    "#",
    "- ",
    "1. ",
    "===",
    "---",
    ": ",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    '"',
    "'",
    "$",
    "!",
    "a",
    "1",
    " ",
    "@me",
    "$$",
    "<b",
    "x.com",
    "http:/\\x",
    "\x0b",
]
HOSTILE = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=9).map("".join)
KNOWN = [
    "http://x/<img src=x onerror=alert(1)>",
    "www.x.pl/<svg onload=alert(1)>",
    "https://a.b/<javascript:alert(1)>",
    "http://x/![p](http://evil/p.png)",
    "![p] (http://evil/p.png)",
    "a@b.example<img src=x onerror=alert(1)>",
    "[x]\n(http://evil)![p]\n(http://evil/p.png)",
    "http://x/`<img src=x onerror=alert(1)>`",
    "#<img src=x onerror=alert(1)>",
    "!http://x/&lt;",
    "<img src=x>{: onclick=x}",
    "*a*{onclick=x}",
]


class Elements(HTMLParser):
    """Collects the elements of HTML as a browser would make them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


class Node:
    """The renderers of Node, in a process that stays."""

    def __init__(self) -> None:
        node = shutil.which("node")
        assert node, "node is missing; install it (on Debian and Ubuntu: apt install nodejs npm)"
        self._process = subprocess.Popen(
            [node, "render.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, text: str) -> Rendered:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        rendered: Rendered = json.loads(self._process.stdout.readline())
        return rendered

    def close(self) -> None:
        with self._process:
            self._process.terminate()


_it = MarkdownIt("gfm-like", {"html": True, "breaks": True})
_mistune = mistune.create_markdown(
    escape=False, plugins=["url", "strikethrough", "table", "footnotes", "task_lists", "def_list", "abbr"]
)
_unsafe = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
IN_PYTHON: dict[str, Callable[[str], str]] = {
    "markdown-it-py": _it.render,
    "mistune": lambda text: str(_mistune(text)),
    "Python-Markdown": markdown.markdown,
    "Python-Markdown with extra": lambda text: markdown.markdown(
        text, extensions=["extra", "nl2br", "sane_lists"]
    ),
    "django-helpdesk": lambda text: markdown.markdown(
        for_its_markdown(text), extensions=["markdown.extensions.nl2br", "markdown.extensions.fenced_code"]
    ),
    "cmark": lambda text: cmarkgfm.markdown_to_html(text, options=_unsafe),
    "cmark-gfm": lambda text: cmarkgfm.github_flavored_markdown_to_html(text, options=_unsafe),
    "commonmark.py": commonmark.commonmark,
}


@pytest.fixture(scope="module")
def render() -> Iterator[Render]:
    """Give a function that renders markdown with everything there is."""
    node = Node()
    yield lambda text: {name: one(text) for name, one in IN_PYTHON.items()} | dict(node(text))
    node.close()


def dangers(rendered: Rendered, typed: str) -> list[str]:
    """Return what a text became that it must not, by renderer."""
    return [
        f"{name}: {tag} {attributes} in {source!r}"
        for name, source in rendered.items()
        for tag, attributes in Elements(source).found
        if not _is_harmless(tag, attributes, typed)
    ]


def _is_harmless(tag: str, attributes: Mapping[str, str], typed: str) -> bool:
    if tag == "a":
        return attributes.keys() <= {"href", "rel", "title"} and _leads_where_it_says(
            attributes.get("href", ""), typed
        )
    quiet = all(
        name in HARMLESS and ":" not in value.replace("text-align:", "") for name, value in attributes.items()
    )
    return tag in STRUCTURE and quiet


def _leads_where_it_says(href: str, typed: str) -> bool:
    # cmark-gfm takes what stands before `mailto:` or `xmpp:` for a part of it, scheme or not.
    if re.fullmatch(r"[\w.+-]+(mailto|xmpp):[^:]+@[^:]+", href, re.IGNORECASE | re.DOTALL):
        return True
    if "@" in href and not re.match(r"[a-z][a-z0-9+.-]*:", href, re.IGNORECASE):
        return True
    scheme, _, rest = href.partition(":")
    if scheme.lower() not in {"http", "https", "mailto", "ftp", "xmpp"} or not rest:
        return False
    host = re.sub(r"[^\w.@-].*", "", unquote(rest.lstrip("/")), flags=re.DOTALL)
    return host.lower() in unquote(typed).lower()


@pytest.mark.parametrize("text", KNOWN)
def test_a_text_that_was_live_is_text(render: Render, text: str) -> None:
    assert dangers(render(to_markdown(text)), text) == []


@pytest.mark.parametrize("text", KNOWN)
def test_a_label_that_was_live_is_text(render: Render, text: str) -> None:
    assert dangers(render(link(text, "https://desk.example/1")), f"{text} desk.example") == []


@pytest.mark.parametrize("text", ["# a", "> a", "~~~a", "- a", "***"])
def test_what_stands_behind_a_byte_order_mark_is_text(render: Render, text: str) -> None:
    for name, source in render(to_markdown(f"\ufeff{text}")).items():
        assert {tag for tag, _ in Elements(source).found} == {"p"}, name


@pytest.mark.parametrize("address", ["a\n# b", "a\n: b", "a\n\n- b", "a\n|-|-|", "a\r\n\r\n***"])
def test_an_address_of_several_lines_without_a_title_is_one_link(render: Render, address: str) -> None:
    for write, made in ((link, {"p", "a"}), (image, {"p", "img"})):
        for name, source in render(write("\x1c", f"https://desk.example/{address}")).items():
            assert {tag for tag, _ in Elements(source).found} == made, name


def test_a_picture_whose_name_looks_like_a_footnote_is_a_picture(render: Render) -> None:
    for name, source in render(image("^1", "https://desk.example/1.png")).items():
        assert [tag for tag, _ in Elements(source).found if tag != "p"] == ["img"], name


@settings(derandomize=True, max_examples=700, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HOSTILE)
def test_no_text_becomes_a_tag_a_picture_or_a_foreign_link(render: Render, text: str) -> None:
    assert dangers(render(to_markdown(text)), text) == []


@settings(derandomize=True, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HOSTILE)
@example("HTTP://X/</")
@example("\\http://x/&lt;")
@example("[^]:]")
@example("ftp://x/<")
def test_a_text_is_seen_as_it_was_typed(render: Render, text: str) -> None:
    rendered = render(to_markdown(text))
    for name in ("cmark", "cmark-gfm", "commonmark.js", "marked", "markdown-it-py"):
        shown = Elements(rendered[name])
        assert {tag for tag, _ in shown.found} <= {"p", "br", "a"}, name
        assert "".join(shown.text.split()) == "".join(text.split()), name


@settings(derandomize=True, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=HOSTILE, address=HOSTILE)
def test_no_label_and_no_address_becomes_more_than_a_link(render: Render, label: str, address: str) -> None:
    markdown = link(label, f"https://desk.example/{address}")

    assert dangers(render(markdown), f"{label} desk.example {address}") == []


@settings(derandomize=True, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=HOSTILE)
def test_an_image_is_one_picture_and_nothing_else(render: Render, name: str) -> None:
    for renderer, source in render(image(name, "https://desk.example/1.png")).items():
        found = [(tag, one.get("src"), sorted(one)) for tag, one in Elements(source).found if tag != "p"]
        assert found == [("img", "https://desk.example/1.png", ["alt", "src"])], renderer


@pytest.mark.parametrize("name", ["markdown-it", "cmark-gfm", "marked"])
def test_a_bare_address_is_a_link_that_leads_there(render: Render, name: str) -> None:
    found = Elements(render(to_markdown("zobacz www.example.com/_promo_/x"))[name]).found

    assert ("a", {"href": "http://www.example.com/_promo_/x"}) in found
