"""How much of its limits a page has used, as the headers of Meta's answers say."""

import json
from typing import Any

import httpx
import pytest

from clients.channel import Usage
from clients.errors import RejectedError
from tests.conftest import PAGE_A, PAGE_B
from tests.fakes.graph import Site, answering, send_hello

SENT = {"recipient_id": "1", "message_id": "m_1"}


def use(type_: str = "messenger", **numbers: Any) -> dict[str, Any]:
    return {"type": type_, "call_count": 1, "total_cputime": 2, "total_time": 3} | numbers


def usage(*uses: Any, page: str = PAGE_A, app: Any = None) -> Usage | None:
    """Return what a page knows after a message was answered with these headers."""
    headers = {"X_Business_Use_Case_Usage": json.dumps({page: uses})} if uses else {}
    if app is not None:
        headers["X_App_Usage"] = json.dumps(app)
    messenger = answering(200, SENT, **headers)
    send_hello(messenger)
    return messenger.usage()


def test_before_the_first_answer_nothing_is_known() -> None:
    assert answering(200, SENT).usage() is None


def test_without_the_headers_nothing_is_known() -> None:
    assert usage() is None


@pytest.mark.parametrize("name", ["call_count", "total_cputime", "total_time"])
def test_the_largest_figure_counts(name: str) -> None:
    assert usage(use(**dict[str, Any]({name: 85}))) == Usage(0.85)
    assert usage(app={name: 85, "call_count": 85}) == Usage(0.85)


def test_all_that_is_about_the_page_counts() -> None:
    assert usage(use(), use("pages", call_count=91)) == Usage(0.91)
    assert usage(use(call_count=50), app={"call_count": 70}) == Usage(0.7)


def test_what_is_about_another_page_or_another_product_does_not_count() -> None:
    assert usage(use(call_count=99), page=PAGE_B) is None
    assert usage(use(), use("instagram", call_count=99)) == Usage(0.03)


def test_the_time_until_more_is_allowed_is_in_minutes() -> None:
    assert usage(use(call_count=100, estimated_time_to_regain_access=5)) == Usage(1.0, 300)


def test_more_than_all_is_all() -> None:
    assert usage(use(call_count=180)) == Usage(1.0)


def test_an_error_says_how_much_is_used_too() -> None:
    header = json.dumps({PAGE_A: [use(call_count=97)]})
    messenger = answering(400, {"error": {"code": 100}}, X_Business_Use_Case_Usage=header)
    with pytest.raises(RejectedError):
        send_hello(messenger)

    assert messenger.usage() == Usage(0.97)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "no JSON",
        "[[[" * 5000,
        "null",
        "[]",
        '{"%s": null}',
        '{"%s": {}}',
        '{"%s": [null, 1, "x", []]}',
        '{"%s": [{"type": "messenger"}]}',
        '{"%s": [{"type": [], "call_count": 99}]}',
        '{"%s": [{"type": "messenger", "call_count": "99"}]}',
        '{"%s": [{"type": "messenger", "call_count": true}]}',
        '{"%s": [{"type": "messenger", "call_count": NaN}]}',
        '{"%s": [{"type": "messenger", "call_count": -99}]}',
        '{"%s": [{"type": "messenger", "call_count": ' + "9" * 400 + "}]}",
        '{"%s": [{"type": "messenger", "call_count": 99}, ' + " " * 20_000 + "{}]}",
    ],
)
def test_a_header_that_is_malformed_slows_nobody(header: str) -> None:
    header = header.replace("%s", PAGE_A)
    messenger = answering(200, SENT, X_Business_Use_Case_Usage=header, X_App_Usage=header)
    send_hello(messenger)

    known = messenger.usage()
    assert known is None or known == Usage(0.0)


def test_an_answer_without_the_headers_changes_nothing() -> None:
    headers = iter([{"X-App-Usage": '{"call_count": 85}'}, {}])
    messenger = Site(lambda _: httpx.Response(200, json=SENT, headers=next(headers))).messenger
    send_hello(messenger)
    send_hello(messenger)

    assert messenger.usage() == Usage(0.85)
