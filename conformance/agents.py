"""Checks of what agents write: it arrives, in order, and nothing else goes out."""

import time
from dataclasses import replace

from clients.channel import Conversation
from clients.channels.meta.events import CHANNEL
from clients.errors import FileRefused
from clients.helpdesk import HelpdeskEvent
from conformance.check import Cannot, check, expect
from conformance.context import CLOCKS, Answered, Context, names, plain
from conformance.files import EMPTY, PAPER, PHOTO, TEXT_FILES
from conformance.samples import a_sender, a_word
from tasks.outbound.jobs import is_public_reply, person_of

WHOLE_SECOND = 1.1
"""Longer than the step of the coarsest clock, in seconds."""
TEXT = "Zażółć, Здравейте, 你好, 🙂 שלום."
LINE = " ".join(f"This is sentence number {number} of one long line." for number in range(1, 7))
"""A paragraph of more than 80 characters, the width at which some helpdesks break lines."""


def answer_of_an_agent(context: Context) -> Answered:
    """Return a public reply of an agent, of one long line, with files."""

    def make() -> Answered:
        sender = a_sender()
        ticket = context.open_ticket("Is anybody there?", sender=sender)
        return context.answer(ticket, sender, f"{a_word()} {TEXT} {LINE}", files=[PHOTO, PAPER])

    return context.once("answered", make)


@check(
    "agents' comments can be learnt of",
    promise="nothing is lost",
    remedy="Write receive, or poll, or both.",
)
def there_is_a_way(context: Context) -> None:
    """Without webhooks and without polling no reply would reach Messenger."""
    expect(context.has_webhooks or context.has_poll, "the adapter has neither receive nor poll")
    if not context.has_webhooks:
        raise Cannot("webhooks", "the connector polls")


@check(
    "an agent's comment arrives",
    promise="nothing is lost",
    remedy="receive, or poll, has to return it as comment.created, public, by an agent, on its ticket.",
    api=(
        'what an agent writes is sent as the webhook comment.created, with "internal": false, '
        '"author": {"type": "agent", …} and its ticket; getTicket answers the config where the '
        "webhook leaves it out."
    ),
)
def agents_comment_arrives(context: Context) -> None:
    """What an agent writes goes to the sender of the ticket that it was written on.

    Where receive or poll leaves the ticket's config out, what confirm reads counts.
    """
    answered = answer_of_an_agent(context)
    event, comment = answered.event, answered.event.comment
    expect(event.type == "comment.created" and comment, f"it is called {event.type}")
    expect(event.ticket.id == answered.ticket.id, f"it is said to be on ticket {event.ticket.id}")
    expect(comment and comment.author_type == "agent", f"its author is {comment and comment.author_type!r}")
    expect(comment and comment.internal is False, "it is not said to be public")
    expect(
        is_public_reply(event),
        "it would not go to Messenger: it looks like one of our own, or of no ticket of ours",
    )
    expect(answered.came.key == event.key, f"its key is {answered.came.key}, but {event.key} once confirmed")
    person, sender = person_of(event.ticket), answered.sender
    expect(person == Conversation(CHANNEL, sender.page_id, sender.psid), f"it would go to {person}")
    expect(TEXT in plain(event), f"it would be sent as {plain(event)!r}")


@check(
    "an agent's comment arrives whole",
    promise="everything is shown",
    remedy="Name the body as it was written: without line breaks at some width, and not cut off.",
    api="body of the webhook's comment is the whole text, without line breaks that the agent did not make.",
)
def agents_comment_arrives_whole(context: Context) -> None:
    """A paragraph stays one: Messenger shows line breaks as they come, on screens of any width."""
    said = plain(answer_of_an_agent(context).event)
    expect(LINE in said, f"a line of {len(LINE)} characters would be sent as {said!r}")


@check(
    "an agent's files arrive, byte for byte",
    promise="everything is shown",
    remedy="Name the comment's files in the event; open_attachment has to fetch them.",
    api=(
        "attachments of the webhook's comment names each file with its url and content_type; "
        "getFile answers its bytes."
    ),
)
def agents_files_arrive(context: Context) -> None:
    """A file that an agent adds reaches the customer as it was."""
    event = answer_of_an_agent(context).event
    attachments = event.comment.attachments if event.comment else ()
    there = sorted(one.filename for one in attachments)
    expect(there == sorted([PHOTO.filename, PAPER.filename]), f"the event has the files {there}")
    for attachment in attachments:
        content = PHOTO if attachment.filename == PHOTO.filename else PAPER
        expect(context.bytes_of(attachment) == content.data, f"{content.filename} was changed")
        kind = attachment.content_type
        expect(kind == content.content_type, f"{content.filename} is said to be {kind}")


def answer_of_files(context: Context) -> Answered:
    """Return a reply that consists of text files."""

    def make() -> Answered:
        sender = a_sender()
        ticket = context.open_ticket("Please send me the papers.", sender=sender)
        files = [replace(one, filename=f"{a_word()}-{one.filename}") for one in TEXT_FILES]
        return context.answer(ticket, sender, "", files=files)

    return context.once("files", make)


@check(
    "an agent's reply of files only arrives",
    promise="nothing is lost",
    remedy="receive, or poll, has to return a comment without text that has files.",
    api="the webhook comment.created is sent also for a comment without text that has attachments.",
)
def reply_of_files_only_arrives(context: Context) -> None:
    """Agents often send just the invoice."""
    event = answer_of_files(context).event
    expect(is_public_reply(event), "a reply that has only files would not go to Messenger")
    count = len(event.comment.attachments) if event.comment else 0
    expect(count == len(TEXT_FILES), f"{len(TEXT_FILES)} files were sent, and {count} arrived")


@check(
    "an agent's text files keep their encoding",
    promise="everything is shown",
    remedy="Fetch files as bytes: no recoding, no other line ends, no lost byte order mark.",
    api="getFile answers text files byte for byte.",
)
def agents_text_files_are_identical(context: Context) -> None:
    """A text file in an old encoding opens at the customer's as it did at the agent's."""
    event = answer_of_files(context).event
    attachments = event.comment.attachments if event.comment else ()
    for content in TEXT_FILES:
        came = [context.bytes_of(one) for one in attachments if one.filename.endswith(content.filename)]
        expect(came == [content.data], f"{content.filename} was changed, or did not arrive")


@check(
    "an agent's empty file does not hold up its reply",
    promise="nothing is lost",
    remedy="Name the file in the event, whatever its size; open_attachment gives it, or raises FileRefused.",
    api="attachments of the webhook's comment names empty files, too; getFile answers 200, or 404.",
)
def agents_empty_file_holds_up_nothing(context: Context) -> None:
    """The text goes out, and the agent is told of the file: Messenger takes no empty ones."""
    sender, word = a_sender(), a_word()
    ticket = context.open_ticket("Please send me the file.", sender=sender)
    event = context.answer(ticket, sender, f"{word} here it is", files=[EMPTY]).event
    expect(is_public_reply(event), "a reply with an empty file would not go to Messenger")
    for attachment in event.comment.attachments if event.comment else ():
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
        expect(not there, "an agent sees an empty file on a reply, and the event does not name it")
    raise Cannot("empty files of agents", "the helpdesk does not keep them")


@check(
    "an answer that closes its ticket arrives, and says so",
    promise="nothing is lost",
    remedy="receive, or poll, has to return a reply on a ticket that it closed, with closed true.",
    api='the webhook comment.created of a reply that closes its ticket is sent, and says "closed": true.',
)
def answer_that_closes_arrives(context: Context) -> None:
    """Agents answer and close in one step: the answer goes out, and the next message opens a new ticket."""
    sender = a_sender()
    ticket = context.open_ticket("Just one thing", sender=sender)
    event = context.answer(ticket, sender, f"{a_word()} good-bye", closing=True).event
    expect(is_public_reply(event), "a reply that closes its ticket would not go to Messenger")
    expect(event.ticket.closed, f"ticket {ticket.id} was closed with the reply, which says that it is open")
    found = context.helpdesk.find_open_ticket(sender.page_id, sender.psid)
    expect(found is None, f"ticket {ticket.id} was closed, and {found and found.id} was found as open")


@check(
    "agents' comments have their order",
    promise="order is kept",
    remedy="HelpdeskEvent.time has to be when the comment was written, as exactly as the helpdesk knows.",
    api="created_at of the webhook's comment is when it was written.",
)
def agents_comments_have_their_order(context: Context) -> None:
    """Replies reach the customer as they were written, even if their webhooks overtake each other."""
    first, second = answer_of_an_agent(context), second_answer(context)
    for one in (first, second):
        early, late = one.asked_at - CLOCKS, one.arrived_at + CLOCKS
        expect(early < one.event.time < late, f"a comment of {one.asked_at} is dated {one.event.time}")
    expect(first.event.time < second.event.time, "the second comment is not dated after the first")
    expect(first.event.key != second.event.key, "two comments have the same key")


def second_answer(context: Context) -> Answered:
    """Return a later reply on the same ticket."""
    first = answer_of_an_agent(context)

    def make() -> Answered:
        time.sleep(WHOLE_SECOND)  # so that a helpdesk that knows no fractions has two times as well
        return context.answer(first.ticket, first.sender, f"{a_word()} and one more")

    return context.once("second", make)


def _silent(context: Context, kind: str) -> list[HelpdeskEvent]:
    """Return what would be relayed of comments that stay: `ours`, and an agent's `internal` one."""

    def make() -> dict[str, list[HelpdeskEvent]]:
        answered, words = answer_of_an_agent(context), {"ours": a_word(), "internal": a_word()}
        for internal in (False, True):
            context.comment(
                answered.ticket.id, context.new_comment(f"{words['ours']} ours", internal=internal)
            )
        context.agent.reply_as_agent(answered.ticket.id, f"{words['internal']} between us", internal=True)
        # What is written last arrives last, as far as anything can be waited for that may not come.
        context.answer(answered.ticket, answered.sender, f"{a_word()} last")
        events = [event for _, event, _ in context.events(answered.asked_at)]
        events += filter(None, map(context.relayed, context.helpdesk.poll(answered.asked_at)))
        return {kind: [event for event in events if names(event, word)] for kind, word in words.items()}

    return context.once("silent", make)[kind]


@check(
    "an agent's internal comment does not go out",
    promise="only what an agent says publicly goes out",
    remedy="receive and poll: internal is False only where the helpdesk says outright that it is public.",
    api='the webhook of an internal comment says "internal": true.',
)
def internal_comment_does_not_go_out(context: Context) -> None:
    """What agents say among themselves stays there. Where the config is left out, confirm decides."""
    expect(
        not any(map(is_public_reply, _silent(context, "internal"))),
        "an internal comment would go to Messenger",
    )


@check(
    "our own comments do not go out",
    promise="nothing is doubled",
    remedy="Give them another author_type than agent, or the config that they were made with.",
    api="the webhook of a comment that createComment made has its author and its config as they came.",
)
def own_comments_do_not_go_out(context: Context) -> None:
    """What the connector itself put on a ticket never comes back to the customer."""
    expect(
        not any(map(is_public_reply, _silent(context, "ours"))), "a comment of our own would go to Messenger"
    )
