"""Checks of tickets: created once, found again, closed and opened."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from clients.errors import RetryableError, Unauthorized
from clients.helpdesk import NewTicket
from conformance.check import check
from conformance.context import Context
from conformance.outcome import Cannot, Failed, NotChecked, expect
from conformance.samples import a_customer, an_id

AT_ONCE = 10
ODD_ID = "m_ą/ü?&=#%20+;' \"<>{{ x }}{% y %}$:\\🙂"
LOOKS_FIRST = "before a create is repeated, what it made is looked for by its external_id"


@check(
    "a ping is answered",
    promise="nothing is lost",
    remedy="ping has to return without an error for a valid token.",
    api='findTickets for the external_id "ping" answers 200 {"tickets": []} to a valid token.',
    needed=True,
)
def ping_is_answered(context: Context) -> None:
    """After an outage the connector goes on once a ping is answered."""
    context.helpdesk.ping()


@check(
    "a wrong token is known as such",
    promise="nothing is lost",
    remedy="Raise Unauthorized where the helpdesk refuses the token (401).",
    api="every operation answers 401 to a wrong token.",
)
def wrong_token_is_unauthorized(context: Context) -> None:
    """With an expired token everything waits until a person renews it, and no message counts as failed."""
    if context.wrong_token is None:
        raise NotChecked("there is no adapter with a wrong token")
    for call in (
        context.wrong_token.ping,
        lambda: context.wrong_token and context.wrong_token.get_ticket("1"),
    ):
        try:
            call()
        except Unauthorized:
            continue
        except Exception as error:
            raise Failed(f"a wrong token gave: {context.said(error)}") from error
        raise Failed("a wrong token was accepted")


@check(
    "a new ticket says whom it is about",
    promise="only what an agent says publicly goes out",
    remedy="Keep channel, account_id and person_id of the customer with the ticket, for Ticket.customer.",
    api="createTicket keeps config as it came, and getTicket answers it: source, page_id and sender_id.",
    needed=True,
)
def ticket_says_whom_it_is_about(context: Context) -> None:
    """An agent's reply goes to the customer that the ticket names, and to nobody else."""
    customer = a_customer()
    made = context.open_ticket(customer=customer)
    read = context.helpdesk.get_ticket(made.id)
    expect(not made.closed and not read.closed, "a new ticket is closed")
    expect(read.id == made.id, f"ticket {made.id} was asked for, and {read.id} came")
    named = read.customer.conversation if read.customer else None
    expect(named == customer.conversation, f"it was created for {customer.conversation}, and says {named}")


@check(
    "a ticket needs no category",
    promise="nothing is lost",
    remedy="Leave category_id out of the call where it is None.",
    api="createTicket answers 201 also to a ticket without category_id.",
)
def ticket_needs_no_category(context: Context) -> None:
    """A page may lead to a desk without a category."""
    made = context.create(replace(context.new_ticket(), category_id=None))
    expect(not context.helpdesk.get_ticket(made.id).closed, "a new ticket is closed")


@check(
    "a ticket is where it was asked for, and in its customer's name",
    promise="everything is shown",
    remedy="create_ticket has to use desk_id, category_id and the customer's display_name, all as they come.",
    api="createTicket keeps desk_id, category_id and requester.name, and agents see the ticket there.",
)
def ticket_is_where_it_was_asked_for(context: Context) -> None:
    """The agents of the page's desk find the message among their work, and see who wrote it."""
    customer = a_customer()
    name, ticket = customer.display_name, context.open_ticket(customer=customer)
    wanted = f"desk {context.desk_id}" + (f", category {context.category_id}" if context.category_id else "")
    if context.agent.confirm(ticket.id, f"It is in {wanted} (by their ids), and from {name}."):
        return
    filed = context.agent.read_ticket(ticket.id)
    expect(
        filed.desk_id == context.desk_id, f"desk {context.desk_id} was asked for; it is in {filed.desk_id}"
    )
    if context.category_id:
        said = f"category {context.category_id} was asked for, and it has {filed.category_id}"
        expect(filed.category_id == context.category_id, said)
    expect(name in filed.customer, f"it is from {name}, and says {filed.customer!r}")


@check(
    "a ticket without a customer is nobody's",
    promise="only what an agent says publicly goes out",
    remedy="create_ticket has to take customer=None, and Ticket.customer is None for such a ticket then; "
    "close_ticket returns True only if it closed it.",
    api=(
        'createTicket answers 201 to config.source "connector", getTicket answers that config as it came, '
        "and changeTicket closes such a ticket, or refuses to."
    ),
)
def ticket_without_customer_is_nobodys(context: Context) -> None:
    """When messages stop, an internal ticket says so: what agents write on it goes to nobody."""
    new = replace(context.new_ticket("Messages do not arrive."), customer=None)
    made = context.create(new)
    found = context.helpdesk.ticket_by_external_id(new.external_id)
    expect(found and found.id == made.id, f"ticket {made.id} was not found by its external id")
    for ticket in (made, found, context.helpdesk.get_ticket(made.id)):
        named = ticket and ticket.customer and ticket.customer.conversation
        expect(named is None, f"it was created without a customer, and says {named}")
    if context.helpdesk.close_ticket(made.id):
        expect(context.helpdesk.get_ticket(made.id).closed, "close_ticket returned True, and it is open")


@check(
    "a customer's open ticket is found",
    promise="one open ticket for each customer",
    remedy="find_open_ticket has to find what create_ticket just made; no search index that lags.",
    api=(
        "findTickets with source, page_id, sender_id and closed=false finds a ticket from the "
        "moment in which its create was answered."
    ),
)
def open_ticket_is_found(context: Context) -> None:
    """The next message of a customer goes to the ticket that is open, and no second one is made."""
    customer = a_customer()
    made = context.open_ticket(customer=customer)
    found = context.helpdesk.find_open_ticket(customer.conversation)
    expect(found and found.id == made.id, f"ticket {made.id} is open, and {found and found.id} was found")
    expect(found and not found.closed, "the open ticket is said to be closed")


@check(
    "nobody else's ticket is found",
    promise="one open ticket for each customer",
    remedy=("Compare channel, account_id and person_id whole; the helpdesk may ignore a filter."),
    api="findTickets answers only tickets that meet every filter, each compared whole.",
)
def nobody_elses_ticket_is_found(context: Context) -> None:
    """What one person writes never stands on the ticket of another."""
    customer = a_customer()
    context.open_ticket(customer=customer)
    person_id = customer.person_id
    for other in (
        replace(customer, person_id=a_customer().person_id),
        replace(customer, account_id=a_customer().account_id),
        replace(customer, person_id=person_id[:-1]),
        replace(customer, person_id=person_id + "0"),
    ):
        found = context.helpdesk.find_open_ticket(other.conversation)
        expect(found is None, f"a person without a ticket was given ticket {found and found.id}")


@check(
    "the newest open ticket is found",
    promise="one open ticket for each customer",
    remedy="Of several open tickets of a customer, find_open_ticket returns the one that was created last.",
    api="findTickets answers the newest ticket first.",
)
def newest_open_ticket_is_found(context: Context) -> None:
    """Where agents opened several tickets again, all messages go to the same one."""
    customer = a_customer()
    tickets = [context.open_ticket(customer=customer) for _ in range(2)]
    found = context.helpdesk.find_open_ticket(customer.conversation)
    expect(
        found and found.id == tickets[1].id, f"{tickets[1].id} is the newest, {found and found.id} was found"
    )


@check(
    "a ticket is found by its external id",
    promise="nothing is doubled",
    remedy=(
        "ticket_by_external_id has to find what create_ticket just made, by the whole id, "
        "including upper and lower case."
    ),
    api=(
        "findTickets with external_id finds the ticket that was created with it, by the whole id, "
        "case and all, and no other."
    ),
)
def ticket_is_found_by_external_id(context: Context) -> None:
    """When a create timed out, or a worker died in it, this shows whether it had worked."""
    new = context.new_ticket()
    _expect_no_ticket(context, new.external_id)
    made = context.create(new)
    found = context.helpdesk.ticket_by_external_id(new.external_id)
    expect(found and found.id == made.id, f"ticket {made.id} was not found by its external id")
    for other in (new.external_id[:-1], new.external_id + "x", new.external_id.swapcase(), an_id()):
        _expect_no_ticket(context, other)


def _expect_no_ticket(context: Context, external_id: str) -> None:
    found = context.helpdesk.ticket_by_external_id(external_id)
    expect(found is None, f"ticket {found and found.id} was found by an external id that is not its")


@check(
    "odd external ids are kept",
    promise="nothing is doubled",
    remedy="Quote external ids in addresses, headers and queries; keep them whole, or a digest of them.",
    api="findTickets and findComments find by an external_id of any characters, as it was given.",
)
def odd_external_ids_are_kept(context: Context) -> None:
    """An external id is Meta's, and may be made of anything."""
    new = context.new_ticket(external_id=ODD_ID + an_id())
    made = context.create(new)
    found = context.helpdesk.ticket_by_external_id(new.external_id)
    expect(found and found.id == made.id, "a ticket with an odd external id was not found by it")
    comment = context.new_comment("More", external_id=ODD_ID + an_id())
    comment_id = context.comment(made.id, comment)
    found_id = context.helpdesk.comment_by_external_id(made.id, comment.external_id)
    expect(found_id == comment_id, "a comment with an odd external id was not found by it")


@check(
    "a ticket that is created twice is one",
    promise="nothing is doubled",
    remedy="Honour the key, or make ticket_by_external_id find what is there.",
    api=(
        "createTicket answers a repeat with its Idempotency-Key with the first ticket; or "
        "findTickets finds it by external_id."
    ),
)
def same_key_makes_one_ticket(context: Context) -> None:
    """A create that is repeated with its key, as after an answer that got lost, makes no second ticket."""
    new = context.new_ticket()
    _expect_one(context, new, {context.create(new).id for _ in range(2)})


@check(
    "ten first messages at once are one ticket",
    promise="one open ticket for each customer",
    remedy="Honour the key under load as well, or make ticket_by_external_id find what is there.",
    api=(
        "of several createTicket at once with one Idempotency-Key one creates the ticket, and the "
        "others answer that ticket, or 409 in_progress."
    ),
)
def concurrent_creates_make_one_ticket(context: Context) -> None:
    """Workers that take over from each other may create the same ticket at the same moment."""
    new = context.new_ticket()

    def create(_: int) -> str | None:
        with contextlib.suppress(RetryableError):  # "still busy with the same call": it is asked again below
            return context.create(new).id
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = set(filter(None, pool.map(create, range(AT_ONCE))))
    expect(made, f"none of {AT_ONCE} creates at once worked")
    _expect_one(context, new, made | {context.create(new).id} if len(made) == 1 else made)


def _expect_one(context: Context, new: NewTicket, made: set[str]) -> None:
    """Take one ticket; or several, as long as the connector finds the one that it looks for."""
    found = context.helpdesk.ticket_by_external_id(new.external_id)
    expect(found and found.id in made, "what was created is not found by its external id")
    if len(made) > 1:
        raise Cannot("idempotency keys", LOOKS_FIRST)
