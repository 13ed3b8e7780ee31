"""The supervisor, with small processes as its parts."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connector.run import supervisor
from connector.run.parts import Part, store_part
from connector.run.supervisor import RESTART_DELAYS, Child, Supervisor
from connector.run.valkey import lock_data
from sandbox.stack import until
from tests.conftest import MakeSettings
from tests.fakes.children import MakeChild, ended, pid

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


def test_a_part_that_dies_is_started_again(make_child: MakeChild) -> None:
    child = make_child(LIVES)
    keeper = Supervisor([child], "")
    child.start()
    before = pid(child)
    child.signal(signal.SIGKILL)

    def is_new() -> bool:
        keeper._look_after_children()
        return pid(child) != before

    until("it is started again", is_new)
    assert child.process
    assert child.process.poll() is None


def test_a_part_that_runs_is_let_be(make_child: MakeChild) -> None:
    child = make_child(LIVES)
    child.start()
    before = pid(child)
    Supervisor([child], "")._look_after_children()

    assert pid(child) == before
    assert not child.restart_at


def test_a_part_that_ran_for_a_while_is_started_again_soon(make_child: MakeChild) -> None:
    child = make_child(DIES)
    child.start()
    ended(child)
    child.started -= 60
    Supervisor([child], "")._look_after_children()

    assert child.restart_at - time.monotonic() <= RESTART_DELAYS[0]


def test_a_part_that_dies_at_once_again_and_again_is_started_later_and_later(make_child: MakeChild) -> None:
    child = make_child(DIES)
    keeper = Supervisor([child], "")
    delays = []
    for _ in range(5):
        child.start()
        ended(child)
        # A busy machine may take long to start and end even this.
        child.started = died = time.monotonic()
        keeper._look_after_children()
        delays.append(round(child.restart_at - died, 1))
        child.restart_at = 0.0

    assert delays == [1.0, 2.0, 5.0, 5.0, 5.0]


def test_a_part_that_got_steady_is_started_again_soon_once_more(make_child: MakeChild) -> None:
    child = make_child(DIES)
    child.failures = 3
    child.start()
    ended(child)
    child.started -= 60
    Supervisor([child], "")._look_after_children()

    assert child.failures == 0


def test_a_part_is_not_started_before_its_delay_is_over(make_child: MakeChild) -> None:
    child = make_child(DIES)
    keeper = Supervisor([child], "")
    child.start()
    ended(child)
    before = pid(child)
    child.restart_at = time.monotonic() + 60
    keeper._look_after_children()
    assert pid(child) == before

    child.restart_at = time.monotonic() - 1
    keeper._look_after_children()
    assert pid(child) != before


def test_while_one_part_waits_the_others_are_looked_after(make_child: MakeChild) -> None:
    waits, dies = make_child(DIES), make_child(DIES)
    for child in (waits, dies):
        child.start()
        ended(child)
    waits.restart_at, dies.restart_at = time.monotonic() + 60, time.monotonic() - 1
    before = pid(dies)
    Supervisor([waits, dies], "")._look_after_children()

    assert pid(dies) != before


# --- Stuck parts. ---------------------------------------------------------------------------------------


def test_a_part_that_is_stuck_is_killed(make_child: MakeChild, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "HEALTH_CHECK_EVERY", -1)
    child = make_child(LIVES, is_stuck=lambda _started: True)
    child.start()
    Supervisor([child], "")._look_after_children()

    assert ended(child) == -signal.SIGKILL


def test_whether_a_part_is_stuck_is_asked_now_and_then_only(make_child: MakeChild) -> None:
    asked: list[float] = []

    def is_stuck(started: float) -> bool:
        asked.append(started)
        return False

    child = make_child(LIVES, is_stuck=is_stuck)
    child.start()
    keeper = Supervisor([child], "")
    keeper._look_after_children()
    assert asked == []

    keeper._looked -= supervisor.HEALTH_CHECK_EVERY + 1
    keeper._look_after_children()
    keeper._look_after_children()
    assert asked == [child.started]


# --- Start and stop. ------------------------------------------------------------------------------------


def _stop_when(condition: Callable[[], bool], number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Return what a supervisor calls when it is ready: it is then told to stop once a condition holds."""

    def stop() -> None:
        until("it may be stopped", condition)
        os.kill(os.getpid(), number)

    return threading.Thread(target=stop).start


def test_parts_are_stopped_in_the_reverse_order_of_their_start(make_child: MakeChild, tmp_path: Path) -> None:
    children = [make_child(TELLS, name, tmp_path, name=name) for name in "abc"]
    Supervisor(children, "").run(_stop_when(lambda: all((tmp_path / name).exists() for name in "abc")))

    assert (tmp_path / "ended").read_text() == "cba"
    assert [ended(child) for child in children] == [0, 0, 0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it(make_child: MakeChild, number: signal.Signals) -> None:
    child = make_child(LIVES)
    Supervisor([child], "").run(_stop_when(lambda: True, number))

    assert ended(child) == -signal.SIGTERM


def test_a_part_that_died_is_restarted_while_it_runs(
    make_child: MakeChild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTART_DELAYS", (0.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(supervisor, "TICK", 0.01)
    count = tmp_path / "count"
    child = make_child("import sys; open(sys.argv[1], 'a').write('x')", count)
    Supervisor([child], "").run(_stop_when(lambda: count.exists() and len(count.read_text()) > 2))

    assert len(count.read_text()) > 2


def test_a_part_that_ignores_the_order_to_stop_is_killed(make_child: MakeChild, tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    child = make_child(STUBBORN, deaf, stops_within=0.1)
    child.start()
    until("it ignores signals", deaf.exists)
    began = time.monotonic()
    child.stop()

    assert ended(child) == -signal.SIGKILL
    assert time.monotonic() - began < 5


def test_a_part_that_is_over_can_be_stopped(make_child: MakeChild) -> None:
    child = make_child(DIES)
    child.stop()
    child.start()
    ended(child)
    child.stop()

    assert ended(child) == 3


def test_a_part_that_cannot_be_started_stops_those_before_it(make_child: MakeChild) -> None:
    child = make_child(LIVES)
    with pytest.raises(FileNotFoundError):
        Supervisor([child, Child(Part("missing", ["/there/is/no/such/command"]))], "").run()

    assert ended(child) == -signal.SIGTERM


def test_a_part_knows_its_name_and_the_settings(
    make_child: MakeChild, make_settings: MakeSettings, tmp_path: Path
) -> None:
    make_settings()
    said = tmp_path / "said"
    code = "import os, sys; open(sys.argv[1], 'w').write(os.environ['CONNECTOR_PART'] + ' ' + "
    child = make_child(code + "os.environ['CONNECTOR_SETTINGS'])", said, name="web")
    child.start()
    ended(child)

    assert said.read_text() == f"web {tmp_path / 'settings.yaml'}"


def test_a_part_has_a_session_of_its_own(make_child: MakeChild) -> None:
    child = make_child(LIVES)
    child.start()

    assert os.getsid(pid(child)) == pid(child)


def test_the_embedded_store_answers_before_the_next_part_is_started(
    make_child: MakeChild, make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings()
    answered = tmp_path / "answered"
    code = "import pathlib, socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    child = make_child(code + "; pathlib.Path(sys.argv[2]).touch()", settings.socket, answered)
    with lock_data(settings.data_dir) as lock:
        children = [Child(store_part(settings, lock)), child]
        Supervisor(children, settings.store_url).run(_stop_when(answered.exists))

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
    make_child: MakeChild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "wait_until_ready", lambda _: None)
    names = ("store", "a", "b")
    children = [make_child(TELLS, name, tmp_path, name=name) for name in names]

    def may_reload() -> bool:
        until("all run", lambda: all((tmp_path / name).exists() for name in names))
        for name in names:
            (tmp_path / name).unlink()
        (tmp_path / "asked").touch()
        return True

    keeper = Supervisor(children, "", may_reload=may_reload)
    keeper.run(
        _hang_up_then_stop(keeper, lambda: all((tmp_path / name).exists() for name in ("asked", "a", "b")))
    )

    assert (tmp_path / "ended").read_text() == "ab" + "ba" + "store"
    assert not (tmp_path / "store").exists()


def test_a_hang_up_without_good_settings_changes_nothing(make_child: MakeChild) -> None:
    child = make_child(LIVES)
    seen: list[int] = []

    def may_reload() -> bool:
        seen.append(pid(child))
        return False

    keeper = Supervisor([child], "", may_reload=may_reload)
    keeper.run(_hang_up_then_stop(keeper, lambda: bool(seen)))

    assert seen == [pid(child)]
    assert ended(child) == -signal.SIGTERM


def test_who_is_told_to_stop_while_reloading_starts_nothing_more(make_child: MakeChild) -> None:
    first, second = make_child(LIVES, name="a"), make_child(LIVES, name="b")
    keeper = Supervisor([first, second], "", may_reload=lambda: True)
    first.start()
    second.start()
    before = pid(second)
    keeper._stop()
    keeper._reload()

    assert pid(second) == before
