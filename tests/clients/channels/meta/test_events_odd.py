"""What no page of Meta's tells of: odd numbers, times, levels and envelopes."""

import json

import pytest

from clients.channel import Line, OtherEvent
from clients.channels.meta.events import external_id, parse
from clients.jsons import NotUnderstood
from clients.notices import say
from tests.fakes.events import new_message, parsed_message, split, with_message


def test_half_an_emoji_costs_no_more_than_itself() -> None:
    assert parsed_message(r'{"mid": "m_1", "text": "cut \ud83d"}').text == "cut ?"


def test_nul_characters_are_dropped() -> None:
    assert parsed_message(r'{"mid": "m_\u00001", "text": "a\u0000b"}') == new_message("m_1", "ab")


def test_a_number_that_no_float_holds_costs_no_event() -> None:
    assert parsed_message('{"mid": "m_1", "text": "hi", "x": 1e999, "y": NaN, "z": -Infinity}').text == "hi"


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "9" * 400, "1" * 10**6])
def test_a_number_too_long_for_python_costs_no_event(number: str) -> None:
    assert parsed_message(f'{{"mid": "m_1", "text": "hi", "x": {number}}}').text == "hi"


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 400])
def test_an_event_with_a_number_too_long_for_python_has_one_key_and_one_external_id(number: str) -> None:
    body = b'{"object": "page", "entry": [{"id": "1", "messaging": [{"sender": {"id": "2"}, "optin": %s}]}]}'
    (first,), (second,) = (split(body % number.encode())[0].events() for _ in range(2))
    assert (first.key, external_id(first.body)) == (second.key, external_id(second.body))


def test_an_id_of_forty_digits_is_still_an_id() -> None:
    assert parsed_message(f'{{"mid": {"9" * 39}}}').message_id == "m_" + "9" * 39


def test_a_time_beyond_all_calendars_is_the_latest_there_is() -> None:
    (item,) = split(with_message('{"mid": "m_1"}', timestamp=10**30))[0].events()
    assert parse(item.body) == new_message("m_1", at=253_402_300_799_000)


@pytest.mark.parametrize("value", [None, "soon", [], {}, -5, "1e3", float("nan"), float("inf"), "9" * 5000])
def test_a_time_that_is_none_counts_as_missing(value: object) -> None:
    (item,) = split(with_message('{"mid": "m_1"}', timestamp=value))[0].events()
    assert item.time == 0


DEEP = 10_000


@pytest.mark.parametrize("value", ["[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP])
def test_ten_thousand_levels_are_not_understood(value: str) -> None:
    with pytest.raises(NotUnderstood):
        split(with_message(f'{{"mid": "m_1", "x": {value}}}'))


@pytest.mark.parametrize("depth", range(300, 1100, 20))
def test_levels_that_can_be_read_but_not_written_are_not_understood(depth: int) -> None:
    value = "[" * depth + "]" * depth
    try:
        assert split(with_message(f'{{"mid": "m_1", "x": {value}}}'))[0].events()
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
    assert [item for entry_ in split(body) for item in entry_.events()] == []


def test_what_stands_in_an_entry_under_a_mark_of_ours_marks_nothing() -> None:
    (entry,) = split(b'{"object": "page", "entry": {"id": "1", "by_page": {"text": "x"}, "uid": 7}}')
    assert [item.kind for item in entry.events()] == ["entry.by_page", "uid"]


def test_of_items_that_are_no_objects_all_are_one_event() -> None:
    (entry,) = split(b'{"object": "page", "entry": [{"id": "1", "messaging": ["a", [{"b": "c"}], null, 0]}]}')
    (item,) = entry.events()
    assert json.loads(item.body)["messaging"] == ["a", [{"b": "c"}]]


@pytest.mark.parametrize("depth", [20, 900])
def test_what_stands_below_many_levels_is_shown(depth: int) -> None:
    value = "[" * depth + "1" + "]" * depth
    event = parse(f'{{"delivery": {{"a": {value}}}}}'.encode())
    assert isinstance(event, OtherEvent)
    assert event.lines == (Line("1", label="a"),)


@pytest.mark.parametrize(
    "event",
    [
        {"hologram": {"authorization_code": "S3CRET", "deep": {"User_Token": "S3CRET"}}},
        {"optin": {"title": "x", "notification_messages_token": "S3CRET"}, "user_token": "S3CRET"},
        {"postback": {"title": "x", "token": "S3CRET", "referral": {"account_linking_token": "S3CRET"}}},
        {"message": {"mid": "m_1", "optin": {"notification_messages_token": "S3CRET"}}},
        {"calls": {"session": {"sdp": "S3CRET"}}},
        {"referral": {"referer_uri": "https://shop.example/a?access_token=S3CRET"}},
        {"account_linking": {"status": "linked", "authorization_code": "S3CRET"}},
    ],
)
def test_no_secret_is_shown(event: dict[str, object]) -> None:
    assert "S3CRET" not in str(parse(json.dumps(event).encode()))


def test_an_appointment_at_the_end_of_all_calendars_costs_no_message() -> None:
    payload = {"status": "requested", "start_time": 10**15, "timezone": "Europe/Warsaw"}
    message = {
        "mid": "m_1",
        "text": "hi",
        "attachments": [{"type": "appointment_booking", "payload": payload}],
    }
    assert parsed_message(json.dumps(message)).text == "hi"


@pytest.mark.parametrize("kind", ["message_edit", "reaction"])
def test_what_the_page_does_is_not_told_of_the_customer(kind: str) -> None:
    item = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "timestamp": 1795382999900}
    item |= {kind: {"mid": "m_1", "text": "new", "emoji": "x"}}
    body = {"object": "page", "entry": [{"id": "1", "messaging": [item]}]}
    (event,) = split(json.dumps(body).encode())[0].events()
    told = parse(event.body)
    assert isinstance(told, OtherEvent)
    assert "customer reacted" not in say(told.summary)
