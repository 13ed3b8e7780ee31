"""The sandbox helpdesk's pages: what people read there."""

import base64
from typing import Any

import pytest
from lxml.html import HtmlElement, document_fromstring

from sandbox.helpdesk.bodies import INLINE_BYTES
from tests.fakes.sandbox_helpdesk import PNG, READ, Desk

PDF = {"filename": "a.pdf", "content_type": "application/pdf", "base64": "YQ=="}
PHOTO = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def comments(desk: Desk, ticket_id: str) -> list[HtmlElement]:
    """Return what stands on a ticket's page: its text, then its comments."""
    page = desk.http.get(f"/tickets/{ticket_id}").raise_for_status()
    return document_fromstring(page.text).findall(".//article")


def comment(desk: Desk, **order: Any) -> HtmlElement:
    """Return what an agent writes as it is shown."""
    ticket_id = desk.new_ticket()
    desk.agent(ticket_id, **order).raise_for_status()
    return comments(desk, ticket_id)[1]


def only(part: HtmlElement, path: str) -> HtmlElement:
    """Return the one element that a path leads to."""
    (found,) = part.findall(path)
    return found


def words(part: HtmlElement, path: str = ".//div[@class='body']") -> str:
    """Return the text of a part of a comment."""
    return " ".join(only(part, path).text_content().split())


def test_a_page_needs_nothing_but_itself(desk: Desk) -> None:
    page = desk.http.get(f"/tickets/{desk.new_ticket()}")
    policy = page.headers["content-security-policy"].split("; ")
    assert policy == ["default-src 'none'", "style-src 'unsafe-inline'", "img-src data:"]
    assert page.headers["referrer-policy"] == "no-referrer"


def test_markdown_is_rendered(desk: Desk) -> None:
    shown = comment(desk, body="Hi **Anna**\n\n- [one](https://acme.example.com)\n\n```\nx = 1\n```")
    assert words(shown, ".//strong") == "Anna"
    assert only(shown, ".//li/a").get("href") == "https://acme.example.com"
    assert words(shown, ".//pre/code") == "x = 1"


@pytest.mark.parametrize("body_format", ["markdown", "html", "text"])
def test_html_is_shown_as_it_is_written(desk: Desk, body_format: str) -> None:
    shown = comment(desk, body="<b>x</b> <script>y</script>", body_format=body_format)
    assert words(shown) == "<b>x</b> <script>y</script>"


def test_what_is_no_markdown_keeps_its_marks(desk: Desk) -> None:
    assert words(comment(desk, body="2 * 3 * 4 **x**", body_format="text")) == "2 * 3 * 4 **x**"


def test_a_link_that_would_run_is_no_link(desk: Desk) -> None:
    shown = comment(desk, body="[x](javascript:alert(1)) ![y](javascript:alert(1))")
    assert shown.findall(".//a") == []


def test_a_name_is_escaped(desk: Desk) -> None:
    assert words(comment(desk, agent="<b>Ola</b>"), ".//header/b") == "<b>Ola</b>"


def test_a_picture_stands_where_the_markdown_names_it(desk: Desk) -> None:
    picture = desk.upload().json()["attachment"]
    body = f"Before\n\n![photo]({picture['url']})\n\nafter"
    ticket_id = desk.new_ticket(body=body, attachment_ids=[picture["id"]])
    (shown,) = comments(desk, ticket_id)
    image = only(shown, ".//img")
    assert (image.get("src"), image.get("alt")) == (PHOTO, "photo")
    assert [part.text_content() for part in shown.findall(".//p")] == ["Before", "", "after"]


def test_a_file_that_the_markdown_links_to_is_named_there(desk: Desk) -> None:
    file = desk.create("attachments", files={"file": ("a b.pdf", b"a", "application/pdf")}).json()[
        "attachment"
    ]
    ticket_id = desk.new_ticket(body=f"See [*my* file]({file['url']}).", attachment_ids=[file["id"]])
    (shown,) = comments(desk, ticket_id)
    assert words(shown) == "See my file application/pdf, 1 bytes."
    assert shown.findall(".//a") == []


def test_files_that_the_text_does_not_name_stand_below_it(desk: Desk) -> None:
    photo = {"filename": "p.png", "content_type": "image/png", "base64": base64.b64encode(PNG).decode()}
    shown = comment(desk, body="See", files=[PDF, photo])
    assert words(shown) == "See a.pdf application/pdf, 1 bytes"
    assert only(shown, ".//img").get("src") == PHOTO


def test_a_large_picture_is_named_only(desk: Desk) -> None:
    large = desk.upload(content=PNG + bytes(INLINE_BYTES)).json()["attachment"]
    (shown,) = comments(desk, desk.new_ticket(attachment_ids=[large["id"]]))
    assert words(shown) == "Hello a.png image/png, 1.0 MB"
    assert shown.findall(".//img") == []


def test_a_picture_of_another_site_is_a_link(desk: Desk) -> None:
    shown = comment(desk, body="![x](https://elsewhere.example/x.png)")
    assert shown.findall(".//img") == []
    assert only(shown, ".//p/a").get("href") == "https://elsewhere.example/x.png"


@pytest.mark.parametrize(
    ("author", "internal", "look"),
    [
        ("customer", False, "Anna customer"),
        ("agent", False, "Anna agent"),
        ("agent", True, "Anna agent internal note"),
        ("system", True, "Anna connector internal note"),
    ],
)
def test_a_comment_says_whose_it_is(desk: Desk, author: str, internal: bool, look: str) -> None:  # noqa: FBT001
    ticket_id = desk.new_ticket()
    desk.comment(ticket_id, author={"type": author, "name": "Anna"}, internal=internal).raise_for_status()
    shown = comments(desk, ticket_id)[1]
    assert shown.get("class") == (f"{author} internal" if internal else author)
    assert words(shown, ".//header") == f"A {look} 2026-11-22 20:15 UTC"


@pytest.mark.parametrize(
    ("delivery", "said"),
    [
        (READ, "✓✓ read"),
        (
            {"status": "failed", "message_ids": [], "error": "it is <too> large"},
            "✕ not delivered: it is <too> large",
        ),
    ],
)
def test_a_reply_says_what_became_of_it(desk: Desk, delivery: dict[str, Any], said: str) -> None:
    shown = comment(desk, config={"delivery": delivery})
    assert words(shown, ".//span[@class='delivery " + delivery["status"] + "']") == said


def test_the_front_page_lists_tickets_newest_first(desk: Desk) -> None:
    for title in ("<one>", "two"):
        desk.new_ticket(title=title)
    html = desk.http.get("/").text
    assert html.index("Social Media") < html.index("two") < html.index("&lt;one&gt;")
