"""The benchmarks run. How fast anything is, no test says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import SUITES
from benchmarks.bodies import SECRET, Bodies, request
from benchmarks.load import Load, _status
from benchmarks.report import Figure, Report, Target
from clients.channels.meta import events, signature
from sandbox.meta.webhooks import signed_headers

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("suite", SUITES)
def test_a_quick_run_measures_and_leaves_a_table_the_raw_data_and_no_fault(
    suite: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "benchmarks", suite, "--quick", "--results", str(tmp_path)]
    # Without coverage, which would slow each of its many processes down and learn nothing from them.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{suite}.md").read_text() == done.stdout.removesuffix("\n")
    data = json.loads((tmp_path / f"{suite}.json").read_text())
    assert {figure["suite"] for figure in data["figures"]} == {suite}
    faults = [target["measured"] for target in data["targets"] if target["wanted"] == "0 faults"]
    assert faults in ([], ["0"])


def test_a_suite_that_is_not_there_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks", "speed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "there is no suite speed" in done.stderr


def test_bodies_are_what_the_door_takes_and_no_mid_comes_twice() -> None:
    bodies = Bodies(batch=3, senders=2)
    (one, mids), (other, more) = bodies.one(), bodies.one()
    assert signature.is_signed(one, signed_headers(one, SECRET)["X-Hub-Signature-256"].encode(), SECRET)
    items = [
        item for body in (one, other) for entry in events.Envelope(body).entries() for item in entry.events()
    ]
    assert [item.message_id for item in items] == mids + more
    assert len(set(mids + more)) == 6
    assert len({item.conversation for item in items}) == 2


def test_a_request_tells_how_long_its_body_is() -> None:
    head, _, body = request(b"{}", "127.0.0.1:1", "/webhook").partition(b"\r\n\r\n")
    assert b"Content-Length: 2" in head
    assert body == b"{}"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", None),
        (b"HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 503),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n", None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 200 O", None),
    ],
)
def test_an_answer_counts_once_it_is_complete(answer: bytes, status: int | None) -> None:
    assert _status(answer) == status


def test_a_request_that_was_sent_again_is_taken_once() -> None:
    load = Load(iter(()))
    for status, number in ((200, 1), (200, 1), (503, 2), (200, 3)):
        load.note(status, number, 0.1)
    result = load.result(1.0)
    assert (result["taken"], result["statuses"]) == (2, {200: 3, 503: 1})


def test_the_report_shows_cases_as_rows_with_the_spread_of_their_rounds() -> None:
    report = Report("make bench")
    report.figures = [
        Figure("speed", "ours", "rate", 100.0, "a second", rounds=(90.0, 100.0, 110.0)),
        Figure("speed", "theirs", "rate", "not measured: node is not installed", "a second"),
    ]
    report.targets = [Target("speed", "as fast", "≥ 1", "0.5", holds=False, why="it is slow")]
    table = report.table()
    assert "|  | rate, a second |" in table
    assert "| ours | 100 ±10% |" in table
    assert "| theirs | not measured: node is not installed |" in table
    assert "| as fast | ≥ 1 | 0.5 | **no** | it is slow |" in table


def test_the_chart_loads_nothing_from_anywhere(tmp_path: Path) -> None:
    report = Report("make bench", charts={"speed: a second": {"ours": 2.0, "theirs": 1.0}})
    report.save(tmp_path, "all")
    drawn = (tmp_path / "speed.svg").read_text()
    assert "theirs" in drawn
    assert "script" not in drawn
    assert "@import" not in drawn
