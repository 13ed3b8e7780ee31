"""What the report says to whom: operations, statuses and bodies where a helpdesk serves our API."""

import gzip
import inspect
import re
from collections.abc import Callable, Mapping
from json import dumps
from typing import Any

import httpx
import pytest

import clients.errors
import clients.helpdesk
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from conformance import report, rest
from conformance.agent import HelpdeskAgent
from conformance.check import Check, Result
from conformance.checks import CHECKS
from conformance.context import Context
from conformance.exchanges import MOST_SHOWN, recorded
from conformance.runner import judge
from tests.fakes.openapi import document
from tests.fakes.sandbox_helpdesk import SECRET

TOKEN = "a-secret-token"
Answer = Callable[[httpx.Request], httpx.Response]


class Idle(HelpdeskAgent):
    """Agents who say that they closed a ticket."""

    def close_ticket(self, ticket_id: str) -> None:
        pass


class Own(RestHelpdesk):
    """A vendor's own adapter, which is written in Python."""


def answered(
    status: int, *, json: Any = None, content: bytes = b"", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Return an answer whose body is still to be read, as that of a server is."""
    body = content or dumps(json).encode()
    return httpx.Response(
        status, headers=headers or {"content-type": "application/json"}, stream=httpx.ByteStream(body)
    )


def helpdesk_answers(request: httpx.Request) -> httpx.Response:
    """Answer as a helpdesk does that lets comments onto closed tickets."""
    ticket = {"id": "12", "closed": True, "config": {}, "url": "https://acme.example.com/agent/12"}
    if request.url.path.endswith("/comments") and request.method == "POST":
        return answered(201, json={"comment": {"id": "5", "body": "Is anybody there?"}})
    if request.method == "POST":
        return answered(201, json={"ticket": ticket | {"closed": False}})
    return answered(200, json={"ticket": ticket, "tickets": []})


def judged(
    name: str, answer: Answer = helpdesk_answers, adapter: type[RestHelpdesk] = RestHelpdesk
) -> Result:
    with HttpClient(httpx.MockTransport(answer)) as http:
        url = "https://acme.example.com/api/v1"
        helpdesk = adapter(http, base_url=url, api_token=TOKEN, webhook_secret=SECRET)
        context = Context(helpdesk, "7", agent=Idle(), exchanges=recorded(http))
        (check,) = (one for one in CHECKS if one.name == name)
        return judge(check, context)


def test_a_closed_ticket_that_takes_a_comment_is_told_as_its_operation() -> None:
    said = report.line(judged("a closed ticket takes no message"))
    assert 'createComment: POST /api/v1/tickets/12/comments → 201 {"comment": {"id": "5"' in said
    assert 'Expected: createComment answers 409 {"error": {"code": "ticket_closed", …}}' in said
    assert "Ticket: https://acme.example.com/agent/12" in said
    assert "TicketClosed" not in said


def test_an_answer_that_is_none_is_shown_beside_the_one_that_was_expected() -> None:
    result = judged("a new ticket says whom it is about", lambda _: answered(201, json={"data": {"id": 12}}))
    said = report.line(result)
    assert 'createTicket: POST /api/v1/tickets → 201 {"data":' in said
    assert 'Expected: createTicket answers 201 {"ticket": {"id": "…", "closed": false,' in said
    assert "Unavailable" not in said
    assert report.as_json([result], {}, [])["checks"][0]["exchanges"][-1]["status"] == 201


def test_the_author_of_an_adapter_is_told_in_python() -> None:
    said = report.line(judged("a closed ticket takes no message", adapter=Own))
    assert "To fix it: Raise TicketClosed from add_comment" in said
    assert "POST /api/v1/tickets/12/comments → 201" in said
    assert "Expected: " not in said
    broken = judged("a new ticket says whom it is about", lambda _: answered(201, json={}), Own)
    assert "Unavailable: the helpdesk sent an incomplete response (no valid “ticket”)" in report.line(broken)


def test_no_answer_is_told_as_such() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert "findTickets: GET /api/v1/tickets?external_id=ping → no answer" in report.line(
        judged("a ping is answered", refuse)
    )


def test_the_token_is_never_shown() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        return answered(422, json={"token": TOKEN, "header": request.headers["authorization"]})

    result = judged("a new ticket says whom it is about", echo)
    assert TOKEN not in report.line(result) + dumps(report.as_json([result], {}, []))
    assert "→ 422" in report.line(result)


def test_a_long_answer_is_cut_and_a_packed_one_is_unpacked() -> None:
    body = gzip.compress(dumps({"error": {"code": "x" * 20_000}}).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    result = judged(
        "a new ticket says whom it is about", lambda _: answered(422, content=body, headers=headers)
    )
    shown = result.exchanges[-1][1].body
    assert shown.startswith('{"error": {"code": "xxx')
    assert len(shown) == MOST_SHOWN + 1


def test_a_file_is_not_printed() -> None:
    headers = {"content-type": "image/png"}
    result = judged(
        "a new ticket says whom it is about",
        lambda _: answered(422, content=b"\x89PNG", headers=headers),
    )
    assert result.exchanges[-1][1].body == "(image/png)"


def _operations() -> dict[str, tuple[str, str, str]]:
    found = {}
    for path, methods in document()["paths"].items():
        for method, told in methods.items():
            if method in {"get", "post", "patch"}:
                good = next(status for status in told["responses"] if status.startswith("2"))
                found[told["operationId"]] = (method.upper(), path, good)
    return found


def test_the_operations_are_those_of_the_document() -> None:
    named = {one.name: (one.method, one.path, one.answer[:3]) for one in rest.OPERATIONS}
    assert _operations().pop("getFile")
    assert named == {name: told for name, told in _operations().items() if name != "getFile"}


PYTHON = {
    *(name for name, _ in inspect.getmembers(clients.errors, inspect.isclass)),
    *(name for name, _ in inspect.getmembers(clients.helpdesk, inspect.isclass)),
    *(name for name, _ in inspect.getmembers(clients.helpdesk.Helpdesk) if not name.startswith("_")),
} - {"now", "clock", "cannot", "Comment", "Ticket"}


def _python_in(words: str) -> set[str]:
    return {*re.findall(r"\w+", words)} & PYTHON


NEVER_FAILS = {check for check in CHECKS if "reach the connector" in check.name}
"""What the adapter `rest` is never told: it polls, and has webhooks."""


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in NEVER_FAILS], ids=str)
def test_no_check_speaks_python_to_a_helpdesk_that_serves_our_api(check: Check) -> None:
    assert check.api
    assert not _python_in(check.api) - {"ping"}


def test_words_of_python_would_be_found() -> None:
    assert _python_in("Raise TicketClosed from add_comment.") == {"TicketClosed", "add_comment"}
