"""What stops messages becomes one internal ticket, whoever looks, and whoever dies in between."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from clients.errors import RejectedError
from clients.findings import Finding, finding
from clients.notices import notice
from tasks import checks, findings, remotes, reports
from tasks.inbox.queues import desk_remote, report_queue
from tests.conftest import PAGE_A, PAGE_B, SECRET_A, connection
from tests.fakes.conversation import OUT
from tests.fakes.crashes import every_crash
from tests.fakes.desk import Opened
from tests.fakes.failures import away, fault
from tests.fakes.meta import Refusal
from tests.fakes.reports import NO_DESK, QUEUE, UNSUBSCRIBED, A, ask, check
from tests.fakes.world import World

B = f"facebook_messenger:{PAGE_B}"
FAR = 9e15
NO_CATEGORY = finding("category_missing", category_id="12")
EXPIRES = finding("page_token_expires", time="2026-12-24 18:00 UTC")
AWAY = finding("facebook_away", reason=notice("host_no_answer", host="graph.facebook.com"))


def ticket(world: World) -> Opened:
    (one,) = world.desk.tickets.values()
    return one


def comments(world: World) -> list[str]:
    assert all(one.internal and one.author.type == "system" for one in ticket(world).comments)
    return [one.body for one in ticket(world).comments]


def test_what_stops_messages_becomes_one_ticket_of_the_desk(world: World) -> None:
    for _ in range(3):
        check(world, UNSUBSCRIBED, EXPIRES)

    new = ticket(world).new
    assert new
    assert (new.title, new.desk_id) == ("Messenger: Messages of the page Page 1 do not get through", "7")
    assert new.customer is None
    assert "not subscribed" in new.body
    assert "Customers' messages do not arrive." in new.body
    assert "expires" not in new.body
    assert comments(world) == []
    assert world.left() == set()


OPERATOR = "To do, for whoever runs the connector: "


@pytest.mark.parametrize(
    ("found", "todo"),
    [
        (UNSUBSCRIBED, f"{OPERATOR}Run “connector check --fix”"),
        (NO_DESK, f"{OPERATOR}Correct desk_id"),
        (finding("page_token_invalid"), f"{OPERATOR}Create a new page access token"),
        (finding("page_is_blocked"), "once this is fixed. See in Meta Business Support Home"),
    ],
)
def test_what_only_the_operator_can_do_is_said_to_be_theirs(world: World, found: Finding, todo: str) -> None:
    check(world, found)

    new = ticket(world).new
    assert new
    assert todo in new.body


def test_what_stops_nothing_becomes_no_ticket(world: World) -> None:
    check(world, EXPIRES)
    assert world.desk.calls == []


def test_what_changes_is_said_on_the_ticket_once(world: World) -> None:
    check(world, UNSUBSCRIBED)
    for _ in range(2):
        check(world, UNSUBSCRIBED, NO_DESK)
    assert ["It has changed" in one and "no desk 7" in one for one in comments(world)] == [True]

    check(world, UNSUBSCRIBED)
    assert ["desk" in one for one in comments(world)] == [True, False]


def test_when_it_is_over_the_ticket_says_so_and_is_closed(world: World) -> None:
    check(world, UNSUBSCRIBED)
    for _ in range(2):
        check(world, EXPIRES)

    assert ["It is over" in one for one in comments(world)] == [True]
    assert ticket(world).closed


def test_a_helpdesk_that_closes_no_tickets_says_that_it_is_over(world: World) -> None:
    world.desk.can_close = False
    for _ in range(2):
        check(world, UNSUBSCRIBED)
        check(world)

    first, second = world.desk.tickets.values()
    assert not first.closed
    assert ["It is over" in one.body for one in (*first.comments, *second.comments)] == [True, True]


def test_what_comes_again_gets_a_ticket_of_its_own(world: World) -> None:
    check(world, UNSUBSCRIBED)
    check(world)
    check(world, UNSUBSCRIBED)

    assert [one.closed for one in world.desk.tickets.values()] == [True, False]


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_there_is_one_ticket(worlds: Callable[[], World], *, knows_keys: bool) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        ask(world, UNSUBSCRIBED)
        return [QUEUE]

    for world in every_crash(worlds, prepare):
        assert ticket(world).new
        assert comments(world) == []
        check(world, UNSUBSCRIBED)
        assert len(world.desk.tickets) == 1
        assert world.left() == set()


@pytest.mark.parametrize("knows_keys", [True, False])
@pytest.mark.parametrize("after", [(UNSUBSCRIBED, NO_DESK), ()])
def test_wherever_a_worker_dies_what_changes_is_said_once(
    worlds: Callable[[], World], after: tuple[Finding, ...], *, knows_keys: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        check(world, UNSUBSCRIBED)
        ask(world, *after)
        return [QUEUE]

    for world in every_crash(worlds, prepare):
        assert len(comments(world)) == 1
        assert ticket(world).closed is not bool(after)


def test_what_changed_before_the_create_was_known_to_have_worked_is_said_on_the_ticket(world: World) -> None:
    world.desk.fail("create_ticket", fault(), after=True)
    check(world, UNSUBSCRIBED)
    check(world, UNSUBSCRIBED, NO_DESK)
    world.resume(QUEUE)

    assert len(comments(world)) == 1
    assert "no desk 7" in comments(world)[0]


def test_two_who_check_at_once_make_one_ticket(world: World) -> None:
    for _ in range(2):
        ask(world, UNSUBSCRIBED)
    assert world.waiting(QUEUE) == 1
    ask(world, UNSUBSCRIBED, NO_DESK)
    world.resume(QUEUE)

    assert "no desk 7" in getattr(ticket(world).new, "body", "")
    assert comments(world) == []


def test_what_often_passes_by_itself_has_to_be_found_twice(world: World) -> None:
    check(world, AWAY)
    assert world.desk.tickets == {}
    check(world, AWAY)
    assert ticket(world).new


def test_while_the_helpdesk_is_away_the_report_waits(world: World) -> None:
    world.desk.fail("create_ticket", away())
    check(world, UNSUBSCRIBED)
    assert world.desk.tickets == {}
    for _ in range(3):
        ask(world, UNSUBSCRIBED)
    assert world.waiting(QUEUE) == 1
    world.resume(QUEUE)

    assert ticket(world).new
    assert world.reasons() == []


def test_what_was_over_before_the_helpdesk_was_back_becomes_no_ticket(world: World) -> None:
    world.desk.fail("create_ticket", away())
    check(world, UNSUBSCRIBED)
    check(world)

    assert world.desk.tickets == {}


def test_a_helpdesk_that_takes_no_such_tickets_is_logged_once_and_it_is_no_dead_letter(world: World) -> None:
    world.desk.refuses = lambda _: RejectedError("it answered 422")
    with capture_logs() as logs:
        for _ in range(3):
            check(world, UNSUBSCRIBED)

    assert [one["remote"] for one in logs if one["event"] == "not_reported"] == [A]
    assert world.reasons() == []


def test_a_helpdesk_that_fails_at_this_alone_is_given_up_without_a_dead_letter(world: World) -> None:
    world.desk.fail("create_ticket", *(fault() for _ in range(3)))
    ask(world, UNSUBSCRIBED)
    with capture_logs() as logs:
        for _ in range(5):
            world.resume(QUEUE)

    assert [one["event"] for one in logs if one["event"] == "not_reported"] == ["not_reported"]
    assert world.reasons() == []


def test_where_the_setting_is_off_there_is_no_ticket(world: World) -> None:
    world.configure(check_tickets=False)
    check(world, UNSUBSCRIBED)

    assert world.desk.calls == []
    assert world.inbox.findings()


def test_a_ticket_that_is_there_is_closed_though_the_setting_is_off_by_now(world: World) -> None:
    check(world, UNSUBSCRIBED)
    world.configure(check_tickets=False)
    check(world)

    assert ticket(world).closed


def test_a_ticket_that_agents_closed_stays_so_until_something_else_is_wrong(world: World) -> None:
    check(world, UNSUBSCRIBED, NO_DESK)
    ticket(world).closed = True
    check(world, UNSUBSCRIBED)
    assert comments(world) == []
    check(world, UNSUBSCRIBED, NO_DESK)

    first, second = world.desk.tickets.values()
    assert (first.closed, second.closed) == (True, False)
    check(world)
    assert second.closed


def test_a_ticket_that_agents_closed_or_deleted_ends_with_what_was_wrong(world: World) -> None:
    check(world, UNSUBSCRIBED)
    world.desk.tickets.clear()
    check(world)
    check(world, UNSUBSCRIBED)

    assert ticket(world).new
    assert world.reasons() == []


def test_a_category_that_is_missing_is_no_category_of_the_ticket(world: World) -> None:
    page = connection(PAGE_A, SECRET_A, category_id="12")
    world.configure(connections=[page])
    check(world, UNSUBSCRIBED)
    check(world)
    check(world, NO_CATEGORY)

    made = [one.new for one in world.desk.tickets.values()]
    assert [one and one.category_id for one in made] == ["12", None]


def test_the_ticket_is_in_the_agents_language(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, language="pl")])
    check(world, UNSUBSCRIBED)
    check(world)

    new = ticket(world).new
    assert new
    assert new.title == "Messenger: Wiadomości strony Page 1 nie docierają"
    assert "To zgłoszenie jest wewnętrzne" in new.body
    assert comments(world)[0].startswith("Problem ustąpił")


def test_the_ticket_of_a_connection_that_is_not_active_any_more_says_that_it_is_not_checked(
    world: World,
) -> None:
    check(world, UNSUBSCRIBED)
    world.configure(connections=[connection(PAGE_A, SECRET_A, active=False)])
    check(world)

    assert ["not checked" in one for one in comments(world)] == [True]
    assert ticket(world).closed


def test_what_agents_write_on_the_ticket_is_sent_to_nobody(world: World) -> None:
    check(world, UNSUBSCRIBED)
    world.desk.tickets["42"] = ticket(world)
    world.reply("I am on it.", is_confirmed=False)
    world.work("ticket:42")

    assert world.meta.sent == []
    assert world.reasons() == []


# --- What a page is paused for. ---------------------------------------------------------------------------

BLOCKED, RESTRICTED = Refusal(368), Refusal(10, 1893063)


@pytest.fixture
def paused(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world in which a page is tried again at once, and two of its replies wait."""
    monkeypatch.setattr(remotes, "SHORTEST_UNAUTHORIZED", 0)
    world.desk.open()
    for number in range(2):
        world.reply(f"part {number}", id_=f"98{number}")
    return world


def try_replies(world: World, *refusals: Refusal) -> None:
    """Have the page's replies tried until Meta has refused so many, or all are sent; then report."""
    world.meta.fail("send", *refusals)
    for _ in refusals or [None]:
        world.end_pause(A)
        world.work(OUT)
        world.work(QUEUE)


def of_page(world: World) -> list[Opened]:
    return [one for id_, one in world.desk.tickets.items() if id_ != "42"]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (BLOCKED, "temporarily blocked the page for a policy violation. (Facebook error 368)"),
        (RESTRICTED, "restricted the page from sending for now. (Facebook error 10/1893063)"),
        (Refusal(190, 460), "The page access token is not valid. (Facebook error 190/460)"),
    ],
)
def test_a_page_that_meta_refuses_all_replies_of_is_one_ticket_until_one_goes_out(
    paused: World, refusal: Refusal, words: str
) -> None:
    try_replies(paused, *[refusal] * 3)
    (told,) = of_page(paused)
    assert told.new
    assert (told.new.desk_id, told.new.customer) == ("7", None)
    assert words in told.new.body
    assert "Replies wait and are sent once this is fixed." in told.new.body
    assert (told.comments, told.closed) == ([], False)

    try_replies(paused)
    assert paused.meta.texts() == ["part 0", "part 1"]
    assert [one.body.partition(":")[0] for one in told.comments] == ["It is over"]
    assert told.closed
    assert len(of_page(paused)) == 1


def test_a_check_between_two_pauses_does_not_say_that_it_is_over(paused: World) -> None:
    try_replies(paused, BLOCKED)
    check(paused)
    try_replies(paused, BLOCKED)

    assert [(one.comments, one.closed) for one in of_page(paused)] == [([], False)]


def test_a_page_that_is_refused_for_another_reason_than_before_is_told_of_on_the_same_ticket(
    paused: World,
) -> None:
    try_replies(paused, BLOCKED, RESTRICTED)

    (told,) = of_page(paused)
    assert ["It has changed" in one.body and "restricted" in one.body for one in told.comments] == [True]


def test_what_the_checks_find_as_well_changes_nothing_on_the_ticket(paused: World) -> None:
    try_replies(paused, Refusal(190))
    check(paused, finding("page_token_invalid"))

    assert [one.comments for one in of_page(paused)] == [[]]


def test_another_worker_sees_that_the_page_works_again(paused: World) -> None:
    try_replies(paused, BLOCKED)
    paused.configure()
    try_replies(paused)

    assert [one.closed for one in of_page(paused)] == [True]


def test_a_page_that_nobody_tries_any_more_is_told_of_no_longer(paused: World) -> None:
    try_replies(paused, BLOCKED)
    paused.end_pause(A)
    check(paused)

    assert [one.closed for one in of_page(paused)] == [True]


def test_wherever_a_worker_dies_a_refused_page_is_one_ticket_and_its_reply_goes_out_once(
    worlds: Callable[[], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes, "SHORTEST_UNAUTHORIZED", 0)
    monkeypatch.setattr(reports, "OVER_AFTER", 1e12)  # the page is tried again, though time passes

    def prepare(world: World) -> list[str]:
        world.configure(worker={"echo_wait": 0})
        world.desk.open()
        world.echo_all()
        world.reply()
        world.meta.fail("send", BLOCKED, BLOCKED)
        return [OUT, QUEUE]

    for world in every_crash(worlds, prepare):
        check(world)
        assert world.meta.texts() == ["Hello"]
        assert [(len(one.comments), one.closed) for one in of_page(world)] == [(1, True)]


@pytest.mark.parametrize("refusal", [Refusal(613), Refusal(2, status=503)])
def test_a_page_that_has_to_slow_down_or_that_meta_is_away_for_is_no_ticket(
    paused: World, refusal: Refusal
) -> None:
    try_replies(paused, refusal)

    assert of_page(paused) == []


# --- What all pages share. --------------------------------------------------------------------------------

NOTHING_ARRIVES = finding(
    "helpdesk_webhook_elsewhere_unpolled", url="https://a.example", ours="https://b.example"
)
EVICTS = finding("store_evicts", policy="allkeys-lru")
HELPDESK_AWAY = finding("helpdesk_away", reason=notice("token_refused", service="helpdesk"))


def check_shared(world: World, monkeypatch: pytest.MonkeyPatch, *found: Finding) -> None:
    """Check the helpdesk and the store, which have this wrong, and let a worker report."""
    of_store = [one for one in found if one.code.startswith("store")]
    monkeypatch.setattr(checks, "check_store", lambda _: of_store)
    monkeypatch.setattr(checks, "check_helpdesk", lambda _: [one for one in found if one not in of_store])
    world.store.zadd("mc:checks", {"helpdesk": 0, "store": 0, A: FAR, B: FAR})
    checks.take_turn(world.service)
    for desk in ("7", "9"):
        world.resume(report_queue(desk_remote(desk)))


def told(world: World) -> dict[str, Opened]:
    """Return the tickets by their desks."""
    found = {one.new.desk_id: one for one in world.desk.tickets.values() if one.new}
    assert len(found) == len(world.desk.tickets)
    return found


def test_what_is_wrong_with_helpdesk_or_store_is_one_ticket_of_each_desk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [connection(page, SECRET_A, desk_id="7") for page in (PAGE_A, PAGE_B)]
    world.configure(connections=[*two, connection("3", SECRET_A, desk_id="9")])
    world.store.zadd("mc:checks", {"facebook_messenger:3": FAR})
    for _ in range(2):
        check_shared(world, monkeypatch, NOTHING_ARRIVES, EVICTS)

    tickets = told(world)
    assert set(tickets) == {"7", "9"}
    new = tickets["7"].new
    assert new
    assert (new.title, new.category_id) == ("Messages of all pages may not get through", None)
    assert "Agents' replies are not sent" in new.body
    assert "allkeys-lru" in new.body
    assert tickets["7"].comments == []


def test_when_helpdesk_and_store_are_well_again_each_ticket_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for found in ([NOTHING_ARRIVES], [NOTHING_ARRIVES, EVICTS], []):
        check_shared(world, monkeypatch, *found)

    (one,) = told(world).values()
    assert ["It has changed" in comment.body for comment in one.comments] == [True, False]
    assert one.closed


@pytest.mark.parametrize("knows_keys", [True, False])
def test_wherever_a_worker_dies_a_desk_has_one_ticket(
    worlds: Callable[[], World], *, knows_keys: bool
) -> None:
    desk = desk_remote("7")

    def prepare(world: World) -> list[str]:
        world.desk.knows_keys = knows_keys
        findings.note(world.inbox, "store", [EVICTS])
        reports.request(world.service, desk)
        return [report_queue(desk)]

    for world in every_crash(worlds, prepare):
        reports.request(world.service, desk)
        world.resume(report_queue(desk))
        assert set(told(world)) == {"7"}
        assert comments(world) == []


def test_of_a_helpdesk_that_takes_no_tickets_none_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_shared(world, monkeypatch, HELPDESK_AWAY)
    check_shared(world, monkeypatch)

    assert world.desk.tickets == {}
    assert world.left() == {"mc:checks"}


def test_a_desk_without_a_page_left_is_told_that_nothing_is_checked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_shared(world, monkeypatch, EVICTS)
    world.configure(connections=[connection(PAGE_B, SECRET_A, desk_id="9")])
    world.store.zadd("mc:checks", {desk_remote("7"): 0})
    check_shared(world, monkeypatch, EVICTS)

    tickets = told(world)
    assert "No page of this desk" in tickets["7"].comments[-1].body
    assert (tickets["7"].closed, tickets["9"].closed) == (True, False)


def test_a_desk_may_have_any_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "a:b/ć {1}"
    world.configure(connections=[connection(PAGE_A, SECRET_A, desk_id=odd)])
    check_shared(world, monkeypatch, EVICTS)
    world.resume(report_queue(desk_remote(odd)))

    assert set(told(world)) == {odd}
