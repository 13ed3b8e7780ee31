"""Clocks that are wrong: the store's decides, the others are measured and told of."""

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from tasks import clocks
from tasks.celery import _schedule
from tasks.clocks import Clocks, differences
from tasks.inbox.inbox import Inbox
from tasks.store import connect


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    store = connect(store_url)
    yield Inbox(store)
    store.close()


OWN = f"worker@{socket.gethostname()}"


class Ahead:
    """A machine's clock that is ahead."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return time.time_ns() / 1e9 + self.seconds


def measured(inbox: Inbox, monkeypatch: pytest.MonkeyPatch, *seconds: float) -> list[Any]:
    """Measure this machine's clock as it goes wrong by so much; return what was logged."""
    clock, measures = Ahead(0), Clocks(inbox, "worker")
    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr(clocks, "MEASURE_EVERY", 0)
    with capture_logs() as logs:
        for clock.seconds in seconds:
            measures.measure_own()
    return [line["event"] for line in logs]


def test_a_clock_that_is_right_is_shown_and_not_told(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(inbox, monkeypatch, 0.0, 1.5) == []
    assert differences(inbox) == {OWN: pytest.approx(1.5, abs=0.3)}


@pytest.mark.parametrize("seconds", [3600, 5, -5, -3600])
def test_a_clock_that_differs_is_shown_and_told_once(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    told = measured(inbox, monkeypatch, seconds, seconds)

    assert told == ["clock_differs_from_the_stores"]
    assert differences(inbox) == {OWN: pytest.approx(seconds, abs=0.3)}


@pytest.mark.parametrize("off", [0, 60, -60])
@pytest.mark.parametrize(("before", "after"), [(3, 0), (0, 3), (1.5, 1.5)])
def test_a_store_that_answers_slowly_makes_no_clock_differ(
    monkeypatch: pytest.MonkeyPatch, off: float, before: float, after: float
) -> None:
    passed, notes = [0.0], []

    def now() -> float:
        passed[0] += before
        told = 1e9 + passed[0]
        passed[0] += after
        return told

    monkeypatch.setattr(time, "monotonic", lambda: passed[0])
    monkeypatch.setattr(time, "time", lambda: 1e9 + passed[0] + off)
    inbox = Mock(now=now, note_clock=lambda _, measurement: notes.append(json.loads(measurement)[0]))
    Clocks(inbox, "worker").measure_own()

    assert notes == [pytest.approx(off, abs=3 if off else 0)]


def test_a_clock_that_was_set_right_is_told(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    told = measured(inbox, monkeypatch, 5, 0, 0, 5)

    assert told == ["clock_differs_from_the_stores", "clock_agrees", "clock_differs_from_the_stores"]


def test_a_clock_is_measured_now_and_then(inbox: Inbox) -> None:
    measures = Clocks(inbox, "worker")
    measures.measure("helpdesk", datetime.now(UTC))
    measures.measure("helpdesk", datetime.now(UTC) + timedelta(hours=1))

    assert differences(inbox) == {"helpdesk": pytest.approx(0, abs=0.3)}


def test_a_service_that_tells_no_time_is_not_measured(inbox: Inbox) -> None:
    Clocks(inbox, "worker").measure("helpdesk", None)

    assert differences(inbox) == {}


def test_a_measurement_is_shown_for_an_hour(inbox: Inbox) -> None:
    inbox.store.hset("mc:clocks", "worker@gone", f"[5, {inbox.now() - 3601}]")

    assert differences(inbox) == {}


def test_no_message_of_the_scheduler_runs_out_by_another_machines_clock() -> None:
    assert all("expires" not in entry["options"] for entry in _schedule(60, 60).values())
