"""Webhooks of the sandbox Meta."""

import hashlib
import hmac
import json
import re
import time

from sandbox.meta.webhooks import signed_headers, wire_body
from tests.fakes.sandbox_meta import PSID, SECRET, Page, wait_until


def test_the_body_is_escaped_and_signed_as_meta_does() -> None:
    message = {"mid": "m_TEST", "text": "äöå <b> 50% a@b/c 😀"}
    item = {
        "sender": {"id": PSID},
        "recipient": {"id": "102208592487070"},
        "timestamp": 1795382999900,
        "message": message,
    }
    entry = {"time": 1795383000123, "id": "102208592487070", "messaging": [item]}
    body = wire_body({"object": "page", "entry": [entry]})
    assert rb"\u00e4\u00f6\u00e5 \u003Cb> 50\u0025 a\u0040b\/c \ud83d\ude00" in body
    headers = signed_headers(body, SECRET)
    digest = "cf9d8bfc8b7dd33e74df7ed5eb55731e699a78137b3cfb75a4367568885ca712"
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert headers["X-Hub-Signature"] == "sha1=be78dd2262f797de78b54c2e3142699ea8a84022"


def test_a_meta_that_is_to_deliver_nothing_delivers_nothing_of_that_time_later(page: Page) -> None:
    page.behave(deliver=False)
    page.writes("missed")
    page.behave(deliver=True)
    mid = page.writes("told")
    assert [item["message"]["mid"] for item in page.items()] == [mid]
    assert [message["text"] for message in page.thread()] == ["missed", "told"]


def test_what_a_person_writes_comes_signed(page: Page) -> None:
    mid = page.writes("zażółć")
    (item,) = page.items()
    assert item["message"] == {"mid": mid, "text": "zażółć"}
    assert (item["sender"], item["recipient"]) == ({"id": PSID}, {"id": page.id})
    headers, body = page.receiver.came[page.path][0]
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert (headers["User-Agent"], headers["Content-Type"]) == ("facebookexternalua", "application/json")


def test_an_id_of_a_message_looks_like_meta_s(page: Page) -> None:
    assert re.fullmatch(r"m_[\w-]{86}", page.writes("hello"))


def test_a_reply_a_quick_reply_and_a_sticker_come_with_their_keys(page: Page) -> None:
    first = page.writes("one")
    page.writes("Yes", quick_reply="YES", reply_to=first)
    page.writes(sticker_id=369239263222822)
    _, answer, like = [item["message"] for item in page.items()]
    assert answer["quick_reply"] == {"payload": "YES"}
    assert answer["reply_to"] == {"mid": first, "is_self_reply": True}
    assert like["attachments"][0]["type"] == "sticker"
    assert like["attachments"][0]["payload"]["sticker_id"] == 369239263222822


def test_events_of_one_thread_come_in_order(page: Page) -> None:
    people = [str(10**15 + number) for number in range(20)]
    for psid in people:
        page.order("POST", "/messages:batch", [{"text": str(number)} for number in range(10)], psid)
    items = page.items()
    for psid in people:
        texts = [item["message"]["text"] for item in items if item["sender"]["id"] == psid]
        assert texts == [str(number) for number in range(10)]


def test_threads_are_sent_beside_each_other(page: Page) -> None:
    page.receiver.gate.clear()
    for number in range(40):
        page.writes("hello", psid=str(10**15 + number))
    wait_until(lambda: len(page.receiver.came[page.path]) >= 32)
    assert page.http.get("/sandbox/webhooks").json()["waiting"] == 40
    assert len(page.receiver.came[page.path]) == 32
    page.receiver.gate.set()
    assert len(page.items()) == 40


def test_the_next_event_of_a_thread_waits_for_the_first_attempt_of_the_one_before(page: Page) -> None:
    page.receiver.gate.clear()
    page.order("POST", "/messages:batch", [{"text": "1"}, {"text": "2"}])
    page.writes("other", psid="1000000000000001")
    wait_until(lambda: len(page.receiver.came[page.path]) == 2)
    texts = {item["message"]["text"] for item in page.receiver.items(page.path)}
    page.receiver.gate.set()
    assert texts == {"1", "other"}


def test_several_threads_may_share_a_body(page: Page) -> None:
    page.behave(batch=5, shuffle=True)
    page.receiver.gate.clear()
    for number in range(60):
        page.writes("hello", psid=str(10**15 + number))
    page.receiver.gate.set()
    assert len({item["sender"]["id"] for item in page.items()}) == 60
    sizes = [len(json.loads(body)["entry"]) for _, body in page.receiver.came[page.path]]
    assert max(sizes) == 5


def test_a_failed_webhook_comes_again_and_may_be_overtaken(page: Page) -> None:
    page.receiver.answers[page.path] = lambda number: 500 if number == 1 else 200
    page.behave(retry_waits=[0.2])
    page.order("POST", "/messages:batch", [{"text": "1"}, {"text": "2"}])
    assert [item["message"]["text"] for item in page.items()] == ["1", "2", "1"]


def test_a_success_other_than_200_is_none(page: Page) -> None:
    page.receiver.answers[page.path] = lambda number: 202 if number == 1 else 200
    page.writes("hello")
    assert len(page.items()) == 2


def test_an_answer_after_five_seconds_is_none(page: Page) -> None:
    before = page.http.get("/sandbox/webhooks").json()["failed_attempts"]
    page.receiver.gate.clear()
    page.writes("hello")
    wait_until(lambda: page.http.get("/sandbox/webhooks").json()["failed_attempts"] > before)
    page.receiver.gate.set()
    assert len(page.items()) >= 2


def test_a_page_whose_webhooks_keep_failing_is_unsubscribed_after_an_alert(page: Page) -> None:
    page.receiver.answers[page.path] = lambda _: 503
    page.behave(minute=0.01)
    page.writes("hello")
    wait_until(lambda: page.get(f"{page.id}/subscribed_apps").json() == {"data": []})
    page.settle()
    webhooks = page.http.get("/sandbox/webhooks").json()
    (alert,) = [alert for alert in webhooks["alerts"] if alert["page_id"] == page.id]
    (end,) = [end for end in webhooks["unsubscribed"] if end["page_id"] == page.id]
    assert alert["at"] <= end["at"]


def test_a_success_ends_the_outage(page: Page) -> None:
    page.receiver.answers[page.path] = lambda number: 503 if number % 2 else 200
    page.behave(minute=0.02, retry_waits=[0])
    unsubscribed_at = time.monotonic() + 60 * 0.02 + 0.1
    while time.monotonic() < unsubscribed_at:
        page.writes("hello")
        page.settle()
    assert page.get(f"{page.id}/subscribed_apps").json()["data"]


def test_a_duplicate_is_the_same_event_again(page: Page) -> None:
    page.behave(duplicate=1)
    mid = page.writes("hello")
    assert [item["message"]["mid"] for item in page.items()] == [mid, mid]


def test_a_late_copy_comes_behind_newer_events(page: Page) -> None:
    page.behave(late=1)
    page.order("POST", "/messages:batch", [{"text": "1"}, {"text": "2"}])
    assert [item["message"]["text"] for item in page.items()][:2] == ["1", "2"]
    assert sorted(item["message"]["text"] for item in page.items()) == ["1", "1", "2", "2"]


def test_raw_events_are_sent_as_they_are_and_open_the_window(page: Page) -> None:
    item = {
        "sender": {"id": PSID},
        "recipient": {"id": page.id},
        "timestamp": 1,
        "postback": {"payload": "GO"},
    }
    odd = {"sender": {"id": PSID}, "recipient": {"id": page.id}, "never_seen": {}}
    page.order("POST", "/events", {"items": [item, odd]}, psid=None)
    assert page.items() == [item, odd]
    assert page.send({"text": "hi"}).status_code == 200


def test_events_stand_by_while_another_app_owns_the_thread(page: Page) -> None:
    page.writes("one")
    page.order("PUT", "/thread_owner", {"app_id": "263902037430900"})
    page.writes("two")
    page.settle()
    entries = [json.loads(body)["entry"][0] for _, body in page.receiver.came[page.path]]
    assert [sorted(set(entry) - {"id", "time"}) for entry in entries] == [["messaging"], ["standby"]]
