"""Whatever may come: nothing is raised but NotUnderstood, and both ways to read an item agree."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.channels.meta.events import echo_metadata, external_id, parse
from clients.channels.meta.kinds import STANDBY
from clients.jsons import NotUnderstood
from tests.fakes.events import THREAD, split

WORDS = st.sampled_from(
    [
        *("object", "page", "entry", "messaging", "standby", "changes", "id", "time", "timestamp", "sender"),
        *("recipient", "message", "mid", "is_echo", "text", "metadata", "attachments", "type", "image"),
        *("location", "sticker", "fallback", "payload", "url", "sticker_id", "coordinates", "lat", "long"),
        *("title", "delivery", "read", "watermark", "reaction", "postback", "referral", "optin", "product"),
        *("elements", "connector:981:0", THREAD.account_id, THREAD.person_id, "\0", "\ud83d"),
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
        for item in entry.events():
            parse(item.body)


@given(JSON | ENVELOPES)
def test_any_json_is_read_or_not_understood(value: Any) -> None:
    try:
        _read(json.dumps(value).encode())
    except NotUnderstood:
        assert not isinstance(value, dict)


@given(
    JSON | LIKELY_ITEMS,
    st.sampled_from(["messaging", STANDBY, "changes", "messages", "by_page", "\0"]),
    st.booleans(),
)
def test_whatever_stands_in_an_entry_is_in_an_event(value: Any, key: str, is_list: bool) -> None:  # noqa: FBT001 - any of both
    held = ["NEEDLE", value] if is_list else {"hologram": "NEEDLE", "more": value}
    body = {"object": "page", "entry": [{"id": THREAD.account_id, key: held}]}
    (entry,) = split(json.dumps(body).encode())

    assert any(b"NEEDLE" in item.body for item in entry.events())


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
    items = [item for entry in split(json.dumps(envelope).encode(), 1795382000000) for item in entry.events()]
    return [
        (
            item.conversation,
            item.kind,
            item.key,
            item.time,
            item.message_id,
            item.echo_metadata,
            parse(item.body),
            external_id(item.body),
        )
        for item in items
    ]


PLAIN: dict[str, Any] = {
    "sender": {"id": THREAD.person_id},
    "recipient": {"id": THREAD.account_id},
    "timestamp": 1795382000000,
    "message": {"mid": "m_1", "text": "Hello"},
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"sender": {"id": THREAD.account_id}, "recipient": {"id": THREAD.person_id}},
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
        {"message": {"mid": "m_1", "is_echo": True, "metadata": echo_metadata("9", 0)}},
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
    entry = {"id": THREAD.account_id, "time": time, "messaging": [PLAIN | change, PLAIN]}
    envelope = {"object": "page", "entry": [entry]}

    assert _items(envelope) == _items(envelope | {"a key": "that Meta does not send"})


@given(st.lists(LIKELY_ITEMS, max_size=3), st.integers(0, 10**15))
def test_the_short_way_to_read_items_reads_the_same_as_the_long_one(
    items: list[dict[str, Any]], time: int
) -> None:
    envelope = {"object": "page", "entry": [{"id": THREAD.account_id, "time": time, "messaging": items}]}

    assert _items(envelope) == _items(envelope | {"a key": "that Meta does not send"})


def test_a_message_that_is_no_utf_8_is_not_understood() -> None:
    entry = {"id": THREAD.account_id, "time": 1795382000001, "messaging": [PLAIN]}
    body = json.dumps({"object": "page", "entry": [entry]}).encode()

    with pytest.raises(NotUnderstood):
        split(body.replace(b"Hello", b"\xff"))


def test_a_plain_message_is_kept_as_meta_wrote_it() -> None:
    said = rb'{"sender":{"id":"7"},"recipient":{"id":"1"},"timestamp":1795382000000,'
    said += rb'"message":{"text":"\u00e9 \ud83d\ude00","mid":"m_1"}}'
    body = b'{"object":"page","entry":[{"id":"1","time":1795382000001,"messaging":[%s]}]}' % said
    (item,) = split(body)[0].events()

    assert item.body == said


@given(LIKELY_ITEMS)
def test_what_split_gives_can_be_stored(value: dict[str, Any]) -> None:
    entry = {"id": THREAD.account_id, "messaging": [value]}
    for item in split(json.dumps({"object": "page", "entry": [entry]}).encode())[0].events():
        texts = [
            item.kind,
            item.key,
            item.message_id or "",
            item.echo_metadata or "",
            item.conversation.person_id if item.conversation else "",
        ]
        assert all("\0" not in text and text.encode() is not None for text in texts)
        assert item.time >= 0


TIMES = st.integers(0, 1795392000000)


@given(LIKELY_ITEMS, TIMES, TIMES)
def test_the_key_does_not_depend_on_when_it_was_delivered(value: dict[str, Any], one: int, two: int) -> None:
    def key(time: int) -> str:
        entry = {"id": THREAD.account_id, "time": time, "messaging": [value]}
        return next(split(json.dumps({"object": "page", "entry": [entry]}).encode())[0].events()).key

    assert key(one) == key(two)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_different_reactions_have_different_keys(one: str, two: str) -> None:
    def key(emoji: str) -> str:
        value = {"sender": {"id": THREAD.person_id}, "reaction": {"emoji": emoji}}
        entry = {"id": THREAD.account_id, "messaging": [value]}
        return next(split(json.dumps({"object": "page", "entry": [entry]}).encode())[0].events()).key

    assert (key(one) == key(two)) is (one == two)
