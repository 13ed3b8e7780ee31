"""The backfills: for which accounts messages are fetched that no webhook brought, and how far that got."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import cast

from tasks.inbox.script import InboxScript, ms

LONGEST_GAP = 30.0
"""How long no webhook can be stored before what was written meanwhile is fetched, in seconds.

Channels promise only a few repeats right after a webhook failed. A restart takes less.
"""
LEASE = 30.0
"""How long a worker has a backfill for, in seconds, from each time that it saves how far it got."""


AT_ONCE = 1000
"""Of how many accounts one call of the script takes note."""


@dataclass(frozen=True, slots=True)
class History:
    """The time before an account was connected, as far as it is fetched: from `since` until then, in ms."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill that a worker is at.

    What was said since `since` (ms) is fetched for the account `remote`; `state` is how far that got, in the
    words of whoever saved it. With a `history` it begins before the account was connected.
    """

    remote: str
    since: int
    state: bytes
    token: str
    history: History | None = None


@dataclass(frozen=True, slots=True)
class BackfillStatus:
    """A backfill as operators see it: it goes on at `next` (ms), unless it `is_running`."""

    remote: str
    since: int
    state: bytes
    next: int
    is_running: bool
    is_history: bool


class Backfills:
    """The backfills in the store. Every method raises `redis.RedisError` if it is away."""

    def __init__(self, script: InboxScript) -> None:
        self._script = script

    def request(self, remote: str, since: int, again: float | None = None) -> None:
        """Have messages since then (ms) be fetched for an account; one under way begins anew.

        Those from now on are fetched as well, `again` seconds later.
        """
        later = "" if again is None else int(again * 1000)
        self._script.run("request_backfill", remote, since, "", "", later)

    def begin(self, remote: str, since: int) -> Backfill:
        """Request a backfill, and be the one who is at it; one that was not done is part of it."""
        token = secrets.token_hex(8)
        earliest = int(self._script.run("request_backfill", remote, since, token, ms(LEASE), ""))
        return Backfill(remote, earliest, b"", token, self.history(remote)[1])

    def due(self, most: int) -> int:
        """Return how many more workers should fetch now, so that no more than so many do at once."""
        return int(self._script.run("due_backfills", most))

    def claim(self, most: int) -> Backfill | None:
        """Take the backfill that is due longest; None if there is none, or so many workers fetch."""
        token = secrets.token_hex(8)
        answer = self._script.run("claim_backfill", token, ms(LEASE), most)
        if not answer:
            return None
        remote, since, state, *history = answer
        return Backfill(remote.decode(), int(since), state, token, _history(*history))

    def history(self, remote: str) -> tuple[bool, History | None]:
        """Return whether an account is noted as connected, and what of its history is still to be fetched."""
        with self._script.store.pipeline(transaction=False) as asked:
            asked.hget(self._script.key(f"backfill:{remote}"), "history")
            asked.hget(self._script.key("connected"), remote)
            since, until = asked.execute()
        return until is not None, _history(since, until)

    def save(self, backfill: Backfill, state: bytes, delay: float | None = None) -> bool:
        """Keep how far a backfill got; with a delay let others go on so many seconds later.

        Return False if it is somebody else's by now, or begins anew.
        """
        wait = "" if delay is None else int(delay * 1000)
        return bool(
            self._script.run("save_backfill", backfill.remote, backfill.token, ms(LEASE), state, wait)
        )

    def end(self, backfill: Backfill) -> bool:
        """Forget a backfill that is done, or cannot be, or put it off until it is due again.

        Return False if it is somebody else's by now.
        """
        return bool(self._script.run("end_backfill", backfill.remote, backfill.token))

    def all(self) -> list[BackfillStatus]:
        """Return those that are not done, the one that goes on first before the others."""
        store, key = self._script.store, self._script.key
        due = cast("list[tuple[bytes, float]]", store.zrange(key("backfills"), 0, -1, withscores=True))
        with store.pipeline(transaction=False) as asked:
            for remote, _ in due:
                names = ("since", "state", "token", "history")
                asked.hmget(key(f"backfill:{remote.decode()}"), names)
            found = asked.execute()
        return [
            BackfillStatus(remote.decode(), int(since), state or b"", int(at), bool(token), bool(history))
            for (remote, at), (since, state, token, history) in zip(due, found, strict=True)
            if since  # else it is done meanwhile
        ]

    def is_wanted(self, remote: str) -> bool:
        """Return whether there is a backfill of an account, or is to be one again."""
        return bool(self._script.store.exists(self._script.key(f"backfill:{remote}")))

    def state(self, remote: str) -> bytes | None:
        """Return how far the backfill of an account got, in the words of whoever saved it."""
        return cast("bytes | None", self._script.store.hget(self._script.key(f"backfill:{remote}"), "state"))

    def connected_at(self, remote: str) -> int | None:
        """Return when an account was first noted as connected, in ms; None if it was not yet."""
        found = cast("bytes | None", self._script.store.hget(self._script.key("connected"), remote))
        return int(found) if found else None

    def connected(self) -> set[str]:
        """Return which accounts are, or were, connected, and were not removed."""
        names = cast("list[bytes]", self._script.store.hkeys(self._script.key("connected")))
        return {name.decode() for name in names}

    def inactive(self) -> set[str]:
        """Return of which accounts it is noted that no webhooks are taken."""
        names = cast("list[bytes]", self._script.store.zrange(self._script.key("inactive"), 0, -1))
        return {name.decode() for name in names}

    def note_active(self, histories: Mapping[str, int], earlier: int | None) -> None:
        """Note that webhooks of these accounts are taken now; fetch so much (ms) of their histories.

        Of one that was inactive what was said meanwhile is fetched, from `earlier` ms before; not if None.
        """
        accounts = list(histories.items())
        for start in range(0, len(accounts), AT_ONCE):
            some = chain.from_iterable(accounts[start : start + AT_ONCE])
            self._script.run("note_active", "" if earlier is None else earlier, *some)

    def note_inactive(self, names: Collection[str], since: int | None = None) -> None:
        """Note that no webhooks of these accounts are taken, since a time (ms) or from now on."""
        accounts = list(names)
        for start in range(0, len(accounts), AT_ONCE):
            some = accounts[start : start + AT_ONCE]
            self._script.run("note_inactive", "" if since is None else since, *some)


def _history(since: bytes | None, until: bytes | None) -> History | None:
    return History(int(since), int(until)) if since and until else None
