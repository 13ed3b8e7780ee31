"""The names of queues: no other Python builds or reads one.

`in:<channel>:<account>:<person>` holds what a person wrote, `out:<channel>:<account>:<person>` what goes to
them, and `ticket:<id>` replies whose person is not known before the ticket was read.

`erase:<channel>:<account>:<person>` holds the wish that they be forgotten, `match:<code>` that of somebody
whose conversations the channel has yet to name, and `report:<channel>:<account>:` and
`report:desk:<desk>:` that agents be told what stops messages.

A remote is `helpdesk`, or an account: `<channel>:<account>`.
"""

from urllib.parse import quote, unquote

from clients.channel import Conversation
from tasks.inbox.personal import Personal

HELPDESK = "helpdesk"
"""The name of the helpdesk among the remotes."""
_DESK = "desk"
STORE = "store"
"""The name under which it is kept what is wrong with the store."""


def inbound_queue(conversation: Conversation) -> str:
    """Name the queue of what a person wrote."""
    return _named("in", conversation)


def outbound_queue(conversation: Conversation) -> str:
    """Name the queue of what goes to a person."""
    return _named("out", conversation)


def erasure_queue(conversation: Conversation) -> str:
    """Name the queue of the wish that a person be forgotten."""
    return _named("erase", conversation)


def matching_queue(code: str) -> str:
    """Name the queue of a wish to be forgotten whose conversations are not known yet, by its code."""
    return f"match:{code}"


def report_queue(remote: str) -> str:
    """Name the queue of what agents are told of an account, or a desk, which is about no person."""
    return f"report:{remote}:"


def ticket_queue(ticket_id: str) -> str:
    """Name the queue of replies whose person is not known before the ticket was read."""
    return f"ticket:{ticket_id}"


def person_key(name: Personal, conversation: Conversation) -> str:
    """Name what is kept of a person: `<name>:<channel>:<account>:<person>`."""
    return _named(name, conversation)


def name_of(conversation: Conversation) -> str:
    """Return a conversation as names of queues and keys end: `<channel>:<account>:<person>`."""
    return f"{conversation.channel}:{conversation.account_id}:{conversation.person_id}"


def _named(name: str, conversation: Conversation) -> str:
    return f"{name}:{name_of(conversation)}"


def direction_of(queue: str) -> str:
    """Return which way a queue's jobs go: `in`, `out` or `ticket`."""
    return queue.partition(":")[0]


def conversation_of(queue: str) -> Conversation:
    """Return the conversation that a queue's name holds."""
    _, channel, account_id, person_id = queue.split(":", 3)
    return Conversation(channel, account_id, person_id)


def account_remote(channel: str, account_id: str) -> str:
    """Name an account as a remote."""
    return f"{channel}:{account_id}"


def desk_remote(desk_id: str) -> str:
    """Name a desk where an account is named else: its agents are told what concerns all of its pages."""
    return f"{_DESK}:{quote(desk_id, safe='')}"


def desk_of(remote: str) -> str | None:
    """Return the desk that a remote is; None for an account."""
    kind, _, desk_id = remote.partition(":")
    return unquote(desk_id) if kind == _DESK else None


def account_of(queue: str) -> str:
    """Return the account in the name of a queue, or of its group, as a remote; empty for a ticket's."""
    direction, *names = queue.split(":", 3)
    return account_remote(*names[:2]) if direction != "ticket" and len(names) > 1 else ""


def remote_of(queue: str) -> str:
    """Return the remote that a queue's jobs go to: the helpdesk, or an account."""
    return account_of(queue) if direction_of(queue) == "out" else HELPDESK


def account_id_of(remote: str) -> str:
    """Return the id of the account that a remote is; empty for the helpdesk."""
    return remote.partition(":")[2]
