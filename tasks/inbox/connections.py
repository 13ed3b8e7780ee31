"""The connections that were added at run time, as the store keeps them: records, each with a version."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from tasks.inbox.script import InboxScript

AT_ONCE = 1000
"""How many records one call reads."""
WITHDRAWN = "withdrawn:"
"""Begins the name of a record that says of an account of the settings that its access was withdrawn."""
ANY = "*"
"""Stands for whatever version a connection has."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored of a connection: `name` is its account as a remote; if it was removed, no `body`."""

    name: str
    version: int
    body: bytes


class ConnectionRecords:
    """The records in the store. Every method raises `redis.RedisError` if it is away."""

    def __init__(self, script: InboxScript) -> None:
        self._script = script

    def version(self) -> int:
        """Return a number that is another one after each change."""
        return int(cast("bytes | None", self._script.store.get(self._script.key("version"))) or 0)

    def names(self) -> list[str]:
        """Return whose connections are stored, in order."""
        names = cast("list[bytes]", self._script.store.hkeys(self._script.key("connections")))
        return sorted(name.decode() for name in names if not name.startswith(WITHDRAWN.encode()))

    def get(self, name: str) -> Record | None:
        """Return a record; None if there is none of this name."""
        return self.get_all([name]).get(name)

    def get_all(self, names: Sequence[str]) -> dict[str, Record]:
        """Return the records that there are of these names, by name."""
        if not names:
            return {}
        key = self._script.key("connections")
        found = cast("list[bytes | None]", self._script.store.hmget(key, names))
        read = (_record(name, stored) for name, stored in zip(names, found, strict=True) if stored)
        return {record.name: record for record in read}

    def put(self, name: str, body: bytes, expected: str = ANY, *, is_same: bool = False) -> int | None:
        """Store a record, have what waits for its account go on, and have it checked. Return its version.

        One that `is_same` as before, only encrypted anew, is stored and nothing else.
        `expected` is the version that it replaces, empty if there must be none yet. None if that is not so.
        Raises `redis.OutOfMemoryError`.
        """
        version = self._script.add("put_connection", name, body, expected, int(is_same))
        return None if version is None else int(version)

    def remove(self, name: str, expected: str = ANY) -> bool | None:
        """Delete a record. Return whether there was one; None if its version is not the expected one."""
        removed = self._script.run("remove_connection", name, expected)
        return None if removed is None else bool(removed)

    def changed(self, since: int) -> Iterator[Record]:
        """Yield what changed after a version, the earliest first."""
        while True:
            found = self._script.run("changed_connections", since, AT_ONCE)
            for version, name, body in zip(found[::3], found[1::3], found[2::3], strict=True):
                yield Record(name.decode(), int(version), body)
            if len(found) < 3 * AT_ONCE:
                return
            since = int(found[-3])


def _record(name: str, stored: bytes) -> Record:
    version, _, body = stored.partition(b" ")
    return Record(name, int(version), body)
