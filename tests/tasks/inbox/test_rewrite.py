"""The store's file is written anew after something was deleted that is to be nowhere any more."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from tasks.inbox.inbox import REWRITE_EVERY, Inbox


@pytest.fixture
def asked(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give what the store answered each time it was asked."""
    answers: list[str] = []

    def ask() -> Any:
        answers.append("started")

    monkeypatch.setattr(inbox.store, "bgrewriteaof", ask)
    return answers


@pytest.fixture
def refused(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Give a function that has the store refuse with these words, and returns how often it did."""

    def refuse(words: str) -> list[str]:
        refusals: list[str] = []

        def ask() -> Any:
            refusals.append(words)
            raise redis.ResponseError(words)

        monkeypatch.setattr(inbox.store, "bgrewriteaof", ask)
        return refusals

    return refuse


def let_a_minute_pass(inbox: Inbox) -> None:
    for name in ("rewrite", "rewritten"):
        if at := inbox.get(name):
            inbox.put(name, str(float(at) - REWRITE_EVERY))


def test_nothing_is_written_anew_unless_that_is_wanted(inbox: Inbox, asked: list[str]) -> None:
    inbox.rewrite()
    assert asked == []


def test_many_wishes_are_one_rewrite(inbox: Inbox, asked: list[str]) -> None:
    for _ in range(5):
        inbox.request_rewrite()
    for _ in range(3):
        inbox.rewrite()

    assert asked == ["started"]


def test_what_is_deleted_after_a_rewrite_began_waits_for_the_next(inbox: Inbox, asked: list[str]) -> None:
    inbox.request_rewrite()
    inbox.rewrite()
    inbox.request_rewrite()
    inbox.rewrite()
    assert asked == ["started"]

    let_a_minute_pass(inbox)
    inbox.rewrite()
    assert asked == ["started", "started"]


def test_a_rewrite_that_began_before_does_not_count(
    inbox: Inbox, refused: Callable[[str], list[str]]
) -> None:
    refusals = refused("Background append only file rewriting already in progress")
    inbox.request_rewrite()
    inbox.rewrite()
    inbox.rewrite()

    assert len(refusals) == 2


@pytest.mark.parametrize("words", ["unknown command 'BGREWRITEAOF'", "this user has no permissions"])
def test_a_store_that_refuses_is_not_asked_again(
    inbox: Inbox, refused: Callable[[str], list[str]], words: str
) -> None:
    refusals = refused(words)
    inbox.request_rewrite()
    inbox.rewrite()
    let_a_minute_pass(inbox)
    inbox.rewrite()

    assert len(refusals) == 1
