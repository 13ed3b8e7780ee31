"""Things that happen again and again, beside each other, until they are told to stop."""

import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import httpx

from sandbox.stack import NeverHappened


class Loop(threading.Thread):
    """Calls `act`, waits for as many seconds as it returns, and so on.

    A sandbox server that does not answer only costs a turn: it may be down on purpose.
    """

    def __init__(self, name: str, act: Callable[[], float]) -> None:
        super().__init__(name=name, daemon=True)
        self._act, self._told = act, threading.Event()
        self.error = ""

    def run(self) -> None:
        wait = 0.0
        while not self._told.wait(wait):
            try:
                wait = self._act()
            except httpx.TransportError:
                wait = 0.2
            except Exception:  # noqa: BLE001 - it is raised where the loop is stopped
                self.error = traceback.format_exc()
                return

    def tell(self) -> None:
        """Have it end after the turn that is on."""
        self._told.set()

    def stop(self) -> None:
        """Wait until it has ended. Raises `NeverHappened` if it had ended before."""
        self.tell()
        self.join()
        if self.error:
            raise NeverHappened(f"{self.name} went on:\n{self.error}")


@contextmanager
def running(loops: Sequence[Loop]) -> Iterator[None]:
    """Run loops remote by remote. If something goes wrong, nobody waits for them."""
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.tell()
    for loop in loops:
        loop.stop()
