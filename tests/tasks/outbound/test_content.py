"""What an agent's comment says on a channel."""

import dataclasses
import html
import re
from datetime import UTC, datetime

import pytest

from clients.helpdesk import Attachment, Comment
from clients.text.plain import is_visible
from tasks.outbound.content import split_quotation, text_of
from tests.fakes.conversation import INVOICE, SENT_AT

AT = datetime.fromtimestamp(SENT_AT / 1000, UTC)
BASE = "https://desk.example.com/api/v1"


def _comment(body: str, body_format: str, *files: Attachment) -> Comment:
    return Comment("1", body, body_format, "agent", False, files, False, AT)


@pytest.mark.parametrize("body_format", ["html", "markdown", "text"])
@pytest.mark.parametrize(
    "body", ["<p>\u200b</p>", "&#65279;", "\u2060\u200d", "\u200b\n\n\u200b", "\u3164", "\u2800"]
)
def test_what_cannot_be_seen_is_no_text(body: str, body_format: str) -> None:
    if body_format == "text":
        body = re.sub("<.*?>", "", html.unescape(body))
    elif body_format == "markdown":
        body = re.sub("<.*?>", "", body)
    assert not is_visible(text_of(_comment(body, body_format, INVOICE), BASE))


def test_a_joiner_inside_an_emoji_stays() -> None:
    assert text_of(_comment("👩‍👩‍👧", "text"), "") == "👩‍👩‍👧"


@pytest.mark.parametrize(
    ("body", "body_format"),
    [
        ("> Where is\n> my parcel?\n\nOn its way.", "markdown"),
        ("<blockquote>Where is<br>my parcel?</blockquote><p>On its way.</p>", "html"),
        (">Where is\n> my parcel?\nOn its way.", "text"),
    ],
)
def test_a_quotation_at_the_beginning_is_told_from_what_follows(body: str, body_format: str) -> None:
    text = text_of(_comment(body, body_format), BASE)
    assert split_quotation(text) == ("Where is\nmy parcel?", "On its way.")


def test_a_quotation_further_down_stays_where_it_is() -> None:
    text = "As you wrote:\nwell,\n> Where?\nSoon."
    assert split_quotation(text) == ("", text)


@pytest.mark.parametrize(
    "before",
    ["Anna Nowak wrote:\n", "On Mon, Nov 23, 2026 at 10:15 a.m. Anna <anna@example.com> wrote:\n\n"],
)
def test_who_wrote_it_is_no_part_of_a_quotation(before: str) -> None:
    assert split_quotation(f"{before}> Where?\nSoon.") == ("Where?", "Soon.")


@pytest.mark.parametrize(
    "before", ["It was sent on Monday. You asked:", f"{'a' * 121}:", "You asked", "> Anna:\n\nYou asked:"]
)
def test_what_says_more_than_who_wrote_it_is_not_lost(before: str) -> None:
    assert before.rpartition("\n")[2] in split_quotation(f"{before}\n> Where?\nSoon.")[1]


SHOT = Attachment("77", "https://desk.example.com/files/77", "zrzut.png", "image/png", 70)


@pytest.mark.parametrize(
    ("body", "body_format", "text"),
    [
        (
            "Prosze ![zrzut.png](https://desk.example.com/files/77) tutaj",
            "markdown",
            "Prosze zrzut.png tutaj",
        ),
        (
            'Prosze <img alt="zrzut.png" src="https://desk.example.com/files/77"> tutaj',
            "html",
            "Prosze zrzut.png tutaj",
        ),
        ('Prosze <img alt="zrzut.png" src="/files/77"> tutaj', "html", "Prosze zrzut.png tutaj"),
        ("Prosze [zrzut](https://desk.example.com/files/77) tutaj", "markdown", "Prosze zrzut tutaj"),
        ("Prosze https://desk.example.com/files/77.", "text", "Prosze zrzut.png."),
        ("Prosze <https://desk.example.com/files/77>", "markdown", "Prosze zrzut.png"),
        ("![inny](https://desk.example.com/files/78)", "markdown", "inny"),
        ("[pomoc](https://desk.example.com/pomoc)", "markdown", "pomoc (https://desk.example.com/pomoc)"),
        ("https://desk.example.com/files/778", "text", "https://desk.example.com/files/778"),
    ],
)
def test_where_the_helpdesk_keeps_its_files_is_not_for_the_customer(
    body: str, body_format: str, text: str
) -> None:
    for shot in (SHOT, dataclasses.replace(SHOT, url="/files/77")):
        assert text_of(_comment(body, body_format, shot), BASE) == text
