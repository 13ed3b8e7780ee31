"""Records the cassettes again, from servers of the sandbox: `-m tests.fakes.record_cassettes`."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from vcr.record_mode import RecordMode  # type: ignore[import-untyped]

from sandbox.stack import Process, free_port, until
from tests.conftest import PAGE_A, SECRET_A, WEBHOOK_SECRET
from tests.fakes.graph import NAMELESS, PROFILELESS, PSID, SILENT
from tests.fakes.graph import TOKEN as PAGE_TOKEN
from tests.fakes.recording import FOLDER, SITES
from tests.fakes.rest_helpdesk import TOKEN as HELPDESK_TOKEN

TESTS = ["tests/clients/helpdesks/rest/test_calls.py", "tests/clients/channels/meta/test_graph.py"]
APP = "3379478975539191"


@contextmanager
def _server(name: str, *arguments: str) -> Iterator[str]:
    """Run a server of the sandbox and give its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"sandbox.{name}", "--port", str(port), *arguments]
        process = Process(command, Path(folder) / "log", {})
        try:
            until(f"the sandbox {name} answers", lambda: httpx.get(f"{url}/sandbox/webhooks").is_success)
            yield url
        finally:
            process.stop()


def _order(method: str, url: str, body: dict[str, Any]) -> None:
    httpx.request(method, url, json=body).raise_for_status()


def _prepare_meta(url: str) -> None:
    """Keep an app, its page, and people who wrote to it."""
    page = f"{url}/sandbox/pages/{PAGE_A}"
    _order(
        "PUT",
        f"{url}/sandbox/apps/{APP}",
        {"app_secret": SECRET_A, "require_proof": True, "human_agent": True},
    )
    _order("PUT", page, {"name": "Sugester", "access_token": PAGE_TOKEN, "app_id": APP})
    for psid, profile in ((PSID, "full"), (NAMELESS, "empty"), (PROFILELESS, "none"), (SILENT, "full")):
        person = {"first_name": "Anna", "last_name": "Nowak", "profile": profile}
        _order("PUT", f"{page}/people/{psid}", person)
        _order("POST", f"{page}/people/{psid}/messages", {"text": "Dzień dobry"})
    _order("POST", f"{page}/people/{SILENT}/age", {"hours": 30})


def _prepare_helpdesk(url: str) -> None:
    _order("PUT", f"{url}/sandbox/desks/7", {"name": "Sugester"})
    _order("PUT", f"{url}/sandbox/categories/12", {"name": "Social media", "owner": "Ola"})


def main() -> int:
    """Record every cassette."""
    for old in FOLDER.glob("**/*.yaml"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--api-token", HELPDESK_TOKEN, "--webhook-secret", WEBHOOK_SECRET]
        with _server("helpdesk", "--db", f"{folder}/db", *options) as helpdesk, _server("meta") as meta:
            _prepare_helpdesk(helpdesk)
            _prepare_meta(meta)
            SITES.helpdesk, SITES.meta, SITES.record_mode = helpdesk, meta, RecordMode.ALL
            # What the tests import is imported by now, which is too late for pytest's better messages.
            quiet = ["-q", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
            return pytest.main([*quiet, *TESTS])


if __name__ == "__main__":
    sys.exit(main())
