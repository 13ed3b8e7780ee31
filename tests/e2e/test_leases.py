"""A worker dies, or is stopped, in the middle of a call: another goes on soon, and nothing is done twice."""

import itertools
import signal
import time
from collections.abc import Iterator
from functools import partial

import psutil
import pytest

from sandbox.stack import until
from tests.chaos.system import System

LEASE = 3.0
CREATE = {"method": "POST", "path": "/api/v1/tickets", "times": 1}
SEND = {"method": "POST", "path": "/v*/messages", "times": 1}
WORKERS = {"threads": ("worker-1", "worker-2"), "prefork": ("worker-2", "worker-1")}
numbers = itertools.count()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("system"), lease=LEASE, echo_wait=LEASE) as running:
        # No key protects the creates: only looking before repeating does.
        running.ask_desk("PUT", "/settings", {"honour_idempotency": False})
        for name in ("worker-1", "worker-2"):
            until(f"{name} runs", partial(has_child, running, name))
        yield running


@pytest.fixture
def psid(system: System) -> Iterator[str]:
    yield f"7900000000{next(numbers):06}"
    system.resume()
    system.ask_desk("DELETE", "/faults")
    system.ask_meta("DELETE", "/faults")
    until("nothing is on its way", system.is_quiet)


def has_child(system: System, worker: str) -> bool:
    return len(system.tree(worker)) > 1


def send_signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        process.send_signal(number)


def only(system: System, worker: str) -> None:
    """Let one worker alone do the work."""
    other = next(name for name in ("worker-1", "worker-2") if name != worker)
    send_signal(system.tree(worker)[1:], signal.SIGCONT)
    send_signal(system.tree(other)[1:], signal.SIGSTOP)


def until_hit(system: System, server: str) -> None:
    ask = system.ask_desk if server == "helpdesk" else system.ask_meta
    until(f"the {server} was called", lambda: ask("GET", "/faults")[0]["hits"])


def stop_in_the_call(system: System, victim: str, other: str, server: str) -> None:
    """Stop a worker while it waits for a server, until the other worker has done its work."""
    until_hit(system, server)
    only(system, other)
    until("the other worker is done with it", system.is_quiet)
    only(system, victim)


def bodies(system: System, psid: str) -> list[str]:
    return [entry["body"] for ticket in system.tickets(psid) for entry in (ticket, *ticket["comments"])]


@pytest.mark.parametrize("pool", WORKERS)
def test_a_killed_workers_queue_goes_on_within_its_lease_and_two_seconds(
    system: System, psid: str, pool: str
) -> None:
    victim, other = WORKERS[pool]
    only(system, victim)
    system.ask_desk("PUT", "/faults", [CREATE | {"delay": 30}])
    system.write(psid, text="hello")
    until_hit(system, "helpdesk")
    send_signal(system.tree(other)[1:], signal.SIGCONT)
    # Of a pool, the children do the work and hold the leases.
    tree = system.tree(victim)
    send_signal(tree[2:] or tree[1:], signal.SIGKILL)
    killed = time.monotonic()

    until("the person has their ticket", lambda: bodies(system, psid) == ["hello"])
    assert time.monotonic() - killed <= LEASE + 2


@pytest.mark.parametrize("pool", WORKERS)
def test_a_worker_stopped_for_longer_than_its_lease_in_a_create_creates_nothing_twice(
    system: System, psid: str, pool: str
) -> None:
    victim, other = WORKERS[pool]
    only(system, victim)
    system.ask_desk("PUT", "/faults", [CREATE | {"delay": 1}])
    system.write(psid, text="first")
    stop_in_the_call(system, victim, other, "helpdesk")
    system.write(psid, text="second")

    until("the stopped worker goes on", lambda: "second" in bodies(system, psid))
    assert bodies(system, psid) == ["first", "second"]


@pytest.mark.parametrize("pool", WORKERS)
def test_a_worker_stopped_for_longer_than_its_lease_in_a_send_sends_nothing_twice(
    system: System, psid: str, pool: str
) -> None:
    victim, other = WORKERS[pool]
    system.write(psid, text="hello")
    ticket = until("a ticket", lambda: system.tickets(psid))[0]
    until("nothing is on its way", system.is_quiet)
    only(system, victim)
    system.ask_meta("PUT", "/faults", [SEND | {"delay": 1}])
    system.reply(ticket["id"], "first")
    stop_in_the_call(system, victim, other, "Meta")
    system.reply(ticket["id"], "second")

    until("the stopped worker goes on", lambda: "second" in texts(system, psid))
    assert texts(system, psid) == ["first", "second"]


def texts(system: System, psid: str) -> list[str]:
    return [message["text"] for message in system.received(psid)]
