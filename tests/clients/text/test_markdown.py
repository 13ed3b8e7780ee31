"""What persons write, as markdown that shows it as typed; links, previews, names."""

import html
import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from clients.text.line import one_line
from clients.text.markdown import image, link, preview, to_markdown
from clients.text.plain import to_plain_text
from tests.fakes.texts import MARKS, grows_evenly

COMMONMARK = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ORDINARY = [
    "Hi! Is order #123 ready? It's 5 < 6 & 50% off :) a_b_c e-mail: x@y.z - thanks",
    "Dzień dobry, gdzie jest moja paczka nr 4_5? (zamówiona 12.03) ...",
    "مرحبا، أين طلبي؟",
    "I <3 it 👩‍👩‍👧 :-* -- 10/10!",
    "2 * 3 * 4 = 24, C:\\dir, it`s ~5 zł [sic] {x} $1 ^_^ AT&T",
    "https://example.com/a_b?x=1&y=2#z and https://en.wikipedia.org/wiki/A_(b).",
    "+48 601 100 200",
    "-5 degrees",
    "3.5 kg",
    "first\n\nsecond\n\n\nthird",
    ":-|",
]


@pytest.mark.parametrize(
    "piece", ["*", "`", "https://", "*a ", "<", "_a", "](", "\n>", "1.", "http://a<", "*_"]
)
def test_a_hostile_text_becomes_markdown_in_proportion_to_its_length(piece: str) -> None:
    assert grows_evenly(lambda length: to_markdown(piece * (length // len(piece))))


@pytest.mark.parametrize("piece", ["a.", "a", "-", "a..", "://", "www."])
def test_a_hostile_title_becomes_a_link_in_proportion_to_its_length(piece: str) -> None:
    assert grows_evenly(lambda length: preview(piece * (length // len(piece)), "https://x.y"))


def _rendered(markdown: str) -> str:
    """What a reader of the markdown sees; any tag but a paragraph, a hard break or a link stays in it."""
    text = COMMONMARK.render(markdown).replace("</p>\n<p>", "\n\n").replace("<br />\n", "\n")
    text = re.sub(r'^<p>|</p>$|<a href="[^"]*">|</a>', "", text.strip())
    return html.unescape(text)


def _seen(text: str) -> str:
    lines = "\n".join(re.sub(r"[ \t]+", " ", line.strip()) for line in text.splitlines()).strip()
    return re.sub(r"\n{3,}", "\n\n", lines)


@given(MARKS | st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@example("a\n---|")
@example("a|b\n:-|-")
@example("*\x1fa*")
@example("[a\n]: b")
@example("<1@b.c>")
@example("** *")
@example("```\na")
@example("~~~\na")
@example("` `")
@example("a\\\nb")
@example("https://x.y/*a*b")
@example("a https://x.y/*a https://x.y/*b")
@example("https://x.y/*a_\\*&lt;`")
@example("a ~~~^\n~~~^")
@example("_]\n__")
@example("http://__a__")
@example("\\http://x/*a*")
@example("\\www.x.pl/*a*")
def test_markdown_renders_as_it_was_typed(text: str) -> None:
    assert _seen(_rendered(to_markdown(text))) == _seen(text)


@given(MARKS)
def test_what_a_person_typed_survives_both_ways(text: str) -> None:
    assert _seen(to_plain_text(to_markdown(text), "markdown")) == _seen(text)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays_unchanged(text: str) -> None:
    assert to_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("**a** b", r"\*\*a\*\* b"),
        ("_a b_c d_ * e", r"\_a b_c d\_ * e"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("1. a", r"1\. a"),
        ("> a", "&gt; a"),
        ("[a](b)", "[a&#93;(b)"),
        ("![a] (b)", "&#33;[a&#93; (b)"),
        ("#a", r"\#a"),
        ("<b>", "&lt;b>"),
        ("&lt;", "&amp;lt;"),
        ("a\n    b", "a  \nb"),
        (
            "https://x.y/_a_ (https://x.y/*b) c*",
            r"[https&#58;//x.y/\_a\_](https://x.y/_a_) ([https&#58;//x.y/\*b](https://x.y/*b)) c\*",
        ),
        ("see https://x.y/*a*(b).", r"see [https&#58;//x.y/\*a\*(b)](https://x.y/*a*%28b%29)."),
        ("www.example.com/_a_/x", r"[www.example.com/\_a\_/x](http://www.example.com/_a_/x)"),
    ],
)
def test_only_what_markdown_acts_on_is_escaped(text: str, markdown: str) -> None:
    assert to_markdown(text) == markdown


def test_a_link_keeps_its_label_and_address() -> None:
    assert link("photo_1.jpg", "https://x.y/a?b=1&c=2") == "[photo_1.jpg](https://x.y/a?b=1&c=2)"
    assert image("a\n[b]", "https://x.y/a b(1).png") == "![a &#91;b&#93;](https://x.y/a%20b%281%29.png)"
    assert link("Kraków", "geo:50.06,19.94") == "[Kraków](geo:50.06,19.94)"
    assert link("a", "https://x.y/?b&copy;") == "[a](https://x.y/?b&amp;copy;)"
    assert link("", "https://x.y") == "[https://x.y](https://x.y)"


@pytest.mark.parametrize("write", [link, image])
def test_other_schemes_are_shown_as_text(write: Callable[[str, str], str]) -> None:
    assert write("*x*", "javascript:alert(1)") == r"\*x\* (javascript:alert(1))"


@given(MARKS, MARKS.map("https://x.y/".__add__))
def test_any_label_and_address_make_one_link(label: str, url: str) -> None:
    tokens = COMMONMARK.parseInline(link(label, url))[0].children or []
    assert [token.type for token in (tokens[0], tokens[-1])] == ["link_open", "link_close"]
    assert "".join(token.content for token in tokens) == " ".join(label.split()) or url


@pytest.mark.parametrize(
    "title",
    [
        "https://bank.example",
        "https://bank.example.",
        "Log in at bank.example!",
        "(bank.example)",
        "https://bank\u200b.example/",
        "bank\u200b.example",
        "bank\uff0eexample",
        "bank\u3002example",
        "https://www.bank.example@evil.example/",
        "http://10.0.0.1/",
        "http://intranet/",
    ],
)
def test_a_preview_that_names_another_address_shows_where_it_leads(title: str) -> None:
    assert "(evil.example)](https://evil.example/x)" in preview(title, "https://evil.example/x")


@pytest.mark.parametrize(
    "title", ["Red shoes", "evil.example", "https://evil.example/x", "WWW.EVIL.EXAMPLE", "Hi. There"]
)
def test_a_preview_that_names_no_other_address_is_its_title(title: str) -> None:
    assert preview(title, "https://evil.example/x") == f"[{title}](https://evil.example/x)"


def test_an_address_that_only_looks_like_another_is_shown_as_the_network_knows_it() -> None:
    assert "(xn--bnk-6cd.example)" in preview("bank.example", "https://b\u0430nk.example/")


def test_an_address_that_cannot_be_read_is_shown_whole() -> None:
    assert preview("bank.example", "https://[") == "[bank.example (https://&#91;)](https://%5B)"


def test_a_name_is_one_line_that_no_terminal_acts_on() -> None:
    assert one_line(" Ann\n\x1b[31m\x9b \u202eNowak\x00 ") == "Ann [31m Nowak"


@pytest.mark.parametrize("write", [link, image, preview])
def test_a_label_has_no_controls_and_turns_no_text_around(write: Callable[[str, str], str]) -> None:
    assert write("a\u202e\x1bb", "https://x.y") in {"[ab](https://x.y)", "![ab](https://x.y)"}
