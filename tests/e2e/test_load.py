"""60 people write 10 messages each, at once, while things break: all arrive, once, in order."""

import pytest

from sandbox.stack import Stack
from tests.e2e.load import Ledger, kill, restless


@pytest.fixture
def ledger(stack: Stack) -> Ledger:
    return restless(stack)


def test_all_messages_arrive_once_and_in_order(ledger: Ledger) -> None:
    ledger.write(60, 10)
    ledger.wait_until_quiet()

    assert list(ledger.faults()) == []


@pytest.mark.parametrize("victim", ["worker", "web", "store"])
def test_killing_a_part_in_the_middle_loses_and_doubles_nothing(ledger: Ledger, victim: str) -> None:
    ledger.write(60, 10)
    for share in (0.2, 0.6):
        ledger.wait_for_share(share)
        kill(ledger.stack, victim)
    ledger.wait_until_quiet()

    assert list(ledger.faults()) == []
