"""The process of the sandbox helpdesk: how it starts, and what outlives it."""

import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fakes.sandbox_helpdesk import Desk, Receiver, wait_for


def test_it_prints_where_it_listens_and_nothing_more(start: Callable[..., Desk]) -> None:
    desk = start()
    desk.new_ticket()
    assert desk.first_line == f"The sandbox helpdesk listens on {desk.url}\n"
    assert desk.stop() == ""


def test_kill_9_loses_no_answered_create(start: Callable[..., Desk]) -> None:
    desk = start()
    answered = [desk.ticket(str(n)).content for n in range(50)]
    desk.stop(kill=True)
    desk = start()
    assert len(desk.get("tickets")["tickets"]) == 50
    first = desk.ticket("0")
    assert first.headers["idempotency-replayed"] == "true"
    assert first.content == answered[0]


def test_a_webhook_that_waits_outlives_kill_9(start: Callable[..., Desk], receiver: Receiver) -> None:
    desk = start("--webhook-url", "http://127.0.0.1:9/hook")
    desk.agent(desk.new_ticket(), body="late")
    wait_for(lambda: desk.webhooks()["failed_attempts"])
    desk.stop(kill=True)
    desk = start("--webhook-url", receiver.url)
    wait_for(lambda: desk.webhooks()["delivered"] == 1)
    assert receiver.comments() == ["late"]


def test_a_webhook_is_given_up_after_a_day(start: Callable[..., Desk], tmp_path: Path) -> None:
    desk = start("--webhook-url", "http://127.0.0.1:9/hook")
    desk.agent(desk.new_ticket())
    desk.stop(kill=True)
    with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite")) as db, db:
        db.execute("UPDATE events SET created = created - 24 * 3600")
    desk = start()
    wait_for(lambda: not desk.webhooks()["waiting"])
    assert desk.webhooks()["delivered"] == 0


def test_a_restart_keeps_the_settings_it_is_not_told(start: Callable[..., Desk]) -> None:
    desk = start("--no-honour-idempotency", "--webhook-url", "http://127.0.0.1:9/a")
    desk.stop()
    settings = start("--webhook-url", "http://127.0.0.1:9/b").set().json()
    assert (settings["honour_idempotency"], settings["webhook_url"]) == (False, "http://127.0.0.1:9/b")


def test_sixteen_clients_create_hundreds_of_comments_without_loss(desk: Desk) -> None:
    ticket_id = desk.new_ticket()

    def add(n: int) -> str:
        return str(desk.comment(ticket_id, body=str(n)).raise_for_status().json()["comment"]["body"])

    with ThreadPoolExecutor(16) as pool:
        told = set(pool.map(add, range(400)))
    assert set(desk.bodies(ticket_id)) == told == {str(n) for n in range(400)}
