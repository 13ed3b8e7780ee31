"""Who a sender is: read once from the channel and kept for a while. A message never waits for a name."""

import msgspec
import structlog

from clients.channel import Profile
from clients.errors import ClientError, LeaseLost, Unauthorized
from tasks.connections import Connection
from tasks.inbox.lease import Lease
from tasks.work import Work

log = structlog.get_logger(__name__)

CACHE = "profile"
NAMED_FOR = 24 * 3600
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
    work.lease.cache(CACHE, msgspec.json.encode(profile), NAMED_FOR if profile.name else NAMELESS_FOR)
    return profile


def _known(lease: Lease) -> Profile | None:
    """Return the cached profile; one of another shape, as another version writes it, counts as absent."""
    try:
        return msgspec.json.decode(lease.cached(CACHE) or b"", type=Profile)
    except msgspec.MsgspecError:
        return None
