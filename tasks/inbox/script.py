"""The script that holds the inbox's rules, as one process runs it."""

import hashlib
from importlib.resources import files
from typing import Any

import redis

_SOURCE = files("tasks.inbox").joinpath("inbox.lua").read_text()
SCRIPT = "#!lua flags=allow-oom\n" + _SOURCE
"""What workers run: it frees memory in the end, so a full store must let it."""
ACCEPT_SCRIPT = "#!lua\n" + _SOURCE
ACCEPT_SHA = hashlib.sha1(ACCEPT_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class InboxScript:
    """Runs the functions of `inbox.lua` on a store. Raises `redis.RedisError` if the store is away."""

    def __init__(self, store: redis.Redis, prefix: str) -> None:
        self.store = store
        self.prefix = prefix
        self._script = store.register_script(SCRIPT)
        self._add = store.register_script(ACCEPT_SCRIPT)

    def run(self, name: str, *arguments: Any) -> Any:
        """Run a function, however full the store is."""
        return self._script(args=[self.prefix, name, *arguments])

    def add(self, name: str, *arguments: Any) -> Any:
        """Run a function that only adds to the store. Raises `redis.OutOfMemoryError` if it is full."""
        return self._add(args=[self.prefix, name, *arguments])

    def key(self, name: str) -> str:
        """Return the whole name of a key."""
        return self.prefix + name

    def now(self) -> float:
        """Return the store's time, in seconds since 1970. All that is due, or has an age, goes by it."""
        seconds, microseconds = self.store.time()
        return seconds + microseconds / 1e6


def ms(seconds: float) -> int:
    """Return seconds as the script takes them: in ms, one at least."""
    return max(1, int(seconds * 1000))
