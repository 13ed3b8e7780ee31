"""Files of the sandbox Meta: its media host, and uploads."""

import base64
import hashlib
import json
import re

import pytest

from sandbox.meta import upload as meta_upload
from tests.fakes.sandbox_meta import PSID, Page, fault


def test_a_photo_a_person_sends_is_on_the_media_host_until_its_url_expires(page: Page) -> None:
    photo = {"filename": "a b.jpg", "content_type": "image/jpeg", "base64": base64.b64encode(b"jpg").decode()}
    page.writes(files=[photo])
    (item,) = page.items()
    (attachment,) = item["message"]["attachments"]
    url = attachment["payload"]["url"]
    assert attachment["type"] == "image"
    assert re.search(r"/v/t1\.15752-9/\d+_n\.jpg\?_nc_cat=1&oh=03_\w+&oe=[0-9A-F]+$", url)
    answer = page.http.get(url)
    assert (answer.content, answer.headers["content-type"]) == (b"jpg", "image/jpeg")
    page.behave(media_lifetime=0)
    expired = page.http.get(page.thread()[0]["attachments"][0]["url"])
    assert (expired.status_code, expired.text) == (403, "URL signature expired")


def test_a_url_that_was_tampered_with_is_refused(page: Page) -> None:
    photo = {"filename": "a.jpg", "content_type": "image/jpeg", "base64": ""}
    page.writes(files=[photo])
    url = page.thread()[0]["attachments"][0]["url"]
    assert page.http.get(re.sub("oe=.*", "oe=FFFFFFFF", url)).status_code == 403
    assert page.http.get("/media/v/t1.15752-9/1_n.jpg").status_code == 403


def test_a_file_keeps_its_name_and_a_voice_clip_does_not(page: Page) -> None:
    files = [
        {"filename": "faktura ż.pdf", "content_type": "application/pdf", "base64": "cGRm"},
        {"filename": "rec.mp4", "content_type": "audio/mp4", "base64": "bXA0"},
        {"filename": "film.mov", "content_type": "video/quicktime", "base64": "bW92"},
    ]
    page.writes(files=files)
    shown = page.thread()[0]["attachments"]
    assert [item["type"] for item in shown] == ["file", "audio", "video"]
    document, clip, film = [item["url"] for item in shown]
    assert re.search(r"/v/t59\.2708-21/\d+\.pdf/faktura%20%C5%BC\.pdf\?.*&dl=1$", document)
    assert re.search(r"/audioclip-\d+\.mp4\?", clip)
    assert re.search(r"/v/t42\.3356-2/\d+\.mov/video-\d+\.mov\?", film)
    assert "attachment" in page.http.get(document).headers["content-disposition"]


def test_a_file_is_sent_with_the_call(page: Page) -> None:
    page.writes("hello")
    message = {"attachment": {"type": "file", "payload": {}}}
    answer = page.http.post(
        "/v26.0/me/messages",
        params={"access_token": page.token},
        data={"recipient": json.dumps({"id": PSID}), "message": json.dumps(message)},
        files={"filedata": ("invoice.pdf", b"%PDF", "application/pdf")},
    )
    assert answer.status_code == 200
    (sent,) = page.thread()[1]["attachments"]
    digest = hashlib.sha256(b"%PDF").hexdigest()
    assert (sent["filename"], sent["content_type"], sent["size"]) == ("invoice.pdf", "application/pdf", 4)
    assert (sent["type"], sent["sha256"]) == ("file", digest)
    echo = page.items()[1]["message"]
    assert page.http.get(echo["attachments"][0]["payload"]["url"]).content == b"%PDF"


def test_a_file_is_fetched_from_its_url_and_saved_when_reusable(page: Page) -> None:
    page.writes("hello")
    page.receiver.files["/files/a%20b.png"] = ("image/png", b"png")
    payload = {"url": page.receiver.url + "/files/a%20b.png", "is_reusable": True}
    saved = page.send({"attachment": {"type": "image", "payload": payload}}).json()["attachment_id"]
    page.send({"attachment": {"type": "image", "payload": {"attachment_id": saved}}})
    first, again = [message["attachments"][0] for message in page.thread()[1:]]
    assert (first["filename"], first["sha256"]) == ("a b.png", again["sha256"])


def test_an_upload_by_url_is_answered_with_an_id(page: Page) -> None:
    page.receiver.files["/files/c.mp4"] = ("audio/mp4", b"mp4")
    payload = {"url": page.receiver.url + "/files/c.mp4", "is_reusable": True}
    body = {"access_token": page.token, "message": {"attachment": {"type": "audio", "payload": payload}}}
    answer = page.http.post(f"/v26.0/{page.id}/message_attachments", json=body)
    assert re.fullmatch(r"\d{15,16}", answer.json()["attachment_id"])


def test_an_upload_without_attachment_is_refused(page: Page) -> None:
    body = {"access_token": page.token, "message": {}}
    assert fault(page.http.post("/v26.0/me/message_attachments", json=body)) == (400, 100, None)


def test_several_images_go_in_one_message(page: Page) -> None:
    page.writes("hello")
    page.receiver.files["/files/a.png"] = ("image/png", b"png")
    image = {"type": "image", "payload": {"url": page.receiver.url + "/files/a.png"}}
    page.send({"attachments": [image, image]})
    assert len(page.items()[1]["message"]["attachments"]) == 2


def test_another_page_s_attachment_cannot_be_sent(page: Page) -> None:
    saved = page.upload("image", "a.png", b"png", "image/png").json()["attachment_id"]
    other = Page(page.http, page.receiver)
    other.writes("hello")
    message = {"attachment": {"type": "image", "payload": {"attachment_id": saved}}}
    assert fault(other.send(message)) == (400, 100, 2018074)


def test_a_saved_attachment_expires(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.writes("hello")
    saved = page.upload("image", "a.png", b"png", "image/png").json()["attachment_id"]
    monkeypatch.setattr(meta_upload, "ASSET_LIFETIME", -1)
    message = {"attachment": {"type": "image", "payload": {"attachment_id": saved}}}
    assert fault(page.send(message)) == (400, 100, 2018074)


def test_a_url_that_cannot_be_fetched_is_refused(page: Page) -> None:
    page.writes("hello")
    for url in (page.receiver.url + "/files/missing.png", "http://127.0.0.1:1/a.png", "nonsense"):
        message = {"attachment": {"type": "image", "payload": {"url": url}}}
        assert fault(page.send(message)) == (400, 100, 2018008)


@pytest.mark.parametrize(
    ("kind", "content_type", "subcode"), [("file", "text/plain", 2018008), ("video", "video/mp4", 2018294)]
)
def test_a_url_that_answers_too_late_is_refused(
    page: Page, monkeypatch: pytest.MonkeyPatch, kind: str, content_type: str, subcode: int
) -> None:
    page.writes("hello")
    page.settle()
    monkeypatch.setattr(meta_upload, "FETCH_TIMEOUT", 0.1)
    monkeypatch.setattr(meta_upload, "VIDEO_FETCH_TIMEOUT", 0.1)
    page.receiver.files["/files/slow"] = (content_type, b"slow")
    page.receiver.gate.clear()
    message = {"attachment": {"type": kind, "payload": {"url": page.receiver.url + "/files/slow"}}}
    assert fault(page.send(message)) == (400, 100, subcode)


def test_an_image_over_8_mb_is_not_fetched(page: Page) -> None:
    page.writes("hello")
    page.receiver.files["/files/big.png"] = ("image/png", bytes(8 * 2**20 + 1))
    payload = {"url": page.receiver.url + "/files/big.png"}
    assert fault(page.send({"attachment": {"type": "image", "payload": payload}})) == (400, 100, 2018008)


def test_an_upload_over_25_mb_is_refused(page: Page) -> None:
    answer = page.upload("file", "big.zip", bytes(25 * 2**20 + 1), "application/zip")
    assert fault(answer) == (400, 100, 2018109)


def test_an_upload_of_another_type_is_refused(page: Page) -> None:
    assert fault(page.upload("image", "a.pdf", b"%PDF", "application/pdf")) == (400, 100, 2018047)
