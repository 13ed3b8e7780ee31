"""Webhooks as Meta sends them: escaped JSON, signed twice, each with mids that no other has."""

import itertools
import secrets
import time
from collections.abc import Iterator

from sandbox.meta.webhooks import signed_headers, wire_body

PAGE_ID = "107381679302250"
SECRET = "5a" * 16
SENDERS = 1000

_TEXT = "Good morning, where is my order 2026/11/4711? I paid on Friday <3 Zażółć gęślą jaźń"


def psid(number: int) -> str:
    """Return the id of a sender."""
    return str(7_000_000_000_000_000 + number)


class Bodies:
    """Makes bodies of `batch` messages each, from `senders` people in turn, `burst` in a row from each."""

    def __init__(
        self,
        batch: int = 1,
        senders: int = SENDERS,
        *,
        burst: int = 1,
        page_id: str = PAGE_ID,
        first_sender: int = 0,
    ) -> None:
        self.batch, self.senders, self._burst, self._first = batch, senders, burst, first_sender
        self._numbers = itertools.count()
        self._run = secrets.token_hex(8)
        marker = {"sender": {"id": "PSID"}, "recipient": {"id": page_id}, "timestamp": 1_111_111_111_111}
        message = {"mid": "MID", "text": _TEXT}
        entry = {"time": 1_111_111_111_111, "id": page_id, "messaging": [marker | {"message": message}]}
        template = wire_body({"object": "page", "entry": [entry]}).decode()
        template = template.replace("1111111111111", "%(now)d")
        self._head, rest = template.split('{"time"', 1)
        self._entry, self._tail = ('{"time"' + rest)[:-2], "]}"
        self._entry = self._entry.replace("PSID", "%(psid)s").replace("MID", "%(mid)s")

    def one(self) -> tuple[bytes, list[str]]:
        """Return a body and the mids in it."""
        now = int(time.time() * 1000)
        mids, entries = [], []
        for number in itertools.islice(self._numbers, self.batch):
            mids.append(f"m_{self._run}{number:08}")
            person = psid(self._first + number // self._burst % self.senders)
            values = {"now": now, "psid": person, "mid": mids[-1]}
            entries.append(self._entry % values)
        return (self._head + ",".join(entries) + self._tail).encode(), mids

    def requests(self, count: int, host: str, path: str) -> Iterator[bytes]:
        """Yield whole HTTP requests."""
        for _ in range(count):
            body, _mids = self.one()
            yield request(body, host, path)


def request(body: bytes, host: str, path: str) -> bytes:
    """Return the HTTP request that carries a body."""
    headers = {
        "Host": host,
        "Content-Length": str(len(body)),
        **signed_headers(body, SECRET),
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body
