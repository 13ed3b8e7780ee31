"""The Messenger tab in a real browser: a page is connected, breaks, and is connected again."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from connector.cipher import new_key
from sandbox.stack import PAGES, Stack, until
from tests.e2e.added import Case
from tests.e2e.conftest import QUICK
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.browser import browser, overflow, tab_to, violations
from tests.fakes.frame import framing
from tests.fakes.login import APP, APP_SECRET, CALLBACKS, MANAGER, PATH
from tests.fakes.pages import tab_link

LIVE = 20_000
"""Within what time the tab shows what is new, in ms: it looks every ten seconds."""


@pytest.fixture(scope="module")
def helpdesk() -> Iterator[str]:
    with framing() as origin:
        yield origin


@pytest.fixture(scope="module")
def stack(helpdesk: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = QUICK | {"secret_key": new_key(), "admin_token": ADMIN_TOKEN, "framed_by": [helpdesk]}
    settings["graph"] = {"app_id": APP, "app_secret": APP_SECRET}
    with Stack(tmp_path_factory.mktemp("tab"), pages=PAGES[:1], settings=settings) as running:
        for page in PAGES:
            running.ask_desk("PUT", f"/desks/{page.desk_id}", {"name": f"Desk {page.desk_id}"})
        app = {
            "app_secret": APP_SECRET,
            "redirect_uris": [f"{running.url}{PATH}/callback"],
            "deauthorize_url": f"{running.url}{CALLBACKS}/deauthorize",
        }
        running.ask_meta("PUT", f"/apps/{APP}", app)
        yield running


@pytest.fixture
def case(stack: Stack) -> Iterator[Case]:
    case = Case(stack)
    case.exist()
    yield case
    if (found := case.admin.ask("GET", f"/{case.page.page_id}")).is_success:
        case.admin.ask("DELETE", f"/{case.page.page_id}", If_Match=found.headers["etag"])
    case.http.close()


@pytest.fixture
def chromium() -> Iterator[BrowserContext]:
    with browser(locale="en-GB") as opened:
        yield opened


def connect_by_hand(page: Page, case: Case) -> None:
    """Fill the form in, save it, test the connection and have it repaired."""
    by_hand = page.get_by_text("Connect a page by hand")
    by_hand.click()
    entered = {
        "Page ID": case.page.page_id,
        "Page name": case.page.name,
        "Page access token": case.page.access_token,
        "App secret": case.page.app_secret,
    }
    form = page.locator("details[open]").filter(has=page.get_by_role("button", name="Connect the page"))
    for label, value in entered.items():
        form.get_by_label(label, exact=True).fill(value)
    form.get_by_role("button", name="Connect the page").click()
    expect(page.get_by_text("The page is saved.")).to_be_visible()
    card_of(page, case).get_by_role("button", name="Test connection").click()
    expect(page.get_by_role("status")).to_contain_text("stop messages", timeout=LIVE)
    page.get_by_role("button", name="Repair").click()
    expect(page.get_by_role("status")).to_have_text("Everything works.", timeout=LIVE)
    page.get_by_text("Back to the pages").click()


def card_of(page: Page, case: Case) -> Any:
    return page.locator(f"#page-{case.page.page_id}")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_page_is_connected_by_hand_and_its_messages_become_tickets(
    stack: Stack, case: Case, *, scripts: bool
) -> None:
    with browser(locale="en-GB", java_script_enabled=scripts) as opened:
        page = opened.new_page()
        page.goto(tab_link(stack.url))
        connect_by_hand(page, case)
        case.write("hello")
        assert case.ticket()["body"] == "hello"
        card = card_of(page, case)
        if not scripts:
            page.reload()
        expect(card).to_contain_text("In the last 24 hours: 1 received", timeout=LIVE)
        expect(card.locator(".state")).to_contain_text("Working")


def test_a_page_whose_token_is_revoked_says_so_and_is_connected_again_by_a_login(
    stack: Stack, case: Case, chromium: BrowserContext
) -> None:
    user = f"77{case.page.page_id}"
    stack.ask_meta(
        "PUT", f"/users/{user}", {"name": "Ola", "tasks": {case.page.page_id: MANAGER}, "psids": {}}
    )
    stack.ask_meta("PUT", "/login", {"user_id": user})
    fields = {"name": case.page.name, "app_id": APP, "access_token": case.page.access_token}
    stack.ask_meta("PUT", f"/pages/{case.page.page_id}", fields)
    page = chromium.new_page()
    page.goto(tab_link(stack.url))
    choose(page, "Connect with Facebook")
    card = card_of(page, case)
    expect(card.locator(".state")).to_contain_text("Working", timeout=LIVE)

    stack.ask_meta("POST", f"/users/{user}/deauthorize", {"app_id": APP, "page_id": ""})
    until(
        "the connection is switched off",
        lambda: not case.admin.ask("GET", f"/{case.page.page_id}").json()["active"],
    )
    expect(card.locator(".state")).to_contain_text("Reconnect for less than a minute", timeout=LIVE)
    expect(card).to_contain_text("taken back at Facebook")
    expect(card.get_by_role("button", name="Switch on")).to_have_count(0)
    choose(page, "Reconnect with Facebook")
    expect(card.locator(".state")).to_contain_text("Working", timeout=LIVE)


def test_while_the_helpdesk_is_away_an_open_tab_says_so_above_the_pages(
    stack: Stack, case: Case, chromium: BrowserContext
) -> None:
    case.connect()
    case.admin.ask("POST", f"/{case.page.page_id}/check")
    page = chromium.new_page()
    page.goto(tab_link(stack.url))
    card, alert = card_of(page, case), page.locator("#live .alert")
    expect(alert).to_have_count(0)
    stack.ask_desk("PUT", "/faults", [{"path": "*/tickets*", "status": 503}])
    case.write("is anybody there?")

    expect(alert).to_contain_text("see that the helpdesk is up", timeout=2 * LIVE)
    expect(alert).to_contain_text("None is lost.")
    expect(card.locator(".state")).to_contain_text("Needs attention")
    stack.ask_desk("DELETE", "/faults")
    assert case.ticket()["body"] == "is anybody there?"
    expect(alert).to_have_count(0, timeout=2 * LIVE)
    expect(card.locator(".state")).to_contain_text("Working")


def choose(page: Page, link: str) -> None:
    """Follow a link to the login, which opens beside the tab, and choose the page there."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=link).first.click()
    login = opened.value
    login.get_by_role("button", name="Connect").click()
    expect(login.get_by_role("heading", name="What became of the pages")).to_be_visible()
    login.close()


@pytest.mark.parametrize("language", ["en", "pl"])
def test_what_is_to_be_entered_at_meta_is_copied_with_the_keyboard_and_that_is_said(
    stack: Stack, helpdesk: str, language: str
) -> None:
    """In a frame of another site, too, where the clipboard is closed to scripts."""
    with browser() as opened:
        page = opened.new_page()
        page.goto(f"{helpdesk}/?{urlencode({'frame': tab_link(stack.url, language=language)})}")
        frame = page.frame_locator("iframe")
        frame.locator("section > details > summary").click()
        field = frame.locator("#callback")
        field.focus()
        page.keyboard.press("Tab")
        expect(frame.locator("#callback-copy")).to_be_focused()
        page.keyboard.press("Enter")
        said = frame.locator("#callback-copy + [aria-live]")
        expect(said).to_have_text(str(said.get_attribute("data-done")))
        expect(frame.locator("#callback-copy")).to_be_focused()

        entry = frame.locator("#new-page_name")
        entry.focus()
        page.keyboard.press("Control+V")
        expect(entry).to_have_value(f"{stack.url}/social_media/webhooks/facebook")


def test_without_scripts_what_is_to_be_copied_stands_in_a_field(stack: Stack) -> None:
    with browser(java_script_enabled=False) as opened:
        page = opened.new_page()
        page.goto(tab_link(stack.url))
        page.locator("section > details > summary").click()
        expect(page.locator("#callback")).to_be_visible()
        expect(page.locator("#callback-copy")).to_be_hidden()


def test_it_is_framed_by_the_helpdesk_and_by_nobody_else(
    stack: Stack, helpdesk: str, chromium: BrowserContext
) -> None:
    link = tab_link(stack.url)
    shown = {}
    for origin in (helpdesk, helpdesk.replace("127.0.0.1", "localhost")):
        page = chromium.new_page()
        page.goto(f"{origin}/?{urlencode({'frame': link})}")
        frame = page.frame_locator("iframe")
        shown[origin] = frame.get_by_role("heading", name="Pages of this desk").count()
        if origin == helpdesk:
            frame.get_by_role("button", name="Test connection").first.click()
            expect(frame.get_by_role("status")).to_be_visible(timeout=LIVE)
    assert list(shown.values()) == [1, 0]


def test_all_of_it_can_be_done_with_the_keyboard(stack: Stack, case: Case, chromium: BrowserContext) -> None:
    page = chromium.new_page()
    page.goto(tab_link(stack.url))
    tab_to(page, "Connect a page by hand")
    page.keyboard.press("Enter")
    tab_to(page, "Page ID")
    page.keyboard.type(case.page.page_id)
    for value in (case.page.name, case.page.access_token, case.page.app_secret):
        page.keyboard.press("Tab")
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    expect(page.get_by_text("The page is saved.")).to_be_visible()
    assert violations(page) == []
    _enter(page, f"#check-{case.page.page_id}")
    expect(page.get_by_role("status")).to_contain_text("stop messages", timeout=LIVE)
    expect(page.get_by_role("link", name="Back to the pages")).to_be_visible()  # all of it is there
    tab_to(page, "Repair")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Everything works.", timeout=LIVE)
    expect(page.get_by_role("link", name="Back to the pages")).to_be_visible()
    tab_to(page, "Back to the pages")
    with page.expect_navigation():  # a page that is being left has no focus
        page.keyboard.press("Enter")

    tab_to(page, "Connect with Facebook")
    with page.context.expect_page() as opened:
        page.keyboard.press("Enter")
    expect(opened.value.get_by_role("heading").first).to_be_visible()


def test_a_page_is_changed_switched_off_and_on_and_removed_with_the_keyboard(
    stack: Stack, case: Case, chromium: BrowserContext
) -> None:
    case.connect(page_name="Added")
    page = chromium.new_page()
    page.goto(tab_link(stack.url))
    _enter(page, f"#edit-{case.page.page_id}")
    expect(page.locator(f"#settings-{case.page.page_id}")).to_be_visible()
    _go_to(page, f"[id='{case.page.page_id}-page_name']")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Renamed")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The page is saved.")).to_be_visible()
    expect(card_of(page, case).get_by_role("heading")).to_have_text("Renamed")

    _enter(page, f"#off-{case.page.page_id}")
    expect(page.get_by_text("The page is switched off.")).to_be_visible()
    _enter(page, f"#on-{case.page.page_id}")
    expect(page.get_by_text("The page is switched on.")).to_be_visible()

    _enter(page, f"#edit-{case.page.page_id}")
    expect(page.locator(f"#settings-{case.page.page_id}")).to_be_visible()
    _enter(page, f"#settings-{case.page.page_id} .actions a")
    expect(page.get_by_text(f"Remove page {case.page.page_id} from this desk?")).to_be_visible()
    assert case.admin.ask("GET", f"/{case.page.page_id}").is_success
    _enter(page, "main form button")
    expect(page.get_by_text("The page has been removed")).to_be_visible()
    assert case.admin.ask("GET", f"/{case.page.page_id}").status_code == 404


def _go_to(page: Page, selector: str) -> None:
    """Press Tab until what the selector names has the focus, which has to be seen then."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError(f"Tab never came to {selector}")


def _enter(page: Page, selector: str) -> None:
    _go_to(page, selector)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_refused_removed_expired_or_switched_off_is_accessible_too(
    stack: Stack, case: Case, scheme: Any
) -> None:
    case.connect(page_name="Added")
    link = tab_link(stack.url)
    found: dict[str, list[str]] = {}
    with browser(color_scheme=scheme, viewport={"width": 400, "height": 800}) as opened:
        page = opened.new_page()

        def look(what: str) -> None:
            found[what] = violations(page)
            assert overflow(page) <= 0, what

        page.goto(link)
        page.locator("#connect-heading ~ details > summary").click()
        _fill_in_what_is_wrong(page, case)
        expect(page.get_by_text("It was not saved.")).to_be_visible()
        expect(page.locator("[aria-invalid]")).not_to_have_count(0)
        look("the form that was refused")
        page.goto(link)
        page.locator(f"#edit-{case.page.page_id}").click()
        page.get_by_role("link", name="Remove this page").click()
        expect(page.get_by_text("Remove page")).to_be_visible()
        look("the question whether to remove")
        page.goto(link.replace("signature=", "signature=0"))
        expect(page.get_by_text("was altered")).to_be_visible()
        look("a link that is no good")
        stack.ask_meta("PUT", f"/pages/{case.page.page_id}/token", {"expires_at": 1_700_000_000})
        case.admin.ask("POST", f"/{case.page.page_id}/check")
        page.goto(link)
        expect(card_of(page, case).locator(".state")).to_contain_text("Reconnect")
        look("the card of a page to reconnect")
        card_of(page, case).get_by_role("button", name="Switch off").click()
        expect(card_of(page, case).locator(".state")).to_contain_text("Switched off")
        look("the card of a page that is off")
    assert found == {what: [] for what in found}


def _fill_in_what_is_wrong(page: Page, case: Case) -> None:
    form = page.locator("details[open]").filter(has=page.get_by_role("button", name="Connect the page"))
    for label in ("Page access token", "App secret"):
        form.get_by_label(label, exact=True).fill("short")
    form.get_by_label("Page ID", exact=True).fill(f"{case.page.page_id}9")
    form.get_by_role("button", name="Connect the page").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "pl"])
def test_it_is_accessible_and_fits_narrow_and_wide(
    stack: Stack, case: Case, scheme: Any, language: str
) -> None:
    case.connect()
    stack.ask_meta("POST", f"/pages/{case.page.page_id}/unsubscribe")
    case.admin.ask("POST", f"/{case.page.page_id}/check")
    with browser(color_scheme=scheme, viewport={"width": 400, "height": 800}) as opened:
        page = opened.new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(tab_link(stack.url, language=language))
        card_of(page, case).locator(f"#edit-{case.page.page_id}").click()
        for summary in page.locator("summary").all():
            summary.click()
        assert overflow(page) <= 0
        assert violations(page) == []
        page.set_viewport_size({"width": 1280, "height": 800})
        assert overflow(page) <= 0
        card_of(page, case).locator("button").first.click()
        expect(page.get_by_role("status")).to_be_visible(timeout=LIVE)
        assert violations(page) == []
    assert [one for one in requests if not one.startswith((stack.url, "data:"))] == []
