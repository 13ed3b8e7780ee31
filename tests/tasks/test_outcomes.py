"""A fault of a remote: is it down, or is it this event?"""

import time

import httpx
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from clients.errors import Busy, RateLimited, RejectedError, Unauthorized, Unavailable
from tasks import outcomes, remotes
from tasks.inbound import files
from tasks.inbox.job import Job
from tests.fakes.conversation import IN, OUT, PAGE, PHOTO, TICKET
from tests.fakes.failures import away, fault
from tests.fakes.meta import Refusal
from tests.fakes.world import World


def test_a_fault_of_a_helpdesk_that_is_up_burns_an_attempt(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", fault())
    world.work()

    assert world.head().attempts == 1
    assert world.head().reasons == ["it answered 500"]
    assert 0 < world.head().waits <= 1.1
    assert not world.paused()


def test_a_fault_of_a_helpdesk_that_is_down_pauses_it_and_burns_no_attempt(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", fault())
    world.desk.fail("ping", fault())
    world.work()

    assert world.head().attempts == 0
    assert world.head().reasons == ["it answered 500"]
    assert 0 < world.paused() <= remotes.SHORTEST


def test_one_event_waits_no_longer_than_a_side_would(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", Unavailable("it answered 500", retry_after=10**9))
    world.work()

    assert not world.paused()
    assert 590 < world.head().waits <= remotes.LONGEST + 1


def test_a_busy_host_of_files_has_nobody_wait_longer_than_a_side_would(world: World) -> None:
    world.receive(attachments=[PHOTO])
    world.media.fail("fetch", Busy("it serves others", retry_after=10**9))
    world.work()

    assert 590 < world.head().waits <= remotes.LONGEST + 1


def test_a_message_does_not_wait_as_long_as_a_host_of_files_asks(world: World) -> None:
    world.receive(attachments=[PHOTO])
    world.media.fail("fetch", Unavailable("it answers 503", retry_after=3600, maybe_done=False))
    world.work()

    assert 55 < world.head().waits <= files.FILE_WAIT


def test_while_a_side_is_paused_it_is_not_asked(world: World) -> None:
    world.receive()
    world.inbox.pause("helpdesk", 60, "it is down")
    world.work()

    assert world.desk.calls == world.meta.calls == []


def test_a_side_that_says_it_is_down_is_not_asked_once_more(world: World) -> None:
    world.receive()
    world.desk.fail("find_open_ticket", away())
    world.work()

    assert world.desk.count("ping") == 0
    assert world.paused()
    assert world.head().attempts == 0


def test_a_connection_that_one_call_did_not_get_burns_an_attempt(world: World) -> None:
    world.receive()
    world.desk.fail("find_open_ticket", Unavailable("it cannot be reached", maybe_done=False))
    world.work()

    assert world.head().attempts == 1
    assert not world.paused()


def test_a_pause_has_an_end_whatever_a_side_asks(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", RateLimited("slow down", retry_after=10**8))
    world.work()

    assert 590 < world.paused() <= remotes.LONGEST


def test_a_helpdesk_that_refuses_the_question_is_up(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", fault())
    world.desk.fail("ping", RejectedError("no"))
    world.work()

    assert world.head().attempts == 1
    assert not world.paused()


def test_a_side_that_is_away_is_told_as_it_begins_and_as_it_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes, "SHORTEST", 0)
    world.receive()
    world.desk.fail("find_open_ticket", *[away()] * 4)
    with capture_logs() as logs:
        for _ in range(5):
            world.resume()

    told = [(line["event"], line["remote"]) for line in logs if line["event"].startswith("remote_")]
    assert told == [("remote_paused", "helpdesk"), ("remote_back", "helpdesk")]


def test_a_side_that_was_away_long_ago_is_told_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    error = away()
    error.remote = "helpdesk"
    with capture_logs() as logs:
        for second in (0, 2, 4, 300, 302):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            world.service.remotes.pause(error)

    assert [line["for_seconds"] for line in logs] == [0, 0]


def test_what_was_in_hand_as_a_side_was_paused_does_not_tell_that_it_is_back(world: World) -> None:
    error = away()
    error.remote = "helpdesk"
    with capture_logs() as logs:
        world.service.remotes.pause(error)
        world.service.remotes.works("helpdesk")

    assert [line["event"] for line in logs] == ["remote_paused"]


def test_a_side_that_stays_away_is_told_again_each_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = away()
    error.remote = "helpdesk"
    with capture_logs() as logs:
        for half in range(300):
            monkeypatch.setattr(time, "monotonic", lambda half=half: 1e6 + 30 * half)
            world.service.remotes.pause(error)

    assert [line["for_seconds"] for line in logs] == [0, 3600, 7200]


def test_what_was_relayed_is_told_with_its_ids(world: World) -> None:
    world.desk.open()
    world.receive()
    world.work()
    world.reply()
    with capture_logs(processors=[merge_contextvars]) as logs:
        world.receive("m_2")
        world.work()
        world.work(OUT)

    incoming, outgoing = [line for line in logs if line["event"] == "relayed"]
    assert (incoming["queue"], incoming["external_id"], incoming["ticket"]) == (IN, "m_2", "42")
    assert (outgoing["queue"], outgoing["comment"], outgoing["ticket"]) == (OUT, "981", "42")


def test_after_a_limit_the_waiting_queues_go_on_one_by_one(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", RateLimited("slow down", retry_after=40))
    world.work()

    assert world.store.hget("mc:pause:helpdesk", "rate") == b"4"


def test_a_side_that_stays_away_costs_one_call_for_each_pause(world: World) -> None:
    for psid in range(10):
        world.receive(mid=f"m_{psid}", person=str(psid))
    world.desk.fail("find_open_ticket", *[away()] * 5)
    for pauses in range(1, 6):
        while world.work(""):
            pass
        assert world.desk.calls == ["find_open_ticket"] * pauses
        world.end_pause()
    while world.work(""):
        pass

    assert world.inbox.state().queues == 0


def test_a_side_is_left_alone_as_long_as_it_asks(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", RateLimited("slow down", retry_after=40))
    world.work()

    assert 35 < world.paused() <= 40
    assert world.head().attempts == 0
    assert world.desk.count("ping") == 0


def test_a_token_that_is_refused_for_a_profile_pauses_the_page_and_not_the_message(world: World) -> None:
    world.desk.open()
    world.receive()
    world.meta.fail("person", Refusal(190))
    world.work()

    assert 25 < world.paused(PAGE) <= remotes.SHORTEST_UNAUTHORIZED
    assert world.waiting() == 0


def test_a_refused_token_pauses_the_side_for_longer(world: World) -> None:
    world.receive()
    world.desk.fail("find_open_ticket", Unauthorized("the token is refused"))
    world.desk.fail("ping", Unauthorized("the token is refused"))
    world.work()

    assert 25 < world.paused() <= remotes.SHORTEST_UNAUTHORIZED
    assert world.head().attempts == 0


def test_a_token_that_the_helpdesk_refuses_for_one_call_burns_an_attempt(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", Unauthorized("the token is refused"))
    world.work()

    assert not world.paused()
    assert world.head().attempts == 1


def test_a_fault_of_a_page_that_is_up_burns_an_attempt(world: World) -> None:
    world.reply()
    world.meta.fail("send", Refusal(2, status=500))
    world.work(OUT)

    assert world.head(OUT).attempts == 1
    assert world.meta.count("ping") == 1
    assert not world.paused(PAGE)


def test_a_fault_of_a_page_that_is_down_pauses_that_page_only(world: World) -> None:
    world.reply()
    world.meta.fail("send", Refusal(2, status=500))
    world.meta.fail("ping", httpx.ReadTimeout("slow"))
    world.work(OUT)

    assert world.paused(PAGE)
    assert not world.paused()
    assert world.head(OUT).attempts == 0


def test_a_page_that_was_disconnected_is_not_down(world: World) -> None:
    error = fault()
    error.remote = "chat:1"

    assert outcomes._is_outage(world.service, error) is False


@pytest.mark.parametrize(("queue", "remote"), [(IN, "helpdesk"), (OUT, PAGE), (TICKET, "helpdesk")])
def test_the_remote_of_a_queue_is_where_its_events_go(world: World, queue: str, remote: str) -> None:
    world.inbox.accept([Job(key="a", queue=queue, time=1, body=b"{}")])
    world.inbox.pause(remote, 60, "it is down")

    assert world.inbox.claim() is None
    assert world.store.smembers("mc:held") == {remote.encode()}


def test_a_backoff_doubles_and_has_an_end(world: World) -> None:
    world.configure(worker={"attempts": 10, "retry_max": 6})
    world.receive()
    world.desk.fail("create_ticket", *(fault() for _ in range(6)))
    waits = []
    for _ in range(6):
        world.resume()
        waits.append(world.head().waits)

    for wait, most in zip(waits, [1, 2, 4, 6, 6, 6], strict=True):
        assert most / 2 - 0.5 < wait <= most + 0.1


def test_what_an_event_is_told_to_wait_is_the_least_of_its_backoff(world: World) -> None:
    world.receive()
    world.desk.fail("create_ticket", Unavailable("busy", retry_after=90, maybe_done=False))
    world.work()

    assert 85 < world.head().waits <= 90
    assert world.head().attempts == 1
    assert not world.paused()
