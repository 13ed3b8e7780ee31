"""The commands and the board: whoever reads one finds the same words on the other."""

import pytest

from clients.notices import Value, encode, notice
from connector.cli.main import main
from connector.web import words  # noqa: F401 - the board's
from tasks.inbox.inbox import Inbox
from tasks.words import say
from tests.fakes.board import remote
from tests.fakes.commands import Run

REASON = notice("page_token_refused")
CODED = f"{REASON.code}: {say(REASON)}"
"""As operators read it: the commands put the code before it, by which logs can be searched."""


def board(code: str, **values: Value) -> str:
    return say(notice(f"board_{code}", **values))


@pytest.mark.parametrize(
    ("group", "command", "codes"),
    [
        ("dead", "retry", ["retry_one_dead", "retry_dead", "retry_all_dead"]),
        ("unknown", "replay", ["retry_one_unknown", "retry_unknown", "retry_all_unknown"]),
        ("dead", "drop", ["drop_one", "drop_ticked", "drop_all", "drop_sure"]),
        ("unknown", "drop", ["drop_one", "drop_ticked", "drop_all", "drop_sure"]),
    ],
)
def test_each_button_is_called_as_its_command(group: str, command: str, codes: list[str]) -> None:
    assert command in main.commands[group].commands  # type: ignore[attr-defined]
    assert [board(code, count=2).split()[0].lower() for code in codes] == [command] * len(codes)


@pytest.mark.parametrize(("group", "kind"), [("dead", "dead letters"), ("unknown", "unknown events")])
@pytest.mark.usefixtures("settings_file")
def test_both_call_what_is_listed_the_same(run: Run, group: str, kind: str) -> None:
    assert run(group, "list").stdout == f"{board(f'none_{group}')}\n"
    assert board(f"nav_{group}").lower() == kind


@pytest.mark.usefixtures("dead")
def test_both_ask_and_answer_with_the_same_sentences(run: Run) -> None:
    assert run("dead", "retry", "1").stdout == f"{board('requeued', count=1)}\n"
    dropped = run("dead", "drop", "--all", input="y\n")
    assert board("dead_drop", count=2) in dropped.stderr
    assert dropped.stdout.endswith(f"{board('dropped', count=2)}\n")


@pytest.mark.usefixtures("settings_file")
def test_both_say_paused_and_slowed_down_with_the_same_reason(run: Run, inbox: Inbox) -> None:
    inbox.pause(remote(), 60, encode(REASON))
    assert board("paused", reason=CODED).removeprefix("Replies are ") in run("status").stdout

    inbox.store.flushall()
    inbox.slow(remote(), 1, encode(REASON))
    assert board("slowed", reason=CODED).lower() in run("status").stdout.lower()
