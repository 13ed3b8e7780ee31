"""Forgetting a person: nothing of theirs is left in the store, whatever was under way."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clients.channels.meta.login import FacebookLogin
from clients.errors import LeaseLost, NotFound, RejectedError
from sandbox.stack import until
from tasks import erasures, person, worker
from tasks.inbound import backfill
from tasks.inbound.backfill import ConnectionNotes
from tasks.inbox.inbox import AT_ONCE
from tasks.inbox.job import Job, Step
from tasks.inbox.personal import Personal
from tasks.inbox.queues import erasure_queue, matching_queue
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import IN, OUT, PERSON, PSID, SENT_AT, TICKET
from tests.fakes.crashes import every_crash
from tests.fakes.dump import contents, mentions
from tests.fakes.failures import away, fault, too_long
from tests.fakes.fetching import ACCOUNT, fetch, relay
from tests.fakes.meta import Refusal
from tests.fakes.replies import later_moment
from tests.fakes.world import World

ERASE = erasure_queue(PERSON)
SECRETS = (PSID, "Anna", "Nowak", "SECRET", "mid.", "m_ours")
"""Their id and name; all texts and message ids of the stories hold one of the others."""
OTHER = "8000000000000008"
GIFT: dict[str, Any] = {"timestamp": SENT_AT, "gift": {"name": "SECRET mug"}}


@pytest.fixture(autouse=True)
def _asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wake nobody: the test works by itself."""
    monkeypatch.setattr(backfill, "wake", int)
    monkeypatch.setattr(backfill, "wake_fetchers", int)


def _edit(mid: str) -> dict[str, Any]:
    edit = {"mid": mid, "text": "SECRET edit", "num_edit": 1}
    return {"timestamp": SENT_AT + 1000, "message_edit": edit}


def _with_a_ticket(world: World) -> None:
    """Talk on an open ticket, and leave something of every kind."""
    world.configure(connections=[connection(PAGE_A, SECRET_A, remind_before=2)], worker={"echo_wait": 0})
    world.echo_all()
    world.desk.open()
    world.meta.fail("person", fault())
    world.receive("mid.1", "SECRET one")
    world.receive_item(_edit("mid.1"))
    world.receive_item(_edit("mid.of nobody"))
    world.receive_item(GIFT)
    world.resume()
    world.reply("SECRET reply", id_="981")
    world.work(OUT)
    world.receive_receipt("delivery", later_moment())
    world.work(OUT)
    world.reply("SECRET reply", id_="982")
    world.work(OUT)
    world.receive("mid.now", "SECRET now", int(world.inbox.now() * 1000))
    world.resume()
    _leave_dead_letters(world)
    _leave_work(world)


def _leave_dead_letters(world: World) -> None:
    world.receive("mid.dead", "SECRET dead")
    world.desk.fail("add_comment", *too_long())
    world.resume()
    world.reply("SECRET refused", id_="983")
    world.meta.fail("send", Refusal(551))
    world.resume(OUT)
    _unconfirmed(world)


def _leave_work(world: World) -> None:
    world.receive("mid.waits", "SECRET waits")
    world.receive("mid.behind", "SECRET behind", SENT_AT + 1)
    world.desk.fail("add_comment", fault())
    world.resume()
    world.reply("SECRET waits", id_="985")
    world.meta.fail("send", Refusal(2, status=500))
    world.resume(OUT)


def _without_one(world: World) -> None:
    """Write while no ticket can be opened, beside another app."""
    echo = {"mid": "mid.app", "text": "SECRET app", "is_echo": True, "app_id": 999}
    world.receive_item({"timestamp": SENT_AT, "message": echo}, from_page=True)
    world.receive_item({"timestamp": SENT_AT, "take_thread_control": {"new_owner_app_id": 999}})
    world.receive("mid.1", "SECRET one")
    world.desk.fail("create_ticket", *too_long())
    world.work()


def _named(world: World) -> None:
    """Write a message that opens a ticket."""
    world.receive("mid.1", "SECRET one")
    world.work()


def _nameless(world: World) -> None:
    """Write a message that opens a ticket while the name cannot be read."""
    world.meta.fail("person", fault())
    _named(world)


def _before_its_history(world: World) -> None:
    """Write while the history of the page is being fetched."""
    world.configure(connections=[connection(PAGE_A, SECRET_A, history_days=1)])
    ConnectionNotes(world.inbox, world.service.connections, fetches_missed=True).refresh()
    world.meta.say("mid.0", int(world.inbox.now() * 1000) - 1000, message="SECRET before")
    world.receive("mid.1", "SECRET one", int(world.inbox.now() * 1000))
    world.work()


def _fetched(world: World) -> None:
    """Write more than Meta shows while no webhook comes; a conversation of another time cannot be read."""
    now = int(world.inbox.now() * 1000)
    for at in range(25):
        world.meta.say(f"mid.{at}", now - 60_000 + at * 1000, message="SECRET missed")
    _fetch(world)
    relay(world)
    world.meta.spoilt[PSID] = Refusal(100, 33)
    _fetch(world)
    relay(world)
    world.meta.spoilt[PSID] = Refusal(1, status=500)
    _fetch(world)


def _fetch(world: World) -> None:
    backfill.fetch_since(world.service, ACCOUNT, datetime.now(UTC) - timedelta(hours=1))
    fetch(world)


STORIES: list[Callable[[World], None]] = [
    _with_a_ticket,
    _without_one,
    _named,
    _nameless,
    _before_its_history,
    _fetched,
]


def _forget(world: World) -> str:
    code = erasures.request(world.inbox, PERSON)
    for _ in range(3):
        world.resume(ERASE)
    return code


def test_the_stories_leave_something_by_every_name(worlds: Callable[[], World]) -> None:
    left = set[Personal]()
    for story in STORIES:
        world = worlds()
        story(world)
        left |= {name for name in Personal if world.inbox.kept(name, PERSON)}
    assert left == set(Personal)


def test_a_story_leaves_jobs_dead_letters_and_unknown_events(world: World) -> None:
    _with_a_ticket(world)
    assert {way: len(jobs) for way, jobs in person.jobs_of(world.inbox, PERSON).items()} == {
        "in": 2,
        "out": 1,
    }
    assert [one.job.queue for one in person.dead_letters_of(world.inbox, PERSON)] == [IN, OUT, TICKET]
    assert len(person.unknown_events_of(world.inbox, PERSON)) == 1


@pytest.mark.parametrize("story", STORIES)
def test_nothing_in_the_store_mentions_who_was_forgotten(
    world: World, story: Callable[[World], None]
) -> None:
    story(world)
    assert mentions(world.store, *SECRETS)

    _forget(world)
    assert mentions(world.store, *SECRETS) == []


def _files(world: World) -> bytes:
    """Return what the files of the store hold, of which one may just be replaced."""
    settings = world.store.config_get("*dir*")
    folder = Path(settings["dir"], settings["appenddirname"])
    found = b""
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            found += file.read_bytes()
    return found


def _rewrite(world: World, rewrite: Callable[[], None]) -> None:
    """Have the files written anew; the store is at those of the test before, perhaps."""

    def is_done() -> bool:
        rewrite()
        return world.inbox.get("rewritten") is not None

    until("the store has taken it", is_done, within=10)


def test_the_files_of_the_store_do_not_mention_who_was_forgotten_either(world: World) -> None:
    _named(world)
    _forget(world)
    assert b"SECRET one" in _files(world)

    _rewrite(world, world.inbox.rewrite)
    until("its files are written anew", lambda: b"SECRET one" not in _files(world), within=10)


def test_while_a_wish_waits_no_file_is_written_anew(world: World) -> None:
    _named(world)
    world.desk.fail("erase", away())
    erasures.request(world.inbox, PERSON)
    world.work(ERASE)
    world.inbox.rewrite()

    assert world.inbox.get("rewritten") is None


@pytest.mark.parametrize("error", [None, RejectedError("it says no")])
def test_the_sweep_has_the_files_written_anew(
    world: World, monkeypatch: pytest.MonkeyPatch, error: RejectedError | None
) -> None:
    if error:
        world.desk.fail("erase", error)
    _forget(world)
    monkeypatch.setattr(worker, "services", lambda: world.service)
    _rewrite(world, worker.sweep)


def test_nothing_of_anybody_else_is_forgotten(world: World) -> None:
    world.receive("m_other", "hello", person=OTHER)
    world.desk.fail("create_ticket", fault())
    world.work(f"in:facebook_messenger:{PAGE_A}:{OTHER}")
    before = {key: held for key, held in contents(world.store).items() if OTHER in key}
    assert len(before) > 2
    _named(world)

    _forget(world)
    assert {key: held for key, held in contents(world.store).items() if OTHER in key} == before


def test_after_forgetting_a_person_is_as_new_as_any(world: World) -> None:
    _named(world)
    _forget(world)
    world.desk.tickets["t1"].closed = True
    world.receive("mid.2", "hello again")
    world.work()

    assert list(world.desk.tickets) == ["t1", "t2"]


def test_the_helpdesk_is_told_before_anything_is_forgotten(world: World) -> None:
    _named(world)
    kept = list[bool]()
    world.desk.hooks["erase"] = lambda: kept.append(bool(world.inbox.kept(Personal.PROFILE, PERSON)))

    code = _forget(world)
    assert kept == [True]
    assert world.desk.erased == [PERSON]
    assert world.desk.keys[-1].startswith(f"facebook:{PAGE_A}:erasure:{code}:")


def test_while_the_helpdesk_is_away_the_wish_waits_and_all_is_kept(world: World) -> None:
    _named(world)
    world.desk.fail("erase", away())
    world.desk.fail("ping", away())
    code = erasures.request(world.inbox, PERSON)
    world.work(ERASE)
    outcome = erasures.outcome(world.inbox, code)
    assert outcome
    assert outcome.state == "waiting"
    assert world.inbox.kept(Personal.PROFILE, PERSON)

    world.end_pause()
    world.resume(ERASE)
    assert mentions(world.store, *SECRETS) == []


def test_a_helpdesk_without_erasures_does_not_keep_the_connector_from_forgetting(world: World) -> None:
    _named(world)
    world.desk.can_erase = False
    outcome = erasures.outcome(world.inbox, _forget(world))

    assert outcome
    assert outcome.state == "helpdesk_cannot"
    assert mentions(world.store, *SECRETS) == []


def test_a_helpdesk_that_refuses_leaves_a_dead_letter_and_nothing_else(world: World) -> None:
    _named(world)
    world.desk.fail("erase", RejectedError("it says no"))
    outcome = erasures.outcome(world.inbox, _forget(world))

    assert outcome
    assert outcome.state == "refused"
    assert mentions(world.store, *SECRETS) == ["mc:dead"]
    (letter,) = world.inbox.dead_letters.all()
    assert letter.job.queue == ERASE


def test_a_refused_erasure_that_is_retried_leaves_nothing(world: World) -> None:
    world.desk.fail("erase", RejectedError("it says no"))
    code = _forget(world)
    (letter,) = world.inbox.dead_letters.all()
    world.inbox.dead_letters.requeue(letter)
    world.resume(ERASE)

    outcome = erasures.outcome(world.inbox, code)
    assert outcome
    assert outcome.state == "done"
    assert mentions(world.store, *SECRETS) == []


def test_the_outcome_holds_no_id_of_the_person(world: World) -> None:
    code = _forget(world)
    (key,) = mentions(world.store, code, "requested_at")[:1]
    assert key == f"mc:erasure:{code}"


def test_who_works_for_the_person_can_save_nothing_any_more(world: World) -> None:
    world.receive("mid.1", "SECRET one")
    lease = world.inbox.claim(IN)
    assert lease
    person.forget(world.inbox, PERSON)

    changes: list[Callable[[], object]] = [
        lambda: lease.save_step(Step.call(), "ticket"),
        lambda: lease.note(Personal.OURS, "mid.1", 1),
        lambda: lease.cache(Personal.PROFILE, b"Anna"),
        lambda: lease.keep_unknown("Anna"),
    ]
    for change in changes:
        with pytest.raises(LeaseLost):
            change()
    assert lease.finish() is False
    lease.retry_later(1, "Anna", counts=True)
    assert mentions(world.store, *SECRETS) == []


@pytest.mark.parametrize("name", ["person", "create_ticket"])
def test_a_message_under_way_leaves_nothing_and_the_helpdesk_is_told_once_more(
    world: World, name: str
) -> None:
    def forget() -> None:
        erasures.request(world.inbox, PERSON)
        worker.work_on(world.service, ERASE)

    outside = world.meta if name == "person" else world.desk
    outside.hooks[name] = forget
    world.receive("mid.1", "SECRET one")
    world.work()
    outside.hooks.clear()
    assert mentions(world.store, "Anna", "SECRET", "mid.") == []

    world.resume(ERASE)
    assert world.desk.erased == [PERSON, PERSON]
    assert len(set(world.desk.keys[-2:])) == 2
    assert mentions(world.store, *SECRETS) == []


def test_what_comes_between_the_two_is_kept(world: World) -> None:
    world.receive("mid.1", "SECRET one")
    assert world.inbox.claim(IN)
    erasures.request(world.inbox, PERSON)
    worker.work_on(world.service, ERASE)
    world.receive("mid.2", "hello again")
    world.resume(ERASE)

    assert world.waiting(IN) == 1


def test_a_queue_of_any_length_is_forgotten(world: World) -> None:
    count = 2 * AT_ONCE + 5
    world.inbox.accept([Job(key=str(at), queue=IN, time=at, body=b'"SECRET"') for at in range(count)])
    person.forget(world.inbox, PERSON)
    assert mentions(world.store, *SECRETS) == []


def test_a_queue_that_waits_beside_another_is_forgotten(world: World) -> None:
    world.receive("mid.1", "SECRET one")
    world.receive("m_other", person=OTHER)
    _forget(world)

    assert mentions(world.store, *SECRETS) == []
    lease = world.inbox.claim()
    assert lease
    assert lease.queue.endswith(OTHER)


def test_a_trial_by_a_forgotten_queue_does_not_hold_up_the_helpdesk(world: World) -> None:
    _named(world)
    world.receive("mid.2", "SECRET two")
    world.inbox.pause("helpdesk", 0.001, "it was down")
    world.end_pause()
    assert world.inbox.claim()
    person.forget(world.inbox, PERSON)
    world.receive("m_other", person=OTHER)
    world.inbox.sweep(10, 10)

    lease = world.inbox.claim()
    assert lease
    assert lease.queue.endswith(OTHER)


def _unconfirmed(world: World) -> None:
    """Lose a reply of which only its ticket says whose it is."""
    world.desk.fail("get_ticket", NotFound("gone"))
    world.reply("SECRET unconfirmed", id_="984", is_confirmed=False)
    world.resume(TICKET)


def _known_by_the_open_ticket(world: World) -> None:
    world.desk.open()
    world.receive("mid.1", "SECRET one")
    world.work()
    _unconfirmed(world)


def _known_by_another_dead_letter(world: World) -> None:
    world.desk.open()
    world.meta.fail("send", Refusal(551))
    world.reply("SECRET refused", id_="983")
    world.work(OUT)
    _unconfirmed(world)


@pytest.mark.parametrize("story", [_with_a_ticket, _known_by_the_open_ticket, _known_by_another_dead_letter])
def test_wherever_a_worker_dies_nothing_is_left_of_the_person(
    worlds: Callable[[], World], story: Callable[[World], None]
) -> None:
    def prepare(world: World) -> list[str]:
        story(world)
        erasures.request(world.inbox, PERSON)
        return [ERASE]

    for world in every_crash(worlds, prepare):
        assert set(world.desk.erased) == {PERSON}
        assert mentions(world.store, *SECRETS) == []


def test_wherever_a_worker_dies_who_had_to_be_matched_first_is_forgotten(
    worlds: Callable[[], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FacebookLogin, "conversations_of", lambda *_: [PERSON])
    codes, app_scoped = [""], "10158000000000007"

    def prepare(world: World) -> list[str]:
        _named(world)
        codes[0] = erasures.request_match(world.inbox, PERSON.channel, app_scoped)
        return [ERASE, matching_queue(codes[0])]  # what it queued may be done before it is repeated

    for world in every_crash(worlds, prepare):
        assert [one.state for one in erasures.outcomes(world.inbox, codes[0])] == ["done"]
        assert set(world.desk.erased) == {PERSON}
        assert mentions(world.store, *SECRETS, app_scoped) == []
