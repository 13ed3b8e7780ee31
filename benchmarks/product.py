"""The connector's own processes, one by one, beside a store of their own and the stub of both other sides."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psutil
import redis
import yaml

from benchmarks.bodies import PAGE_ID, SECRET
from benchmarks.plain_tasks import PLAIN
from benchmarks.processes import OTHER_CORE, SERVER_CORE, answers_at, server
from connector.cipher import Cipher
from connector.connection import Connection, record_name
from connector.run.valkey import command as valkey_command
from connector.settings import Settings
from sandbox.stack import free_port
from tasks.inbox.inbox import Inbox

QUEUES = "mc:celery:"
"""What begins the names of Celery's queues in the store."""
WEBHOOK_SECRET = "whsec_" + "QUJD" * 8
SECRET_KEY = "QUJD" * 10 + "QUI="
_WORKER = ["-m", "celery", "-A", "tasks", "-q", "worker"]
COMMANDS = {
    "web": ["-m", "connector", "web"],
    "worker": _WORKER,
    "plain worker": [*_WORKER, "-Q", PLAIN, "-I", "benchmarks.plain_tasks"],
    "prefork": _WORKER,
    "beat": ["-m", "celery", "-A", "tasks", "-q", "beat"],
}


@contextmanager
def valkey(
    folder: Path, core: int | None = OTHER_CORE, options: Sequence[str] = ()
) -> Iterator[tuple[redis.Redis, psutil.Process]]:
    """Run the store that the product embeds, with the product's own options: every write is on disk."""
    data, port = folder / "data", free_port()
    data.mkdir(parents=True, exist_ok=True)
    command = [*valkey_command(Settings.model_construct(data_dir=data)), "--port", str(port), *options]
    with redis.Redis(port=port) as client:

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

        with server(command, folder / "valkey.out", core=core, answers=answers) as process:
            yield client, process


class Product:
    """The connector with `pages` pages in its settings, and `added` ones that were added while it ran.

    `settings` is merged over its settings, a level deep.

    Used in a `with` block, at whose end everything stops that was started. `store` is a client of its store,
    `stub` the address of the helpdesk and Graph, `processes` holds what was started by name.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pages: int = 1,
        added: int = 0,
        delay: float = 0.0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self._delay = folder, delay
        self._added = range(pages, pages + added)
        folder.mkdir(parents=True, exist_ok=True)
        self._stub_port, self.port = free_port(), free_port()
        self.stub = f"http://127.0.0.1:{self._stub_port}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.door = f"{self.url}/social_media/webhooks/facebook"
        self.settings_file = folder / "settings.yaml"
        self.processes: dict[str, psutil.Process] = {}
        self._settings = self._with_changes(pages, settings or {})
        self._open = ExitStack()
        self.last_page = str(int(PAGE_ID) + pages + added - 1)

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self.store, process = opened.enter_context(valkey(self.folder))
            self.processes["valkey"] = process
            port = self.store.connection_pool.connection_kwargs["port"]
            self._settings["redis_url"] = f"redis://127.0.0.1:{port}/0"
            self._put(self._added)
            self.settings_file.write_text(yaml.safe_dump(self._settings))
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def change_last_page(self, verify_token: str) -> None:
        """Give the last page that was added another verify token."""
        self._put(self._added[-1:], verify_token=verify_token)

    def _put(self, numbers: Iterable[int], **changes: str) -> None:
        records, cipher = Inbox(self.store).connections, Cipher([SECRET_KEY])
        for number in numbers:
            one = Connection.model_validate(connection(number) | changes)
            records.put(record_name(one.page_id), one.encode(cipher))

    @property
    def broker(self) -> str:
        """Return the address of the store, which is the broker as well."""
        return str(self._settings["redis_url"])

    def waiting(self, queue: str) -> int:
        """Return how many of Celery's messages wait in a queue."""
        return int(self.store.llen(QUEUES + queue))

    @property
    def environment(self) -> dict[str, str]:
        """Return what tells a process of the connector where its settings are."""
        return {"CONNECTOR_SETTINGS": str(self.settings_file)}

    def start(
        self,
        name: str,
        *options: str,
        core: int | None = SERVER_CORE,
        environment: Mapping[str, str] | None = None,
        without: str = "",
    ) -> psutil.Process:
        """Start web, worker, beat or stub; web and stub answer by then.

        Web and worker may be `without` one of the shortcuts of `benchmarks.variants`.
        """
        command, answers = self._command(name)
        if without:
            command = ["-m", "benchmarks.variants", name, without]
        running = server(
            [sys.executable, *command, *options],
            self.folder / f"{name}.log",
            core=core,
            environment=self.environment | dict(environment or {}),
            answers=answers,
        )
        self.processes[name] = self._open.enter_context(running)
        return self.processes[name]

    def _command(self, name: str) -> tuple[list[str], Any]:
        if name == "stub":
            port, delay = str(self._stub_port), str(self._delay)
            return ["-m", "benchmarks.stub", "--port", port, "--delay", delay], answers_at(
                f"{self.stub}/count"
            )
        return COMMANDS[name], answers_at(f"{self.url}/readyz") if name == "web" else lambda: True

    def _with_changes(self, pages: int, changes: Mapping[str, Any]) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "port": self.port,
            "public_url": self.url,
            "log_level": "warning",
            "secret_key": SECRET_KEY,
            # Connections are checked beside the work, however much that is: that is no cost of a message.
            "check_every": 0,
            # Who relays with one POST marks nothing as seen.
            "graph": {"base_url": self.stub, "media_hosts": ["127.0.0.1"], "mark_seen": False},
            "helpdesk": {
                "base_url": f"{self.stub}/api/v1",
                "api_token": "token",
                "webhook_secret": WEBHOOK_SECRET,
            },
            "connections": [connection(number) for number in range(pages)],
        }
        for key, value in changes.items():
            known = settings.get(key)
            settings[key] = known | value if isinstance(known, dict) else value
        return settings


def connection(number: int) -> dict[str, str]:
    """Return the settings of a page; the pages count up from `PAGE_ID` and share one app."""
    return {
        "page_id": str(int(PAGE_ID) + number),
        "page_name": "Sugester",
        "page_access_token": f"EAA{number}",
        "app_secret": SECRET,
        "verify_token": "verify",
        "desk_id": "7",
    }
