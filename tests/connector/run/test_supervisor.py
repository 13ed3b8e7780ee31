"""The supervisor, with small processes as its parts."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connector.run import supervisor
from connector.run.supervisor import RESTART_DELAYS, Part, Supervisor, store_part, worker_part
from connector.run.valkey import lock_data
from sandbox.stack import free_port, until
from tasks.celery import HEARTBEAT_VARIABLE
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.store import connect
from tests.conftest import MakeSettings
from tests.fakes.parts import MakePart, ended, pid

LIVES = "import signal; signal.pause()"
DIES = "raise SystemExit(3)"
STUBBORN = """
import pathlib, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""
TELLS = """
import pathlib, signal, sys
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def end(*_):
    with (folder / "ended").open("a") as file:
        file.write(name)
    sys.exit()
signal.signal(signal.SIGTERM, end)
(folder / name).touch()
while True:
    signal.pause()
"""


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Put back what a supervisor does with this process's signals."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, action in before.items():
        signal.signal(number, action)


# --- Restarts. ------------------------------------------------------------------------------------------


def test_a_part_that_dies_is_started_again(make_part: MakePart) -> None:
    part = make_part(LIVES)
    keeper = Supervisor([part], "")
    part.start()
    before = pid(part)
    part.signal(signal.SIGKILL)

    def is_new() -> bool:
        keeper._look_after_parts()
        return pid(part) != before

    until("it is started again", is_new)
    assert part.process
    assert part.process.poll() is None


def test_a_part_that_runs_is_let_be(make_part: MakePart) -> None:
    part = make_part(LIVES)
    part.start()
    before = pid(part)
    Supervisor([part], "")._look_after_parts()

    assert pid(part) == before
    assert not part.restart_at


def test_a_part_that_ran_for_a_while_is_started_again_soon(make_part: MakePart) -> None:
    part = make_part(DIES)
    part.start()
    ended(part)
    part.started -= 60
    Supervisor([part], "")._look_after_parts()

    assert part.restart_at - time.monotonic() <= RESTART_DELAYS[0]


def test_a_part_that_dies_at_once_again_and_again_is_started_later_and_later(make_part: MakePart) -> None:
    part = make_part(DIES)
    keeper = Supervisor([part], "")
    delays = []
    for _ in range(5):
        part.start()
        ended(part)
        # A busy machine may take long to start and end even this.
        part.started = died = time.monotonic()
        keeper._look_after_parts()
        delays.append(round(part.restart_at - died, 1))
        part.restart_at = 0.0

    assert delays == [1.0, 2.0, 5.0, 5.0, 5.0]


def test_a_part_that_got_steady_is_started_again_soon_once_more(make_part: MakePart) -> None:
    part = make_part(DIES)
    part.failures = 3
    part.start()
    ended(part)
    part.started -= 60
    Supervisor([part], "")._look_after_parts()

    assert part.failures == 0


def test_a_part_is_not_started_before_its_delay_is_over(make_part: MakePart) -> None:
    part = make_part(DIES)
    keeper = Supervisor([part], "")
    part.start()
    ended(part)
    before = pid(part)
    part.restart_at = time.monotonic() + 60
    keeper._look_after_parts()
    assert pid(part) == before

    part.restart_at = time.monotonic() - 1
    keeper._look_after_parts()
    assert pid(part) != before


def test_while_one_part_waits_the_others_are_looked_after(make_part: MakePart) -> None:
    waits, dies = make_part(DIES), make_part(DIES)
    for part in (waits, dies):
        part.start()
        ended(part)
    waits.restart_at, dies.restart_at = time.monotonic() + 60, time.monotonic() - 1
    before = pid(dies)
    Supervisor([waits, dies], "")._look_after_parts()

    assert pid(dies) != before


# --- Stuck parts. ---------------------------------------------------------------------------------------


def test_a_part_that_is_stuck_is_killed(make_part: MakePart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "HEALTH_CHECK_EVERY", -1)
    part = make_part(LIVES)
    part.is_stuck = lambda: True
    part.start()
    Supervisor([part], "")._look_after_parts()

    assert ended(part) == -signal.SIGKILL


def test_whether_a_part_is_stuck_is_asked_now_and_then_only(make_part: MakePart) -> None:
    asked = 0

    def is_stuck() -> bool:
        nonlocal asked
        asked += 1
        return False

    part = make_part(LIVES)
    part.is_stuck = is_stuck
    part.start()
    keeper = Supervisor([part], "")
    keeper._look_after_parts()
    assert asked == 0

    keeper._looked -= supervisor.HEALTH_CHECK_EVERY + 1
    keeper._look_after_parts()
    keeper._look_after_parts()
    assert asked == 1


@pytest.fixture
def worker(store_url: str, make_settings: MakeSettings, tmp_path: Path) -> Iterator[Part]:
    """Give the worker as a part, not started; its heartbeat is a file of the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        yield worker_part(make_settings(redis_url=store_url))


def be_idle(worker: Part, seconds: float) -> None:
    """Let a worker have started, and taken work, some time ago."""
    then = time.time() - seconds
    os.utime(worker.environment[HEARTBEAT_VARIABLE], (then, then))
    worker.started = time.monotonic() - seconds


@pytest.fixture
def work_is_due(store_url: str) -> None:
    """Let work be due since long ago."""
    with connect(store_url) as connection:
        Inbox(connection).accept([Job(key="a", queue="in:chat:1:2", time=1, body=b"a")])
        connection.zadd("mc:ready:in:chat:1:", {"in:chat:1:2": 1})


@pytest.mark.usefixtures("work_is_due")
def test_a_worker_that_takes_no_work_that_is_due_is_stuck(worker: Part) -> None:
    be_idle(worker, 60)

    assert worker.is_stuck()


def test_a_worker_without_work_is_not_stuck(worker: Part) -> None:
    be_idle(worker, 60)

    assert not worker.is_stuck()


@pytest.mark.usefixtures("work_is_due")
def test_a_worker_that_took_work_of_late_is_not_stuck(worker: Part) -> None:
    be_idle(worker, 60)
    Path(worker.environment[HEARTBEAT_VARIABLE]).touch()

    assert not worker.is_stuck()


@pytest.mark.usefixtures("work_is_due")
def test_a_worker_that_was_just_started_is_not_stuck(worker: Part) -> None:
    be_idle(worker, 60)
    worker.started = time.monotonic()

    assert not worker.is_stuck()


def test_a_worker_is_not_stuck_because_the_store_is_away(make_settings: MakeSettings) -> None:
    worker = worker_part(make_settings(redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    be_idle(worker, 60)

    assert not worker.is_stuck()
    Path(worker.environment[HEARTBEAT_VARIABLE]).unlink()


# --- Start and stop. ------------------------------------------------------------------------------------


def _stop_when(condition: Callable[[], bool], number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Return what a supervisor calls when it is ready: it is then told to stop once a condition holds."""

    def stop() -> None:
        until("it may be stopped", condition)
        os.kill(os.getpid(), number)

    return threading.Thread(target=stop).start


def test_parts_are_stopped_in_the_reverse_order_of_their_start(make_part: MakePart, tmp_path: Path) -> None:
    parts = [make_part(TELLS, name, tmp_path, name=name) for name in "abc"]
    Supervisor(parts, "").run(_stop_when(lambda: all((tmp_path / name).exists() for name in "abc")))

    assert (tmp_path / "ended").read_text() == "cba"
    assert [ended(part) for part in parts] == [0, 0, 0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it(make_part: MakePart, number: signal.Signals) -> None:
    part = make_part(LIVES)
    Supervisor([part], "").run(_stop_when(lambda: True, number))

    assert ended(part) == -signal.SIGTERM


def test_a_part_that_died_is_restarted_while_it_runs(
    make_part: MakePart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_DELAYS", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(supervisor, "TICK", 0.01)
    count = tmp_path / "count"
    part = make_part("import sys; open(sys.argv[1], 'a').write('x')", count)
    Supervisor([part], "").run(_stop_when(lambda: count.exists() and len(count.read_text()) > 2))

    assert len(count.read_text()) > 2


def test_a_part_that_ignores_the_order_to_stop_is_killed(make_part: MakePart, tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    part = make_part(STUBBORN, deaf, patience=0.1)
    part.start()
    until("it ignores signals", deaf.exists)
    part.stop()

    assert ended(part) == -signal.SIGKILL


def test_a_part_that_is_over_can_be_stopped(make_part: MakePart) -> None:
    part = make_part(DIES)
    part.stop()
    part.start()
    ended(part)
    part.stop()

    assert ended(part) == 3


def test_a_part_that_cannot_be_started_stops_those_before_it(make_part: MakePart) -> None:
    part = make_part(LIVES)
    with pytest.raises(FileNotFoundError):
        Supervisor([part, Part("missing", ["/there/is/no/such/command"])], "").run()

    assert ended(part) == -signal.SIGTERM


def test_a_part_knows_its_name_and_the_settings(
    make_part: MakePart, make_settings: MakeSettings, tmp_path: Path
) -> None:
    make_settings()
    said = tmp_path / "said"
    code = "import os, sys; open(sys.argv[1], 'w').write(os.environ['CONNECTOR_PART'] + ' ' + "
    part = make_part(code + "os.environ['CONNECTOR_SETTINGS'])", said, name="web")
    part.start()
    ended(part)

    assert said.read_text() == f"web {tmp_path / 'settings.yaml'}"


def test_a_part_has_a_session_of_its_own(make_part: MakePart) -> None:
    part = make_part(LIVES)
    part.start()

    assert os.getsid(pid(part)) == pid(part)


def test_the_embedded_store_answers_before_the_next_part_is_started(
    make_part: MakePart, make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings()
    answered = tmp_path / "answered"
    code = "import pathlib, socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    part = make_part(code + "; pathlib.Path(sys.argv[2]).touch()", settings.socket, answered)
    with lock_data(settings.data_dir) as lock:
        parts = [store_part(settings, lock), part]
        Supervisor(parts, settings.store_url).run(_stop_when(answered.exists))

    assert (settings.data_dir / "appendonlydir").is_dir()


# --- New settings. --------------------------------------------------------------------------------------


def _hang_up_then_stop(keeper: Supervisor, after: Callable[[], bool]) -> Callable[[], None]:
    """Return what a supervisor calls when it is ready: it gets SIGHUP, and is stopped once it may be."""

    def act() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        until("it has reloaded", lambda: not keeper._reload_asked and after())
        os.kill(os.getpid(), signal.SIGTERM)

    return threading.Thread(target=act).start


def test_a_hang_up_restarts_the_parts_but_the_store_one_after_the_other(
    make_part: MakePart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "wait_until_ready", lambda _: None)
    names = ("store", "a", "b")
    parts = [make_part(TELLS, name, tmp_path, name=name) for name in names]

    def may_reload() -> bool:
        until("all run", lambda: all((tmp_path / name).exists() for name in names))
        for name in names:
            (tmp_path / name).unlink()
        (tmp_path / "asked").touch()
        return True

    keeper = Supervisor(parts, "", may_reload=may_reload)
    keeper.run(
        _hang_up_then_stop(keeper, lambda: all((tmp_path / name).exists() for name in ("asked", "a", "b")))
    )

    assert (tmp_path / "ended").read_text() == "ab" + "ba" + "store"
    assert not (tmp_path / "store").exists()


def test_a_hang_up_without_good_settings_changes_nothing(make_part: MakePart) -> None:
    part = make_part(LIVES)
    seen: list[int] = []

    def may_reload() -> bool:
        seen.append(pid(part))
        return False

    keeper = Supervisor([part], "", may_reload=may_reload)
    keeper.run(_hang_up_then_stop(keeper, lambda: bool(seen)))

    assert seen == [pid(part)]
    assert ended(part) == -signal.SIGTERM


def test_who_is_told_to_stop_while_reloading_starts_nothing_more(make_part: MakePart) -> None:
    first, second = make_part(LIVES, name="a"), make_part(LIVES, name="b")
    keeper = Supervisor([first, second], "", may_reload=lambda: True)
    first.start()
    second.start()
    before = pid(second)
    keeper._stop()
    keeper._reload()

    assert pid(second) == before
