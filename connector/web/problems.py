"""Refusals of an API: `application/problem+json`.

https://www.rfc-editor.org/rfc/rfc9457
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response

TYPE = "urn:connector:problem:"


class ApiProblem(Exception):
    """A request is refused. `kind` names the problem for programs, `detail` says what can be done about it.

    `errors` are the fields that are refused, each with why.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.errors, self.headers = errors, headers

    def response(self) -> Response:
        """Return the answer."""
        body: dict[str, Any] = {
            "type": TYPE + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = [{"field": field, "detail": detail} for field, detail in self.errors]
        return JSONResponse(body, self.status, self.headers, "application/problem+json")
