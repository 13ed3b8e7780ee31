"""The event log: what is made of the lines of the journals."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.playground.log import LINES, entries, without_secrets

CALL = {"kind": "call", "began": 1.5, "at": 2.0, "key": None, "body": "", "status": 200, "fault": None}


def shown(tmp_path: Path, *lines: dict[str, Any], tail: str = "") -> list[dict[str, Any]]:
    file = tmp_path / "meta.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return entries({"Meta": file})


@pytest.mark.parametrize(
    ("call", "body", "what"),
    [
        ("POST /v26.0/1/messages", {"sender_action": "typing_on"}, "shows that somebody types"),
        ("POST /v26.0/1/messages", {"message": {"attachment": {"type": "image"}}}, "sends an image"),
        ("POST /v26.0/1/messages", {"message": {"attachment": {"type": "file"}}}, "sends a file"),
        ("POST /v26.0/1/messages", "not JSON", "sends a message"),
        ("GET /v26.0/debug_token?input_token=x", None, "asks the Graph API"),
        ("GET /files/1/a.png", None, "fetches a file"),
        (
            "PATCH /api/v1/comments/5",
            {"comment": {"config": {"delivery": {"status": "read"}}}},
            "shows the reply as read",
        ),
        ("GET /helpdesk/api/followups/?page_size=1", None, "asks whether the helpdesk answers"),
        ("GET /helpdesk/api/tickets/7/?ordering=-id", None, "reads the ticket"),
        ("POST /helpdesk/api/followups-attachments/", None, "uploads a file"),
        ("OPTIONS /anything", None, "calls"),
    ],
)
def test_a_call_is_named_after_its_purpose(tmp_path: Path, call: str, body: Any, what: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    (entry,) = shown(tmp_path, CALL | {"call": call, "body": text})
    assert entry["what"] == what


def test_what_opens_anything_is_left_out() -> None:
    call = "GET /v26.0/me?access_token=EAAsecret&fields=first_name,name&appsecret_proof=abc"
    assert without_secrets(call) == "GET /v26.0/me?fields=first_name,name"


def test_a_call_that_got_no_answer_failed(tmp_path: Path) -> None:
    hung_up = CALL | {"call": "GET /v26.0/1", "fault": "hangs up"}
    (entry,) = shown(tmp_path, hung_up)
    assert (entry["answer"], entry["ok"], entry["fault"]) == ("no answer", False, "hangs up")


def test_a_webhook_names_its_events(tmp_path: Path) -> None:
    events = [{"what": name, "mid": None, "psid": "1"} for name in ("messages", "message_reads", None)]
    (entry,) = shown(tmp_path, {"kind": "webhook", "at": 2, "began": 1, "events": events, "answer": "503"})
    assert entry["what"] == "a customer wrote, read by the customer, an event"
    assert (entry["from"], entry["to"], entry["ok"]) == ("Meta", "connector", False)


def test_a_webhook_of_the_helpdesk_is_told(tmp_path: Path) -> None:
    line = {"kind": "webhook", "at": 2, "began": 1, "type": "ticket.closed", "answer": "202", "ticket": "7"}
    (entry,) = shown(tmp_path, line)
    assert (entry["what"], json.loads(entry["detail"])) == ("the ticket was closed", {"ticket": "7"})


def test_only_the_newest_lines_are_shown_the_newest_first(tmp_path: Path) -> None:
    lines = [CALL | {"call": "GET /v26.0/1", "began": float(number)} for number in range(LINES + 10)]
    found = shown(tmp_path, *lines)
    assert [entry["at"] for entry in found] == [float(number) for number in range(LINES + 9, 9, -1)]


def test_a_long_journal_is_read_from_a_whole_line_on(tmp_path: Path) -> None:
    lines = [
        CALL | {"call": "GET /v26.0/1", "began": float(number), "body": "x" * 9000} for number in range(60)
    ]
    found = shown(tmp_path, *lines)
    assert found[0]["at"] == 59.0
    assert 40 < len(found) < 60


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    (entry,) = shown(tmp_path, CALL | {"call": "GET /v26.0/1"}, tail='{"kind": "ca')
    assert entry["at"] == 1.5


def test_entries_keep_their_names_when_the_journal_grows(tmp_path: Path) -> None:
    first, second = CALL | {"call": "GET /v26.0/1"}, CALL | {"call": "GET /v26.0/2", "began": 1.7}
    (before,) = shown(tmp_path, first)
    assert before in shown(tmp_path, first, second)


def test_without_a_journal_there_is_no_entry(tmp_path: Path) -> None:
    assert entries({"helpdesk": tmp_path / "none.jsonl"}) == []
