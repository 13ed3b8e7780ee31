"""What a person sees besides messages: that somebody types, that theirs were seen. Nothing waits for it."""

from collections.abc import Callable

import structlog

from clients.channel import Account
from clients.errors import ClientError, LeaseLost, RetryableError
from tasks.work import Work

log = structlog.get_logger(__name__)


def offer(work: Work, account: Account, act: Callable[[str], None]) -> None:
    """Do something for the person that harms nobody if it fails; not for a while after it did."""
    remotes, remote = work.service.remotes, account.remote
    if remotes.is_resting(remote):
        return
    try:
        act(work.conversation.person_id)
    except LeaseLost:
        raise
    except ClientError as error:
        if isinstance(error, RetryableError):  # else it is this person who cannot be shown it
            remotes.rest(remote)
        log.info("courtesy_failed", remote=remote, reason=str(error))
