"""What an installation needs for a number of messages."""

import pytest

from benchmarks.capacity import HANDS, Measured, layout, simulated, waits

WHAT = Measured(
    web=0.0002, worker={"in": 0.002, "out": 0.004}, store=0.0006, mark=100, sender=300, worker_memory=80
)


def test_a_small_installation_needs_one_of_each() -> None:
    need = layout(10, WHAT)
    assert (need.installations, need.web, need.workers) == (1, 1, 1)
    assert need.memory == pytest.approx(1.2, abs=0.1)


def test_a_thousand_times_the_messages_need_a_thousand_times_the_stores() -> None:
    few, many = layout(1_000, WHAT), layout(1_000_000, WHAT)
    assert (few.installations, many.installations) == (1, 1_000)
    assert many.cores == pytest.approx(1_000 * few.cores)
    assert many.cost == pytest.approx(1_000 * few.cost, rel=0.02)


def test_a_call_that_takes_longer_needs_more_workers_though_no_more_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = layout(1_000, WHAT)
    monkeypatch.setattr("benchmarks.capacity.CALL", 1.0)
    after = layout(1_000, WHAT)
    assert after.workers == pytest.approx(10 * before.workers, rel=0.1)
    assert after.cores == before.cores


def test_messages_of_one_person_are_simulated_one_after_the_other() -> None:
    alone = waits(1e-6, burst=HANDS, messages=HANDS * 500)
    assert sum(alone) / len(alone) == pytest.approx(0.1 * (HANDS + 1) / 2, rel=0.1)


def test_the_busier_the_hands_are_the_longer_a_message_takes() -> None:
    _, *rows = simulated()
    p99s = [float(row[2].removesuffix(" s")) for row in rows]
    assert p99s == sorted(p99s)
    assert p99s[-1] > p99s[0]
