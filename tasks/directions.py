"""The three kinds of queues, and what is done with the jobs of each."""

from collections.abc import Callable
from dataclasses import dataclass

from clients.notices import Notice
from tasks.inbound import earlier, ticket
from tasks.inbox.lease import Lease
from tasks.inbox.queues import direction_of
from tasks.outbound import reply
from tasks.outbound.jobs import UnknownJob
from tasks.services import Services


@dataclass(frozen=True, slots=True)
class Direction:
    """One kind of queue: how its jobs are done, and how agents are notified of one that cannot be."""

    relay: Callable[[Services, Lease], None]
    notify: Callable[[Services, Lease, Notice], None]


DIRECTIONS = {
    "in": Direction(ticket.relay, earlier.notify),
    "out": Direction(reply.relay, reply.notify),
    "ticket": Direction(reply.find_person, reply.notify),
}


def of(lease: Lease) -> Direction:
    """Return what is done with a queue's jobs. Raises `UnknownJob`."""
    try:
        return DIRECTIONS[direction_of(lease.queue)]
    except KeyError:
        raise UnknownJob("unknown_queue", direction=direction_of(lease.queue)) from None
