"""Workers that fetch what was missed, and what then stands on the tickets."""

from clients.channels.meta.events import CHANNEL
from tasks.inbound import backfill
from tests.conftest import PAGE_A
from tests.fakes.conversation import PSID
from tests.fakes.world import World

ACCOUNT = f"{CHANNEL}:{PAGE_A}"


def fetch(world: World) -> None:
    backfill.take_turn(world.service)


def relay(world: World, *people: str) -> None:
    for person in people or [PSID]:
        while world.waiting(queue := f"in:{ACCOUNT}:{person}"):
            world.resume(queue)


def bodies(world: World) -> list[str]:
    """Return what stands on all tickets, the ticket's own text first."""
    shown = []
    for ticket in world.desk.tickets.values():
        shown += [ticket.new.body] if ticket.new else []
        shown += [comment.body for comment in ticket.comments]
    return shown
