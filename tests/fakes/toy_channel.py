"""A second channel, which differs from Messenger where real ones do.

As WhatsApp's, its receipts name each message and bring back what was sent along, files have ids and
want the token, and nobody can look up what was sent.
"""

import hmac
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, ClassVar

from clients.channel import (
    Account,
    Channel,
    Conversation,
    Credentials,
    Event,
    Handshake,
    Incoming,
    Message,
    MessageAttachment,
    Network,
    NewMessage,
    OtherEvent,
    Profile,
    Receipt,
    SentMessage,
)
from clients.errors import Untraceable
from clients.jsons import decode
from clients.media import File
from clients.notices import notice


@dataclass(frozen=True)
class Phone:
    """What came for one number."""

    account_id: str
    raw: list[dict[str, Any]]
    changes: int = 0

    def events(self) -> Iterator[Incoming]:
        """Read the events."""
        for one in self.raw:
            kind, id_ = ("status" if "status" in one else "message"), f"{one['id']}:{one.get('status', '')}"
            yield Incoming(
                conversation=Conversation("toy", self.account_id, one["person"]),
                kind=kind,
                key=f"{self.account_id}:{id_}",
                time=one["at"],
                body=repr(one).replace("'", '"').encode(),
                message_id=one["id"],
                echo_metadata=one.get("opaque") if one.get("status") == "sent" else None,
                is_receipt=kind == "status",
            )


@dataclass(frozen=True)
class Numbers:
    """A body."""

    body: bytes

    @property
    def account_ids(self) -> set[str]:
        """Return the numbers."""
        return {one["number"] for one in decode(self.body)}

    def entries(self) -> list[Phone]:
        """Take it apart."""
        return [Phone(one["number"], one["events"]) for one in decode(self.body)]


@dataclass
class Line(Account):
    """One number; it keeps what was sent."""

    credentials: Credentials
    remote: str = field(init=False)
    sent: ClassVar[list[tuple[str, str]]] = []

    def __post_init__(self) -> None:
        self.remote = f"toy:{self.credentials.account_id}"

    def ping(self) -> None:
        """Answer."""

    def profile(self, person_id: str) -> Profile:
        """Know the name that came along with messages."""
        return Profile(name=f"Person {person_id}")

    @contextmanager
    def fetch(self, attachment: MessageAttachment) -> Iterator[File]:
        """Fetch a file by its id, with the token."""
        assert self.credentials.access_token
        yield File(f"{attachment.url}.ogg", "audio/ogg", 3, BytesIO(b"ogg"))

    def send(self, person_id: str, message: NewMessage) -> str:
        """Send a text, or a file."""
        shown = message.text or " ".join(f"{one.kind} {one.uploaded or one.url}" for one in message.files)
        self.sent.append((shown, message.echo_metadata))
        return f"wamid.{len(self.sent)}"

    def upload(self, kind: str, file: File) -> str:
        """Take a file."""
        return f"media.{file.filename}"

    def find_sent(
        self, person_id: str, text: str | None, within: timedelta, known: Collection[str]
    ) -> SentMessage | None:
        """Know nothing of what was sent."""
        raise Untraceable(Toy.title)


class Toy(Channel):
    """The channel."""

    name = "toy"
    title = "Toy"
    path = "/social_media/webhooks/toy"
    nameless = "messenger_user"
    key_prefix = "toy"
    max_file_bytes = 100 * 1024 * 1024
    kinds = frozenset({"message"})
    advice: ClassVar[Mapping[str, str]] = {}

    def handshake(self, query: Mapping[str, str]) -> Handshake | None:
        """Read the question."""
        return Handshake(query["token"], query["word"]) if "word" in query else None

    def may_receive(self, headers: Mapping[bytes, bytes]) -> bool:
        """Look for the signature."""
        return b"x-toy" in headers

    def is_signed(self, body: bytes, headers: Mapping[bytes, bytes], secret: str) -> bool:
        """Check the signature."""
        return hmac.compare_digest(
            headers[b"x-toy"], hmac.digest(secret.encode(), body, "sha256").hex().encode()
        )

    def open(self, body: bytes, received: int) -> Numbers:
        """Read a body."""
        return Numbers(body)

    def parse(self, body: bytes) -> Event:
        """Read an event."""
        one = decode(body)
        if "status" in one:
            return Receipt(one["status"], 0, (one["id"],))
        if "text" not in one and "voice" not in one:
            return OtherEvent("unknown", datetime.fromtimestamp(one["at"] / 1000, UTC), notice("toy_event"))
        files = (MessageAttachment("audio", one["voice"], is_file=True),) if "voice" in one else ()
        return Message(one["id"], datetime.fromtimestamp(one["at"] / 1000, UTC), one.get("text", ""), files)

    def kind_of(self, body: bytes) -> str:
        """Return what it is."""
        return "status" if "status" in decode(body) else "message"

    def external_id(self, body: bytes) -> str:
        """Return its id."""
        return str(decode(body)["id"])

    def split_text(self, text: str) -> list[str]:
        """Take ten characters at a time."""
        return [text[at : at + 10] for at in range(0, len(text), 10)]

    def kind_of_file(self, content_type: str, size: int) -> str:
        """Send all as documents."""
        return "document"

    def echo_metadata(self, comment_id: str, part: int) -> str:
        """Return what comes back with the statuses."""
        return f"toy-{comment_id}-{part}"

    def account(self, network: Network, credentials: Credentials) -> Account:
        """Return a number."""
        return Line(credentials)
