"""The load: customers who write, agents who reply and close tickets; many at once, in bursts, with files."""

import hashlib
import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sandbox.samples import Sample, document, photo
from tests.chaos.loops import Loop
from tests.chaos.system import System


@dataclass(frozen=True)
class Written:
    """What a customer wrote; `files` are SHA-256 in hex, `at` is Meta's time in ms."""

    psid: str
    mid: str
    text: str
    files: list[str]
    at: int


class People:
    """Customers and agents of one part of a run; `rate` is how many messages they write a second."""

    def __init__(self, system: System, seed: str, *, group: int, rate: float, senders: int = 100) -> None:
        self._system, self._random, self._rate = system, random.Random(seed), rate
        self._agents = random.Random(f"{seed} agents")
        self.psids = [f"7{group}00000000{number:06}" for number in range(senders)]
        self.written: dict[str, list[Written]] = {}
        self._numbers = itertools.count(1)

    @property
    def total(self) -> int:
        """Return how many messages were written."""
        return sum(map(len, self.written.values()))

    def loops(self) -> list[Loop]:
        """Return what they do all the time."""
        return [Loop("the customers", self.write), Loop("the agents", self.work)]

    def write(self) -> float:
        """Have some customers write a few messages each, at once."""
        writers = self._random.sample(self.psids, self._random.randint(1, max(1, len(self.psids) // 5)))
        count = sum(self.say(psid, self._random.choice([1, 1, 2, 5])) for psid in writers)
        return count / self._rate * self._random.uniform(0.5, 1.5)

    def say(self, psid: str, count: int) -> int:
        """Have a customer write a few messages at once. Return how many."""
        orders, files = [], []
        for number in itertools.islice(self._numbers, count):
            files.append(self._files(number))
            shown = [file.as_json() for file in files[-1]]
            orders.append({"text": f"message {number:05} of {psid}", "files": shown})
        path = f"/pages/{self._system.pages[0].page_id}/people/{psid}/messages:batch"
        for order, sent, told in zip(orders, files, self._system.ask_meta("POST", path, orders), strict=True):
            hashes = [hashlib.sha256(file.data).hexdigest() for file in sent]
            written = Written(psid, told["mid"], str(order["text"]), hashes, told["timestamp"])
            self.written.setdefault(psid, []).append(written)
        return count

    def _files(self, number: int) -> list[Sample]:
        chance = self._random.random()
        files = (
            [photo(f"photo-{number}.png", blue=number % 256, side=32 + number % 61)] if chance < 0.1 else []
        )
        return [*files, document(f"order-{number}.pdf", f"Order {number}")] if chance < 0.05 else files

    def work(self) -> float:
        """Have some agents each look after one customer, at once."""
        psids = self._agents.sample(sorted(self.written), min(len(self.written), self._agents.randint(1, 8)))
        orders = [self._order(psid) for psid in psids]
        with ThreadPoolExecutor(8) as agents:
            done = sum(agents.map(self._look_after, psids, orders))
        return max(1, done) / self._rate * self._agents.uniform(1.5, 3)

    def _order(self, psid: str) -> dict[str, Any] | None:
        """Return what the agent comments; None to close the ticket."""
        number, chance = next(self._numbers), self._agents.random()
        if chance < 0.1:
            return None
        text = f"reply {number} to {psid}"
        files = []
        if chance < 0.2:
            text = "\n\n".join(f"Paragraph {n} of {text}. " + "word " * 300 for n in range(3)).strip()
        if 0.18 < chance < 0.3:
            files = [photo(f"map-{number}.png", blue=number % 256), document(f"bill-{number}.pdf", text[:40])]
        return {"body": text, "files": [file.as_json() for file in files[: 1 + number % 2]]}

    def _look_after(self, psid: str, order: dict[str, Any] | None) -> bool:
        tickets = [one for one in self._system.tickets(psid) if not one["closed"]]
        if not tickets:
            return False
        path = f"/tickets/{tickets[-1]['id']}"
        self._system.ask_desk("POST", f"{path}/comments" if order else f"{path}/close", order)
        return True
