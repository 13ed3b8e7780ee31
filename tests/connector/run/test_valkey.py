"""What the embedded store needs: its data folder, its port, and its configuration."""

import errno
import os
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from connector.run import valkey
from connector.run.parts import store_part
from connector.run.supervisor import Child
from connector.run.valkey import (
    StoreError,
    lock_data,
    wait_for_port,
    wait_until_ready,
    why_not_listening,
)
from sandbox.stack import free_port
from tests.conftest import MakeSettings
from tests.fakes.children import ended, pid


def test_a_data_folder_is_for_one_run(tmp_path: Path) -> None:
    with (
        lock_data(tmp_path / "data"),
        pytest.raises(StoreError, match=rf"in use by another run \(process {os.getpid()}\)"),
    ):
        lock_data(tmp_path / "data", patience=0)


def test_a_data_folder_is_free_after_the_run(tmp_path: Path) -> None:
    lock_data(tmp_path / "data").close()

    with lock_data(tmp_path / "data") as lock:
        assert Path(lock.name).read_text() == str(os.getpid())


def test_a_data_folder_is_closed_to_others_even_if_it_was_open(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)

    with lock_data(data):
        assert data.stat().st_mode & 0o777 == 0o700


def test_a_data_folder_is_not_free_while_a_store_is_left_of_a_run(make_settings: MakeSettings) -> None:
    data = make_settings().data_dir
    with lock_data(data) as lock:
        child = Child(store_part(make_settings(), lock))
        child.start()
    with pytest.raises(StoreError, match="in use by another run"):
        lock_data(data, patience=0)
    child.signal(signal.SIGKILL)

    lock_data(data).close()
    ended(child)


def test_nobody_else_reaches_the_embedded_store(make_settings: MakeSettings) -> None:
    settings = make_settings()
    with lock_data(settings.data_dir) as lock:
        child = Child(store_part(settings, lock))
        child.start()
        wait_until_ready(settings.store_url)
        listens = [one for one in psutil.Process(pid(child)).net_connections("all") if one.status == "LISTEN"]
        mode = settings.socket.stat().st_mode & 0o777
        child.stop()

    assert listens == []  # no port
    assert mode == 0o700


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="file/data cannot be used"):
        lock_data(tmp_path / "file" / "data")


def test_a_free_port_needs_no_waiting() -> None:
    wait_for_port("127.0.0.1", free_port(), patience=0)


def test_a_port_that_stays_taken_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=f"port {port} on 127.0.0.1 is in use.*set port"):
            wait_for_port("127.0.0.1", port, patience=0)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.7", "host 192.0.2.7 is no address of this machine; set host"),
        ("no-such-host.invalid", "host no-such-host.invalid is not known here; set host"),
    ],
)
def test_a_host_that_is_not_this_machines_is_told_as_such_and_at_once(host: str, words: str) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError, match=words):
        wait_for_port(host, free_port(), patience=60)

    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "port 80 is not for this user; set port to 1024 or more"),
        (errno.EAFNOSUPPORT, "host ::1 is no address of this machine"),
        (errno.ENOBUFS, "port 80 on ::1 cannot be listened to: No buffer"),
    ],
)
def test_why_a_port_cannot_be_listened_to_is_told(number: int, words: str) -> None:
    assert why_not_listening("::1", 80, OSError(number, os.strerror(number))).startswith(words)


def test_that_a_port_is_waited_for_is_told_at_once() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        capture_logs() as logs,
        pytest.raises(StoreError),
    ):
        wait_for_port("127.0.0.1", taken.getsockname()[1], patience=0.3)

    assert str(logs).count("is in use") == 1


def test_that_a_data_folder_is_waited_for_is_told_at_once(tmp_path: Path) -> None:
    with lock_data(tmp_path), capture_logs() as logs, pytest.raises(StoreError):
        lock_data(tmp_path, patience=0.3)

    assert str(logs).count(f"in use by another run (process {os.getpid()})") == 1


def test_a_port_that_becomes_free_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(time, "sleep", lambda _: taken.close())
        wait_for_port("127.0.0.1", taken.getsockname()[1], patience=60)

        assert taken.fileno() == -1


def test_a_store_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "_STARTS_WITHIN", 0)

    with pytest.raises(StoreError, match=r"cannot be reached: .*; valkey\.log in data_dir says why"):
        wait_until_ready(f"redis://127.0.0.1:{free_port()}/0")
