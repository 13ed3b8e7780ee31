"""The two webhook doors: verify, store, answer. Nothing slow happens here."""

import hmac
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from clients import events, signature
from clients.helpdesk import Helpdesk, InvalidWebhook, WebhookNotUnderstood, WebhookTimestampOff
from clients.jsons import NotUnderstood
from connector import logs
from connector.bodies import Bodies
from connector.intake import Intake, StoreAway
from connector.metrics import Counters
from connector.settings import Connection, Settings
from tasks.accept import goes_out, messenger_row, reply_row
from tasks.inbox import Row

log = logs.get(__name__)

MAX_APPS = 100
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
            answer = PlainTextResponse(error.detail, error.status_code)
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
        body = await self.bodies.read(headers, receive)
        entries = self._verified_entries(body, headers.get(b"x-hub-signature-256", b"").decode("latin-1"))
        await _store([*self._rows(entries)], self.intake, self.counters)
        return TAKEN

    def _knows(self, token: str) -> bool:
        known = {connection.verify_token.get_secret_value() for connection in self._active()}
        return any(hmac.compare_digest(token.encode(), one.encode()) for one in known)

    def _active(self) -> Iterator[Connection]:
        return (connection for connection in self.settings.connections if connection.active)

    def _verified_entries(self, body: bytes, header: str) -> list[events.Entry]:
        """Return the entries that their own page's app signed; 403 if no app of ours signed the body.

        Until then no more of the body is read than which pages it names.
        """
        entries, secrets = _entries(body), self.settings.secrets_by_page
        named = {entry.page_id: secrets[entry.page_id] for entry in entries or () if entry.page_id in secrets}
        # A body about pages that are unknown, or not active, may be signed by any app of ours, active or not.
        signed_with = _signing_secrets(
            body, header, dict.fromkeys(named.values()) or self.settings.app_secrets
        )
        if not signed_with:
            self.counters.refused.labels("messenger").inc()
            raise HTTPException(403)
        if not entries:
            self._ignore("body_not_understood" if entries is None else "nothing_for_a_page")
        return [entry for entry in entries or () if self._is_own(entry, named, signed_with)]

    def _is_own(self, entry: events.Entry, named: Mapping[str, str], signed_with: Container[str]) -> bool:
        secret = named.get(entry.page_id)
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
            for item in entry.items:
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
        body = await self.bodies.read(dict(request.scope["headers"]), request.receive)
        try:
            event = self.helpdesk.receive(body, request.headers, request.path_params.get("secret", ""))
        except WebhookTimestampOff as error:
            self.counters.refused.labels("helpdesk").inc()
            log.warning("webhook_refused", door="helpdesk", reason="clock", seconds_off=round(error.seconds))
            raise HTTPException(401, f"{error}.") from None
        except InvalidWebhook:
            self.counters.refused.labels("helpdesk").inc()
            raise HTTPException(401) from None
        except WebhookNotUnderstood:
            raise HTTPException(400, "The body is not an event of the helpdesk's API.") from None
        rows = [reply_row(event)] if event and goes_out(event) else []
        await _store(rows, self.intake, self.counters)
        return ACCEPTED


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
