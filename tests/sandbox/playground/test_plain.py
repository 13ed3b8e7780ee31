"""The page without scripts: forms that do what the live page does, and do nothing for another site."""

import html
import re
from typing import Any

import httpx
import lxml.html
import pytest

from tests.fakes.playground import PAGE, Beside

EVIL = "<script>alert(1)</script>\"'<img src=x onerror=alert(2)>"


def shown(beside: Beside) -> str:
    """Return the page of Anna, read anew."""
    beside.state()
    answer = beside.http.get("/plain", params={"page_id": PAGE, "psid": beside.anna})
    assert answer.status_code == 200
    return answer.text


def sent(beside: Beside, do: str, files: Any = None, **fields: Any) -> httpx.Response:
    """Send a form of the page."""
    (token, *_) = re.findall(r'name="token" value="([^"]+)"', shown(beside))
    known = {"token": token, "page_id": PAGE, "psid": beside.anna, "do": do}
    return beside.http.post("/plain", data=known | fields, files=files)


def test_a_customer_writes_and_an_agent_answers(beside: Beside) -> None:
    written = sent(beside, "write", text="Where is my parcel?")
    assert (written.status_code, written.headers["location"]) == (
        303,
        f"/plain?page_id={PAGE}&psid={beside.anna}",
    )
    ticket = beside.ticket()
    assert sent(beside, "note", ticket=ticket, text="the carrier lost it").status_code == 303
    assert sent(beside, "reply", ticket=ticket, text="It is **on its way**").status_code == 303

    (told,) = beside.tickets()
    assert [(one["body"], one["internal"]) for one in told["comments"]] == [
        ("the carrier lost it", True),
        ("It is **on its way**", False),
    ]
    page = shown(beside)
    assert "<p>Where is my parcel?</p>" in page
    assert "It is <strong>on its way</strong>" in page


def test_a_ticket_is_closed_and_opened_again(beside: Beside) -> None:
    ticket = beside.ticket()
    sent(beside, "close", ticket=ticket)
    assert "Reopen ticket" in shown(beside)
    sent(beside, "reopen", ticket=ticket)
    assert "Close ticket" in shown(beside)


def test_a_new_customer_is_shown(beside: Beside) -> None:
    added = sent(beside, "add", first_name="Ewa", last_name="Lis")

    assert "Ewa Lis and Sugester" in beside.http.get(added.headers["location"]).text


def test_what_people_write_is_text(beside: Beside) -> None:
    sent(beside, "write", text=EVIL)
    ticket = beside.ticket(title=EVIL, body=EVIL)
    sent(beside, "reply", ticket=ticket, text=EVIL)
    page = shown(beside)

    assert "<script" not in page
    assert "<img" not in page
    assert page.count("alert(1)") >= 4
    assert "<script>alert(1)</script>" in html.unescape(page)


@pytest.mark.parametrize("token", ["", "another"])
def test_a_form_of_another_site_does_nothing(beside: Beside, token: str) -> None:
    answer = sent(beside, "write", text="hello", token=token)

    assert (answer.status_code, "not of this page" in answer.text) == (403, True)
    assert beside.thread() == []


@pytest.mark.parametrize(
    ("do", "fields", "status"),
    [
        ("write", {"psid": "../x"}, 404),
        ("write", {}, 400),
        ("reply", {"ticket": "99999999", "text": "hello"}, 400),
        ("reply", {"ticket": "1"}, 400),
        ("reply", {"text": "hello"}, 400),
        ("close", {}, 400),
        ("close", {"ticket": "٣"}, 404),
        ("add", {"first_name": ""}, 400),
        ("fly", {}, 404),
    ],
)
def test_what_is_refused_is_said_on_the_page(
    beside: Beside, do: str, fields: dict[str, str], status: int
) -> None:
    answer = sent(beside, do, **fields)

    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_a_switch_is_turned_and_says_what_that_means(beside: Beside) -> None:
    assert sent(beside, "turn", fault="slow", on="1").status_code == 303
    page = shown(beside)
    assert "Meta slow: turn it off" in page
    assert "takes 3 s longer" in page

    sent(beside, "turn", fault="slow", on="")
    assert "Meta slow: turn it on" in shown(beside)
    assert sent(beside, "turn", fault="rain", on="1").status_code == 404


def test_a_worker_is_killed(supervised: Beside) -> None:
    assert sent(supervised, "kill").status_code == 303
    assert "was ended by kill -9" in shown(supervised)


def test_the_log_tells_what_went_between_them(beside: Beside) -> None:
    beside.writes(text="hello")
    beside.replies("Hi <b>")
    page = shown(beside)

    assert "sends a text<code>POST /v26.0/me/messages</code>" in page
    assert '"text": "Hi <b>"' in html.unescape(page)


def test_a_customer_reacts_edits_unsends_and_answers(beside: Beside) -> None:
    mid, theirs = beside.writes(text="Where is my parcle?"), beside.replies("On its way")
    sent(beside, "edit", mid=mid, text="Where is my parcel?")
    sent(beside, "react", mid=theirs, chosen="👍")
    sent(beside, "answer", mid=theirs, text="thank you")
    asked, answer, thanks = beside.thread()
    assert (asked["text"], asked["num_edit"], answer["reaction"]) == ("Where is my parcel?", 1, "👍")
    assert (thanks["text"], thanks["reply_to"]["mid"]) == ("thank you", theirs)
    page = shown(beside)
    assert "edited, sent" in page
    assert "↩ On its way" in page

    sent(beside, "react", mid=theirs, chosen="")
    sent(beside, "unsend", mid=mid)
    asked, answer, _ = beside.thread()
    assert (asked["is_deleted"], answer.get("reaction")) == (True, None)


def test_a_customer_sends_a_sticker_and_taps_buttons(beside: Beside) -> None:
    sent(beside, "sticker", chosen="126361874215276")
    sent(beside, "menu", chosen="TRACK_PARCEL")
    sent(beside, "quick", chosen="YES")
    sticker, tapped, quick = beside.thread()

    assert sticker["attachments"][0]["type"] == "sticker"
    assert tapped["postback"]["payload"] == "TRACK_PARCEL"
    assert (quick["text"], quick["quick_reply"]["payload"]) == ("Yes, please", "YES")


def test_files_are_sent_from_both_sides(beside: Beside) -> None:
    files = [("files", (f"{number}.txt", b"x", "text/plain")) for number in (1, 2)]
    assert sent(beside, "write", files=files, text="two files").status_code == 303
    assert [len(one["attachments"]) for one in beside.thread()] == [0, 1, 1]

    assert sent(beside, "reply", files=files, ticket=beside.ticket(), text="").status_code == 303
    (comment,) = beside.tickets()[0]["comments"]
    assert [one["filename"] for one in comment["attachments"]] == ["1.txt", "2.txt"]


@pytest.mark.parametrize(
    ("do", "fields", "field"),
    [
        ("write", {"page_id": "404"}, "phone-text"),
        ("edit", {"mid": "m_none"}, "phone-text"),
        ("reply", {"ticket": "99999999"}, "reply-99999999"),
    ],
)
def test_a_text_that_was_refused_stands_in_its_field_again(
    beside: Beside, do: str, fields: dict[str, str], field: str
) -> None:
    answer = sent(beside, do, text="\nnot lost <b>", **fields)

    assert answer.status_code == 400
    (kept,) = lxml.html.document_fromstring(answer.text).cssselect(f"#{field}")
    assert kept.text_content().strip("\n") == "not lost <b>"


def test_an_edit_that_was_refused_stands_beside_its_message_and_files_are_to_be_chosen_again(
    beside: Beside,
) -> None:
    mid = beside.writes(text="hello")
    for number in range(5):
        sent(beside, "edit", mid=mid, text=f"hello {number}")
    answer = sent(beside, "edit", mid=mid, text="hello again")
    (kept,) = lxml.html.document_fromstring(answer.text).cssselect("details[open] input[name=text]")
    assert kept.get("value") == "hello again"

    file = [("files", ("a.txt", b"x", "text/plain"))]
    again = sent(beside, "reply", files=file, ticket="99999999", text="hello")
    assert "Choose its files again." in again.text


def test_who_is_not_known_sees_somebody_who_is(beside: Beside) -> None:
    for query in ("", "?page_id=x&psid=%20", "?page_id=1&psid=2", "?page_id=٣&psid=٣"):
        assert " and Sugester</h2>" in beside.http.get(f"/plain{query}").text
