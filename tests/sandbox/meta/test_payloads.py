"""Whatever Meta sends, the sandbox can: each payload file, and what is odder, signed and as it is."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from clients.channels.meta.messenger import Messenger
from tasks.store import connect
from tests.conftest import PAGE_A, SECRET_A, payload, settings_in
from tests.fakes.sandbox_meta import PSID, QUIET, SECRET, Page, serving_meta, wait_until
from tests.fakes.situations import SITUATIONS
from tests.fakes.stores import empty
from tests.fakes.web import MESSENGER, Doors, doors_at, serving

ITEM = {
    "sender": {"id": PSID},
    "recipient": {"id": PAGE_A},
    "message": {"mid": "m_1", "text": "żółw / <b> 50%"},
}
ENTRY = {"id": PAGE_A, "time": 1795383000123, "messaging": [ITEM]}
ODD = {
    "an_entry_that_is_one_object": {"object": "page", "entry": ENTRY},
    "an_envelope_without_entries": {"object": "page"},
    "an_envelope_without_its_object": {"entry": [ENTRY]},
    "several_entries": {"object": "page", "entry": [ENTRY, ENTRY | {"messaging": [ITEM, ITEM]}]},
    "changes_beside_messages": {
        "object": "page",
        "entry": [ENTRY | {"changes": [{"field": "feed", "value": {"item": "post"}}], "standby": [ITEM]}],
    },
    "keys_that_nobody_knows": {"object": "page", "entry": [ENTRY | {"trace": [1.5]}], "version": None},
    "an_entry_that_is_a_text": {"object": "page", "entry": ["text", None, 7]},
    "no_envelope": [ENTRY, "text"],
}


def send(page: Page, envelope: Any) -> tuple[Any, bytes]:
    """Have the sandbox send a whole webhook, and return the headers and the body of what comes."""
    page.order("POST", "/webhook", envelope, psid=None)
    page.settle()
    ((headers, body),) = page.receiver.came[page.path]
    return headers, body


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_payload_arrives_as_it_was_written_and_signed(page: Page, name: str) -> None:
    headers, body = send(page, json.loads(payload(f"messenger/{name}")))

    assert json.loads(body) == json.loads(payload(f"messenger/{name}"))
    sent = {key.lower().encode(): value.encode() for key, value in headers.items()}
    assert Messenger().is_signed(body, sent, SECRET)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_webhook_is_sent_as_it_is(page: Page, name: str) -> None:
    _, body = send(page, ODD[name])

    assert json.loads(body) == ODD[name]


def test_odd_items_are_sent_as_they_are(page: Page) -> None:
    items: list[Any] = [None, "text", 5, [], {}, {"message": "text"}, {"sender": "x", "message": {"mid": 7}}]
    page.order("POST", "/events", {"items": items}, psid=None)

    assert page.items() == items


def test_a_whole_webhook_shares_no_body_and_keeps_its_place(page: Page) -> None:
    page.behave(batch=9)
    page.receiver.gate.clear()
    page.order("POST", "/webhook", {"object": "page"}, psid=None)
    page.order("POST", "/webhook", {"object": "page", "entry": []}, psid=None)
    page.writes("hello")
    page.receiver.gate.set()
    page.settle()

    bodies = [json.loads(body) for _, body in page.receiver.came[page.path]]
    assert [one for one in bodies if not one.get("entry")] == [
        {"object": "page"},
        {"object": "page", "entry": []},
    ]
    assert len(bodies) == 3


# --- At the connector's door. -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def meta(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, str]]:
    """Give a sandbox Meta whose page's webhooks go to a real connector, and the connector's URL."""
    folder = tmp_path_factory.mktemp("door")
    with (
        empty(valkey),
        settings_in(folder) as make,
        serving(make(redis_url=valkey)) as door,
        serving_meta() as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        client.put("/sandbox/behaviour", json=QUIET)
        connected = {
            "app_id": "1",
            "app_secret": SECRET_A,
            "page_id": PAGE_A,
            "page_name": "Page 1",
            "access_token": f"EAA{PAGE_A}",
            "callback_url": door + MESSENGER,
            "verify_token": "verify-1",
        }
        client.post("/sandbox/connect", json=connected).raise_for_status()
        yield client, door


@pytest.fixture
def doors(meta: tuple[httpx.Client, str], store_url: str) -> Iterator[Doors]:
    with doors_at(meta[1], store_url) as found:
        yield found


def taken(doors: Doors) -> dict[str, list[Any]]:
    """Return what the connector took, by queues, and which people it keeps anything else of."""
    queues = {name: doors.queue(name) for name in doors.queues()}
    return queues | {name: [] for name in doors.stored() if name.startswith("mc:echo:")}


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_payload_is_taken_at_the_connectors_door(
    meta: tuple[httpx.Client, str], doors: Doors, store_url: str, name: str
) -> None:
    body, (client, _) = payload(f"messenger/{name}"), meta
    before = client.get("/sandbox/webhooks").json()
    client.post(f"/sandbox/pages/{PAGE_A}/webhook", content=body).raise_for_status()
    wait_until(lambda: client.get("/sandbox/webhooks").json()["waiting"] == 0)
    after, found = client.get("/sandbox/webhooks").json(), taken(doors)
    with closing(connect(store_url)) as store:
        store.flushdb()

    assert [after[key] - before[key] for key in ("sent", "delivered", "failed_attempts")] == [1, 1, 0]
    assert doors.meta(body) == 200
    assert found == taken(doors)
