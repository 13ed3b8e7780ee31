"""Internal comments: what the agents of a ticket have to know, added once."""

from datetime import UTC, datetime

from clients.channel import Channel
from clients.helpdesk import Author, NewComment
from clients.text.markdown import to_markdown
from tasks.inbox.job import Step
from tasks.inbox.lease import Lease
from tasks.inbox.queues import account_of
from tasks.services import Services


def system(channel: Channel | None) -> Author:
    """Return the author of what the connector itself has to say, which agents know by the channel's name."""
    return Author("system", channel.title if channel else "Connector")


def notify_once(service: Services, lease: Lease, ticket_id: str, external_id: str, note: str) -> None:
    """Add an internal comment, once, whatever crashes and however often it is tried. Raises `ClientError`."""
    step = Step.told(external_id)
    if lease.step(step) and service.helpdesk.comment_by_external_id(ticket_id, external_id):
        return
    lease.save_step(step, "called")
    comment = NewComment(
        to_markdown(note),
        external_id,
        system(service.channels.get(account_of(lease.queue).partition(":")[0])),
        datetime.fromtimestamp(service.inbox.now(), UTC),
        internal=True,
    )
    service.helpdesk.add_comment(ticket_id, comment, _key(service, lease, external_id))


def _key(service: Services, lease: Lease, external_id: str) -> str:
    """Return the idempotency key of a note."""
    channel, _, account_id = account_of(lease.queue).partition(":")
    known = service.channels.get(channel)
    return ":".join((known.key_prefix if known else "connector", account_id, external_id))
