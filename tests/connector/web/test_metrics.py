"""What the metrics tell, and to whom."""

import json

import httpx
import pytest

from tests.conftest import METRICS_TOKEN, SECRET_A, MakeSettings
from tests.fakes.web import MESSAGE, Doors, entry, envelope, item, serving


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(f"Bearer {METRICS_TOKEN}", 200), ("Bearer another", 401), (METRICS_TOKEN, 401), ("", 401)],
)
def test_the_metrics_are_for_whoever_has_their_token(doors: Doors, authorization: str, status: int) -> None:
    assert doors.http.get("/metrics", headers={"Authorization": authorization}).status_code == status


def test_without_a_token_nobody_sees_the_metrics(store_url: str, make_settings: MakeSettings) -> None:
    with serving(make_settings(redis_url=store_url, metrics_token="")) as url:
        answer = httpx.get(f"{url}/metrics", trust_env=False)

    assert answer.status_code == 403
    assert "metrics_token" in answer.text


def test_metrics_tell_what_waits(doors: Doors) -> None:
    doors.meta(envelope(entry(item("m_1"), item("m_2", psid="8"))))
    assert doors.counted("queues") == 2
    assert doors.counted('events_total{outcome="accepted"}') == 2
    assert doors.counted("dead_letters") == 0


def test_metrics_tell_the_codes_of_what_was_given_up(doors: Doors) -> None:
    doors.store.hset("mc:given_up", "window_closed", 2)
    assert doors.counted('given_up_total{code="window_closed"}') == 2


def test_metrics_tell_how_many_events_are_unknown(doors: Doors) -> None:
    doors.store.hset("mc:unknown", "7", "{}")
    assert doors.counted("unknown_events") == 1


def test_metrics_tell_what_is_wrong_with_each_connection(doors: Doors) -> None:
    found = [{"what": {"code": "page_not_subscribed"}, "since": 1.0}]
    doors.store.hset("mc:findings", "facebook_messenger:7", json.dumps(found))
    labels = 'finding="page_not_subscribed",level="stops_messages",remote="facebook_messenger:7"'
    assert doors.counted(f"check_findings{{{labels}}}") == 1


def test_metrics_tell_how_far_each_backfill_got(doors: Doors) -> None:
    account = "facebook_messenger:7"
    state = {"began": 1, "least": 1, "conversations": 3, "messages": 40, "new": 2}
    doors.store.hset(f"mc:backfill:{account}", mapping={"since": 5, "state": json.dumps(state)})
    doors.store.zadd("mc:backfills", {account: 5})
    counts = {"looked_at": 3, "known": 3}

    assert [doors.counted(f'backfills{{state="{state}"}}') for state in ("running", "waiting")] == [0, 1]
    for name, count in counts.items():
        labels = f'conversations="{name}",remote="{account}"'
        assert doors.counted(f"backfill_conversations{{{labels}}}") == count
    assert doors.counted(f'backfill_messages{{messages="new",remote="{account}"}}') == 2


def test_metrics_hold_no_secret(doors: Doors) -> None:
    doors.meta(MESSAGE)
    assert SECRET_A not in doors.metrics()
