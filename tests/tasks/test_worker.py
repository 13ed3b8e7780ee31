"""Turns and wake-ups of workers."""

import threading

import pytest
from celery.schedules import schedule
from kombu.exceptions import OperationalError

from tasks import worker
from tasks.celery import ENOUGH, Scheduler, app, wake
from tests.fakes.conversation import IN, OUT, SENT_AT
from tests.fakes.world import World


def test_a_queue_is_worked_on_until_it_is_empty(world: World) -> None:
    for number in range(5):
        world.receive(f"m_{number}", at=SENT_AT + number)

    world.work()

    assert [comment.external_id for comment in world.desk.tickets["t1"].comments] == [
        f"m_{number}" for number in range(1, 5)
    ]


def test_a_busy_queue_lets_go_after_its_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "TURN", -1)
    world.receive("m_1")
    world.receive("m_2", at=SENT_AT + 1)

    assert world.work() is True
    assert world.waiting() == 1
    assert world.inbox.claim(IN)


def test_a_queue_that_was_released_is_woken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "TURN", -1)
    monkeypatch.setattr(worker, "services", lambda: world.service)
    world.receive("m_1")
    world.receive("m_2", at=SENT_AT + 1)
    worker.relay()

    assert world.wake_ups() == 1


def test_the_sweep_waits_behind_no_wake_up(world: World) -> None:
    queue = app.conf.beat_schedule["sweep"]["options"]["queue"]
    assert queue != app.conf.task_default_queue
    assert {one.name for one in app.conf.task_queues} == {queue, app.conf.task_default_queue}


@pytest.mark.usefixtures("world")
def test_a_broker_that_is_away_is_asked_again_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = list[float]()
    monkeypatch.setattr("kombu.utils.functional.sleep", waits.append)
    with (
        app.connection_for_read("redis://127.0.0.1:1/0") as connection,
        pytest.raises(OperationalError),
    ):
        connection.ensure_connection(max_retries=3)

    assert waits
    assert max(waits) <= 1


def test_work_that_a_turn_has_no_time_for_is_left_to_the_next_wake_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "TURN", -1)
    monkeypatch.setattr(worker, "services", lambda: world.service)
    world.receive()
    world.reply()
    worker.relay()

    assert sorted([world.waiting(IN), world.waiting(OUT)]) == [0, 1]
    assert world.wake_ups() == 1


def test_a_worker_goes_on_while_there_is_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "services", lambda: world.service)
    world.receive()
    world.reply()
    worker.relay()

    assert (world.waiting(IN), world.waiting(OUT)) == (0, 0)
    assert world.wake_ups() == 0


def test_no_more_wake_ups_wait_than_are_enough(world: World) -> None:
    sent = [wake(40) for _ in range(3)]

    assert sent == [40, ENOUGH - 40, 0]
    assert world.wake_ups() == ENOUGH


def test_beat_sends_nothing_more_while_no_worker_takes_it(world: World) -> None:
    scheduler = Scheduler(app, lazy=True)
    scheduler.setup_schedule()
    for _ in range(5):
        scheduler.apply_async(scheduler.schedule["sweep"])

    assert world.store.llen("mc:celery:sweeps") == len(scheduler.schedule)


def test_comments_are_looked_for_when_beat_starts_and_not_only_minutes_later() -> None:
    scheduler = Scheduler(app, lazy=True)
    scheduler.schedule["poll"] = scheduler.Entry(name="poll", task="poll", schedule=schedule(300.0), app=app)
    scheduler.setup_schedule()

    due = {name: entry.is_due()[0] for name, entry in scheduler.schedule.items()}
    assert due == {"sweep": False, "check": False, "poll": True}


def test_an_error_with_one_queue_keeps_no_other_from_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "services", lambda: world.service)
    monkeypatch.setattr(worker, "relay_head", {OUT: False}.__getitem__)
    world.receive()
    world.reply()
    worker.relay()

    assert world.store.zcard("mc:ready") == 0


def test_a_worker_that_stops_begins_no_further_queue(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = threading.Event()
    stopping.set()
    monkeypatch.setattr(worker, "stopping", stopping)
    monkeypatch.setattr(worker, "services", lambda: world.service)
    world.receive()
    worker.relay()

    assert world.waiting() == 1
    assert world.wake_ups() == 0


def test_a_worker_that_stops_lets_go_after_the_event_it_is_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    stopping.set()
    monkeypatch.setattr(worker, "stopping", stopping)
    world.receive("m_1")
    world.receive("m_2", at=SENT_AT + 1)

    world.work()

    assert world.waiting() == 1
    assert world.inbox.claim(IN)


def test_a_sweep_wakes_workers_for_what_is_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "services", lambda: world.service)
    worker.sweep()
    assert world.wake_ups() == 0
    world.receive()
    worker.sweep()

    assert world.wake_ups() == 1
