"""A real browser, which takes the pictures of docs: `make pictures`."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from playwright.sync_api import Page, ViewportSize, sync_playwright

from sandbox.demo import ANNA
from sandbox.playground.app import serving
from sandbox.samples import document, photo
from sandbox.stack import PAGES, Stack, until
from tests.conftest import Valkey
from tests.docs.pictures import FOLDER, MANIFEST, PICTURES, WHOLE_PAGES, Shown, gallery

CHROMIUM = os.environ.get("CHROMIUM", "chromium")
# It asks for nothing but the page, and draws the same whatever the screen. Without a sandbox of its own it
# runs as root, as CI does; all that it opens is a page of ours on this machine.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",
    "--disable-lcd-text",
]
WIDTH = 640
"""Of a comment, in pixels: that of the window without the page's margins."""
MARGINS = 32


@contextmanager
def browser_page(width: int = WIDTH + MARGINS, height: int = 800) -> Iterator[Page]:
    """Give a page of the system's Chromium: light, and no larger on one screen than on another."""
    if not (path := shutil.which(CHROMIUM)):
        raise RuntimeError(f"there is no {CHROMIUM}; on Debian and Ubuntu: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        window = ViewportSize(width=width, height=height)
        yield browser.new_page(viewport=window, device_scale_factor=1, color_scheme="light")
        browser.close()


def photograph(page: Page, shown: Shown) -> bytes:
    """Return a PNG of a comment."""
    page.goto(shown.url)
    return page.locator("article").nth(shown.number).screenshot(animations="disabled")


def photograph_playground(page: Page, folder: Path) -> bytes:
    """Return a PNG of the playground, after a short conversation."""
    page.set_viewport_size({"width": 1440, "height": 1150})
    with Stack(folder) as stack, serving(stack, port=0) as address:
        _talk(stack)
        page.goto(address)
        page.locator("#phone .reaction").wait_for()
        page.locator("#desk .delivery.read").wait_for()
        return page.screenshot(animations="disabled")


def _talk(stack: Stack) -> None:
    """Let a customer and an agent talk, in the sandboxes themselves."""
    anna = f"/pages/{PAGES[0].page_id}/people/{ANNA}"
    stack.ask_meta("PUT", anna, {"first_name": "Anna", "last_name": "Nowak"})
    stack.write(ANNA, text="Hello! My parcel has not arrived 😟\nOrder 2026-117.")
    stack.write(ANNA, files=[document().as_json()])
    ticket = until("the ticket has both", lambda: [one for one in stack.tickets(ANNA) if one["comments"]])[0]
    stack.reply(ticket["id"], "The carrier lost it, we pay for another one.", internal=True)
    label = photo("label.png", blue=20).as_json()
    stack.reply(ticket["id"], "I am sorry, **Anna**! It leaves again today, with this label:", files=[label])
    first, _ = until("the reply is there", lambda: got if len(got := stack.received(ANNA)) == 2 else None)
    stack.ask_meta("POST", f"{anna}/reactions", {"mid": first["mid"], "emoji": "❤️"})
    stack.write(ANNA, text="That was quick, thank you!")
    until("all of it stands on the ticket", lambda: len(stack.tickets(ANNA)[0]["comments"]) == 5)


def main() -> None:
    """Take the pictures of what looks different now, note of what, and delete those that are of nothing."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    FOLDER.mkdir(exist_ok=True)
    before = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}
    after = {}
    with (
        TemporaryDirectory() as folder,
        browser_page() as page,
        _store(Path(folder)) as url,
        gallery(Path(folder), url) as shows,
    ):
        for name in PICTURES:
            shown, file = shows.show(name), FOLDER / f"{name}.png"
            after[name] = shown.digest
            # Another machine has other fonts: what looks the same is left as it is.
            if before.get(name) != shown.digest or not file.exists():
                file.write_bytes(photograph(page, shown))
                print(file.name)  # noqa: T201 - what to look at
        if not (file := FOLDER / "playground.png").exists():
            file.write_bytes(photograph_playground(page, Path(folder) / "stack"))
            print(file.name)  # noqa: T201 - the same
    MANIFEST.write_text(json.dumps(after, indent=2) + "\n")
    for file in FOLDER.glob("*.png"):
        if file.stem not in [*PICTURES, *WHOLE_PAGES]:
            file.unlink()


@contextmanager
def _store(folder: Path) -> Iterator[str]:
    store = Valkey(folder)
    try:
        yield store.url
    finally:
        store.stop()


if __name__ == "__main__":
    main()
