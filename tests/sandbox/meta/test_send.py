"""Messages are sent by the sandbox Meta, or refused."""

import json
from typing import Any

import pytest

from tests.fakes.sandbox_meta import PSID, SECRET, Page, fault


def test_a_sent_message_is_echoed_delivered_and_read(page: Page) -> None:
    page.writes("hello")
    answer = page.send({"text": "hi", "metadata": "981.1"}).json()
    assert answer["recipient_id"] == PSID
    _, echo, delivery, read = page.items()
    assert (echo["sender"], echo["recipient"]) == ({"id": page.id}, {"id": PSID})
    assert echo["message"] == {
        "mid": answer["message_id"],
        "is_echo": True,
        "app_id": int(page.app_id),
        "metadata": "981.1",
        "text": "hi",
    }
    assert delivery["delivery"] == {"mids": [answer["message_id"]], "watermark": echo["timestamp"]}
    assert read["read"] == {"watermark": echo["timestamp"]}


def test_echoes_and_receipts_can_be_off(page: Page) -> None:
    page.writes("hello")
    page.behave(echoes=False, receipts=False)
    page.send({"text": "hi"})
    assert len(page.items()) == 1


def test_an_echo_may_overtake_the_answer(page: Page) -> None:
    page.writes("hello")
    page.settle()
    page.behave(echo_before_response=1)
    answer = page.send({"text": "hi"}).json()
    assert page.receiver.items(page.path)[1]["message"]["mid"] == answer["message_id"]


def test_a_message_may_be_sent_although_the_answer_is_an_error(page: Page) -> None:
    page.writes("hello")
    page.behave(lost_after_send={"every": 1})
    assert fault(page.send({"text": "hi"})) == (500, 1, 1357046)
    assert [message.get("text") for message in page.thread()] == ["hello", "hi"]
    assert "message" in page.items()[1]


def test_what_an_agent_writes_in_meta_s_inbox_is_echoed_without_metadata(page: Page) -> None:
    page.writes("hello")
    mid = page.order("POST", "/inbox", {"psid": PSID, "text": "from the inbox"}, psid=None)["mid"]
    echo = page.items()[1]["message"]
    assert echo == {"mid": mid, "is_echo": True, "app_id": 263902037430900, "text": "from the inbox"}


def test_a_form_brings_objects_as_json_text(page: Page) -> None:
    page.writes("hello")
    form = {"recipient": json.dumps({"id": PSID}), "message": json.dumps({"text": "hi"})}
    headers = {"Authorization": f"Bearer {page.token}"}
    answer = page.http.post(f"/v26.0/{page.id}/messages", data=form, headers=headers)
    assert answer.json()["recipient_id"] == PSID


@pytest.mark.parametrize(
    ("message", "more", "expected"),
    [
        ({"text": "x" * 2001}, {}, (400, 100, None)),
        ({"text": "😀" * 1001}, {}, (400, 100, None)),
        ({"text": "hi", "metadata": "x" * 1000}, {}, (400, 100, None)),
        ({"text": "hi", "attachment": {"type": "image", "payload": {}}}, {}, (400, 100, None)),
        ({}, {}, (400, 100, 2018034)),
        ({"attachment": {"type": "file", "payload": {}}}, {}, (400, 100, 2018034)),
        ({"attachment": {"type": "card", "payload": {}}}, {}, (400, 100, None)),
        ({"attachment": {"type": "file", "payload": {"attachment_id": "1"}}}, {}, (400, 100, 2018074)),
        ({"attachments": [{"type": "file", "payload": {}}]}, {}, (400, 100, None)),
        ({"attachments": [{"type": "image", "payload": {}}] * 31}, {}, (400, 100, None)),
        (None, {}, (400, 100, None)),
        ("hi", {}, (400, 100, None)),
        ({"text": "hi"}, {"recipient": {}}, (400, 100, None)),
        ({"text": "hi"}, {"recipient": {"id": "404"}}, (400, 100, 2018001)),
        ({"text": "hi"}, {"messaging_type": "ANSWER"}, (400, 100, None)),
        ({"text": "hi"}, {"messaging_type": "MESSAGE_TAG"}, (400, 100, None)),
        ({"text": "hi"}, {"messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"}, (400, 100, 1893061)),
        ({"text": "hi"}, {"messaging_type": "MESSAGE_TAG", "tag": "HELLO"}, (400, 100, None)),
        ({"text": "hi"}, {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}, (403, 10, None)),
        ({"text": "hi"}, {"tag": "HUMAN_AGENT"}, (400, 100, None)),
        ({"text": "hi"}, {"sender_action": "typing_on"}, (400, 100, 2018014)),
        (None, {"sender_action": "dance"}, (400, 100, None)),
        ({"text": "hi"}, {"reply_to": {"mid": "m_x"}}, (400, 100, None)),
    ],
)
def test_a_wrong_message_is_refused(page: Page, message: Any, more: Any, expected: Any) -> None:
    page.writes("hello")
    assert fault(page.send(message, **more)) == expected
    assert len(page.thread()) == 1


def test_a_text_of_2000_utf_16_units_is_sent(page: Page) -> None:
    page.writes("hello")
    assert page.send({"text": "😀" * 1000}).status_code == 200


def test_a_sender_action_is_answered_with_the_recipient_alone(page: Page) -> None:
    page.writes("hello")
    assert page.send(None, sender_action="typing_on").json() == {"recipient_id": PSID}


def test_a_reply_to_a_message_is_echoed_so(page: Page) -> None:
    mid = page.writes("hello")
    page.send({"text": "hi"}, reply_to={"mid": mid})
    assert page.items()[1]["message"]["reply_to"] == {"mid": mid}


def test_a_message_outside_the_window_is_refused_with_meta_s_words(page: Page) -> None:
    page.writes("hello")
    page.order("POST", "/age", {"hours": 24.1})
    answer = page.send({"text": "hi"})
    assert fault(answer) == (400, 10, 2018278)
    assert answer.json()["error"]["message"].startswith(
        "(#10) This message is sent outside of allowed window."
    )
    assert answer.json()["error"]["type"] == "OAuthException"


def test_a_person_who_never_wrote_cannot_be_written_to(page: Page) -> None:
    page.order("PUT", "", {"first_name": "Anna"})
    assert fault(page.send({"text": "hi"})) == (400, 10, 2018278)


def test_a_human_agent_may_answer_for_seven_days(page: Page) -> None:
    app = {"app_secret": SECRET, "human_agent": True}
    page.http.put(f"/sandbox/apps/{page.app_id}", json=app)
    page.writes("hello")
    page.order("POST", "/age", {"hours": 24 * 6.9})
    tagged = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    assert page.send({"text": "sorry for the wait"}, **tagged).status_code == 200
    assert (page.thread()[1]["messaging_type"], page.thread()[1]["tag"]) == ("MESSAGE_TAG", "HUMAN_AGENT")
    page.order("POST", "/age", {"hours": 24 * 0.2})
    assert fault(page.send({"text": "too late"}, **tagged)) == (400, 10, 2018278)


def test_another_app_s_thread_cannot_be_written_to(page: Page) -> None:
    page.writes("hello")
    page.order("PUT", "/thread_owner", {"app_id": "263902037430900"})
    assert fault(page.send({"text": "hi"})) == (400, 10, 2018300)
    page.order("PUT", "/thread_owner", {"app_id": None})
    assert page.send({"text": "hi"}).status_code == 200


def test_media_are_limited_to_ten_a_second(page: Page) -> None:
    page.writes("hello")
    attachment_id = page.upload("image", "a.png", b"png", "image/png").json()["attachment_id"]
    message = {"attachment": {"type": "image", "payload": {"attachment_id": attachment_id}}}
    answers = [page.send(message) for _ in range(11)]
    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    assert fault(answers[10]) == (400, 613, None)
    (usage,) = json.loads(answers[10].headers["X-Business-Use-Case-Usage"])[page.id]
    assert (usage["type"], usage["call_count"]) == ("messenger", 100)


def test_another_page_s_path_is_refused(page: Page) -> None:
    answer = page.http.post("/v26.0/999/messages", json={"access_token": page.token})
    assert fault(answer) == (400, 100, 33)


def test_a_path_without_version_is_refused(page: Page) -> None:
    assert fault(page.http.get("/graph/me")) == (400, 2500, None)


def test_answers_say_how_much_a_page_and_its_app_have_used(page: Page) -> None:
    page.writes("hello")
    used = {"call_count": 85, "estimated_time_to_regain_access": 3}
    page.http.put("/sandbox/behaviour", json={"usage": {page.id: used}, "app_usage": {"total_time": 40}})

    for answer in (page.send({"text": "hi"}), page.send({})):
        assert json.loads(answer.headers["X-Business-Use-Case-Usage"]) == {
            page.id: [{"type": "messenger", "total_cputime": 0, "total_time": 0} | used]
        }
        assert json.loads(answer.headers["X-App-Usage"])["total_time"] == 40


def test_nothing_is_said_of_what_a_page_has_used_unless_it_is_ordered(page: Page) -> None:
    page.writes("hello")
    page.http.put("/sandbox/behaviour", json={"usage": {"1": {"call_count": 85}}})

    assert not [name for name in page.send({"text": "hi"}).headers if "usage" in name]


@pytest.mark.parametrize(
    "wrong",
    [{"usage": {"1": {"calls": 1}}}, {"usage": {"1": {"type": "ads"}}}, {"app_usage": {"type": "pages"}}],
)
def test_a_usage_that_meta_does_not_know_is_refused(page: Page, wrong: dict[str, object]) -> None:
    assert page.http.put("/sandbox/behaviour", json=wrong).status_code == 400


def test_the_sandbox_counts_how_fast_a_page_sends(page: Page) -> None:
    page.writes("hello")
    attachment_id = page.upload("image", "a.png", b"png", "image/png").json()["attachment_id"]
    message = {"attachment": {"type": "image", "payload": {"attachment_id": attachment_id}}}
    for _ in range(12):
        page.send(message)

    rates = page.http.get(f"/sandbox/pages/{page.id}/rates").json()
    assert rates["media"] == {"accepted": 10, "most": 10, "refused": 2}
