"""Who answers a conversation, where several apps may: as the channel said last."""

from datetime import UTC, datetime

from clients.channel import GIVEN, WANTED, Event, OtherEvent
from clients.notices import decode, encode, notice
from tasks.inbound.arrival import Arrival
from tasks.inbox.personal import Personal


def is_told(event: Event) -> bool:
    """Return whether an event itself is about who answers."""
    return isinstance(event, OtherEvent) and event.control != ""


def note(arrival: Arrival) -> None:
    """Keep who answers from now on, for what comes later, and for the next ticket."""
    event = arrival.event
    if isinstance(event, OtherEvent) and event.control == GIVEN:
        at = int(event.time.timestamp() * 1000)
        arrival.lease.note(Personal.OWNER, encode(event.summary), at)


def last(arrival: Arrival) -> tuple[str, datetime] | None:
    """Return who answers now, in a sentence, and since when; None if the channel did not say it lately."""
    noted = arrival.service.inbox.noted(Personal.OWNER, arrival.conversation)
    if not noted:
        return None
    summary, at = noted[-1]
    return arrival.say(decode(summary)), datetime.fromtimestamp(at / 1000, UTC)


def answers_now(arrival: Arrival, event: OtherEvent) -> str:
    """Say who answers now, where an event only says who wants to."""
    if event.control != WANTED:
        return ""
    if known := last(arrival):
        return known[0]
    owner = arrival.account.owner_of(arrival.conversation.person_id)
    return arrival.say(notice("answered_by", owner=owner) if owner else notice("owner_unknown"))
