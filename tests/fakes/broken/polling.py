"""Adapters that poll, and those that break what is promised of polling."""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from clients.channels.meta.events import CHANNEL
from clients.helpdesk import AgentReply, Customer, Ticket
from clients.helpdesks.rest import RestHelpdesk
from tests.fakes.broken.registry import PAGE, red


class Polls(RestHelpdesk):
    """Polls, after a fashion: what came by webhook comes again."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.replies: dict[str, AgentReply] = {}

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        reply = super().receive(body, headers, secret)
        if reply:
            self.replies[reply.key] = reply
        return reply

    def poll(self, since: datetime) -> Iterable[AgentReply]:
        return [reply for reply in self.replies.values() if reply.time >= since]


@red("polling finds what an agent wrote")
class PollsOtherKeys(Polls):
    def poll(self, since: datetime) -> Iterable[AgentReply]:
        return [dataclasses.replace(reply, key=f"polled:{reply.key}") for reply in super().poll(since)]


@red("polling finds what stands on the second page")
class PollsTheNewestPage(Polls):
    def poll(self, since: datetime) -> Iterable[AgentReply]:
        return list(super().poll(since))[-PAGE:]


@red("polling finds what stands on the second page")
class PollsTheOldestPage(Polls):
    def poll(self, since: datetime) -> Iterable[AgentReply]:
        return list(super().poll(since))[:PAGE]


@red("a ticket that was merged into another person's takes no message")
class GivesRepliesToOthers(Polls):
    """Takes what was on a merged ticket for what is on the one that is left."""

    def poll(self, since: datetime) -> Iterable[AgentReply]:
        newest = next(iter(self.call("GET", "/tickets", params={"closed": "false"})["tickets"]))
        left = Ticket(newest["id"], False, Customer(CHANNEL, newest["config"]["page_id"], "1"))
        return [dataclasses.replace(reply, ticket=left) for reply in super().poll(since)]


@red("polling finds what was written on a ticket that is closed by now")
class PollsOpenTickets(Polls):
    def poll(self, since: datetime) -> Iterable[AgentReply]:
        return [reply for reply in super().poll(since) if not self.get_ticket(reply.ticket.id).closed]


@red("polling finds what an agent wrote")
class PollsForEver(Polls):
    def poll(self, since: datetime) -> Iterable[AgentReply]:
        return self.replies.values()
