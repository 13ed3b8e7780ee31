"""The Messenger tab of a desk, in a browser without scripts: what it shows, takes and refuses."""

import time
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import msgspec
import pytest

from clients.channels.meta.kinds import EXTRA_FIELDS, NEEDED_FIELDS
from clients.findings import finding
from clients.notices import notice
from connector import links, overview
from connector.links import Link
from sandbox.stack import free_port, until
from tasks import findings
from tasks.findings import Checked
from tasks.inbox.job import Job
from tasks.words import say
from tests.conftest import PAGE_A, SECRET_A, MakeSettings, Valkey
from tests.fakes.admin import ADMIN_TOKEN, NEW, TOKEN
from tests.fakes.pages import Shown, tab_link
from tests.fakes.sandbox_helpdesk import Desk
from tests.fakes.tab import FORM, REMOTE, Tab, hx_get, main_buttons, settings_of
from tests.fakes.web import serving

NASTY = "<script>alert(1)</script>\"'&"


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
        ({"seconds": 7200}, "more than an hour"),
        ({"key": "another"}, "was altered"),
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


def test_there_is_a_way_back_to_where_the_link_says_out_of_the_frame(tab: Tab) -> None:
    back = "https://acme.example.com/desks/7"
    pages = [tab.open(return_url=back), tab.open(return_url=back).send("/messenger", page_id="none")]
    missing = tab.open(return_url=back).action("/messenger").replace("?", f"/pages/{NEW}/remove?")
    pages.append(Shown(tab.browser, tab.browser.get(f"{tab.url}{missing}")))

    assert [page.status for page in pages] == [200, 422, 404]
    for page in pages:
        (link,) = [one for one in page.tree.iter("a") if one.text_content() == "Back to the helpdesk"]
        assert (link.get("href"), link.get("target")) == (back, "_top")
    assert "Back to the helpdesk" not in tab.open().said


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


STEPS = [
    ("Meta app", "developers.facebook.com"),
    ("Page access token", "Generate access tokens", "does not expire"),
    ("This form",),
    ("Webhook", "callback URL", "verify token", "messages at least", "Verify and save"),
    ("Test", "Test connection", "Repair", "write to the page"),
    ("App Review", "pages_messaging", "privacy policy", "screencast", "Live"),
]
"""What has to be done for a page, and what each step names."""


# --- What it shows. ---------------------------------------------------------------------------------------


def test_a_desk_without_pages_says_so_and_shows_each_step(tab: Tab) -> None:
    shown = tab.open()

    assert "No page leads to this desk yet." in shown.said
    assert f"{tab.url}/social_media/webhooks/facebook" in shown.answer.text
    steps = [one.text_content() for one in shown.tree.cssselect("ol.steps li")]
    for step, words in zip(steps, STEPS, strict=True):
        assert [word for word in words if word not in step] == []
    assert ", ".join([*NEEDED_FIELDS, *EXTRA_FIELDS]) in shown.said


@pytest.mark.parametrize(
    ("wrong", "state", "button"),
    [
        ([], "Working", "Test connection"),
        (["page_not_subscribed"], "Needs attention", "Repair"),
        (["desk_missing"], "Needs attention", "Test connection"),
        (["page_token_invalid"], "Reconnect", "Enter a new token"),
        (["page_token_invalid", "page_not_subscribed"], "Reconnect", "Enter a new token"),
    ],
)
def test_a_page_has_a_state_what_it_means_what_to_do_and_one_button_for_it(
    tab: Tab, wrong: list[str], state: str, button: str
) -> None:
    tab.add(page_name="Fakturownia")
    tab.found(*(finding(code, desk_id="7") for code in wrong))
    shown = tab.open()
    (card,) = shown.tree.cssselect("article")

    assert card.cssselect(".state")[0].text_content().split(maxsplit=1)[1].startswith(state)
    assert main_buttons(card) == [button]
    means = [one.means for one in map(finding, wrong) if one.means] or [notice("state_working_means")]
    assert say(means[0]) in shown.said
    if wrong:
        assert card.cssselect(".finding strong")[0].text_content()
        assert f"{state} for less than a minute" in shown.said


@pytest.mark.parametrize("what", ["helpdesk", "store", "worker"])
def test_while_no_message_gets_through_no_page_is_called_working(
    tab: Tab, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    tab.add()
    tab.found()
    shown = {
        "helpdesk": ("To do, for whoever runs the connector: Set helpdesk.api_token", "helpdesk_token_wrong"),
        "store": ("To do, for whoever runs the connector: Give it more memory", "store_full"),
        "worker": ("They wait until a worker takes them. None is lost.", ""),
    }
    words, code = shown[what]
    if code:
        findings.note(tab.inbox, what, [finding(code, reason="it answered 401")])
    else:
        tab.inbox.accept([Job(key="1", queue=f"in:{REMOTE}:7", time=1, body=b"{}")])
        monkeypatch.setattr(overview, "OVERDUE", -1)
    said = tab.open().said

    assert words in said.partition("Page ID")[0]
    assert "Needs attention" in said
    assert "Working" not in said
    assert "replies are sent" not in said


def test_an_open_tab_says_when_it_is_open_too_long_and_asks_no_more(tab: Tab) -> None:
    tab.add()
    live = tab.live()
    late = tab.poll(live.replace("expires=1", "expires=0"))

    assert tab.poll(live).text.count(f'id="page-{NEW}"') == 1
    assert f'id="edit-{NEW}"' in tab.poll(live).text
    assert "As of" in tab.poll(live).text
    assert late.status_code == 200  # else htmx would leave the page as it is
    assert "Open it from your helpdesk again" in late.text
    assert "hx-get" not in late.text


def test_an_open_tab_says_that_the_store_is_away_and_asks_again(
    own_store: Valkey, make_settings: MakeSettings, desk: Desk
) -> None:
    port = free_port()
    with serving(settings_of(make_settings, own_store.url, desk, port), port) as url:
        tab = Tab(url, own_store.url, desk)
        live = tab.live()
        own_store.stop()
        away = tab.poll(live)
        assert (tab.open().status, away.status_code) == (503, 200)
        assert "cannot store anything at the moment" in away.text
        again = hx_get(away)
        told = tab.poll(again)
        assert (told.headers["HX-Retarget"], told.text.count('id="as-of"')) == ("#as-of", 1)
        assert "alert" not in told.text  # it is not read aloud once more
        own_store.start()
        until("it is shown again", lambda: f'id="page-{PAGE_A}"' in tab.poll(again).text)
        tab.close()


def test_a_page_whose_token_has_to_be_entered_leads_to_the_field_for_it(tab: Tab) -> None:
    """Without a script, too: nothing that is closed has to be opened for it."""
    tab.add()
    tab.found(finding("page_token_invalid"))
    (link,) = tab.open().tree.cssselect(f"#reconnect-{NEW}")
    address, _, anchor = str(link.get("href")).partition("#")
    shown = Shown(tab.browser, tab.browser.get(f"{tab.url}{address}"))
    (field,) = shown.tree.cssselect(f'[id="{anchor}"]')

    assert field.get("name") == "page_access_token"
    assert field.xpath("ancestor::details") == []


def test_a_page_of_the_settings_that_lost_its_token_is_offered_what_helps(
    store_url: str, make_settings: MakeSettings, desk: Desk
) -> None:
    """The login would refuse it."""
    port, graph = free_port(), {"app_id": "1234567890", "app_secret": SECRET_A}
    settings = settings_of(make_settings, store_url, desk, port, graph=graph)
    with serving(settings, port) as url, closing(Tab(url, store_url, desk)) as tab:
        wrong = [finding("page_token_invalid"), finding("page_not_subscribed")]
        findings.note(tab.inbox, f"facebook_messenger:{PAGE_A}", wrong)
        shown = tab.open()
        (card,) = shown.tree.cssselect(f"#page-{PAGE_A}")

    assert "Reconnect" in card.cssselect(".state")[0].text_content()
    assert f"CONNECTOR_CONNECTIONS__{PAGE_A}__PAGE_ACCESS_TOKEN" in card.text_content()
    assert card.cssselect("a") == []
    assert main_buttons(card) == ["Test connection"]
    assert "Reconnect with Facebook" not in card.text_content()


def test_it_is_shown_when_a_page_was_checked_since_when_it_works_and_until_when(tab: Tab) -> None:
    tab.add()
    now = tab.inbox.now()
    lasts = [finding("data_access_lasts", time="2027-02-27 10:00 UTC").what]
    kept = Checked(now - 300, now - 3 * 86_400, lasts)
    tab.inbox.note_findings(REMOTE, b"", msgspec.json.encode(kept))
    said = tab.open().said
    assert "Working for 3 days" in said
    assert "Last checked 5 minutes ago" in said
    assert "access to the page's data until 2027-02-27 10:00 UTC" in said


def test_a_page_that_nothing_is_known_of_is_not_called_working_and_is_to_be_tested(tab: Tab) -> None:
    tab.add()
    shown = tab.open()
    (card,) = shown.tree.cssselect("article")

    assert "Not checked yet Page ID" in shown.said
    assert "Whether messages become tickets and replies are sent is not known yet." in shown.said
    assert "Last checked never" in shown.said
    assert "Working" not in card.text_content()
    assert main_buttons(card) == ["Test connection"]


def test_a_page_that_was_tested_by_hand_is_checked(tab: Tab) -> None:
    tab.add()
    tab.open().send("/check")

    assert "Not checked yet" not in tab.open().said


def test_a_page_that_is_switched_off_says_since_when(tab: Tab) -> None:
    tab.add()
    off = tab.open().send("/active", active="0")

    assert "Switched off for less than a minute" in off.said
    assert main_buttons(off.tree.cssselect("article")[0]) == ["Switch on"]
    assert "Last checked" not in off.said


def test_what_happened_of_late_is_shown(tab: Tab) -> None:
    tab.add()
    hour = int(tab.inbox.now() // 3600)
    tab.store.hset("mc:last", f"in:{REMOTE}:", int((tab.inbox.now() - 120) * 1000))
    tab.store.hset(f"mc:day:{hour // 24}:in:{REMOTE}:", str(hour % 24), 7)
    tab.store.hset(f"mc:day:{hour // 24}:sent:{REMOTE}:", str(hour % 24), 3)
    shown = tab.open()

    assert "Last message 2 minutes ago Last reply never Waiting nothing" in shown.said
    assert "In the last 24 hours: 7 received, 3 sent" in shown.said
    for name, high in (("came", 38.5), ("left", 38 * 3 / 7 + 0.5)):
        bars = [float(str(one.get("height"))) for one in shown.tree.cssselect(f"rect.{name}")]
        assert bars == pytest.approx([0.5] * 23 + [high])
    # Else it is drawn in the middle of the line below it, and each hour at another one's place.
    assert [one.get("preserveaspectratio") for one in shown.tree.cssselect("figure svg")] == ["none"]


def test_what_waits_is_shown_with_how_many_people_wait_and_since_when(tab: Tab) -> None:
    tab.add()
    queues = [f"in:{REMOTE}:1", f"in:{REMOTE}:2", f"out:{REMOTE}:1"]
    tab.inbox.accept([Job(key=queue, queue=queue, time=1, body=b"{}") for queue in queues])
    said = tab.open().said

    assert "messages of 2 people, the first since just now" in said
    assert "replies to 1 person, the first since just now" in said


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
    shown = tab.open(edit=NEW)

    assert "<script>alert" not in shown.answer.text
    found = [one.text_content() for one in shown.tree.cssselect("h2, h3, option")]
    assert {NASTY, f"Settings of {NASTY}"} <= set(found)


# --- What it takes. ---------------------------------------------------------------------------------------


def test_a_page_is_connected_by_hand(tab: Tab) -> None:
    done = tab.open().send("/messenger", **FORM)

    assert (done.status, "The page is saved." in done.said) == (200, True)
    assert f'id="page-{NEW}"' in done.answer.text
    known = tab.connection()
    expected = {"desk_id": "7", "category_id": "12", "active": True, "page_name": "Fakturownia"}
    assert {name: known[name] for name in expected} == expected
    assert [known[name]["set"] for name in ("page_access_token", "app_secret", "verify_token")] == [True] * 3


def test_what_is_to_be_entered_at_meta_is_shown_once_after_it_is_saved(tab: Tab) -> None:
    form = tab.open()
    token = form.field("verify_token", "/messenger").value
    done = form.send("/messenger", **FORM)
    given = {one.get("id"): one.get("value") for one in done.tree.cssselect("#given input[readonly]")}

    assert given == {
        "given-callback": f"{tab.url}/social_media/webhooks/facebook",
        "given-token": token,
    }
    assert "Configure webhooks" in done.said
    assert done.answer.headers["cache-control"] == "no-store"
    again = tab.open(edit=NEW)
    assert token not in again.answer.text
    assert again.tree.cssselect("#settings-callback")[0].get("value") == given["given-callback"]


def test_a_verify_token_that_is_changed_is_shown_once_and_one_that_stays_is_not(tab: Tab) -> None:
    tab.add(verify_token="the-first-verify-token")
    stays = tab.open(edit=NEW).send(f"/pages/{NEW}", page_name="x")
    changed = tab.open(edit=NEW).send(f"/pages/{NEW}", verify_token="the-second-verify-token")

    assert "The page is saved." in stays.said
    assert "the-first-verify-token" not in stays.answer.text
    assert changed.tree.cssselect("#given-token")[0].get("value") == "the-second-verify-token"
    assert "the-second-verify-token" not in tab.open(edit=NEW).answer.text


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
    shown = tab.open(edit=NEW)
    assert "it ends in …cdef" in shown.said
    done = shown.send(f"/pages/{NEW}", page_name="New name", verify_token="another")

    assert done.status == 200
    known = tab.connection()
    assert (known["page_name"], known["page_access_token"]["ends_in"]) == ("New name", "cdef")


@pytest.mark.parametrize("version", ["", "one", "-1", "9" * 40])
def test_a_form_for_no_version_of_the_page_changes_nothing(tab: Tab, version: str) -> None:
    tab.add()
    late = tab.open(edit=NEW).send(f"/pages/{NEW}", page_name="New name", version=version)

    assert late.status == 409
    assert tab.connection()["page_name"] != "New name"


def test_of_two_who_change_a_page_at_once_the_second_is_shown_what_the_first_did(tab: Tab) -> None:
    tab.add()
    first, second = tab.open(edit=NEW), tab.open(edit=NEW)
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
    asked = tab.open().follow("Settings").follow("Remove this page")
    assert tab.connection()["page_id"] == NEW
    done = asked.send("/remove")

    assert "The page has been removed" in done.said
    assert tab.admin.ask("GET").status_code == 404
