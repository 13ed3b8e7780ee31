"""Meta's deauthorise and data-deletion callbacks, true and forged, and the status page of a deletion."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from clients.channel import Conversation
from clients.channels.meta.events import CHANNEL
from connector.admin import ConnectionAdmin
from connector.cipher import new_key
from connector.settings import Settings
from sandbox.meta.login import signed_request
from sandbox.stack import free_port
from tasks import erasures, worker
from tasks.inbox.inbox import Inbox
from tasks.inbox.queues import erasure_queue, matching_queue
from tasks.services import Services, build, helpdesk_http, helpdesk_of
from tasks.store import connect
from tests.conftest import PAGE_A, SECRET_A, settings_in
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.dump import mentions
from tests.fakes.inbox import Stored
from tests.fakes.login import APP, APP_SECRET, CALLBACKS, DESK, Person, said
from tests.fakes.pages import Shown, tab_link
from tests.fakes.sandbox_meta import serving_meta
from tests.fakes.stores import empty
from tests.fakes.web import serving

PSID = "7623554920995436"


@pytest.fixture(scope="module")
def meta() -> Iterator[httpx.Client]:
    with serving_meta() as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def settings(valkey: str, meta: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    port = free_port()
    graph = {"base_url": str(meta.base_url).rstrip("/"), "app_id": APP, "app_secret": APP_SECRET}
    with empty(valkey), settings_in(tmp_path_factory.mktemp("withdrawals")) as make:
        known = {"secret_key": new_key(), "admin_token": ADMIN_TOKEN, "graph": graph}
        yield make(redis_url=valkey, public_url=f"http://127.0.0.1:{port}", **known)


@pytest.fixture(scope="module")
def url(settings: Settings) -> Iterator[str]:
    with serving(settings, int(settings.public_url.rpartition(":")[2])) as url:
        yield url


@pytest.fixture(scope="module")
def services(settings: Settings) -> Iterator[Services]:
    """Give what a worker works with."""
    with helpdesk_http(settings) as http:
        services = build(settings, helpdesk_of(settings, http))
        yield services
    services.network.http.close()
    services.inbox.store.close()


@pytest.fixture
def person(url: str, meta: httpx.Client) -> Iterator[Person]:
    """Give somebody who connected their page."""
    person = Person(url, meta)
    assert "Connected." in said(person.connect())
    yield person
    person.close()


@pytest.fixture
def inbox(valkey: str) -> Iterator[Inbox]:
    store: redis.Redis = connect(valkey)
    yield Inbox(store)
    store.close()


def status(person: Person, answer: httpx.Response) -> httpx.Response:
    """Open the status page that an answer names, once the answer is as Meta wants it."""
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found == {"url": f"{person.url}/data_deletion/{found['confirmation_code']}"} | found
    assert found["confirmation_code"].isalnum()
    return person.browser.get(found["url"])


# --- Deauthorise. -------------------------------------------------------------------------------------------


def test_who_removes_the_app_switches_their_pages_off(person: Person, url: str, meta: httpx.Client) -> None:
    other = Person(url, meta)
    other.connect()
    answer = person.order("POST", f"/users/{person.user_id}/deauthorize", app_id=APP)

    assert answer == {"status": 200, "body": "{}"}
    assert (person.connection()["active"], other.connection()["active"]) == (False, True)
    other.close()


def test_the_tab_offers_to_connect_a_page_again_whose_access_was_withdrawn(person: Person) -> None:
    page = person.pages[0]
    person.order("POST", f"/users/{person.user_id}/deauthorize", app_id=APP)
    shown = Shown(person.browser, person.browser.get(tab_link(person.url, DESK)))
    (card,) = shown.tree.cssselect(f"#page-{page}")
    told = " ".join(card.text_content().split())

    assert "Reconnect" in card.cssselect(".state")[0].text_content()
    assert "taken back at Facebook" in told
    assert "for less than a minute" in told
    assert [one.text_content() for one in card.cssselect("a.button:not(.quiet)")] == [
        "Reconnect with Facebook"
    ]
    assert "Switch on" not in told


def test_a_page_that_the_app_is_removed_from_is_switched_off(person: Person) -> None:
    removal = {"app_id": APP, "page_id": person.pages[0]}
    assert person.order("POST", f"/users/{person.user_id}/deauthorize", **removal)["status"] == 200

    assert not person.connection()["active"]


def test_a_page_whose_token_was_given_by_hand_meanwhile_stays(person: Person) -> None:
    page = person.pages[0]
    person.admin.ask("PUT", f"/{page}", {"desk_id": "7", "page_access_token": f"EAA{page}"}, If_Match="*")

    assert person.call_back("deauthorize").status_code == 200
    assert person.connection()["active"]


def test_what_else_changes_a_connection_leaves_it_known_who_logged_in(person: Person) -> None:
    person.admin.ask("PUT", f"/{person.pages[0]}", {"desk_id": "8"}, If_Match="*")

    assert person.call_back("deauthorize").status_code == 200
    assert not person.connection()["active"]


def test_an_old_word_does_not_count_against_a_later_login(person: Person) -> None:
    before = int(time.time()) - 60

    assert person.call_back("deauthorize", issued_at=before).status_code == 200
    assert person.connection()["active"]


def test_an_app_switches_off_no_page_of_another_app(person: Person) -> None:
    # The settings have an app with this secret, which is not that of the login.
    assert person.call_back("deauthorize", SECRET_A).status_code == 200
    removed = person.call_back("deauthorize", SECRET_A, user_id="0", profile_id=person.pages[0])

    assert (removed.status_code, person.connection()["active"]) == (200, True)


def test_the_app_of_a_page_that_was_added_by_hand_may_be_removed_from_it(person: Person) -> None:
    person.admin.add("604040404", app_secret="e7" * 16)
    signed = {"secret": "e7" * 16, "user_id": "0", "profile_id": "604040404"}
    answer: Any = None
    for _ in range(40):  # until the web process knows the secret
        answer = person.call_back("deauthorize", **signed)
        if answer.status_code == 200:
            break
        time.sleep(0.05)

    assert answer.status_code == 200
    assert not person.connection("604040404")["active"]


def test_a_page_of_the_settings_that_its_app_is_removed_from_is_switched_off(
    person: Person, settings: Settings, inbox: Inbox
) -> None:
    before = int(time.time())
    answer = person.call_back("deauthorize", SECRET_A, user_id="0", profile_id=PAGE_A)
    shown = person.connection(PAGE_A)

    assert (answer.status_code, shown["fixed"], shown["active"]) == (200, True, False)
    assert shown["inactive"]["withdrawn"]
    assert shown["inactive"]["since"] >= before
    ConnectionAdmin(settings, inbox.connections).change(PAGE_A, {"active": True})
    assert person.connection(PAGE_A)["active"]


# --- Forged. ------------------------------------------------------------------------------------------------


def forged(person: Person) -> dict[str, Any]:
    good = signed_request({"user_id": person.user_id}, APP_SECRET)
    other = signed_request({"user_id": "1"}, APP_SECRET)
    return {
        "another secret": {"signed_request": signed_request({"user_id": person.user_id}, "f" * 32)},
        "no secret": {"signed_request": signed_request({"user_id": person.user_id}, "")},
        "another payload": {"signed_request": f"{other.partition('.')[0]}.{good.partition('.')[2]}"},
        "no signature": {"signed_request": f".{good.partition('.')[2]}"},
        "only a signature": {"signed_request": f"{good.partition('.')[0]}."},
        "another algorithm": {
            "signed_request": signed_request({"algorithm": "none", "user_id": person.user_id}, APP_SECRET)
        },
        "nothing": {},
        "no base64": {"signed_request": "ą.ę"},
        "many fields": {f"f{number}": "1" for number in range(50)},
    }


@pytest.mark.parametrize("name", ["deauthorize", "data_deletion"])
def test_what_is_forged_changes_nothing(person: Person, inbox: Inbox, name: str) -> None:
    kept = set(inbox.store.scan_iter("mc:erasure:*"))
    answers = {
        what: httpx.post(f"{person.url}{CALLBACKS}/{name}", data=body, trust_env=False).status_code
        for what, body in forged(person).items()
    }

    assert answers == dict.fromkeys(answers, 403)
    assert person.connection()["active"]
    assert set(inbox.store.scan_iter("mc:erasure:*")) == kept


def test_a_large_body_is_not_read(person: Person) -> None:
    body = b"signed_request=" + b"a" * 9000

    assert (
        httpx.post(f"{person.url}{CALLBACKS}/deauthorize", content=body, trust_env=False).status_code == 413
    )


def test_a_payload_that_is_no_object_is_refused(person: Person) -> None:
    body = {"signed_request": _signed(b"[1]")}

    assert httpx.post(f"{person.url}{CALLBACKS}/deauthorize", data=body, trust_env=False).status_code == 403


def _signed(payload: bytes) -> str:
    packed = urlsafe_b64encode(payload).rstrip(b"=")
    signature = hmac.digest(APP_SECRET.encode(), packed, "sha256")
    return f"{urlsafe_b64encode(signature).rstrip(b'=').decode()}.{packed.decode()}"


# --- Data deletion. -----------------------------------------------------------------------------------------


def test_who_cannot_be_matched_is_told_so_and_how_to_go_on(person: Person, inbox: Inbox) -> None:
    shown = status(person, person.call_back("data_deletion"))

    assert "No conversation of yours was found." in said(shown)
    assert "write to it again and mention the code above" in said(shown)
    assert not person.connection()["active"]
    assert person.user_id.encode() not in repr(inbox.store.hgetall("mc:connections")).encode()


def test_conversations_that_meta_matches_are_forgotten(person: Person, inbox: Inbox) -> None:
    person.psids = {person.pages[0]: PSID, "not-connected": "1"}
    person.order("PUT", "/pages/not-connected", name="x", access_token="EAAx", app_id=APP)
    person.enrol()
    removal = {"app_id": APP}
    told = person.order("POST", f"/users/{person.user_id}/data_deletion", **removal)
    answer = json.loads(told["body"])
    shown = person.browser.get(answer["url"])
    queue = erasure_queue(Conversation(CHANNEL, person.pages[0], PSID))

    assert (told["status"], len(inbox.jobs(queue))) == (200, 1)
    assert inbox.jobs(erasure_queue(Conversation(CHANNEL, "not-connected", "1"))) == []
    assert "It is being carried out." in said(shown)
    assert answer["confirmation_code"] in said(shown)


def test_all_pages_that_a_person_wrote_to_are_found(person: Person, inbox: Inbox) -> None:
    last = person.pages[0]
    person.psids = {f"page-{number}": str(number) for number in range(150)} | {last: PSID}
    for page_id in person.psids:
        if page_id != last:
            person.order("PUT", f"/pages/{page_id}", name="x", access_token=f"EAA{page_id}", app_id=APP)
    person.enrol()
    person.call_back("data_deletion")

    assert len(inbox.jobs(erasure_queue(Conversation(CHANNEL, last, PSID)))) == 1


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (["done"], "Done. Everything this service kept about you has been deleted"),
        (["done", "waiting"], "It is being carried out."),
        (["done", "refused"], "have to be deleted there by hand"),
        (["helpdesk_cannot"], "have to be deleted there by hand"),
    ],
)
def test_the_status_page_shows_what_is_least_done(
    person: Person, inbox: Inbox, states: list[str], words: str
) -> None:
    code = erasures.request_all(
        inbox, [Conversation(CHANNEL, PAGE_A, f"{number}") for number, _ in enumerate(states)]
    )
    for number, state in enumerate(states, 1):
        name = f"erasure:{code}" if number == 1 else f"erasure:{code}-{number}"
        inbox.put(name, json.dumps({"requested_at": "2026-11-29T12:00:00+00:00", "state": state}), 60)
    shown = person.browser.get(f"{person.url}/data_deletion/{code}", headers={"Accept-Language": "en"})

    assert words in said(shown)
    assert "Requested on 2026-11-29 12:00 UTC." in said(shown)
    assert "90 days" in said(shown)
    assert "default-src 'none'" in shown.headers["content-security-policy"]


def test_the_status_page_is_in_the_browsers_language(person: Person) -> None:
    found = urlsplit(person.call_back("data_deletion").json()["url"]).path
    shown = person.browser.get(person.url + found, headers={"Accept-Language": "pl-PL,pl;q=0.9"})

    assert "Nie znaleziono żadnej Twojej rozmowy." in said(shown)
    assert '<html lang="pl">' in shown.text


@pytest.mark.parametrize("code", ["0" * 16, "*", "<script>"])
def test_an_unknown_code_is_told(person: Person, code: str) -> None:
    shown = person.browser.get(f"{person.url}/data_deletion/{code}")

    assert (shown.status_code, "There is no request with this code" in said(shown)) == (404, True)
    assert "<script>" not in shown.text


# --- While Meta does not answer. ----------------------------------------------------------------------------


@contextmanager
def failing(meta: httpx.Client, status: int, code: int = 0) -> Iterator[None]:
    """Have Meta fail to match ids."""
    body = {"error": {"code": code, "message": "no"}} if code else {}
    meta.put("/sandbox/faults", json=[{"path": "*/ids_for_pages", "status": status, "body": body}])
    yield
    meta.delete("/sandbox/faults")


def wait_and_match(inbox: Inbox, services: Services, code: str) -> None:
    """Let time pass, and a worker ask Meta."""
    queue = matching_queue(code)
    Stored(inbox).end_backoff(queue)
    assert worker.work_on(services, queue)


@pytest.fixture
def asked(person: Person, meta: httpx.Client) -> Iterator[httpx.Response]:
    """Give the answer to a wish that came while Meta was away."""
    person.psids = {person.pages[0]: PSID}
    person.enrol()
    with failing(meta, 500):
        yield person.call_back("data_deletion")


def test_while_meta_is_away_the_wish_waits(person: Person, inbox: Inbox, asked: httpx.Response) -> None:
    shown = status(person, asked)

    assert "It is being carried out." in said(shown)
    assert len(inbox.jobs(matching_queue(asked.json()["confirmation_code"]))) == 1


def test_while_meta_wants_fewer_calls_the_wish_waits(person: Person, meta: httpx.Client) -> None:
    with failing(meta, 400, code=4):
        shown = status(person, person.call_back("data_deletion"))

    assert "It is being carried out." in said(shown)


def test_what_meta_refuses_for_good_does_not_wait(person: Person, meta: httpx.Client) -> None:
    with failing(meta, 400, code=100):
        shown = status(person, person.call_back("data_deletion"))

    assert "No conversation of yours was found." in said(shown)


def test_meta_is_asked_again_however_often_it_is_away(
    inbox: Inbox, services: Services, asked: httpx.Response
) -> None:
    code = asked.json()["confirmation_code"]
    for _ in range(services.settings.worker.attempts + 2):
        wait_and_match(inbox, services, code)

    (outcome,) = erasures.outcomes(inbox, code)
    assert outcome.state == "waiting"
    assert len(inbox.jobs(matching_queue(code))) == 1


def test_once_meta_answers_the_conversations_are_forgotten(
    person: Person, inbox: Inbox, services: Services, asked: httpx.Response, meta: httpx.Client
) -> None:
    code, queue = (
        asked.json()["confirmation_code"],
        erasure_queue(Conversation(CHANNEL, person.pages[0], PSID)),
    )
    (before,) = erasures.outcomes(inbox, code)
    meta.delete("/sandbox/faults")
    wait_and_match(inbox, services, code)

    (job,) = inbox.jobs(queue)
    assert json.loads(job.body)["code"] == code
    assert erasures.outcomes(inbox, code) == [before]
    assert mentions(inbox.store, person.user_id) == []


def test_once_meta_knows_no_conversation_the_person_is_told(
    person: Person, inbox: Inbox, services: Services, asked: httpx.Response, meta: httpx.Client
) -> None:
    person.psids = {}
    person.enrol()
    meta.delete("/sandbox/faults")
    wait_and_match(inbox, services, asked.json()["confirmation_code"])

    assert "No conversation of yours was found." in said(status(person, asked))
    assert mentions(inbox.store, person.user_id) == []
