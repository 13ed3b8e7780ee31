"""The adapter in docs/adapters.md, as it stands there: it is found, takes its options, and conforms."""

import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.helpdesk import Attachment, Helpdesk
from clients.helpdesks.registry import AdapterError, check_options, find_adapter
from clients.http import HttpClient
from clients.media import File
from conformance.agent import Filed, HelpdeskAgent, Shown
from conformance.outcome import Cannot
from conformance.receiver import Receiver
from conformance.testing import HelpdeskConformance
from sandbox.stack import Process, free_port, until

PAGE = Path(__file__).parents[2] / "docs" / "adapters.md"
NAME = "acme_messenger.adapter:AcmeHelpdesk"
TOKEN, SECRET = "a-token", "a-secret"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Helpdesk]]:
    """Return the page's adapter, from a package as a vendor would have it."""
    folder = tmp_path_factory.mktemp("vendor")
    (example,) = re.findall(r'^```python\n(""".*?)^```$', PAGE.read_text(), re.MULTILINE | re.DOTALL)
    package = folder / "acme_messenger"
    package.mkdir()
    (package / "adapter.py").write_text(example)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        importlib.invalidate_caches()
        yield find_adapter(NAME)
    for name in ("acme_messenger.adapter", "acme_messenger"):
        del sys.modules[name]


def test_the_example_takes_an_option_of_its_own(adapter: type[Helpdesk]) -> None:
    check_options(adapter, {"brand": 3})
    with pytest.raises(AdapterError, match="bran"):
        check_options(adapter, {"bran": 3})


class Staff(HelpdeskAgent):
    """The agents of Acme Desk."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def close_ticket(self, ticket_id: str) -> None:
        self._ask("POST", f"/agent/tickets/{ticket_id}/state", json={"state": "closed"})

    def reopen_ticket(self, ticket_id: str) -> None:
        self._ask("POST", f"/agent/tickets/{ticket_id}/state", json={"state": "open"})

    def reply_as_agent(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[File] = ()
    ) -> None:
        parts = [{"file": (one.filename, one.stream, one.content_type)} for one in files]
        stored = [self._ask("POST", "/api/files", files=part)["file"]["id"] for part in parts]
        comment = {"text": text, "private": internal, "files": stored}
        self._ask("POST", f"/agent/tickets/{ticket_id}/comments", json=comment)

    def reply_and_close(self, ticket_id: str, text: str) -> None:
        comment = {"text": text, "state": "closed"}
        self._ask("POST", f"/agent/tickets/{ticket_id}/comments", json=comment)

    def merge_ticket(self, ticket_id: str, into: str) -> None:
        raise Cannot("merging tickets", "there are no merged ones to follow")

    def forbid_ticket(self, ticket_id: str) -> None:
        self._ask("POST", f"/agent/tickets/{ticket_id}/state", json={"state": "hidden"})

    def read_ticket(self, ticket_id: str) -> Filed:
        ticket = self._ask("GET", f"/api/tickets/{ticket_id}")["ticket"]
        return Filed(ticket["inbox"], None, ticket["comments"][0]["author"])

    def read_comments(self, ticket_id: str) -> list[Shown]:
        comments = self._ask("GET", f"/api/tickets/{ticket_id}")["ticket"]["comments"]
        return [Shown(one["text"], one["private"], [*map(_attachment, one["files"])]) for one in comments]

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        return self._http.request(method, path, **options).raise_for_status().json()


def _attachment(told: Any) -> Attachment:
    return Attachment(str(told["id"]), told["url"], told["name"], told["type"], told["size"])


class TestAcme(HelpdeskConformance):
    desk_id = "support"

    @pytest.fixture(scope="class")
    @classmethod
    def url(cls, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        options = ["--port", str(port), "--token", TOKEN, "--secret", SECRET, "--webhook-url", receiver.url]
        log = tmp_path_factory.mktemp("acme") / "log"
        process = Process([sys.executable, "-m", "tests.fakes.acme", *options], log, {})
        until("Acme Desk answers", lambda: httpx.get(f"{url}/api/me", trust_env=False))
        yield url
        process.stop()

    @pytest.fixture
    def helpdesk(self, adapter: type[Helpdesk], url: str, http: HttpClient) -> Helpdesk:
        return _made(adapter, http, url, TOKEN)

    @pytest.fixture
    def wrong_token(self, adapter: type[Helpdesk], url: str, http: HttpClient) -> Helpdesk:
        return _made(adapter, http, url, "another-token")

    @pytest.fixture
    def agent(self, url: str) -> Iterator[HelpdeskAgent]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as http:
            yield Staff(http)


def _made(adapter: Any, http: HttpClient, url: str, token: str) -> Helpdesk:
    made: Helpdesk = adapter(http, base_url=url, api_token=token, webhook_secret=SECRET, brand=3)
    return made
