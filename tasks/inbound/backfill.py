"""Fetching what no webhook brought: messages of a time in which the connector, or a page, was cut off.

A worker goes through an account's conversations, the one with the newest message first, in short turns. The
store keeps how far it got, and what it found is known by its keys, so all of it may be repeated.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import redis
import structlog

from clients.channel import Conversation, Incoming, Message, Past, PastConversation
from clients.errors import ClientError, RejectedError, Unavailable
from clients.notices import encode
from tasks.celery import FETCHES, app, stopping, wake, wake_fetchers
from tasks.connections import Connection, Connections, Directory
from tasks.inbound import gaps
from tasks.inbound.jobs import incoming_job
from tasks.inbound.missing import Missing
from tasks.inbox.backfills import Backfill, History
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.inbox.queues import account_remote, inbound_queue
from tasks.services import Services, services
from tasks.store import reason_of
from tasks.words import described

log = structlog.get_logger(__name__)

FETCHING_TURN = 5.0
"""How long a worker fetches before other work has its turn (seconds)."""
OVERLAP = timedelta(minutes=5)
"""How much earlier than a gap messages are fetched: clocks differ, and what came is known by its key."""
OLDEST = timedelta(days=6)
"""How far back messages are fetched at most: after seven days it is forgotten which of them came."""
MOST_PASSES = 5
"""How often the list of conversations is begun anew because some may have moved meanwhile."""
LOOK_AGAIN = 600.0
"""After how long it is looked again whether an account that is not active can be fetched for, in seconds."""
LONGEST_WAIT = 300.0
"""How long a backfill waits at most after it failed, in seconds."""
MOST_ROUNDS = 10
"""How often conversations are tried again, after all others, that alone cannot be read."""
ROUND_AFTER = 10.0
"""How long it waits before the first of these rounds, in seconds; before each next one twice as long."""

Accept = Callable[[Sequence[Job], Sequence[str]], object]
"""Takes jobs of one person, and the keys by which a webhook may still bring the same."""


class Progress(msgspec.Struct, frozen=True):
    """How far a backfill got: the conversations `todo`, and `after` which the list of them goes on.

    In this pass over the list those are wanted where something was said at `least` (ms) or later; it `began`
    at a time by the store's clock. What alone could not be read is put `aside`, for so many `rounds` after
    all others. The rest counts what there was, and what of it is new; `reason` says why it waits, as `encode`
    writes a notice, and `wait` for how many seconds.
    """

    began: int
    least: int
    todo: tuple[PastConversation, ...] = ()
    aside: tuple[PastConversation, ...] = ()
    rounds: int = 0
    wait: float = 0.0
    after: str = ""
    lists: int = 0
    is_listed: bool = False
    passes: int = 1
    attempts: int = 0
    conversations: int = 0
    messages: int = 0
    new: int = 0
    hidden: int = 0
    reason: str = ""

    @property
    def known(self) -> int:
        """Return how many conversations are known so far: those that were looked at, and the others."""
        return self.conversations + len(self.left)

    @property
    def left(self) -> tuple[PastConversation, ...]:
        """Return the conversations that are known, and not done."""
        return self.todo + self.aside


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches what was said with an account since a time, in steps of few calls.

    What was said in the time of `history` is marked as such. What was said from `unfetched` (ms) on until six
    days ago is not fetched, though it was asked for; None if nothing is left out.
    """

    service: Services
    connection: Connection
    since: datetime
    accept: Accept
    history: History | None = None
    unfetched: int | None = None

    def first(self) -> Progress:
        """Return where to begin."""
        return Progress(began=int(self.service.inbox.now() * 1000), least=self._least)

    @property
    def _least(self) -> int:
        """Return since when (ms) a conversation is looked at: channels may list times in whole seconds."""
        return int(self.since.timestamp()) * 1000

    def step(self, progress: Progress) -> Progress | None:
        """Take a step. Return how far it got; None once all is fetched. Raises `ClientError`."""
        if progress.todo:
            return self._take(progress)
        if not progress.is_listed:
            return self._list(progress)
        return self._again(progress)

    def _list(self, progress: Progress) -> Progress:
        account = self.service.account(self.connection)
        listed = account.conversations(progress.after)
        recent = [one for one in listed.conversations if one.time >= progress.least]
        ids = {one.id for one in recent}
        is_listed = not listed.after or len(recent) < len(listed.conversations)
        return msgspec.structs.replace(
            progress,
            todo=tuple(one for one in recent if not self._is_forgotten(one)),
            aside=tuple(one for one in progress.aside if one.id not in ids),
            after=listed.after,
            lists=progress.lists + 1,
            is_listed=is_listed,
            attempts=0,
            reason=progress.reason if progress.aside else "",
        )

    def _again(self, progress: Progress) -> Progress | None:
        """Look at the head of the list again: what was said meanwhile moved conversations there, unseen."""
        if progress.lists == 1 or progress.passes >= MOST_PASSES:
            return self._next_round(progress) if progress.aside else None
        return msgspec.structs.replace(
            progress,
            began=int(self.service.inbox.now() * 1000),
            least=max(progress.began - gaps.MOVED, self._least),
            after="",
            lists=0,
            is_listed=False,
            passes=progress.passes + 1,
        )

    def _next_round(self, progress: Progress) -> Progress:
        """Try those again that were put aside, after a while."""
        wait = min(ROUND_AFTER * 2**progress.rounds, LONGEST_WAIT)
        log.warning(
            "conversations_tried_again",
            account=self.connection.account_id,
            count=len(progress.aside),
            seconds=wait,
        )
        return msgspec.structs.replace(
            progress, todo=progress.aside, aside=(), rounds=progress.rounds + 1, wait=wait
        )

    def _take(self, progress: Progress) -> Progress:
        first, *rest = progress.todo
        try:
            messages, new, hidden = self.take(first)
        except (RejectedError, Unavailable) as error:
            if isinstance(error, Unavailable):
                # Raises if that is not about one conversation: then all wait, and this one does not count.
                self.service.account(self.connection).conversations()
                if progress.rounds < MOST_ROUNDS:
                    return self._put_aside(progress, error)
            log.warning("conversation_not_fetched", account=self.connection.account_id, reason=str(error))
            messages, new, hidden = 0, 0, self._refused(first)
        return msgspec.structs.replace(
            progress,
            todo=tuple(rest),
            wait=0.0,
            attempts=0,
            reason=progress.reason if progress.aside else "",
            conversations=progress.conversations + 1,
            messages=progress.messages + messages,
            new=progress.new + new,
            hidden=progress.hidden + hidden,
        )

    def _put_aside(self, progress: Progress, error: ClientError) -> Progress:
        first, *rest = progress.todo
        return msgspec.structs.replace(
            progress,
            todo=tuple(rest),
            aside=(*progress.aside, first),
            wait=0.0,
            attempts=0,
            reason=encode(error.notice),
        )

    def take(self, conversation: PastConversation) -> tuple[int, int, int]:
        """Accept what is new of a conversation. Raises `ClientError`.

        Return how many messages it shows, how many of them are new, and how many new ones it does not show.
        """
        connected = self.history.until if self.history else 0
        past = self.service.account(self.connection).past(conversation, self.since, connected)
        if not self._is_worth_a_ticket(past):
            return len(past.messages), 0, 0
        new, hidden = self._unknown(conversation, past.messages), self._unknown(conversation, past.hidden)
        if jobs := [*self._jobs(conversation, new), *self._missing(conversation, past, hidden)]:
            self.accept(jobs, [key for event in new for key in event.known_by])
        return len(past.messages), len(new), len(hidden)

    def _refused(self, conversation: PastConversation) -> int:
        """Tell agents of a conversation that the channel does not show; return of how many messages at least.

        Of a history nobody is told: it opens no ticket for what may be no message of a customer's.
        """
        if self.history:
            return 0
        first = self._earliest(_ms(self.since))
        missing = Missing("", first, max(first, conversation.time), conversation.time)
        self.accept([self._told(conversation, missing)], [])
        return 1

    def _is_worth_a_ticket(self, past: Past) -> bool:
        """Return whether there is more than history in which nobody wrote but the account."""
        channel, until = self.service.channel(self.connection.channel), self.history and self.history.until
        return not until or any(
            event.time >= until or isinstance(channel.parse(event.body), Message) for event in past.messages
        )

    def _is_forgotten(self, conversation: PastConversation) -> bool:
        return conversation.time <= self.service.inbox.forgotten_at(self._conversation(conversation))

    def _conversation(self, conversation: PastConversation) -> Conversation:
        return Conversation(self.connection.channel, self.connection.account_id, conversation.person_id)

    def _unknown(self, conversation: PastConversation, events: Sequence[Incoming]) -> list[Incoming]:
        """Return those that are not known, nor of a time of which that is forgotten."""
        doubtful = self._doubtful_times()
        said = {self._conversation(conversation): events} if events else {}
        return [event for event in gaps.unknown(self.service.inbox, said) if event.time not in doubtful]

    def _doubtful_times(self) -> range:
        """Return the times (ms) behind a history of which it is forgotten what came by webhook."""
        if not self.history:
            return range(0)
        return range(self.history.until, oldest_known(self.service))

    def _jobs(self, conversation: PastConversation, events: Sequence[Incoming]) -> list[Job]:
        channel, person = self.service.channel(self.connection.channel), self._conversation(conversation)
        jobs = (incoming_job(channel, person, event) for event in events)
        return [job for job in jobs if isinstance(job, Job)]

    def _missing(self, conversation: PastConversation, past: Past, hidden: Sequence[Incoming]) -> list[Job]:
        """Return the job that tells agents of messages that the channel no longer shows; once for them."""
        if not hidden:
            return []
        shown = [event.time for event in past.messages] or [conversation.time]
        first, last = hidden[0], hidden[-1]
        until = last.time if last.message_id else min(shown)
        missing = Missing(last.message_id or "", self._earliest(first.time), until, max(*shown, until))
        return [self._told(conversation, missing)]

    def _earliest(self, time: int) -> int:
        """Return since when messages of a conversation may be missing that lacks some since then."""
        return time if self.unfetched is None else min(time, self.unfetched)

    def _told(self, conversation: PastConversation, missing: Missing) -> Job:
        queue = inbound_queue(self._conversation(conversation))
        return Job(key=missing.key(queue), queue=queue, time=missing.time, body=missing.body)


def fetch_since(service: Services, account: str, since: datetime, again: float | None = None) -> None:
    """Have workers fetch what was said with an account (`<channel>:<id>`) since then, unless that is off.

    What came by webhook as well is known, so `since` may be too early. What is said from now on is fetched
    `again` seconds later. Raises `redis.RedisError`.
    """
    if service.settings.backfill:
        service.inbox.backfills.request(account, _ms(since), again)


def names_of(connections: Directory) -> dict[str, Connection]:
    """Return the active connection of each account, by its name as a remote."""
    return {account_remote(one.channel, one.account_id): one for one in connections.all if one.active}


class ConnectionNotes:
    """Notes in the store which accounts are connected, for a process that takes their webhooks.

    So what was said before one was connected can be fetched, and what was said while it was not active.
    """

    def __init__(self, inbox: Inbox, connections: Directory, *, fetches_missed: bool) -> None:
        self._backfills, self._connections = inbox.backfills, connections
        self._earlier = OVERLAP // timedelta(milliseconds=1) if fetches_missed else None
        self._noted: Mapping[str, Connections] | None = None

    def refresh(self) -> None:
        """Take up what changed of the connections, and note that. Raises `redis.RedisError`."""
        self._connections.refresh()
        now = self._connections.channels
        if now is self._noted:
            return
        active, inactive = names_of(self._connections), self._backfills.inactive()
        connected = self._backfills.connected()
        histories = {
            name: one.history // timedelta(milliseconds=1)
            for name, one in active.items()
            if name not in connected or name in inactive
        }
        self._backfills.note_active(histories, self._earlier)
        self._backfills.note_inactive(connected - active.keys() - inactive)
        self._noted = now


def queue_due(service: Services) -> None:
    """Have workers fetch what is due, and what was missed in a gap. Raises `redis.RedisError`."""
    inbox = service.inbox
    for gap, began in inbox.gaps():
        active = names_of(service.connections)
        inbox.backfills.note_inactive(inbox.backfills.connected() - active.keys(), began)
        since = _time(began) - OVERLAP
        log.warning("webhooks_missed", since=since.isoformat(), fetched=service.settings.backfill)
        for name in active:
            fetch_since(service, name, since)
        inbox.forget_gap(gap)
    wake_fetchers(inbox.backfills.due(FETCHES))


@dataclass(frozen=True, slots=True)
class UnderWay:
    """How far a backfill got that is not done; times are in seconds since 1970.

    It `is_running`, or goes on at `next`; `reason` says why it failed last. Of the conversations, `looked_at`
    of `known` were looked at, `all_known` if no more can be found; they had so many `messages`, and so many
    were `new`.
    """

    since: float
    is_history: bool
    is_running: bool
    next: float
    reason: str
    looked_at: int
    known: int
    all_known: bool
    messages: int
    new: int


def under_way(inbox: Inbox) -> dict[str, UnderWay]:
    """Return how far the backfill of each account got, by its name as a remote. Raises `redis.RedisError`."""
    found = {}
    for one in inbox.backfills.all():
        progress = _decoded(one.state) or Progress(began=0, least=0)
        found[one.remote] = UnderWay(
            since=one.since / 1000,
            is_history=one.is_history,
            is_running=one.is_running,
            next=one.next / 1000,
            reason=described(progress.reason) if progress.reason else "",
            looked_at=progress.conversations,
            known=progress.known,
            all_known=progress.is_listed,
            messages=progress.messages,
            new=progress.new,
        )
    return found


def kept_of(inbox: Inbox, person: Conversation) -> PastConversation | None:
    """Return what a backfill that is not done keeps of a person. Raises `redis.RedisError`."""
    state = inbox.backfills.state(account_remote(person.channel, person.account_id))
    progress = _decoded(state) if state else None
    left = progress.left if progress else ()
    return next((one for one in left if one.person_id == person.person_id), None)


def leave_out(inbox: Inbox, person: Conversation) -> None:
    """Begin a backfill anew that keeps something of a person who was forgotten. Raises `redis.RedisError`."""
    if kept_of(inbox, person):
        account = account_remote(person.channel, person.account_id)
        inbox.backfills.request(account, int(inbox.now() * 1000))


@app.task(name="fetch")
def fetch() -> None:
    """Fetch for one account after the other, as long as a turn lasts; others go on then."""
    take_turn(services())


def take_turn(service: Services) -> None:
    """Fetch as long as a turn lasts and there is something to fetch."""
    ends = time.monotonic() + FETCHING_TURN
    try:
        while backfill := service.inbox.backfills.claim(FETCHES):
            _fetch(service, backfill, ends)
            if stopping.is_set() or time.monotonic() > ends:
                return  # the sweep sends the next one
    except redis.RedisError as error:
        log.warning("fetch_failed", reason=reason_of(error))


def _fetch(service: Services, backfill: Backfill, ends: float) -> None:
    """Take steps of a backfill until the turn ends; keep how far each got."""
    backfills = service.inbox.backfills
    service.connections.refresh()
    channel, _, account_id = backfill.remote.partition(":")
    connection = service.active_connection(channel, account_id)
    if connection is None:
        _leave(service, backfill)
        return

    def accept(jobs: Sequence[Job], known_by: Sequence[str]) -> None:
        wake(service.inbox.accept_fetched(jobs, known_by))

    fetcher = fetcher_of(service, connection, backfill, accept)
    progress = progress_of(fetcher, backfill)
    while True:
        try:
            step = fetcher.step(progress)
        except (ClientError, redis.OutOfMemoryError) as error:
            if isinstance(error, RejectedError) and fetcher.unfetched is not None:
                log.error("backfill_failed", account=backfill.remote, reason=str(error))  # noqa: TRY400 - one line
                backfills.end(backfill)
            else:
                put_off(service, backfill, progress, error)
            return
        if step is None:
            if finish(service, backfill, progress):
                log.info("backfill_done", account=backfill.remote, **counts(progress))
                _tell_of_unfetched(fetcher, backfill)
            return
        progress, is_over = step, stopping.is_set() or time.monotonic() > ends
        delay = progress.wait or (0 if is_over else None)
        if not backfills.save(backfill, msgspec.json.encode(progress), delay) or delay is not None:
            return


def finish(service: Services, backfill: Backfill, progress: Progress) -> bool:
    """Be done with a backfill, and note of which time it looked; return False if it is somebody else's."""
    is_done = service.inbox.backfills.end(backfill)
    if is_done:
        # Where the last pass took several lists, somebody may have moved unseen meanwhile.
        until = progress.least if progress.lists > 1 else progress.began - gaps.MOVED
        gaps.note_looked(service.inbox, backfill.remote, (backfill.since, until))
    return is_done


def _leave(service: Services, backfill: Backfill) -> None:
    """Leave the backfill of an inactive account until it is active again; forget that of no account."""
    channel, _, account_id = backfill.remote.partition(":")
    if account_id in service.connections.of(channel).known:
        service.inbox.backfills.save(backfill, backfill.state, LOOK_AGAIN)
        return
    log.warning("backfill_dropped", account=backfill.remote, reason="it has no connection")
    service.inbox.backfills.end(backfill)


def fetcher_of(service: Services, connection: Connection, backfill: Backfill, accept: Accept) -> Fetcher:
    """Return what fetches for a backfill, no further back than it is known which messages came."""
    since = max(backfill.since, oldest := oldest_known(service))
    asked = backfill.history.until if backfill.history else backfill.since
    unfetched = asked if asked < oldest else None
    if backfill.history:  # none of that came by webhook
        since = min(since, backfill.history.since)
    return Fetcher(service, connection, _time(since), accept, backfill.history, unfetched)


def _tell_of_unfetched(fetcher: Fetcher, backfill: Backfill) -> None:
    """Log that messages of a time are not fetched, as it is not known any more which of them came."""
    if fetcher.unfetched is None:
        return
    log.warning(
        "messages_may_be_missing",
        account=backfill.remote,
        written_after=_time(fetcher.unfetched).isoformat(),
        written_before=_time(oldest_known(fetcher.service)).isoformat(),
    )


def progress_of(fetcher: Fetcher, backfill: Backfill) -> Progress:
    """Return how far a backfill got; one that another version began begins anew."""
    return _decoded(backfill.state) or fetcher.first()


def _decoded(state: bytes) -> Progress | None:
    try:
        return msgspec.json.decode(state, type=Progress)
    except msgspec.MsgspecError:
        return None


def put_off(service: Services, backfill: Backfill, progress: Progress, error: Exception) -> float:
    """Let a backfill that failed go on later. Return how many seconds later that is."""
    asked = LONGEST_WAIT if isinstance(error, RejectedError) else getattr(error, "retry_after", None)
    delay = min(asked or 2.0**progress.attempts, LONGEST_WAIT)
    told = reason_of(error) if isinstance(error, redis.RedisError) else str(error)
    log.warning("backfill_put_off", account=backfill.remote, seconds=delay, reason=told)
    reason = encode(error.notice) if isinstance(error, ClientError) else told
    later = msgspec.structs.replace(progress, attempts=min(progress.attempts + 1, 10), reason=reason)
    service.inbox.backfills.save(backfill, msgspec.json.encode(later), delay)
    return delay


def counts(progress: Progress) -> dict[str, int]:
    """Return what there was, as logs and commands show it."""
    return {
        "conversations": progress.conversations,
        "messages": progress.messages,
        "known": progress.messages - progress.new,
        "new": progress.new,
        "hidden": progress.hidden,
    }


def oldest_known(service: Services) -> int:
    """Return since when (ms) it is known which messages came."""
    return int((service.inbox.now() - OLDEST.total_seconds()) * 1000)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)
