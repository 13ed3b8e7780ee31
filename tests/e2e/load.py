"""Load: many senders who write at once, and the ledger that tells what became of it."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil

from sandbox.stack import Stack, until

RESTLESS = {
    "duplicate": 0.2,
    "late": 0.05,
    "duplicate_delay": [0.0, 0.3],
    "batch": 10,
    "shuffle": True,
    "receipts": False,
    "retry_waits": [0.0, 0.2, 0.5, 1.0],
}
"""A Meta that redelivers, late too, and that mixes the threads in its bodies."""

RELAYED = 'connector_events_total{outcome="relayed:in"}'
numbers = itertools.count(700)


@dataclass
class Ledger:
    """What its own senders wrote, and what of it stands in the helpdesk."""

    stack: Stack
    written: dict[str, list[str]] = field(default_factory=dict)
    prefix: str = field(default_factory=lambda: f"{next(numbers)}00000000")

    def __post_init__(self) -> None:
        self.relayed_before = max(0.0, metric(self.stack, RELAYED))
        self.failed_before = self._failed_webhooks()

    def _failed_webhooks(self) -> int:
        return int(self.stack.ask_meta("GET", "/webhooks")["failed_attempts"])

    def write(self, senders: int, messages: int) -> None:
        """Have many people write a number of messages each, a few at a time and all at once."""
        for first in range(0, messages, 5):
            for sender in range(senders):
                self._write(f"{self.prefix}{sender:05}", range(first, min(first + 5, messages)))

    def _write(self, psid: str, numbers: range) -> None:
        texts = [f"message {number:03} of {psid}" for number in numbers]
        path = f"/pages/{self.stack.pages[0].page_id}/people/{psid}/messages:batch"
        self.stack.ask_meta("POST", path, [{"text": text} for text in texts])
        self.written.setdefault(psid, []).extend(texts)

    @property
    def total(self) -> int:
        """Return how many messages were written."""
        return sum(map(len, self.written.values()))

    def arrived(self, *, by_time: bool = False) -> dict[str, list[str]]:
        """Return what stands in the helpdesk, by sender, as it stands there or by the time it was sent at."""
        found: dict[str, list[str]] = {}
        for ticket in self.stack.tickets():
            entries = [ticket, *ticket["comments"]]
            if by_time:
                entries.sort(key=lambda entry: str(entry["created_at"]))
            found.setdefault(ticket["config"]["sender_id"], []).extend(entry["body"] for entry in entries)
        return found

    def wait_for_share(self, share: float) -> None:
        """Wait until a share of all messages has arrived."""
        wanted = self.relayed_before + share * self.total
        until(f"{share:.0%} arrived", lambda: metric(self.stack, RELAYED) >= wanted, 120)

    def wait_until_quiet(self) -> None:
        """Wait until nothing is on its way any more: not at Meta, not in the connector."""
        until("Meta has delivered all", lambda: self.stack.ask_meta("GET", "/webhooks")["waiting"] == 0, 120)
        until("the inbox is empty", lambda: metric(self.stack, "connector_queues") == 0, 120)

    def faults(self) -> Iterator[str]:
        """Yield what is lost, doubled or out of order.

        While a door is away, or slow, Meta itself sends later messages before it repeats the failed ones.
        Those that were relayed by then stay where they are; every comment carries the time of its writing.
        """
        arrived = self.arrived(by_time=self._failed_webhooks() > self.failed_before)
        for psid, texts in self.written.items():
            found = arrived.get(psid, [])
            yield from (f"lost: {text}" for text in texts if text not in found)
            yield from (f"doubled: {text}" for text in set(found) if found.count(text) > 1)
            if sorted(found) == sorted(texts) and found != texts:
                yield f"out of order: {psid}: {found}"
        tickets = [ticket["config"]["sender_id"] for ticket in self.stack.tickets()]
        yield from (f"two tickets: {psid}" for psid in set(tickets) if tickets.count(psid) > 1)


def restless(stack: Stack) -> Ledger:
    """Return a ledger while Meta is restless and no key protects the creates: only looking first does."""
    stack.ask_desk("PUT", "/settings", {"honour_idempotency": False})
    stack.ask_meta("PUT", "/behaviour", RESTLESS)
    return Ledger(stack)


def metric(stack: Stack, name: str) -> float:
    """Read a figure from `/metrics`; -1 if it is not there."""
    lines = stack.metrics().splitlines()
    values = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")]
    return float(values[0]) if values else -1


def part(stack: Stack, name: str) -> psutil.Process:
    """Return the running process of a part of the connector, once there is one."""
    words = {"store": "valkey-server", "web": "connector web", "worker": "worker -n", "beat": "-q beat"}

    def find() -> psutil.Process | None:
        children = psutil.Process(stack.connector.popen.pid).children()
        return next((child for child in children if words[name] in _command(child)), None)

    return until(f"{name} runs", find)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill(stack: Stack, name: str) -> None:
    """Kill a part outright, and wait until the supervisor has started it again."""
    victim = part(stack, name)
    victim.kill()
    until(f"{name} is started again", lambda: part(stack, name).pid != victim.pid)
