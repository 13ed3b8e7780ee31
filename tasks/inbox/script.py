"""The script that holds the inbox's rules, as one process runs it."""

import functools
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import redis

_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
SOURCE = _COMMENT.sub("", files("tasks.inbox").joinpath("inbox.lua").read_text())
"""All of `inbox.lua` but the comments between its functions."""
_FUNCTION = re.compile(r"^(?:local )?function ([\w.]+)(?:[^\n]* end|.*?^end)\n", re.MULTILINE | re.DOTALL)
_BODIES = {found[1]: found[0] for found in _FUNCTION.finditer(SOURCE)}


def _needed(name: str) -> set[str]:
    """Return a function and those that it calls, and they."""
    needed, found = set[str](), [name]
    while found:
        needed.add(one := found.pop())
        called = set(re.findall(r"[\w.]+(?=\()", _BODIES[one])) & _BODIES.keys()
        found += called - needed
    return needed


def source_of(name: str) -> str:
    """Return what a function of `inbox.lua` needs of it.

    The store makes all functions of a script in each call, those too that nobody calls: without them a call
    that accepts one job takes 40 % less of its time (docs/performance.md).
    """
    needed = _needed(f"inbox.{name}")
    return _FUNCTION.sub(lambda found: found[0] if found[1] in needed else "", SOURCE)


class Script(NamedTuple):
    """A script, and the digest by which the store knows one that it ran before."""

    text: str
    sha: str


@functools.cache
def script_of(name: str, *, adds: bool) -> Script:
    """Return the script of a function. What only `adds` is refused by a full store; the rest frees memory."""
    text = ("#!lua\n" if adds else "#!lua flags=allow-oom\n") + source_of(name)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class InboxScript:
    """Runs the functions of `inbox.lua` on a store. Raises `redis.RedisError` if the store is away."""

    def __init__(self, store: redis.Redis, prefix: str) -> None:
        self.store = store
        self.prefix = prefix

    def run(self, name: str, *arguments: Any) -> Any:
        """Run a function, however full the store is."""
        return self._call(script_of(name, adds=False), name, arguments)

    def add(self, name: str, *arguments: Any) -> Any:
        """Run a function that only adds to the store. Raises `redis.OutOfMemoryError` if it is full."""
        return self._call(script_of(name, adds=True), name, arguments)

    def _call(self, script: Script, name: str, arguments: Sequence[Any]) -> Any:
        try:
            return self.store.evalsha(script.sha, 0, self.prefix, name, *arguments)
        except redis.exceptions.NoScriptError:  # the store was started, or started again
            return self.store.eval(script.text, 0, self.prefix, name, *arguments)

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
