"""`connector dead`: dead letters are listed, shown, retried, and dropped."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from clients.notices import encode, notice
from sandbox.stack import free_port
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tests.conftest import MakeSettings
from tests.fakes.commands import THREAD, Run


def waiting(inbox: Inbox) -> list[str]:
    """Return the bodies of the events that wait."""
    found: Any = inbox.store.zrange(f"mc:jobs:{THREAD}", 0, -1)
    return [event.split(b" ", 3)[3].decode() for event in found]


def ids(inbox: Inbox) -> list[int]:
    """Return the ids of the dead letters."""
    return [letter.job.id for letter in inbox.dead_letters.all()]


@pytest.mark.usefixtures("settings_file")
def test_no_dead_letters_are_said_to_be_none(run: Run) -> None:
    result = run("dead", "list")

    assert (result.exit_code, result.stdout) == (0, "There are no dead letters.\n")


@pytest.mark.usefixtures("dead")
def test_dead_letters_are_listed_the_oldest_first(run: Run) -> None:
    lines = run("dead", "list").stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["ID", "1", "2", "3"]
    assert THREAD in lines[1]
    assert lines[1].endswith("reason 1")


@pytest.mark.usefixtures("dead")
def test_a_list_of_dead_letters_begins_with_what_its_columns_are(run: Run) -> None:
    header, first, *_ = run("dead", "list").stdout.splitlines()

    assert header.split() == ["ID", "DIED", "AT", "QUEUE", "REASON"]
    assert header.index("QUEUE") == first.index(THREAD)
    assert header.index("REASON") == first.index("reason")


@pytest.mark.usefixtures("dead")
def test_dead_letters_are_listed_as_json_without_what_people_wrote(run: Run) -> None:
    first, *_ = listed = json.loads(run("dead", "list", "--json").stdout)

    assert [letter["id"] for letter in listed] == [1, 2, 3]
    assert first.pop("died_at").startswith("20")
    reason = {"code": "reason 1", "values": {}, "reason": "reason 1"}
    assert first == {"id": 1, "page_id": "107381679302250", "queue": THREAD} | reason


@pytest.mark.usefixtures("settings_file")
def test_no_dead_letters_are_an_empty_list_of_json(run: Run) -> None:
    assert json.loads(run("dead", "list", "--json").stdout) == []


def at(hour: int) -> str:
    return f"2026-11-28T{hour:02}:00:00+00:00"


@pytest.fixture
def mixed(inbox: Inbox, settings_file: Path) -> Inbox:
    """Give an inbox with five dead letters of different pages, times and reasons; their ids are 1 to 5."""
    letters: list[tuple[str, str, str]] = [
        ("in:chat:1:7", at(8), "the helpdesk answered 422"),
        ("out:chat:1:7", at(9), "Facebook does not accept the token"),
        ("in:chat:2:7", at(10), "the helpdesk answered 413"),
        ("ticket:1", at(11), "the ticket is not known"),
        ("in:chat:1:8", "", "another version wrote this"),
    ]
    for id_, (queue, died_at, reason) in enumerate(letters, 1):
        letter = {"queue": queue, "kept_at": died_at, "reason": reason}
        inbox.store.hset("mc:dead", str(id_), json.dumps(letter))
    return inbox


CHOICES: list[tuple[list[str], list[int]]] = [
    (["--page", "1"], [1, 2, 5]),
    (["--page", " 2 "], [3]),
    (["--page", "7"], []),
    (["--reason", "HELPDESK answered"], [1, 3]),
    (["--since", "2026-11-28T09:00"], [2, 3, 4]),
    (["--since", "2026-11-28T10:00:00+01:00"], [2, 3, 4]),
    (["--until", "2026-11-28T09:00Z"], [1]),
    (["--until", "2026-11-28"], []),
    (["--since", "2026-11-28", "--until", "2026-11-28T11:00", "--page", "1"], [1, 2]),
    (["--until", "0m"], [1, 2, 3, 4]),
    (["--since", "9999d"], [1, 2, 3, 4]),
]


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize(("options", "expected"), CHOICES)
def test_dead_letters_are_chosen_by_page_time_and_reason(
    run: Run, options: list[str], expected: list[int]
) -> None:
    listed = json.loads(run("dead", "list", "--json", *options).stdout)

    assert [letter["id"] for letter in listed] == expected


@pytest.mark.usefixtures("mixed")
def test_where_no_dead_letter_matches_it_is_said_that_there_are_others(run: Run) -> None:
    assert run("dead", "list", "--page", "77").stdout == "None of the 5 dead letters matches.\n"


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("command", [["retry", "--all"], ["drop", "--all", "--yes"]])
def test_filters_choose_what_is_meant_by_all(run: Run, inbox: Inbox, command: list[str]) -> None:
    assert run("dead", *command, "--reason", "helpdesk").stdout.startswith("2 ")
    assert ids(inbox) == [2, 4, 5]


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("command", ["retry", "drop"])
def test_filters_beside_ids_do_nothing(run: Run, inbox: Inbox, command: str) -> None:
    result = run("dead", command, "1", "--page", "2")

    assert result.exit_code == 1
    assert "add --all" in result.stderr
    assert len(ids(inbox)) == 5


@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("time", ["yesterday", "2026-13-01", "7w", "999999d", ""])
def test_a_time_that_cannot_be_read_is_told_how_to_be_written(run: Run, time: str) -> None:
    result = run("dead", "list", "--since", time)

    assert result.exit_code == 2
    assert "2026-11-28" in result.stderr
    assert "7d" in result.stderr


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["show", "1"]])
def test_a_dead_letter_does_nothing_to_the_terminal(
    run: Run, inbox: Inbox, settings_file: Path, command: list[str]
) -> None:
    inbox.accept(
        [
            Job(
                key="1",
                queue=THREAD,
                time=1,
                body=json.dumps({"text": "\x1b]0;x\x07 \x9b2J \u202e"}, ensure_ascii=False).encode(),
            )
        ]
    )
    lease = inbox.claim(THREAD)
    assert lease
    lease.move_to_dead_letters("because\n\x1b[2J \x9b31m \u202e")

    printed = run("dead", *command).stdout
    assert "because" in printed
    assert not re.search("[^\\n -~]", printed)


def test_a_reason_is_listed_with_its_code_and_its_sentence(
    run: Run, inbox: Inbox, settings_file: Path
) -> None:
    reason = encode(notice("file_too_large", limit_bytes=26_214_400))
    history = [{"at": "2026-11-28T10:00:00+00:00", "reason": encode(notice("link_expired"))}]
    letter = {"queue": "in:1:2", "reason": reason, "history": history}
    inbox.store.hset("mc:dead", "1", json.dumps(letter))

    assert "file_too_large: it is larger than 25 MB" in run("dead", "list").stdout
    assert "None of" not in run("dead", "list", "--reason", "file_too_large").stdout
    shown = json.loads(run("dead", "show", "1").stdout)
    assert (shown["code"], shown["values"]) == ("file_too_large", {"limit_bytes": 26_214_400})
    assert shown["reason"] == "it is larger than 25 MB"
    assert shown["history"][0]["code"] == "link_expired"


@pytest.mark.usefixtures("dead")
def test_a_dead_letter_is_shown_whole(run: Run) -> None:
    result = run("dead", "show", "2")

    shown = json.loads(result.stdout)
    assert shown["died_at"].startswith("20")
    del shown["died_at"]
    assert shown == {
        "id": 2,
        "queue": THREAD,
        "code": "reason 2",
        "values": {},
        "reason": "reason 2",
        "history": [],
        "event": {"text": "zażółć"},
    }
    assert "zażółć" in result.stdout


@pytest.mark.parametrize("char", ["\x9b", "\u202e", "\u2028"])
def test_json_of_dead_letters_says_the_same_though_it_is_safe_for_a_terminal(
    run: Run, inbox: Inbox, settings_file: Path, char: str
) -> None:
    inbox.store.hset("mc:dead", "1", json.dumps({"queue": "in:chat:1:2", "reason": f"because {char}"}))
    printed = run("dead", "list", "--json").stdout

    assert char not in printed
    assert json.loads(printed)[0]["reason"] == f"because {char}"


def test_a_dead_letter_that_is_tried_again_is_back_in_its_queue(run: Run, dead: Inbox) -> None:
    result = run("dead", "retry", "2")

    assert result.stdout == "1 requeued.\n"
    assert ids(dead) == [1, 3]
    assert len(waiting(dead)) == 1


def test_a_dead_letter_that_is_tried_again_is_found_by_the_sweep(run: Run, dead: Inbox) -> None:
    run("dead", "retry", "1", "3")

    assert dead.sweep(10, 10) == 1


def test_all_dead_letters_may_be_tried_again(run: Run, dead: Inbox) -> None:
    result = run("dead", "retry", "--all")

    assert result.stdout == "3 requeued.\n"
    assert ids(dead) == []
    assert len(waiting(dead)) == 3


def test_a_dead_letter_may_be_dropped(run: Run, dead: Inbox) -> None:
    result = run("dead", "drop", "1", "2")

    assert result.stdout == "2 dropped.\n"
    assert ids(dead) == [3]
    assert waiting(dead) == []


def test_all_dead_letters_may_be_dropped(run: Run, dead: Inbox) -> None:
    assert run("dead", "drop", "--all", "--yes").stdout == "3 dropped.\n"
    assert ids(dead) == []


def test_of_one_dead_letter_it_is_asked_in_the_singular(run: Run, dead: Inbox) -> None:
    run("dead", "drop", "1", "2")

    assert "Delete 1 dead letter for good?" in run("dead", "drop", "--all", input="n\n").stderr


def test_before_all_dead_letters_are_dropped_it_is_asked(run: Run, dead: Inbox) -> None:
    result = run("dead", "drop", "--all", input="y\n")

    assert "Delete 3 dead letters for good?" in result.stderr
    assert result.stdout.endswith("3 dropped.\n")
    assert ids(dead) == []


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_unless_the_answer_is_yes_no_dead_letter_is_dropped(run: Run, dead: Inbox, answer: str) -> None:
    assert run("dead", "drop", "--all", input=answer).exit_code == 1
    assert ids(dead) == [1, 2, 3]


@pytest.mark.usefixtures("settings_file")
def test_where_there_is_no_dead_letter_nothing_is_asked(run: Run) -> None:
    assert run("dead", "drop", "--all").stdout == "0 dropped.\n"


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_an_id_that_is_not_there_is_named(run: Run, dead: Inbox, command: str) -> None:
    result = run("dead", command, "77")

    assert result.exit_code == 1
    assert "no dead letter 77" in result.stderr
    assert ids(dead) == [1, 2, 3]


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_where_one_id_is_not_there_nothing_is_done(run: Run, dead: Inbox, command: str) -> None:
    assert run("dead", command, "1", "77").exit_code == 1
    assert ids(dead) == [1, 2, 3]


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_without_an_id_nothing_is_done(run: Run, dead: Inbox, command: str) -> None:
    result = run("dead", command)

    assert result.exit_code == 1
    assert "--all" in result.stderr
    assert ids(dead) == [1, 2, 3]


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_ids_and_all_together_do_nothing(run: Run, dead: Inbox, command: str) -> None:
    letters = dead.dead_letters.all()
    result = run("dead", command, "--all", str(letters[0].job.id))

    assert result.exit_code == 1
    assert dead.dead_letters.all() == letters


@pytest.mark.parametrize("arguments", [["list"], ["show", "1"], ["retry", "--all"], ["drop", "1"]])
def test_a_store_that_is_away_is_said_to_be(
    run: Run, make_settings: MakeSettings, arguments: list[str]
) -> None:
    make_settings(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    result = run("dead", *arguments)

    assert result.exit_code == 1
    assert "redis_url: the store does not work: it cannot be reached" in result.stderr
    assert isinstance(result.exception, SystemExit)
