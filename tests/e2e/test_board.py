"""The operator's board in a real browser: live, by keyboard alone, without scripts, on a phone."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from connector.cipher import new_key
from sandbox.stack import Stack, until
from tests.docs.camera import browser_page
from tests.e2e.conftest import QUICK
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.browser import Watched, focused, overflow, tab_to, violations

WORDS = "where is my order, and who reads this?"
REFUSED = {"method": "POST", "path": "/api/v1/tickets", "status": 422}
WITHIN = 15_000
_psids = itertools.count(7_623_554_930_000_001)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = QUICK | {"secret_key": new_key(), "admin_token": ADMIN_TOKEN}
    with Stack(tmp_path_factory.mktemp("board"), settings=settings) as running:
        running.check_connections()
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_page() as page:
        assert page.context.browser
        yield page.context.browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    yield page
    page.close()


def link(stack: Stack, *options: str) -> str:
    """Return what `connector board` prints."""
    command = [sys.executable, "-m", "connector", "board", *options]
    variables = {**os.environ, "CONNECTOR_SETTINGS": str(stack.settings_file)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def dead(stack: Stack) -> float:
    """Return how many dead letters there are."""
    lines = (line.split() for line in stack.metrics().splitlines())
    return sum(float(line[1]) for line in lines if line and line[0] == "connector_dead_letters")


def die(stack: Stack, count: int = 1) -> list[str]:
    """Have messages of new people become dead letters; return who wrote them."""
    before = dead(stack)
    stack.ask_desk("PUT", "/faults", [REFUSED])
    people = [str(next(_psids)) for _ in range(count)]
    for psid in people:
        stack.write(psid, text=WORDS)
    until("they are dead letters", lambda: dead(stack) == before + count)
    stack.ask_desk("DELETE", "/faults")
    return people


def shows(page: Page, words: str) -> Locator:
    """Wait until a page shows these words."""
    found = page.get_by_text(words).first
    expect(found).to_be_visible(timeout=WITHIN)
    return found


def test_a_page_that_stops_is_seen_without_reloading(stack: Stack, page: Page) -> None:
    watched = Watched(page)
    other = stack.pages[1]
    psid = str(next(_psids))
    stack.write(psid, other, text="hello")
    ticket = until("there is a ticket", lambda: stack.tickets(psid))[0]
    page.goto(link(stack))
    shows(page, "All is well")
    page.evaluate("() => { window.stays = true; }")

    stack.ask_meta("PUT", f"/pages/{other.page_id}/token", {"expires_at": 1_700_000_000})
    stack.reply(ticket["id"], "an answer")

    shows(page, "1 page has to be connected again.")
    row = page.locator("li.row.reconnect")
    expect(row).to_contain_text(other.name)
    expect(row).to_contain_text("Replies are paused: Facebook rejected the page's access token")
    expect(row).to_contain_text("To do: have an administrator of the page connect it again")
    assert page.evaluate("() => window.stays")
    assert {url.split("?")[0] for url in watched.requests} == {
        f"{stack.url}/board",
        f"{stack.url}/assets/htmx-2.0.11.min.js",
        f"{stack.url}/assets/held-1.js",
    }
    assert watched.said == []


def test_a_search_finds_while_it_is_typed(stack: Stack, page: Page) -> None:
    page.goto(link(stack))
    page.get_by_label("Name, page id or desk").fill("faktur")

    shows(page, "1 to 1 of 1")
    expect(page.locator("#connections ~ ul h3")).to_have_text([stack.pages[1].name])
    page.wait_for_url("**q=faktur**")
    page.reload()
    expect(page.get_by_label("Name, page id or desk")).to_have_value("faktur")


def test_a_dead_letter_is_opened_retried_and_another_dropped_by_keyboard_alone(
    stack: Stack, page: Page
) -> None:
    first, second = die(stack, 2)
    page.goto(link(stack))
    _enter(page, lambda name: name.endswith("Dead letters") and name != "Dead letters")
    _enter(page, lambda name: name.startswith("Details of"))
    assert WORDS not in page.content()
    _enter(page, "Show it")
    shows(page, WORDS)
    _enter(page, "Retry")
    shows(page, "1 requeued.")
    until("it became a ticket", lambda: stack.tickets(first) or stack.tickets(second))

    tab_to(page, lambda name: "422" in name)
    page.keyboard.press("Space")
    _enter(page, "Drop those ticked …")
    shows(page, "Delete 1 dead letter for good?")
    _enter(page, "Drop 1")
    shows(page, "1 dropped.")
    until("it is gone", lambda: dead(stack) == 0)

    log = (stack.folder / "connector.log").read_text()
    assert log.count("dead_letter_opened") == 1
    assert WORDS not in log


def test_pages_are_searched_and_filtered_by_keyboard_alone(stack: Stack, page: Page) -> None:
    page.goto(link(stack))
    tab_to(page, "Name, page id or desk")
    page.keyboard.type("faktur")
    shows(page, "1 to 1 of 1")
    tab_to(page, "State")
    page.keyboard.type("Off")
    shows(page, "Nothing matches.")
    _enter(page, "Show all")
    shows(page, "1 to 2 of 2")


def _enter(page: Page, is_meant: Callable[[str], bool] | str) -> None:
    """Go to what is called so by keyboard, and enter it: another page follows."""
    tab_to(page, is_meant)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_ticks_and_the_focus_stay_while_the_list_changes(stack: Stack, page: Page) -> None:
    die(stack)
    page.goto(link(stack))
    page.locator("#tile-dead").click()
    tick = page.locator("input[type=checkbox]").first
    name = tick.get_attribute("id")
    tick.check()
    tick.focus()
    die(stack)

    expect(page.locator("input[type=checkbox]")).to_have_count(2, timeout=WITHIN)
    assert page.locator(f"#{name}").is_checked()
    assert page.evaluate("() => document.activeElement.id") == name
    assert focused(page)
    _drop_all(page)


def _drop_all(page: Page) -> None:
    page.locator("#drop-all").click()
    page.get_by_role("button", name="Drop").click()
    shows(page, "dropped.")


def test_without_scripts_all_of_it_works_too(stack: Stack, browser: Browser) -> None:
    first, second = die(stack, 2)
    page = browser.new_page(java_script_enabled=False)
    page.goto(link(stack))
    page.get_by_label("Name, page id or desk").fill("faktur")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#connections ~ ul h3")).to_have_text([stack.pages[1].name])

    page.locator("#tile-dead").click()
    page.get_by_role("link", name="Details of").first.click()
    page.get_by_role("button", name="Show it").click()
    shows(page, WORDS)
    page.get_by_role("link", name="Dead letters").click()
    page.locator("input[type=checkbox]").first.check()
    page.get_by_role("button", name="Retry those ticked").click()
    shows(page, "1 requeued.")
    until("it became a ticket", lambda: stack.tickets(first) or stack.tickets(second))
    _drop_all(page)
    shows(page, "There are no dead letters.")
    page.close()


LOOKS: list[dict[str, Any]] = [
    {"viewport": {"width": 1200, "height": 900}, "color_scheme": "light"},
    {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
    {"viewport": {"width": 400, "height": 800}, "color_scheme": "light"},
    {"viewport": {"width": 400, "height": 800}, "color_scheme": "dark"},
]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("language", ["en", "pl"])
def test_each_page_is_accessible_and_fits_light_and_dark_narrow_and_wide(
    stack: Stack, browser: Browser, look: dict[str, Any], language: str
) -> None:
    if not dead(stack):
        die(stack, 1)
    page = browser.new_page(**look)
    found: list[str] = []

    def look_at() -> None:
        found.extend(violations(page))
        assert overflow(page) == 0, page.url

    def follow(what: Locator) -> None:
        with page.expect_navigation():  # a page that is being left cannot be looked at
            what.click()
        look_at()

    page.goto(link(stack, "--language", language))
    look_at()
    page.goto(page.url.replace("/board?", "/board/unknown?"))
    look_at()
    page.goto(page.url.replace("/board/unknown?", "/board/dead?"))
    look_at()
    follow(page.locator("#drop-all"))
    page.go_back()
    follow(page.locator(".letters .more a").first)
    follow(page.locator("form button").first)
    page.goto(f"{stack.url}/board")
    look_at()
    page.close()
    assert found == []
