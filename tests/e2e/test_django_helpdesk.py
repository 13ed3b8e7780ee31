"""The whole product on a real django-helpdesk: a person on Messenger, an agent in the helpdesk's pages."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
import redis

from clients.channels.meta.events import CHANNEL
from sandbox.django_helpdesk.agent import Comment
from sandbox.django_helpdesk.host.accounts import AGENT
from sandbox.django_helpdesk.server import writer_of
from sandbox.django_helpdesk.stack import DjangoStack
from sandbox.samples import document, photo
from sandbox.stack import until
from sandbox.staff import Refused
from tasks.store import connect
from tests.e2e.conftest import QUICK
from tests.e2e.load import RELAYED, RESTLESS, kill, metric

T = TypeVar("T")
numbers = itertools.count()
SETTINGS: dict[str, Any] = {"worker": QUICK["worker"] | {"attempts": 10}, "helpdesk": {"poll_every": 1}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoStack]:
    """Return a stack with a django-helpdesk that is polled every second."""
    with DjangoStack(tmp_path_factory.mktemp("stack"), settings=SETTINGS) as running:
        # What was written before the first poll is not found by polling.
        until("it has polled", lambda: store_of(running, lambda store: store.exists("mc:polled")))
        yield running


@pytest.fixture
def psid() -> str:
    return f"7650000000{next(numbers):06}"


def store_of(stack: DjangoStack, ask: Callable[[redis.Redis], T]) -> T:
    """Ask the connector's store."""
    with connect(stack.store_url) as store:
        return ask(store)


def tickets_of(stack: DjangoStack, psid: str) -> list[dict[str, Any]]:
    """Return a person's tickets as the API has them."""
    return [ticket for ticket in stack.desk.tickets() if writer_of(ticket) == psid]


def comments(stack: DjangoStack, psid: str, count: int) -> list[Comment]:
    """Wait until an agent sees so many comments on a person's newest ticket."""

    def enough() -> list[Comment] | None:
        tickets = tickets_of(stack, psid)
        found = stack.agent.comments(tickets[-1]["id"]) if tickets else []
        return found if len(found) >= count else None

    return until(f"{count} comments", enough, 60)


def received(stack: DjangoStack, psid: str, count: int) -> list[dict[str, Any]]:
    """Wait until a person got so many messages."""

    def enough() -> list[dict[str, Any]] | None:
        found = stack.received(psid)
        return found if len(found) >= count else None

    return until(f"{count} messages", enough, 60)


def test_a_conversation_goes_both_ways_with_files(stack: DjangoStack, psid: str) -> None:
    stack.write(psid, text="Hello {{ shop }}", files=[photo().as_json()])
    stack.write(psid, text="and the invoice?", files=[document().as_json()])
    first, second = comments(stack, psid, 2)
    (ticket,) = tickets_of(stack, psid)

    assert first.text.startswith("Hello {{ shop }}")
    assert second.text.partition(":\n")[2].startswith("and the invoice?")
    until(
        "the files are there", lambda: [bool(one.files) for one in comments(stack, psid, 2)] == [True, True]
    )

    stack.agent.reply(ticket["id"], "Here it is, **Anna**.", files=[document()])
    text, file = received(stack, psid, 2)
    assert text["text"] == "Here it is, Anna."
    assert file["attachments"][0]["type"] == "file"


def test_what_an_agent_writes_for_colleagues_stays_there(stack: DjangoStack, psid: str) -> None:
    stack.write(psid, text="hello")
    comments(stack, psid, 1)
    ticket_id = tickets_of(stack, psid)[0]["id"]
    stack.agent.reply(ticket_id, "She is angry.", public=False)
    stack.agent.reply(ticket_id, "Good morning!")

    assert [message["text"] for message in received(stack, psid, 1)] == ["Good morning!"]


def test_after_the_ticket_is_closed_a_message_opens_another(stack: DjangoStack, psid: str) -> None:
    stack.write(psid, text="one")
    comments(stack, psid, 1)
    stack.agent.close(tickets_of(stack, psid)[0]["id"], "Bye!")
    assert received(stack, psid, 1)[0]["text"] == "Bye!"
    stack.write(psid, text="two")

    first, second = until(
        "a second ticket", lambda: found if len(found := tickets_of(stack, psid)) > 1 else None
    )
    assert (first["status"], second["status"]) == (4, 1)
    assert [comment.text for comment in comments(stack, psid, 1)] == ["two"]


def test_a_reply_whose_webhook_was_lost_goes_out(stack: DjangoStack, psid: str) -> None:
    stack.write(psid, text="hello")
    comments(stack, psid, 1)
    stack.stop_connector()
    with pytest.raises(Refused):  # the page answers 500, as nobody takes the webhook; the comment is stored
        stack.agent.reply(tickets_of(stack, psid)[0]["id"], "Good morning!")
    stack.start_connector()

    assert [message["text"] for message in received(stack, psid, 1)] == ["Good morning!"]


def test_an_owner_who_is_assigned_makes_no_second_ticket(stack: DjangoStack, psid: str) -> None:
    stack.write(psid, text="one")
    comments(stack, psid, 1)
    (ticket,) = tickets_of(stack, psid)
    stack.agent.assign(ticket["id"], AGENT)  # this form blanks the custom fields
    link = f"mc:open_ticket:{CHANNEL}:{stack.pages[0].page_id}:{psid}"
    assert store_of(stack, lambda store: store.delete(link))
    stack.write(psid, text="two")

    until("the second message is there", lambda: len(stack.agent.comments(ticket["id"])) == 3)
    assert len(tickets_of(stack, psid)) == 1


@pytest.mark.parametrize("fate", ["worker killed", "helpdesk killed", "helpdesk frozen"])
def test_what_happens_in_the_middle_loses_and_doubles_nothing(stack: DjangoStack, fate: str) -> None:
    stack.ask_meta("PUT", "/behaviour", RESTLESS)
    psids = [f"7660000000{next(numbers):06}" for _ in range(6)]
    before = metric(stack, RELAYED)
    for psid, number in itertools.product(psids, range(6)):
        stack.write(psid, text=f"message {number} of {psid}")
    until(
        "some arrived",
        lambda: metric(stack, 'connector_events_total{outcome="relayed:in"}') > before + 15,
        60,
    )
    if fate == "worker killed":
        kill(stack, "worker")
    else:
        stack.desk.kill() if fate == "helpdesk killed" else stack.desk.pause()
        until(
            "it is found down", lambda: metric(stack, 'connector_remote_paused{remote="helpdesk"}') == 1, 120
        )
        # One that was frozen now takes, late, what nobody waits for any more.
        stack.desk.start() if fate == "helpdesk killed" else stack.desk.resume()
    until("Meta has delivered all", lambda: stack.ask_meta("GET", "/webhooks")["waiting"] == 0, 60)
    until("the inbox is empty", lambda: metric(stack, "connector_queues") == 0, 240)

    for psid in psids:
        (ticket,) = tickets_of(stack, psid)
        texts = [one.text.rpartition("\n")[2] for one in stack.agent.comments(ticket["id"])]
        assert texts == [f"message {number} of {psid}" for number in range(6)]
