"""Relaying: what the helpdesk and Meta are asked, in which order, and what a fault or a crash does to it."""

import dataclasses
import html
import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import count
from typing import Any, cast

import httpx
import pytest
import redis
from kombu.exceptions import OperationalError
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from clients import events
from clients.errors import (
    Away,
    Busy,
    ClientError,
    FileRefused,
    NotFound,
    RateLimited,
    RejectedError,
    Stale,
    TicketClosed,
    Unauthorized,
    Unavailable,
)
from clients.helpdesk import (
    SOURCE,
    Attachment,
    Comment,
    Delivery,
    Helpdesk,
    HelpdeskEvent,
    Naming,
    NewComment,
    NewTicket,
    Ticket,
)
from clients.http import HttpClient
from clients.media import File, MediaFetcher
from sandbox.stack import until
from tasks import inbound, outbound, receipts, relay, sides
from tasks.accept import inbound_thread, messenger_row, outbound_thread, reply_row, ticket_thread
from tasks.celery import ENOUGH, Scheduler, app, wake
from tasks.clocks import Clocks
from tasks.inbox import Inbox, Row
from tasks.installation import Installation
from tasks.lease import Lease
from tasks.renewer import Renewer
from tasks.services import Services
from tasks.sides import Sides
from tasks.store import connect
from tests.conftest import PAGE_A, SECRET_A, MakeSettings, connection, payload

PSID = "7623554920995436"
PERSON = events.Thread(PAGE_A, PSID)
IN, OUT, TICKET = inbound_thread(PERSON), outbound_thread(PERSON), ticket_thread("42")
PAGE = f"page:{PAGE_A}"
STAYS = [
    "celery:",
    "clocks",
    "seen:",
    "echo:",
    "profile:",
    "link:",
    "awaiting:",
    "ours:",
    "untold:",
    "context:",
    "unnamed:",
    "ids",
    "stats",
    "last",
    "taken:",
    "room",
    "pauses",
]
OURS = {"source": SOURCE, "page_id": PAGE_A, "sender_id": PSID}
SENT_AT = 1795382999900
PHOTO = {"type": "image", "payload": {"url": "https://cdn.fbsbx.com/photo.jpg?oe=1"}}
INVOICE = Attachment("3", "https://acme.example.com/files/3", "invoice.pdf", "application/pdf", 3)


# --- A helpdesk and a Meta that fail, and a worker that dies, where they are told to. -------------------


class Crash(BaseException):
    """The worker dies."""


class Fuse:
    """Lets the worker of this thread die before the n-th call to the outside or to the store."""

    def __init__(self) -> None:
        self._left: int | None = None
        self._thread = threading.get_ident()

    def arm(self, steps: int) -> None:
        """Let `steps` more steps pass."""
        self._left = steps

    def disarm(self) -> None:
        """Let all steps pass."""
        self._left = None

    def burn(self) -> None:
        """Take a step."""
        if self._left is None or threading.get_ident() != self._thread:
            return
        self._left -= 1
        if self._left < 0:
            self.disarm()
            raise Crash


class FusedStore(redis.Redis):
    """A store whose calls burn the fuse, and fail a few times if that was wanted."""

    fuse: Fuse
    failures = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Burn the fuse, then do it."""
        self.fuse.burn()
        if self.failures:
            self.failures -= 1
            raise redis.ConnectionError
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis leaves it so


class Outside:
    """One side: notes what it is asked, and fails where it was told to."""

    side = ""

    def __init__(self, fuse: Fuse) -> None:
        self.calls: list[str] = []
        self.hooks: dict[str, Callable[[], object]] = {}
        self._fuse = fuse
        self._faults: defaultdict[str, list[tuple[Exception | None, bool]]] = defaultdict(list)

    def fail(self, name: str, *errors: Exception | None, after: bool = False) -> None:
        """Let the next calls of a name fail, each with its error; with `after` they work all the same."""
        self._faults[name] += [(error, after) for error in errors]

    @contextmanager
    def called(self, name: str) -> Iterator[None]:
        """Note a call, and let it fail if that was wanted."""
        self._fuse.burn()
        self.calls.append(name)
        self.hooks.get(name, lambda: None)()
        faults = self._faults[name]
        error, after = faults.pop(0) if faults else (None, False)
        if isinstance(error, ClientError):
            error.side = self.side
        if error and not after:
            raise error
        yield
        if error:
            raise error

    def count(self, name: str) -> int:
        """Return how often a call was made."""
        return self.calls.count(name)


@dataclass
class Opened:
    """A ticket of the fake helpdesk."""

    id: str
    new: NewTicket | None = None
    closed: bool = False
    config: Mapping[str, Any] | None = None
    comments: list[NewComment] = field(default_factory=list)

    @property
    def seen(self) -> Ticket:
        """Return what the helpdesk shows of it."""
        return Ticket(self.id, self.closed, self.config)


class Desk(Outside, Helpdesk):
    """A helpdesk that keeps all in lists. It may forget idempotency keys."""

    side = "helpdesk"

    def __init__(self, fuse: Fuse) -> None:
        super().__init__(fuse)
        self.tickets: dict[str, Opened] = {}
        self.uploads: list[str] = []
        self.deliveries: dict[str, Delivery] = {}
        self.keys: list[str] = []
        self.knows_keys = self.takes_files_ahead = self.takes_names = True
        self.named: dict[str, Naming] = {}
        self.contents: list[bytes] = []
        self.untrue, self.shown = 0, ""
        self.refuses: Callable[[NewTicket | NewComment], Exception | None] = lambda new: None
        self._answers: dict[str, Any] = {}

    def open(self, id_: str = "42") -> Opened:
        """Have a ticket of the sender."""
        self.tickets[id_] = Opened(id_, config=OURS)
        return self.tickets[id_]

    def _check(self, new: NewTicket | NewComment) -> None:
        if error := self.refuses(new):
            if isinstance(error, ClientError):
                error.side = self.side
            raise error

    def _once(self, key: str, make: Callable[[], Any]) -> Any:
        self.keys.append(key)
        if not self.knows_keys or key not in self._answers:
            self._answers[key] = make()
        return self._answers[key]

    def ping(self) -> None:
        with self.called("ping"):
            pass

    def find_open_ticket(self, page_id: str, psid: str) -> Ticket | None:
        with self.called("find_open_ticket"):
            found = [one for one in self.tickets.values() if not one.closed]
            return found[-1].seen if found else None

    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        with self.called("ticket_by_external_id"):
            made = (one for one in self.tickets.values() if one.new and one.new.external_id == external_id)
            return next((one.seen for one in made), None)

    def get_ticket(self, ticket_id: str) -> Ticket:
        with self.called("get_ticket"):
            return self._ticket(ticket_id).seen

    def _ticket(self, id_: str) -> Opened:
        if id_ not in self.tickets:
            raise NotFound("there is no such ticket")
        return self.tickets[id_]

    def confirm(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        if self.untrue:
            self.untrue -= 1
            return None
        confirmed = super().confirm(event)
        if confirmed and confirmed.comment and self.shown:
            comment = dataclasses.replace(confirmed.comment, body=self.shown)
            return dataclasses.replace(confirmed, comment=comment)
        return confirmed

    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        def make() -> Ticket:
            opened = self.open(f"t{len(self.tickets) + 1}")
            opened.new, opened.config = ticket, ticket.config
            self._take(ticket)
            return opened.seen

        with self.called("create_ticket"):
            self._check(ticket)
            return cast("Ticket", self._once(key, make))

    def name_requester(self, ticket_id: str, naming: Naming) -> bool:
        with self.called("name_requester"):
            if self.takes_names:
                self.named[ticket_id] = naming
            return self.takes_names

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        def make() -> str:
            ticket = self._ticket(ticket_id)
            if ticket.closed:
                raise TicketClosed("the ticket is closed")
            ticket.comments.append(comment)
            self._take(comment)
            return f"{ticket_id}.{len(ticket.comments)}"

        with self.called("add_comment"):
            self._check(comment)
            return cast("str", self._once(key, make))

    def _take(self, text: NewTicket | NewComment) -> None:
        self.contents += [file.stream.read() for file in text.files]

    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        with self.called("comment_by_external_id"):
            comments = self._ticket(ticket_id).comments
            return next((one.external_id for one in comments if one.external_id == external_id), None)

    def show_delivery(self, comment_id: str, delivery: Delivery) -> None:
        with self.called("show_delivery"):
            self.deliveries[comment_id] = delivery

    def upload(self, file: File, key: str) -> Attachment | None:
        if not self.takes_files_ahead:
            return None

        def make() -> Attachment:
            self.uploads.append(file.filename)
            id_ = str(len(self.uploads))
            return Attachment(
                id_, f"https://acme.example.com/{id_}", file.filename, file.content_type, file.size
            )

        with self.called("upload"):
            return cast("Attachment", self._once(key, make))

    @contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        with self.called("open_attachment"):
            yield File(attachment.filename, attachment.content_type, 3, BytesIO(b"pdf"))

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> HelpdeskEvent | None:
        raise NotImplementedError  # for the doors; no task calls it


class Media(Outside):
    """Meta's media host; every file is of one type, a picture as a rule."""

    content_type = "image/jpeg"

    def fetch(self, url: str, kind: str) -> AbstractContextManager[File]:
        """Hand a file out."""
        return self._fetch(url)

    @contextmanager
    def _fetch(self, url: str) -> Iterator[File]:
        with self.called("fetch"), BytesIO(b"jpg") as stream:
            name = url.partition("?")[0].rpartition("/")[2]
            yield File(name, self.content_type, 3, stream)


class Refusal(Exception):
    """An answer of the Graph API that is no success."""

    def __init__(self, code: int, subcode: int = 0, status: int = 400, **headers: str) -> None:
        super().__init__()
        error = {"code": code, "message": "no"} | ({"error_subcode": subcode} if subcode else {})
        self.answer = httpx.Response(status, json={"error": error}, headers=headers)


OUTSIDE_WINDOW = (10, 2018278)
FILE_UNKNOWN = (100, 2018074)


class Meta(Outside):
    """The Graph API, as a transport of httpx. What it sends comes back as an echo, if it has where to."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__(fuse)
        self.sent: list[dict[str, Any]] = []
        self.uploads: list[str] = []
        self.profile = {"first_name": "Anna", "last_name": "Nowak", "profile_pic": "https://cdn/p.jpg"}
        self.echo: Callable[[dict[str, Any]], None] | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request; the guard is asked as httpcore asks it."""
        if trace := request.extensions.get("trace"):
            trace("http11.send_request_headers.started", {})
        name = self._name(request)
        try:
            with self.called(name):
                answer = getattr(self, f"_{name}")(request)
        except Refusal as refusal:
            return refusal.answer
        return httpx.Response(200, json=answer)

    def _name(self, request: httpx.Request) -> str:
        page = f"/v26.0/{PAGE_A}"
        names = {
            page: "ping",
            f"{page}/messages": "send",
            f"{page}/message_attachments": "upload",
            f"{page}/conversations": "conversations",
            "/v26.0/t_1/messages": "messages",
        }
        return names.get(request.url.path, "person")

    def _ping(self, _: httpx.Request) -> Any:
        return {"id": PAGE_A}

    def _person(self, _: httpx.Request) -> Any:
        return self.profile

    def _send(self, request: httpx.Request) -> Any:
        asked = json.loads(request.content)
        message = asked["message"]
        sent = message | {
            "mid": f"m_ours_{len(self.sent)}",
            "at": datetime.now(UTC),
            "tag": asked.get("tag"),
        }
        self.sent.append(sent)
        if self.echo:
            self.echo({"is_echo": True, "mid": sent["mid"], "metadata": message["metadata"]})
        return {"recipient_id": PSID, "message_id": sent["mid"]}

    def _upload(self, request: httpx.Request) -> Any:
        self.uploads.append(f"a_{len(self.uploads)}")
        return {"attachment_id": self.uploads[-1]}

    def _conversations(self, request: httpx.Request) -> Any:
        return {"data": [{"id": "t_1"}]}

    def _messages(self, _: httpx.Request) -> Any:
        return {"data": [_shown(message) for message in reversed(self.sent)]}

    def texts(self) -> list[str]:
        """Return what was sent, files by their kind."""
        return [one.get("text") or one["attachment"]["type"] for one in self.sent]


def _shown(message: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": message["mid"],
        "created_time": message["at"].strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "from": {"id": PAGE_A},
        "message": message.get("text", ""),
    }
    return shown | ({"attachments": {"data": [{"id": "1"}]}} if "attachment" in message else {})


@dataclass(frozen=True)
class Head:
    """What the store knows of the event at the head of a thread; `waits` is its backoff."""

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
        self.service = Services(
            settings,
            inbox,
            self.desk,
            cast("MediaFetcher", self.media),
            self._http,
            Clocks(self.inbox, "worker"),
            Installation(settings, self.inbox),
            Sides(self.inbox),
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
        items = [item for entry in events.split(body) for item in entry.items()]
        self.inbox.accept([messenger_row(item.thread, item) for item in items if item.thread])

    def receive_receipt(self, status: str, watermark: int) -> None:
        """Accept a receipt of Meta."""
        self.receive_item({"timestamp": SENT_AT + 99_000, status: {"watermark": watermark}})

    def echo_all(self) -> None:
        """Have the echoes of what is sent come in."""
        self.meta.echo = lambda message: self.receive_item(
            {"timestamp": SENT_AT, "message": message}, from_page=True
        )

    def reply(self, text: str = "Hello", *files: Attachment, id_: str = "981", **changes: Any) -> None:
        """Accept an agent's reply."""
        at = datetime.fromtimestamp(SENT_AT / 1000, UTC)
        comment = Comment(id_, text, "text", "agent", False, files, {}, at)
        ticket = Ticket("42", False, changes.get("config", OURS))
        self.inbox.accept([reply_row(HelpdeskEvent("comment.created", f"c:{id_}", at, ticket, comment))])

    def work(self, thread: str = IN) -> bool:
        """Let a worker work on a thread."""
        return relay.work_on(self.service, thread)

    def resume(self, thread: str = IN) -> bool:
        """Let time pass, until nothing holds the thread back, and a worker work on it."""
        self.pass_time(thread)
        return self.work(thread)

    def pass_time(self, thread: str) -> None:
        """Let leases, backoffs and pauses be over."""
        self.store.delete("mc:pauses")
        for name in ("until", "not_before"):
            if self.store.hexists(f"mc:lease:{thread}", name):
                self.store.hset(f"mc:lease:{thread}", name, 0)
                self.store.zadd("mc:later", {thread: 0}, xx=True)

    def end_pause(self, side: str = "helpdesk") -> None:
        """Let the pause of a side be over."""
        self.store.zadd("mc:pauses", {side: 0}, xx=True)

    def waiting(self, thread: str = IN) -> int:
        """Return how many events wait in a thread."""
        return int(self.store.zcard(f"mc:jobs:{thread}"))

    def head(self, thread: str = IN) -> Head:
        """Return what is known of the event at the head."""
        attempts, history = self.store.hmget(self._record(thread), "attempts", "history")
        due = self.store.zscore("mc:later", thread)
        waits = due / 1000 - time.time() if due else 0.0
        return Head(int(attempts or 0), [one["reason"] for one in json.loads(history or b"[]")], waits)

    def step(self, name: str, thread: str = OUT) -> str | None:
        """Return a recorded step of the event at the head."""
        value = self.store.hget(self._record(thread), f"step:{name}")
        return value.decode() if value is not None else None

    def set_step(self, name: str, value: str, thread: str = OUT) -> None:
        """Change a recorded step of the event at the head."""
        self.store.hset(self._record(thread), f"step:{name}", value)

    def _record(self, thread: str) -> str:
        """Name what is known of the event at the head."""
        head = self.store.zrange(f"mc:jobs:{thread}", 0, 0)[0]
        return f"mc:event:{int(head.partition(b' ')[0])}"

    def paused(self, side: str = "helpdesk") -> float:
        """Return for how many seconds a side is paused."""
        return max(0.0, (self.store.zscore("mc:pauses", side) or 0) / 1000 - self.inbox.now())

    def reasons(self) -> list[str]:
        """Return why the dead letters died."""
        return [letter.reason for letter in self.inbox.letters()]

    def left(self) -> set[str]:
        """Return what the store holds, but for what is meant to stay for a while."""
        stays = tuple(f"mc:{name}" for name in STAYS)
        names = {key.decode() for key in self.store.scan_iter("mc:*")}
        return {name for name in names if not name.startswith(stays)}

    def wake_ups(self) -> int:
        """Return how many wake-ups were sent."""
        return int(self.store.llen("mc:celery:wake-ups"))


@pytest.fixture
def worlds(store_url: str, make_settings: MakeSettings) -> Iterator[Callable[[], World]]:
    """Give a function that makes a new world, with nothing in its store."""
    made: list[World] = []

    def make() -> World:
        made.append(World(store_url, make_settings))
        for key in made[-1].store.scan_iter("mc:*"):
            made[-1].store.delete(key)
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(worlds: Callable[[], World]) -> World:
    return worlds()


def fault() -> Unavailable:
    """Return what a 500 becomes."""
    return Unavailable("it answered 500")


def too_long() -> list[Exception]:
    """Return what a refused message meets: it is tried once more, without names."""
    return [RejectedError("it is too long"), RejectedError("it is too long")]


def away() -> Away:
    """Return what a 503 becomes, or an address where something else answers."""
    return Away("it is down")


# --- Odd bodies. ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ["seq", "timestamp", "attachments"])
def test_a_number_too_long_for_python_costs_no_message(world: World, odd: str) -> None:
    said = {"mid": "m_1", "text": "hello", odd: "LONG"}
    people = {"sender": {"id": PSID}, "recipient": {"id": PAGE_A}, "timestamp": SENT_AT, "message": said}
    body = {
        "object": "page",
        "entry": [{"id": PAGE_A, "time": SENT_AT, "messaging": [people | {odd: "LONG"}]}],
    }
    world.receive_body(json.dumps(body).replace('"LONG"', "9" * 5000).encode())
    assert world.work()

    assert [ticket.new.body for ticket in world.desk.tickets.values() if ticket.new] == ["hello"]


# --- A fault of the helpdesk: is it down, or is it this event? ------------------------------------------


def test_a_fault_of_a_helpdesk_that_is_up_burns_an_attempt(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", fault())
    world.work()

    assert world.head().attempts == 1
    assert world.head().reasons == ["it answered 500"]
    assert 0 < world.head().waits <= 1.1
    assert not world.paused()


def test_a_fault_of_a_helpdesk_that_is_down_pauses_it_and_burns_no_attempt(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", fault())
    world.desk.fail("ping", fault())
    world.work()

    assert world.head().attempts == 0
    assert world.head().reasons == ["it answered 500"]
    assert 0 < world.paused() <= sides.SHORTEST


def test_one_event_waits_no_longer_than_a_side_would(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", Unavailable("it answered 500", retry_after=10**9))
    world.work()

    assert not world.paused()
    assert 590 < world.head().waits <= sides.LONGEST + 1


def test_a_busy_host_of_files_has_nobody_wait_longer_than_a_side_would(world: World) -> None:
    world.receive(attachments=[PHOTO])
    world.media.fail("fetch", Busy("it serves others", retry_after=10**9))
    world.work()

    assert 590 < world.head().waits <= sides.LONGEST + 1


def test_a_message_does_not_wait_as_long_as_a_host_of_files_asks(world: World) -> None:
    world.receive(attachments=[PHOTO])
    world.media.fail("fetch", Unavailable("it answers 503", retry_after=3600, maybe_done=False))
    world.work()

    assert 55 < world.head().waits <= inbound.FILE_WAIT


def test_while_a_side_is_paused_it_is_not_asked(world: World) -> None:
    world.receive()
    world.inbox.pause("helpdesk", 60, "it is down")
    world.work()

    assert world.desk.calls == world.meta.calls == []


def test_a_side_that_says_it_is_down_is_not_asked_once_more(world: World) -> None:
    world.receive()
    world.desk.fail("find_open_ticket", away())
    world.work()

    assert world.desk.count("ping") == 0
    assert world.paused()
    assert world.head().attempts == 0


def test_a_connection_that_one_call_did_not_get_burns_an_attempt(world: World) -> None:
    world.receive()
    world.desk.fail("find_open_ticket", Unavailable("it cannot be reached", maybe_done=False))
    world.work()

    assert world.head().attempts == 1
    assert not world.paused()


def test_a_pause_has_an_end_whatever_a_side_asks(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", RateLimited("slow down", retry_after=10**8))
    world.work()

    assert 590 < world.paused() <= sides.LONGEST


def test_a_helpdesk_that_refuses_the_question_is_up(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", fault())
    world.desk.fail("ping", RejectedError("no"))
    world.work()

    assert world.head().attempts == 1
    assert not world.paused()


def test_a_side_that_is_away_is_told_as_it_begins_and_as_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sides, "SHORTEST", 0)
    world.receive()
    world.desk.fail("find_open_ticket", *[away()] * 4)
    with capture_logs() as logs:
        for _ in range(5):
            world.resume()

    told = [(line["event"], line["side"]) for line in logs if line["event"].startswith("side_")]
    assert told == [("side_paused", "helpdesk"), ("side_back", "helpdesk")]


def test_a_side_that_was_away_long_ago_is_told_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    error = away()
    error.side = "helpdesk"
    with capture_logs() as logs:
        for second in (0, 2, 4, 300, 302):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            world.service.sides.pause(error)

    assert [line["for_seconds"] for line in logs] == [0, 0]


def test_what_was_in_hand_as_a_side_was_paused_does_not_tell_that_it_is_back(world: World) -> None:
    error = away()
    error.side = "helpdesk"
    with capture_logs() as logs:
        world.service.sides.pause(error)
        world.service.sides.works("helpdesk")

    assert [line["event"] for line in logs] == ["side_paused"]


def test_a_side_that_stays_away_is_told_again_each_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = away()
    error.side = "helpdesk"
    with capture_logs() as logs:
        for half in range(300):
            monkeypatch.setattr(time, "monotonic", lambda half=half: 1e6 + 30 * half)
            world.service.sides.pause(error)

    assert [line["for_seconds"] for line in logs] == [0, 3600, 7200]


def test_what_was_relayed_is_told_with_its_ids(world: World) -> None:
    world.desk.open()
    world.receive()
    world.work()
    world.reply()
    with capture_logs(processors=[merge_contextvars]) as logs:
        world.receive("m_2")
        world.work()
        world.work(OUT)

    incoming, outgoing = [line for line in logs if line["event"] == "relayed"]
    assert (incoming["thread"], incoming["mid"], incoming["ticket"]) == (IN, "m_2", "42")
    assert (outgoing["thread"], outgoing["comment"], outgoing["ticket"]) == (OUT, "981", "42")


def test_after_a_limit_the_waiting_threads_go_on_one_by_one(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", RateLimited("slow down", retry_after=40))
    world.work()

    assert world.store.hget("mc:pause:helpdesk", "rate") == b"4"


def test_a_side_that_stays_away_costs_one_call_for_each_pause(world: World) -> None:
    for psid in range(10):
        world.receive(mid=f"m_{psid}", person=str(psid))
    world.desk.fail("find_open_ticket", *[away()] * 5)
    for pauses in range(1, 6):
        while world.work(""):
            pass
        assert world.desk.calls == ["find_open_ticket"] * pauses
        world.end_pause()
    while world.work(""):
        pass

    assert world.inbox.state().threads == 0


def test_a_side_is_left_alone_as_long_as_it_asks(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", RateLimited("slow down", retry_after=40))
    world.work()

    assert 35 < world.paused() <= 40
    assert world.head().attempts == 0
    assert world.desk.count("ping") == 0


def test_a_token_that_is_refused_for_a_profile_pauses_the_page_and_not_the_message(world: World) -> None:
    world.desk.open()
    world.receive()
    world.meta.fail("person", Refusal(190))
    world.work()

    assert 25 < world.paused(PAGE) <= sides.SHORTEST_UNAUTHORIZED
    assert world.waiting() == 0


def test_a_refused_token_pauses_the_side_for_longer(world: World) -> None:
    world.receive()
    world.desk.fail("find_open_ticket", Unauthorized("the token is refused"))
    world.desk.fail("ping", Unauthorized("the token is refused"))
    world.work()

    assert 25 < world.paused() <= sides.SHORTEST_UNAUTHORIZED
    assert world.head().attempts == 0


def test_a_token_that_the_helpdesk_refuses_for_one_call_burns_an_attempt(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", Unauthorized("the token is refused"))
    world.work()

    assert not world.paused()
    assert world.head().attempts == 1


def test_a_fault_of_a_page_that_is_up_burns_an_attempt(world: World) -> None:
    world.reply()
    world.meta.fail("send", Refusal(2, status=500))
    world.work(OUT)

    assert world.head(OUT).attempts == 1
    assert world.meta.count("ping") == 1
    assert not world.paused(PAGE)


def test_a_fault_of_a_page_that_is_down_pauses_that_page_only(world: World) -> None:
    world.reply()
    world.meta.fail("send", Refusal(2, status=500))
    world.meta.fail("ping", httpx.ReadTimeout("slow"))
    world.work(OUT)

    assert world.paused(PAGE)
    assert not world.paused()
    assert world.head(OUT).attempts == 0


def test_a_page_that_was_disconnected_is_not_down(world: World) -> None:
    error = fault()
    error.side = "page:1"

    assert relay._is_outage(world.service, error) is False


@pytest.mark.parametrize(("thread", "side"), [(IN, "helpdesk"), (OUT, PAGE), (TICKET, "helpdesk")])
def test_the_side_of_a_thread_is_where_its_events_go(world: World, thread: str, side: str) -> None:
    world.inbox.accept([Row("a", thread, 1, "{}")])
    world.inbox.pause(side, 60, "it is down")

    assert world.inbox.claim() is None
    assert world.store.smembers("mc:held") == {side.encode()}


def test_a_backoff_doubles_and_has_an_end(world: World) -> None:
    world.configure(worker={"attempts": 10, "retry_max": 6})
    world.receive()
    world.desk.fail("create_ticket", *(fault() for _ in range(6)))
    waits = []
    for _ in range(6):
        world.resume()
        waits.append(world.head().waits)

    for wait, most in zip(waits, [1, 2, 4, 6, 6, 6], strict=True):
        assert most / 2 - 0.5 < wait <= most + 0.1


def test_what_an_event_is_told_to_wait_is_the_least_of_its_backoff(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", Unavailable("busy", retry_after=90, maybe_done=False))
    world.work()

    assert 85 < world.head().waits <= 90
    assert world.head().attempts == 1
    assert not world.paused()


# --- Giving up. -----------------------------------------------------------------------------------------


def test_an_event_that_fails_for_its_own_fault_is_tried_so_often_then_it_is_a_dead_letter(
    world: World,
) -> None:
    world.configure(worker={"attempts": 3})
    world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *(fault() for _ in range(3)))
    world.work()
    world.resume()
    assert world.reasons() == []
    world.resume()

    assert world.reasons() == ["it answered 500 (tried 3 times)"]
    (letter,) = world.inbox.letters()
    assert [entry["reason"] for entry in letter.history] == ["it answered 500"] * 2


def test_the_agent_is_told_of_a_dead_letter_in_the_open_ticket(world: World) -> None:
    ticket = world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *too_long())
    world.work()

    (note,) = ticket.comments
    assert note.internal
    assert note.author.type == "system"
    assert "it is too long" in note.body
    assert "connector dead show 1" in note.body
    assert world.desk.keys[-1] == f"facebook:{PAGE_A}:dead:1"


def test_after_a_dead_letter_the_next_event_goes_on(world: World) -> None:
    ticket = world.desk.open()
    world.receive("m_1", "refuse me", SENT_AT)
    world.receive("m_2", "take me", SENT_AT + 1)
    world.desk.fail("add_comment", *too_long())
    world.work()

    assert [comment.external_id for comment in ticket.comments] == ["dead:1", "m_2"]
    assert world.waiting() == 0


def test_the_agent_is_told_on_the_open_ticket_if_the_remembered_one_is_closed(world: World) -> None:
    world.receive("m_0")
    world.work()
    world.desk.tickets["t1"].closed = True
    ticket = world.desk.open("t9")
    world.desk.fail("add_comment", None, *too_long())
    world.receive("m_1")
    world.work()

    assert [comment.external_id for comment in ticket.comments] == ["dead:2"]


def test_an_event_that_our_own_code_stumbles_over_is_tried_three_times(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", *(ZeroDivisionError("secret") for _ in range(3)))
    for attempts in (1, 2):
        world.resume()
        assert world.head().attempts == attempts
    world.resume()

    (reason,) = world.reasons()
    assert "ZeroDivisionError" in reason
    assert "tried 3 times" in reason
    assert "secret" not in reason


def test_a_fault_of_our_own_machine_is_waited_out(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", *(OSError(28, "No space left on device") for _ in range(5)))
    for _ in range(5):
        world.resume()
    assert world.head().attempts == 5
    assert "No space left on device" in world.head().reasons[0]
    world.resume()

    assert list(world.desk.tickets) == ["t1"]


def test_while_the_agent_cannot_be_told_the_event_waits_and_then_he_is_told_once(world: World) -> None:
    ticket = world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *too_long(), away())
    world.work()
    assert world.reasons() == []
    assert world.paused()
    world.resume()

    assert world.reasons() == ["it is too long"]
    assert [comment.external_id for comment in ticket.comments] == ["dead:1"]


def test_a_note_of_unknown_outcome_is_looked_up_before_it_is_repeated(world: World) -> None:
    ticket = world.desk.open()
    world.desk.knows_keys = False
    world.receive()
    world.desk.fail("add_comment", *too_long())
    world.desk.fail("add_comment", fault(), after=True)
    world.desk.fail("ping", fault())
    world.work()
    world.resume()

    assert world.reasons() == ["it is too long"]
    assert len(ticket.comments) == 1


@pytest.mark.parametrize("error", [RejectedError("no"), fault(), ZeroDivisionError()], ids=repr)
def test_an_event_is_buried_even_if_the_agent_cannot_be_told_at_all(world: World, error: Exception) -> None:
    world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *too_long(), error)
    world.work()

    assert world.reasons() == ["it is too long"]
    assert world.waiting() == 0


def test_a_reply_to_a_page_that_is_not_connected_any_more_is_a_dead_letter(world: World) -> None:
    world.reply()
    world.configure(connections=[])
    world.work(OUT)

    (reason,) = world.reasons()
    assert "not connected" in reason


def test_what_people_write_to_a_page_that_is_not_connected_waits_until_it_is(world: World) -> None:
    world.receive()
    world.configure(connections=[])
    world.work(IN)
    assert 25 < world.paused(PAGE) <= 30
    assert (world.waiting(), world.reasons()) == (1, [])
    world.configure()
    world.resume()

    assert world.waiting() == 0
    assert world.desk.count("create_ticket") == 1


def test_what_people_write_to_a_page_that_is_never_connected_is_a_dead_letter_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "CONNECTED_WITHIN", 0)
    world.receive()
    world.configure(connections=[])
    world.work(IN)

    (reason,) = world.reasons()
    assert "not connected" in reason


def test_an_event_that_is_revived_is_tried_afresh(world: World) -> None:
    world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *too_long())
    world.work()
    world.inbox.revive(world.inbox.letters()[0])
    world.work()

    assert world.waiting() == 0
    assert world.reasons() == []
    assert [comment.external_id for comment in world.desk.tickets["42"].comments] == ["dead:1", "m_1"]


# --- Leases. --------------------------------------------------------------------------------------------


def _lose_lease(world: World, thread: str) -> None:
    """Let another worker take a thread over."""
    world.pass_time(thread)
    assert Inbox(world.store).claim(thread)


def test_a_worker_that_lost_its_lease_leaves_the_event_alone(world: World) -> None:
    world.receive()
    world.desk.hooks["find_open_ticket"] = lambda: _lose_lease(world, IN)
    world.work()

    assert world.head().attempts == 0
    assert world.head().reasons == []
    assert world.desk.count("create_ticket") == 0
    assert not world.paused()


@pytest.mark.parametrize("failures", [1, 1000])
def test_a_worker_whose_store_fails_leaves_the_event_alone(world: World, failures: int) -> None:
    world.receive()
    world.desk.hooks["find_open_ticket"] = lambda: setattr(world.fused, "failures", failures)

    world.work()

    assert world.head().attempts == 0
    assert world.head().reasons == []
    assert world.desk.count("create_ticket") == 0


def test_after_a_lease_was_lost_the_event_is_relayed_once(world: World) -> None:
    world.receive()
    world.desk.hooks["find_open_ticket"] = lambda: _lose_lease(world, IN)
    world.work()
    world.desk.hooks.clear()
    world.resume()

    assert list(world.desk.tickets) == ["t1"]
    assert world.waiting() == 0


def test_a_thread_that_another_works_on_is_left_alone(world: World) -> None:
    world.receive()
    _lose_lease(world, IN)

    assert world.work() is False
    assert world.meta.calls == []


@pytest.fixture
def brisk(world: World, monkeypatch: pytest.MonkeyPatch) -> Renewer:
    """Give the renewer of a worker whose leases last for a second."""
    world.configure(worker={"lease": 1})
    made = Renewer()
    monkeypatch.setattr(relay, "renewed", made.renewed)
    return made


def test_a_lease_is_renewed_while_a_step_takes_long(world: World, brisk: Renewer) -> None:
    seen = set[bytes]()

    def renewed_often() -> bool:
        seen.add(world.store.hget(f"mc:lease:{IN}", "until"))
        assert world.inbox.claim(IN) is None
        return len(seen) > 5

    world.receive()
    world.desk.hooks["create_ticket"] = lambda: until("the lease was renewed", renewed_often)
    world.work()

    assert list(world.desk.tickets) == ["t1"]
    assert world.waiting() == 0
    assert brisk._leases == set()


def test_a_call_does_not_go_out_once_the_lease_is_lost(world: World, brisk: Renewer) -> None:
    def lose() -> None:
        _lose_lease(world, OUT)
        (lease,) = brisk._leases
        until("the renewer found the lease lost", lambda: lease.deadline == 0)

    world.reply("", INVOICE)
    world.desk.hooks["open_attachment"] = lose
    world.work(OUT)

    assert world.meta.calls == []
    assert world.waiting(OUT) == 1


def test_a_call_does_not_go_out_after_the_worker_was_stopped_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases: list[Lease] = []

    @contextmanager
    def never_renewed(lease: Lease, term: float) -> Iterator[None]:
        leases.append(lease)
        yield

    monkeypatch.setattr(relay, "renewed", never_renewed)
    world.reply("", INVOICE)
    world.desk.hooks["open_attachment"] = lambda: setattr(leases[0], "deadline", time.monotonic() - 1)
    world.work(OUT)

    assert world.meta.calls == []
    assert world.head(OUT).attempts == 0


class Flaky(Inbox):
    """An inbox whose first renewal fails."""

    renewals = 0

    def renew(self, lease: Lease) -> float:
        """Fail the first time."""
        self.renewals += 1
        if self.renewals == 1:
            raise redis.ConnectionError
        return super().renew(lease)


def test_the_renewer_goes_on_after_a_fault_of_the_store(world: World) -> None:
    inbox = Flaky(world.store)
    world.receive()
    lease = inbox.claim(IN)
    assert lease
    before = lease.deadline
    with Renewer().renewed(lease, 0.03):
        until("the lease is renewed", lambda: lease.deadline > before)

    assert inbox.renewals > 1


def test_a_lease_is_out_of_the_renewers_care_when_the_work_ends(world: World) -> None:
    world.receive()
    lease = world.inbox.claim(IN)
    assert lease
    made = Renewer()
    with made.renewed(lease, 30):
        assert made._leases == {lease}

    assert made._leases == set()


# --- Turns and wake-ups. --------------------------------------------------------------------------------


def test_a_thread_is_worked_on_until_it_is_empty(world: World) -> None:
    for number in range(5):
        world.receive(f"m_{number}", at=SENT_AT + number)

    world.work()

    assert [comment.external_id for comment in world.desk.tickets["t1"].comments] == [
        f"m_{number}" for number in range(1, 5)
    ]


def test_a_busy_thread_lets_go_after_its_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "TURN", -1)
    world.receive("m_1")
    world.receive("m_2", at=SENT_AT + 1)

    assert world.work() is True
    assert world.waiting() == 1
    assert world.inbox.claim(IN)


def test_a_thread_that_let_go_is_woken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "TURN", -1)
    monkeypatch.setattr(relay, "services", lambda: world.service)
    world.receive("m_1")
    world.receive("m_2", at=SENT_AT + 1)
    relay.relay()

    assert world.wake_ups() == 1


def test_the_sweep_waits_behind_no_wake_up(world: World) -> None:
    queue = app.conf.beat_schedule["sweep"]["options"]["queue"]
    assert queue != app.conf.task_default_queue
    assert {one.name for one in app.conf.task_queues} == {queue, app.conf.task_default_queue}


@pytest.mark.usefixtures("world")
def test_a_broker_that_is_away_is_asked_again_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = list[float]()
    monkeypatch.setattr("kombu.utils.functional.sleep", waits.append)
    with (
        app.connection_for_read("redis://127.0.0.1:1/0") as connection,
        pytest.raises(OperationalError),
    ):
        connection.ensure_connection(max_retries=3)

    assert waits
    assert max(waits) <= 1


def test_work_that_a_turn_has_no_time_for_is_left_to_the_next_wake_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "TURN", -1)
    monkeypatch.setattr(relay, "services", lambda: world.service)
    world.receive()
    world.reply()
    relay.relay()

    assert sorted([world.waiting(IN), world.waiting(OUT)]) == [0, 1]
    assert world.wake_ups() == 1


def test_a_worker_goes_on_while_there_is_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "services", lambda: world.service)
    world.receive()
    world.reply()
    relay.relay()

    assert (world.waiting(IN), world.waiting(OUT)) == (0, 0)
    assert world.wake_ups() == 0


def test_no_more_wake_ups_wait_than_are_enough(world: World) -> None:
    sent = [wake(40) for _ in range(3)]

    assert sent == [40, ENOUGH - 40, 0]
    assert world.wake_ups() == ENOUGH


def test_beat_sends_nothing_more_while_no_worker_takes_it(world: World) -> None:
    scheduler = Scheduler(app, lazy=True)
    scheduler.setup_schedule()
    for _ in range(5):
        scheduler.apply_async(scheduler.schedule["sweep"])

    assert world.store.llen("mc:celery:sweeps") == len(scheduler.schedule)


def test_an_error_with_one_thread_keeps_no_other_from_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "services", lambda: world.service)
    monkeypatch.setattr(relay, "relay_head", {OUT: False}.__getitem__)
    world.receive()
    world.reply()
    relay.relay()

    assert world.store.zcard("mc:ready") == 0


def test_a_worker_that_stops_begins_no_further_thread(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = threading.Event()
    stopping.set()
    monkeypatch.setattr(relay, "stopping", stopping)
    monkeypatch.setattr(relay, "services", lambda: world.service)
    world.receive()
    relay.relay()

    assert world.waiting() == 1
    assert world.wake_ups() == 0


def test_a_worker_that_stops_lets_go_after_the_event_it_is_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    stopping.set()
    monkeypatch.setattr(relay, "stopping", stopping)
    world.receive("m_1")
    world.receive("m_2", at=SENT_AT + 1)

    world.work()

    assert world.waiting() == 1
    assert world.inbox.claim(IN)


def test_a_sweep_wakes_workers_for_what_is_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "services", lambda: world.service)
    relay.sweep()
    assert world.wake_ups() == 0
    world.receive()
    relay.sweep()

    assert world.wake_ups() == 1


# --- Inbound: tickets and comments. ---------------------------------------------------------------------


def test_the_first_message_opens_a_ticket(world: World) -> None:
    world.receive("m_1", "hello")
    world.work()

    (ticket,) = world.desk.tickets.values()
    new = ticket.new
    assert new is not None
    assert (new.desk_id, new.title, new.body, new.external_id) == (
        "7",
        "Messenger: Anna Nowak",
        "hello",
        "m_1",
    )
    assert (new.requester.name, new.requester.external_id) == ("Anna Nowak", PSID)
    assert new.config == OURS | {
        "page_name": "Page 1",
        "sender_name": "Anna Nowak",
        "sender_first_name": "Anna",
        "sender_last_name": "Nowak",
        "sender_profile_pic": "https://cdn/p.jpg",
    }
    assert new.created_at == datetime.fromtimestamp(SENT_AT / 1000, UTC)
    assert world.desk.keys == [f"facebook:{PAGE_A}:m_1"]


def test_the_second_message_is_a_comment_and_no_search_is_needed(world: World) -> None:
    world.receive("m_1")
    world.work()
    world.desk.calls.clear()
    world.receive("m_2", "more")
    world.work()

    assert world.desk.calls == ["add_comment"]
    (comment,) = world.desk.tickets["t1"].comments
    assert (comment.body, comment.external_id, comment.internal) == ("more", "m_2", False)
    assert (comment.author.type, comment.author.name) == ("customer", "Anna Nowak")
    assert comment.config == {"source": SOURCE}
    assert world.desk.keys[-1] == f"facebook:{PAGE_A}:m_2"


def test_a_link_is_remembered_for_a_day(world: World) -> None:
    world.receive()
    world.work()

    assert 0 <= 24 * 3600 - world.store.ttl(f"mc:link:{PAGE_A}:{PSID}") < 60


def test_an_open_ticket_that_is_not_remembered_is_searched(world: World) -> None:
    world.desk.open()
    world.receive()
    world.work()

    assert len(world.desk.tickets["42"].comments) == 1
    assert world.desk.count("create_ticket") == 0


@pytest.fixture
def linked(world: World) -> World:
    """Give a world where the sender's ticket is remembered."""
    world.receive("m_0")
    world.work()
    world.desk.calls.clear()
    world.desk.keys.clear()
    return world


def test_a_message_for_a_closed_ticket_goes_to_the_open_one(linked: World) -> None:
    linked.desk.tickets["t1"].closed = True
    linked.desk.open("42")
    linked.receive("m_1")
    linked.work()

    assert [comment.external_id for comment in linked.desk.tickets["42"].comments] == ["m_1"]
    assert linked.desk.keys == [f"facebook:{PAGE_A}:m_1", f"facebook:{PAGE_A}:m_1:after:t1"]
    assert linked.store.get(f"mc:link:{PAGE_A}:{PSID}") == b"42"


def test_a_message_for_a_closed_ticket_opens_a_new_one_if_none_is_open(linked: World) -> None:
    linked.desk.tickets["t1"].closed = True
    linked.receive("m_1")
    linked.work()

    assert linked.desk.calls == ["add_comment", "find_open_ticket", "create_ticket"]
    assert linked.desk.keys == [f"facebook:{PAGE_A}:m_1", f"facebook:{PAGE_A}:m_1:after:t1"]
    assert linked.store.get(f"mc:link:{PAGE_A}:{PSID}") == b"t2"


def test_a_message_for_a_ticket_that_is_gone_opens_a_new_one(linked: World) -> None:
    del linked.desk.tickets["t1"]
    linked.receive("m_1")
    linked.work()

    assert linked.desk.count("create_ticket") == 1
    assert linked.reasons() == []


def test_a_comment_is_not_looked_for_on_a_ticket_that_is_gone(linked: World) -> None:
    del linked.desk.tickets["t1"]
    linked.desk.fail("find_open_ticket", away())
    linked.receive("m_1")
    linked.work()
    linked.resume()

    assert linked.reasons() == []
    assert linked.desk.count("create_ticket") == 1


def test_a_ticket_that_takes_no_comment_and_is_found_open_is_asked_again_later(linked: World) -> None:
    linked.desk.fail("add_comment", TicketClosed("closed"))
    linked.receive("m_1")
    linked.work()
    assert linked.desk.calls == ["add_comment", "find_open_ticket"]
    assert linked.head().attempts == 1
    linked.resume()

    assert [comment.external_id for comment in linked.desk.tickets["t1"].comments] == ["m_1"]
    assert linked.desk.count("create_ticket") == 0


def test_a_comment_of_unknown_outcome_is_looked_up_before_it_is_repeated(linked: World) -> None:
    linked.desk.knows_keys = False
    linked.desk.fail("add_comment", fault(), after=True)
    linked.receive("m_1")
    linked.work()
    linked.resume()

    assert linked.desk.calls == ["add_comment", "ping", "comment_by_external_id"]
    assert len(linked.desk.tickets["t1"].comments) == 1


def test_a_comment_that_did_not_arrive_is_repeated_with_its_key(linked: World) -> None:
    linked.desk.fail("add_comment", fault())
    linked.receive("m_1")
    linked.work()
    linked.resume()

    assert linked.desk.calls == ["add_comment", "ping", "comment_by_external_id", "add_comment"]
    assert linked.desk.keys == [f"facebook:{PAGE_A}:m_1"]


def test_a_ticket_of_unknown_outcome_is_looked_up_before_it_is_repeated(world: World) -> None:
    world.desk.knows_keys = False
    world.desk.fail("create_ticket", fault(), after=True)
    world.receive()
    world.work()
    world.desk.tickets["t1"].closed = True
    world.resume()

    assert list(world.desk.tickets) == ["t1"]
    assert world.desk.calls[-1] == "ticket_by_external_id"
    assert world.store.get(f"mc:link:{PAGE_A}:{PSID}") == b"t1"


def test_a_ticket_that_did_not_arrive_is_created_again(world: World) -> None:
    world.desk.fail("create_ticket", fault())
    world.receive()
    world.work()
    world.resume()

    assert world.desk.count("ticket_by_external_id") == 1
    assert list(world.desk.tickets) == ["t1"]


def test_an_event_without_a_mid_has_an_id_of_its_own_too(linked: World) -> None:
    for emoji in "❤👍":
        reaction = {"emoji": emoji, "action": "react", "mid": "m_0"}
        linked.receive_item({"timestamp": SENT_AT, "reaction": reaction})
    linked.work()

    ids = [comment.external_id for comment in linked.desk.tickets["t1"].comments]
    assert len(set(ids)) == 2
    assert all(ids)
    assert linked.desk.keys == [f"facebook:{PAGE_A}:{id_}" for id_ in ids]


def test_a_reaction_alone_opens_no_ticket(world: World) -> None:
    world.receive_item({"timestamp": SENT_AT, "reaction": {"emoji": "❤", "action": "react", "mid": "m_0"}})
    world.work()

    assert world.desk.tickets == {}
    assert world.left() == set()


def test_other_events_are_internal_comments(linked: World) -> None:
    linked.receive_body(payload("messenger/postback"))
    linked.work()

    (comment,) = linked.desk.tickets["t1"].comments
    assert comment.internal
    assert comment.author.type == "system"
    assert "Get Started" in comment.body


@pytest.mark.parametrize(
    ("name", "author"),
    [("echo_page_inbox", "Page 1 (Meta inbox)"), ("echo_of_another_app", "Page 1 (app 1517776481860111)")],
)
def test_what_the_page_said_elsewhere_is_a_comment_of_an_agent(linked: World, name: str, author: str) -> None:
    linked.receive_body(payload(f"messenger/{name}"))
    linked.work()

    (comment,) = linked.desk.tickets["t1"].comments
    assert (comment.author.type, comment.author.name) == ("agent", author)
    assert not comment.internal
    assert comment.config == {"source": SOURCE}


def test_a_ticket_that_the_page_begins_names_who_wrote(world: World) -> None:
    world.receive_body(payload("messenger/echo_page_inbox"))
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert ticket.new.body.startswith("Page 1 (Meta inbox):\n\n")
    assert ticket.new.requester.external_id == PSID


def test_what_another_app_sends_to_who_never_wrote_is_context_of_the_ticket_that_they_open(
    world: World,
) -> None:
    world.receive_body(payload("messenger/echo_of_another_app"))
    world.work()
    assert world.desk.tickets == {}
    assert world.left() == set()
    world.receive(at=SENT_AT + 99_000)
    world.work()

    (ticket,) = world.desk.tickets.values()
    (note,) = ticket.comments
    assert note.internal
    assert "Page 1 (app 1517776481860111): Our bot answers" in note.body
    assert not list(world.store.scan_iter("mc:context:*"))


def test_a_file_that_another_app_sends_is_not_moved_for_no_ticket(world: World) -> None:
    _unmarked_echo(world, "m_9", app_id="9", text="", attachments=[PHOTO])
    world.work()
    assert world.desk.uploads == []
    world.receive(at=SENT_AT + 99_000)
    world.work()

    assert "Page 1 (app 9): (image)" in world.desk.tickets["t1"].comments[0].body


def test_wherever_a_worker_dies_context_is_told_once(worlds: Callable[[], World]) -> None:
    def prepare(world: World) -> list[str]:
        world.receive_body(payload("messenger/echo_of_another_app"))
        world.receive(at=SENT_AT + 99_000)
        return [IN]

    for world in _every_crash(worlds, prepare):
        (ticket,) = world.desk.tickets.values()
        assert [one.external_id for one in ticket.comments] == ["context:m_1"]


def test_an_echo_of_our_own_reply_that_lost_its_mark_is_not_put_on_the_ticket(linked: World) -> None:
    linked.reply()
    linked.work(OUT)
    echo = {"is_echo": True, "mid": "m_ours_0", "text": "Hello"}
    linked.receive_item({"timestamp": SENT_AT, "message": echo}, from_page=True)
    linked.work()

    assert linked.desk.tickets["t1"].comments == []
    assert linked.waiting() == 0


def test_a_receipt_that_came_as_a_message_is_a_dead_letter(world: World) -> None:
    world.receive_item({"timestamp": SENT_AT, "message": None, "read": {"watermark": 5}})
    world.work()

    (reason,) = world.reasons()
    assert "receipt" in reason


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("message_fallback", "[Example](https://example.com/a?b=1)"),
        ("message_location", "📍 ["),
        ("message_product", "(Messenger sent an attachment of the kind “template”: Red shoes, Blue shoes.)"),
    ],
)
def test_what_is_no_file_is_shown_as_text(world: World, name: str, shown: str) -> None:
    world.receive_body(payload(f"messenger/{name}"))
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert shown in ticket.new.body
    assert world.media.calls == []


def test_a_message_of_nothing_says_so(world: World) -> None:
    world.receive(text="")
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert ticket.new.body == "(The message is empty.)"


# --- Inbound: files and profiles. -----------------------------------------------------------------------


def test_a_file_is_moved_to_the_helpdesk(world: World) -> None:
    world.receive(attachments=[PHOTO])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body == "hello\n\n![photo.jpg](https://acme.example.com/1)"
    assert list(new.attachment_ids) == ["1"]
    assert world.desk.keys == [f"facebook:{PAGE_A}:m_1:upload:0", f"facebook:{PAGE_A}:m_1"]


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        ("image/svg+xml", "[photo.jpg (image/svg+xml)]("),
        ("Image/SVG+XML; charset=utf-8", "[photo.jpg (image/svg+xml)]("),
        ("text/html; charset=utf-8", "[photo.jpg (text/html)]("),
        ("application/xhtml+xml", "[photo.jpg (application/xhtml+xml)]("),
        ("image/tiff", "[photo.jpg]("),
        ("IMAGE/PNG", "![photo.jpg]("),
        ("application/pdf", "[photo.jpg]("),
    ],
)
def test_only_a_picture_is_shown_as_one_and_what_a_browser_runs_is_named(
    world: World, content_type: str, shown: str
) -> None:
    world.media.content_type = content_type
    world.receive(text="", attachments=[PHOTO])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body.startswith(shown)


def test_a_file_that_goes_with_its_comment_is_named_as_what_it_is(world: World) -> None:
    world.desk.takes_files_ahead = False
    world.media.content_type = "text/html"
    world.receive(text="", attachments=[PHOTO])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body == "(photo.jpg (text/html))"


@pytest.mark.parametrize("kind", ["fallback", "location"])
def test_a_title_that_names_another_address_does_not_hide_where_it_leads(world: World, kind: str) -> None:
    payload = {"url": "https://evil.example/x", "coordinates": {"lat": 1, "long": 2}}
    world.receive(text="", attachments=[{"type": kind, "title": "https://bank.example", "payload": payload}])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert re.search(r"\[https://bank.example \((evil.example|www.google.com)\)\]", new.body)


def test_a_file_that_was_uploaded_is_not_uploaded_again(world: World) -> None:
    world.desk.fail("create_ticket", fault())
    world.receive(attachments=[PHOTO, PHOTO])
    world.work()
    world.resume()

    assert world.media.count("fetch") == world.desk.count("upload") == 2
    new = world.desk.tickets["t1"].new
    assert new
    assert list(new.attachment_ids) == ["1", "2"]


def test_a_helpdesk_that_takes_files_with_their_comment_only_gets_them_open(world: World) -> None:
    world.desk.takes_files_ahead = False
    world.receive(attachments=[PHOTO, PHOTO])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body == "hello\n\n(photo.jpg)\n\n(photo.jpg)"
    assert world.desk.contents == [b"jpg", b"jpg"]
    assert all(file.stream.closed for file in new.files)


def test_a_file_that_goes_with_its_comment_is_fetched_again_for_another_try(world: World) -> None:
    world.desk.takes_files_ahead = False
    world.desk.open()
    world.desk.fail("add_comment", fault())
    world.receive(attachments=[PHOTO])
    world.work()
    world.resume()

    assert world.media.count("fetch") == 2
    assert world.desk.contents == [b"jpg"]


@pytest.mark.parametrize(("attempts", "tries"), [(10, inbound.FETCH_ATTEMPTS), (3, 3)])
def test_a_file_that_cannot_be_fetched_is_named_after_some_tries(
    world: World, attempts: int, tries: int
) -> None:
    world.configure(worker={"attempts": attempts})
    world.media.fail("fetch", *(Unavailable("it is away", maybe_done=False) for _ in range(tries)))
    world.receive(attachments=[PHOTO])
    for _ in range(tries - 1):
        world.resume()
    assert world.desk.tickets == {}
    world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert "hello\n\n(An image came that is not here: it is away." in new.body
    assert "https://cdn.fbsbx.com/photo.jpg" in new.body
    assert list(new.attachment_ids) == []


def test_a_file_that_is_refused_is_named_at_once(world: World) -> None:
    world.media.fail("fetch", FileRefused("its link has expired"))
    world.receive(attachments=[PHOTO | {"type": "video"}])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert "(A video came that is not here: its link has expired." in new.body


def test_a_helpdesk_that_is_down_is_no_reason_to_leave_a_file_out(world: World) -> None:
    world.receive(attachments=[PHOTO])
    for _ in range(5):
        world.desk.fail("upload", away())
        world.resume()
    world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert list(new.attachment_ids) == ["1"]


def test_attempts_that_the_helpdesk_failed_are_no_reason_to_leave_a_file_out(world: World) -> None:
    world.desk.fail("upload", *(fault() for _ in range(inbound.FETCH_ATTEMPTS)))
    world.receive(attachments=[PHOTO])
    for _ in range(inbound.FETCH_ATTEMPTS + 1):
        world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert list(new.attachment_ids) == ["1"]


def test_a_worker_that_lost_its_lease_leaves_no_nameless_profile(world: World) -> None:
    def lose() -> None:
        raise Stale("the lease is lost")

    world.receive()
    world.meta.hooks["person"] = lose
    world.work()

    assert world.store.get(f"mc:profile:{PAGE_A}:{PSID}") is None
    assert world.desk.calls == []


def test_a_profile_is_read_once_a_day(world: World) -> None:
    world.receive("m_1")
    world.receive("m_2")
    world.work()

    assert world.meta.calls == ["person"]
    assert 0 <= 24 * 3600 - world.store.ttl(f"mc:profile:{PAGE_A}:{PSID}") < 60


def test_a_sender_without_a_name_is_asked_for_again_soon(world: World) -> None:
    world.meta.profile = {}
    world.receive()
    world.work()

    assert world.desk.tickets["t1"].new
    assert world.desk.tickets["t1"].new.title == "Messenger: Messenger user 5436"
    assert 0 < world.store.ttl(f"mc:profile:{PAGE_A}:{PSID}") <= 600


def _nameless_ticket(world: World) -> None:
    world.meta.profile = {}
    world.receive("m_1")
    world.work()
    world.store.delete(f"mc:profile:{PAGE_A}:{PSID}")  # ten minutes later
    world.meta.profile = {"name": "Anna Nowak", "first_name": "Anna", "last_name": "Nowak"}


def test_a_ticket_gets_its_senders_name_once_that_can_be_read(world: World) -> None:
    _nameless_ticket(world)
    world.receive("m_2")
    world.receive("m_3")
    world.work()

    assert list(world.desk.named) == ["t1"]
    naming = world.desk.named["t1"]
    assert (naming.old_title, naming.title) == ("Messenger: Messenger user 5436", "Messenger: Anna Nowak")
    assert naming.requester.name == naming.config["sender_name"] == "Anna Nowak"
    assert world.desk.count("name_requester") == 1


def test_agents_are_told_the_name_where_the_helpdesk_cannot_change_it(world: World) -> None:
    world.desk.takes_names = False
    _nameless_ticket(world)
    world.receive("m_2")
    world.receive("m_3")
    world.work()

    (note,) = (one for one in world.desk.tickets["t1"].comments if one.internal)
    assert note.body == "The sender of this ticket is Anna Nowak; Facebook did not tell it before."


def test_no_message_fails_because_its_ticket_gets_no_name(world: World) -> None:
    _nameless_ticket(world)
    world.desk.fail("name_requester", fault())
    world.receive("m_2")
    world.work()

    assert [one.external_id for one in world.desk.tickets["t1"].comments] == ["m_2"]
    assert not world.desk.named

    world.receive("m_3")  # which tries again
    world.work()
    assert list(world.desk.named) == ["t1"]


def test_a_ticket_that_was_opened_with_a_name_is_not_named_again(world: World) -> None:
    _nameless_ticket(world)
    world.desk.tickets["t1"].closed = True
    world.receive("m_2")
    world.receive("m_3")
    world.work()

    assert world.desk.tickets["t2"].new
    assert world.desk.count("name_requester") == 0


def test_names_that_the_helpdesk_refuses_are_not_tried_again(world: World) -> None:
    world.desk.refuses = lambda new: (
        RejectedError("no such character") if isinstance(new, NewTicket) and "Anna" in new.title else None
    )
    world.receive("m_1")
    world.receive("m_2")
    world.work()

    assert world.desk.count("name_requester") == 0


def test_a_message_does_not_wait_for_a_name(world: World) -> None:
    world.meta.fail("person", httpx.ReadTimeout("slow"))
    world.receive()
    world.work()

    assert list(world.desk.tickets) == ["t1"]
    assert not world.paused(PAGE)


# --- Outbound: parts. -----------------------------------------------------------------------------------

TWO_PARTS = "a" * 2000 + " " + "b" * 100


def test_a_reply_is_sent_and_shown_as_sent(world: World) -> None:
    world.reply("Hello", INVOICE)
    world.work(OUT)

    assert world.meta.texts() == ["Hello", "file"]
    assert [one["metadata"] for one in world.meta.sent] == ["connector:981:0", "connector:981:1"]
    assert world.meta.sent[1]["attachment"]["payload"] == {"attachment_id": "a_0"}
    assert world.desk.deliveries["981"] == Delivery("sent", ["m_ours_0", "m_ours_1"])
    assert world.left() == set()


def test_a_part_is_recorded_before_the_next_is_sent(world: World) -> None:
    recorded = []
    world.reply(TWO_PARTS)
    world.meta.hooks["send"] = lambda: recorded.append((world.step("sent:0"), world.step("sending:1")))
    world.work(OUT)

    assert [sent for sent, _ in recorded] == [None, "m_ours_0"]
    assert recorded[1][1]


def test_a_reply_that_failed_halfway_is_resumed(world: World) -> None:
    world.reply(TWO_PARTS, INVOICE)
    world.meta.fail("send", None, httpx.ConnectError("down"))
    world.meta.fail("ping", httpx.ConnectError("down"))
    world.work(OUT)
    assert world.paused(PAGE)
    world.resume(OUT)

    assert [len(text) for text in world.meta.texts()] == [2000, 100, 4]
    assert world.meta.texts()[2] == "file"


def test_a_file_that_was_uploaded_to_meta_is_not_uploaded_again(world: World) -> None:
    world.reply("", INVOICE)
    world.meta.fail("send", httpx.ConnectError("down"))
    world.work(OUT)
    world.resume(OUT)

    assert world.meta.uploads == ["a_0"]
    assert world.meta.texts() == ["file"]


def test_a_part_that_got_on_makes_attempts_count_afresh(world: World) -> None:
    world.reply(TWO_PARTS)
    world.configure(worker={"echo_wait": 0})
    world.meta.fail("send", Refusal(2, status=500), None, Refusal(2, status=500))
    world.work(OUT)
    assert world.head(OUT).attempts == 1
    world.resume(OUT)

    assert world.head(OUT).attempts == 1
    assert world.step("sent:0")


def test_a_picture_is_sent_as_one(world: World) -> None:
    world.reply("", dataclasses.replace(INVOICE, filename="a.png", content_type="image/png"))
    world.work(OUT)

    assert world.meta.texts() == ["image"]


def test_a_file_may_be_sent_by_its_address(world: World) -> None:
    world.configure(attachments={"delivery": "url"})
    world.reply("", INVOICE)
    world.work(OUT)

    assert world.meta.sent[0]["attachment"]["payload"] == {"url": INVOICE.url}
    assert world.meta.uploads == []


def test_a_reply_of_nothing_is_a_dead_letter(world: World) -> None:
    ticket = world.desk.open()
    world.reply("")
    world.work(OUT)

    assert world.meta.sent == []
    assert _status(world) == "failed"
    assert len(world.reasons()) == len(ticket.comments) == 1


# --- Outbound: parts of unknown outcome. ----------------------------------------------------------------


def _unknown_outcome(
    world: World, *, sent: bool, text: str = "Hello", file: Attachment | None = None
) -> None:
    """Let a part go out whose answer is lost on the way back, or which was lost on the way there."""
    world.reply(text, *filter(None, [file]))
    world.meta.fail("send", httpx.ReadTimeout("slow"), after=sent)
    world.work(OUT)


def _end_echo_wait(world: World, number: int = 0) -> None:
    """Let the time be over in which the echo of a part is waited for; the clock of Meta stays as it is."""
    world.set_step(f"sending:{number}", str(int(time.time() * 1000) - 31_000))


def test_a_part_whose_echo_came_is_not_sent_again(world: World) -> None:
    world.echo_all()
    _unknown_outcome(world, sent=True)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.meta.count("conversations") == 0
    assert world.desk.deliveries["981"].message_ids == ["m_ours_0"]


def test_an_echo_is_waited_for_and_no_attempt_is_burnt(world: World) -> None:
    _unknown_outcome(world, sent=True)
    assert world.head(OUT).attempts == 1
    for _ in range(12):
        world.resume(OUT)

    assert world.head(OUT).attempts == 1
    assert 0 < world.head(OUT).waits <= 1
    assert world.meta.count("send") == 1
    assert not world.paused(PAGE)


def test_a_part_that_stands_in_the_conversation_is_not_sent_again(world: World) -> None:
    _unknown_outcome(world, sent=True)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.desk.deliveries["981"].message_ids == ["m_ours_0"]


def test_a_file_that_stands_in_the_conversation_is_not_sent_again(world: World) -> None:
    _unknown_outcome(world, sent=True, text="", file=INVOICE)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["file"]


def test_a_part_that_stands_nowhere_is_sent_again(world: World) -> None:
    _unknown_outcome(world, sent=False)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.meta.count("messages") == 1


def test_another_message_in_the_conversation_is_not_taken_for_the_part(world: World) -> None:
    world.reply("Goodbye", id_="980")
    world.work(OUT)
    _unknown_outcome(world, sent=False)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["Goodbye", "Hello"]


def test_the_same_text_sent_by_an_earlier_reply_is_not_taken_for_the_part(world: World) -> None:
    world.reply("Hello", id_="980")
    world.work(OUT)
    _unknown_outcome(world, sent=False)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello", "Hello"]
    assert world.desk.deliveries["981"].message_ids == ["m_ours_1"]


def test_an_earlier_file_of_the_reply_is_not_taken_for_the_next(world: World) -> None:
    world.reply("", INVOICE, dataclasses.replace(INVOICE, id="4"))
    world.meta.fail("send", None, httpx.ReadTimeout("slow"))
    world.work(OUT)
    _end_echo_wait(world, 1)
    world.resume(OUT)

    assert world.meta.texts() == ["file", "file"]
    assert world.desk.deliveries["981"].message_ids == ["m_ours_0", "m_ours_1"]


def test_a_comment_of_too_many_messages_fails_before_any_is_sent(world: World) -> None:
    world.desk.open()
    world.reply("a" * 2000 * outbound.MOST_PARTS + "b")
    world.work(OUT)

    (note,) = world.desk.tickets["42"].comments
    assert world.meta.sent == []
    assert "it would take 51 messages, 50 at most are sent; shorten it" in note.body
    assert world.desk.deliveries["981"].status == "failed"


def test_a_comment_of_as_many_messages_as_are_sent_is_sent(world: World) -> None:
    world.desk.open()
    world.reply("a" * 2000 * outbound.MOST_PARTS)
    world.work(OUT)

    assert len(world.meta.sent) == 50


def test_a_note_shows_a_file_name_on_one_line_as_it_is(world: World) -> None:
    world.desk.open()
    world.meta.fail("upload", Refusal(100, 2018047))
    world.reply("", dataclasses.replace(INVOICE, filename="*a*\n\n# <b>\u202e.pdf"))
    world.work(OUT)

    (note,) = world.desk.tickets["42"].comments
    assert r"“\*a\* # &lt;b>.pdf”" in note.body


def test_the_same_text_sent_long_before_is_not_taken_for_the_part(world: World) -> None:
    world.meta.sent.append({"mid": "m_old", "text": "Hello", "at": datetime.now(UTC) - timedelta(minutes=5)})
    _unknown_outcome(world, sent=False)
    _end_echo_wait(world)
    world.resume(OUT)

    assert world.meta.count("send") == 2
    assert len(world.meta.sent) == 2


def test_a_conversation_that_may_not_be_read_lets_the_part_be_sent_again(world: World) -> None:
    _unknown_outcome(world, sent=False)
    _end_echo_wait(world)
    world.meta.fail("conversations", Refusal(10))
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_conversation_that_may_not_be_read_yet_does_not_pause_the_page(world: World) -> None:
    _unknown_outcome(world, sent=True)
    _end_echo_wait(world)
    world.meta.fail("conversations", Refusal(80006))
    world.resume(OUT)
    assert not world.paused(PAGE)
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.waiting(OUT) == 0


def test_a_conversation_that_cannot_be_read_now_lets_the_part_wait(world: World) -> None:
    _unknown_outcome(world, sent=True)
    _end_echo_wait(world)
    world.meta.fail("messages", httpx.ReadTimeout("slow"))
    world.resume(OUT)
    assert world.meta.count("send") == 1
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.waiting(OUT) == 0


def test_a_part_that_did_not_go_out_needs_no_look(world: World) -> None:
    world.reply()
    world.meta.fail("send", httpx.ConnectError("down"))
    world.work(OUT)
    assert world.step("sending:0") == ""
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.meta.count("conversations") == 0


@pytest.mark.parametrize("code", [190, 613])
def test_a_part_that_was_turned_away_for_now_needs_no_look(world: World, code: int) -> None:
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(code))
    world.work(OUT)
    assert world.step("sending:0") == ""
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.meta.count("conversations") == 0


# --- Outbound: refusals. --------------------------------------------------------------------------------


def test_a_reply_that_is_refused_is_a_dead_letter_and_the_agent_is_told(world: World) -> None:
    ticket = world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(551))
    world.work(OUT)

    (reason,) = world.reasons()
    assert "cannot be reached" in reason
    assert world.desk.deliveries["981"] == Delivery("failed", [], reason)
    (note,) = ticket.comments
    assert note.internal
    assert reason in note.body
    assert "Some of it did arrive" not in note.body
    assert "connector dead retry 1" in note.body


def test_a_reply_that_is_refused_in_part_says_so(world: World) -> None:
    ticket = world.desk.open()
    world.reply(TWO_PARTS)
    world.meta.fail("send", None, Refusal(551))
    world.work(OUT)

    assert world.desk.deliveries["981"].message_ids == ["m_ours_0"]
    assert "Some of it did arrive" in ticket.comments[0].body


def test_a_reply_that_is_revived_sends_what_is_missing(world: World) -> None:
    world.desk.open()
    world.reply(TWO_PARTS)
    world.meta.fail("send", None, Refusal(551))
    world.work(OUT)
    world.inbox.revive(world.inbox.letters()[0])
    world.work(OUT)

    assert [len(text) for text in world.meta.texts()] == [2000, 100]
    assert world.meta.count("conversations") == 0
    assert world.desk.deliveries["981"].status == "sent"


def test_a_file_that_is_refused_does_not_hold_back_the_next(world: World) -> None:
    world.desk.open()
    world.reply("", INVOICE, dataclasses.replace(INVOICE, id="4", filename="b.pdf"))
    world.meta.fail("send", Refusal(*FILE_UNKNOWN))
    world.work(OUT)

    assert world.meta.texts() == ["file"]
    (reason,) = world.reasons()
    assert "invoice.pdf" in reason
    assert "b.pdf" not in reason


def test_a_file_that_meta_forgot_is_uploaded_again(world: World) -> None:
    world.desk.open()
    world.reply("", INVOICE)
    world.meta.fail("send", Refusal(*FILE_UNKNOWN))
    world.work(OUT)
    world.inbox.revive(world.inbox.letters()[0])
    world.work(OUT)

    assert world.meta.uploads == ["a_0", "a_1"]
    assert world.meta.texts() == ["file"]


def test_outside_the_window_a_page_that_may_uses_the_tag_for_human_agents(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert [one["tag"] for one in world.meta.sent] == ["HUMAN_AGENT"]
    assert world.reasons() == []


def test_outside_the_window_a_page_that_may_not_uses_no_tag(world: World) -> None:
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert world.meta.sent == []
    (reason,) = world.reasons()
    assert "window" in reason


def test_while_the_pages_token_is_refused_the_agent_is_told_once_that_the_reply_waits(world: World) -> None:
    ticket = world.desk.open()
    world.reply()
    for _ in range(3):
        world.meta.fail("send", Refusal(190))
        world.resume(OUT)
        assert 25 < world.paused(PAGE) <= 30
    assert [note.external_id for note in ticket.comments] == ["waiting:981"]
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.reasons() == []


def test_after_a_refused_token_several_replies_are_tried_so_that_their_agents_are_told(world: World) -> None:
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(190))
    world.work(OUT)

    assert world.store.hget(f"mc:pause:page:{PAGE_A}", "rate") == b"16"


def test_a_reply_on_a_closed_ticket_waits_for_the_token_too(world: World) -> None:
    world.desk.open().closed = True
    world.reply()
    world.meta.fail("send", Refusal(190))
    world.work(OUT)
    assert world.reasons() == []
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_failure_is_shown_in_the_comment_even_if_its_ticket_is_closed(world: World) -> None:
    world.desk.open().closed = True
    world.reply()
    world.meta.fail("send", Refusal(551))
    world.work(OUT)

    assert _status(world) == "failed"
    assert len(world.reasons()) == 1


def test_a_helpdesk_that_refuses_our_token_makes_no_note_of_it(world: World) -> None:
    ticket = world.desk.open()
    world.reply("", INVOICE)
    for call in ("open_attachment", "ping"):
        world.desk.fail(call, Unauthorized("the token is refused"))
    world.work(OUT)

    assert ticket.comments == []
    assert world.paused() > 25


def test_the_agent_of_a_reply_is_told_once_however_often_telling_fails(world: World) -> None:
    ticket = world.desk.open()
    world.desk.knows_keys = False
    world.reply()
    world.meta.fail("send", Refusal(551))
    world.desk.fail("show_delivery", away())
    world.desk.fail("add_comment", fault(), after=True)
    world.desk.fail("ping", fault())
    for _ in range(4):
        world.resume(OUT)

    assert len(ticket.comments) == 1
    assert len(world.reasons()) == 1
    assert world.meta.count("send") == 1


def test_a_webhook_without_its_comment_is_a_dead_letter(world: World) -> None:
    at = datetime.now(UTC)
    event = HelpdeskEvent("comment.created", "c:1", at, Ticket("42", False, OURS), None)
    world.inbox.accept([reply_row(event)])
    world.work(OUT)

    assert world.reasons() == ["the webhook has no comment"]
    assert world.desk.calls == []


# --- Outbound: receipts. --------------------------------------------------------------------------------


def _status(world: World, id_: str = "981") -> str:
    return str(world.desk.deliveries[id_].status)


def _moment() -> int:
    """Return a watermark after all that was sent."""
    return int(time.time() * 1000) + 1000


def test_a_reply_is_shown_as_delivered_and_then_as_read(world: World) -> None:
    world.reply()
    world.work(OUT)
    seen = [_status(world)]
    for status in ("delivery", "read"):
        world.receive_receipt(status, _moment())
        world.work(OUT)
        seen.append(_status(world))

    assert seen == ["sent", "delivered", "read"]
    assert world.desk.deliveries["981"].message_ids == ["m_ours_0"]
    assert not list(world.store.scan_iter("mc:awaiting:*"))


def test_a_reply_that_was_read_is_not_shown_as_delivered_any_more(world: World) -> None:
    world.reply()
    world.work(OUT)
    for status in ("read", "delivery"):
        world.receive_receipt(status, _moment())
        world.work(OUT)

    assert _status(world) == "read"
    assert world.desk.count("show_delivery") == 2


def test_a_receipt_is_no_proof_that_its_page_works(world: World) -> None:
    error = away()
    error.side = f"page:{PAGE_A}"
    with capture_logs() as logs:
        world.service.sides.pause(error)
        world.service.sides._until.clear()
        world.end_pause(error.side)
        world.receive_receipt("delivery", _moment())
        assert world.work("")

    assert not list(world.inbox.waiting())
    assert world.inbox.reasons() == {error.side: str(error)}
    assert f"sent:{PAGE_A}:" not in world.inbox.last()
    assert [line["event"] for line in logs if line["event"].startswith("side_")] == ["side_paused"]


def test_a_receipt_is_about_all_replies_up_to_its_moment(world: World) -> None:
    for id_ in ("1", "2", "3"):
        world.reply(id_=id_)
        world.work(OUT)
    key = f"mc:awaiting:delivered:{PAGE_A}:{PSID}"
    for score, member in enumerate(world.store.zrange(key, 0, -1)):
        world.store.zadd(key, {member: 1000 + score})
    world.receive_receipt("delivery", 1_000_000_001_001)
    world.store.zadd(key, {json.dumps(["4", ["m"]]): 1_000_000_001_002})
    world.work(OUT)

    assert {_status(world, id_) for id_ in ("1", "2", "3")} == {"delivered"}
    assert "4" not in world.desk.deliveries


def test_a_receipt_for_a_comment_that_is_gone_is_done(world: World) -> None:
    world.reply()
    world.work(OUT)
    world.desk.fail("show_delivery", NotFound("gone"))
    world.receive_receipt("delivery", _moment())
    world.work(OUT)

    assert world.reasons() == []
    assert world.left() == set()


def test_a_receipt_waits_while_the_helpdesk_is_down(world: World) -> None:
    world.reply()
    world.work(OUT)
    world.desk.fail("show_delivery", away())
    world.receive_receipt("delivery", _moment())
    world.work(OUT)
    assert _status(world) == "sent"
    world.resume(OUT)

    assert _status(world) == "delivered"


def test_a_receipt_that_cannot_be_shown_in_the_end_tells_nobody(world: World) -> None:
    world.configure(worker={"attempts": 1})
    world.desk.open()
    world.reply()
    world.work(OUT)
    world.desk.calls.clear()
    world.desk.fail("show_delivery", fault())
    world.receive_receipt("delivery", _moment())
    world.work(OUT)

    assert world.reasons() == ["it answered 500 (tried 1 times)"]
    assert world.desk.calls == ["show_delivery", "ping"]


def test_a_reply_that_was_sent_is_no_dead_letter_because_that_cannot_be_shown(world: World) -> None:
    world.reply()
    world.desk.fail("show_delivery", *(fault() for _ in range(receipts.ATTEMPTS)))
    for _ in range(receipts.ATTEMPTS):
        assert world.waiting(OUT) == 1
        world.resume(OUT)

    assert world.waiting(OUT) == 0
    assert world.reasons() == []
    assert world.meta.texts() == ["Hello"]


# --- A reply, while the helpdesk is away. ---------------------------------------------------------------


def waits_for(world: World, thread: str = OUT) -> bytes | None:
    """Return the side that a thread waits for, if that is not the one where its events go."""
    side: bytes | None = world.store.hget(f"mc:lease:{thread}", "waits_for")
    return side


def test_a_reply_that_finds_the_helpdesk_away_waits_until_it_is_back(world: World) -> None:
    world.reply()
    world.desk.fail("show_delivery", away())
    world.work(OUT)
    assert waits_for(world) == b"helpdesk"
    assert world.paused()
    assert not world.work("")

    world.end_pause()
    assert world.work("")
    assert _status(world) == "sent"
    assert world.meta.texts() == ["Hello"]


def test_while_the_helpdesk_is_paused_a_reply_is_sent_and_asks_it_nothing(world: World) -> None:
    world.inbox.pause("helpdesk", 60, "it is down")
    before = world.paused()
    world.reply()
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.desk.calls == []
    assert waits_for(world) == b"helpdesk"
    assert world.paused() <= before
    assert world.head(OUT).attempts == 0


def test_while_the_helpdesk_is_paused_no_file_is_asked_of_it(world: World) -> None:
    world.inbox.pause("helpdesk", 60, "it is down")
    world.reply("Look", INVOICE)
    world.work(OUT)
    assert world.meta.texts() == ["Look"]
    assert world.desk.calls == []
    assert waits_for(world) == b"helpdesk"

    world.end_pause()
    world.work("")
    assert world.meta.texts() == ["Look", "file"]
    assert _status(world) == "sent"


def test_while_the_helpdesk_is_paused_a_receipt_asks_it_nothing(world: World) -> None:
    world.reply()
    world.work(OUT)
    world.desk.calls.clear()
    world.inbox.pause("helpdesk", 60, "it is down")
    world.receive_receipt("delivery", _moment())
    world.work(OUT)

    assert world.desk.calls == []
    assert waits_for(world) == b"helpdesk"


def test_what_waits_for_a_receipt_is_forgotten_in_the_end(world: World) -> None:
    world.reply()
    world.work(OUT)

    assert 0 < world.store.ttl(f"mc:awaiting:delivered:{PAGE_A}:{PSID}") <= 7 * 24 * 3600


def _receipt(world: World, watermark: int, *mids: str, status: str = "delivery") -> None:
    world.receive_item({"timestamp": SENT_AT + 99_000, status: {"watermark": watermark, "mids": mids}})
    world.work(OUT)


@pytest.mark.parametrize("mid", ["m_ours_0", "ours_0"])
def test_a_receipt_that_names_a_message_is_about_it_whatever_the_clocks_say(world: World, mid: str) -> None:
    world.reply()
    world.work(OUT)
    _receipt(world, 1, mid)
    assert _status(world) == "delivered"


def test_a_receipt_that_names_the_first_part_says_nothing_of_the_last(world: World) -> None:
    world.reply(TWO_PARTS)
    world.work(OUT)
    _receipt(world, _moment(), "m_ours_0")
    assert _status(world) == "sent"
    _receipt(world, 1, "m_ours_1")
    assert _status(world) == "delivered"


def test_what_a_receipt_named_is_read_by_the_time_that_it_told(world: World) -> None:
    """Our clock, by which nothing of Meta's is judged, may be hours ahead."""
    world.reply()
    world.work(OUT)
    at = _moment() - 3_600_000
    _receipt(world, at, "m_ours_0")
    _receipt(world, at, status="read")
    assert _status(world) == "read"


def test_a_part_that_its_echo_told_of_is_dated_by_the_echo(world: World) -> None:
    _unknown_outcome(world, sent=True)
    echo = {"is_echo": True, "mid": "m_ours_0", "metadata": "connector:981:0"}
    world.receive_item({"timestamp": SENT_AT, "message": echo}, from_page=True)
    world.resume(OUT)
    _receipt(world, SENT_AT - 1)
    assert _status(world) == "sent"
    _receipt(world, SENT_AT)
    assert _status(world) == "delivered"


def test_an_echo_that_010_left_tells_its_mid(world: World) -> None:
    world.store.set(f"mc:echo:{PAGE_A}:connector:981:0", "m_ours_0")
    assert world.inbox.echo(PAGE_A, "connector:981:0") == ("m_ours_0", "")


# --- Replies whose person is not known. -----------------------------------------------------------------


def test_a_reply_whose_person_is_not_known_is_queued_for_whom_the_ticket_names(world: World) -> None:
    world.desk.open()
    world.reply(config=None)
    world.work(TICKET)
    assert world.meta.sent == []
    assert world.wake_ups() == 1
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]


@pytest.mark.parametrize("config", [None, {}, {"source": "email"}, {"source": SOURCE}], ids=repr)
def test_a_reply_on_a_ticket_that_is_not_ours_goes_nowhere(
    world: World, config: dict[str, str] | None
) -> None:
    world.desk.open().config = config
    world.reply(config=None)
    world.work(TICKET)

    assert world.left() == set()


def test_a_reply_on_a_ticket_that_is_gone_is_a_dead_letter(world: World) -> None:
    world.reply(config=None)
    world.work(TICKET)

    assert world.reasons() == ["there is no such ticket"]
    assert world.waiting(TICKET) == 0


def test_a_reply_whose_ticket_cannot_be_read_waits(world: World) -> None:
    world.desk.open()
    world.reply(config=None)
    world.desk.fail("get_ticket", away())
    world.work(TICKET)
    assert world.paused()
    world.resume(TICKET)

    assert world.waiting(OUT) == 1


def test_a_reply_that_was_queued_already_is_queued_once(world: World) -> None:
    world.desk.open()
    world.reply()
    world.reply(config=None)
    world.work(TICKET)
    world.work(TICKET)
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_reply_that_the_helpdesk_does_not_show_yet_is_looked_for_again(world: World) -> None:
    world.desk.open()
    world.desk.untrue = 1
    world.reply(config=None)
    world.work(TICKET)
    assert world.head(TICKET).attempts == 0
    world.resume(TICKET)
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]


def test_a_reply_that_the_helpdesk_never_shows_goes_nowhere(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "SHOWN_WITHIN", 0)
    world.desk.open()
    world.desk.untrue = 1
    world.reply(config=None)
    world.work(TICKET)

    assert (world.left(), world.reasons(), world.meta.sent) == (set(), [], [])


def test_what_is_sent_is_what_the_helpdesk_shows(world: World) -> None:
    world.desk.open()
    world.desk.shown = "Hello Anna"
    world.reply("Send me your password", config=None)
    world.work(TICKET)
    world.work(OUT)

    assert world.meta.texts() == ["Hello Anna"]


# --- A worker that dies at any moment. ------------------------------------------------------------------


def _relay(world: World, threads: list[str], *crashes: int) -> bool:
    """Relay threads, with workers that die before the given steps. Return whether the first one died."""
    died = [_dies(world, threads, steps) for steps in crashes]
    _relay_to_the_end(world, threads)
    return died[0]


def _dies(world: World, threads: list[str], steps: int) -> bool:
    world.fuse.arm(steps)
    try:
        _relay_to_the_end(world, threads)
    except Crash:
        return True
    finally:
        world.fuse.disarm()
    return False


def _relay_to_the_end(world: World, threads: list[str]) -> None:
    for _ in range(10):
        for thread in threads:
            world.resume(thread)
        if not any(world.waiting(thread) for thread in threads):
            return
    raise AssertionError(f"events are left in {threads}")


def _every_crash(
    worlds: Callable[[], World], prepare: Callable[[World], list[str]], *, again: int = 0
) -> Iterator[World]:
    """Give the world after its worker died before the first step, before the second, and so on.

    The next worker then dies too, before each of its first `again` steps.
    """
    for steps in count():
        for more in range(max(1, again)):
            world = worlds()
            died = _relay(world, prepare(world), *([steps, more] if again else [steps]))
            yield world
            world.close()
        if not died:
            assert steps > 5
            return


def _two_messages(world: World) -> list[str]:
    world.receive("m_1", attachments=[PHOTO])
    world.receive("m_2", "more", SENT_AT + 1)
    return [IN]


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_a_message_opens_one_ticket_with_one_file(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        return _two_messages(world)

    for world in _every_crash(worlds, prepare):
        (ticket,) = world.desk.tickets.values()
        assert ticket.new
        assert (ticket.new.external_id, len(ticket.new.attachment_ids)) == ("m_1", 1)
        assert [comment.external_id for comment in ticket.comments] == ["m_2"]
        assert len(world.desk.uploads) == 1 or not knows_keys
        assert world.left() == set()


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_a_message_is_one_comment_with_one_file(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        world.desk.open("41").closed = True
        world.desk.open("42")
        world.store.set(f"mc:link:{PAGE_A}:{PSID}", "41")
        return _two_messages(world)

    for world in _every_crash(worlds, prepare):
        assert list(world.desk.tickets) == ["41", "42"]
        comments = world.desk.tickets["42"].comments
        assert [comment.external_id for comment in comments] == ["m_1", "m_2"]
        assert len(comments[0].attachment_ids) == 1
        assert len(world.desk.uploads) == 1 or not knows_keys
        assert world.left() == set()


def _one_reply(world: World, *, echoes: bool) -> list[str]:
    world.configure(worker={"echo_wait": 0})
    if echoes:
        world.echo_all()
    world.reply("Hello", INVOICE)
    return [OUT]


def _was_sent_once(world: World) -> bool:
    assert world.meta.texts() == ["Hello", "file"]
    assert world.desk.deliveries["981"] == Delivery("sent", ["m_ours_0", "m_ours_1"])
    assert world.reasons() == []
    return world.left() == set()


@pytest.mark.parametrize("echoes", [True, False])
def test_wherever_a_worker_dies_each_part_of_a_reply_is_sent_once(
    worlds: Callable[[], World], *, echoes: bool
) -> None:
    for world in _every_crash(worlds, lambda world: _one_reply(world, echoes=echoes)):
        assert _was_sent_once(world)


def test_wherever_two_workers_die_each_part_of_a_reply_is_sent_once(worlds: Callable[[], World]) -> None:
    for world in _every_crash(worlds, lambda world: _one_reply(world, echoes=False), again=12):
        assert _was_sent_once(world)


def test_wherever_a_worker_dies_a_reply_of_unknown_person_is_sent_once(worlds: Callable[[], World]) -> None:
    def prepare(world: World) -> list[str]:
        world.configure(worker={"echo_wait": 0})
        world.desk.open()
        world.reply("Hello", config=None)
        return [TICKET, OUT]

    for world in _every_crash(worlds, prepare):
        assert world.meta.texts() == ["Hello"]
        assert world.left() == set()


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_a_refused_reply_is_one_letter_and_the_agent_is_told_once(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.configure(worker={"echo_wait": 0})
        world.desk.knows_keys = knows_keys
        world.desk.open()
        world.reply()
        world.meta.fail("send", *(Refusal(551) for _ in range(3)))
        return [OUT]

    for world in _every_crash(worlds, prepare):
        assert world.meta.sent == []
        assert [note.external_id for note in world.desk.tickets["42"].comments] == ["failed:981"]
        assert len(world.reasons()) == 1


def test_wherever_a_worker_dies_a_receipt_is_shown(worlds: Callable[[], World]) -> None:
    def prepare(world: World) -> list[str]:
        world.reply()
        world.work(OUT)
        world.receive_receipt("read", _moment())
        return [OUT]

    for world in _every_crash(worlds, prepare):
        assert _status(world) == "read"
        assert not list(world.store.scan_iter("mc:awaiting:*"))


def test_dropping_a_letter_that_was_revived_forgets_no_step(world: World) -> None:
    world.reply(TWO_PARTS)
    world.desk.open()
    world.meta.fail("send", None, Refusal(551))
    world.work(OUT)
    letter = world.inbox.letters()[0]
    world.inbox.revive(letter)
    assert world.inbox.drop(letter.id) is False
    world.work(OUT)
    assert [len(text) for text in world.meta.texts()] == [2000, 100]


def test_a_lost_lease_pauses_no_side(world: World) -> None:
    world.receive("m_0")
    world.desk.fail("create_ticket", fault())
    world.desk.fail("ping", Stale("x"))
    world.work()
    assert not world.paused()


def test_a_fault_of_the_store_while_telling_does_not_bury_untold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.desk.open()
    world.receive("m_0")
    world.desk.fail("add_comment", *too_long())
    original = world.fused.execute_command
    failed: list[bool] = []

    def flaky(*arguments: Any, **options: Any) -> Any:
        if "told:dead:1" in str(arguments) and not failed:
            failed.append(True)
            raise redis.ConnectionError
        return original(*arguments, **options)

    monkeypatch.setattr(world.fused, "execute_command", flaky)
    world.work()
    world.resume()
    assert failed
    assert [comment.external_id for comment in world.desk.tickets["42"].comments] == ["dead:1"]


# --- What suffers for something beside it. --------------------------------------------------------------


def _beyond_the_basic_plane(new: NewTicket | NewComment) -> Exception | None:
    """Fail as a helpdesk whose database takes no emoji."""
    words = [new.body]
    if isinstance(new, NewTicket):
        words += [new.title, new.requester.name, *map(str, new.config.values())]
    else:
        words.append(new.author.name)
    return fault() if max("".join(words)) > "\uffff" else None


def _refuses_the_name(new: NewTicket | NewComment) -> Exception | None:
    return RejectedError("it answered 422") if _beyond_the_basic_plane(new) else None


@pytest.mark.parametrize("refusal", [_beyond_the_basic_plane, _refuses_the_name])
def test_a_name_that_the_helpdesk_fails_for_costs_no_message(
    world: World, refusal: Callable[[NewTicket | NewComment], Exception | None]
) -> None:
    world.configure(worker={"attempts": 3})
    world.meta.profile = {"name": "Ola 🌸", "first_name": "Ola", "last_name": "🌸"}
    world.desk.refuses = refusal
    world.receive("m_1", "plain words")
    world.receive("m_2", "and more", SENT_AT + 1)
    for _ in range(6):
        world.resume()

    ticket = world.desk.tickets["t1"]
    assert ticket.new
    assert (ticket.new.title, ticket.new.body) == ("Messenger: Messenger user 5436", "plain words")
    assert [(one.author.name, one.body) for one in ticket.comments] == [("Messenger user 5436", "and more")]
    assert ticket.new.config == OURS
    assert world.reasons() == []


def test_a_name_of_the_page_that_the_helpdesk_fails_for_costs_no_message(world: World) -> None:
    world.configure(worker={"attempts": 2}, connections=[connection(PAGE_A, SECRET_A, page_name="Sklep 🌸")])
    world.desk.refuses = _beyond_the_basic_plane
    world.receive()
    world.resume()
    world.resume()

    assert list(world.desk.tickets) == ["t1"]


def test_what_was_given_up_before_there_was_a_ticket_is_noted_on_the_next(world: World) -> None:
    world.configure(worker={"attempts": 3})
    world.desk.refuses = _beyond_the_basic_plane
    world.receive("m_1", "Dzień dobry 😊")
    for _ in range(3):
        world.resume()
    assert world.reasons() == ["it answered 500 (tried 3 times)"]
    world.receive("m_2", "halo?", SENT_AT + 1)
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert ticket.new.body == "halo?"
    (note,) = ticket.comments
    assert note.internal
    assert "connector dead show 1" in note.body
    assert not list(world.store.scan_iter("mc:untold:*"))


def test_what_was_tried_again_meanwhile_is_not_noted(world: World) -> None:
    world.desk.fail("create_ticket", *too_long())
    world.receive("m_1")
    world.work()
    (letter,) = world.inbox.letters()
    world.inbox.revive(letter)
    world.work()

    assert [ticket.comments for ticket in world.desk.tickets.values()] == [[]]


def test_a_note_of_what_was_given_up_that_cannot_be_made_costs_no_message(world: World) -> None:
    world.configure(worker={"attempts": 2})
    world.desk.fail("create_ticket", *too_long())
    world.receive("m_1")
    world.work()
    world.desk.fail("add_comment", *(fault() for _ in range(2)))
    world.receive("m_2", "halo?")
    world.resume()
    world.resume()

    assert [ticket.new.body for ticket in world.desk.tickets.values() if ticket.new] == ["halo?"]
    assert len(world.reasons()) == 1


def test_wherever_a_worker_dies_what_was_given_up_is_noted_once(worlds: Callable[[], World]) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.fail("create_ticket", *too_long())
        world.receive("m_1")
        world.work()
        world.receive("m_2", "halo?")
        return [IN]

    for world in _every_crash(worlds, prepare):
        (ticket,) = world.desk.tickets.values()
        assert [one.external_id for one in ticket.comments] == ["dead:1"]


def _without(*refused: str) -> Callable[[NewTicket | NewComment], Exception | None]:
    """Refuse files by their names, from the ticket or comment that brings them."""

    def refuses(new: NewTicket | NewComment) -> Exception | None:
        names = {file.filename for file in new.files}
        return FileRefused("it is of a kind that is not taken") if names & set(refused) else None

    return refuses


@pytest.mark.parametrize("on_ticket", [True, False])
@pytest.mark.parametrize("refused", [["b.exe"], ["a.exe", "b.exe"]])
def test_a_file_that_only_its_ticket_or_comment_is_refused_for_is_named(
    world: World, refused: list[str], *, on_ticket: bool
) -> None:
    if not on_ticket:
        world.desk.open()
    world.desk.takes_files_ahead = False
    world.desk.refuses = _without(*refused)
    files = [
        {"type": "file", "payload": {"url": f"https://cdn.fbsbx.com/{name}"}}
        for name in ("a.pdf" if "a.exe" not in refused else "a.exe", "b.exe")
    ]
    world.receive(text="look", attachments=files)
    world.work()

    (ticket,) = world.desk.tickets.values()
    new = ticket.new or ticket.comments[0]
    assert new.body.startswith("look")
    assert new.body.count("(A file came that is not here: it is of a kind that is not taken.") == len(refused)
    assert [file.filename for file in new.files] == ["a.pdf"][: 2 - len(refused)]
    assert world.reasons() == []


def test_an_upload_that_fails_for_ever_costs_its_file_only(world: World) -> None:
    world.configure(worker={"attempts": 3})
    world.desk.fail("upload", *(fault() for _ in range(9)))
    world.receive(text="look", attachments=[PHOTO])
    for _ in range(3):
        world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body.startswith("look\n\n(An image came that is not here: it answered 500.")
    assert world.reasons() == []


def test_the_last_try_of_an_upload_waits_while_the_helpdesk_is_down(world: World) -> None:
    world.configure(worker={"attempts": 2})
    world.desk.fail("upload", fault(), fault())
    world.receive(attachments=[PHOTO])
    world.resume()
    world.desk.fail("ping", fault(), fault())
    world.resume()
    assert world.paused()
    world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert list(new.attachment_ids) == ["1"]


def test_a_file_that_the_helpdesk_fails_for_ever_with_its_comment_costs_itself_only(world: World) -> None:
    world.configure(worker={"attempts": 3})
    world.desk.takes_files_ahead = False
    world.desk.refuses = lambda new: fault() if new.files else None
    world.receive(text="look", attachments=[PHOTO])
    for _ in range(3):
        world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body.startswith("look\n\n(An image came that is not here:")
    assert world.reasons() == []


# --- Echoes of ours. ------------------------------------------------------------------------------------


def _unmarked_echo(world: World, mid: str = "m_ours_0", *, standby: bool = False, **changes: Any) -> None:
    echo = {"is_echo": True, "mid": mid, "text": "Hello", "app_id": "3379478975539191"} | changes
    item = {"sender": {"id": PAGE_A}, "recipient": {"id": PSID}, "timestamp": SENT_AT, "message": echo}
    entry = {"id": PAGE_A, "time": SENT_AT, "standby" if standby else "messaging": [item]}
    world.receive_body(json.dumps({"object": "page", "entry": [entry]}).encode())


@pytest.mark.parametrize("standby", [True, False])
@pytest.mark.parametrize("changes", [{}, {"mid": "ours_0"}, {"is_echo": "true"}, {"is_echo": None}])
def test_an_echo_of_ours_is_ours_in_every_shape(
    linked: World, changes: dict[str, Any], *, standby: bool
) -> None:
    linked.reply()
    linked.work(OUT)
    for status in ("delivery", "read"):
        linked.receive_receipt(status, _moment())
        linked.work(OUT)
    _unmarked_echo(linked, standby=standby, **changes)
    linked.work()

    assert linked.desk.tickets["t1"].comments == []


def test_an_echo_that_comes_before_the_answer_waits_for_it(linked: World) -> None:
    def echo_early() -> None:
        linked.meta.hooks.clear()
        _unmarked_echo(linked)
        linked.work()
        assert linked.waiting() == 1

    linked.meta.hooks["send"] = echo_early
    linked.reply()
    linked.work(OUT)
    linked.resume()

    assert linked.desk.tickets["t1"].comments == []
    assert linked.waiting() == 0


def test_an_echo_of_the_first_part_is_ours_while_the_second_waits(linked: World) -> None:
    linked.meta.fail("send", None, Refusal(613))
    linked.reply(TWO_PARTS)
    linked.work(OUT)
    _unmarked_echo(linked)
    linked.work()

    assert linked.desk.tickets["t1"].comments == []


def test_an_echo_of_what_did_arrive_of_a_failed_reply_is_ours(linked: World) -> None:
    linked.meta.fail("send", None, Refusal(100))
    linked.reply(TWO_PARTS)
    linked.work(OUT)
    linked.desk.tickets["42"] = linked.desk.tickets["t1"]
    _unmarked_echo(linked)
    linked.work()

    assert [one.external_id for one in linked.desk.tickets["t1"].comments if not one.internal] == []


def test_an_echo_waits_no_longer_than_an_outcome_may_be_unknown(linked: World) -> None:
    linked.configure(worker={"echo_wait": 0})
    linked.meta.fail("send", httpx.ReadTimeout("slow"))
    linked.reply()
    linked.work(OUT)
    _unmarked_echo(linked, "m_of_another_app")
    linked.work()
    assert linked.waiting() == 1
    linked.inbox.now = lambda: time.time() + 60  # type: ignore[method-assign]
    linked.service.inbox.now = linked.inbox.now  # type: ignore[method-assign]
    linked.resume()

    assert [one.body for one in linked.desk.tickets["t1"].comments] == ["Hello"]


def test_what_an_agent_writes_in_metas_inbox_does_not_wait(linked: World) -> None:
    linked.meta.fail("send", httpx.ReadTimeout("slow"))
    linked.reply()
    linked.work(OUT)
    _unmarked_echo(linked, "m_of_the_inbox", app_id="263902037430900")
    linked.work()

    assert [one.body for one in linked.desk.tickets["t1"].comments] == ["Hello"]


# --- What of a reply does not reach Messenger. ----------------------------------------------------------

SETUP = Attachment("4", "https://acme.example.com/files/4", "setup.exe", "application/x-msdownload", 3)


@pytest.mark.parametrize("refusal", [Refusal(546), Refusal(100), Refusal(4242)])
def test_a_file_that_meta_does_not_take_costs_itself_only(world: World, refusal: Refusal) -> None:
    world.desk.open()
    world.meta.fail("upload", refusal)
    world.reply("Hello", SETUP, INVOICE)
    world.work(OUT)

    assert world.meta.texts() == ["Hello", "file"]
    assert "“setup.exe”" in world.reasons()[0]
    assert "“setup.exe”" in world.desk.tickets["42"].comments[0].body


@pytest.mark.parametrize("side", ["helpdesk", "page"])
def test_a_file_that_cannot_be_moved_for_ever_costs_itself_only(world: World, side: str) -> None:
    world.configure(worker={"attempts": 3})
    for _ in range(3):
        if side == "page":
            world.meta.fail("upload", Refusal(2))
        else:
            world.desk.fail("open_attachment", fault())
    world.reply("Hello", SETUP, INVOICE)
    for _ in range(4):
        world.resume(OUT)

    assert world.meta.texts() == ["Hello", "file"]
    assert "“setup.exe”" in world.reasons()[0]


def test_the_last_try_of_a_file_waits_while_its_side_is_down(world: World) -> None:
    world.configure(worker={"attempts": 1})
    world.desk.fail("open_attachment", fault())
    world.desk.fail("ping", fault(), fault())
    world.reply("Hello", INVOICE)
    world.work(OUT)
    assert world.paused()
    world.resume(OUT)

    assert world.meta.texts() == ["Hello", "file"]
    assert world.reasons() == []


def test_a_text_that_meta_does_not_let_through_fails_alone(world: World) -> None:
    world.meta.fail("send", Refusal(368, 1346003))
    world.reply("https://evil.example", id_="1")
    world.reply("Hello", id_="2")
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]
    assert "perhaps because of a link in it" in world.reasons()[0]
    assert not world.paused(PAGE)


def test_a_page_that_is_blocked_waits(world: World) -> None:
    world.meta.fail("send", Refusal(368))
    world.reply()
    world.work(OUT)

    assert world.paused(PAGE)
    assert world.reasons() == []


def test_a_wrong_app_secret_pauses_the_page_until_it_is_mended(world: World) -> None:
    wrong = Refusal(100)
    error = {"code": 100, "message": "Invalid appsecret_proof provided in the API argument"}
    wrong.answer = httpx.Response(400, json={"error": error})
    world.meta.fail("send", wrong)
    world.reply()
    world.work(OUT)
    assert world.paused(PAGE) > sides.SHORTEST
    world.resume(OUT)

    assert world.meta.texts() == ["Hello"]


@pytest.mark.parametrize("body_format", ["html", "markdown", "text"])
@pytest.mark.parametrize(
    "body", ["<p>\u200b</p>", "&#65279;", "\u2060\u200d", "\u200b\n\n\u200b", "\u3164", "\u2800"]
)
def test_what_cannot_be_seen_is_no_part(world: World, body: str, body_format: str) -> None:
    if body_format == "text":
        body = re.sub("<.*?>", "", html.unescape(body))
    elif body_format == "markdown":
        body = re.sub("<.*?>", "", body)
    at = datetime.fromtimestamp(SENT_AT / 1000, UTC)
    comment = Comment("1", body, body_format, "agent", False, (INVOICE,), {}, at)
    assert outbound.compose(comment, "https://desk.example.com/api") == [INVOICE]


def test_a_joiner_inside_an_emoji_stays(world: World) -> None:
    at = datetime.fromtimestamp(SENT_AT / 1000, UTC)
    assert outbound.compose(Comment("1", "👩‍👩‍👧", "text", "agent", False, (), {}, at), "") == ["👩‍👩‍👧"]


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("/api/v1/files/77", "http://127.0.0.1:9/api/v1/files/77"),
        (
            "https://acme.example.com/files/umowa nr 7.pdf",
            "https://acme.example.com/files/umowa%20nr%207.pdf",
        ),
    ],
)
def test_the_address_of_a_file_is_whole_and_encoded(world: World, url: str, asked: str) -> None:
    world.configure(attachments={"delivery": "url"})
    world.reply("", dataclasses.replace(INVOICE, url=url))
    world.work(OUT)

    assert world.meta.sent[0]["attachment"]["payload"] == {"url": asked}


@pytest.mark.parametrize("url", ["http://[", "https://"])
def test_an_address_of_a_file_that_is_none_costs_that_file_only(world: World, url: str) -> None:
    world.configure(attachments={"delivery": "url"})
    world.reply("Hello", dataclasses.replace(INVOICE, url=url))
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]
    assert "“invoice.pdf”" in world.reasons()[0]


SHOT = Attachment("77", "https://desk.example.com/files/77", "zrzut.png", "image/png", 70)


@pytest.mark.parametrize(
    ("body", "body_format", "text"),
    [
        (
            "Prosze ![zrzut.png](https://desk.example.com/files/77) tutaj",
            "markdown",
            "Prosze zrzut.png tutaj",
        ),
        (
            'Prosze <img alt="zrzut.png" src="https://desk.example.com/files/77"> tutaj',
            "html",
            "Prosze zrzut.png tutaj",
        ),
        ('Prosze <img alt="zrzut.png" src="/files/77"> tutaj', "html", "Prosze zrzut.png tutaj"),
        ("Prosze [zrzut](https://desk.example.com/files/77) tutaj", "markdown", "Prosze zrzut tutaj"),
        ("Prosze https://desk.example.com/files/77.", "text", "Prosze zrzut.png."),
        ("Prosze <https://desk.example.com/files/77>", "markdown", "Prosze zrzut.png"),
        ("![inny](https://desk.example.com/files/78)", "markdown", "inny"),
        ("[pomoc](https://desk.example.com/pomoc)", "markdown", "pomoc (https://desk.example.com/pomoc)"),
        ("https://desk.example.com/files/778", "text", "https://desk.example.com/files/778"),
    ],
)
def test_where_the_helpdesk_keeps_its_files_is_not_for_the_customer(
    body: str, body_format: str, text: str
) -> None:
    at = datetime.fromtimestamp(SENT_AT / 1000, UTC)
    for shot in (SHOT, dataclasses.replace(SHOT, url="/files/77")):
        comment = Comment("1", body, body_format, "agent", False, (shot,), {}, at)
        assert outbound.compose(comment, "https://desk.example.com/api/v1") == [text, shot]


def test_a_template_is_shown_as_its_words_and_a_list_of_its_buttons(linked: World) -> None:
    buttons = [
        {"type": "web_url", "url": "https://sklep.example/z", "title": "Znajdz sklep"},
        {"type": "postback", "title": "Zamow", "payload": "X"},
    ]
    payload_ = {
        "template_type": "generic",
        "elements": [{"title": "Buty", "subtitle": "*", "buttons": buttons}],
    }
    _unmarked_echo(
        linked, "m_7", text="", attachments=[{"type": "template", "payload": payload_}], app_id="9"
    )
    linked.work()

    (comment,) = linked.desk.tickets["t1"].comments
    assert comment.body == "Buty\n\n\\*\n\n- [Znajdz sklep](https://sklep.example/z)\n- Zamow"


def test_that_a_message_was_deleted_is_told_to_the_agents(linked: World) -> None:
    linked.receive("m_8", "oops")
    linked.receive_item({"timestamp": SENT_AT + 5, "message": {"mid": "m_8", "is_deleted": True}})
    linked.work()

    said, deleted = linked.desk.tickets["t1"].comments
    assert (said.body, said.internal) == ("oops", False)
    assert deleted.internal
    assert "The customer deleted a message" in deleted.body


def test_what_is_about_no_person_is_a_dead_letter_that_says_what_it_is(world: World) -> None:
    body = payload("messenger/policy_enforcement")
    (item,) = (item for entry in events.split(body) for item in entry.items())
    world.inbox.accept([messenger_row(events.Thread(PAGE_A, ""), item)])
    world.work(f"in:{PAGE_A}:")

    (letter,) = world.inbox.letters()
    assert "“policy_enforcement”" in letter.reason
    assert json.loads(letter.body)["policy_enforcement"]["action"] == "block"
    assert world.desk.calls == world.meta.calls == []
