"""The webhooks of channels and of the helpdesk: verify, store, answer. Nothing slow happens here."""

import asyncio
import gc
import hmac
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import ParamSpec, TypeVar

import redis
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from clients.channel import Channel, Conversation, Entry, Envelope, Incoming
from clients.helpdesk import (
    AgentReply,
    Helpdesk,
    InvalidWebhook,
    WebhookNotUnderstood,
    WebhookTimestampOff,
)
from clients.jsons import NotUnderstood
from connector.web import refusals
from connector.web.body import CLOSE, BodyReader
from connector.web.group_commit import GroupCommit
from connector.web.refusals import Refusals
from tasks.connections import Connections, Directory
from tasks.inbound.jobs import incoming_job
from tasks.inbox.job import Job, PartEcho
from tasks.outbound.jobs import is_public_reply, reply_job

MAX_APPS = 100
LARGE = 64 * 1024
"""From which size on, in bytes, a body is not worked on between others; a smaller one is stored at once."""
PART_WITHIN = 0.01
"""How long a body is read at a time, in seconds."""
JOBS_IN_A_CALL, BYTES_AT_ONCE = 250, 256 * 1024
"""How much of one body is stored at a time."""
P = ParamSpec("P")
T = TypeVar("T")
_thread = ThreadPoolExecutor(1, "large-body")
TAKEN, ACCEPTED = Response(), Response(status_code=202)


@dataclass(frozen=True, slots=True)
class ChannelWebhook:
    """Takes a channel's webhooks.

    An ASGI application: past routes, request and response one takes 35 % less CPU. Of each app one large body
    is read at a time: what is read of one can take thirty times its length.
    """

    channel: Channel
    directory: Directory
    group_commit: GroupCommit
    body_reader: BodyReader
    refusals: Refusals
    turns: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    @property
    def connections(self) -> Connections:
        """Return the channel's connections, as they are now."""
        return self.directory.of(self.channel.name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a webhook. Answers 200 once its events are stored, else 403, 408, 413 or 503."""
        try:
            answer = await self._take(dict(scope["headers"]), receive)
            scope.setdefault("state", {})["signed"] = True
        except HTTPException as error:
            self.refusals.note_unread(self.channel.name, error.status_code)
            answer = PlainTextResponse(error.detail, error.status_code, error.headers)
        await answer(scope, receive, send)

    async def handshake(self, request: Request) -> Response:
        """Answer the channel's question whether its webhooks are wanted."""
        asked = self.channel.handshake(request.query_params)
        if asked is None or not self._knows(asked.verify_token):
            self.refusals.refuse(self.channel.name, refusals.VERIFY_TOKEN)
            raise HTTPException(403)
        return PlainTextResponse(asked.challenge)

    async def _take(self, headers: Mapping[bytes, bytes], receive: Receive) -> Response:
        if not self.channel.may_receive(headers):
            self.refusals.refuse(self.channel.name, refusals.UNSIGNED)
            raise HTTPException(403, headers=CLOSE)
        body = await self.body_reader.read(headers, receive)
        try:
            if len(body) > LARGE:
                await self._store_large(body, headers)
            else:
                jobs = self._jobs(*self._opened(body, headers))
                await self.group_commit.store([job for job in jobs if job])
        finally:
            self.body_reader.release(body)
        return TAKEN

    async def _store_large(self, body: bytes, headers: Mapping[bytes, bytes]) -> None:
        envelope, secret = await _apart(self._opened, body, headers)
        async with self.turns[secret]:
            parts = _parts(self._jobs(envelope, secret))
            while (jobs := await _apart(next, parts, None)) is not None:
                await self.group_commit.store(jobs)

    def _knows(self, token: str) -> bool:
        known = self.connections.verify_tokens
        return any(hmac.compare_digest(token.encode(), one.encode()) for one in known)

    def _opened(self, body: bytes, headers: Mapping[bytes, bytes]) -> tuple[Envelope, str]:
        """Return what a body holds, and the secret of the app that signed it.

        Raises `HTTPException` if that is none of ours. A channel sends one app's events in one body. One that
        names accounts of many apps is nobody's, so only the first few secrets are tried: otherwise such a
        body would be a cheap way to keep this process busy.
        """
        envelope, connections = self.channel.open(body, int(time.time() * 1000)), self.connections
        accounts, secrets = envelope.account_ids, connections.secrets
        named = {secrets[account]: account for account in accounts if account in secrets}
        # A body about accounts that are unknown, or not active, may be signed by any app of ours, active or
        # not.
        for secret in islice(named or connections.app_secrets, MAX_APPS):
            if self.channel.is_signed(body, headers, secret):
                return envelope, secret
        reason = refusals.WRONG_SECRET if named or not accounts else refusals.UNKNOWN_PAGE
        refused = islice((account for account in accounts if account in secrets), MAX_APPS)
        for account in list(refused) or [""]:  # what each of them missed is fetched once this is put right
            self.refusals.refuse(self.channel.name, reason, account)
        raise HTTPException(403, headers=CLOSE)

    def _jobs(self, envelope: Envelope, secret: str) -> Iterator[Job | PartEcho | None]:
        """Read what was signed with this secret; None stands for what is not stored."""
        entries, connections = _entries(envelope), self.connections
        left = LeftOut()
        entry: Entry | None = None
        for entry in entries or ():
            account, kept = entry.account_id, 0
            is_connected = connections.secrets.get(account) == secret
            if not is_connected and (reason := _reason_against(account, connections)):
                left.add(reason, page="" if reason == refusals.UNKNOWN_PAGE else account)
                yield None
                continue
            if entry.changes:
                left.add("change", entry.changes, page=account)
            for event in entry.events():
                job = self._job(account, event, left)
                kept += job is not None
                yield job
            if not is_connected:
                self.refusals.keep(self.channel.name, account, kept)
        if entry is None:
            left.add("body_not_understood" if entries is None else "nothing_for_a_page")
        left.report(self.channel.name, self.refusals)

    def _job(self, account: str, event: Incoming, left: "LeftOut") -> Job | PartEcho | None:
        if event.conversation:
            return incoming_job(self.channel, event.conversation, event)
        if event.is_notable:
            return incoming_job(self.channel, Conversation(self.channel.name, account, ""), event)
        left.add("event_without_person", page=account, kind=event.kind)
        return None


def _entries(envelope: Envelope) -> Iterable[Entry] | None:
    try:
        return envelope.entries()
    except NotUnderstood:
        return None


def _reason_against(account: str, connections: Connections) -> str | None:
    """Return why events of an account are not taken that the body's app does not serve, if they are not."""
    if account in connections.secrets:
        return refusals.ANOTHER_APP
    if account in connections.inactive:
        return refusals.INACTIVE_PAGE
    # What is unknown waits until it is connected, but it might name another one's queue.
    return None if account.isascii() and account.isdigit() else refusals.UNKNOWN_PAGE


class LeftOut:
    """What of a body is not stored, by reason: a line of the log for each, whatever the body holds."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[int, Mapping[str, str]]] = {}

    def add(self, reason: str, count: int = 1, **ids: str) -> None:
        """Leave out some."""
        before, first = self._left.get(reason, (0, ids))
        self._left[reason] = before + count, first

    def report(self, channel: str, refused: Refusals) -> None:
        """Count and log what was left out, with the ids of the first."""
        for reason, (count, ids) in self._left.items():
            note = refused.refuse if reason == refusals.ANOTHER_APP else refused.leave_out
            note(channel, reason, count=count, **ids)


@dataclass(frozen=True, slots=True)
class HelpdeskWebhook:
    """Takes the helpdesk's webhooks."""

    helpdesk: Helpdesk
    group_commit: GroupCommit
    body_reader: BodyReader
    refusals: Refusals
    note_arrival: Callable[[], None]

    async def comments(self, request: Request) -> Response:
        """Take a webhook. Answers 202 once its comment is stored, else 400, 401, 408, 413 or 503."""
        secret = request.path_params.get("secret", "")
        if not self.helpdesk.may_receive(request.headers, secret):
            raise self._refused(refusals.UNSIGNED, "The webhook is not signed.", CLOSE)
        headers = dict(request.scope["headers"])
        try:
            body = await self.body_reader.read(headers, request.receive)
        except HTTPException as error:
            self.refusals.note_unread("helpdesk", error.status_code)
            raise
        try:
            reply = await self._read(body, request.headers, secret)
            request.state.signed = True
        finally:
            self.body_reader.release(body)
        if reply is None:  # it may be one that a check waits for
            with suppress(redis.RedisError):
                await run_in_threadpool(self.note_arrival)
        jobs = [reply_job(reply)] if reply and is_public_reply(reply) else []
        await self.group_commit.store(jobs)
        return ACCEPTED

    async def _read(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        try:
            if len(body) > LARGE:
                return await _apart(self.helpdesk.receive, body, headers, secret)
            return self.helpdesk.receive(body, headers, secret)
        except WebhookTimestampOff as error:
            off = round(error.seconds)
            said = f"The webhook's timestamp is {off} seconds off; compare both machines' clocks."
            raise self._refused(refusals.CLOCK, said, seconds_off=off) from None
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


async def _apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what takes long for a large body in a thread: others' webhooks do not wait for it."""
    quietly = partial(_without_collections, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_thread, quietly)


def _without_collections(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Work while no garbage is collected: among a million values that is a pause of 0.1 s, and finds none.

    No shortcut of a benchmark's: it keeps a huge body from holding up honest ones (`tests/e2e`).
    """
    gc.disable()
    try:
        return work(*args, **kwargs)
    finally:
        gc.enable()


def _parts(jobs: Iterable[Job | PartEcho | None]) -> Iterator[list[Job | PartEcho]]:
    """Yield jobs in parts that are read and stored one by one: what others bring comes in between."""
    part: list[Job | PartEcho] = []
    size, until = 0, time.monotonic() + PART_WITHIN
    for job in jobs:
        if job:
            part.append(job)
            size += len(job.body) if isinstance(job, Job) else 0
        if len(part) >= JOBS_IN_A_CALL or size >= BYTES_AT_ONCE or time.monotonic() > until:
            yield part
            part, size, until = [], 0, time.monotonic() + PART_WITHIN
    yield part
