"""How connections stand: working, in need of attention or of a login, or off, and what is to be done."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest

from clients.channel import Credentials
from clients.findings import Finding, finding
from clients.notices import Notice, encode, notice
from connector.overview import Standing, State, details, last_troubles, whole
from tasks.connections import Connection, Directory, Off
from tasks.findings import KeptFinding, note
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.store import connect
from tests.fakes.board import die, remote

OF_ANOTHER_VERSION = finding("something_new")
TOKEN = finding("page_token_invalid")
EXPIRES = finding("page_token_expires", time="2026-12-24")
DESK = finding("desk_missing", desk_id="7")
TOKEN_REFUSED, LIMITED = notice("page_token_refused"), notice("machine_fault", detail="disk")


def connection(page_id: str, name: str = "", *, desk_id: str = "7", **more: Any) -> Connection:
    credentials = Credentials(page_id, "token", "secret", "verify")
    return Connection("facebook_messenger", credentials, name or page_id, desk_id, None, **more)


def standings(inbox: Inbox, directory: Directory, desk_id: str | None = None) -> list[Standing]:
    """Return how connections stand."""
    return whole(inbox, directory, desk_id)[1]


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    with closing(connect(store_url)) as store:
        yield Inbox(store)


def test_one_that_is_off_tells_since_when(inbox: Inbox) -> None:
    (one,) = standings(inbox, Directory([connection("1", active=False, off=Off(5))]))
    assert (one.state, one.since, list(one.wrong)) == (State.OFF, 5, [])


def test_one_whose_access_was_withdrawn_has_to_be_connected_again(inbox: Inbox) -> None:
    (one,) = standings(inbox, Directory([connection("1", active=False, off=Off(5, is_withdrawn=True))]))

    assert (one.state, one.since, one.stops_messages) == (State.RECONNECT, 5, True)
    assert [kept.what.code for kept in one.wrong] == ["access_withdrawn"]


@pytest.mark.parametrize(
    ("wrong", "paused", "state"),
    [
        ([], None, State.WORKING),
        ([DESK], None, State.ATTENTION),
        ([], LIMITED, State.ATTENTION),
        ([TOKEN], None, State.RECONNECT),
        ([DESK, EXPIRES], None, State.RECONNECT),
        ([], TOKEN_REFUSED, State.RECONNECT),
        ([OF_ANOTHER_VERSION], None, State.ATTENTION),
    ],
)
def test_a_connection_stands_as_its_checks_and_its_pause_say(
    inbox: Inbox, wrong: list[Finding], paused: Notice | None, state: State
) -> None:
    note(inbox, remote("1"), wrong)
    if paused:
        inbox.pause(remote("1"), 60, encode(paused))

    (one,) = standings(inbox, Directory([connection("1")]))
    assert (one.state, one.paused) == (state, paused)
    assert {kept.what.code for kept in one.wrong} == {found.code for found in wrong}


def test_one_that_no_check_has_looked_at_is_not_said_to_work(inbox: Inbox) -> None:
    (one,) = standings(inbox, Directory([connection("1")]))
    assert (one.state, one.stops_messages) == (State.UNCHECKED, False)


@pytest.mark.parametrize(
    ("came", "sent", "state"),
    [
        (1000, 1000, State.WORKING),
        (1000, 999, State.UNCHECKED),
        (999, 1000, State.UNCHECKED),
        (1000, None, State.UNCHECKED),
        (None, 1000, State.UNCHECKED),
    ],
)
def test_one_that_took_a_message_and_a_reply_since_it_was_connected_works_before_any_check(
    inbox: Inbox, came: int | None, sent: int | None, state: State
) -> None:
    inbox.store.hset("mc:connected", remote("1"), 1000)
    for way, at in (("in", came), ("sent", sent)):
        if at is not None:
            inbox.store.hset("mc:last", f"{way}:{remote('1')}:", at)

    (one,) = standings(inbox, Directory([connection("1")]))
    assert one.state == state


def test_one_that_was_removed_and_connected_again_is_not_checked_yet(inbox: Inbox) -> None:
    inbox.connections.put(remote("1"), b"1")
    note(inbox, remote("1"), [])
    inbox.connections.put(remote("1"), b"2")
    assert standings(inbox, Directory([connection("1")]))[0].state == State.WORKING

    inbox.connections.remove(remote("1"))
    inbox.connections.put(remote("1"), b"3")
    assert standings(inbox, Directory([connection("1")]))[0].state == State.UNCHECKED


def test_one_that_is_switched_off_is_off_whatever_was_wrong(inbox: Inbox) -> None:
    note(inbox, remote("1"), [TOKEN])

    (one,) = standings(inbox, Directory([connection("1", active=False)]))
    assert (one.state, list(one.wrong), one.since) == (State.OFF, [], None)


def test_those_that_need_somebody_come_first_those_that_stop_before_others_then_by_name(inbox: Inbox) -> None:
    every = [connection("1", "b"), connection("2", "A"), connection("3"), connection("4", active=False)]
    every += [connection("5", "0: its token expires"), connection("6", "0: nobody looked")]
    note(inbox, remote("2"), [])
    note(inbox, remote("5"), [EXPIRES])
    note(inbox, remote("3"), [TOKEN])
    inbox.pause(remote("1"), 60, encode(LIMITED))

    found = standings(inbox, Directory(every))
    assert [one.connection.account_id for one in found] == ["3", "5", "1", "6", "2", "4"]


@pytest.mark.parametrize(
    ("wrong", "paused", "stops"),
    [([], None, False), ([EXPIRES], None, False), ([EXPIRES, TOKEN], None, True), ([], LIMITED, True)],
)
def test_it_is_known_whether_messages_get_through(
    inbox: Inbox, wrong: list[Finding], paused: Notice | None, *, stops: bool
) -> None:
    note(inbox, remote("1"), wrong)
    if paused:
        inbox.pause(remote("1"), 60, encode(paused))

    (one,) = standings(inbox, Directory([connection("1")]))
    assert one.stops_messages is stops


def test_what_stops_messages_is_the_first_of_what_is_wrong(inbox: Inbox) -> None:
    note(inbox, remote("1"), [EXPIRES, TOKEN])

    (one,) = standings(inbox, Directory([connection("1")]))
    assert [kept.what.code for kept in one.wrong] == ["page_token_invalid", "page_token_expires"]


def test_it_is_wrong_since_the_first_of_it_was_found(inbox: Inbox) -> None:
    inbox.pause(remote("1"), 60, encode(TOKEN_REFUSED))
    (paused,) = standings(inbox, Directory([connection("1")]))
    assert abs((paused.since or 0) - inbox.now()) < 10

    inbox.note_findings(remote("1"), msgspec.json.encode([KeptFinding(EXPIRES.what, 1000.5)]))
    (found,) = standings(inbox, Directory([connection("1")]))
    assert found.since == 1000.5


def test_only_those_of_a_desk_are_told_to_it(inbox: Inbox) -> None:
    directory = Directory([connection("1"), connection("2", desk_id="8")])

    assert [one.connection.account_id for one in standings(inbox, directory, "8")] == ["2"]
    assert standings(inbox, directory, "") == []


def test_of_an_account_that_was_connected_twice_the_active_connection_counts(inbox: Inbox) -> None:
    note(inbox, remote("1"), [])
    (one,) = standings(inbox, Directory([connection("1"), connection("1", active=False)]))

    assert one.state == State.WORKING


def test_what_all_connections_need_is_told_once(inbox: Inbox) -> None:
    inbox.accept([Job(key="1", queue=f"in:{remote('1')}:7", time=1, body=b"{}")])
    die(inbox)
    inbox.pause("helpdesk", 60, encode(LIMITED))
    note(inbox, "helpdesk", [DESK])
    note(inbox, remote("1"), [])

    shared, (one,) = whole(inbox, Directory([connection("1")]))
    assert (shared.people, shared.dead, shared.unknown, shared.paused) == (1, 1, 0, LIMITED)
    assert [kept.what.code for kept in shared.helpdesk] == ["desk_missing"]
    assert shared.since
    assert one.state == State.WORKING


def test_details_say_who_waits_for_what_and_for_how_long(inbox: Inbox) -> None:
    queues = [f"{way}:{remote('1')}:{person}" for way, person in (("in", 7), ("in", 8), ("out", 7))]
    inbox.accept([Job(key=queue, queue=queue, time=1, body=b"{}") for queue in queues])
    inbox.slow(remote("1"), 1, encode(LIMITED))

    found = details(inbox, [remote("1"), remote("2")])
    one, other = found[remote("1")], found[remote("2")]
    assert (one.inbound.people, one.outbound.people, one.slowed) == (2, 1, LIMITED)
    assert one.inbound.since
    assert (other.inbound.people, other.slowed, other.backfill) == (0, None, None)


def test_details_say_how_far_a_backfill_got(inbox: Inbox) -> None:
    inbox.backfills.request(remote("1"), 1_795_000_000_000)

    found = details(inbox, [remote("1")])
    backfill = found[remote("1")].backfill
    assert backfill
    assert backfill.since == 1_795_000_000
    assert details(inbox, [remote("1")], {})[remote("1")].backfill is None


def test_the_last_troubles_come_the_newest_first_and_no_more_than_wanted(inbox: Inbox) -> None:
    inbox.note_refusals("helpdesk  unsigned", 2)
    id_ = die(inbox, TOKEN_REFUSED)
    note(inbox, remote("1"), [TOKEN])
    inbox.pause(remote("2"), 60, encode(LIMITED))
    shared, every = whole(inbox, Directory([connection("1"), connection("2")]))

    found = last_troubles(inbox, shared, every, 9)
    assert {(one.what.code, one.remote, one.letter) for one in found} == {
        ("board_refused", "helpdesk", None),
        ("page_token_refused", remote(), id_),
        ("page_token_invalid", remote("1"), None),
        ("board_paused", remote("2"), None),
    }
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
    assert len(last_troubles(inbox, shared, every, 2)) == 2
