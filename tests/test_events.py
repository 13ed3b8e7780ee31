"""Meta's webhooks as plain values: every documented event, and whatever else may come."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import events
from clients.events import (
    Attachment,
    Echo,
    Entry,
    Event,
    Item,
    Line,
    Message,
    Other,
    Receipt,
    Thread,
    external_id,
    mark,
    page_ids,
    parse,
)
from clients.jsons import NotUnderstood
from tests.conftest import PAYLOADS, payload

THREAD = Thread("107381679302250", "7623554920995436")
SENT = 1795382999900
STICKER = "https://scontent.xx.fbcdn.net/v/t39.1997-6/4_n.png"


def split(body: bytes, received: int = 0) -> list[Entry]:
    """Take an envelope apart."""
    return list(events.split(body, received))


def _time(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _message(mid: str, text: str = "", *attachments: Attachment, at: int = SENT) -> Message:
    return Message(mid, _time(at), text, attachments)


def _echo(mid: str, app_id: str, text: str = "", *attachments: Attachment) -> Echo:
    return Echo(mid, _time(1795383000500), text, attachments, app_id)


def _other(kind: str, summary: str = "", at: int = 1795383000000) -> Other:
    return Other(kind, _time(at), summary or f"Messenger sent an event of the kind “{kind}”.")


@dataclass(frozen=True)
class Case:
    """What a payload file with one event says."""

    event: Event
    kind: str
    time: int
    mid: str | None = None
    mark: str | None = None
    thread: Thread | None = THREAD


def _written(event: Message, time: int = SENT) -> Case:
    return Case(event, "message", time, event.mid)


def _said(event: Echo, mark: str | None = None) -> Case:
    return Case(event, "message", 1795383000500, event.mid, mark)


def _happened(event: Other, **more: Any) -> Case:
    return Case(event, event.kind, int(event.time.timestamp() * 1000), **more)


CASES = {
    "message_text": _written(_message("m_text", "Gdzie jest moja faktura? 😀")),
    "message_quick_reply": _written(_message("m_quick", "Yes, please")),
    "message_reply": _written(_message("m_reply", "about this one")),
    "message_two_images": _written(
        _message(
            "m_images",
            "",
            Attachment("image", "https://scontent.xx.fbcdn.net/v/t1.15752-9/1_n.jpg?oh=03_x&oe=69A00000"),
            Attachment("image", "https://scontent.xx.fbcdn.net/v/t1.15752-9/2_n.jpg?oh=03_y&oe=69A00000"),
        )
    ),
    "message_video": _written(
        _message("m_video", "", Attachment("video", "https://video.xx.fbcdn.net/v/t42/5_n.mp4?oe=69A00000"))
    ),
    "message_audio": _written(
        _message(
            "m_audio",
            "",
            Attachment("audio", "https://cdn.fbsbx.com/v/t59.3654-21/audioclip-1795382999.mp4?oe=69A00000"),
        )
    ),
    "message_file": _written(
        _message(
            "m_file",
            "",
            Attachment("file", "https://cdn.fbsbx.com/v/t59.2708-21/3_n.pdf/invoice.pdf?oe=69A00000&dl=1"),
        )
    ),
    "message_sticker": _written(_message("m_sticker", "", Attachment("sticker", STICKER))),
    "message_sticker_as_image": _written(_message("m_sticker_image", "", Attachment("sticker", STICKER))),
    "message_sticker_and_image": _written(_message("m_sticker_pair", "", Attachment("sticker", STICKER))),
    "message_sticker_and_image_of_one_address": _written(
        _message("m_sticker_url", "", Attachment("sticker", STICKER))
    ),
    "message_fallback": _written(
        _message(
            "m_fallback",
            "see https://example.com/a",
            Attachment("link", "https://example.com/a?b=1", "Example"),
        )
    ),
    "message_fallback_without_payload": _written(_message("m_unsupported", "", Attachment("fallback"))),
    "message_location": _written(
        _message(
            "m_place",
            "",
            Attachment(
                "location", "https://www.google.com/maps?q=52.37,4.89", "Pinned Location", "52.37,4.89"
            ),
        )
    ),
    "message_ig_reel": _written(
        _message("m_reel", "", Attachment("link", "https://www.instagram.com/reel/abc/", "A reel"))
    ),
    "message_post": _written(
        _message("m_post", "", Attachment("link", "https://www.facebook.com/page/posts/1", "A post"))
    ),
    "message_product": _written(
        _message("m_product", "", Attachment("template", detail="Red shoes, Blue shoes"))
    ),
    "message_appointment_booking": _written(_message("m_booking", "", Attachment("appointment_booking"))),
    "message_referral": _written(_message("m_ad", "Is this available?")),
    "message_commands_nlp": _written(_message("m_nlp", "flights to Oslo")),
    "message_number_ids": _written(_message("m_numbers", "hi")),
    "message_timestamp_as_text": _written(_message("m_time_text", "hi")),
    "message_without_timestamp": _written(_message("m_no_time", "hi", at=1795383000123), time=1795383000123),
    "echo_ours": _said(_echo("m_ours", "3379478975539191", "Hello Anna"), "connector:981:0"),
    "echo_page_inbox": _said(
        _echo(
            "m_inbox",
            "26390203743090",
            "We have it in blue",
            Attachment("image", "https://scontent.xx.fbcdn.net/e.jpg"),
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
            "The customer edited a message. It now reads:\n\nGdzie są moje faktury?",
            1795383010000,
        )
    ),
    "reaction": _happened(_other("reaction", "The customer reacted with ❤️ to a message.", 1795383011000)),
    "unreact": _happened(_other("reaction", at=1795383012000)),
    "delivery": Case(Receipt("delivered", 1795383000500, ("m_ours",)), "delivery", 1795383000123),
    "read": Case(Receipt("read", 1795383000600), "read", 1795383005000),
    "postback": _happened(
        _other("postback", "The customer pressed the button “Get Started”."), mid="m_button"
    ),
    "referral": _happened(_other("referral", "The customer came through the link “campaign_1”.")),
    "lead_in_seconds": _happened(_other("referral", "The customer came through the link “autumn”.")),
    "optin": _happened(_other("optin")),
    "optin_without_person": _happened(_other("optin"), thread=None),
    "pass_thread_control": _happened(_other("pass_thread_control")),
    "take_thread_control": _happened(_other("take_thread_control")),
    "request_thread_control": _happened(_other("request_thread_control")),
    "app_roles": _happened(_other("app_roles"), thread=None),
    "policy_enforcement": _happened(_other("policy_enforcement"), thread=None),
    "account_linking": _happened(_other("account_linking")),
    "response_feedback": _happened(_other("response_feedback")),
    "messaging_feedback": _happened(_other("messaging_feedback", at=1795383000123)),
    "order": _happened(_other("order")),
    "unknown_kind": _happened(_other("hologram")),
    "standby_text": _written(_message("m_standby", "hi")),
}
WITHOUT_EVENTS = {"dashboard_test", "instagram"}


def _item(name: str) -> Item:
    (entry,) = split(payload(f"messenger/{name}"))
    assert (entry.page_id, entry.changes) == (THREAD.page_id, 0)
    (item,) = entry.items()
    return item


def test_every_payload_file_is_read_here() -> None:
    files = {file.stem for file in (PAYLOADS / "messenger").iterdir()}
    assert files == CASES.keys() | WITHOUT_EVENTS


@pytest.mark.parametrize("name", CASES)
def test_split_says_of_an_event_what_the_door_needs(name: str) -> None:
    case, item = CASES[name], _item(name)
    found = (item.thread, item.kind, item.time, item.mid, item.mark)
    assert found == (case.thread, case.kind, case.time, case.mid, case.mark)


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
    assert echo.from_page_inbox is expected


def test_an_echo_without_an_app_comes_from_the_page_inbox() -> None:
    assert _echo("m", "").from_page_inbox


def test_the_mark_of_a_part_comes_back_in_its_echo() -> None:
    assert _item("echo_ours").mark == mark("981", 0)


def test_only_an_echo_bears_a_mark() -> None:
    envelope = json.loads(payload("messenger/message_text"))
    envelope["entry"][0]["messaging"][0]["message"]["metadata"] = mark("981", 0)
    assert next(split(json.dumps(envelope).encode())[0].items()).mark is None


def test_a_change_is_counted_and_brings_no_event() -> None:
    (entry,) = split(payload("messenger/dashboard_test"))
    assert (entry.page_id, [*entry.items()], entry.changes) == ("0", [], 1)


def test_another_object_has_no_entries() -> None:
    assert split(payload("messenger/instagram")) == []


def test_one_body_may_hold_several_entries_with_several_events_each() -> None:
    text = json.loads(payload("messenger/message_text"))["entry"][0]
    echo = json.loads(payload("messenger/echo_ours"))["entry"][0]["messaging"][0]
    standby = json.loads(payload("messenger/standby_text"))["entry"][0]["standby"]
    several = text | {"messaging": [*text["messaging"], echo], "standby": standby}
    body = json.dumps({"object": "page", "entry": [text, several]}).encode()
    assert [[item.mid for item in entry.items()] for entry in split(body)] == [
        ["m_text"],
        ["m_text", "m_ours", "m_standby"],
    ]


# --- The key of an event. -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"message_without_timestamp", "messaging_feedback"}))
def test_a_redelivery_has_the_same_key(name: str) -> None:
    envelope = json.loads(payload(f"messenger/{name}"))
    envelope["entry"][0]["time"] += 60_000
    again = next(split(json.dumps(envelope, indent=1).encode())[0].items())
    assert again.key == _item(name).key


@pytest.mark.parametrize("name", ["message_without_timestamp", "messaging_feedback", "delivery"])
def test_a_redelivery_of_an_event_without_a_time_has_the_same_key(name: str) -> None:
    envelope = json.loads(payload(f"messenger/{name}"))
    envelope["entry"][0]["time"] += 60_000
    assert next(split(json.dumps(envelope).encode())[0].items()).key == _item(name).key


def test_a_message_in_standby_has_the_key_that_it_has_in_messaging() -> None:
    moved = payload("messenger/standby_text").replace(b'"standby"', b'"messaging"')
    assert next(split(moved)[0].items()).key == _item("standby_text").key


@pytest.mark.parametrize("name", ["reaction", "message_text"])
def test_the_same_event_of_another_page_has_another_key(name: str) -> None:
    moved = payload(f"messenger/{name}").replace(b"107381679302250", b"204496721830011")
    assert next(split(moved)[0].items()).key != _item(name).key


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
    assert next(split(changed)[0].items()).key != _item(name).key


# --- What no page of Meta's tells of. -------------------------------------------------------------------


def _with_message(message: str, **item: Any) -> bytes:
    """Write an envelope whose message is this JSON text."""
    people = {"sender": {"id": THREAD.psid}, "recipient": {"id": THREAD.page_id}, "timestamp": SENT}
    body = {"object": "page", "entry": [{"id": THREAD.page_id, "messaging": [people | item]}]}
    return json.dumps(body)[:-5].encode() + f', "message": {message}}}]}}]}}'.encode()


def _parsed(message: str) -> Message:
    event = parse(next(split(_with_message(message))[0].items()).body)
    assert isinstance(event, Message)
    return event


def test_half_an_emoji_costs_no_more_than_itself() -> None:
    assert _parsed(r'{"mid": "m_1", "text": "cut \ud83d"}').text == "cut ?"


def test_nul_characters_are_dropped() -> None:
    assert _parsed(r'{"mid": "m_\u00001", "text": "a\u0000b"}') == _message("m_1", "ab")


def test_a_number_that_no_float_holds_costs_no_event() -> None:
    assert _parsed('{"mid": "m_1", "text": "hi", "x": 1e999, "y": NaN, "z": -Infinity}').text == "hi"


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "9" * 400, "1" * 10**6])
def test_a_number_too_long_for_python_costs_no_event(number: str) -> None:
    assert _parsed(f'{{"mid": "m_1", "text": "hi", "x": {number}}}').text == "hi"


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 400])
def test_an_event_with_a_number_too_long_for_python_has_one_key_and_one_external_id(number: str) -> None:
    body = b'{"object": "page", "entry": [{"id": "1", "messaging": [{"sender": {"id": "2"}, "optin": %s}]}]}'
    (first,), (second,) = (split(body % number.encode())[0].items() for _ in range(2))
    assert (first.key, external_id(first.body)) == (second.key, external_id(second.body))


def test_an_id_of_forty_digits_is_still_an_id() -> None:
    assert _parsed(f'{{"mid": {"9" * 39}}}').mid == "m_" + "9" * 39


def test_a_time_beyond_all_calendars_is_the_latest_there_is() -> None:
    (item,) = split(_with_message('{"mid": "m_1"}', timestamp=10**30))[0].items()
    assert parse(item.body) == _message("m_1", at=253_402_300_799_000)


@pytest.mark.parametrize("value", [None, "soon", [], {}, -5, "1e3", float("nan"), float("inf"), "9" * 5000])
def test_a_time_that_is_none_counts_as_missing(value: object) -> None:
    (item,) = split(_with_message('{"mid": "m_1"}', timestamp=value))[0].items()
    assert item.time == 0


@pytest.mark.parametrize(
    "attachment",
    [
        "null",
        "[]",
        '"image"',
        '{"type": "image", "payload": {"url": "javascript:alert(1)"}}',
        '{"type": "image", "payload": {"url": "http://["}}',
        '{"type": "image", "payload": {"url": ["https://example.com"]}}',
    ],
)
def test_an_attachment_without_a_web_address_has_none(attachment: str) -> None:
    (found,) = _parsed(f'{{"mid": "m_1", "attachments": [{attachment}]}}').attachments
    assert found.url == ""


@pytest.mark.parametrize("coordinates", ["null", "[]", '{"lat": "north"}', '{"lat": NaN, "long": 1}'])
def test_a_location_without_coordinates_keeps_its_title(coordinates: str) -> None:
    attachment = f'{{"type": "location", "title": "Here", "payload": {{"coordinates": {coordinates}}}}}'
    message = _parsed(f'{{"mid": "m_1", "attachments": [{attachment}]}}')
    assert message.attachments == (Attachment("location", title="Here"),)


def test_a_location_beside_the_meridian_keeps_its_place() -> None:
    attachment = '{"type": "location", "payload": {"coordinates": {"lat": 51.5, "long": 0.00005}}}'
    (found,) = _parsed(f'{{"mid": "m_1", "attachments": [{attachment}]}}').attachments
    assert found.detail


DEEP = 10_000


@pytest.mark.parametrize("value", ["[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP])
def test_ten_thousand_levels_are_not_understood(value: str) -> None:
    with pytest.raises(NotUnderstood):
        split(_with_message(f'{{"mid": "m_1", "x": {value}}}'))


@pytest.mark.parametrize("depth", range(300, 1100, 20))
def test_levels_that_can_be_read_but_not_written_are_not_understood(depth: int) -> None:
    value = "[" * depth + "]" * depth
    try:
        assert split(_with_message(f'{{"mid": "m_1", "x": {value}}}'))[0].items()
    except NotUnderstood:
        assert depth > 500


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"page"', b"9" * 5000, b"\xed\xa0\x80"]
)
def test_a_body_that_is_no_object_is_not_understood(body: bytes) -> None:
    with pytest.raises(NotUnderstood):
        split(body)


@pytest.mark.parametrize("entry", ["null", "{}", "[[]]", '[{"messaging": {}}]', '["x"]'])
def test_an_envelope_without_proper_entries_has_no_events(entry: str) -> None:
    body = f'{{"object": "page", "entry": {entry}}}'.encode()
    assert [item for entry_ in split(body) for item in entry_.items()] == []


# --- Whatever may come: nothing is raised but NotUnderstood. ----------------------------------------------

WORDS = st.sampled_from(
    [
        *("object", "page", "entry", "messaging", "standby", "changes", "id", "time", "timestamp", "sender"),
        *("recipient", "message", "mid", "is_echo", "text", "metadata", "attachments", "type", "image"),
        *("location", "sticker", "fallback", "payload", "url", "sticker_id", "coordinates", "lat", "long"),
        *("title", "delivery", "read", "watermark", "reaction", "postback", "referral", "optin", "product"),
        *("elements", "connector:981:0", THREAD.page_id, THREAD.psid, "\0", "\ud83d"),
        *("http://[", "https://l.facebook.com/l.php?u=http%3A%2F%2F%5B", "https://example.com:x/"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | WORDS, inner, max_size=6),
    max_leaves=30,
)
ITEMS = st.dictionaries(WORDS, JSON, max_size=8)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "mid": JSON,
        "text": JSON,
        "is_echo": st.booleans() | JSON,
        "metadata": JSON,
        "app_id": JSON,
        "attachments": st.lists(
            st.fixed_dictionaries({}, optional={"type": WORDS, "payload": ITEMS | JSON, "url": JSON}),
            max_size=3,
        ),
    },
)
LIKELY_ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "sender": st.fixed_dictionaries({"id": SCALARS}) | JSON,
        "recipient": st.fixed_dictionaries({"id": SCALARS}) | JSON,
        "timestamp": SCALARS,
        "message": MESSAGES | JSON,
        "read": ITEMS | JSON,
        "delivery": ITEMS | JSON,
        "postback": ITEMS | JSON,
    },
)
ENVELOPES = st.fixed_dictionaries(
    {
        "object": st.just("page"),
        "entry": st.lists(
            st.fixed_dictionaries(
                {}, optional={"id": SCALARS, "time": SCALARS, "messaging": st.lists(LIKELY_ITEMS | JSON)}
            ),
            max_size=3,
        ),
    }
)


def _read(body: bytes) -> None:
    for entry in split(body):
        for item in entry.items():
            parse(item.body)


@given(JSON | ENVELOPES)
def test_any_json_is_read_or_not_understood(value: Any) -> None:
    try:
        _read(json.dumps(value).encode())
    except NotUnderstood:
        assert not isinstance(value, dict)


@given(LIKELY_ITEMS | ITEMS | JSON)
def test_any_item_is_read(value: Any) -> None:
    parse(json.dumps(value).encode())


@given(st.binary())
def test_any_bytes_are_read_or_not_understood(body: bytes) -> None:
    for reader in (split, parse):
        try:
            reader(body)
        except NotUnderstood:
            continue


def _items(envelope: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Read an envelope: of each item what the door takes from it, and what its body says."""
    items = [item for entry in split(json.dumps(envelope).encode(), 1795382000000) for item in entry.items()]
    return [
        (
            item.thread,
            item.kind,
            item.key,
            item.time,
            item.mid,
            item.mark,
            parse(item.body),
            external_id(item.body),
        )
        for item in items
    ]


PLAIN: dict[str, Any] = {
    "sender": {"id": THREAD.psid},
    "recipient": {"id": THREAD.page_id},
    "timestamp": 1795382000000,
    "message": {"mid": "m_1", "text": "Hello"},
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"sender": {"id": THREAD.page_id}, "recipient": {"id": THREAD.psid}},
        {"sender": {"id": ""}},
        {"sender": {"id": 7}},
        {"sender": {}},
        {"timestamp": 1795382000},
        {"timestamp": "1795382000000"},
        {"timestamp": 10**15},
        {"timestamp": None},
        {"message": {"mid": "m_\0", "text": "\0"}},
        {"message": {"mid": "m_é", "text": "é"}},
        {"message": {"mid": "m_\ud83d", "text": "\ud83d"}},
        {"message": {"mid": "", "text": "Hello"}},
        {"message": {"mid": 1}},
        {"message": {"mid": "m_1", "is_echo": True, "metadata": mark("9", 0)}},
        {"message": {"mid": "m_1", "is_echo": "yes"}},
        {"message": []},
        {"postback": {"mid": "m_2"}},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("time", [1795382000001, 1795382000, None], ids=["ms", "s", "none"])
def test_the_short_way_to_read_a_message_reads_the_same_as_the_long_one(
    change: dict[str, Any], time: int | None
) -> None:
    entry = {"id": THREAD.page_id, "time": time, "messaging": [PLAIN | change, PLAIN]}
    envelope = {"object": "page", "entry": [entry]}

    assert _items(envelope) == _items(envelope | {"a key": "that Meta does not send"})


@given(st.lists(LIKELY_ITEMS, max_size=3), st.integers(0, 10**15))
def test_the_short_way_to_read_items_reads_the_same_as_the_long_one(
    items: list[dict[str, Any]], time: int
) -> None:
    envelope = {"object": "page", "entry": [{"id": THREAD.page_id, "time": time, "messaging": items}]}

    assert _items(envelope) == _items(envelope | {"a key": "that Meta does not send"})


def test_a_message_that_is_no_utf_8_is_not_understood() -> None:
    entry = {"id": THREAD.page_id, "time": 1795382000001, "messaging": [PLAIN]}
    body = json.dumps({"object": "page", "entry": [entry]}).encode()

    with pytest.raises(NotUnderstood):
        split(body.replace(b"Hello", b"\xff"))


def test_a_plain_message_is_kept_as_meta_wrote_it() -> None:
    said = rb'{"sender":{"id":"7"},"recipient":{"id":"1"},"timestamp":1795382000000,'
    said += rb'"message":{"text":"\u00e9 \ud83d\ude00","mid":"m_1"}}'
    (item,) = split(b'{"object":"page","entry":[{"id":"1","time":1,"messaging":[%s]}]}' % said)[0].items()

    assert item.body == said


@given(LIKELY_ITEMS)
def test_what_split_gives_can_be_stored(value: dict[str, Any]) -> None:
    entry = {"id": THREAD.page_id, "messaging": [value]}
    (item,) = split(json.dumps({"object": "page", "entry": [entry]}).encode())[0].items()
    texts = [item.kind, item.key, item.mid or "", item.mark or "", item.thread.psid if item.thread else ""]
    assert all("\0" not in text and text.encode() is not None for text in texts)
    assert item.time >= 0


@given(LIKELY_ITEMS, st.integers(0, 10**13), st.integers(0, 10**13))
def test_the_key_does_not_depend_on_when_it_was_delivered(value: dict[str, Any], one: int, two: int) -> None:
    def key(time: int) -> str:
        entry = {"id": THREAD.page_id, "time": time, "messaging": [value]}
        return next(split(json.dumps({"object": "page", "entry": [entry]}).encode())[0].items()).key

    assert key(one) == key(two)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_different_reactions_have_different_keys(one: str, two: str) -> None:
    def key(emoji: str) -> str:
        value = {"sender": {"id": THREAD.psid}, "reaction": {"emoji": emoji}}
        entry = {"id": THREAD.page_id, "messaging": [value]}
        return next(split(json.dumps({"object": "page", "entry": [entry]}).encode())[0].items()).key

    assert (key(one) == key(two)) is (one == two)


def test_the_pages_of_a_body_are_named_without_reading_its_items() -> None:
    assert page_ids(b'{"entry":[{"id":"1","messaging":[{"id":"2"}]},{"id":3}]}') == {"1", "3"}


def test_of_more_objects_than_a_webhook_has_nothing_is_read() -> None:
    assert page_ids(b'{"entry":[' + b"{}," * 100_000 + b"{}]}") is None


# --- What the page is the sender of. --------------------------------------------------------------------


def _page_said(is_echo: object = None, **message: object) -> Item:
    said = {"mid": "m_1", "text": "od strony"} | message
    said |= {} if is_echo is None else {"is_echo": is_echo}
    item = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "timestamp": 1795383000123, "message": said}
    body = {"object": "page", "entry": [{"id": "1", "time": 1795383000123, "messaging": [item]}]}
    ((found,),) = (list(entry.items()) for entry in split(json.dumps(body).encode()))
    return found


@pytest.mark.parametrize("is_echo", [True, "true", "True", 1, "1", False, "no", None])
def test_what_the_page_is_the_sender_of_is_an_echo_however_it_is_marked(is_echo: object) -> None:
    item = _page_said(is_echo)
    assert isinstance(parse(item.body), Echo)
    assert item.thread == Thread("1", "2")


@pytest.mark.parametrize("is_echo", [True, "true", None])
def test_the_mark_of_a_part_of_ours_counts_however_its_echo_is_marked(is_echo: object) -> None:
    assert _page_said(is_echo, metadata="connector:981:0").mark == "connector:981:0"


def test_a_mid_without_its_prefix_is_the_same_mid() -> None:
    bare, whole = _page_said(mid="AbC"), _page_said(mid="m_AbC")
    assert (bare.key, bare.mid) == (whole.key, whole.mid)
    assert parse(bare.body) == parse(whole.body)


# --- Links, templates, deletions. -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "redirect",
    [
        "https://l.facebook.com/l.php?u={}&h=AT0",
        "https://lm.facebook.com/l.php?u={}",
        "http://l.messenger.com/l.php?u={}",
        "https://www.facebook.com/l.php?u={}",
        "https://l.instagram.com/?u={}",
        "https://l.instagram.com/l.php?u={}",
        "fbrpc://facebook/nativethirdparty?app_id=1&target_url={}",
        "https://l.facebook.com/l.php?u=https%3A%2F%2Flm.facebook.com%2Fl.php%3Fu%3Dhttps%253A%252F%252Fexample.com%252Fa%253Fb%253D1",
    ],
)
def test_a_link_through_metas_redirects_leads_to_its_target(redirect: str) -> None:
    url = redirect.format("https%3A%2F%2Fexample.com%2Fa%3Fb%3D1")
    message = {"mid": "m_1", "attachments": [{"type": "fallback", "payload": {"url": url, "title": "T"}}]}
    assert _parsed(json.dumps(message)).attachments == (Attachment("link", "https://example.com/a?b=1", "T"),)


BUTTONS = [
    {"type": "web_url", "url": "https://sklep.example/z", "title": "Znajdz sklep"},
    {"type": "postback", "title": "Zamow", "payload": "X"},
]
SHOWN_BUTTONS = (
    Line("Znajdz sklep", "https://sklep.example/z", is_button=True),
    Line("Zamow", is_button=True),
)
ELEMENT = {"title": "Buty", "subtitle": "czerwone", "buttons": BUTTONS[:1]}


def _template(text: str | None, payload: dict[str, object], **attachment: object) -> tuple[Line, ...]:
    said = {} if text is None else {"text": text}
    message = {"mid": "m_1", "attachments": [{"type": "template", "payload": payload} | attachment]} | said
    ((found),) = _parsed(json.dumps(message)).attachments
    assert found.kind == "template"
    assert found.url == ""
    return found.lines


def test_a_template_says_its_text_once_then_its_buttons() -> None:
    payload: dict[str, object] = {"template_type": "button", "buttons": BUTTONS}
    assert _template("Co dalej?", payload, url=None, title="Co dalej?") == SHOWN_BUTTONS
    assert _template(None, payload | {"text": "Co dalej?"}) == (Line("Co dalej?"), *SHOWN_BUTTONS)


def test_a_template_of_what_the_message_says_adds_nothing() -> None:
    assert _template("Hej", {"template_type": "button", "text": "Hej"}) == (Line(""),)


def test_a_generic_template_shows_its_elements() -> None:
    lines = _template(None, {"template_type": "generic", "elements": [ELEMENT]})
    assert lines == (Line("Buty"), Line("czerwone"), SHOWN_BUTTONS[0])


def test_a_media_template_is_a_picture_and_no_link_to_metas_error_page() -> None:
    nowhere = {"title": "", "url": "https://www.facebook.com/commerce/update/"}
    assert _template(None, {"template_type": "media"}, **nowhere) == (Line("(a picture)"),)
    video = {"media_type": "video", "buttons": BUTTONS[1:]}
    lines = _template(None, {"template_type": "media", "elements": [video]}, **nowhere)
    assert lines == (Line("(a video)"), SHOWN_BUTTONS[1])


def test_metas_error_page_is_no_link() -> None:
    nowhere = {
        "type": "fallback",
        "title": "",
        "url": "https://www.facebook.com/commerce/update/",
        "payload": None,
    }
    assert _parsed(json.dumps({"mid": "m_1", "attachments": [nowhere]})).attachments == (
        Attachment("fallback"),
    )


def test_a_template_of_another_kind_says_so() -> None:
    assert _template(None, {"template_type": "receipt"}) == (
        Line("(Messenger sent a template of the kind “receipt”.)"),
    )


@pytest.mark.parametrize("mark", [True, "true"])
def test_that_a_message_was_deleted_is_another_event_than_the_message(mark: object) -> None:
    said, deleted = _only({"mid": "m_1", "text": "x"}), _only({"mid": "m_1", "is_deleted": mark})
    assert said.key != deleted.key
    assert external_id(said.body) != external_id(deleted.body)
    event = parse(deleted.body)
    assert isinstance(event, Other)
    assert event.summary == "The customer deleted a message in Messenger (m_1)."


def _only(message: dict[str, object]) -> Item:
    item = {"sender": {"id": "2"}, "recipient": {"id": "1"}, "timestamp": 1795383000123, "message": message}
    body = {"object": "page", "entry": [{"id": "1", "time": 1795383000123, "messaging": [item]}]}
    return next(split(json.dumps(body).encode())[0].items())
