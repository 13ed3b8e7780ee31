"""Tickets and comments for what people write."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clients.channels.meta.events import CHANNEL
from clients.errors import TicketClosed
from tests.conftest import PAGE_A, payload
from tests.fakes.conversation import CUSTOMER, OUT, PSID, SENT_AT
from tests.fakes.failures import away, fault
from tests.fakes.world import World


def test_the_first_message_opens_a_ticket(world: World) -> None:
    world.receive("m_1", "hello")
    world.work()

    (ticket,) = world.desk.tickets.values()
    new = ticket.new
    assert new is not None
    assert (new.desk_id, new.title, new.body, new.external_id) == (
        "7",
        "Messenger: Anna Nowak",
        "hello",
        "m_1",
    )
    assert new.customer == replace(
        CUSTOMER,
        display_name="Anna Nowak",
        account_name="Page 1",
        name="Anna Nowak",
        first_name="Anna",
        last_name="Nowak",
        picture_url="https://cdn/p.jpg",
    )
    assert new.created_at == datetime.fromtimestamp(SENT_AT / 1000, UTC)
    assert world.desk.keys == [f"facebook:{PAGE_A}:m_1"]


def test_the_second_message_is_a_comment_and_no_search_is_needed(world: World) -> None:
    world.receive("m_1")
    world.work()
    world.desk.calls.clear()
    world.receive("m_2", "more")
    world.work()

    assert world.desk.calls == ["add_comment"]
    (comment,) = world.desk.tickets["t1"].comments
    assert (comment.body, comment.external_id, comment.internal) == ("more", "m_2", False)
    assert (comment.author.type, comment.author.name) == ("customer", "Anna Nowak")
    assert comment.channel == CHANNEL
    assert world.desk.keys[-1] == f"facebook:{PAGE_A}:m_2"


@pytest.mark.parametrize("is_said_first", [True, False])
def test_a_button_and_its_message_of_the_same_mid_both_stand_on_the_ticket(
    world: World, *, is_said_first: bool
) -> None:
    said = {"timestamp": SENT_AT, "message": {"mid": "m_1", "text": "Hours"}}
    pressed = {"timestamp": SENT_AT, "postback": {"mid": "m_1", "title": "Hours", "payload": "HOURS"}}
    for item in [said, pressed] if is_said_first else [pressed, said]:
        world.receive_item(item)
        world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new is not None
    assert {ticket.new.body, *(comment.body for comment in ticket.comments)} == {
        "Hours",
        "The customer pressed the button “Hours”.\n\nPayload: HOURS",
    }


def test_a_link_is_remembered_for_a_day(world: World) -> None:
    world.receive()
    world.work()

    assert 0 <= 24 * 3600 - world.store.ttl(f"mc:open_ticket:{CHANNEL}:{PAGE_A}:{PSID}") < 60


def test_an_open_ticket_that_is_not_remembered_is_searched(world: World) -> None:
    world.desk.open()
    world.receive()
    world.work()

    assert len(world.desk.tickets["42"].comments) == 1
    assert world.desk.count("create_ticket") == 0


def test_a_message_for_a_closed_ticket_goes_to_the_open_one(linked: World) -> None:
    linked.desk.tickets["t1"].closed = True
    linked.desk.open("42")
    linked.receive("m_1")
    linked.work()

    assert [comment.external_id for comment in linked.desk.tickets["42"].comments] == ["m_1"]
    assert linked.desk.keys == [f"facebook:{PAGE_A}:m_1", f"facebook:{PAGE_A}:m_1:after:t1"]
    assert linked.store.get(f"mc:open_ticket:{CHANNEL}:{PAGE_A}:{PSID}") == b"42"


def test_a_message_for_a_closed_ticket_opens_a_new_one_if_none_is_open(linked: World) -> None:
    linked.desk.tickets["t1"].closed = True
    linked.receive("m_1")
    linked.work()

    assert linked.desk.calls == ["add_comment", "find_open_ticket", "create_ticket"]
    assert linked.desk.keys == [f"facebook:{PAGE_A}:m_1", f"facebook:{PAGE_A}:m_1:after:t1"]
    assert linked.store.get(f"mc:open_ticket:{CHANNEL}:{PAGE_A}:{PSID}") == b"t2"


def test_a_message_for_a_ticket_that_is_gone_opens_a_new_one(linked: World) -> None:
    del linked.desk.tickets["t1"]
    linked.receive("m_1")
    linked.work()

    assert linked.desk.count("create_ticket") == 1
    assert linked.reasons() == []


def test_a_comment_is_not_looked_for_on_a_ticket_that_is_gone(linked: World) -> None:
    del linked.desk.tickets["t1"]
    linked.desk.fail("find_open_ticket", away())
    linked.receive("m_1")
    linked.work()
    linked.resume()

    assert linked.reasons() == []
    assert linked.desk.count("create_ticket") == 1


def test_a_ticket_that_takes_no_comment_and_is_found_open_is_asked_again_later(linked: World) -> None:
    linked.desk.fail("add_comment", TicketClosed("closed"))
    linked.receive("m_1")
    linked.work()
    assert linked.desk.calls == ["add_comment", "find_open_ticket"]
    assert linked.head().attempts == 1
    linked.resume()

    assert [comment.external_id for comment in linked.desk.tickets["t1"].comments] == ["m_1"]
    assert linked.desk.count("create_ticket") == 0


def test_a_comment_of_unknown_outcome_is_looked_up_before_it_is_repeated(linked: World) -> None:
    linked.desk.knows_keys = False
    linked.desk.fail("add_comment", fault(), after=True)
    linked.receive("m_1")
    linked.work()
    linked.resume()

    assert linked.desk.calls == ["add_comment", "ping", "comment_by_external_id"]
    assert len(linked.desk.tickets["t1"].comments) == 1


def test_a_comment_that_did_not_arrive_is_repeated_with_its_key(linked: World) -> None:
    linked.desk.fail("add_comment", fault())
    linked.receive("m_1")
    linked.work()
    linked.resume()

    assert linked.desk.calls == ["add_comment", "ping", "comment_by_external_id", "add_comment"]
    assert linked.desk.keys == [f"facebook:{PAGE_A}:m_1"]


def test_a_ticket_of_unknown_outcome_is_looked_up_before_it_is_repeated(world: World) -> None:
    world.desk.knows_keys = False
    world.desk.fail("create_ticket", fault(), after=True)
    world.receive()
    world.work()
    world.desk.tickets["t1"].closed = True
    world.resume()

    assert list(world.desk.tickets) == ["t1"]
    assert world.desk.calls[-1] == "ticket_by_external_id"
    assert world.store.get(f"mc:open_ticket:{CHANNEL}:{PAGE_A}:{PSID}") == b"t1"


def test_a_ticket_that_did_not_arrive_is_created_again(world: World) -> None:
    world.desk.fail("create_ticket", fault())
    world.receive()
    world.work()
    world.resume()

    assert world.desk.count("ticket_by_external_id") == 1
    assert list(world.desk.tickets) == ["t1"]


def test_an_event_without_a_mid_has_an_id_of_its_own_too(linked: World) -> None:
    for emoji in "❤👍":
        reaction = {"emoji": emoji, "action": "react", "mid": "m_0"}
        linked.receive_item({"timestamp": SENT_AT, "reaction": reaction})
    linked.work()

    ids = [comment.external_id for comment in linked.desk.tickets["t1"].comments]
    assert len(set(ids)) == 2
    assert all(ids)
    assert linked.desk.keys == [f"facebook:{PAGE_A}:{id_}" for id_ in ids]


def test_a_reaction_alone_opens_no_ticket(world: World) -> None:
    world.receive_item({"timestamp": SENT_AT, "reaction": {"emoji": "❤", "action": "react", "mid": "m_0"}})
    world.work()

    assert world.desk.tickets == {}
    assert world.left() == set()


def test_other_events_are_internal_comments(linked: World) -> None:
    linked.receive_body(payload("messenger/postback"))
    linked.work()

    (comment,) = linked.desk.tickets["t1"].comments
    assert comment.internal
    assert comment.author.type == "system"
    assert "Get Started" in comment.body


@pytest.mark.parametrize(
    ("name", "author"),
    [("echo_page_inbox", "Page 1 (Meta inbox)"), ("echo_of_another_app", "Page 1 (app 1517776481860111)")],
)
def test_what_the_page_said_elsewhere_is_a_comment_of_an_agent(linked: World, name: str, author: str) -> None:
    linked.receive_body(payload(f"messenger/{name}"))
    linked.work()

    (comment,) = linked.desk.tickets["t1"].comments
    assert (comment.author.type, comment.author.name) == ("agent", author)
    assert not comment.internal
    assert comment.channel == CHANNEL


def test_a_ticket_that_the_page_begins_names_who_wrote(world: World) -> None:
    world.receive_body(payload("messenger/echo_page_inbox"))
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert ticket.new.body.startswith("Page 1 (Meta inbox):\n\n")
    assert ticket.new.customer
    assert ticket.new.customer.person_id == PSID


def test_an_echo_of_our_own_reply_that_lost_its_mark_is_not_put_on_the_ticket(linked: World) -> None:
    linked.reply()
    linked.work(OUT)
    echo = {"is_echo": True, "mid": "m_ours_0", "text": "Hello"}
    linked.receive_item({"timestamp": SENT_AT, "message": echo}, from_page=True)
    linked.work()

    assert linked.desk.tickets["t1"].comments == []
    assert linked.waiting() == 0


def test_a_message_of_nothing_is_shown_as_empty(linked: World) -> None:
    linked.receive_item({"timestamp": SENT_AT, "message": {}})
    linked.work()

    assert next(iter(linked.desk.tickets.values())).comments[-1].body == "(The message is empty.)"
