"""Profiles, conversations and messages are read from the sandbox Meta."""

import json

from tests.fakes.sandbox_meta import PSID, Page, fault


def test_a_full_profile_has_a_picture_that_expires(page: Page) -> None:
    page.order("PUT", "", {"first_name": "Anna", "last_name": "Nowak"})
    profile = page.get(PSID, fields="first_name,last_name,name,profile_pic").json()
    assert (profile["id"], profile["name"], profile["first_name"]) == (PSID, "Anna Nowak", "Anna")
    picture = page.http.get(profile["profile_pic"])
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    page.behave(media_lifetime=0)
    expired = page.http.get(page.get(PSID).json()["profile_pic"])
    assert (expired.status_code, expired.text) == (403, "URL signature expired")


def test_a_profile_may_be_an_empty_object(page: Page) -> None:
    page.order("PUT", "", {"profile": "empty"})
    answer = page.get(PSID)
    assert (answer.status_code, answer.json()) == (200, {})


def test_a_profile_may_not_be_there(page: Page) -> None:
    page.order("PUT", "", {"profile": "none"})
    answer = page.get(PSID)
    assert fault(answer) == (400, 100, 2018218)
    assert answer.json()["error"]["message"] == "(#100) No profile available for this user."


def test_a_field_of_the_profile_may_be_refused(page: Page) -> None:
    page.order("PUT", "", {"first_name": "Anna"})
    assert fault(page.get(PSID, fields="first_name,locale")) == (400, 100, 2018247)
    assert fault(page.get(PSID, fields="first_nam")) == (400, 100, None)


def test_an_unknown_person_has_no_profile(page: Page) -> None:
    assert fault(page.get("404")) == (400, 100, 33)


def test_a_conversation_is_found_by_its_person(page: Page) -> None:
    page.order("PUT", "", {"first_name": "Anna", "last_name": "Nowak"})
    page.writes("hello")
    answer = page.get(f"{page.id}/conversations", user_id=PSID, fields="participants").json()
    (conversation,) = answer["data"]
    assert conversation["id"].startswith("t_")
    assert [end["name"] for end in conversation["participants"]["data"]] == ["Anna Nowak", "Sugester"]
    node = page.get(conversation["id"], fields="snippet,messages{id,from}").json()
    assert (node["snippet"], len(node["messages"]["data"])) == ("hello", 1)


def test_a_list_of_conversations_brings_the_newest_messages_of_each(page: Page) -> None:
    first = [page.writes(str(number)) for number in range(22)]
    other = page.writes("hello", psid="7623554920995437")
    listed = page.get(f"{page.id}/conversations", fields="messages.limit(21){id,message}").json()["data"]
    short, long = sorted((talk["messages"]["data"] for talk in listed), key=len)

    assert [one["id"] for one in short] == [other]
    assert [one["id"] for one in long] == first[:0:-1]
    assert ["message" in one for one in long] == [True] * 20 + [False]
    assert fault(page.get(f"{page.id}/conversations", fields="messages.limit(2){mid}")) == (400, 100, None)


def test_messages_of_a_conversation_are_read_with_it(page: Page) -> None:
    mids = [page.writes(str(number)) for number in range(4)]
    fields = "messages.limit(3){message,from}"
    (conversation,) = page.get(f"{page.id}/conversations", user_id=PSID, fields=fields).json()["data"]
    said = conversation["messages"]["data"]
    assert [(one["id"], one["message"]) for one in said] == list(
        zip(mids[:0:-1], ["3", "2", "1"], strict=True)
    )
    assert set(said[0]) == {"id", "message", "from"}
    wrong = page.get(f"{page.id}/conversations", user_id=PSID, fields="messages{text}")
    assert fault(wrong) == (400, 100, None)


def test_conversations_come_newest_first_by_cursor(page: Page) -> None:
    for number in range(3):
        page.writes("hello", psid=str(10**15 + number), timestamp=1795382999900 + number)
    first = page.get(f"{page.id}/conversations", limit=2).json()
    after = first["paging"]["cursors"]["after"]
    second = page.get(f"{page.id}/conversations", limit=2, after=after).json()
    ids = [item["id"][-1] for item in first["data"] + second["data"]]
    assert ids == ["2", "1", "0"]
    assert "next" in first["paging"]
    assert "next" not in second["paging"]


def test_conversations_may_be_read_twice_a_second(page: Page) -> None:
    answers = [page.get(f"{page.id}/conversations") for _ in range(3)]
    assert fault(answers[2]) == (400, 80006, None)
    assert page.id in json.loads(answers[2].headers["X-Business-Use-Case-Usage"])


def test_a_cursor_that_is_none_is_refused(page: Page) -> None:
    assert fault(page.get(f"{page.id}/conversations", after="AAAA")) == (400, 100, None)


def test_only_the_20_newest_messages_are_told_in_detail(page: Page) -> None:
    mids = [page.writes(str(number)) for number in range(22)]
    fields = "id,created_time,from,message"
    listed = page.get(f"t_10{PSID}/messages", fields=fields, limit=22).json()["data"]
    assert [item["id"] for item in listed] == mids[::-1]
    assert [item.get("message") for item in listed[-3:]] == ["2", None, None]
    assert fault(page.get(mids[0])) == (400, 9000001, None)


def test_a_message_is_read_with_a_fresh_url_of_its_file(page: Page) -> None:
    mid = page.writes(files=[{"filename": "a.pdf", "content_type": "application/pdf", "base64": "cGRm"}])
    message = page.get(mid, fields="from,to,message,attachments").json()
    (file,) = message["attachments"]["data"]
    assert (file["name"], file["mime_type"], file["size"]) == ("a.pdf", "application/pdf", 3)
    assert page.http.get(file["file_url"]).content == b"pdf"
    assert (message["from"]["id"], message["to"]["data"][0]["id"]) == (PSID, page.id)


def test_photos_and_videos_are_read_each_in_their_way(page: Page) -> None:
    files = [
        {"filename": "a.jpg", "content_type": "image/jpeg", "base64": ""},
        {"filename": "a.mp4", "content_type": "video/mp4", "base64": ""},
    ]
    photo, film = page.get(page.writes(files=files), fields="attachments").json()["attachments"]["data"]
    assert "url" in photo["image_data"]
    assert "url" in film["video_data"]


def test_an_unknown_conversation_is_refused(page: Page) -> None:
    assert fault(page.get("t_404/messages")) == (400, 100, 33)


def test_the_page_tells_its_name_and_its_routing(page: Page) -> None:
    assert page.get(page.id).json() == {"id": page.id, "name": "Sugester"}
    assert page.get("me", fields="messaging_feature_status").json()["messaging_feature_status"][
        "msgr_multi_app"
    ]
