"""A sandbox Meta and the connector, beside a helpdesk that runs elsewhere."""

import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from clients.helpdesk import WEBHOOK_PATH
from sandbox.stack import PAGES, Stack

JOURNAL = "calls.jsonl"


@dataclass(frozen=True)
class Place:
    """Where the helpdesk is, where in it tickets go, and where it finds the connector."""

    base_url: str
    desk: str
    category: str | None
    port: int
    public_url: str


class VendorStack(Stack):
    """A sandbox Meta and the connector, beside a helpdesk whose secrets are in the environment."""

    helpdesk = "vendor"

    def __init__(self, folder: Path, place: Place) -> None:
        self.desk_url, self._public_url = place.base_url, place.public_url
        # New ones each time: the helpdesk remembers those of yesterday.
        self.anna, self.bruno = (f"7{secrets.randbelow(10**15):015}" for _ in range(2))
        page = replace(PAGES[0], desk_id=place.desk, category_id=place.category)
        settings = {"public_url": place.public_url} if place.public_url else {}
        super().__init__(folder, pages=[page], settings=settings, ports=(place.port, 0, 0))

    @property
    def door(self) -> str:
        """Where the helpdesk's webhooks have to go."""
        return (self._public_url.rstrip("/") or self.url) + WEBHOOK_PATH

    def choose_desk(self, port: int) -> dict[str, Any]:
        """Return the connector's settings of the helpdesk."""
        return {
            "adapter": "sandbox.vendor.witness:Witness",
            "base_url": self.desk_url,
            "file_hosts": [httpx.URL(self.desk_url).host],
            "options": {"journal": str(self.folder.resolve() / JOURNAL)},
        }

    def start(self) -> None:
        """Start everything, and write down how to reach it."""
        super().start()
        known = {"meta": self.meta_url, "helpdesk": self.helpdesk, "anna": self.anna}
        (self.folder / "stack.json").write_text(json.dumps(known))

    def start_desk(self) -> None:
        """Do nothing: it runs."""

    def prepare_desks(self) -> None:
        """Do nothing: its desks are its own."""
