"""Somebody who opens the Messenger tab of a desk, in a browser without scripts."""

import time
from typing import Any

import httpx
import lxml.html

from clients.findings import Finding
from connector.cipher import new_key
from tasks import findings
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.conftest import SECRET_A, MakeSettings
from tests.fakes.admin import ADMIN_TOKEN, NEW, TOKEN, Admin
from tests.fakes.login import APP_SECRET
from tests.fakes.pages import Shown, tab_link
from tests.fakes.sandbox_helpdesk import SECRET as DESK_SECRET
from tests.fakes.sandbox_helpdesk import TOKEN as DESK_TOKEN
from tests.fakes.sandbox_helpdesk import Desk

KEY = new_key()
REMOTE = f"facebook_messenger:{NEW}"
SECRETS = (TOKEN, SECRET_A, APP_SECRET, ADMIN_TOKEN, KEY, DESK_TOKEN, DESK_SECRET)
"""What no answer shows. A verify token is shown once, in the answer to what it was entered with."""
FORM = {
    "page_id": NEW,
    "page_name": "Fakturownia",
    "page_access_token": TOKEN,
    "app_secret": SECRET_A,
    "category_id": "12",
}


class Tab:
    """A connector, a helpdesk, and somebody who opens the tab."""

    def __init__(self, url: str, store_url: str, desk: Desk) -> None:
        self.url, self.desk = url, desk
        self.store = connect(store_url)
        self.inbox = Inbox(self.store)
        # Lower each time, or the web process may take a store that was emptied for the one that it knows.
        self.store.set(self.inbox.key("version"), 10**12 - int(time.time() * 100))
        self.answers: list[httpx.Response] = []
        hooks = {"response": [self.answers.append]}
        self.browser = httpx.Client(follow_redirects=True, trust_env=False, timeout=20, event_hooks=hooks)
        self._api = httpx.Client(base_url=url, trust_env=False)
        self.admin = Admin(self._api)

    def close(self) -> None:
        self.browser.close()
        self._api.close()
        self.store.close()

    def open(self, desk_id: str = "7", edit: str = "", **link: Any) -> Shown:
        address = tab_link(self.url, desk_id, **link) + f"&edit={edit}" * bool(edit)
        return Shown(self.browser, self.browser.get(address))

    def add(self, **changes: Any) -> None:
        assert self.admin.add(**changes).status_code == 201
        self.known(lambda shown: f'id="page-{NEW}"' in shown)

    def known(self, is_so: Any, desk_id: str = "7") -> None:
        """Wait until the tab shows something: the web process looks for changes twice a second."""
        ends = time.monotonic() + 20
        while not is_so(self.open(desk_id).answer.text):
            assert time.monotonic() < ends
            time.sleep(0.05)

    def live(self) -> str:
        """Return the address that an open tab asks again and again."""
        return hx_get(self.open().answer)

    def poll(self, address: str) -> httpx.Response:
        """Ask for what has changed, as htmx does."""
        return self.browser.get(f"{self.url}{address}", headers={"HX-Request": "true"})

    def found(self, *wrong: Finding) -> None:
        """Have the last check of the page find this."""
        findings.note(self.inbox, REMOTE, wrong)

    def connection(self) -> dict[str, Any]:
        known: dict[str, Any] = self.admin.ask("GET").json()
        return known


def hx_get(answer: httpx.Response) -> str:
    """Return what a page asks for again and again."""
    (live,) = lxml.html.document_fromstring(answer.text).xpath("//@hx-get")
    return str(live)


def main_buttons(card: lxml.html.HtmlElement) -> list[str]:
    """Return what a card offers first: links and buttons that are not quiet."""
    return [one.text_content() for one in card.cssselect(".actions :is(a, button):not(.quiet)")]


def settings_of(make: MakeSettings, store_url: str, desk: Desk, port: int, **changes: Any) -> Any:
    helpdesk = {"base_url": f"{desk.url}/api/v1", "api_token": DESK_TOKEN, "webhook_secret": DESK_SECRET}
    graph = {"base_url": "http://127.0.0.1:9"}
    known = {"secret_key": KEY, "admin_token": ADMIN_TOKEN, "graph": graph, "helpdesk": helpdesk}
    return make(redis_url=store_url, public_url=f"http://127.0.0.1:{port}", **known | changes)
