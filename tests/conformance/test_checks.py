"""Each check is red for an adapter, or a helpdesk, that breaks what its promise rests on."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import pytest

from clients.errors import FileRefused, RateLimited, Unavailable
from clients.helpdesk import AgentReply, Attachment, Helpdesk, NewComment, NewTicket, Ticket
from clients.helpdesks.rest import RestHelpdesk, _agent_reply
from clients.http import HttpClient
from clients.media import File
from conformance import webhooks
from conformance.agent import HelpdeskAgent
from conformance.check import Check, Result
from conformance.checks import CHECKS
from conformance.context import Context
from conformance.outcome import Cannot
from conformance.receiver import Receiver
from conformance.runner import judge
from tests.fakes.broken import messages, tickets  # noqa: F401 - each says what it breaks
from tests.fakes.broken.polling import Polls
from tests.fakes.broken.registry import BROKEN, COUNT, PAGE
from tests.fakes.broken.replies import changed
from tests.fakes.sandbox_agent import SandboxAgent
from tests.fakes.sandbox_helpdesk import SECRET, TOKEN, Desk


class PollsOnly(RestHelpdesk):
    """A helpdesk without webhooks."""

    receive = Helpdesk.receive

    def poll(self, since: datetime) -> Iterator[AgentReply]:
        for ticket in self.call("GET", "/tickets", params={"source": "facebook_messenger"})["tickets"]:
            comments = self.call(
                "GET", f"/tickets/{ticket['id']}/comments", params={"after": since.isoformat()}
            )
            for comment in comments["comments"]:
                told = {"type": "comment.created", "data": {"ticket": ticket, "comment": comment}}
                if reply := _agent_reply(told):
                    yield reply


class WebhooksOnly(RestHelpdesk):
    """A helpdesk that is not polled."""

    poll = Helpdesk.poll


class LeavesItToConfirm(Polls):
    """Learns from webhooks, and from polling, no more than that a ticket has a new comment."""

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> AgentReply | None:
        reply = super().receive(body, headers, secret)
        return reply and _claim(reply)

    def poll(self, since: datetime) -> Iterable[AgentReply]:
        return map(_claim, super().poll(since))

    def confirm(self, reply: AgentReply) -> AgentReply | None:
        ticket = self.call("GET", f"/tickets/{reply.ticket.id}")["ticket"]
        comments = self.call("GET", f"/tickets/{reply.ticket.id}/comments")["comments"]
        told = next((one for one in comments if reply.key == f"comment:{one['id']}"), None)
        data = {"ticket": ticket, "comment": told}
        return _agent_reply({"type": "comment.created", "data": data}) if told else None


def _claim(reply: AgentReply) -> AgentReply:
    """Return a reply with what every comment looks like before it was read."""
    ticket = dataclasses.replace(reply.ticket, customer=None)
    bare = changed(reply, body="", author_type="agent", internal=False, attachments=(), from_connector=False)
    return dataclasses.replace(bare, ticket=ticket, is_confirmed=False)


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


Make = Callable[..., Context]


@pytest.fixture
def make(desk: Desk, receiver: Receiver) -> Iterator[Make]:
    """Give a function that makes a context with an adapter of a class."""
    with HttpClient() as http:

        def make(adapter: type[RestHelpdesk], agent: HelpdeskAgent | None = None) -> Context:
            url = f"{desk.url}/api/v1"
            return Context(
                adapter(http, base_url=url, api_token=TOKEN, webhook_secret=SECRET),
                "7",
                "12",
                agent=agent or SandboxAgent(desk.http),
                receiver=receiver,
                wrong_token=adapter(http, base_url=url, api_token="wrong", webhook_secret=SECRET),
                within=2,
                page=PAGE,
            )

        yield make


def by_name(name: str) -> Check:
    return next(one for one in CHECKS if one.name == name)


def judged(context: Context, name: str) -> Result:
    return judge(by_name(name), context)


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
        (WebhooksOnly, "polling finds what an agent wrote", "polling"),
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


class Apart(SandboxAgent):
    """Agents of a helpdesk that merges no tickets."""

    def merge_ticket(self, ticket_id: str, into: str) -> None:
        raise Cannot("merging tickets", "there are no merged ones to follow")


def test_an_adapter_that_only_polls_passes(make: Make, desk: Desk) -> None:
    context = make(PollsOnly, Apart(desk.http))
    outcomes = {one.name: judge(one, context).outcome for one in CHECKS}
    assert {name for name, outcome in outcomes.items() if outcome != "passed"} == {
        "agents' comments reach the connector",
        "a webhook that comes again is known",
        "a forged webhook is refused",
        "a webhook comes when it is asked for",
        "the helpdesk answers while its webhook is answered",
        "a closed ticket takes an internal comment",
        "messages to a merged ticket stand on the one that is left, once",
        "a ticket that was merged into another person's takes no message",
    }
    assert "failed" not in outcomes.values()


def test_an_adapter_that_leaves_the_customer_to_confirm_passes(make: Make) -> None:
    context = make(LeavesItToConfirm)
    outcomes = {one.name: judge(one, context).outcome for one in CHECKS}
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


class Slipping(SandboxAgent):
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
    monkeypatch.setattr(webhooks, "CALL_WITHIN", 0.0)
    result = judged(make(RestHelpdesk), "the helpdesk answers while its webhook is answered")
    assert result.outcome == "cannot"


def test_what_nobody_does_is_not_checked(make: Make) -> None:
    results = [judge(one, make(RestHelpdesk, HelpdeskAgent())) for one in CHECKS]
    outcomes = {one.check.name: one.outcome for one in results}
    assert "failed" not in outcomes.values()
    assert outcomes["a ping is answered"] == "passed"
    assert (
        outcomes["a closed ticket takes no message"]
        == outcomes["an agent's comment arrives"]
        == "not checked"
    )
