"""Who a sender is: read once from the channel and kept for a while. A message never waits for a name."""

import msgspec
import structlog

from clients.channel import Profile
from clients.errors import ClientError, LeaseLost, Unauthorized
from tasks.connections import Connection
from tasks.inbox.lease import Lease
from tasks.inbox.personal import Personal
from tasks.work import Work

log = structlog.get_logger(__name__)

NAMELESS_FOR = 600
"""How long it takes until a sender without a name is asked for again, in seconds."""


def profile_of(work: Work, connection: Connection) -> Profile:
    """Return what is known of a sender; an empty profile if the channel has none."""
    if known := _known(work.lease):
        return known
    try:
        profile = work.service.account(connection).profile(work.conversation.person_id)
    except LeaseLost:
        raise
    except ClientError as error:
        if isinstance(error, Unauthorized):  # replies would meet the same
            work.service.remotes.pause(error)
        log.warning("profile_not_read", account=connection.account_id, reason=str(error))
        profile = Profile()
    kept_for = 0 if profile.name else NAMELESS_FOR
    work.lease.cache(Personal.PROFILE, msgspec.json.encode(profile), kept_for)
    return profile


def _known(lease: Lease) -> Profile | None:
    """Return the cached profile; one of another shape, as another version writes it, counts as absent."""
    try:
        return msgspec.json.decode(lease.cached(Personal.PROFILE) or b"", type=Profile)
    except msgspec.MsgspecError:
        return None
