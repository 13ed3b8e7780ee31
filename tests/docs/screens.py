"""Pictures of whole pages in docs. They show times, so they look different each time that they are taken.

Beside them stands a digest of what each is made of, so that a test can tell whether that changed since.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from tests.docs.day import DESK, day
from tests.docs.pictures import FOLDER
from tests.fakes.board import link_to_board
from tests.fakes.pages import tab_link

ROOT = Path(__file__).parents[2]
DIGESTS = FOLDER / "screens.json"


@dataclass(frozen=True)
class Screen:
    """A page: the link that opens it, how large its picture is, and the files that it is made of."""

    link: Callable[[str], str]
    size: tuple[int, int]
    files: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Return what changes with the files."""
        found = sorted(path for pattern in self.files for path in ROOT.glob(pattern))
        return hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest()


_TEMPLATES, _STYLE = "connector/web/templates", "connector/web/templates/style.css"
SCREENS: Mapping[str, Screen] = {
    "board": Screen(link_to_board, (1100, 1040), (f"{_TEMPLATES}/board*", _STYLE)),
    "messenger-tab": Screen(
        lambda url: tab_link(url, DESK),
        (900, 1280),
        (f"{_TEMPLATES}/tab*", f"{_TEMPLATES}/live.html", _STYLE),
    ),
}


def take_screens(page: Page, folder: Path, store_url: str) -> None:
    """Take the pictures of what changed since, and note of what."""
    known = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    now = {name: screen.digest for name, screen in SCREENS.items()}
    files = {name: FOLDER / f"{name}.png" for name in SCREENS}
    stale = [name for name in SCREENS if known.get(name) != now[name] or not files[name].exists()]
    if stale:
        with day(folder, store_url) as url:
            for name in stale:
                files[name].write_bytes(_taken(page, SCREENS[name], url))
                print(files[name].name)  # noqa: T201 - what to look at
    DIGESTS.write_text(json.dumps(now, indent=2) + "\n")


def _taken(page: Page, screen: Screen, url: str) -> bytes:
    width, height = screen.size
    page.set_viewport_size(ViewportSize(width=width, height=height))
    page.goto(screen.link(url))
    return page.screenshot()
