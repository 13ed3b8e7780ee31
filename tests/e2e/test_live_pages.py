"""Tab and board change by themselves, but never under the hands of who uses them."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from clients.notices import notice
from sandbox.stack import free_port
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.conftest import settings_in
from tests.fakes.admin import NEW
from tests.fakes.board import die, link_to_board
from tests.fakes.browser import browser
from tests.fakes.pages import tab_link
from tests.fakes.sandbox_helpdesk import Desk, social_media_desk
from tests.fakes.tab import Tab, settings_of
from tests.fakes.web import serving

LIVE = 20_000
"""Within what time a page was brought up to date, in ms: the tab asks every ten seconds."""
WAIT = """() => new Promise(done => {
  const answered = () => document.addEventListener("htmx:afterRequest", () => done(), {once: true});
  document.addEventListener("htmx:beforeRequest", answered, {once: true});
})"""
"""Until what is asked for from now on is answered, and the page did with that what it does."""


FOUND = """() => document.addEventListener("htmx:afterRequest", event => {
  window.found ||= event.target.id !== "live";
})"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with social_media_desk(tmp_path_factory.mktemp("desk")) as desk:
        yield desk


@pytest.fixture(scope="module")
def url(valkey: str, desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with (
        settings_in(tmp_path_factory.mktemp("live")) as make,
        serving(settings_of(make, valkey, desk, port, connections=[]), port) as url,
    ):
        yield url


@pytest.fixture
def inbox(url: str, desk: Desk, store_url: str) -> Iterator[Inbox]:
    """Give what the store keeps: a page that leads to the desk, and a dead letter."""
    with closing(connect(store_url)) as store, closing(Tab(url, store_url, desk)) as tab:
        tab.add()
        inbox = Inbox(store)
        die(inbox)
        yield inbox


@pytest.fixture
def page() -> Iterator[Page]:
    with browser(locale="en-GB") as opened:
        yield opened.new_page()


def open_tab(page: Page, url: str) -> None:
    page.goto(tab_link(url))


def open_dead_letters(page: Page, url: str) -> None:
    page.goto(link_to_board(url))
    page.locator("#tile-dead").click()
    expect(page.locator("#drop-all")).to_be_visible()


PRESSED = {
    "tab": (open_tab, f"#off-{NEW}", "The page is switched off."),
    "board": (open_dead_letters, "#drop-all", "for good?"),
}
"""What is pressed on each page, and what is said once that worked."""


@pytest.mark.parametrize("which", PRESSED)
@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_press_counts_though_the_page_is_brought_up_to_date_before_the_release(
    url: str, inbox: Inbox, page: Page, which: str, by: str
) -> None:
    open_page, button, said = PRESSED[which]
    open_page(page, url)
    page.locator(button).focus()
    page.locator(button).hover()
    if by == "mouse":
        page.mouse.down()
    else:
        page.keyboard.down(" ")
    die(inbox, notice("page_token_refused"))  # so that there is something to show
    page.evaluate(WAIT)
    if by == "mouse":
        page.mouse.up()
    else:
        page.keyboard.up(" ")

    expect(page.get_by_text(said)).to_be_visible(timeout=LIVE)


@pytest.mark.parametrize("which", PRESSED)
def test_after_the_release_the_page_is_brought_up_to_date_again_and_the_focus_stays(
    url: str, inbox: Inbox, page: Page, which: str
) -> None:
    open_page, button, _ = PRESSED[which]
    open_page(page, url)
    before = page.locator("#live").element_handle()
    page.locator("h1").hover()
    page.mouse.down()
    die(inbox, notice("page_token_refused"))
    page.evaluate(WAIT)
    assert before.evaluate("live => live.isConnected")
    page.mouse.up()
    page.locator(button).focus()

    page.wait_for_function("before => !before.isConnected", arg=before, timeout=LIVE)
    expect(page.locator(button)).to_be_focused()


def test_what_is_released_elsewhere_does_not_keep_the_page_from_being_brought_up_to_date(
    url: str, inbox: Inbox, page: Page
) -> None:
    open_dead_letters(page, url)
    before = page.locator("#live").element_handle()
    page.locator("#drop-all").focus()
    page.keyboard.down(" ")
    page.evaluate("() => dispatchEvent(new Event('blur'))")
    die(inbox, notice("page_token_refused"))

    page.wait_for_function("before => !before.isConnected", arg=before, timeout=LIVE)


@pytest.mark.usefixtures("inbox")
def test_what_was_searched_is_shown_though_the_mouse_was_pressed_when_it_was_found(
    url: str, page: Page
) -> None:
    page.goto(link_to_board(url))
    page.evaluate(FOUND)
    page.locator("h1").hover()
    page.mouse.down()
    page.get_by_label("Name, page id or desk").fill("nobody")
    page.wait_for_function("() => window.found", timeout=LIVE)
    assert page.get_by_text("Nothing matches.").count() == 0
    page.mouse.up()

    expect(page.get_by_text("Nothing matches.")).to_be_visible(timeout=LIVE)
