"""What only people do in a helpdesk, and what only they see: the actions and the view of an agent."""

from collections.abc import Sequence
from dataclasses import dataclass

from clients.helpdesk import Attachment
from clients.media import File
from conformance.outcome import NotChecked


@dataclass(frozen=True)
class Shown:
    """A comment as an agent sees it: its text without markup, its files as the helpdesk's API has them."""

    text: str
    internal: bool = False
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True)
class Filed:
    """Where a ticket is, as an agent sees it: ids as the settings have them, and the customer's name.

    `customer` is what the ticket shows of the name, wherever that is: in a field of its own, or in the title.
    """

    desk_id: str
    category_id: str | None
    customer: str


class HelpdeskAgent:
    """An agent of the helpdesk. Override what can be done; what cannot is not checked.

    Raise `Cannot` where the helpdesk has no such thing: the connector does without.
    """

    def close_ticket(self, ticket_id: str) -> None:
        """Close a ticket."""
        raise NotChecked("nobody is there to close a ticket")

    def reopen_ticket(self, ticket_id: str) -> None:
        """Open a closed ticket again."""
        raise NotChecked("nobody is there to open a closed ticket again")

    def reply_as_agent(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[File] = ()
    ) -> None:
        """Comment on a ticket as an agent does."""
        raise NotChecked("nobody is there to reply as an agent")

    def reply_and_close(self, ticket_id: str, text: str) -> None:
        """Comment on a ticket, publicly, and close it in the same step."""
        raise NotChecked("nobody is there to answer and close in one step")

    def merge_ticket(self, ticket_id: str, into: str) -> None:
        """Merge a ticket into another, which is the one that is left."""
        raise NotChecked("nobody is there to merge tickets")

    def forbid_ticket(self, ticket_id: str) -> None:
        """Take the right to see a ticket from the connector's token."""
        raise NotChecked("nobody is there to hide a ticket from the connector's token")

    def read_ticket(self, ticket_id: str) -> Filed:
        """Return where an agent sees a ticket, and whose it is."""
        raise NotChecked(f"nobody is there to look; see ticket {ticket_id} yourself")

    def read_comments(self, ticket_id: str) -> Sequence[Shown]:
        """Return what an agent sees on a ticket, the oldest first, beginning with its first message."""
        raise NotChecked(f"nobody is there to look; see ticket {ticket_id} yourself")

    def confirm(self, ticket_id: str, claim: str) -> bool:
        """Return whether somebody looked at a ticket and found it as claimed, so that it need not be read.

        Raises `Failed` if they found it otherwise.
        """
        return False
