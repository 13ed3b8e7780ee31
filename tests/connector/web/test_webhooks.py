"""What holds for both doors: their addresses, their methods, and a store that is away."""

import pytest

from clients.channels.meta.signature import sign
from tests.conftest import SECRET_A, MakeSettings, Valkey
from tests.fakes.helpdesk_webhooks import headers
from tests.fakes.web import (
    HELPDESK,
    MESSAGE,
    MESSENGER,
    REPLY,
    Doors,
    doors_at,
    entry,
    envelope,
    item,
    mids,
    serving,
)


@pytest.mark.parametrize("path", [f"{MESSENGER}/", f"{HELPDESK}/"])
def test_an_address_may_end_in_a_slash(doors: Doors, path: str) -> None:
    if path.startswith(MESSENGER):
        signed = {"X-Hub-Signature-256": sign(MESSAGE, SECRET_A)}
        assert doors.http.post(path, content=MESSAGE, headers=signed).status_code == 200
        query = {"hub.mode": "subscribe", "hub.verify_token": "verify-1", "hub.challenge": "42"}
        assert doors.http.get(path, params=query).text == "42"
    else:
        assert doors.http.post(path, content=REPLY, headers=headers(REPLY)).status_code == 202


def test_while_the_store_is_away_senders_are_told_to_come_again(
    own_store: Valkey, store_url: str, make_settings: MakeSettings
) -> None:
    settings = make_settings(redis_url=own_store.url, broker_url=store_url)
    with serving(settings) as url, doors_at(url, own_store.url) as doors:
        assert doors.meta(MESSAGE) == 200
        own_store.stop()
        assert (doors.meta(envelope(entry(item("m_2")))), doors.helpdesk(REPLY)) == (503, 503)
        assert doors.counted("events_not_stored_total") == 2
        assert doors.http.get("/readyz").status_code == 503
        assert doors.http.get("/healthz").status_code == 200
        own_store.start()
        assert doors.meta(envelope(entry(item("m_2")))) == 200
        assert mids(doors.queue()) == ["m_1", "m_2"]
        assert doors.http.get("/readyz").status_code == 200


@pytest.mark.parametrize("path", [MESSENGER, HELPDESK])
def test_other_methods_are_not_allowed(doors: Doors, path: str) -> None:
    assert doors.http.put(path).status_code == 405
