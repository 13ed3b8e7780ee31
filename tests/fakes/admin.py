"""The REST API of connections as a helpdesk's back end uses it."""

from typing import Any

import httpx

from tests.conftest import SECRET_A

ADMIN_TOKEN = "who-may-change-connections"
NEW = "204496721830099"
TOKEN = "EAAG0123456789abcdef"
FIELDS = {
    "page_access_token": TOKEN,
    "app_secret": SECRET_A,
    "verify_token": "verify-1",
    "desk_id": "7",
}


class Admin:
    """One who has the token."""

    def __init__(self, http: httpx.Client, token: str = ADMIN_TOKEN) -> None:
        self._http, self._headers = http, {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str = f"/{NEW}", body: Any = None, **headers: str) -> httpx.Response:
        """Send a request below `/connections`; `_` in the name of a header stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._http.request(
            method, f"/connections{path}", json=body, headers={**self._headers, **named}
        )

    def add(self, page_id: str = NEW, **changes: Any) -> httpx.Response:
        """Connect a page."""
        return self.ask("PUT", f"/{page_id}", FIELDS | changes, If_None_Match="*")
