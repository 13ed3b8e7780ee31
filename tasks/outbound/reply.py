"""Helpdesk to Messenger: an agent's comment becomes messages, part by part, each sent once."""

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast
from urllib.parse import urlsplit

import structlog
from structlog.contextvars import bind_contextvars

from clients.channel import Conversation
from clients.channels.meta import events
from clients.channels.meta.graph import Messenger, SentMessage, attachment_kind
from clients.cloudfront import signed_url
from clients.errors import (
    FileRefused,
    OutcomeUnknown,
    OutsideWindow,
    RateLimited,
    RejectedError,
    ServiceDown,
    Unauthorized,
    Unavailable,
)
from clients.helpdesk import Attachment, Comment, Delivery
from clients.media import proper_url
from clients.text.line import one_line
from clients.text.plain import is_visible, to_plain_text
from clients.text.split import split_text
from connector.settings import Connection
from tasks.celery import wake
from tasks.inbox.lease import Lease
from tasks.inbox.queues import conversation_of
from tasks.notes import notify_once
from tasks.outbound import receipts
from tasks.outbound.jobs import Receipt, Reply, decode_job, is_public_reply, reply_row
from tasks.services import Services, is_up

log = structlog.get_logger(__name__)

SHOWN_WITHIN = 10.0
"""How long a comment may not be shown yet whose webhook came: before its transaction is over (seconds)."""
ECHO_POLL = 1.0
"""How often the echo of a part is looked for, in seconds."""
LOOK_SPREAD = 10.0
"""Over how long those are spread that may not read their conversation yet, in seconds."""
ROUNDING = timedelta(seconds=2)
"""How much older a message may look than it is: Meta tells its times in whole seconds."""

MOST_PARTS = 50
"""How many messages one comment may become."""

Part = str | Attachment


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reply at the head of its conversation, and all that is needed to send it."""

    service: Services
    lease: Lease
    ticket_id: str
    comment: Comment
    conversation: Conversation
    connection: Connection
    messenger: Messenger


def relay(service: Services, lease: Lease) -> None:
    """Send the reply at the head, or show what became of those before it. Raises `ClientError`."""
    match decode_job(lease.event.body):
        case Receipt(status=status, watermark=watermark, mids=mids):
            lease.asks_page = False
            receipt = events.Receipt(status, watermark, mids)
            receipts.received(service, lease, conversation_of(lease.queue), receipt)
        case Reply() as reply:
            send_reply(_outgoing(service, lease, reply))


def find_person(service: Services, lease: Lease) -> None:
    """Ask the helpdesk what a webhook left out, or only claimed, and queue the reply for its person."""
    claimed = cast("Reply", decode_job(lease.event.body)).agent_reply
    confirmed = service.helpdesk.confirm(claimed)
    if confirmed is None:
        if service.inbox.now() < lease.event.accepted / 1000 + SHOWN_WITHIN:
            raise OutcomeUnknown("the helpdesk does not show the comment yet", retry_after=ECHO_POLL)
        log.warning("webhook_not_true", ticket=claimed.ticket.id, key=claimed.key)
        return
    confirmed = replace(confirmed, is_confirmed=True)
    if is_public_reply(confirmed):
        wake(service.inbox.accept([reply_row(confirmed, known=lease.event.body)]))


def notify(service: Services, lease: Lease, reason: str) -> None:
    """Tell the agent that a reply did not arrive: in the comment itself, and in an internal comment."""
    decoded = decode_job(lease.event.body)
    if not isinstance(decoded, Reply):
        return
    ticket, comment = decoded.agent_reply.ticket, decoded.agent_reply.comment
    mids = _sent_mids(lease)
    if mids:
        receipts.remember(service, conversation_of(lease.queue), mids)
    arrived = "Some of it did arrive. " if mids else ""
    note = (
        f"Your reply was not delivered to Messenger: {reason}. {arrived}Once the cause is mended, "
        f"an administrator can send what is missing with “connector dead retry {lease.event.id}”."
    )
    try:
        notify_once(service, lease, ticket.id, f"failed:{comment.id}", note)
    except RejectedError as error:  # a closed ticket takes no more comments
        log.warning("note_not_added", comment=comment.id, reason=str(error))
    service.helpdesk.show_delivery(comment.id, Delivery("failed", mids, reason))


def _outgoing(service: Services, lease: Lease, reply: Reply) -> Outgoing:
    conversation = conversation_of(lease.queue)
    connection = service.connection(conversation.account_id)
    messenger = service.messenger(connection)
    ticket, comment = reply.agent_reply.ticket, reply.agent_reply.comment
    bind_contextvars(ticket=ticket.id, comment=comment.id)
    return Outgoing(service, lease, ticket.id, comment, conversation, connection, messenger)


def send_reply(reply: Outgoing) -> None:
    """Send what was not sent yet, text first, then show that it was sent. Raises `ClientError`."""
    refused, parts = [], compose(reply.comment, reply.service.settings.helpdesk.base_url)
    if not parts:
        raise RejectedError("there is nothing in it that Messenger can show")
    if len(parts) > MOST_PARTS:
        raise RejectedError(
            f"it would take {len(parts)} messages, {MOST_PARTS} at most are sent; shorten it or attach a file"
        )
    for number, part in enumerate(parts):
        try:
            _send_part(reply, number, part)
        except FileRefused as error:
            name = one_line(part.filename) if isinstance(part, Attachment) else ""
            refused.append(f"the file “{name}” could not be sent ({error})")
        except Unauthorized as error:
            if error.remote != "helpdesk":
                _tell_waiting(reply, str(error))
            raise
    if refused:
        raise RejectedError("; ".join(refused))
    _note_sent(reply)


def compose(comment: Comment, base_url: str) -> list[Part]:
    """Return a comment's parts, in the order they are sent: its text, then its files.

    `base_url` is the helpdesk's. Where its files are is not for the person, who gets the files themselves.
    """
    names: dict[str, str] = {}
    for one in comment.attachments:
        names |= dict.fromkeys((one.url, _whole(one.url, base_url)), one_line(one.filename))

    def is_internal(address: str, tag: str) -> bool:
        whole = _whole(address, base_url)
        return whole in names or (tag == "img" and _origin(whole) == _origin(base_url))

    text = _named(to_plain_text(comment.body, comment.body_format, is_internal), names)
    return [*filter(is_visible, split_text(text)), *comment.attachments]


def _named(text: str, names: Mapping[str, str]) -> str:
    """Put names in the place of addresses."""
    known = "|".join(re.escape(url) for url in sorted(names, key=len, reverse=True) if url.startswith("http"))
    return re.sub(rf"(?:{known})(?![\w/?&=-])", lambda url: names[url[0]], text) if known else text


def _whole(url: str, base_url: str) -> str:
    """Return an address as it is asked for, or nothing if it is none."""
    try:
        return str(proper_url(url, base_url)) if url else ""
    except FileRefused:
        return ""


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _send_part(reply: Outgoing, number: int, part: Part) -> None:
    """Send a part, unless it was sent, and record its mid before the next."""
    if reply.lease.step(f"sent:{number}"):
        return
    echo_metadata = events.echo_metadata(reply.comment.id, number)
    if mid := _earlier_try(reply, number, part, echo_metadata):
        reply.lease.complete_step(f"sent:{number}", mid)
        return
    if isinstance(part, str):
        text = part
        mid = _call(
            reply,
            number,
            lambda tag: reply.messenger.send_text(
                reply.conversation.person_id, text, echo_metadata=echo_metadata, tag=tag
            ),
        )
    else:
        mid = _send_file(reply, number, part, echo_metadata)
    reply.lease.complete_step(f"sent:{number}", mid)


def _earlier_try(reply: Outgoing, number: int, part: Part, echo_metadata: str) -> str | None:
    """Return the mid of a part that was sent although nobody recorded it.

    Meta has no idempotency key. The echo tells, which may take a while: `OutcomeUnknown` is raised meanwhile.
    Where none comes, as the page is not subscribed to echoes or our door was shut, the conversation tells.
    """
    step = f"sending:{number}"
    if not reply.lease.step(step):
        return None
    if echo := reply.service.inbox.echo(reply.conversation.account_id, echo_metadata):
        mid, at = echo
        reply.lease.save_step("at", at)
        return mid
    age = reply.lease.age(step)
    if age < reply.service.settings.worker.echo_wait:
        raise OutcomeUnknown("it is not known yet whether the message was sent", retry_after=ECHO_POLL)
    return _find_in_conversation(reply, part, timedelta(seconds=age))


def _find_in_conversation(reply: Outgoing, part: Part, age: timedelta) -> str | None:
    """Look for a part among what the page sent since we began to send it, `age` ago.

    Meta tells how old its messages are by its own clock, so no two clocks are compared.
    """
    known = {*_sent_mids(reply.lease), *receipts.our_mids(reply.service, reply.conversation)}
    try:
        messages = reply.messenger.sent_messages(reply.conversation.person_id)
    except RateLimited as error:
        # Meta lets a page read two conversations a second. Who waits for his turn must not hold up the page's
        # sending, nor come back in step with all the others that wait.
        wait = (error.retry_after or ECHO_POLL) + random.uniform(0, LOOK_SPREAD)  # noqa: S311 - only jitter
        raise OutcomeUnknown("it is not known yet whether the message was sent", retry_after=wait) from error
    except RejectedError as error:
        log.warning("conversation_not_read", queue=reply.lease.queue, reason=str(error))
        return None
    recent = (one for one in messages if one.age <= age + ROUNDING and one.mid not in known)
    found = next((one for one in recent if _is_part(one, part)), None)
    if found is None:
        return None
    _note_time(reply, found.age)
    return found.mid


def _is_part(message: SentMessage, part: Part) -> bool:
    """Tell whether a message is a part; Meta gives files names and sizes of its own."""
    if isinstance(part, str):
        return message.text.split() == part.split()
    return message.has_attachment


def _call(reply: Outgoing, number: int, send: Callable[[str | None], str]) -> str:
    """Send with a record around the call; outside the window with the tag for human agents, where allowed."""
    step = f"sending:{number}"
    reply.lease.save_time(step)
    began = time.monotonic()
    try:
        mid = _with_tag_if_needed(reply, send)
    except Unavailable as error:
        if not error.maybe_done:
            reply.lease.save_step(step, "")
        raise
    except (RejectedError, Unauthorized, RateLimited):
        reply.lease.save_step(step, "")
        raise
    _note_time(reply, timedelta(seconds=time.monotonic() - began))
    reply.service.clocks.measure("facebook", reply.messenger.now())
    return mid


def _note_time(reply: Outgoing, age: timedelta) -> None:
    """Record when a part was sent, by Meta's clock: its receipts go by that."""
    if told := reply.messenger.now():
        reply.lease.save_step("at", str(int((told - age).timestamp() * 1000)))


def _with_tag_if_needed(reply: Outgoing, send: Callable[[str | None], str]) -> str:
    try:
        return send(None)
    except OutsideWindow:
        if not reply.connection.human_agent:
            raise
        return send("HUMAN_AGENT")


def _send_file(reply: Outgoing, number: int, file: Attachment, echo_metadata: str) -> str:
    kind = attachment_kind(file.content_type, file.size)
    payload = _payload(reply, number, kind, file)
    try:
        return _call(
            reply,
            number,
            lambda tag: reply.messenger.send_attachment(
                reply.conversation.person_id, kind, payload, echo_metadata=echo_metadata, tag=tag
            ),
        )
    except FileRefused:
        reply.lease.save_step(f"upload:{number}", "")
        raise


def _payload(reply: Outgoing, number: int, kind: str, file: Attachment) -> dict[str, str]:
    """Return how Meta gets a file: as an upload, or by an address that it fetches."""
    settings = reply.service.settings.attachments
    if settings.delivery == "url":
        return {"url": _address(reply, file)}
    if settings.delivery == "cloudfront":
        key = settings.cloudfront
        return {
            "url": signed_url(_address(reply, file), key.key_pair_id, key.private_key_file, key.expires_in)
        }
    uploaded = reply.lease.step(f"upload:{number}") or _upload(reply, number, kind, file)
    return {"attachment_id": uploaded}


def _address(reply: Outgoing, file: Attachment) -> str:
    """Return the address at which Meta fetches a file; the helpdesk may give one below its own."""
    return str(proper_url(file.url, reply.service.settings.helpdesk.base_url))


def _upload(reply: Outgoing, number: int, kind: str, file: Attachment) -> str:
    """Move a file from the helpdesk to Meta. One that cannot be moved for ever does not cost the others."""
    max_bytes = reply.service.settings.attachments.max_bytes
    reply.lease.need_helpdesk()
    try:
        with reply.service.helpdesk.open_attachment(file, max_bytes) as content:
            uploaded = reply.messenger.upload(kind, content)
    except RejectedError as error:
        raise FileRefused(str(error)) from error
    except Unavailable as error:
        if not _is_final(reply, error):
            raise
        raise FileRefused(str(error)) from error
    return reply.lease.complete_step(f"upload:{number}", uploaded)


def _is_final(reply: Outgoing, error: Unavailable) -> bool:
    """Tell whether a file is left out, as its last try failed though its remote is up."""
    if isinstance(error, ServiceDown) or reply.lease.attempts + 1 < reply.service.settings.worker.attempts:
        return False
    remotes = {"": None, "helpdesk": reply.service.helpdesk.ping}
    ping = remotes.get(error.remote, reply.messenger.ping)
    return ping is None or is_up(ping)


def _tell_waiting(reply: Outgoing, reason: str) -> None:
    note = f"Your reply waits: {reason}. It is sent by itself as soon as that is mended."
    try:
        notify_once(reply.service, reply.lease, reply.ticket_id, f"waiting:{reply.comment.id}", note)
    except RejectedError as error:  # a closed ticket takes no more comments; the reply waits all the same
        log.warning("note_not_added", comment=reply.comment.id, reason=str(error))


def _sent_mids(lease: Lease) -> list[str]:
    return lease.recorded("sent:")


def _note_sent(reply: Outgoing) -> None:
    """Show in the comment that it was sent, and remember it for Meta's receipts."""
    mids = _sent_mids(reply.lease)
    # By Meta's clock: its receipts go by it. Ours, where Meta told no time at all.
    sent_at = int(reply.lease.step("at") or reply.lease.step(f"sending:{len(mids) - 1}") or 0)
    receipts.sent(
        reply.service, reply.lease, reply.conversation, receipts.Sent(reply.comment.id, mids, sent_at)
    )
