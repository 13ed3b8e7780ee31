"""Adapters that poll, and those that break what is promised of polling."""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from clients.helpdesk import HelpdeskEvent, Ticket
from clients.helpdesks.rest import RestHelpdesk
from tests.fakes.broken.registry import PAGE, red


class Polls(RestHelpdesk):
    """Polls, after a fashion: what came by webhook comes again."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.events: dict[str, HelpdeskEvent] = {}

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> HelpdeskEvent | None:
        event = super().receive(body, headers, secret)
        if event:
            self.events[event.key] = event
        return event

    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        return [event for event in self.events.values() if event.time >= since]


@red("polling finds what an agent wrote")
class PollsOtherKeys(Polls):
    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        return [dataclasses.replace(event, key=f"polled:{event.key}") for event in super().poll(since)]


@red("polling finds what stands on the second page")
class PollsTheNewestPage(Polls):
    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        return list(super().poll(since))[-PAGE:]


@red("polling finds what stands on the second page")
class PollsTheOldestPage(Polls):
    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        return list(super().poll(since))[:PAGE]


@red("a ticket that was merged into another person's takes no message")
class GivesRepliesToOthers(Polls):
    """Takes what was on a merged ticket for what is on the one that is left."""

    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        newest = next(iter(self.call("GET", "/tickets", params={"closed": "false"})["tickets"]))
        left = Ticket(newest["id"], False, newest["config"] | {"sender_id": "1"})
        return [dataclasses.replace(event, ticket=left) for event in super().poll(since)]


@red("polling finds what was written on a ticket that is closed by now")
class PollsOpenTickets(Polls):
    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        return [event for event in super().poll(since) if not self.get_ticket(event.ticket.id).closed]


@red("polling finds what an agent wrote")
class PollsForEver(Polls):
    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        return self.events.values()
