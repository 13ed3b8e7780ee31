"""The board with ten thousand connections and fifty thousand dead letters, in a browser.

How soon it is painted `make bench ARGS=board` says. Here it is painted, and costs what it costs with few.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import redis
from playwright.sync_api import expect

from benchmarks.board import PAINTED, fill
from benchmarks.bodies import PAGE_ID
from connector.cipher import Cipher, new_key
from connector.connection import Connection, record_name
from sandbox.stack import until
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.conftest import SECRET_A, connection, settings_in
from tests.docs.camera import browser_page
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.board import Reader, letters, names, text
from tests.fakes.stores import empty
from tests.fakes.web import serving

KEY = new_key()
FEW, MANY = (300, 500), (10_000, 50_000)
PATHS = ("", "/dead")


class Cost(NamedTuple):
    """What an answer costs: its bytes, and how many commands the store executes for it."""

    size: int
    commands: int


@contextmanager
def board_of(folder: Path, store_url: str, pages: int, letters: int) -> Iterator[tuple[str, redis.Redis]]:
    """Serve a board with so many connections and dead letters; give its address, and the store."""
    with empty(store_url), closing(connect(store_url)) as store, settings_in(folder) as make:
        fields = connection(PAGE_ID, SECRET_A, desk_id="7")
        record = Connection.model_validate(fields).encode(Cipher([KEY])).decode()
        for number in range(pages):
            page_id = str(int(PAGE_ID) + number)
            one = record.replace(PAGE_ID, page_id).encode()
            Inbox(store).connections.put(record_name(page_id), one)
        fill(store, pages, letters)
        known = {"secret_key": KEY, "admin_token": ADMIN_TOKEN, "connections": []}
        with serving(make(redis_url=store_url, **known)) as url:
            with closing(Reader(url)) as reader:
                until("all connections are known", lambda: f"of {pages}<" in reader.see().text, 60)
            yield url, store


def cost_of(url: str, store: redis.Redis, path: str) -> Cost:
    """Return the least of a few: the process also looks at the store by itself."""
    with closing(Reader(url)) as reader:
        seen = []
        for _ in range(5):
            before = commands(store)
            size = len(reader.see(path).content)
            seen.append(Cost(size, commands(store) - before))
    return min(seen, key=lambda one: one.commands)


def commands(store: redis.Redis) -> int:
    return sum(one["calls"] for one in store.info("commandstats").values())


def test_it_is_painted_and_costs_no_more_than_that_of_few(valkey: str, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    with board_of(tmp_path / "few", valkey, *FEW) as (url, store):
        few = {path: cost_of(url, store, path) for path in PATHS}
    with board_of(tmp_path, valkey, *MANY) as (url, store):
        many = {path: cost_of(url, store, path) for path in PATHS}
        with closing(Reader(url)) as reader, browser_page(1200, 900) as page:
            page.goto(str(reader.first.url))
            expect(page.get_by_text(f"1 to 50 of {MANY[0]}")).to_be_visible()
            assert page.evaluate(PAINTED) > 0
            page.goto(page.url.replace("/board?", "/board/dead?"))
            expect(page.locator("input[type=checkbox]")).to_have_count(50)
            assert page.evaluate(PAINTED) > 0
            assert (len(names(reader.see())), len(letters(reader.see("/dead")))) == (50, 50)
            last = str(int(PAGE_ID) + MANY[0] - 1)
            assert len(names(reader.see(q=last))) == 1
            assert "1 to 50 of 100" in text(reader.see(state="reconnect"))
    for path in PATHS:
        assert many[path].size <= 1.2 * few[path].size
        assert many[path].commands <= few[path].commands + 50  # what the process asks by itself
