"""The load: a process of its own that posts prepared webhooks as fast as the server answers them.

`python -m benchmarks.load URL --connections N --batch N --seconds S` prints one JSON object: `Load.result`.
Each connection is kept alive and has one request under way at a time, as Meta's have.
"""

import argparse
import asyncio
import gc
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.bodies import SENDERS, Bodies

LARGEST_POOL = 300_000_000
"""How many bytes of requests are prepared at most; when they are used up they are sent again."""
WARM_UP = 0.3
DRAINS_WITHIN = 20.0
CLOSED = 0
"""The status that is counted when a server closes a connection instead of answering."""
TAKEN = 200
NONE = -1
"""The number of a request that was never sent."""


class Load:
    """Counts answers and their times between `begin` and `end`; what is under way then is waited for."""

    def __init__(self, requests: Iterator[tuple[int, bytes]], *, keep_alive: bool = True) -> None:
        self.requests = requests
        self.keep_alive = keep_alive
        self.statuses: Counter[int] = Counter()
        self.taken = set[int]()
        self.times: list[float] = []
        self.measures = self.ended = False
        self.busy = 0.0

    def note(self, status: int, number: int, seconds: float) -> None:
        """Note the answer to a request, which its number names, and how long it took."""
        self.statuses[status] += 1
        if status == TAKEN:
            self.taken.add(number)
        if self.measures:
            self.times.append(seconds)

    def result(self, seconds: float) -> dict[str, Any]:
        """Return requests a second, p50 and p99 (ms) and the share of a core that the load itself took.

        `statuses` counts all answers, those before and after the measured time too; `taken` is how many
        different requests of them were answered 200.
        """
        times = sorted(self.times) or [0.0]
        return {
            "rps": len(self.times) / seconds,
            "p50": times[len(times) // 2] * 1000,
            "p99": times[int(len(times) * 0.99)] * 1000,
            "statuses": dict(self.statuses),
            "taken": len(self.taken),
            "busy": self.busy / seconds,
        }


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    transport: asyncio.Transport

    def __init__(self, load: Load, known: dict[bytes, int]) -> None:
        self._load, self._known = load, known
        self._buffer = b""
        self._answered, self._number = True, NONE
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        if self._load.ended:
            self.transport.close()
            return
        self._answered = False
        self._number, request = next(self._load.requests)
        self._sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Note the answer once it is complete. Most are equal to the byte, so that each is read once."""
        data = self._buffer + data
        status = self._known.get(data)
        if status is None:
            status = _status(data)
            if status is None:
                self._buffer = data
                return
            if len(self._known) > 100:
                self._known.clear()
            self._known[data] = status
        self._buffer = b""
        self._load.note(status, self._number, time.perf_counter() - self._sent)
        self._answered = True
        if self._load.keep_alive:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Count a connection that the server closed in the middle."""
        if not self._answered:
            self._load.note(CLOSED, self._number, 0.0)
        self.closed.set_result(None)


def _status(data: bytes) -> int | None:
    """Return the status of a complete answer (RFC 9112), None if more has to come."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return None
    lines = head.lower().split(b"\r\n")
    fields = dict(line.partition(b": ")[::2] for line in lines[1:])
    if fields.get(b"transfer-encoding") == b"chunked":
        complete = body.endswith(b"0\r\n\r\n")
    else:
        complete = len(body) >= int(fields.get(b"content-length", 0))
    return int(lines[0].split()[1]) if complete else None


async def _keep(connect: Callable[[], Any], load: Load) -> None:
    """Keep one connection open until the end."""
    while not load.ended:
        try:
            _, connection = await connect()
            await connection.closed
        except OSError:
            load.note(CLOSED, NONE, 0.0)
            await asyncio.sleep(0.01)  # so that a server that is gone is not asked in a tight loop


async def run(load: Load, url: str, connections: int, seconds: float, warm_up: float = WARM_UP) -> None:
    """Put load on an address for some seconds, after a time that does not count."""
    parts, loop, known = urlsplit(url), asyncio.get_running_loop(), dict[bytes, int]()

    async def connect() -> Any:
        return await loop.create_connection(
            lambda: Connection(load, known), str(parts.hostname), int(parts.port or 80)
        )

    kept = [asyncio.create_task(_keep(connect, load)) for _ in range(connections)]
    await asyncio.sleep(warm_up)
    load.measures, began = True, time.process_time()
    await asyncio.sleep(seconds)
    load.measures, load.ended, load.busy = False, True, time.process_time() - began
    await asyncio.wait(kept, timeout=DRAINS_WITHIN)


def prepared(url: str, batch: int, senders: int, wanted: int) -> list[tuple[int, bytes]]:
    """Return requests with their numbers, as many as are wanted unless they are too large."""
    parts, bodies = urlsplit(url), Bodies(batch, senders)
    (first,) = bodies.requests(1, parts.netloc, parts.path)
    count = min(wanted, LARGEST_POOL // len(first))
    return list(enumerate(bodies.requests(count, parts.netloc, parts.path)))


def main() -> None:
    """Prepare the requests, send them, print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--batch", type=int, default=1, help="messages in a body")
    parser.add_argument("--senders", type=int, default=SENDERS)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--requests", type=int, default=50_000, help="how many are prepared at most")
    parser.add_argument("--no-keep-alive", action="store_true", help="a new connection for each request")
    given = parser.parse_args()
    requests = itertools.cycle(prepared(given.url, given.batch, given.senders, given.requests))
    gc.collect()
    gc.disable()  # the load must not pause
    load = Load(requests, keep_alive=not given.no_keep_alive)
    uvloop.run(run(load, given.url, given.connections, given.seconds))
    print(json.dumps(load.result(given.seconds)))


if __name__ == "__main__":
    main()
