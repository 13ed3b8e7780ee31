"""The doors without one of the things that make them fast, to see what each is worth.

`python -m benchmarks.variants no-group-commit`, with the settings of `connector web`.
"""

import sys
from collections.abc import Sequence

import redis
from redis.asyncio import Redis

from connector import app
from connector.cli.run import web
from connector.settings import get_settings
from connector.web.group_commit import GroupCommit, StoreUnavailable
from tasks.inbox.inbox import accept_arguments
from tasks.inbox.job import Job, PartEcho
from tasks.inbox.script import ACCEPT_SCRIPT


class AtOnce(GroupCommit):
    """Stores what has come, without waiting for what comes in the same turn of the loop."""

    async def _gather(self) -> None:
        """Wait for nothing."""


class EachByItself(GroupCommit):
    """Stores the events of each request in a call of its own."""

    _script = Redis.from_url(get_settings().store_url).register_script(ACCEPT_SCRIPT)

    async def store(self, jobs: Sequence[Job | PartEcho]) -> None:
        """Return once the rows are stored."""
        try:
            ready = await self._script(args=[self._prefix, "accept", *accept_arguments(jobs)])
        except redis.RedisError:
            raise StoreUnavailable from None
        if ready:
            self._wake(ready)


def main() -> None:
    """Take something away, then serve as `connector web` does."""
    match sys.argv[1]:
        case "no-group-commit":
            app.GroupCommit = EachByItself  # type: ignore[attr-defined]
        case "no-gathering":
            app.GroupCommit = AtOnce  # type: ignore[attr-defined]
    web([])


if __name__ == "__main__":
    main()
