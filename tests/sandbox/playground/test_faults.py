"""Each switch does what it says to the sandbox, and says what it means while it is on."""

from typing import Any

import httpx
import psutil
import pytest

from sandbox.stack import PAGES
from tests.fakes.playground import PAGE, Beside


def turn(beside: Beside, name: str, *, on: bool) -> None:
    beside.do("PUT", f"/faults/{name}", {"on": on, "page_id": PAGE, "psid": beside.anna})


def switch(beside: Beside, name: str) -> Any:
    return next(one for one in beside.state()["faults"] if one["name"] == name)


def shown(beside: Beside, name: str) -> tuple[bool, bool]:
    """Return whether a switch stands on, and whether it says what that means."""
    found = switch(beside, name)
    return found["on"], bool(found["says"])


def test_a_helpdesk_that_is_down_is_stopped_and_started_again(beside: Beside) -> None:
    turn(beside, "helpdesk", on=True)
    assert (beside.stack.desk.runs, shown(beside, "helpdesk")) == (False, (True, True))
    turn(beside, "helpdesk", on=False)
    assert (beside.stack.desk.runs, shown(beside, "helpdesk")) == (True, (False, False))


def test_a_token_that_expired_is_refused_on_all_pages(beside: Beside) -> None:
    turn(beside, "token", on=True)
    answers = [asked(beside, page.access_token) for page in PAGES]
    assert [(one.status_code, one.json()["error"]["error_subcode"]) for one in answers] == [(400, 463)] * 2
    assert shown(beside, "token") == (True, True)

    turn(beside, "token", on=False)
    assert [asked(beside, page.access_token).status_code for page in PAGES] == [200, 200]
    assert shown(beside, "token") == (False, False)


def asked(beside: Beside, token: str) -> httpx.Response:
    return beside.meta.get("/v26.0/me", params={"access_token": token})


def test_a_window_that_is_closed_refuses_replies_until_it_is_opened(beside: Beside) -> None:
    beside.writes(text="hello")
    turn(beside, "window", on=True)
    assert shown(beside, "window") == (True, True)
    with pytest.raises(httpx.HTTPStatusError):
        beside.replies("Hi")

    turn(beside, "window", on=False)
    assert shown(beside, "window") == (False, False)
    beside.replies("Hi")


def test_a_customer_who_writes_opens_the_window(beside: Beside) -> None:
    beside.writes(text="hello")
    turn(beside, "window", on=True)
    beside.writes(text="hello?")
    assert shown(beside, "window") == (False, False)


def test_a_window_that_was_never_open_is_not_closed(beside: Beside) -> None:
    body = {"on": True, "page_id": PAGE, "psid": beside.anna}
    refused = beside.refused("PUT", "/faults/window", body)
    assert refused == (400, "The sandbox refused it: the person has written nothing")
    assert shown(beside, "window") == (False, False)


def test_a_slow_meta_takes_longer_for_each_call(beside: Beside) -> None:
    turn(beside, "slow", on=True)
    faults = beside.meta.get("/sandbox/faults").json()
    assert [(one["path"], one["delay"], one["status"]) for one in faults] == [("/v*", 3.0, None)]
    assert shown(beside, "slow") == (True, True)

    turn(beside, "slow", on=False)
    assert beside.meta.get("/sandbox/faults").json() == []
    assert shown(beside, "slow") == (False, False)


def test_a_worker_that_is_killed_is_replaced(supervised: Beside) -> None:
    told = supervised.do("POST", "/faults/worker")

    assert not psutil.pid_exists(told["killed"])
    assert psutil.Process(told["started"]).cmdline()[-1] == "worker"
    said = supervised.state()["killed"]
    assert f"Process {told['killed']} was ended by kill -9" in said
    assert str(told["started"]) in said


def test_a_switch_that_there_is_not_cannot_be_turned(beside: Beside) -> None:
    body = {"on": True, "page_id": PAGE, "psid": beside.anna}
    assert beside.refused("PUT", "/faults/rain", body) == (404, "There is no such switch.")
