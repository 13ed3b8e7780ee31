"""The two webhook doors: verify, store, answer. Nothing slow happens here."""

import hmac
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from clients import events, signature
from clients.helpdesk import Helpdesk, InvalidWebhook, WebhookNotUnderstood, WebhookTimestampOff
from clients.jsons import NotUnderstood
from connector import logs
from connector.bodies import CLOSE, Bodies
from connector.intake import Intake, StoreAway
from connector.metrics import Counters
from connector.settings import Connection, Settings
from tasks.accept import goes_out, messenger_row, reply_row
from tasks.inbox import Row

log = logs.get(__name__)

MAX_APPS = 100
LARGE = 256 * 1024
"""From which size on, in bytes, a body is not worked on between others."""
ROWS_AT_ONCE = 250
P = ParamSpec("P")
T = TypeVar("T")
TAKEN, ACCEPTED = Response(), Response(status_code=202)


@dataclass(frozen=True)
class MessengerDoor:
    """Takes Meta's webhooks. An ASGI application: Starlette's request and response would cost as much."""

    settings: Settings
    intake: Intake
    bodies: Bodies
    counters: Counters

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
            raise HTTPException(403)
        return PlainTextResponse(query.get("hub.challenge", ""))

    async def _take(self, headers: Mapping[bytes, bytes], receive: Receive) -> Response:
        header = headers.get(b"x-hub-signature-256", b"").decode("latin-1")
        if not signature.is_well_formed(header):
            raise self._refused()
        body = await self.bodies.read(headers, receive)
        entries = await self._verified_entries(body, header)
        for rows in _slices(self._rows(entries)):
            await _store(rows, self.intake, self.counters)
        return TAKEN

    def _refused(self) -> HTTPException:
        self.counters.refused.labels("messenger").inc()
        return HTTPException(403, headers=CLOSE)

    def _knows(self, token: str) -> bool:
        known = {connection.verify_token.get_secret_value() for connection in self._active()}
        return any(hmac.compare_digest(token.encode(), one.encode()) for one in known)

    def _active(self) -> Iterator[Connection]:
        return (connection for connection in self.settings.connections if connection.active)

    async def _verified_entries(self, body: bytes, header: str) -> list[events.Entry]:
        """Return the entries that their own page's app signed; 403 if no app of ours signed the body.

        Until then no more of the body is read than which pages it names.
        """
        secrets, pages = self.settings.secrets_by_page, events.page_ids(body) or ()
        named = {page: secrets[page] for page in pages if page in secrets}
        # A body about pages that are unknown, or not active, may be signed by any app of ours, active or not.
        candidates = dict.fromkeys(named.values()) or self.settings.app_secrets
        signed_with = await _apart(len(body), _signing_secrets, body, header, candidates)
        if not signed_with:
            raise self._refused()
        entries = await _apart(len(body), _entries, body)
        if not entries:
            self._ignore("body_not_understood" if entries is None else "nothing_for_a_page")
        return [entry for entry in entries or () if self._is_own(entry, secrets, signed_with)]

    def _is_own(self, entry: events.Entry, secrets: Mapping[str, str], signed_with: Container[str]) -> bool:
        secret = secrets.get(entry.page_id)
        if secret in signed_with:
            return True
        if secret is None:
            self._ignore("unknown_page", page=entry.page_id)
        else:
            self.counters.refused.labels("messenger").inc()
            log.warning("entry_of_another_app", page=entry.page_id)
        return False

    def _rows(self, entries: Iterable[events.Entry]) -> Iterator[Row]:
        for entry in entries:
            for _ in range(entry.changes):
                self._ignore("change", page=entry.page_id)
            for item in entry.items():
                if item.thread:
                    yield messenger_row(item.thread, item)
                else:
                    self._ignore("event_without_person", page=entry.page_id, kind=item.kind)

    def _ignore(self, reason: str, **ids: str) -> None:
        self.counters.ignored.labels(reason).inc()
        log.info("ignored", reason=reason, **ids)


@dataclass(frozen=True)
class HelpdeskDoor:
    """Takes the helpdesk's webhooks."""

    helpdesk: Helpdesk
    intake: Intake
    bodies: Bodies
    counters: Counters

    async def comments(self, request: Request) -> Response:
        """Take an event."""
        secret = request.path_params.get("secret", "")
        if not self.helpdesk.may_receive(request.headers, secret):
            raise self._refused(headers=CLOSE)
        body = await self.bodies.read(dict(request.scope["headers"]), request.receive)
        try:
            event = await _apart(len(body), self.helpdesk.receive, body, request.headers, secret)
        except WebhookTimestampOff as error:
            log.warning("webhook_refused", door="helpdesk", reason="clock", seconds_off=round(error.seconds))
            raise self._refused(f"{error}.") from None
        except InvalidWebhook:
            raise self._refused() from None
        except WebhookNotUnderstood:
            raise HTTPException(400, "The body is not an event of the helpdesk's API.") from None
        rows = [reply_row(event)] if event and goes_out(event) else []
        await _store(rows, self.intake, self.counters)
        return ACCEPTED

    def _refused(self, reason: str | None = None, headers: Mapping[str, str] | None = None) -> HTTPException:
        self.counters.refused.labels("helpdesk").inc()
        return HTTPException(401, reason, headers)


async def _apart(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what takes long for a large body in a thread: others' webhooks do not wait for it."""
    if size <= LARGE:
        return work(*args, **kwargs)
    return await run_in_threadpool(work, *args, **kwargs)


def _slices(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows in parts that are stored one by one, so that those of other requests come in between."""
    part: list[Row] = []
    size = 0
    for row in rows:
        part.append(row)
        size += len(row.body)
        if len(part) >= ROWS_AT_ONCE or size >= LARGE:
            yield part
            part, size = [], 0
    if part:
        yield part


async def _store(rows: Sequence[Row], intake: Intake, counters: Counters) -> None:
    if rows:
        try:
            await intake.store(rows)
        except StoreAway:
            counters.not_stored.inc(len(rows))
            raise HTTPException(503, "The events could not be stored; send them again.") from None


def _entries(body: bytes) -> list[events.Entry] | None:
    try:
        return events.split(body, int(time.time() * 1000))
    except NotUnderstood:
        return None


def _signing_secrets(body: bytes, header: str, secrets: Iterable[str]) -> set[str]:
    """Return those of these app secrets that the body is signed with: one, or none.

    Meta sends one app's events in one body. A body that names pages of many apps is nobody's, so only the
    first few secrets are tried: otherwise such a body would be a cheap way to keep the door busy.
    """
    found = set()
    for secret in islice(secrets, MAX_APPS):
        try:
            signature.verify(body, header, secret)
        except signature.InvalidSignature:
            continue
        found.add(secret)
    return found
