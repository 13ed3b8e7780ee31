"""`connector unknown`: events of kinds that nobody knew are listed, shown, replayed and dropped."""

import json
from pathlib import Path
from typing import Any

import pytest

from clients.channels.meta import kinds
from clients.channels.meta.messenger import Messenger
from clients.notices import encode, notice
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tests.fakes.commands import THREAD, Run


def ids(inbox: Inbox) -> list[int]:
    return [one.job.id for one in inbox.unknown_events.all()]


@pytest.fixture
def unknown(inbox: Inbox, settings_file: Path) -> Inbox:
    """Give an inbox with three unknown events, the ids 1 to 3: two gifts and a poll."""
    bodies = [json.dumps({kind: {"name": "zażółć"}}).encode() for kind in ("gift", "poll", "gift")]
    inbox.accept([Job(key=str(at), queue=THREAD, time=at, body=body) for at, body in enumerate(bodies, 1)])
    lease = inbox.claim(THREAD)
    assert lease
    while True:
        kind = next(iter(json.loads(lease.job.body)))
        lease.keep_unknown(encode(notice("unknown_kind", kind=kind)))
        if not lease.finish():
            return inbox


@pytest.fixture
def upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a version that knows gifts."""
    monkeypatch.setitem(kinds.ROWS, "gift", kinds.ROWS["form"])
    monkeypatch.setattr(Messenger, "kinds", Messenger.kinds | {"gift"})


@pytest.mark.usefixtures("settings_file")
def test_none_are_said_to_be_none(run: Run) -> None:
    result = run("unknown", "list")

    assert (result.exit_code, result.stdout) == (0, "There are no unknown events.\n")


@pytest.mark.usefixtures("unknown")
def test_they_are_listed_with_their_kinds(run: Run) -> None:
    header, first, *_ = run("unknown", "list").stdout.splitlines()

    assert header.split() == ["ID", "KEPT", "AT", "QUEUE", "REASON"]
    assert first.endswith(
        "unknown_kind: this version of the connector does not know events of the kind “gift”"
    )


@pytest.mark.usefixtures("unknown")
def test_they_are_listed_as_json_without_what_people_wrote(run: Run) -> None:
    first, *_ = listed = json.loads(run("unknown", "list", "--json", "--reason", "gift").stdout)

    assert [one["id"] for one in listed] == [1, 3]
    assert first.pop("kept_at").startswith("20")
    assert first.pop("reason").endswith("of the kind “gift”")
    assert first == {
        "id": 1,
        "page_id": "107381679302250",
        "queue": THREAD,
        "code": "unknown_kind",
        "values": {"kind": "gift"},
    }


@pytest.mark.usefixtures("unknown")
def test_one_is_shown_as_it_came(run: Run) -> None:
    shown = json.loads(run("unknown", "show", "2").stdout)

    assert shown["event"] == {"poll": {"name": "zażółć"}}
    assert "kept_at" in shown


@pytest.mark.usefixtures("upgraded")
def test_those_whose_kind_is_known_by_now_are_replayed(run: Run, unknown: Inbox) -> None:
    assert run("unknown", "replay", "1", "3").stdout == "2 requeued.\n"
    assert ids(unknown) == [2]


@pytest.mark.usefixtures("upgraded")
def test_one_whose_kind_is_not_known_yet_stops_the_replay_and_says_what_to_do(
    run: Run, unknown: Inbox
) -> None:
    result = run("unknown", "replay", "1", "2")

    assert result.exit_code == 1
    assert result.stderr.startswith("2 cannot be replayed yet: ")
    assert result.stderr.endswith("events of the kind “poll”. Upgrade first.\n")
    assert ids(unknown) == [1, 2, 3]


@pytest.mark.usefixtures("upgraded")
def test_of_all_those_whose_kind_is_known_are_replayed(run: Run, unknown: Inbox) -> None:
    said = run("unknown", "replay", "--all").stdout

    assert said == (
        "2 requeued.\nThis version of the connector does not know the kind of 1 other: upgrade first.\n"
    )
    assert ids(unknown) == [2]


@pytest.mark.usefixtures("unknown")
@pytest.mark.parametrize("command", ["show", "replay", "drop"])
def test_an_id_that_is_not_there_is_named(run: Run, command: str) -> None:
    result = run("unknown", command, "77")

    assert result.exit_code == 1
    assert result.stderr == (
        "There is no unknown event 77; “connector unknown list” shows those there are.\n"
    )


def test_they_may_be_dropped(run: Run, unknown: Inbox) -> None:
    assert run("unknown", "drop", "1", "2").stdout == "2 dropped.\n"
    assert ids(unknown) == [3]


def test_before_all_are_dropped_it_is_asked(run: Run, unknown: Inbox) -> None:
    result = run("unknown", "drop", "--all", input="n\n")

    assert "Delete 3 unknown events for good?" in result.stderr
    assert ids(unknown) == [1, 2, 3]


def test_one_that_another_version_wrote_is_shown_and_not_replayed(
    run: Run, inbox: Inbox, settings_file: Path
) -> None:
    store: Any = inbox.store
    store.hset("mc:unknown", "7", '{"queue": 5}')

    assert json.loads(run("unknown", "show", "7").stdout)["event"] == {"queue": 5}
    assert run("unknown", "replay", "7").exit_code == 1
    assert ids(inbox) == [7]
