"""Which messages no webhook told of is found out by comparing what the channel lists with what came."""

import json
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tasks.inbound import gaps
from tasks.person import forget
from tests.conftest import PAGE_A
from tests.fakes.conversation import PERSON, PSID
from tests.fakes.fetching import ACCOUNT
from tests.fakes.world import World

HOUR, MINUTE = 3_600_000, 60_000
OTHERS = [f"{PSID[:-1]}{digit}" for digit in range(5)]


def missed(world: World, now: int, hours: float = 3) -> float | None:
    """Return how many minutes ago the first message was said that is not known."""
    (connection,) = [one for one in world.service.connections.all if one.account_id == PAGE_A]
    found = gaps.first_missed(world.service, connection, (now - int(hours * HOUR), now))
    return None if found is None else (now - found) / MINUTE


def test_one_that_was_lost_before_a_later_one_came_is_missed(world: World, now: int) -> None:
    for minutes, person in [(50, PSID), (40, OTHERS[0]), (30, PSID)]:
        world.meta.say(f"m_{minutes}", now - minutes * MINUTE, person)
    world.receive("m_30", at=now - 30 * MINUTE)
    assert missed(world, now) == 50
    world.receive("m_50", at=now - 50 * MINUTE)
    assert missed(world, now) == 40
    world.receive("m_40", at=now - 40 * MINUTE, person=OTHERS[0])
    assert missed(world, now) is None


@pytest.mark.parametrize(
    "content",
    [
        {"postback": {"mid": "m_0", "title": "Yes", "payload": "Y"}},
        {"message": {"mid": "m_0", "text": "hello", "quick_reply": {"payload": "Y"}}},
    ],
)
def test_whatever_a_webhook_brings_it_as_is_known(world: World, now: int, content: dict[str, Any]) -> None:
    world.meta.say("m_0", now - HOUR)
    assert missed(world, now) == 60
    world.receive_item({"timestamp": now - HOUR + 345} | content)

    assert missed(world, now) is None


def test_what_somebody_wrote_in_the_channels_own_inbox_is_known_by_its_echo(world: World, now: int) -> None:
    world.meta.say("m_0", now - HOUR, sender=PAGE_A)
    world.receive_item({"timestamp": now, "message": {"mid": "m_0", "is_echo": True}}, from_page=True)

    assert missed(world, now) is None


@pytest.mark.parametrize("came", [True, False])
def test_what_the_connector_sent_is_known_whether_its_echo_came_or_not(
    world: World, now: int, *, came: bool
) -> None:
    world.desk.open()
    if came:
        world.echo_all()
    world.reply("Hello")
    world.work(f"out:{ACCOUNT}:{PSID}")
    if came:
        world.store.delete(*(f"mc:{name}:{ACCOUNT}:{PSID}" for name in ("ours", "awaiting:delivered")))
    world.meta.say("m_ours_0", now - HOUR, sender=PAGE_A)

    assert missed(world, now) is None


def test_a_person_who_was_forgotten_is_not_missed_but_for_what_they_said_since(
    world: World, now: int
) -> None:
    world.meta.say("m_0", now - HOUR)
    forget(world.inbox, PERSON)
    assert missed(world, now) is None
    world.meta.say("m_1", now + MINUTE)

    assert missed(world, now + 2 * MINUTE) == 1


def test_of_a_conversation_with_more_messages_than_are_listed_the_others_are_asked_for(
    world: World, now: int
) -> None:
    for number in range(30):
        world.meta.say(f"m_{number}", now - HOUR + number * MINUTE)
    for number in [*range(4), *range(5, 30)]:
        world.receive(f"m_{number}", at=now)

    assert missed(world, now) == 56
    world.receive("m_4", at=now)
    assert missed(world, now) is None


def test_a_conversation_that_cannot_be_read_alone_holds_nothing_back(world: World, now: int) -> None:
    for number in range(12):
        world.meta.say(f"m_{number}", now - HOUR + number * MINUTE)
    world.meta.say("m_other", now - MINUTE, OTHERS[0])
    world.meta.spoilt[PSID] = {"error": "none"}
    for number in range(12):
        world.receive(f"m_{number}", at=now)

    assert missed(world, now) == 1


def test_all_lists_are_compared_back_to_the_time(world: World, now: int) -> None:
    for number, person in enumerate(OTHERS):
        world.meta.say(f"m_{number}", now - HOUR + number * MINUTE, person)
        if number:
            world.receive(f"m_{number}", at=now, person=person)

    assert missed(world, now) == 60
    assert missed(world, now, hours=0.99) is None


def test_who_writes_while_the_lists_are_compared_is_not_passed_over(
    world: World, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, person in enumerate(OTHERS):
        world.meta.say(f"m_{number}", now - HOUR + number * MINUTE, person)
        if number:
            world.receive(f"m_{number}", at=now, person=person)
    listed = world.meta._list

    def list_and_move(request: httpx.Request) -> Any:
        answer = listed(request)
        if len(world.meta.past[OTHERS[0]]) == 1:
            world.meta.say("m_later", now, OTHERS[0])
            world.receive("m_later", at=now, person=OTHERS[0])
        return answer

    monkeypatch.setattr(world.meta, "_list", list_and_move)
    assert missed(world, now) == 60


def test_a_conversation_may_be_listed_as_a_little_older_than_what_was_said_last(
    world: World, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.meta.say("m_before", now - HOUR - 5000)
    listed = world.meta._listed(PSID, httpx.Request("GET", "https://graph?fields="))
    world.meta.say("m_0", now - HOUR)
    listing = world.meta._listed
    older = {"updated_time": listed["updated_time"]}
    monkeypatch.setattr(world.meta, "_listed", lambda *asked: listing(*asked) | older)

    assert missed(world, now, hours=1.0005) == 60


def test_where_there_is_too_much_to_compare_all_is_fetched(
    world: World, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "MOST_LISTS", 1)
    for number, person in enumerate(OTHERS):
        world.meta.say(f"m_{number}", now - HOUR + number * MINUTE, person)
        world.receive(f"m_{number}", at=now, person=person)
    with capture_logs() as logs:
        assert missed(world, now) == 180

    assert [one["event"] for one in logs] == ["too_much_to_compare"]


def test_times_that_were_looked_at_are_one_where_they_meet(world: World) -> None:
    now = int(world.inbox.now() * 1000)
    for begins, ends in [(50, 40), (30, 20), (10, 5), (42, 25), (9, 9), (4, 6)]:
        gaps.note_looked(world.inbox, ACCOUNT, (now - begins * MINUTE, now - ends * MINUTE))

    looked = json.loads(world.store.get(f"mc:looked:{ACCOUNT}"))
    assert [[(now - at) / MINUTE for at in span] for span in looked] == [[50, 20], [10, 5]]
