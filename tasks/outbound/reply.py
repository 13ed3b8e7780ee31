"""From the helpdesk to a channel: an agent's comment becomes messages, part by part, each sent once."""

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

from clients.channel import Account, Channel, Receipt
from clients.cloudfront import signed_url
from clients.errors import (
    FileRefused,
    KindRefused,
    NotFetched,
    OutcomeUnknown,
    RateLimited,
    RejectedError,
    ServiceDown,
    Unauthorized,
    Unavailable,
    UploadGone,
)
from clients.helpdesk import AgentReply, Attachment, Comment, Delivery
from clients.media import proper_url
from clients.notices import Notice, notice
from clients.text.line import one_line
from clients.text.plain import is_visible, to_plain_text
from tasks import courtesies, trouble
from tasks.celery import wake
from tasks.connections import Connection
from tasks.inbox.job import Step, sent_ids
from tasks.inbox.queues import account_of
from tasks.notes import notify_once
from tasks.outbound import receipts
from tasks.outbound.jobs import Reply, decode_job, is_public_reply, reply_job
from tasks.words import say
from tasks.work import Work

log = structlog.get_logger(__name__)

SHOWN_WITHIN = 10.0
"""How long a comment may not be shown yet whose webhook came: before its transaction is over (seconds)."""
ECHO_POLL = 1.0
"""How often the echo of a part is looked for, in seconds."""
LOOK_SPREAD = 10.0
"""Over how long those are spread that may not look for what was sent yet, in seconds."""

PLAIN = "application/octet-stream"
"""The type of a file that is sent as no more than a file."""
MOST_PARTS = 50
"""How many messages one comment may become."""


@dataclass(frozen=True, slots=True)
class Outgoing(Work):
    """A reply at the head of its queue, and all that is needed to send it."""

    ticket_id: str
    comment: Comment
    connection: Connection
    account: Account


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a reply: a text, or a file. It is sent once, whatever happens in between."""

    reply: Outgoing
    number: int
    content: str | Attachment

    @property
    def echo_metadata(self) -> str:
        """Return what comes back with its echo."""
        return self.reply.channel.echo_metadata(self.reply.comment.id, self.number)

    @property
    def sending(self) -> Step:
        """Return the step that says when the part was about to be sent."""
        return Step.sending(self.number)

    @property
    def sent(self) -> Step:
        """Return the step that says as which message the part was sent."""
        return Step.sent(self.number)

    @property
    def upload(self) -> Step:
        """Return the step that says how the channel calls the part's file."""
        return Step.upload(self.number)


def relay(work: Work) -> None:
    """Send the reply at the head, or show what became of those before it. Raises `ClientError`."""
    match decode_job(work.lease.job.body):
        case Receipt() as receipt:
            work.lease.asks_account = False
            receipts.received(work, receipt)
        case Reply(agent_reply) if agent_reply.change:
            work.lease.asks_account = False
            _notify_of_change(work, agent_reply)
        case Reply() as reply:
            send_reply(_outgoing(work, reply))


def _notify_of_change(work: Work, changed: AgentReply) -> None:
    """Notify the agent that the customer has a comment as it was, if they have it: the change is not sent."""
    comment, is_deleted = changed.comment, changed.change == "deleted"
    if not receipts.was_sent(work, comment):
        return
    if not is_deleted and receipts.is_as_sent(work, comment):  # the delivery that we show in it was changed
        return
    code = "reply_deleted_later" if is_deleted else "reply_updated_later"
    note = say(notice(code, channel=work.channel.title), work.service.language(account_of(work.lease.queue)))
    try:
        notify_once(work, changed.ticket.id, f"{changed.change}:{comment.id}", note)
    except RejectedError as error:  # a closed ticket takes no more comments
        log.warning("note_not_added", comment=comment.id, reason=str(error))


def _outgoing(work: Work, reply: Reply) -> Outgoing:
    service, conversation = work.service, work.conversation
    connection = service.connection(conversation.channel, conversation.account_id)
    ticket, comment = reply.agent_reply.ticket, reply.agent_reply.comment
    bind_contextvars(ticket=ticket.id, comment=comment.id)
    return Outgoing(service, work.lease, ticket.id, comment, connection, service.account(connection))


def send_reply(reply: Outgoing) -> None:
    """Send what was not sent yet, text first, then show that it was sent. Raises `ClientError`."""
    refused: list[Notice] = []
    parts = _parts(reply)
    for part in parts:
        try:
            if len(parts) > 1:
                _show_typing(part)
            _send(part)
        except FileRefused as error:
            name = one_line(part.content.filename) if isinstance(part.content, Attachment) else ""
            refused.append(notice("file_not_sent", filename=name, reason=error.notice))
        except Unauthorized as error:
            if error.remote != "helpdesk":
                _notify_of_waiting(reply, error.notice)
            raise
    if refused:
        raise RejectedError("files_not_sent", files=refused, count=len(refused))
    _note_sent(reply)


def _parts(reply: Outgoing) -> list[Part]:
    """Return the parts, in the order they are sent."""
    contents = compose(reply.channel, reply.comment, reply.service.settings.helpdesk.base_url)
    if not contents:
        raise RejectedError("nothing_to_send")
    if len(contents) > MOST_PARTS:
        raise RejectedError("too_many_messages", count=len(contents), most=MOST_PARTS)
    return [Part(reply, number, content) for number, content in enumerate(contents)]


def compose(channel: Channel, comment: Comment, base_url: str) -> list[str | Attachment]:
    """Return what a comment is sent as: its text in parts, then its files.

    `base_url` is the helpdesk's. Where its files are is not for the person, who gets the files themselves.
    """
    names: dict[str, str] = {}
    for one in comment.attachments:
        names |= dict.fromkeys((one.url, _whole(one.url, base_url)), one_line(one.filename))

    def is_internal(address: str, tag: str) -> bool:
        whole = _whole(address, base_url)
        return whole in names or (tag == "img" and _origin(whole) == _origin(base_url))

    text = _named(to_plain_text(comment.body, comment.body_format, is_internal), names)
    return [*filter(is_visible, channel.split_text(text)), *comment.attachments]


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


def _show_typing(part: Part) -> None:
    """Have the person see that there is more to come."""
    reply = part.reply
    is_under_way = reply.lease.step(part.sent) or reply.lease.step(part.sending)
    if reply.service.settings.graph.typing and not is_under_way:
        courtesies.offer(reply, reply.account, reply.account.show_typing)


def _send(part: Part) -> None:
    """Send a part, unless it was sent, and save its message id before the next."""
    lease = part.reply.lease
    if not lease.step(part.sent):
        message_id = _sent_before(part) or _send_now(part)
        lease.complete_step(part.sent, message_id)


def _sent_before(part: Part) -> str | None:
    """Return the message id of a part that was sent although nobody saved it.

    A channel may have no idempotency key. The echo shows it, which may take a while: until then this raises
    `OutcomeUnknown`. Where none comes, as the account is not subscribed to echoes or our endpoint was down,
    the channel is asked for what was sent.
    """
    reply = part.reply
    if not reply.lease.step(part.sending):
        return None
    if echo := reply.service.inbox.part_echo(reply.conversation, part.echo_metadata):
        reply.lease.save_step(Step.sent_at(), str(echo.time))
        return echo.message_id
    age = reply.lease.age(part.sending)
    if age < reply.service.settings.worker.echo_wait:
        raise OutcomeUnknown("send_unconfirmed", retry_after=ECHO_POLL)
    return _find_sent(part, timedelta(seconds=age))


def _find_sent(part: Part, age: timedelta) -> str | None:
    """Look for a part among what the account sent since we began to send it, `age` ago.

    The channel says how old its messages are by its own clock, so no two clocks are compared.
    """
    reply = part.reply
    known = {*sent_ids(reply.lease.steps), *receipts.our_ids(reply)}
    text = part.content if isinstance(part.content, str) else None
    try:
        found = reply.account.find_sent(reply.conversation.person_id, text, age, known)
    except RateLimited as error:
        # Channels let an account look only so often. Who waits for his turn must not hold up the account's
        # sending, nor come back in step with all the others that wait.
        wait = (error.retry_after or ECHO_POLL) + random.uniform(0, LOOK_SPREAD)  # noqa: S311 - only jitter
        raise OutcomeUnknown("send_unconfirmed", retry_after=wait) from error
    except RejectedError as error:
        log.warning("sent_messages_not_read", queue=reply.lease.queue, reason=str(error))
        return None
    if found is None:
        return None
    _note_time(reply, found.age)
    return found.message_id


def _send_now(part: Part) -> str:
    reply = part.reply
    if isinstance(part.content, Attachment):
        return _send_file(part, part.content)
    text = part.content
    return _call(
        part,
        lambda: reply.account.send_text(reply.conversation.person_id, text, echo_metadata=part.echo_metadata),
    )


def _send_file(part: Part, file: Attachment) -> str:
    """Send a file; if it is refused as it is sent, once more in the way that may be accepted."""
    reply, channel = part.reply, part.reply.channel
    uploaded_as = (reply.lease.step(part.upload) or "").partition(" ")[0]
    kind = uploaded_as or channel.kind_of_file(file.content_type, file.size)
    by_address = reply.service.settings.attachments.delivery != "upload"
    try:
        return _send_as(part, file, kind, by_address=by_address)
    except KindRefused:
        plain = channel.kind_of_file(PLAIN, file.size)
        if kind == plain:
            raise
        return _send_as(part, file, plain, by_address=by_address)
    except NotFetched:
        if not by_address:
            raise
        return _send_as(part, file, kind, by_address=False)
    except UploadGone:
        return _send_as(part, file, kind, by_address=by_address)


def _send_as(part: Part, file: Attachment, kind: str, *, by_address: bool) -> str:
    reply = part.reply
    source = {"url": _address(reply, file)} if by_address else {"uploaded": _uploaded(part, kind, file)}
    try:
        return _call(
            part,
            lambda: reply.account.send_file(
                reply.conversation.person_id, kind, echo_metadata=part.echo_metadata, **source
            ),
        )
    except FileRefused:
        reply.lease.undo_step(part.upload)
        raise


def _address(reply: Outgoing, file: Attachment) -> str:
    """Return the address at which the channel fetches a file; the helpdesk may give one below its own."""
    settings = reply.service.settings
    url, key = str(proper_url(file.url, settings.helpdesk.base_url)), settings.attachments.cloudfront
    if settings.attachments.delivery == "cloudfront":
        return signed_url(url, key.key_pair_id, key.private_key_file, key.expires_in)
    return url


def _uploaded(part: Part, kind: str, file: Attachment) -> str:
    """Move a file from the helpdesk to the channel, unless it is there; the step also says as what.

    One that cannot be moved for ever does not cost the others.
    """
    reply = part.reply
    if known := reply.lease.step(part.upload):
        return known.partition(" ")[2]
    max_bytes = reply.service.settings.attachments.max_bytes
    reply.lease.need_helpdesk()
    try:
        with reply.service.helpdesk.open_attachment(file, max_bytes) as content:
            uploaded = reply.account.upload(kind, content)
    except FileRefused:
        raise
    except RejectedError as error:
        raise FileRefused(error.notice.code, **error.notice.values) from error
    except Unavailable as error:
        if not _is_final(reply, error):
            raise
        raise FileRefused(error.notice.code, **error.notice.values) from error
    reply.lease.complete_step(part.upload, f"{kind} {uploaded}")
    return uploaded


def _is_final(reply: Outgoing, error: Unavailable) -> bool:
    """Return whether a file is left out, as its last try failed though its remote is up."""
    if isinstance(error, ServiceDown) or not reply.is_last_try:
        return False
    return not error.remote or reply.service.is_up(error.remote)


def _call(part: Part, send: Callable[[], str]) -> str:
    """Send with a record around the call."""
    reply, lease = part.reply, part.reply.lease
    lease.save_time(part.sending, reply.channel.rate_of(has_file=isinstance(part.content, Attachment)))
    began = time.monotonic()
    try:
        message_id = send()
    except Unavailable as error:
        if not error.maybe_done:
            lease.undo_step(part.sending)
        raise
    except (RejectedError, Unauthorized, RateLimited):
        lease.undo_step(part.sending)
        raise
    _note_time(reply, timedelta(seconds=time.monotonic() - began))
    reply.service.clocks.measure(reply.channel.name, reply.account.now())
    reply.service.remotes.slow_down(reply.account.remote, reply.account.usage())
    return message_id


def _note_time(reply: Outgoing, age: timedelta) -> None:
    """Save when a part was sent, by the channel's clock: its receipts go by that."""
    if now := reply.account.now():
        reply.lease.save_step(Step.sent_at(), str(int((now - age).timestamp() * 1000)))


def _note_sent(reply: Outgoing) -> None:
    """Show in the comment that it was sent, and remember it for the channel's receipts."""
    ids = sent_ids(reply.lease.steps)
    # By the channel's clock: its receipts go by it. Ours, where it gave no time at all.
    sent_at = int(reply.lease.step(Step.sent_at()) or reply.lease.step(Step.sending(len(ids) - 1)) or 0)
    receipts.remember(reply, reply.comment, ids)
    receipts.sent(reply, receipts.Sent(reply.comment.id, ids, sent_at))


def find_person(work: Work) -> None:
    """Ask the helpdesk what a webhook left out, or only claimed, and queue the reply for its person."""
    service, lease = work.service, work.lease
    claimed = cast("Reply", decode_job(lease.job.body)).agent_reply
    confirmed = service.helpdesk.confirm(claimed)
    if confirmed is None:
        if service.inbox.now() < lease.job.accepted / 1000 + SHOWN_WITHIN:
            raise OutcomeUnknown("comment_not_shown", retry_after=ECHO_POLL)
        log.warning("webhook_not_true", ticket=claimed.ticket.id, key=claimed.key)
        return
    confirmed = replace(confirmed, is_confirmed=True)
    if is_public_reply(confirmed):
        wake(service.inbox.accept([reply_job(confirmed)]))


def notify(work: Work, reason: Notice) -> None:
    """Notify the agent that a reply did not arrive: in the comment itself, and in an internal comment."""
    service, lease = work.service, work.lease
    decoded = decode_job(lease.job.body)
    if not isinstance(decoded, Reply) or decoded.agent_reply.change:
        return
    ticket, comment = decoded.agent_reply.ticket, decoded.agent_reply.comment
    ids = sent_ids(lease.steps)
    receipts.remember(work, comment, ids)
    language, told = service.language(account_of(lease.queue)), [notice("reply_not_delivered", reason=reason)]
    told += [notice("tried", count=lease.attempts + 1)] if lease.attempts else []
    told += [notice("reply_partly_delivered")] if ids else []
    told += [known] if (known := trouble.of(work)) else []
    note = " ".join(say(one, language) for one in (*told, notice("retry_reply", id=lease.job.id)))
    try:
        notify_once(work, ticket.id, f"failed:{comment.id}", note)
    except RejectedError as error:  # a closed ticket takes no more comments
        log.warning("note_not_added", comment=comment.id, reason=str(error))
    service.helpdesk.show_delivery(comment.id, Delivery("failed", ids, say(reason, language)))


def _notify_of_waiting(reply: Outgoing, reason: Notice) -> None:
    note = say(notice("reply_waiting", reason=reason), reply.connection.language)
    try:
        notify_once(reply, reply.ticket_id, f"waiting:{reply.comment.id}", note)
    except RejectedError as error:  # a closed ticket takes no more comments; the reply waits all the same
        log.warning("note_not_added", comment=reply.comment.id, reason=str(error))
