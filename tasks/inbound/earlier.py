"""What the agents of a sender's next ticket have to know about the time before it."""

import structlog

from clients.channel import Echo, Message
from clients.errors import (
    ClientError,
    NotFound,
    RetryableError,
    TicketClosed,
    Unavailable,
)
from clients.notices import Notice, decode, encode, notice
from clients.text.line import one_line
from tasks.inbound.arrival import Arrival, arrival_of
from tasks.inbound.render import echo_author
from tasks.inbox.personal import Personal
from tasks.notes import notify_once
from tasks.work import Work

log = structlog.get_logger(__name__)

MOST_CONTEXT = 20
"""How many messages of other apps, from before there was a ticket, are shown on it."""


def notify(work: Work, reason: Notice) -> None:
    """Notify the agents, on the sender's open ticket or on the next, that an event could not be added.

    Raises `ClientError`.
    """
    if not work.conversation.person_id:
        return
    arrival, id_ = arrival_of(work), work.lease.job.id
    for ticket_id in arrival.open_tickets():
        try:
            notify_once(arrival, ticket_id, f"dead:{id_}", _given_up(arrival, id_, reason))
        except (TicketClosed, NotFound):
            continue
        return
    now = int(work.service.inbox.now() * 1000)
    work.lease.note(Personal.UNTOLD, f"{id_} {encode(reason)}", now)


def _given_up(arrival: Arrival, id_: int, reason: Notice) -> str:
    return arrival.say(notice("message_not_added", reason=reason, id=id_))


def keep(arrival: Arrival) -> None:
    """Keep what was said until there is a ticket; other events mean nothing without one."""
    log.info("no_open_ticket", queue=arrival.lease.queue, id=arrival.lease.job.id)
    if not isinstance(said := arrival.event, Echo | Message):
        return
    shown = [one.title or one.kind for one in said.attachments]
    words = " ".join(filter(None, (one_line(said.text), *(f"({one_line(one)})" for one in shown))))
    author = echo_author(said, arrival) if isinstance(said, Echo) else arrival.sender_name
    line = f"{said.time:%Y-%m-%d %H:%M} UTC, {author}: {words}"
    at = int(said.time.timestamp() * 1000)
    arrival.lease.note(Personal.CONTEXT, f"{said.message_id} {line}", at)


def notify_of_earlier(arrival: Arrival, ticket_id: str) -> None:
    """Note on a new ticket what came, or was given up, before there was one."""
    _notify_of_context(arrival, ticket_id)
    inbox, conversation = arrival.service.inbox, arrival.conversation
    for member, _ in inbox.noted(Personal.UNTOLD, conversation):
        id_, _, reason = member.partition(" ")
        if inbox.dead_letters.get(int(id_)):
            _notify(arrival, ticket_id, f"dead:{id_}", _given_up(arrival, int(id_), decode(reason)))
        inbox.forget_noted(Personal.UNTOLD, conversation, member)


def _notify_of_context(arrival: Arrival, ticket_id: str) -> None:
    inbox, conversation = arrival.service.inbox, arrival.conversation
    if kept := [member for member, _ in inbox.noted(Personal.CONTEXT, conversation)]:
        lines = [member.partition(" ")[2] for member in kept[-MOST_CONTEXT:]]
        note = "\n\n".join([arrival.say(notice("sent_before_ticket")), *lines])
        _notify(arrival, ticket_id, f"context:{arrival.external_id}", note)
        inbox.forget_noted(Personal.CONTEXT, conversation, *kept)


def _notify(arrival: Arrival, ticket_id: str, external_id: str, note: str) -> None:
    """Add a note about an earlier time. If that is refused, it is no reason to give up the event."""
    try:
        notify_once(arrival, ticket_id, external_id, note)
    except ClientError as error:
        if isinstance(error, RetryableError) and not (isinstance(error, Unavailable) and arrival.is_last_try):
            raise
        log.warning("agent_not_notified", queue=arrival.lease.queue, note=external_id, reason=str(error))
