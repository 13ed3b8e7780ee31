"""The doors: the real application, asked in process, with a real store behind it.

Each body is mutated, and most of them hold one honest event as well. Signed rightly it is stored once,
whatever stands beside it; signed wrongly nothing is; nothing is answered with a 5xx.
"""

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Self

from clients.channel import Conversation
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.messenger import Messenger
from clients.helpdesk import WEBHOOK_PATH as HELPDESK
from connector.settings import Settings
from tasks.inbox.inbox import Inbox
from tasks.inbox.queues import account_of, inbound_queue, outbound_queue
from tasks.services import build
from tests.conftest import PAGE_A, PAGE_B, PAGE_OFF, PAYLOADS
from tests.fuzz.application import ANOTHER_APP, RIGHT, SIGNATURES, Asked, Request
from tests.fuzz.mutations import SHALLOW, STRANGE_KEYS, Mutator, write
from tests.fuzz.records import CONFIDENTIAL, Records
from tests.fuzz.runs import Fault, bounded

MAX_BODY = 4 * 2**20
READABLE = 100
"""How deep a body may be nested that has to be read."""
HONEST = Conversation(CHANNEL, PAGE_A, "8000000000000008")
HONEST_ITEM = {
    "sender": {"id": HONEST.person_id},
    "recipient": {"id": PAGE_A},
    "timestamp": 1795382999900,
    "message": {"mid": "m_honest", "text": f"{CONFIDENTIAL} Gdzie jest moja faktura?"},
}
HONEST_CONFIG = {"source": "facebook_messenger", "page_id": PAGE_A, "sender_id": HONEST.person_id}
HONEST_COMMENT = {
    "id": "honest",
    "body": f"{CONFIDENTIAL} Dzień dobry",
    "body_format": "text",
    "internal": False,
    "author": {"type": "agent"},
    "attachments": [],
    "config": {},
}


def bases(folder: str) -> list[Any]:
    """Return the payload files of a folder as trees, their texts marked as confidential."""
    return [_marked(json.loads(file.read_bytes())) for file in sorted((PAYLOADS / folder).glob("*.json"))]


def _marked(value: Any) -> Any:
    if isinstance(value, list):
        return [_marked(one) for one in value]
    if not isinstance(value, dict):
        return value
    texts = {"text", "title", "body", "url", "payload"}
    return {
        key: f"{one} {CONFIDENTIAL}" if key in texts and isinstance(one, str) else _marked(one)
        for key, one in value.items()
    }


class Door:
    """The doors under fire."""

    name = "door"

    def __init__(self, settings: Settings, records: Records) -> None:
        self._records = records
        self._app = Asked(settings)
        self.inbox = build(settings).inbox
        self._envelopes, self._webhooks = bases("messenger"), bases("helpdesk")
        self._items = [item for envelope in self._envelopes for item in _items(envelope)]

    def __enter__(self) -> Self:
        self._app.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._app.close()
        self.inbox.store.close()

    def make(self, random: Random) -> Request:
        """Make a request."""
        mutator, wild = Mutator(random), Mutator(random, deep=True)
        door = Messenger.path if random.random() < 0.7 else HELPDESK
        chance = random.random()
        tree = self._envelope(random, mutator) if door == Messenger.path else self._webhook(random, mutator)
        if 0.55 < chance < 0.75:
            tree = wild.tree(tree, random.randint(1, 3))
        body = write(tree)
        if 0.75 < chance < 0.9:
            body = wild.broken(body, random.randint(1, 4))
        elif chance > 0.9:
            body = wild.encoded(body)
        signed = RIGHT if random.random() < 0.7 else random.choice([*SIGNATURES[door]])
        return Request(door, body, signed, random.choice((1, 1, 2, 50)))

    def _envelope(self, random: Random, mutator: Mutator) -> Any:
        """Mutate what Meta sends, and put the honest item somewhere among it."""
        base = random.choice(self._envelopes)
        entries = base["entry"] if isinstance(base["entry"], list) else [base["entry"]]
        entries = [mutator.tree(entry, random.randint(0, 6)) for entry in entries]
        neighbours = [
            mutator.tree(item, random.randint(0, 3))
            for item in random.choices(self._items, k=random.randint(0, 4))
        ]
        items = [*neighbours, HONEST_ITEM]
        random.shuffle(items)
        honest: dict[str, Any] = {
            "id": PAGE_A,
            "time": random.choice((1795383000123, *SHALLOW)),
            "messaging": items,
        }
        honest |= {"standby": []} if random.random() < 0.2 else {}
        strange = {random.choice(STRANGE_KEYS): random.choice(SHALLOW)} if random.random() < 0.2 else {}
        entries.insert(random.randint(0, len(entries)), honest)
        return strange | {"object": "page", "entry": entries}

    def _webhook(self, random: Random, mutator: Mutator) -> Any:
        """Mutate what the helpdesk sends, or all around an honest comment."""
        base = random.choice(self._webhooks)
        if random.random() < 0.5:
            return mutator.tree(base, random.randint(1, 6))
        strange = {random.choice(STRANGE_KEYS): random.choice(SHALLOW) for _ in range(random.randint(0, 3))}
        comment = strange | HONEST_COMMENT | {"created_at": random.choice((*SHALLOW, "2026-11-22T20:15:03Z"))}
        ticket = strange | {"id": "42", "closed": random.choice(SHALLOW), "config": HONEST_CONFIG}
        stamp = random.choice(SHALLOW)
        return strange | {
            "type": "comment.created",
            "timestamp": stamp,
            "data": {"ticket": ticket, "comment": comment},
        }

    def check(self, sample: Request) -> None:
        """Bring it twice, as everything may come twice, and see what is stored."""
        store = self.inbox.store
        store.flushdb()
        statuses = [self._ask(sample) for _ in range(2)]
        self._records.look()
        if max(statuses) >= 500:
            raise Fault(f"answered {statuses}")
        if sample.signed != RIGHT:
            self._check_refused(sample, statuses)
        elif sample.door == Messenger.path:
            _check_messenger(self.inbox, sample.body, statuses)
        else:
            _check_helpdesk(self.inbox, sample.body, statuses)

    def _ask(self, sample: Request) -> int:
        with bounded(f"POST {sample.door}"):
            return self._app.ask(sample)

    def _check_refused(self, sample: Request, statuses: Sequence[int]) -> None:
        # What names no page of ours may be signed by any app of ours; nothing of it is kept.
        if sample.signed != ANOTHER_APP and not all(400 <= status < 500 for status in statuses):
            raise Fault(f"signed wrongly ({sample.signed}) and answered {statuses}")
        # What another app of ours says of pages that are not connected waits until they are.
        pages = [account_of(queue) for queue, _ in self.inbox.waiting()]
        if pages and (sample.signed != ANOTHER_APP or not all(map(_is_not_connected, pages))):
            raise Fault(f"signed wrongly ({sample.signed}) and stored {pages}")

    def dump(self, sample: Request) -> bytes:
        """Write the body: how it was signed is tried out when it is read."""
        return sample.body

    def load(self, data: bytes) -> Iterator[Request]:
        """Read a body, to be brought to both doors, signed in all ways."""
        for door in (Messenger.path, HELPDESK):
            for signed in SIGNATURES[door]:
                yield Request(door, data, signed)


def _is_not_connected(account: str) -> bool:
    page = account.removeprefix(f"{Messenger.name}:")
    return page.isdigit() and page not in {PAGE_A, PAGE_B, PAGE_OFF}


def _check_messenger(inbox: Inbox, body: bytes, statuses: Sequence[int]) -> None:
    if statuses == [413, 413] and len(body) > MAX_BODY:
        return
    if statuses != [200, 200]:
        raise Fault(f"signed rightly and answered {statuses}")
    events = [json.loads(event) for event in stored(inbox, inbound_queue(HONEST))]
    if holds_honest_item(body) and events.count(HONEST_ITEM) != 1:
        raise Fault(f"the honest item is stored {events.count(HONEST_ITEM)} times")


def _check_helpdesk(inbox: Inbox, body: bytes, statuses: Sequence[int]) -> None:
    if statuses[0] not in {202, 400, 401, 413} or statuses[0] != statuses[1]:
        raise Fault(f"signed rightly and answered {statuses}")
    bodies = [*stored(inbox, outbound_queue(HONEST))]
    if holds_honest_comment(body) and [*map(_is_honest_reply, bodies)] != [True]:
        raise Fault(f"the honest comment is stored {len(bodies)} times")


def _is_honest_reply(body: bytes) -> bool:
    return bool(json.loads(body)["agent_reply"]["comment"]["body"] == HONEST_COMMENT["body"])


def stored(inbox: Inbox, queue: str) -> Iterator[bytes]:
    """Take the events out of a queue."""
    lease = inbox.claim(queue)
    goes_on = lease is not None
    while lease and goes_on:
        yield lease.job.body
        goes_on = lease.finish()


def holds_honest_item(body: bytes) -> bool:
    """Tell, by a parser of another make, whether a body holds the honest item as Meta would send it."""
    envelope = _read(body)
    if not isinstance(envelope, dict) or envelope.get("object") != "page":
        return False
    found = 0
    for entry in envelope["entry"] if isinstance(envelope.get("entry"), list) else ():
        items = entry.get("messaging") if isinstance(entry, dict) and entry.get("id") == PAGE_A else None
        found += items.count(HONEST_ITEM) if isinstance(items, list) else 0
    # An item that was changed, and kept its mid, is the same item to all.
    return found > 0 and found == body.count(b"m_honest")


def holds_honest_comment(body: bytes) -> bool:
    """Tell whether a body holds the honest comment as the helpdesk would send it."""
    try:
        event = _read(body)
        ticket, comment = event["data"]["ticket"], event["data"]["comment"]
        said = {key: comment[key] for key in HONEST_COMMENT}, ticket["config"], ticket["id"], event["type"]
    except (KeyError, TypeError):
        return False
    return said == (HONEST_COMMENT, HONEST_CONFIG, "42", "comment.created")


def _read(body: bytes) -> Any:
    """Read JSON; None is what is not JSON, or nested deeper than anybody would write it."""
    try:
        # Python reads no whole numbers of more than 4,300 digits.
        value = json.loads(body.decode(), parse_int=float)
    except (ValueError, RecursionError):
        return None
    return value if _depth_of(value) <= READABLE else None


def _depth_of(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        containers = (one for one in level if isinstance(one, dict | list))
        level = [inner for one in containers for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def _items(envelope: Any) -> list[Any]:
    entries = envelope["entry"]
    return [
        item
        for entry in (entries if isinstance(entries, list) else [entries])
        for item in (*entry.get("messaging", ()), *entry.get("standby", ()))
    ]
