"""Reminders of customers whom nobody answered, before the channel's reply window closes.

A message that stands on its ticket is noted as unanswered until an agent's reply was sent, or an agent
answered in the channel's own inbox. Once the reminder is due, the sweep queues it behind the replies to the
customer: if none of them was sent, it becomes an internal comment.
"""

from datetime import UTC, datetime, timedelta

import msgspec
import redis
import structlog
from structlog.contextvars import bind_contextvars

from clients.channel import Channel
from clients.errors import ClientError, RejectedError
from clients.notices import Notice, notice
from tasks.celery import wake
from tasks.connections import Connection
from tasks.inbox.inbox import Unanswered
from tasks.inbox.job import Job
from tasks.notes import is_refused_for_good, notify_once
from tasks.outbound.jobs import Reminder
from tasks.services import Services
from tasks.words import say
from tasks.work import Work

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 100
"""How many reminders one sweep queues."""


def note_message(work: Work, connection: Connection, ticket_id: str, time: datetime) -> None:
    """Note that a message of this time, the one at the head, stands on a ticket and waits for an answer.

    One that comes from the future would hide all later ones, so its time is when it was accepted at most.
    """
    window = work.channel.reply_window
    if connection.remind_before and window:
        closes = min(_ms(time), work.lease.job.accepted) + _length(window)
        work.lease.note_unanswered(closes - _length(connection.remind_before), closes, ticket_id)


def note_answer(work: Work, connection: Connection, time: datetime) -> None:
    """Note that all that the person wrote until then was answered."""
    window = work.channel.reply_window
    if connection.remind_before and window:
        work.service.inbox.note_answer(work.conversation, _ms(time) + _length(window))


def queue_due(service: Services) -> None:
    """Queue the reminders that are due. A full store leaves them for later. Raises `redis.RedisError`.

    Whoever dies in between leaves them on the list: their keys are known then.
    """
    if not any(one.active and one.remind_before for one in service.connections.all):
        return
    if due := service.inbox.due_reminders(MOST_AT_ONCE):
        try:
            wake(service.inbox.accept([_job(one) for one in due]))
        except redis.OutOfMemoryError:
            return
        service.inbox.forget_due(due)


def _job(due: Unanswered) -> Job:
    """Return the job of a reminder: its time is when the window closes, so all replies are before it."""
    body = msgspec.json.encode(Reminder(due.ticket_id, due.closes))
    return Job(key=_name(due.ticket_id, due.closes), queue=due.queue, time=due.closes, body=body)


def _name(ticket_id: str, closes: int) -> str:
    return f"reminder:{ticket_id}:{closes}"


def remind(work: Work, reminder: Reminder) -> None:
    """Remind the agents of a ticket, unless there is nothing to remind of any more. Raises `ClientError`.

    What keeps it from being added for good does not make it a dead letter: nothing of the customer's is lost.
    """
    bind_contextvars(ticket=reminder.ticket_id)
    connection = work.service.active_connection(work.conversation.channel, work.conversation.account_id)
    unanswered = _is_unanswered(work, reminder)
    if unanswered and work.service.inbox.now() * 1000 >= reminder.closes:
        log.warning("reminder_too_late", queue=work.lease.queue)  # its page was paused until now
    elif unanswered and connection and connection.remind_before:
        try:
            _notify(work, reminder, say(_words(work.channel, connection, reminder), connection.language))
        except ClientError as error:
            if not isinstance(error, RejectedError) and not is_refused_for_good(work, error):
                raise
            log.warning("reminder_not_added", queue=work.lease.queue, reason=str(error))
    work.service.inbox.note_answer(work.conversation, reminder.closes)


def _is_unanswered(work: Work, reminder: Reminder) -> bool:
    """Return whether nobody answered, and the customer wrote no more."""
    return work.service.inbox.unanswered(work.conversation) == (reminder.closes, reminder.ticket_id)


def _notify(work: Work, reminder: Reminder, note: str) -> None:
    work.lease.need_helpdesk()
    if not work.service.helpdesk.get_ticket(reminder.ticket_id).closed:
        notify_once(work, reminder.ticket_id, _name(reminder.ticket_id, reminder.closes), note)


def _words(channel: Channel, connection: Connection, reminder: Reminder) -> Notice:
    closes = datetime.fromtimestamp(reminder.closes / 1000, UTC)
    window, agents_window = channel.reply_window, channel.agents_window(connection.credentials)
    if not window or not agents_window:
        return notice("unanswered", channel=channel.title, time=_shown(closes))
    until = _shown(closes - window + agents_window)
    return notice("unanswered_by_agent", channel=channel.title, time=_shown(closes), until=until)


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _length(time: timedelta) -> int:
    return time // timedelta(milliseconds=1)
