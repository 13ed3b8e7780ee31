"""The conformance suite is red for an adapter, or a helpdesk, that breaks what a promise rests on."""

import contextlib
import dataclasses
import itertools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, ClassVar

import httpx
import pytest

from clients.errors import (
    ClientError,
    FileRefused,
    NotFound,
    RateLimited,
    RejectedError,
    TicketClosed,
    Unauthorized,
    Unavailable,
)
from clients.helpdesk import (
    Attachment,
    Comment,
    Delivery,
    Helpdesk,
    HelpdeskEvent,
    NewComment,
    NewTicket,
    Ticket,
)
from clients.http import HttpClient
from clients.jsons import decode
from clients.media import File
from clients.rest_helpdesk import RestHelpdesk, _event
from connector.conformance import webhooks
from connector.conformance.bench import Bench
from connector.conformance.checks import CHECKS
from connector.conformance.hands import Hands
from connector.conformance.receiver import Receiver
from connector.conformance.suite import Cannot, Check, Result, judge
from tests.test_conformance import SandboxHands
from tests.test_sandbox_helpdesk import SECRET, TOKEN, Desk

PAGE = 20
"""How many comments a page of a listing has here."""
COUNT = itertools.count()
BROKEN: dict[str, list[type[RestHelpdesk]]] = {}
"""The check's name, and the adapters that it has to be red for."""


def red(*names: str) -> Callable[[type[RestHelpdesk]], type[RestHelpdesk]]:
    """Say which checks an adapter breaks."""

    def remember(adapter: type[RestHelpdesk]) -> type[RestHelpdesk]:
        for name in names:
            BROKEN.setdefault(name, []).append(adapter)
        return adapter

    return remember


@red("a ping is answered")
class Asleep(RestHelpdesk):
    def ping(self) -> None:
        raise Unavailable("it does not answer")


@red("a wrong token is known as such")
class BlamesItself(RestHelpdesk):
    def ping(self) -> None:
        try:
            super().ping()
        except Unauthorized:
            raise Unavailable("something is wrong") from None


@red("a wrong token is known as such")
class LetsAnybodyIn(RestHelpdesk):
    def ping(self) -> None:
        pass


@red("a new ticket says whom it is about")
class ForgetsWhom(RestHelpdesk):
    def get_ticket(self, ticket_id: str) -> Ticket:
        return dataclasses.replace(super().get_ticket(ticket_id), config=None)


@red("a ticket is where it was asked for, and in its customer's name")
class IgnoresTheDesk(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        return super().create_ticket(dataclasses.replace(ticket, desk_id="8"), key)


@red("a ticket is where it was asked for, and in its customer's name")
class IgnoresTheCategory(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        return super().create_ticket(dataclasses.replace(ticket, category_id=None), key)


@red("a ticket is where it was asked for, and in its customer's name")
class IgnoresTheName(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        requester = dataclasses.replace(ticket.requester, name="Messenger")
        return super().create_ticket(dataclasses.replace(ticket, requester=requester), key)


@red("a ticket needs no category")
class NeedsACategory(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        if ticket.category_id is None:
            raise RejectedError("422")
        return super().create_ticket(ticket, key)


@red("a sender's open ticket is found", "a ticket that is opened again takes messages")
class FindsNothing(RestHelpdesk):
    def find_open_ticket(self, page_id: str, psid: str) -> Ticket | None:
        return None


@red("nobody else's ticket is found")
class TrustsFilters(RestHelpdesk):
    def find_open_ticket(self, page_id: str, psid: str) -> Ticket | None:
        found = self.call("GET", "/tickets", params={"closed": "false", "limit": "1"})["tickets"]
        return Ticket(found[0]["id"], False, {}) if found else None


@red("the newest open ticket is found")
class FindsTheOldest(RestHelpdesk):
    def find_open_ticket(self, page_id: str, psid: str) -> Ticket | None:
        found = self.call("GET", "/tickets", params={"sender_id": psid})["tickets"]
        return Ticket(found[-1]["id"], False, {}) if found else None


@red("a ticket is found by its external id")
@red("a ticket that is created twice is one", "ten first messages at once are one ticket")
class ForgetsTickets(RestHelpdesk):
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        return None


@red("a ticket is found by its external id")
class FindsAnyTicket(RestHelpdesk):
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        return Ticket("1", False, {})


@red("odd external ids are kept")
class QuotesNothing(RestHelpdesk):
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        return super().ticket_by_external_id(external_id.partition("&")[0])


@red("a closed ticket takes no message", "messages to a merged ticket stand on the one that is left, once")
@red("a ticket that was merged into another person's takes no message")
class WritesOnClosedTickets(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        with contextlib.suppress(TicketClosed):
            return super().add_comment(ticket_id, comment, key)
        return "1"


@red("a closed ticket is not found as open")
class FindsClosedTickets(RestHelpdesk):
    def find_open_ticket(self, page_id: str, psid: str) -> Ticket | None:
        found = self.call("GET", "/tickets", params={"sender_id": psid})["tickets"]
        return Ticket(found[0]["id"], False, {}) if found else None


@red("a closed ticket is found by its external id")
class SearchesOpenTickets(RestHelpdesk):
    def ticket_by_external_id(self, external_id: str) -> Ticket | None:
        found = super().ticket_by_external_id(external_id)
        return found if found and not found.closed else None


@red("what does not exist is not found")
class KnowsNoNotFound(RestHelpdesk):
    def get_ticket(self, ticket_id: str) -> Ticket:
        try:
            return super().get_ticket(ticket_id)
        except NotFound:
            raise RejectedError("no") from None


@red("a ticket that the token may not see makes room for a new one")
class TakesItForAnOutage(RestHelpdesk):
    def _forbidden(self, response: httpx.Response) -> ClientError:
        return Unavailable("the helpdesk answered 403")


@red("a ticket that the token may not see makes room for a new one")
class TakesItForTheToken(RestHelpdesk):
    def _forbidden(self, response: httpx.Response) -> ClientError:
        return Unauthorized("the helpdesk does not accept the access token")


@red("a ticket that the token may not see makes room for a new one")
class RemembersTickets(RestHelpdesk):
    """Finds a ticket from its own memory, whoever may see it."""

    made: ClassVar[dict[str, Ticket]] = {}

    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        made = super().create_ticket(ticket, key)
        return self.made.setdefault(ticket.config["sender_id"], made)

    def find_open_ticket(self, page_id: str, psid: str) -> Ticket | None:
        return self.made.get(psid)


class FollowsBlindly(RestHelpdesk):
    """Writes on the newest open ticket where one is closed."""

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        try:
            return super().add_comment(ticket_id, comment, key)
        except TicketClosed:
            newest = self.call("GET", "/tickets", params={"closed": "false", "limit": "1"})["tickets"][0]
            return super().add_comment(newest["id"], comment, f"{key}:{next(COUNT)}")


@red("a ticket that was merged into another person's takes no message")
class FollowsIntoAnotherPersons(FollowsBlindly):
    pass


@red("messages to a merged ticket stand on the one that is left, once")
class RepeatsWhatWasMerged(FollowsBlindly):
    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        return None

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        return super().add_comment(ticket_id, comment, f"{key}:{next(COUNT)}")


@red("a comment is found by its external id", "a comment that is added twice is one")
class ForgetsComments(RestHelpdesk):
    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        return None


@red("comments stand in their order")
class Reorders(RestHelpdesk):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.held: list[tuple[str, NewComment, str]] = []

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        self.held.append((ticket_id, comment, key))
        if len(self.held) == 1:
            return "0"
        ids = [super(Reorders, self).add_comment(*one) for one in reversed(self.held)]
        self.held.clear()
        return ids[0]


@red("internal comments stay internal")
class ShowsInternalComments(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        return super().add_comment(ticket_id, dataclasses.replace(comment, internal=False), key)


@red("texts are shown as they were typed")
class Unescapes(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        body = comment.body.replace("\\", "")
        return super().add_comment(ticket_id, dataclasses.replace(comment, body=body), key)


@red("a text of 60,000 characters is shown whole")
class CutsTexts(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        return super().create_ticket(dataclasses.replace(ticket, body=ticket.body[:50_000]), key)


@red("a customer's files are there, byte for byte", "a file that is refused is named, and the text is there")
@red("a customer's empty file does not hold up its message")
class SwallowsFiles(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        body = comment.body.partition("\n\n")[0]
        return super().add_comment(ticket_id, dataclasses.replace(comment, body=body, attachment_ids=[]), key)


@red("a customer's empty file does not hold up its message")
class FailsForEmptyFiles(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        if not file.size:
            raise Unavailable("the helpdesk answered 500")
        return super().upload(file, key)


@red("a customer's text files keep their encoding")
class Recodes(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        text = BytesIO(file.stream.read().decode(errors="replace").encode())
        return super().upload(dataclasses.replace(file, stream=text), key)


@red("a customer's files are there, byte for byte", "what is stored ahead is there, byte for byte")
@red("a customer's text files keep their encoding")
class ChangesFiles(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        text = BytesIO(file.stream.read().replace(b"\r\n", b"\n"))
        return super().upload(dataclasses.replace(file, stream=text), key)


@red("what is stored ahead is there, byte for byte")
class RenamesFiles(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        return super().upload(dataclasses.replace(file, filename="file"), key)


@red("a file that is refused is named, and the text is there")
class StumblesOverFiles(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        raise RejectedError("415")


@red("a file that is too large is refused")
class FetchesAnything(RestHelpdesk):
    def open_attachment(
        self, attachment: Attachment, max_bytes: int
    ) -> contextlib._GeneratorContextManager[File]:
        return super().open_attachment(attachment, 2**30)


@red("what became of a reply is taken")
class ShowsNoDelivery(RestHelpdesk):
    def show_delivery(self, comment_id: str, delivery: Delivery) -> None:
        raise RejectedError("no")


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


@red("a closed ticket takes an internal comment")
class ClosesForAll(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        if self.get_ticket(ticket_id).closed:
            raise RejectedError("422")
        return super().add_comment(ticket_id, comment, key)


@red("what is stored ahead is there, byte for byte")
class NamesHalfAnAddress(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        stored = super().upload(file, key)
        return dataclasses.replace(stored, url=f"files/{stored.id}")


@red("polling finds what an agent wrote")
class PollsForEver(Polls):
    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        return self.events.values()


class PollsOnly(RestHelpdesk):
    """A helpdesk without webhooks."""

    receive = Helpdesk.receive

    def poll(self, since: datetime) -> Iterator[HelpdeskEvent]:
        for ticket in self.call("GET", "/tickets", params={"source": "facebook_messenger"})["tickets"]:
            comments = self.call(
                "GET", f"/tickets/{ticket['id']}/comments", params={"after": since.isoformat()}
            )
            for comment in comments["comments"]:
                told = {"type": "comment.created", "data": {"ticket": ticket, "comment": comment}}
                if event := _event(told, ""):
                    yield event


class LeavesItToConfirm(Polls):
    """Learns from webhooks, and from polling, no more than that a ticket has a new comment."""

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> HelpdeskEvent | None:
        event = super().receive(body, headers, secret)
        return event and _claim(event)

    def poll(self, since: datetime) -> Iterable[HelpdeskEvent]:
        return map(_claim, super().poll(since))

    def confirm(self, event: HelpdeskEvent) -> HelpdeskEvent | None:
        ticket = self.call("GET", f"/tickets/{event.ticket.id}")["ticket"]
        comments = self.call("GET", f"/tickets/{event.ticket.id}/comments")["comments"]
        told = next((one for one in comments if event.key == f"comment:{one['id']}"), None)
        data = {"ticket": ticket, "comment": told}
        return _event({"type": "comment.created", "data": data}, "") if told else None


def _claim(event: HelpdeskEvent) -> HelpdeskEvent:
    """Return an event with what every comment looks like before it was read."""
    ticket = dataclasses.replace(event.ticket, config=None)
    bare = changed(event, body="", author_type="agent", internal=False, attachments=(), config={})
    return dataclasses.replace(bare, ticket=ticket)


class RefusesFilesLate(RestHelpdesk):
    """Takes files with their comment only, and not all."""

    def upload(self, file: File, key: str) -> Attachment | None:  # type: ignore[override]
        return None

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        if comment.files:
            raise FileRefused("the helpdesk does not take files")
        return super().add_comment(ticket_id, comment, key)


class PollsWithALimit(Polls):
    """Asks to slow down after every few comments."""

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        if next(COUNT) % 5 == 0:
            raise RateLimited("slow down", retry_after=0.01)
        return super().add_comment(ticket_id, comment, key)


class IsBusyOnce(RestHelpdesk):
    """Asks to slow down, as a helpdesk with a rate limit does."""

    busy = True

    def ping(self) -> None:
        if self.busy:
            self.busy = False
            raise RateLimited("slow down", retry_after=0.1)


class RefusesFiles(RestHelpdesk):
    """Takes no files, and says so."""

    def upload(self, file: File, key: str) -> Attachment:
        raise FileRefused("the helpdesk does not take the file (415)")


class StartsAnew(RestHelpdesk):
    """Knows no idempotency keys."""

    keys = itertools.count()

    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        return super().create_ticket(ticket, f"{key}:{next(self.keys)}")

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        return super().add_comment(ticket_id, comment, f"{key}:{next(self.keys)}")


class Deadlocks(RestHelpdesk):
    """Does not answer while it waits for its webhook's answer."""

    def get_ticket(self, ticket_id: str) -> Ticket:
        raise Unavailable("it did not answer in time")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def desk(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("helpdesk") / "db.sqlite", "--webhook-url", receiver.url)
    for number in (7, 8):
        desk.http.put(f"/sandbox/desks/{number}", json={"name": f"Desk {number}"}).raise_for_status()
    desk.http.put("/sandbox/categories/12", json={"name": "Messenger", "owner": "Ewa"}).raise_for_status()
    yield desk
    desk.stop()


Make = Callable[..., Bench]


@pytest.fixture
def make(desk: Desk, receiver: Receiver) -> Iterator[Make]:
    """Give a function that makes a bench with an adapter of a class."""
    with HttpClient() as http:

        def make(adapter: type[RestHelpdesk], hands: Hands | None = None) -> Bench:
            url = f"{desk.url}/api/v1"
            return Bench(
                adapter(http, base_url=url, api_token=TOKEN, webhook_secret=SECRET),
                "7",
                "12",
                hands=hands or SandboxHands(desk.http),
                receiver=receiver,
                stranger=adapter(http, base_url=url, api_token="wrong", webhook_secret=SECRET),
                within=2,
                page=PAGE,
            )

        yield make


def by_name(name: str) -> Check:
    return next(one for one in CHECKS if one.name == name)


def judged(bench: Bench, name: str) -> Result:
    return judge(by_name(name), bench)


@pytest.mark.parametrize(
    ("name", "adapter"), [(name, adapter) for name, adapters in BROKEN.items() for adapter in adapters]
)
def test_a_broken_adapter_is_seen(make: Make, name: str, adapter: type[RestHelpdesk]) -> None:
    result = judged(make(adapter), name)
    assert (result.outcome, bool(result.detail)) == ("failed", True)


def test_every_check_is_seen_red_by_something() -> None:
    never = {"the helpdesk answers while its webhook is answered"}  # the connector needs it not to
    assert {one.name for one in CHECKS} - never == set(BROKEN)


@pytest.mark.parametrize(
    ("adapter", "name", "what"),
    [
        (StartsAnew, "a ticket that is created twice is one", "idempotency keys"),
        (StartsAnew, "ten first messages at once are one ticket", "idempotency keys"),
        (StartsAnew, "a comment that is added twice is one", "idempotency keys"),
        (
            Deadlocks,
            "the helpdesk answers while its webhook is answered",
            "calls while it waits for its webhook's answer",
        ),
        (RestHelpdesk, "polling finds what an agent wrote", "polling"),
    ],
)
def test_what_the_connector_can_do_without_is_no_failure(
    make: Make, adapter: type[RestHelpdesk], name: str, what: str
) -> None:
    result = judged(make(adapter), name)
    assert (result.outcome, result.cannot and result.cannot.what) == ("cannot", what)


@pytest.mark.parametrize("adapter", [Polls, PollsWithALimit])
@pytest.mark.parametrize(
    "name",
    [
        "polling finds what an agent wrote",
        "polling finds what stands on the second page",
        "a ticket that was merged into another person's takes no message",
    ],
)
def test_an_adapter_that_polls_properly_passes(make: Make, adapter: type[RestHelpdesk], name: str) -> None:
    assert judged(make(adapter), name).outcome == "passed"


class Apart(SandboxHands):
    """Agents of a helpdesk that merges no tickets."""

    def merge_ticket(self, ticket_id: str, into: str) -> None:
        raise Cannot("merging tickets", "there are no merged ones to follow")


def test_an_adapter_that_only_polls_passes(make: Make, desk: Desk) -> None:
    bench = make(PollsOnly, Apart(desk.http))
    outcomes = {one.name: judge(one, bench).outcome for one in CHECKS}
    assert {name for name, outcome in outcomes.items() if outcome != "passed"} == {
        "agents' comments can be learnt of",
        "a webhook that comes again is known",
        "a forged webhook is refused",
        "the helpdesk answers while its webhook is answered",
        "a closed ticket takes an internal comment",
        "messages to a merged ticket stand on the one that is left, once",
        "a ticket that was merged into another person's takes no message",
    }
    assert "failed" not in outcomes.values()


def test_an_adapter_that_leaves_the_customer_to_confirm_passes(make: Make) -> None:
    bench = make(LeavesItToConfirm)
    outcomes = {one.name: judge(one, bench).outcome for one in CHECKS}
    assert {name for name, outcome in outcomes.items() if outcome != "passed"} == {
        "a closed ticket takes an internal comment"
    }


@pytest.mark.parametrize("adapter", [RefusesFiles, RefusesFilesLate])
@pytest.mark.parametrize(
    "name",
    [
        "a file that is refused is named, and the text is there",
        "a customer's empty file does not hold up its message",
        "a customer's text files keep their encoding",
    ],
)
def test_a_helpdesk_that_refuses_files_as_it_should_passes(
    make: Make, adapter: type[RestHelpdesk], name: str
) -> None:
    assert judged(make(adapter), name).outcome == "passed"


class Slipping(SandboxHands):
    """Agents of a helpdesk that drops empty files before anybody sees them."""

    def reply_as_agent(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[File] = ()
    ) -> None:
        super().reply_as_agent(ticket_id, text, internal=internal, files=[one for one in files if one.size])


def test_an_empty_file_that_no_agent_sees_is_not_the_adapters_fault(make: Make, desk: Desk) -> None:
    result = judged(
        make(RestHelpdesk, Slipping(desk.http)), "an agent's empty file does not hold up its reply"
    )
    assert (result.outcome, result.cannot and result.cannot.what) == ("cannot", "empty files of agents")


def test_a_helpdesk_that_asks_for_patience_gets_it(make: Make) -> None:
    assert judged(make(IsBusyOnce), "a ping is answered").outcome == "passed"


def test_a_helpdesk_that_answers_too_late_inside_its_webhook_cannot(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "PATIENCE", 0.0)
    result = judged(make(RestHelpdesk), "the helpdesk answers while its webhook is answered")
    assert result.outcome == "cannot"


def test_what_nobody_does_is_not_checked(make: Make) -> None:
    results = [judge(one, make(RestHelpdesk, Hands())) for one in CHECKS]
    outcomes = {one.check.name: one.outcome for one in results}
    assert "failed" not in outcomes.values()
    assert outcomes["a ping is answered"] == "passed"
    assert (
        outcomes["a closed ticket takes no message"]
        == outcomes["an agent's comment arrives"]
        == "not checked"
    )
