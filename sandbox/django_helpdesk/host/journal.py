"""What the connector asked of the helpdesk, and what webhooks it was sent: a journal as of the sandboxes.

Its format is that of `sandbox.journal`, which this environment cannot import. The file is named by
`HELPDESK_JOURNAL`; without it nothing is kept. Calls are those with a token: agents have a session.
"""

import io
import json
import os
import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

PATH = os.environ.get("HELPDESK_JOURNAL", "")
WHO_ONLY_LOOKS = "sandbox"
"""The user agent of those whose calls are none of the connector's."""
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def journaled(application: Application) -> Application:
    """Return an application whose calls and webhooks are noted."""
    if not PATH:
        return application
    from helpdesk import webhooks  # noqa: PLC0415 - only once Django is set up

    webhooks.requests = _noting(webhooks.requests)

    def noting(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        is_call = environ.get("HTTP_AUTHORIZATION", "").startswith("Token ")
        if not is_call or environ.get("HTTP_USER_AGENT") == WHO_ONLY_LOOKS:
            return application(environ, start_response)
        began, body = time.time(), _body(environ)

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            call = environ["PATH_INFO"] + "?" * bool(environ["QUERY_STRING"]) + environ["QUERY_STRING"]
            told = {"call": f"{environ['REQUEST_METHOD']} {call}", "key": None, "fault": None}
            _note("call", began=began, body=body, status=int(status.split(maxsplit=1)[0]), **told)
            return start_response(status, headers, exc_info)

        return application(environ, start)

    return noting


def _body(environ: dict[str, Any]) -> str:
    """Return a body of JSON, and leave it to be read once more."""
    if not environ.get("CONTENT_TYPE", "").startswith("application/json"):
        return ""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body.decode(errors="replace")


def _noting(requests: Any) -> SimpleNamespace:
    """Return what the helpdesk sends its webhooks with."""

    def post(url: str, **options: Any) -> Any:
        began, told, answer = time.time(), options["json"], "no answer"
        try:
            response = requests.post(url, **options)
            answer = str(response.status_code)
        finally:
            ids = {"ticket": str(told["ticket"]["id"]), "comment": str(told.get("followup_id", ""))}
            _note("webhook", began=began, type="followup", answer=answer, **ids)
        return response

    return SimpleNamespace(post=post, exceptions=requests.exceptions)


def _note(kind: str, **what: Any) -> None:
    line = json.dumps({"at": time.time(), "kind": kind, **what}) + "\n"
    with open(PATH, "ab") as file:  # noqa: PTH123 - one write, as in `sandbox.journal`
        file.write(line.encode())
