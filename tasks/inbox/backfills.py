"""The backfills: for which accounts messages are fetched that no webhook brought, and how far that got."""

import secrets
from dataclasses import dataclass

from tasks.inbox.script import InboxScript, ms

LONGEST_GAP = 300.0
"""How long no webhook can be stored before what was written meanwhile is fetched, in seconds."""
LEASE = 30.0
"""How long a worker has a backfill for, in seconds, from each time that it saves how far it got."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """A backfill that a worker is at.

    What was said since `since` (ms) is fetched for the account `remote`; `state` is how far that got, in the
    words of whoever saved it.
    """

    remote: str
    since: int
    state: bytes
    token: str


class Backfills:
    """The backfills in the store. Every method raises `redis.RedisError` if it is away."""

    def __init__(self, script: InboxScript) -> None:
        self._script = script

    def request(self, remote: str, since: int) -> None:
        """Have messages since then (ms) be fetched for an account; one under way begins anew."""
        self._script.run("request_backfill", remote, since, "", "")

    def begin(self, remote: str, since: int) -> Backfill:
        """Request a backfill, and be the one who is at it."""
        token = secrets.token_hex(8)
        self._script.run("request_backfill", remote, since, token, ms(LEASE))
        return Backfill(remote, since, b"", token)

    def due(self, most: int) -> int:
        """Return how many more workers should fetch now, so that no more than so many do at once."""
        return int(self._script.run("due_backfills", most))

    def claim(self, most: int) -> Backfill | None:
        """Take the backfill that is due longest; None if there is none, or so many workers fetch."""
        token = secrets.token_hex(8)
        answer = self._script.run("claim_backfill", token, ms(LEASE), most)
        if not answer:
            return None
        remote, since, state = answer
        return Backfill(remote.decode(), int(since), state, token)

    def save(self, backfill: Backfill, state: bytes, delay: float | None = None) -> bool:
        """Keep how far a backfill got; with a delay let others go on so many seconds later.

        Return False if it is somebody else's by now, or begins anew.
        """
        wait = "" if delay is None else int(delay * 1000)
        return bool(
            self._script.run("save_backfill", backfill.remote, backfill.token, ms(LEASE), state, wait)
        )

    def end(self, backfill: Backfill) -> bool:
        """Forget a backfill that is done, or cannot be. Return False if it is somebody else's by now."""
        return bool(self._script.run("end_backfill", backfill.remote, backfill.token))
