"""The page without scripts: forms that do what the live page does, and do nothing for another site."""

import html
import re
from typing import Any

import httpx
import pytest

from tests.fakes.playground import PAGE, Beside

EVIL = "<script>alert(1)</script>\"'<img src=x onerror=alert(2)>"


def shown(beside: Beside) -> str:
    """Return the page of Anna, read anew."""
    beside.state()
    answer = beside.http.get("/plain", params={"page_id": PAGE, "psid": beside.anna})
    assert answer.status_code == 200
    return answer.text


def sent(beside: Beside, do: str, **fields: Any) -> httpx.Response:
    """Send a form of the page."""
    (token, *_) = re.findall(r'name="token" value="([^"]+)"', shown(beside))
    known = {"token": token, "page_id": PAGE, "psid": beside.anna, "do": do}
    return beside.http.post("/plain", data=known | fields)


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


def test_who_is_not_known_sees_somebody_who_is(beside: Beside) -> None:
    for query in ("", "?page_id=x&psid=%20", "?page_id=1&psid=2", "?page_id=٣&psid=٣"):
        assert " and Sugester</h2>" in beside.http.get(f"/plain{query}").text
