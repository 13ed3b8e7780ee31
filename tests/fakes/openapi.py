"""docs/helpdesk-api.yaml, as a judge of requests, answers and webhooks."""

from pathlib import Path
from typing import Any

import httpx
import yaml
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

FILE = Path(__file__).parents[2] / "docs" / "helpdesk-api.yaml"


def document() -> dict[str, Any]:
    """Return the document, for a test to do with what it likes."""
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return read


def _api() -> OpenAPI:
    read = document()
    # openapi-core hands the validator bytes, which are no string to it.
    del read["components"]["schemas"]["Bytes"]["type"]
    return OpenAPI.from_dict(read)


API = _api()


def example(schema: str) -> Any:
    """Return a schema's first example."""
    return document()["components"]["schemas"][schema]["examples"][0]


def check_request(request: httpx.Request) -> None:
    """Raise for a request that the document does not know: its path, token, headers, filters and body."""
    sent = _Sent(request)
    API.validate_request(sent)
    known = API.unmarshal_request(sent).parameters.query
    assert known.keys() == set(request.url.params), "a filter that is not documented"


def check_response(request: httpx.Request, response: httpx.Response) -> None:
    """Raise for an answer that is not the one the document promises."""
    API.validate_response(_Sent(request), _Answered(response))


def check_webhook(name: str, headers: dict[str, str], body: bytes) -> None:
    """Raise for a webhook that is not the one the document calls `name`."""
    request = httpx.Request("POST", "http://connector.test", headers=headers, content=body)
    API.validate_request(_Webhook(name, request))


class _Message:
    """What openapi-core wants to see of a request."""

    def __init__(self, request: httpx.Request) -> None:
        self.method = request.method.lower()
        self.body = request.read()
        self.content_type = request.headers.get("content-type", "")
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(request.url.params.multi_items()),
            header=Headers(request.headers.multi_items()),
        )


class _Sent(_Message):
    def __init__(self, request: httpx.Request) -> None:
        super().__init__(request)
        self.host_url = f"{request.url.scheme}://{request.url.host}"
        self.path = request.url.raw_path.decode().partition("?")[0]


class _Webhook(_Message):
    def __init__(self, name: str, request: httpx.Request) -> None:
        super().__init__(request)
        self.name = name


class _Answered:
    def __init__(self, response: httpx.Response) -> None:
        self.status_code = response.status_code
        self.headers = dict(response.headers)
        self.content_type = response.headers.get("content-type", "")
        self.data = response.content
