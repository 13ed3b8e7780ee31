"""Ten thousand pages that were connected while it runs: a change of one is seen within a second."""

import itertools
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import httpx
import pytest

from connector.cipher import Cipher, new_key
from connector.connection import Connection, record_name
from sandbox.stack import PAGES, Stack, until
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.e2e.conftest import QUICK
from tests.e2e.load import part
from tests.fakes.admin import ADMIN_TOKEN, Admin

MANY = 10_000
FIRST = 600_000_000_000
PAGE = PAGES[1]
KEY = new_key()
numbers = itertools.count()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack with one page that Meta knows, and ten thousand others; no test restarts a part."""
    settings = QUICK | {"secret_key": KEY, "admin_token": ADMIN_TOKEN, "check_every": 0}
    with Stack(tmp_path_factory.mktemp("stack"), pages=PAGES[:1], settings=settings) as running:
        before = [part(running, name).pid for name in ("web", "worker")]
        _add(running)
        yield running
        assert [part(running, name).pid for name in ("web", "worker")] == before


def _add(stack: Stack) -> None:
    body = Connection.model_validate(_fields(str(FIRST))).encode(Cipher([KEY])).decode()
    with closing(connect(stack.store_url)) as store:
        records = Inbox(store).connections
        store.config_set("appendfsync", "no")  # ten thousand times, it would take a minute
        for number in range(MANY):
            page_id = str(FIRST + number)
            records.put(record_name(page_id), body.replace(str(FIRST), page_id).encode())
        store.config_set("appendfsync", "always")


def _fields(page_id: str = PAGE.page_id) -> dict[str, Any]:
    return {
        "page_id": page_id,
        "desk_id": "7",
        "page_access_token": PAGE.access_token,
        "app_secret": PAGE.app_secret,
        "verify_token": PAGE.verify_token,
    }


def _answers(http: httpx.Client, verify_token: str) -> bool:
    query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": verify_token}
    return http.get("/social_media/webhooks/facebook", params=query).status_code == 200


def test_a_change_of_one_of_ten_thousand_connections_is_seen_within_a_second(stack: Stack) -> None:
    """The web process answers by it; the next ticket, however soon, is opened by it."""
    took = []
    with httpx.Client(base_url=stack.url, trust_env=False) as http:
        admin = Admin(http)

        def change(**fields: str) -> float:
            """Change the page's verify token, and more. Return how many seconds later that is seen."""
            token = f"verify {next(numbers)}"
            answer = admin.ask(
                "PUT", f"/{PAGE.page_id}", fields | {"desk_id": "7", "verify_token": token}, If_Match="*"
            )
            assert answer.status_code == 200, answer.text
            began = time.monotonic()
            until("the web process sees it", partial(_answers, http, token))
            return time.monotonic() - began

        assert admin.ask("PUT", f"/{PAGE.page_id}", _fields(), If_None_Match="*").status_code == 201
        change()
        stack._connect(PAGE)
        for number in range(3):
            took.append(change(page_name=f"Page {number}"))
            stack.write(psid := f"7700000000{number}", PAGE, text="hello")
            (ticket,) = until("a ticket", partial(stack.tickets, psid))
            assert ticket["config"]["page_name"] == f"Page {number}"
        assert len(admin.ask("GET", "?limit=100").json()["connections"]) == 100

    assert max(took) < 1, took
