"""Requests that wait go to the store together: what each of them gets when something goes wrong."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import redis
from prometheus_client import CollectorRegistry
from redis.asyncio import Connection, Redis

from clients.channels.meta.events import CHANNEL
from connector.web.group_commit import GroupCommit, StoreUnavailable
from connector.web.metrics import Counters
from tasks.inbox.job import Job
from tasks.store import Outage, connect, connect_async, silences
from tests.conftest import PAGE_A, PAGE_B
from tests.fakes.proxy import Proxy
from tests.fakes.web import PSID, QUEUE


class Calls(Redis):
    """A client of the store that counts the calls of the script, and can hold them back, or fail."""

    def __init__(self, url: str) -> None:
        super().__init__(connection_pool=connect_async(url).connection_pool)
        self.auto_close_connection_pool = True
        self.sizes, self.broken = list[int](), False
        self.begun, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()

    async def execute_command(self, *command: Any, **options: Any) -> Any:
        """Send a command once the gate is open."""
        if self.broken:
            raise redis.ConnectionError
        if command[0] == "EVALSHA":
            self.sizes.append(len(msgspec.msgpack.decode(command[-2])) // 5)
        self.begun.set()
        await self.gate.wait()
        return await super().execute_command(*command, **options)  # type: ignore[no-untyped-call]


def _row(name: str) -> Job:
    return Job(key=name, queue=f"in:{CHANNEL}:{PAGE_A}:{PSID}", time=1, body=name.encode())


def _names(store_url: str) -> list[str]:
    store = connect(store_url)
    found: Any = store.zrange(f"mc:jobs:{QUEUE}", 0, -1)
    store.close()
    return [event.split(b" ", 3)[3].decode() for event in found]


async def _let_them_wait() -> None:
    """Let the requests that were made get as far as they get without the store."""
    for _ in range(5):
        await asyncio.sleep(0)


def _with_intake(
    store_url: str, scenario: Callable[[GroupCommit, Calls], Any], woken: list[int] | None = None
) -> Calls:
    async def run() -> Calls:
        calls = Calls(store_url)
        wake: Callable[[int], None] = ([] if woken is None else woken).append
        counters = Counters(CollectorRegistry())
        async with GroupCommit(calls, "mc:", wake, Outage("redis_url"), counters) as group_commit:
            await scenario(group_commit, calls)
        return calls

    return asyncio.run(run())


def test_a_connection_is_not_waited_for_if_another_of_the_process_was_silent(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, _: Calls) -> None:
        await group_commit.store([_row("before")])
        proxy.silence()
        silences.note()
        await group_commit.store([_row("after")])

    with Proxy(store_url) as proxy:
        _with_intake(proxy.url, scenario)
    assert _names(store_url) == ["before", "after"]


def test_a_silent_connection_is_left_without_a_goodbye_which_would_not_be_answered_by_tls(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited, disconnect = list[bool](), Connection.disconnect

    async def watched(connection: Connection, *, nowait: bool = False, **how: Any) -> None:
        waited.append(not nowait)
        await disconnect(connection, nowait=nowait, **how)

    async def scenario(group_commit: GroupCommit, _: Calls) -> None:
        monkeypatch.setattr(Connection, "disconnect", watched)
        silences.note()
        await group_commit.store([_row("after")])
        monkeypatch.undo()

    _with_intake(store_url, scenario)
    assert waited == [False]


def test_a_call_that_is_not_answered_in_time_is_a_silence_of_the_process(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        monkeypatch.setattr("connector.web.group_commit.COMMIT_WITHIN", 0.1)
        calls.gate.clear()
        with pytest.raises(StoreUnavailable):
            await group_commit.store([_row("late")])

    before = silences.count
    _with_intake(store_url, scenario)
    assert silences.count > before


def test_requests_that_wait_go_to_the_store_in_one_call(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        await asyncio.gather(*(group_commit.store([_row(f"e{number}")]) for number in range(50)))

    assert _with_intake(store_url, scenario).sizes == [50]
    assert len(_names(store_url)) == 50


def test_requests_that_come_during_a_call_share_the_next_one(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        calls.gate.clear()
        first = asyncio.create_task(group_commit.store([_row("e0")]))
        await calls.begun.wait()
        others = [asyncio.create_task(group_commit.store([_row(f"e{number}")])) for number in range(1, 9)]
        await _let_them_wait()
        calls.gate.set()
        await asyncio.gather(first, *others)

    assert _with_intake(store_url, scenario).sizes == [1, 8]


def test_a_client_that_hangs_up_cancels_nobodys_commit(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        calls.gate.clear()
        requests = [asyncio.create_task(group_commit.store([_row(f"e{number}")])) for number in range(3)]
        await calls.begun.wait()
        requests[1].cancel()
        calls.gate.set()
        results = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]

    _with_intake(store_url, scenario)
    assert _names(store_url) == ["e0", "e1", "e2"]


def test_a_request_that_gave_up_before_the_call_is_not_stored(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        calls.gate.clear()
        first = asyncio.create_task(group_commit.store([_row("e0")]))
        await calls.begun.wait()
        second, third = (asyncio.create_task(group_commit.store([_row(name)])) for name in ("e1", "e2"))
        await _let_them_wait()
        second.cancel()
        calls.gate.set()
        await asyncio.gather(first, third)

    _with_intake(store_url, scenario)
    assert _names(store_url) == ["e0", "e2"]


def test_a_call_that_takes_too_long_fails_its_requests_and_no_later_one(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.web.group_commit.COMMIT_WITHIN", 0.05)

    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        calls.gate.clear()
        with pytest.raises(StoreUnavailable):
            await group_commit.store([_row("e0")])
        calls.gate.set()
        monkeypatch.setattr("connector.web.group_commit.COMMIT_WITHIN", 4.0)
        await group_commit.store([_row("e1")])

    _with_intake(store_url, scenario)
    assert _names(store_url) == ["e1"]


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect(store_url)

    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        await group_commit.store([_row("e0")])
        store.client_pause(300)  # ms
        monkeypatch.setattr("connector.web.group_commit.COMMIT_WITHIN", 0.05)
        with pytest.raises(StoreUnavailable):
            await group_commit.store(
                [Job(key="other", queue=f"in:{CHANNEL}:{PAGE_B}:1", time=1, body=b"of another queue")]
            )
        monkeypatch.setattr("connector.web.group_commit.COMMIT_WITHIN", 4.0)
        await group_commit.store([_row("e1")])

    woken: list[int] = []
    _with_intake(store_url, scenario, woken)
    store.close()
    assert woken == [1]


def test_a_store_that_was_started_again_takes_the_same_call(store_url: str) -> None:
    store = connect(store_url)

    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        await group_commit.store([_row("e0")])
        store.script_flush()
        store.client_kill_filter(_type="normal", skipme=True)
        await group_commit.store([_row("e1")])

    _with_intake(store_url, scenario)
    store.close()
    assert _names(store_url) == ["e0", "e1"]


def test_one_call_takes_a_thousand_events_at_most(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        batches = [[_row(f"e{batch}.{number}") for number in range(400)] for batch in range(4)]
        await asyncio.gather(
            *(group_commit.store(batch) for batch in batches), group_commit.store([_row("last")])
        )

    assert _with_intake(store_url, scenario).sizes == [800, 801]


def test_a_request_of_more_events_than_a_call_takes_goes_alone(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        many = [_row(f"e{number}") for number in range(1500)]
        await asyncio.gather(
            group_commit.store([_row("first")]), group_commit.store(many), group_commit.store([_row("last")])
        )

    assert _with_intake(store_url, scenario).sizes == [1, 1500, 1]


def test_a_failed_call_fails_its_requests_and_no_later_one(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        calls.broken = True
        results = await asyncio.gather(
            group_commit.store([_row("e0")]), group_commit.store([_row("e1")]), return_exceptions=True
        )
        calls.broken = False
        assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]
        await group_commit.store([_row("e2")])

    _with_intake(store_url, scenario)
    assert _names(store_url) == ["e2"]


def test_a_row_that_cannot_be_written_fails_no_later_request(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is: what counts is the next request
            await asyncio.wait_for(group_commit.store([_row("\ud83d")]), 0.5)
        await asyncio.wait_for(group_commit.store([_row("e1")]), 2)

    _with_intake(store_url, scenario)


def test_a_worker_is_woken_only_for_a_queue_that_was_idle(store_url: str) -> None:
    async def scenario(group_commit: GroupCommit, calls: Calls) -> None:
        await group_commit.store([_row("e0")])
        await group_commit.store([_row("e1")])

    woken: list[int] = []
    _with_intake(store_url, scenario, woken)
    assert woken == [1]
