"""Pictures of whole pages in docs. They show times, so they look different each time that they are taken.

Beside them stands a digest of what each is made of, so that a test can tell whether that changed since.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from sandbox.demo import ANNA
from sandbox.playground.app import serving
from sandbox.samples import document, photo
from sandbox.stack import PAGES, Stack, until
from tests.docs.day import DESK, day
from tests.docs.pictures import FOLDER
from tests.fakes.board import link_to_board
from tests.fakes.pages import tab_link

ROOT = Path(__file__).parents[2]
DIGESTS = FOLDER / "screens.json"
REMARKS = re.compile(
    rb'^\s*"""[\s\S]*?"""$|(^|  )\s*# .*$|^(from [\w.]+ )?import (\([^)]*\)|.*)$', re.MULTILINE
)
"""Docstrings, comments, and what is imported from where: they change no picture."""


@dataclass(frozen=True)
class Screen:
    """A page: how large its picture is, what takes that (in a folder, with a store), what it is made of."""

    size: tuple[int, int]
    take: Callable[[Page, Path, str], bytes]
    files: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return what changes with what the files hold, wherever they stand, and with the size."""
        said = b"".join(sorted(map(essence, self.sources())))
        return hashlib.sha256(repr(self.size).encode() + said).hexdigest()

    def sources(self) -> list[Path]:
        """Return the files that the picture is made of."""
        return sorted({path for pattern in self.files for path in ROOT.glob(pattern)})


def essence(path: Path) -> bytes:
    """Return what a file holds; of a module, no remarks, no imports and no line breaks."""
    content = path.read_bytes()
    return b" ".join(REMARKS.sub(b"", content).split()) if path.suffix == ".py" else content


def _board(page: Page, folder: Path, store_url: str) -> bytes:
    with day(folder, store_url) as url:
        page.goto(link_to_board(url, language="en"))
        return page.screenshot()


def _tab(page: Page, folder: Path, store_url: str) -> bytes:
    with day(folder, store_url) as url:
        page.goto(tab_link(url, DESK, language="en"))
        return page.screenshot()


def _playground(page: Page, folder: Path, _: str) -> bytes:
    with Stack(folder / "stack") as stack, serving(stack, port=0) as address:
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


_PAGE = (
    "connector/web/templates/*",
    *("connector/web/pages.py", "connector/web/words.py", "connector/overview.py", "tasks/words.py"),
    *("clients/findings.py", "clients/channels/meta/checks.py", "clients/channels/meta/errors.py"),
    *("tests/docs/day.py", "tests/fakes/board.py"),
)
"""What the connector's own pages are made of: how they look, what they say, and of what day they tell."""
SCREENS: Mapping[str, Screen] = {
    "board": Screen((1100, 1040), _board, (*_PAGE, "connector/web/board*.py", "connector/kept.py")),
    "messenger-tab": Screen(
        (900, 1280), _tab, (*_PAGE, "connector/messenger/*.py", "connector/messenger/templates/*")
    ),
    "playground": Screen(
        (1440, 1150),
        _playground,
        (
            "sandbox/playground/*.*",
            "sandbox/playground/static/*",
            "sandbox/samples.py",
            "sandbox/staff.py",
            "tests/docs/screens.py",
        ),
    ),
}


def take_screens(page: Page, folder: Path, store_url: str) -> None:
    """Take the pictures of what changed since, and note of what."""
    known = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    now = {name: screen.digest for name, screen in SCREENS.items()}
    for name, screen in SCREENS.items():
        file = FOLDER / f"{name}.png"
        if known.get(name) != now[name] or not file.exists():
            page.set_viewport_size(ViewportSize(width=screen.size[0], height=screen.size[1]))
            file.write_bytes(screen.take(page, folder, store_url))
            print(file.name)  # noqa: T201 - what to look at
    DIGESTS.write_text(json.dumps(now, indent=2) + "\n")
