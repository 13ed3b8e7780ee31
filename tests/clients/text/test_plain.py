"""What agents write, as the plain text that a person reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.text.plain import LONGEST_MARKDOWN, to_plain_text
from tests.fakes.texts import MARKS, grows_evenly

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
    assert grows_evenly(lambda length: to_plain_text(piece * (length // len(piece)), body_format))
