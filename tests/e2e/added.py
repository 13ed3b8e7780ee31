"""A page that is added while the connector runs."""

import itertools
from datetime import datetime
from typing import Any

import httpx

from clients.channels.meta.graph import appsecret_proof
from sandbox.stack import Page, Stack, until
from tests.fakes.admin import Admin

SOON = 5.0
"""How long a change may take, in seconds, on a machine that has other things to do."""
numbers = itertools.count(1)


class Case:
    """A page that the settings do not list, and a person who writes to it."""

    def __init__(self, stack: Stack) -> None:
        number = next(numbers)
        self.stack, self.psid = stack, f"7900000000{number:06}"
        self.page = Page(
            *(f"5552{number}", "Added", f"888{number}", f"{number:032x}", f"EAAadded-at-run-time-{number}"),
            *(f"verify-this-too-{number}", "7", None),
        )
        self.http = httpx.Client(base_url=stack.url, trust_env=False)
        self.admin = Admin(self.http)

    def exist(self) -> None:
        """Have the page exist at Meta, where people write to it, while nobody is subscribed to it."""
        page = self.page
        self.stack.ask_meta("PUT", f"/apps/{page.app_id}", {"app_secret": page.app_secret})
        fields = {"name": page.name, "app_id": page.app_id, "access_token": page.access_token}
        self.stack.ask_meta("PUT", f"/pages/{page.page_id}", fields)

    def put(self, status: int, condition: dict[str, str], **fields: Any) -> None:
        answer = self.admin.ask("PUT", f"/{self.page.page_id}", {"desk_id": "7"} | fields, **condition)
        assert answer.status_code == status, answer.text

    def connect(self, **fields: Any) -> None:
        """Add the page, and subscribe it at Meta once the connector knows it."""
        secrets = {
            "page_access_token": self.page.access_token,
            "app_secret": self.page.app_secret,
            "verify_token": self.page.verify_token,
        }
        self.put(201, {"If_None_Match": "*"}, **secrets, **fields)
        until("the web process knows it", self.is_known, SOON)
        self.stack._connect(self.page)

    def is_known(self) -> bool:
        """Return whether the web process answers Meta's handshake for the page."""
        query = {
            "hub.mode": "subscribe",
            "hub.challenge": "1",
            "hub.verify_token": self.page.verify_token,
        }
        return self.http.get("/social_media/webhooks/facebook", params=query).status_code == 200

    def write(self, text: str, **message: Any) -> None:
        self.stack.write(self.psid, self.page, text=text, **message)

    def shown(self, count: int) -> list[tuple[str, datetime, bool]]:
        """Wait until so much stands on the person's ticket; return texts, times, and what is history."""

        def enough() -> list[dict[str, Any]] | None:
            entries = [entry for one in self.stack.tickets(self.psid) for entry in (one, *one["comments"])]
            return entries if len(entries) >= count else None

        return [
            (one["body"], datetime.fromisoformat(one["created_at"]), "history" in one["config"])
            for one in until(f"{count} messages stand there", enough)
        ]

    def ticket(self) -> dict[str, Any]:
        return until("a ticket", lambda: self.stack.tickets(self.psid), 15)[0]

    def received(self, count: int, within: float) -> list[str]:
        def enough() -> list[str] | None:
            found = [message["text"] for message in self.stack.received(self.psid, self.page)]
            return found if len(found) >= count else None

        return until(f"{count} replies", enough, within)

    def subscribed(self) -> list[Any]:
        """Return the apps that the page is subscribed to at Meta."""
        token = self.page.access_token
        query = {"access_token": token, "appsecret_proof": appsecret_proof(token, self.page.app_secret)}
        address = f"{self.stack.meta_url}/v26.0/{self.page.page_id}/subscribed_apps"
        found: list[Any] = self.http.get(address, params=query).raise_for_status().json()["data"]
        return found
