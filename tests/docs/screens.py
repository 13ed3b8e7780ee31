"""Pictures of whole pages in docs: taken of real processes by `make pictures`, as pages change by the minute.

Beside them stands a digest of what each is made of, so that a test can tell whether that changed since.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page

from connector import links
from connector.cipher import new_key
from connector.links import Link
from sandbox.stack import PAGES, Stack, until
from tests.docs.pictures import FOLDER

ROOT = Path(__file__).parents[2]
DIGESTS = FOLDER / "screens.json"
ADMIN_TOKEN = "who-may-change-connections"
WIDTH = 900


@dataclass(frozen=True)
class Screen:
    """A page: what takes a picture of it, and the files that it is made of."""

    take: Callable[[Page, Stack], bytes]
    files: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return what changes with the files."""
        found = sorted(path for pattern in self.files for path in ROOT.glob(pattern))
        return hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest()


def _tab(page: Page, stack: Stack) -> bytes:
    link = Link(PAGES[0].desk_id, int(time.time()) + 600)
    page.goto(links.address(link, stack.url, links.tab_path(link.desk_id), ADMIN_TOKEN))
    return page.locator("main").screenshot(animations="disabled")


SCREENS: Mapping[str, Screen] = {
    "messenger-tab": Screen(_tab, ("connector/web/templates/tab*", "connector/web/templates/*.css")),
}


def take_screens(page: Page) -> None:
    """Take the pictures of what changed since, and note of what."""
    known = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    now = {name: screen.digest for name, screen in SCREENS.items()}
    if stale := [name for name in SCREENS if known.get(name) != now[name] or not file_of(name).exists()]:
        page.set_viewport_size({"width": WIDTH, "height": 800})
        with TemporaryDirectory() as folder, _stack(Path(folder)) as stack:
            _let_happen(stack)
            for name in stale:
                file_of(name).write_bytes(SCREENS[name].take(page, stack))
                print(file_of(name).name)  # noqa: T201 - what to look at
    DIGESTS.write_text(json.dumps(now, indent=2) + "\n")


def file_of(name: str) -> Path:
    """Return where the picture of a page is."""
    return FOLDER / f"{name}.png"


def _stack(folder: Path) -> Stack:
    """Return a stack with two pages that lead to the same desk."""
    pages = [PAGES[0], replace(PAGES[1], desk_id=PAGES[0].desk_id)]
    settings = {"secret_key": new_key(), "admin_token": ADMIN_TOKEN, "check_every": 0.05}
    return Stack(folder / "stack", pages=pages, settings=settings)


def _let_happen(stack: Stack) -> None:
    """Have customers write to both pages and agents answer; then the token of one expires."""
    for number, page in enumerate(stack.pages):
        for person in range(3 + number):
            _talk(stack, page.page_id, f"79{number}000000000{person}")
    expired = {"expires_at": int(time.time()) - 60}
    stack.ask_meta("PUT", f"/pages/{stack.pages[1].page_id}/token", expired)
    until("it is found", lambda: 'finding="page_token_invalid"' in stack.metrics())


def _talk(stack: Stack, page_id: str, person: str) -> None:
    page = next(one for one in stack.pages if one.page_id == page_id)
    stack.write(person, page, text="Where is my parcel?")
    (ticket, *_) = until("a ticket", lambda: stack.tickets(person))
    stack.reply(ticket["id"], "It arrives tomorrow.")
    until("the reply", lambda: stack.received(person, page))
