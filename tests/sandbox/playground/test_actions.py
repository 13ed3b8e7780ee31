"""What somebody does on the page reaches the sandbox, and what is refused is said."""

import base64
from typing import Any

import pytest

from tests.fakes.playground import PAGE, Beside
from tests.fakes.sandbox_helpdesk import PNG

NOTE = {
    "filename": "note.txt",
    "content_type": "text/plain",
    "base64": base64.b64encode(b"hello").decode(),
}
PICTURE = {"filename": "a.png", "content_type": "image/png", "base64": base64.b64encode(PNG).decode()}


def test_a_customer_writes(beside: Beside) -> None:
    beside.writes(text="Where is my parcel?", files=[NOTE])

    (message,) = beside.thread()
    assert (message["sender"], message["text"]) == ("person", "Where is my parcel?")
    assert message["attachments"][0]["filename"] == "note.txt"


def test_a_customer_sends_a_sticker_and_a_quick_reply(beside: Beside) -> None:
    beside.writes(sticker_id="369239263222822")
    beside.writes(text="Yes, please", quick_reply="YES")

    sticker, answer = beside.thread()
    assert sticker["attachments"][0]["type"] == "sticker"
    assert answer["quick_reply"] == {"payload": "YES"}


def test_a_customer_reacts_edits_unsends_and_taps(beside: Beside) -> None:
    edited, unsent = beside.writes(text="helo"), beside.writes(text="never mind")
    reply = beside.replies("Hi")
    beside.do("PATCH", f"{beside.phone}/messages/{edited}", {"text": "hello"})
    beside.do("DELETE", f"{beside.phone}/messages/{unsent}")
    beside.do("POST", f"{beside.phone}/reactions", {"mid": reply, "emoji": "👍"})
    beside.do("POST", f"{beside.phone}/postbacks", {"title": "Get started", "payload": "GET_STARTED"})

    first, second, third, fourth = beside.thread()
    assert (first["text"], first["num_edit"]) == ("hello", 1)
    assert second["is_deleted"] is True
    assert third["reaction"] == "👍"
    assert fourth["postback"]["payload"] == "GET_STARTED"


def test_a_new_customer_is_known_to_the_page(beside: Beside) -> None:
    made = beside.do("POST", "/people", {"page_id": PAGE, "first_name": "Ewa", "last_name": "Lis"})

    people = beside.meta.get(f"/sandbox/pages/{PAGE}/people").json()
    assert {"psid": made["psid"], "name": "Ewa Lis", "messages": 0} in people


def test_an_agent_replies_with_a_file(beside: Beside) -> None:
    ticket = beside.ticket()
    beside.do("POST", f"/tickets/{ticket}/comments", {"text": "On its way", "files": [PICTURE]})

    (comment,) = beside.tickets()[0]["comments"]
    assert (comment["body"], comment["internal"]) == ("On its way", False)
    assert comment["attachments"][0]["filename"] == "a.png"


def test_an_agent_notes_something_internally(beside: Beside) -> None:
    ticket = beside.ticket()
    beside.do("POST", f"/tickets/{ticket}/comments", {"text": "a nuisance", "internal": True})
    assert beside.tickets()[0]["comments"][0]["internal"] is True


def test_an_agent_closes_the_ticket_and_opens_it_again(beside: Beside) -> None:
    ticket = beside.ticket()
    beside.do("POST", f"/tickets/{ticket}/close")
    assert beside.tickets()[0]["closed"] is True
    beside.do("POST", f"/tickets/{ticket}/reopen")
    assert beside.tickets()[0]["closed"] is False


def test_what_the_sandbox_meta_refuses_is_said_in_its_words(beside: Beside) -> None:
    mid = beside.writes(files=[NOTE])
    status, words = beside.refused("PATCH", f"{beside.phone}/messages/{mid}", {"text": "x"})
    assert (status, words) == (400, "The sandbox refused it: only a text can be edited")


def test_what_the_helpdesk_refuses_is_said_in_its_words(beside: Beside) -> None:
    status, words = beside.refused("POST", f"/tickets/{beside.ticket()}/comments", {"text": " "})
    assert (status, words) == (400, "The sandbox refused it: a comment needs a body or a file")


def test_what_is_not_understood_is_said(beside: Beside) -> None:
    status, words = beside.refused("POST", "/tickets/1/comments", {"txt": "x"})
    assert status == 400
    assert "unknown field `txt`" in words


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "age"),
        ("POST", "messages:batch"),
        ("POST", "messages/../age"),
        ("DELETE", "messages"),
        ("PATCH", "messages/a/b"),
        ("POST", ""),
    ],
)
def test_a_customer_can_do_nothing_but_what_messenger_offers(beside: Beside, method: str, path: str) -> None:
    beside.writes(text="hello")
    assert beside.refused(method, f"{beside.phone}/{path.replace('/', '%2F')}", {"hours": 1})[0] == 404
    assert len(beside.thread()) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [("/people", {"page_id": "x", "first_name": "A"}), ("/people", {"page_id": PAGE, "first_name": " "})],
)
def test_a_customer_needs_a_page_and_a_name(beside: Beside, path: str, body: dict[str, Any]) -> None:
    assert beside.refused("POST", path, body)[0] in {400, 404}


def test_what_a_form_of_another_site_can_send_is_refused(beside: Beside) -> None:
    answer = beside.http.post(f"{beside.phone}/messages", content=b'{"text": "x"}')
    assert answer.status_code == 415
    assert beside.thread() == []


def test_a_name_of_another_site_does_not_open_the_page(beside: Beside) -> None:
    assert beside.http.get("/", headers={"Host": "evil.example.com"}).status_code == 400


def test_the_page_may_ask_for_nothing_that_is_not_its_own(beside: Beside) -> None:
    answer = beside.http.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; frame-src http://127.0.0.1:9;")
    assert "'unsafe-inline'" not in policy
    assert answer.headers["content-type"].startswith("text/html")
    assert beside.http.get("/static/main.js").headers["content-security-policy"] == policy


def test_a_file_that_a_customer_sent_is_shown_and_can_do_nothing(beside: Beside) -> None:
    page = {"filename": "a\u0142.html", "content_type": "text/html", "base64": NOTE["base64"]}
    beside.writes(files=[page])
    (file,) = beside.state()["phone"]["messages"][0]["files"]
    answer = beside.http.get(file["src"])

    assert answer.content == b"hello"
    assert answer.headers["content-security-policy"].endswith("; sandbox")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%C5%82.html"


def test_a_file_of_a_ticket_is_shown(beside: Beside) -> None:
    ticket = beside.ticket()
    beside.do("POST", f"/tickets/{ticket}/comments", {"files": [PICTURE]})
    comment = beside.state()["desk"]["tickets"][0]["comments"][1]
    (file,) = comment["files"].values()
    answer = beside.http.get(file["src"])

    assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")
    assert answer.headers["content-disposition"].startswith("inline")


def test_what_the_page_itself_fetches_does_not_stand_in_the_log(beside: Beside) -> None:
    beside.writes(files=[PICTURE])
    beside.do("POST", f"/tickets/{beside.ticket()}/comments", {"files": [PICTURE]})
    state = beside.state()
    files = [
        *state["phone"]["messages"][0]["files"],
        *state["desk"]["tickets"][0]["comments"][1]["files"].values(),
    ]
    for file in files:
        assert beside.http.get(file["src"]).status_code == 200

    assert "viewer=playground" in beside.journal()
    assert [one for one in beside.state()["log"] if one["what"] == "fetches a file"] == []


@pytest.mark.parametrize(
    "path", ["{phone}/files/m_404/0", "{phone}/files/{mid}/1", "/tickets/{anna}/1/files/404"]
)
def test_a_file_that_there_is_not_is_not_found(beside: Beside, path: str) -> None:
    mid = beside.writes(files=[NOTE])
    answer = beside.http.get(path.format(phone=beside.phone, mid=mid, anna=beside.anna))
    assert (answer.status_code, answer.json()["error"]) == (404, "There is no such file.")
