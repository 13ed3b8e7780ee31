"""The Graph API as the connector uses it: each method by a recording, and what goes out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO

import httpx
import pytest

from clients.channel import NewFile, NewMessage, Profile, Words
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.graph import Page, appsecret_proof, attachment_kind
from clients.errors import LateReplyAllowed, NotFound
from clients.http import HttpClient
from clients.media import File
from tests.conftest import PAGE_A, SECRET_A
from tests.fakes.graph import NAMELESS, PROFILELESS, PSID, SILENT, TOKEN, Site, messenger_at, send_hello
from tests.fakes.recording import FOLDER, SITES, cassette

PDF = b"%PDF-1.4 invoice"


@contextmanager
def _recorded(name: str) -> Iterator[Page]:
    """Give a Graph API that answers from a cassette."""
    with cassette(f"messenger/{name}"), HttpClient() as http:
        yield messenger_at(http, SITES.meta, human_agent=True)


def _file() -> File:
    return File("invoice.pdf", "application/pdf", len(PDF), BytesIO(PDF))


def test_a_ping_is_answered() -> None:
    with _recorded("ping") as messenger:
        messenger.ping()


def test_a_text_is_sent() -> None:
    with _recorded("send_text") as messenger:
        assert messenger.send(PSID, NewMessage("connector:981:0", "Dzień dobry 😀")).startswith("m_")


def test_a_text_is_sent_after_the_reply_window_with_the_tag_for_human_agents() -> None:
    message = NewMessage("connector:982:0", "Sorry for the wait")
    with _recorded("send_text_tagged") as messenger:
        with pytest.raises(LateReplyAllowed):
            messenger.send(SILENT, message)
        assert messenger.send(SILENT, replace(message, is_late=True)).startswith("m_")


def test_a_text_to_somebody_unknown_is_not_sent() -> None:
    with _recorded("send_text_nobody") as messenger, pytest.raises(NotFound) as refusal:
        messenger.send("404", NewMessage("connector:983:0", "Hello"))
    assert refusal.value.remote == f"{CHANNEL}:{PAGE_A}"


def test_a_file_is_uploaded_and_sent() -> None:
    with _recorded("upload") as messenger:
        uploaded = messenger.upload("file", _file())
        sent = messenger.send(PSID, NewMessage("connector:984:0", files=[NewFile("file", uploaded)]))
        assert sent.startswith("m_")


def test_a_message_has_words_as_long_as_meta_shows_it() -> None:
    with _recorded("words_of") as messenger:
        sent = messenger.send(PSID, NewMessage("connector:985:0", "Hello"))
        assert messenger.words_of(sent) == Words("Hello", by_account=True)
        assert messenger.words_of("m_long_ago") is None


def test_a_person_has_a_profile() -> None:
    with _recorded("profile") as messenger:
        profile = messenger.profile(PSID)
    assert (profile.name, profile.first_name, profile.last_name) == ("Anna Nowak", "Anna", "Nowak")
    assert profile.picture.startswith(f"{SITES.meta}/media/")


def test_a_person_without_a_profile_has_the_name_of_their_conversation() -> None:
    with _recorded("profile_empty") as messenger:
        assert messenger.profile(NAMELESS) == Profile(name="Anna Nowak")


def test_a_profile_that_is_not_there_is_not_found() -> None:
    with _recorded("profile_none") as messenger, pytest.raises(NotFound):
        messenger.profile(PROFILELESS)


def test_no_cassette_holds_a_secret() -> None:
    secrets = {TOKEN, SECRET_A, appsecret_proof(TOKEN, SECRET_A), "127.0.0.1"}
    cassettes = [file.read_text() for file in FOLDER.glob("**/*.yaml")]
    assert cassettes
    assert not [secret for secret in secrets for text in cassettes if secret in text]


def test_the_proof_is_the_one_of_the_guide() -> None:
    proof = appsecret_proof("EAATESTTOKEN", "0123456789abcdef0123456789abcdef")
    assert proof == "99cbac345910084e738e780a0d5a02f2421ea86e53d6f64eff41e367a76944c6"


def test_a_text_is_written_as_the_send_api_wants_it() -> None:
    site = Site(lambda _: httpx.Response(200, json={"message_id": "m_1"}))
    assert send_hello(site.messenger) == "m_1"
    (request,) = site.requests
    assert (request.method, request.url.path) == ("POST", f"/v26.0/{PAGE_A}/messages")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.url.params["appsecret_proof"] == appsecret_proof(TOKEN, SECRET_A)
    assert json.loads(request.content) == {
        "recipient": {"id": PSID},
        "messaging_type": "RESPONSE",
        "message": {"text": "Hello", "metadata": "connector:981:0"},
    }


def test_a_late_reply_is_sent_with_the_tag_for_human_agents_and_answers_no_message() -> None:
    site = Site(lambda _: httpx.Response(200, json={"message_id": "m_1"}))
    site.messenger.send(PSID, NewMessage("connector:981:0", "Hello", reply_to="m_0", is_late=True))
    (request,) = site.requests
    sent = json.loads(request.content)
    assert (sent["messaging_type"], sent["tag"]) == ("MESSAGE_TAG", "HUMAN_AGENT")
    assert "reply_to" not in sent


def test_an_attachment_is_written_as_the_send_api_wants_it() -> None:
    site = Site(lambda _: httpx.Response(200, json={"message_id": "m_1"}))
    site.messenger.send(PSID, NewMessage("connector:981:1", files=[NewFile("image", url="https://x/a.png")]))
    assert json.loads(site.requests[0].content)["message"] == {
        "attachment": {"type": "image", "payload": {"url": "https://x/a.png"}},
        "metadata": "connector:981:1",
    }


def test_several_images_are_written_as_the_send_api_wants_them() -> None:
    site = Site(lambda _: httpx.Response(200, json={"message_id": "m_1"}))
    images = [NewFile("image", "12"), NewFile("image", url="https://x/a.png")]
    site.messenger.send(PSID, NewMessage("connector:981:1", files=images))
    assert json.loads(site.requests[0].content)["message"] == {
        "attachments": [
            {"type": "image", "payload": {"attachment_id": "12"}},
            {"type": "image", "payload": {"url": "https://x/a.png"}},
        ],
        "metadata": "connector:981:1",
    }


def test_an_answer_names_its_message_beside_its_own() -> None:
    site = Site(lambda _: httpx.Response(200, json={"message_id": "m_1"}))
    site.messenger.send(PSID, NewMessage("connector:981:0", "Hello", reply_to="m_8"))
    sent = json.loads(site.requests[0].content)
    assert (sent["reply_to"], sent["messaging_type"]) == ({"mid": "m_8"}, "RESPONSE")


def test_a_page_is_unsubscribed_with_a_proof() -> None:
    site = Site(lambda _: httpx.Response(200, json={"success": True}))
    site.messenger.unsubscribe()
    (request,) = site.requests
    assert (request.method, request.url.path) == ("DELETE", f"/v26.0/{PAGE_A}/subscribed_apps")
    assert request.url.params["appsecret_proof"] == appsecret_proof(TOKEN, SECRET_A)


def test_the_token_never_stands_in_an_address() -> None:
    site = Site(lambda _: httpx.Response(200, json={"message_id": "m_1"}))
    send_hello(site.messenger)
    site.messenger.ping()
    assert not [request for request in site.requests if TOKEN in str(request.url)]


@pytest.mark.parametrize(
    ("content_type", "size", "kind"),
    [
        ("image/png", 100, "image"),
        ("image/jpeg", 8 * 1024 * 1024, "image"),
        ("image/jpeg", 8 * 1024 * 1024 + 1, "file"),
        ("image/svg+xml", 100, "file"),
        ("image/jpg", 100, "image"),
        ("image/pjpeg", 100, "image"),
        ("IMAGE/PNG", 100, "image"),
        ("image/jpeg; charset=binary", 100, "image"),
        ("application/pdf", 100, "file"),
        ("image/webp", 100, "file"),
        ("image/heic", 100, "file"),
        ("image/tiff", 100, "file"),
        ("audio/mp4", 100, "audio"),
        ("audio/mpeg", 30 * 1024 * 1024, "audio"),
        ("audio/mp3", 100, "audio"),
        ("audio/amr", 100, "file"),
        ("video/mp4", 100, "video"),
        ("video/x-matroska", 100, "file"),
        ("text/mp4", 100, "file"),
    ],
)
def test_a_file_is_sent_as_what_meta_shows_it_as(content_type: str, size: int, kind: str) -> None:
    assert attachment_kind(content_type, size) == kind
