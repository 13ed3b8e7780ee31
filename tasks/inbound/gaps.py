"""What no webhook told of: which messages of an account are known, and since when one is not."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import redis
import structlog

from clients.channel import Account, Conversation, Incoming, Newest, PastConversation
from clients.errors import RejectedError, Unavailable
from tasks.connections import Connection
from tasks.inbox.inbox import Inbox
from tasks.outbound.receipts import our_ids_of
from tasks.services import Services

log = structlog.get_logger(__name__)

MOST_LISTS = 20
"""How many lists of conversations are compared with what came; where there are more, all is fetched."""
MOVED = 60_000
"""How much earlier than it is looked for a conversation may be listed, in ms: clocks differ."""
LOOKED_FOR = 7 * 24 * 3600.0
"""For how long it is known of which times it was looked what was said with an account, in seconds."""

Span = tuple[int, int]
"""Two times in ms, and all between them."""


def unknown(inbox: Inbox, said: Mapping[Conversation, Sequence[Incoming]]) -> list[Incoming]:
    """Return those messages that neither came by webhook, nor are ours, nor of a time that was forgotten."""
    seen = inbox.seen([key for events in said.values() for one in events for key in (one.key, *one.known_by)])
    unseen = {
        person: [event for event in events if not seen & {event.key, *event.known_by}]
        for person, events in said.items()
    }
    people = [person for person, events in unseen.items() if events]
    kept = zip(inbox.forgotten_of(people), our_ids_of(inbox, people), inbox.echoed_of(people), strict=True)
    return [
        event
        for person, (forgotten, sent, echoed) in zip(people, kept, strict=True)
        for event in unseen[person]
        if event.time > forgotten and event.message_id not in sent | echoed
    ]


def first_missed(service: Services, connection: Connection, time: Span) -> int | None:
    """Return when (ms) the first message of a time was said that is not known; None if all are.

    What was looked at before is left out. Raises `ClientError`.
    """
    account, (begins, ends) = service.account(connection), time
    looked = _looked(service.inbox, account.remote)
    begins = max((until for since, until in looked if since <= begins <= until), default=begins)
    if begins >= ends:
        return None
    said: dict[Conversation, list[Incoming]] = {}
    after, least, began = "", begins - MOVED, _now(service.inbox)
    for _ in range(MOST_LISTS):
        listed = account.conversations(after, with_newest=True)
        recent = [one for one in listed.conversations if one.time > least]
        for one in recent:
            person = Conversation(connection.channel, connection.account_id, one.person_id)
            said.setdefault(person, []).extend(
                event
                for event in _said(account, one, listed.newest.get(one.id, Newest()), begins)
                if begins < event.time <= ends and not _is_in(looked, event.time)
            )
        is_first, after = not after, listed.after if len(recent) == len(listed.conversations) else ""
        if is_first and not after:
            missed = min((event.time for event in unknown(service.inbox, said)), default=None)
            if missed is not None:
                log.warning("webhook_missing", remote=account.remote, since=_time(missed).isoformat())
            return missed
        if not after:  # who wrote meanwhile moved to the head of the list, unseen
            least, began = began - MOVED, _now(service.inbox)
    log.info("too_much_to_compare", remote=account.remote, since=_time(begins).isoformat())
    return begins


def _said(account: Account, conversation: PastConversation, newest: Newest, since: int) -> Sequence[Incoming]:
    """Return what was said in a conversation since then (ms), as far as the channel tells."""
    if newest.is_all or any(event.time <= since for event in newest.messages):
        return newest.messages
    try:
        past = account.past(conversation, _time(since))
    except (RejectedError, Unavailable) as error:
        if isinstance(error, Unavailable):
            account.conversations()  # raises if that is not about one conversation
        return newest.messages
    return [*past.messages, *past.hidden]


def note_looked(inbox: Inbox, remote: str, time: Span) -> None:
    """Note that it was looked what was said with an account in a time."""
    spans: list[Span] = []
    for since, until in sorted([*_looked(inbox, remote), *([time] if time[0] < time[1] else [])]):
        if spans and since <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], until)
        else:
            spans.append((since, until))
    oldest = _now(inbox) - int(LOOKED_FOR * 1000)
    kept = [span for span in spans if span[1] > oldest]
    with suppress(redis.OutOfMemoryError):
        inbox.put(_name(remote), msgspec.json.encode(kept).decode(), LOOKED_FOR)


def _looked(inbox: Inbox, remote: str) -> list[Span]:
    """Return of which times it was looked what was said with an account, the earliest first."""
    try:
        spans = msgspec.json.decode(inbox.get(_name(remote)) or b"[]", type=list[Span])
    except msgspec.MsgspecError:  # another version wrote it
        return []
    now = _now(inbox)
    return [span for span in spans if span[1] <= now]  # no others, but of a clock that was fast


def _name(remote: str) -> str:
    return f"looked:{remote}"


def _is_in(spans: Sequence[Span], time: int) -> bool:
    return any(since <= time <= until for since, until in spans)


def _now(inbox: Inbox) -> int:
    return int(inbox.now() * 1000)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
