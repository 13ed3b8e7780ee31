"""The application, asked in process, and the ways to sign what it is asked."""

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from clients.channels.meta.messenger import Messenger
from clients.channels.meta.signature import sign
from clients.helpdesk import WEBHOOK_PATH as HELPDESK
from connector.app import create_app
from connector.settings import Settings
from tasks.services import store_check_of
from tests.conftest import SECRET_A, SECRET_B
from tests.fakes.helpdesk_webhooks import headers

Headers = Mapping[str, str]
RIGHT, ANOTHER_APP = "right", "by another app"


def _meta(signature: str) -> Headers:
    return {"x-hub-signature-256": signature}


def _desk(body: bytes, change: Callable[[str], str]) -> Headers:
    signed = headers(body)
    return signed | {"webhook-signature": change(signed["webhook-signature"])}


SIGNATURES: Mapping[str, Mapping[str, Callable[[bytes], Headers]]] = {
    Messenger.path: {
        RIGHT: lambda body: _meta(sign(body, SECRET_A)),
        ANOTHER_APP: lambda body: _meta(sign(body, SECRET_B)),
        "by nobody": lambda body: _meta(sign(body, "0" * 32)),
        "not at all": lambda body: {},
        "for another body": lambda body: _meta(sign(body + b" ", SECRET_A)),
        "too short": lambda body: _meta(sign(body, SECRET_A)[:-2]),
        "in upper case": lambda body: _meta(sign(body, SECRET_A).upper()),
        "as SHA-1": lambda body: _meta(sign(body, SECRET_A).replace("sha256=", "sha1=")),
        "with odd bytes": lambda body: _meta("sha256=\xe4\xff" + sign(body, SECRET_A)),
    },
    HELPDESK: {
        RIGHT: headers,
        "long ago": lambda body: headers(body, at=1795382103 - 10**7),
        "not at all": lambda body: {},
        "for another body": lambda body: headers(body + b" "),
        "too short": lambda body: _desk(body, lambda signature: signature[:-3]),
        "in another version": lambda body: _desk(body, lambda signature: signature.replace("v1,", "v0,")),
        "with odd bytes": lambda body: _desk(body, lambda _: "v1,\xe4\xff"),
    },
}
"""How a body may be signed at each door: rightly, and in all the wrong ways."""


@dataclass(frozen=True)
class Request:
    """A body, how it is signed, and in how many pieces it comes."""

    door: str
    body: bytes
    signed: str = RIGHT
    pieces: int = 1

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers. What comes in pieces does not say how long it is."""
        named = {"host": "acme.example.com", "content-type": "application/json"}
        length = {"content-length": str(len(self.body))} if self.pieces == 1 else {}
        signature = SIGNATURES[self.door][self.signed](self.body)
        return [
            (name.encode(), value.encode("latin-1"))
            for name, value in {**named, **length, **signature}.items()
        ]


class Asked:
    """The application on an event loop of its own: what uvicorn is otherwise."""

    def __init__(self, settings: Settings) -> None:
        check = store_check_of(settings)
        check()
        self._app: Starlette = create_app(settings, check)
        self._runner, self._lifespan = asyncio.Runner(), AsyncExitStack()
        self._collector = gc.get_threshold()

    def open(self) -> None:
        """Start it."""
        self._runner.run(self._lifespan.enter_async_context(self._app.router.lifespan_context(self._app)))

    def close(self) -> None:
        """Stop it, and undo what it sets for a process of its own."""
        self._runner.run(self._lifespan.aclose())
        self._runner.close()
        gc.unfreeze()
        gc.set_threshold(*self._collector)

    def ask(self, request: Request) -> int:
        """Bring a request and return the status of its answer."""
        return self._runner.run(self._ask(request))

    async def _ask(self, request: Request) -> int:
        size = max(1, -(-len(request.body) // request.pieces))
        pieces = [request.body[at : at + size] for at in range(0, len(request.body), size)] or [b""]
        messages = [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
            for number, piece in enumerate(pieces, 1)
        ]
        statuses: list[int] = []

        async def receive() -> Any:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self._app(_scope(request.door, request.headers), receive, send)
        return statuses[0]


def _scope(path: str, headers: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [*headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
