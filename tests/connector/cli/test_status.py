"""`connector status`: what it shows of pages that fare well, badly, or not at all."""

import json
from collections.abc import Iterator
from contextlib import closing
from unittest.mock import Mock

import msgspec
import pytest
import redis
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from clients.channel import Credentials, PastConversation, Withdrawal
from clients.channels.meta.events import CHANNEL
from clients.findings import finding
from clients.notices import encode, notice
from connector.admin import ConnectionAdmin
from connector.cli.main import main
from connector.cli.status import PageStatus, Status, Way, lines_of, status_of
from connector.settings import Settings
from connector.web.metrics import Counters
from connector.web.refusals import Refusals
from tasks import findings
from tasks.connections import Connection, Directory
from tasks.inbound.backfill import Progress
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.store import connect
from tests.conftest import PAGE_A, PAGE_B, PAGE_OFF, SECRET_A, MakeSettings

encode_json = msgspec.json.encode
KNOWN = Directory([Connection("facebook_messenger", Credentials(PAGE_A), "", "7", None)])


@pytest.fixture
def settings(store_url: str, make_settings: MakeSettings) -> Settings:
    return make_settings(redis_url=store_url)


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    with closing(connect(store_url)) as store:
        yield Inbox(store)


def row(name: str, queue: str) -> Job:
    return Job(key=name, queue=queue, time=1, body=b"{}")


def account_of(status: Status, page_id: str) -> PageStatus:
    (page,) = [page for page in status.pages if page.page_id == page_id]
    return page


def test_each_connection_is_shown_even_if_nothing_ever_came(settings: Settings, inbox: Inbox) -> None:
    status = status_of(settings, inbox)

    shown = {page.page_id: (page.connection, page.last_webhook, page.last_reply) for page in status.pages}
    assert shown == {
        PAGE_A: ("active", None, None),
        PAGE_B: ("active", None, None),
        PAGE_OFF: ("inactive", None, None),
    }


def test_a_page_whose_access_was_withdrawn_is_shown_as_such(settings: Settings, inbox: Inbox) -> None:
    withdrawal = Withdrawal(SECRET_A, account_id=PAGE_A)
    assert ConnectionAdmin(settings, inbox.connections).withdraw(withdrawal) == [PAGE_A]

    assert account_of(status_of(settings, inbox), PAGE_A).connection == "withdrawn"


def test_what_came_and_what_waits_is_shown_by_page(settings: Settings, inbox: Inbox) -> None:
    inbox.accept(
        [
            row("1", f"in:{CHANNEL}:{PAGE_A}:1"),
            row("2", f"in:{CHANNEL}:{PAGE_A}:2"),
            row("3", f"out:{CHANNEL}:{PAGE_A}:1"),
        ]
    )
    status = status_of(settings, inbox)
    page = account_of(status, PAGE_A)

    assert page.last_webhook == pytest.approx(status.now, abs=5)
    assert (page.to_helpdesk.queues, page.to_channel.queues) == (2, 1)
    assert page.to_helpdesk.oldest == pytest.approx(status.now, abs=5)
    assert account_of(status, PAGE_B).to_helpdesk.queues == 0


def test_a_reply_whose_page_is_not_known_yet_waits_for_no_page_in_particular(
    settings: Settings, inbox: Inbox
) -> None:
    inbox.accept([row("1", "ticket:42"), row("2", "ticket:desk:43")])

    assert account_of(status_of(settings, inbox), "").to_channel.queues == 2


def test_a_reply_that_was_sent_is_the_last_one(settings: Settings, inbox: Inbox) -> None:
    inbox.accept([row("1", f"out:{CHANNEL}:{PAGE_A}:1")])
    assert account_of(status_of(settings, inbox), PAGE_A).last_reply is None
    lease = inbox.claim()
    assert lease
    lease.finish()
    status = status_of(settings, inbox)

    assert account_of(status, PAGE_A).last_reply == pytest.approx(status.now, abs=5)


def test_it_is_shown_when_a_page_was_checked_last(settings: Settings, inbox: Inbox) -> None:
    findings.note(inbox, f"{CHANNEL}:{PAGE_A}", [])
    status = status_of(settings, inbox)

    assert account_of(status, PAGE_A).last_check == pytest.approx(status.now, abs=5)
    assert account_of(status, PAGE_B).last_check is None
    shown = [line for line in lines_of(status) if line.startswith("  last check")]
    assert [line.split()[-1] for line in shown].count("never") == len(shown) - 1


def test_why_a_side_is_paused_is_shown(settings: Settings, inbox: Inbox) -> None:
    inbox.pause("helpdesk", 60, "it is down")
    inbox.pause(f"{CHANNEL}:{PAGE_A}", 60, "the token is refused")
    status = status_of(settings, inbox)

    assert status.helpdesk_paused == "it is down"
    assert account_of(status, PAGE_A).paused == "the token is refused"
    assert account_of(status, PAGE_B).paused is None


def test_why_a_page_is_slowed_down_is_shown(settings: Settings, inbox: Inbox) -> None:
    inbox.slow(f"{CHANNEL}:{PAGE_A}", 4, encode(notice("usage_high", percent=85)))
    status = status_of(settings, inbox)

    (line,) = [line for line in lines_of(status) if "slowed down: " in line]
    assert "85 percent of the allowed calls have been used" in line
    assert account_of(status, PAGE_A).paused is account_of(status, PAGE_B).slowed is None


def test_a_page_whose_token_is_taken_again_is_shown_as_paused_no_more(
    settings: Settings, inbox: Inbox
) -> None:
    remote = f"{CHANNEL}:{PAGE_A}"
    inbox.pause(remote, 60, "the token is refused", rate=16)
    inbox.store.zadd("mc:pauses", {remote: 0})
    inbox.accept([row("1", f"out:{CHANNEL}:{PAGE_A}:1")])
    lease = inbox.claim()
    assert lease
    assert account_of(status_of(settings, inbox), PAGE_A).paused == "the token is refused"
    lease.finish()

    assert account_of(status_of(settings, inbox), PAGE_A).paused is None


def test_dead_letters_are_shown_by_reason(settings: Settings, inbox: Inbox) -> None:
    for name in ("1", "2", "3"):
        inbox.accept([row(name, f"in:{CHANNEL}:{PAGE_A}:{name}")])
        lease = inbox.claim()
        assert lease
        lease.move_to_dead_letters("too long" if name == "1" else "refused")
    status = status_of(settings, inbox)

    assert status.dead_letters == 3
    assert account_of(status, PAGE_A).dead == {"too long": 1, "refused": 2}


def test_refused_webhooks_are_shown_by_reason_whichever_process_refused_them(
    settings: Settings, inbox: Inbox
) -> None:
    for _ in range(2):
        refusals = Refusals(Counters(CollectorRegistry()), KNOWN)
        refusals.refuse("facebook_messenger", "wrong_secret", PAGE_A)
        refusals.refuse("helpdesk", "clock")
        refusals.save(inbox)
        refusals.save(inbox)
    status = status_of(settings, inbox)

    assert account_of(status, PAGE_A).refused == {"wrong_secret": 2}
    assert status.refused == {"helpdesk: clock": 2}


def test_refused_webhooks_are_still_counted_when_the_store_is_back(
    settings: Settings, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = Refusals(Counters(CollectorRegistry()), KNOWN)
    refusals.refuse("facebook_messenger", "wrong_secret", PAGE_A, count=3)
    with monkeypatch.context() as away:
        away.setattr(inbox.store, "evalsha", Mock(side_effect=redis.ConnectionError))
        with pytest.raises(redis.ConnectionError):
            refusals.save(inbox)
    refusals.save(inbox)

    assert account_of(status_of(settings, inbox), PAGE_A).refused == {"wrong_secret": 3}


def test_a_page_that_is_not_connected_is_shown_with_what_waits_for_it(
    settings: Settings, inbox: Inbox
) -> None:
    inbox.accept([row("1", f"in:{CHANNEL}:123:1")])
    page = account_of(status_of(settings, inbox), "123")

    assert (page.connection, page.to_helpdesk.queues) == ("unknown", 1)


def test_what_is_wrong_with_a_connection_is_shown(settings: Settings, inbox: Inbox) -> None:
    findings.note(inbox, f"{CHANNEL}:{PAGE_A}", [finding("page_not_subscribed")])
    status = status_of(settings, inbox)

    said = "The page is not subscribed: it does not send its messages to the app."
    assert account_of(status, PAGE_A).wrong == [said]
    assert account_of(status, PAGE_B).wrong == []
    assert f"  wrong          {said}" in lines_of(status)


def test_what_is_wrong_with_the_helpdesk_is_shown(settings: Settings, inbox: Inbox) -> None:
    findings.note(inbox, "helpdesk", [finding("helpdesk_webhook_missing", seconds=5, ours="https://a/b")])
    status = status_of(settings, inbox)

    said = "A webhook that the helpdesk was asked for did not arrive within 5 seconds."
    assert status.helpdesk_wrong == [said]
    assert list(lines_of(status))[1] == f"  wrong          {said}"


def test_a_report_that_waits_is_no_person(settings: Settings, inbox: Inbox) -> None:
    inbox.accept([row("1", f"report:{CHANNEL}:{PAGE_A}:")])
    assert account_of(status_of(settings, inbox), PAGE_A).to_helpdesk.queues == 0


def test_how_far_a_backfill_got_is_shown(settings: Settings, inbox: Inbox) -> None:
    account, todo = f"{CHANNEL}:{PAGE_A}", (PastConversation("t_1", "1", 5),)
    got = Progress(began=9, least=1, todo=todo, conversations=12, messages=240, new=31)
    backfill = inbox.backfills.begin(account, 1_795_000_000_000)
    inbox.backfills.save(backfill, encode_json(got))
    status = status_of(settings, inbox)

    since = "  backfill       since 2026-11-18 11:06:40 UTC, "
    shown = "12 of 13 or more conversations, 240 messages, 31 of them new"
    assert f"{since}running: {shown}" in lines_of(status)
    assert account_of(status, PAGE_B).backfill is None
    assert status.as_json()["pages"][0]["backfill"]["looked_at"] == 12

    waits = msgspec.structs.replace(got, reason=encode(notice("facebook_rate_limit")))
    inbox.backfills.save(backfill, encode_json(waits), 40)
    (line,) = [line for line in lines_of(status_of(settings, inbox)) if "backfill" in line]
    assert line.startswith(f"{since}goes on in ")
    assert "(facebook_rate_limit: " in line


def test_a_history_that_waits_is_shown_as_one(settings: Settings, inbox: Inbox) -> None:
    inbox.backfills.note_active({f"{CHANNEL}:{PAGE_A}": 1000}, None)
    (line,) = [line for line in lines_of(status_of(settings, inbox)) if "backfill" in line]

    assert line.startswith("  backfill       history since ")
    assert line.endswith("goes on in 0 s: 0 of 0 or more conversations, 0 messages, 0 of them new")


def test_the_screen_tells_all_of_it(settings: Settings, inbox: Inbox) -> None:
    inbox.accept([row("1", f"in:{CHANNEL}:{PAGE_A}:1")])
    inbox.pause("helpdesk", 60, "it is down")
    screen = "\n".join(lines_of(status_of(settings, inbox)))

    assert "paused: it is down" in screen
    assert f"page {PAGE_A} Page 1  active" in screen
    assert "1 person waits, since 0 s ago" in screen
    assert "last reply     never" in screen
    assert "0 dead letters" in screen


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, ["1 person waits, since ", "1 time: wrong_secret", "1 dead letter;", "1 unknown event;"]),
        (2, ["2 people wait, since ", "2 times: wrong_secret", "2 dead letters;", "2 unknown events;"]),
    ],
)
def test_one_is_said_otherwise_than_several(count: int, words: list[str]) -> None:
    page = PageStatus("1", refused={"wrong_secret": count}, to_helpdesk=Way(count, 1))
    screen = "\n".join(lines_of(Status(2, "", None, [], [], count, count, [page], {})))

    assert [one for one in words if one not in screen] == []


def test_unknown_events_are_shown_in_one_line_with_what_to_do(settings: Settings, inbox: Inbox) -> None:
    inbox.accept([row("1", f"in:{CHANNEL}:{PAGE_A}:1")])
    lease = inbox.claim()
    assert lease
    lease.keep_unknown("a new kind")
    status = status_of(settings, inbox)

    assert (status.unknown_events, status.dead_letters) == (1, 0)
    assert list(lines_of(status))[-1] == (
        "1 unknown event; see “connector unknown list”, and replay them after an upgrade"
    )


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["screen", "json"])
@pytest.mark.usefixtures("settings")
def test_the_command_prints_it(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["status", *arguments])

    assert result.exit_code == 0, result.output
    if arguments:
        assert {page["page_id"] for page in json.loads(result.stdout)["pages"]} == {PAGE_A, PAGE_B, PAGE_OFF}
    else:
        assert f"page {PAGE_A}" in result.stdout
