"""From the helpdesk to a channel: an agent's comment becomes messages, part by part."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import structlog
from structlog.contextvars import bind_contextvars

from clients.channel import Receipt
from clients.errors import (
    FileRefused,
    FileTooLarge,
    MessageRefused,
    OutcomeUnknown,
    RejectedError,
    Unauthorized,
    Unavailable,
)
from clients.helpdesk import AgentReply, Delivery
from clients.notices import Notice, notice
from clients.text.line import one_line
from tasks import courtesies, trouble
from tasks.celery import wake
from tasks.inbox.job import UNTRACED, Step, last_sending, sent_ids, under_way
from tasks.inbox.queues import account_of
from tasks.notes import notify_once
from tasks.outbound import receipts, reminders
from tasks.outbound.jobs import Reminder, Reply, decode_job, is_public_reply, reply_job
from tasks.outbound.parts import ECHO_POLL, Outgoing, Part, do_not_answer, parts_of
from tasks.words import say
from tasks.work import Work

log = structlog.get_logger(__name__)

SHOWN_WITHIN = 10.0
"""How long a comment may not be shown yet whose webhook came: before its transaction is over (seconds)."""
_WAITING_IN_TROUBLE = "waiting_in_trouble"
_FAILED = "failed"


def relay(work: Work) -> None:
    """Send the reply at the head, show what became of those before it, or remind of one.

    Raises `ClientError`.
    """
    match decode_job(work.lease.job.body):
        case Receipt() as receipt:
            work.lease.asks_account = False
            receipts.received(work, receipt)
        case Reminder() as reminder:
            work.lease.asks_account = False
            reminders.remind(work, reminder)
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
    links: list[str] = []
    parts = parts_of(reply)
    shows_typing = reply.service.settings.graph.typing and len(parts) > 1
    for part in parts:
        if shows_typing and not part.is_under_way:
            courtesies.offer(reply, reply.account, reply.account.show_typing)
        try:
            links += _send(part, refused)
        except MessageRefused:
            if not part.reply_to:
                raise
            do_not_answer(reply)
            send_reply(reply)
            return
        except Unauthorized as error:
            if error.remote != "helpdesk":
                _notify_of_waiting(reply, error.notice)
            raise
    if not refused:
        _note_sent(reply)
    _note_answer(reply)
    if links:
        _tell(reply, "linked", notice("files_sent_as_links", files=", ".join(links)))
    if refused:
        raise RejectedError("files_not_sent", files=refused, count=len(refused))


def _send(part: Part, refused: list[Notice]) -> list[str]:
    """Send a part; of one that is not taken as it is, what is taken. Return the names of files sent as links.

    What is said of the files that are not taken is added to `refused`.
    """
    try:
        part.send()
    except (FileRefused, MessageRefused) as error:
        if len(part.files) > 1:  # which one is not taken, nobody says
            return [name for one in part.apart() for name in _send(one, refused)]
        if not isinstance(error, FileRefused) or not part.files:
            raise
        try:
            if isinstance(error, FileTooLarge) and part.reply.connection.link_large_files:
                return _send(part.as_link(), refused)
        except FileRefused as no_link:
            error = no_link
        filename = one_line(part.files[0].filename)
        refused.append(notice("file_not_sent", filename=filename, reason=error.notice))
    return [part.link_to] if part.link_to else []


def _note_sent(reply: Outgoing) -> None:
    """Show in the comment that it was sent, if it failed before tell it, and remember it for receipts."""
    ids = sent_ids(reply.lease.steps)
    receipts.remember(reply, reply.comment, ids)
    receipts.sent(reply, receipts.Sent(reply.comment.id, ids, _sent_at(reply)))
    if Step.notified(f"{_FAILED}:{reply.comment.id}") in reply.lease.steps:
        _tell(reply, "sent_later", notice("reply_sent_later"))


def _note_answer(reply: Outgoing) -> None:
    """Note that the person has an answer, if a person wrote it, even if not all of it could be sent."""
    if sent_at := 0 if reply.comment.is_automated else _sent_at(reply):
        reminders.note_answer(reply, reply.connection, datetime.fromtimestamp(sent_at / 1000, UTC))


def _sent_at(reply: Outgoing) -> int:
    """Return when the last part was sent, in ms; 0 if none was.

    It is by the channel's clock, as its receipts go by that; by ours where it gave no time at all.
    """
    return int(reply.lease.step(Step.sent_at()) or last_sending(reply.lease.steps))


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
    language, is_untraceable = service.language(account_of(lease.queue)), reason.code == "untraceable"
    told = [notice("reply_untraceable" if is_untraceable else "reply_not_delivered", reason=reason)]
    told += [notice("tried", count=lease.attempts + 1)] if lease.attempts and not is_untraceable else []
    told += [notice("reply_partly_delivered")] if ids else []
    told += [known] if (known := trouble.of(work)) else []
    told.append(notice("send_again" if is_untraceable else "retry_reply", id=lease.job.id))
    note = " ".join(say(one, language) for one in told)
    try:
        notify_once(work, ticket.id, f"{_FAILED}:{comment.id}", note)
    except RejectedError as error:  # a closed ticket takes no more comments
        log.warning("note_not_added", comment=comment.id, reason=str(error))
    service.helpdesk.show_delivery(comment.id, Delivery("failed", ids, say(reason, language)))
    for step in under_way(lease.steps) if is_untraceable else ():  # whoever retries it wants it sent
        lease.save_step(step, UNTRACED)


def _tell(reply: Outgoing, about: str, what: Notice) -> None:
    """Notify the agent of something about a reply that was sent."""
    try:
        _notify(reply, about, say(what, reply.connection.language))
    except Unavailable as error:  # the reply was sent all the same
        if reply.lease.attempts + 1 < receipts.ATTEMPTS:
            raise
        log.warning("note_not_added", comment=reply.comment.id, reason=str(error))


def _notify_of_waiting(reply: Outgoing, reason: Notice) -> None:
    """Notify the agent that a reply waits; once more if the trouble of the account is known only later."""
    told, known = [notice("reply_waiting", reason=reason)], trouble.of(reply)
    if known:
        told.append(known)
    elif Step.notified(f"{_WAITING_IN_TROUBLE}:{reply.comment.id}") in reply.lease.steps:
        return
    note = " ".join(say(one, reply.connection.language) for one in told)
    _notify(reply, _WAITING_IN_TROUBLE if known else "waiting", note)


def _notify(reply: Outgoing, about: str, note: str) -> None:
    try:
        notify_once(reply, reply.ticket_id, f"{about}:{reply.comment.id}", note)
    except RejectedError as error:  # a closed ticket takes no more comments; what became of the reply stays
        log.warning("note_not_added", comment=reply.comment.id, reason=str(error))
