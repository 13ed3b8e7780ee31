"""Which events open a ticket, as the settings have it."""

from typing import Any

from tests.fakes.conversation import SENT_AT
from tests.fakes.world import World

REACTION = {"timestamp": SENT_AT, "reaction": {"emoji": "❤️", "action": "react", "mid": "m_page"}}
ODD = {"timestamp": SENT_AT, "hologram": {"depth": 3}}


def _standby(text: str) -> dict[str, Any]:
    return {"timestamp": SENT_AT, "standby": True, "message": {"mid": f"m_{text}", "text": text}}


def test_a_reaction_opens_a_ticket_where_the_settings_want_it(world: World) -> None:
    world.configure(events={"reaction": "open_ticket"})
    world.receive_item(REACTION)
    world.work()

    assert len(world.desk.tickets) == 1


def test_an_event_of_a_kind_that_nobody_knows_opens_none_where_the_settings_want_it(world: World) -> None:
    world.configure(events={"other": "join_ticket"})
    world.receive_item(ODD)
    world.work()

    assert not world.desk.tickets


def test_what_was_said_in_standby_is_told_on_the_ticket_that_comes_later(world: World) -> None:
    world.configure(events={"standby": "join_ticket"})
    world.receive_item(_standby("first"))
    world.work()
    assert not world.desk.tickets

    world.receive("m_2", "Hello?")
    world.work()
    (ticket,) = world.desk.tickets.values()
    (note,) = ticket.comments
    assert note.internal
    assert "Anna Nowak: first" in note.body
