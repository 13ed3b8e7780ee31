"""The script: what a call takes of it."""

from tasks.inbox.script import SOURCE, source_of


def _functions(source: str) -> set[str]:
    return {
        line.partition("function ")[2].partition("(")[0]
        for line in source.splitlines()
        if "function " in line
    }


def test_a_function_comes_with_what_it_calls_and_what_that_calls() -> None:
    assert {"inbox.accept", "offer", "parts_of", "has_room"} <= _functions(source_of("accept"))


def test_another_function_of_the_inbox_comes_along_where_one_calls_it() -> None:
    assert {"inbox.keep_unknown", "inbox.drop_unknown"} <= _functions(source_of("keep_unknown"))


def test_what_a_function_does_not_call_is_left_out() -> None:
    assert "inbox.claim" in _functions(SOURCE)
    assert "inbox.claim" not in _functions(source_of("accept"))
    assert len(_functions(source_of("accept"))) < len(_functions(SOURCE)) / 5
