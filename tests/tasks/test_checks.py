"""The checks of connections on schedule: what is kept, logged, put right and counted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from structlog.testing import capture_logs

from clients.channel import Account
from clients.errors import Unauthorized, Unavailable
from clients.findings import Finding, Level, finding
from clients.helpdesk import Helpdesk
from clients.notices import notice
from connector.cipher import Cipher, new_key
from connector.connection import Connection as AddedConnection
from tasks import checks, findings
from tasks.connections import Connection, Directory
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tasks.words import say
from tests.conftest import PAGE_A, PAGE_B, SECRET_A, Valkey, connection
from tests.fakes.checked_pages import Pages, fetched_since, make_due
from tests.fakes.world import World

NEW = "facebook_messenger:1"
A, B = f"facebook_messenger:{PAGE_A}", f"facebook_messenger:{PAGE_B}"
UNSUBSCRIBED = finding("page_not_subscribed")
EXPIRES = finding("page_token_expires", time="2026-12-24 18:00 UTC")
AWAY = finding("facebook_away", reason=notice("host_no_answer", host="graph.facebook.com"))
HOUR, DAY = 3_600_000, 86_400_000
FINE = finding("page_token_valid")


FIRST_PAGE = 200_000_000_000_000


def logged(inbox: Inbox, *found: Finding) -> list[tuple[str, str]]:
    with capture_logs() as logs:
        findings.note(inbox, A, found)
    return [(one["event"], one.get("code") or one["finding"].partition(" ")[0]) for one in logs]


def kept(inbox: Inbox, name: str = A) -> list[str]:
    return [one.what.code for one in findings.kept(inbox.findings_of(name))]


def test_a_finding_is_logged_when_it_begins_and_when_it_is_over(world: World) -> None:
    assert logged(world.inbox, FINE) == []
    assert logged(world.inbox, EXPIRES) == [("finding_began", "page_token_expires")]
    assert logged(world.inbox, EXPIRES) == []
    assert kept(world.inbox) == ["page_token_expires"]
    assert logged(world.inbox, FINE) == [("finding_over", "page_token_expires")]
    assert world.inbox.findings() == {}


def test_what_stops_messages_is_logged_as_an_error_with_what_to_do(world: World) -> None:
    with capture_logs() as logs:
        findings.note(world.inbox, A, [UNSUBSCRIBED, EXPIRES])

    levels = {one["finding"].partition(" ")[0]: (one["log_level"], one["remote"]) for one in logs}
    assert levels == {"page_not_subscribed": ("error", A), "page_token_expires": ("warning", A)}
    assert all(one["hint"] for one in logs)


def test_what_could_not_be_looked_at_is_not_over(world: World) -> None:
    logged(world.inbox, EXPIRES)

    assert logged(world.inbox, AWAY) == [("finding_began", "facebook_away")]
    assert sorted(kept(world.inbox)) == ["facebook_away", "page_token_expires"]
    assert {code for _, code in logged(world.inbox, FINE)} == {"facebook_away", "page_token_expires"}
    assert kept(world.inbox) == []


def test_since_when_something_is_wrong_stays(world: World) -> None:
    logged(world.inbox, EXPIRES)
    (before,) = findings.kept(world.inbox.findings_of(A))
    logged(world.inbox, finding("page_token_expires", time="another"))
    (after,) = findings.kept(world.inbox.findings_of(A))

    assert (after.since, after.what.values) == (before.since, {"time": "another"})


def test_what_another_version_kept_is_no_fault(world: World) -> None:
    world.inbox.note_findings(A, b"?")
    assert kept(world.inbox) == []


# --- Whose turn it is. ------------------------------------------------------------------------------------


def test_each_active_connection_is_checked_when_it_is_due(world: World, pages: Pages) -> None:
    checks.take_turn(world.service)
    assert len(pages.checked) == 1  # the first at once, the others spread over the time
    make_due(world)
    checks.take_turn(world.service)
    checks.take_turn(world.service)

    assert sorted(pages.checked[1:]) == sorted([PAGE_A, PAGE_B])
    due = [world.store.zscore("mc:checks", name) for name in (A, B, "helpdesk", "store")]
    minutes = {round((at / 1000 - world.inbox.now()) / 60) for at in due}
    assert minutes == {10}


@pytest.mark.parametrize(("pages", "minutes"), [(1, 10), (20, 10), (60, 30), (10_000, 60)])
def test_of_many_pages_each_is_checked_later_an_hour_at_most(
    world: World, pages: int, minutes: float
) -> None:
    world.configure(connections=[connection(str(FIRST_PAGE + n), SECRET_A) for n in range(pages)])
    assert checks.interval_of(world.service) == minutes * 60


def test_who_wants_fewer_checks_gets_them(world: World) -> None:
    world.configure(check_every=600)
    assert checks.interval_of(world.service) == 600 * 60


def test_a_connection_that_is_not_active_any_more_is_forgotten(world: World, pages: Pages) -> None:
    gone = "facebook_messenger:1"
    world.store.zadd("mc:checks", {gone: 0})
    findings.note(world.inbox, gone, [EXPIRES])
    checks.take_turn(world.service)

    assert world.store.zscore("mc:checks", gone) is None
    assert world.inbox.findings() == {}


def test_where_nothing_is_to_be_checked_nothing_is(world: World, pages: Pages) -> None:
    world.configure(check_every=0)
    make_due(world)
    checks.take_turn(world.service)

    assert pages.checked == []


def test_a_connection_that_changed_is_checked_next(world: World, pages: Pages) -> None:
    make_due(world)
    checks.take_turn(world.service)
    world.inbox.connections.put(A, b"record")
    checks.take_turn(world.service)

    assert sorted(pages.checked) == sorted([PAGE_A, PAGE_A, PAGE_B])


def test_a_connection_that_is_added_is_checked_seconds_later(world: World, pages: Pages) -> None:
    key = new_key()
    world.configure(check_every=600, secret_key=key)
    checks.take_turn(world.service)
    added = AddedConnection.model_validate(connection(NEW.partition(":")[2], SECRET_A))
    world.inbox.connections.put(NEW, added.encode(Cipher([key])))
    pages.checked.clear()
    checks.take_turn(world.service)
    assert pages.checked == []  # whoever added it subscribes it

    due = world.store.zscore("mc:checks", NEW) / 1000
    assert 0 < due - world.inbox.now() <= 10
    world.store.zadd("mc:checks", {NEW: 0})
    checks.take_turn(world.service)
    assert pages.checked == ["1"]


def test_a_page_that_was_unsubscribed_is_subscribed_again_and_that_is_said_once(
    world: World, pages: Pages
) -> None:
    pages.found[PAGE_A] = [UNSUBSCRIBED]
    with capture_logs() as logs:
        for _ in range(3):
            make_due(world)
            checks.take_turn(world.service)

    assert pages.repaired == [(PAGE_A, "page_not_subscribed")] * 3
    assert [(one["event"], one["remote"]) for one in logs] == [("page_subscribed_again", A)]
    assert world.inbox.findings() == {}


def test_a_page_that_cannot_be_subscribed_again_is_said_once_with_the_reason(
    world: World, pages: Pages
) -> None:
    pages.found[PAGE_A] = [UNSUBSCRIBED]
    pages.refuses = Unavailable("facebook_fault")
    with capture_logs() as logs:
        for _ in range(3):
            make_due(world)
            checks.take_turn(world.service)

    said = sorted(one["finding"] for one in logs)
    assert said == ["page_not_subscribed", "repair_failed what=page_not_subscribed reason=facebook_fault"]
    assert sorted(kept(world.inbox)) == ["page_not_subscribed", "repair_failed"]


@pytest.mark.parametrize("change", [{}, {"active": False}, {"name": "renamed"}])
def test_a_page_that_was_removed_or_changed_meanwhile_is_not_subscribed_again(
    world: World, pages: Pages, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    pages.found = {PAGE_A: [UNSUBSCRIBED], PAGE_B: [UNSUBSCRIBED]}
    before, others = world.service.connections, list[Connection]()
    for one in before.all:
        if one.account_id != PAGE_A:
            others.append(one)
        elif change:
            others.append(replace(one, **change))

    def refresh() -> None:
        if PAGE_A in pages.checked:  # not before the check begins
            before.channels = Directory(others).channels

    monkeypatch.setattr(before, "refresh", refresh)
    make_due(world)
    checks.take_turn(world.service)

    assert sorted(pages.checked) == sorted([PAGE_A, PAGE_B])
    assert pages.repaired == [(PAGE_B, "page_not_subscribed")]
    assert kept(world.inbox) == []
    assert fetched_since(world) is None


def test_what_a_person_has_to_decide_is_not_put_right_unasked(world: World, pages: Pages) -> None:
    pages.found[PAGE_A] = [finding("app_subscribed_elsewhere", url="a", ours="b")]
    make_due(world)
    checks.take_turn(world.service)

    assert pages.repaired == []
    assert kept(world.inbox) == ["app_subscribed_elsewhere"]


def test_a_check_that_breaks_does_not_keep_others_from_theirs(
    world: World, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.found[PAGE_B] = [EXPIRES]
    account = pages.account

    def broken(connection: Connection) -> Account:
        if connection.account_id == PAGE_A:
            raise ValueError("a fault of ours")
        return account(connection)

    monkeypatch.setattr(pages, "account", broken)
    make_due(world)
    with capture_logs() as logs:
        checks.take_turn(world.service)

    assert kept(world.inbox, B) == ["page_token_expires"]
    assert [one["remote"] for one in logs if one["event"] == "check_failed"] == [A]


def test_a_store_that_is_away_is_logged(world: World, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.service.inbox, "plan_checks", Mock(side_effect=redis.ConnectionError))
    with capture_logs() as logs:
        checks.take_turn(world.service)

    assert [one["event"] for one in logs] == ["check_failed"]


# --- The helpdesk and the store. --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, "helpdesk_works"),
        (Unauthorized("token_refused"), "helpdesk_token_wrong"),
        (Unavailable("no_answer"), "helpdesk_away"),
    ],
)
def test_the_helpdesk_is_asked_for_something_small(world: World, error: Exception | None, code: str) -> None:
    world.desk.fail("ping", error)
    assert next(checks.check_helpdesk(world.service)).code == code


@pytest.mark.parametrize(
    ("desk", "category", "codes"),
    [
        (True, True, ["desk_exists", "category_exists"]),
        (None, None, ["desk_unknown"]),
        (False, False, ["desk_missing", "category_missing"]),
        (Unavailable("no_answer"), None, ["desk_unknown"]),
    ],
)
def test_desk_and_category_are_looked_for(world: World, desk: Any, category: Any, codes: list[str]) -> None:
    helpdesk: Any = Mock(has_desk=Mock(side_effect=[desk]), has_category=Mock(return_value=category))
    connection: Any = Mock(desk_id="7", category_id="12")
    assert [one.code for one in checks.check_desk(helpdesk, connection)] == codes


@pytest.mark.parametrize(
    ("has_room", "used", "code"),
    [(1, 50, "store_works"), (1, 85, "store_nearly_full"), (0, 95, "store_full")],
)
def test_the_stores_memory_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch, has_room: int, used: int, code: str
) -> None:
    monkeypatch.setattr(world.inbox, "has_room", lambda: bool(has_room))
    memory = {"used_memory": used, "maxmemory": 100}
    monkeypatch.setattr(world.inbox.store, "info", lambda _: memory)
    assert next(checks.check_store(world.inbox)).code == code


@pytest.fixture
def valkey_of_a_test(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path)
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("setting", "value", "codes"),
    [
        ("appendfsync", "always", ["store_keeps_data", "store_keeps_all"]),
        ("appendfsync", "no", ["store_writes_late", "store_keeps_all"]),
        ("appendonly", "no", ["store_keeps_nothing", "store_keeps_all"]),
        ("maxmemory-policy", "allkeys-lru", ["store_keeps_data", "store_evicts"]),
    ],
)
def test_whether_a_store_keeps_its_data_is_seen(
    valkey_of_a_test: Valkey, setting: str, value: str, codes: list[str]
) -> None:
    with connect(valkey_of_a_test.url) as store:
        assert durability(store) == ["store_keeps_data", "store_keeps_all"]
        store.config_set(setting, value)
        assert durability(store) == codes


def durability(store: redis.Redis) -> list[str]:
    return [one.code for one in checks.check_durability(store)]


def test_a_store_that_hides_its_configuration_may_tell_otherwise(valkey_of_a_test: Valkey) -> None:
    with connect(valkey_of_a_test.url) as store:
        store.config_set("appendonly", "no")
        store.config_set("maxmemory-policy", "allkeys-lru")
        store.execute_command("ACL SETUSER default -config")
        assert durability(store) == ["store_keeps_nothing", "store_evicts"]


def test_of_a_store_that_hides_everything_it_is_said_what_to_look_at(valkey_of_a_test: Valkey) -> None:
    with connect(valkey_of_a_test.url) as store:
        store.execute_command("ACL SETUSER default -config -info")
        found = list(checks.check_durability(store))

    assert [one.code for one in found] == ["store_persistence_unknown", "store_eviction_unknown"]
    assert {one.level for one in found} == {Level.UNKNOWN}
    assert all("by hand" in say(one.what) for one in found)


def test_a_store_that_is_away_is_a_finding(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.inbox, "has_room", Mock(side_effect=redis.ConnectionError("refused")))
    (one,) = checks.check_store(world.inbox)
    assert (one.code, one.values) == ("store_away", {"reason": "it cannot be reached: refused"})


def test_a_finding_as_data_has_its_sentences() -> None:
    assert checks.as_data(EXPIRES, "pl") == {
        "code": "page_token_expires",
        "level": "warning",
        "can_be_fixed": False,
        "what": "Token dostępu strony wygasa 2026-12-24 18:00 UTC.",
        "means": "Od tej chwili żadna odpowiedź nie zostanie wysłana.",
        "remedy": "Utwórz token bezterminowy, z długotrwałego tokena użytkownika lub użytkownika "
        "systemowego, i ustaw go jako page_access_token.",
    }


# --- The helpdesk's webhooks. -----------------------------------------------------------------------------


def webhook_check(world: World, monkeypatch: pytest.MonkeyPatch, answer: Any) -> Finding:
    """Check the helpdesk, which answers so when it is asked for a webhook."""
    monkeypatch.setattr(checks, "WEBHOOK_WITHIN", 0.2)
    monkeypatch.setattr(checks, "WEBHOOK_LOOK_EVERY", 0.01)
    monkeypatch.setattr(type(world.desk), "request_webhook", Mock(side_effect=answer))
    _, found = checks.check_helpdesk(world.service)
    return found


def test_a_webhook_that_was_asked_for_arrives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def send() -> str:
        world.inbox.note_helpdesk_webhook()
        return ""

    assert webhook_check(world, monkeypatch, send).code == "helpdesk_webhook_arrives"


def test_a_webhook_of_before_is_not_the_one_that_was_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.inbox.note_helpdesk_webhook()
    assert webhook_check(world, monkeypatch, [""]).code == "helpdesk_webhook_missing"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("", "helpdesk_webhook_missing"),
        ("http://127.0.0.1:8000/social_media/webhooks/helpdesk/", "helpdesk_webhook_missing"),
        ("https://old.example.com/hook?key=secret", "helpdesk_webhook_elsewhere"),
        (None, "helpdesk_webhook_unknown"),
        (Unavailable("no_answer"), "helpdesk_webhook_unknown"),
    ],
)
def test_why_no_webhook_arrives_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: Any, code: str
) -> None:
    found = webhook_check(world, monkeypatch, [answer])
    assert found.code == code
    assert "secret" not in str(found.what)
    assert found.is_wrong is (code != "helpdesk_webhook_unknown")


@pytest.mark.parametrize(("poll_every", "level"), [(0, Level.STOPS_MESSAGES), (60, Level.WARNING)])
@pytest.mark.parametrize("sent_to", ["", "https://old.example.com/hook", "refused"])
def test_where_replies_are_not_looked_for_missing_webhooks_stop_them(
    world: World, monkeypatch: pytest.MonkeyPatch, poll_every: float, level: Level, sent_to: str
) -> None:
    world.configure(helpdesk={"poll_every": poll_every})
    if sent_to == "refused":
        world.inbox.note_refusals("helpdesk  wrong_secret", 1)
    found = webhook_check(world, monkeypatch, [sent_to])

    assert found.level == level
    assert found.means
    assert ("are not sent" in say(found.means)) is (poll_every == 0)


def test_webhooks_that_were_refused_lately_say_why_none_arrives(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.inbox.note_refusals("helpdesk  wrong_secret", 1)
    found = webhook_check(world, monkeypatch, [""])
    assert (found.code, str(found.what)) == (
        "helpdesk_webhook_refused",
        "helpdesk_webhook_refused reason=webhook_wrong_secret",
    )


def test_a_helpdesk_that_is_only_polled_is_asked_for_no_webhook(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(world.desk), "receive", Helpdesk.receive)
    assert [one.code for one in checks.check_helpdesk(world.service)] == ["helpdesk_works"]


def test_the_helpdesk_is_checked_once_in_that_time_whoever_looks(world: World, pages: Pages) -> None:
    world.desk.fail("ping", *(Unavailable("no_answer") for _ in range(2)))
    with capture_logs() as logs:
        for _ in range(2):
            checks.take_turn(world.service)

    assert world.desk.count("ping") == 1
    assert [(one["event"], one["remote"]) for one in logs] == [("finding_began", "helpdesk")]
    assert kept(world.inbox, "helpdesk") == ["helpdesk_away"]


def test_what_is_wrong_with_the_store_is_kept_and_logged_once(
    world: World, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.service.inbox, "has_room", lambda: False)
    with capture_logs() as logs:
        for _ in range(2):
            world.store.zadd("mc:checks", {"store": 0})
            checks.take_turn(world.service)

    assert [(one["event"], one["remote"]) for one in logs] == [("finding_began", "store")]
    assert kept(world.inbox, "store") == ["store_full"]


def test_a_fault_in_the_helpdesks_check_keeps_no_page_from_its_own(
    world: World, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(world.desk), "request_webhook", Mock(side_effect=KeyError))
    make_due(world)
    checks.take_turn(world.service)

    assert sorted(pages.checked) == sorted([PAGE_A, PAGE_B])


def test_a_check_that_finds_what_stops_messages_has_it_reported(world: World, pages: Pages) -> None:
    pages.found[PAGE_A] = [finding("app_subscribed_elsewhere", url="a", ours="b")]
    make_due(world)
    checks.take_turn(world.service)

    assert world.waiting(f"report:{A}:") == 1
    assert world.waiting(f"report:{B}:") == 0


def test_what_a_check_on_request_finds_of_a_page_that_is_off_is_not_kept(world: World, pages: Pages) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, active=False)])
    pages.found[PAGE_A] = [UNSUBSCRIBED]
    found = checks.on_request(lambda: world.service)(PAGE_A)

    assert found
    assert found[0]["code"] == "page_not_subscribed"
    assert kept(world.inbox, A) == []


def test_a_check_on_request_is_of_helpdesk_and_store_too_and_is_reported(world: World, pages: Pages) -> None:
    pages.found[PAGE_A] = [UNSUBSCRIBED]
    found = checks.on_request(lambda: world.service)(PAGE_A)

    assert found
    codes = [one["code"] for one in found]
    expected = ["page_not_subscribed", "desk_unknown", "helpdesk_works", "helpdesk_webhook_unknown"]
    assert codes == [*expected, "store_works", "store_keeps_data", "store_keeps_all"]
    assert world.waiting(f"report:{A}:") == 1
