"""From a channel to the helpdesk: what a person wrote becomes a ticket, or a comment on their open one."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import structlog
from structlog.contextvars import bind_contextvars

from clients.channel import Echo, Edit, Event, Message, OtherEvent
from clients.errors import (
    FileRefused,
    NotFound,
    OutcomeUnknown,
    RejectedError,
    TicketClosed,
)
from clients.helpdesk import (
    NewComment,
    NewTicket,
)
from tasks import courtesies, trouble
from tasks.inbound import control, history, unknown
from tasks.inbound.arrival import Arrival, arrival_of
from tasks.inbound.earlier import keep, notify_of_earlier
from tasks.inbound.edits import edit_comment
from tasks.inbound.files import pictures_in
from tasks.inbound.naming import customer_of, fix_name, note_whether_named, title_of
from tasks.inbound.render import compose, first_body
from tasks.inbox.job import Step, sent_ids, under_way
from tasks.inbox.personal import Personal
from tasks.inbox.queues import outbound_queue
from tasks.outbound import receipts, reminders
from tasks.remotes import LONGEST
from tasks.work import Work

log = structlog.get_logger(__name__)

ECHO_KNOWN_WITHIN = 10.0
"""How much longer than `worker.echo_wait` an echo waits for the reply that it may be of, in seconds."""
LOOK_FOR_REPLY_EVERY = 5.0
"""How often it is looked whether one that was fetched is of that reply, which may be paused, in seconds."""


def relay(work: Work) -> None:
    """Put the event at the head on its sender's ticket. Raises `ClientError`."""
    if not work.conversation.person_id:
        _take_without_person(work)
        return
    arrival = arrival_of(work)
    history.wait_for(arrival)
    is_known = arrival.channel.knows(arrival.event)
    if is_known or not work.lease.step(Step.replayed()):  # else the ticket shows no more than it did
        _show(arrival)
    if not is_known:
        unknown.keep(work)


def _take_without_person(work: Work) -> None:
    """Keep an event that belongs to no ticket for an operator."""
    body = work.lease.job.body
    event = work.channel.parse(body)
    if not work.channel.knows(event):
        unknown.keep(work)
        return
    trouble.note(work, event)
    kind = work.channel.kind_of(body)
    if isinstance(event, OtherEvent) and event.is_trouble is not None:
        raise RejectedError("about_the_page", kind=kind, told=event.summary)
    raise RejectedError("no_person", kind=kind)


def _show(arrival: Arrival) -> None:
    if _is_our_own(arrival) or _came_before(arrival):
        return
    _note_answer(arrival)
    control.note(arrival)
    if not arrival.opens_ticket and not any(True for _ in arrival.open_tickets()):
        keep(arrival)
        return
    if isinstance(arrival.event, Edit) and edit_comment(arrival, arrival.event):
        return
    _put_somehow(arrival)
    _note_message(arrival)
    _mark_seen(arrival)


def _note_answer(arrival: Arrival) -> None:
    """Note that an agent answered in the channel's own inbox, even if the ticket cannot show it yet."""
    event = arrival.event
    if isinstance(event, Echo) and event.is_by_agent:
        reminders.note_answer(arrival, arrival.connection, event.time)


def _note_message(arrival: Arrival) -> None:
    """Note that a message waits for an answer, if it stands on a ticket; another app answers some."""
    event, ticket_id = arrival.event, (arrival.lease.cached(Personal.OPEN_TICKET) or b"").decode()
    if isinstance(event, Message):
        arrival.lease.note_wrote_at(int(event.time.timestamp() * 1000))
    if isinstance(event, Message) and _may_be_answered(event) and ticket_id:
        reminders.note_message(arrival, arrival.connection, ticket_id, event.time)


def _mark_seen(arrival: Arrival) -> None:
    """Have the person see that their message stands on the ticket; another app marks what it answers."""
    event, is_wanted = arrival.event, arrival.service.settings.graph.mark_seen
    if is_wanted and isinstance(event, Message) and _may_be_answered(event):
        account = arrival.account
        courtesies.offer(arrival, account, account.mark_seen)


def _may_be_answered(message: Message) -> bool:
    """Return whether an answer is expected of our agents: no other app's, and none from before them."""
    return not (message.is_overheard or message.is_history)


def _put_somehow(arrival: Arrival) -> None:
    """Put an event on the ticket, without names if it is refused with them."""
    if arrival.was_tried:
        _put(arrival.nameless())
        return
    try:
        _put(arrival)
    except RejectedError:
        log.info("refused_with_names", queue=arrival.lease.queue, id=arrival.lease.job.id)
        _put(arrival.nameless())
    else:
        fix_name(arrival)


def _is_our_own(arrival: Arrival) -> bool:
    """Return whether an echo without our metadata is of a reply of ours all the same.

    Raises `OutcomeUnknown` while a part is under way of whose message id nobody knows yet.
    """
    event, service = arrival.event, arrival.service
    if not isinstance(event, Echo):
        return False
    steps = service.inbox.steps(outbound_queue(arrival.conversation))
    if event.message_id in {*sent_ids(steps)} | receipts.our_ids(service.inbox, arrival.conversation):
        return True
    wait = service.settings.worker.echo_wait + ECHO_KNOWN_WITHIN
    if event.was_fetched:  # none of ours has its metadata then, and what fetched it asks even a paused page
        wait += LONGEST
    if (
        under_way(steps)
        and event.may_be_ours
        and service.inbox.now() < arrival.lease.job.accepted / 1000 + wait
    ):
        raise OutcomeUnknown(
            "echo_of_unknown_outcome", retry_after=LOOK_FOR_REPLY_EVERY if event.was_fetched else None
        )
    return False


def _came_before(arrival: Arrival) -> bool:
    """Return whether a message that was fetched stands on a ticket, as the store may have forgotten it.

    Once a call for it is under way, that is looked for instead (`_is_there`).
    """
    event, helpdesk = arrival.event, arrival.service.helpdesk
    if not isinstance(event, Message | Echo) or not event.was_fetched or arrival.lease.step(Step.call()):
        return False
    names = [arrival.external_id, *(event.also_known_as if isinstance(event, Message) else ())]
    if any(helpdesk.ticket_by_external_id(name) for name in names):
        return True
    found = helpdesk.find_open_ticket(arrival.conversation)
    last = (arrival.lease.cached(Personal.OPEN_TICKET) or b"").decode()
    tickets = {last, found.id if found else ""} - {""}
    return any(_has_comment(arrival, ticket_id, name) for ticket_id in tickets for name in names)


def _put(arrival: Arrival) -> None:
    """Put an event on the ticket with its files; a file that is refused only there is named instead.

    Which one it is the helpdesk does not say: each is left out in its turn, then all of them.
    """
    refusal = FileRefused("refused_with_file")
    for left_out in _ways(arrival.event):
        way = arrival.without(left_out, refusal.notice) if left_out else arrival
        try:
            with ExitStack() as files:
                put_on_ticket(way, compose(way, files))
        except FileRefused as error:
            refusal = error
        else:
            return
    raise refusal


def _ways(event: Event) -> Iterator[Sequence[int]]:
    """Yield which files are left out, by number, as long as one of the others is refused."""
    yield ()
    attachments = event.attachments if isinstance(event, Message | Echo) else ()
    numbers = [number for number, one in enumerate(attachments) if one.is_file]
    numbers += pictures_in(event).values()
    if len(numbers) > 1:
        yield from ([number] for number in numbers)
    if numbers:
        yield numbers


def put_on_ticket(arrival: Arrival, comment: NewComment) -> None:
    """Add a comment to the sender's open ticket, or open one with it; once, whatever happened before."""
    if _is_there(arrival):
        return
    helpdesk, lease, suffix = arrival.service.helpdesk, arrival.lease, ""
    for ticket_id in arrival.open_tickets():
        lease.save_step(Step.call(), f"comment:{ticket_id}")
        try:
            helpdesk.add_comment(ticket_id, comment, arrival.key(arrival.variant, suffix))
        except (TicketClosed, NotFound):
            lease.forget(Personal.OPEN_TICKET)
            suffix = f"after:{ticket_id}"
            continue
        _remember(arrival, ticket_id)
        return
    if not arrival.opens_ticket:
        keep(arrival)
        return
    arrival.check_active()
    lease.save_step(Step.call(), "ticket")
    note_whether_named(arrival)
    key = arrival.key(arrival.variant, suffix)
    _opened(arrival, helpdesk.create_ticket(_ticket(arrival, comment), key).id)


def _is_there(arrival: Arrival) -> bool:
    """Look whether a call whose outcome is not known has worked."""
    what, _, ticket_id = (arrival.lease.step(Step.call()) or "").partition(":")
    helpdesk = arrival.service.helpdesk
    if what == "comment" and _has_comment(arrival, ticket_id, arrival.external_id):
        _remember(arrival, ticket_id)
        return True
    if what == "ticket" and (ticket := helpdesk.ticket_by_external_id(arrival.external_id)):
        _opened(arrival, ticket.id)
        return True
    return False


def _has_comment(arrival: Arrival, ticket_id: str, external_id: str) -> bool:
    try:
        return arrival.service.helpdesk.comment_by_external_id(ticket_id, external_id) is not None
    except NotFound:  # the ticket is gone
        return False


def _opened(arrival: Arrival, ticket_id: str) -> None:
    """Remember a new ticket, and note on it what came, or was given up, before there was one."""
    _remember(arrival, ticket_id)
    notify_of_earlier(arrival, ticket_id)


def _remember(arrival: Arrival, ticket_id: str) -> None:
    """Keep where the sender's messages go; the next one will probably go there, too."""
    arrival.lease.cache(Personal.OPEN_TICKET, ticket_id.encode())
    arrival.lease.foresee(Step.call(), f"comment:{ticket_id}")
    bind_contextvars(ticket=ticket_id)


def _ticket(arrival: Arrival, comment: NewComment) -> NewTicket:
    return NewTicket(
        desk_id=arrival.connection.desk_id,
        category_id=arrival.connection.category_id,
        title=title_of(arrival),
        body=first_body(comment),
        external_id=comment.external_id,
        customer=customer_of(arrival),
        attachment_ids=comment.attachment_ids,
        files=comment.files,
        created_at=comment.created_at,
        language=arrival.connection.language,
        is_history=comment.is_history,
    )
