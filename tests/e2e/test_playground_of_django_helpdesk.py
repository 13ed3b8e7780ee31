"""The playground beside a real django-helpdesk: the agent's half is a ticket of that one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from sandbox.demo import stack_with
from sandbox.playground.app import serving
from sandbox.samples import document, photo
from tests.fakes.browser import overflow, violations
from tests.fakes.player import Player, browser_of_players, player_at

LOOKS: list[tuple[int, Any]] = [(400, "dark"), (1400, "light")]


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    """Give a player with a new customer, beside a helpdesk that is fresh."""
    with (
        stack_with("django-helpdesk")(tmp_path) as stack,
        serving(stack, port=0) as address,
        browser_of_players() as browser,
        player_at(browser, address) as player,
    ):
        player.begin()
        yield player


def test_a_conversation_goes_both_ways_on_a_page_that_is_accessible(player: Player) -> None:
    player.write("Where is my parcel?", document("order.pdf"))
    expect(player.comment("Where is my parcel?").locator(".badge")).to_have_text("connector")
    expect(player.comment("order.pdf")).to_be_visible()
    player.reply("the carrier lost it", internal=True)
    expect(player.comment("the carrier lost it")).to_contain_text("internal note")
    player.reply("It is **on its way**", photo("label.png"))
    expect(player.message("It is on its way")).to_be_visible()
    expect(player.messages.locator("img[alt='label.png']")).to_be_visible()
    expect(player.comment("on its way").locator(".badge")).to_have_text("agent")
    picture = player.comments.locator("img[alt='label.png']")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96
    expect(player.message("the carrier lost it")).to_have_count(0)

    expect(player.desk.locator(".log-in")).to_contain_text("a real django-helpdesk")
    assert "/helpdesk/tickets/" in str(player.desk.get_by_role("link", name="Open in").get_attribute("href"))
    log = player.page.locator("#log")
    log.get_by_label("Helpdesk").check()
    for call in ("opens a ticket", "adds a comment", "uploads a file", "fetches a file"):
        expect(log.locator(".entry").filter(has_text=f"connector → helpdesk{call}").first).to_be_visible()
    told = log.locator(".entry").filter(has_text="helpdesk → connectora comment was added").first
    expect(told.locator(".answer")).to_contain_text("202")
    assert (
        log.locator(".entry").filter(has_text=re.compile(r"page_size=100\b")).count() == 0
    )  # how the playground looks

    for width, scheme in LOOKS:
        player.page.emulate_media(color_scheme=scheme)
        player.page.set_viewport_size({"width": width, "height": 900})
        assert violations(player.page) == []
        assert overflow(player.page) <= 0

    player.desk.get_by_role("button", name="Close ticket").click()
    expect(player.desk.locator(".ticket-head .badge")).to_have_text("closed")
    player.desk.get_by_role("button", name="Reopen ticket").click()
    expect(player.desk.locator(".ticket-head .badge")).to_have_text("open")
    assert player.said == []


def test_what_is_written_while_it_is_down_arrives_afterwards(player: Player) -> None:
    switch = player.switch("Helpdesk down").get_by_role("switch")
    switch.check()
    expect(player.desk.locator(".notice")).to_contain_text("The helpdesk does not answer.")
    player.write("meanwhile")
    expect(player.page.locator("#connector")).to_contain_text("1 conversation waits")
    switch.uncheck()
    expect(player.comment("meanwhile")).to_be_visible(timeout=30_000)
