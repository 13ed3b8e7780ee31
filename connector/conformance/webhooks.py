"""Checks of what agents write: it arrives, once, and nothing else does."""

import time
from collections.abc import Mapping
from datetime import timedelta

from clients.errors import ClientError
from clients.events import Thread
from clients.helpdesk import HelpdeskEvent, InvalidWebhook, WebhookNotUnderstood
from connector.conformance.bench import Answered, Bench, a_sender, a_word, plain
from connector.conformance.comments import PAPER, PHOTO
from connector.conformance.receiver import Delivered
from connector.conformance.suite import Cannot, NotChecked, check, expect
from tasks.accept import goes_out, person_of

PATIENCE = 5.0
"""How long a call may take that is made while a webhook is answered, in seconds."""
CLOCKS = timedelta(minutes=1)
"""How far the helpdesk's clock may be off."""
SETTLE = 1.0
TEXT = "Zażółć, Здравейте, 你好, 🙂 שלום."


def _answered(bench: Bench) -> Answered:
    """Return a public reply of an agent, with files."""

    def make() -> Answered:
        sender = a_sender()
        ticket = bench.open_ticket("Is anybody there?", sender=sender)
        return bench.answer(ticket, sender, f"{a_word()} {TEXT}", files=[PHOTO, PAPER])

    return bench.once("answered", make)


def _delivered(bench: Bench) -> tuple[HelpdeskEvent, Delivered]:
    """Return an event with the webhook that brought it."""
    if not bench.has_webhooks:
        raise Cannot("webhooks", "the connector polls")
    answered = _answered(bench)
    if answered.delivered is None:
        raise NotChecked("the helpdesk's webhooks lead nowhere")
    return answered.event, answered.delivered


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
    answered = _answered(bench)
    event, comment = answered.event, answered.event.comment
    expect(event.type == "comment.created" and comment, f"it is called {event.type}")
    expect(event.ticket.id == answered.ticket.id, f"it is said to be on ticket {event.ticket.id}")
    expect(comment and comment.author_type == "agent", f"its author is {comment and comment.author_type!r}")
    expect(comment and comment.internal is False, "it is not said to be public")
    expect(
        goes_out(event), "it would not go to Messenger: it looks like one of our own, or of no ticket of ours"
    )
    ticket = event.ticket if event.ticket.config is not None else bench.helpdesk.get_ticket(event.ticket.id)
    person, sender = person_of(ticket), answered.sender
    expect(person == Thread(sender.page_id, sender.psid), f"it would go to {person}")
    expect(TEXT in plain(event), f"it would be sent as {plain(event)!r}")


@check(
    "an agent's files arrive, byte for byte",
    promise="everything is shown",
    mend="Name the comment's files in the event; open_attachment has to fetch them.",
)
def agents_files_arrive(bench: Bench) -> None:
    """A file that an agent adds reaches the customer as it was."""
    event = _answered(bench).event
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
    first, second = _answered(bench), _second(bench)
    for one in (first, second):
        early, late = one.asked_at - CLOCKS, one.arrived_at + CLOCKS
        expect(early < one.event.time < late, f"a comment of {one.asked_at} is dated {one.event.time}")
    expect(first.event.time < second.event.time, "the second comment is not dated after the first")
    expect(first.event.key != second.event.key, "two comments have the same key")


def _second(bench: Bench) -> Answered:
    first = _answered(bench)
    return bench.once("second", lambda: bench.answer(first.ticket, first.sender, f"{a_word()} and one more"))


def _silent(bench: Bench, kind: str) -> list[HelpdeskEvent]:
    """Return what came of comments that have to stay: `ours`, and an agent's `internal` one."""

    def make() -> dict[str, list[HelpdeskEvent]]:
        answered, words = _answered(bench), {"ours": a_word(), "internal": a_word()}
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


@check(
    "a webhook that comes again is known",
    promise="nothing is doubled",
    mend="HelpdeskEvent.key has to be the same for every delivery of one event: the comment's id will do.",
)
def repeated_webhook_has_the_same_key(bench: Bench) -> None:
    """Helpdesks repeat webhooks whose answer got lost."""
    event, delivered = _delivered(bench)
    again = bench.read(delivered)
    expect(again and again.key == event.key, f"{event.key} came again as {again and again.key}")


@check(
    "a forged webhook is refused",
    promise="only what an agent says publicly goes out",
    mend="Verify the signature, or the secret in the address, and raise InvalidWebhook.",
)
def forged_webhooks_are_refused(bench: Bench) -> None:
    """Nobody but the helpdesk can write to customers in the page's name."""
    _, delivered = _delivered(bench)
    body, headers, secret = delivered.body, delivered.headers, delivered.secret
    wrong = "x" * len(secret)
    _expect_refused(bench, body, {}, "", "with neither signature nor secret")
    if secret:
        _expect_refused(bench, body, headers, wrong, "with a wrong secret in its address")
    changed = _is_refused(bench, body.rstrip()[:-1] + b" }", headers, secret)
    if not changed:
        expect(secret, "a webhook was taken that had been changed on its way")
        raise Cannot("signed webhooks", "there is a secret in their address")


def _expect_refused(bench: Bench, body: bytes, headers: Mapping[str, str], secret: str, how: str) -> None:
    expect(_is_refused(bench, body, headers, secret), f"a webhook {how} was taken")


def _is_refused(bench: Bench, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    try:
        bench.helpdesk.receive(body, headers, secret)
    except InvalidWebhook:
        return True
    except WebhookNotUnderstood:
        return False
    return False


@check(
    "the helpdesk answers while its webhook is answered",
    promise="nothing is lost",
    mend="Run the helpdesk with several threads, or have it send webhooks after its own answer.",
)
def calls_inside_a_webhook_are_answered(bench: Bench) -> None:
    """The connector answers a webhook before it asks anything: a helpdesk that cannot is no problem."""
    _delivered(bench)
    answered = _answered(bench)
    took: list[float] = []

    def call_back(_: Delivered) -> None:
        began = time.monotonic()
        try:
            bench.helpdesk.get_ticket(answered.ticket.id)
            took.append(time.monotonic() - began)
        except ClientError:
            took.append(float("inf"))

    assert bench.receiver  # noqa: S101 - it brought what was delivered
    bench.receiver.before_answer = call_back
    try:
        bench.answer(answered.ticket, answered.sender, f"{a_word()} call me back")
        ends = time.monotonic() + bench.within
        while not took and time.monotonic() < ends:
            time.sleep(SETTLE / 10)
    finally:
        bench.receiver.before_answer = lambda _: None
    if not took or max(took) > PATIENCE:
        raise Cannot(
            "calls while it waits for its webhook's answer", "a webhook is answered before anything is asked"
        )


@check(
    "polling finds what an agent wrote",
    promise="nothing is lost",
    mend="poll(since) has to return the events that receive would have, with the same keys.",
)
def polling_finds_comments(bench: Bench) -> None:
    """A webhook that was lost, or sent while the connector was down, is made good by polling."""
    if not bench.has_poll:
        raise Cannot("polling", "the helpdesk has to repeat a webhook until it is taken")
    first, second = _answered(bench), _second(bench)
    polled = {event.key: event for event in bench.helpdesk.poll(first.asked_at - CLOCKS) if goes_out(event)}
    for one in (first, second):
        expect(
            one.event.key in polled, f"{one.event.key} came by webhook, and polling found {sorted(polled)}"
        )
        event = polled[one.event.key]
        expect(plain(event) == plain(one.event), "what was polled says something else than its webhook")
        expect(person_of(event.ticket) == person_of(one.event.ticket), "what was polled is on another ticket")
    later = {event.key for event in bench.helpdesk.poll(second.event.time) if goes_out(event)}
    expect(first.event.key not in later, "polling does not heed since when")
