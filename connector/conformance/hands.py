"""What only people do in a helpdesk, and what only they see: the hands and eyes of an agent."""

from collections.abc import Sequence
from dataclasses import dataclass

from clients.helpdesk import Attachment
from clients.media import File
from connector.conformance.suite import NotChecked


@dataclass(frozen=True)
class Shown:
    """A comment as an agent sees it: its text without markup, its files as the helpdesk's API has them."""

    text: str
    internal: bool = False
    attachments: Sequence[Attachment] = ()


class Hands:
    """An agent of the helpdesk. Override what can be done; what cannot is not checked."""

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

    def read_comments(self, ticket_id: str) -> Sequence[Shown]:
        """Return what an agent sees on a ticket, the oldest first, beginning with its first message."""
        raise NotChecked(f"nobody is there to look; see ticket {ticket_id} yourself")

    def confirm(self, ticket_id: str, claim: str) -> bool:
        """Tell whether somebody looked at a ticket and found it as claimed, so that it need not be read.

        Raises `Failed` if they found it otherwise.
        """
        return False
