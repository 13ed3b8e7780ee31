"""The helpdesk is away, or fails after it stored: nothing is lost, doubled or out of order."""

import itertools
import time
from collections.abc import Iterator, Sequence

import pytest

from sandbox.stack import Stack, until
from tests.e2e.load import kill, metric, restless

CREATES = ("/api/v1/tickets", "/api/v1/tickets/*/comments")
POSTPONED = 'connector_events_total{outcome="postponed"}'
numbers = itertools.count()


@pytest.fixture(scope="module")
def tireless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack whose events bear more failures, for a helpdesk that fails all the time."""
    settings = {"worker": {"lease": 3, "attempts": 10}}
    with Stack(tmp_path_factory.mktemp("tireless"), settings=settings) as running:
        yield running


@pytest.fixture(autouse=True)
def _mend(stack: Stack) -> Iterator[None]:
    yield
    stack.ask_desk("DELETE", "/faults")


def new_senders(count: int) -> list[str]:
    return [f"7300000000{next(numbers):06}" for _ in range(count)]


def have_tickets(stack: Stack, psids: Sequence[str]) -> bool:
    return set(psids) <= {ticket["config"]["sender_id"] for ticket in stack.tickets()}


def test_the_helpdesk_may_be_down_for_a_while(stack: Stack) -> None:
    ledger, before = restless(stack), metric(stack, POSTPONED)
    ledger.write(40, 6)
    ledger.wait_for_share(0.2)
    stack.desk.kill()
    # The whole remote pauses, so it is not asked often: this takes longer than the three tries of one event.
    until("the helpdesk was found down often", lambda: metric(stack, POSTPONED) > before + 20, 60)
    stack.desk.start()
    ledger.wait_until_quiet()

    assert list(ledger.faults()) == []
    assert metric(stack, "connector_dead_letters") == 0


def test_a_helpdesk_that_stores_and_then_answers_500_gets_nothing_twice(tireless: Stack) -> None:
    ledger = restless(tireless)
    faults = [{"method": "POST", "path": path, "every": 3, "status": 500, "after": True} for path in CREATES]
    tireless.ask_desk("PUT", "/faults", faults)
    ledger.write(20, 8)
    ledger.wait_until_quiet()

    assert list(ledger.faults()) == []


def test_a_helpdesk_that_hangs_up_after_the_request_gets_nothing_twice(tireless: Stack) -> None:
    ledger = restless(tireless)
    faults = [{"method": "POST", "path": path, "every": 4, "drop": True, "after": True} for path in CREATES]
    tireless.ask_desk("PUT", "/faults", faults)
    ledger.write(20, 8)
    ledger.wait_until_quiet()

    assert list(ledger.faults()) == []


@pytest.mark.parametrize("status", [503, 404, 302])
def test_a_helpdesk_that_takes_nothing_new_for_a_while_gets_all_of_it_later(
    stack: Stack, status: int
) -> None:
    stack.ask_desk("PUT", "/faults", [{"method": "POST", "path": CREATES[0], "status": status}])
    for psid in (psids := new_senders(5)):
        stack.write(psid, text="hello")
    # More often than the three tries that an event has which fails for its own fault.
    until("it was asked often", lambda: stack.ask_desk("GET", "/faults")[0]["hits"] >= 5, 60)
    stack.ask_desk("DELETE", "/faults")

    until("all have a ticket", lambda: have_tickets(stack, psids), 30)
    assert metric(stack, "connector_dead_letters") == 0


def test_a_slow_helpdesk_holds_no_other_sender_back(stack: Stack) -> None:
    *slow, quick = new_senders(9)
    stack.ask_desk("PUT", "/faults", [{"method": "POST", "path": CREATES[0], "times": 8, "delay": 10}])
    for psid in slow:
        stack.write(psid, text="slow")
    until("eight calls wait for their answer", lambda: stack.ask_desk("GET", "/faults")[0]["hits"] == 8)
    stack.write(quick, text="quick")

    until("the ninth sender has a ticket", lambda: stack.tickets(quick), 10)
    assert not any(stack.tickets(psid) for psid in slow)
    stack.desk.kill()  # nothing else ends the calls that wait
    stack.desk.start()
    until("the slow ones have their tickets", lambda: have_tickets(stack, slow))


def test_retry_after_is_honoured(stack: Stack) -> None:
    first, second = new_senders(2)
    headers = {"Retry-After": "4"}
    refusal = {"method": "POST", "path": CREATES[0], "times": 1, "status": 429, "headers": headers}
    stack.ask_desk("PUT", "/faults", [refusal])
    before, began = metric(stack, POSTPONED), time.monotonic()
    stack.write(first, text="hello")
    until("the helpdesk refused once", lambda: metric(stack, POSTPONED) > before)
    stack.write(second, text="hello")

    until("one has a ticket", lambda: stack.tickets(first) or stack.tickets(second))
    assert time.monotonic() - began >= 4
    until("both have a ticket", lambda: have_tickets(stack, [first, second]))


def test_the_store_may_be_killed_while_replies_are_on_their_way(stack: Stack) -> None:
    for psid in (psids := new_senders(20)):
        stack.write(psid, text="hello")
    until("20 tickets", lambda: have_tickets(stack, psids))
    tickets = {psid: stack.tickets(psid)[0]["id"] for psid in psids}
    for round_ in range(5):
        for ticket_id in tickets.values():
            stack.reply(ticket_id, f"reply {round_}")
        if round_ in {1, 3}:
            kill(stack, "store")

    for psid in psids:
        wait_for_replies(stack, psid, 5)
    until("the inbox is empty", lambda: metric(stack, "connector_queues") == 0, 60)
    for psid in psids:
        texts = [message["text"] for message in stack.received(psid)]
        assert texts == [f"reply {round_}" for round_ in range(5)]


def wait_for_replies(stack: Stack, psid: str, count: int) -> None:
    until(f"{psid} has {count} replies", lambda: len(stack.received(psid)) >= count, 60)
