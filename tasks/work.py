"""The job at the head of a queue, with all that a worker needs to do it."""

from dataclasses import dataclass

from clients.channel import Channel, Conversation
from tasks.inbox.lease import Lease
from tasks.services import Services


@dataclass(frozen=True, slots=True)
class Work:
    """The job at the head of a leased queue, and the services to do it with."""

    service: Services
    lease: Lease

    @property
    def conversation(self) -> Conversation:
        """Return the conversation that the queue is of. Raises `ValueError` for a ticket's queue."""
        return self.lease.conversation

    @property
    def channel(self) -> Channel:
        """Return the channel of the conversation. Raises `RejectedError` if there is none of its name."""
        return self.service.channel(self.conversation.channel)

    @property
    def is_last_try(self) -> bool:
        """Return whether the job is given up if its remote fails once more."""
        return self.lease.attempts + 1 >= self.service.settings.worker.attempts
