"""Adapters, or helpdesks, that break what is promised of webhooks and agents' comments."""

import contextlib
import dataclasses
import itertools
import textwrap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from clients.errors import Unavailable
from clients.helpdesk import Attachment, Comment, Helpdesk, HelpdeskEvent
from clients.helpdesks.rest import RestHelpdesk, _event
from clients.jsons import decode
from clients.media import File
from tests.fakes.broken.registry import red


@red("agents' comments can be learnt of")
class HearsNothing(RestHelpdesk):
    receive = Helpdesk.receive


class Mishears(RestHelpdesk):
    """Gets something of a webhook wrong."""

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> HelpdeskEvent | None:
        event = super().receive(body, headers, secret)
        return self.wrong(event) if event else None

    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        raise NotImplementedError


def changed(event: HelpdeskEvent, **changes: Any) -> HelpdeskEvent:
    """Return an event with another comment."""
    comment: Comment | None = event.comment and dataclasses.replace(event.comment, **changes)
    return dataclasses.replace(event, comment=comment)


@red("an agent's comment arrives")
class DropsWebhooks(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return None


@red("an agent's comment arrives")
class MixesUpPeople(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        config = {**(event.ticket.config or {}), "sender_id": "1"}
        return dataclasses.replace(event, ticket=dataclasses.replace(event.ticket, config=config))


@red("an agent's files arrive, byte for byte")
class ForgetsFiles(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return changed(event, attachments=())


@red("an agent's comment arrives whole")
class BreaksLines(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return changed(event, body=textwrap.fill(event.comment.body, 80) if event.comment else "")


@red("an agent's comment arrives whole")
class CutsReplies(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return changed(event, body=event.comment.body[:200] if event.comment else "")


@red("an agent's reply of files only arrives")
class NeedsText(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return event if event.comment and event.comment.body.strip() else None


@red("an agent's reply of files only arrives")
class ForgetsTheSecondFile(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return changed(event, attachments=event.comment.attachments[:1] if event.comment else ())


@red("an agent's text files keep their encoding")
class ReadsFilesAsText(RestHelpdesk):
    @contextlib.contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        with super().open_attachment(attachment, max_bytes) as file:
            text = file.stream.read().decode(errors="replace").replace("\r\n", "\n")
            yield dataclasses.replace(file, stream=BytesIO(text.encode()))


@red("an agent's empty file does not hold up its reply")
class SkipsEmptyFiles(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        files = event.comment.attachments if event.comment else ()
        return changed(event, attachments=tuple(one for one in files if one.size))


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
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return dataclasses.replace(event, ticket=dataclasses.replace(event.ticket, closed=False))


@red("an answer that closes its ticket arrives, and says so")
class LeavesClosedTicketsOut(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return None if event.ticket.closed else event


@red("agents' comments have their order")
class KnowsNoTime(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return dataclasses.replace(event, time=datetime(2026, 1, 1, tzinfo=UTC))


@red("an agent's internal comment does not go out")
class TakesEverythingForPublic(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return changed(event, internal=False)


@red("our own comments do not go out")
class TakesEverythingForAgents(Mishears):
    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return changed(event, author_type="agent", config={})


@red("a webhook that comes again is known")
class NumbersDeliveries(Mishears):
    count = itertools.count()

    def wrong(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        return dataclasses.replace(event, key=f"delivery:{next(self.count)}")


@red("a forged webhook is refused")
class BelievesAnybody(RestHelpdesk):
    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> HelpdeskEvent | None:
        return _event(decode(body), headers.get("webhook-id", ""))
