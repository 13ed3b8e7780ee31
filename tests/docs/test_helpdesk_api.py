"""docs/helpdesk-api.yaml, and that the sandbox helpdesk does what it says: every call, good input and bad."""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, settings
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import validate
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.core import NOT_SET
from schemathesis.core.transport import Response

from tests.fakes.openapi import document
from tests.fakes.sandbox_helpdesk import COMMENT, PNG, TICKET, TOKEN, Desk

CONFIG = {
    "generation": {"deterministic": True, "max-examples": 25, "database": "none", "no-shrink": True},
    "auth": {"openapi": {"token": {"bearer": TOKEN}}},
    # What a call answered is used by no other: each finds the same whichever runs.
    "phases": {"fuzzing": {"extra-data-sources": {"responses": False}}},
}
OURS = "1"
"""The id of a ticket, and of its comment."""
KNOWN = {"desk_id": "7", "category_id": "12"}
ERASURE = {
    "source": "facebook_messenger",
    "page_id": "1",
    "sender_id": "7",
    "requested_at": "2026-11-22T20:15:03Z",
}
KEYS = count()


def _api() -> Any:
    read = document()
    # Beside a pattern such a length is more than schemathesis can think of.
    del read["components"]["schemas"]["Text"]["maxLength"]
    return schemathesis.openapi.from_dict(read, config=SchemathesisConfig.from_dict(CONFIG))


API = _api()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A helpdesk with an open ticket, which has a comment."""
    desk = Desk(tmp_path_factory.mktemp("helpdesk") / "db.sqlite")
    desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    category = {"name": "Messenger", "owner": "Ewa"}
    desk.http.put("/sandbox/categories/12", json=category).raise_for_status()
    assert desk.new_ticket() == OURS
    assert desk.comment(OURS).json()["comment"]["id"] == OURS
    yield desk
    desk.stop()


def test_the_document_is_valid_openapi() -> None:
    validate(document())


@pytest.mark.parametrize(("part", "tag"), [("paths", "helpdesk"), ("webhooks", "webhooks")])
def test_every_operation_has_a_tag_by_which_generators_make_a_class(part: str, tag: str) -> None:
    operations = [
        operation
        for item in document()[part].values()
        for name, operation in item.items()
        if name in {"get", "post", "patch"}
    ]

    assert [operation["tags"] for operation in operations] == [[tag]] * (15 if part == "paths" else 6)


def test_every_example_of_the_document_is_what_its_schema_says() -> None:
    components = document()["components"]
    examples = [
        (name, example)
        for name, schema in components["schemas"].items()
        for example in schema.get("examples", ())
    ]
    assert examples
    for name, example in examples:
        schema = {"$ref": f"#/components/schemas/{name}", "components": components}
        OAS31Validator(schema, format_checker=oas31_format_checker).validate(example)


@API.exclude(operation_id="getFile").parametrize()  # type: ignore[untyped-decorator]  # schemathesis does not tell its type
@settings(suppress_health_check=list(HealthCheck))
def test_the_sandbox_does_what_the_document_says(case: Case[Any], desk: Desk) -> None:
    _name_what_is_there(case)
    case.call_and_validate(base_url=f"{desk.url}/api/v1")


def _name_what_is_there(case: Case[Any]) -> None:
    """Put in ids that the helpdesk knows, where a schema can only say what ids look like."""
    case.path_parameters |= dict.fromkeys(case.path_parameters, OURS)
    # What stands for a file in a form is its bytes, so `null` is a file of four, and `false` one of five.
    assume(not isinstance(case.body, dict) or isinstance(case.body.get("file", ""), str | bytes))
    key = str(case.headers.get("Idempotency-Key", ""))
    if re.fullmatch("[!-~]+", key):
        case.headers["Idempotency-Key"] = f"{key}-{next(KEYS)}"
    for told in case.body.values() if isinstance(case.body, dict) else ():
        if isinstance(told, dict):
            told |= {name: known for name, known in KNOWN.items() if _is_id(told.get(name))}
            ids = told.get("attachment_ids")
            if isinstance(ids, list) and all(map(_is_id, ids)):
                told["attachment_ids"] = []


def _is_id(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 255


# --- What no schema leads to. -----------------------------------------------------------------------------


def _ask(
    desk: Desk, operation: str, key: str = "", token: str = TOKEN, body: Any = NOT_SET, **path: str
) -> Response:
    """Ask by hand; the answer is compared with the document all the same."""
    case = API.find_operation_by_id(operation).Case(path_parameters=path, body=body)
    case.media_type = None if body is NOT_SET else "application/json"
    headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
    site = desk.url if operation == "getFile" else f"{desk.url}/api/v1"
    answer: Response = case.call_and_validate(base_url=site, headers=headers)
    return answer


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("getTicket", {"ticket_id": "99"}),
        ("findComments", {"ticket_id": "99"}),
        ("createComment", {"ticket_id": "99", "key": "nowhere", "body": {"comment": COMMENT}}),
        ("changeTicket", {"ticket_id": "99", "body": {"ticket": {"title": "New"}}}),
        ("changeComment", {"comment_id": "99", "body": {"comment": {"body": "New"}}}),
        ("getDesk", {"desk_id": "99"}),
        ("getCategory", {"category_id": "99"}),
        ("getFile", {"file_id": "99", "filename": "a.png"}),
    ],
)
def test_what_is_not_there_is_404(desk: Desk, operation: str, request_: dict[str, Any]) -> None:
    assert _ask(desk, operation, **request_).status_code == 404


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("getTicket", {}),
        ("findComments", {}),
        ("createComment", {"key": "hidden", "body": {"comment": COMMENT}}),
    ],
)
def test_a_ticket_that_the_token_may_not_see_is_403(
    desk: Desk, operation: str, request_: dict[str, Any]
) -> None:
    desk.set(forbidden=[OURS]).raise_for_status()
    status = _ask(desk, operation, ticket_id=OURS, **request_).status_code
    desk.set(forbidden=[]).raise_for_status()
    assert status == 403


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("findTickets", {}),
        ("createTicket", {"key": "k", "body": {"ticket": TICKET}}),
        ("getTicket", {"ticket_id": OURS}),
        ("findComments", {"ticket_id": OURS}),
        ("listComments", {}),
        ("createComment", {"ticket_id": OURS, "key": "k", "body": {"comment": COMMENT}}),
        ("changeTicket", {"ticket_id": OURS, "body": {"ticket": {}}}),
        ("changeComment", {"comment_id": OURS, "body": {"comment": {}}}),
        ("uploadAttachment", {"key": "k"}),
        ("createErasure", {"key": "k", "body": {"erasure": ERASURE}}),
        ("sendPing", {}),
        ("getFile", {"file_id": "99", "filename": "a.png"}),
    ],
)
def test_a_wrong_token_is_401(desk: Desk, operation: str, request_: dict[str, Any]) -> None:
    assert _ask(desk, operation, token="wrong", **request_).status_code == 401


def test_a_closed_ticket_takes_no_comment(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    desk.http.post(f"/sandbox/tickets/{ticket_id}/close").raise_for_status()
    answer = _ask(desk, "createComment", "late", ticket_id=ticket_id, body={"comment": COMMENT})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ticket_closed")


def test_a_repeat_answers_the_first_result(desk: Desk) -> None:
    first, repeat = (_ask(desk, "createTicket", "twice", body={"ticket": TICKET}) for _ in range(2))
    assert (first.status_code, repeat.status_code) == (201, 201)
    assert repeat.json() == first.json()
    assert repeat.headers["idempotency-replayed"] == ["true"]


def test_a_key_that_comes_with_something_else_is_422(desk: Desk) -> None:
    for title, status in (("one", 201), ("other", 422)):
        answer = _ask(desk, "createTicket", "used", body={"ticket": TICKET | {"title": title}})
        assert answer.status_code == status


def test_a_helpdesk_without_erasures_answers_404(desk: Desk) -> None:
    desk.set(erasures=False).raise_for_status()
    status = _ask(desk, "createErasure", "none", body={"erasure": ERASURE}).status_code
    desk.set(erasures=True).raise_for_status()
    assert status == 404


def test_a_helpdesk_without_pings_answers_404(desk: Desk) -> None:
    desk.set(pings=False).raise_for_status()
    status = _ask(desk, "sendPing").status_code
    desk.set(pings=True).raise_for_status()
    assert status == 404


def test_a_helpdesk_that_closes_no_tickets_answers_422(desk: Desk) -> None:
    ticket_id = desk.new_ticket()
    body = {"ticket": {"closed": True}}
    desk.set(closing=False).raise_for_status()
    refused = _ask(desk, "changeTicket", ticket_id=ticket_id, body=body).status_code
    desk.set(closing=True).raise_for_status()
    closed = _ask(desk, "changeTicket", ticket_id=ticket_id, body=body).json()["ticket"]["closed"]
    assert (refused, closed) == (422, True)


def test_a_file_comes_back(desk: Desk) -> None:
    attachment_id = desk.upload().json()["attachment"]["id"]
    answer = _ask(desk, "getFile", file_id=attachment_id, filename="a.png")
    assert (answer.status_code, answer.content) == (200, PNG)
