"""The names of queues: they are built and read here only."""

from clients.channel import Conversation


def inbound_queue(conversation: Conversation) -> str:
    """Name the queue of what a person wrote."""
    return f"in:{conversation.account_id}:{conversation.person_id}"


def outbound_queue(conversation: Conversation) -> str:
    """Name the queue of what goes to a person."""
    return f"out:{conversation.account_id}:{conversation.person_id}"


def ticket_queue(ticket_id: str) -> str:
    """Name the queue of replies whose person is not known before the ticket was read."""
    return f"ticket:{ticket_id}"


def conversation_of(name: str) -> Conversation:
    """Return the conversation that a queue's name holds."""
    _, account_id, person_id = name.split(":", 2)
    return Conversation("facebook_messenger", account_id, person_id)


def account_of(name: str) -> str:
    """Return the page that a queue's name holds; empty for a ticket's queue."""
    return "" if name.startswith("ticket:") else conversation_of(name).account_id


def remote_of(name: str) -> str:
    """Return the remote that a queue's events go to: the helpdesk, or a page."""
    return f"page:{account_of(name)}" if name.startswith("out:") else "helpdesk"
