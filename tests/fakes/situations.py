"""Situations: a webhook of Meta's, and beside it the comments that it becomes, as a person reads them.

Before each the customer wrote "Where is my parcel?" (`m_AAA`) on an open ticket, and the page answered "It
arrives tomorrow." (`m_page`), so that both can be quoted.
"""

from pathlib import Path

from clients.channel import Receipt
from clients.channels.meta import events
from clients.helpdesk import NewComment
from tests.conftest import PAYLOADS, payload
from tests.fakes.conversation import SENT_AT
from tests.fakes.world import World

_FOLDER = PAYLOADS / "messenger"
SITUATIONS = sorted(path.stem for path in _FOLDER.glob("*.json"))


def path_of(name: str) -> Path:
    """Return where the comments of a situation stand."""
    return _FOLDER / f"{name}.md"


def shown(world: World, name: str) -> str:
    """Let a situation happen, and return what the agents see of it."""
    begin(world)
    (ticket,) = world.desk.tickets.values()
    before = dict(enumerate(ticket.comments))
    happen(world, name)
    changed = [_shown(one) for number, one in enumerate(ticket.comments) if before.get(number) != one]
    return "\n---\n\n".join([_what_becomes(name), *changed])


def begin(world: World) -> None:
    """Let happen what happens before each situation."""
    world.media.content_type = ""
    world.meta.said["m_page"] = "It arrives tomorrow."
    world.receive("m_0", "Hello", at=SENT_AT - 100_000)
    world.receive("m_AAA", "Where is my parcel?", at=SENT_AT - 90_000)
    world.work()


def happen(world: World, name: str) -> None:
    """Let a situation happen."""
    world.receive_body(payload(f"messenger/{name}"))
    world.work()


def _what_becomes(name: str) -> str:
    """Say of each event in a webhook whether it opens a ticket."""
    entries = events.Envelope(payload(f"messenger/{name}")).entries()
    items = [item for entry in entries for item in entry.events()]
    lines = []
    for item in items:
        event = events.parse(item.body)
        if item.is_receipt:
            becomes = f"a receipt ({event.status})" if isinstance(event, Receipt) else "a receipt of nothing"
        elif item.echo_metadata:
            becomes = "an echo of the connector's own, which is not shown"
        elif not item.conversation:
            becomes = "about no person, kept for the operator" if item.is_notable else "about no person"
        else:
            assert not isinstance(event, Receipt)
            becomes = "opens a ticket" if event.opens_ticket else "joins an open ticket"
        lines.append(f"{item.kind}: {becomes}")
    return "\n".join(lines or ["nothing for a ticket"]) + "\n"


def _shown(comment: NewComment) -> str:
    kind = "internal comment" if comment.internal else "comment"
    files = "".join(f"file {id_}\n" for id_ in comment.attachment_ids)
    at = f"{comment.created_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{kind} by {comment.author.name} ({comment.author.type}), {at}\n{files}\n{comment.body}\n"
