"""What goes wrong: processes are killed, stopped and ended; both remotes have bad days; floods. Seeded."""

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeVar

import psutil

from tests.chaos.flood import Flood
from tests.chaos.loops import Loop
from tests.chaos.system import LEASE, System

T = TypeVar("T")

KILL, TERM, STOP = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP
VICTIMS: list[tuple[signal.Signals, str, str]] = [
    *(
        (KILL, "web", "parent"),
        (KILL, "store", "parent"),
        (KILL, "store", "parent"),
        (KILL, "beat", "parent"),
    ),
    *((KILL, "worker-1", "parent"), (KILL, "worker-1", "child"), (KILL, "worker-1", "tree")),
    *((KILL, "worker-2", "parent"), (KILL, "worker-2", "child"), (KILL, "worker-2", "pool")),
    *((KILL, "worker-2", "pool"), (KILL, "beat", "child"), (KILL, "worker-2", "tree")),
    *((TERM, "web", "parent"), (TERM, "store", "parent"), (TERM, "beat", "parent")),
    *((TERM, "worker-1", "parent"), (TERM, "worker-2", "child")),
    *((STOP, "web", "parent"), (STOP, "store", "parent")),
    *((STOP, "worker-1", "child"), (STOP, "worker-2", "child"), (STOP, "worker-2", "pool")),
]
"""Signal, part, and which of its processes: the supervisor, Celery under it, a child of its pool, or all."""

CREATES = "/api/v1/tickets*"
SENDS = "/v*/messages"


def _meta_error(code: int, **more: Any) -> dict[str, Any]:
    return {"error": {"message": "no", "type": "OAuthException", "code": code, **more}}


HELPDESK: dict[str, list[dict[str, Any]]] = {
    "is slow": [{"path": "/*", "delay": 0.7}],
    "refuses all (503)": [{"path": "/*", "status": 503}],
    "answers all 500": [{"path": "/*", "status": 500}],
    "answers 500 after it stored": [
        {"path": "/*", "method": "POST", "every": 2, "status": 500, "after": True}
    ],
    "asks to slow down (429)": [{"path": "/*", "every": 5, "status": 429, "headers": {"Retry-After": "2"}}],
    "hangs up after the request": [{"path": "/*", "every": 3, "drop": True, "after": True}],
    "hangs up before the request": [{"path": "/*", "every": 3, "drop": True}],
    "answers too late": [
        {"path": CREATES, "method": "POST", "every": 4, "times": 3, "delay": 21, "after": True}
    ],
}
META: dict[str, list[dict[str, Any]]] = {
    "answers 1/1357046 after it sent": [],
    "echoes before it answers": [],
    "answers 2": [
        {"path": "/v*", "every": 2, "status": 500, "body": _meta_error(2, is_transient=True)},
    ],
    "answers 613": [{"path": SENDS, "every": 3, "status": 400, "body": _meta_error(613)}],
    "hangs up after it sent": [{"path": "/v*", "method": "POST", "every": 2, "drop": True, "after": True}],
    "is away (503)": [{"path": "/v*", "status": 503}],
    "is slow": [{"path": "/*", "delay": 0.5}],
    "answers too late": [{"path": SENDS, "every": 3, "times": 3, "delay": 21, "after": True}],
}
"""Bad days by name: the faults of each, as `sandbox.faults` has them."""

BEHAVIOUR: dict[str, dict[str, Any]] = {
    "answers 1/1357046 after it sent": {"lost_after_send": {"every": 2}},
    "echoes before it answers": {"echo_before_response": 1.0},
}
CALM: dict[str, Any] = {"lost_after_send": None, "echo_before_response": 0.25}


class Havoc:
    """One part of a run: `outage` is for how long the helpdesk stops whole, in seconds, a third into it.

    `pace` is the mean time between two signals to a process, and about that between two bad days, in seconds.
    """

    def __init__(self, system: System, seed: str, *, outage: float, pace: float = 2.5) -> None:
        self._system, self._outage, self._pace = system, outage, pace
        self._random = {
            name: random.Random(f"{seed} {name}") for name in ("signals", "helpdesk", "meta", "flood")
        }
        self._decks: dict[str, Iterator[Any]] = {
            "signals": _deck(self._random["signals"], VICTIMS),
            "helpdesk": _deck(self._random["helpdesk"], [*HELPDESK, "refuses connections"]),
            "meta": _deck(self._random["meta"], list(META)),
        }
        self._floods = Flood(system, seed)
        self._decks["flood"] = _deck(self._random["flood"], list(self._floods.kinds))
        self._desk_in_use = threading.Lock()
        self.recent: list[str] = []
        self.done: Counter[str] = Counter()

    def loops(self, length: float) -> list[Loop]:
        """Return what goes on all the time; the outage comes a third into `length` seconds."""
        outage = iter([length / 3, 0.0])

        def stop_the_helpdesk() -> float:
            wait = next(outage, None)
            if wait == 0.0:
                self._away("is stopped whole", self._outage)
            return wait or 3600.0

        return [
            Loop("the signals", self._strike),
            Loop("the helpdesk's faults", self._helpdesk),
            Loop("Meta's faults", self._meta),
            Loop("the helpdesk's outage", stop_the_helpdesk),
            Loop("the flood", self._flood),
        ]

    def _note(self, where: str, what: str) -> None:
        self.recent.append(f"{where} {what}")
        self._system.journal.note("havoc", what=f"{where} {what}")

    def _strike(self) -> float:
        number, part, which = next(self._decks["signals"])
        chance = self._random["signals"]
        self._system.away[part] = time.monotonic() + chance.choice([0.1, 0.5, 1, 1, 5])
        length = LEASE * chance.uniform(1.3, 2) if "worker" in part else chance.uniform(1, 6)
        for process in self._victims(part, which):
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
                self.done[number.name] += 1
                took = f" for {length:.1f} s" if number == STOP else ""
                self._note(part, f"{which} {process.pid}: {number.name}{took}")
                if number == STOP:
                    self._resume_after(process, part, length)
        return chance.uniform(0.4, 1.6) * self._pace

    def _victims(self, part: str, which: str) -> list[psutil.Process]:
        tree = self._system.tree(part)
        chosen = {"parent": tree[:1], "child": tree[1:2], "pool": tree[2:], "tree": tree}[which]
        return [self._random["signals"].choice(chosen)] if chosen and which == "pool" else chosen

    def _resume_after(self, process: psutil.Process, part: str, seconds: float) -> None:
        def resume() -> None:
            with contextlib.suppress(psutil.Error):
                process.resume()
                self._note(part, f"{process.pid}: SIGCONT")

        timer = threading.Timer(seconds, resume)
        timer.daemon = True
        timer.start()

    def _flood(self) -> float:
        name = next(self._decks["flood"])
        self._note("somebody", name)
        self.done["floods"] += 1
        self._floods.kinds[name]()
        return self._random["flood"].uniform(0.4, 1.6) * self._pace

    def _helpdesk(self) -> float:
        chance, name = self._random["helpdesk"], next(self._decks["helpdesk"])
        with self._desk_in_use:
            if name in HELPDESK:
                self._system.ask_desk("PUT", "/faults", HELPDESK[name])
                self._note("helpdesk", name)
                self.done["bad days of the helpdesk"] += 1
                self._system.closing.wait(chance.uniform(2, 5))  # the length of a bad day
                self._system.ask_desk("DELETE", "/faults")
            else:
                self._stop_desk(name, chance.uniform(2, 5))
        self._note("helpdesk", "is well")
        return chance.uniform(0.2, 1.2) * self._pace

    def _away(self, name: str, seconds: float) -> None:
        with self._desk_in_use:
            self._stop_desk(name, seconds)
        self._note("helpdesk", "is well")

    def _stop_desk(self, name: str, seconds: float) -> None:
        self._system.desk.kill()
        self.done["outages of the helpdesk"] += 1
        self._note("helpdesk", f"{name} for {seconds:.1f} s")
        if not self._system.closing.wait(seconds):  # the length of the outage
            self._system.desk.start()

    def _meta(self) -> float:
        chance, name = self._random["meta"], next(self._decks["meta"])
        self._system.ask_meta("PUT", "/faults", META[name])
        self._system.ask_meta("PUT", "/behaviour", CALM | BEHAVIOUR.get(name, {}))
        self._note("Meta", name)
        self.done["bad days of Meta"] += 1
        self._system.closing.wait(chance.uniform(2, 5))  # the length of a bad day
        self._system.ask_meta("PUT", "/behaviour", CALM)
        self._system.ask_meta("DELETE", "/faults")
        self._note("Meta", "is well")
        return chance.uniform(0.2, 1.2) * self._pace


def _deck(chance: random.Random, cards: list[T]) -> Iterator[T]:
    """Yield all cards in an order of chance, and all of them again, so that each has its turn."""
    while True:
        yield from chance.sample(cards, len(cards))
