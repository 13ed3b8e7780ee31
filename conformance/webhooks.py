"""Checks of webhooks and of polling: known when they come again, not to be forged."""

import queue
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from clients.errors import ClientError, RateLimited
from clients.helpdesk import AgentReply
from conformance.agents import answer_of_an_agent, second_answer
from conformance.check import check
from conformance.context import CLOCKS, Context, conversation_of, plain
from conformance.outcome import Cannot, Failed, NotChecked, expect
from conformance.receiver import Delivered
from conformance.runner import wait_for
from conformance.samples import a_customer, a_word
from tasks.outbound.jobs import is_public_reply

CALL_WITHIN = 5.0
"""How long a call may take that is made while a webhook is answered, in seconds."""


def _delivered(context: Context) -> tuple[AgentReply, Delivered]:
    """Return a reply with the webhook that brought it."""
    if not context.has_webhooks:
        raise Cannot("webhooks", "the connector polls")
    answered = answer_of_an_agent(context)
    if answered.delivered is None:
        raise NotChecked("the helpdesk's webhooks lead nowhere")
    return answered.came, answered.delivered


@check(
    "a webhook that comes again is known",
    promise="nothing is doubled",
    remedy="AgentReply.key has to be the same for every delivery of one reply: the comment's id is enough.",
    api="a webhook that is sent again has the same comment id.",
)
def repeated_webhook_has_the_same_key(context: Context) -> None:
    """Helpdesks repeat webhooks whose answer got lost."""
    reply, delivered = _delivered(context)
    again = context.read(delivered)
    expect(again and again.key == reply.key, f"{reply.key} came again as {again and again.key}")


@check(
    "a forged webhook is refused",
    promise="only what an agent says publicly goes out",
    remedy="Verify the signature, or the secret in the address, and raise InvalidWebhook.",
    api="webhooks are signed with helpdesk.webhook_secret (Standard Webhooks).",
)
def forged_webhooks_are_refused(context: Context) -> None:
    """Nobody but the helpdesk can write to customers in the page's name."""
    _, delivered = _delivered(context)
    body, headers, secret = delivered.body, delivered.headers, delivered.secret
    wrong = "x" * len(secret)
    _expect_refused(context, body, {}, "", "with neither signature nor secret")
    if secret:
        _expect_refused(context, body, headers, wrong, "with a wrong secret in its address")
    changed = context.refuses(body.rstrip()[:-1] + b" }", headers, secret)
    if not changed:
        expect(secret, "a webhook that had been changed on its way was accepted")
        believed = context.read(delivered)
        expect(
            believed and not believed.is_confirmed,
            "whatever somebody who knows the secret writes is believed; see Helpdesk.confirm",
        )
        raise Cannot("signed webhooks", "there is a secret in their address")


def _expect_refused(context: Context, body: bytes, headers: Mapping[str, str], secret: str, how: str) -> None:
    expect(context.refuses(body, headers, secret), f"a webhook {how} was accepted")


@check(
    "the helpdesk answers while its webhook is answered",
    promise="nothing is lost",
    remedy="Run the helpdesk with several threads, or let it send webhooks after its own answer.",
    api="getTicket is answered while a webhook is.",
)
def calls_inside_a_webhook_are_answered(context: Context) -> None:
    """The connector answers a webhook before it asks anything: a helpdesk that cannot is no problem."""
    _delivered(context)
    answered = answer_of_an_agent(context)
    took: queue.SimpleQueue[float] = queue.SimpleQueue()

    def call_back(_: Delivered) -> None:
        began = time.monotonic()
        try:
            context.helpdesk.get_ticket(answered.ticket.id)
            took.put(time.monotonic() - began)
        except ClientError:
            took.put(float("inf"))

    assert context.receiver  # noqa: S101 - it brought what was delivered
    with context.receiver.calling(call_back):
        context.answer(answered.ticket, answered.customer, f"{a_word()} call me back")
        try:
            seconds = took.get(timeout=context.within)
        except queue.Empty:
            seconds = float("inf")
    if seconds > CALL_WITHIN:
        raise Cannot(
            "calls while it waits for its webhook's answer", "a webhook is answered before anything is asked"
        )


@check(
    "a webhook comes when it is asked for",
    promise="nothing is lost",
    remedy="request_webhook has to have one sent, for which receive returns None once it is verified; "
    "or it returns None itself.",
    api='a "ping", signed as any webhook, follows sendPing; or sendPing is answered 404.',
)
def webhook_comes_when_asked_for(context: Context) -> None:
    """Whether the helpdesk's webhooks reach the connector can be seen before a reply depends on it."""
    if not context.has_webhooks:
        raise Cannot("webhooks", "the connector polls")
    if not context.receiver:
        raise NotChecked("the helpdesk's webhooks lead nowhere")
    came: queue.SimpleQueue[Delivered] = queue.SimpleQueue()
    with context.receiver.calling(came.put):
        if context.helpdesk.request_webhook() is None:
            raise Cannot("webhooks on request", "whether they arrive shows with the first reply")
        ends = time.monotonic() + context.within
        with suppress(queue.Empty):
            while not context.carries_nothing(came.get(timeout=max(0.0, ends - time.monotonic()))):
                pass
            return
    raise Failed(f"a webhook was asked for, and none came within {context.within:.0f} s")


def _expect_polling(context: Context) -> None:
    if not context.has_poll:
        raise Cannot("polling", "the helpdesk has to repeat a webhook until it is taken")


@check(
    "polling finds what an agent wrote",
    promise="nothing is lost",
    remedy="poll(since) has to return the replies that receive would have, with the same keys.",
    api=(
        "listComments with after answers what agents wrote later, each comment with the id that its webhook "
        "had; or, without listComments, findComments with after does so for each ticket that findTickets "
        "answers."
    ),
)
def polling_finds_comments(context: Context) -> None:
    """A comment whose webhook was lost, or was sent while the connector was down, is found by polling.

    Where poll returns it unconfirmed, what confirm reads counts.
    """
    _expect_polling(context)
    first, second = answer_of_an_agent(context), second_answer(context)
    polled = _polled(context, first.asked_at - CLOCKS)
    for one in (first, second):
        expect(
            one.reply.key in polled, f"{one.reply.key} came by webhook, and polling found {sorted(polled)}"
        )
        reply = polled[one.reply.key]
        expect(plain(reply) == plain(one.reply), "what polling returned differs from what its webhook said")
        expect(
            conversation_of(reply) == conversation_of(one.reply),
            "what was polled would be sent to another person",
        )
    later = _polled(context, second.reply.time)
    expect(first.reply.key not in later, "polling returns comments from before the time that was asked for")


def _polled(context: Context, since: datetime) -> dict[str, AgentReply]:
    """Return what polling finds that would be relayed, by its keys."""
    replies = filter(None, map(context.relayed, context.helpdesk.poll(since)))
    return {reply.key: reply for reply in replies if is_public_reply(reply)}


@check(
    "polling finds what stands on the second page",
    promise="nothing is lost",
    remedy="poll has to read on until all that was written since then is read, or until what is older comes.",
    api="next of listComments leads to the next page, until all that was written later was answered.",
)
def polling_reads_every_page(context: Context) -> None:
    """After an outage more may have been written than the helpdesk lists at once."""
    _expect_polling(context)
    first = answer_of_an_agent(context)
    filled: list[str] = context.shared.setdefault("filled", [])
    while len(filled) < context.page:
        comment = context.new_comment(f"comment {len(filled) + 1} of {context.page}, to fill a page")
        try:
            filled.append(context.comment(first.ticket.id, comment))
        except RateLimited as error:
            wait_for(error)
    last = context.answer(first.ticket, first.customer, f"{a_word()} behind them all")
    polled = _polled(context, first.asked_at - CLOCKS)
    for one, where in ((first, "before"), (last, "after")):
        said = f"a reply that was written {where} {context.page} other comments was not found by polling"
        expect(one.reply.key in polled, said)


@check(
    "polling finds what was written on a ticket that is closed by now",
    promise="nothing is lost",
    remedy="poll has to look at closed tickets as well.",
    api="listComments, and findTickets without the filter closed, answer those of closed tickets as well.",
)
def polling_finds_comments_of_closed_tickets(context: Context) -> None:
    """Agents answer and close at once: the answer still has to go out."""
    _expect_polling(context)
    customer = a_customer()
    ticket = context.open_ticket("Just one thing", customer=customer)
    answered = context.answer(ticket, customer, f"{a_word()} good-bye")
    context.agent.close_ticket(ticket.id)
    polled = _polled(context, answered.asked_at - CLOCKS)
    expect(answered.reply.key in polled, f"{answered.reply.key} was not found once its ticket was closed")
