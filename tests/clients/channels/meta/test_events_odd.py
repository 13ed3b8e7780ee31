"""What no page of Meta's tells of: odd numbers, times, levels and envelopes."""

import pytest

from clients.channels.meta.events import external_id, parse
from clients.jsons import NotUnderstood
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
