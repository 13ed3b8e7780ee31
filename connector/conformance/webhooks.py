"""Checks of webhooks and of polling: known when they come again, not to be forged."""

import queue
import time
from collections.abc import Mapping

from clients.errors import ClientError
from clients.helpdesk import HelpdeskEvent
from connector.conformance.agents import CLOCKS, answer_of_an_agent, second_answer
from connector.conformance.bench import Bench, plain
from connector.conformance.receiver import Delivered
from connector.conformance.samples import a_sender, a_word
from connector.conformance.suite import Cannot, NotChecked, check, expect
from tasks.accept import goes_out, person_of

PATIENCE = 5.0
"""How long a call may take that is made while a webhook is answered, in seconds."""


def _delivered(bench: Bench) -> tuple[HelpdeskEvent, Delivered]:
    """Return an event with the webhook that brought it."""
    if not bench.has_webhooks:
        raise Cannot("webhooks", "the connector polls")
    answered = answer_of_an_agent(bench)
    if answered.delivered is None:
        raise NotChecked("the helpdesk's webhooks lead nowhere")
    return answered.event, answered.delivered


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
    changed = bench.refuses(body.rstrip()[:-1] + b" }", headers, secret)
    if not changed:
        expect(secret, "a webhook was taken that had been changed on its way")
        believed = bench.read(delivered)
        expect(
            believed and believed.ticket.config is None,
            "what anybody may write who knows the secret is believed; see Helpdesk.confirm",
        )
        raise Cannot("signed webhooks", "there is a secret in their address")


def _expect_refused(bench: Bench, body: bytes, headers: Mapping[str, str], secret: str, how: str) -> None:
    expect(bench.refuses(body, headers, secret), f"a webhook {how} was taken")


@check(
    "the helpdesk answers while its webhook is answered",
    promise="nothing is lost",
    mend="Run the helpdesk with several threads, or have it send webhooks after its own answer.",
)
def calls_inside_a_webhook_are_answered(bench: Bench) -> None:
    """The connector answers a webhook before it asks anything: a helpdesk that cannot is no problem."""
    _delivered(bench)
    answered = answer_of_an_agent(bench)
    took: queue.SimpleQueue[float] = queue.SimpleQueue()

    def call_back(_: Delivered) -> None:
        began = time.monotonic()
        try:
            bench.helpdesk.get_ticket(answered.ticket.id)
            took.put(time.monotonic() - began)
        except ClientError:
            took.put(float("inf"))

    assert bench.receiver  # noqa: S101 - it brought what was delivered
    bench.receiver.before_answer = call_back
    try:
        bench.answer(answered.ticket, answered.sender, f"{a_word()} call me back")
        seconds = took.get(timeout=bench.within)
    except queue.Empty:
        seconds = float("inf")
    finally:
        bench.receiver.before_answer = lambda _: None
    if seconds > PATIENCE:
        raise Cannot(
            "calls while it waits for its webhook's answer", "a webhook is answered before anything is asked"
        )


def _expect_polling(bench: Bench) -> None:
    if not bench.has_poll:
        raise Cannot("polling", "the helpdesk has to repeat a webhook until it is taken")


@check(
    "polling finds what an agent wrote",
    promise="nothing is lost",
    mend="poll(since) has to return the events that receive would have, with the same keys.",
)
def polling_finds_comments(bench: Bench) -> None:
    """A webhook that was lost, or sent while the connector was down, is made good by polling."""
    _expect_polling(bench)
    first, second = answer_of_an_agent(bench), second_answer(bench)
    polled = {event.key: event for event in bench.helpdesk.poll(first.asked_at - CLOCKS) if goes_out(event)}
    for one in (first, second):
        expect(
            one.event.key in polled, f"{one.event.key} came by webhook, and polling found {sorted(polled)}"
        )
        event = polled[one.event.key]
        expect(plain(event) == plain(one.event), "what was polled says something else than its webhook")
        came = bench.confirmed(one.event)
        expect(
            came and person_of(event.ticket) == person_of(came.ticket), "what was polled is on another ticket"
        )
    later = {event.key for event in bench.helpdesk.poll(second.event.time) if goes_out(event)}
    expect(first.event.key not in later, "polling does not heed since when")


@check(
    "polling finds what was written on a ticket that is closed by now",
    promise="nothing is lost",
    mend="poll has to look at closed tickets as well.",
)
def polling_finds_comments_of_closed_tickets(bench: Bench) -> None:
    """Agents answer and close at once: the answer still has to go out."""
    _expect_polling(bench)
    sender = a_sender()
    ticket = bench.open_ticket("Just one thing", sender=sender)
    answered = bench.answer(ticket, sender, f"{a_word()} good-bye")
    bench.hands.close_ticket(ticket.id)
    polled = {event.key for event in bench.helpdesk.poll(answered.asked_at - CLOCKS) if goes_out(event)}
    expect(answered.event.key in polled, f"{answered.event.key} was not found once its ticket was closed")
