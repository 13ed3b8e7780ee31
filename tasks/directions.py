"""The kinds of queues, and what is done with the jobs of each."""

from collections.abc import Callable
from dataclasses import dataclass

from clients.notices import Notice
from tasks import erasures, reports
from tasks.inbound import earlier, ticket
from tasks.inbox.queues import direction_of
from tasks.outbound import reply
from tasks.outbound.jobs import UnknownJob
from tasks.work import Work


@dataclass(frozen=True, slots=True)
class Direction:
    """One kind of queue: how its jobs are done, and how agents are notified of one that cannot be."""

    relay: Callable[[Work], None]
    notify: Callable[[Work, Notice], None]


DIRECTIONS = {
    "in": Direction(ticket.relay, earlier.notify),
    "out": Direction(reply.relay, reply.notify),
    "ticket": Direction(reply.find_person, reply.notify),
    "erase": Direction(erasures.relay, erasures.notify),
    "match": Direction(erasures.match, erasures.note_unmatched),
    "report": Direction(reports.relay, reports.notify),
}


def of(work: Work) -> Direction:
    """Return what is done with a queue's jobs. Raises `UnknownJob`."""
    direction = direction_of(work.lease.queue)
    try:
        return DIRECTIONS[direction]
    except KeyError:
        raise UnknownJob("unknown_queue", direction=direction) from None
