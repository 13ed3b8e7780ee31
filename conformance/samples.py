"""What the checks make up: people, ids, files."""

import secrets
from dataclasses import dataclass
from io import BytesIO

from clients.channels.meta.events import CHANNEL
from clients.helpdesk import Customer
from clients.media import File

NAME = "Zoë O'Brien-Łąka"


@dataclass(frozen=True)
class Content:
    """A file to send."""

    filename: str
    content_type: str
    data: bytes

    def open(self) -> File:
        """Return the file, at its beginning."""
        return File(self.filename, self.content_type, len(self.data), BytesIO(self.data))


def a_customer() -> Customer:
    """Make up a person who does not exist, of a page that does not."""
    page_id, person_id = f"9{secrets.randbelow(10**14):014}", f"9{secrets.randbelow(10**15):015}"
    return Customer(CHANNEL, page_id, person_id, display_name=NAME, name=NAME)


def an_id() -> str:
    """Make up an id like those of Meta's messages, where the case of a letter counts."""
    return f"m_{secrets.token_urlsafe(24)}"


def a_word() -> str:
    """Make up a word that nothing else has, and no markup changes."""
    return f"conformance{secrets.token_hex(4)}"
