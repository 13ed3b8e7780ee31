"""By how much a service's clock differs, as its `Date` tells: in whole seconds, and some time ago."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from clients.http import HttpClient, RestClient


class Machine:
    """A machine whose time a test sets, and a service that takes a while, with a clock that differs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed, self.ahead, self.before, self.after = 0.0, 0.0, 0.0, 0.0
        self.start = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
        machine = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
                return machine.start + timedelta(seconds=machine.passed)

        monkeypatch.setattr("clients.http.datetime", Clock)
        monkeypatch.setattr(time, "monotonic", lambda: self.passed)
        self._client = RestClient(
            HttpClient(httpx.MockTransport(self._answer)), "https://desk.example", {}, "helpdesk"
        )

    def _answer(self, _: httpx.Request) -> httpx.Response:
        self.passed += self.before
        date = self.start + timedelta(seconds=self.passed + self.ahead)
        self.passed += self.after
        return httpx.Response(200, json={}, headers={"Date": format_datetime(date, usegmt=True)})

    def found(self) -> float:
        """Return by how many seconds the service's clock is found to be ahead."""
        self._client.call("GET", "/")
        self.passed += 5
        now = self._client.remote_now()
        assert now
        return (now - self.start).total_seconds() - self.passed


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize("second", [0.0, 0.5, 0.999])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 9), (9, 0), (4, 5)])
def test_a_clock_that_is_right_is_found_to_be_however_long_the_answer_takes(
    machine: Machine, second: float, before: float, after: float
) -> None:
    machine.start += timedelta(seconds=second)
    machine.before, machine.after = before, after
    assert machine.found() == pytest.approx(0, abs=0.001)


@pytest.mark.parametrize("ahead", [60.0, -60.0])
def test_a_clock_that_is_wrong_is_found_to_be_within_a_second_and_the_time_of_the_answer(
    machine: Machine, ahead: float
) -> None:
    machine.ahead, machine.before = ahead, 0.5
    assert machine.found() == pytest.approx(ahead, abs=1.6)


@pytest.mark.parametrize(
    ("date", "found"),
    [
        # -0000: the time is UTC, whatever the zone there is (RFC 5322, 3.3)
        ("Sat, 28 Nov 2026 12:00:00 -0000", datetime(2026, 11, 28, 12, 0, tzinfo=UTC)),
        ("soon", None),
    ],
)
def test_a_date_without_a_zone_is_of_utc_and_one_that_is_none_says_nothing(
    date: str, found: datetime | None
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={}, headers={"Date": date})

    client = RestClient(HttpClient(httpx.MockTransport(answer)), "https://desk.example", {}, "helpdesk")
    client.call("GET", "/")
    now = client.remote_now()
    assert now is None if found is None else now and abs(now - found) < timedelta(minutes=1)
