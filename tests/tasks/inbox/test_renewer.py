"""Leases at work: they are renewed, and a worker that lost one does nothing more."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from sandbox.stack import until
from tasks.inbox.inbox import Inbox
from tasks.inbox.lease import Lease
from tasks.inbox.renewer import Renewer
from tasks.inbox.script import InboxScript
from tests.fakes.conversation import IN, INVOICE, OUT
from tests.fakes.world import World


def _lose_lease(world: World, queue: str) -> None:
    """Let another worker take a queue over."""
    world.pass_time(queue)
    assert Inbox(world.store).claim(queue)


def test_a_worker_that_lost_its_lease_leaves_the_event_alone(world: World) -> None:
    world.receive()
    world.desk.hooks["find_open_ticket"] = lambda: _lose_lease(world, IN)
    world.work()

    assert world.head().attempts == 0
    assert world.head().reasons == []
    assert world.desk.count("create_ticket") == 0
    assert not world.paused()


@pytest.mark.parametrize("failures", [1, 1000])
def test_a_worker_whose_store_fails_leaves_the_event_alone(world: World, failures: int) -> None:
    world.receive()
    world.desk.hooks["find_open_ticket"] = lambda: setattr(world.fused, "failures", failures)

    world.work()

    assert world.head().attempts == 0
    assert world.head().reasons == []
    assert world.desk.count("create_ticket") == 0


def test_after_a_lease_was_lost_the_event_is_relayed_once(world: World) -> None:
    world.receive()
    world.desk.hooks["find_open_ticket"] = lambda: _lose_lease(world, IN)
    world.work()
    world.desk.hooks.clear()
    world.resume()

    assert list(world.desk.tickets) == ["t1"]
    assert world.waiting() == 0


def test_a_queue_that_another_works_on_is_left_alone(world: World) -> None:
    world.receive()
    _lose_lease(world, IN)

    assert world.work() is False
    assert world.meta.calls == []


@pytest.fixture
def brisk(world: World) -> Renewer:
    """Give the renewer of a worker whose leases last for a second."""
    world.configure(worker={"lease": 1})
    return world.service.renewer


def test_a_lease_is_renewed_while_a_step_takes_long(world: World, brisk: Renewer) -> None:
    seen = set[bytes]()

    def renewed_often() -> bool:
        seen.add(world.store.hget(f"mc:lease:{IN}", "until"))
        assert world.inbox.claim(IN) is None
        return len(seen) > 5

    world.receive()
    world.desk.hooks["create_ticket"] = lambda: until("the lease was renewed", renewed_often)
    world.work()

    assert list(world.desk.tickets) == ["t1"]
    assert world.waiting() == 0
    assert brisk._leases == set()


def test_a_call_does_not_go_out_once_the_lease_is_lost(world: World, brisk: Renewer) -> None:
    def lose() -> None:
        _lose_lease(world, OUT)
        (lease,) = brisk._leases
        until("the renewer found the lease lost", lambda: lease.deadline == 0)

    world.reply("", INVOICE)
    world.desk.hooks["open_attachment"] = lose
    world.work(OUT)

    assert world.meta.calls == []
    assert world.waiting(OUT) == 1


def test_a_call_does_not_go_out_after_the_worker_was_stopped_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases: list[Lease] = []

    @contextmanager
    def never_renewed(lease: Lease) -> Iterator[None]:
        leases.append(lease)
        yield

    monkeypatch.setattr(world.service.renewer, "renewed", never_renewed)
    world.reply("", INVOICE)
    world.desk.hooks["open_attachment"] = lambda: setattr(leases[0], "deadline", time.monotonic() - 1)
    world.work(OUT)

    assert world.meta.calls == []
    assert world.head(OUT).attempts == 0


class Flaky(InboxScript):
    """A script whose first renewal fails."""

    renewals = 0

    def run(self, name: str, *arguments: Any) -> Any:
        """Fail the first time."""
        if name == "renew":
            self.renewals += 1
            if self.renewals == 1:
                raise redis.ConnectionError
        return super().run(name, *arguments)


def test_the_renewer_goes_on_after_a_fault_of_the_store(world: World) -> None:
    inbox, flaky = Inbox(world.store), Flaky(world.store, "mc:")
    inbox._script = flaky
    world.receive()
    lease = inbox.claim(IN)
    assert lease
    before = lease.deadline
    with Renewer(0.01, lambda: None).renewed(lease):
        until("the lease is renewed", lambda: lease.deadline > before)

    assert flaky.renewals > 1


def test_a_lease_is_out_of_the_renewers_care_when_the_work_ends(world: World) -> None:
    world.receive()
    lease = world.inbox.claim(IN)
    assert lease
    made = Renewer(10, lambda: None)
    with made.renewed(lease):
        assert made._leases == {lease}

    assert made._leases == set()
