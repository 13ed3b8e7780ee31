"""Feeds the connector's doors and Celery's queue, and waits until the other side has got it all."""

import http.client
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import msgspec
import redis
from celery import Celery

from benchmarks.bodies import PAGE_ID, SECRET, Bodies, psid
from benchmarks.plain_tasks import PLAIN
from benchmarks.product import QUEUES, WEBHOOK_SECRET, Product
from clients.channels.meta.events import CHANNEL
from sandbox.helpdesk.webhooks import sign
from sandbox.meta.webhooks import signed_headers
from sandbox.stack import until

HANDS = 8
IN, OUT = "/social_media/webhooks/facebook", "/social_media/webhooks/helpdesk"
Webhook = tuple[str, bytes, dict[str, str]]


class Feeder:
    """Posts webhooks over a few connections that stay open, and sends tasks."""

    def __init__(self, product: Product) -> None:
        self._product = product
        self._host = urlsplit(product.url).netloc
        self._local = threading.local()
        self._stub = httpx.Client(base_url=product.stub, trust_env=False, timeout=30)

    def post(self, webhooks: Iterable[Webhook]) -> float:
        """Post webhooks, and return when the first one was accepted, in seconds since 1970."""
        with ThreadPoolExecutor(HANDS) as pool:
            return min(pool.map(self._post_one, webhooks))

    def _post_one(self, webhook: Webhook) -> float:
        path, body, headers = webhook
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(self._host, timeout=30)
        self._local.connection.request("POST", path, body, headers)
        answer = self._local.connection.getresponse()
        answer.read()
        if answer.status not in {200, 202}:
            raise RuntimeError(f"a webhook was answered {answer.status}")
        return time.time()

    def send_tasks(self, name: str, count: int) -> float:
        """Send tasks, and return when the first one was sent, in seconds since 1970."""
        with Celery(broker=self._product.broker, set_as_current=False) as app:
            app.conf.broker_transport_options = {"global_keyprefix": QUEUES}
            began = time.time()
            for number in range(count):
                app.send_task(name, [number], queue=PLAIN, ignore_result=True)
        return began

    def created(self) -> int:
        """Return how many tickets, comments and messages the other side has."""
        counts = self._stub.get("/count").json()
        return int(counts["tickets"] + counts["comments"] + counts["messages"])

    def wait_for(self, count: int, within: float = 120.0) -> float:
        """Wait until the other side has so many creates; return when it got the last one."""
        until(f"{count} creates", lambda: self.created() >= count, within)
        return float(self._stub.get("/count").json()["last"])

    def wait_until_quiet(self) -> None:
        """Wait until no thread has work any more."""
        until("the inbox is empty", lambda: not self._product.store.exists("mc:oldest"), 120)

    def creates(self) -> dict[str, float]:
        """Return when the other side got each message, by its mid, and each part of a reply, by its mark."""
        return {id_: at for _, id_, at in self._stub.get("/creates").json()}

    def created_at(self, id_: str) -> float | None:
        """Return when the other side got this one, if it has."""
        at: float | None = self._stub.get(f"/creates/{id_}").json()
        return at

    def have(self, **moods: object) -> None:
        """Have the other sides behave like this: `benchmarks.stub.Moods`."""
        self._stub.put("/moods", json=moods).raise_for_status()

    def reset(self) -> None:
        """Forget what was created."""
        self._stub.post("/reset")


def messages(count: int, *, batch: int = 100, burst: int = 1) -> Iterator[Webhook]:
    """Yield Meta's webhooks of `count` messages, `batch` in a body, `burst` in a row from each."""
    batch = min(batch, count)
    bodies = Bodies(batch, count // burst, burst=burst)
    for _ in range(count // batch):
        body, _mids = bodies.one()
        yield IN, body, signed_headers(body, SECRET)


def replies(
    count: int, *, burst: int = 1, first: int = 0, page_id: str = PAGE_ID, pages: int = 1
) -> Iterator[Webhook]:
    """Yield the helpdesk's webhooks of `count` replies; a person gets `burst` in a row.

    They are of so many `pages`, which count up from `page_id`, in turn.
    """
    for number in range(first, first + count):
        of_page = str(int(page_id) + number // burst % pages)
        body = msgspec.json.encode(_comment(number, psid(number // burst), of_page))
        stamp = str(int(time.time()))
        signature = sign(WEBHOOK_SECRET, f"msg_{number}", stamp, body)
        headers = {"webhook-id": f"msg_{number}", "webhook-timestamp": stamp, "webhook-signature": signature}
        yield OUT, body, headers | {"content-type": "application/json"}


def _comment(number: int, person: str, page_id: str) -> dict[str, object]:
    config = {"source": "facebook_messenger", "page_id": page_id, "sender_id": person}
    return {
        "type": "comment.created",
        "timestamp": "2026-11-23T10:00:00Z",
        "data": {
            "ticket": {"id": person, "desk_id": "7", "closed": False, "config": config},
            "comment": {
                "id": str(number),
                "body": "Your order **4711** left us this morning.",
                "body_format": "markdown",
                "internal": False,
                "author": {"type": "agent", "id": "5", "name": "Ola"},
                "attachments": [],
                "config": {},
                "created_at": "2026-11-23T10:00:00Z",
            },
        },
    }


def know(store: redis.Redis, senders: int) -> None:
    """Have the connector know these senders: their open ticket and their profile, as `tasks` caches them."""
    profile = msgspec.json.encode({"name": "Anna Nowak", "first_name": "Anna", "last_name": "Nowak"})
    with store.pipeline(transaction=False) as pipeline:
        for number in range(senders):
            pipeline.set(f"mc:open_ticket:{CHANNEL}:{PAGE_ID}:{psid(number)}", str(number), ex=86400)
            pipeline.set(f"mc:profile:{CHANNEL}:{PAGE_ID}:{psid(number)}", profile, ex=86400)
            if number % 1000 == 999:
                pipeline.execute()
        pipeline.execute()
