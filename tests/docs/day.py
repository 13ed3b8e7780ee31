"""A day on which not all is well: what the pictures of whole pages in docs/ show.

The page that has to be connected again was added at run time: no login gives those of the settings a token.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from clients.findings import finding
from clients.notices import Notice, encode, notice
from connector.cipher import new_key
from sandbox.stack import until
from tasks.findings import Checked, KeptFinding
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.store import connect
from tests.conftest import SECRET_A, connection, settings_in
from tests.fakes.admin import ADMIN_TOKEN, Admin
from tests.fakes.board import die, link_to_board, remote
from tests.fakes.login import APP, APP_SECRET
from tests.fakes.web import serving

HOUR = 3600
NAMES = (
    "Sugester",
    "Fakturownia",
    "Kwiaciarnia Róża",
    "Bike Workshop Wrocław",
    "Café Zażółć",
    "Meble Kowalski",
    "Biuro Podróży Fala",
    "Old Town Books",
)
DESK = "7"
"""Where the first two pages lead."""
ADDED = 1
"""Which of the pages was added while the connector ran."""
PAGES = [f"10738167930225{number}" for number in range(len(NAMES))]


@contextmanager
def day(folder: Path, store_url: str) -> Iterator[str]:
    """Serve a connector on such a day, and give its address."""
    fields = [
        {"page_name": name, "desk_id": _desk_of(number), "active": number != 7}
        for number, name in enumerate(NAMES)
    ]
    added = fields.pop(ADDED)
    fixed = [page_id for number, page_id in enumerate(PAGES) if number != ADDED]
    connections = [connection(page_id, SECRET_A, **each) for page_id, each in zip(fixed, fields, strict=True)]
    with closing(connect(store_url)) as store, settings_in(folder) as make:
        store.flushall()
        graph = {"app_id": APP, "app_secret": APP_SECRET}
        known: dict[str, Any] = {"secret_key": new_key(), "admin_token": ADMIN_TOKEN, "graph": graph}
        known |= {"connections": connections}
        with serving(make(redis_url=store_url, **known)) as url:
            with httpx.Client(base_url=url, trust_env=False) as http:
                Admin(http).add(PAGES[ADDED], **added).raise_for_status()
                until(
                    "it is known",
                    lambda: NAMES[ADDED] in http.get(link_to_board(url), follow_redirects=True).text,
                )
            _happen(Inbox(store))
            yield url


def _desk_of(number: int) -> str:
    return DESK if number < 2 else str(8 + number % 2)


def _happen(inbox: Inbox) -> None:
    now = inbox.now()
    for number, page_id in enumerate(PAGES[:7]):
        account, hour = remote(page_id), int(now // HOUR)
        for ago in range(20):
            day, at = divmod(hour - ago, 24)
            for way, most in (("in", 9), ("sent", 7)):
                count = (number * 5 + ago * 3) % most
                inbox.store.hset(f"mc:day:{day}:{way}:{account}:", str(at), count)
        inbox.store.hset("mc:last", f"in:{account}:", int((now - 70 * (number + 1)) * 1000))
        well = Checked(now - 7 * 60, now - (number + 3) * 24 * HOUR, _LASTS)
        inbox.note_findings(account, b"", msgspec.json.encode(well))
        inbox.store.hset("mc:last", f"sent:{account}:", int((now - 400 * (number + 1)) * 1000))
    _token_expired(inbox, remote(PAGES[ADDED]), now - 3 * HOUR)
    _found(inbox, remote(PAGES[4]), now - 2 * 24 * HOUR, "data_access_ends", time="2026-12-09")
    for reason, count in ((notice("file_too_large", limit_bytes=26_214_400), 2), (_CLOSED, 1)):
        for _ in range(count):
            die(inbox, reason, queue=f"out:{remote(PAGES[2])}:7623554920995436")
    inbox.backfills.request(remote(PAGES[6]), int((now - 5 * 24 * HOUR) * 1000))
    backfill = inbox.backfills.claim(4)
    assert backfill
    progress = {"began": int(now * 1000), "least": 0, "conversations": 62, "messages": 418, "new": 12}
    todo = [{"id": str(number), "person_id": str(number), "time": 0} for number in range(38)]
    inbox.backfills.save(backfill, json.dumps(progress | {"todo": todo, "is_listed": True}).encode())


_LASTS = [
    finding("page_token_valid").what,
    finding("data_access_lasts", time="2027-02-21 09:30 UTC").what,
]
_CLOSED = notice("window_closed")


def _token_expired(inbox: Inbox, account: str, since: float) -> None:
    _found(inbox, account, since, "page_token_invalid", reference="190/463")
    inbox.pause(account, 600, encode(notice("page_token_refused", reference="190/463")))
    inbox.store.hset(f"mc:pause:{account}", "began", int(since * 1000))
    jobs = [Job(key=f"w{person}", queue=f"out:{account}:{person}", time=1, body=b"{}") for person in range(4)]
    inbox.accept(jobs)
    for job in jobs:
        inbox.store.zadd("mc:oldest", {job.queue: int(since * 1000)})


def _found(inbox: Inbox, account: str, since: float, code: str, **values: str) -> None:
    what: Notice = finding(code, **values).what
    inbox.note_findings(account, msgspec.json.encode([KeptFinding(what, since, is_confirmed=True)]))
