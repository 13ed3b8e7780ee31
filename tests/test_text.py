"""What agents and persons write, in the other side's dialect."""

import html
import re
import time
from collections.abc import Callable

import pytest
import regex  # type: ignore[import-untyped]  # its stubs are a package of their own
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from clients.text import (
    LONGEST_MARKDOWN,
    image,
    link,
    one_line,
    preview,
    split_text,
    to_markdown,
    to_plain_text,
)

COMMONMARK = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKS = st.text(alphabet="ab1 \n\\`*_~[]()<>#+-=.!|:&;/@\t\"'", max_size=60)
TAGS = st.sampled_from(
    [
        f"<{tag}>"
        for tag in ("br", "ul", "ol start=9", "li", "/li", "/ul", "blockquote", "pre", "td", "a href=", "/a")
    ]
    + [
        "<b x='",
        "</",
        "<!--",
        "-->",
        "<![",
        "<script>",
        "&lt;",
        "&#xD800;",
        "\n|-|-|\n",
        "https://x.y/",
        "\ud83d",
    ]
)
PIECES = st.lists(TAGS | MARKS.map(lambda text: text[:4]), max_size=40).map("".join)
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
    ("markdown", "text"),
    [
        ("Hello **Anna**, _see_ ~~this~~", "Hello Anna, see this"),
        ("one\ntwo  \nthree\\\nfour", "one\ntwo\nthree\nfour"),
        ("one\n\n\n\ntwo", "one\n\ntwo"),
        ("# Title\ntext", "Title\n\ntext"),
        ("- a\n- b\n  - c\n    more", "• a\n• b\n  • c\n    more"),
        ("- a\n\n- b", "• a\n• b"),
        ("3. a\n4. b", "3. a\n4. b"),
        ("[shop](https://a.b/c?x=1&y=ż)", "shop (https://a.b/c?x=1&y=ż)"),
        ("[a.b](https://a.b/) <https://a.b>", "https://a.b/ https://a.b"),
        ("[write](mailto:a@b.c?subject=x) <a@b.c> [call](tel:+48123)", "write (a@b.c) a@b.c call (+48123)"),
        ("[here](/relative) [x](ftp://a)", "here x"),
        (
            "![cat](https://a/c.png) ![dog](d.png) ![](https://a/e.png)",
            "cat (https://a/c.png) dog https://a/e.png",
        ),
        ("`a  *b*` and\n\n```\nif x:\n\n    y < z\n```", "a  *b* and\n\nif x:\n\n    y < z"),
        ("> a\n>\n> b\n\nc", "> a\n>\n> b\n\nc"),
        ("> a\n>> b", "> a\n>\n> > b"),
        ("| a | b |\n|---|---|\n| 1 | **2** |", "a | b\n1 | 2"),
        ("a\n\n---\n\nb", "a\n\n———\n\nb"),
        ("Dear <your name>, <b>x</b> <!-- y -->", "Dear <your name>, <b>x</b> <!-- y -->"),
        ("a<br>b<BR />c `<br>`", "a\nb\nc <br>"),
        ("5 &lt; 6&nbsp;&amp; &copy;", "5 < 6 & ©"),
        (
            "https://a.b/_next_/*c*?d=1&amp;e\\_f **https://a.b/**",
            "https://a.b/_next_/*c*?d=1&e_f https://a.b/",
        ),
        ("> " * 30 + "deep", "> " * 30 + "deep"),
        ("_sklep_@example.com", "_sklep_@example.com"),
        (
            "pisz: (_sklep_@example.com) lub **_a_@b.example**",
            "pisz: (_sklep_@example.com) lub _a_@b.example",
        ),
        ("_biuro@example.com_", "biuro@example.com"),
        ("30*20*10 cm, 2*x*3", "30*20*10 cm, 2*x*3"),
        (
            "*100*1# albo *21*500600700# albo *21*+48500600700#",
            "*100*1# albo *21*500600700# albo *21*+48500600700#",
        ),
        ("www.example.com/_promo_/x", "www.example.com/_promo_/x"),
        ("(www.example.com/*promo*/x) *example.com/_a_/b*", "(www.example.com/*promo*/x) example.com/_a_/b"),
        ("__init__.py i **__main__.py**", "__init__.py i __main__.py"),
        ("*ważne* i _pilne_, **bardzo**", "ważne i pilne, bardzo"),
        ("*10 zł* i *5*, **3**.", "10 zł i 5, 3."),
        ("_tak_. **www.example.com**", "tak. www.example.com"),
        ("[nasza strona](www.example.com/zwroty)", "nasza strona (www.example.com/zwroty)"),
        ("[napisz](sms:+48500600700?body=x) [a](oferta.pdf)", "napisz (+48500600700) a"),
    ],
)
def test_markdown_reads_as_plain_text(markdown: str, text: str) -> None:
    assert to_plain_text(markdown, "markdown") == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>Hello&nbsp;<b>Anna</b>,</p>\n<p>second\n  line</p>", "Hello Anna,\n\nsecond line"),
        ("<div>a</div><div><br></div><div>b<br></div><div>c</div>", "a\n\nb\nc"),
        ("a<br><br><br><br>b", "a\n\nb"),
        ("<ul><li><p>a</p></li><li>b<ul><li>c</li></ul></li></ul>d", "• a\n• b\n  • c\n\nd"),
        ("<ol start=5><li>a<li>b<ul><li>c</ul><li>d</ol>", "5. a\n6. b\n  • c\n7. d"),
        ("<li>a</li>", "• a"),
        ("<ol start='9999999999999'><li>a</ol>", "1. a"),
        ("<head><title>t</title></head><STYLE>p{}</STYLE>a<script>if (a<b) '</p>'</script>b", "ab"),
        ("<head><meta><body>a", "a"),
        ("a <!-- no <b> --> b<?x?><!DOCTYPE html>", "a b"),
        ("<a title=\"x > y\" href='https://q.r?a=1&amp;b=2'>go </a>on", "go (https://q.r?a=1&b=2) on"),
        ('<a href="tel:+48 123">(+48) 12-3</a>', "+48 123"),
        ('<a href="https://a.b"><img alt="x" src="cid:1"></a>', "x (https://a.b)"),
        ('<a name="x">top</a> <a href="https://a.b"></a>', "top https://a.b"),
        ('<a href="https://a.b"><div>x</div></a>', "x\nhttps://a.b"),
        ("<table><tr><td><p>a</p><td>b<br>c</table><p>d</p>", "a | b c\n\nd"),
        ("<table><tr><td>a<td>b<tr><td><td>c</table>", "a | b\n | c"),
        ('see <a href="https://a.b">x<br>y</a>', "see x\ny (https://a.b)"),
        ("<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n>\n> b\n\nc"),
        ("<pre>  a\n\n  b</pre> c  <code>d  e</code>", "a\n\n  b\n\nc d  e"),
        ("5 < 6 &lt;b&gt; I <3 you", "5 < 6 <b> I <3 you"),
        ("a</div></li></ul></a></pre>b", "a\n\nb"),
        ("<o:p>a</o:p><custom-tag>b</custom-tag>", "ab"),
        ('<img class="emoji" alt="🙂" src="https://cdn.example.com/1f642.png">', "🙂"),
        ('<img alt="❤️" src="https://cdn.example.com/2764.png">', "❤️"),
        ('<p>Hej</p><img alt="" width="1" height="1" src="https://desk.example.com/t.gif">', "Hej"),
        ('Hej<img style="width: 1px; height:1px" src="https://desk.example.com/t.gif">', "Hej"),
        ('Hej<img style="display:none" alt="x" src="https://desk.example.com/t.gif">', "Hej"),
        ('<img width="100" alt="kot" src="https://a.example/k.png">', "kot (https://a.example/k.png)"),
        ('<a href="example.com">tutaj</a>', "tutaj (example.com)"),
        ('<a href="//example.com/x">tutaj</a>', "tutaj (https://example.com/x)"),
        ('<a href="sms:+48 500">napisz</a> <a href="sms:+48500">+48 500</a>', "napisz (+48 500) +48500"),
        (
            '<a href="oferta.pdf">a</a> <a href="strona.html#x">b</a> <a href="#c">c</a> <a href="d">d</a>',
            "a b c d",
        ),
        ('<a href="sklep.example.com:8443/x?y">tu</a>', "tu (sklep.example.com:8443/x?y)"),
        ('<img alt="kot" src="//a.example/k.png">', "kot (https://a.example/k.png)"),
    ],
)
def test_html_reads_as_plain_text(source: str, text: str) -> None:
    assert to_plain_text(source, "html") == text


@pytest.mark.parametrize(
    ("body", "body_format", "text"),
    [
        (
            "Prosze ![zrzut.png](https://desk.example.com/files/77) tutaj",
            "markdown",
            "Prosze zrzut.png tutaj",
        ),
        ('<p>a <img src="https://desk.example.com/files/77"> b</p>', "html", "a b"),
        ('<img alt="x" src="/files/77">', "html", "x"),
        ("[umowa](https://desk.example.com/files/77)", "markdown", "umowa"),
        ("[umowa](https://example.com/77)", "markdown", "umowa (https://example.com/77)"),
    ],
)
def test_an_internal_address_is_not_for_the_person(body: str, body_format: str, text: str) -> None:
    assert to_plain_text(body, body_format, lambda url, tag: "/files/" in url) == text


@pytest.mark.parametrize("body_format", ["text", "", "rtf"])
def test_other_formats_stay_as_typed(body_format: str) -> None:
    assert to_plain_text(" *a*  <b>\r\n\r\n\r\n\r\n- c \n", body_format) == "*a*  <b>\n\n- c"


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert to_plain_text("a\ud83d b\ud83d\ude00", "text") == "a\ufffd b😀"


@pytest.mark.parametrize("source", ["a&#{};b", "<a href='&#{}'>ab</a>", "<img alt='ab&#{}'>"])
def test_a_character_of_thousands_of_digits_does_no_harm(source: str) -> None:
    assert "a" in to_plain_text(source.format("9" * 5000), "html")


def test_markdown_that_is_too_long_stays_as_typed() -> None:
    assert to_plain_text("*a*" + "b" * LONGEST_MARKDOWN, "markdown").startswith("*a*")


@given(PIECES | st.text(), st.sampled_from(["markdown", "html", "text"]))
def test_any_body_becomes_tidy_text(body: str, body_format: str) -> None:
    text = to_plain_text(body, body_format)
    assert text == text.strip()
    assert "\n\n\n" not in text
    assert text.encode().decode() == text


def _grows_evenly(work: Callable[[int], object]) -> bool:
    """Tell whether 48 kB take about 4 times as long as 12 kB; a quadratic time would be 16 times as long."""
    seconds = []
    for length in (12_000, 48_000):
        started = time.process_time()
        work(length)
        seconds.append(time.process_time() - started)
    return seconds[1] < 10 * seconds[0] + 0.5


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "![",
        "*a",
        "<x ",
        "<!--",
        "<a b='",
        "<script",
        "</li>",
        "<ul><li>",
        "&#",
        "> ",
        "- ",
        "_a",
        "www.a/_",
        "*1",
        "_",
        "_a.",
        "*#",
        "a.b/_*",
    ],
)
@pytest.mark.parametrize("body_format", ["markdown", "html"])
def test_a_hostile_body_takes_time_in_proportion_to_its_length(piece: str, body_format: str) -> None:
    assert _grows_evenly(lambda length: to_plain_text(piece * (length // len(piece)), body_format))


@pytest.mark.parametrize(
    "piece", ["*", "`", "https://", "*a ", "<", "_a", "](", "\n>", "1.", "http://a<", "*_"]
)
def test_a_hostile_text_becomes_markdown_in_proportion_to_its_length(piece: str) -> None:
    assert _grows_evenly(lambda length: to_markdown(piece * (length // len(piece))))


@pytest.mark.parametrize("piece", ["a.", "a", "-", "a..", "://", "www."])
def test_a_hostile_title_becomes_a_link_in_proportion_to_its_length(piece: str) -> None:
    assert _grows_evenly(lambda length: preview(piece * (length // len(piece)), "https://x.y"))


@pytest.mark.parametrize("piece", ["a", "word ", "😀", "。", "a. "])
def test_the_time_to_split_a_text_grows_with_its_length(piece: str) -> None:
    assert _grows_evenly(lambda length: split_text(piece * (length // len(piece))))


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("", 10, []),
        (" \n ", 10, []),
        (" ab ", 10, ["ab"]),
        ("aa bb\n\ncc. dd\nee", 14, ["aa bb", "cc. dd\nee"]),
        ("aaaa\n\nbbbb\ncc", 9, ["aaaa", "bbbb\ncc"]),
        ("a\n\nbbb\n\ncc", 6, ["a\n\nbbb", "cc"]),
        ("aa. bb\ncc dd", 9, ["aa. bb", "cc dd"]),
        ("Is it? Yes it is", 12, ["Is it?", "Yes it is"]),
        ('"Go." he said', 11, ['"Go."', "he said"]),
        ("好的。谢谢你", 4, ["好的。", "谢谢你"]),
        ("aaa bbb ccc", 8, ["aaa bbb", "ccc"]),
        ("aaa bbb ccc", 7, ["aaa bbb", "ccc"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("😀😀😀", 4, ["😀😀", "😀"]),
        ("ae\u0301e\u0301", 4, ["ae\u0301", "e\u0301"]),
        ("e" + "\u0301" * 5, 4, ["e" + "\u0301" * 3, "\u0301" * 2]),
    ],
)
def test_text_is_split_where_a_reader_pauses(text: str, limit: int, parts: list[str]) -> None:
    assert split_text(text, limit) == parts


def test_two_thousand_units_are_one_part() -> None:
    assert [len(part) for part in split_text("a" * 2000)] == [2000]
    assert [len(part) for part in split_text("😀" * 1001)] == [1000, 1]


def _graphemes(text: str) -> list[str]:
    found = ("".join(grapheme.split()) for grapheme in regex.findall(r"\X", text.strip()))
    return [grapheme for grapheme in found if grapheme]


TEXTS = st.text() | st.text(alphabet="ab .!?\n\r\t。\u0301\u200d👩🇵🇱\u0600\u0e33한각", max_size=80)


@given(TEXTS, st.integers(2, 40))
@example("\u0600 a" * 9, 4)
@example("a \u0301b" * 9, 4)
@example("好。\u0301好好", 3)
def test_parts_keep_the_limit_and_every_character(text: str, limit: int) -> None:
    parts = split_text(text, limit)
    assert all(part == part.strip() != "" for part in parts)
    assert all(len(part.encode("utf-16-le")) // 2 <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    if all(len(grapheme.encode("utf-16-le")) // 2 <= limit for grapheme in regex.findall(r"\X", text)):
        assert [grapheme for part in parts for grapheme in _graphemes(part)] == _graphemes(text)


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
