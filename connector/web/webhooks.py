"""The two webhook doors: verify, store, answer. Nothing slow happens here."""

import asyncio
import gc
import hmac
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import ParamSpec, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from clients.channel import Conversation
from clients.channels.meta import events, signature
from clients.channels.meta.events import CHANNEL
from clients.helpdesk import (
    Helpdesk,
    HelpdeskEvent,
    InvalidWebhook,
    WebhookNotUnderstood,
    WebhookTimestampOff,
)
from clients.jsons import NotUnderstood
from connector.settings import Connection, Settings
from connector.web import refusals
from connector.web.body import CLOSE, BodyReader
from connector.web.group_commit import GroupCommit, StoreUnavailable
from connector.web.metrics import Counters
from connector.web.refusals import Refusals
from tasks.inbound.jobs import messenger_row
from tasks.inbox.inbox import Row
from tasks.outbound.jobs import is_public_reply, reply_row

MAX_APPS = 100
LARGE = 64 * 1024
"""From which size on, in bytes, a body is not worked on between others."""
PART_WITHIN = 0.01
"""How long a body is read at a time, in seconds."""
ROWS_AT_ONCE, BYTES_AT_ONCE = 250, 256 * 1024
"""How much of one body is stored at a time."""
P = ParamSpec("P")
T = TypeVar("T")
_thread = ThreadPoolExecutor(1, "large-body")
_UNREAD = {413: refusals.TOO_LARGE, 408: refusals.SLOW}
TAKEN, ACCEPTED = Response(), Response(status_code=202)


@dataclass(frozen=True)
class MessengerWebhook:
    """Takes Meta's webhooks. An ASGI application: past routes, request and response one takes 35 % less CPU.

    Of each app one large body is read at a time: what is read of one can take thirty times its length.
    """

    settings: Settings
    group_commit: GroupCommit
    body_reader: BodyReader
    counters: Counters
    refusals: Refusals
    turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take events."""
        try:
            answer = await self._take(dict(scope["headers"]), receive)
        except HTTPException as error:
            answer = PlainTextResponse(error.detail, error.status_code, error.headers)
        await answer(scope, receive, send)

    async def handshake(self, request: Request) -> Response:
        """Answer Meta's subscribe handshake.

        https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests
        """
        query = request.query_params
        if query.get("hub.mode") != "subscribe" or not self._knows(query.get("hub.verify_token", "")):
            self.refusals.refuse("messenger", refusals.VERIFY_TOKEN)
            raise HTTPException(403)
        return PlainTextResponse(query.get("hub.challenge", ""))

    async def _take(self, headers: Mapping[bytes, bytes], receive: Receive) -> Response:
        header = headers.get(b"x-hub-signature-256", b"").decode("latin-1")
        if not signature.is_well_formed(header):
            self.refusals.refuse("messenger", refusals.UNSIGNED)
            raise HTTPException(403, headers=CLOSE)
        body = await _read(self.body_reader, headers, receive, self.refusals, "messenger")
        try:
            if len(body) > LARGE:
                await self._store_large(body, header)
            else:
                for rows in _parts(self._rows(body, self._signed_with(body, header))):
                    await _store(rows, self.group_commit, self.counters)
        finally:
            self.body_reader.release(body)
        return TAKEN

    async def _store_large(self, body: bytes, header: str) -> None:
        secret = await _apart(self._signed_with, body, header)
        async with self.turns[secret]:
            parts = _parts(self._rows(body, secret))
            while (rows := await _apart(next, parts, None)) is not None:
                await _store(rows, self.group_commit, self.counters)

    def _knows(self, token: str) -> bool:
        known = {connection.verify_token.get_secret_value() for connection in self._active()}
        return any(hmac.compare_digest(token.encode(), one.encode()) for one in known)

    def _active(self) -> Iterator[Connection]:
        return (connection for connection in self.settings.connections if connection.active)

    def _signed_with(self, body: bytes, header: str) -> str:
        """Return the secret of the app that signed the body. Raises `HTTPException` if it is none of ours.

        No more of the body is read than which pages it names. Meta sends one app's events in one body. One
        that names pages of many apps is nobody's, so only the first few secrets are tried: otherwise such a
        body would be a cheap way to keep the door busy.
        """
        secrets, pages = self.settings.secrets_by_page, events.page_ids(body) or ()
        named = {secrets[page]: page for page in pages if page in secrets}
        # A body about pages that are unknown, or not active, may be signed by any app of ours, active or not.
        for secret in islice(named or self.settings.app_secrets, MAX_APPS):
            try:
                signature.verify(body, header, secret)
            except signature.InvalidSignature:
                continue
            return secret
        page = next(iter(named.values()), "")
        self.refusals.refuse(
            "messenger", refusals.WRONG_SECRET if page or not pages else refusals.UNKNOWN_PAGE, page
        )
        raise HTTPException(403, headers=CLOSE)

    def _rows(self, body: bytes, secret: str) -> Iterator[Row | None]:
        """Read a body that was signed with this secret; None stands for what is not stored."""
        entries, secrets = _entries(body), self.settings.secrets_by_page
        left = LeftOut()
        entry: events.Entry | None = None
        for entry in entries or ():
            page = entry.page_id
            if secrets.get(page) == secret:
                yield from self._rows_of(entry, left)
            elif page in secrets:
                left.add(refusals.ANOTHER_APP, page=page)
                yield None
            elif page in self.settings.inactive_pages:
                left.add(refusals.INACTIVE_PAGE, page=page)
                yield None
            elif not (page.isascii() and page.isdigit()):  # else it might name another page's queue
                left.add(refusals.UNKNOWN_PAGE)
                yield None
            else:
                kept = 0
                for row in self._rows_of(entry, left):
                    kept += row is not None
                    yield row
                self.refusals.keep(page, kept)
        if entry is None:
            left.add("body_not_understood" if entries is None else "nothing_for_a_page")
        left.tell(self.refusals)

    def _rows_of(self, entry: events.Entry, left: "LeftOut") -> Iterator[Row | None]:
        if entry.changes:
            left.add("change", entry.changes, page=entry.page_id)
        for item in entry.items():
            if item.conversation:
                yield messenger_row(item.conversation, item)
            elif item.kind in events.ABOUT_NOBODY:
                yield messenger_row(Conversation(CHANNEL, entry.page_id, ""), item)
            else:
                left.add("event_without_person", page=entry.page_id, kind=item.kind)
                yield None


class LeftOut:
    """What of a body is not stored, by reason: a line of the log for each, whatever the body holds."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, Mapping[str, str]] = {}

    def add(self, reason: str, count: int = 1, **ids: str) -> None:
        """Leave out some."""
        self._counts[reason] = self._counts.get(reason, 0) + count
        self._first.setdefault(reason, ids)

    def tell(self, refused: Refusals) -> None:
        """Count and tell what was left out, with the ids of the first."""
        for reason, count in self._counts.items():
            if reason == refusals.ANOTHER_APP:
                refused.refuse("messenger", reason, count=count, **self._first[reason])
            else:
                refused.leave_out(reason, count=count, **self._first[reason])


@dataclass(frozen=True)
class HelpdeskWebhook:
    """Takes the helpdesk's webhooks."""

    helpdesk: Helpdesk
    group_commit: GroupCommit
    body_reader: BodyReader
    counters: Counters
    refusals: Refusals

    async def comments(self, request: Request) -> Response:
        """Take an event."""
        secret = request.path_params.get("secret", "")
        if not self.helpdesk.may_receive(request.headers, secret):
            raise self._refused(refusals.UNSIGNED, "The webhook is not signed.", CLOSE)
        headers = dict(request.scope["headers"])
        body = await _read(self.body_reader, headers, request.receive, self.refusals, "helpdesk")
        try:
            event = await self._read(body, request.headers, secret)
        finally:
            self.body_reader.release(body)
        rows = [reply_row(event)] if event and is_public_reply(event) else []
        await _store(rows, self.group_commit, self.counters)
        return ACCEPTED

    async def _read(self, body: bytes, headers: Mapping[str, str], secret: str) -> HelpdeskEvent | None:
        try:
            if len(body) > LARGE:
                return await _apart(self.helpdesk.receive, body, headers, secret)
            return self.helpdesk.receive(body, headers, secret)
        except WebhookTimestampOff as error:
            raise self._refused(refusals.CLOCK, f"{error}.", seconds_off=round(error.seconds)) from None
        except InvalidWebhook:
            raise self._refused(
                refusals.WRONG_SECRET, "The signature is not by helpdesk.webhook_secret."
            ) from None
        except WebhookNotUnderstood:
            self.refusals.refuse("helpdesk", refusals.NOT_UNDERSTOOD)
            raise HTTPException(400, "The body is not an event of the helpdesk's API.") from None

    def _refused(
        self, reason: str, answer: str, headers: Mapping[str, str] | None = None, **details: int
    ) -> HTTPException:
        self.refusals.refuse("helpdesk", reason, "", 1, **details)
        return HTTPException(401, answer, headers)


async def _read(
    body_reader: BodyReader, headers: Mapping[bytes, bytes], receive: Receive, refused: Refusals, door: str
) -> bytes:
    try:
        return await body_reader.read(headers, receive)
    except HTTPException as error:
        if reason := _UNREAD.get(error.status_code):
            refused.refuse(door, reason)
        raise


async def _apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what takes long for a large body in a thread: others' webhooks do not wait for it."""
    quietly = partial(_without_collections, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_thread, quietly)


def _without_collections(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Work while no garbage is collected: among a million values that is a pause of 0.1 s, and finds none."""
    gc.disable()
    try:
        return work(*args, **kwargs)
    finally:
        gc.enable()


def _parts(rows: Iterable[Row | None]) -> Iterator[list[Row]]:
    """Yield rows in parts that are read and stored one by one: what others bring comes in between."""
    part: list[Row] = []
    size, until = 0, time.monotonic() + PART_WITHIN
    for row in rows:
        if row:
            part.append(row)
            size += len(row.body)
        if len(part) >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE or time.monotonic() > until:
            yield part
            part, size, until = [], 0, time.monotonic() + PART_WITHIN
    yield part


async def _store(rows: Sequence[Row], group_commit: GroupCommit, counters: Counters) -> None:
    if not rows:
        await asyncio.sleep(0)  # others' turn
        return
    try:
        await group_commit.store(rows)
    except StoreUnavailable:
        counters.not_stored.inc(len(rows))
        raise HTTPException(503, "The events could not be stored; send them again.") from None


def _entries(body: bytes) -> Iterator[events.Entry] | None:
    try:
        return events.split(body, int(time.time() * 1000))
    except NotUnderstood:
        return None
