"""A channel: what the core asks of one, and the values that go back and forth.

`Channel` reads what a channel sends, without any network; `Account` is one account of it, such as a page, as
its connection may use it. Whatever only one channel knows stays in its folder under `clients/channels/`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

import msgspec

from clients.errors import RejectedError
from clients.findings import Finding
from clients.http import HttpClient
from clients.media import File, MediaFetcher
from clients.notices import Notice
from clients.single_flight import Answers

OTHER_KINDS = "other"
"""The name, in settings, of all kinds of events that a channel does not know yet."""
MISSING = "missing_messages"
"""The kind of the connector's own event that messages could not be fetched."""


GIVEN, WANTED = "given", "wanted"
"""What an event says of who answers a conversation: somebody does from now on, or wants to."""


class Conversation(msgspec.Struct, frozen=True):
    """One person with one account of a channel."""

    channel: str
    account_id: str
    person_id: str

    def __str__(self) -> str:
        """Return it as one word, `<channel>/<account id>/<person id>`, which a field can hold and search."""
        return f"{self.channel}/{self.account_id}/{self.person_id}"


class Incoming(msgspec.Struct, frozen=True):
    """One event of a webhook, with what the endpoint has to know about it; `body` is for `Channel.parse`.

    `key` is the same for every delivery of the same event. `conversation` is None if the event names no
    person; then `is_notable` says whether an operator is to see it all the same. `time` is in ms since 1970.
    `echo_metadata` is set on the echo of a part of a reply that the connector sent itself. A receipt is about
    replies, so it waits behind them. `known_by` are keys that the same event may have had, where it came
    another way. `known_for` (ms) is how long another of the same key counts as the same, if that is shorter
    than for other events.
    """

    conversation: Conversation | None
    kind: str
    key: str
    time: int
    body: bytes
    message_id: str | None = None
    echo_metadata: str | None = None
    is_receipt: bool = False
    is_notable: bool = False
    known_by: tuple[str, ...] = ()
    known_for: int = 0


class PastConversation(msgspec.Struct, frozen=True):
    """A conversation as its channel lists it; `time` (ms) is when something was said there last.

    Another app answers one that `is_overheard`.
    """

    id: str
    person_id: str
    time: int
    is_overheard: bool = False


@dataclass(frozen=True, slots=True)
class Newest:
    """The last messages of a conversation, at least their keys, ids and times.

    There may be others before them, unless it `is_all`.
    """

    messages: Sequence[Incoming] = ()
    is_all: bool = False


@dataclass(frozen=True, slots=True)
class PastConversations:
    """Conversations, the newest first; `after` is where the list goes on, empty at its end.

    `newest` has their last messages by their ids, where it was asked for and the channel lists them.
    """

    conversations: Sequence[PastConversation] = ()
    after: str = ""
    newest: Mapping[str, Newest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Past:
    """What was said in a conversation since a time: the `messages` that can be read, the oldest first.

    The channel no longer shows what the `hidden` ones say. One without a key stands for nobody knows how
    many, none of which is older than its time.
    """

    messages: Sequence[Incoming] = ()
    hidden: Sequence[Incoming] = ()


class Entry(Protocol):
    """What came for one account in one webhook, its events not read yet: the sender may be anybody.

    `changes` counts updates that came with them and are about no conversation.
    """

    @property
    def account_id(self) -> str:
        """Return the id of the account."""

    @property
    def changes(self) -> int:
        """Return how many such updates came."""

    def events(self) -> Iterator[Incoming]:
        """Read the events, one after the other."""


class Envelope(Protocol):
    """What came in one webhook, read no further than it was asked for: the sender may be anybody."""

    @property
    def account_ids(self) -> Collection[str]:
        """Return the accounts that it names; none if it is not as the channel writes it."""

    def entries(self) -> Iterable[Entry]:
        """Take it apart by accounts. Raises `NotUnderstood` if it is nothing that can be read."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of what an event shows: words, perhaps with an address, or what a button says.

    `text` is a notice where it is the connector's own, or stands for what `is_said`, such as a yes; `label`
    says what it is, in front of it. At the address of one that `is_picture` is a file that may go away.
    """

    text: str | Notice
    url: str = ""
    is_button: bool = False
    label: str | Notice = ""
    is_said: bool = False
    is_picture: bool = False


@dataclass(frozen=True, slots=True)
class MessageAttachment:
    """One attachment of a message.

    `kind` is image, video, audio, file or sticker if it `is_file`, which its account can fetch from `url`;
    else it is the channel's word, and `lines` show it.
    """

    kind: str
    url: str = ""
    title: str = ""
    lines: tuple[Line, ...] = ()
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What a person wrote to the account.

    `reply_to` is the id of the message that it answers, `lines` what came with it, such as the advertisement
    that it was written from. `kind` is the channel's word for what it is; another app answers one that
    `is_overheard`. One that `was_fetched` came by no webhook: the helpdesk may have it all the same, also
    under the external ids in `also_known_as`. It `is_history` if it was written before the account was
    connected.
    """

    message_id: str
    time: datetime
    text: str
    attachments: tuple[MessageAttachment, ...]
    reply_to: str = ""
    lines: tuple[Line, ...] = ()
    kind: str = "message"
    opens_ticket: bool = True
    is_overheard: bool = False
    was_fetched: bool = False
    is_history: bool = False
    also_known_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Echo:
    """What the account said to a person, and the connector did not send.

    `author` is a notice that names the account (its value `page` is filled in) and the app it was sent with.
    `is_by_agent` says whether somebody wrote it in the channel's own inbox, and `may_be_ours` whether it
    could be a reply of the connector's that lost its metadata. `was_fetched` and `is_history` are as for a
    message.
    """

    message_id: str
    time: datetime
    text: str
    attachments: tuple[MessageAttachment, ...]
    author: Notice
    is_by_agent: bool
    may_be_ours: bool
    reply_to: str = ""
    lines: tuple[Line, ...] = ()
    kind: str = "echo"
    was_fetched: bool = False
    is_history: bool = False

    @property
    def opens_ticket(self) -> bool:
        """Return whether it is worth a ticket of its own; what another app sends may be a broadcast."""
        return self.is_by_agent


@dataclass(frozen=True, slots=True)
class Edit:
    """A message of a person's that they changed: what it says now."""

    message_id: str
    time: datetime
    text: str
    kind: str
    lines: tuple[Line, ...] = ()
    opens_ticket: bool = True
    internal: bool = True


class Receipt(msgspec.Struct, frozen=True, tag=True):
    """The messages `message_ids`, and all that the account sent to the person until `until` (ms), arrived.

    `status` says whether they were delivered, or read. Either of the two may be empty.
    """

    status: str
    until: int
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """Any other event: `kind` is the channel's word for it, `summary` says in a sentence what came.

    `about` is the id of the message that it is about, empty if that is not known, None if it is about none;
    unless it is None, the value `message` of the summary is filled in with what that message says. One that
    does not `opens_ticket` is shown on an open ticket only, an `internal` one to agents only. `is_trouble`
    says of an event about the account itself whether it now has trouble (True), or no more (False).
    `control` is `GIVEN` if it says who answers the conversation from now on, `WANTED` if who wants to.
    """

    kind: str
    time: datetime
    summary: Notice
    about: str | None = None
    lines: tuple[Line, ...] = ()
    opens_ticket: bool = True
    internal: bool = True
    is_trouble: bool | None = None
    control: str = ""


Event = Message | Echo | Edit | Receipt | OtherEvent


@dataclass(frozen=True, slots=True)
class Profile:
    """What a channel knows about a person; any of it may be empty. `picture` is a URL."""

    name: str = ""
    first_name: str = ""
    last_name: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What a message says, and whether the account is who said it. One without a text has only files."""

    text: str
    by_account: bool


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to send: one that was `uploaded`, by its id there, or that the channel can fetch at `url`.

    `kind` is what `Channel.kind_of_file` returned.
    """

    kind: str
    uploaded: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to send: a text of at most one part, or files; `Channel.most_files` says how many at most.

    `echo_metadata` comes back with the message's echo, or with its receipts. `reply_to` is the id of the
    message that it answers. A person wrote it unless `is_automated`. With `is_late` it is sent as an agent's
    late reply, which `LateReplyAllowed` asked for, with `is_taken_over` after `TakenOver`. `wrote_at` is when
    the customer wrote last, if that is known: for what there is to say of a window that has closed.
    """

    echo_metadata: str
    text: str = ""
    files: Sequence[NewFile] = ()
    reply_to: str = ""
    is_automated: bool = False
    is_late: bool = False
    is_taken_over: bool = False
    wrote_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that was sent: its id, and how long ago, by the channel's own clock."""

    message_id: str
    age: timedelta


@dataclass(frozen=True, slots=True)
class Rate:
    """How many messages an account may send in a second, of those that the channel counts under one name."""

    name: str
    per_second: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of what a channel allows an account has used lately: from 0 to 1, all of it.

    `regain` is how long it has to be left alone until it may do more, in seconds; 0 if it may now. `of_app`
    is how much all accounts of its app together have used of theirs.
    """

    share: float
    regain: float = 0.0
    of_app: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an account is used with.

    `human_agent` says whether agents may answer after the channel's reply window has closed, `take_control`
    whether a conversation that another app holds is taken over for a reply, where the channel allows that.
    """

    account_id: str
    access_token: str = field(default="", repr=False)
    app_secret: str = field(default="", repr=False)
    verify_token: str = field(default="", repr=False)
    human_agent: bool = False
    take_control: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """How a channel is reached: its API's address, with the version, and what fetches its files.

    `take_turn` waits until an account may be asked for its past, so many seconds after the last time, whoever
    asked; it returns False if that would take too long.
    """

    http: HttpClient
    api_url: str
    media: MediaFetcher
    take_turn: Callable[[str, float], bool] = lambda _account, _spacing: True


@dataclass(frozen=True, slots=True)
class Handshake:
    """A channel's question whether its webhooks are wanted: it is answered with the challenge."""

    verify_token: str
    challenge: str


@dataclass(frozen=True, slots=True)
class App:
    """An app of ours at a channel, at which people log in. Both are empty where there is none."""

    app_id: str = ""
    app_secret: str = field(default="", repr=False)


class OfferedAccount(msgspec.Struct, frozen=True):
    """An account that somebody showed us by a login, and a token for it.

    `refusal` says why they may not connect it. `others` are other apps that get its messages, as far as the
    channel tells.
    """

    account_id: str
    name: str
    access_token: str
    refusal: Notice | None = None
    others: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show no token."""
        return f"OfferedAccount({self.account_id!r})"


class Offer(msgspec.Struct, frozen=True):
    """What a login gave: whose it was, by their id for the app, when, and for which accounts.

    `time` is in seconds since 1970, by the channel's clock.
    """

    user_id: str
    time: int
    accounts: list[OfferedAccount]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Somebody takes back what they granted an app: for all accounts, or for one of them.

    `app_secret` is that of the app, `user_id` their id for it, `account_id` the one account, `time` when
    (seconds since 1970).
    """

    app_secret: str = field(repr=False)
    user_id: str = ""
    account_id: str = ""
    time: int = 0


class Login(ABC):
    """The login by which a person connects accounts of a channel.

    `offer` and `conversations_of` raise `ClientError`; the others ask no network.
    """

    title: ClassVar[str]
    """What people call the service that they log in with."""
    path: ClassVar[str]
    """Where it begins; what else belongs to it is below."""
    callback_path: ClassVar[str]
    """Below what the channel says that somebody withdraws what they granted, or wants their data deleted."""
    channel: ClassVar[str]
    """The name of the channel whose accounts it is for."""

    @abstractmethod
    def __init__(self, network: Network, app: App) -> None:
        """Take how the channel is reached, and the app of ours at which people log in."""

    @abstractmethod
    def address(self, redirect_uri: str, state: str, verifier: str) -> str:
        """Return where a person logs in, who then comes back to `redirect_uri` with the state.

        `verifier` is the secret of PKCE: https://www.rfc-editor.org/rfc/rfc7636
        """

    @abstractmethod
    def refusal(self, query: Mapping[str, str]) -> Notice | None:
        """Return why the person who comes back brings no code; None if they do."""

    @abstractmethod
    def offer(self, code: str, redirect_uri: str, verifier: str) -> Offer:
        """Return what a login gave, whole. Raises `RejectedError` for a code that is none (any more)."""

    @abstractmethod
    def withdrawal(self, body: bytes, secrets: Iterable[str]) -> Withdrawal | None:
        """Read what came below `callback_path`; None unless an app with one of these secrets signed it."""

    @abstractmethod
    def conversations_of(self, withdrawal: Withdrawal) -> list[Conversation]:
        """Return the conversations of who withdraws, as far as the channel tells."""


class Account(ABC):
    """One account of a channel. Every method raises `ClientError`; the account is its `remote`."""

    remote: str

    @property
    def app(self) -> str:
        """Name what accounts have in common that share limits, without a secret; empty if nothing is."""
        return ""

    @abstractmethod
    def ping(self) -> None:
        """Ask for something small, to learn whether the channel is up and takes the token."""

    def now(self) -> datetime | None:
        """Return the time by the channel's own clock, or None if it is not known."""
        return None

    def usage(self) -> Usage | None:
        """Return how much of its limits is used, as the last answer said; None if it is not known."""
        return None

    def unsubscribe(self) -> None:  # noqa: B027 - not all channels can
        """Have the channel send no more webhooks about the account."""

    def check(self, callback_url: str, known: Answers | None = None) -> Iterator[Finding]:
        """Yield what is right and wrong about the account's connection, each as soon as it is known.

        `callback_url` is where its webhooks are to come. Accounts that are checked one after the other share
        what is `known`. That the channel is away is a finding, no error, but that it asks to slow down raises
        `RateLimited`.
        """
        yield from ()

    def check_grant(self) -> Iterator[Finding]:
        """Yield why the account cannot be connected with the token that a login gave."""
        yield from ()

    def repair(self, found: Finding, callback_url: str) -> None:
        """Put right what `check` found, if that can be fixed. Raises `ClientError`."""
        raise RejectedError("cannot_be_repaired")

    @abstractmethod
    def profile(self, person_id: str) -> Profile:
        """Return who a person is."""

    def show_typing(self, person_id: str) -> None:  # noqa: B027 - not all channels can
        """Have a person see that somebody types, until the next message."""

    def mark_seen(self, person_id: str) -> None:  # noqa: B027 - the same
        """Have a person see that what they wrote was seen."""

    def words_of(self, message_id: str) -> Words | None:
        """Return what a message of some time ago says; None where the channel does not show it any more."""
        return None

    def owner_of(self, person_id: str) -> Notice | None:
        """Name the app that answers a conversation, where several may; None if the channel does not tell."""
        return None

    def conversations(self, after: str = "", *, with_newest: bool = False) -> PastConversations:
        """List the conversations, from where the last call ended; none where a channel does not.

        The `newest` messages are asked for as well if that takes no call of its own.
        """
        return PastConversations()

    def conversation_with(self, person_id: str) -> PastConversation | None:
        """Return the conversation with a person; None if there is none, or the channel does not list it."""
        return None

    def past(self, conversation: PastConversation, since: datetime, connected: int = 0) -> Past:
        """Return what was said in a conversation since then; before it was `connected` (ms) it is history."""
        return Past()

    @abstractmethod
    def fetch(self, attachment: MessageAttachment) -> AbstractContextManager[File]:
        """Fetch a file that a person sent. Raises `FileRefused`, or `Unavailable` without a remote."""

    def find_quoted(self, person_id: str, quotation: str, words: str) -> str | None:
        """Return the id of the message of the person's that is quoted, if it can be answered; or None.

        `words` are what is the person's in the quotation, as far as that is known; they may be none.
        """
        return None

    @abstractmethod
    def send(self, person_id: str, message: NewMessage) -> str:
        """Send a message, in one call, and return its id. Raises `OutsideWindow` or `FileRefused`.

        `LateReplyAllowed` has it sent once more, with `is_late`, `TakenOver` with `is_taken_over`: that is
        another call, counted for itself.
        """

    @abstractmethod
    def upload(self, kind: str, file: File) -> str:
        """Upload a file to the channel and return its id there, for `send`. Raises `FileRefused`."""

    @abstractmethod
    def find_sent(
        self, person_id: str, text: str | None, within: timedelta, known: Collection[str]
    ) -> SentMessage | None:
        """Return a message of the account's that is younger than `within` and not in `known`, or None.

        `text` is what it says, None for a message with a file; `known` are message ids. Asked when it is not
        known whether a message was sent; with None it is sent again. Raises `Untraceable` if the channel
        shows nothing that was sent: then it is not, and the agent is told.
        """


class Channel(ABC):
    """A channel's dialect. Nothing here touches a network, or raises for what anybody may send."""

    name: ClassVar[str]
    """Its name in queues, caches and metrics, and in what the helpdesk gets."""
    title: ClassVar[str]
    """What people call it."""
    path: ClassVar[str]
    """Where its webhooks come in."""
    nameless: ClassVar[str]
    """The code of the name of a person who has none; its value `digits` is the end of their id."""
    key_prefix: ClassVar[str]
    """What the idempotency keys of its creates begin with."""
    max_file_bytes: ClassVar[int]
    """How large a file may be that is sent."""
    kinds: ClassVar[frozenset[str]]
    """The kinds of its events, as `Event.kind` names them; any other is one that nobody knows yet."""
    advice: ClassVar[Mapping[str, str]]
    """What an operator can do about a webhook that was refused, by reason (`connector.web.refusals`)."""
    login: ClassVar[type[Login] | None] = None
    """The login by which people connect its accounts; None if there is none."""
    login_needed: ClassVar[frozenset[str]] = frozenset()
    """The codes of why an account is paused that connecting it anew puts right."""
    stops: ClassVar[Mapping[str, str]] = {}
    """The codes of why an account is paused that an operator has to know, each with that of the finding."""
    labels: ClassVar[frozenset[str]] = frozenset()
    """The codes of the labels, and links, that its messages come with: what an agent quotes may have them."""
    internal_labels: ClassVar[frozenset[str]] = frozenset()
    """The codes of labels, and remarks, that no agent writes: what has one is quoted from a ticket."""
    reply_window: ClassVar[timedelta | None] = None
    """For how long after a person's last message it allows a reply; None if for ever."""

    def knows(self, event: Event) -> bool:
        """Return whether an event is of a kind that is known."""
        return isinstance(event, Receipt) or event.kind in self.kinds or event.kind == MISSING

    @abstractmethod
    def handshake(self, query: Mapping[str, str]) -> Handshake | None:
        """Read a handshake from the query of a GET request; None for any other request."""

    @abstractmethod
    def may_receive(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a webhook with these headers can be the channel's; else its body is not read."""

    @abstractmethod
    def is_signed(self, body: bytes, headers: Mapping[bytes, bytes], secret: str) -> bool:
        """Return whether a webhook is signed with an app's secret."""

    @abstractmethod
    def open(self, body: bytes, received: int) -> Envelope:
        """Return what a webhook brought. `received` (ms) is the time of events that have none."""

    @abstractmethod
    def parse(self, body: bytes) -> Event:
        """Read one event as `Incoming.body` holds it."""

    @abstractmethod
    def kind_of(self, body: bytes) -> str:
        """Return the channel's word for what an event is."""

    @abstractmethod
    def external_id(self, body: bytes) -> str:
        """Return what names an event for good: the helpdesk finds by it what was created."""

    @abstractmethod
    def split_text(self, text: str) -> list[str]:
        """Split a text into parts that can be sent."""

    @abstractmethod
    def kind_of_file(self, content_type: str, size: int) -> str:
        """Return as what a file of this media type and size (bytes) is sent, for `upload` and `send`."""

    def most_files(self, kind: str) -> int:
        """Return how many files of a kind one message may have."""
        return 1

    def rate_of(self, *, has_file: bool) -> Rate | None:
        """Return how fast an account may send messages with a file, or without; None if as fast as it can."""
        return None

    @abstractmethod
    def echo_metadata(self, comment_id: str, part: int) -> str:
        """Return what names a part of a reply, and comes back with it."""

    def agents_window(self, credentials: Credentials) -> timedelta | None:
        """Return for how long agents may answer after the reply window, too; None if they may not.

        It is counted from the person's last message, as `reply_window` is.
        """
        return None

    @abstractmethod
    def account(self, network: Network, credentials: Credentials) -> Account:
        """Return an account, to be used with these credentials."""
