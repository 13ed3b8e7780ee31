"""Cassettes: what a client method and a sandbox server said to each other, played back without a network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vcr  # type: ignore[import-untyped]
from vcr.record_mode import RecordMode  # type: ignore[import-untyped]
from vcr.request import Request  # type: ignore[import-untyped]

FOLDER = Path(__file__).parents[1] / "cassettes"
HELPDESK, META = "http://helpdesk.test", "http://meta.test"
FILTERED = "filtered"
KEPT_HEADERS = {"authorization", "content-type", "idempotency-key", "location"}


@dataclass
class Sites:
    """Where the clients call: hosts that do not exist, but for the time of a recording."""

    helpdesk: str = HELPDESK
    meta: str = META
    record_mode: RecordMode = RecordMode.NONE

    def fixed(self, text: bytes) -> bytes:
        """Name the hosts as every recording does."""
        text = text.replace(self.helpdesk.encode(), HELPDESK.encode())
        return text.replace(self.meta.encode(), META.encode())


SITES = Sites()


@contextmanager
def cassette(name: str) -> Iterator[None]:
    """Play a cassette to the end, or record it."""
    player = vcr.VCR(
        cassette_library_dir=str(FOLDER),
        record_mode=SITES.record_mode,
        match_on=["method", "path", "query", "json"],
        filter_headers=[("authorization", FILTERED)],
        filter_query_parameters=[("appsecret_proof", FILTERED)],
        before_record_request=_fixed_request,
        before_record_response=_fixed_response,
    )
    player.register_matcher("json", _same_json)
    with player.use_cassette(f"{name}.yaml") as played:
        yield
    assert SITES.record_mode is not RecordMode.NONE or played.all_played


def _same_json(one: Request, other: Request) -> None:
    assert _json(one) == _json(other)


def _json(request: Request) -> Any:
    """Give what a request says in JSON. Forms are not compared: each has a boundary of its own."""
    if request.headers.get("content-type") != "application/json":
        return None
    return json.loads(request.body)


def _fixed_request(request: Request) -> Request:
    """Drop what differs from one recording to the next."""
    request.uri = SITES.fixed(request.uri.encode()).decode()
    headers = {name.lower(): value for name, value in request.headers.items()}
    kind, _, boundary = headers.get("content-type", "").partition("; boundary=")
    if boundary:
        request.body = request.body.replace(boundary.encode(), b"boundary")
        headers["content-type"] = f"{kind}; boundary=boundary"
    request.headers = {name: value for name, value in headers.items() if name in KEPT_HEADERS}
    return request


def _fixed_response(response: dict[str, Any]) -> dict[str, Any]:
    headers = {name: value for name, value in response["headers"].items() if name.lower() in KEPT_HEADERS}
    body = {"string": SITES.fixed(response["body"]["string"])}
    return response | {"headers": headers, "body": body}
