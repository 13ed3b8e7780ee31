"""The web process over real HTTP, and the webhooks that are brought to it."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from clients.channels.meta.events import CHANNEL
from clients.channels.meta.signature import sign
from connector.app import create_app
from connector.settings import Settings
from sandbox.stack import until
from tasks.services import store_check_of
from tasks.store import connect
from tests.conftest import METRICS_TOKEN, PAGE_A, SECRET_A, payload
from tests.fakes.helpdesk_webhooks import headers

PSID = "7623554920995436"
QUEUE = f"in:{CHANNEL}:{PAGE_A}:{PSID}"
MESSENGER, HELPDESK = "/social_media/webhooks/facebook", "/social_media/webhooks/helpdesk"


@contextmanager
def serving(settings: Settings, port: int = 0) -> Iterator[str]:
    """Serve the web application, on a port that is free or on this one, and give its URL.

    The store is tried before, as in a process of its own: later another test may empty it meanwhile.
    """
    check = store_check_of(settings)
    check()
    with socket.create_server(("127.0.0.1", port)) as listener:
        config = uvicorn.Config(create_app(settings, check), log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            until("the doors are open", lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


OWN_KEYS = {"mc:room", "mc:probe", "mc:clocks", "mc:installation", "mc:refused", "mc:helpdesk_webhook"}


class Doors:
    """The doors of a running connector, and its store."""

    def __init__(self, url: str, store_url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, trust_env=False)
        self.store = connect(store_url)
        self._before = self._metrics()

    def meta(self, body: bytes, secret: str = SECRET_A, **headers: str) -> int:
        """Bring a body that an app signed, as Meta does. Return the status of the answer."""
        signed = {"X-Hub-Signature-256": sign(body, secret), "Content-Type": "application/json"}
        return self.http.post(MESSENGER, content=body, headers=signed | headers).status_code

    def helpdesk(self, body: bytes, at: float | None = None, /, **changes: str) -> int:
        """Bring a body that the helpdesk signed. Return the status of the answer."""
        return self.http.post(HELPDESK, content=body, headers=headers(body, at, **changes)).status_code

    def queue(self, queue: str = QUEUE) -> list[dict[str, Any]]:
        """Return the bodies of the events that wait in a queue."""
        found: Any = self.store.zrange(f"mc:jobs:{queue}", 0, -1)
        return [json.loads(event.split(b" ", 3)[3], parse_int=float) for event in found]

    def stored(self) -> set[str]:
        """Return the names of what the inbox keeps, but for what the process keeps of its own."""
        names = {key.decode() for key in self.store.scan_iter("mc:*")} - OWN_KEYS
        return {name for name in names if not name.startswith("mc:celery:")}

    def queues(self) -> set[str]:
        """Return the names of the queues that hold events."""
        return {key.removeprefix("mc:jobs:") for key in self.stored() if key.startswith("mc:jobs:")}

    def metrics(self) -> str:
        """Return what `/metrics` shows."""
        return self.http.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}).text

    def counted(self, name: str) -> float:
        """Return how much one of the numbers under `/metrics` grew in this test."""
        return self._metrics().get(f"connector_{name}", 0) - self._before.get(f"connector_{name}", 0)

    def refused(self, endpoint: str, reason: str, page: str = "") -> float:
        """Return how many more webhooks were refused in this test for a reason."""
        return self.counted(
            f'webhooks_refused_total{{endpoint="{endpoint}",page="{page}",reason="{reason}"}}'
        )

    def _metrics(self) -> dict[str, float]:
        lines = self.metrics().splitlines()
        named = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in named}


@contextmanager
def doors_at(url: str, store_url: str) -> Iterator[Doors]:
    doors = Doors(url, store_url)
    try:
        yield doors
    finally:
        doors.http.close()
        doors.store.close()


def item(mid: str, at: int = 1795382999900, psid: str = PSID, page: str = PAGE_A) -> dict[str, Any]:
    """Return a message of a person as Meta sends it."""
    people = {"sender": {"id": psid}, "recipient": {"id": page}}
    return people | {"timestamp": at, "message": {"mid": mid, "text": f"I am {mid}"}}


def entry(*items: dict[str, Any], page: str = PAGE_A) -> dict[str, Any]:
    """Return what Meta sends for one page."""
    return {"id": page, "time": 1795383000123, "messaging": list(items)}


def envelope(*entries: dict[str, Any], object_: str = "page") -> bytes:
    """Return a body of Meta's webhook."""
    return json.dumps({"object": object_, "entry": list(entries)}).encode()


def mids(events: Sequence[dict[str, Any]]) -> list[str]:
    """Return the mids of messages."""
    return [event["message"]["mid"] for event in events]


MESSAGE = envelope(entry(item("m_1")))


LONG = "9" * 5000


REPLY = payload("helpdesk/comment_of_agent")
