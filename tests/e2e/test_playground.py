"""The playground in a real browser, beside the whole product: what somebody does who sees it first."""

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import Browser, Page, Route, expect

from sandbox.demo import settings_for
from sandbox.playground.app import serving
from sandbox.samples import Sample, document, photo
from sandbox.stack import PAGES, Stack, free_port, until
from tests.e2e.conftest import QUICK
from tests.fakes.browser import overflow, violations
from tests.fakes.pages import leaked
from tests.fakes.player import PATIENCE, Player, browser_of_players, player_at

ROOT = Path(__file__).parents[2]
SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
XSS = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'><svg/onload=alert(3)>"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def stack(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a stack whose own pages the playground may show, as that of the demo."""
    with Stack(tmp_path_factory.mktemp("stack"), settings=QUICK | settings_for(port)) as running:
        yield running


@pytest.fixture(scope="module")
def served(stack: Stack, port: int) -> Iterator[str]:
    with serving(stack, port) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_of_players() as browser:
        yield browser


@pytest.fixture
def player(browser: Browser, served: str, stack: Stack) -> Iterator[Player]:
    """Give a player with a new customer. Whatever the test does, nobody else is asked, and nothing breaks."""
    with player_at(browser, served) as player:
        player.begin()
        yield player
    assert {url for url in player.asked if not url.startswith((served, "about:"))} == set()
    assert player.said == []
    state = httpx.get(f"{served}state?page_id={PAGES[0].page_id}&psid=1", trust_env=False)
    answers = [state, *(httpx.get(f"{served}{path}", trust_env=False) for path in ("links", ""))]
    assert leaked(answers, secrets_of(stack)) == []


def secrets_of(stack: Stack) -> list[str]:
    """Return what no answer of the playground may hold."""
    settings = yaml.safe_load(stack.settings_file.read_text())
    more = [settings["helpdesk"]["webhook_secret"], settings["secret_key"]]
    found = [stack.api_token, stack.admin_token, *more]
    for page in stack.pages:
        found += [page.access_token, page.app_secret, page.verify_token]
    assert all(found)
    return found


def test_a_conversation_goes_both_ways(player: Player) -> None:
    player.write("Where is my parcel?", document("order.pdf"))
    expect(player.comment("Where is my parcel?")).to_be_visible()
    expect(player.comment("order.pdf")).to_be_visible()
    expect(player.message("Where is my parcel?").locator(".ticks")).to_have_class(re.compile("seen"))

    player.reply("the carrier lost it", internal=True)
    player.reply("It is **on its way**", photo("label.png"))
    expect(player.message("It is on its way")).to_be_visible()
    picture = player.messages.locator("img[alt='label.png']")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96
    expect(player.comment("It is on its way").locator(".delivery")).to_contain_text("read")
    expect(player.comment("It is on its way").locator("strong")).to_have_text("on its way")

    note = player.comment("the carrier lost it")
    expect(note).to_contain_text("internal note")
    expect(player.message("the carrier lost it")).to_have_count(0)


def test_a_customer_reacts_edits_and_unsends(player: Player) -> None:
    player.write("Where is my parcle?")
    expect(player.comment("parcle")).to_be_visible()
    player.reply("On its way")
    player.act(player.message("On its way"), "React with ❤️")
    expect(player.message("On its way").locator(".reaction")).to_contain_text("❤️")
    expect(player.comment("❤️")).to_be_visible()

    player.act(player.message("parcle"), "Edit")
    player.write("Where is my parcel?")
    expect(player.message("Where is my parcel?")).to_contain_text("edited")
    expect(player.comment("Where is my parcel?").last).to_be_visible()

    player.write("never mind")
    expect(player.comment("never mind")).to_be_visible()
    player.act(player.message("never mind"), "Unsend")
    expect(player.message("You unsent a message")).to_be_visible()
    expect(player.comments.last).to_contain_text(re.compile("delet|unsent|removed", re.IGNORECASE))


def test_a_customer_taps_buttons_and_sends_a_sticker(player: Player) -> None:
    player.phone.get_by_role("button", name="The page's menu").click()
    player.phone.get_by_role("button", name="Track my parcel").click()
    expect(player.comment("TRACK_PARCEL")).to_be_visible()
    player.phone.get_by_role("button", name="Stickers").click()
    player.phone.get_by_role("button", name="Cat").click()
    expect(player.messages.locator("img.sticker")).to_be_visible()
    expect(player.comments.locator("img")).to_be_visible()

    player.reply("Shall we send it again?")
    player.phone.get_by_role("button", name="Yes, please").click()
    expect(player.comment("Yes, please")).to_be_visible()
    player.act(player.message("Shall we send it again?"), "Answer")
    player.write("today if you can")
    expect(player.message("today if you can").locator(".answers")).to_contain_text("Shall we send it again?")
    expect(player.comment("today if you can")).to_contain_text("Shall we send it again?")


def test_a_closed_ticket_is_followed_by_a_new_one(player: Player) -> None:
    player.write("hello")
    expect(player.comment("hello")).to_be_visible()
    player.desk.get_by_role("button", name="Close ticket").click()
    expect(player.desk.locator(".ticket-head .badge")).to_have_text("closed")
    player.desk.get_by_role("button", name="Reopen ticket").click()
    expect(player.desk.locator(".ticket-head .badge")).to_have_text("open")
    player.desk.get_by_role("button", name="Close ticket").click()
    expect(player.desk.locator(".ticket-head .badge")).to_have_text("closed")

    player.write("one more thing")
    expect(player.comment("one more thing")).to_be_visible()
    expect(player.desk.locator(".ticket-head .badge")).to_have_text("open")
    options = player.page.locator("#ticket option")
    expect(options).to_have_count(2)
    player.page.locator("#ticket").select_option(index=1)
    expect(player.comment("hello")).to_be_visible()


def test_what_is_written_while_the_helpdesk_is_down_arrives_afterwards(player: Player) -> None:
    player.write("before")
    expect(player.comment("before")).to_be_visible()
    switch = player.switch("Helpdesk down")
    switch.get_by_role("switch").check()
    expect(switch.locator(".says")).to_contain_text("waits in the connector")
    expect(player.desk.locator(".notice")).to_contain_text("The helpdesk does not answer.")
    player.write("meanwhile")
    expect(player.page.locator("#connector")).to_contain_text("1 conversation waits")
    expect(player.comment("before")).to_be_visible()

    switch.get_by_role("switch").uncheck()
    expect(player.comment("meanwhile")).to_be_visible()
    expect(player.desk.locator(".notice")).to_be_hidden()
    expect(switch.locator(".says")).to_be_empty()


def test_a_reply_after_the_window_is_told_to_the_agent(player: Player) -> None:
    player.write("hello")
    expect(player.comment("hello")).to_be_visible()
    switch = player.switch("Reply window closed")
    switch.get_by_role("switch").check()
    expect(switch.locator(".says")).to_contain_text("25 hours old")
    expect(player.phone.locator(".chat-note")).to_contain_text("May not reply any more")
    player.reply("too late")
    note = player.comments.filter(has_text="internal note").last
    expect(note).to_contain_text("Facebook has not allowed a reply since")

    player.write("still there?")
    expect(switch.get_by_role("switch")).not_to_be_checked()
    expect(switch.locator(".says")).to_be_empty()


def test_while_meta_is_slow_the_page_shows_as_typing(player: Player) -> None:
    player.write("hello")
    expect(player.comment("hello")).to_be_visible()
    switch = player.switch("Meta slow")
    switch.get_by_role("switch").check()
    expect(switch.locator(".says")).to_contain_text("3 s longer")
    player.reply("a moment, please", photo("label.png"))  # the page types between messages of a reply
    expect(player.phone.locator(".typing")).to_be_visible()
    switch.get_by_role("switch").uncheck()
    expect(switch.locator(".says")).to_be_empty()
    expect(player.messages.locator("img[alt='label.png']")).to_be_visible()
    expect(player.phone.locator(".typing")).to_have_count(0)


def test_a_token_that_expired_is_told_to_the_agent(player: Player) -> None:
    player.write("hello")
    expect(player.comment("hello")).to_be_visible()
    switch = player.switch("Token expired")
    switch.get_by_role("switch").check()
    expect(switch.locator(".says")).to_contain_text("Meta refuses the pages' tokens")
    player.reply("On its way")
    expect(player.comments.filter(has_text="internal note").last).to_contain_text("token")
    expect(player.page.locator("#connector")).to_contain_text("Meta paused")
    switch.get_by_role("switch").uncheck()
    expect(switch.locator(".says")).to_be_empty()
    expect(player.message("On its way")).to_be_visible(timeout=60_000)


def test_a_worker_that_is_killed_is_replaced(player: Player) -> None:
    player.page.get_by_role("button", name="Kill the worker").click()
    expect(player.page.locator(".kill .says")).to_contain_text("ended by kill -9")
    player.write("hello")
    expect(player.comment("hello")).to_be_visible()


def test_what_the_sandbox_refuses_is_said_in_its_words(player: Player) -> None:
    player.write("hello")
    for number in range(5):
        player.act(player.messages.last, "Edit")
        player.write(f"hello {number}")
        expect(player.message(f"hello {number}")).to_be_visible()
    player.act(player.messages.last, "Edit")
    player.write("hello 6")
    alert = player.page.get_by_role("alert")
    expect(alert).to_contain_text("The sandbox refused it: a message can be edited 5 times")
    expect(player.page.locator("#phone-text")).to_have_value("hello 6")
    alert.get_by_role("button", name="Close").click()
    expect(alert).to_be_empty()
    player.said.clear()  # the browser notes an answer of 400


def test_an_answer_that_comes_late_does_not_bring_the_former_customer_back(player: Player) -> None:
    player.write("hello")
    expect(player.comment("hello")).to_be_visible()
    held: list[Route] = []

    def is_held() -> bool:
        player.page.wait_for_timeout(50)  # the browser is heard while one waits
        return bool(held)

    player.page.route("**/state?*", lambda route: held.append(route), times=1)  # noqa: PLW0108 - no builtin
    until("an answer is held back", is_held)
    late = held[0].fetch(headers={"Accept": "application/json"})  # all of it, changed or not
    player.add("Bruno", "Kowalski")
    expect(player.page.locator("#new-customer")).to_be_hidden()
    held[0].fulfill(response=late)

    expect(player.desk.locator(".notice")).to_contain_text("There is no ticket yet")
    expect(player.page.locator("#customer option:checked")).to_have_text("Bruno Kowalski (Sugester)")


def test_nothing_that_people_write_is_run(player: Player) -> None:
    player.begin(XSS[:100], XSS[:100])
    player.write(XSS, Sample(f"{XSS.replace('/', '')}.png", "image/png", photo().data))
    player.write("", Sample("a.svg", "image/svg+xml", SVG), Sample("a.html", "text/html", XSS.encode()))
    expect(player.comment("a.html")).to_be_visible()
    player.reply(XSS, Sample(f"{XSS.replace('/', '')}.txt", "text/plain", b"x"))
    expect(player.messages.locator("a.file", has_text=".txt")).to_be_visible()
    expect(player.message("<script>alert(2)</script>").first).to_be_visible()
    player.phone.get_by_role("button", name="The page's menu").click()
    player.phone.get_by_role("button", name="Get started").click()
    expect(player.comment("GET_STARTED")).to_be_visible()
    player.page.locator("#log summary").first.click()

    assert player.page.locator("main script, main img[src='x'], main svg[onload]").count() == 0
    link = player.phone.locator("a", has=player.page.locator("img[alt='a.svg']")).get_attribute("href")
    player.page.goto(player.address.rstrip("/") + str(link))
    assert {said.partition(" in ")[0] for said in player.said} == {"Blocked script execution"}
    player.said.clear()


SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="alert(4)">'
    b"<script>alert(5)</script></svg>"
)


def test_the_demo_prints_the_address_first_and_serves_the_page_until_it_is_stopped(tmp_path: Path) -> None:
    command, environment = (
        [sys.executable, "-u", "-m", "sandbox.demo"],
        {**os.environ, "PYTHONPATH": str(ROOT)},
    )
    without_screen = {name: value for name, value in environment.items() if name not in SCREENS}
    with subprocess.Popen(
        command, cwd=tmp_path, env=without_screen, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        told = itertools.dropwhile(lambda line: "It works" not in line, process.stdout)
        _, _, line = itertools.islice(told, 3)
        address = line.split()[1]
        assert "Messenger connector" in httpx.get(address, trust_env=False).text
        process.send_signal(signal.SIGINT)
        assert "Stopped." in process.stdout.read()
        assert process.wait(30) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(address, trust_env=False)


def test_the_log_tells_what_went_between_them(player: Player) -> None:
    player.write("hello")
    expect(player.comment("hello")).to_be_visible()
    log = player.page.locator("#log")
    expect(log.locator(".entry").filter(has_text="a customer wrote").first).to_be_visible()
    expect(log.locator(".entry").filter(has_text="opens a ticket").first).to_be_visible()
    log.get_by_label("Meta").check()
    expect(log.locator(".entry").filter(has_text="opens a ticket")).to_have_count(0)
    entry = log.locator("details.entry").filter(has_text="marks the messages as seen").first
    entry.locator("summary").click()
    expect(entry.locator("pre")).to_contain_text('"sender_action": "mark_seen"')
    assert PAGES[0].access_token not in player.page.content()


def test_the_connectors_own_pages_are_tabs(browser: Browser, served: str) -> None:
    with player_at(browser, served) as player:
        player.page.goto(served)
        tabs = player.page.get_by_role("tab")
        expect(tabs).to_have_text(["Conversation", "Messenger tab", "Board"])
        tabs.nth(1).click()
        tab = player.page.frame_locator("#frame-tab iframe")
        expect(tab.get_by_role("heading", name="Pages of this desk")).to_be_visible()
        expect(player.phone).to_be_hidden()
        player.page.keyboard.press("ArrowRight")
        board = player.page.frame_locator("#frame-board iframe")
        expect(board.get_by_role("heading", name="Connector board")).to_be_visible()
        assert violations(player.page) == []
        player.page.keyboard.press("ArrowRight")
        expect(player.phone).to_be_visible()


def _begin_without_scripts(browser: Browser, served: str) -> Page:
    """Open the page without scripts, as a new customer."""
    page = browser.new_page(java_script_enabled=False)
    page.set_default_timeout(PATIENCE)
    page.goto(served)
    page.wait_for_url("**/plain")
    page.get_by_label("First name").fill("Ewa")
    page.get_by_label("Last name").fill("Lis")
    page.get_by_role("button", name="Add a customer").click()
    return page


def test_without_scripts_a_conversation_goes_both_ways(browser: Browser, served: str) -> None:
    page = _begin_without_scripts(browser, served)
    page.get_by_label("Message").fill("Where is my parcel?")
    page.get_by_role("button", name="Send as the customer").click()
    _look_until(page, ".comment", "Where is my parcel?")
    page.get_by_label("Comment").fill("It is **on its way**")
    page.get_by_role("button", name="Send reply").click()
    _look_until(page, ".theirs", "It is on its way")
    _look_until(page, ".delivery", "sent|delivered|read")
    address = page.url
    page.close()

    with player_at(browser, served) as player:
        for look in (("light", 1400), ("dark", 400)):
            player.page.emulate_media(color_scheme=look[0])
            player.page.set_viewport_size({"width": look[1], "height": 900})
            player.page.goto(address)
            assert violations(player.page) == []
            assert overflow(player.page) <= 0


def test_without_scripts_it_goes_wrong_and_nothing_that_was_written_is_lost(
    browser: Browser, served: str
) -> None:
    page = _begin_without_scripts(browser, served)
    page.get_by_label("Message").fill("hello")
    page.get_by_role("button", name="Send as the customer").click()
    _look_until(page, ".comment", "hello")
    page.get_by_label("Comment").fill("On its way")
    switches = browser.new_page(java_script_enabled=False)
    switches.goto(page.url)
    switches.get_by_role("button", name="Helpdesk down: turn it on").click()
    expect(switches.locator(".switch.on .says")).to_contain_text("waits in the connector")

    page.get_by_role("button", name="Send reply").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing answers")
    expect(page.get_by_label("Comment")).to_have_value("On its way")
    page.get_by_label("Message").fill("meanwhile")
    page.get_by_role("button", name="Send as the customer").click()
    page.get_by_role("button", name="Helpdesk down: turn it off").click()
    _look_until(page, ".comment", "meanwhile")

    opened = page.locator("#log .entry").filter(has_text="opens a ticket").first
    opened.locator("summary").click()
    expect(opened.locator("pre")).to_contain_text("hello")
    page.get_by_role("button", name="Kill the worker").click()
    expect(page.locator(".says").last).to_contain_text("ended by kill -9")
    switches.close()
    page.close()


def _look_until(page: Page, selector: str, words: str) -> None:
    """Look again until a part of the page without scripts says so."""

    def says() -> bool:
        page.get_by_role("link", name="Look again").click()
        return page.locator(selector).filter(has_text=re.compile(words)).count() > 0

    until(f"it says {words}", says)


def test_what_else_a_customer_and_an_agent_do_works_with_the_keyboard_alone(player: Player) -> None:
    page, press = player.page, player.page.keyboard.press
    page.on("filechooser", lambda _: None)  # the browser takes up a little later that it is to tell of them
    _tab_to(page, "#add-customer")
    press("Enter")
    page.keyboard.type("Ewa")
    press("Enter")
    expect(page.locator("#customer option:checked")).to_contain_text("Ewa")
    for tray in ("menu", "stickers"):
        _tab_to(page, f"[data-tray={tray}]")
        press("Enter")
        _tab_to(page, f"#{tray} button")
        press("Enter")
    expect(player.comment("GET_STARTED")).to_be_visible()
    expect(player.messages.locator("img.sticker")).to_be_visible()
    _tab_to(page, "#phone-files")
    with page.expect_file_chooser() as chooser:
        press("Space")
    file = document("order.pdf")
    chooser.value.set_files({"name": file.filename, "mimeType": file.content_type, "buffer": file.data})
    _tab_to(page, "#phone-text")
    press("Enter")
    expect(player.comment("order.pdf")).to_be_visible()
    page.keyboard.type("helo")
    press("Enter")
    expect(player.comment("helo")).to_be_visible()
    player.message("helo").locator("summary").focus()
    for key in ("Enter", "Tab", "Enter"):  # the actions are open, and the first one edits
        press(key)
    press("ControlOrMeta+a")
    page.keyboard.type("hello")
    press("Enter")
    expect(player.message("hello")).to_contain_text("edited")
    player.message("hello").locator("summary").focus()
    for key in ("Enter", "Tab", "Tab", "Enter"):  # the second one unsends
        press(key)
    expect(player.message("You unsent a message")).to_be_visible()

    _tab_to(page, "#log details summary")
    press("Enter")
    expect(page.locator("#log details[open] pre").first).to_be_visible()
    _tab_to(page, "#desk .state")
    press("Enter")
    expect(player.desk.locator(".ticket-head .badge")).to_have_text("closed")
    _tab_to(page, "#kill")
    press("Enter")
    expect(page.locator(".kill .says")).to_contain_text("ended by kill -9")


def test_all_of_it_works_with_the_keyboard_alone(player: Player) -> None:
    press = player.page.keyboard.press
    _tab_to(player.page, "#phone-text")
    player.page.keyboard.type("hello")
    press("Enter")
    expect(player.comment("hello")).to_be_visible()

    _tab_to(player.page, "#reply-text")
    player.page.keyboard.type("On its way")
    press("Control+Enter")
    expect(player.message("On its way")).to_be_visible()

    _tab_to(player.page, "#phone .theirs summary")
    press("Enter")
    _tab_to(player.page, "#phone .theirs .emoji")
    press("Space")
    expect(player.message("On its way").locator(".reaction")).to_contain_text("❤️")

    _tab_to(player.page, "#fault-slow")
    press("Space")
    expect(player.switch("Meta slow").locator(".says")).to_contain_text("3 s longer")
    _tab_to(player.page, "#fault-slow")
    press("Space")
    expect(player.switch("Meta slow").locator(".says")).to_be_empty()


def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element that the selector names has the focus, which then has to be seen."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            visible = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(visible) != "none"
            return
    raise AssertionError(f"Tab never came to {selector}")


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (1000, "dark"), (400, "light")])
def test_axe_finds_nothing_wrong(player: Player, width: int, scheme: str) -> None:
    player.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    player.page.set_viewport_size({"width": width, "height": 900})
    player.write("hello", photo(), document())
    expect(player.comment("invoice.pdf")).to_be_visible()
    player.reply("a note", internal=True)
    player.reply("On its way")
    player.act(player.message("On its way"), "React with 👍")
    expect(player.comment("👍")).to_be_visible()
    player.messages.last.locator("summary").click()
    player.switch("Reply window closed").get_by_role("switch").check()
    expect(player.switch("Reply window closed").locator(".says")).not_to_be_empty()
    player.page.get_by_role("button", name="New customer").click()

    assert violations(player.page) == []
    assert overflow(player.page) <= 0
