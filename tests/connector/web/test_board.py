"""The operator's board: who may see it, how each connection stands, and that it is kept up to date."""

import re
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import lxml.html
import pytest

from clients.findings import finding
from clients.notices import encode, notice
from connector import links, overview
from connector.cipher import new_key
from connector.links import Link, tab_path
from sandbox.stack import until
from tasks.findings import note
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tests.conftest import (
    PAGE_A,
    PAGE_B,
    SECRET_A,
    SECRET_B,
    WEBHOOK_SECRET,
    MakeSettings,
    Valkey,
    connection,
    settings_in,
)
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.board import (
    WORDS,
    Reader,
    addresses,
    die,
    keep_unknown,
    letters,
    link_to_board,
    names,
    remote,
    seen_of,
    store_letters,
    text,
)
from tests.fakes.login import PATH as LOGIN_PATH
from tests.fakes.pages import leaked
from tests.fakes.stores import empty
from tests.fakes.web import serving

KEY = new_key()
EVIL = '<script>alert("page")</script>'
MANY = [connection(f"5{number:09}", SECRET_B, page_name=f"Shop {number:03}") for number in range(60)]
PAGES = [
    connection(PAGE_A, SECRET_A, page_name="Sugester"),
    connection(PAGE_B, SECRET_B, page_name=EVIL, desk_id="sales"),
    connection("300000000000003", SECRET_B, page_name="Closed", active=False),
]
TOKEN_GONE = finding("page_token_invalid", reference="190/460")


def settings_of(make: MakeSettings, store_url: str, **changes: Any) -> Any:
    known = {"secret_key": KEY, "admin_token": ADMIN_TOKEN, "connections": PAGES + MANY}
    return make(redis_url=store_url, **known | changes)


@pytest.fixture(scope="module")
def url(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        empty(valkey),
        settings_in(tmp_path_factory.mktemp("board")) as make,
        serving(settings_of(make, valkey)) as url,
    ):
        yield url


def test_a_link_leads_to_a_board_that_is_open_for_an_hour(reader: Reader) -> None:
    assert reader.first.status_code == 200
    assert "signature" not in reader.query
    assert 3590 < int(reader.query["expires"]) - time.time() <= 3600
    assert reader.see().status_code == 200


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"seconds": -1}, "has expired"),
        ({"seconds": 7200}, "more than an hour"),
        ({"key": "another" * 9}, "was altered"),
        ({"desk_id": "7"}, "was altered"),
    ],
)
def test_a_link_that_is_not_good_opens_nothing(url: str, said: dict[str, Any], words: str) -> None:
    answer = httpx.get(link_to_board(url, **said), follow_redirects=True)

    assert answer.status_code == 403
    assert words in text(answer)
    assert "connector board" in text(answer)
    assert "Sugester" not in answer.text


@pytest.mark.parametrize(("path", "desk_id"), [(LOGIN_PATH, "7"), (tab_path("7"), "7"), ("/board/dead", "")])
def test_a_link_for_another_page_opens_nothing(url: str, path: str, desk_id: str) -> None:
    link = Link(desk_id, int(time.time()) + 600)
    query = httpx.URL(links.address(link, url, path, ADMIN_TOKEN)).params

    assert httpx.get(f"{url}/board", params=query).status_code == 403
    assert httpx.get(f"{url}/board/dead", params=query).status_code == 403


@pytest.mark.parametrize("path", ["", "/dead", "/unknown", "/dead/1", "/unknown/1"])
def test_no_page_of_the_board_is_shown_without_a_link(reader: Reader, path: str) -> None:
    reader.query = {}
    assert reader.see(path).status_code == 403
    reader.query = dict(reader.first.url.params) | {"opened": "f" * 64}
    assert reader.see(path).status_code == 403


def test_a_page_that_is_open_too_long_says_so_and_asks_no_more(reader: Reader) -> None:
    reader.query["expires"] = str(int(time.time()) - 1)
    answer = reader.poll()

    assert answer.status_code == 200  # else htmx would leave the page as it is
    assert "connector board" in text(answer)
    assert "hx-get" not in answer.text


def test_there_is_no_board_without_an_admin_token(store_url: str, make_settings: MakeSettings) -> None:
    with serving(settings_of(make_settings, store_url, admin_token="", connections=PAGES)) as url:
        answer = httpx.get(link_to_board(url, key=""))

    assert answer.status_code == 403
    assert "Set admin_token" in text(answer)


def test_where_all_was_checked_and_nothing_is_wrong_it_says_that_all_is_well(
    reader: Reader, inbox: Inbox
) -> None:
    for one in PAGES + MANY:
        note(inbox, remote(one["page_id"]), [])
    assert "All is well" in text(reader.see())


def test_pages_that_no_check_has_looked_at_are_counted_and_found_and_not_said_to_work(
    reader: Reader, inbox: Inbox
) -> None:
    for one in MANY:
        note(inbox, remote(one["page_id"]), [])
    said = text(reader.see())
    assert "Whether 2 pages work is not known yet: they have not been checked." in said
    assert "2 Not checked yet 60 Working" in said
    assert "All is well" not in said

    found = reader.see(state="unchecked")
    assert names(found) == [EVIL, "Sugester"]
    assert f"run “connector check --page {PAGE_A}”" in text(found)
    note(inbox, remote(PAGE_A), [TOKEN_GONE])
    said = text(reader.see())
    assert said.index("Messages of 1 page do not") < said.index("Whether 1 page works is not known yet")


def test_a_page_that_lost_its_token_is_first_with_what_is_wrong_since_when_and_what_to_do(
    reader: Reader, inbox: Inbox
) -> None:
    note(inbox, remote(PAGE_A), [TOKEN_GONE])
    page = reader.see()

    assert names(page)[0] == "Sugester"
    said = text(page)
    assert "1 page has to be connected again." in said
    assert "The page access token is not valid. (190/460) for less than a minute" in said
    assert "Replies wait and are sent once this is fixed." in said
    assert "To do: Create a new page access token" in said


def test_a_pause_is_shown_with_its_reason_and_until_it_is_over(reader: Reader, inbox: Inbox) -> None:
    inbox.pause(remote(), 60, encode(notice("page_token_refused")))
    shown = text(reader.see(state="reconnect"))
    assert "Replies are paused: Facebook rejected the page's access token" in shown

    inbox.store.zadd("mc:pauses", {remote(): 0})
    assert "Replies are paused" not in text(reader.see())


def test_a_page_that_waits_by_itself_needs_nothing(reader: Reader, inbox: Inbox) -> None:
    inbox.pause(remote(), 60, encode(notice("machine_fault", detail="disk")))

    assert "To do: nothing; replies go on by themselves." in text(reader.see(state="attention"))


def test_a_helpdesk_that_is_away_is_told_once_for_all_pages(reader: Reader, inbox: Inbox) -> None:
    inbox.pause("helpdesk", 60, encode(notice("machine_fault", detail="disk")))
    said = text(reader.see())

    assert "No page gets its messages through at the moment." in said
    assert said.count("The helpdesk does not work") == 1
    assert "1 page" not in said


def test_what_the_helpdesks_check_found_is_told_with_what_to_do(reader: Reader, inbox: Inbox) -> None:
    note(inbox, "helpdesk", [finding("helpdesk_token_wrong", reason="it answered 401")])

    assert "Set helpdesk.api_token to a valid one" in text(reader.see())


def test_work_that_no_worker_takes_is_told(
    reader: Reader, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.accept([Job(key="1", queue=f"in:{remote()}:7", time=1, body=b"{}")])
    assert "see that a worker runs" not in text(reader.see())

    monkeypatch.setattr(overview, "OVERDUE", -1)
    assert "see that a worker runs" in text(reader.see())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "sugEST"}, ["Sugester"]),
        ({"q": PAGE_A}, ["Sugester"]),
        ({"q": "Sales"}, [EVIL]),
        ({"state": "off"}, ["Closed"]),
        ({"q": "shop 007"}, ["Shop 007"]),
        ({"q": "shop", "state": "off"}, []),
    ],
)
def test_pages_are_found_by_name_id_desk_and_state(
    reader: Reader, query: dict[str, str], found: list[str]
) -> None:
    assert names(reader.see(**query)) == found


def test_fifty_are_shown_at_once_and_the_others_on_the_next_page(reader: Reader) -> None:
    first, second, beyond = (reader.see(q="shop", page=number) for number in ("1", "2", "99"))

    assert len(names(first)) == 50
    assert names(second) == [f"Shop {number:03}" for number in range(50, 60)]
    assert names(beyond) == names(second)
    assert "51 to 60 of 60" in text(second)


def test_what_came_and_what_waits_is_shown_for_each_page(reader: Reader, inbox: Inbox) -> None:
    inbox.accept([Job(key=str(n), queue=f"in:{remote()}:{n}", time=1, body=b"{}") for n in range(3)])
    said = text(reader.see(q="sugester"))

    assert "3 in, 0 out" in said
    assert "3 people for the helpdesk" in said


def test_the_oldest_work_leads_to_the_page_that_it_is_of(reader: Reader, inbox: Inbox) -> None:
    inbox.accept([Job(key="1", queue=f"in:{remote()}:1", time=1, body=b"{}")])
    page = reader.see()
    (link,) = lxml.html.document_fromstring(page.text).cssselect("#tile-oldest")
    found = reader.http.get(str(page.url.join(str(link.get("href")))))

    (name,) = names(found)
    assert f"({name})" in link.text_content()


def test_backfills_are_shown_with_their_progress(reader: Reader, inbox: Inbox) -> None:
    inbox.backfills.request(remote(), 1_795_000_000_000)
    said = text(reader.see())

    assert "messages since 2026-11-18 11:06:40 UTC" in said
    assert "0 of 0 or more conversations, 0 messages" in said


def test_the_last_errors_are_shown_the_newest_first(reader: Reader, inbox: Inbox) -> None:
    inbox.note_refusals(f"facebook_messenger {PAGE_A} wrong_secret", 3)
    id_ = die(inbox)
    note(inbox, remote(), [TOKEN_GONE])
    _, _, errors = text(reader.see(q="shop")).partition("Last errors")

    assert "3 webhooks were refused so far (wrong_secret)" in errors
    assert f"it is larger than 25 MB Details of {id_}" in errors
    assert errors.index("token is not valid") < errors.index("webhooks were refused")


def test_a_poll_brings_what_changed_alone_and_else_only_the_time(reader: Reader, inbox: Inbox) -> None:
    seen = seen_of(reader.see())
    same = reader.poll(seen=seen)
    assert (same.headers["HX-Retarget"], same.headers["HX-Reswap"]) == ("#as-of", "outerHTML")
    assert "Sugester" not in same.text

    note(inbox, remote(), [TOKEN_GONE])
    changed = reader.poll(seen=seen)
    assert "Messages of 1 page do not get through." in text(changed)
    assert '<div id="top" hx-swap-oob="true">' in changed.text
    assert "HX-Retarget" not in changed.headers
    assert names(changed)[0] == "Sugester"
    assert "<html" not in changed.text
    assert seen_of(changed) != seen


def test_a_search_of_htmx_goes_on_with_what_was_searched(reader: Reader) -> None:
    (again,) = [one for one in addresses(reader.poll(q="shop", state="working")) if "seen=" in one]

    assert "q=shop" in again
    assert "state=working" in again


def test_while_the_store_is_away_it_says_so_and_asks_again(
    own_store: Valkey, make_settings: MakeSettings
) -> None:
    with (
        serving(settings_of(make_settings, own_store.url, connections=PAGES)) as url,
        closing(Reader(url)) as reader,
    ):
        own_store.stop()
        page, poll = reader.see(), reader.poll()
        assert (page.status_code, poll.status_code) == (503, 200)
        assert "cannot store anything at the moment" in text(page)
        assert leaked(reader.answers, [ADMIN_TOKEN, KEY, SECRET_A, f"EAA{PAGE_A}"]) == []
        (again,) = addresses(poll)
        headers = {"HX-Request": "true"}
        told = reader.http.get(url + again, headers=headers)
        assert (told.headers["HX-Retarget"], "alert" in told.text) == ("#as-of", False)
        own_store.start()
        until("it is shown again", lambda: "Sugester" in reader.http.get(url + again, headers=headers).text)


@pytest.mark.parametrize("path", ["", "/dead", "/unknown"])
def test_nothing_comes_from_elsewhere_and_no_other_page_frames_it(reader: Reader, path: str) -> None:
    page = reader.see(path)

    assert [one for one in addresses(page) if not one.startswith(("/board", "/assets/"))] == []
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    assert "set-cookie" not in page.headers


def test_its_scripts_are_served_by_the_connector_itself(reader: Reader) -> None:
    scripts = [one for one in addresses(reader.see()) if one.startswith("/assets/")]
    answers = [reader.http.get(reader.url + script) for script in scripts]

    assert [one.headers["content-type"].partition(";")[0] for one in answers] == ["text/javascript"] * 2
    assert ["htmx" in one.text[:20] for one in answers] == [True, False]
    assert reader.http.get(f"{reader.url}/assets/base.html").status_code == 404


def test_behind_a_proxy_all_addresses_begin_with_its_path(
    store_url: str, make_settings: MakeSettings
) -> None:
    changes = {"public_url": "https://acme.example.com/messenger", "connections": PAGES}
    with (
        serving(settings_of(make_settings, store_url, **changes)) as url,
        closing(Reader(url)) as reader,
    ):
        away = httpx.get(link_to_board(url)).headers["Location"]
        assert away.startswith("/messenger/board?")
        reader.query = dict(httpx.URL(away).params)
        found = [one for path in ("", "/dead", "/unknown") for one in addresses(reader.see(path))]

    assert [one for one in found if not one.startswith("/messenger/")] == []


def test_it_speaks_the_language_of_its_link(url: str, inbox: Inbox) -> None:
    with closing(Reader(url, language="pl")) as reader:
        assert '<html lang="pl">' in reader.first.text
        assert reader.query["language"] == "pl"
        reader.query["expires"] = "1"
        assert '<html lang="pl">' in reader.see().text


def test_what_others_wrote_runs_nowhere(reader: Reader, inbox: Inbox) -> None:
    evil = "<img src=x onerror=alert(1)>"
    ids = [die(inbox, notice("file_too_large", limit_bytes=evil, reference=evil), words=evil)]
    die(inbox, notice(evil))
    inbox.pause(remote(PAGE_B), 60, encode(notice(evil)))
    inbox.note_refusals(f"{evil.replace(' ', '')} {evil.replace(' ', '')} {evil.replace(' ', '')}", 1)
    opened = reader.send(f"/dead/{ids[0]}", {})
    pages = [reader.see(), reader.see("/dead"), reader.see("/dead", words=evil), reader.see(q=evil)]
    pages += [reader.see(f"/dead/{ids[0]}"), opened, reader.see("/dead", of=evil, done=evil, count=evil)]
    pages += [reader.see(state=evil), reader.send("/dead", {"do": "drop_all", "words": evil})]

    assert "&lt;img" in opened.text
    assert [page.url for page in pages if "<img" in page.text or "<script>" in page.text] == []


def test_no_page_holds_a_secret(reader: Reader, inbox: Inbox) -> None:
    secrets = [ADMIN_TOKEN, KEY, WEBHOOK_SECRET, "desk-token", SECRET_A, SECRET_B]
    secrets += [f"EAA{PAGE_A}", "verify-1", "verify-2"]
    note(inbox, remote(), [TOKEN_GONE])
    id_, unknown = die(inbox), keep_unknown(inbox)
    pages = [reader.see(), reader.poll(), reader.see("/dead"), reader.see("/unknown"), reader.see(q="sug")]
    refused = [reader.http.get(f"{reader.url}/board{path}") for path in ("", "/dead", f"/dead/{id_}")]
    refused.append(reader.see("/dead/none"))
    pages += [reader.send(f"/dead/{id_}", {}), reader.send(f"/unknown/{unknown}", {})]
    pages += [
        reader.send("/dead", {"do": "drop", "id": id_}),
        reader.send("/dead", {"do": "retry", "id": id_}),
    ]

    assert {page.status_code for page in pages} == {200}
    assert {page.status_code for page in refused} == {403, 404}
    assert leaked(reader.answers, secrets) == []
    assert [page.url for page in pages if WORDS in page.text] == [pages[5].url, pages[6].url]


def test_a_list_of_thousands_of_dead_letters_reads_no_more_than_it_shows(
    reader: Reader, inbox: Inbox
) -> None:
    store_letters(inbox, range(1, 3001), notice("file_too_large", limit_bytes=1), f"in:{remote()}:7")
    before = _read_of(inbox)
    assert letters(reader.see("/dead")) == list(range(3000, 2950, -1))
    assert _read_of(inbox) - before < 500_000


def _read_of(inbox: Inbox) -> int:
    """Return how many bytes the store has sent."""
    return int(inbox.store.info("stats")["total_net_output_bytes"])


def test_an_address_with_a_strange_number_shows_the_first_page(reader: Reader) -> None:
    for wrong in ("0", "-1", "1e9", "٣", "9" * 400):
        assert re.search("1 to 50 of 63", text(reader.see(page=wrong)))
