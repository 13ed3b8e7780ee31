"""What is kept of a check: when it was, since when nothing is wrong, and what lasts until when."""

from unittest.mock import Mock

import pytest

from clients.findings import Finding, finding
from clients.notices import notice
from tasks import findings
from tasks.findings import Checked
from tasks.inbox.inbox import Inbox
from tests.fakes.world import World

A = "facebook_messenger:1"
FINE, WRONG = finding("page_token_valid"), finding("page_not_subscribed")
LASTS = finding("data_access_lasts", time="2027-02-27 10:00 UTC")
AWAY = finding("facebook_away", reason=notice("unreachable"))


@pytest.fixture
def inbox(world: World) -> Inbox:
    return world.inbox


def checked(inbox: Inbox) -> Checked | None:
    return findings.last_check(inbox.checked([A])[0])


def check(inbox: Inbox, at: float, *found: Finding) -> Checked:
    """Note a check that was made at a time."""
    inbox.now = Mock(return_value=at)  # type: ignore[method-assign]
    findings.note(inbox, A, found)
    kept = checked(inbox)
    assert kept
    return kept


def test_it_is_known_when_a_check_was_made_and_since_when_nothing_was_wrong(inbox: Inbox) -> None:
    assert checked(inbox) is None
    times = [(one.at, one.well_since) for one in (check(inbox, 10, FINE), check(inbox, 20, FINE))]
    times += [(one.at, one.well_since) for one in (check(inbox, 30, WRONG), check(inbox, 40, WRONG))]
    times += [(one.at, one.well_since) for one in (check(inbox, 50, FINE), check(inbox, 60, FINE))]

    assert times == [(10, 10), (20, 10), (30, None), (40, None), (50, 50), (60, 50)]


def test_what_lasts_until_when_is_kept_while_nobody_can_be_asked(inbox: Inbox) -> None:
    assert check(inbox, 10, FINE, LASTS, WRONG).lasts == [FINE.what, LASTS.what]
    assert check(inbox, 20, AWAY).lasts == [FINE.what, LASTS.what]
    assert check(inbox, 30, FINE).lasts == [FINE.what]


def test_a_check_that_could_ask_nothing_is_none(inbox: Inbox) -> None:
    limited = finding("checks_limited", time="2026-11-29 23:00 UTC")
    findings.note(inbox, A, [limited])
    assert checked(inbox) is None
    assert (check(inbox, 10, FINE).at, check(inbox, 20, limited).at) == (10, 10)


def test_nothing_is_known_any_more_once_it_is_not_active(inbox: Inbox) -> None:
    check(inbox, 10, WRONG)
    inbox.forget_checks(A)
    assert checked(inbox) is None


def test_what_could_not_be_looked_at_stays_and_all_else_is_over(inbox: Inbox) -> None:
    """The helpdesk did not answer what desks it has."""
    missing, unseen = finding("desk_missing", desk_id="7"), finding("desk_unknown", desk_id="7", reason="?")
    check(inbox, 10, WRONG, missing)
    check(inbox, 20, FINE, unseen)
    assert [(one.what.code, one.since) for one in findings.kept(inbox.findings_of(A))] == [
        ("desk_missing", 10)
    ]
    check(inbox, 30, FINE, finding("desk_exists", desk_id="7"))
    assert findings.kept(inbox.findings_of(A)) == []


@pytest.mark.parametrize("stored", [b"?", b"[]", b'{"well_since": 1}'])
def test_what_another_version_kept_is_no_error(stored: bytes) -> None:
    assert findings.last_check(stored) is None
