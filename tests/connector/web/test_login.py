"""Connect with Facebook: from the helpdesk's link to standing connections, and all that can stop it."""

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest

from clients.channels.meta import login
from clients.channels.meta.graph import Page
from clients.channels.meta.kinds import NEEDED_FIELDS
from clients.findings import Finding, finding
from connector import links, onboarding
from connector.links import Link
from connector.web.login import COOKIE
from sandbox.stack import until
from tasks import checks
from tasks.inbound.backfill import UnderWay, under_way
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.conftest import PAGE_A, settings_in
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.login import APP, DESK, MANAGER, PATH, Person, form_of, link_to, name_of, said
from tests.fakes.login_page import connector, person_with
from tests.fakes.stores import empty

GUIDE = Path(__file__).parents[3] / "docs" / "connect-with-facebook.md"


@pytest.fixture(scope="module")
def url(valkey: str, meta: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # Without a prefix, as all that the tests of one process wake is named by the settings that came first.
    with (
        empty(valkey),
        settings_in(tmp_path_factory.mktemp("login")) as make,
        connector(make, valkey, meta) as url,
    ):
        yield url


@pytest.fixture
def person(url: str, meta: httpx.Client) -> Iterator[Person]:
    """Give somebody who manages one page."""
    with person_with(url, meta) as person:
        yield person


def fail(person: Person, path: str, code: int, message: str = "no", **fault: Any) -> None:
    """Have Meta refuse calls with an error."""
    error = {"error": {"code": code, "message": message} | fault.pop("more", {})}
    answer = {"path": path, "status": 400, "body": error} | fault
    assert person.meta.put("/sandbox/faults", json=[answer]).is_success


def found(person: Person) -> list[str]:
    """Return all that the checks find of the connection."""
    return [one["code"] for one in person.admin.ask("POST", f"/{person.pages[0]}/check").json()["findings"]]


def wrong(person: Person) -> list[str]:
    """Return what the checks find to be wrong with the connection; there is no helpdesk here."""
    found = person.admin.ask("POST", f"/{person.pages[0]}/check").json()["findings"]
    faults = [one["code"] for one in found if one["level"] in {"warning", "stops_messages"}]
    return [code for code in faults if code != "helpdesk_away"]


# --- What works. --------------------------------------------------------------------------------------------


def test_from_the_link_to_a_connection_that_stands(person: Person) -> None:
    shown = person.log_in(link_to(person.url, language="pl", return_url="https://acme.example.com/desks/7"))
    assert "Wybierz strony" in said(shown)
    done = person.choose(shown, person.pages)

    assert (done.status_code, shown.status_code) == (200, 200)
    assert "Podłączono" in said(done)
    assert 'href="https://acme.example.com/desks/7"' in done.text
    connection = person.connection()
    known = {name: connection[name] for name in ("page_name", "desk_id", "active", "language")}
    assert known == {"page_name": name_of(person.pages[0]), "desk_id": DESK, "active": True, "language": "pl"}
    assert wrong(person) == []


def test_a_desk_that_does_not_exist_is_told_right_after_the_login(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "check_desk", lambda *_: iter([finding("desk_missing", desk_id=DESK)]))

    assert f"The helpdesk has no desk {DESK}." in said(person.choose(person.log_in(), person.pages))


def test_all_pages_are_listed_and_the_chosen_ones_connected(url: str, meta: httpx.Client) -> None:
    with person_with(url, meta, 101) as person:
        shown = person.log_in()
        assert [page for page in person.pages if f'value="{page}"' not in shown.text] == []
        assert " checked" not in shown.text.partition("<main>")[2]
        done = person.choose(shown, person.pages[99:])

        assert said(done).count("Connected.") == 2
        connected = [person.admin.ask("GET", f"/{page}").status_code for page in person.pages[98:]]
        assert connected == [404, 200, 200]


def test_a_page_that_is_connected_gets_the_new_token_and_keeps_the_rest(person: Person) -> None:
    person.connect()
    person.admin.ask("PUT", f"/{person.pages[0]}", {"desk_id": DESK, "human_agent": True}, If_Match="*")
    before = person.connection()
    shown = person.log_in()
    done = person.choose(shown, person.pages)

    assert "It gets a new access token" in said(shown)
    assert "Connected with a new access token." in said(done)
    after = person.connection()
    assert after["page_access_token"] != before["page_access_token"]
    assert (after["human_agent"], after["verify_token"]) == (True, before["verify_token"])


def test_a_page_that_was_switched_off_is_switched_on(person: Person) -> None:
    person.connect()
    person.admin.ask("PUT", f"/{person.pages[0]}", {"desk_id": DESK, "active": False}, If_Match="*")
    person.connect()

    assert person.connection()["active"]


# --- What cannot be chosen. ---------------------------------------------------------------------------------


def refused(person: Person, words: str) -> None:
    """Check that the page cannot be chosen, and is not connected if it is chosen all the same."""
    shown = person.log_in()
    assert words in said(shown)
    assert re.search(r"<input [^>]* disabled>", shown.text)
    assert "<button>" not in shown.text
    done = person.choose(shown, person.pages)
    assert words in said(done)
    assert "✓" not in said(done)


def test_a_page_of_another_desk_says_so(person: Person) -> None:
    person.connect(desk_id="8")
    before = person.connection()
    refused(person, "Connected to another desk. Remove it there first")

    assert person.connection() == before


def test_a_page_that_is_connected_elsewhere_names_the_other_apps_and_can_be_connected(person: Person) -> None:
    apps = [
        {"id": APP, "name": "Ours", "subscribed_fields": ["messages"]},
        {"id": "1", "name": "Another <desk>", "subscribed_fields": ["messages", "feed"]},
        {"id": "2", "subscribed_fields": [{"name": "messages"}]},
        {"id": "3", "name": "Leads", "subscribed_fields": ["leadgen"]},
    ]
    fail(person, "*/subscribed_apps", 0, status=200, method="GET", times=1, body={"data": apps})
    shown = person.log_in()

    assert "elsewhere: these apps get its messages, too: Another &lt;desk&gt;, 2." in shown.text
    assert "Connected." in said(person.choose(shown, person.pages))


def test_of_many_pages_each_is_asked_who_else_gets_its_messages(url: str, meta: httpx.Client) -> None:
    apps = [{"id": "1", "name": "Another desk", "subscribed_fields": ["messages"]}]
    with person_with(url, meta, 40) as person:
        path = f"*/{person.pages[-1]}/subscribed_apps"
        fail(person, path, 0, status=200, method="GET", times=1, body={"data": apps})

        assert "these apps get its messages, too: Another desk." in said(person.log_in())


def test_who_has_waited_long_is_offered_the_pages_that_were_not_asked(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "_ASK_WITHIN", -1)
    apps = [{"id": "1", "name": "Another desk", "subscribed_fields": ["messages"]}]
    fail(person, "*/subscribed_apps", 0, status=200, method="GET", times=1, body={"data": apps})

    assert "Not connected yet." in said(person.log_in())


def test_where_meta_does_not_say_who_else_gets_its_messages_a_page_is_offered_all_the_same(
    person: Person,
) -> None:
    fail(person, "*/subscribed_apps", 200, method="GET", times=1)
    assert "Not connected yet." in said(person.log_in())


def test_a_page_that_somebody_changes_meanwhile_is_left_as_it_is(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person.connect()
    shown = person.log_in()
    check = Page.check_grant

    def slowly(page: Page) -> Iterator[Finding]:
        changed = {"desk_id": "8", "active": False}
        assert person.admin.ask("PUT", f"/{person.pages[0]}", changed, If_Match="*").is_success
        yield from check(page)

    monkeypatch.setattr(Page, "check_grant", slowly)
    done = person.choose(shown, person.pages)

    assert "Connected" not in said(done)
    connection = person.connection()
    assert (connection["desk_id"], connection["active"]) == ("8", False)


def test_a_page_of_the_settings_says_so(person: Person) -> None:
    person.order("PUT", f"/pages/{PAGE_A}", name="A", access_token="EAAfixed", app_id=APP)
    person.pages, person.tasks = [PAGE_A], {PAGE_A: MANAGER}
    person.enrol()

    refused(person, "Listed in the connector's settings file")


def test_a_page_on_which_the_person_may_not_do_enough_says_so(person: Person) -> None:
    person.tasks = {person.pages[0]: ["ANALYZE", "MESSAGING"]}
    person.enrol()

    refused(person, "Your role on this page does not allow messages and moderation.")
    assert person.admin.ask("GET", f"/{person.pages[0]}").status_code == 404


def test_who_chooses_nothing_is_asked_again(person: Person) -> None:
    shown = person.log_in()
    asked = person.choose(shown, [])
    assert (asked.status_code, 'role="alert"' in asked.text) == (422, True)

    assert "Connected." in said(person.choose(asked, person.pages))


def test_a_page_that_was_not_offered_is_not_connected(person: Person) -> None:
    done = person.choose(person.log_in(), ["107381679309999"])

    assert "✓" not in said(done)
    assert person.admin.ask("GET", "/107381679309999").status_code == 404


# --- Its history. -------------------------------------------------------------------------------------------


def test_the_history_of_a_new_page_is_fetched_for_the_days_that_are_entered(
    person: Person, valkey: str
) -> None:
    shown = person.log_in()
    assert 'name="history_days"' in shown.text
    person.choose(shown, person.pages, history_days="14")

    assert person.connection()["history_days"] == 14
    remote = f"facebook_messenger:{person.pages[0]}"
    with closing(connect(valkey)) as store:
        (found,) = until("it is to be fetched", lambda: history_of(Inbox(store), remote))
    assert 14 * 86400 - 60 < time.time() - found.since < 14 * 86400 + 60


def history_of(inbox: Inbox, remote: str) -> list[UnderWay]:
    return [one for name, one in under_way(inbox).items() if name == remote and one.is_history]


@pytest.mark.parametrize("entered", [{}, {"history_days": "0"}, {"history_days": ""}])
def test_no_history_is_fetched_unless_it_is_wanted(person: Person, entered: dict[str, str]) -> None:
    shown = person.log_in()
    assert re.search(r'<input [^>]*name="history_days"[^>]* value="0"', shown.text)
    person.choose(shown, person.pages, **entered)

    assert person.connection()["history_days"] == 0


@pytest.mark.parametrize("days", ["31", "-1", "1.5", "many", "9" * 5000, "\u0661", '"><script>'])
def test_days_that_are_no_such_number_are_asked_for_again(person: Person, days: str) -> None:
    asked = person.choose(person.log_in(), person.pages, history_days=days)

    assert asked.status_code == 422
    assert "Enter the days of earlier messages as a whole number from 0 to 30." in said(asked)
    assert (" checked" in asked.text, "<script>" in asked.text) == (True, False)
    assert "Connected." in said(person.choose(asked, person.pages, history_days="30"))


def test_a_page_that_is_connected_keeps_its_days(person: Person) -> None:
    person.choose(person.log_in(), person.pages, history_days="3")
    shown = person.log_in()
    assert "history_days" not in shown.text
    person.choose(shown, person.pages, history_days="9")

    assert person.connection()["history_days"] == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"expires_at": 1_900_000_000}, "expires on 2030-03-17"),
        ({"type": "USER"}, "does not belong to a page; it is of the kind USER"),
        ({"profile_id": "1"}, "belongs to another page (1)"),
        ({"scopes": ["pages_messaging"]}, "Permissions are missing: pages_manage_metadata"),
        ({"is_valid": False}, "is not valid"),
    ],
)
def test_a_page_token_that_will_not_do_connects_nothing(
    person: Person, changes: dict[str, Any], words: str
) -> None:
    shown = person.log_in()
    good = {"is_valid": True, "type": "PAGE", "profile_id": person.pages[0], "expires_at": 0}
    scopes = ["pages_messaging", "pages_manage_metadata", "pages_read_engagement"]
    body = {"data": good | {"scopes": scopes} | changes}
    person.meta.put("/sandbox/faults", json=[{"path": "*/debug_token", "status": 200, "body": body}])
    done = person.choose(shown, person.pages)

    assert f"Not connected: The page access token {words}" in said(done) or words in said(done)
    assert "Start again from your helpdesk" in said(done)
    assert person.admin.ask("GET", f"/{person.pages[0]}").status_code == 404


def test_what_is_still_wrong_is_said_with_what_an_administrator_can_do(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = finding("app_subscribed_elsewhere", url="https://other.example.com", ours="https://a.example")
    wrong = [elsewhere, finding("permissions_missing", permissions="pages_messaging")]
    wrong.append(finding("webhook_address_wrong", url="https://a.example", reason="it answered 404"))
    monkeypatch.setattr(onboarding, "_set_up", lambda *_: wrong)
    shown = said(person.choose(person.log_in(), person.pages))

    assert "press “Test connection” on its tab in the helpdesk, then “Repair”" in shown
    assert "give all permissions for this page" in shown
    assert "To do, for whoever runs the connector: Check that public_url" in shown
    assert "connector check" not in shown
    assert "page_access_token" not in shown


def test_what_is_still_wrong_with_a_connection_is_said(person: Person) -> None:
    shown = person.log_in()
    fail(person, "*/subscribed_apps", 200, method="POST")
    done = person.choose(shown, person.pages)

    assert "✓" in said(done)
    assert "This still needs attention: It could not be repaired" in said(done)


def test_a_field_that_meta_refuses_the_app_keeps_no_page_from_being_subscribed(person: Person) -> None:
    shown = person.log_in()
    fail(person, "*/subscribed_apps", 100, method="POST", times=1)
    done = person.choose(shown, person.pages)

    assert "needs attention" not in said(done)
    assert wrong(person) == []


def test_an_app_that_lacks_the_fields_of_rare_events_gets_them_by_the_next_login(person: Person) -> None:
    person.choose(person.log_in(), person.pages)
    less = {"fields": [*NEEDED_FIELDS]}
    assert person.meta.patch(f"/sandbox/apps/{APP}/subscription", json=less).is_success
    assert "app_subscribed_in_part" in found(person)
    person.choose(person.log_in(), person.pages)

    assert "app_subscribed" in found(person)


# --- What stops the login. ----------------------------------------------------------------------------------


def test_who_cancels_is_told_what_to_do(person: Person) -> None:
    shown = person.log_in(grants=False)

    assert shown.status_code == 400
    assert "The login was cancelled at Facebook" in said(shown)
    assert "Start again from your helpdesk" in said(shown)


def test_permissions_that_are_withheld_are_named(person: Person) -> None:
    shown = person.log_in(without=["pages_messaging"])

    assert shown.status_code == 400
    assert "Permissions are missing: pages_messaging. Start again" in said(shown)


def test_who_manages_no_page_is_told(person: Person) -> None:
    shown = person.log_in(pages=[])

    assert shown.status_code == 400
    assert "There is no page that you manage" in said(shown)


def test_a_code_that_has_expired_is_told(person: Person) -> None:
    person.meta.put("/sandbox/behaviour", json={"code_lifetime": 0})
    shown = person.log_in()

    assert (shown.status_code, "This login has expired, or was used already." in said(shown)) == (400, True)


def test_a_code_is_used_once(person: Person) -> None:
    person.order("PUT", "/login", user_id=person.user_id)
    begun = person.browser.get(link_to(person.url), follow_redirects=False)
    cookie = person.browser.cookies[COOKIE]
    back = person.browser.get(begun.headers["location"], follow_redirects=False).headers["location"]
    assert person.browser.get(back).status_code == 200
    again = httpx.get(back, headers={"Cookie": f"{COOKIE}={cookie}"}, trust_env=False)

    assert (again.status_code, "was used already" in said(again)) == (400, True)


@pytest.mark.parametrize(
    ("path", "code", "more", "message", "status", "words"),
    [
        (
            "*/oauth/access_token",
            2,
            {},
            "busy",
            503,
            "Facebook has a temporary problem (Facebook error 2). Start again",
        ),
        ("*/oauth/access_token", 1, {}, "Error validating client secret.", 400, "correct graph.app_id"),
        ("*/oauth/access_token", 101, {}, "no app", 400, "correct graph.app_id"),
        ("*/oauth/access_token", 100, {"error_subcode": 36008}, "uri", 400, "correct public_url"),
        ("*/oauth/access_token", 100, {}, "what", 400, "Facebook rejected the login."),
        ("*/debug_token", 190, {}, "what", 400, "Facebook rejected the login."),
        ("*/me/accounts", 4, {}, "limit", 503, "limiting"),
    ],
)
def test_what_facebook_answers_is_told(  # noqa: PLR0913, PLR0917 - each is a column
    person: Person, path: str, code: int, more: dict[str, Any], message: str, status: int, words: str
) -> None:
    fail(person, path, code, message, more=more)
    shown = person.log_in()

    assert (shown.status_code, words in said(shown)) == (status, True), said(shown)


def test_who_reloads_on_the_way_sees_the_choice_again(person: Person) -> None:
    shown = person.log_in()

    assert person.browser.get(shown.url).text == shown.text


# --- Links. -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (lambda url: link_to(url, seconds=-1), "This link has expired."),
        (lambda url: link_to(url, seconds=3700), "valid for more than an hour"),
        (lambda url: link_to(url, key="another-key-of-20-characters"), "was not made by your helpdesk"),
        (lambda url: link_to(url).replace("desk_id=7", "desk_id=8"), "was altered"),
        (lambda url: link_to(url) + "&language=pl", "was altered"),
        (lambda url: link_to(url) + "&return_url=https://evil.example", "was altered"),
        (lambda url: link_to(url).partition("&signature")[0], "was altered"),
        (lambda url: link_to(url, desk_id="7\n8"), "was altered"),
        (lambda url: link_to(url, return_url="javascript:alert(1)"), "not complete"),
        (lambda url: link_to(url, language="de"), "not complete"),
        (lambda url: f"{url}{PATH}", "not complete"),
        (lambda url: link_to(url).replace("expires=", "expires=x"), "not complete"),
    ],
)
def test_a_link_that_will_not_do_says_what_to_do(person: Person, link: Any, words: str) -> None:
    shown = person.browser.get(link(person.url), follow_redirects=False)

    assert (shown.status_code, words in said(shown)) == (403, True), said(shown)
    assert COOKIE not in person.browser.cookies


def test_the_signature_is_the_documented_one() -> None:
    link = Link("7", 1795383000, "pl", "https://acme.example.com/desks/7")

    assert f"`{links.sign(link, PATH, 'who-may-change-connections')}`" in GUIDE.read_text()


def test_the_documented_code_makes_a_link_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_TOKEN", ADMIN_TOKEN)
    code: dict[str, Any] = {}
    exec(GUIDE.read_text().partition("```python\n")[2].partition("```")[0], code)
    made = urlsplit(code["connect_link"]("7", return_url="https://acme.example.com/desks/ą?b=c&d"))
    link = links.read(dict(parse_qsl(made.query)), PATH, ADMIN_TOKEN, time.time())

    assert (link.desk_id, link.return_url) == ("7", "https://acme.example.com/desks/ą?b=c&d")


# --- Other browsers, and forms from elsewhere. --------------------------------------------------------------


def test_no_other_browser_goes_on(person: Person) -> None:
    person.order("PUT", "/login", user_id=person.user_id)
    begun = person.browser.get(link_to(person.url), follow_redirects=False)
    back = person.browser.get(begun.headers["location"], follow_redirects=False).headers["location"]
    other = httpx.get(back, trust_env=False)
    forged = person.browser.get(re.sub("state=[^&#]*", "state=mine", back))

    for answer in (other, forged):
        assert (answer.status_code, "was not started in this browser" in said(answer)) == (400, True)
    assert person.browser.get(back).status_code == 200


def test_a_form_that_is_not_ours_connects_nothing(person: Person) -> None:
    shown = person.log_in()
    forged = person.choose(shown, person.pages, form="0" * 32)
    foreign = httpx.post(shown.url, data={"form": form_of(shown), "page": person.pages}, trust_env=False)

    assert (forged.status_code, foreign.status_code) == (403, 410)
    assert person.admin.ask("GET", f"/{person.pages[0]}").status_code == 404


def test_a_choice_is_made_once(person: Person) -> None:
    shown = person.log_in()
    cookie = person.browser.cookies[COOKIE]
    person.choose(shown, person.pages)
    form = {"form": form_of(shown), "page": person.pages}
    again = httpx.post(shown.url, data=form, headers={"Cookie": f"{COOKIE}={cookie}"}, trust_env=False)

    assert (again.status_code, "have already been chosen" in said(again)) == (410, True)
    assert COOKIE not in person.browser.cookies


# --- What a browser is told. --------------------------------------------------------------------------------


def test_a_page_runs_no_script_and_asks_nobody_else(person: Person) -> None:
    shown = person.log_in()

    assert shown.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    assert (shown.headers["referrer-policy"], shown.headers["cache-control"]) == ("no-referrer", "no-store")
    assert "<script" not in shown.text
    assert not re.search(r"""(src|href|url\()=?["']?https?:""", shown.text)
    assert "<b>Pizza" not in shown.text
    assert "&lt;b&gt;Pizza &amp; " in shown.text


def test_the_login_is_bound_by_state_and_pkce(person: Person) -> None:
    first, second = (
        parse_qs(
            urlsplit(
                person.browser.get(link_to(person.url), follow_redirects=False).headers["location"]
            ).query
        )
        for _ in range(2)
    )

    assert first["code_challenge_method"] == ["S256"]
    assert [len(first[name][0]) for name in ("state", "code_challenge")] == [32, 43]
    assert first["state"] != second["state"]
    assert first["code_challenge"] != second["code_challenge"]


def test_the_cookie_is_for_the_login_alone(person: Person) -> None:
    begun = person.browser.get(link_to(person.url), follow_redirects=False)

    flags = begun.headers["set-cookie"].partition("; ")[2].lower().split("; ")
    assert {"httponly", "samesite=lax", "path=/connect/facebook", "max-age=600"} <= set(flags)
    assert "secure" not in flags


@pytest.mark.parametrize(
    ("accepted", "words"), [("pl,en;q=0.5", "Ten link wygasł"), ("de, fr", "has expired")]
)
def test_who_has_no_good_link_is_told_in_the_browsers_language(
    person: Person, accepted: str, words: str
) -> None:
    link = link_to(person.url, seconds=-1)

    assert words in person.browser.get(link, headers={"Accept-Language": accepted}).text
