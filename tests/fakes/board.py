"""A reader of the operator's board, and what there is in the store for it to show."""

import html
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from clients.channels.meta.events import CHANNEL
from clients.notices import Notice, encode, notice
from connector import links
from connector.links import BOARD_PATH, Link
from tasks.inbox import kept_jobs
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tests.conftest import PAGE_A
from tests.fakes.admin import ADMIN_TOKEN

WORDS = "my secret diary"
"""What people wrote in each dead letter."""


def remote(page_id: str = PAGE_A) -> str:
    """Return a page as a remote."""
    return f"{CHANNEL}:{page_id}"


def link_to_board(url: str, *, key: str = ADMIN_TOKEN, seconds: int = 600, **said: Any) -> str:
    """Return a link as `connector board` prints it."""
    link = Link(said.pop("desk_id", ""), int(time.time()) + seconds, **said)
    return links.address(link, url, BOARD_PATH, key)


class Reader:
    """Somebody who looks at the board."""

    def __init__(self, url: str, **said: Any) -> None:
        self.url = url
        self.answers: list[httpx.Response] = []
        hooks = {"response": [self.answers.append]}
        self.http = httpx.Client(follow_redirects=True, trust_env=False, timeout=20, event_hooks=hooks)
        self.first = self.http.get(link_to_board(url, **said))
        self.query = dict(self.first.url.params)

    def see(self, path: str = "", **query: Any) -> httpx.Response:
        """Open a page of the board."""
        return self.http.get(f"{self.url}{BOARD_PATH}{path}", params=self.query | query)

    def poll(self, path: str = "", **query: Any) -> httpx.Response:
        """Ask for what has changed, as htmx does."""
        address = f"{self.url}{BOARD_PATH}{path}"
        return self.http.get(address, params=self.query | query, headers={"HX-Request": "true"})

    def send(self, path: str, fields: Mapping[str, Any], **query: Any) -> httpx.Response:
        """Send a form."""
        return self.http.post(f"{self.url}{BOARD_PATH}{path}", params=self.query | query, data=dict(fields))

    def close(self) -> None:
        """Close the browser."""
        self.http.close()


def text(page: httpx.Response) -> str:
    """Return what a page says, in one line."""
    without_style = re.sub(r"<style>.*?</style>", "", page.text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", without_style)).split())


def names(page: httpx.Response) -> list[str]:
    """Return the connections that are listed."""
    return [html.unescape(name) for name in re.findall(r"<h3>(.*?)</h3>", page.text)]


def letters(page: httpx.Response) -> list[int]:
    """Return the ids of the dead letters, or unknown events, that are listed."""
    return [int(id_) for id_ in re.findall(r'type="checkbox" name="id" value="(\d+)"', page.text)]


def addresses(page: httpx.Response) -> list[str]:
    """Return all addresses that a page leads to, or loads."""
    found = re.findall(r'(?:href|src|action|hx-get)="([^"]*)"', page.text)
    return list(map(html.unescape, found))


def seen_of(page: httpx.Response) -> str:
    """Return what a page says it shows, as the next poll sends it."""
    (seen,) = re.findall(r"seen=(\w+)", page.text)
    return str(seen)


def die(
    inbox: Inbox, reason: Notice | None = None, *, queue: str = "", words: str = WORDS, key: str = ""
) -> int:
    """Make a dead letter; return its id."""
    queue = queue or f"in:{remote()}:7623554920995436"
    body = json.dumps({"message": {"mid": key, "text": words}}).encode()
    inbox.accept([Job(key=key or f"{time.monotonic_ns()}", queue=queue, time=1, body=body)])
    lease = inbox.claim(queue)
    assert lease
    lease.move_to_dead_letters(encode(reason or notice("file_too_large", limit_bytes=26_214_400)))
    return lease.job.id


def store_letters(inbox: Inbox, ids: Sequence[int], reason: Notice, queue: str) -> None:
    """Store dead letters at once, as the script does one by one."""
    jobs = [Job(queue=queue, time=1, body=json.dumps({"text": WORDS}).encode(), id=id_) for id_ in ids]
    inbox.store.hset("mc:dead", mapping={str(job.id): kept_jobs.encode(job, encode(reason)) for job in jobs})
    account = queue.split(":", 1)[1].rpartition(":")[0]
    inbox.store.zadd(f"mc:dead:{account}", {str(id_): id_ for id_ in ids})


def keep_unknown(inbox: Inbox, kind: str = "gift") -> int:
    """Keep an event of a kind that nobody knows; return its id."""
    queue = f"in:{remote()}:7623554920995437"
    body = json.dumps({kind: {"name": WORDS}}).encode()
    inbox.accept([Job(key=f"{time.monotonic_ns()}", queue=queue, time=1, body=body)])
    lease = inbox.claim(queue)
    assert lease
    lease.keep_unknown(encode(notice("unknown_kind", kind=kind)))
    lease.finish()
    return lease.job.id
