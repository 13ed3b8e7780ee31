"""What can go wrong outside, sorted by what happens next.

* ClientError
  + RetryableError        the same call may succeed later; carries `retry_after` (seconds) if known
    - Unavailable         no answer, or a server's own fault; `maybe_done` if the call may have worked
      . ServiceDown       the whole server is down: it says so, or something else answers in its place
    - RateLimited         the server asks to slow down
    - Unauthorized        the token is refused; the call works again once a person renews it
    - OutcomeUnknown      an earlier call may have worked; its trace has to show first
    - GivesWay            what was sent before it is still to come
    - Busy                a file host, or an account, does as much as it may; it is this one's turn soon
    - Paused              the remote is paused for a while, so it was not called
    - NotConnected        the account has no active connection
    - LeaseLost           this worker lost its lease before the call went out
  + RejectedError         the same call will fail again
    - NotFound            what it names does not exist
    - TicketClosed        the ticket takes no more comments
    - OutsideWindow       the channel's reply window has closed
      . LateReplyAllowed  it goes out if it is sent as an agent's late reply
    - Untraceable         an earlier call may have worked, and nobody can tell: a person decides
    - TakenOver           the conversation was taken over from another app: it goes out if it is sent again
    - MessageRefused      the message is not taken as it is; another form of it may be
    - FileRefused         the file cannot be fetched, is too large, or is of a kind that is not taken
      . FileTooLarge      it is too large
      . KindRefused       it may be taken as a plain file
      . NotFetched        its address cannot be read; it may be taken if it is uploaded
      . UploadGone        it was uploaded, and is not there any more

An error is a code and values: `say(error.notice, language)` makes the sentence that people read. No value
holds a token, a text of a message or a body.
"""

from clients.notices import N_, Notice, Value, add_sentences

LONGEST_RETRY_AFTER = 3600.0
"""How long a remote may ask to be left alone, in seconds; what it asks for beyond that is cut."""


class ClientError(Exception):
    """A call to the outside did not work; `notice` says why, `str()` is that for logs.

    `remote` names who failed: `helpdesk`, `<channel>:<account>`, or empty for anybody else.
    """

    remote = ""

    def __init__(self, code: str, **values: Value) -> None:
        self.notice = Notice(code, values)
        super().__init__(self.notice)


class RetryableError(ClientError):
    """The same call may succeed later."""

    def __init__(self, code: str, *, retry_after: float | None = None, **values: Value) -> None:
        super().__init__(code, **values)
        self.retry_after = _bounded(retry_after)


def _bounded(seconds: float | None) -> float | None:
    """Return a wait between 0 and `LONGEST_RETRY_AFTER`; None if it is no such number."""
    if seconds is None or not seconds >= 0:  # not a number is not, either
        return None
    return min(seconds, LONGEST_RETRY_AFTER)


class Unavailable(RetryableError):
    """No answer, or the server's own fault. With `maybe_done` the call may have worked all the same."""

    def __init__(
        self, code: str, *, retry_after: float | None = None, maybe_done: bool = True, **values: Value
    ) -> None:
        super().__init__(code, retry_after=retry_after, **values)
        self.maybe_done = maybe_done


class ServiceDown(Unavailable):
    """The server says of itself that it is down, or something else answers in its place."""


class RateLimited(RetryableError):
    """The server asks to slow down; with `is_of_app` all accounts of the app have to, not only this one."""

    is_of_app = False


class Unauthorized(RetryableError):
    """The token is refused. Nothing is lost by waiting until a person has renewed it."""


class OutcomeUnknown(RetryableError):
    """An earlier call may have worked: it is not repeated before its trace had time to show."""


class Busy(RetryableError):
    """A file host serves, or an account sends, as much at once as it may; it is this one's turn soon."""


class GivesWay(RetryableError):
    """What was sent before it came only now, and goes first."""

    def __init__(self) -> None:
        super().__init__("history_first")


class Paused(RetryableError):
    """The remote is paused, as it failed before: it was not called."""

    def __init__(self, remote: str) -> None:
        super().__init__("remote_paused")
        self.remote = remote


class NotConnected(RetryableError):
    """The account has no active connection: what came for it waits until it has one."""

    def __init__(self, channel: str, account_id: str) -> None:
        super().__init__("not_connected", page_id=account_id, retry_after=30)
        self.remote = f"{channel}:{account_id}"


class LeaseLost(RetryableError):
    """The lease ran out before the call went out: another worker may have the queue now."""


class RejectedError(ClientError):
    """The same call will fail again."""


class NotFound(RejectedError):
    """What the call names does not exist."""


class TicketClosed(RejectedError):
    """The ticket is closed and takes no more comments."""


class OutsideWindow(RejectedError):
    """The person wrote too long ago: the channel's reply window has closed."""


class LateReplyAllowed(OutsideWindow):
    """The reply window has closed, but not yet for a person's reply that is sent as a late one."""


class Untraceable(RejectedError):
    """An earlier call may have worked, and nothing shows whether it did: only a person has it repeated."""

    def __init__(self, channel: str) -> None:
        super().__init__("untraceable", channel=channel)


class TakenOver(RejectedError):
    """Another app held the conversation, which was taken over: the message is to be sent again."""


class MessageRefused(RejectedError):
    """The message is not taken as it is written; in a simpler form it may be."""


class FileRefused(RejectedError):
    """The file cannot be fetched or is not accepted; the rest of the message is not affected."""


class FileTooLarge(FileRefused):
    """The file is too large: the person may get a link to it instead."""


class KindRefused(FileRefused):
    """The file is not accepted as what it was sent; as a plain file it may be."""


class NotFetched(FileRefused):
    """The channel could not fetch the file from its address; uploaded it may be accepted."""


class UploadGone(FileRefused):
    """The file was uploaded, but the channel does not have it any more."""


add_sentences(
    {
        "remote_paused": N_("waiting until the other side is available again"),
        "not_connected": N_("the page {page_id} has no active connection"),
        "cannot_be_repaired": N_("a person has to do this"),
        "untraceable": N_("{channel} does not show whether it arrived"),
        "lease_lost": N_("the work on this conversation was interrupted for too long"),
        # Calls.
        "the_service": N_("the service"),
        "bad_id": N_("an ID is missing or invalid"),
        "call_impossible": N_("{service} cannot be called; check its address and token in the settings"),
        "unreachable": N_("{service} cannot be reached: {cause}"),
        "proxy_refused": N_("the proxy refused the connection ({detail})"),
        "proxy_password": N_(
            "{service} cannot be reached: the proxy requires a password; add it to http_proxy"
        ),
        "no_answer": N_("{service} ({host}) did not respond in time"),
        "connection_lost": N_("{service} ({host}) closed the connection unexpectedly"),
        "http_status": N_("{service} returned an error (HTTP {status})"),
        "redirected": N_("{service} responded with a redirect; check its address in the settings"),
        "rate_limited": N_("{service} is limiting the number of requests"),
        "token_refused": N_("{service} rejected the access token"),
        "unreadable_response": N_("{service} sent a response that cannot be read: {cause}"),
        "not_json": N_("it is not JSON"),
        "response_too_large": N_("it is larger than {limit_bytes}"),
        "unknown_compression": N_("it uses a compression that was not asked for"),
        "not_gzip": N_("it is not valid gzip"),
        "response_cut_off": N_("it is incomplete"),
        # Connections.
        "the_proxy": N_("the proxy {host}"),
        "host_not_found": N_("{host} was not found (DNS)"),
        "lookup_timeout": N_("{host} was not found in time (DNS)"),
        "connect_timeout": N_("{host} did not accept a connection on port {port} in time"),
        "connection_refused": N_("{host} refused the connection on port {port}"),
        "out_of_reach": N_("{host} is not available on the network ({detail})"),
        "tls_timeout": N_("{host} did not complete the TLS handshake in time"),
        "tls_failed": N_("{host} failed the TLS handshake"),
        "untrusted_certificate": N_("{host} has a certificate that is not trusted ({detail})"),
        "took_too_long": N_("the call took too long"),
        "connect_failed": N_("the connection failed ({detail})"),
        # Files.
        "bad_address": N_("its address is invalid"),
        "address_not_allowed": N_("files from its address are not allowed"),
        "not_a_web_address": N_("its address is not a web address"),
        "private_address": N_("its address leads to a private network ({host})"),
        "too_many_redirects": N_("its address leads through too many redirects"),
        "file_too_large": N_("it is larger than {limit_bytes}"),
        "link_expired": N_("its link has expired"),
        "file_not_provided": N_("{host} did not provide it (HTTP {status})"),
        "host_error": N_("{host} returned an error (HTTP {status})"),
        "host_no_answer": N_("{host} did not respond in time"),
        "host_connection_failed": N_("no connection to {host} could be made"),
        "bad_cloudfront_key": N_("the private key for CloudFront cannot be read"),
        "cloudfront_key_not_rsa": N_("the private key for CloudFront is not an RSA key"),
        "transfers_busy": N_("other files are being transferred at the moment; this one is next"),
    }
)
