"""An event at the head of its queue, and all that is needed to put it on a ticket."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from structlog.contextvars import bind_contextvars

from clients.channel import OTHER_KINDS, Account, Event, Profile, Receipt
from clients.errors import Busy, NotConnected, RejectedError, Unavailable
from clients.notices import Notice, notice
from tasks.connections import Connection
from tasks.inbound import missing
from tasks.inbound.profiles import profile_of
from tasks.inbox.job import Step
from tasks.inbox.personal import Personal
from tasks.words import say
from tasks.work import Work

CONNECTED_WITHIN = 7 * 24 * 3600
"""How long what an account's customers write waits for the account to be connected, in seconds."""
LOOK_FOR_CONNECTION_EVERY = 30.0
"""How long a message waits until it is looked whether its connection is active again (seconds)."""
NAMELESS = "nameless"


@dataclass(frozen=True, slots=True)
class Arrival(Work):
    """An event at the head of its conversation, and all that is needed to put it on a ticket."""

    event: Event
    external_id: str
    """The id under which the helpdesk can find what was created."""
    connection: Connection
    profile: Profile
    left_out: Mapping[int, Notice] = field(default_factory=dict)
    """Attachments, by number, whose files are not brought along, and why."""
    variant: str = ""
    """Distinguishes the keys of this way to show the event from those of the one that was refused."""

    @property
    def was_tried(self) -> bool:
        """Return whether all tries but the last are over, and none of them worked."""
        return self.lease.attempts > 0 and self.is_last_try

    def nameless(self) -> "Arrival":
        """Return the same event without names: some helpdesks fail for a character in one of them."""
        connection = replace(self.connection, name="")
        return replace(self, profile=Profile(), connection=connection, variant=NAMELESS)

    def without(self, numbers: Sequence[int], reason: Notice) -> "Arrival":
        """Return the same event without the files of some attachments."""
        variant = ":".join(filter(None, (self.variant, "without", *map(str, numbers))))
        return replace(self, left_out=dict.fromkeys(numbers, reason), variant=variant)

    @property
    def opens_ticket(self) -> bool:
        """Return whether the event is worth a ticket of its own, as the settings have it for its kind."""
        event = self.event
        if isinstance(event, Receipt):
            return False
        kind = event.kind if self.channel.knows(event) else OTHER_KINDS
        wanted = self.service.settings.events.get(kind)
        return event.opens_ticket if wanted is None else wanted == "open_ticket"

    @property
    def sender_name(self) -> str:
        """Return the name to show."""
        # Without a name, a few digits distinguish senders.
        digits = self.conversation.person_id[-4:]
        return self.profile.name or self.say(notice(self.channel.nameless, digits=digits))

    @property
    def account(self) -> Account:
        """Return the account that the event came to."""
        return self.service.account(self.connection)

    def open_tickets(self) -> Iterator[str]:
        """Yield the ids of the ticket that was used last, and of the one that the helpdesk finds.

        Raises `ClientError`.
        """
        known = (self.lease.cached(Personal.OPEN_TICKET) or b"").decode()
        if known:
            yield known
        found = self.service.helpdesk.find_open_ticket(self.conversation)
        if found is None:
            return
        if found.id == known:
            # It took no comment, and still it is found open: a passing disagreement must not open a second.
            raise Unavailable("contradictory_ticket")
        yield found.id

    def check_active(self) -> None:
        """Raise `Busy` while the connection may open no ticket; `RejectedError` if that lasts too long."""
        if self.connection.active:
            return
        page_id = self.conversation.account_id
        if self.lease.waited() < CONNECTED_WITHIN:
            raise Busy("not_connected", page_id=page_id, retry_after=LOOK_FOR_CONNECTION_EVERY)
        raise RejectedError("not_connected", page_id=page_id)

    def say(self, what: Notice) -> str:
        """Return a sentence in the language of the connection's agents."""
        return say(what, self.connection.language)

    def key(self, *suffixes: str) -> str:
        """Return the idempotency key of a create; the suffixes distinguish several creates."""
        return ":".join(
            filter(None, (self.channel.key_prefix, self.conversation.account_id, self.external_id, *suffixes))
        )


def arrival_of(work: Work) -> Arrival:
    """Read the event at the head. Raises `NotConnected`, or `RejectedError` for an account that stays so."""
    service, lease = work.service, work.lease
    name, account_id = work.conversation.channel, work.conversation.account_id
    if account_id not in service.connections.of(name).known and lease.waited() < CONNECTED_WITHIN:
        raise NotConnected(name, account_id)
    channel, connection, body = work.channel, service.connection(name, account_id), lease.job.body
    own = missing.read(body)
    event = own.event(channel) if own else channel.parse(body)
    external_id = own.external_id if own else channel.external_id(body)
    if replayed := lease.step(Step.replayed()):  # the helpdesk may have a comment under the first one
        external_id += f":replay:{replayed}"
    profile = profile_of(work, connection)
    bind_contextvars(external_id=external_id)
    return Arrival(service, lease, event, external_id, connection, profile)
