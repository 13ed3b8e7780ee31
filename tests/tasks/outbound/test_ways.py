"""What is tried, and told, where Meta does not take a reply as it is sent."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clients.channel import Conversation
from clients.channels.meta import events
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.messenger import Messenger
from clients.helpdesk import Attachment
from tasks.inbound.jobs import incoming_job
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import INVOICE, OUT, PAGE, SENT_AT, SNAP
from tests.fakes.meta import OUTSIDE_WINDOW, Refusal
from tests.fakes.replies import TWO_PARTS
from tests.fakes.world import World


def _note(world: World) -> str:
    (note,) = world.desk.tickets["42"].comments
    return note.body


def test_a_picture_that_is_refused_as_one_is_sent_as_a_file(world: World) -> None:
    world.reply("", SNAP)
    world.meta.fail("upload", Refusal(100, 2018047))
    world.work(OUT)

    assert world.meta.texts() == ["file"]
    assert world.reasons() == []


def test_a_file_that_meta_cannot_fetch_is_uploaded(world: World) -> None:
    world.configure(attachments={"delivery": "url"})
    world.reply("", INVOICE)
    world.meta.fail("send", Refusal(100, 2018008))
    world.work(OUT)

    assert world.meta.texts() == ["file"]
    assert world.meta.uploads == ["a_0"]


def test_a_file_that_meta_does_not_have_any_more_is_uploaded_again(world: World) -> None:
    world.reply("", INVOICE)
    world.meta.fail("send", Refusal(100, 2018074))
    world.work(OUT)

    assert world.meta.texts() == ["file"]
    assert world.meta.uploads == ["a_0", "a_1"]


def test_a_file_that_is_refused_in_every_way_is_told(world: World) -> None:
    world.desk.open()
    world.reply("", SNAP)
    world.meta.fail("upload", Refusal(100, 2018047), Refusal(100, 2018047))
    world.work(OUT)

    assert "Facebook does not accept files of this type" in _note(world)


def test_the_agent_learns_which_app_holds_the_conversation(world: World) -> None:
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(10, 2018300))
    world.work(OUT)

    assert "the app 999 is in charge of this conversation" in _note(world)
    assert "take" not in world.meta.calls


def test_a_conversation_that_is_ours_by_now_was_held_by_another_app(world: World) -> None:
    world.configure(graph={"app_id": "999"})
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(10, 2018300))
    world.work(OUT)

    assert "another app is in charge of this conversation" in _note(world)


def test_a_conversation_is_taken_over_where_the_connection_allows_it(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, take_control=True)])
    world.reply()
    world.meta.fail("send", Refusal(10, 2018300))
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]
    assert world.meta.count("take") == 1


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (2, "Until "),
        (8, "wait until they write again"),
    ],
)
def test_the_agent_learns_when_the_window_closed(world: World, days: int, words: str) -> None:
    wrote_at = datetime.now(UTC) - timedelta(days=days)
    world.meta.wrote_at = wrote_at
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    note = _note(world)
    assert f"since {wrote_at + timedelta(days=1):%Y-%m-%d %H:%M} UTC" in note
    assert words in note


TAG_REFUSED = [
    (Refusal(10), "the app does not have the permission"),
    (Refusal(200), "the app does not have the permission to send"),
    (Refusal(100), "Facebook rejected the message"),
    (Refusal(3), "the Meta app is not approved"),
    (Refusal(613, 2018338), "misused"),
    (Refusal(4711, error_user_msg="Not for you."), "“Not for you.”"),
]


@pytest.mark.parametrize(("refusal", "reason"), TAG_REFUSED)
def test_where_a_late_reply_is_refused_the_agent_learns_of_the_window_and_why(
    world: World, refusal: Refusal, reason: str
) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.meta.wrote_at = datetime.now(UTC) - timedelta(days=2)
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW), refusal)
    world.work(OUT)

    note = _note(world)
    assert f"since {world.meta.wrote_at + timedelta(days=1):%Y-%m-%d %H:%M} UTC" in note
    assert reason in note
    assert "Human Agent permission" in note


def test_where_nobody_knows_when_the_window_closed_a_late_reply_is_refused_with_its_reason(
    world: World,
) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW), Refusal(10))
    world.work(OUT)

    assert "no longer allows a reply" in _note(world)
    assert "the app does not have the permission" in _note(world)


@pytest.mark.parametrize("refusal", [Refusal(551), Refusal(100, 2018001), Refusal(368, 1346003)])
def test_a_late_reply_to_somebody_who_cannot_be_reached_says_just_that(
    world: World, refusal: Refusal
) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW), refusal)
    world.work(OUT)

    assert "late reply" not in _note(world)


def _calls_counted(world: World, name: str) -> int:
    """Return how many calls were counted against a limit of the page within the last second."""
    return int(world.store.llen(f"mc:begun:{PAGE}:{name}"))


def test_each_call_for_a_late_reply_is_counted_against_the_rate(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert world.meta.count("send") == 2
    assert _calls_counted(world, "text") == 2


@pytest.mark.parametrize(("files", "name"), [([], "text"), ([SNAP], "file")])
def test_each_call_for_a_conversation_that_is_taken_over_is_counted_against_the_rate(
    world: World, files: list[Attachment], name: str
) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, take_control=True)])
    world.reply("" if files else "Hello", *files)
    world.meta.fail("send", Refusal(10, 2018300))
    world.work(OUT)

    assert (world.meta.count("take"), world.meta.count("send")) == (1, 2)
    assert len(world.meta.sent) == 1
    assert _calls_counted(world, name) == 2


def test_a_conversation_that_is_held_though_it_was_taken_over_is_not_fought_for(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, take_control=True)])
    world.desk.open()
    world.reply()
    world.meta.fail("send", *[Refusal(10, 2018300)] * 3)
    world.work(OUT)

    assert (world.meta.count("take"), world.meta.count("send")) == (1, 2)
    assert "the app 999 is in charge of this conversation, and it could not be taken over" in _note(world)


def test_a_late_reply_to_a_conversation_that_another_app_holds_is_taken_over_once(world: World) -> None:
    page = connection(PAGE_A, SECRET_A, take_control=True, human_agent=True)
    world.configure(connections=[page])
    world.reply()
    world.meta.fail("send", Refusal(10, 2018300), Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert [one["tag"] for one in world.meta.sent] == ["HUMAN_AGENT"]
    assert (world.meta.count("take"), world.meta.count("send")) == (1, 3)
    assert _calls_counted(world, "text") == 3


def test_only_the_first_part_of_a_late_reply_is_tried_within_the_window(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.reply(TWO_PARTS)
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert [one["tag"] for one in world.meta.sent] == ["HUMAN_AGENT", "HUMAN_AGENT"]
    assert world.meta.count("send") == 3


def test_a_late_reply_that_failed_is_tried_within_the_window_again(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW), Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)
    world.inbox.dead_letters.requeue(world.inbox.dead_letters.all()[0])
    world.work(OUT)

    assert [one["tag"] for one in world.meta.sent] == [None]


def test_pictures_that_are_refused_together_late_are_sent_one_by_one(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.reply("", SNAP, replace(SNAP, id="5"))
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW), Refusal(100))
    world.work(OUT)

    assert [one["tag"] for one in world.meta.sent] == ["HUMAN_AGENT", "HUMAN_AGENT"]


def test_when_the_window_closed_is_known_though_meta_does_not_show_the_customers_message(
    world: World,
) -> None:
    wrote_at = datetime.now(UTC) - timedelta(days=2)
    world.receive("1", at=int(wrote_at.timestamp() * 1000))
    world.work()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert f"since {wrote_at + timedelta(days=1):%Y-%m-%d %H:%M} UTC" in world.reasons()[0]
    assert world.meta.count("conversations") == 0


def test_a_message_that_comes_late_does_not_hide_when_the_customer_wrote_last(world: World) -> None:
    wrote_at = datetime.now(UTC) - timedelta(days=2)
    for id_, days in (("1", 2), ("2", 3)):
        at = datetime.now(UTC) - timedelta(days=days)
        world.receive(id_, at=int(at.timestamp() * 1000))
        world.work()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert f"since {wrote_at + timedelta(days=1):%Y-%m-%d %H:%M} UTC" in world.reasons()[0]


def test_what_no_person_wrote_is_not_sent_after_the_window(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    wrote_at = datetime.now(UTC) - timedelta(days=2)
    world.meta.wrote_at = wrote_at
    world.desk.open()
    world.reply(is_automated=True)
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert world.meta.sent == []
    assert f"until {wrote_at + timedelta(days=7):%Y-%m-%d %H:%M} UTC an agent can still reply" in _note(world)


def test_what_no_person_wrote_is_sent_within_the_window(world: World) -> None:
    world.reply(is_automated=True)
    world.work(OUT)

    assert world.meta.texts() == ["Hello"]


def test_where_it_is_not_known_when_the_window_closed_the_agent_learns_that_it_did(world: World) -> None:
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.meta.fail("conversations", Refusal(613))
    world.work(OUT)

    assert "Facebook no longer allows a reply" in _note(world)


def test_of_an_error_that_nobody_knows_metas_own_words_are_told(world: World) -> None:
    refusal = Refusal(4711, error_user_title="Cannot send", error_user_msg="The thread is archived.")
    world.desk.open()
    world.reply()
    world.meta.fail("send", refusal)
    world.work(OUT)

    assert "Facebook rejected it: “Cannot send The thread is archived.” (Facebook error 4711)" in _note(world)


def _enforced(world: World, action: str) -> None:
    item = {"recipient": {"id": PAGE_A}, "timestamp": SENT_AT, "policy_enforcement": {"action": action}}
    body = {"object": "page", "entry": [{"id": PAGE_A, "time": SENT_AT, "messaging": [item]}]}
    entries = events.Envelope(json.dumps(body).encode()).entries()
    (event,) = (one for entry in entries for one in entry.events())
    world.inbox.accept([incoming_job(Messenger(), Conversation(CHANNEL, PAGE_A, ""), event)])
    world.work(f"in:{CHANNEL}:{PAGE_A}:")


@pytest.mark.parametrize(("actions", "is_told"), [(["block"], True), (["block", "unblock"], False)])
def test_a_reply_that_fails_tells_what_meta_holds_against_the_page(
    world: World, actions: list[str], *, is_told: bool
) -> None:
    for action in actions:
        _enforced(world, action)
    world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(10))
    world.work(OUT)

    assert ("Meta has blocked the page" in _note(world)) is is_told


BLOCKED = "Meta has blocked the page"


def test_a_reply_that_waits_tells_once_what_meta_holds_against_the_page(world: World) -> None:
    _enforced(world, "block")
    ticket = world.desk.open()
    world.reply()
    for _ in range(3):
        world.meta.fail("send", Refusal(368))
        world.resume(OUT)
    world.inbox.put(f"trouble:{PAGE}", "", 60)
    world.meta.fail("send", Refusal(190))
    world.resume(OUT)

    (note,) = ticket.comments
    assert note.internal
    assert "has not been sent yet" in note.body
    assert note.body.count(BLOCKED) == 1


def test_what_meta_says_against_the_page_later_is_told_then(world: World) -> None:
    ticket = world.desk.open()
    world.reply()
    for _ in range(3):
        world.meta.fail("send", Refusal(368))
        world.resume(OUT)
        _enforced(world, "block")

    assert [BLOCKED in note.body for note in ticket.comments] == [False, True]


@pytest.mark.parametrize("refusal", [Refusal(2, status=500), Refusal(10)])
def test_a_conversation_that_cannot_be_taken_over_had_nothing_sent_in_it(
    world: World, refusal: Refusal
) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, take_control=True)])
    ticket = world.desk.open()
    world.reply()
    world.meta.fail("send", Refusal(10, 2018300))
    world.meta.fail("take", refusal)
    world.work(OUT)
    assert not world.meta.sent
    if ticket.comments:
        assert "could not be taken over" in _note(world)
        return
    world.resume(OUT)
    assert world.meta.texts() == ["Hello"]


def test_what_was_uploaded_as_a_file_is_sent_as_one_after_a_fault(world: World) -> None:
    world.reply("", SNAP)
    world.meta.fail("upload", Refusal(100, 2018047))
    world.meta.fail("send", Refusal(4))
    world.work(OUT)
    world.resume(OUT)

    assert world.meta.texts() == ["file"]
    assert world.meta.uploads == ["a_0"]


def test_code_2_in_answer_to_a_message_may_be_a_customer_who_blocked_the_page(world: World) -> None:
    world.configure(worker={"attempts": 1})
    world.desk.open()
    world.meta.fail("send", Refusal(2))
    world.reply()
    world.work(OUT)

    assert "temporary problem, or the customer has blocked the page" in _note(world)
