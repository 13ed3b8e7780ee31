"""Messenger: the channel of Facebook pages.

https://developers.facebook.com/documentation/business-messaging/messenger-platform
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from clients.channel import Account, Channel, Credentials, Envelope, Event, Handshake, Network, Rate
from clients.channels.meta import events, signature
from clients.channels.meta.errors import STOPS
from clients.channels.meta.fields import LABELS
from clients.channels.meta.graph import AGENTS_WINDOW, REPLY_WINDOW, Page, attachment_kind
from clients.channels.meta.kinds import ECHO, EXTRA_FIELDS, NEEDED_FIELDS, ROWS, STANDBY
from clients.channels.meta.login import FacebookLogin
from clients.text.split import split_text

TEXT_LIMIT = 2000
"""UTF-16 code units: Meta says "characters" and not of which kind; these are the strictest that were seen.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages
"""
MOST_IMAGES = 30
"""How many images one message may have; seen with others, Meta names no number."""
_TEXTS, _FILES = Rate("text", 300), Rate("file", 10)
"""What a page may send. Meta names audio and video only; pictures are taken for such, to be safe.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/overview/rate-limiting
"""


class Messenger(Channel):
    """Facebook Messenger."""

    name = events.CHANNEL
    title = "Messenger"
    path = "/social_media/webhooks/facebook"
    nameless = "messenger_user"
    key_prefix = "facebook"
    max_file_bytes = 25 * 1024 * 1024
    kinds = frozenset({STANDBY, ECHO, *(kind for kind, row in ROWS.items() if not row.is_receipt)})
    webhook_fields = (*NEEDED_FIELDS, *EXTRA_FIELDS)
    login = FacebookLogin
    login_needed = frozenset({"page_token_refused"})
    stops = STOPS
    labels = frozenset(LABELS.values()) | {
        *(
            "advertisement",
            "command",
            "passed_on_by",
            "payload",
            "product_number",
            "quick_reply",
            "reference",
        ),
        *("remark", "topic", "web_page", "metas_reason", "duration", "in_words", "picture", "video"),
        *("feedback_csat", "feedback_nps", "feedback_ces", "location", "product", "item_number", "total"),
        *("template_picture", "template_video", "unknown_attachment", "booking_number", "appointment"),
        *("appointment_requested", "appointment_confirmed", "appointment_declined", "appointment_cancelled"),
        *("appointment_rescheduled", "appointment_of_status", "shared_reel", "shared_instagram_reel"),
        *("shared_post", "shared_instagram_post", "mentioned_in_story"),
    }
    internal_labels = frozenset(
        {
            *("advertisement", "command", "passed_on_by", "payload", "quick_reply", "in_standby"),
            *("unsupported_message", "unsupported_share", "unknown_attachment", "unknown_template"),
            "sticker_without_picture",
        }
    )
    reply_window = REPLY_WINDOW
    advice: ClassVar[Mapping[str, str]] = {
        "unsigned": "it has no X-Hub-Signature-256, so it is not from Meta: somebody else calls this "
        "address, or a proxy drops the header",
        "wrong_secret": "the connection's app_secret is not that of the Meta app which sends this; "
        "copy it again: Meta app, Settings, Basic",
        "unknown_page": "no connection has this page_id; add one (“connector connections add”), "
        "or unsubscribe the page from the app",
        "inactive_page": "its connection is not active; switch it on (“connector connections enable”), "
        "or unsubscribe the page from the app",
        "another_app": "it is signed by another page's app; connect the page with that app's app_secret, "
        "or unsubscribe the page from that app",
        "verify_token": "no active connection has this verify_token; "
        "type the connection's one at Meta, or change it here",
    }

    def __init__(self, app_id: str = "") -> None:
        """Take the id of our Meta app, so that it is named where an event or an answer has its number."""
        self._app_id = app_id

    def handshake(self, query: Mapping[str, str]) -> Handshake | None:
        """Read Meta's subscribe handshake.

        https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests
        """
        if query.get("hub.mode") != "subscribe":
            return None
        return Handshake(query.get("hub.verify_token", ""), query.get("hub.challenge", ""))

    def may_receive(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether there is a signature, and it looks like one."""
        return signature.is_well_formed(_signature(headers))

    def is_signed(self, body: bytes, headers: Mapping[bytes, bytes], secret: str) -> bool:
        """Return whether an app with this secret signed the body."""
        return signature.is_signed(body, _signature(headers), secret)

    def open(self, body: bytes, received: int) -> Envelope:
        """Return an envelope of Meta's."""
        return events.opened(body, received)

    def parse(self, body: bytes) -> Event:
        """Read one item of `messaging[]` or `standby[]`."""
        return events.parse(body, self._app_id)

    def kind_of(self, body: bytes) -> str:
        """Return Meta's word for what an item is."""
        return events.kind_of(body)

    def external_id(self, body: bytes) -> str:
        """Return an item's mid, or else a digest of all it says."""
        return events.external_id(body)

    def split_text(self, text: str) -> list[str]:
        """Split a text into parts that the Send API takes."""
        return split_text(text, TEXT_LIMIT)

    def kind_of_file(self, content_type: str, size: int) -> str:
        """Return as what a file is sent: `image`, `audio`, `video` or `file`."""
        return attachment_kind(content_type, size)

    def most_files(self, kind: str) -> int:
        """Return how many files one message may have: of images several, else one."""
        return MOST_IMAGES if kind == "image" else 1

    def rate_of(self, *, has_file: bool) -> Rate:
        """Return how many messages a page may send in a second."""
        return _FILES if has_file else _TEXTS

    def echo_metadata(self, comment_id: str, part: int) -> str:
        """Return the `metadata` of a part, which Meta gives back in its echo."""
        return events.echo_metadata(comment_id, part)

    def agents_window(self, credentials: Credentials) -> timedelta | None:
        """Return how long Meta allows replies with the tag for human agents, if the page may use it."""
        return AGENTS_WINDOW if credentials.human_agent else None

    def account(self, network: Network, credentials: Credentials) -> Account:
        """Return a page."""
        return Page(
            network.http,
            network.api_url,
            page_id=credentials.account_id,
            token=credentials.access_token,
            app_secret=credentials.app_secret,
            human_agent=credentials.human_agent,
            take_control=credentials.take_control,
            media=network.media,
            app_id=self._app_id,
            take_turn=network.take_turn,
            verify_token=credentials.verify_token,
        )


def _signature(headers: Mapping[bytes, bytes]) -> bytes:
    return headers.get(b"x-hub-signature-256", b"")
