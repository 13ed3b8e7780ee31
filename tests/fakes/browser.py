"""The system's Chromium for whole stories, and what a page has to hold to."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.docs.camera import OPTIONS, chromium

AXE = Path(__file__).parents[1] / "renderers" / "node_modules" / "axe-core" / "axe.min.js"


@contextmanager
def browser(**options: Any) -> Iterator[BrowserContext]:
    """Give a browser that nothing was opened in yet; `options` are those of Playwright's context."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        yield running.new_context(**options)
        running.close()


def violations(page: Page) -> list[str]:
    """Return what of a page is not accessible (axe-core, all its rules)."""
    page.evaluate(AXE.read_text())  # not by a script element, which the page's policy forbids
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [json.dumps([one["id"], [node["html"] for node in one["nodes"]]]) for one in found]


def scrolls_sideways(page: Page) -> bool:
    """Return whether a page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))
