"""What a person does in Messenger besides writing, and what they see there of the page."""

from typing import Any

import pytest

from tests.fakes.sandbox_meta import PSID, Page, fault

OTHER = "7000000000000001"


def test_a_reaction_is_shown_and_told(page: Page) -> None:
    page.writes("hello")
    mid = page.send({"text": "hi"}).json()["message_id"]
    answer = page.order("POST", "/reactions", {"mid": mid, "emoji": "❤️"})

    assert answer == {"mid": mid, "reaction": "❤️"}
    assert page.thread()[-1]["reaction"] == "❤️"
    told = page.items()[-1]
    assert (told["sender"], told["recipient"]) == ({"id": PSID}, {"id": page.id})
    assert told["reaction"] == {"reaction": "love", "emoji": "❤️", "action": "react", "mid": mid}


def test_a_reaction_that_meta_has_no_name_for_is_another_one(page: Page) -> None:
    mid = page.writes("hello")
    page.order("POST", "/reactions", {"mid": mid, "emoji": "🦄"})
    assert page.items()[-1]["reaction"]["reaction"] == "other"


def test_a_reaction_is_taken_back(page: Page) -> None:
    mid = page.writes("hello")
    page.order("POST", "/reactions", {"mid": mid, "emoji": "👍"})
    page.order("POST", "/reactions", {"mid": mid, "emoji": None})

    assert "reaction" not in page.thread()[0]
    assert page.items()[-1]["reaction"] == {"action": "unreact", "mid": mid}


def test_a_reaction_opens_the_window(page: Page) -> None:
    mid = page.writes("hello")
    page.order("POST", "/age", {"hours": 25})
    assert fault(page.send({"text": "hi"})) == (400, 10, 2018278)
    page.order("POST", "/reactions", {"mid": mid, "emoji": "👍"})
    assert page.send({"text": "hi"}).status_code == 200


def test_an_edit_changes_the_message_and_is_told(page: Page) -> None:
    mid = page.writes("helo")
    page.order("PATCH", f"/messages/{mid}", {"text": "hello"})

    (message,) = page.thread()
    assert (message["text"], message["num_edit"]) == ("hello", 1)
    assert page.items()[-1]["message_edit"] == {"mid": mid, "text": "hello", "num_edit": 1}


def test_a_message_is_edited_five_times_at_most(page: Page) -> None:
    mid = page.writes("0")
    for number in range(5):
        page.order("PATCH", f"/messages/{mid}", {"text": str(number + 1)})
    assert refused(page, "PATCH", f"/messages/{mid}", {"text": "6"}) == 400
    assert page.thread()[0]["text"] == "5"


def test_a_message_is_edited_within_fifteen_minutes(page: Page) -> None:
    mid = page.writes("helo")
    page.order("POST", "/age", {"hours": 0.26})
    assert refused(page, "PATCH", f"/messages/{mid}", {"text": "hello"}) == 400


def test_a_message_that_is_unsent_says_nothing_any_more(page: Page) -> None:
    photo = {"filename": "a.png", "content_type": "image/png", "base64": "iVBORw0KGgo="}
    mid = page.writes("a secret", files=[photo])
    page.order("DELETE", f"/messages/{mid}")

    (message,) = page.thread()
    assert message["is_deleted"] is True
    assert "text" not in message
    assert message["attachments"] == []
    assert page.items()[-1]["message"] == {"mid": mid, "is_deleted": True}


def test_the_graph_shows_no_message_that_was_unsent(page: Page) -> None:
    page.writes("first")
    mid = page.writes("second")
    page.order("DELETE", f"/messages/{mid}")

    conversation = page.get(
        "me/conversations", user_id=PSID, fields="message_count,snippet,messages{message}"
    )
    (shown,) = conversation.json()["data"]
    assert (shown["message_count"], shown["snippet"]) == (1, "first")
    assert [message["message"] for message in shown["messages"]["data"]] == ["first"]
    assert fault(page.get(mid))[1] == 9000001


def test_a_button_stands_in_the_thread_by_its_title(page: Page) -> None:
    answer = page.order("POST", "/postbacks", {"title": "Get started", "payload": "GET_STARTED"})

    (message,) = page.thread()
    assert (message["text"], message["mid"]) == ("Get started", answer["mid"])
    assert message["postback"] == {"title": "Get started", "payload": "GET_STARTED"}
    (told,) = page.items()
    assert told["postback"] == {"mid": answer["mid"], "title": "Get started", "payload": "GET_STARTED"}
    assert page.send({"text": "hi"}).status_code == 200


def test_a_person_sees_that_the_page_types_until_it_writes(page: Page) -> None:
    page.writes("hello")
    page.send(None, sender_action="typing_on")
    assert page.order("GET", "")["typing"] is True
    page.send({"text": "hi"})
    assert page.order("GET", "")["typing"] is False


def test_a_page_that_stops_typing_does_not_show_as_typing(page: Page) -> None:
    page.writes("hello")
    page.send(None, sender_action="typing_on")
    page.send(None, sender_action="typing_off")
    assert page.order("GET", "")["typing"] is False


def test_a_person_sees_until_when_the_page_has_seen_the_messages(page: Page) -> None:
    page.writes("hello")
    assert page.order("GET", "")["seen_at"] is None
    page.send(None, sender_action="mark_seen")
    page.writes("again")
    first, second = page.thread()
    assert first["timestamp"] <= page.order("GET", "")["seen_at"] <= second["timestamp"]


def test_what_a_person_does_elsewhere_is_told_in_standby(page: Page) -> None:
    mid = page.writes("hello")
    page.settle()
    page.order("PUT", "/thread_owner", {"app_id": "263902037430900"})
    page.order("POST", "/reactions", {"mid": mid, "emoji": "👍"})
    page.settle()
    (_, body) = page.receiver.came[page.path][-1]
    assert b'"standby"' in body


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/messages/{theirs}", {"text": "x"}, 400),
        ("DELETE", "/messages/{theirs}", None, 400),
        ("PATCH", "/messages/{mine}", {"text": " "}, 400),
        ("PATCH", "/messages/{file}", {"text": "x"}, 400),
        ("PATCH", "/messages/{tap}", {"text": "x"}, 400),
        ("PATCH", "/messages/{others}", {"text": "x"}, 404),
        ("DELETE", "/messages/{gone}", None, 404),
        ("POST", "/reactions", {"mid": "{gone}", "emoji": "👍"}, 404),
        ("POST", "/reactions", {"mid": "{mine}", "emoji": None}, 400),
        ("POST", "/reactions", {"mid": "{mine}", "emoji": ""}, 400),
        ("POST", "/reactions", {"mid": "{mine}"}, 400),
        ("POST", "/postbacks", {"title": "", "payload": "X"}, 400),
    ],
)
def test_what_messenger_does_not_offer_is_refused(
    page: Page, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    photo = {"filename": "a.png", "content_type": "image/png", "base64": "iVBORw0KGgo="}
    mids = {
        "mine": page.writes("hello"),
        "others": page.writes("hello", psid=OTHER),
        "file": page.writes(files=[photo]),
        "gone": page.writes("never mind"),
        "tap": page.order("POST", "/postbacks", {"title": "Menu", "payload": "MENU"})["mid"],
        "theirs": page.send({"text": "hi"}).json()["message_id"],
    }
    page.order("DELETE", f"/messages/{mids['gone']}")
    if body and "mid" in body:
        body = body | {"mid": body["mid"].format(**mids)}
    page.settle()
    before = said(page), len(page.items())

    assert refused(page, method, path.format(**mids), body) == status
    assert (said(page), len(page.items())) == before


def said(page: Page) -> list[tuple[Any, ...]]:
    """Return the thread without the addresses of files, which are others each second."""
    names = ("mid", "text", "num_edit", "reaction", "is_deleted")
    return [tuple(message.get(name) for name in names) for message in page.thread()]


def refused(page: Page, method: str, path: str, body: dict[str, Any] | None) -> int:
    answer = page.http.request(method, f"/sandbox/pages/{page.id}/people/{PSID}{path}", json=body)
    assert answer.json()["error"]
    return answer.status_code
