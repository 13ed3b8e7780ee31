"""Sends wake-ups from the web process, off the requests' path: a broker that hangs delays no request."""

import queue
import threading

import structlog

from tasks.celery import wake

log = structlog.get_logger(__name__)


class Notifier(threading.Thread):
    """A thread that sends wake-ups, as many as it is asked for, or enough. While it is busy they add up."""

    def __init__(self) -> None:
        super().__init__(name="notifier", daemon=True)
        self._asked: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def __call__(self, queues: int) -> None:
        """Wake workers soon, for so many queues."""
        self._asked.put(queues)

    def run(self) -> None:
        """Send wake-ups until `stop`."""
        while (first := self._asked.get()) is not None:
            try:
                wake(first + self._more())
            except Exception:
                # Whatever it is, the sweep finds these queues, and the next ones still get their wake-up.
                log.exception("wake_up_not_sent")

    def stop(self) -> None:
        """Send what is left, then end."""
        self._asked.put(None)
        self.join(timeout=5)

    def _more(self) -> int:
        queues = 0
        while not self._asked.empty():
            more = self._asked.get()
            if more is None:
                self._asked.put(None)
                break
            queues += more
        return queues
