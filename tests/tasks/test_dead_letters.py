"""Giving up: after how many attempts, and who is told."""

import pytest

from clients.errors import RejectedError
from clients.notices import decode
from tasks.inbound import arrival
from tests.conftest import PAGE_A
from tests.fakes.conversation import IN, OUT, PAGE, SENT_AT
from tests.fakes.failures import away, fault, too_long
from tests.fakes.world import World


def test_an_event_that_fails_for_its_own_fault_is_tried_so_often_then_it_is_a_dead_letter(
    world: World,
) -> None:
    world.configure(worker={"attempts": 3})
    world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *(fault() for _ in range(3)))
    world.work()
    world.resume()
    assert world.reasons() == []
    world.resume()

    assert world.reasons() == ["it answered 500"]
    (letter,) = world.inbox.dead_letters.all()
    assert [decode(entry["reason"]).code for entry in letter.job.history] == ["it answered 500"] * 2


def test_the_agent_is_told_of_a_dead_letter_in_the_open_ticket(world: World) -> None:
    ticket = world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *too_long())
    world.work()

    (note,) = ticket.comments
    assert note.internal
    assert note.author.type == "system"
    assert "it is too long" in note.body
    assert "connector dead show 1" in note.body
    assert world.desk.keys[-1] == f"facebook:{PAGE_A}:dead:1"


def test_after_a_dead_letter_the_next_event_goes_on(world: World) -> None:
    ticket = world.desk.open()
    world.receive("m_1", "refuse me", SENT_AT)
    world.receive("m_2", "take me", SENT_AT + 1)
    world.desk.fail("add_comment", *too_long())
    world.work()

    assert [comment.external_id for comment in ticket.comments] == ["dead:1", "m_2"]
    assert world.waiting() == 0


def test_the_agent_is_told_on_the_open_ticket_if_the_remembered_one_is_closed(world: World) -> None:
    world.receive("m_0")
    world.work()
    world.desk.tickets["t1"].closed = True
    ticket = world.desk.open("t9")
    world.desk.fail("add_comment", None, *too_long())
    world.receive("m_1")
    world.work()

    assert [comment.external_id for comment in ticket.comments] == ["dead:2"]


def test_an_event_that_our_own_code_stumbles_over_is_tried_three_times(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", *(ZeroDivisionError("secret") for _ in range(3)))
    for attempts in (1, 2):
        world.resume()
        assert world.head().attempts == attempts
    world.resume()

    (reason,) = world.reasons()
    assert "ZeroDivisionError" in reason
    assert "secret" not in reason


def test_a_fault_of_our_own_machine_is_waited_out(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", *(OSError(28, "No space left on device") for _ in range(5)))
    for _ in range(5):
        world.resume()
    assert world.head().attempts == 5
    assert "No space left on device" in world.head().reasons[0]
    world.resume()

    assert list(world.desk.tickets) == ["t1"]


def test_while_the_agent_cannot_be_told_the_event_waits_and_then_he_is_told_once(world: World) -> None:
    ticket = world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *too_long(), away())
    world.work()
    assert world.reasons() == []
    assert world.paused()
    world.resume()

    assert world.reasons() == ["it is too long"]
    assert [comment.external_id for comment in ticket.comments] == ["dead:1"]


def test_a_note_of_unknown_outcome_is_looked_up_before_it_is_repeated(world: World) -> None:
    ticket = world.desk.open()
    world.desk.knows_keys = False
    world.receive()
    world.desk.fail("add_comment", *too_long())
    world.desk.fail("add_comment", fault(), after=True)
    world.desk.fail("ping", fault())
    world.work()
    world.resume()

    assert world.reasons() == ["it is too long"]
    assert len(ticket.comments) == 1


def test_dead_letters_are_counted_by_the_code_of_their_reason(world: World) -> None:
    world.receive()
    world.desk.fail("find_open_ticket", RejectedError("bad_id"), RejectedError("bad_id"))
    world.work()
    world.receive("m_2")
    world.desk.fail("find_open_ticket", *too_long())
    world.work()

    assert world.inbox.given_up() == {"bad_id": 1, "other": 1}


@pytest.mark.parametrize("error", [RejectedError("no"), fault(), ZeroDivisionError()], ids=repr)
def test_an_event_becomes_a_dead_letter_though_no_agent_can_be_told(world: World, error: Exception) -> None:
    world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *too_long(), error)
    world.work()

    assert world.reasons() == ["it is too long"]
    assert world.waiting() == 0


def test_a_reply_to_a_page_that_is_not_connected_any_more_is_a_dead_letter(world: World) -> None:
    world.reply()
    world.configure(connections=[])
    world.work(OUT)

    (reason,) = world.reasons()
    assert "no active connection" in reason


def test_what_people_write_to_a_page_that_is_not_connected_waits_until_it_is(world: World) -> None:
    world.receive()
    world.configure(connections=[])
    world.work(IN)
    assert 25 < world.paused(PAGE) <= 30
    assert (world.waiting(), world.reasons()) == (1, [])
    world.configure()
    world.resume()

    assert world.waiting() == 0
    assert world.desk.count("create_ticket") == 1


def test_what_people_write_to_a_page_that_is_never_connected_is_a_dead_letter_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrival, "CONNECTED_WITHIN", 0)
    world.receive()
    world.configure(connections=[])
    world.work(IN)

    (reason,) = world.reasons()
    assert "no active connection" in reason


def test_an_event_that_is_requeued_is_tried_afresh(world: World) -> None:
    world.desk.open()
    world.receive()
    world.desk.fail("add_comment", *too_long())
    world.work()
    world.inbox.dead_letters.requeue(world.inbox.dead_letters.all()[0])
    world.work()

    assert world.waiting() == 0
    assert world.reasons() == []
    assert [comment.external_id for comment in world.desk.tickets["42"].comments] == ["dead:1", "m_1"]
