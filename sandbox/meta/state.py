"""What the sandbox Meta knows: apps, pages, people, their messages and media, and how it shall behave."""

import random
import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, Literal

import httpx
import msgspec

INBOX_APP_ID = 263902037430900  # Meta's own page inbox (Conversation Routing)
TYPING_LASTS = 20_000  # ms (Messenger Platform, "Sender Actions")


class LostAfterSend(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Every `every`th message is sent, and yet the call is answered with this error."""

    every: int
    code: int = 1
    subcode: int | None = 1357046


class AppUsage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What `X-App-Usage` says, in percent."""

    call_count: int = 0
    total_cputime: int = 0
    total_time: int = 0


class PageUsage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What `X-Business-Use-Case-Usage` says of a page: percentages, and minutes."""

    type: Literal["messenger", "pages"] = "messenger"
    call_count: int = 0
    total_cputime: int = 0
    total_time: int = 0
    estimated_time_to_regain_access: int = 0


class Behaviour(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How Meta behaves, as `PUT /sandbox/behaviour` takes it.

    Probabilities are 0 to 1, times are seconds. `minute` is how long a minute of Meta's alert and
    unsubscription takes here. The last of `retry_waits` repeats. A `duplicate` comes again after a wait
    between the two of `duplicate_delay`, a `late` one after ten times the longer of them, which brings
    it in behind newer events of its thread. A page that calls too often is told to wait
    `regain` minutes. Each answer to a page that stands in `usage`, by its id, and with `app_usage` to any
    page, says how much of its limits is used; nothing is refused for that.
    Unless it is to `deliver`, no event goes out, now or later. A subscription of a page is listed at once;
    what it adds is sent `subscription_delay` later.
    """

    seed: int = 0
    deliver: bool = True
    duplicate: float = 0.0
    duplicate_delay: tuple[float, float] = (0.0, 0.5)
    late: float = 0.0
    batch: int = 1
    shuffle: bool = False
    echoes: bool = True
    echo_before_response: float = 0.25
    receipts: bool = True
    retry_waits: tuple[float, ...] = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
    minute: float = 60.0
    media_lifetime: float = 7 * 86400.0
    code_lifetime: float = 600.0
    subscription_delay: float = 0.0
    lost_after_send: LostAfterSend | None = None
    regain: int = 1
    usage: dict[str, PageUsage] = {}
    app_usage: AppUsage | None = None

    def __post_init__(self) -> None:
        if not self.retry_waits or self.batch < 1 or self.minute <= 0:
            raise ValueError("retry_waits must not be empty, batch must be at least 1, minute more than 0")


class Refused(msgspec.Struct, forbid_unknown_fields=True):
    """Which calls of a page Meta refuses with an error of its table, as `PUT …/refusals` takes it.

    Those with this `method` whose path is like this glob, `times` of them; null: all. Sender actions are
    refused meanwhile, too, but not counted. `error_user_title` and `error_user_msg` go with the error, as
    Meta's words for people do.
    """

    code: int
    subcode: int | None = None
    method: str = "POST"
    path: str = "*/messages"
    times: int | None = None
    error_user_title: str = ""
    error_user_msg: str = ""

    def hits(self, method: str, path: str, *, is_action: bool) -> bool:
        """Tell whether a call is refused, and count it."""
        if self.times == 0 or method != self.method or not fnmatch(path, self.path):
            return False
        if self.times is not None and not is_action:
            self.times -= 1
        return True


@dataclass(frozen=True)
class File:
    """A file that a person or a page brought."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True)
class Media:
    """A file on the media host that is reached at `origin`; its URL calls it `name`."""

    id: int
    kind: str
    file: File
    name: str
    origin: str


@dataclass(frozen=True)
class Attachment:
    """An attachment as a webhook shows it, without the URL when the file is on our media host."""

    raw: dict[str, Any]
    media: Media | None = None

    @property
    def type(self) -> str:
        """Return Meta's attachment type."""
        return str(self.raw.get("type"))


@dataclass(kw_only=True)
class Message:
    """One message of a thread; `timestamp` in ms; `extra` are further keys of its webhook.

    `reaction` is the person's. What was deleted says nothing any more.
    """

    mid: str
    psid: str
    sender: Literal["person", "page"]
    timestamp: int
    text: str | None = None
    attachments: list[Attachment] = field(default_factory=list)
    app_id: int | None = None
    metadata: str | None = None
    messaging_type: str | None = None
    tag: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    num_edit: int = 0
    reaction: str | None = None
    is_deleted: bool = False


@dataclass
class Person:
    """A person in a thread with a page; `wrote_at` (ms) opens the messaging window.

    What the person sees of the page: until when it has seen the messages, and since when it types (ms).
    """

    psid: str
    first_name: str = ""
    last_name: str = ""
    name: str = ""
    profile: Literal["full", "empty", "none"] = "full"
    wrote_at: int | None = None
    owner_app_id: str | None = None
    seen_at: int | None = None
    typing_since: int | None = None
    thread: list[Message] = field(default_factory=list)

    @property
    def conversation_id(self) -> str:
        """Return the thread's id in the Conversations API."""
        return f"t_10{self.psid}"

    @property
    def said(self) -> list[Message]:
        """Return what is still there of the thread."""
        return [message for message in self.thread if not message.is_deleted]

    @property
    def sees_typing(self) -> bool:
        """Tell whether the page shows as typing."""
        return self.typing_since is not None and now_ms() - self.typing_since < TYPING_LASTS

    def next_timestamp(self) -> int:
        """Return now in ms, or just after the thread's last message: no two of them are at the same time."""
        last = self.thread[-1].timestamp if self.thread else 0
        return max(now_ms(), last + 1)


SCOPES = ("pages_show_list", "pages_messaging", "pages_manage_metadata", "pages_read_engagement")
PUBLIC_PROFILE = "public_profile"  # every login grants it


@dataclass
class Grant:
    """What a page's token allows, and until when (seconds since 1970; 0: for ever).

    A login gave it to an app, for a user, unless these two are empty.
    """

    scopes: Sequence[str] = SCOPES
    expires_at: int = 0
    data_access_expires_at: int = 0
    app_id: str = ""
    user_id: str = ""

    @property
    def is_over(self) -> bool:
        """Tell whether the token has expired."""
        return 0 < self.expires_at <= time.time()


@dataclass
class Rate:
    """How many calls of one kind a page made, at most in a second, and how many were refused for that."""

    accepted: int = 0
    most: int = 0
    refused: int = 0


@dataclass
class Page:
    """A Facebook page; `fields` is what its app has subscribed; `assets` are its saved attachments.

    `issued` are the tokens that logins gave, beside its own. Of a field in `begins` nothing is sent before
    that time (monotonic, s).
    """

    id: str
    name: str
    access_token: str
    app_id: str
    grant: Grant = field(default_factory=Grant)
    issued: dict[str, Grant] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    fields: list[str] = field(default_factory=list)
    begins: dict[str, float] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    assets: dict[str, tuple[Media, float]] = field(default_factory=dict)
    calls: dict[str, deque[float]] = field(default_factory=dict)
    rates: dict[str, Rate] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)

    def grant_of(self, token: str) -> Grant | None:
        """Return what a token of the page allows, unless it is none."""
        return self.grant if token == self.access_token else self.issued.get(token)

    def subscribe(self, fields: list[str], delay: float = 0.0) -> None:
        """Have these fields sent instead of others; what was not sent before, after so many seconds."""
        begins = time.monotonic() + delay
        self.begins = {name: self.begins.get(name, 0.0) if name in self.fields else begins for name in fields}
        self.fields = list(fields)

    def sends(self, name: str | None) -> bool:
        """Tell whether a field is sent; None is one that nobody has seen yet."""
        began = {name for name in self.fields if self.begins.get(name, 0.0) <= time.monotonic()}
        return name in began if name else bool(began)

    def person(self, psid: str) -> Person:
        """Return the person, who is new to the page perhaps."""
        return self.people.setdefault(psid, Person(psid, "Person", psid[-4:], f"Person {psid[-4:]}"))

    def add(self, message: Message) -> None:
        """Put a message at the end of its thread."""
        self.person(message.psid).thread.append(message)
        self.messages[message.mid] = message


@dataclass(frozen=True)
class Subscription:
    """Where an app's webhooks go, and which fields it takes."""

    callback_url: str
    verify_token: str
    fields: list[str]
    active: bool = True


@dataclass
class App:
    """An app of a developer at Meta.

    People may come back from the login to its `redirect_uris` only; the other addresses are its callbacks.
    """

    id: str
    secret: str
    require_proof: bool = False
    human_agent: bool = False
    redirect_uris: Sequence[str] = ()
    deauthorize_url: str = ""
    data_deletion_url: str = ""
    subscription: Subscription | None = None


@dataclass
class User:
    """Somebody with a Facebook account: `id` is that for the app they log in at.

    `tasks` are what they may do on each page, `psids` their ids in conversations with pages.
    """

    id: str
    name: str
    tasks: dict[str, list[str]]
    psids: dict[str, str]


@dataclass
class Code:
    """What a login gave for a user token: once, and until `expires_at` (seconds since 1970)."""

    app_id: str
    user_id: str
    redirect_uri: str
    scopes: Sequence[str]
    pages: Sequence[str]
    challenge: str
    expires_at: float
    is_used: bool = False


@dataclass(frozen=True)
class UserToken:
    """A user's token for an app, which sees only some of their pages."""

    app_id: str
    user_id: str
    scopes: Sequence[str]
    pages: Sequence[str]
    expires_at: int
    is_long_lived: bool = False


class LoginAnswer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How the login is answered: by somebody who clicks (`user_id` empty), or at once by a user.

    Who `grants` leaves out some permissions, or pages, if they are listed (`None`: all pages).
    """

    user_id: str = ""
    grants: bool = True
    without: list[str] = []
    pages: list[str] | None = None


class Platform:
    """Everything that this Meta holds in memory; `http` is its way out, open while the server runs."""

    def __init__(self) -> None:
        self.apps: dict[str, App] = {}
        self.pages: dict[str, Page] = {}
        self.users: dict[str, User] = {}
        self.codes: dict[str, Code] = {}
        self.user_tokens: dict[str, UserToken] = {}
        self.login = LoginAnswer()
        self.media: dict[int, Media] = {}
        self.media_key = secrets.token_bytes(32)
        self.http: httpx.AsyncClient
        self.sends = 0
        self.behave(Behaviour())

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so from now on; what is left to chance starts again from the seed."""
        self.behaviour = behaviour
        self.random = random.Random(behaviour.seed)  # noqa: S311 - chance for tests, no secret

    def chance(self, probability: float) -> bool:
        """Tell whether it happens this time."""
        return self.random.random() < probability


def now_ms() -> int:
    """Return the time in ms, as Meta counts it."""
    return time.time_ns() // 1_000_000


def new_mid() -> str:
    """Return a message id of the modern form."""
    return "m_" + secrets.token_urlsafe(65)[:86]
