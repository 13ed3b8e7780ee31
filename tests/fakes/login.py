"""A person with pages at the sandbox Meta, who connects them in a browser."""

import html
import itertools
import re
import time
from collections.abc import Sequence
from typing import Any

import httpx

from connector import links
from connector.links import Link
from sandbox.meta.login import signed_request
from tests.fakes.admin import ADMIN_TOKEN, Admin

APP, APP_SECRET = "3379478975530007", "ab" * 16
PATH = "/connect/facebook"
CALLBACKS = "/social_media/facebook"
DESK = "7"
MANAGER = ["ANALYZE", "MESSAGING", "MODERATE"]
_numbers = itertools.count(1)


def link_to(url: str, desk_id: str = DESK, *, key: str = ADMIN_TOKEN, seconds: int = 600, **said: str) -> str:
    """Return a link as the helpdesk's back end signs it."""
    return links.address(Link(desk_id, int(time.time()) + seconds, **said), url, PATH, key)


class Person:
    """Somebody who manages pages, in a browser of their own."""

    def __init__(self, url: str, meta: httpx.Client, pages: int = 1) -> None:
        number = next(_numbers)
        self.url, self.meta = url, meta
        self.user_id = f"10158{number:010}"
        self.pages = [f"60{number:05}{page:08}" for page in range(pages)]
        self.tasks = dict.fromkeys(self.pages, MANAGER)
        self.psids: dict[str, str] = {}
        self.order(
            "PUT",
            f"/apps/{APP}",
            app_secret=APP_SECRET,
            require_proof=True,
            redirect_uris=[f"{url}{PATH}/callback"],
            deauthorize_url=f"{url}{CALLBACKS}/deauthorize",
            data_deletion_url=f"{url}{CALLBACKS}/data_deletion",
        )
        for page in self.pages:
            self.order("PUT", f"/pages/{page}", name=name_of(page), access_token=f"EAA{page}", app_id=APP)
        self.enrol()
        self.browser = httpx.Client(follow_redirects=True, trust_env=False, verify=False, timeout=20)
        self._api = httpx.Client(base_url=url, trust_env=False, verify=False)
        self.admin = Admin(self._api)

    def close(self) -> None:
        """Close the browser."""
        self.browser.close()
        self._api.close()

    def order(self, method: str, path: str, **body: Any) -> Any:
        """Give the sandbox an order."""
        answer = self.meta.request(method, f"/sandbox{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def enrol(self) -> None:
        """Have Meta know them, and what they may do on their pages."""
        self.order("PUT", f"/users/{self.user_id}", name="Ola", tasks=self.tasks, psids=self.psids)

    def log_in(self, link: str = "", **answer: Any) -> httpx.Response:
        """Open a link and log in; return the page where they end."""
        self.order("PUT", "/login", **{"user_id": self.user_id} | answer)
        return self.browser.get(link or link_to(self.url))

    def choose(
        self, shown: httpx.Response, pages: Sequence[str], form: str = "", **entered: str
    ) -> httpx.Response:
        """Send the form of the choice."""
        data = {"form": form or form_of(shown), "page": pages} | entered
        return self.browser.post(shown.url, data=data)

    def connect(self, pages: Sequence[str] = (), **link: Any) -> httpx.Response:
        """Log in and connect pages, all of them unless some are named."""
        shown = self.log_in(link_to(self.url, **link))
        assert shown.status_code == 200, shown.text
        return self.choose(shown, pages or self.pages)

    def connection(self, page: str = "") -> dict[str, Any]:
        """Return a connection as admins see it."""
        found: dict[str, Any] = self.admin.ask("GET", f"/{page or self.pages[0]}").json()
        return found

    def call_back(self, name: str, secret: str = APP_SECRET, **payload: Any) -> httpx.Response:
        """Bring a signed request as Meta does."""
        said = {"user_id": self.user_id, "issued_at": int(time.time())} | payload
        body = {"signed_request": signed_request(said, secret)}
        return httpx.post(
            f"{self.url}{CALLBACKS}/{name}", data=body, trust_env=False, verify=False, timeout=20
        )


def name_of(page: str) -> str:
    """Return what a page is called: people may call theirs what they like."""
    return f"<b>Pizza & {page}</b>"


def form_of(shown: httpx.Response) -> str:
    """Return the secret of a form."""
    found = re.search(r'name="form" value="([^"]+)"', shown.text)
    assert found, shown.text
    return found[1]


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    body = answer.text.partition("<main>")[2]
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", body).split()))
