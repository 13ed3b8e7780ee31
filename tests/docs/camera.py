"""A real browser, which takes the pictures of docs/: of comments, and of whole pages; `make pictures`."""

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

from tests.conftest import Valkey
from tests.docs.pictures import FOLDER, MANIFEST, PICTURES, Shown, gallery
from tests.docs.screens import SCREENS, take_screens

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


def chromium() -> str:
    """Return the path of the system's Chromium."""
    if not (path := shutil.which(CHROMIUM)):
        raise RuntimeError(f"there is no {CHROMIUM}; on Debian and Ubuntu: apt install chromium")
    return path


@contextmanager
def browser_page(width: int = WIDTH + MARGINS, height: int = 800) -> Iterator[Page]:
    """Give a page of the system's Chromium: light, and no larger on one screen than on another."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        window = ViewportSize(width=width, height=height)
        yield browser.new_page(viewport=window, device_scale_factor=1, color_scheme="light")
        browser.close()


def photograph(page: Page, shown: Shown) -> bytes:
    """Return a PNG of a comment."""
    page.goto(shown.url)
    return page.locator("article").nth(shown.number).screenshot(animations="disabled")


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
        take_screens(page, Path(folder), url)
    MANIFEST.write_text(json.dumps(after, indent=2) + "\n")
    for file in FOLDER.glob("*.png"):
        if file.stem not in (*PICTURES, *SCREENS):
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
