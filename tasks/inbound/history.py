"""What was said before an account was connected: what is written now waits for it and stands behind it."""

from datetime import UTC, datetime

import redis
import structlog

from clients.channel import Echo, Message
from clients.errors import Busy, ClientError, GivesWay, LeaseLost, RejectedError
from tasks.inbound.arrival import Arrival
from tasks.inbound.backfill import Fetcher
from tasks.inbox.backfills import History
from tasks.inbox.job import Step
from tasks.inbox.personal import Personal
from tasks.inbox.queues import account_remote
from tasks.store import reason_of

log = structlog.get_logger(__name__)

HISTORY_WITHIN = 60.0
"""How long an event waits at most for what was said before it, in seconds."""
ASK_AGAIN = 2.0
"""How long it waits until it is tried again, in seconds."""


def wait_for(arrival: Arrival) -> None:
    """Have what was said before with the person fetched, as long as the history of their account is.

    Raises `Busy` if that is to be tried again, and `GivesWay` if it is what goes on the ticket now.
    """
    event, lease = arrival.event, arrival.lease
    is_fetched = isinstance(event, Message | Echo) and event.was_fetched
    if not arrival.connection.history or is_fetched or lease.step(Step.call()):
        return
    inbox, conversation = arrival.service.inbox, arrival.conversation
    is_noted, history = inbox.backfills.history(account_remote(conversation.channel, conversation.account_id))
    if not is_noted:  # a process that takes webhooks does that at once
        _try_again(arrival, "the connection is not noted yet")
    if history and not inbox.kept(Personal.HISTORY, conversation):
        _fetch(arrival, history)
        lease.cache(Personal.HISTORY, b"1")
    if history and lease.has_earlier():
        raise GivesWay


def _fetch(arrival: Arrival, history: History) -> None:
    service, account = arrival.service, arrival.account
    since = datetime.fromtimestamp(history.since / 1000, UTC)
    fetcher = Fetcher(service, arrival.connection, since, service.inbox.accept_fetched, history)
    try:
        if found := account.conversation_with(arrival.conversation.person_id):
            fetcher.take(found)
    except LeaseLost:
        raise
    except RejectedError as error:
        log.warning("history_not_fetched", queue=arrival.lease.queue, reason=str(error))
    except (ClientError, redis.OutOfMemoryError) as error:
        _try_again(arrival, reason_of(error) if isinstance(error, redis.RedisError) else str(error))


def _try_again(arrival: Arrival, reason: str) -> None:
    """Raise `Busy`, unless the event has waited long enough."""
    step = Step.history()
    if arrival.lease.step(step) is None:
        arrival.lease.save_time(step)
    if arrival.lease.age(step) < HISTORY_WITHIN:
        raise Busy("history_first", retry_after=ASK_AGAIN)
    log.warning("history_not_waited_for", queue=arrival.lease.queue, reason=reason)
