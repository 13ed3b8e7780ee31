"""docs/helpdesk-api.yaml, and that the sandbox helpdesk does what it says: every call, good input and bad."""

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from tests.test_sandbox_helpdesk import TOKEN, Desk

FILE = Path(__file__).parent.parent / "docs" / "helpdesk-api.yaml"
CONFIG = {
    "generation": {"deterministic": True, "max-examples": 25, "database": "none", "no-shrink": True},
    "auth": {"openapi": {"token": {"bearer": TOKEN}}},
    # What a call answered is used by no other: each finds the same whichever runs.
    "phases": {"fuzzing": {"extra-data-sources": {"responses": False}}},
}
DESK, CATEGORY, TICKET, COMMENT = "7", "12", "1", "1"
"""What is there."""
KNOWN = {"desk_id": DESK, "category_id": CATEGORY}
KEYS = count()


def _api() -> Any:
    document = yaml.safe_load(FILE.read_text())
    # With this limit beside a pattern it takes schemathesis minutes to think of a body.
    del document["components"]["schemas"]["Text"]["maxLength"]
    return schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(CONFIG))


API = _api()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A helpdesk with an open ticket, which has a comment."""
    desk = Desk(tmp_path_factory.mktemp("helpdesk") / "db.sqlite")
    desk.http.put(f"/sandbox/desks/{DESK}", json={"name": "Social Media"}).raise_for_status()
    category = {"name": "Messenger", "owner": "Ewa"}
    desk.http.put(f"/sandbox/categories/{CATEGORY}", json=category).raise_for_status()
    assert desk.new_ticket() == TICKET
    assert desk.comment(TICKET).json()["comment"]["id"] == COMMENT
    yield desk
    desk.stop()


def test_the_document_is_valid_openapi() -> None:
    validate(yaml.safe_load(FILE.read_text()))


@API.exclude(operation_id="getFile").parametrize()  # type: ignore[untyped-decorator]  # schemathesis does not tell its type
@settings(suppress_health_check=list(HealthCheck))
def test_the_sandbox_does_what_the_document_says(case: Case[Any], desk: Desk) -> None:
    _name_what_is_there(case)
    case.call_and_validate(base_url=f"{desk.url}/api/v1")


def _name_what_is_there(case: Case[Any]) -> None:
    """Put in ids that the helpdesk knows, where a schema can only say what ids look like."""
    case.path_parameters |= dict.fromkeys(case.path_parameters, TICKET)
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
