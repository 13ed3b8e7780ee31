"""A real browser for whole stories, and what tests ask of a page: is it accessible, is a keyboard enough."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.docs.camera import OPTIONS, chromium

_AXE = Path(__file__).parents[1] / "renderers" / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.map(one => `${one.id}: ${one.nodes.map(node => node.html).join(" ")}`);
}"""
_FOCUSED = """() => {
  const one = document.activeElement;
  const label = one.labels && one.labels.length ? one.labels[0].innerText : "";
  return one.getAttribute("aria-label") || label || one.innerText || "";
}"""


@contextmanager
def browser(**options: Any) -> Iterator[BrowserContext]:
    """Give a browser that opened nothing yet; `options` are those of Playwright's context."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        yield running.new_context(**options)
        running.close()


@cache
def _axe() -> str:
    return _AXE.read_text()


def violations(page: Page) -> list[str]:
    """Return what axe-core (https://github.com/dequelabs/axe-core) finds wrong with a page."""
    page.evaluate(_axe())
    found: list[str] = page.evaluate(_RUN)
    return found


def overflow(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth"))


def focused(page: Page) -> str:
    """Return what the element is called that has the focus."""
    return str(page.evaluate(_FOCUSED)).strip()


def tab_to(page: Page, is_meant: Callable[[str], bool] | str, most: int = 150) -> None:
    """Press Tab until the focus is on the element that is called so."""
    for _ in range(most):
        page.keyboard.press("Tab")
        name = focused(page)
        if name == is_meant if isinstance(is_meant, str) else is_meant(name):
            return
    raise AssertionError(f"no element {is_meant!r} gets the focus")


class Watched:
    """A page of a browser, and what happens there: all requests, and whatever is said on the console."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", self._note)

    def _note(self, dialog: Any) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()
