"""Tickets and comments that the helpdesk refuses, for a name or for ever."""

from collections.abc import Callable
from dataclasses import astuple, replace

import pytest

from clients.errors import RejectedError
from clients.helpdesk import NewComment, NewTicket
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import CUSTOMER, IN, SENT_AT
from tests.fakes.crashes import every_crash
from tests.fakes.failures import fault, too_long
from tests.fakes.world import World


def _beyond_the_basic_plane(new: NewTicket | NewComment) -> Exception | None:
    """Fail as a helpdesk whose database takes no emoji."""
    words = [new.body]
    if isinstance(new, NewTicket):
        assert new.customer
        words += [new.title, *astuple(new.customer)]
    else:
        words.append(new.author.name)
    return fault() if max("".join(words)) > "\uffff" else None


def _refuses_the_name(new: NewTicket | NewComment) -> Exception | None:
    return RejectedError("it answered 422") if _beyond_the_basic_plane(new) else None


@pytest.mark.parametrize("refusal", [_beyond_the_basic_plane, _refuses_the_name])
def test_a_name_that_the_helpdesk_fails_for_costs_no_message(
    world: World, refusal: Callable[[NewTicket | NewComment], Exception | None]
) -> None:
    world.configure(worker={"attempts": 3})
    world.meta.profile = {"name": "Ola 🌸", "first_name": "Ola", "last_name": "🌸"}
    world.desk.refuses = refusal
    world.receive("m_1", "plain words")
    world.receive("m_2", "and more", SENT_AT + 1)
    for _ in range(6):
        world.resume()

    ticket = world.desk.tickets["t1"]
    assert ticket.new
    assert (ticket.new.title, ticket.new.body) == ("Messenger: Messenger user 5436", "plain words")
    assert [(one.author.name, one.body) for one in ticket.comments] == [("Messenger user 5436", "and more")]
    assert ticket.new.customer == replace(CUSTOMER, display_name="Messenger user 5436")
    assert world.reasons() == []


def test_a_name_of_the_page_that_the_helpdesk_fails_for_costs_no_message(world: World) -> None:
    world.configure(worker={"attempts": 2}, connections=[connection(PAGE_A, SECRET_A, page_name="Sklep 🌸")])
    world.desk.refuses = _beyond_the_basic_plane
    world.receive()
    world.resume()
    world.resume()

    assert list(world.desk.tickets) == ["t1"]


def test_what_was_given_up_before_there_was_a_ticket_is_noted_on_the_next(world: World) -> None:
    world.configure(worker={"attempts": 3})
    world.desk.refuses = _beyond_the_basic_plane
    world.receive("m_1", "Dzień dobry 😊")
    for _ in range(3):
        world.resume()
    assert world.reasons() == ["it answered 500"]
    world.receive("m_2", "halo?", SENT_AT + 1)
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert ticket.new.body == "halo?"
    (note,) = ticket.comments
    assert note.internal
    assert "connector dead show 1" in note.body
    assert not list(world.store.scan_iter("mc:untold:*"))


def test_what_was_tried_again_meanwhile_is_not_noted(world: World) -> None:
    world.desk.fail("create_ticket", *too_long())
    world.receive("m_1")
    world.work()
    (letter,) = world.inbox.dead_letters.all()
    world.inbox.dead_letters.requeue(letter)
    world.work()

    assert [ticket.comments for ticket in world.desk.tickets.values()] == [[]]


def test_a_note_of_what_was_given_up_that_cannot_be_made_costs_no_message(world: World) -> None:
    world.configure(worker={"attempts": 2})
    world.desk.fail("create_ticket", *too_long())
    world.receive("m_1")
    world.work()
    world.desk.fail("add_comment", *(fault() for _ in range(2)))
    world.receive("m_2", "halo?")
    world.resume()
    world.resume()

    assert [ticket.new.body for ticket in world.desk.tickets.values() if ticket.new] == ["halo?"]
    assert len(world.reasons()) == 1


def test_wherever_a_worker_dies_what_was_given_up_is_noted_once(worlds: Callable[[], World]) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.fail("create_ticket", *too_long())
        world.receive("m_1")
        world.work()
        world.receive("m_2", "halo?")
        return [IN]

    for world in every_crash(worlds, prepare):
        (ticket,) = world.desk.tickets.values()
        assert [one.external_id for one in ticket.comments] == ["dead:1"]
