"""The sandbox helpdesk's webhooks: signed, in order for one ticket, repeated until they are taken.

Source: the Standard Webhooks specification 1.0.0, "Webhook signatures" and "Deliverability and reliability".
"""

import asyncio
import base64
import hashlib
import hmac
import random
import time
from typing import Literal

import httpx
import msgspec

from sandbox import delivery
from sandbox.helpdesk.store import Event, Store
from sandbox.journal import Journal

ANSWER_WITHIN = 15.0  # seconds
GIVE_UP_AFTER = 24 * 3600.0  # seconds
AT_ONCE = 64


def sign(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    """Return the `webhook-signature`; `secret` is `whsec_` and base64, `timestamp` unix seconds.

    Raises `ValueError` for a secret that is not base64.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    digest = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


class Webhooks:
    """Delivers the store's events: each ticket's one after another, different tickets at the same time.

    Raises `ValueError` for a secret that is not base64.
    """

    def __init__(self, store: Store, secret: str, journal: Journal) -> None:
        sign(secret, "", "", b"")
        self._store = store
        self._secret = secret
        self._journal = journal
        self._tickets: dict[int, asyncio.Task[None]] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        # Loopback is reached directly, whatever proxy the environment names.
        self._http = httpx.AsyncClient(trust_env=False, timeout=ANSWER_WITHIN, limits=httpx.Limits())

    def start(self) -> None:
        """Go on with what an earlier run left, and deliver what comes."""
        self._store.on_event = self._wake
        for ticket_id in self._store.waiting_tickets():
            self._wake(ticket_id)

    async def stop(self) -> None:
        """Stop delivering; what waits is in the store."""
        tasks = [*self._tickets.values(), *self._late]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    def _wake(self, ticket_id: int) -> None:
        # The task's first step runs after the caller has committed: a transaction never awaits.
        if ticket_id not in self._tickets:
            self._tickets[ticket_id] = asyncio.create_task(self._deliver_all(ticket_id))

    async def _deliver_all(self, ticket_id: int) -> None:
        try:
            while event := self._store.next_event(ticket_id):
                await self._deliver(event)
        finally:
            del self._tickets[ticket_id]

    async def _deliver(self, event: Event) -> None:
        if await self._attempt(event):
            self._finish(event, "delivered")
            settings = self._store.settings
            if random.random() < settings.webhook_late:  # noqa: S311 - chance, not a secret
                late = asyncio.create_task(self._come_late(event, settings.webhook_late_after))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
            if random.random() < settings.webhook_duplicate:  # noqa: S311 - chance, not a secret
                await self._attempt(event)
        elif time.time() - event.created > GIVE_UP_AFTER:
            self._finish(event, "given up")
        else:
            waits = self._store.settings.retry_waits
            await asyncio.sleep(waits[min(event.failed, len(waits) - 1)])

    async def _come_late(self, event: Event, wait: float) -> None:
        await asyncio.sleep(wait)
        await self._attempt(event)

    async def _attempt(self, event: Event) -> bool:
        began, timestamp = time.time(), str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "webhook-id": event.webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": sign(self._secret, event.webhook_id, timestamp, event.body),
        }
        async with self._slots:
            url = self._store.settings.webhook_url
            answer = await delivery.post(self._http, url, event.body, headers, ANSWER_WITHIN)
        worked = answer.startswith("2")
        self._note(event, began, answer)
        with self._store.transaction():
            self._store.count_attempt(event.id, worked=worked)
        return worked

    def _note(self, event: Event, began: float, answer: str) -> None:
        told = msgspec.json.decode(event.body)
        ids = {name: thing["id"] for name, thing in told["data"].items()}
        self._journal.note("webhook", began=began, type=told["type"], answer=answer, **ids)

    def _finish(self, event: Event, state: Literal["delivered", "given up"]) -> None:
        with self._store.transaction():
            self._store.finish_event(event.id, state)
