"""Who answers a conversation, where several apps may."""

from collections.abc import Callable
from typing import Any

import pytest

from tasks.inbox.personal import Personal
from tasks.person import forget, notes_of
from tests.conftest import payload
from tests.fakes.conversation import IN, PERSON, SENT_AT
from tests.fakes.crashes import every_crash
from tests.fakes.failures import fault
from tests.fakes.meta import Refusal
from tests.fakes.world import World

TAKEN = "This conversation was taken over by Meta's own inbox, which answers it now."
WANTED: dict[str, Any] = {"request_thread_control": {"requested_owner_app_id": "999"}}


def test_who_wants_to_answer_is_told_with_who_answers_now(linked: World) -> None:
    linked.receive_body(payload("messenger/take_thread_control"))
    linked.receive_item({"timestamp": SENT_AT + 200_000} | WANTED)
    linked.work()

    assert linked.desk.tickets["t1"].comments[-1].body.split("\n\n") == [
        "This conversation was requested by the app 999, which wants to answer it.",
        TAKEN,
    ]


@pytest.mark.parametrize(
    ("app_id", "told"),
    [("999", "It is answered by this connector now."), ("1", "It is answered by the app 999 now.")],
)
def test_where_nobody_said_who_answers_now_the_channel_is_asked(
    linked: World, app_id: str, told: str
) -> None:
    linked.configure(graph={"app_id": app_id})
    linked.receive_item({"timestamp": SENT_AT + 10} | WANTED)
    linked.work()

    assert linked.desk.tickets["t1"].comments[-1].body.endswith(f"\n\n{told}")


@pytest.mark.parametrize("error", [Refusal(10), Refusal(2, status=500), fault()])
def test_where_the_channel_does_not_tell_the_event_does_not_wait(linked: World, error: Exception) -> None:
    linked.meta.fail("owner", error)
    linked.receive_item({"timestamp": SENT_AT + 10} | WANTED)
    linked.work()

    body = linked.desk.tickets["t1"].comments[-1].body
    assert body.endswith("\n\nWhich app answers it now is not known.")


def test_of_two_who_took_over_the_last_one_answers_whichever_came_first(linked: World) -> None:
    for at, app_id in ((SENT_AT + 9, "9"), (SENT_AT + 8, "8")):
        linked.receive_item({"timestamp": at, "take_thread_control": {"new_owner_app_id": app_id}})
        linked.work()
    linked.receive_item({"timestamp": SENT_AT + 10} | WANTED)
    linked.work()

    assert "by the app 9, which answers it now" in linked.desk.tickets["t1"].comments[-1].body


def test_who_took_over_before_there_was_a_ticket_is_told_on_it(world: World) -> None:
    world.receive_body(payload("messenger/take_thread_control"))
    world.work()
    assert world.desk.tickets == {}
    world.receive(at=SENT_AT + 200_000)
    world.work()

    (note,) = world.desk.tickets["t1"].comments
    assert note.internal
    assert note.body == f"2026-11-22 21:30 UTC: {TAKEN}"


def test_a_ticket_that_it_opens_itself_says_so_once(world: World) -> None:
    world.configure(events={"take_thread_control": "open_ticket"})
    world.receive_body(payload("messenger/take_thread_control"))
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert (ticket.new.body, ticket.comments) == (TAKEN, [])


def test_wherever_a_worker_dies_who_answers_is_told_once(worlds: Callable[[], World]) -> None:
    def prepare(world: World) -> list[str]:
        world.receive_body(payload("messenger/take_thread_control"))
        world.receive(at=SENT_AT + 200_000)
        return [IN]

    for world in every_crash(worlds, prepare):
        (ticket,) = world.desk.tickets.values()
        assert [one.external_id for one in ticket.comments] == ["control:m_1"]


def test_who_answers_is_exported_and_forgotten_with_the_person(world: World) -> None:
    world.receive_body(payload("messenger/take_thread_control"))
    world.work()
    ((summary, _),) = notes_of(world.inbox, PERSON)[Personal.OWNER]
    assert "control_taken" in summary
    forget(world.inbox, PERSON)

    assert Personal.OWNER not in notes_of(world.inbox, PERSON)


def test_who_answered_is_forgotten_after_a_day(world: World) -> None:
    world.receive_body(payload("messenger/take_thread_control"))
    world.work()
    (key,) = world.store.scan_iter("mc:owner:*")

    assert 0 < world.store.pttl(key) <= 24 * 3600 * 1000
