"""Checks that find something, and the worker that reports it."""

from clients.findings import Finding, finding
from tasks import findings, reports
from tasks.inbox.queues import report_queue
from tests.conftest import PAGE_A
from tests.fakes.world import World

A = f"facebook_messenger:{PAGE_A}"
QUEUE = report_queue(A)
UNSUBSCRIBED = finding("page_not_subscribed")
NO_DESK = finding("desk_missing", desk_id="7")


def ask(world: World, *found: Finding) -> None:
    """Check a page, with what is found."""
    findings.note(world.inbox, A, found)
    reports.request(world.service, A)


def check(world: World, *found: Finding) -> None:
    """Check a page, and let a worker report."""
    ask(world, *found)
    world.resume(QUEUE)
