"""Checks of comments: added once, found again, in order."""

from functools import partial

from clients.errors import RejectedError
from clients.helpdesk import Delivery
from conformance.check import check
from conformance.context import Context
from conformance.outcome import Cannot, expect
from conformance.samples import a_word, an_id
from conformance.tickets import LOOKS_FIRST


@check(
    "a comment is found by its external id",
    promise="nothing is doubled",
    remedy="comment_by_external_id has to find what add_comment just made, by the whole id, on its ticket.",
    api=(
        "findComments with external_id finds the comment that was created with it, by the whole "
        "id, on its ticket only."
    ),
)
def comment_is_found_by_external_id(context: Context) -> None:
    """When adding a comment timed out, or a worker died in it, this shows whether it had worked."""
    ticket, other = context.open_ticket(), context.open_ticket()
    comment = context.new_comment("More")
    find = partial(context.helpdesk.comment_by_external_id, ticket.id)
    expect(find(comment.external_id) is None, "a comment was found before it was made")
    made = context.comment(ticket.id, comment)
    expect(find(comment.external_id) == made, f"comment {made} was not found by its external id")
    for wrong in (comment.external_id[:-1], comment.external_id.swapcase(), an_id()):
        expect(find(wrong) is None, f"comment {made} was found by an external id that is not its")
    elsewhere = context.helpdesk.comment_by_external_id(other.id, comment.external_id)
    expect(elsewhere is None, f"comment {made} was found on a ticket that is not its")


@check(
    "a comment that is added twice is one",
    promise="nothing is doubled",
    remedy="Honour the key, or make comment_by_external_id find what is there.",
    api=(
        "createComment answers a repeat with its Idempotency-Key with the first comment; or "
        "findComments finds it by external_id."
    ),
)
def same_key_makes_one_comment(context: Context) -> None:
    """A comment that is added again with its key, as after an answer that got lost, makes no second one."""
    ticket, comment = context.open_ticket(), context.new_comment("Only once")
    made = {context.comment(ticket.id, comment) for _ in range(2)}
    found = context.helpdesk.comment_by_external_id(ticket.id, comment.external_id)
    expect(found in made, "what was added is not found by its external id")
    if len(made) > 1:
        raise Cannot("idempotency keys", LOOKS_FIRST)


@check(
    "comments stand in their order",
    promise="order is kept",
    remedy="Show comments in the order in which they were added, or by created_at.",
    api="agents see comments in the order in which createComment added them, or by created_at.",
)
def comments_stand_in_order(context: Context) -> None:
    """An agent reads a conversation as it was written."""
    words = [a_word() for _ in range(8)]
    ticket = context.open_ticket(words[0])
    for word in words[1:]:
        context.comment(ticket.id, context.new_comment(word))
    if context.agent.confirm(ticket.id, f"It shows these messages, in this order: {', '.join(words)}."):
        return
    shown = [one.text for one in context.agent.read_comments(ticket.id)]
    seen = [word for text in shown for word in words if word in text]
    expect(seen == words, f"{len(words)} messages were written, and stand as {[*map(words.index, seen)]}")


@check(
    "internal comments stay internal",
    promise="only what an agent says publicly goes out",
    remedy="Write them so that the customer never sees them; where the helpdesk cannot, leave them out.",
    api='a comment with "internal": true is shown to agents only.',
)
def internal_comments_stay_internal(context: Context) -> None:
    """What the connector writes for agents is not for customers, who may read their tickets in a portal."""
    ticket, secret, public = context.open_ticket(), a_word(), a_word()
    context.comment(ticket.id, context.new_comment(secret, internal=True))
    context.comment(ticket.id, context.new_comment(public))
    if context.agent.confirm(ticket.id, f"It shows {public} to everybody, and {secret} to agents only."):
        return
    shown = {
        word: one
        for one in context.agent.read_comments(ticket.id)
        for word in (secret, public)
        if word in one.text
    }
    expect(secret not in shown or shown[secret].internal, "an internal comment is public")
    expect(public in shown, "a public comment is not there")
    expect(not shown[public].internal, "a customer's message is internal")
    if secret not in shown:
        raise Cannot("internal comments", "what the connector has to say to agents is not on the ticket")


@check(
    "what became of a reply is taken",
    promise="everything is shown",
    remedy="show_delivery has to accept the id of any comment; if it can show nothing, it just returns.",
    api="changeComment answers 200 to a config.delivery, and keeps it.",
)
def delivery_is_taken(context: Context) -> None:
    """The agent sees in the comment whether it reached the customer."""
    ticket = context.open_ticket()
    comment_id = context.comment(ticket.id, context.new_comment("More"))
    for delivery in (
        Delivery("sent", ["m_1", "m_2"]),
        Delivery("read", ["m_1", "m_2"]),
        Delivery("failed", [], "The window for replies has closed."),
    ):
        context.helpdesk.show_delivery(comment_id, delivery)


@check(
    "an edited message is edited in its comment",
    promise="everything is shown",
    remedy="find_comment has to return the comment with its text, and edit_comment to put another in its "
    "place; where the helpdesk cannot, leave both out.",
    api="findComments shows a comment's body, and changeComment puts another in its place.",
)
def comment_is_edited(context: Context) -> None:
    """A customer edits their message: the agent reads the new text, and the earlier one below."""
    before, after = a_word(), a_word()
    ticket, comment = context.open_ticket(), context.new_comment(before)
    comment_id = context.comment(ticket.id, comment)
    found = context.helpdesk.find_comment(ticket.id, comment.external_id)
    if found is None:
        raise Cannot("finding comments", "what a message answers is looked up in its channel")
    expect(found.id == comment_id, f"find_comment returned comment {found.id}, not {comment_id}")
    expect(before in found.body, "find_comment returned a comment without its text")
    try:
        edited = context.helpdesk.edit_comment(comment_id, f"{after}\n\n> {before}")
    except RejectedError:
        edited = False
    if not edited:
        raise Cannot("edited messages", "an internal comment tells the new text")
    if context.agent.confirm(ticket.id, f"It shows {after}, and {before} below it, in one comment."):
        return
    shown = [one.text for one in context.agent.read_comments(ticket.id) if after in one.text]
    expect(len(shown) == 1, f"the new text stands in {len(shown)} comments")
    expect(before in shown[0], "the earlier text is not below the new one")
