"""All that is kept of a person: shown, and forgotten."""

from typing import Any

from clients.channel import Conversation
from tasks.inbound import backfill
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.inbox.kept_jobs import KeptJob, KeptJobs
from tasks.inbox.personal import Personal
from tasks.inbox.queues import direction_of, erasure_queue, inbound_queue, outbound_queue
from tasks.outbound.jobs import Reply, UnknownJob, decode_job


def forget(inbox: Inbox, conversation: Conversation) -> bool:
    """Delete all that is kept of a person, whoever works on it: they lose their leases.

    Return whether somebody did: a call of theirs may be under way. It may be repeated. Raises
    `redis.RedisError`.
    """
    tickets = _tickets(inbox, conversation)
    inbox.note_forgotten(conversation)
    backfill.leave_out(inbox, conversation)
    _drop_kept_jobs(inbox, conversation, tickets)
    at_work = inbox.forget(conversation)
    # A job of theirs may have died meanwhile, and a dead letter that was requeued is a job again.
    _drop_kept_jobs(inbox, conversation, tickets)
    return inbox.forget(conversation) or at_work


def jobs_of(inbox: Inbox, conversation: Conversation) -> dict[str, list[Job]]:
    """Return the jobs that wait in a person's queues, by direction. Raises `redis.RedisError`."""
    queues = (inbound_queue(conversation), outbound_queue(conversation))
    return {direction_of(queue): inbox.jobs(queue) for queue in queues}


def dead_letters_of(inbox: Inbox, conversation: Conversation) -> list[KeptJob]:
    """Return a person's dead letters. Raises `redis.RedisError`."""
    return _of(inbox.dead_letters, conversation, _tickets(inbox, conversation))


def unknown_events_of(inbox: Inbox, conversation: Conversation) -> list[KeptJob]:
    """Return a person's events of unknown kinds. Raises `redis.RedisError`."""
    return _of(inbox.unknown_events, conversation, set())


def notes_of(inbox: Inbox, conversation: Conversation) -> dict[Personal, Any]:
    """Return what is kept of a person beside jobs: texts, or lists of texts with their times (ms).

    Raises `redis.RedisError`.
    """
    found = ((name, inbox.kept(name, conversation)) for name in Personal)
    return {name: value for name, value in found if value is not None}


def _drop_kept_jobs(inbox: Inbox, conversation: Conversation, tickets: set[str]) -> None:
    """Drop dead letters and unknown events; first those that only the others show to be the person's."""
    for store in (inbox.dead_letters, inbox.unknown_events):
        kept = _of(store, conversation, tickets)
        for one in sorted(kept, key=lambda one: direction_of(one.job.queue) != "ticket"):
            store.drop(one.job.id)


def _of(store: KeptJobs, conversation: Conversation, tickets: set[str]) -> list[KeptJob]:
    return [kept for kept in store.all() if _is_of(kept.job, conversation, tickets)]


def _is_of(job: Job, conversation: Conversation, tickets: set[str]) -> bool:
    """Return whether a job is a person's; a reply whose ticket was never read is known by its ticket's id."""
    if direction_of(job.queue) != "ticket":
        return job.queue in {queue(conversation) for queue in (inbound_queue, outbound_queue, erasure_queue)}
    reply = _reply(job)
    if reply is None:
        return False
    customer = reply.agent_reply.ticket.customer
    return reply.agent_reply.ticket.id in tickets or (
        customer is not None and customer.conversation == conversation
    )


def _tickets(inbox: Inbox, conversation: Conversation) -> set[str]:
    """Return the ids of a person's tickets, as far as something that is kept says so."""
    queue, unanswered = outbound_queue(conversation), inbox.unanswered(conversation)
    jobs = [*inbox.jobs(queue), *(one.job for one in inbox.dead_letters.all() if one.job.queue == queue)]
    found = {reply.agent_reply.ticket.id for reply in map(_reply, jobs) if reply}
    found.add(str(inbox.kept(Personal.OPEN_TICKET, conversation) or ""))
    return (found | {unanswered[1] if unanswered else ""}) - {""}


def _reply(job: Job) -> Reply | None:
    try:
        decoded = decode_job(job.body)
    except UnknownJob:
        return None
    return decoded if isinstance(decoded, Reply) else None
