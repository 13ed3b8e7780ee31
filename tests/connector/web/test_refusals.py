"""Why a webhook is not taken: what is told of it, and how often."""

import time
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from clients.channel import Credentials
from connector.web.body import MAX_BODY
from connector.web.metrics import Counters
from connector.web.refusals import Refusals
from tasks.connections import Connection, Directory
from tests.conftest import PAGE_A
from tests.fakes.helpdesk_webhooks import headers
from tests.fakes.web import HELPDESK, MESSAGE, MESSENGER, REPLY, Doors, entry, envelope, item

OF_AN_UNKNOWN_PAGE = envelope(entry(item("m_1", page="123"), page="123"))
HANDSHAKE = {"hub.mode": "subscribe", "hub.verify_token": "a guess"}


KNOWN = Directory([Connection("facebook_messenger", Credentials(PAGE_A), "", "7", None)])


@pytest.mark.parametrize(
    ("ask", "told", "advice"),
    [
        (
            lambda doors: doors.meta(MESSAGE, "wrong"),
            f"facebook_messenger {PAGE_A} wrong_secret",
            "app_secret",
        ),
        (
            lambda doors: doors.meta(OF_AN_UNKNOWN_PAGE, "wrong"),
            "facebook_messenger  unknown_page",
            "this page_id",
        ),
        (
            lambda doors: doors.http.post(MESSENGER, content=MESSAGE).status_code,
            "facebook_messenger  unsigned",
            "X-Hub-Signature-256",
        ),
        (lambda doors: doors.meta(b" " * (MAX_BODY + 1)), "facebook_messenger  too_large", ""),
        (
            lambda doors: doors.http.get(MESSENGER, params=HANDSHAKE).status_code,
            "facebook_messenger  verify_token",
            "verify_token",
        ),
        (
            lambda doors: doors.helpdesk(REPLY, signature="v1,AAAA"),
            "helpdesk  wrong_secret",
            "helpdesk.webhook_secret",
        ),
        (
            lambda doors: doors.http.post(HELPDESK, content=REPLY).status_code,
            "helpdesk  unsigned",
            "helpdesk.adapter",
        ),
        (lambda doors: doors.helpdesk(b"{}"), "helpdesk  not_understood", "docs/helpdesk-api.md"),
        (lambda doors: doors.helpdesk(REPLY, 1795383000), "helpdesk  clock", "NTP"),
        (lambda doors: doors.helpdesk(b" " * (MAX_BODY + 1)), "helpdesk  too_large", ""),
    ],
)
def test_what_is_refused_is_told_once_with_its_reason_and_what_to_do(
    own_doors: Doors, ask: Callable[[Doors], int], told: str, advice: str
) -> None:
    endpoint, page, reason = told.split(" ")
    with capture_logs() as logs:
        statuses = {ask(own_doors) for _ in range(3)}

    assert own_doors.refused(endpoint, reason, page) == 3
    assert statuses <= {400, 401, 403, 413}
    (line,) = [line for line in logs if line["event"] == "webhook_refused"]
    assert (line["endpoint"], line.get("page", ""), line["reason"]) == (endpoint, page, reason)
    assert advice in line.get("hint", "")


def test_a_helpdesk_is_told_why_its_webhook_is_refused(doors: Doors) -> None:
    wrong = doors.http.post(HELPDESK, content=REPLY, headers=headers(REPLY, signature="v1,AAAA"))
    assert wrong.text == "The signature is not by helpdesk.webhook_secret."


def test_what_is_refused_again_and_again_is_told_once_a_minute_with_its_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals = Refusals(Counters(CollectorRegistry()), KNOWN)
    with capture_logs() as logs:
        for second in range(90):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            refusals.refuse("facebook_messenger", "wrong_secret", PAGE_A)

    assert [line["count"] for line in logs] == [1, 60]


def test_pages_that_somebody_makes_up_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.web.refusals.MOST_TOLD", 10)
    refusals = Refusals(Counters(CollectorRegistry()), KNOWN)
    with capture_logs() as logs:
        for page in range(100):
            refusals.keep("facebook_messenger", str(page), 1)

    assert len(logs) == 11
