"""The switches of what goes wrong: each does it to the demo, and says what that means for messages."""

import time
from threading import Lock
from typing import Any

import httpx
import psutil

from sandbox.playground.meta import Meta
from sandbox.stack import Stack, until

WINDOW = 24  # hours
SLOW = 3.0
"""How many seconds each call of the Graph API takes longer."""
SLOW_FAULT = {"path": "/v*", "delay": SLOW}
SWITCHES = {
    "helpdesk": ("Helpdesk down", "its process is stopped"),
    "token": ("Token expired", "Meta refuses it: error 190"),
    "window": ("Reply window closed", "25 hours pass for this customer"),
    "slow": ("Meta slow", f"{SLOW:g} s more for each call"),
}
"""What they are called, and what they do."""
SAYS = {
    "helpdesk": "The helpdesk is stopped. What customers write waits in the connector, in order, and stands"
    " on the ticket soon after the helpdesk is back.",
    "token": "Meta refuses the pages' tokens. Replies wait, the agent is told so by an internal note, and"
    " what waits leaves within half a minute after the token works again.",
    "window": "The customer's last message is 25 hours old, and Meta lets a page reply for 24. An agent who"
    " replies now is told so by an internal note. A new message of the customer opens the window again.",
    "slow": f"Each call of the Graph API takes {SLOW:g} s longer. Webhooks are answered as fast as ever.",
}


class Faults:
    """What goes wrong at present. Used from many threads; one switch is turned at a time."""

    def __init__(self, stack: Stack, meta: Meta) -> None:
        self._stack, self._meta = stack, meta
        self._lock, self._is_closed = Lock(), False
        self._on: set[str] = set()
        self._killed = ""

    def close(self) -> None:
        """Wait for a switch that is being turned, and turn none any more: the stack stops next."""
        with self._lock:
            self._is_closed = True

    def shown(self, wrote_at: int | None) -> list[dict[str, Any]]:
        """Return the switches, for a customer who wrote last at this time (ms)."""
        closed_at = (wrote_at or 0) + WINDOW * 3_600_000
        is_on = {
            "helpdesk": "helpdesk" in self._on,
            "token": "token" in self._on,
            "window": wrote_at is not None and closed_at < time.time() * 1000,
            "slow": any(SLOW_FAULT.items() <= fault.items() for fault in self._meta.ask("GET", "/faults")),
        }
        return [
            {"name": name, "title": title, "hint": hint, "on": on, "says": SAYS[name] if on else ""}
            for name, (title, hint) in SWITCHES.items()
            for on in [is_on[name]]
        ]

    @property
    def killed(self) -> str:
        """Say what became of the worker that was killed last."""
        return self._killed

    def turn(self, name: str, page_id: str, psid: str, *, on: bool) -> None:
        """Turn a switch. Raises `KeyError` for one that there is not, `Refused`, `NeverHappened`."""
        turn = {
            "helpdesk": self._turn_helpdesk,
            "token": self._turn_token,
            "window": lambda *, on: self._turn_window(page_id, psid, on=on),
            "slow": self._turn_slow,
        }[name]
        with self._lock:
            if not self._is_closed:
                turn(on=on)

    def _turn_helpdesk(self, *, on: bool) -> None:
        if on == ("helpdesk" in self._on):
            return
        if on:
            self._on.add("helpdesk")
            self._stack.desk.stop()
            return
        self._stack.desk.start()
        until("the helpdesk answers", lambda: self._stack.http.get(self._stack.desk_url))
        self._on.discard("helpdesk")

    def _turn_token(self, *, on: bool) -> None:
        grant = {"expires_at": int(time.time()) - 60} if on else {}
        for page in self._stack.pages:
            self._meta.ask("PUT", f"/pages/{page.page_id}/token", grant)
        (self._on.add if on else self._on.discard)("token")

    def _turn_window(self, page_id: str, psid: str, *, on: bool) -> None:
        hours = WINDOW + 1 if on else -WINDOW - 1
        self._meta.ask("POST", f"/pages/{page_id}/people/{psid}/age", {"hours": hours})

    def _turn_slow(self, *, on: bool) -> None:
        self._meta.ask("PUT", "/faults", [SLOW_FAULT] if on else [])

    def kill_worker(self) -> dict[str, int]:
        """Kill the connector's worker outright. Return its process, and the one that is started instead."""
        with self._lock:
            victim, began = until("the worker runs", self._worker), time.monotonic()
            victim.kill()

            def successor() -> psutil.Process | None:
                found = self._worker()
                return found if found and found.pid != victim.pid else None

            started = until("another worker is started", successor)
            seconds = time.monotonic() - began
            self._killed = (
                f"Process {victim.pid} was ended by kill -9; the supervisor started {started.pid} within"
                f" {seconds:.1f} s. What the worker was doing is in the store, and is taken up again."
            )
            return {"killed": victim.pid, "started": started.pid}

    def _worker(self) -> psutil.Process | None:
        children = psutil.Process(self._stack.connector.popen.pid).children()
        return next((child for child in children if _is_worker(child)), None)


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "worker" in process.cmdline()
    except psutil.Error:
        return False


def unreachable(error: httpx.TransportError) -> str:
    """Say which server does not answer."""
    port = error.request.url.port
    return f"Nothing answers at port {port} ({type(error).__name__})."
