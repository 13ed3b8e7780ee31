"""Agents are reminded of a customer whom nobody answered, before Messenger allows no reply any more."""

import dataclasses
import itertools
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from clients.channels.meta.messenger import Messenger
from clients.errors import NotFound, RateLimited, RejectedError, Unauthorized
from tasks import worker
from tasks.inbox.inbox import Inbox
from tasks.notes import ATTEMPTS
from tasks.outbound import reminders
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import IN, INVOICE, OUT, PERSON, PSID
from tests.fakes.crashes import every_crash
from tests.fakes.echoes import receive_unmarked_echo
from tests.fakes.failures import Crash, away, fault
from tests.fakes.meta import Refusal
from tests.fakes.world import World

HOUR = 3600 * 1000
PAGE_INBOX = "263902037430900"
mids = itertools.count()


def remind(world: World, hours: float = 2, **changes: Any) -> None:
    """Have the agents of the page be reminded so long before the window closes."""
    world.configure(connections=[connection(PAGE_A, SECRET_A, remind_before=hours, **changes)])


@pytest.fixture
def reminding(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world with an open ticket, whose agents are reminded two hours before the window closes."""
    remind(world)
    world.desk.open()
    monkeypatch.setattr(worker, "services", lambda: world.service)
    return world


def hours_ago(world: World, hours: float) -> int:
    """Return a time (ms) in whole seconds."""
    return int(world.inbox.now() - hours * 3600) * 1000


def write(world: World, hours: float, **message: Any) -> int:
    """Have the customer write so many hours ago. Return when the window for it closes (ms)."""
    at = hours_ago(world, hours)
    world.receive(f"m_{next(mids)}", at=at, **message)
    world.work(IN)
    return at + 24 * HOUR


def sweep(world: World) -> list[str]:
    """Let a sweep pass, and a worker do what it queued. Return the internal comments."""
    worker.sweep()
    world.resume(OUT)
    return notes(world)


def notes(world: World) -> list[str]:
    return [one.body for one in world.desk.tickets["42"].comments if one.internal]


def shown(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def kept(world: World) -> set[str]:
    return {name for name in world.left() if name.startswith(("mc:reminders", "mc:unanswered"))}


def test_agents_are_reminded_of_a_customer_whom_nobody_answered(reminding: World) -> None:
    closes = write(reminding, 22.5)

    expected = f"Nobody has answered the customer yet. Messenger allows a reply until {shown(closes)}."
    assert sweep(reminding) == [expected]
    (_, note) = reminding.desk.tickets["42"].comments
    assert note.author.type == "system"


def test_agents_are_reminded_once(reminding: World) -> None:
    reminding.desk.knows_keys = False
    write(reminding, 22.5)
    for _ in range(3):
        sweep(reminding)

    assert len(notes(reminding)) == 1
    assert kept(reminding) == set()


def test_a_page_whose_agents_may_answer_later_has_them_know_until_when(reminding: World) -> None:
    remind(reminding, human_agent=True)
    closes = write(reminding, 22.5)

    (note,) = sweep(reminding)
    assert note == (
        f"Nobody has answered the customer yet. Messenger allows any reply until {shown(closes)}; after "
        f"that, agents can still answer until {shown(closes + 6 * 24 * HOUR)}."
    )


def test_agents_are_reminded_in_their_language(reminding: World) -> None:
    remind(reminding, language="pl")
    closes = write(reminding, 22.5)

    assert sweep(reminding) == [
        f"Nikt jeszcze nie odpowiedział klientowi. Messenger pozwala odpowiedzieć do {shown(closes)}."
    ]


def test_nobody_is_reminded_before_it_is_time(reminding: World) -> None:
    write(reminding, 21.5)

    assert sweep(reminding) == []
    assert reminding.store.zcard("mc:reminders") == 1


def test_a_reminder_may_be_due_a_fraction_of_an_hour_before(reminding: World) -> None:
    remind(reminding, 0.25)
    write(reminding, 23.5)
    assert sweep(reminding) == []
    write(reminding, 23.8)
    assert sweep(reminding) == []  # the later message counts


def test_the_ticket_that_a_message_opened_is_reminded_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    remind(world)
    monkeypatch.setattr(worker, "services", lambda: world.service)
    write(world, 22.5)
    worker.sweep()
    world.work(OUT)

    (ticket,) = world.desk.tickets.values()
    assert [one.internal for one in ticket.comments] == [True]


# --- What is answered, or not worth a reminder. ---------------------------------------------------------


def test_a_customer_who_was_answered_is_not_reminded_of(reminding: World) -> None:
    write(reminding, 22.5)
    reminding.reply()
    reminding.work(OUT)

    assert sweep(reminding) == []
    assert kept(reminding) == set()


def test_an_answer_in_metas_inbox_is_one(reminding: World) -> None:
    closes = write(reminding, 22.5)
    receive_unmarked_echo(reminding, "m_of_the_inbox", at=closes - 23 * HOUR, app_id=PAGE_INBOX)
    reminding.work(IN)

    assert sweep(reminding) == []
    assert kept(reminding) == set()


def test_an_answer_in_metas_inbox_counts_although_the_helpdesk_is_away(reminding: World) -> None:
    closes = write(reminding, 22.5)
    receive_unmarked_echo(reminding, "m_of_the_inbox", at=closes - 23 * HOUR, app_id=PAGE_INBOX)
    reminding.desk.fail("add_comment", away())
    reminding.work(IN)

    assert sweep(reminding) == []


def test_what_another_app_sends_is_no_answer(reminding: World) -> None:
    closes = write(reminding, 22.5)
    receive_unmarked_echo(reminding, "m_of_an_app", at=closes - 23 * HOUR, app_id="77")
    reminding.work(IN)

    assert len(sweep(reminding)) == 1


def test_what_was_said_before_the_message_is_no_answer(reminding: World) -> None:
    closes = write(reminding, 22.5)
    receive_unmarked_echo(reminding, "m_of_the_inbox", at=closes - 25 * HOUR, app_id=PAGE_INBOX)
    reminding.work(IN)

    assert len(sweep(reminding)) == 1


def test_a_reply_that_failed_is_no_answer(reminding: World) -> None:
    write(reminding, 22.5)
    reminding.reply()
    reminding.meta.fail("send", Refusal(551))
    reminding.work(OUT)

    assert len([note for note in sweep(reminding) if note.startswith("Nobody has answered")]) == 1


def test_a_reply_on_its_way_goes_before_the_reminder(reminding: World) -> None:
    write(reminding, 22.5)
    worker.sweep()
    reminding.reply()
    reminding.work(OUT)

    assert reminding.meta.texts() == ["Hello"]
    assert notes(reminding) == []
    assert reminding.waiting(OUT) == 0


def test_each_new_message_moves_the_reminder(reminding: World) -> None:
    write(reminding, 22.5)
    closes = write(reminding, 10)

    assert sweep(reminding) == []
    assert reminding.inbox.unanswered(PERSON) == (closes, "42")
    assert reminding.store.zscore("mc:reminders", OUT) == closes - 2 * HOUR


def test_a_message_that_came_late_does_not_move_the_reminder_back(reminding: World) -> None:
    closes = write(reminding, 10)
    write(reminding, 22.5)

    assert sweep(reminding) == []
    assert reminding.inbox.unanswered(PERSON) == (closes, "42")


def test_a_customer_who_wrote_again_is_reminded_of_later(reminding: World) -> None:
    write(reminding, 22.5)
    worker.sweep()
    closes = write(reminding, 1)
    reminding.work(OUT)

    assert notes(reminding) == []
    assert reminding.inbox.unanswered(PERSON) == (closes, "42")


def test_a_closed_ticket_is_not_reminded_of(reminding: World) -> None:
    write(reminding, 22.5)
    reminding.desk.tickets["42"].closed = True

    assert sweep(reminding) == []
    assert reminding.desk.count("get_ticket") == 1
    assert reminding.desk.keys[1:] == []
    assert kept(reminding) == set()


def test_after_the_window_closed_nothing_is_said(reminding: World) -> None:
    write(reminding, 24.5)

    assert sweep(reminding) == []
    assert kept(reminding) == set()


def test_what_is_no_message_to_the_page_is_not_reminded_of(reminding: World) -> None:
    at = hours_ago(reminding, 22.5)
    reminding.receive_item({"timestamp": at, "postback": {"title": "Start", "mid": "m_start"}})
    reminding.receive_item({"timestamp": at, "standby": True, "message": {"mid": "m_standby", "text": "x"}})
    reminding.work(IN)

    assert len(reminding.desk.tickets["42"].comments) == 2
    assert kept(reminding) == set()


def test_a_message_that_joins_no_ticket_is_not_reminded_of(reminding: World) -> None:
    remind(reminding)
    reminding.configure(
        connections=[connection(PAGE_A, SECRET_A, remind_before=2)], events={"message": "join_ticket"}
    )
    reminding.desk.tickets["42"].closed = True
    write(reminding, 22.5)

    assert kept(reminding) == set()


def test_a_channel_without_a_window_has_no_reminders(
    reminding: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Messenger, "reply_window", None)
    write(reminding, 22.5)
    reminding.reply()
    reminding.work(OUT)

    assert kept(reminding) == set()
    assert reminding.meta.texts() == ["Hello"]


def test_reminders_that_are_off_ask_the_store_for_nothing(
    reminding: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    remind(reminding, 0)
    asked: list[str] = []
    original = reminding.fused.execute_command

    def noted(*arguments: Any, **options: Any) -> Any:
        asked.append(str(arguments))
        return original(*arguments, **options)

    monkeypatch.setattr(reminding.fused, "execute_command", noted)
    closes = write(reminding, 22.5)
    receive_unmarked_echo(reminding, "m_of_the_inbox", at=closes - 23 * HOUR, app_id=PAGE_INBOX)
    reminding.work(IN)
    reminding.reply()
    reminding.work(OUT)
    sweep(reminding)

    assert asked
    assert not [one for one in asked if "note_answer" in one or "unanswered" in one or "due_reminders" in one]


def test_a_connection_that_wants_no_more_reminders_gets_none(reminding: World) -> None:
    write(reminding, 22.5)
    worker.sweep()
    remind(reminding, 0)
    reminding.work(OUT)

    assert notes(reminding) == []
    assert kept(reminding) == set()
    assert reminding.reasons() == []


def test_an_account_that_is_not_connected_any_more_leaves_no_dead_letter(reminding: World) -> None:
    write(reminding, 22.5)
    worker.sweep()
    reminding.configure(connections=[])
    reminding.work(OUT)

    assert reminding.waiting(OUT) == 0
    assert reminding.reasons() == []


def test_a_message_from_the_future_hides_no_later_one(reminding: World) -> None:
    reminding.receive("m_future", at=253402300799999)
    reminding.work(IN)
    closes, _ = reminding.inbox.unanswered(PERSON) or (0, "")
    accepted = reminding.inbox.now() * 1000

    assert accepted + 23.9 * HOUR < closes <= accepted + 24 * HOUR
    assert reminding.reasons() == []


# --- What fails, and what dies. -------------------------------------------------------------------------


def test_a_reminder_waits_while_the_helpdesk_is_away(reminding: World) -> None:
    write(reminding, 22.5)
    reminding.desk.fail("get_ticket", *(away() for _ in range(5)))
    for _ in range(5):
        assert sweep(reminding) == []

    assert len(sweep(reminding)) == 1


def test_a_reminder_asks_nothing_of_a_helpdesk_that_is_paused(reminding: World) -> None:
    write(reminding, 22.5)
    worker.sweep()
    reminding.inbox.pause("helpdesk", 60, "down")
    reminding.work(OUT)

    assert (reminding.desk.count("get_ticket"), reminding.waiting(OUT)) == (0, 1)


def test_a_reminder_waits_for_a_helpdesk_that_goes_away_at_the_last_try(reminding: World) -> None:
    write(reminding, 22.5)
    reminding.desk.fail("add_comment", *(fault() for _ in range(ATTEMPTS - 1)), away())
    for _ in range(ATTEMPTS):
        assert sweep(reminding) == []

    assert len(sweep(reminding)) == 1


def test_a_reminder_waits_for_a_helpdesk_that_answers_nothing_any_more(reminding: World) -> None:
    write(reminding, 22.5)
    reminding.desk.fail("add_comment", *(fault() for _ in range(ATTEMPTS)))
    reminding.desk.fail("ping", *(None for _ in range(ATTEMPTS - 1)), fault(), fault())
    for _ in range(ATTEMPTS):
        assert sweep(reminding) == []

    assert len(sweep(reminding)) == 1


@pytest.mark.parametrize("error", [RateLimited("slower"), Unauthorized("no token")])
def test_a_helpdesk_that_refuses_for_now_is_asked_again(reminding: World, error: Exception) -> None:
    write(reminding, 22.5)
    reminding.desk.fail("add_comment", error)
    assert sweep(reminding) == []

    assert len(sweep(reminding)) == 1


@pytest.mark.parametrize(
    ("errors", "name"),
    [
        ([NotFound("gone")], "get_ticket"),
        ([RejectedError("no")], "add_comment"),
        ([fault() for _ in range(ATTEMPTS)], "add_comment"),
        ([Unauthorized("no") for _ in range(ATTEMPTS)], "add_comment"),
    ],
)
def test_a_reminder_that_cannot_be_added_is_no_dead_letter(
    reminding: World, errors: list[Exception], name: str
) -> None:
    write(reminding, 22.5)
    reminding.desk.fail(name, *errors)
    for _ in errors:
        sweep(reminding)

    assert (reminding.waiting(OUT), reminding.reasons()) == (0, [])
    assert notes(reminding) == []
    assert kept(reminding) == set()


def test_a_reminder_counts_as_no_reply_and_says_nothing_of_its_account(reminding: World) -> None:
    write(reminding, 22.5)
    sweep(reminding)

    assert f"sent:{PERSON.channel}:{PAGE_A}:" not in reminding.inbox.last()
    assert reminding.inbox.stats()["shown:out"] == 1


def test_an_unexpected_error_tells_no_agent_that_a_reply_failed(
    reminding: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "_words", lambda *_: 1 / 0)
    write(reminding, 22.5)
    for _ in range(worker.UNEXPECTED_ATTEMPTS):
        sweep(reminding)

    assert notes(reminding) == []
    assert len(reminding.reasons()) == 1


def test_a_full_store_leaves_reminders_for_later(reminding: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise redis.OutOfMemoryError

    write(reminding, 22.5)
    with monkeypatch.context() as patch:
        patch.setattr(Inbox, "accept", full)
        assert sweep(reminding) == []
        assert reminding.store.zcard("mc:reminders") == 1

    assert len(sweep(reminding)) == 1


def test_a_reminder_that_was_moved_while_it_was_queued_stays_on_the_list(reminding: World) -> None:
    write(reminding, 22.5)
    (due,) = reminding.inbox.due_reminders(10)
    closes = write(reminding, 1)
    reminding.inbox.forget_due([due])

    assert reminding.store.zscore("mc:reminders", OUT) == closes - 2 * HOUR


def test_one_sweep_queues_no_more_than_a_batch(reminding: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminders, "MOST_AT_ONCE", 2)
    for person in ("1", "2", "3"):
        reminding.receive(f"m_{person}", at=hours_ago(reminding, 22.5) + int(person), person=person)
        reminding.work(IN.replace(PSID, person))
    queued = []
    for _ in range(3):
        worker.sweep()
        queued.append(sum(reminding.waiting(OUT.replace(PSID, person)) for person in ("1", "2", "3")))

    assert queued == [2, 3, 3]


def test_what_is_not_known_as_unanswered_any_more_leaves_the_list(reminding: World) -> None:
    write(reminding, 22.5)
    reminding.store.delete(f"mc:unanswered:{OUT.removeprefix('out:')}")

    assert sweep(reminding) == []
    assert kept(reminding) == set()


def test_customers_of_one_page_who_wrote_at_once_are_each_reminded_of(reminding: World) -> None:
    at = hours_ago(reminding, 22.5)
    reminding.desk.knows_keys = True
    for number in (1, 2):
        ticket = reminding.desk.open(f"t{number}")
        reminding.receive(f"m_{number}", at=at, person=str(number))
        reminding.work(IN.replace(PSID, str(number)))
        ticket.closed = True
    for ticket in reminding.desk.tickets.values():
        ticket.closed = False
    worker.sweep()
    for number in (1, 2):
        reminding.work(OUT.replace(PSID, str(number)))

    found = [[one.internal for one in reminding.desk.tickets[f"t{number}"].comments] for number in (1, 2)]
    assert found == [[False, True], [False, True]]


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_agents_are_reminded_once(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        remind(world)
        world.desk.knows_keys = knows_keys
        world.desk.open()
        write(world, 22.5)
        reminders.queue_due(world.service)
        return [OUT]

    for world in every_crash(worlds, prepare):
        assert len(notes(world)) == 1
        assert world.left() == set()


def test_wherever_a_worker_dies_a_message_is_noted_once_and_an_answer_counts(
    worlds: Callable[[], World],
) -> None:
    def prepare(world: World) -> list[str]:
        remind(world)
        world.desk.open()
        world.receive(at=hours_ago(world, 22.5))
        return [IN]

    for world in every_crash(worlds, prepare):
        assert world.inbox.unanswered(PERSON)
        world.reply()
        world.work(OUT)
        assert kept(world) == set()


def test_a_message_that_is_taken_over_after_it_was_answered_is_not_unanswered_again(
    reminding: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise OSError("the worker died")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.inbound.ticket._mark_seen", die)
        write(reminding, 22.5)
    reminding.reply()
    reminding.work(OUT)
    reminding.resume(IN)

    assert reminding.waiting(IN) == 0
    assert kept(reminding) == set()


@pytest.mark.parametrize("step", range(4))
def test_wherever_a_sweep_dies_agents_are_reminded_once(reminding: World, step: int) -> None:
    write(reminding, 22.5)
    reminding.fuse.arm(step)
    with suppress(Crash):
        reminders.queue_due(reminding.service)
    reminding.fuse.disarm()

    for _ in range(2):
        sweep(reminding)
    assert len(notes(reminding)) == 1
    assert kept(reminding) == set()


def test_what_no_person_wrote_is_no_answer(reminding: World) -> None:
    write(reminding, 22.5)
    reminding.reply("We got your message.", is_automated=True)
    reminding.work(OUT)

    assert len(sweep(reminding)) == 1


def test_a_reply_of_which_a_file_was_left_out_is_an_answer(reminding: World) -> None:
    write(reminding, 22.5)
    reminding.reply("Here it is.", dataclasses.replace(INVOICE, size=30 * 1024 * 1024))
    reminding.work(OUT)

    assert [note for note in sweep(reminding) if note.startswith("Nobody")] == []


def test_what_is_noted_for_reminders_that_are_off_is_gone_in_a_week(reminding: World) -> None:
    write(reminding, 22.5)
    assert 0 < reminding.store.ttl("mc:reminders") <= 7 * 24 * 3600
