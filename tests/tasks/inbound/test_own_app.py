"""Our own Meta app goes by what it is, not by its number, where the settings say which one it is."""

from typing import Any

import pytest

from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import SENT_AT
from tests.fakes.echoes import receive_unmarked_echo
from tests.fakes.world import World

OURS, OTHER = "3379478975539191", "999"
SENTENCES = [
    (
        {"pass_thread_control": {"new_owner_app_id": OURS, "previous_owner_app_id": OTHER}},
        "This conversation is answered by this connector now; it was passed on by the app 999.",
        "Tę rozmowę prowadzi teraz aplikacja tego konektora; przekazała ją aplikacja 999.",
    ),
    (
        {"pass_thread_control": {"new_owner_app_id": OTHER, "previous_owner_app_id": int(OURS)}},
        "This conversation is answered by the app 999 now; it was passed on by this connector.",
        "Tę rozmowę prowadzi teraz aplikacja 999; przekazała ją aplikacja tego konektora.",
    ),
    (
        {"pass_thread_control": {"new_owner_app_id": OURS, "previous_owner_app_id": None}},
        "This conversation is answered by this connector now.",
        "Tę rozmowę prowadzi teraz aplikacja tego konektora.",
    ),
    (
        {"take_thread_control": {"new_owner_app_id": OURS, "previous_owner_app_id": OTHER}},
        "This conversation was taken over by this connector, which answers it now.",
        "Tę rozmowę przejęła i prowadzi teraz aplikacja tego konektora.",
    ),
]


def _speaking(world: World, language: str, app_id: str = OURS) -> World:
    pages = [connection(PAGE_A, SECRET_A, language=language)]
    world.configure(connections=pages, graph={"app_id": app_id})
    return world


@pytest.mark.parametrize(("item", "english", "polish"), SENTENCES)
def test_who_answers_a_conversation_is_told_in_plain_words(
    linked: World, item: dict[str, Any], english: str, polish: str
) -> None:
    for number, language in enumerate(("en", "pl")):
        linked = _speaking(linked, language)
        linked.receive_item({"timestamp": SENT_AT + number} | item)
        linked.work()

    assert [comment.body for comment in linked.desk.tickets["t1"].comments] == [english, polish]


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "This conversation was requested by this connector, which wants to answer it."),
        ("pl", "O przekazanie tej rozmowy prosi aplikacja tego konektora."),
    ],
)
def test_that_our_app_wants_to_answer_is_told_in_plain_words(linked: World, language: str, told: str) -> None:
    linked = _speaking(linked, language)
    linked.receive_item({"timestamp": SENT_AT, "request_thread_control": {"requested_owner_app_id": OURS}})
    linked.work()

    (comment,) = linked.desk.tickets["t1"].comments
    assert comment.body.startswith(f"{told}\n\n")


@pytest.mark.parametrize(
    ("language", "author"),
    [("en", "Page 1 (this connector's app)"), ("pl", "Page 1 (aplikacja tego konektora)")],
)
def test_what_our_app_sent_and_the_connector_did_not_is_told_so(
    linked: World, language: str, author: str
) -> None:
    receive_unmarked_echo(_speaking(linked, language), "m_9", app_id=OURS)
    linked.work()

    assert linked.desk.tickets["t1"].comments[-1].author.name == author


@pytest.mark.parametrize("own", ["", "1"])
def test_any_other_app_goes_by_its_number(linked: World, own: str) -> None:
    linked = _speaking(linked, "en", own)
    linked.receive_item({"timestamp": SENT_AT, "take_thread_control": {"new_owner_app_id": OTHER}})
    receive_unmarked_echo(linked, "m_9", app_id=OTHER)
    linked.receive_item({"timestamp": SENT_AT + 9, "pass_thread_control": {"new_owner_app_id": None}})
    linked.work()

    comments = linked.desk.tickets["t1"].comments
    assert any("by the app 999, which" in one.body for one in comments)
    assert any(one.author.name == "Page 1 (app 999)" for one in comments)
    assert any("No app is in charge" in one.body for one in comments)
