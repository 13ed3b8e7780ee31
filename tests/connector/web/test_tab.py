"""The Messenger tab of a desk, in a browser without scripts: what it shows, takes and refuses."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from clients.findings import Finding, finding
from connector import links
from connector.cipher import new_key
from connector.links import Link
from sandbox.stack import free_port
from tasks import findings
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.conftest import PAGE_A, SECRET_A, MakeSettings, Valkey, connection, settings_in
from tests.fakes.admin import ADMIN_TOKEN, NEW, TOKEN, Admin
from tests.fakes.login import APP, APP_SECRET
from tests.fakes.pages import Shown, leaked, tab_link
from tests.fakes.sandbox_helpdesk import SECRET as DESK_SECRET
from tests.fakes.sandbox_helpdesk import TOKEN as DESK_TOKEN
from tests.fakes.sandbox_helpdesk import Desk
from tests.fakes.stores import empty
from tests.fakes.web import serving

KEY, VERIFY = new_key(), "a-verify-token-of-some-length"
REMOTE = f"facebook_messenger:{NEW}"
SECRETS = (TOKEN, SECRET_A, "verify-1", VERIFY, APP_SECRET, ADMIN_TOKEN, KEY, DESK_TOKEN, DESK_SECRET)
NASTY = "<script>alert(1)</script>\"'&"


class Tab:
    """A connector, a helpdesk, and somebody who opens the tab."""

    def __init__(self, url: str, store_url: str, desk: Desk) -> None:
        self.url, self.desk = url, desk
        self.store = connect(store_url)
        self.inbox = Inbox(self.store)
        self.answers: list[httpx.Response] = []
        hooks = {"response": [self.answers.append]}
        self.browser = httpx.Client(follow_redirects=True, trust_env=False, timeout=20, event_hooks=hooks)
        self._api = httpx.Client(base_url=url, trust_env=False)
        self.admin = Admin(self._api)

    def close(self) -> None:
        self.browser.close()
        self._api.close()
        self.store.close()

    def open(self, desk_id: str = "7", **link: Any) -> Shown:
        return Shown(self.browser, self.browser.get(tab_link(self.url, desk_id, **link)))

    def add(self, **changes: Any) -> None:
        assert self.admin.add(**changes).status_code == 201
        self.known(lambda shown: f'id="page-{NEW}"' in shown)

    def known(self, is_so: Any, desk_id: str = "7") -> None:
        """Wait until the tab shows something: the web process looks for changes twice a second."""
        ends = time.monotonic() + 5
        while not is_so(self.open(desk_id).answer.text):
            assert time.monotonic() < ends
            time.sleep(0.05)

    def found(self, *wrong: Finding) -> None:
        """Have the last check of the page find this."""
        findings.note(self.inbox, REMOTE, wrong)

    def connection(self) -> dict[str, Any]:
        known: dict[str, Any] = self.admin.ask("GET").json()
        return known


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("desk") / "db.sqlite")
    yield desk
    desk.stop()


@pytest.fixture(scope="module")
def url(valkey: str, desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with (
        empty(valkey),
        settings_in(tmp_path_factory.mktemp("tab")) as make,
        serving(settings_of(make, valkey, desk, port, connections=[]), port) as url,
    ):
        yield url


def settings_of(make: MakeSettings, store_url: str, desk: Desk, port: int, **changes: Any) -> Any:
    helpdesk = {"base_url": f"{desk.url}/api/v1", "api_token": DESK_TOKEN, "webhook_secret": DESK_SECRET}
    graph = {"base_url": "http://127.0.0.1:9", "app_id": APP, "app_secret": APP_SECRET}
    known = {"secret_key": KEY, "admin_token": ADMIN_TOKEN, "graph": graph, "helpdesk": helpdesk}
    return make(redis_url=store_url, public_url=f"http://127.0.0.1:{port}", **known | changes)


@pytest.fixture
def tab(url: str, store_url: str, desk: Desk) -> Iterator[Tab]:
    desk.http.delete("/sandbox/everything").raise_for_status()
    desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    desk.http.put("/sandbox/categories/12", json={"name": "Social", "owner": "Ola"}).raise_for_status()
    tab = Tab(url, store_url, desk)
    yield tab
    tab.close()
    assert leaked(tab.answers, SECRETS) == [], "no answer of any test shows a secret"


# --- Who may see it. --------------------------------------------------------------------------------------


def test_the_tab_is_shown_in_the_language_of_the_link_and_framed_by_the_helpdesk_alone(tab: Tab) -> None:
    shown = tab.open(language="pl")

    assert (shown.status, shown.tree.get("lang")) == (200, "pl")
    policy = shown.answer.headers["content-security-policy"]
    assert f"frame-ancestors {tab.desk.url}" in policy.split("; ")
    assert "default-src 'none'" in policy
    assert "no-store" in shown.answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seconds": -1}, "has expired"),
        ({"seconds": 7200}, "longer than an hour"),
        ({"key": "another"}, "was changed on the way"),
    ],
)
def test_a_link_that_is_not_good_opens_nothing(tab: Tab, change: dict[str, Any], words: str) -> None:
    tab.add()
    shown = tab.open(**change)

    assert (shown.status, words in shown.said) == (403, True)
    assert NEW not in shown.answer.text


def test_a_link_for_one_desk_opens_no_other_and_is_none_for_the_login(tab: Tab) -> None:
    link = tab_link(tab.url)
    other = tab.browser.get(link.replace("/desks/7/", "/desks/8/"))
    login = links.address(Link("7", int(time.time()) + 60), tab.url, "/connect/facebook", ADMIN_TOKEN)
    query = dict(parse_qsl(urlsplit(login).query))
    query.pop("desk_id")
    borrowed = tab.browser.get(f"{tab.url}{links.tab_path('7')}?{urlencode(query)}")

    assert [one.status_code for one in (other, borrowed)] == [403, 403]


def test_what_a_page_was_opened_with_is_no_link_for_longer(tab: Tab) -> None:
    """An address in the page is good for the hour of the page, and makes no later one."""
    shown = tab.open()
    action = shown.action("/messenger")
    (expires,) = [value for name, value in parse_qsl(urlsplit(action).query) if name == "expires"]
    again = tab.browser.get(f"{tab.url}{action}")

    assert again.status_code == 200
    assert f"expires={expires}" in again.text
    later = action.replace(expires, str(int(expires) + 600))
    assert tab.browser.get(f"{tab.url}{later}").status_code == 403


@pytest.mark.parametrize(
    "path", ["", f"/pages/{NEW}", f"/pages/{NEW}/active", f"/pages/{NEW}/remove", f"/pages/{NEW}/check"]
)
def test_a_form_of_another_site_changes_nothing(tab: Tab, path: str) -> None:
    tab.add()
    before = tab.connection()
    answer = tab.browser.post(f"{tab.url}/desks/7/messenger{path}", data={"active": "0"})

    assert answer.status_code == 403
    assert tab.connection() == before


def test_without_an_admin_token_nobody_sees_it(
    store_url: str, make_settings: MakeSettings, desk: Desk
) -> None:
    port = free_port()
    settings = settings_of(make_settings, store_url, desk, port, admin_token="")
    with serving(settings, port) as url:
        answer = httpx.get(tab_link(url, key=""), trust_env=False)
    assert answer.status_code == 403
    assert "admin_token" in answer.text


# --- What it shows. ---------------------------------------------------------------------------------------


def test_a_desk_without_pages_says_so_and_shows_each_step(tab: Tab) -> None:
    shown = tab.open()

    assert "No page leads to this desk yet." in shown.said
    assert f"{tab.url}/social_media/webhooks/facebook" in shown.answer.text
    assert len(shown.tree.cssselect("ol.steps li")) == 6


@pytest.mark.parametrize(
    ("wrong", "state", "button"),
    [
        ([], "Working", None),
        (["page_not_subscribed"], "Needs attention", "Repair"),
        (["page_token_invalid"], "Reconnect", None),
    ],
)
def test_a_page_has_a_state_what_it_means_and_what_to_do(
    tab: Tab, wrong: list[str], state: str, button: str | None
) -> None:
    tab.add(page_name="Fakturownia")
    tab.found(*(finding(code) for code in wrong))
    shown = tab.open()
    (card,) = shown.tree.cssselect("article")

    assert card.cssselect(".state")[0].text_content().split(maxsplit=1)[1] == state
    assert [one for one in shown.buttons() if one in {"Repair", "Switch on"}] == [button] * bool(button)
    for code in wrong:
        assert card.cssselect(".finding strong")[0].text_content()
        assert "found just now" in shown.said, code


def test_what_happened_of_late_is_shown(tab: Tab) -> None:
    tab.add()
    hour = int(tab.inbox.now() // 3600)
    tab.store.hset("mc:last", f"in:{REMOTE}:", int((tab.inbox.now() - 120) * 1000))
    tab.store.hset(f"mc:day:{hour // 24}:in:{REMOTE}:", str(hour % 24), 7)
    tab.store.hset(f"mc:day:{hour // 24}:sent:{REMOTE}:", str(hour % 24), 3)
    shown = tab.open()

    assert "Last message 2 minutes ago Last reply never Waiting nothing" in shown.said
    assert "In the last 24 hours: 7 received, 3 sent" in shown.said


def test_a_page_of_another_desk_is_not_shown_and_cannot_be_changed(tab: Tab) -> None:
    tab.add()
    tab.admin.ask("PUT", body={"desk_id": "8"}, If_Match="*")
    tab.known(lambda text: f'id="page-{NEW}"' not in text)
    shown = tab.open()
    query = shown.action("/messenger").partition("?")[2]
    answer = tab.browser.post(f"{tab.url}/desks/7/messenger/pages/{NEW}/active?{query}", data={"active": "0"})

    assert answer.status_code == 404
    assert tab.connection()["active"] is True


def test_a_page_of_the_settings_is_shown_and_changed_there(
    store_url: str, make_settings: MakeSettings, desk: Desk
) -> None:
    port = free_port()
    with (
        serving(settings_of(make_settings, store_url, desk, port), port) as url,
        httpx.Client(trust_env=False) as browser,
    ):
        shown = Shown(browser, browser.get(tab_link(url)))
    assert f'id="page-{PAGE_A}"' in shown.answer.text
    assert "Listed in the connector's settings file" in shown.said
    assert "Switch off" not in shown.buttons()


def test_nothing_that_anybody_named_is_markup(tab: Tab) -> None:
    tab.add(page_name=NASTY)
    tab.desk.http.put("/sandbox/categories/13", json={"name": NASTY, "owner": "Ola"}).raise_for_status()
    shown = tab.open()

    assert "<script>alert" not in shown.answer.text
    assert NASTY in [one.text_content() for one in shown.tree.cssselect("h3, summary, option")]


# --- What it takes. ---------------------------------------------------------------------------------------


FORM = {
    "page_id": NEW,
    "page_name": "Fakturownia",
    "page_access_token": TOKEN,
    "app_secret": SECRET_A,
    "category_id": "12",
}


def test_a_page_is_connected_by_hand(tab: Tab) -> None:
    done = tab.open().send("/messenger", **FORM)

    assert (done.status, "The page is saved." in done.said) == (200, True)
    assert f'id="page-{NEW}"' in done.answer.text
    known = tab.connection()
    expected = {"desk_id": "7", "category_id": "12", "active": True, "page_name": "Fakturownia"}
    assert {name: known[name] for name in expected} == expected
    assert [known[name]["set"] for name in ("page_access_token", "app_secret", "verify_token")] == [True] * 3


def test_categories_are_chosen_by_name_where_the_helpdesk_lists_them(tab: Tab) -> None:
    options = tab.open().tree.cssselect("#new-category_id option")
    assert [(one.get("value"), one.text_content()) for one in options] == [("", "none"), ("12", "Social")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_id", "fakturownia"),
        ("app_secret", "short"),
        ("remind_before", "often"),
        ("page_access_token", ""),
    ],
)
def test_a_field_that_is_wrong_is_marked_and_what_was_entered_stays(tab: Tab, name: str, value: str) -> None:
    again = tab.open().send("/messenger", **FORM | {name: value})

    assert again.status == 422
    (field,) = again.tree.cssselect("[aria-invalid]")
    assert field.get("name") == name
    assert again.tree.cssselect(f"#{field.get('aria-describedby')}")[0].text_content()
    assert again.tree.cssselect("#new-page_name")[0].get("value") == "Fakturownia"
    assert SECRET_A not in again.answer.text
    assert TOKEN not in again.answer.text
    assert tab.admin.ask("GET").status_code == 404


def test_a_page_that_is_connected_already_is_not_taken_over(tab: Tab) -> None:
    tab.admin.add(desk_id="8", page_name="Theirs")
    again = tab.open().send("/messenger", **FORM)

    assert again.status == 422
    assert f"Page {NEW} is connected already" in again.said
    assert tab.connection()["page_name"] == "Theirs"


def test_a_change_keeps_the_secrets_that_are_left_empty(tab: Tab) -> None:
    tab.add()
    shown = tab.open()
    assert "it ends in …cdef" in shown.said
    done = shown.send(f"/pages/{NEW}", page_name="New name", verify_token="another")

    assert done.status == 200
    known = tab.connection()
    assert (known["page_name"], known["page_access_token"]["ends_in"]) == ("New name", "cdef")


@pytest.mark.parametrize("version", ["", "one", "-1", "9" * 40])
def test_a_form_for_no_version_of_the_page_changes_nothing(tab: Tab, version: str) -> None:
    tab.add()
    late = tab.open().send(f"/pages/{NEW}", page_name="New name", version=version)

    assert late.status == 409
    assert tab.connection()["page_name"] != "New name"


def test_of_two_who_change_a_page_at_once_the_second_is_shown_what_the_first_did(tab: Tab) -> None:
    tab.add()
    first, second = tab.open(), tab.open()
    first.send(f"/pages/{NEW}", page_name="First")
    late = second.send(f"/pages/{NEW}", page_name="Second")

    assert late.status == 409
    assert "somebody else changed this page meanwhile" in late.said
    assert late.field("page_name", f"/pages/{NEW}").value == "First"
    assert tab.connection()["page_name"] == "First"


def test_a_page_is_switched_off_and_on(tab: Tab) -> None:
    tab.add()
    off = tab.open().send("/active", active="0")
    assert ("The page is switched off." in off.said, tab.connection()["active"]) == (True, False)
    on = off.send("/active", active="1")

    assert ("The page is switched on." in on.said, tab.connection()["active"]) == (True, True)


def test_a_page_is_removed_once_that_is_confirmed(tab: Tab) -> None:
    tab.add()
    asked = tab.open().follow("Remove this page")
    assert tab.connection()["page_id"] == NEW
    done = asked.send("/remove")

    assert "The page is removed" in done.said
    assert tab.admin.ask("GET").status_code == 404


# --- What it tests. ---------------------------------------------------------------------------------------


def test_a_test_shows_each_step_as_it_is_done(tab: Tab) -> None:
    tab.add()
    action = next(
        one.action for one in tab.open().tree.forms if str(one.action).partition("?")[0].endswith("/check")
    )
    with tab.browser.stream("POST", f"{tab.url}{action}", data={}) as answer:
        parts = [part.count('<li class="finding') for part in answer.iter_text()]

    assert sum(parts) >= 4
    assert len([part for part in parts if part]) > 1, "they came all at once"


def test_no_secret_is_in_any_answer(tab: Tab) -> None:
    tab.add(verify_token=VERIFY)
    shown = tab.open()
    query = urlsplit(shown.action(f"/pages/{NEW}")).query
    (login, *_) = shown.tree.xpath("//a[contains(@href, '/connect/facebook')]/@href")
    answers = [
        shown.answer,
        tab.browser.get(f"{tab.url}/desks/7/messenger/pages?{query}"),
        tab.browser.get(login, follow_redirects=False),
        shown.send("/check").answer,
        shown.send(f"/pages/{NEW}", page_name="x").answer,
        shown.send(f"/pages/{NEW}", page_name="y").answer,
        shown.send(
            f"/pages/{NEW}", page_name="x", version=tab.connection()["version"], app_secret="0"
        ).answer,
        shown.send("/active", active="0").answer,
        tab.open().send("/active", active="1").answer,
        shown.follow("Remove this page").answer,
        shown.follow("Remove this page").send("/remove", version="0").answer,
        shown.send("/messenger", **FORM | {"app_secret": "f" * 31}).answer,
        tab.browser.get(f"{tab.url}/desks/7/messenger/pages/none/remove?{query}"),
        tab.open(seconds=-1).answer,
    ]

    assert {one.status_code for one in answers} == {200, 303, 403, 404, 409, 422}
    assert leaked(tab.answers, SECRETS) == []


def test_while_the_store_is_away_it_says_so_and_shows_no_secret(
    own_store: Valkey, make_settings: MakeSettings, desk: Desk
) -> None:
    port = free_port()
    known = connection(PAGE_A, SECRET_A, desk_id="7")
    settings = settings_of(make_settings, own_store.url, desk, port, connections=[known])
    with serving(settings, port) as url, closing(Tab(url, own_store.url, desk)) as tab:
        own_store.stop()
        away = tab.open()

        assert (away.status, "cannot store anything at the moment" in away.said) == (503, True)
        assert leaked(tab.answers, (*SECRETS, f"EAA{PAGE_A}")) == []
