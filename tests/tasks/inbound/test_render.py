"""What agents read of messages and other events."""

import json

import pytest

from clients.channel import Conversation
from clients.channels.meta import events
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.messenger import Messenger
from clients.notices import decode
from tasks.inbound.jobs import incoming_job
from tasks.words import say
from tests.conftest import PAGE_A, payload
from tests.fakes.conversation import PSID, SENT_AT
from tests.fakes.echoes import receive_unmarked_echo
from tests.fakes.world import World


@pytest.mark.parametrize("odd", ["seq", "timestamp", "attachments"])
def test_a_number_too_long_for_python_costs_no_message(world: World, odd: str) -> None:
    said = {"mid": "m_1", "text": "hello", odd: "LONG"}
    people = {"sender": {"id": PSID}, "recipient": {"id": PAGE_A}, "timestamp": SENT_AT, "message": said}
    body = {
        "object": "page",
        "entry": [{"id": PAGE_A, "time": SENT_AT, "messaging": [people | {odd: "LONG"}]}],
    }
    world.receive_body(json.dumps(body).replace('"LONG"', "9" * 5000).encode())
    assert world.work()

    assert [ticket.new.body for ticket in world.desk.tickets.values() if ticket.new] == ["hello"]


def test_a_message_of_nothing_says_so(world: World) -> None:
    world.receive(text="")
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert ticket.new.body == "(The message is empty.)"


def test_a_template_is_shown_as_its_words_and_a_list_of_its_buttons(linked: World) -> None:
    buttons = [
        {"type": "web_url", "url": "https://sklep.example/z", "title": "Znajdz sklep"},
        {"type": "postback", "title": "Zamow", "payload": "X"},
    ]
    payload_ = {
        "template_type": "generic",
        "elements": [{"title": "Buty", "subtitle": "*", "buttons": buttons}],
    }
    receive_unmarked_echo(
        linked, "m_7", text="", attachments=[{"type": "template", "payload": payload_}], app_id="9"
    )
    linked.work()

    (comment,) = linked.desk.tickets["t1"].comments
    assert comment.body == "Buty\n\n\\*\n\n- [Znajdz sklep](https://sklep.example/z)\n- Zamow"


def test_that_a_message_was_deleted_is_told_to_the_agents(linked: World) -> None:
    linked.receive("m_8", "oops")
    linked.receive_item({"timestamp": SENT_AT + 5, "message": {"mid": "m_8", "is_deleted": True}})
    linked.work()

    said, deleted = linked.desk.tickets["t1"].comments
    assert (said.body, said.internal) == ("oops", False)
    assert deleted.internal
    assert deleted.body == "The customer deleted the message “oops” in Messenger."


@pytest.mark.parametrize("name", ["policy_enforcement", "policy_enforcement_that_names_a_person"])
def test_what_is_about_no_person_is_a_dead_letter_that_says_what_it_is(world: World, name: str) -> None:
    body = payload(f"messenger/{name}")
    (item,) = (item for entry in events.Envelope(body).entries() for item in entry.events())
    assert item.conversation is None
    world.inbox.accept([incoming_job(Messenger(), Conversation(CHANNEL, PAGE_A, ""), item)])
    world.work(f"in:{CHANNEL}:{PAGE_A}:")

    (letter,) = world.inbox.dead_letters.all()
    assert "“policy_enforcement”" in say(decode(letter.reason))
    assert json.loads(letter.job.body)["policy_enforcement"]["action"] == "block"
    assert world.desk.calls == world.meta.calls == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("policy_enforcement", "Meta has blocked the page: it can send no messages."),
        ("policy_warning", "Meta warns the page: its messages break a policy."),
        ("policy_unblock", "Meta has lifted the block: the page can send messages again."),
    ],
)
def test_what_meta_enforces_against_the_page_is_told_to_the_operator_in_words(
    world: World, name: str, words: str
) -> None:
    entries = events.Envelope(payload(f"messenger/{name}")).entries()
    (item,) = (item for entry in entries for item in entry.events())
    world.inbox.accept([incoming_job(Messenger(), Conversation(CHANNEL, PAGE_A, ""), item)])
    world.work(f"in:{CHANNEL}:{PAGE_A}:")

    (reason,) = world.reasons()
    assert reason.endswith(f"(kind: “policy_enforcement”): {words}")


def test_a_label_becomes_no_link_and_no_emphasis(world: World) -> None:
    answers = [
        {"question": "[Phone]", "answer": "https://evil.example/x"},
        {"question": "*a", "answer": "b*"},
    ]
    item = {"timestamp": SENT_AT, "referral": {"type": "LEAD_COMPLETE"}, "lead": {"data": answers}}
    world.receive_item(item)
    world.work()

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert "&#91;Phone&#93;: [https:" in ticket.new.body
    assert "&#42;a: b*" in ticket.new.body
