"""Events of kinds that this version does not know: kept as they came, for a version that does."""

from collections.abc import Mapping

import redis
import structlog

from clients.channel import Channel
from clients.notices import encode, notice
from tasks.inbox.job import Job
from tasks.inbox.queues import account_of
from tasks.work import Work

log = structlog.get_logger(__name__)


def keep(work: Work) -> None:
    """Keep the event at the head. A store that is full does without: the ticket shows what could be read."""
    lease = work.lease
    kind = work.channel.kind_of(lease.job.body)
    try:
        lease.keep_unknown(encode(notice("unknown_kind", kind=kind)))
    except redis.OutOfMemoryError:
        log.warning("unknown_event_not_kept", queue=lease.queue, id=lease.job.id, kind=kind)
    else:
        log.info("unknown_event_kept", queue=lease.queue, id=lease.job.id, kind=kind)


def is_known(job: Job, channels: Mapping[str, Channel]) -> bool:
    """Return whether this version knows the kind of an event by now."""
    channel = channels.get(account_of(job.queue).partition(":")[0])
    return channel is not None and channel.knows(channel.parse(job.body))
