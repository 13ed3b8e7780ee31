"""The two webhook doors: verify, store, answer. Nothing slow happens here."""

import asyncio
import hmac
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive

from clients import events, signature
from clients.helpdesk import Helpdesk, InvalidWebhook, WebhookNotUnderstood
from clients.jsons import NotUnderstood
from connector import logs
from connector.intake import Intake, StoreAway
from connector.metrics import Counters
from connector.settings import Connection, Settings
from tasks.accept import goes_out, messenger_row, reply_row
from tasks.inbox import Row

log = logs.get(__name__)

MAX_BODY = 4 * 1024 * 1024
MAX_APPS = 100
TAKEN, ACCEPTED = Response(), Response(status_code=202)
BODY_PATIENCE = 15.0
"""How long a body may take to arrive, in seconds."""


@dataclass(frozen=True)
class Doors:
    """The endpoints, with what they need."""

    settings: Settings
    intake: Intake
    helpdesk: Helpdesk
    counters: Counters

    async def handshake(self, request: Request) -> Response:
        """Answer Meta's subscribe handshake.

        https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests
        """
        query = request.query_params
        if query.get("hub.mode") != "subscribe" or not self._knows(query.get("hub.verify_token", "")):
            raise HTTPException(403)
        return PlainTextResponse(query.get("hub.challenge", ""))

    async def messenger(self, request: Request) -> Response:
        """Take Meta's events."""
        body = await read_body(request)
        rows = list(self._rows(self._verified_entries(body, request.headers.get("x-hub-signature-256"))))
        return await self._store(rows, TAKEN)

    async def comments(self, request: Request) -> Response:
        """Take the helpdesk's events."""
        body = await read_body(request)
        try:
            event = self.helpdesk.receive(body, request.headers)
        except InvalidWebhook:
            self.counters.refused.labels("helpdesk").inc()
            raise HTTPException(401) from None
        except WebhookNotUnderstood:
            raise HTTPException(400, "The body is not an event of the helpdesk's API.") from None
        return await self._store([reply_row(event)] if event and goes_out(event) else [], ACCEPTED)

    async def _store(self, rows: list[Row], answer: Response) -> Response:
        if rows:
            try:
                await self.intake.store(rows)
            except StoreAway:
                self.counters.not_stored.inc(len(rows))
                raise HTTPException(503, "The events could not be stored; send them again.") from None
        return answer

    def _knows(self, token: str) -> bool:
        known = {connection.verify_token.get_secret_value() for connection in self._active()}
        return any(hmac.compare_digest(token.encode(), one.encode()) for one in known)

    def _active(self) -> Iterator[Connection]:
        return (connection for connection in self.settings.connections if connection.active)

    def _verified_entries(self, body: bytes, header: str | None) -> list[events.Entry]:
        """Return the entries that their own page's app signed; 403 if no app of ours signed the body.

        Until then no more of the body is read than which pages it names.
        """
        entries = _entries(body)
        pages = dict.fromkeys(entry.page_id for entry in entries or [])
        named = filter(None, (self.settings.connection(page) for page in pages))
        # A body about pages that are unknown, or not active, may be signed by any app of ours, active or not.
        known = dict.fromkeys(connection.app_secret.get_secret_value() for connection in named)
        secrets = _signing_secrets(body, header, known or self.settings.app_secrets)
        if not secrets:
            self.counters.refused.labels("messenger").inc()
            raise HTTPException(403)
        if not entries:
            self._ignore("body_not_understood" if entries is None else "nothing_for_a_page")
        return list(self._own_entries(entries or [], secrets))

    def _own_entries(self, entries: Iterable[events.Entry], secrets: set[str]) -> Iterator[events.Entry]:
        for entry in entries:
            connection = self.settings.connection(entry.page_id)
            if connection is None:
                self._ignore("unknown_page", page=entry.page_id)
            elif connection.app_secret.get_secret_value() not in secrets:
                self.counters.refused.labels("messenger").inc()
                log.warning("entry_of_another_app", page=entry.page_id)
            else:
                yield entry

    def _rows(self, entries: Iterable[events.Entry]) -> Iterator[Row]:
        for entry in entries:
            for _ in range(entry.changes):
                self._ignore("change", page=entry.page_id)
            for item in entry.items:
                if item.thread:
                    yield messenger_row(item.thread, item)
                else:
                    self._ignore("event_without_person", page=entry.page_id, kind=item.kind)

    def _ignore(self, reason: str, **ids: str) -> None:
        self.counters.ignored.labels(reason).inc()
        log.info("ignored", reason=reason, **ids)


def _entries(body: bytes) -> list[events.Entry] | None:
    try:
        return events.split(body, int(time.time() * 1000))
    except NotUnderstood:
        return None


def _signing_secrets(body: bytes, header: str | None, secrets: Iterable[str]) -> set[str]:
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


async def read_body(request: Request) -> bytes:
    """Read a body of at most `MAX_BODY` bytes; more is answered 413."""
    if int(request.headers.get("content-length") or 0) > MAX_BODY:
        raise HTTPException(413)
    try:
        async with asyncio.timeout(BODY_PATIENCE):
            return await _read_limited(request.receive)
    except TimeoutError:
        raise HTTPException(408) from None


async def _read_limited(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HTTPException(400)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY:
            raise HTTPException(413)
        more = message.get("more_body", False)
    return b"".join(chunks)
