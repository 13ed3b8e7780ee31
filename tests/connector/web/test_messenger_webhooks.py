"""The door of Meta, over real HTTP and with a real store: what is let in, kept, and answered."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from clients.channels.meta.events import CHANNEL, REDELIVERED_WITHIN
from clients.channels.meta.signature import sign
from sandbox.stack import until
from tasks.store import connect
from tests.conftest import (
    PAGE_A,
    PAGE_B,
    PAGE_OFF,
    SECRET_A,
    SECRET_B,
    SECRET_OFF,
    MakeSettings,
    connection,
    payload,
)
from tests.fakes.web import (
    LONG,
    MESSAGE,
    MESSENGER,
    PSID,
    QUEUE,
    Doors,
    doors_at,
    entry,
    envelope,
    item,
    mids,
    serving,
)

# --- The handshake. -------------------------------------------------------------------------------------


def _handshake(doors: Doors, **changes: str | None) -> httpx.Response:
    asked = {"mode": "subscribe", "verify_token": "verify-1", "challenge": "1158201444"} | changes
    query = {f"hub.{name}": value for name, value in asked.items() if value is not None}
    return doors.http.get(MESSENGER, params=query)


def test_the_handshake_gives_the_bare_challenge_back(doors: Doors) -> None:
    response = _handshake(doors, challenge="<b>CHALLENGE</b>")
    assert (response.status_code, response.text) == (200, "<b>CHALLENGE</b>")
    assert response.headers["content-type"].startswith("text/plain")


def test_the_handshake_knows_the_token_of_every_active_connection(doors: Doors) -> None:
    assert _handshake(doors, verify_token="verify-2").status_code == 200


@pytest.mark.parametrize("token", ["verify-3", "verify", "VERIFY-1", "", "\0", "ż", None])
def test_the_handshake_refuses_any_other_token(doors: Doors, token: str | None) -> None:
    assert _handshake(doors, verify_token=token).status_code == 403


@pytest.mark.parametrize("mode", ["unsubscribe", "", None])
def test_the_handshake_refuses_any_other_mode(doors: Doors, mode: str | None) -> None:
    assert _handshake(doors, mode=mode).status_code == 403


# --- The signature of Meta. -----------------------------------------------------------------------------


def test_a_signed_event_is_stored_in_its_conversations_queue(doors: Doors) -> None:
    assert doors.meta(MESSAGE) == 200
    assert mids(doors.queue()) == ["m_1"]


@pytest.mark.parametrize("header", ["", "sha256=", "sha256=0", sign(b"another", SECRET_A), "sha256=\xe4"])
def test_a_wrong_signature_is_refused_and_nothing_is_stored(doors: Doors, header: str) -> None:
    raw = httpx.Headers([(b"X-Hub-Signature-256", header.encode("latin-1"))])
    assert doors.http.post(MESSENGER, content=MESSAGE, headers=raw).status_code == 403
    assert doors.stored() == set()


def test_a_missing_signature_is_refused_and_nothing_is_stored(doors: Doors) -> None:
    assert doors.http.post(MESSENGER, content=MESSAGE).status_code == 403
    assert doors.stored() == set()


def test_a_refused_webhook_is_counted(doors: Doors) -> None:
    doors.meta(MESSAGE, "wrong")
    assert doors.refused("facebook_messenger", "wrong_secret", PAGE_A) == 1


def test_a_refused_webhook_is_counted_for_each_page_that_it_names(doors: Doors) -> None:
    doors.meta(envelope(*(entry(item("m_1", page=page), page=page) for page in (PAGE_A, PAGE_B))), "wrong")
    assert [doors.refused("facebook_messenger", "wrong_secret", page) for page in (PAGE_A, PAGE_B)] == [1, 1]


def test_an_event_signed_by_another_pages_app_is_refused(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1", page=PAGE_B), page=PAGE_B)), SECRET_A) == 403
    assert doors.stored() == set()


def test_among_pages_only_those_of_the_app_that_signed_are_kept(doors: Doors) -> None:
    body = envelope(entry(item("m_a")), entry(item("m_b", page=PAGE_B), page=PAGE_B))
    assert doors.meta(body, SECRET_A) == 200
    assert doors.queues() == {QUEUE}
    assert doors.refused("facebook_messenger", "another_app", PAGE_B) == 1


def test_each_page_is_heard_through_its_own_app(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_b", page=PAGE_B), page=PAGE_B)), SECRET_B) == 200
    assert doors.queues() == {f"in:{CHANNEL}:{PAGE_B}:{PSID}"}


def test_what_the_app_of_an_inactive_connection_signs_is_taken_and_ignored(doors: Doors) -> None:
    body = envelope(entry(item("m_1", page=PAGE_OFF), page=PAGE_OFF))
    assert doors.meta(body, SECRET_OFF) == 200
    assert doors.stored() == set()


def test_the_app_of_an_inactive_connection_does_not_speak_for_an_active_page(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1"))), SECRET_OFF) == 403
    assert doors.stored() == set()


def test_of_a_body_that_nobody_signed_no_item_is_read(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    # Reading a million items takes many seconds, in which the doors would be shut for everybody.
    read: list[Any] = []
    monkeypatch.setattr("clients.channels.meta.events._item", lambda *item: read.append(item))
    assert doors.meta(envelope(entry(item("m_1"))), "not ours") == 403
    assert read == []


def test_two_pages_of_one_app_are_heard_in_one_body(store_url: str, make_settings: MakeSettings) -> None:
    first, second = (connection(page_id, SECRET_A) for page_id in (PAGE_A, PAGE_B))
    settings = make_settings(redis_url=store_url, connections=[first, second])
    with serving(settings) as url, doors_at(url, store_url) as doors:
        body = envelope(entry(item("m_a")), entry(item("m_b", page=PAGE_B), page=PAGE_B))
        assert doors.meta(body, SECRET_A) == 200
        assert doors.queues() == {QUEUE, f"in:{CHANNEL}:{PAGE_B}:{PSID}"}


# --- What is none of ours is answered 200, and counted. ---------------------------------------------------


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (envelope(entry(item("m_1"), page=PAGE_OFF)), "inactive_page"),
        (envelope({"id": PAGE_A, "changes": [{}]}), "change"),
        (payload("messenger/dashboard_test"), "change"),
        (
            envelope(entry({"recipient": {"id": PAGE_A}, "delivery": {"watermark": 1}})),
            "event_without_person",
        ),
        (envelope(entry({"recipient": {"id": PAGE_A}})), "event_without_person"),
    ],
)
def test_what_concerns_nobody_here_is_taken_and_counted(doors: Doors, body: bytes, reason: str) -> None:
    assert doors.meta(body) == 200
    assert doors.counted(f'events_ignored_total{{reason="{reason}"}}') == 1
    assert doors.queues() == set()


def test_an_entry_that_is_one_object_is_taken(doors: Doors) -> None:
    body = json.dumps({"object": "page", "entry": entry(item("m_1"))}).encode()
    assert doors.meta(body) == 200
    assert mids(doors.queue()) == ["m_1"]


@pytest.mark.parametrize("page", [f"{PAGE_A}:1", "1:2", "١٢", "", "page"])
def test_what_is_no_page_id_names_no_queue(doors: Doors, page: str) -> None:
    assert doors.meta(envelope(entry(item("m_1", page=page), page=page)), SECRET_B) == 200
    assert doors.queues() == set()


def test_what_is_signed_and_of_a_page_that_is_not_connected_waits_for_that(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1", page="123"), page="123"))) == 200
    assert mids(doors.queue(f"in:{CHANNEL}:123:{PSID}")) == ["m_1"]
    assert doors.counted("events_kept_total") == 1


def test_what_nobody_knows_waits_for_an_operator_though_it_names_no_person(doors: Doors) -> None:
    assert doors.meta(envelope(entry({"recipient": {"id": PAGE_A}, "gift": {"name": "A mug"}}))) == 200
    assert doors.queues() == {f"in:{CHANNEL}:{PAGE_A}:"}


@pytest.mark.parametrize(
    "name",
    [
        *("policy_enforcement", "policy_enforcement_that_names_a_person", "optin_without_person"),
        *("app_roles", "reaction_without_person", "message_edit_without_person"),
        *("entry_with_unknown_keys_and_no_person", "changes_of_the_page"),
    ],
)
def test_what_is_about_no_person_waits_for_an_operator(doors: Doors, name: str) -> None:
    assert doors.meta(payload(f"messenger/{name}")) == 200
    assert doors.meta(payload(f"messenger/{name}")) == 200
    assert doors.queues() == {f"in:{CHANNEL}:{PAGE_A}:"}


def test_an_equal_event_without_id_and_time_counts_as_new_hours_later(doors: Doors, store_url: str) -> None:
    answer = json.loads(payload("messenger/messaging_feedback"))
    for minutes in (0, 1):
        answer["entry"][0]["time"] += minutes * 60_000
        assert doors.meta(json.dumps(answer).encode()) == 200
    with closing(connect(store_url)) as store:
        (mark,) = store.scan_iter("mc:seen:*")
        assert 0 < store.pttl(mark) <= REDELIVERED_WITHIN
        store.delete(mark)  # two hours are over
    assert len(doors.queue()) == 1
    answer["entry"][0]["time"] += 3 * 3600_000
    assert doors.meta(json.dumps(answer).encode()) == 200

    assert len(doors.queue()) == 2


@pytest.mark.parametrize(
    "body",
    [payload("messenger/instagram"), envelope(), b"{}", b"[]", b"no JSON", b"", b"\xff", b"[" * 10_000],
)
def test_what_is_not_understood_is_taken_if_it_is_signed(doors: Doors, body: bytes) -> None:
    assert doors.meta(body) == 200
    assert doors.queues() == set()


@pytest.mark.parametrize("depth", [100, 600, 5000])
def test_a_body_nested_too_deep_is_refused_like_any_that_is_not_signed(doors: Doors, depth: int) -> None:
    body = b'{"a":' * depth + b'"\\u0000"' + b"}" * depth
    assert doors.meta(body, "wrong") == 403


def test_what_is_not_understood_is_refused_if_it_is_not_signed(doors: Doors) -> None:
    assert doors.meta(b"no JSON", "wrong") == 403


def test_what_is_left_out_of_a_body_is_logged_once_for_each_reason(own_doors: Doors) -> None:
    doors = own_doors
    others = [entry(item("m_b", page=PAGE_B), page=PAGE_B)] * 3
    with capture_logs() as logs:
        assert doors.meta(envelope({"id": PAGE_A, "changes": [{}] * 5}, *others), SECRET_A) == 200
    assert [(line["event"], line["page"], line["count"]) for line in logs] == [
        ("ignored", PAGE_A, 5),
        ("webhook_refused", PAGE_B, 3),
    ]
    assert doors.counted('events_ignored_total{reason="change"}') == 5
    assert doors.refused("facebook_messenger", "another_app", PAGE_B) == 3


def test_a_page_id_that_is_none_is_not_logged_as_one(own_doors: Doors) -> None:
    with capture_logs() as logs:
        assert own_doors.meta(envelope({"id": "what anybody may write"}), SECRET_A) == 200
    assert [(line["event"], line["reason"], line.get("page")) for line in logs] == [
        ("ignored", "unknown_page", None)
    ]


def test_a_signed_body_of_too_many_objects_to_look_at_before_is_taken(doors: Doors) -> None:
    assert doors.meta(envelope(*[{"id": PAGE_A}] * 100_001, entry(item("m_1")))) == 200
    assert mids(doors.queue()) == ["m_1"]


ITEM, ENTRY = json.dumps(item("m_1")), json.dumps(entry(item("m_1")))


@pytest.mark.parametrize(
    "body",
    [
        f'{{"object": "page", "x": {LONG}, "entry": [{ENTRY}]}}',
        f'{{"object": "page", "entry": [{{"id": {LONG}, "messaging": [{{}}]}}, {ENTRY}]}}',
        f'{{"object": "page", "entry": [{LONG}, {ENTRY}]}}',
        f'{{"object": "page", "entry": [{{"time": {LONG}, {ENTRY[1:].replace("time", "x")}]}}',
        f'{{"object": "page", "entry": [{ENTRY[:-2]}, {LONG}]}}]}}',
        f'{{"object": "page", "entry": [{ENTRY[:-2]}, {{"sender": {{"id": {LONG}}}}}]}}]}}',
        f'{{"object": "page", "entry": [{ENTRY[:-4]}, "seq": -{LONG}}}}}]}}]}}',
        f'{{"object": "page", "entry": [{ENTRY.replace("1795382999900", LONG)}]}}',
        f'{{"object": "page", "entry": [{ENTRY[:-4]}, "attachments": [{LONG}]}}}}]}}]}}',
    ],
)
def test_a_number_too_long_for_python_costs_no_event(doors: Doors, body: str) -> None:
    assert doors.meta(body.encode()) == 200
    assert mids(doors.queue()) == ["m_1"]


# --- What is stored. ------------------------------------------------------------------------------------


def test_an_event_is_stored_once_however_often_it_comes(doors: Doors) -> None:
    assert [doors.meta(MESSAGE) for _ in range(3)] == [200, 200, 200]
    assert mids(doors.queue()) == ["m_1"]


def test_an_event_is_stored_once_even_if_it_comes_at_the_same_time(doors: Doors) -> None:
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: doors.meta(MESSAGE), range(64)))
    assert statuses == [200] * 64
    assert mids(doors.queue()) == ["m_1"]


def test_an_event_that_stands_twice_in_one_body_is_stored_once(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1"), item("m_1")), entry(item("m_1")))) == 200
    assert mids(doors.queue()) == ["m_1"]


def test_events_of_one_body_wait_in_the_order_of_their_times(doors: Doors) -> None:
    shuffled = [item(f"m_{number}", at=1795382999000 + number) for number in (3, 1, 4, 2, 5, 0)]
    assert doors.meta(envelope(entry(*shuffled[:3]), entry(*shuffled[3:]))) == 200
    assert mids(doors.queue()) == ["m_0", "m_1", "m_2", "m_3", "m_4", "m_5"]


def test_each_person_has_a_queue(doors: Doors) -> None:
    assert doors.meta(envelope(entry(item("m_1"), item("m_2", psid="8")))) == 200
    assert doors.queues() == {QUEUE, f"in:{CHANNEL}:{PAGE_A}:8"}


def test_events_in_standby_are_stored(doors: Doors) -> None:
    assert doors.meta(payload("messenger/standby_text")) == 200
    assert mids(doors.queue()) == ["m_standby"]


def test_our_own_echo_leaves_only_its_mid_and_its_time(doors: Doors) -> None:
    assert doors.meta(payload("messenger/echo_ours")) == 200
    assert doors.stored() == {f"mc:echo:{CHANNEL}:{PAGE_A}:{PSID}"}
    assert doors.store.zrange(f"mc:echo:{CHANNEL}:{PAGE_A}:{PSID}", 0, -1) == [
        b'["connector:981:0","m_ours",1795383000500]'
    ]


def test_an_echo_of_the_page_inbox_waits_beside_what_the_person_wrote(doors: Doors) -> None:
    assert doors.meta(payload("messenger/echo_page_inbox")) == 200
    assert mids(doors.queue()) == ["m_inbox"]


@pytest.mark.parametrize("name", ["read", "delivery"])
def test_receipts_wait_beside_the_replies(doors: Doors, name: str) -> None:
    assert doors.meta(payload(f"messenger/{name}")) == 200
    assert doors.queues() == {f"out:{CHANNEL}:{PAGE_A}:{PSID}"}


def test_an_event_wakes_a_worker(doors: Doors) -> None:
    def woken() -> list[Any]:
        found: Any = doors.store.lrange("mc:celery:wake-ups", 0, -1)
        return [json.loads(message) for message in found]

    doors.meta(MESSAGE)
    (message,) = until("a wake-up is sent", woken)
    assert message["headers"]["task"] == "relay"
