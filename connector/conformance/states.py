"""Checks of tickets that are closed, opened again, or not there."""

import contextlib

from clients.errors import NotFound, TicketClosed
from clients.helpdesk import NewTicket
from connector.conformance.bench import Bench
from connector.conformance.samples import Sender, a_sender, an_id
from connector.conformance.suite import Cannot, Failed, check, expect

UNKNOWN = ("999999999", "no-such-ticket")


@check(
    "a closed ticket takes no message",
    promise="nothing is lost",
    mend="Raise TicketClosed from add_comment, whatever the helpdesk itself would allow.",
)
def closed_ticket_takes_no_message(bench: Bench) -> None:
    """A message that arrives on a closed ticket would be seen by nobody: it has to open a new one."""
    ticket, _, _ = _closed(bench)
    expect(bench.helpdesk.get_ticket(ticket).closed, f"ticket {ticket} was closed, and is said to be open")
    try:
        bench.comment(ticket, bench.new_comment("Is anybody there?"))
    except TicketClosed:
        return
    raise Failed(f"closed ticket {ticket} took a comment")


@check(
    "a closed ticket takes an internal comment",
    promise="everything is shown",
    mend="Let internal comments onto closed tickets; where the helpdesk cannot, raise TicketClosed.",
)
def closed_ticket_takes_an_internal_comment(bench: Bench) -> None:
    """A reply that failed is told to agents, although its ticket was closed with it."""
    ticket, _, _ = _closed(bench)
    try:
        bench.comment(ticket, bench.new_comment("Your reply was not delivered.", internal=True))
    except TicketClosed:
        instead = "a reply that fails as its ticket is closed shows it only if show_delivery does"
        raise Cannot("internal comments on closed tickets", instead) from None


@check(
    "a closed ticket is not found as open",
    promise="one open ticket a sender",
    mend="find_open_ticket has to look at the state of the ticket at this moment.",
)
def closed_ticket_is_not_found_as_open(bench: Bench) -> None:
    """After a ticket was closed, the sender's next message makes a new one, to which the later ones go."""
    ticket, sender, _ = _closed(bench)
    found = bench.helpdesk.find_open_ticket(sender.page_id, sender.psid)
    expect(found is None, f"ticket {ticket} is closed, and {found and found.id} was found as open")
    made = bench.open_ticket(sender=sender)
    expect(made.id != ticket, "the next ticket of the sender is the closed one")
    found = bench.helpdesk.find_open_ticket(sender.page_id, sender.psid)
    expect(found and found.id == made.id, f"ticket {made.id} is open, and {found and found.id} was found")


@check(
    "a closed ticket is found by its external id",
    promise="nothing is doubled",
    mend="ticket_by_external_id has to search the closed tickets as well.",
)
def closed_ticket_is_found_by_external_id(bench: Bench) -> None:
    """An agent may close a ticket before the connector could look whether its create worked."""
    ticket, _, new = _closed(bench)
    found = bench.helpdesk.ticket_by_external_id(new.external_id)
    expect(found and found.id == ticket, f"closed ticket {ticket} was not found by its external id")


@check(
    "a ticket that is opened again takes messages",
    promise="one open ticket a sender",
    mend="Every state in which agents see the ticket among their work counts as open.",
)
def reopened_ticket_is_found(bench: Bench) -> None:
    """After an agent opened a ticket again, the sender's messages go there."""
    sender = a_sender()
    ticket = bench.open_ticket(sender=sender)
    bench.hands.close_ticket(ticket.id)
    bench.hands.reopen_ticket(ticket.id)
    found = bench.helpdesk.find_open_ticket(sender.page_id, sender.psid)
    expect(found and found.id == ticket.id, f"ticket {ticket.id} was opened again, and is not found")
    bench.comment(ticket.id, bench.new_comment("Thank you"))


@check(
    "what does not exist is not found",
    promise="nothing is lost",
    mend="Raise NotFound for a ticket that does not exist (404).",
)
def unknown_is_not_found(bench: Bench) -> None:
    """A ticket that was deleted does not stop its sender's messages: they open a new one."""
    for ticket_id in UNKNOWN:
        for call in (
            lambda id_=ticket_id: bench.helpdesk.get_ticket(id_),
            lambda id_=ticket_id: bench.comment(id_, bench.new_comment("Hello")),
        ):
            try:
                call()
            except NotFound:
                continue
            except Exception as error:
                raise Failed(f"ticket {ticket_id} gave {type(error).__name__}: {error}") from error
            raise Failed(f"ticket {ticket_id} does not exist, and was found")
        with contextlib.suppress(NotFound):
            expect(
                bench.helpdesk.comment_by_external_id(ticket_id, an_id()) is None,
                f"a comment of ticket {ticket_id} was found, which does not exist",
            )


def _closed(bench: Bench) -> tuple[str, Sender, NewTicket]:
    """Return a ticket that an agent closed, its sender, and what it was made of."""

    def make() -> tuple[str, Sender, NewTicket]:
        sender = a_sender()
        new = bench.new_ticket(sender=sender)
        ticket = bench.create(new)
        bench.hands.close_ticket(ticket.id)
        return ticket.id, sender, new

    return bench.once("closed", make)
