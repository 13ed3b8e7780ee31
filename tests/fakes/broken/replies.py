"""Adapters, or helpdesks, that break what is promised of webhooks and agents' comments."""

import contextlib
import dataclasses
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from clients.channels.meta.events import CHANNEL
from clients.errors import Unavailable
from clients.helpdesk import AgentReply, Attachment, Customer, Helpdesk, WebhookNotUnderstood
from clients.helpdesks.rest import RestHelpdesk, _agent_reply
from clients.jsons import decode
from clients.media import File
from tests.conftest import PAGE_A
from tests.fakes.broken.registry import red


@red("agents' comments reach the connector")
class HearsNothing(RestHelpdesk):
    receive, poll = Helpdesk.receive, Helpdesk.poll


class Mishears(RestHelpdesk):
    """Gets something of a webhook wrong."""

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        reply = super().receive(body, headers, secret)
        return self.wrong(reply) if reply else None

    def wrong(self, reply: AgentReply) -> AgentReply | None:
        raise NotImplementedError


def changed(reply: AgentReply, **changes: Any) -> AgentReply:
    """Return a reply with another comment."""
    return dataclasses.replace(reply, comment=dataclasses.replace(reply.comment, **changes))


@red("an agent's comment arrives")
class DropsWebhooks(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return None


@red("an agent's comment arrives")
class MixesUpPeople(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        customer = Customer(CHANNEL, PAGE_A, "1")
        return dataclasses.replace(reply, ticket=dataclasses.replace(reply.ticket, customer=customer))


@red("an agent's files arrive, byte for byte")
class ForgetsFiles(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return changed(reply, attachments=())


@red("an agent's comment arrives whole")
class BreaksLines(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return changed(reply, body=textwrap.fill(reply.comment.body, 80))


@red("an agent's comment arrives whole")
class CutsReplies(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return changed(reply, body=reply.comment.body[:200])


@red("an agent's reply of files only arrives")
class NeedsText(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return reply if reply.comment.body.strip() else None


@red("an agent's reply of files only arrives")
class ForgetsTheSecondFile(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return changed(reply, attachments=reply.comment.attachments[:1])


@red("an agent's text files keep their encoding")
class ReadsFilesAsText(RestHelpdesk):
    @contextlib.contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        with super().open_attachment(attachment, max_bytes) as file:
            text = file.stream.read().decode(errors="replace").replace("\r\n", "\n")
            yield dataclasses.replace(file, stream=BytesIO(text.encode()))


@red("an agent's empty file does not hold up its reply")
class SkipsEmptyFiles(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        files = reply.comment.attachments
        return changed(reply, attachments=tuple(one for one in files if one.size))


@red("an agent's empty file does not hold up its reply")
class WaitsForBytes(RestHelpdesk):
    @contextlib.contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        with super().open_attachment(attachment, max_bytes) as file:
            if not file.size:
                raise Unavailable("the file is not there yet")
            yield file


@red("an answer that closes its ticket arrives, and says so")
class TakesItForOpen(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return dataclasses.replace(reply, ticket=dataclasses.replace(reply.ticket, closed=False))


@red("an answer that closes its ticket arrives, and says so")
class LeavesClosedTicketsOut(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return None if reply.ticket.closed else reply


@red("agents' comments have their order")
class KnowsNoTime(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return dataclasses.replace(reply, time=datetime(2026, 1, 1, tzinfo=UTC))


@red("an agent's internal comment does not go out")
class TakesEverythingForPublic(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return changed(reply, internal=False)


@red("our own comments do not go out")
class TakesEverythingForAgents(Mishears):
    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return changed(reply, author_type="agent", from_connector=False)


@red("a webhook that comes again is known")
class NumbersDeliveries(Mishears):
    count = itertools.count()

    def wrong(self, reply: AgentReply) -> AgentReply | None:
        return dataclasses.replace(reply, key=f"delivery:{next(self.count)}")


@red("a webhook comes when it is asked for")
class PromisesAWebhook(RestHelpdesk):
    def request_webhook(self) -> str | None:
        return ""


@red("a webhook comes when it is asked for")
class DoesNotKnowItsPing(RestHelpdesk):
    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        if decode(body)["type"] == "ping":
            raise WebhookNotUnderstood
        return super().receive(body, headers, secret)


@red("a forged webhook is refused")
class BelievesAnybody(RestHelpdesk):
    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        return _agent_reply(decode(body))
