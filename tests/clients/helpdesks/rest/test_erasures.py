"""Erasures: a part of the API that a helpdesk need not have."""

import json
from datetime import UTC, datetime

import httpx
import pytest

from clients.errors import NotFound, RejectedError, ServiceDown, Unauthorized, Unavailable
from clients.helpdesks.rest import RestHelpdesk
from tests.fakes.conversation import PERSON
from tests.fakes.rest_helpdesk import Site, answering

AT = datetime(2026, 11, 22, 20, 15, 3, 123000, tzinfo=UTC)


def _erase(helpdesk: RestHelpdesk) -> bool:
    return helpdesk.erase(PERSON, AT, "facebook:1:erasure:ab")


def test_an_erasure_says_of_whom_and_since_when_it_was_asked_for() -> None:
    site = Site(lambda _: httpx.Response(201))
    assert _erase(site.helpdesk)

    (request,) = site.requests
    assert (request.method, request.url.path) == ("POST", "/api/v1/erasures")
    assert request.headers["idempotency-key"] == "facebook:1:erasure:ab"
    assert json.loads(request.content) == {
        "erasure": {
            "source": PERSON.channel,
            "page_id": PERSON.account_id,
            "sender_id": PERSON.person_id,
            "requested_at": "2026-11-22T20:15:03.123Z",
        }
    }


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_helpdesk_need_not_have_erasures(status: int) -> None:
    assert not _erase(answering(status, {"error": {"code": "not_found"}}))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, Unauthorized), (422, RejectedError), (500, Unavailable), (503, ServiceDown), (409, Unavailable)],
)
def test_any_other_answer_is_what_it_is_elsewhere(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        _erase(answering(status))


def test_elsewhere_404_is_no_part_of_the_api_that_is_missing() -> None:
    with pytest.raises(NotFound):
        answering(404).get_ticket("1")
