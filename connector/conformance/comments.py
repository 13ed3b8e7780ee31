"""Checks of comments: added once, found again, in order."""

from functools import partial

from clients.helpdesk import Delivery
from connector.conformance.bench import Bench
from connector.conformance.samples import a_word, an_id
from connector.conformance.suite import Cannot, check, expect
from connector.conformance.tickets import LOOKS_FIRST


@check(
    "a comment is found by its external id",
    promise="nothing is doubled",
    mend="comment_by_external_id has to find what add_comment just made, by the whole id, on its ticket.",
    api=(
        "findComments with external_id finds the comment that was created with it, by the whole "
        "id, on its ticket only."
    ),
)
def comment_is_found_by_external_id(bench: Bench) -> None:
    """When adding a comment timed out, or a worker died in it, this tells whether it had worked."""
    ticket, other = bench.open_ticket(), bench.open_ticket()
    comment = bench.new_comment("More")
    find = partial(bench.helpdesk.comment_by_external_id, ticket.id)
    expect(find(comment.external_id) is None, "a comment was found before it was made")
    made = bench.comment(ticket.id, comment)
    expect(find(comment.external_id) == made, f"comment {made} was not found by its external id")
    for wrong in (comment.external_id[:-1], comment.external_id.swapcase(), an_id()):
        expect(find(wrong) is None, f"comment {made} was found by an external id that is not its")
    elsewhere = bench.helpdesk.comment_by_external_id(other.id, comment.external_id)
    expect(elsewhere is None, f"comment {made} was found on a ticket that is not its")


@check(
    "a comment that is added twice is one",
    promise="nothing is doubled",
    mend="Honour the key, or make comment_by_external_id find what is there.",
    api=(
        "createComment answers a repeat with its Idempotency-Key with the first comment; or "
        "findComments finds it by external_id."
    ),
)
def same_key_makes_one_comment(bench: Bench) -> None:
    """A comment that is added again with its key, as after an answer that got lost, makes no second one."""
    ticket, comment = bench.open_ticket(), bench.new_comment("Only once")
    made = {bench.comment(ticket.id, comment) for _ in range(2)}
    found = bench.helpdesk.comment_by_external_id(ticket.id, comment.external_id)
    expect(found in made, "what was added is not found by its external id")
    if len(made) > 1:
        raise Cannot("idempotency keys", LOOKS_FIRST)


@check(
    "comments stand in their order",
    promise="order is kept",
    mend="Show comments in the order in which they were added, or by created_at.",
    api="agents see comments in the order in which createComment added them, or by created_at.",
)
def comments_stand_in_order(bench: Bench) -> None:
    """An agent reads a conversation as it was written."""
    words = [a_word() for _ in range(8)]
    ticket = bench.open_ticket(words[0])
    for word in words[1:]:
        bench.comment(ticket.id, bench.new_comment(word))
    if bench.hands.confirm(ticket.id, f"It shows these messages, in this order: {', '.join(words)}."):
        return
    shown = [one.text for one in bench.hands.read_comments(ticket.id)]
    seen = [word for text in shown for word in words if word in text]
    expect(seen == words, f"{len(words)} messages were written, and stand as {[*map(words.index, seen)]}")


@check(
    "internal comments stay internal",
    promise="only what an agent says publicly goes out",
    mend="Write them so that the customer never sees them; where the helpdesk cannot, leave them out.",
    api='a comment with "internal": true is shown to agents only.',
)
def internal_comments_stay_internal(bench: Bench) -> None:
    """What the connector tells agents is not for customers, who may read their tickets in a portal."""
    ticket, secret, public = bench.open_ticket(), a_word(), a_word()
    bench.comment(ticket.id, bench.new_comment(secret, internal=True))
    bench.comment(ticket.id, bench.new_comment(public))
    if bench.hands.confirm(ticket.id, f"It shows {public} to everybody, and {secret} to agents only."):
        return
    shown = {
        word: one
        for one in bench.hands.read_comments(ticket.id)
        for word in (secret, public)
        if word in one.text
    }
    expect(secret not in shown or shown[secret].internal, "an internal comment is public")
    expect(public in shown, "a public comment is not there")
    expect(not shown[public].internal, "a customer's message is internal")
    if secret not in shown:
        raise Cannot("internal comments", "what the connector has to tell agents is not on the ticket")


@check(
    "what became of a reply is taken",
    promise="everything is shown",
    mend="show_delivery has to take the id of any comment; one that shows nothing returns.",
    api="changeComment answers 200 to a config.delivery, and keeps it.",
)
def delivery_is_taken(bench: Bench) -> None:
    """The agent sees in the comment whether it reached the customer."""
    ticket = bench.open_ticket()
    comment_id = bench.comment(ticket.id, bench.new_comment("More"))
    for delivery in (
        Delivery("sent", ["m_1", "m_2"]),
        Delivery("read", ["m_1", "m_2"]),
        Delivery("failed", [], "The window for replies has closed."),
    ):
        bench.helpdesk.show_delivery(comment_id, delivery)
