"""The connector's own event: messages of a person's could not be fetched, so agents have to look for them."""

import hashlib
from datetime import UTC, datetime

import msgspec

from clients.channel import MISSING, Channel, OtherEvent
from clients.notices import notice


class Missing(msgspec.Struct, frozen=True, array_like=True, tag="missing"):
    """Messages that were written between two times (ms) and that the channel no longer shows.

    `last_id` is the id of the last of them. `time` (ms) is that of the last message that it still shows.
    """

    last_id: str
    first: int
    last: int
    time: int

    @property
    def external_id(self) -> str:
        """Return the id under which the helpdesk can find what tells of it."""
        return f"{MISSING}:{self.last_id or self.last}"

    def key(self, queue: str) -> str:
        """Return the key of its job: a digest, as the queue names the person, and the key stays for days."""
        return hashlib.blake2b(f"{self.external_id}:{queue}".encode(), digest_size=16).hexdigest()

    @property
    def body(self) -> bytes:
        """Return it as a job holds it: an array, which no channel's event is."""
        return msgspec.json.encode(self)

    def event(self, channel: Channel) -> OtherEvent:
        """Return the event that tells agents."""
        shown = {"first": _shown(self.first), "last": _shown(self.last), "channel": channel.title}
        return OtherEvent(MISSING, _time(self.time), notice(MISSING, **shown))


_decode = msgspec.json.Decoder(Missing).decode


def read(body: bytes) -> Missing | None:
    """Read the event of a job; None if it is a channel's."""
    return _decode(body) if body.startswith(b'["missing"') else None


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _shown(ms: int) -> str:
    return f"{_time(ms):%Y-%m-%d %H:%M} UTC"
