"""A helpdesk whose webhooks stop for an hour: what agents write meanwhile is sent, in order, once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from sandbox.stack import Stack, until
from tasks.store import connect
from tests.e2e.conftest import QUICK

SETTINGS: dict[str, Any] = QUICK | {"helpdesk": {"poll_every": 2}}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack whose connector polls often."""
    with Stack(tmp_path_factory.mktemp("stack"), settings=SETTINGS) as running:
        yield running


@pytest.mark.parametrize("comment_list", [True, False], ids=["by_list", "by_ticket"])
def test_what_is_written_while_webhooks_stop_for_an_hour_arrives_in_order_and_once(
    stack: Stack, *, comment_list: bool
) -> None:
    """The hour is one in which nobody could poll, either."""
    people = [f"79{comment_list:d}0000{number}" for number in range(3)]
    for psid in people:
        stack.write(psid, text="hello")
    until("their tickets", lambda: all(stack.tickets(psid) for psid in people))
    tickets = {psid: stack.tickets(psid)[0]["id"] for psid in people}
    stack.ask_desk("PUT", "/settings", {"comment_list": comment_list})
    for psid in people:
        stack.reply(tickets[psid], "0")
    webhook_url = f"{stack.url}/social_media/webhooks/helpdesk"
    try:
        stack.ask_desk("PUT", "/settings", {"webhook_url": ""})
        for number in range(1, 4):
            for psid in people:
                stack.reply(tickets[psid], str(number), close=number == 3)
        _have_been_an_hour(stack, list(tickets.values()))
    finally:
        stack.ask_desk("PUT", "/settings", {"webhook_url": webhook_url})
    _until_each_has(stack, people, 4)

    # Two more polls look back at the same comments.
    for _ in range(2):
        until("one more poll", partial(_has_polled_since, stack, _polled(stack)), 30)
    for psid in people:
        assert [message["text"] for message in stack.received(psid)] == ["0", "1", "2", "3"]


def _have_been_an_hour(stack: Stack, tickets: list[str]) -> None:
    """Have the last three comments been written in the last hour, in which there was no poll."""
    with closing(sqlite3.connect(stack.folder / "helpdesk.sqlite3", timeout=30)) as desk, desk:
        for body, minutes in (("1", 55), ("2", 30), ("3", 5)):
            written = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat(timespec="microseconds")
            marks = ", ".join("?" * len(tickets))
            desk.execute(
                f"UPDATE comments SET created_at = ? WHERE body = ? AND ticket_id IN ({marks})",
                [written.replace("+00:00", "Z"), body, *tickets],
            )
    with closing(connect(stack.store_url)) as store:
        hour_ago = str(datetime.now(UTC).timestamp() - 3600)
        store.mset({"mc:polled": hour_ago, "mc:poll_from": hour_ago})


def _until_each_has(stack: Stack, people: list[str], count: int) -> None:
    def all_have() -> bool:
        return all(len(stack.received(psid)) >= count for psid in people)

    until("all arrive", all_have, 60)


def _has_polled_since(stack: Stack, last: object) -> bool:
    return _polled(stack) != last


def _polled(stack: Stack) -> object:
    """Return when comments were last looked for."""
    with closing(connect(stack.store_url)) as store:
        return store.get("mc:polled")
