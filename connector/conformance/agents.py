"""Checks of what agents write: it arrives, in order, and nothing else goes out."""

import time
from datetime import timedelta

from clients.events import Thread
from clients.helpdesk import HelpdeskEvent
from connector.conformance.bench import Answered, Bench, plain
from connector.conformance.files import PAPER, PHOTO
from connector.conformance.samples import a_sender, a_word
from connector.conformance.suite import Cannot, Failed, check, expect
from tasks.accept import goes_out, person_of

WHOLE_SECOND = 1.1
"""Longer than the step of the coarsest clock, in seconds."""
CLOCKS = timedelta(minutes=1)
"""How far the helpdesk's clock may be off."""
TEXT = "Zażółć, Здравейте, 你好, 🙂 שלום."


def answer_of_an_agent(bench: Bench) -> Answered:
    """Return a public reply of an agent, with files."""

    def make() -> Answered:
        sender = a_sender()
        ticket = bench.open_ticket("Is anybody there?", sender=sender)
        return bench.answer(ticket, sender, f"{a_word()} {TEXT}", files=[PHOTO, PAPER])

    return bench.once("answered", make)


@check(
    "agents' comments can be learnt of",
    promise="nothing is lost",
    mend="Write receive, or poll, or both.",
)
def there_is_a_way(bench: Bench) -> None:
    """Without webhooks and without polling no reply would reach Messenger."""
    expect(bench.has_webhooks or bench.has_poll, "the adapter has neither receive nor poll")
    if not bench.has_webhooks:
        raise Cannot("webhooks", "the connector polls")


@check(
    "an agent's comment arrives",
    promise="nothing is lost",
    mend="receive, or poll, has to return it as comment.created, public, by an agent, on its ticket.",
)
def agents_comment_arrives(bench: Bench) -> None:
    """What an agent writes goes to the sender of the ticket that it was written on."""
    answered = answer_of_an_agent(bench)
    event, comment = answered.event, answered.event.comment
    expect(event.type == "comment.created" and comment, f"it is called {event.type}")
    expect(event.ticket.id == answered.ticket.id, f"it is said to be on ticket {event.ticket.id}")
    expect(comment and comment.author_type == "agent", f"its author is {comment and comment.author_type!r}")
    expect(comment and comment.internal is False, "it is not said to be public")
    expect(
        goes_out(event), "it would not go to Messenger: it looks like one of our own, or of no ticket of ours"
    )
    confirmed, sender = bench.confirmed(event), answered.sender
    if confirmed is None:
        raise Failed("confirm says that the helpdesk does not have it")
    expect(confirmed.key == event.key, f"its key is {event.key}, but {confirmed.key} once it is confirmed")
    person = person_of(confirmed.ticket)
    expect(person == Thread(sender.page_id, sender.psid), f"it would go to {person}")
    expect(TEXT in plain(confirmed), f"it would be sent as {plain(confirmed)!r}")


@check(
    "an agent's files arrive, byte for byte",
    promise="everything is shown",
    mend="Name the comment's files in the event; open_attachment has to fetch them.",
)
def agents_files_arrive(bench: Bench) -> None:
    """A file that an agent adds reaches the customer as it was."""
    event = answer_of_an_agent(bench).event
    attachments = event.comment.attachments if event.comment else ()
    names = sorted(one.filename for one in attachments)
    expect(names == sorted([PHOTO.filename, PAPER.filename]), f"the event has the files {names}")
    for attachment in attachments:
        content = PHOTO if attachment.filename == PHOTO.filename else PAPER
        expect(bench.bytes_of(attachment) == content.data, f"{content.filename} was changed")
        kind = attachment.content_type
        expect(kind == content.content_type, f"{content.filename} is said to be {kind}")


@check(
    "agents' comments have their order",
    promise="order is kept",
    mend="HelpdeskEvent.time has to be when the comment was written, as exactly as the helpdesk knows.",
)
def agents_comments_have_their_order(bench: Bench) -> None:
    """Replies reach the customer as they were written, even if their webhooks overtake each other."""
    first, second = answer_of_an_agent(bench), second_answer(bench)
    for one in (first, second):
        early, late = one.asked_at - CLOCKS, one.arrived_at + CLOCKS
        expect(early < one.event.time < late, f"a comment of {one.asked_at} is dated {one.event.time}")
    expect(first.event.time < second.event.time, "the second comment is not dated after the first")
    expect(first.event.key != second.event.key, "two comments have the same key")


def second_answer(bench: Bench) -> Answered:
    """Return a later reply on the same ticket."""
    first = answer_of_an_agent(bench)

    def make() -> Answered:
        time.sleep(WHOLE_SECOND)  # so that a helpdesk that knows no fractions has two times as well
        return bench.answer(first.ticket, first.sender, f"{a_word()} and one more")

    return bench.once("second", make)


def _silent(bench: Bench, kind: str) -> list[HelpdeskEvent]:
    """Return what came of comments that have to stay: `ours`, and an agent's `internal` one."""

    def make() -> dict[str, list[HelpdeskEvent]]:
        answered, words = answer_of_an_agent(bench), {"ours": a_word(), "internal": a_word()}
        for internal in (False, True):
            bench.comment(answered.ticket.id, bench.new_comment(f"{words['ours']} ours", internal=internal))
        bench.hands.reply_as_agent(answered.ticket.id, f"{words['internal']} between us", internal=True)
        # What is written last arrives last, as far as anything can be waited for that may not come.
        bench.answer(answered.ticket, answered.sender, f"{a_word()} last")
        events = [event for event, _ in bench.events(answered.asked_at)]
        events += bench.helpdesk.poll(answered.asked_at)
        return {
            kind: [event for event in events if event.comment and word in event.comment.body]
            for kind, word in words.items()
        }

    return bench.once("silent", make)[kind]


@check(
    "an agent's internal comment does not go out",
    promise="only what an agent says publicly goes out",
    mend="receive and poll: internal is False only where the helpdesk says outright that it is public.",
)
def internal_comment_does_not_go_out(bench: Bench) -> None:
    """What agents say among themselves stays there."""
    expect(not any(map(goes_out, _silent(bench, "internal"))), "an internal comment would go to Messenger")


@check(
    "our own comments do not go out",
    promise="nothing is doubled",
    mend="Give them another author_type than agent, or the config that they were made with.",
)
def own_comments_do_not_go_out(bench: Bench) -> None:
    """What the connector itself put on a ticket never comes back to the customer."""
    expect(not any(map(goes_out, _silent(bench, "ours"))), "a comment of our own would go to Messenger")
