"""Runs a django-helpdesk: real processes, a folder of its own, a fresh database."""

import os
import secrets
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import httpx

from sandbox.django_helpdesk.host.accounts import TOKEN
from sandbox.django_helpdesk.host.journal import WHO_ONLY_LOOKS
from sandbox.django_helpdesk.install import HERE, environment, fresh_database, interpreter
from sandbox.stack import NeverHappened, Process, free_port, until

THREADS = 8
"""The webhook is sent while the agent's request waits: whoever calls back from there needs another thread."""

NOT_KEPT_ALIVE = httpx.Limits(max_keepalive_connections=0)
"""gunicorn closes an idle connection after two seconds, also just when a request is on its way, and waits as
long when it stops: both are for the connector to meet, not for those who only look."""


class DjangoHelpdesk:
    """A django-helpdesk on a port of its own, installed first if need be (`install`).

    `followup_webhook` and `new_ticket_webhook` are where it sends what happens; empty: nowhere.
    `mail_port` is that of an SMTP server on this machine; 0: mail goes into files. Beside the folder there
    is a journal (`sandbox.journal`), named as the folder is. Raises `NotInstalled`.
    """

    token = TOKEN

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        followup_webhook: str = "",
        new_ticket_webhook: str = "",
        mail_port: int = 0,
    ) -> None:
        self.folder, self.journal = folder, folder.with_suffix(".jsonl")
        self.site = f"http://127.0.0.1:{free_port(port)}"
        self.url = f"{self.site}/helpdesk"
        self._environment = environment(folder, secrets.token_urlsafe(50)) | {
            "HELPDESK_FOLLOWUP_WEBHOOK_URLS": followup_webhook,
            "HELPDESK_NEW_TICKET_WEBHOOK_URLS": new_ticket_webhook,
            "HELPDESK_MAIL_PORT": str(mail_port),
            "HELPDESK_JOURNAL": str(self.journal.resolve()),
        }
        self.http = api(self.url)
        folder.mkdir(parents=True, exist_ok=True)
        self.journal.touch()
        self.reset()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.http.close()

    def start(self) -> None:
        """Start it, with the data that it has, and wait until it answers."""
        options = [
            *("--bind", self.site.removeprefix("http://"), "--chdir", str(HERE)),
            *("--worker-class", "gthread", "--threads", str(THREADS), "--graceful-timeout", "3"),
        ]
        command = [str(interpreter()), "-m", "gunicorn", *options, "host.wsgi"]
        self.process = Process(command, self.folder / "gunicorn.log", self._environment)
        until("django-helpdesk answers", self._answers)

    def _answers(self) -> bool:
        if self.process.popen.poll() is not None:
            raise NeverHappened(
                f"django-helpdesk runs; its log says:\n{self.process.log.read_text()[-2000:]}"
            )
        return self.http.get("/login/").is_success

    def stop(self) -> int:
        """Stop it cleanly; its data is kept. Return its exit code."""
        if not hasattr(self, "process"):
            return 0
        self.resume()
        return self.process.stop()

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill all its processes outright."""
        self._signal(signal.SIGKILL)
        self.process.popen.wait()

    def pause(self) -> None:
        """Stop all its processes where they are: connections are taken, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let paused processes go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # A group of their own: gunicorn's workers outlive their killed master by a moment.
        if self.process.popen.poll() is None:
            os.killpg(self.process.popen.pid, number)

    def reset(self) -> None:
        """Make everything as it was after the installation, whether it runs or not; agents log in again."""
        with (
            closing(sqlite3.connect(fresh_database())) as fresh,
            closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=20)) as database,
        ):
            fresh.backup(database)
        for name in ("media", "mails"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def tickets(self) -> list[dict[str, Any]]:
        """Return all tickets as the API has them, by id."""
        return every_ticket(self.http)

    def ticket(self, ticket_id: int) -> dict[str, Any]:
        """Return a ticket as the API has it, with its followups by date. Raises `httpx.HTTPStatusError`."""
        found: dict[str, Any] = self.http.get(f"/api/tickets/{ticket_id}/").raise_for_status().json()
        return found


def api(url: str) -> httpx.Client:
    """Return a client of its API, with the connector's token; its calls do not stand in the journal."""
    headers = {"Authorization": f"Token {TOKEN}", "User-Agent": WHO_ONLY_LOOKS}
    return httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False, limits=NOT_KEPT_ALIVE)


def writer_of(ticket: dict[str, Any]) -> str:
    """Return the id of the person whom a ticket's field says it is about; empty if it is nobody's."""
    return str(ticket["custom_messenger_customer"] or "").rpartition("/")[2]


def every_ticket(http: httpx.Client) -> list[dict[str, Any]]:
    """Return all tickets as the API has them, by id."""
    found: list[dict[str, Any]] = []
    url: str | None = "/api/tickets/?page_size=100"
    while url:
        page = http.get(url).raise_for_status().json()
        found += page["results"]
        url = page["next"]
    return found
