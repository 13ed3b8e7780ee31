"""Meta's webhooks as plain values: every documented event, and the key of each."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from clients.channel import Attachment, Conversation, Echo, Event, Incoming, Message, OtherEvent, Receipt
from clients.channels.meta.events import (
    CHANNEL,
    PAGE_INBOX_APP_IDS,
    echo_metadata,
    external_id,
    page_ids,
    parse,
)
from clients.notices import Notice, notice
from tests.conftest import PAYLOADS, payload
from tests.fakes.events import SENT, THREAD, new_message, split, time_of

STICKER = "https://scontent.xx.fbcdn.net/v/t39.1997-6/4_n.png"

OPENS_NO_TICKET = {
    *("reaction", "message_deleted", "app_roles"),
    *("pass_thread_control", "take_thread_control", "request_thread_control"),
}


def _echo(mid: str, app_id: str, text: str = "", *attachments: Attachment) -> Echo:
    in_inbox = app_id in PAGE_INBOX_APP_IDS
    by_agent = in_inbox or not app_id
    author = notice("from_meta_inbox") if by_agent else notice("from_app", app_id=app_id)
    at = time_of(1795383000500)
    return Echo(mid, at, text, attachments, author, is_by_agent=by_agent, may_be_ours=not in_inbox)


def _other(kind: str, summary: Notice | None = None, at: int = 1795383000000) -> OtherEvent:
    words = summary or notice("unknown_event", kind=kind)
    return OtherEvent(kind, time_of(at), words, opens_ticket=kind not in OPENS_NO_TICKET)


@dataclass(frozen=True)
class Case:
    """What a payload file with one event says."""

    event: Event
    kind: str
    time: int
    mid: str | None = None
    echo_metadata: str | None = None
    conversation: Conversation | None = THREAD


def _written(event: Message, time: int = SENT) -> Case:
    return Case(event, "message", time, event.message_id)


def _said(event: Echo, echo_metadata: str | None = None) -> Case:
    return Case(event, "message", 1795383000500, event.message_id, echo_metadata)


def _happened(event: OtherEvent, **more: Any) -> Case:
    return Case(event, event.kind, int(event.time.timestamp() * 1000), **more)


CASES = {
    "message_text": _written(new_message("m_text", "Gdzie jest moja faktura? 😀")),
    "message_quick_reply": _written(new_message("m_quick", "Yes, please")),
    "message_reply": _written(new_message("m_reply", "about this one")),
    "message_two_images": _written(
        new_message(
            "m_images",
            "",
            Attachment(
                "image",
                "https://scontent.xx.fbcdn.net/v/t1.15752-9/1_n.jpg?oh=03_x&oe=69A00000",
                is_file=True,
            ),
            Attachment(
                "image",
                "https://scontent.xx.fbcdn.net/v/t1.15752-9/2_n.jpg?oh=03_y&oe=69A00000",
                is_file=True,
            ),
        )
    ),
    "message_video": _written(
        new_message(
            "m_video",
            "",
            Attachment("video", "https://video.xx.fbcdn.net/v/t42/5_n.mp4?oe=69A00000", is_file=True),
        )
    ),
    "message_audio": _written(
        new_message(
            "m_audio",
            "",
            Attachment(
                "audio",
                "https://cdn.fbsbx.com/v/t59.3654-21/audioclip-1795382999.mp4?oe=69A00000",
                is_file=True,
            ),
        )
    ),
    "message_file": _written(
        new_message(
            "m_file",
            "",
            Attachment(
                "file",
                "https://cdn.fbsbx.com/v/t59.2708-21/3_n.pdf/invoice.pdf?oe=69A00000&dl=1",
                is_file=True,
            ),
        )
    ),
    "message_sticker": _written(new_message("m_sticker", "", Attachment("sticker", STICKER, is_file=True))),
    "message_sticker_as_image": _written(
        new_message("m_sticker_image", "", Attachment("sticker", STICKER, is_file=True))
    ),
    "message_sticker_and_image": _written(
        new_message("m_sticker_pair", "", Attachment("sticker", STICKER, is_file=True))
    ),
    "message_sticker_and_image_of_one_address": _written(
        new_message("m_sticker_url", "", Attachment("sticker", STICKER, is_file=True))
    ),
    "message_fallback": _written(
        new_message(
            "m_fallback",
            "see https://example.com/a",
            Attachment("link", "https://example.com/a?b=1", "Example"),
        )
    ),
    "message_fallback_without_payload": _written(new_message("m_unsupported", "", Attachment("fallback"))),
    "message_location": _written(
        new_message(
            "m_place",
            "",
            Attachment(
                "location", "https://www.google.com/maps?q=52.37,4.89", "Pinned Location", "52.37,4.89"
            ),
        )
    ),
    "message_ig_reel": _written(
        new_message("m_reel", "", Attachment("link", "https://www.instagram.com/reel/abc/", "A reel"))
    ),
    "message_post": _written(
        new_message("m_post", "", Attachment("link", "https://www.facebook.com/page/posts/1", "A post"))
    ),
    "message_product": _written(
        new_message("m_product", "", Attachment("template", detail="Red shoes, Blue shoes"))
    ),
    "message_appointment_booking": _written(new_message("m_booking", "", Attachment("appointment_booking"))),
    "message_referral": _written(new_message("m_ad", "Is this available?")),
    "message_commands_nlp": _written(new_message("m_nlp", "flights to Oslo")),
    "message_number_ids": _written(new_message("m_numbers", "hi")),
    "message_timestamp_as_text": _written(new_message("m_time_text", "hi")),
    "message_without_timestamp": _written(
        new_message("m_no_time", "hi", at=1795383000123), time=1795383000123
    ),
    "echo_ours": _said(_echo("m_ours", "3379478975539191", "Hello Anna"), "connector:981:0"),
    "echo_page_inbox": _said(
        _echo(
            "m_inbox",
            "26390203743090",
            "We have it in blue",
            Attachment("image", "https://scontent.xx.fbcdn.net/e.jpg", is_file=True),
        )
    ),
    "echo_page_inbox_other_id": _said(_echo("m_inbox_2", "263902037430900", "Good morning")),
    "echo_of_another_app": _said(_echo("m_bot", "1517776481860111", "Our bot answers")),
    "echo_with_null_payload": _said(
        _echo(
            "m_legacy",
            "1517776481860111",
            "",
            Attachment("link", "https://www.messenger.com/", "An old share"),
        )
    ),
    "message_edit": _happened(
        _other(
            "message_edit",
            notice("message_edited", detail="Gdzie są moje faktury?"),
            1795383010000,
        )
    ),
    "reaction": _happened(_other("reaction", notice("reacted", detail="❤️"), 1795383011000)),
    "unreact": _happened(_other("reaction", at=1795383012000)),
    "delivery": Case(Receipt("delivered", 1795383000500, ("m_ours",)), "delivery", 1795383000123),
    "read": Case(Receipt("read", 1795383000600), "read", 1795383005000),
    "postback": _happened(_other("postback", notice("button_pressed", detail="Get Started")), mid="m_button"),
    "referral": _happened(_other("referral", notice("came_by_link", detail="campaign_1"))),
    "lead_in_seconds": _happened(_other("referral", notice("came_by_link", detail="autumn"))),
    "optin": _happened(_other("optin")),
    "optin_without_person": _happened(_other("optin"), conversation=None),
    "pass_thread_control": _happened(_other("pass_thread_control")),
    "take_thread_control": _happened(_other("take_thread_control")),
    "request_thread_control": _happened(_other("request_thread_control")),
    "app_roles": _happened(_other("app_roles"), conversation=None),
    "policy_enforcement": _happened(_other("policy_enforcement"), conversation=None),
    "account_linking": _happened(_other("account_linking")),
    "response_feedback": _happened(_other("response_feedback")),
    "messaging_feedback": _happened(_other("messaging_feedback", at=1795383000123)),
    "order": _happened(_other("order")),
    "unknown_kind": _happened(_other("hologram")),
    "standby_text": _written(new_message("m_standby", "hi")),
}
WITHOUT_EVENTS = {"dashboard_test", "instagram"}


def _item(name: str) -> Incoming:
    (entry,) = split(payload(f"messenger/{name}"))
    assert (entry.account_id, entry.changes) == (THREAD.account_id, 0)
    (item,) = entry.events()
    return item


def test_every_payload_file_is_read_here() -> None:
    files = {file.stem for file in (PAYLOADS / "messenger").iterdir()}
    assert files == CASES.keys() | WITHOUT_EVENTS


@pytest.mark.parametrize("name", CASES)
def test_split_says_of_an_event_what_the_door_needs(name: str) -> None:
    case, item = CASES[name], _item(name)
    found = (item.conversation, item.kind, item.time, item.message_id, item.echo_metadata)
    assert found == (case.conversation, case.kind, case.time, case.mid, case.echo_metadata)


@pytest.mark.parametrize("name", CASES)
def test_parse_reads_what_split_kept_of_an_event(name: str) -> None:
    assert parse(_item(name).body) == CASES[name].event


def test_every_event_has_a_key_of_its_own() -> None:
    assert len({_item(name).key for name in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("echo_page_inbox", True), ("echo_page_inbox_other_id", True), ("echo_of_another_app", False)],
)
def test_an_echo_tells_whether_it_comes_from_the_page_inbox(name: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    echo = CASES[name].event
    assert isinstance(echo, Echo)
    assert echo.is_by_agent is expected


def test_an_echo_without_an_app_comes_from_the_page_inbox() -> None:
    assert _echo("m", "").is_by_agent


def test_the_mark_of_a_part_comes_back_in_its_echo() -> None:
    assert _item("echo_ours").echo_metadata == echo_metadata("981", 0)


def test_only_an_echo_bears_a_mark() -> None:
    envelope = json.loads(payload("messenger/message_text"))
    envelope["entry"][0]["messaging"][0]["message"]["metadata"] = echo_metadata("981", 0)
    assert next(split(json.dumps(envelope).encode())[0].events()).echo_metadata is None


def test_a_change_is_counted_and_brings_no_event() -> None:
    (entry,) = split(payload("messenger/dashboard_test"))
    assert (entry.account_id, [*entry.events()], entry.changes) == ("0", [], 1)


def test_another_object_has_no_entries() -> None:
    assert split(payload("messenger/instagram")) == []


def test_one_body_may_hold_several_entries_with_several_events_each() -> None:
    text = json.loads(payload("messenger/message_text"))["entry"][0]
    echo = json.loads(payload("messenger/echo_ours"))["entry"][0]["messaging"][0]
    standby = json.loads(payload("messenger/standby_text"))["entry"][0]["standby"]
    several = text | {"messaging": [*text["messaging"], echo], "standby": standby}
    body = json.dumps({"object": "page", "entry": [text, several]}).encode()
    assert [[item.message_id for item in entry.events()] for entry in split(body)] == [
        ["m_text"],
        ["m_text", "m_ours", "m_standby"],
    ]


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"message_without_timestamp", "messaging_feedback"}))
def test_a_redelivery_has_the_same_key(name: str) -> None:
    envelope = json.loads(payload(f"messenger/{name}"))
    envelope["entry"][0]["time"] += 60_000
    again = next(split(json.dumps(envelope, indent=1).encode())[0].events())
    assert again.key == _item(name).key


@pytest.mark.parametrize("name", ["message_without_timestamp", "messaging_feedback", "delivery"])
def test_a_redelivery_of_an_event_without_a_time_has_the_same_key(name: str) -> None:
    envelope = json.loads(payload(f"messenger/{name}"))
    envelope["entry"][0]["time"] += 60_000
    assert next(split(json.dumps(envelope).encode())[0].events()).key == _item(name).key


def test_a_message_in_standby_has_the_key_that_it_has_in_messaging() -> None:
    moved = payload("messenger/standby_text").replace(b'"standby"', b'"messaging"')
    assert next(split(moved)[0].events()).key == _item("standby_text").key


@pytest.mark.parametrize("name", ["reaction", "message_text"])
def test_the_same_event_of_another_page_has_another_key(name: str) -> None:
    moved = payload(f"messenger/{name}").replace(b"107381679302250", b"204496721830011")
    assert next(split(moved)[0].events()).key != _item(name).key


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("read", b"1795383000600", b"1795383000601"),
        ("reaction", b'"react"', b'"unreact"'),
        ("message_edit", b'"num_edit": 1', b'"num_edit": 2'),
        ("reaction", b"7623554920995436", b"7623554920995437"),
        ("message_text", b"m_text", b"m_texu"),
    ],
)
def test_events_that_differ_have_different_keys(name: str, before: bytes, after: bytes) -> None:
    changed = payload(f"messenger/{name}").replace(before, after)
    assert next(split(changed)[0].events()).key != _item(name).key


def test_the_pages_of_a_body_are_named_without_reading_its_items() -> None:
    assert page_ids(b'{"entry":[{"id":"1","messaging":[{"id":"2"}]},{"id":3}]}') == {"1", "3"}


def test_of_more_objects_than_a_webhook_has_nothing_is_read() -> None:
    assert page_ids(b'{"entry":[' + b"{}," * 100_000 + b"{}]}") is None


def _page_said(is_echo: object = None, **message: object) -> Incoming:
    said = {"mid": "m_1", "text": "od strony"} | message
    said |= {} if is_echo is None else {"is_echo": is_echo}
    item = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "timestamp": 1795383000123, "message": said}
    body = {"object": "page", "entry": [{"id": "1", "time": 1795383000123, "messaging": [item]}]}
    ((found,),) = (list(entry.events()) for entry in split(json.dumps(body).encode()))
    return found


@pytest.mark.parametrize("is_echo", [True, "true", "True", 1, "1", False, "no", None])
def test_what_the_page_is_the_sender_of_is_an_echo_however_it_is_marked(is_echo: object) -> None:
    item = _page_said(is_echo)
    assert isinstance(parse(item.body), Echo)
    assert item.conversation == Conversation(CHANNEL, "1", "2")


@pytest.mark.parametrize("is_echo", [True, "true", None])
def test_the_mark_of_a_part_of_ours_counts_however_its_echo_is_marked(is_echo: object) -> None:
    assert _page_said(is_echo, metadata="connector:981:0").echo_metadata == "connector:981:0"


def test_a_mid_without_its_prefix_is_the_same_mid() -> None:
    bare, whole = _page_said(mid="AbC"), _page_said(mid="m_AbC")
    assert (bare.key, bare.message_id) == (whole.key, whole.message_id)
    assert parse(bare.body) == parse(whole.body)


@pytest.mark.parametrize("marked", [True, "true"])
def test_that_a_message_was_deleted_is_another_event_than_the_message(marked: object) -> None:
    said, deleted = _only({"mid": "m_1", "text": "x"}), _only({"mid": "m_1", "is_deleted": marked})
    assert said.key != deleted.key
    assert external_id(said.body) != external_id(deleted.body)
    event = parse(deleted.body)
    assert isinstance(event, OtherEvent)
    assert event.summary == notice("customer_deleted_message", mid="m_1")


def _only(message: dict[str, object]) -> Incoming:
    item = {"sender": {"id": "2"}, "recipient": {"id": "1"}, "timestamp": 1795383000123, "message": message}
    body = {"object": "page", "entry": [{"id": "1", "time": 1795383000123, "messaging": [item]}]}
    return next(split(json.dumps(body).encode())[0].events())
