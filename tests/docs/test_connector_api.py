"""docs/connector-api.yaml, and that the running connector does what it says: good input and bad."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import validate
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from connector.cipher import new_key
from connector.connection import SECRETS, Connection
from tests.conftest import PAGE_A, settings_in
from tests.fakes.admin import ADMIN_TOKEN, FIELDS, NEW, Admin
from tests.fakes.web import serving

FILE = Path(__file__).parents[2] / "docs" / "connector-api.yaml"
CONFIG = {
    "generation": {"deterministic": True, "max-examples": 40, "database": "none", "no-shrink": True},
    "auth": {"openapi": {"token": {"bearer": ADMIN_TOKEN}}},
    # Where two things are wrong, either may be said; a condition that fails is a refusal, too.
    "checks": {
        "negative_data_rejection": {"expected-statuses": [400, 401, 404, 405, 409, 412, 415, 422, 428]},
        "positive_data_acceptance": {"expected-statuses": ["2xx", 404, 409, 412, 428]},
    },
    "phases": {"fuzzing": {"extra-data-sources": {"responses": False}}},
}


def _document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return read


DOCUMENT = _document()
API: Any = schemathesis.openapi.from_dict(_document(), config=SchemathesisConfig.from_dict(CONFIG))


@pytest.fixture(scope="module")
def url(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a connector with a connection that was added."""
    with settings_in(tmp_path_factory.mktemp("doors")) as make:
        changes = {"secret_key": new_key(), "admin_token": ADMIN_TOKEN}
        settings = make(
            redis_url=valkey, key_prefix="api:", graph={"base_url": "http://127.0.0.1:9"}, **changes
        )
        with serving(settings) as url:
            yield url


@pytest.fixture
def admin(url: str) -> Iterator[Admin]:
    """Give an admin of a connector that has one connection of its own, whatever other calls did."""
    with httpx.Client(base_url=url, trust_env=False) as http:
        admin = Admin(http)
        for one in admin.ask("GET", "?limit=100").json()["connections"]:
            if not one["fixed"]:
                admin.ask("DELETE", f"/{one['page_id']}", If_Match="*")
        admin.add()
        yield admin


def test_the_document_is_valid_openapi() -> None:
    validate(_document())


def _examples() -> Iterator[tuple[Any, Any]]:
    """Yield the examples of all bodies, each with its schema."""
    for resource in DOCUMENT["paths"].values():
        for operation in (one for name, one in resource.items() if name != "parameters"):
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            bodies = [
                DOCUMENT["components"]["responses"][_last(body)] if "$ref" in body else body
                for body in bodies
            ]
            for content in (kind for body in bodies for kind in body.get("content", {}).values()):
                named = content.get("examples", {"": {"value": content.get("example")}}).values()
                for example in named:
                    shown = (
                        DOCUMENT["components"]["examples"][_last(example)] if "$ref" in example else example
                    )
                    yield content["schema"], shown["value"]


def _last(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def test_every_body_has_an_example_that_is_what_its_schema_says() -> None:
    examples = list(_examples())
    assert len(examples) > 30
    for schema, example in examples:
        whole = {"allOf": [schema], "components": DOCUMENT["components"]}
        OAS31Validator(whole, format_checker=oas31_format_checker).validate(example)


def test_every_field_of_a_connection_is_documented_with_its_default() -> None:
    documented = DOCUMENT["components"]["schemas"]["NewConnection"]["properties"]
    shown = DOCUMENT["components"]["schemas"]["Fields"]["properties"]

    assert documented.keys() == Connection.model_fields.keys()
    defaults = {name: shown[name]["default"] for name in shown if "default" in shown[name]}
    assert defaults == {name: Connection.model_fields[name].default for name in defaults}


@API.parametrize()  # type: ignore[untyped-decorator]  # schemathesis does not tell its type
@settings(suppress_health_check=list(HealthCheck))
def test_the_connector_does_what_the_document_says(case: Case[Any], admin: Admin, url: str) -> None:
    page_id = str(case.path_parameters.get("page_id", ""))
    if re.fullmatch("[0-9]+", page_id) and case.operation.method.upper() != "PUT":
        case.path_parameters["page_id"] = NEW
    if isinstance(case.body, dict):
        _say_what_no_schema_can(case.body, page_id)
    case.call_and_validate(base_url=url)


def _say_what_no_schema_can(body: dict[str, Any], page_id: str) -> None:
    """Name the page as the address does, and the secrets that an active connection needs."""
    if isinstance(body.get("page_id"), str):
        body["page_id"] = page_id
    for name in SECRETS:
        given = body.get(name, "")
        if isinstance(given, str) and not given.strip():
            body[name] = FIELDS[name]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "", {}, 200),
        ("GET", f"/{NEW}", {}, 200),
        ("GET", f"/{PAGE_A}", {}, 200),
        ("GET", "/1", {}, 404),
        ("PUT", f"/{NEW}", {"If_Match": "*"}, 200),
        ("PUT", "/1", {"If_None_Match": "*"}, 201),
        ("PUT", f"/{NEW}", {"If_None_Match": '"1"'}, 400),
        ("PUT", f"/{PAGE_A}", {"If_Match": "*"}, 409),
        ("PUT", f"/{NEW}", {"If_None_Match": "*"}, 412),
        ("PUT", f"/{NEW}", {}, 428),
        ("PUT", f"/{NEW}", {"If_Match": "*", "Content_Type": "text/plain"}, 415),
        ("DELETE", f"/{NEW}", {"If_Match": "*"}, 200),
        ("DELETE", f"/{NEW}", {"If_Match": '"0"'}, 412),
        ("DELETE", f"/{NEW}", {}, 428),
        ("PATCH", f"/{NEW}", {}, 405),
    ],
)
def test_each_answer_is_the_documented_one(
    admin: Admin, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = admin.ask(method, path, FIELDS if method == "PUT" else None, **headers)

    assert answer.status_code == status
    operation = DOCUMENT["paths"]["/connections/{page_id}" if path else "/connections"]
    documented = operation.get(method.lower(), operation["get"])["responses"][str(status)]
    if "$ref" in documented:
        documented = DOCUMENT["components"]["responses"][_last(documented)]
    ((kind, content),) = documented["content"].items()
    assert answer.headers["content-type"] == kind
    whole = {"allOf": [content["schema"]], "components": DOCUMENT["components"]}
    OAS31Validator(whole, format_checker=oas31_format_checker).validate(answer.json())
