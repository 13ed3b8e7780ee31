"""The trouble of an account with its channel, such as a block: it is told with each reply that fails."""

from clients.channel import Event, OtherEvent
from clients.notices import Notice, decode, encode
from tasks.inbox.queues import account_of
from tasks.work import Work

TOLD_FOR = 30 * 24 * 3600
"""For how long, in seconds, after it was reported."""


def note(work: Work, event: Event) -> None:
    """Keep what an event says about its account, until another says that it is over."""
    if not isinstance(event, OtherEvent) or event.is_trouble is None:
        return
    said = encode(event.summary) if event.is_trouble else ""
    work.service.inbox.put(_name(work), said, TOLD_FOR)


def of(work: Work) -> Notice | None:
    """Return the trouble that the account of a conversation has; None if it has none."""
    said = work.service.inbox.get(_name(work))
    return decode(said) if said else None


def _name(work: Work) -> str:
    return f"trouble:{account_of(work.lease.queue)}"
