"""What an order for the sandbox Meta brings."""

from typing import Annotated, Any, Literal

import msgspec

from sandbox.meta.state import SCOPES

DEFAULT_FIELDS = [
    *("messages", "message_echoes", "message_edits", "message_reactions", "message_deliveries"),
    *("message_reads", "messaging_postbacks", "messaging_referrals", "messaging_optins"),
    *("messaging_handovers", "messaging_policy_enforcement", "standby", "messaging_account_linking"),
    *("messaging_feedback", "messaging_in_thread_lead_form_submit", "send_cart", "calls"),
]


class NewApp(msgspec.Struct, forbid_unknown_fields=True):
    """An app."""

    app_secret: str
    require_proof: bool = False
    human_agent: bool = False
    redirect_uris: list[str] = []
    deauthorize_url: str = ""
    data_deletion_url: str = ""


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody who can log in: what they may do on each page, and their ids in conversations with pages."""

    name: str
    tasks: dict[str, list[str]] = {}
    psids: dict[str, str] = {}


class Removal(msgspec.Struct, forbid_unknown_fields=True):
    """From which app a user withdraws what they granted; with a `page_id` the app is removed from that."""

    app_id: str
    page_id: str = ""


class NewPage(msgspec.Struct, forbid_unknown_fields=True):
    """A page; the token that it had before becomes invalid."""

    name: str
    access_token: str
    app_id: str


class NewGrant(msgspec.Struct, forbid_unknown_fields=True):
    """What the page's token allows, and until when (seconds since 1970; 0: for ever)."""

    scopes: list[str] = msgspec.field(default_factory=lambda: [*SCOPES])
    expires_at: int = 0
    data_access_expires_at: int = 0


class Moved(msgspec.Struct, forbid_unknown_fields=True):
    """What is changed about an app's subscription, as somebody else might; no handshake is made."""

    callback_url: str | None = None
    active: bool | None = None
    fields: list[str] | None = None


class NewPerson(msgspec.Struct, forbid_unknown_fields=True):
    """A person, and what their profile gives away: everything, `{}`, or error 2018218."""

    first_name: str = ""
    last_name: str = ""
    name: str | None = None
    profile: Literal["full", "empty", "none"] = "full"


class Connection(msgspec.Struct, forbid_unknown_fields=True):
    """An app, its page, and both subscriptions."""

    app_id: str
    app_secret: str
    page_id: str
    page_name: str
    access_token: str
    callback_url: str
    verify_token: str
    fields: list[str] = msgspec.field(default_factory=lambda: [*DEFAULT_FIELDS])


class RawEvents(msgspec.Struct, forbid_unknown_fields=True):
    """Items of `messaging[]`, or of `standby[]`: whatever Meta may put there."""

    items: list[Any]
    standby: bool = False


class Age(msgspec.Struct, forbid_unknown_fields=True):
    """By how much the person's last message becomes older."""

    hours: float


class Reacting(msgspec.Struct, forbid_unknown_fields=True):
    """To which message a person reacts, and how; null takes the reaction back."""

    mid: str
    emoji: Annotated[str, msgspec.Meta(min_length=1, max_length=16)] | None


class Edited(msgspec.Struct, forbid_unknown_fields=True):
    """What a message says from now on."""

    text: Annotated[str, msgspec.Meta(pattern=r"\S", max_length=20_000)]


class Tap(msgspec.Struct, forbid_unknown_fields=True):
    """A button that a person taps: of the page's menu, of a template, or Get Started."""

    title: Annotated[str, msgspec.Meta(min_length=1)]
    payload: Annotated[str, msgspec.Meta(max_length=1000)]


class Owner(msgspec.Struct, forbid_unknown_fields=True):
    """Which app owns the thread; null for none."""

    app_id: str | None


class InboxMessage(msgspec.Struct, forbid_unknown_fields=True):
    """What an agent writes in Meta's own inbox."""

    psid: str
    text: str


class Upload(msgspec.Struct, forbid_unknown_fields=True):
    """A file that a person sends."""

    filename: str
    content_type: str
    base64: bytes  # msgspec reads base64 into bytes


class Writing(msgspec.Struct, forbid_unknown_fields=True):
    """What a person writes; `reply_to` is a mid, `quick_reply` a payload, `timestamp` ms."""

    text: str | None = None
    files: list[Upload] = []
    attachments: list[dict[str, Any]] = []
    reply_to: str | None = None
    quick_reply: str | None = None
    sticker_id: int | str | None = None
    timestamp: int | None = None
