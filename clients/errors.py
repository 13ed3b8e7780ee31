"""What can go wrong outside, sorted by what happens next.

* ClientError
  + RetryableError        the same call may succeed later; carries `retry_after` (seconds) if told
    - Unavailable         no answer, or a server's own fault; `maybe_done` if the call may have worked
      . ServiceDown              the whole server is down: it says so, or something else answers in its place
    - RateLimited         told to slow down
    - Unauthorized        the token is refused; the call works again once a person renews it
    - OutcomeUnknown           an earlier call may have worked; its trace has to show first
    - Busy                a file host serves as many transfers of this process as it may
    - Paused              the remote is left alone for a while, so it was not asked
    - NotConnected        the page has no active connection
    - LeaseLost               this worker lost its lease before the call went out
  + RejectedError         the same call will fail again
    - NotFound            what it names does not exist
    - TicketClosed        the ticket takes no more comments
    - OutsideWindow       Messenger's window for replies has closed
    - FileRefused         the file cannot be fetched, is too large, or is of a kind that is not taken

Every message is written for a person and holds no token, no text of a message and no body.
"""

LONGEST_RETRY_AFTER = 3600.0
"""How long a remote may ask to be left alone, in seconds; what it asks for beyond that is cut."""


class ClientError(Exception):
    """A call to the outside did not work; `str()` says why in words an agent can read.

    `remote` names who did not do it: `helpdesk`, `<channel>:<account>`, or nobody in particular.
    """

    remote = ""


class RetryableError(ClientError):
    """The same call may succeed later."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = _bounded(retry_after)


def _bounded(seconds: float | None) -> float | None:
    """Return a wait that is one: between nothing and `LONGEST_RETRY_AFTER`."""
    if seconds is None or not seconds >= 0:  # not a number is not, either
        return None
    return min(seconds, LONGEST_RETRY_AFTER)


class Unavailable(RetryableError):
    """No answer, or the server's own fault. With `maybe_done` the call may have worked all the same."""

    def __init__(self, reason: str, *, retry_after: float | None = None, maybe_done: bool = True) -> None:
        super().__init__(reason, retry_after=retry_after)
        self.maybe_done = maybe_done


class ServiceDown(Unavailable):
    """The server says of itself that it is down, or something else answers in its place."""


class RateLimited(RetryableError):
    """The server asks to slow down."""


class Unauthorized(RetryableError):
    """The token is refused. Nothing is lost by waiting until a person has renewed it."""


class OutcomeUnknown(RetryableError):
    """An earlier call may have worked: it is not repeated before its trace had time to show."""


class Busy(RetryableError):
    """The file host serves as many transfers as one host may hold; it is this one's turn soon."""


class Paused(RetryableError):
    """The remote is left alone, as it was found away before: it was not asked."""

    def __init__(self, remote: str) -> None:
        super().__init__("it waits until the other side is back")
        self.remote = remote


class NotConnected(RetryableError):
    """The page has no active connection: what came from it waits until it has one."""

    def __init__(self, channel: str, account_id: str) -> None:
        super().__init__(f"the page {account_id} has no active connection", retry_after=30)
        self.remote = f"{channel}:{account_id}"


class LeaseLost(RetryableError):
    """The lease ran out before the call went out: another worker has the thread now."""


class RejectedError(ClientError):
    """The same call will fail again."""


class NotFound(RejectedError):
    """What the call names does not exist."""


class TicketClosed(RejectedError):
    """The ticket is closed and takes no more comments."""


class OutsideWindow(RejectedError):
    """The person wrote too long ago: Messenger's window for replies has closed."""


class FileRefused(RejectedError):
    """The file cannot be had or is not taken; the rest of the message is not affected."""
