"""Meta's webhooks taken apart: what the door needs of every documented event, and the key of each.

What each of them says is in `tests/tasks/inbound/test_situations.py`.
"""

import json
from dataclasses import dataclass

import pytest

from clients.channel import Conversation, Echo, Incoming, OtherEvent
from clients.channels.meta import events
from clients.channels.meta.events import (
    CHANNEL,
    REDELIVERED_WITHIN,
    Envelope,
    echo_metadata,
    external_id,
    opened,
    parse,
)
from clients.notices import notice
from tests.conftest import payload
from tests.fakes.events import SENT, THREAD, split


@dataclass(frozen=True)
class Case:
    """What the door needs of the only event in a payload file."""

    kind: str
    time: int = 1795383000000
    mid: str | None = None
    echo_metadata: str | None = None
    conversation: Conversation | None = THREAD


def _said(mid: str, echo_metadata: str | None = None) -> Case:
    return Case("message", 1795383000500, mid, echo_metadata)


CASES = {
    "message_text": Case("message", SENT, "m_text"),
    "message_quick_reply": Case("message", SENT, "m_quick"),
    "message_reply": Case("message", SENT, "m_reply"),
    "message_two_images": Case("message", SENT, "m_images"),
    "message_video": Case("message", SENT, "m_video"),
    "message_audio": Case("message", SENT, "m_audio"),
    "message_file": Case("message", SENT, "m_file"),
    "message_sticker": Case("message", SENT, "m_sticker"),
    "message_sticker_as_image": Case("message", SENT, "m_sticker_image"),
    "message_product": Case("message", SENT, "m_product"),
    "message_location": Case("message", SENT, "m_place"),
    "message_number_ids": Case("message", SENT, "m_numbers"),
    "message_timestamp_as_text": Case("message", SENT, "m_time_text"),
    "message_without_timestamp": Case("message", 1795383000123, "m_no_time"),
    "echo_ours": _said("m_ours", "connector:981:0"),
    "echo_page_inbox": _said("m_inbox"),
    "echo_page_inbox_other_id": _said("m_inbox_2"),
    "echo_of_another_app": _said("m_bot"),
    "echo_with_null_payload": _said("m_legacy"),
    "message_edit": Case("message_edit", 1795383010000),
    "reaction": Case("reaction", 1795383011000),
    "unreact": Case("reaction", 1795383012000),
    "delivery": Case("delivery", 1795383000123),
    "read": Case("read", 1795383005000),
    "postback": Case("postback", mid="m_button"),
    "referral": Case("referral"),
    "lead_in_seconds": Case("referral"),
    "optin": Case("optin"),
    "optin_without_person": Case("optin", conversation=None),
    "pass_thread_control": Case("pass_thread_control"),
    "take_thread_control": Case("take_thread_control"),
    "request_thread_control": Case("request_thread_control"),
    "app_roles": Case("app_roles", conversation=None),
    "policy_enforcement": Case("policy_enforcement", conversation=None),
    "account_linking": Case("account_linking"),
    "response_feedback": Case("response_feedback"),
    "messaging_feedback": Case("messaging_feedback", 1795383000123),
    "order": Case("order"),
    "unknown_kind": Case("hologram"),
    "standby_text": Case("message", SENT, "m_standby"),
}


def _item(name: str) -> Incoming:
    (entry,) = split(payload(f"messenger/{name}"))
    assert (entry.account_id, entry.changes) == (THREAD.account_id, 0)
    (item,) = entry.events()
    return item


@pytest.mark.parametrize("name", CASES)
def test_split_says_of_an_event_what_the_door_needs(name: str) -> None:
    case, item = CASES[name], _item(name)
    found = (item.conversation, item.kind, item.time, item.message_id, item.echo_metadata)
    assert found == (case.conversation, case.kind, case.time, case.mid, case.echo_metadata)


def test_every_event_has_a_key_of_its_own() -> None:
    assert len({_item(name).key for name in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("echo_page_inbox", True), ("echo_page_inbox_other_id", True), ("echo_of_another_app", False)],
)
def test_an_echo_tells_whether_it_comes_from_the_page_inbox(name: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    echo = parse(_item(name).body)
    assert isinstance(echo, Echo)
    assert (echo.is_by_agent, echo.may_be_ours) == (expected, not expected)


def test_the_mark_of_a_part_comes_back_in_its_echo() -> None:
    assert _item("echo_ours").echo_metadata == echo_metadata("981", 0)


def test_only_an_echo_bears_a_mark() -> None:
    envelope = json.loads(payload("messenger/message_text"))
    envelope["entry"][0]["messaging"][0]["message"]["metadata"] = echo_metadata("981", 0)
    assert next(split(json.dumps(envelope).encode())[0].events()).echo_metadata is None


def test_what_the_dashboards_test_button_brings_is_counted_and_brings_no_event() -> None:
    (entry,) = split(payload("messenger/dashboard_test"))
    assert (entry.account_id, [*entry.events()], entry.changes) == ("0", [], 1)


def test_an_event_of_no_time_at_all_has_that_at_which_it_came() -> None:
    item = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "message": {"mid": "m_1", "text": "Hi"}}
    body = json.dumps({"object": "page", "entry": [{"id": "2", "messaging": [item]}]}).encode()
    (entry,) = split(body, received=SENT)
    assert [event.time for event in entry.events()] == [SENT]


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


@pytest.mark.parametrize(
    ("name", "known_for"),
    [("messaging_feedback", REDELIVERED_WITHIN), ("message_text", 0), ("reaction", 0), ("delivery", 0)],
)
def test_what_is_named_by_nothing_is_known_for_as_long_as_it_may_be_delivered_again(
    name: str, known_for: int
) -> None:
    assert _item(name).known_for == known_for


def test_a_message_without_a_time_is_known_by_its_id() -> None:
    assert _item("message_without_timestamp").known_for == 0


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
    assert Envelope(b'{"entry":[{"id":"1","messaging":[{"id":"2"}]},{"id":3}]}').account_ids == {"1", "3"}
    assert Envelope(b'{"entry":{"id":"1","messaging":[{"id":"2"}]}}').account_ids == {"1"}


def _of_page_1(*items: dict[str, object]) -> bytes:
    entry = {"id": "1", "time": SENT, "messaging": items}
    return json.dumps({"object": "page", "entry": [entry, entry]}).encode()


def test_a_short_body_names_each_page_once() -> None:
    assert [*opened(_of_page_1({}), 0).account_ids] == ["1"]


def test_a_long_body_is_not_taken_apart_before_it_is_known_who_signed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "_plain_envelope", lambda _: pytest.fail("it was taken apart"))
    assert [*opened(_of_page_1({"text": "x" * 20_000}), 0).account_ids] == ["1"]


@pytest.mark.parametrize("odd", [{"changes": 5}, {"time": 10**17}])
def test_an_entry_with_a_number_that_meta_does_not_write_there_is_read_the_long_way(
    odd: dict[str, int],
) -> None:
    entry = {"id": "1", "time": SENT, "messaging": []} | odd
    assert isinstance(opened(json.dumps({"object": "page", "entry": [entry]}).encode(), 0), Envelope)


def test_of_more_objects_than_a_webhook_has_nothing_is_read() -> None:
    assert not Envelope(b'{"entry":[' + b"{}," * 100_000 + b"{}]}").account_ids


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
    assert (event.summary, event.about) == (notice("customer_deleted_message"), "m_1")


def test_a_button_that_was_pressed_has_another_id_than_the_message_with_its_mid() -> None:
    said, pressed = split(payload("messenger/message_and_postback_of_one_button"))[0].events()
    assert said.message_id == pressed.message_id == external_id(said.body) == "m_pressed"
    assert external_id(pressed.body) == "postback:m_pressed"


def test_each_event_in_an_item_is_an_event_with_what_belongs_to_all() -> None:
    item = json.loads(payload("messenger/message_and_reaction_in_one_item"))["entry"][0]["messaging"][0]
    body = {"object": "page", "entry": [{"id": THREAD.account_id, "messaging": [item | {"other": {"a": 1}}]}]}
    message, reaction = split(json.dumps(body).encode())[0].events()
    assert [message.kind, reaction.kind] == ["message", "reaction"]
    assert message.conversation == reaction.conversation == THREAD
    assert message.key != reaction.key
    assert b"other" in message.body
    assert b"other" not in reaction.body


def test_edits_of_one_message_are_events_of_their_own() -> None:
    item = json.loads(payload("messenger/message_edit"))["entry"][0]["messaging"][0]
    again = item | {"message_edit": item["message_edit"] | {"num_edit": 2}}
    body = {"object": "page", "entry": [{"id": THREAD.account_id, "messaging": [item, again]}]}
    first, second = split(json.dumps(body).encode())[0].events()
    assert first.key != second.key


def _only(message: dict[str, object]) -> Incoming:
    item = {"sender": {"id": "2"}, "recipient": {"id": "1"}, "timestamp": 1795383000123, "message": message}
    body = {"object": "page", "entry": [{"id": "1", "time": 1795383000123, "messaging": [item]}]}
    return next(split(json.dumps(body).encode())[0].events())
