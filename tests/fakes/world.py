"""A worker with a real inbox, between a fake helpdesk and a fake Meta."""

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import httpx

from clients.channel import Channel, Network
from clients.channels.meta import events
from clients.channels.meta.messenger import Messenger
from clients.channels.registry import make_channels
from clients.helpdesk import AgentReply, Attachment, Comment, Customer, Ticket
from clients.http import HttpClient
from clients.media import MediaFetcher
from clients.notices import decode
from tasks import worker
from tasks.clocks import Clocks
from tasks.inbound.jobs import incoming_job
from tasks.inbox.inbox import Inbox
from tasks.inbox.renewer import Renewer
from tasks.outbound.jobs import reply_job
from tasks.remotes import Remotes
from tasks.services import Services, directory_of, installation_in
from tasks.store import connect
from tasks.words import say
from tests.conftest import PAGE_A, MakeSettings
from tests.fakes.conversation import CUSTOMER, IN, OUT, PSID, SENT_AT
from tests.fakes.desk import Desk
from tests.fakes.failures import Fuse, FusedStore
from tests.fakes.meta import Media, Meta

STAYS = [
    "celery:",
    "clocks",
    "seen:",
    "echo:",
    "profile:",
    "open_ticket:",
    "awaiting:",
    "ours:",
    "untold:",
    "context:",
    "owner:",
    "unnamed:",
    "wrote_at:",
    "format",
    "ids",
    "stats",
    "given_up",
    "begun:",
    "slowed:",
    "last",
    "day:",
    "taken:",
    "room",
    "pauses",
    "trouble:",
    "edited:",
    "early_edit:",
    "report:",
    "unchecked:",
    "checked",
    "looked:",
    "findings",
]


@dataclass(frozen=True)
class Head:
    """What the store knows of the event at the head of a queue; `waits` is its backoff."""

    attempts: int
    reasons: list[str]
    waits: float


class World:
    """One worker's services, with a real inbox between a fake helpdesk and a fake Meta."""

    def __init__(self, url: str, make_settings: MakeSettings) -> None:
        self._url, self._make_settings = url, make_settings
        self.fuse = Fuse()
        self.store: Any = connect(url)
        self.inbox = Inbox(self.store)
        self.desk, self.meta, self.media = Desk(self.fuse), Meta(self.fuse), Media(self.fuse)
        self.fused = cast("FusedStore", FusedStore.from_url(url))
        self.fused.fuse = self.fuse
        self._http = HttpClient(httpx.MockTransport(self.meta))
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Change settings."""
        settings = self._make_settings(redis_url=self._url, **changes)
        inbox = Inbox(self.fused, settings.worker.lease)
        self.channels: dict[str, Channel] = make_channels(settings.graph.app_id)
        self.service = Services(
            settings,
            inbox,
            self.desk,
            self.channels,
            directory_of(settings, inbox),
            Network(
                self._http,
                "https://graph.facebook.com/v26.0",
                cast("MediaFetcher", self.media),
            ),
            Clocks(self.inbox, "worker"),
            installation_in(self.inbox, settings),
            Remotes(self.inbox),
            Renewer(settings.worker.lease / 3, lambda: None),
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()
        self.store.close()
        self.fused.close()

    def receive(
        self, mid: str = "m_1", text: str = "hello", at: int = SENT_AT, person: str = PSID, **message: Any
    ) -> None:
        """Accept what a person wrote."""
        item = {"timestamp": at, "message": {"mid": mid, "text": text} | message}
        self.receive_item(item, person=person)

    def receive_item(self, item: dict[str, Any], *, from_page: bool = False, person: str = PSID) -> None:
        """Accept an item of Meta's webhook."""
        people = {"sender": {"id": person}, "recipient": {"id": PAGE_A}}
        if from_page:
            people = {"sender": {"id": PAGE_A}, "recipient": {"id": PSID}}
        entry = {"id": PAGE_A, "time": SENT_AT, "messaging": [people | item]}
        self.receive_body(json.dumps({"object": "page", "entry": [entry]}).encode())

    def receive_body(self, body: bytes) -> None:
        """Accept a body of Meta's webhook."""
        items = [item for entry in events.Envelope(body).entries() for item in entry.events()]
        self.inbox.accept(
            [incoming_job(Messenger(), item.conversation, item) for item in items if item.conversation]
        )

    def receive_receipt(self, status: str, watermark: int) -> None:
        """Accept a receipt of Meta."""
        self.receive_item({"timestamp": SENT_AT + 99_000, status: {"watermark": watermark}})

    def echo_all(self) -> None:
        """Have the echoes of what is sent come in."""
        self.meta.echo = lambda message: self.receive_item(
            {"timestamp": SENT_AT, "message": message}, from_page=True
        )

    def reply(  # noqa: PLR0913 - what there is of a reply
        self,
        text: str = "Hello",
        *files: Attachment,
        id_: str = "981",
        is_confirmed: bool = True,
        customer: Customer = CUSTOMER,
        is_automated: bool = False,
        ticket_id: str = "42",
        change: str = "",
        body_format: str = "text",
    ) -> None:
        """Accept an agent's reply; one that is not confirmed does not say whom its ticket is about.

        With a `change` it is a reply that was changed so after it was sent.
        """
        at = datetime.fromtimestamp(SENT_AT / 1000, UTC)
        comment = Comment(
            id_,
            text,
            body_format,
            "agent",
            internal=False,
            attachments=files,
            from_connector=False,
            created_at=at,
            is_automated=is_automated,
        )
        self.desk.written[id_] = comment
        ticket = Ticket(ticket_id, closed=False, customer=customer if is_confirmed else None)
        reply = AgentReply.of(ticket, comment, is_confirmed=is_confirmed)
        if change:
            reply = replace(reply, key=f"comment:{id_}:{change}:1", change=change)
        self.inbox.accept([reply_job(reply)])

    def work(self, queue: str = IN) -> bool:
        """Let a worker work on a queue."""
        return worker.work_on(self.service, queue)

    def resume(self, queue: str = IN) -> bool:
        """Let time pass, until nothing holds the queue back, and a worker work on it."""
        self.pass_time(queue)
        return self.work(queue)

    def pass_time(self, queue: str) -> None:
        """Let leases, backoffs and pauses be over."""
        self.store.delete("mc:pauses")
        for name in ("until", "not_before"):
            if self.store.hexists(f"mc:lease:{queue}", name):
                self.store.hset(f"mc:lease:{queue}", name, 0)
                self.store.zadd("mc:later", {queue: 0}, xx=True)

    def end_pause(self, remote: str = "helpdesk") -> None:
        """Let the pause of a remote be over."""
        self.store.zadd("mc:pauses", {remote: 0}, xx=True)
        if self.store.hexists(f"mc:pause:{remote}", "ends"):
            self.store.hset(f"mc:pause:{remote}", "ends", 0)

    def waiting(self, queue: str = IN) -> int:
        """Return how many events wait in a queue."""
        return int(self.store.zcard(f"mc:jobs:{queue}"))

    def head(self, queue: str = IN) -> Head:
        """Return what is known of the event at the head."""
        attempts, history = self.store.hmget(self._record(queue), "attempts", "history")
        due = self.store.zscore("mc:later", queue)
        waits = due / 1000 - time.time() if due else 0.0
        reasons = [say(decode(one["reason"])) for one in json.loads(history or b"[]")]
        return Head(int(attempts or 0), reasons, waits)

    def step(self, name: str, queue: str = OUT) -> str | None:
        """Return a recorded step of the event at the head."""
        value = self.store.hget(self._record(queue), f"step:{name}")
        return value.decode() if value is not None else None

    def set_step(self, name: str, value: str, queue: str = OUT) -> None:
        """Change a recorded step of the event at the head."""
        self.store.hset(self._record(queue), f"step:{name}", value)

    def _record(self, queue: str) -> str:
        """Name what is known of the event at the head."""
        head = self.store.zrange(f"mc:jobs:{queue}", 0, 0)[0]
        return f"mc:job:{int(head.partition(b' ')[0])}"

    def paused(self, remote: str = "helpdesk") -> float:
        """Return for how many seconds a remote is paused."""
        return max(0.0, (self.store.zscore("mc:pauses", remote) or 0) / 1000 - self.inbox.now())

    def reasons(self) -> list[str]:
        """Return why the dead letters died."""
        return [say(decode(letter.reason)) for letter in self.inbox.dead_letters.all()]

    def left(self) -> set[str]:
        """Return what the store holds, but for what is meant to stay for a while."""
        stays = tuple(f"mc:{name}" for name in STAYS)
        names = {key.decode() for key in self.store.scan_iter("mc:*")}
        return {name for name in names if not name.startswith(stays)}

    def wake_ups(self) -> int:
        """Return how many wake-ups were sent."""
        return int(self.store.llen("mc:celery:wake-ups"))
