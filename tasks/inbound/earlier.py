"""What the agents of a sender's next ticket have to know about the time before it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

import structlog

from clients.channel import Echo, Message
from clients.errors import (
    ClientError,
    FileRefused,
    NotFound,
    RetryableError,
    TicketClosed,
    Unavailable,
)
from clients.helpdesk import Author, NewComment
from clients.notices import Notice, decode, encode, notice
from clients.text.markdown import to_markdown
from tasks.inbound import control
from tasks.inbound.arrival import Arrival, arrival_of
from tasks.inbound.render import compose_message, echo_author
from tasks.inbox.personal import Personal
from tasks.notes import add_once, internal_comment, notify_once
from tasks.work import Work

log = structlog.get_logger(__name__)

MOST_CONTEXT = 20
"""How many messages of other apps, from before there was a ticket, are shown on it."""
_AT_PRESENT = notice("in_standby")
"""What a line says that was true at the time only."""
MOST_FILES = 1000
"""More than one message has: by so many the numbers of their files are apart."""


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
    if isinstance(said := arrival.event, Echo | Message):
        at = int(said.time.timestamp() * 1000)
        arrival.lease.note(Personal.CONTEXT, arrival.lease.job.body.decode(errors="replace"), at)


def notify_of_earlier(arrival: Arrival, ticket_id: str) -> None:
    """Note on a new ticket what came, or was given up, before there was one."""
    _notify_of_context(arrival, ticket_id)
    known = None if control.is_told(arrival.event) else control.last(arrival)
    if known:
        note = f"{known[1]:%Y-%m-%d %H:%M} UTC: {known[0]}"
        _notify(arrival, ticket_id, f"control:{arrival.external_id}", note)
    inbox, conversation = arrival.service.inbox, arrival.conversation
    for member, _ in inbox.noted(Personal.UNTOLD, conversation):
        id_, _, reason = member.partition(" ")
        if inbox.dead_letters.get(int(id_)):
            _notify(arrival, ticket_id, f"dead:{id_}", _given_up(arrival, int(id_), decode(reason)))
        inbox.forget_noted(Personal.UNTOLD, conversation, member)


def _notify_of_context(arrival: Arrival, ticket_id: str) -> None:
    """Show what was said before; if the helpdesk does not take all of it, each by itself.

    What it does not take stays for the next ticket.
    """
    inbox, conversation = arrival.service.inbox, arrival.conversation
    kept = [member for member, _ in inbox.noted(Personal.CONTEXT, conversation)]
    told, external_id = kept, f"context:{arrival.external_id}"
    if kept and not _show(arrival, ticket_id, external_id, kept):
        told = [
            body
            for number, body in enumerate(kept[-MOST_CONTEXT:])
            if len(kept) > 1 and _show(arrival, ticket_id, f"{external_id}:{number}", [body], number)
        ]
    if told:
        inbox.forget_noted(Personal.CONTEXT, conversation, *told)


def _show(arrival: Arrival, ticket_id: str, external_id: str, kept: Sequence[str], first: int = 0) -> bool:
    """Show what was said, with its files; one that is refused only there is named instead.

    `first` is the place of the first of it among all that is shown: what was uploaded is known by that.
    """
    last = kept[-MOST_CONTEXT:]

    def show(refusal: FileRefused | None = None) -> None:
        with ExitStack() as files:
            said = [_said(arrival, body, number, files, refusal) for number, body in enumerate(last, first)]
            comment = _context(arrival, external_id, len(kept), said)
            add_once(arrival, ticket_id, comment, "without" if refusal else "")

    def show_somehow() -> None:
        try:
            show()
        except FileRefused as error:
            show(error)

    return _try(arrival, external_id, show_somehow)


def _context(arrival: Arrival, external_id: str, total: int, said: Sequence[NewComment]) -> NewComment:
    """Return the note that shows the last of what was said."""
    code = "sent_before_ticket" if len(said) == total else "sent_before_ticket_last"
    heading = to_markdown(arrival.say(notice(code, count=len(said), total=total)))
    return replace(
        internal_comment(arrival, external_id, "\n\n".join([heading, *(one.body for one in said)])),
        attachment_ids=[id_ for one in said for id_ in one.attachment_ids],
        files=[file for one in said for file in one.files],
        language=arrival.connection.language,
    )


def _said(
    arrival: Arrival, body: str, number: int, files: ExitStack, refusal: FileRefused | None
) -> NewComment:
    """Return the comment that something would have become, with a head that says who said it, and when."""
    event = arrival.channel.parse(body.encode()) if body.startswith("{") else None
    if not isinstance(event, Echo | Message):  # what a version before this one kept: an id, and a line
        return internal_comment(arrival, "", to_markdown(body.partition(" ")[2]))
    first = (number + 1) * MOST_FILES
    left_out = dict.fromkeys(range(first, first + MOST_FILES), refusal.notice) if refusal else {}
    event = replace(event, lines=tuple(line for line in event.lines if line.text != _AT_PRESENT))
    external_id = arrival.channel.external_id(body.encode())
    earlier = replace(arrival, event=event, external_id=external_id, left_out=left_out)
    name = echo_author(event, earlier) if isinstance(event, Echo) else earlier.sender_name
    comment = compose_message(earlier, event, Author("agent", name), files, first)
    head = to_markdown(f"{event.time:%Y-%m-%d %H:%M} UTC, {name}:")
    return replace(comment, body=head + ("\n\n" if "\n" in comment.body else " ") + comment.body)


def _notify(arrival: Arrival, ticket_id: str, external_id: str, note: str) -> bool:
    return _try(arrival, external_id, lambda: notify_once(arrival, ticket_id, external_id, note))


def _try(arrival: Arrival, external_id: str, notify: Callable[[], None]) -> bool:
    """Add a note about an earlier time. If that is refused, it is no reason to give up the event."""
    try:
        notify()
    except ClientError as error:
        if isinstance(error, RetryableError) and not (isinstance(error, Unavailable) and arrival.is_last_try):
            raise
        log.warning("agent_not_notified", queue=arrival.lease.queue, note=external_id, reason=str(error))
        return False
    return True
