"""`connector forget` and `connector export`."""

import json
from pathlib import Path
from typing import Any

import pytest

from clients.notices import encode, notice
from tasks import erasures
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job, Step
from tasks.inbox.personal import Personal
from tests.conftest import MakeSettings
from tests.fakes.commands import THREAD, Run
from tests.fakes.conversation import PERSON
from tests.fakes.dump import mentions
from tests.fakes.sandbox_helpdesk import ANNA, TOKEN, Desk

PAGE, SENDER = THREAD.split(":")[2:]
WHO = ("--page", PAGE, "--sender", SENDER)
BODY = json.dumps({"text": "zażółć"}).encode()


@pytest.fixture
def desk(tmp_path: Path, store_url: str, make_settings: MakeSettings) -> Any:
    """Give a running sandbox helpdesk that the settings name, with a ticket of the person."""
    desk = Desk(tmp_path / "db.sqlite")
    desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    desk.new_ticket(config=ANNA | {"page_id": PAGE, "sender_id": SENDER})
    helpdesk = {"base_url": f"{desk.url}/api/v1", "api_token": TOKEN}
    make_settings(redis_url=store_url, helpdesk=helpdesk, worker={"lease": 1})
    yield desk
    desk.stop()


@pytest.fixture
def kept(inbox: Inbox) -> Inbox:
    """Give an inbox with a job, one that was begun, a name, and sent messages of a person."""
    inbox.accept([Job(key=str(at), queue=THREAD, time=at, body=BODY) for at in (1, 2)])
    lease = inbox.claim(THREAD)
    assert lease
    lease.cache(Personal.PROFILE, b'{"name":"Anna"}')
    lease.note(Personal.OURS, '["981","ab",["m_1"]]', int(inbox.now() * 1000))
    lease.save_step(Step.call(), "ticket")
    lease.retry_later(60, encode(notice("no_person", kind="x")), counts=True)
    return inbox


def _tickets(desk: Desk) -> list[Any]:
    found: list[Any] = desk.get("tickets", sender_id=SENDER)["tickets"]
    return found


def test_who_is_forgotten_is_nowhere_any_more(run: Run, desk: Desk, kept: Inbox) -> None:
    result = run("forget", *WHO, "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout == "Forgotten. The helpdesk was told to delete what it keeps.\n"
    assert mentions(kept.store, SENDER, "Anna", "zażółć") == []
    assert _tickets(desk) == []


def test_it_is_asked_before_anybody_is_forgotten(run: Run, desk: Desk, kept: Inbox) -> None:
    result = run("forget", *WHO, input="n\n")

    assert result.exit_code == 1
    assert "2 waiting jobs, 0 dead letters, 0 unknown events; beside that: profile, ours." in result.stderr
    assert len(_tickets(desk)) == 1
    assert mentions(kept.store, "Anna")


def test_a_helpdesk_without_erasures_is_named(run: Run, desk: Desk, kept: Inbox) -> None:
    desk.set(erasures=False)
    result = run("forget", *WHO, "--yes")

    assert result.exit_code == 0
    assert "The helpdesk offers no erasures (POST /erasures): delete the tickets there." in result.stdout
    assert mentions(kept.store, SENDER) == []


def test_a_helpdesk_that_refuses_is_an_error(run: Run, desk: Desk, kept: Inbox) -> None:
    fault = {"path": "/api/v1/erasures", "times": 1, "status": 422, "body": {"error": {"code": "invalid"}}}
    desk.http.put("/sandbox/faults", json=[fault]).raise_for_status()
    result = run("forget", *WHO, "--yes")

    assert result.exit_code == 1
    assert "Forgotten here, but the helpdesk refused: helpdesk_refused" in result.stderr
    assert mentions(kept.store, SENDER) == ["mc:dead"]


@pytest.mark.usefixtures("settings_file")
def test_while_the_helpdesk_is_away_the_wish_waits(run: Run, kept: Inbox) -> None:
    result = run("forget", *WHO, "--yes")

    assert result.exit_code == 3
    assert "Not yet: the helpdesk could not be told (unreachable" in result.stderr
    assert kept.jobs(f"erase:{THREAD.removeprefix('in:')}")


@pytest.mark.usefixtures("desk")
def test_a_deletion_request_is_fulfilled_by_its_code(run: Run, inbox: Inbox) -> None:
    code = erasures.request(inbox, PERSON)
    assert run("forget", *WHO, "--yes", "--code", code).exit_code == 0
    outcome = erasures.outcome(inbox, code)
    assert outcome
    assert outcome.state == "done"


@pytest.mark.usefixtures("settings_file")
def test_a_code_that_nobody_got_is_an_error(run: Run) -> None:
    result = run("forget", *WHO, "--yes", "--code", "nobodys")

    assert (result.exit_code, result.stderr) == (1, "There is no deletion request with the code nobodys.\n")


@pytest.mark.parametrize("sender", ["", "  ", "1:2"])
@pytest.mark.usefixtures("settings_file")
def test_what_is_no_id_is_refused(run: Run, sender: str) -> None:
    assert run("forget", "--page", PAGE, "--sender", sender, "--yes").exit_code == 2


@pytest.mark.usefixtures("settings_file")
def test_all_that_is_kept_is_exported(run: Run, kept: Inbox) -> None:
    lease = kept.claim(THREAD.replace("in:", "out:"))
    assert lease is None
    exported = json.loads(run("export", *WHO).stdout)

    assert (exported["page_id"], exported["sender_id"]) == (PAGE, SENDER)
    first, second = exported["waiting"]["in"]
    assert first["steps"] == {"call": "ticket"}
    assert first["history"][0]["code"] == "no_person"
    assert second["event"] == {"text": "zażółć"}
    assert exported["kept"]["profile"] == {"name": "Anna"}
    assert exported["kept"]["ours"][0]["value"] == ["981", "ab", ["m_1"]]
    assert exported["dead_letters"] == exported["unknown_events"] == exported["waiting"]["out"] == []


@pytest.mark.usefixtures("dead")
def test_dead_letters_are_exported_whole(run: Run) -> None:
    letters = json.loads(run("export", *WHO).stdout)["dead_letters"]

    assert [letter["id"] for letter in letters] == [1, 2, 3]
    assert letters[0]["event"] == {"text": "zażółć"}


@pytest.mark.usefixtures("settings_file", "kept")
def test_nobody_elses_is_exported(run: Run) -> None:
    exported = json.loads(run("export", "--page", PAGE, "--sender", "8").stdout)

    assert (exported["kept"], exported["waiting"]) == ({}, {"in": [], "out": []})
