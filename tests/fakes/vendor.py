"""The example of docs/build-the-helpdesks-side.md as a process, and an agent who works in its page."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from clients.helpdesk import Attachment
from clients.media import File
from clients.text.plain import to_plain_text
from conformance.agent import Filed, HelpdeskAgent, Shown
from conformance.outcome import Cannot
from sandbox.stack import Process, free_port, until

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "helpdesk_server.py"
PAGE = ROOT / "docs" / "build-the-helpdesks-side.md"
TOKEN = "a-token-of-the-example"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Example:
    """The example, and clients of its API and of its page."""

    def __init__(self, folder: Path, webhook_url: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "example.log"
        options = ["--port", str(port), "--db", str(folder / "example.sqlite3"), "--webhook-url", webhook_url]
        command = [sys.executable, str(EXAMPLE), *options]
        self.process = Process(command, self.log, {"TOKEN": TOKEN, "SECRET": SECRET})
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.api = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, trust_env=False)
        self.agents = httpx.Client(base_url=self.url, trust_env=False)
        self.wait()

    def wait(self) -> None:
        """Wait until it answers."""
        until("the example answers", lambda: self.agents.get("/").is_success)

    def restart(self) -> None:
        """Kill it and start it again, with what it has stored."""
        self.process.kill()
        self.process.start()
        self.wait()

    def stop(self) -> None:
        """Stop it."""
        self.api.close()
        self.agents.close()
        self.process.stop()

    def act(self, ticket_id: str, files: Sequence[Any] = (), **form: str) -> None:
        """Send the form on an agent's page."""
        parts = [("file", one) for one in files] or [("file", ("", b""))]  # as browsers do without a file
        assert self.agents.post(f"/tickets/{ticket_id}", data=form, files=parts).status_code == 303


@contextmanager
def example(folder: Path, webhook_url: str) -> Iterator[Example]:
    """Give a running example."""
    running = Example(folder, webhook_url)
    try:
        yield running
    finally:
        running.stop()


class ExampleAgent(HelpdeskAgent):
    """An agent who uses the example's page."""

    def __init__(self, desk: Example) -> None:
        self._desk = desk

    def close_ticket(self, ticket_id: str) -> None:
        self._desk.act(ticket_id, do="close")

    def reopen_ticket(self, ticket_id: str) -> None:
        self._desk.act(ticket_id, do="reopen")

    def reply_as_agent(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[File] = ()
    ) -> None:
        sent = [(one.filename, one.stream.read(), one.content_type) for one in files]
        self._desk.act(ticket_id, sent, text=text, **({"internal": "on"} if internal else {}))

    def read_ticket(self, ticket_id: str) -> Filed:
        ticket = self._desk.api.get(f"/tickets/{ticket_id}").raise_for_status().json()["ticket"]
        return Filed(ticket["desk_id"], ticket["category_id"], ticket["requester"]["name"])

    def reply_and_close(self, ticket_id: str, text: str) -> None:
        self._desk.act(ticket_id, text=text, do="close")

    def merge_ticket(self, ticket_id: str, into: str) -> None:
        raise Cannot("merging tickets", "the example merges none")

    def forbid_ticket(self, ticket_id: str) -> None:
        raise Cannot("hiding a ticket from the token", "the example shows it them all")

    def read_comments(self, ticket_id: str) -> list[Shown]:
        ticket = self._desk.api.get(f"/tickets/{ticket_id}").raise_for_status().json()["ticket"]
        comments = self._desk.api.get(f"/tickets/{ticket_id}/comments").raise_for_status().json()["comments"]
        return [_shown(one) for one in ({**ticket, "internal": False}, *comments)]


def _shown(told: dict[str, Any]) -> Shown:
    names = ("id", "url", "filename", "content_type", "size")
    files = [Attachment(*(one[name] for name in names)) for one in told["attachments"]]
    return Shown(to_plain_text(told["body"], told["body_format"]), told["internal"], files)
