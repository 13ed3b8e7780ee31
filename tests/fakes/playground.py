"""A playground beside a sandbox Meta and a sandbox helpdesk, without a connector between them."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

import httpx

from sandbox.playground.app import serving
from sandbox.stack import PAGES, Stack
from sandbox.staff import SandboxStaff
from tests.fakes.sandbox_helpdesk import DEFAULTS, SECRET, TOKEN, Desk
from tests.fakes.sandbox_meta import serving_meta

PAGE = PAGES[0].page_id
numbers = itertools.count(7_000_000_000_000_001)


class Switch:
    """A helpdesk of which only is remembered whether it was told to run."""

    def __init__(self) -> None:
        self.runs = True

    def start(self) -> None:
        self.runs = True

    def stop(self) -> int:
        self.runs = False
        return 0

    def kill(self) -> None:
        self.runs = False


class HalfStack:
    """What the playground asks of a stack. The connector's pages are those that `connector` answers."""

    helpdesk: ClassVar[str] = "sandbox"
    staff_of = SandboxStaff
    pages = PAGES
    api_token = TOKEN
    url = "http://127.0.0.1:9"
    admin_token = "who-may-change-connections"

    def __init__(self, folder: Path, meta_url: str, desk: Desk) -> None:
        self.folder, self.meta_url, self.desk_url = folder, meta_url, desk.url
        self.desk, self.figures = Switch(), ""
        self.answers: dict[str, int] = {}
        self.connector: Any = None
        self.http = httpx.Client(
            trust_env=False, mounts={f"all://{httpx.URL(self.url).netloc.decode()}": self._connector()}
        )

    def metrics(self) -> str:
        """Return what the connector's `/metrics` shows."""
        return self.figures

    def _connector(self) -> httpx.BaseTransport:
        return httpx.MockTransport(lambda request: httpx.Response(self.answers.get(request.url.path, 404)))


SECRETS = (
    *(secret for page in PAGES for secret in (page.access_token, page.app_secret, page.verify_token)),
    *(TOKEN, SECRET, HalfStack.admin_token),
)
"""What no answer of the playground may hold."""


class Beside:
    """A running playground with its two sandboxes, and what a test asks of all three."""

    def __init__(self, http: httpx.Client, meta: httpx.Client, desk: Desk, stack: HalfStack) -> None:
        self.http, self.meta, self.desk, self.stack = http, meta, desk, stack
        self.answers: list[httpx.Response] = []
        http.event_hooks = {"response": [self.answers.append]}
        self.begin()

    def begin(self) -> None:
        """Have a customer, Anna Nowak, who has written nothing, and no tickets."""
        self.anna = str(next(numbers))
        self.phone, self.person = f"/phone/{PAGE}/{self.anna}", f"/sandbox/pages/{PAGE}/people/{self.anna}"
        self.meta.put(self.person, json={"first_name": "Anna", "last_name": "Nowak"}).raise_for_status()
        self.desk.http.delete("/sandbox/everything").raise_for_status()
        self.desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
        self.stack.answers, self.stack.figures = {}, ""
        self.answers.clear()

    def writes(self, **message: Any) -> str:
        """Have Anna write, by the page. Return the mid."""
        return str(self.do("POST", f"{self.phone}/messages", message)["mid"])

    def replies(self, text: str, **more: Any) -> str:
        """Have the page reply to Anna, as the connector does. Return the mid."""
        body = {"recipient": {"id": self.anna}, "message": {"text": text}, **more}
        if "sender_action" in more:
            del body["message"]
        token = {"access_token": PAGES[0].access_token}
        answer = self.meta.post("/v26.0/me/messages", params=token, json=body).raise_for_status()
        return str(answer.json().get("message_id"))

    def state(self) -> Any:
        """Return Anna's document, read anew: a switch is turned to how it stands."""
        self.do(
            "PUT", "/faults/helpdesk", {"on": not self.stack.desk.runs, "page_id": PAGE, "psid": self.anna}
        )
        return self.known()

    def known(self) -> Any:
        """Return Anna's document."""
        answer = self.http.get("/state", params={"page_id": PAGE, "psid": self.anna})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def do(self, method: str, path: str, body: Any = None) -> Any:
        """Do what the page asks for, which has to work."""
        answer = self.http.request(method, path, json=body or {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Do what is refused. Return the status, and the words."""
        answer = self.http.request(method, path, json=body or {})
        return answer.status_code, answer.json()["error"]

    def thread(self) -> Any:
        """Return what Meta has of the conversation."""
        return self.meta.get(f"{self.person}/messages").json()

    def ticket(self, **changes: Any) -> str:
        """Have a ticket of Anna's. Return its id."""
        config = {"source": "facebook_messenger", "page_id": PAGE, "sender_id": self.anna}
        return self.desk.new_ticket(config=config, **changes)

    def tickets(self) -> Any:
        """Return all tickets as the helpdesk has them."""
        return self.desk.http.get("/sandbox/tickets").json()["tickets"]

    def journal(self) -> str:
        """Return what Meta's journal says."""
        return (self.stack.folder / "meta.jsonl").read_text()


@contextmanager
def playground(folder: Path) -> Iterator[Beside]:
    """Serve a playground whose journals are in the folder."""
    journal = folder / "helpdesk.jsonl"
    desk = Desk(folder / "db.sqlite", "--journal", str(journal))
    try:
        with (
            serving_meta(folder / "meta.jsonl") as url,
            httpx.Client(base_url=url, trust_env=False) as meta,
        ):
            _prepare(meta, desk)
            stack = HalfStack(folder, url, desk)
            with (
                serving(cast("Stack", stack), port=0) as address,
                httpx.Client(base_url=address, trust_env=False, timeout=20) as http,
            ):
                yield Beside(http, meta, desk, stack)
            stack.http.close()
    finally:
        desk.stop()


def _prepare(meta: httpx.Client, desk: Desk) -> None:
    page = PAGES[0]
    meta.put(f"/sandbox/apps/{page.app_id}", json={"app_secret": page.app_secret}).raise_for_status()
    for one in PAGES:
        known = {"name": one.name, "access_token": one.access_token, "app_id": page.app_id}
        meta.put(f"/sandbox/pages/{one.page_id}", json=known).raise_for_status()
    desk.set(**DEFAULTS).raise_for_status()
