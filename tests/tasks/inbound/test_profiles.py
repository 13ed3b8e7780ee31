"""Names of people, and messages that do not wait for them."""

import httpx

from clients.channels.meta.events import CHANNEL
from clients.errors import LeaseLost, RejectedError
from clients.helpdesk import NewTicket
from tests.conftest import PAGE_A
from tests.fakes.conversation import PAGE, PSID
from tests.fakes.failures import fault
from tests.fakes.world import World


def test_a_worker_that_lost_its_lease_leaves_no_nameless_profile(world: World) -> None:
    def lose() -> None:
        raise LeaseLost("the lease is lost")

    world.receive()
    world.meta.hooks["person"] = lose
    world.work()

    assert world.store.get(f"mc:profile:{CHANNEL}:{PAGE_A}:{PSID}") is None
    assert world.desk.calls == []


def test_a_profile_is_read_once_a_day(world: World) -> None:
    world.receive("m_1")
    world.receive("m_2")
    world.work()

    assert world.meta.count("person") == 1
    assert 0 <= 24 * 3600 - world.store.ttl(f"mc:profile:{CHANNEL}:{PAGE_A}:{PSID}") < 60


def test_a_sender_without_a_name_is_asked_for_again_soon(world: World) -> None:
    world.meta.profile = {}
    world.receive()
    world.work()

    assert world.desk.tickets["t1"].new
    assert world.desk.tickets["t1"].new.title == "Messenger: Messenger user 5436"
    assert 0 < world.store.ttl(f"mc:profile:{CHANNEL}:{PAGE_A}:{PSID}") <= 600


def _nameless_ticket(world: World) -> None:
    world.meta.profile = {}
    world.receive("m_1")
    world.work()
    world.store.delete(f"mc:profile:{CHANNEL}:{PAGE_A}:{PSID}")  # ten minutes later
    world.meta.profile = {"name": "Anna Nowak", "first_name": "Anna", "last_name": "Nowak"}


def test_a_ticket_gets_its_senders_name_once_that_can_be_read(world: World) -> None:
    _nameless_ticket(world)
    world.receive("m_2")
    world.receive("m_3")
    world.work()

    assert list(world.desk.named) == ["t1"]
    naming = world.desk.named["t1"]
    assert (naming.old_title, naming.title) == ("Messenger: Messenger user 5436", "Messenger: Anna Nowak")
    assert naming.customer.display_name == naming.customer.name == "Anna Nowak"
    assert world.desk.count("name_requester") == 1


def test_agents_are_told_the_name_where_the_helpdesk_cannot_change_it(world: World) -> None:
    world.desk.takes_names = False
    _nameless_ticket(world)
    world.receive("m_2")
    world.receive("m_3")
    world.work()

    (note,) = (one for one in world.desk.tickets["t1"].comments if one.internal)
    assert note.body == "The sender of this ticket is Anna Nowak; the name was not available before."


def test_no_message_fails_because_its_ticket_gets_no_name(world: World) -> None:
    _nameless_ticket(world)
    world.desk.fail("name_requester", fault())
    world.receive("m_2")
    world.work()

    assert [one.external_id for one in world.desk.tickets["t1"].comments] == ["m_2"]
    assert not world.desk.named

    world.receive("m_3")  # which tries again
    world.work()
    assert list(world.desk.named) == ["t1"]


def test_a_ticket_that_was_opened_with_a_name_is_not_named_again(world: World) -> None:
    _nameless_ticket(world)
    world.desk.tickets["t1"].closed = True
    world.receive("m_2")
    world.receive("m_3")
    world.work()

    assert world.desk.tickets["t2"].new
    assert world.desk.count("name_requester") == 0


def test_names_that_the_helpdesk_refuses_are_not_tried_again(world: World) -> None:
    world.desk.refuses = lambda new: (
        RejectedError("no such character") if isinstance(new, NewTicket) and "Anna" in new.title else None
    )
    world.receive("m_1")
    world.receive("m_2")
    world.work()

    assert world.desk.count("name_requester") == 0


def test_a_message_does_not_wait_for_a_name(world: World) -> None:
    world.meta.fail("person", httpx.ReadTimeout("slow"))
    world.receive()
    world.work()

    assert list(world.desk.tickets) == ["t1"]
    assert not world.paused(PAGE)
