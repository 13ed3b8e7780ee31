"""Checks of tickets that are closed, opened again, merged, hidden, or not there."""

import contextlib
from datetime import UTC, datetime

from clients.errors import ClientError, NotFound, RateLimited, TicketClosed
from clients.helpdesk import Customer, NewTicket
from conformance.check import check
from conformance.context import CLOCKS, Context, conversation_of, names
from conformance.outcome import Cannot, Failed, expect
from conformance.samples import a_customer, a_word, an_id
from tasks.outbound.jobs import is_public_reply

UNKNOWN = ("999999999", "no-such-ticket")


@check(
    "a closed ticket takes no message",
    promise="nothing is lost",
    remedy="Raise TicketClosed from add_comment, whatever the helpdesk itself would allow.",
    api=(
        'createComment answers 409 {"error": {"code": "ticket_closed", …}} on a closed ticket, '
        'and getTicket says "closed": true.'
    ),
)
def closed_ticket_takes_no_message(context: Context) -> None:
    """A message that arrives on a closed ticket would be seen by nobody: it has to open a new one."""
    ticket, _, _ = _closed(context)
    expect(context.helpdesk.get_ticket(ticket).closed, f"ticket {ticket} was closed, and is said to be open")
    try:
        context.comment(ticket, context.new_comment("Is anybody there?"))
    except TicketClosed:
        return
    raise Failed(f"closed ticket {ticket} took a comment")


@check(
    "a closed ticket takes an internal comment",
    promise="everything is shown",
    remedy="Accept internal comments on closed tickets; where the helpdesk cannot, raise TicketClosed.",
    api='createComment with "internal": true answers 201 on a closed ticket, or 409 ticket_closed.',
)
def closed_ticket_takes_an_internal_comment(context: Context) -> None:
    """Agents learn of a reply that failed, although its ticket was closed with it."""
    ticket, _, _ = _closed(context)
    try:
        context.comment(ticket, context.new_comment("Your reply was not delivered.", internal=True))
    except TicketClosed:
        instead = "a reply that fails as its ticket is closed shows it only if show_delivery does"
        raise Cannot("internal comments on closed tickets", instead) from None


@check(
    "a closed ticket is not found as open",
    promise="one open ticket for each customer",
    remedy="find_open_ticket has to look at the state of the ticket at this moment.",
    api="findTickets with closed=false leaves out a ticket from the moment in which it was closed.",
)
def closed_ticket_is_not_found_as_open(context: Context) -> None:
    """After a ticket was closed, the customer's next message makes a new one, to which the later ones go."""
    ticket, customer, _ = _closed(context)
    found = context.helpdesk.find_open_ticket(customer.conversation)
    expect(found is None, f"ticket {ticket} is closed, and {found and found.id} was found as open")
    made = context.open_ticket(customer=customer)
    expect(made.id != ticket, "the next ticket of the customer is the closed one")
    found = context.helpdesk.find_open_ticket(customer.conversation)
    expect(found and found.id == made.id, f"ticket {made.id} is open, and {found and found.id} was found")


@check(
    "a closed ticket is found by its external id",
    promise="nothing is doubled",
    remedy="ticket_by_external_id has to search the closed tickets as well.",
    api="findTickets with external_id alone finds closed tickets, too.",
)
def closed_ticket_is_found_by_external_id(context: Context) -> None:
    """An agent may close a ticket before the connector could look whether its create worked."""
    ticket, _, new = _closed(context)
    found = context.helpdesk.ticket_by_external_id(new.external_id)
    expect(found and found.id == ticket, f"closed ticket {ticket} was not found by its external id")


@check(
    "a ticket that is opened again takes messages",
    promise="one open ticket for each customer",
    remedy="Every state in which agents see the ticket among their work counts as open.",
    api=(
        "findTickets with closed=false finds a ticket that was opened again, and createComment "
        "answers 201 there."
    ),
)
def reopened_ticket_is_found(context: Context) -> None:
    """After an agent opened a ticket again, the customer's messages go there."""
    customer = a_customer()
    ticket = context.open_ticket(customer=customer)
    context.agent.close_ticket(ticket.id)
    context.agent.reopen_ticket(ticket.id)
    found = context.helpdesk.find_open_ticket(customer.conversation)
    expect(found and found.id == ticket.id, f"ticket {ticket.id} was opened again, and is not found")
    context.comment(ticket.id, context.new_comment("Thank you"))


@check(
    "what does not exist is not found",
    promise="nothing is lost",
    remedy="Raise NotFound for a ticket that does not exist (404).",
    api="getTicket and createComment answer 404 for a ticket that does not exist, whatever its id is.",
)
def unknown_is_not_found(context: Context) -> None:
    """A ticket that was deleted does not stop its customer's messages: they open a new one."""
    for ticket_id in UNKNOWN:
        for call in (
            lambda id_=ticket_id: context.helpdesk.get_ticket(id_),
            lambda id_=ticket_id: context.comment(id_, context.new_comment("Hello")),
        ):
            try:
                call()
            except NotFound:
                continue
            except Exception as error:
                raise Failed(f"ticket {ticket_id} does not exist, and gave: {context.said(error)}") from error
            raise Failed(f"ticket {ticket_id} does not exist, and was found")
        with contextlib.suppress(NotFound):
            expect(
                context.helpdesk.comment_by_external_id(ticket_id, an_id()) is None,
                f"a comment of ticket {ticket_id} was found, which does not exist",
            )


@check(
    "a ticket that the token may not see makes room for a new one",
    promise="nothing is lost",
    remedy=(
        "Raise NotFound for a ticket that is forbidden (403; HttpHelpdesk.error does), and do not find it "
        "as open. A ping that is forbidden is still an error that is retried."
    ),
    api=(
        "createComment and getTicket answer 403 or 404 for a ticket that the token may not see, findTickets "
        "leaves it out, and answers 200 for the external_id ping meanwhile."
    ),
)
def forbidden_ticket_makes_room(context: Context) -> None:
    """A ticket that agents moved out of the connector's sight stops neither its customer nor other pages."""
    customer = a_customer()
    ticket = context.open_ticket(customer=customer)
    context.agent.forbid_ticket(ticket.id)
    try:
        taken = context.put(ticket.id, context.new_comment("Is anybody there?", customer=customer), customer)
    except RateLimited:
        raise
    except ClientError as error:
        raise Failed(f"ticket {ticket.id}, which is hidden, gave: {context.said(error)}") from error
    expect(taken != ticket.id, f"ticket {ticket.id} took a comment, though it is hidden")
    context.helpdesk.ping()
    found = context.helpdesk.find_open_ticket(customer.conversation)
    expect(found and found.id == taken, f"ticket {taken} is open, and {found and found.id} was found")


@check(
    "messages to a merged ticket stand on the one that is left, once",
    promise="nothing is lost",
    remedy=(
        "add_comment, comment_by_external_id and get_ticket have to use the ticket that a merged one went "
        "into; or raise TicketClosed from add_comment, so that find_open_ticket finds the one that is left."
    ),
    api=(
        "createComment answers 409 ticket_closed on a ticket that was merged into another of the same "
        "customer; findTickets finds the one that is left, and findComments of the merged one finds "
        "what went there."
    ),
)
def merged_ticket_is_followed(context: Context) -> None:
    """After agents merged a customer's tickets nothing is written where nobody looks, and nothing twice."""
    customer = a_customer()
    merged, left = (context.open_ticket(customer=customer) for _ in range(2))
    words = [a_word(), a_word()]
    before, after = (context.new_comment(word, customer=customer) for word in words)
    context.comment(merged.id, before)
    context.agent.merge_ticket(merged.id, left.id)
    for comment in (before, after):  # the first is tried again, as after an answer that got lost
        context.put(merged.id, comment, customer)
    found = context.helpdesk.find_open_ticket(customer.conversation)
    expect(found and found.id == left.id, f"ticket {left.id} is left, and {found and found.id} was found")
    if context.agent.confirm(left.id, f"It shows {words[0]} and {words[1]}, each once."):
        return
    shown = [one.text for one in context.agent.read_comments(left.id)]
    counts = [sum(word in text for text in shown) for word in words]
    said = f"of two messages, one before the merge and one after, ticket {left.id} shows {counts}"
    expect(counts == [1, 1], said)


@check(
    "a ticket that was merged into another person's takes no message",
    promise="only what an agent says publicly goes out",
    remedy=(
        "Where the ticket that is left is another customer's, raise TicketClosed from add_comment; poll and "
        "confirm must not return what the merge brought as replies to that other customer."
    ),
    api="createComment answers 409 ticket_closed on a ticket that was merged into another customer's.",
)
def merged_into_another_persons(context: Context) -> None:
    """What one person wrote is not answered to another, whatever agents merge."""
    mine, theirs = a_customer(), a_customer()
    merged, left = context.open_ticket(customer=mine), context.open_ticket(customer=theirs)
    word, began = a_word(), datetime.now(UTC)
    if context.has_poll:
        context.answer(merged, mine, f"{word} before the merge")
    context.agent.merge_ticket(merged.id, left.id)
    taken = context.put(merged.id, context.new_comment("Is anybody there?", customer=mine), mine)
    said = f"ticket {merged.id} was merged into {left.id}, which is another person's, and"
    expect(taken not in {merged.id, left.id}, f"{said} a message to it was taken")
    for reply in map(context.relayed, context.helpdesk.poll(began - CLOCKS)):
        if reply and is_public_reply(reply) and names(reply, word):
            to = conversation_of(reply)
            expect(to == mine.conversation, f"{said} a reply on it would be sent to {to}")


def _closed(context: Context) -> tuple[str, Customer, NewTicket]:
    """Return a ticket that an agent closed, its customer, and what it was made of."""

    def make() -> tuple[str, Customer, NewTicket]:
        customer = a_customer()
        new = context.new_ticket(customer=customer)
        ticket = context.create(new)
        context.agent.close_ticket(ticket.id)
        return ticket.id, customer, new

    return context.once("closed", make)
