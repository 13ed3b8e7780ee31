"""A tenant that floods, and clients that want to hurt, while everybody else's traffic goes on. Seeded.

The second page's app signs bodies of thousands of items; nobody signed the rest. What the others notice of it
is for the ledger, and for `proofs.flood`.
"""

import contextlib
import itertools
import json
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil

from clients.channels.meta.messenger import Messenger
from clients.channels.meta.signature import sign
from connector.web.body import MAX_BODY
from connector.web.guard import MAX_CONNECTIONS, raise_file_limit
from tests.chaos.loops import Loop
from tests.chaos.system import System

TINY = 100_000
"""How many items that say nothing are in a body; none of them is stored."""
RECEIPTS, MESSAGES, NEWCOMERS = 2_000, 100, 40
"""How many events of a kind are in a body: what comes in has to be relayed as well, within a settlement."""
SILENT = MAX_CONNECTIONS + 110
UNSIGNED = 4
"""How many clients bring bodies that nobody signed, at once."""
WRONG = f"sha256={'0' * 64}"


class Flood:
    """The tenant and the clients; `brought` counts what the web process said to them."""

    def __init__(self, system: System, seed: str) -> None:
        self._system, self._page = system, system.pages[1]
        self._random = random.Random(f"{seed} flood")
        self._numbers = itertools.count(1)
        self._http = httpx.Client(base_url=system.url, timeout=20, trust_env=False)
        self.brought: Counter[str] = Counter()
        self.kinds: dict[str, Callable[[], None]] = {
            "brings a hundred thousand items": self._tiny,
            "brings one person's receipts, the newest first": self._receipts,
            "brings one person's messages, the newest first": self._messages,
            "brings new people": self._newcomers,
            "says nothing": self._silence,
            "brings bodies that nobody signed": self._unsigned,
        }
        raise_file_limit()  # of this process, which opens as many connections

    def loops(self) -> list[Loop]:
        """Return all of it at once, again and again."""
        return [Loop(f"who {name}", self._again(act)) for name, act in self.kinds.items()]

    def _again(self, act: Callable[[], None]) -> Callable[[], float]:
        def again() -> float:
            self._system.closing.wait(self._random.uniform(0, 2))  # each at times of its own
            act()
            return 0.0

        return again

    def _tiny(self) -> None:
        self._sign(",".join(['{"a":1}'] * TINY))

    def _receipts(self) -> None:
        psid = self._new_psid()
        self._sign_items([{**self._at(psid, n), "read": {"watermark": n}} for n in range(RECEIPTS)])

    def _messages(self) -> None:
        psid = self._new_psid()
        self._sign_items([self._message(psid, n) for n in range(MESSAGES)])

    def _newcomers(self) -> None:
        self._sign_items([self._message(self._new_psid(), n) for n in range(NEWCOMERS)])

    def _new_psid(self) -> str:
        return f"9{next(self._numbers):015}"

    def _at(self, psid: str, number: int) -> dict[str, Any]:
        people = {"sender": {"id": psid}, "recipient": {"id": self._page.page_id}}
        return people | {"timestamp": int(time.time() * 1000) - number}

    def _message(self, psid: str, number: int) -> dict[str, Any]:
        said = {"mid": f"m_flood_{psid}_{next(self._numbers)}", "text": "x"}
        return self._at(psid, number) | {"message": said}

    def _sign_items(self, items: list[dict[str, Any]]) -> None:
        self._sign(",".join(map(json.dumps, items)))

    def _sign(self, items: str) -> None:
        entry = f'{{"id":"{self._page.page_id}","messaging":[{items}]}}'
        body = f'{{"object":"page","entry":[{entry}]}}'.encode()
        self._bring(body, sign(body, self._page.app_secret))

    def _bring(self, body: bytes, signature: str) -> None:
        answer = self._http.post(Messenger.path, content=body, headers={"X-Hub-Signature-256": signature})
        self.brought[str(answer.status_code)] += 1

    def _silence(self) -> None:
        """Hold more connections than are served, with half a head in each."""
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for _ in range(SILENT):
                address = ("127.0.0.1", self._system.port)
                client = held.enter_context(socket.create_connection(address, timeout=5))
                client.sendall(f"POST {Messenger.path} HTTP/1.1\r\nHost: x\r\n".encode())
                self.brought["silence"] += 1
            self._system.closing.wait(self._random.uniform(1, 3))  # for how long they are held

    def _unsigned(self) -> None:
        def bring(_: int) -> None:
            with contextlib.suppress(httpx.TransportError):  # it may be refused before it is all there
                self._bring(b'{"object":"page","entry":' + b"[" * (MAX_BODY - 100), WRONG)

        with ThreadPoolExecutor(UNSIGNED) as clients:
            list(clients.map(bring, range(UNSIGNED)))


def memory(system: System) -> int:
    """Return the most memory that a web process which runs now ever had, in bytes; 0 while none runs."""
    return max(_most(process) for process in system.tree("web")) if system.tree("web") else 0


def _most(process: psutil.Process) -> int:
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0
