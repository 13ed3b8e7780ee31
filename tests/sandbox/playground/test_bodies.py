"""A comment's text becomes a tree of few elements, in which nothing is code."""

import pytest

from sandbox.playground.bodies import Node, nodes_of
from sandbox.staff import SeenComment, SeenFile

FILE = SeenFile("3", "http://127.0.0.1:9002/files/3/a.png", "a.png", "image/png", 67, "")


def nodes(text: str, text_format: str = "markdown", *files: SeenFile) -> list[Node]:
    return nodes_of(comment(text, text_format, *files))[0]


def comment(text: str, text_format: str, *files: SeenFile) -> SeenComment:
    return SeenComment("1", "agent", text, text_format, False, files)  # type: ignore[arg-type]


def test_markdown_becomes_elements() -> None:
    assert nodes("Hello **Anna**\n\n1. one") == [
        ["p", "", "Hello ", ["strong", "", "Anna"]],
        ["ol", "", ["li", "", ["p", "", "one"]]],
    ]


def test_a_heading_is_strong_and_code_is_text() -> None:
    assert nodes("# Big\n\n`<b>`\n\n    <i>") == [
        ["strong", "", "Big"],
        ["p", "", ["code", "", "<b>"]],
        ["pre", "", "<i>\n"],
    ]


def test_html_is_text() -> None:
    assert nodes("<script>alert(1)</script>") == [["p", "", "<script>alert(1)</script>"]]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "intent:x", "ftp://x"])
def test_an_address_that_is_not_of_the_web_is_no_link(address: str) -> None:
    assert "a" not in tags(nodes(f"[here]({address}) ![x]({address})"))


def tags(found: list[Node]) -> list[str]:
    inner = [tag for node in found if isinstance(node, list) for tag in tags(node[2:])]
    return [str(node[0]) for node in found if isinstance(node, list)] + inner


def test_a_picture_of_elsewhere_is_a_link_that_nobody_fetches() -> None:
    assert nodes("![x](https://example.com/i.png)") == [["p", "", ["a", "https://example.com/i.png", "x"]]]


def test_a_file_that_is_named_stands_where_it_is_named() -> None:
    found, rest = nodes_of(comment(f"![a.png]({FILE.url}) and", "markdown", FILE))
    assert found == [["p", "", ["file", "3"], " and"]]
    assert rest == []


def test_a_file_that_is_not_named_stands_below() -> None:
    found, rest = nodes_of(comment("see", "markdown", FILE))
    assert (found, rest) == ([["p", "", "see"]], [FILE])


def test_what_is_not_markdown_is_shown_as_written() -> None:
    assert nodes("**a**\n<b>", "html") == [["p", "as-written", "**a**\n<b>"]]
