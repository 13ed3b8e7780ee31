"""The worker: the real tasks, on a real store, between sides that answer strangely.

Two honest messages stand around the mutated ones, and two honest replies around mutated comments. In the end
each event is relayed or a dead letter with its reason, and each honest text arrived once and in order, or is
such a letter.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from random import Random
from typing import Any, Self, cast

import httpx

from clients.channel import Conversation
from clients.channels.meta import events
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.messenger import Messenger
from clients.errors import FileRefused, Unavailable
from clients.helpdesk import InvalidWebhook, WebhookNotUnderstood
from clients.http import HttpClient
from clients.jsons import NotUnderstood
from clients.media import File, MediaFetcher, safe_filename
from connector.settings import Settings
from tasks.inbound.jobs import incoming_job
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job, PartEcho
from tasks.inbox.queues import account_remote, outbound_queue, report_queue
from tasks.inbox.script import InboxScript
from tasks.outbound.jobs import is_public_reply, reply_job
from tasks.remotes import Remotes
from tasks.services import build, helpdesk_of
from tasks.worker import work_on
from tests.conftest import PAGE_A
from tests.fakes.helpdesk_webhooks import headers
from tests.fuzz.door import bases
from tests.fuzz.mutations import Mutator, write
from tests.fuzz.planted import plant, planted_in
from tests.fuzz.records import CONFIDENTIAL, Records
from tests.fuzz.runs import Fault, bounded
from tests.fuzz.sides import Planned, Sides

PERSON = Conversation(CHANNEL, PAGE_A, "7623554920995436")
NOBODY = Conversation(CHANNEL, PAGE_A, "")
OURS = {"source": "facebook_messenger", "page_id": PERSON.account_id, "sender_id": PERSON.person_id}
FIRST, SECOND = f"first {CONFIDENTIAL}", f"second {CONFIDENTIAL}"
ROUNDS = 400
"""How often the worker looks at each queue; ten attempts take less."""


@dataclass(frozen=True)
class Story:
    """What comes in, and how the sides answer: the first calls as planned, all others properly."""

    messenger: Sequence[bytes] = ()
    helpdesk: Sequence[bytes] = ()
    answers: Sequence[Planned] = ()
    has_ticket: bool = False
    honours_keys: bool = True


class Hasty(Inbox):
    """An inbox that waits for nothing."""

    @classmethod
    def like(cls, inbox: Inbox) -> Self:
        """Make one of another that waits."""
        hasty = cls.__new__(cls)
        vars(hasty).update(vars(inbox))
        hasty._script = HastyScript(inbox.store, inbox.prefix)
        return hasty

    def pause(
        self, remote: str, seconds: float, reason: str, rate: float = 0, doubles_to: float = 0
    ) -> float:
        """Leave a remote alone for a moment."""
        return super().pause(remote, 0, reason, rate)

    def slow(self, remote: str, rate: float, reason: str, seconds: float = 0) -> None:
        """Slow a remote down without a pause."""
        super().slow(remote, rate, reason)


class HastyScript(InboxScript):
    """A script that puts every queue off, and spreads what has a limited rate, by a moment only."""

    def run(self, name: str, *arguments: Any) -> Any:
        """Run a function."""
        if name == "retry_later":
            *lease, _, attempts, history = arguments
            arguments = (*lease, 1, attempts, history)
        if name == "begin":
            *lease, _, _ = arguments
            arguments = (*lease, 1, 1)
        return super().run(name, *arguments)


class Media:
    """Meta's media host: it hands out what is on fbcdn.net and fbsbx.com; else the real fetcher is asked."""

    def __init__(self, real: MediaFetcher) -> None:
        self._real = real

    def fetch(self, url: str, kind: str) -> AbstractContextManager[File]:
        """Hand out a file."""
        return self._fetch(url, kind)

    @contextmanager
    def _fetch(self, url: str, kind: str) -> Iterator[File]:
        if not url.startswith("https://") or not ("fbcdn.net/" in url or "fbsbx.com/" in url):
            with self._real.fetch(url, kind) as file:
                yield file
        elif len(url) % 3 == 0:
            raise (FileRefused if len(url) % 2 else Unavailable)("it is not there")
        else:
            yield File(safe_filename(url.rpartition("/")[2], ""), "image/jpeg", 3, BytesIO(b"jpg"))


class Worker:
    """The worker under fire."""

    name = "worker"

    def __init__(self, settings: Settings, records: Records) -> None:
        self._settings, self._records = settings, records
        self._services = build(settings)
        self._inbox = Hasty.like(self._services.inbox)
        self._envelopes, self._webhooks = bases("messenger"), bases("helpdesk")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._inbox.store.close()
        self._services.network.http.close()

    def make(self, random: Random) -> Story:
        """Make a story."""
        mutator = Mutator(random)
        envelopes = random.choices(self._envelopes, k=random.randint(0, 4))
        webhooks = random.choices(self._webhooks, k=random.randint(0, 2))
        strange = random.choice((0, 0.2, 0.5, 0.9))
        planned = random.choices((True, False), (strange, 1 - strange), k=random.randint(0, 16))
        return Story(
            [
                write(mutator.tree(plant(random, one, number), random.randint(0, 5)))
                for number, one in enumerate(envelopes)
            ],
            [write(mutator.tree(one, random.randint(0, 5))) for one in webhooks],
            [random.getrandbits(32) if one else None for one in planned],
            has_ticket=random.random() < 0.5,
            honours_keys=random.random() < 0.5,
        )

    def check(self, sample: Story) -> None:
        """Take all in, relay it, take it in again, and look where it went."""
        self._inbox.store.flushdb()
        sides = Sides(sample.answers, honours_keys=sample.honours_keys)
        sides.desk.open(OURS if sample.has_ticket else {})
        with HttpClient(httpx.MockTransport(sides)) as http, bounded("relaying"):
            helpdesk = helpdesk_of(self._settings, http)
            media = cast("MediaFetcher", Media(self._services.network.media))
            service = replace(
                self._services,
                inbox=self._inbox,
                helpdesk=helpdesk,
                network=replace(self._services.network, http=http, media=media, take_turn=lambda *_: True),
                remotes=Remotes(self._inbox),
            )
            jobs = [*_messages(sample.messenger), *_replies(helpdesk, sample.helpdesk)]
            for _ in range(2):
                self._inbox.accept(jobs)
                queues = {job.queue for job in jobs if isinstance(job, Job)}
                report = report_queue(account_remote(PERSON.channel, PERSON.account_id))
                self._work(service, queues | {outbound_queue(PERSON), report})
        self._check_done(sides)
        self._check_readable(sides, sample)

    def _work(self, service: Any, queues: set[str]) -> None:
        for _ in range(ROUNDS):
            for queue in sorted(queues):
                work_on(service, queue)
            self._records.look()
            if not self._inbox.state().queues:
                return
            time.sleep(0.001)  # the store's clock goes by milliseconds
        raise Fault(f"events still wait after {ROUNDS} rounds")

    def _check_done(self, sides: Sides) -> None:
        letters, counts = self._inbox.dead_letters.all(), self._inbox.stats()
        if any(not letter.reason.strip() for letter in letters):
            raise Fault("a dead letter has no reason")
        ended = sum(count for name, count in counts.items() if name.startswith(("relayed", "shown", "dead")))
        if ended != counts["accepted"]:
            raise Fault(f"{counts['accepted']} events were accepted, and {ended} ended")
        dead = " ".join(letter.job.body.decode() for letter in letters)
        _check_honest("messages", [*sides.desk.said], dead)
        _check_honest("replies", [one.get("text", "") for one in sides.meta.sent], dead)

    def _check_readable(self, sides: Sides, sample: Story) -> None:
        """Look for the words and links that were planted: on the ticket, or with what is kept.

        What another app said is kept for the next ticket, where there is none.
        """
        kept = [*self._inbox.dead_letters.all(), *self._inbox.unknown_events.all()]
        store: Any = self._inbox.store
        later = [body for key in store.scan_iter("*:context:*") for body in store.zrange(key, 0, -1)]
        bodies = [*later, *(one.job.body for one in kept)]
        readable = " ".join([*sides.desk.said, *sides.desk.edited, *(body.decode() for body in bodies)])
        for words in {*planted_in(sample.messenger)}:
            if words not in readable:
                raise Fault(f"“{words}” was sent, and stands nowhere")

    def dump(self, sample: Story) -> bytes:
        """Write a story as JSON."""
        texts = {
            "messenger": [_text(one) for one in sample.messenger],
            "helpdesk": [_text(one) for one in sample.helpdesk],
        }
        return json.dumps(asdict(sample) | texts, indent=1).encode()

    def load(self, data: bytes) -> Iterator[Story]:
        """Read a story; bodies may stand there as JSON. It is told to all kinds of helpdesks."""
        story = json.loads(data)
        for name in ("messenger", "helpdesk"):
            story[name] = [_bytes(one) for one in story.get(name, ())]
        story["answers"] = [tuple(one) if isinstance(one, list) else one for one in story.get("answers", ())]
        for has_ticket in (True, False):
            for honours_keys in (True, False):
                yield Story(**{"has_ticket": has_ticket, "honours_keys": honours_keys} | story)


def _check_honest(what: str, arrived: Sequence[str], dead: str) -> None:
    texts = [f"{what} {FIRST}", f"{what} {SECOND}"]
    for text in texts:
        count = sum(one.count(text) for one in arrived)
        if count > 1:
            raise Fault(f"one of the honest {what} arrived {count} times")
        if not count and text not in dead:
            raise Fault(f"one of the honest {what} is lost")
    places = [index for text in texts for index, one in enumerate(arrived) if text in one]
    if places != sorted(places):
        raise Fault(f"the honest {what} arrived out of order")


def _messages(bodies: Sequence[bytes]) -> Iterator[Job | PartEcho]:
    """Give what the door stores of these bodies, between two honest messages."""
    for body in (_honest_message(1, FIRST), *bodies, _honest_message(2, SECOND)):
        try:
            entries = events.Envelope(body, 1795383000123).entries()
        except NotUnderstood:
            continue
        items = (item for entry in entries if entry.account_id == PAGE_A for item in entry.events())
        yield from (
            incoming_job(Messenger(), item.conversation or NOBODY, item)
            for item in items
            if item.conversation or item.is_notable
        )


def _replies(helpdesk: Any, bodies: Sequence[bytes]) -> Iterator[Job | PartEcho]:
    """Give what the door stores of these webhooks, between two honest comments."""
    for body in (_honest_comment(1, FIRST), *bodies, _honest_comment(2, SECOND)):
        try:
            event = helpdesk.receive(body, headers(body), "")
        except (InvalidWebhook, WebhookNotUnderstood):
            continue
        if event and is_public_reply(event):
            yield reply_job(event)


def _honest_message(number: int, text: str) -> bytes:
    people = {"sender": {"id": PERSON.person_id}, "recipient": {"id": PAGE_A}}
    said = {
        "timestamp": 1795382990000 + number,
        "message": {"mid": f"m_honest_{number}", "text": f"messages {text}"},
    }
    return write({"object": "page", "entry": [{"id": PAGE_A, "time": 1, "messaging": [people | said]}]})


def _honest_comment(number: int, text: str) -> bytes:
    comment = {
        "id": f"honest{number}",
        "body": f"replies {text}",
        "body_format": "text",
        "internal": False,
        "author": {"type": "agent"},
        "attachments": [],
        "config": {},
        "created_at": f"2026-11-22T20:00:0{number}Z",
    }
    return write(
        {"type": "comment.created", "data": {"ticket": {"id": "42", "config": OURS}, "comment": comment}}
    )


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


def _bytes(value: Any) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else json.dumps(value).encode()
