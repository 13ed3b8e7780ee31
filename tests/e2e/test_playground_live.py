"""The playground changes by itself, but never under the hands of who uses it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from sandbox.stack import until
from tests.fakes.browser import focused
from tests.fakes.player import Player, browser_of_players, player_at
from tests.fakes.playground import PAGE, Beside, playground


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with playground(tmp_path_factory.mktemp("playground")) as beside:
        yield beside


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_of_players() as browser:
        yield browser


@pytest.fixture
def beside(served: Beside) -> Beside:
    served.begin()
    return served


@pytest.fixture
def player(browser: Browser, beside: Beside) -> Iterator[Player]:
    """Give somebody who looks at Anna's conversation, which is empty."""
    with player_at(browser, str(beside.http.base_url)) as player:
        yield player


class Held:
    """The first request that fits is held back until it is let go."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._page, self._routes = page, list[Route]()
        page.route(pattern, self._hold)

    def _hold(self, route: Route) -> None:
        if self._routes:
            route.fallback()
        else:
            self._routes.append(route)

    def wait(self) -> None:
        """Wait until it was sent."""

        def is_held() -> bool:
            self._page.wait_for_timeout(20)  # the browser is heard while one waits
            return bool(self._routes)

        until("a request is held back", is_held)

    def let_go(self) -> None:
        """Let it be answered, and give the page the time to do something with the answer."""
        route = self._routes[0]
        with self._page.expect_response(route.request.url):
            route.continue_()
        self._page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")


def look(player: Player, beside: Beside) -> None:
    """Open the page at Anna's conversation."""
    player.page.goto(f"{beside.http.base_url}#{PAGE}/{beside.anna}")
    expect(player.page.locator("#customer")).to_have_value(f"{PAGE}/{beside.anna}")


def press(player: Player, name: str) -> None:
    """Press the mouse on a button, and do not let go."""
    box = player.page.get_by_role("button", name=name).bounding_box()
    assert box
    player.page.mouse.move(box["x"] + box["width"] - 5, box["y"] + box["height"] / 2)
    player.page.mouse.down()


def test_a_click_counts_though_the_page_changes_between_press_and_release(player: Player) -> None:
    first = Held(player.page, "**/state?*")
    player.page.goto(player.address)
    first.wait()
    press(player, "New customer")
    first.let_go()
    player.page.mouse.up()

    expect(player.page.locator("#new-customer")).to_be_visible()
    expect(player.page.locator("#customer option")).not_to_have_count(0)


def test_a_key_counts_though_its_button_changes_between_press_and_release(
    player: Player, beside: Beside
) -> None:
    beside.writes(text="hello")
    mid = beside.replies("Shall we send it again?")
    look(player, beside)
    summary = player.messages.last.locator("summary")
    summary.focus()
    player.page.keyboard.down(" ")
    with player.page.expect_response(lambda answer: "/state" in answer.url and answer.status == 200):
        beside.do("POST", f"{beside.phone}/reactions", {"mid": mid, "emoji": "👍"})
    player.page.keyboard.up(" ")

    expect(player.messages.last.locator(".reaction")).to_contain_text("👍")
    expect(player.messages.last.get_by_role("button", name="Answer")).to_be_visible()


def test_what_one_writes_with_stays_in_its_place_when_the_page_comes_to_life(
    player: Player, beside: Beside
) -> None:
    beside.writes(text="hello")
    first, links = Held(player.page, "**/state?*"), Held(player.page, "**/links")
    beside.stack.answers = {"/board": 200}
    player.page.goto(f"{player.address}#{PAGE}/{beside.anna}")
    moving = [player.page.locator(one) for one in ("#add-customer", "#phone-text", "#reply-text")]
    first.wait()
    before = [one.bounding_box() for one in moving]
    first.let_go()
    links.wait()
    links.let_go()
    expect(player.page.get_by_role("tab", name="Board")).to_be_visible()
    expect(player.message("hello")).to_be_visible()

    assert [one.bounding_box() for one in moving] == before


def test_what_is_open_stays_open_and_keeps_the_focus_while_its_message_changes(
    player: Player, beside: Beside
) -> None:
    beside.writes(text="hello")
    mid = beside.replies("Shall we send it again?")
    look(player, beside)
    player.messages.last.locator("summary").click()
    player.page.keyboard.press("Tab")
    player.page.keyboard.press("Tab")
    assert focused(player.page) == "React with 😆"

    beside.do("POST", f"{beside.phone}/reactions", {"mid": mid, "emoji": "👍"})
    expect(player.messages.last.locator(".reaction")).to_contain_text("👍")
    expect(player.messages.last.get_by_role("button", name="Answer")).to_be_visible()
    assert focused(player.page) == "React with 😆"


def test_a_tray_that_was_opened_meanwhile_is_not_closed_by_a_late_answer(
    player: Player, beside: Beside
) -> None:
    look(player, beside)
    late = Held(player.page, "**/postbacks")
    player.phone.get_by_role("button", name="The page's menu").click()
    player.phone.get_by_role("button", name="Track my parcel").click()
    late.wait()
    expect(player.page.locator("#menu")).to_be_hidden()
    player.phone.get_by_role("button", name="Stickers").click()
    late.let_go()

    expect(player.message("Track my parcel")).to_be_visible()
    expect(player.page.locator("#stickers")).to_be_visible()


def test_the_form_of_a_new_customer_that_was_closed_meanwhile_stays_closed(
    player: Player, beside: Beside
) -> None:
    look(player, beside)
    late = Held(player.page, "**/people")
    player.add("Bruno", "Kowalski")
    late.wait()
    player.page.get_by_role("button", name="New customer").click()
    late.let_go()

    expect(player.page.locator("#customer option:checked")).to_contain_text("Bruno Kowalski")
    expect(player.page.locator("#new-customer")).to_be_hidden()
    expect(player.page.get_by_role("button", name="New customer")).to_have_attribute("aria-expanded", "false")


def test_what_the_agent_writes_stays_while_the_helpdesk_does_not_answer(
    player: Player, beside: Beside
) -> None:
    beside.ticket()
    look(player, beside)
    reply = player.page.locator("#reply-text")
    reply.press_sequentially("It is on ")
    player.page.route("**/state?*", without_helpdesk)
    expect(player.desk.locator(".notice")).to_contain_text("does not answer")
    player.page.keyboard.type("its way")

    expect(reply).to_have_value("It is on its way")
    player.page.unroute_all(behavior="wait")  # else one that is under way fails in the next test


def without_helpdesk(route: Route) -> None:
    answer = route.fetch(headers={"Accept": "application/json"})
    state = answer.json()
    state["desk"] |= {"tickets": None, "error": "The helpdesk does not answer."}
    route.fulfill(response=answer, json=state)


def test_a_switch_that_is_turned_by_keyboard_keeps_the_focus(player: Player, beside: Beside) -> None:
    look(player, beside)
    switch = player.switch("Meta slow")
    for on in ("3 s longer", ""):
        switch.get_by_role("switch").focus()
        player.page.keyboard.press("Space")
        expect(switch.locator(".says")).to_contain_text(on)
        expect(switch.get_by_role("switch")).to_be_enabled()
        expect(switch.get_by_role("switch")).to_be_focused()


def test_the_frame_that_somebody_looks_at_stays_while_the_connector_does_not_answer(
    player: Player, beside: Beside
) -> None:
    beside.stack.answers = {"/board": 200}
    player.page.clock.install()
    look(player, beside)
    player.page.get_by_role("tab", name="Board").click()
    gone = Held(player.page, "**/links")
    beside.stack.answers = {}
    player.page.clock.fast_forward(60_000)
    gone.wait()
    gone.let_go()

    expect(player.page.locator("#frame-board")).to_be_visible()


def test_a_sentence_that_is_said_again_and_again_can_be_closed(player: Player, beside: Beside) -> None:
    look(player, beside)
    player.page.route("**/state?*", lambda route: route.abort())
    alert = player.page.get_by_role("alert")
    expect(alert).to_contain_text("Is the demo still running?")
    shown = alert.get_by_role("button", name="Close").element_handle()
    with player.page.expect_event("requestfailed"), player.page.expect_event("requestfailed"):
        pass

    assert shown.evaluate("button => button.isConnected")
