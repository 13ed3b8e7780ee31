"""The name of a ticket's sender: at once, or with a later message."""

from dataclasses import replace

import structlog

from clients.channel import Profile
from clients.errors import (
    ClientError,
    LeaseLost,
)
from clients.helpdesk import Customer, Naming
from clients.notices import notice
from tasks.inbound.arrival import NAMELESS, Arrival
from tasks.inbox.personal import Personal
from tasks.notes import notify_once

log = structlog.get_logger(__name__)

LONGEST_TITLE = 255


def note_whether_named(arrival: Arrival) -> None:
    """Note, before a ticket is opened, whether that is done for want of a name that may be read later."""
    if not arrival.profile.name and not arrival.variant.startswith(NAMELESS):
        arrival.lease.cache(Personal.UNNAMED, b"1")
    elif arrival.lease.cached(Personal.UNNAMED):
        arrival.lease.forget(Personal.UNNAMED)


def fix_name(arrival: Arrival) -> None:
    """Put the sender's name on their ticket if it could not be read before. No message fails for it."""
    ticket_id = (arrival.lease.cached(Personal.OPEN_TICKET) or b"").decode()
    if not arrival.lease.cached(Personal.UNNAMED) or not arrival.profile.name or not ticket_id:
        return
    unknown = replace(arrival, profile=Profile())
    naming = Naming(title_of(unknown), title_of(arrival), customer_of(arrival))
    try:
        if not arrival.service.helpdesk.name_requester(ticket_id, naming):
            note = arrival.say(notice("name_told_later", name=arrival.profile.name))
            notify_once(arrival, ticket_id, f"named:{arrival.external_id}", note)
    except LeaseLost:
        raise
    except ClientError as error:
        log.warning("name_not_updated", queue=arrival.lease.queue, ticket=ticket_id, reason=str(error))
        return
    arrival.lease.forget(Personal.UNNAMED)


def title_of(arrival: Arrival) -> str:
    """Return what the sender's ticket is called."""
    return f"{arrival.channel.title}: {arrival.sender_name}"[:LONGEST_TITLE]


def customer_of(arrival: Arrival) -> Customer:
    """Return what is known of the sender, for the helpdesk."""
    profile, conversation = arrival.profile, arrival.conversation
    return Customer(
        channel=conversation.channel,
        account_id=conversation.account_id,
        person_id=conversation.person_id,
        display_name=arrival.sender_name,
        account_name=arrival.connection.name,
        name=profile.name,
        first_name=profile.first_name,
        last_name=profile.last_name,
        picture_url=profile.picture,
    )
