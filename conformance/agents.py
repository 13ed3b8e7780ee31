"""Checks of what agents write: it arrives, in order, and nothing else goes out."""

import time
from dataclasses import replace

from clients.errors import FileRefused
from clients.helpdesk import AgentReply
from conformance.check import check
from conformance.context import CLOCKS, Answered, Context, conversation_of, names, plain
from conformance.files import EMPTY, PAPER, PHOTO, TEXT_FILES
from conformance.outcome import Cannot, expect
from conformance.samples import a_customer, a_word
from tasks.outbound.jobs import is_public_reply

WHOLE_SECOND = 1.1
"""Longer than the step of the coarsest clock, in seconds."""
TEXT = "Zażółć, Здравейте, 你好, 🙂 שלום."
LINE = " ".join(f"This is sentence number {number} of one long line." for number in range(1, 7))
"""A paragraph of more than 80 characters, the width at which some helpdesks break lines."""


def answer_of_an_agent(context: Context) -> Answered:
    """Return a public reply of an agent, of one long line, with files."""

    def make() -> Answered:
        customer = a_customer()
        ticket = context.open_ticket("Is anybody there?", customer=customer)
        return context.answer(ticket, customer, f"{a_word()} {TEXT} {LINE}", files=[PHOTO, PAPER])

    return context.once("answered", make)


@check(
    "agents' comments reach the connector",
    promise="nothing is lost",
    remedy="Write receive, or poll, or both.",
)
def there_is_a_way(context: Context) -> None:
    """Without webhooks and without polling no reply would reach the customer."""
    expect(context.has_webhooks or context.has_poll, "the adapter has neither receive nor poll")
    if not context.has_webhooks:
        raise Cannot("webhooks", "the connector polls")


@check(
    "an agent's comment arrives",
    promise="nothing is lost",
    remedy="receive, or poll, has to return it, with internal False, author_type agent, and its ticket.",
    api=(
        'what an agent writes is sent as the webhook comment.created, with "internal": false, '
        '"author": {"type": "agent", …} and its ticket; getTicket answers the config where the '
        "webhook leaves it out."
    ),
)
def agents_comment_arrives(context: Context) -> None:
    """What an agent writes goes to the customer of the ticket that it was written on.

    Where receive or poll returns it unconfirmed, what confirm reads counts.
    """
    answered = answer_of_an_agent(context)
    reply, comment = answered.reply, answered.reply.comment
    expect(reply.ticket.id == answered.ticket.id, f"it is said to be on ticket {reply.ticket.id}")
    expect(comment.author_type == "agent", f"its author is {comment.author_type!r}")
    expect(comment.internal is False, "it is not said to be public")
    expect(
        is_public_reply(reply),
        "it would not be sent: it looks like a comment of the connector, or its ticket has no customer",
    )
    expect(answered.came.key == reply.key, f"its key is {answered.came.key}, but {reply.key} once confirmed")
    to = conversation_of(reply)
    expect(to == answered.customer.conversation, f"it would be sent to {to}")
    expect(TEXT in plain(reply), f"it would be sent as {plain(reply)!r}")


@check(
    "an agent's comment arrives whole",
    promise="everything is shown",
    remedy="Return the body as it was written: without line breaks at some width, and not cut off.",
    api="body of the webhook's comment is the whole text, without line breaks that the agent did not make.",
)
def agents_comment_arrives_whole(context: Context) -> None:
    """A paragraph stays one: Messenger shows line breaks as they come, on screens of any width."""
    said = plain(answer_of_an_agent(context).reply)
    expect(LINE in said, f"a line of {len(LINE)} characters would be sent as {said!r}")


@check(
    "an agent's files arrive, byte for byte",
    promise="everything is shown",
    remedy="Return the comment's files as its attachments; open_attachment has to fetch them.",
    api=(
        "attachments of the webhook's comment names each file with its url and content_type; "
        "getFile answers its bytes."
    ),
)
def agents_files_arrive(context: Context) -> None:
    """A file that an agent adds reaches the customer as it was."""
    reply = answer_of_an_agent(context).reply
    attachments = reply.comment.attachments
    there = sorted(one.filename for one in attachments)
    expect(there == sorted([PHOTO.filename, PAPER.filename]), f"its attachments are {there}")
    for attachment in attachments:
        content = PHOTO if attachment.filename == PHOTO.filename else PAPER
        expect(context.bytes_of(attachment) == content.data, f"{content.filename} was changed")
        kind = attachment.content_type
        expect(kind == content.content_type, f"{content.filename} is said to be {kind}")


def answer_of_files(context: Context) -> Answered:
    """Return a reply that consists of text files."""

    def make() -> Answered:
        customer = a_customer()
        ticket = context.open_ticket("Please send me the papers.", customer=customer)
        files = [replace(one, filename=f"{a_word()}-{one.filename}") for one in TEXT_FILES]
        return context.answer(ticket, customer, "", files=files)

    return context.once("files", make)


@check(
    "an agent's reply of files only arrives",
    promise="nothing is lost",
    remedy="receive, or poll, has to return a comment without text that has files.",
    api="the webhook comment.created is sent also for a comment without text that has attachments.",
)
def reply_of_files_only_arrives(context: Context) -> None:
    """Agents often send just the invoice."""
    reply = answer_of_files(context).reply
    expect(is_public_reply(reply), "a reply that has only files would not be sent")
    count = len(reply.comment.attachments)
    expect(count == len(TEXT_FILES), f"{len(TEXT_FILES)} files were sent, and {count} arrived")


@check(
    "an agent's text files keep their encoding",
    promise="everything is shown",
    remedy="Fetch files as bytes: keep their encoding, their line ends and their byte order mark.",
    api="getFile answers text files byte for byte.",
)
def agents_text_files_are_identical(context: Context) -> None:
    """A text file in an old encoding opens at the customer's as it did at the agent's."""
    reply = answer_of_files(context).reply
    attachments = reply.comment.attachments
    for content in TEXT_FILES:
        came = [context.bytes_of(one) for one in attachments if one.filename.endswith(content.filename)]
        expect(came == [content.data], f"{content.filename} was changed, or did not arrive")


@check(
    "an agent's empty file does not hold up its reply",
    promise="nothing is lost",
    remedy=(
        "Return the file as an attachment, whatever its size; open_attachment has to return it, or to raise "
        "FileRefused."
    ),
    api="attachments of the webhook's comment names empty files, too; getFile answers 200, or 404.",
)
def agents_empty_file_holds_up_nothing(context: Context) -> None:
    """The text goes out, and the agent learns of the file: channels take no empty ones."""
    customer, word = a_customer(), a_word()
    ticket = context.open_ticket("Please send me the file.", customer=customer)
    reply = context.answer(ticket, customer, f"{word} here it is", files=[EMPTY]).reply
    expect(is_public_reply(reply), "a reply with an empty file would not be sent")
    for attachment in reply.comment.attachments:
        if attachment.filename == EMPTY.filename:
            try:
                data = context.bytes_of(attachment)
            except FileRefused:
                return
            expect(not data, f"an empty file was fetched with {len(data)} bytes")
            return
    if not context.agent.confirm(ticket.id, f"The reply {word} does not show the file {EMPTY.filename}."):
        shown = [one for one in context.agent.read_comments(ticket.id) if word in one.text]
        there = any(one.filename == EMPTY.filename for comment in shown for one in comment.attachments)
        expect(not there, "an agent sees an empty file on a reply, which is not among its attachments")
    raise Cannot("empty files of agents", "the helpdesk does not keep them")


@check(
    "an answer that closes its ticket arrives, and says so",
    promise="nothing is lost",
    remedy="receive, or poll, has to return a reply on a ticket that it closed, with closed true.",
    api='the webhook comment.created of a reply that closes its ticket is sent, and says "closed": true.',
)
def answer_that_closes_arrives(context: Context) -> None:
    """Agents answer and close in one step: the answer goes out, and the next message opens a new ticket."""
    customer = a_customer()
    ticket = context.open_ticket("Just one thing", customer=customer)
    reply = context.answer(ticket, customer, f"{a_word()} good-bye", closing=True).reply
    expect(is_public_reply(reply), "a reply that closes its ticket would not be sent")
    expect(reply.ticket.closed, f"ticket {ticket.id} was closed with the reply, which says that it is open")
    found = context.helpdesk.find_open_ticket(customer.conversation)
    expect(found is None, f"ticket {ticket.id} was closed, and {found and found.id} was found as open")


@check(
    "agents' comments have their order",
    promise="order is kept",
    remedy="AgentReply.time has to be when the comment was written, as exactly as the helpdesk knows.",
    api="created_at of the webhook's comment is when it was written.",
)
def agents_comments_have_their_order(context: Context) -> None:
    """Replies reach the customer as they were written, even if their webhooks overtake each other."""
    first, second = answer_of_an_agent(context), second_answer(context)
    for one in (first, second):
        early, late = one.asked_at - CLOCKS, one.arrived_at + CLOCKS
        expect(early < one.reply.time < late, f"a comment of {one.asked_at} is dated {one.reply.time}")
    expect(first.reply.time < second.reply.time, "the second comment is not dated after the first")
    expect(first.reply.key != second.reply.key, "two comments have the same key")


def second_answer(context: Context) -> Answered:
    """Return a later reply on the same ticket."""
    first = answer_of_an_agent(context)

    def make() -> Answered:
        time.sleep(WHOLE_SECOND)  # so that a helpdesk that knows no fractions has two times as well
        return context.answer(first.ticket, first.customer, f"{a_word()} and one more")

    return context.once("second", make)


def _silent(context: Context, kind: str) -> list[AgentReply]:
    """Return what would be relayed of comments that stay: `ours`, and an agent's `internal` one."""

    def make() -> dict[str, list[AgentReply]]:
        answered, words = answer_of_an_agent(context), {"ours": a_word(), "internal": a_word()}
        for internal in (False, True):
            context.comment(
                answered.ticket.id, context.new_comment(f"{words['ours']} ours", internal=internal)
            )
        context.agent.reply_as_agent(answered.ticket.id, f"{words['internal']} between us", internal=True)
        # What is written last arrives last, as far as anything can be waited for that may not come.
        context.answer(answered.ticket, answered.customer, f"{a_word()} last")
        replies = [reply for _, reply, _ in context.replies(answered.asked_at)]
        replies += filter(None, map(context.relayed, context.helpdesk.poll(answered.asked_at)))
        return {kind: [reply for reply in replies if names(reply, word)] for kind, word in words.items()}

    return context.once("silent", make)[kind]


@check(
    "an agent's internal comment does not go out",
    promise="only what an agent says publicly goes out",
    remedy="receive and poll: internal is False only where the helpdesk says explicitly that it is public.",
    api='the webhook of an internal comment says "internal": true.',
)
def internal_comment_does_not_go_out(context: Context) -> None:
    """What agents say among themselves stays there. Of an unconfirmed reply, what confirm reads counts."""
    expect(
        not any(map(is_public_reply, _silent(context, "internal"))),
        "an internal comment would be sent",
    )


@check(
    "our own comments do not go out",
    promise="nothing is doubled",
    remedy="Return them with another author_type than agent, or with from_connector True.",
    api="the webhook of a comment that createComment made has its author and its config as they came.",
)
def own_comments_do_not_go_out(context: Context) -> None:
    """What the connector itself put on a ticket never comes back to the customer."""
    expect(
        not any(map(is_public_reply, _silent(context, "ours"))),
        "a comment that the connector made would be sent",
    )
