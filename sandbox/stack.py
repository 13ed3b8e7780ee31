"""The whole product beside its sandbox: real processes on free ports, in a folder of their own."""

import itertools
import json
import os
import random
import secrets
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import httpx
import yaml

from sandbox.staff import SandboxStaff, Staff

T = TypeVar("T")

STARTS_WITHIN = 40.0
METRICS_TOKEN = "sandbox"


class NeverHappened(Exception):
    """What was waited for did not happen in time; `str()` says what it was."""


@dataclass(frozen=True)
class Page:
    """A Facebook page with an app of its own, and the desk that it leads to."""

    page_id: str
    name: str
    app_id: str
    app_secret: str
    access_token: str
    verify_token: str
    desk_id: str
    category_id: str | None
    human_agent: bool = False
    link_large_files: bool = False
    remind_before: float = 0


PAGES = (
    Page("107381679302250", "Sugester", "3379478975539191", "5a" * 16, "EAAsugester", "verify-1", "7", "12"),
    Page(
        "204496721830011", "Fakturownia", "3379478975539202", "c3" * 16, "EAAfaktura", "verify-2", "8", None
    ),
)


def until(what: str, probe: Callable[[], T | None], within: float = 30.0) -> T:
    """Return what `probe` returns once it is true; ask again and again until then. Raises `NeverHappened`."""
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        try:
            if found := probe():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.03)  # polling: the servers tell nobody
    raise NeverHappened(f"{what} (waited {within:.0f} s)")


# Not ports that the system gives to outgoing connections: one of these may take it before its server does.
_ports = itertools.cycle(random.sample(range(10_000, 30_000), 20_000))


def free_port(wanted: int = 0) -> int:
    """Return the wanted port if it is free, else any that is."""
    for port in (*filter(None, [wanted]), *itertools.islice(_ports, 100)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")


class Process:
    """A child process that writes to a log file and can be started again."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.command, self.log, self._environment = command, log, environment
        self.start()

    def start(self) -> None:
        """Start the process."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(  # noqa: S603 - the commands are our own
                self.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )

    def stop(self) -> int:
        """Ask the process to stop and wait for it. Return its exit code."""
        self.popen.terminate()
        try:
            return self.popen.wait(60)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()

    def kill(self) -> None:
        """Kill the process outright."""
        self.popen.kill()
        self.popen.wait()


class Runs(Protocol):
    """What can be stopped, killed and started again."""

    def start(self) -> None:
        """Start it, with what it has stored."""

    def stop(self) -> int:
        """Ask it to stop and wait for it. Return its exit code."""

    def kill(self) -> None:
        """Kill it outright."""


class Stack:
    """A sandbox Meta, a sandbox helpdesk, and the connector between them.

    `settings` is merged over the connector's settings, a level deep. Both sandbox servers keep a journal
    (`sandbox.journal`) in the folder: `meta.jsonl` and `helpdesk.jsonl`.
    """

    helpdesk: ClassVar[str] = "sandbox"
    staff_of: ClassVar[type[Staff]] = SandboxStaff

    def __init__(
        self,
        folder: Path,
        *,
        pages: Sequence[Page] = PAGES,
        settings: Mapping[str, Any] | None = None,
        ports: Sequence[int] = (0, 0, 0),
    ) -> None:
        self.folder, self.pages = folder, pages
        folder.mkdir(parents=True, exist_ok=True)
        self.port, meta_port, desk_port = (free_port(wanted) for wanted in ports)
        self.url = f"http://127.0.0.1:{self.port}"
        self.meta_url = f"http://127.0.0.1:{meta_port}"
        helpdesk = self.choose_desk(desk_port)
        self.admin_token = str((settings or {}).get("admin_token", ""))
        self.settings_file = folder / "settings.yaml"
        self.settings_file.write_text(yaml.safe_dump(self._settings(helpdesk, settings or {})))
        self.http = httpx.Client(timeout=30, trust_env=False)
        self._meta_command = [
            *(sys.executable, "-m", "sandbox.meta", "--port", str(meta_port)),
            *("--journal", str(folder / "meta.jsonl")),
        ]

    def choose_desk(self, port: int) -> dict[str, Any]:
        """Settle which helpdesk stands beside the connector. Return the connector's settings of it."""
        self.desk_url = f"http://127.0.0.1:{port}"
        self.api_token = secrets.token_hex(24)  # one that began with a dash would be no argument
        self.webhook_secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
        self._desk_command = [
            *(sys.executable, "-m", "sandbox.helpdesk", "--port", str(port)),
            *("--db", str(self.folder / "helpdesk.sqlite3"), "--api-token", self.api_token),
            *("--webhook-secret", self.webhook_secret),
            *("--webhook-url", f"{self.url}/social_media/webhooks/helpdesk"),
            *("--journal", str(self.folder / "helpdesk.jsonl")),
        ]
        return {
            "base_url": f"{self.desk_url}/api/v1",
            "api_token": self.api_token,
            "webhook_secret": self.webhook_secret,
        }

    def _settings(self, helpdesk: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "port": self.port,
            "public_url": self.url,
            "metrics_token": METRICS_TOKEN,
            "check_every": 0,  # a check would meet the faults meant for messages: see `check_connections`
            "data_dir": str(self.folder / "data"),
            "graph": {"base_url": self.meta_url, "media_hosts": ["127.0.0.1"]},
            "helpdesk": dict(helpdesk),
            "connections": [_connection(page) for page in self.pages],
        }
        for key, value in changes.items():
            known = settings.get(key)
            settings[key] = known | value if isinstance(known, dict) else value
        return settings

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_connector()
        for name in ("meta", "desk"):
            if process := getattr(self, name, None):
                process.stop()
        self.http.close()

    def start(self) -> None:
        """Start everything, connect the pages, and write down how to reach it."""
        self.meta = self.process("meta", self._meta_command)
        self.start_desk()
        self.start_connector()
        until("the sandbox Meta answers", lambda: self.http.get(f"{self.meta_url}/sandbox/webhooks"))
        self.prepare_desks()
        self.wait_until_ready()
        for page in self.pages:
            self._connect(page)
        (self.folder / "stack.json").write_text(
            json.dumps({"meta": self.meta_url, "desk": self.desk_url, "helpdesk": self.helpdesk})
        )

    def check_connections(self) -> None:
        """Have the connector test each page, as “Test connection” of the Messenger tab does."""
        for page in self.pages:
            known = {"Authorization": f"Bearer {self.admin_token}"}
            self.http.post(f"{self.url}/connections/{page.page_id}/check", headers=known).raise_for_status()

    def start_desk(self) -> None:
        """Start the helpdesk."""
        self.desk: Runs = self.process("helpdesk", self._desk_command)

    def start_connector(self) -> None:
        """Start the connector, all its parts under one supervisor."""
        self.connector = self.process("connector", [sys.executable, "-m", "connector", "up"])

    def stop_connector(self) -> None:
        """Stop the connector."""
        if process := getattr(self, "connector", None):
            process.stop()

    def process(self, name: str, command: Sequence[str], **environment: str) -> Process:
        """Start a process of the stack, with its log in the folder."""
        environment["CONNECTOR_SETTINGS"] = str(self.settings_file)
        return Process(command, self.folder / f"{name}.log", environment)

    def wait_until_ready(self) -> None:
        """Wait until the connector takes webhooks."""

        def ready() -> bool:
            connector = getattr(self, "connector", None)
            if connector and connector.popen.poll() is not None:
                raise NeverHappened(f"the connector runs; its log says:\n{connector.log.read_text()[-2000:]}")
            return self.http.get(f"{self.url}/readyz").status_code == 200

        until("the connector is ready", ready, STARTS_WITHIN)

    @property
    def store_url(self) -> str:
        """Where the connector's embedded store is."""
        return f"unix://{self.folder.resolve()}/data/valkey.sock"

    def metrics(self) -> str:
        """Return what `/metrics` shows; nothing while it cannot."""
        answer = self.http.get(f"{self.url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        return answer.text if answer.is_success else ""

    def prepare_desks(self) -> None:
        """Wait for the helpdesk, and make the desks and categories that the pages lead to."""
        until("the sandbox helpdesk answers", lambda: self.http.get(f"{self.desk_url}/sandbox/webhooks"))
        for page in self.pages:
            self.ask_desk("PUT", f"/desks/{page.desk_id}", {"name": f"Desk {page.desk_id}: {page.name}"})
            if page.category_id:
                self.ask_desk(
                    "PUT", f"/categories/{page.category_id}", {"name": "Social media", "owner": "Ola"}
                )

    def _connect(self, page: Page) -> None:
        wanted = ("app_id", "app_secret", "page_id", "access_token", "verify_token")
        known = asdict(page)
        callback = f"{self.url}/social_media/webhooks/facebook"
        body = {name: known[name] for name in wanted} | {"page_name": page.name, "callback_url": callback}
        self.ask_meta("POST", "/connect", body)
        app = {"app_secret": page.app_secret, "human_agent": page.human_agent, "require_proof": True}
        self.ask_meta("PUT", f"/apps/{page.app_id}", app)

    def ask_meta(self, method: str, path: str, body: Any = None) -> Any:
        """Give the sandbox Meta an order; its paths stand in `sandbox.meta`."""
        return self._ask(method, f"{self.meta_url}/sandbox{path}", body)

    def ask_desk(self, method: str, path: str, body: Any = None) -> Any:
        """Give the sandbox helpdesk an order; its paths stand in `sandbox.helpdesk`."""
        return self._ask(method, f"{self.desk_url}/sandbox{path}", body)

    def _ask(self, method: str, url: str, body: Any) -> Any:
        response = self.http.request(method, url, json=body)
        if response.is_error:
            raise RuntimeError(f"{method} {url}: {response.status_code} {response.text}")
        return response.json()

    def write(self, psid: str, page: Page | None = None, **message: Any) -> str:
        """Have a person write to a page (the first one if none is named). Return the mid."""
        page_id = (page or self.pages[0]).page_id
        written = self.ask_meta("POST", f"/pages/{page_id}/people/{psid}/messages", message)
        return str(written["mid"])

    def thread(self, psid: str, page: Page | None = None) -> list[dict[str, Any]]:
        """Return what a person and a page said to each other, the oldest first."""
        page_id = (page or self.pages[0]).page_id
        messages: list[dict[str, Any]] = self.ask_meta("GET", f"/pages/{page_id}/people/{psid}/messages")
        return messages

    def received(self, psid: str, page: Page | None = None) -> list[dict[str, Any]]:
        """Return what a person got from a page, the oldest first."""
        return [message for message in self.thread(psid, page) if message["sender"] == "page"]

    def tickets(self, psid: str | None = None) -> list[dict[str, Any]]:
        """Return the tickets of a person, or all, with their comments, the oldest first."""
        query = f"?sender_id={psid}" if psid else ""
        tickets: list[dict[str, Any]] = self.ask_desk("GET", f"/tickets{query}")["tickets"]
        return tickets[::-1]

    def reply(self, ticket_id: str, body: str, **comment: Any) -> dict[str, Any]:
        """Have an agent comment on a ticket. Return the comment."""
        answer = self.ask_desk("POST", f"/tickets/{ticket_id}/comments", {"body": body, **comment})
        made: dict[str, Any] = answer["comment"]
        return made


def _connection(page: Page) -> dict[str, Any]:
    return {
        "page_id": page.page_id,
        "page_name": page.name,
        "page_access_token": page.access_token,
        "app_secret": page.app_secret,
        "verify_token": page.verify_token,
        "desk_id": page.desk_id,
        "category_id": page.category_id,
        "human_agent": page.human_agent,
        "link_large_files": page.link_large_files,
        "remind_before": page.remind_before,
    }
