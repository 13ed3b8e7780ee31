"""How soon the operator's board is there, with very many connections and dead letters."""

import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping

import httpx
import msgspec
import redis

from benchmarks.bench import Bench
from benchmarks.bodies import PAGE_ID, psid
from benchmarks.product import Product
from clients.channels.meta.events import CHANNEL
from clients.findings import finding
from clients.notices import encode, notice
from connector import links
from connector.links import BOARD_PATH, Link
from sandbox.stack import until
from tasks.findings import KeptFinding
from tasks.inbox import kept_jobs
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.inbox.queues import account_remote

ADMIN_TOKEN = "who-may-see-the-board-of-a-benchmark"
PAINTED_WITHIN = 1.0
"""How long the first paint may take, in seconds."""
AT_ONCE = 1000
# https://www.w3.org/TR/paint-timing/
PAINTED = """() => new Promise(resolve => new PerformanceObserver(found => resolve(
  found.getEntriesByName("first-contentful-paint")[0].startTime / 1000
)).observe({type: "paint", buffered: true}))"""


def run(bench: Bench) -> None:
    """Run the suite."""
    pages, letters = (20, 200) if bench.quick else (10_000, 50_000)
    settings = {"admin_token": ADMIN_TOKEN}
    bench.table = f"{pages:,} connections, {letters:,} dead letters"
    with Product(bench.folder / "board", pages=0, added=pages, settings=settings) as product:
        fill(product.store, pages, letters)
        product.start("web", core=None)
        board = _Board(product.url)
        until("all connections are known", lambda: f"of {pages}<" in board.get(""))
        rounds = 3 if bench.quick else 15
        for name, ask in board.cases().items():
            bench.rounds(name, "answered within", [_timed(ask) for _ in range(rounds)], "s")
        _paint(bench, "the board", board.address, rounds)
        _paint(bench, "the dead letters", board.at("/dead"), rounds)


class _Board:
    """The board, opened by a link."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=60, follow_redirects=True)
        link = Link("", int(time.time()) + links.LONGEST)
        self.address = links.address(link, url, BOARD_PATH, ADMIN_TOKEN)
        self._query = dict(self._http.get(self.address).url.params)

    def at(self, path: str) -> str:
        """Return the address of a page of the board."""
        return str(self._http.base_url.join(BOARD_PATH + path).copy_merge_params(self._query))

    def get(self, path: str, **query: str) -> str:
        """Return a page of the board."""
        answer = self._http.get(BOARD_PATH + path, params=self._query | query)
        return answer.raise_for_status().text

    def cases(self) -> Mapping[str, Callable[[], object]]:
        """Return what is measured."""
        return {
            "the first page": lambda: self.get(""),
            "a search": lambda: self.get("", q="999"),
            "dead letters": lambda: self.get("/dead"),
            "dead letters of a page": lambda: self.get("/dead", of=PAGE_ID),
            "dead letters by words": lambda: self.get("/dead", words="access token"),
        }


def _timed(ask: Callable[[], object]) -> float:
    began = time.monotonic()
    ask()
    return time.monotonic() - began


def _paint(bench: Bench, what: str, address: str, rounds: int) -> None:
    """Open a page of the board in a browser, and see when it is painted first."""
    seconds = list(_painted(address, rounds))
    text = f"the first paint of {what}, {bench.table}"
    wanted = f"≤ {PAINTED_WITHIN:g} s"
    if not seconds:
        bench.target(text, wanted, "not measured", holds=None, why="there is no Chromium, or no Playwright")
        return
    bench.rounds(f"{what} in a browser", "painted within", seconds, "s")
    median, most = statistics.median(seconds), max(seconds)
    bench.target(text, wanted, f"{median:.2f} s, {most:.2f} s at most", holds=most <= PAINTED_WITHIN)


def _painted(address: str, rounds: int) -> Iterator[float]:
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only the tests need it else
    except ImportError:
        return
    if not (path := shutil.which("chromium")):
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(rounds):
            page = browser.new_page()
            page.goto(address)
            yield float(page.evaluate(PAINTED))
            page.close()
        browser.close()


def fill(store: redis.Redis, pages: int, letters: int) -> None:
    """Have a hundred of the connections be in trouble, and dead letters of all of them."""
    inbox = Inbox(store)
    remotes = [account_remote(CHANNEL, str(int(PAGE_ID) + number)) for number in range(pages)]
    wrong = finding("page_token_invalid", reference="190/463")
    for remote in remotes[:: max(1, pages // 100)]:
        inbox.note_findings(
            remote, msgspec.json.encode([KeptFinding(wrong.what, inbox.now(), is_confirmed=True)])
        )
        inbox.pause(remote, 600, encode(notice("page_token_refused", reference="190/463")))
    inbox.accept(_job(remotes[number % pages], number) for number in range(300))
    reasons = [notice("page_token_refused", reference="190/463"), notice("file_too_large", limit_bytes=1)]
    first = 1_000_000
    for start in range(first, first + letters, AT_ONCE):
        with store.pipeline(transaction=False) as asked:
            for id_ in range(start, min(start + AT_ONCE, first + letters)):
                remote = remotes[id_ % pages]
                letter = kept_jobs.encode(_job(remote, id_), encode(reasons[id_ % 2]))
                asked.hset(inbox.key("dead"), str(id_), letter.decode())
                asked.zadd(inbox.key(f"dead:{remote}"), {str(id_): id_})
            asked.execute()


def _job(remote: str, number: int) -> Job:
    """Return an event, as large as a text."""
    body = {"sender": {"id": psid(number)}, "message": {"mid": f"m_{number}", "text": "words " * 50}}
    queue = f"in:{remote}:{psid(number)}"
    return Job(key=str(number), queue=queue, time=number, body=json.dumps(body).encode(), id=number)
