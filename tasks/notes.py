"""Internal comments: what the agents of a ticket have to know, added once."""

from datetime import UTC, datetime

from clients.channel import Channel
from clients.errors import ClientError, ServiceDown, Unauthorized, Unavailable
from clients.helpdesk import Author, NewComment
from clients.text.markdown import to_markdown
from tasks.inbox.job import Step
from tasks.inbox.queues import HELPDESK, account_of
from tasks.work import Work

ATTEMPTS = 3
"""How often it is tried to say what agents can do without, if the helpdesk is up and does not take it."""


def system(channel: Channel | None) -> Author:
    """Return the author of what the connector itself has to say, which agents know by the channel's name."""
    return Author("system", channel.title if channel else "Connector")


def notify_once(work: Work, ticket_id: str, external_id: str, note: str) -> None:
    """Add an internal comment, once, whatever crashes and however often it is tried. Raises `ClientError`."""
    add_once(work, ticket_id, internal_comment(work, external_id, to_markdown(note)))


def internal_comment(work: Work, external_id: str, body: str) -> NewComment:
    """Return an internal comment of the connector's, as of now; `body` is markdown."""
    channel = work.service.channels.get(account_of(work.lease.queue).partition(":")[0])
    now = datetime.fromtimestamp(work.service.inbox.now(), UTC)
    return NewComment(body, external_id, system(channel), now, internal=True)


def add_once(work: Work, ticket_id: str, comment: NewComment, variant: str = "") -> None:
    """Add an internal comment as `notify_once` does; a `variant` of one that was refused has another key."""
    service, lease, step = work.service, work.lease, Step.notified(comment.external_id)
    if lease.step(step) and service.helpdesk.comment_by_external_id(ticket_id, comment.external_id):
        return
    lease.save_step(step, "called")
    name, _, account_id = account_of(lease.queue).partition(":")
    channel = service.channels.get(name)
    prefix = channel.key_prefix if channel else "connector"
    key = ":".join(filter(None, (prefix, account_id, comment.external_id, variant)))
    service.helpdesk.add_comment(ticket_id, comment, key)


def is_refused_for_good(work: Work, error: ClientError) -> bool:
    """Return whether it was tried often enough, though the helpdesk is up, what agents can do without."""
    return (
        isinstance(error, Unavailable | Unauthorized)
        and not isinstance(error, ServiceDown)
        and work.lease.attempts + 1 >= ATTEMPTS
        and work.service.is_up(HELPDESK)
    )
