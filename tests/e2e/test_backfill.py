"""People wrote while nothing got through: afterwards it stands on their tickets, between real processes."""

import itertools
import json
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connector.cipher import new_key
from sandbox.stack import Stack, until
from tasks.store import connect
from tests.conftest import Valkey
from tests.e2e.added import Case
from tests.e2e.conftest import QUICK
from tests.e2e.load import kill, metric
from tests.fakes.admin import ADMIN_TOKEN

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
PHOTO = {
    "filename": "photo.png",
    "content_type": "image/png",
    "base64": b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode(),
}
numbers = itertools.count()


class Missing(Stack):
    """A stack whose store goes on while its connector is stopped, and whose Meta can be silent."""

    def __init__(self, folder: Path) -> None:
        self.valkey = Valkey(folder)
        settings = {"redis_url": self.valkey.url, "secret_key": new_key(), "admin_token": ADMIN_TOKEN}
        super().__init__(folder / "stack", settings=QUICK | settings)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.valkey.stop()

    def deliver(self, *, on: bool) -> None:
        """Have Meta send webhooks, or none. What was sent before has come by then."""
        until("Meta has delivered all", lambda: self.ask_meta("GET", "/webhooks")["waiting"] == 0)
        self.ask_meta("PUT", "/behaviour", {"deliver": on, "receipts": False})

    def restart_after(self, hours: float) -> None:
        """Stop the connector and start it as if it had been stopped hours ago, by what its store says."""
        self.stop_connector()
        with closing(connect(self.valkey.url)) as store:
            store.set("mc:door", now() - int(hours * HOUR))
        self.start_connector()
        self.wait_until_ready()

    def hold_third_conversation(self) -> None:
        """Have Meta take long over the third conversation whose messages it is asked for."""
        slow = {"method": "GET", "path": "/v*/t_*/messages", "skip": 2, "times": 1, "delay": 20}
        self.ask_meta("PUT", "/faults", [slow])

    def kill_worker_while_held(self) -> None:
        """Kill a worker that waits for that conversation."""
        until("it is in the middle", lambda: self.ask_meta("GET", "/faults")[0]["hits"], 60)
        kill(self, "worker")

    def wait_until_fetched(self) -> None:
        """Wait until a gap was noted and all that was missed is relayed."""
        with closing(connect(self.valkey.url)) as store:
            until("all is fetched", lambda: not store.exists("mc:gaps", "mc:backfills"), 90)
        until("the inbox is empty", lambda: metric(self, "connector_queues") == 0, 60)

    def check(self, remote: str) -> None:
        """Check a connection as a worker does whose turn it is; those of the stack check nothing."""
        with closing(connect(self.valkey.url)) as store:
            store.zadd("mc:checks", {remote: 0})
        command = [sys.executable, "-c", "from tasks.checks import check; check()"]
        assert self.process("checks", command, CONNECTOR_CHECK_EVERY="30").popen.wait(60) == 0

    def entries(self, psid: str) -> list[dict[str, Any]]:
        """Return what stands on a person's tickets, the ticket's own text first."""
        return [entry for ticket in self.tickets(psid) for entry in (ticket, *ticket["comments"])]

    def texts(self, psid: str) -> list[str]:
        """Return the first line of each."""
        return [str(entry["body"]).partition("\n")[0] for entry in self.entries(psid)]

    def calls_a_second(self) -> int:
        """Return how often the first page was asked for its past within a second at most."""
        own = f"/{self.pages[0].page_id}/conversations"
        lines = [json.loads(line) for line in (self.folder / "meta.jsonl").read_text().splitlines()]
        calls = [one for one in lines if one["kind"] == "call" and one["call"].startswith("GET /v")]
        began: list[float] = [one["began"] for one in calls if "/t_" in one["call"] or own in one["call"]]
        assert len(began) > 3
        return max(sum(one <= other < one + 1 for other in began) for one in began)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Missing]:
    with Missing(tmp_path_factory.mktemp("backfill")) as running:
        yield running


@pytest.fixture(autouse=True)
def _mend(stack: Missing) -> Iterator[None]:
    yield
    stack.ask_meta("DELETE", "/faults")
    stack.ask_meta("PUT", "/behaviour", {"subscription_delay": 0})
    stack.deliver(on=True)


def now() -> int:
    return int(time.time()) * 1000


def new_people(count: int) -> list[str]:
    return [f"7500000000{next(numbers):06}" for _ in range(count)]


def test_three_hours_of_messages_stand_on_the_tickets_afterwards(stack: Missing) -> None:
    """Some of the 60 came by webhook all the same."""
    people, began, told = new_people(4), now() - 3 * HOUR, {5, 6, 22, 41}
    stack.write(people[0], text="before", timestamp=began - HOUR)
    until("there is a ticket", lambda: stack.texts(people[0]) == ["before"])
    written: dict[str, list[str]] = {person: [] for person in people}
    stack.deliver(on=False)
    for number in range(60):
        if number in told:
            stack.deliver(on=True)
        files = [PHOTO] if number % 10 == 3 else []
        person, text = people[number % 4], f"message {number:02}"
        stack.write(person, text=text, timestamp=began + number * 3 * MINUTE, files=files)
        written[person].append(text)
        if number in told:
            stack.deliver(on=False)
    until("what was told stands there", lambda: sum(len(stack.texts(person)) for person in people) == 5)

    stack.restart_after(hours=3)
    stack.wait_until_fetched()

    for person in people:
        early = ["before"] if person == people[0] else []
        entries = sorted(stack.entries(person), key=lambda entry: str(entry["created_at"]))
        assert [entry["body"].partition("\n")[0] for entry in entries] == early + written[person]
        told_first = [text for text in written[person] if int(text[-2:]) in told]
        missed = [text for text in written[person] if text not in told_first]
        assert stack.texts(person) == early + told_first + missed
        assert len(stack.tickets(person)) == 1
    with_files = [entry for person in people for entry in stack.entries(person) if entry["attachments"]]
    assert len(with_files) == 6
    assert stack.calls_a_second() <= 2


def test_a_worker_may_be_killed_in_the_middle(stack: Missing) -> None:
    people, began = new_people(6), now() - HOUR
    stack.deliver(on=False)
    for number, person in enumerate(people):
        for minute in range(3):
            stack.write(person, text=f"message {minute}", timestamp=began + number * SECOND + minute * MINUTE)
    stack.deliver(on=True)
    stack.hold_third_conversation()
    stack.restart_after(hours=1)
    stack.kill_worker_while_held()
    stack.wait_until_fetched()

    for person in people:
        assert stack.texts(person) == ["message 0", "message 1", "message 2"]


def test_a_worker_may_be_killed_in_the_middle_of_a_history(stack: Missing) -> None:
    case, people, began = Case(stack), new_people(6), now() - HOUR
    case.exist()
    for number, case.psid in enumerate(people):
        for minute in range(3):
            case.write(f"message {minute}", timestamp=began + number * SECOND + minute * MINUTE)
    stack.hold_third_conversation()
    case.connect(history_days=1)
    stack.kill_worker_while_held()
    stack.wait_until_fetched()

    for case.psid in people:
        shown = [(text.rpartition("\n")[2], is_history) for text, _, is_history in case.shown(3)]
        assert shown == [(f"message {minute}", True) for minute in range(3)]
    case.http.close()


def test_what_is_written_before_a_subscription_is_in_effect_comes_as_well(
    stack: Missing, run: Callable[..., str]
) -> None:
    (person,), page = new_people(1), stack.pages[1]
    stack.ask_meta("PUT", "/behaviour", {"subscription_delay": 3600})
    stack.ask_meta("POST", f"/pages/{page.page_id}/unsubscribe")
    assert "FIXED" in run("check", "--fix", "--page", page.page_id)
    remote = f"facebook_messenger:{page.page_id}"
    with closing(connect(stack.valkey.url)) as store:
        until("what was missed is fetched", lambda: not store.hexists(f"mc:backfill:{remote}", "again"))
        stack.write(person, page, text="too early")
        until("Meta has delivered all", lambda: stack.ask_meta("GET", "/webhooks")["waiting"] == 0)
        assert stack.tickets(person) == []
        assert store.zadd("mc:backfills", {remote: 0}, xx=True, ch=True)  # the time is over
    stack.wait_until_fetched()

    assert stack.texts(person) == ["too early"]


def test_what_no_webhook_told_of_is_found_by_the_next_check_and_no_conversation_holds_it_back(
    stack: Missing,
) -> None:
    """As if a proxy in front of the connector had been broken for a while, and nobody had seen it."""
    people, page, written = new_people(4), stack.pages[1], now() - 10 * MINUTE
    stack.deliver(on=False)
    for number, person in enumerate(people):
        stack.write(person, page, text="nobody told", timestamp=written + number * SECOND)
    stack.deliver(on=True)
    spoilt = {"method": "GET", "path": "/v*/t_*/messages", "skip": 1, "times": 1, "status": 500}
    stack.ask_meta("PUT", "/faults", [spoilt])
    remote = f"facebook_messenger:{page.page_id}"
    with closing(connect(stack.valkey.url)) as store:
        store.hset("mc:connected", remote, written - HOUR)
        store.delete(f"mc:looked:{remote}")
        stack.check(remote)
        state = b'"rounds":1'
        until("one waits", lambda: state in (store.hget(f"mc:backfill:{remote}", "state") or b""), 60)
        until("the others stand there", lambda: sum(len(stack.texts(person)) for person in people) == 3)
    stack.wait_until_fetched()

    assert [stack.texts(person) for person in people] == [["nobody told"]] * 4


def test_a_webhook_that_was_lost_between_others_that_came_is_found_by_the_next_check(stack: Missing) -> None:
    (person, other), page, written = new_people(2), stack.pages[0], now() - 10 * MINUTE
    stack.write(person, page, text="first", timestamp=written)
    stack.deliver(on=False)
    stack.write(person, page, text="lost", timestamp=written + MINUTE)
    stack.deliver(on=True)
    stack.write(other, page, text="of another", timestamp=written + 2 * MINUTE)
    stack.write(person, page, text="last", timestamp=written + 3 * MINUTE)
    until("the others came", lambda: (len(stack.texts(person)), len(stack.texts(other))) == (2, 1))
    remote = f"facebook_messenger:{page.page_id}"
    with closing(connect(stack.valkey.url)) as store:
        store.hset("mc:connected", remote, written - HOUR)
        for _ in range(2):  # the second time it looks at all of it anew
            store.delete(f"mc:looked:{remote}")
            stack.check(remote)
            assert store.exists(f"mc:looked:{remote}")
            stack.wait_until_fetched()

    entries = sorted(stack.entries(person), key=lambda entry: str(entry["created_at"]))
    assert [entry["body"] for entry in entries] == ["first", "lost", "last"]
    assert stack.texts(person) == ["first", "last", "lost"]
    assert stack.texts(other) == ["of another"]


def test_where_meta_shows_no_more_the_ticket_says_so_and_a_second_time_changes_nothing(
    stack: Missing, run_backfill: Callable[..., str]
) -> None:
    (person,), began = new_people(1), now() - HOUR
    stack.deliver(on=False)
    for minute in range(23):
        stack.write(person, text=f"message {minute:02}", timestamp=began + minute * MINUTE)
    stack.deliver(on=True)
    assert "3 more" in run_backfill("--dry-run")
    assert stack.tickets(person) == []
    assert "20 new" in run_backfill()
    stack.wait_until_fetched()
    *said, note = stack.entries(person)
    assert [entry["body"] for entry in said] == [f"message {minute:02}" for minute in range(3, 23)]
    assert note["internal"]
    assert note["body"].startswith("Messages of this conversation may be missing here")

    assert "0 new" in run_backfill()
    stack.wait_until_fetched()
    assert stack.entries(person) == [*said, note]


@pytest.fixture
def run_backfill(run: Callable[..., str], stack: Missing) -> Callable[..., str]:
    return lambda *more: run("backfill", "--page", stack.pages[0].page_id, "--since", "2h", *more)
