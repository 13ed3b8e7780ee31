"""“Test connection” on the Messenger tab: each step as it is done, what it comes to, and what to do then."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from clients.findings import Finding, finding
from clients.notices import Value, notice
from tasks import checks
from tests.fakes.admin import NEW
from tests.fakes.pages import Shown
from tests.fakes.tab import Tab, main_buttons


def test_a_test_shows_each_step_as_it_is_done(tab: Tab) -> None:
    tab.add()
    action = next(
        one.action for one in tab.open().tree.forms if str(one.action).partition("?")[0].endswith("/check")
    )
    with tab.browser.stream("POST", f"{tab.url}{action}", data={}) as answer:
        parts = [part.count('<li class="finding') for part in answer.iter_text()]

    assert sum(parts) >= 4
    assert len([part for part in parts if part]) > 1, "they came all at once"


def verdict(tab: Tab, monkeypatch: pytest.MonkeyPatch, *found: Finding | Exception) -> str:
    """Return what a test says in the end that finds this."""
    (status,) = result_of(tab, monkeypatch, *found).tree.cssselect("[role=status]")
    return status.text_content()


def result_of(tab: Tab, monkeypatch: pytest.MonkeyPatch, *found: Finding | Exception) -> Shown:
    """Return what a test shows that finds this."""

    def followed(*_: Any, **__: Any) -> Iterator[Finding]:
        for one in found:
            if isinstance(one, Exception):
                raise one
            yield one

    tab.add()
    monkeypatch.setattr(checks, "followed", followed)
    shown = tab.open().send("/check")
    assert "Back to the pages" in shown.said
    return shown


OPERATOR = "To do, for whoever runs the connector:"
WRONG = {
    "desk": finding("desk_missing", desk_id="7"),
    "address": finding("webhook_address_wrong", url="https://acme.example.com", reason="it answered 404"),
    "subscription": finding("page_not_subscribed"),
    "webhook": finding("app_subscribed_elsewhere", url="https://other.example.com", ours="https://a.example"),
    "token": finding("page_token_invalid"),
    "block": finding("page_is_blocked"),
}
TODO = {
    "desk": f"{OPERATOR} Correct desk_id",
    "address": f"{OPERATOR} Check that public_url",
    "subscription": "Press “Repair”",
    "webhook": "Press “Repair”",
    "token": "Press “Enter a new token”",
    "block": "See in Meta Business Support Home",
}


@pytest.mark.parametrize("what", WRONG)
def test_an_administrator_of_a_desk_is_told_what_they_can_do_and_else_who_can(
    tab: Tab, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    check = result_of(tab, monkeypatch, WRONG[what])
    tab.found(WRONG[what])
    card = tab.open()

    for shown in (check, card):
        assert TODO[what] in shown.said
        assert (OPERATOR in shown.said) == TODO[what].startswith(OPERATOR)
        assert "connector check" not in shown.said
        assert "page_access_token" not in shown.said
        button = TODO[what].partition("“")[2].partition("”")[0]
        assert not button or button in main_buttons(shown.tree)


def test_what_can_be_repaired_once_a_page_is_connected_again_is_not_asked_of_the_operator(tab: Tab) -> None:
    tab.add()
    tab.found(WRONG["token"], WRONG["webhook"])
    said = tab.open().said

    assert "press “Test connection” on its tab in the helpdesk, then “Repair”" in said
    assert "connector check" not in said


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (["page_token_valid"], "Everything works."),
        (
            ["page_token_valid", "desk_unknown"],
            "Everything that could be checked works; 1 thing could not be checked.",
        ),
        (["desk_unknown", "page_not_subscribed"], "1 fault stops messages."),
        ([], "No such page leads to this desk."),
    ],
)
def test_a_test_says_in_the_end_what_it_comes_to(
    tab: Tab, monkeypatch: pytest.MonkeyPatch, found: list[str], words: str
) -> None:
    values: dict[str, Value] = {"desk_id": "7", "reason": notice("helpdesk_does_not_tell")}
    assert words in verdict(tab, monkeypatch, *(finding(code, **values) for code in found))


def test_a_test_that_anything_else_breaks_off_says_so_and_what_to_do(
    tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        shown = result_of(tab, monkeypatch, finding("page_token_valid"), ValueError("a token: EAAx"))
    (status,) = shown.tree.cssselect("[role=status]")

    assert status.text_content() == (
        "The test did not come to its end: whether messages get through is not known."
    )
    assert "Test the connection again; if it breaks off once more, ask whoever runs" in shown.said
    assert "EAAx" not in shown.answer.text
    assert [one["page"] for one in logs if one["event"] == "test_broke_off"] == [NEW]


def test_a_fault_that_was_found_before_a_test_broke_off_counts(
    tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = verdict(tab, monkeypatch, finding("page_token_invalid"), ValueError())
    assert end == "1 fault stops messages."


def test_a_test_that_the_store_breaks_off_says_so_and_ends(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    end = verdict(tab, monkeypatch, finding("page_token_valid"), redis.ConnectionError("refused"))
    assert end == "1 fault stops messages."
