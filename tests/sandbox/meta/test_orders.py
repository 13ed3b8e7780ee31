"""The sandbox Meta's own orders, its journal and its process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.sandbox_meta import PSID, Page


def test_the_people_of_a_page_are_listed(page: Page) -> None:
    page.writes("hello")
    people = page.order("GET", "/people", psid=None)
    assert people == [{"psid": PSID, "name": "Person 5436", "messages": 1}]


def test_a_thread_shows_raw_attachments_as_they_are(page: Page) -> None:
    place = {"type": "location", "title": "Pinned", "payload": {"coordinates": {"lat": 52.37, "long": 4.89}}}
    page.writes(attachments=[place])
    assert page.thread()[0]["attachments"] == [place]
    assert page.items()[0]["message"]["attachments"] == [place]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/sandbox/behaviour", {"dupplicate": 1}, 400),
        ("PUT", "/sandbox/behaviour", {"retry_waits": []}, 400),
        ("PUT", "/sandbox/apps/1", {}, 400),
        ("PUT", "/sandbox/pages/404", {"name": "x", "access_token": "y", "app_id": "404"}, 400),
        ("POST", "/sandbox/pages/404/events", {"items": []}, 404),
        ("GET", "/sandbox/pages/{page}/people/404/messages", None, 404),
        ("POST", "/sandbox/pages/{page}/people/{silent}/age", {"hours": 1}, 400),
    ],
)
def test_an_order_that_is_not_understood_is_refused(
    page: Page, method: str, path: str, body: Any, status: int
) -> None:
    page.order("PUT", "", {"first_name": "Silent"})
    answer = page.http.request(method, path.format(page=page.id, silent=PSID), json=body)
    assert (answer.status_code, "error" in answer.json()) == (status, True)


def test_the_journal_tells_each_attempt_of_a_webhook(page: Page, journal: Path) -> None:
    statuses = iter([503, 200])
    page.receiver.answers[page.path] = lambda _: next(statuses)
    mid = page.writes("Hello")
    page.settle()

    lines = [json.loads(line) for line in journal.read_text().splitlines() if mid in line]
    assert [(line["kind"], line["answer"]) for line in lines] == [("webhook", "503"), ("webhook", "200")]
    assert lines[0]["events"] == [{"what": "messages", "mid": mid, "psid": PSID, "metadata": None}]
    assert lines[0]["began"] <= lines[0]["at"] <= lines[1]["began"]


def test_the_journal_tells_what_a_page_sent(page: Page, journal: Path) -> None:
    page.writes("Hello")
    mid = page.send({"text": "Hi", "metadata": "connector:9:0"}).json()["message_id"]
    page.settle()

    lines = [json.loads(line) for line in journal.read_text().splitlines() if "connector:9:0" in line]
    stored, called, echoed = [line for line in lines if line["kind"] in {"call", "stored"} or line["events"]][
        :3
    ]
    assert (stored["kind"], stored["mid"], stored["psid"]) == ("stored", mid, PSID)
    assert called["call"].startswith("POST /v26.0/me/messages")
    assert echoed["events"][0]["what"] == "message_echoes"


def test_a_fault_on_order_stands_before_the_graph(page: Page) -> None:
    error = {
        "error": {"message": "(#2) Service temporarily unavailable", "type": "OAuthException", "code": 2}
    }
    page.http.put("/sandbox/faults", json=[{"path": "/v*/me", "status": 500, "body": error, "times": 1}])
    assert [page.get("me").status_code for _ in range(2)] == [500, 200]
    page.http.delete("/sandbox/faults")


def test_it_says_where_it_listens_and_stops_when_told() -> None:
    command = [sys.executable, "-m", "sandbox.meta", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert httpx.get(f"{url}/sandbox/webhooks", trust_env=False).json()["waiting"] == 0
        process.terminate()
        assert process.wait(10) in (0, -15)
