"""What an event is about, in the words of the message that it names."""

import re
from datetime import UTC, datetime, timedelta

import structlog

from clients.channel import Edit
from clients.errors import ClientError, LeaseLost, RetryableError
from clients.helpdesk import Comment
from clients.notices import Notice, notice
from clients.text.line import one_line
from clients.text.plain import is_visible, to_plain_text
from tasks.inbound.arrival import Arrival
from tasks.outbound import receipts
from tasks.outbound.content import split_quotation, text_of

log = structlog.get_logger(__name__)

_OURS = re.compile(r">.*|\(.*\)|!?\[(?!http).*\]\([^\s)]*\)")
"""A line of a comment that is a quotation, a remark of the connector's, or shows a file or a link."""
_MARKS = str.maketrans(dict.fromkeys('“”„"«»', "'"))
_EARLIER = notice("earlier_message")
WRITTEN_WITHIN = timedelta(days=7)
"""How long before it was sent a comment may have been written that is looked for."""
MOST_WORDS = 120
"""How much of a message is quoted, in characters."""


def quoted(arrival: Arrival, message_id: str) -> Notice:
    """Name a message by its words, as far as the helpdesk or the channel still shows them.

    An event never waits for what it is about: where nobody answers, it is about an earlier message.
    """
    known = _EARLIER
    try:
        if found := _on_ticket(arrival, message_id) or _of_ours(arrival, message_id):
            return found
        known = _as_opening(arrival, message_id) or _EARLIER
        # Of a message that was edited the channel shows the new words.
        if isinstance(arrival.event, Edit) or known.values:
            return known
        return _on_channel(arrival, message_id) or known
    except LeaseLost:
        raise
    except ClientError as error:
        log.info("words_not_read", queue=arrival.lease.queue, reason=str(error))
        return known


def _on_ticket(arrival: Arrival, message_id: str) -> Notice | None:
    """Look on the ticket for a message, which an agent may have written in the channel's own inbox."""
    ticket_id = next(arrival.open_tickets(), None)
    comment = ticket_id and message_id and arrival.service.helpdesk.find_comment(ticket_id, message_id)
    if not comment:
        return None
    words = next(iter(_paragraphs_of(comment.body, comment.body_format)), "")
    return _by_page(words) if comment.author_type == "agent" else _by_customer(words)


def _as_opening(arrival: Arrival, message_id: str) -> Notice | None:
    """Name a message as the one that opened the ticket: it is no comment, and has no author of its own."""
    ticket_id = next(arrival.open_tickets(), None) if message_id else None
    try:
        opening = ticket_id and arrival.service.helpdesk.find_opening(ticket_id, message_id)
    except LeaseLost:
        raise
    except ClientError as error:
        log.info("opening_not_read", queue=arrival.lease.queue, reason=str(error))
        return None
    if not opening:
        return None
    paragraphs = _paragraphs_of(opening.body, opening.body_format)
    names_author = len(paragraphs) > 1 and paragraphs[0].endswith(":")
    words = _shortened(" ".join(paragraphs[: 2 if names_author else 1]))
    return notice("first_message", words=words) if words else notice("first_message_without_words")


def _paragraphs_of(body: str, body_format: str) -> list[str]:
    """Return what somebody else than the connector says in a body, as plain text."""
    is_markdown = body_format == "markdown"
    source = "\n".join(line for line in body.split("\n") if not (is_markdown and _OURS.fullmatch(line)))
    text = to_plain_text(source, body_format).strip()
    return [one for one in text.split("\n\n") if not one.startswith(">")]


def _of_ours(arrival: Arrival, message_id: str) -> Notice | None:
    """Look on the ticket for the comment of an agent's of which a message was a part.

    What it says there is what the customer has only if nobody changed it since.
    """
    part = receipts.our_part(arrival.service.inbox, arrival.conversation, message_id) if message_id else None
    ticket_id = next(arrival.open_tickets(), None) if part else None
    if not part or not ticket_id:
        return None
    helpdesk, since = arrival.service.helpdesk, datetime.fromtimestamp(part.at / 1000, UTC) - WRITTEN_WITHIN
    try:
        comment = helpdesk.read_comment(ticket_id, part.comment_id, since)
    except LeaseLost:
        raise
    except ClientError as error:
        log.info("comment_not_read", queue=arrival.lease.queue, reason=str(error))
        return None
    words = _words_of(arrival, comment, part.number) if comment and part.is_of(comment) else None
    return None if words is None else _by_page(words)


def _words_of(arrival: Arrival, comment: Comment, number: int) -> str | None:
    """Return what a part of a comment says; of a file, or a link to it, nothing; None if it is not known."""
    text = text_of(comment, arrival.service.settings.helpdesk.base_url)
    quotation, rest = split_quotation(text)
    if number and is_visible(quotation):  # it may have been sent as text, or not
        return None
    parts = [*filter(is_visible, arrival.channel.split_text(rest if is_visible(rest) else text))]
    return parts[number] if number < len(parts) else ""


def _on_channel(arrival: Arrival, message_id: str) -> Notice | None:
    """Ask the account, unless it failed at that lately; what else it failed at says nothing about this."""
    account, remotes = arrival.account, arrival.service.remotes
    asked = f"{account.remote} words"
    if not message_id or remotes.is_resting(asked):
        return None
    try:
        said = account.words_of(message_id)
    except LeaseLost:
        raise
    except RetryableError:
        remotes.rest(asked)
        raise
    if said is None:
        return None
    if not said.by_account:
        return _by_customer(said.text)
    return _by_page(said.text)


def _by_page(text: str) -> Notice:
    words = _shortened(text)
    return notice("page_message", words=words) if words else notice("page_message_without_text")


def _by_customer(text: str) -> Notice:
    words = _shortened(text)
    return notice("customer_message", words=words) if words else notice("customer_message_without_text")


def _shortened(text: str) -> str:
    # Its own quotation marks could end the quotation, and go on in our words.
    words = one_line(text).translate(_MARKS)
    return words if len(words) <= MOST_WORDS else f"{words[:MOST_WORDS]}…"
