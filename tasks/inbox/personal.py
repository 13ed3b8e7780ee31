"""What is kept of a person: all of it by these names, so that forgetting them misses nothing."""

from enum import StrEnum
from typing import Self

MINUTE, DAY = 60, 24 * 3600


class Personal(StrEnum):
    """A name under which something is kept of a person, beside the jobs in their queues.

    `person_key` takes nothing else: what has a name here is forgotten, exported, and listed in the docs.
    `seconds` is how long it is kept at most, `holds` what it is, for people to read.
    """

    seconds: int
    holds: str

    def __new__(cls, name: str, seconds: int, holds: str) -> Self:
        """Make a name with what is known of it."""
        one = str.__new__(cls, name)
        one._value_, one.seconds, one.holds = name, seconds, holds
        return one

    PROFILE = "profile", DAY, "their name, and the address of their picture"
    OPEN_TICKET = "open_ticket", DAY, "the id of their open ticket"
    UNNAMED = "unnamed", 7 * DAY, "that their ticket was opened before their name could be read"
    EARLY_EDIT = (
        "early_edit",
        DAY,
        "their last edit of a message that was not on the ticket yet: id, new text, time",
    )
    EDITED = "edited", 7 * DAY, "ids of messages that they edited, and when"
    CONTEXT = "context", 7 * DAY, "what was said while they had no open ticket, for their next one"
    OWNER = "owner", DAY, "which app answers their conversation, as the channel said last"
    HISTORY = "history", DAY, "that what was said before their page was connected was fetched"
    UNTOLD = "untold", 7 * DAY, "which of their events could not be added, and why, for their next ticket"
    WROTE_AT = "wrote_at", 14 * DAY, "when they wrote last"
    UNANSWERED = (
        "unanswered",
        7 * DAY,
        "until when their last message may be answered, and the id of its ticket",
    )
    OURS = (
        "ours",
        7 * DAY,
        "ids of the comments and messages that were sent to them, and digests of the texts",
    )
    ECHO = (
        "echo",
        7 * DAY,
        "ids and times of the messages that were sent to them, as the channel repeated them",
    )
    AWAITING_DELIVERY = (
        "awaiting:delivered",
        7 * DAY,
        "ids of replies that are not delivered yet, and when they were sent",
    )
    AWAITING_READ = "awaiting:read", 7 * DAY, "ids of replies that are not read yet, and when they were sent"
