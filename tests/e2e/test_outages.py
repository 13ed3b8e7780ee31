"""The helpdesk is away, or fails after it stored: nothing is lost, doubled or out of order."""

from collections.abc import Callable

import pytest

from sandbox.stack import Stack, until
from tests.e2e.load import RESTLESS, Ledger, kill, metric

Start = Callable[..., Stack]
CREATES = ("/api/v1/tickets", "/api/v1/tickets/*/comments")


def restless(stack: Stack) -> Ledger:
    stack.ask_desk("PUT", "/settings", {"honour_idempotency": False})
    stack.ask_meta("PUT", "/behaviour", RESTLESS)
    return Ledger(stack)


def test_the_helpdesk_may_be_down_for_a_while(start: Start) -> None:
    ledger = restless(start())
    stack = ledger.stack
    ledger.write(40, 10)
    ledger.wait_for_share(0.2)
    stack.desk.kill()
    # The whole side pauses, so it is not asked often: this takes longer than the three tries of one event.
    until("the helpdesk was found down often", lambda: metric(stack, _outcome("postponed")) > 20, 60)
    stack.desk.start()
    ledger.wait_until_quiet()

    assert list(ledger.faults()) == []
    assert metric(stack, "connector_dead_letters") == 0


def test_a_helpdesk_that_stores_and_then_answers_500_gets_nothing_twice(start: Start) -> None:
    ledger = restless(start(settings={"worker": {"lease": 3, "attempts": 10}}))
    faults = [{"method": "POST", "path": path, "every": 3, "status": 500, "after": True} for path in CREATES]
    ledger.stack.ask_desk("PUT", "/faults", faults)
    ledger.write(40, 10)
    ledger.wait_until_quiet()

    assert list(ledger.faults()) == []


def test_a_helpdesk_that_hangs_up_after_the_request_gets_nothing_twice(start: Start) -> None:
    ledger = restless(start(settings={"worker": {"lease": 3, "attempts": 10}}))
    faults = [{"method": "POST", "path": path, "every": 4, "drop": True, "after": True} for path in CREATES]
    ledger.stack.ask_desk("PUT", "/faults", faults)
    ledger.write(30, 10)
    ledger.wait_until_quiet()

    assert list(ledger.faults()) == []


@pytest.mark.parametrize("status", [503, 404, 302])
def test_a_helpdesk_that_takes_nothing_new_for_a_while_gets_all_of_it_later(
    start: Start, status: int
) -> None:
    stack = start()
    stack.ask_desk("PUT", "/faults", [{"method": "POST", "path": CREATES[0], "status": status}])
    for number in range(5):
        stack.write(f"7350000000000{number:03}", text="hello")
    # More often than the three tries that an event has which fails for its own fault.
    until("it was asked often", lambda: stack.ask_desk("GET", "/faults")[0]["hits"] >= 5, 60)
    stack.ask_desk("DELETE", "/faults")

    until("all have a ticket", lambda: len(stack.tickets()) == 5, 30)
    assert metric(stack, "connector_dead_letters") == 0


def test_a_slow_helpdesk_holds_no_other_sender_back(start: Start) -> None:
    stack = start()
    stack.ask_desk("PUT", "/faults", [{"method": "POST", "path": CREATES[0], "times": 8, "delay": 10}])
    for number in range(8):
        stack.write(f"7100000000000{number:03}", text="slow")
    until("eight calls wait for their answer", lambda: stack.ask_desk("GET", "/faults")[0]["hits"] == 8)
    stack.write("7200000000000000", text="quick")

    until("the ninth sender has a ticket", lambda: stack.tickets("7200000000000000"), 10)
    assert len(stack.tickets()) == 1


def test_retry_after_is_honoured(start: Start) -> None:
    stack = start()
    refusal = {
        "method": "POST",
        "path": CREATES[0],
        "times": 1,
        "status": 429,
        "headers": {"Retry-After": "4"},
    }
    stack.ask_desk("PUT", "/faults", [refusal])
    stack.write("7300000000000000", text="hello")
    until("the helpdesk was asked once", lambda: metric(stack, _outcome("postponed")) == 1)
    stack.write("7300000000000001", text="hello")
    until("both have a ticket", lambda: len(stack.tickets()) == 2, 15)

    (fault,) = stack.ask_desk("GET", "/faults")
    assert fault["hits"] == 1
    created = sorted(str(ticket["created_at"]) for ticket in stack.tickets())
    assert len(created) == 2


def test_the_store_may_be_killed_while_replies_are_on_their_way(start: Start) -> None:
    stack = start()
    for number in range(20):
        stack.write(f"7400000000000{number:03}", text="hello")
    tickets = until("20 tickets", lambda: found if len(found := stack.tickets()) == 20 else None)
    for round_ in range(5):
        for ticket in tickets:
            stack.reply(ticket["id"], f"reply {round_}")
        if round_ in {1, 3}:
            kill(stack, "store")

    for ticket in tickets:
        _wait_for_replies(stack, ticket["config"]["sender_id"], 5)
    until("the inbox is empty", lambda: metric(stack, "connector_threads") == 0, 60)
    for ticket in tickets:
        texts = [message["text"] for message in stack.received(ticket["config"]["sender_id"])]
        assert texts == [f"reply {round_}" for round_ in range(5)]


def _wait_for_replies(stack: Stack, psid: str, count: int) -> None:
    until(f"{psid} has {count} replies", lambda: len(stack.received(psid)) >= count, 60)


def _outcome(name: str) -> str:
    return f'connector_events_total{{outcome="{name}"}}'
