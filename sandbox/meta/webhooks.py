"""The sandbox Meta's webhooks: which events go out, in what order, signed how, and tried how often."""

import asyncio
import hashlib
import hmac
import json
import time
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sandbox import delivery
from sandbox.journal import Journal
from sandbox.meta.state import App, Page, Platform, now_ms

AT_ONCE = 32
TIMEOUT = 5.0  # seconds (Messenger Platform, "Webhooks")
ALERT_AFTER, UNSUBSCRIBE_AFTER, DROP_AFTER = 15, 60, 36 * 60  # minutes of Meta's
LATE_FACTOR = 10
ESCAPES = str.maketrans({"/": "\\/", "<": "\\u003C", "%": "\\u0025", "@": "\\u0040"})

# The subscription that brings an event with this key (Messenger Platform, "Webhook Events").
FIELD_OF_KEY = {
    "message": "messages",
    "message_edit": "message_edits",
    "reaction": "message_reactions",
    "delivery": "message_deliveries",
    "read": "message_reads",
    "postback": "messaging_postbacks",
    "referral": "messaging_referrals",
    "optin": "messaging_optins",
    "pass_thread_control": "messaging_handovers",
    "take_thread_control": "messaging_handovers",
    "request_thread_control": "messaging_handovers",
    "app_roles": "messaging_handovers",
    "policy_enforcement": "messaging_policy_enforcement",
    "account_linking": "messaging_account_linking",
    "response_feedback": "response_feedback",
    "messaging_feedback": "messaging_feedback",
    "order": "send_cart",
    "form": "messaging_in_thread_lead_form_submit",
    "calls": "calls",
}

Lane = tuple[str, str]


@dataclass(eq=False)
class Event:
    """One item of `messaging[]`, or of `standby[]`; `tried` is set after its first attempt.

    An item may be anything, as Meta's own are now and then; a `whole` one is the webhook itself.
    """

    page: Page
    item: Any
    standby: bool = False
    whole: bool = False
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = field(default_factory=time.monotonic)

    @cached_property
    def subscribed_as(self) -> str | None:
        """Return the field that must be subscribed for it; None for an event that nobody has seen yet."""
        if self.whole:
            return None
        if self.standby:
            return "standby"
        if self.message.get("is_echo"):
            return "message_echoes"
        return next((name for key, name in FIELD_OF_KEY.items() if key in part(self.item)), None)

    @property
    def message(self) -> dict[str, Any]:
        """Return the message in it; an empty one if there is none."""
        return part(self.item, "message")

    @property
    def mid(self) -> str | None:
        """Return the mid of a person's message."""
        return None if self.message.get("is_echo") else self.message.get("mid")

    @cached_property
    def lane(self) -> Lane:
        """Return the thread within which it keeps its place."""
        ends = {str(part(self.item, end).get("id", "")) for end in ("sender", "recipient")}
        return self.page.id, min(ends - {self.page.id}, default="")


def part(value: Any, key: str = "") -> dict[str, Any]:
    """Return an object, or the one under a key of it; an empty one for anything else."""
    found = value.get(key) if key and isinstance(value, dict) else value
    return found if isinstance(found, dict) else {}


class Webhooks:
    """The queue of events and the connections to the apps' callbacks.

    Each thread is a lane: its next event goes out after the first attempt of the one before. Lanes share
    32 connections. What failed is tried again beside its lane, and so arrives behind newer events.
    """

    def __init__(self, platform: Platform, journal: Journal) -> None:
        self.journal = journal
        self.sent = self.delivered = self.failed_attempts = 0
        self.alerts: list[dict[str, Any]] = []
        self.unsubscribed: list[dict[str, Any]] = []
        self.platform = platform
        self._lanes: dict[Lane, deque[Event]] = {}
        self._ready: dict[Lane, None] = {}
        self._open: set[Event] = set()
        self._failing: dict[str, float] = {}
        self._alerted: set[str] = set()
        self._work = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)

    @property
    def waiting(self) -> int:
        """Return how many events are not done with: queued, on their way, or to come again."""
        return sum(self._wanted(event) for event in self._open)

    def publish(self, event: Event) -> None:
        """Send the event to its page's app, when app and page have subscribed to it."""
        if not self._wanted(event):
            event.tried.set()
            return
        self._open.add(event)
        lane = self._lanes.setdefault(event.lane, deque())
        lane.append(event)
        if len(lane) == 1:
            self._set_ready(event.lane)

    async def run(self) -> None:
        """Deliver events until cancelled."""
        async with asyncio.TaskGroup() as deliveries:
            while True:
                await self._work.wait()
                await self._slots.acquire()
                deliveries.create_task(self._deliver(self._take()))

    def _wanted(self, event: Event) -> bool:
        """Tell whether both app and page have subscribed to it (Graph API, "Page Subscribed Apps")."""
        subscription = self.platform.apps[event.page.app_id].subscription
        if not self.platform.behaviour.deliver:
            return False
        if subscription is None or not subscription.active:
            return False
        name = event.subscribed_as
        return (name is None or name in subscription.fields) and event.page.sends(name)

    def _set_ready(self, lane: Lane) -> None:
        self._ready[lane] = None
        self._work.set()

    def _take(self) -> list[Event]:
        """Take the heads of as many ready lanes as one body may hold; they stay heads until tried."""
        behaviour = self.platform.behaviour
        lanes = list(self._ready)
        if behaviour.shuffle:
            self.platform.random.shuffle(lanes)
        heads = [self._lanes[lane][0] for lane in lanes]
        if heads[0].whole:
            batch = heads[:1]
        else:
            batch = [one for one in heads if one.page.app_id == heads[0].page.app_id and not one.whole]
            batch = batch[: behaviour.batch]
        for event in batch:
            del self._ready[event.lane]
        if not self._ready:
            self._work.clear()
        return batch

    async def _deliver(self, batch: list[Event]) -> None:
        """See a batch through: the first attempt, which holds a slot already, retries, and copies."""
        delivered = await self._attempt(batch)
        self._slots.release()
        self._advance(batch)
        if not delivered:
            await self._retry(batch)
        for wait in self._copies():
            await asyncio.sleep(wait)
            await self._attempt_in_slot(batch)
        self._open.difference_update(batch)

    def _advance(self, batch: list[Event]) -> None:
        for event in batch:
            event.tried.set()
            lane = self._lanes[event.lane]
            lane.popleft()
            if lane:
                self._set_ready(event.lane)
            else:
                del self._lanes[event.lane]

    async def _retry(self, batch: list[Event]) -> None:
        """Try again until it works, or nobody wants the events any more, or they are 36 hours old."""
        tries, delivered = 0, False
        while not delivered and self._age(batch) < DROP_AFTER:
            waits = self.platform.behaviour.retry_waits
            await asyncio.sleep(waits[min(tries, len(waits) - 1)])
            delivered = await self._attempt_in_slot(batch)
            tries += 1

    def _age(self, batch: list[Event]) -> float:
        oldest = min(event.since for event in batch)
        return (time.monotonic() - oldest) / self.platform.behaviour.minute

    def _copies(self) -> list[float]:
        """Return after which waits the delivered events come once more."""
        behaviour = self.platform.behaviour
        copies = []
        if self.platform.chance(behaviour.duplicate):
            copies.append(self.platform.random.uniform(*behaviour.duplicate_delay))
        if self.platform.chance(behaviour.late):
            copies.append(LATE_FACTOR * behaviour.duplicate_delay[1])
        return copies

    async def _attempt_in_slot(self, batch: list[Event]) -> bool:
        async with self._slots:
            return await self._attempt(batch)

    async def _attempt(self, batch: list[Event]) -> bool:
        """Send what is still wanted of the batch, and return whether it is done with."""
        events = [event for event in batch if self._wanted(event)]
        if not events:
            return True
        self.sent += 1
        began = time.time()
        answer = await self._post(self.platform.apps[events[0].page.app_id], self._envelope(events))
        delivered = answer == "200"
        self._note_attempt(events, began, answer)
        self.delivered += delivered
        self.failed_attempts += not delivered
        for page in {event.page.id: event.page for event in events}.values():
            self._note(page, delivered=delivered)
        return delivered

    def _note_attempt(self, events: list[Event], began: float, answer: str) -> None:
        told = [
            {"what": event.subscribed_as, "mid": event.mid, "psid": event.lane[1]}
            | {"metadata": event.message.get("metadata")}
            for event in events
        ]
        self.journal.note("webhook", began=began, events=told, answer=answer)

    def _envelope(self, events: list[Event]) -> Any:
        if events[0].whole:
            return events[0].item
        if self.platform.behaviour.shuffle:
            self.platform.random.shuffle(events)
        sent_at = now_ms()
        entries = [
            {"time": sent_at, "id": event.page.id, "standby" if event.standby else "messaging": [event.item]}
            for event in events
        ]
        return {"object": "page", "entry": entries}

    async def _post(self, app: App, envelope: Any) -> str:
        """Return the status of the answer, or what went wrong; only 200 counts as delivered."""
        assert app.subscription is not None  # noqa: S101 - only wanted events come here
        body = wire_body(envelope)
        url, headers = app.subscription.callback_url, signed_headers(body, app.secret)
        return await delivery.post(self.platform.http, url, body, headers, TIMEOUT)

    def _note(self, page: Page, *, delivered: bool) -> None:
        """Count how long a page's webhooks have failed; alert, and in the end unsubscribe the page."""
        if delivered:
            self._recover(page)
            return
        since = self._failing.setdefault(page.id, time.monotonic())
        minutes = (time.monotonic() - since) / self.platform.behaviour.minute
        notice = {"page_id": page.id, "app_id": page.app_id, "at": now_ms()}
        if minutes >= ALERT_AFTER and page.id not in self._alerted:
            self._alerted.add(page.id)
            self.alerts.append(notice)
        if minutes >= UNSUBSCRIBE_AFTER and page.fields:
            self.unsubscribe(page)

    def unsubscribe(self, page: Page) -> None:
        """Unsubscribe a page, as after an hour of failed deliveries."""
        page.subscribe([])
        self._recover(page)
        self.unsubscribed.append({"page_id": page.id, "app_id": page.app_id, "at": now_ms()})

    def _recover(self, page: Page) -> None:
        self._failing.pop(page.id, None)
        self._alerted.discard(page.id)


def wire_body(envelope: Any) -> bytes:
    """Return the body as Meta escapes and signs it: ASCII, lower-case hex, and four more characters.

    Source: Messenger Platform, "Webhooks", and what is seen on the wire.
    """
    return json.dumps(envelope, separators=(",", ":")).translate(ESCAPES).encode()


def signed_headers(body: bytes, app_secret: str) -> dict[str, str]:
    """Return the headers of a webhook, signed with the app secret (RFC 2104)."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "facebookexternalua",
        "X-Hub-Signature": "sha1=" + hmac.new(app_secret.encode(), body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest(),
    }
