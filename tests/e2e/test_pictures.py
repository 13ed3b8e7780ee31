"""A ticket's page of the sandbox helpdesk in the browser that takes the pictures of docs/events.md."""

import base64
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.camera import WIDTH, browser_page, photograph
from tests.docs.pictures import gallery
from tests.fakes.browser import Watched
from tests.fakes.sandbox_helpdesk import Desk


@pytest.fixture
def watched() -> Iterator[Watched]:
    with browser_page() as page:
        yield Watched(page)


def test_a_picture_shows_the_comment_as_agents_see_it(
    watched: Watched, store_url: str, tmp_path: Path
) -> None:
    with gallery(tmp_path, store_url) as shows:
        shown = shows.show("image")
        png = photograph(watched.page, shown)

    comment = watched.page.locator("article").nth(shown.number)
    words = "A Anna Nowak customer 2026-11-22 21:29 UTC Look at this"
    assert comment.inner_text().split() == words.split()
    assert comment.locator("img").evaluate("image => image.naturalWidth") == 160
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">I", png[16:20]) == (WIDTH,)
    assert watched.requests == [shown.url]
    assert watched.said == []


def test_what_a_customer_wrote_runs_nothing_and_fetches_nothing(watched: Watched, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "db.sqlite")
    try:
        desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="{desk.url}/svg"/></svg>'
        )
        file = {"filename": "a.svg", "content_type": "image/svg+xml"}
        ticket_id = desk.new_ticket(
            title="<script>alert(1)</script>",
            body=f"![x]({desk.url}/i) <img src={desk.url} onerror=alert(1)>\n\n<script>alert(1)</script>",
        )
        desk.agent(ticket_id, files=[file | {"base64": base64.b64encode(svg.encode()).decode()}])
        address = f"{desk.url}/tickets/{ticket_id}"
        watched.page.goto(address, wait_until="networkidle")
        assert watched.page.locator("script").count() == 0
        assert watched.page.get_by_text("<script>alert(1)</script>").count() == 2
    finally:
        desk.stop()

    assert watched.requests == [address]
    assert watched.said == []
