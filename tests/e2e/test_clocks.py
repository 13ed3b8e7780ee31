"""Parts on machines whose clocks are wrong: nothing is lost, late, doubled or refused for it."""

import re
from collections.abc import Iterator

import pytest

from sandbox.stack import until
from tests.chaos.system import System

HOUR = 3600.0
CLOCKS = {"web": -HOUR, "worker-1": HOUR, "worker-2": 8.0, "beat": -8.0}
PSID = "7900000000000001"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("clocks"), clocks=CLOCKS, lease=3, echo_wait=3) as running:
        running.ask_desk("PUT", "/settings", {"honour_idempotency": False})
        yield running


def texts(system: System, psid: str) -> list[str]:
    return [message["text"] for message in system.received(psid)]


def test_what_was_put_off_goes_on(system: System) -> None:
    fault = {"method": "POST", "path": "/api/v1/tickets", "times": 3, "status": 500}
    system.ask_desk("PUT", "/faults", [fault])
    system.write(PSID, text="hello")

    (ticket,) = until("the ticket is there", lambda: system.tickets(PSID), within=20)
    assert ticket["body"] == "hello"


def test_a_helpdesks_webhook_is_taken_and_a_reply_whose_answer_got_lost_is_sent_once(system: System) -> None:
    system.write(PSID, text="are you there?")
    ticket = until("there is a ticket", lambda: system.tickets(PSID))[0]
    system.ask_meta("PUT", "/behaviour", {"lost_after_send": {"every": 2}, "echo_before_response": 0.0})
    for number in range(4):
        system.reply(ticket["id"], f"reply {number}")

    until("all is sent", lambda: len(system.received(PSID)) >= 4 and system.is_quiet(), within=60)
    assert texts(system, PSID) == [f"reply {number}" for number in range(4)]


def test_differences_are_shown(system: System) -> None:
    def shown() -> dict[str, int]:
        text = system.metrics()
        found = re.findall(
            r'^connector_clock_difference_seconds\{clock="(.*?)@.*"\} (\S+)$', text, re.MULTILINE
        )
        return {name: round(float(seconds)) for name, seconds in found}

    def both() -> dict[str, int]:
        known = shown()
        return known if {"web", "worker"} <= known.keys() else {}

    differing = until("web and worker were measured", both)
    assert differing["web"] == -HOUR
    assert differing["worker"] in {HOUR, 8}
