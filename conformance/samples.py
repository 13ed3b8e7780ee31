"""What is made up for the checks: people, ids, files."""

import secrets
from dataclasses import dataclass
from io import BytesIO

from clients.helpdesk import SOURCE
from clients.media import File


@dataclass(frozen=True)
class Sender:
    """A person who does not exist, of a page that does not."""

    page_id: str
    psid: str
    name: str = "Zoë O'Brien-Łąka"

    @property
    def config(self) -> dict[str, str]:
        """Return what the connector keeps of a sender in their ticket."""
        return {"source": SOURCE, "page_id": self.page_id, "sender_id": self.psid, "sender_name": self.name}


@dataclass(frozen=True)
class Content:
    """A file to send."""

    filename: str
    content_type: str
    data: bytes

    def open(self) -> File:
        """Return the file, at its beginning."""
        return File(self.filename, self.content_type, len(self.data), BytesIO(self.data))


def a_sender() -> Sender:
    """Make up a sender."""
    return Sender(f"9{secrets.randbelow(10**14):014}", f"9{secrets.randbelow(10**15):015}")


def an_id() -> str:
    """Make up an id like those of Meta's messages, where the case of a letter counts."""
    return f"m_{secrets.token_urlsafe(24)}"


def a_word() -> str:
    """Make up a word that nothing else has, and no markup changes."""
    return f"conformance{secrets.token_hex(4)}"
