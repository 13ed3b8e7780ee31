"""What no webhook brought is fetched, once and in its place, whoever dies or refuses meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from clients.channels.meta.events import CHANNEL
from clients.errors import RateLimited
from clients.notices import notice
from tasks.connections import Directory
from tasks.inbound import backfill
from tasks.person import forget
from tasks.words import say
from tests.conftest import PAGE_A, PAGE_B, PAGE_OFF
from tests.fakes.conversation import IN, PERSON, PSID
from tests.fakes.crashes import every_crash
from tests.fakes.failures import Crash
from tests.fakes.fetching import ACCOUNT, bodies, fetch, relay
from tests.fakes.meta import Refusal
from tests.fakes.world import World

OTHERS = [f"{PSID[:-1]}{digit}" for digit in range(5)]
HOUR = 3_600_000

pytestmark = pytest.mark.usefixtures("asleep")


def ask(world: World, now: int, hours: float = 3) -> None:
    backfill.fetch_since(world.service, ACCOUNT, _at(now - int(hours * HOUR)))


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def test_what_was_missed_stands_on_the_ticket_in_order_with_its_true_times(world: World, now: int) -> None:
    for minute in range(3):
        world.meta.say(f"m_{minute}", now - HOUR + minute * 60_000)
    ask(world, now)
    with capture_logs() as told:
        fetch(world)
        relay(world)

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert bodies(world) == ["m_0", "m_1", "m_2"]
    assert [line for line in told if line["log_level"] != "info"] == []
    times = [ticket.new.created_at, *(comment.created_at for comment in ticket.comments)]
    assert times == [_at(now - HOUR + minute * 60_000) for minute in range(3)]
    assert world.left() == set()


def test_what_came_by_webhook_is_not_doubled_before_or_after(world: World, now: int) -> None:
    for minute in range(3):
        world.meta.say(f"m_{minute}", now - HOUR + minute * 60_000)
    world.receive("m_1", "m_1", at=now - HOUR + 60_000 + 345)
    ask(world, now)
    fetch(world)
    world.receive("m_2", "m_2", at=now - HOUR + 120_000 + 678)
    relay(world)

    assert bodies(world) == ["m_0", "m_1", "m_2"]


def test_what_is_fetched_never_goes_before_a_job_that_was_begun(world: World, now: int) -> None:
    world.receive("m_9", "begun", at=now)
    world.desk.fail("find_open_ticket", RateLimited("rate_limited"))
    world.work()
    world.meta.say("m_0", now - HOUR)
    ask(world, now)
    fetch(world)
    world.end_pause()
    relay(world)

    assert bodies(world) == ["begun", "m_0"]


def test_of_many_people_all_are_fetched_though_the_list_has_several_pages(world: World, now: int) -> None:
    for number, person in enumerate(OTHERS):
        world.meta.say(f"m_{number}", now - HOUR + number * 60_000, person)
    ask(world, now)
    fetch(world)
    relay(world, *OTHERS)

    assert sorted(bodies(world)) == [f"m_{number}" for number in range(5)]
    assert world.left() == set()


def test_somebody_who_writes_during_the_walk_is_not_passed_over(world: World, now: int) -> None:
    """They move to the head of the list, which was read already."""
    for number, person in enumerate(OTHERS):
        world.meta.say(f"m_{number}", now - HOUR + number * 60_000, person)

    def write() -> None:
        world.meta.hooks.clear()
        world.meta.say("m_now", now + 1000, OTHERS[0])
        world.receive("m_now", "m_now", at=now + 1000, person=OTHERS[0])

    world.meta.hooks["past"] = write
    ask(world, now)
    fetch(world)
    relay(world, *OTHERS)

    assert sorted(bodies(world)) == [*(f"m_{number}" for number in range(5)), "m_now"]


def test_nothing_from_before_the_time_is_fetched(world: World, now: int) -> None:
    world.meta.say("m_old", now - 4 * HOUR, OTHERS[0])
    world.meta.say("m_older", now - 4 * HOUR)
    world.meta.say("m_new", now - HOUR)
    ask(world, now)
    fetch(world)
    relay(world, *OTHERS, PSID)

    assert bodies(world) == ["m_new"]


def test_files_come_along(world: World, now: int) -> None:
    photo = {"mime_type": "image/jpeg", "image_data": {"url": "https://cdn.fbcdn.net/photo.jpg"}}
    world.meta.say("m_0", now - HOUR, message="", attachments={"data": [photo]})
    ask(world, now)
    fetch(world)
    relay(world)

    (ticket,) = world.desk.tickets.values()
    assert ticket.new
    assert len(ticket.new.attachment_ids) == 1


def test_what_the_connector_sent_is_no_comment(world: World, now: int) -> None:
    world.desk.open()
    world.reply("Hello")
    world.work(f"out:{ACCOUNT}:{PSID}")
    world.meta.say("m_ours_0", now, sender=PAGE_A)
    ask(world, now)
    fetch(world)

    assert world.waiting() == 0


def test_what_somebody_else_sent_for_the_page_is_an_agents_comment_that_names_nobody(
    world: World, now: int
) -> None:
    world.desk.open()
    world.meta.say("m_page", now - HOUR, sender=PAGE_A)
    ask(world, now)
    fetch(world)
    relay(world)

    (comment,) = world.desk.tickets["42"].comments
    assert (comment.author.type, comment.author.name) == ("agent", "Page 1 (Meta inbox or an app)")


@pytest.mark.parametrize("is_ticket", [True, False])
def test_what_the_store_forgot_and_the_helpdesk_knows_is_not_doubled(
    world: World, now: int, *, is_ticket: bool
) -> None:
    world.desk.knows_keys = False
    if not is_ticket:
        world.receive("m_first", "first", at=now - 2 * HOUR)
    world.receive("m_0", "m_0", at=now - HOUR)
    relay(world)
    before = bodies(world)
    for key in world.store.scan_iter("mc:seen:*"):
        world.store.delete(key)
    world.meta.say("m_0", now - HOUR)
    ask(world, now)
    fetch(world)
    assert world.waiting() == 1
    relay(world)

    assert bodies(world) == before


def test_where_the_channel_shows_no_more_the_ticket_says_so_once(world: World, now: int) -> None:
    world.desk.knows_keys = False
    for minute in range(25):
        world.meta.say(f"m_{minute:02}", now - HOUR + minute * 60_000)
    for _ in range(2):
        ask(world, now)
        fetch(world)
        relay(world)

    first, last = (f"{_at(now - HOUR + minute * 60_000):%Y-%m-%d %H:%M} UTC" for minute in (0, 4))
    *said, note = bodies(world)
    assert said == [f"m_{minute:02}" for minute in range(5, 25)]
    assert f"between {first} and {last}" in note.replace("\\", "")
    (ticket,) = world.desk.tickets.values()
    assert [comment.internal for comment in ticket.comments] == [False] * 19 + [True]
    assert world.left() == set()


def test_hidden_messages_that_came_by_webhook_are_none_that_may_be_missing(world: World, now: int) -> None:
    for minute in range(25):
        world.meta.say(f"m_{minute:02}", now - HOUR + minute * 60_000)
        if minute < 5:
            world.receive(f"m_{minute:02}", f"m_{minute:02}", at=now - HOUR + minute * 60_000)
    ask(world, now)
    fetch(world)
    relay(world)

    assert bodies(world) == [f"m_{minute:02}" for minute in range(25)]


def test_twenty_messages_since_then_hide_no_older_ones(world: World, now: int) -> None:
    world.meta.say("m_old", now - 4 * HOUR)
    for minute in range(20):
        world.meta.say(f"m_{minute:02}", now - HOUR + minute * 60_000)
    ask(world, now)
    fetch(world)
    relay(world)

    assert len(bodies(world)) == 20


def test_hidden_messages_that_cannot_be_listed_may_be_missing(world: World, now: int) -> None:
    for minute in range(25):
        world.meta.say(f"m_{minute:02}", now - HOUR + minute * 60_000)
    world.meta.fail("past", None, Refusal(9000001))
    ask(world, now)
    fetch(world)
    relay(world)

    since, shown = _at(now - 3 * HOUR), _at(now - HOUR + 5 * 60_000)
    assert f"between {since:%Y-%m-%d %H:%M} UTC and {shown:%Y-%m-%d %H:%M} UTC" in bodies(world)[-1].replace(
        "\\", ""
    )


def test_a_note_without_a_ticket_opens_one(world: World, now: int) -> None:
    """All that can be read came by webhook, and its ticket was closed meanwhile."""
    for minute in range(25):
        world.meta.say(f"m_{minute:02}", now - HOUR + minute * 60_000)
        if minute >= 5:
            world.receive(f"m_{minute:02}", "x", at=now - HOUR + minute * 60_000)
    relay(world)
    (ticket,) = world.desk.tickets.values()
    ticket.closed = True
    ask(world, now)
    fetch(world)
    relay(world)

    assert "may be missing" in bodies(world)[-1]
    assert len(world.desk.tickets) == 2


@pytest.mark.parametrize("count", [3, 22])
def test_wherever_a_worker_dies_all_is_fetched_once(
    worlds: Callable[[], World], now: int, count: int
) -> None:
    steps, died = 0, True
    while died:
        world = worlds()
        world.desk.knows_keys = False
        for number, person in enumerate([PSID, *OTHERS[:2]]):
            for minute in range(count if person == PSID else 2):
                world.meta.say(f"m_{number}_{minute:02}", now - HOUR + minute * 60_000, person)
        ask(world, now)
        died = _dies(world, steps)
        _let_leases_end(world)
        fetch(world)
        relay(world, PSID, *OTHERS[:2])
        notes = count > 20
        assert len(bodies(world)) == min(count, 20) + 4 + notes, steps
        assert len(set(bodies(world))) == len(bodies(world))
        assert world.left() == set()
        world.close()
        steps += 1
    assert steps > 10


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_what_was_fetched_stands_there_once(
    worlds: Callable[[], World], now: int, *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        for minute in range(21):
            world.meta.say(f"m_{minute:02}", now - HOUR + minute * 60_000)
        for minute in range(1, 19):
            world.receive(f"m_{minute:02}", at=now - HOUR + minute * 60_000)
        relay(world)
        ask(world, now)
        fetch(world)
        assert world.waiting() == 3
        return [IN]

    for world in every_crash(worlds, prepare):
        (ticket,) = world.desk.tickets.values()
        fetched = [comment.external_id for comment in ticket.comments[17:]]
        assert fetched == ["m_19", "m_20", "missing_messages:m_00"]
        assert world.left() == set()


def _dies(world: World, steps: int) -> bool:
    world.fuse.arm(steps)
    try:
        fetch(world)
    except Crash:
        return True
    finally:
        world.fuse.disarm()
    return False


def _let_leases_end(world: World) -> None:
    world.store.delete("mc:fetching")
    world.store.zadd("mc:backfills", {ACCOUNT: 0}, xx=True)


def test_a_refused_token_leaves_the_backfill_waiting_and_a_new_connection_wakes_it(
    world: World, now: int
) -> None:
    world.meta.say("m_0", now - HOUR)
    world.meta.fail("list", Refusal(190))
    ask(world, now)
    fetch(world)
    world.store.zadd("mc:backfills", {ACCOUNT: now + HOUR})
    assert world.service.inbox.backfills.due(4) == 0

    world.inbox.connections.put(ACCOUNT, b"{}")
    fetch(world)
    assert world.waiting() == 1


def test_metas_limit_puts_a_backfill_off_and_what_was_fetched_is_kept(world: World, now: int) -> None:
    for number, person in enumerate(OTHERS):
        world.meta.say(f"m_{number}", now - HOUR + number * 60_000, person)
    world.meta.fail("past", None, Refusal(80006))
    ask(world, now)
    fetch(world)
    before = world.meta.count("past")
    world.store.zadd("mc:backfills", {ACCOUNT: 0}, xx=True)
    fetch(world)
    relay(world, *OTHERS)

    assert (before, world.meta.count("past")) == (2, 6)
    assert sorted(bodies(world)) == [f"m_{number}" for number in range(5)]


def test_how_far_a_backfill_got_is_known_while_it_waits(world: World, now: int) -> None:
    for number, person in enumerate(OTHERS):
        world.meta.say(f"m_{number}", now - HOUR + number * 60_000, person)
    world.receive("m_4", at=now, person=OTHERS[4])
    world.meta.fail("past", None, Refusal(80006))
    ask(world, now)
    before = backfill.under_way(world.inbox)[ACCOUNT]
    fetch(world)
    shown = backfill.under_way(world.inbox)[ACCOUNT]

    assert (before.looked_at, before.known, before.messages) == (0, 0, 0)
    assert (shown.looked_at, shown.known, shown.all_known) == (1, 2, False)
    assert (shown.messages, shown.new) == (1, 0)
    assert (shown.is_running, shown.is_history, shown.since) == (False, False, now / 1000 - 3 * 3600)
    assert shown.next > now / 1000
    assert shown.reason.startswith("facebook_rate_limit: ")
    _let_leases_end(world)
    fetch(world)
    assert backfill.under_way(world.inbox) == {}


def test_a_backfill_that_a_worker_is_at_is_running(world: World, now: int) -> None:
    world.meta.say("m_0", now - HOUR)
    seen = list[backfill.UnderWay]()
    world.meta.hooks["past"] = lambda: seen.extend(backfill.under_way(world.inbox).values())
    ask(world, now)
    fetch(world)

    (shown,) = seen
    assert (shown.is_running, shown.looked_at, shown.known, shown.all_known) == (True, 0, 1, True)


def test_a_conversation_that_cannot_be_read_holds_no_other_back_and_its_ticket_says_so_once(
    world: World, now: int
) -> None:
    world.meta.say("m_0", now - HOUR, OTHERS[0])
    world.meta.say("m_1", now - HOUR + 60_000, OTHERS[1])
    for _ in range(2):
        world.meta.fail("past", Refusal(100, 33))
        ask(world, now)
        fetch(world)
        relay(world, *OTHERS)

    told, said = sorted(bodies(world))
    since, until = (f"{_at(at):%Y-%m-%d %H:%M} UTC" for at in (now - 3 * HOUR, now - HOUR + 60_000))
    assert said == "m_0"
    assert f"between {since} and {until}" in told.replace("\\", "")


def test_a_page_that_may_not_be_read_yet_is_fetched_once_it_may(world: World, now: int) -> None:
    world.meta.say("m_0", now - HOUR)
    world.meta.fail("list", Refusal(10))
    ask(world, now)
    with capture_logs() as told:
        fetch(world)
    (shown,) = backfill.under_way(world.inbox).values()
    world.store.zadd("mc:backfills", {ACCOUNT: 0}, xx=True)
    fetch(world)
    relay(world)

    assert [line["event"] for line in told] == ["backfill_put_off"]
    assert "app_lacks_permission" in shown.reason
    assert bodies(world) == ["m_0"]


def test_one_that_could_not_be_read_for_six_days_is_given_up_and_the_log_says_why(
    world: World, now: int
) -> None:
    world.meta.fail("list", Refusal(10))
    ask(world, now, hours=6 * 24 + 1)
    with capture_logs() as told:
        fetch(world)

    assert [line["event"] for line in told] == ["backfill_failed"]
    assert world.left() == set()


def test_one_that_is_switched_off_meanwhile_is_fetched_when_it_is_on_again(world: World, now: int) -> None:
    world.meta.say("m_0", now - 2 * HOUR)
    ask(world, now)
    on = world.service
    off = [replace(one, active=False) for one in on.connections.all]
    world.service = replace(on, connections=Directory(off))
    fetch(world)
    assert world.meta.calls == []
    world.service = on
    world.store.zadd("mc:backfills", {ACCOUNT: 0}, xx=True)
    fetch(world)
    relay(world)

    assert bodies(world) == ["m_0"]


def test_an_administrator_who_asks_for_less_gets_what_was_asked_for_before_as_well(
    world: World, now: int
) -> None:
    ask(world, now, hours=3)
    since = world.inbox.backfills.begin(ACCOUNT, now - HOUR // 2).since

    assert since == now - 3 * HOUR


def test_what_is_fetched_is_no_webhook_that_came(world: World, now: int) -> None:
    world.store.hset("mc:last", IN.rpartition(":")[0] + ":", now - 5 * HOUR)
    world.meta.say("m_0", now - HOUR)
    ask(world, now)
    fetch(world)

    assert world.waiting() == 1
    assert world.inbox.last() == {IN.rpartition(":")[0] + ":": (now - 5 * HOUR) / 1000}


def test_a_page_that_is_no_longer_connected_is_left(world: World, now: int) -> None:
    ask(world, now)
    world.service = replace(world.service, connections=Directory())
    fetch(world)

    assert world.left() == set()
    assert world.meta.calls == []


def test_a_full_store_puts_a_backfill_off(world: World, now: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world.meta.say("m_0", now - HOUR)
    world.store.set("mc:room", "0", px=60_000)
    ask(world, now)
    fetch(world)
    assert world.waiting() == 0
    world.store.delete("mc:room")
    world.store.zadd("mc:backfills", {ACCOUNT: 0}, xx=True)
    fetch(world)
    assert world.waiting() == 1


def test_after_a_gap_each_active_page_is_fetched_by_itself(world: World, now: int) -> None:
    world.store.set("mc:door", str(now - 3 * HOUR))
    world.inbox.note_door(300)
    backfill.queue_due(world.service)

    asked = {key.decode() for key in world.store.scan_iter("mc:backfill:*")}
    assert asked == {f"mc:backfill:{CHANNEL}:{page}" for page in (PAGE_A, PAGE_B)}
    since = int(world.store.hget(f"mc:backfill:{ACCOUNT}", "since"))
    assert since == now - 3 * HOUR - backfill.OVERLAP // timedelta(milliseconds=1)
    assert f"mc:backfill:{CHANNEL}:{PAGE_OFF}" not in asked
    assert world.inbox.gaps() == []


def test_where_it_is_off_a_gap_is_fetched_by_nobody(world: World, now: int) -> None:
    world.configure(backfill=False)
    world.store.set("mc:door", str(now - 3 * HOUR))
    world.inbox.note_door(300)
    backfill.queue_due(world.service)

    assert list(world.store.scan_iter("mc:backfill*")) == []
    assert world.inbox.gaps() == []


def test_what_is_older_than_what_the_store_remembers_is_not_fetched(world: World, now: int) -> None:
    world.meta.say("m_old", now - 7 * 24 * HOUR)
    world.meta.say("m_new", now - HOUR)
    ask(world, now, hours=30 * 24)
    fetch(world)
    relay(world)

    assert bodies(world) == ["m_new"]


def test_a_conversation_that_another_app_answers_is_shown_as_such(world: World, now: int) -> None:
    world.meta.say("m_0", now - HOUR)
    listed: Any = world.meta._list
    world.meta._list = lambda request: _not_owned(listed(request))  # type: ignore[method-assign]
    ask(world, now)
    fetch(world)
    relay(world)

    assert bodies(world) == ["m_0\n\n(Another app answers this conversation at present.)"]


def _not_owned(answer: Any) -> Any:
    return answer | {"data": [one | {"is_owner": False} for one in answer["data"]]}


def test_the_note_is_in_the_language_of_the_pages_agents() -> None:
    told = say(notice("missing_messages", first="A", last="B", channel="Messenger"), "pl")
    assert told.startswith("Może tu brakować wiadomości")


def test_what_a_person_said_before_they_were_forgotten_is_not_fetched_again(world: World, now: int) -> None:
    world.meta.say("m_old", now - 2 * HOUR)
    ask(world, now)
    forget(world.inbox, PERSON)
    world.meta.say("m_new", now + HOUR)
    fetch(world)
    relay(world)

    assert bodies(world) == ["m_new"]


def test_a_reply_to_a_person_who_was_forgotten_does_not_come_back(world: World, now: int) -> None:
    world.desk.open()
    world.reply("Hello")
    world.work(f"out:{ACCOUNT}:{PSID}")
    world.meta.say("m_ours_0", now - HOUR, sender=PAGE_A)
    forget(world.inbox, PERSON)
    ask(world, now)
    fetch(world)

    assert world.waiting() == 0


def test_a_backfill_keeps_nothing_of_a_person_who_was_forgotten_meanwhile(world: World, now: int) -> None:
    world.meta.say("m_0", now - HOUR)
    world.meta.say("m_1", now - 2 * HOUR, OTHERS[0])
    ask(world, now)
    world.meta.fail("past", Refusal(613))
    fetch(world)
    assert backfill.kept_of(world.inbox, PERSON)
    forget(world.inbox, PERSON)

    assert backfill.kept_of(world.inbox, PERSON) is None
    fetch(world)
    relay(world, PSID, *OTHERS)
    assert bodies(world) == ["m_1"]
