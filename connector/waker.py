"""Sends wake-ups from the web process, off the requests' path: a broker that hangs holds nobody up."""

import queue
import threading
import time
from collections.abc import Sequence

from connector import logs
from tasks.celery import wake

log = logs.get(__name__)

AT_ONCE = 500
PACE = 0.004
"""How long to wait after each wake-up, in seconds: one takes as much time from the doors as ten webhooks, so
that in a flood fewer are sent, which name more threads."""
LONGEST_REST = 0.1


class Waker(threading.Thread):
    """Sends what it is given. While it is busy, threads pile up, and one wake-up then names several."""

    def __init__(self) -> None:
        super().__init__(name="waker", daemon=True)
        self._threads: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __call__(self, threads: Sequence[str]) -> None:
        """Have these threads woken soon."""
        for thread in threads:
            self._threads.put(thread)

    def run(self) -> None:
        """Send wake-ups until `stop`."""
        while (first := self._threads.get()) is not None:
            try:
                sent = wake([first, *self._more()])
                time.sleep(min(PACE * sent, LONGEST_REST))  # meanwhile more threads pile up
            except Exception:
                # Whatever it is, the sweep finds these threads, and the next ones still get their wake-up.
                log.exception("wake_up_not_sent")

    def stop(self) -> None:
        """Send what is left, then end."""
        self._threads.put(None)
        self.join(timeout=5)

    def _more(self) -> list[str]:
        names: list[str] = []
        while len(names) < AT_ONCE and not self._threads.empty():
            name = self._threads.get()
            if name is None:
                self._threads.put(None)
                break
            names.append(name)
        return names
