"""The deployment: web, two workers, beat and a Valkey as an operator runs them, and who starts them again."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import redis

from connector.run.valkey import binary
from sandbox.journal import Journal
from sandbox.stack import Process, Stack, free_port, until
from tests.chaos.loops import Loop

LEASE = 5.0
WORKER = {"lease": LEASE, "echo_wait": 5, "attempts": 15, "retry_max": 5}
"""Settings that let a wait end within a minute."""
# The package is meant to fake the time within Python; its library does so for a whole process.
_LIBRARY = Path(str(find_spec("libfaketime").origin)).parent / "vendor/libfaketime/src/libfaketime.so.1"  # type: ignore[union-attr]
FAKED = {"LD_PRELOAD": str(_LIBRARY), "DONT_FAKE_MONOTONIC": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
POOLS = {
    "worker-1": {"CONNECTOR_WORKER__POOL": "threads", "CONNECTOR_WORKER__CONCURRENCY": "16"},
    "worker-2": {"CONNECTOR_WORKER__POOL": "prefork", "CONNECTOR_WORKER__CONCURRENCY": "4"},
}


class System(Stack):
    """A stack whose connector runs part by part, as on several machines, with a Valkey of its own.

    `clocks` tells by how many seconds the clocks of parts are ahead, as if each ran on another machine.
    An init system starts each part again that ended, `delay` seconds later; `away` holds one of them back
    until a moment of the monotonic clock. `havoc.jsonl` in the folder takes down what was done to it.
    """

    def __init__(
        self,
        folder: Path,
        fsync: str = "always",
        *,
        clocks: Mapping[str, float] | None = None,
        **worker: Any,
    ) -> None:
        port = free_port()
        settings = {"redis_url": f"redis://127.0.0.1:{port}/0", "worker": WORKER | worker}
        super().__init__(folder, settings=settings)
        self.store_port = port
        self.fsync, self.delay = fsync, 0.3
        self._clocks = clocks or {}
        self.parts: dict[str, Process] = {}
        self.away: dict[str, float] = {}
        self.journal = Journal(folder / "havoc.jsonl")
        self.redis = redis.Redis(port=self.store_port, socket_timeout=2, decode_responses=True)
        self.closing = threading.Event()
        self._keeper = Loop("the init system", self._look_after_parts)

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.resume()
        super().__exit__()
        for process in self.own_processes():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def start_connector(self) -> None:
        """Start the store, then everything that needs it."""
        self.parts["store"] = self.process("store", self._store_command())
        until("the store answers", self.store_answers)
        connector = [sys.executable, "-m", "connector"]
        self.parts["web"] = self.process("web", [*connector, "web"], **self._clock("web"))
        for name, pool in POOLS.items():
            self.parts[name] = self.process(name, [*connector, "worker"], **pool, **self._clock(name))
        self.parts["beat"] = self.process("beat", [*connector, "beat"], **self._clock("beat"))
        self._keeper.start()

    def _clock(self, part: str) -> dict[str, str]:
        """Return the environment that sets a part's clock wrong."""
        ahead = self._clocks.get(part, 0)
        return FAKED | {"FAKETIME": f"{ahead:+}"} if ahead else {}

    def stop_connector(self) -> None:
        """Stop all parts, the store last."""
        if self._keeper.is_alive():
            self._keeper.stop()
        store = self.parts.pop("store", None)
        for process in self.parts.values():
            process.popen.terminate()
        for process in [*self.parts.values(), *([store] if store else [])]:
            process.stop()

    def _store_command(self) -> list[str]:
        folder = self.folder / "store"
        folder.mkdir(exist_ok=True)
        options = {
            "port": str(self.store_port),
            "bind": "127.0.0.1",
            "dir": str(folder.resolve()),
            "appendonly": "yes",
            "appendfsync": self.fsync,
            "save": "",
        }
        return [binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def sync(self, fsync: str) -> None:
        """Have the store, and each that is started later, write its file in another way."""
        self.fsync = fsync
        self.redis.config_set("appendfsync", fsync)
        self.parts["store"].command = self._store_command()

    def _look_after_parts(self) -> float:
        for name, process in self.parts.items():
            if process.popen.poll() is None:
                continue
            back_at = self.away.setdefault(name, time.monotonic() + self.delay)
            if time.monotonic() >= back_at:
                del self.away[name]
                process.start()
                self.journal.note("started", what=name)
        return 0.05

    def store_answers(self) -> bool:
        """Tell whether the store has its data loaded and answers."""
        try:
            return bool(self.redis.ping())
        except redis.RedisError:
            return False

    def tree(self, part: str) -> list[psutil.Process]:
        """Return a part's processes that run: a supervisor, Celery, the children of its pool."""
        try:
            top = psutil.Process(self.parts[part].popen.pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def own_processes(self) -> Iterator[psutil.Process]:
        """Yield every process of this run, those without their parent too."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("CONNECTOR_SETTINGS") == str(self.settings_file):
                    yield process

    def resume(self) -> None:
        """Let every process of this run go on that was stopped."""
        for process in self.own_processes():
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)

    def calm(self) -> None:
        """Lift every fault, and wait until every part runs."""
        self.resume()
        self.away.clear()
        until("the helpdesk answers", lambda: self.ask_desk("GET", "/webhooks"))
        self.ask_desk("DELETE", "/faults")
        self.ask_meta("DELETE", "/faults")
        self.ask_meta("PUT", "/behaviour", {"lost_after_send": None, "echo_before_response": 0.25})
        until("all parts run", lambda: all(one.popen.poll() is None for one in self.parts.values()))
        self.wait_until_ready()
        self.journal.note("calm", what="all faults are lifted")

    def is_quiet(self) -> bool:
        """Tell whether nothing is on its way: not at Meta, not at the helpdesk, not in the connector."""
        try:
            return not (
                self.ask_meta("GET", "/webhooks")["waiting"]
                or self.ask_desk("GET", "/webhooks")["waiting"]
                or self.redis.zcard("mc:oldest")
            )
        except redis.RedisError:
            return False
