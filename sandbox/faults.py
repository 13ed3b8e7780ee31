"""Faults on order: what a real server does on its bad days, injected in front of a sandbox server."""

import asyncio
from fnmatch import fnmatch
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One thing that goes wrong, as `PUT /sandbox/faults` takes it.

    `method` and `path` (a glob) say which requests are meant. Of those, the first `skip` pass, then
    every `every`th is hit, at most `times` times. A request that is hit waits `delay` seconds; then it
    is answered `status` with `body` and `headers`, or dropped without an answer (`drop`). With `after`
    the server does its work before it waits, so that the caller cannot know that it worked. A fault with
    neither `status` nor `drop` only makes the server slow: before its work, or with `after` in answering.
    """

    path: str = "*"
    method: str = "*"
    skip: int = 0
    every: int = 1
    times: int | None = None
    delay: float = 0.0
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = {}
    after: bool = False
    drop: bool = False
    seen: int = 0
    hits: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Count this request, and tell whether it is hit."""
        if not (fnmatch(method, self.method) and fnmatch(path, self.path)):
            return False
        self.seen += 1
        turn = self.seen - self.skip
        hit = turn > 0 and turn % self.every == 0 and (self.times is None or self.hits < self.times)
        self.hits += hit
        return hit

    def told(self) -> str:
        """Say in a few words what it does."""
        words = [f"waits {self.delay:g} s" if self.delay else "", "hangs up" if self.drop else ""]
        words += [f"answers {self.status}" if self.status else "", "after its work" if self.after else ""]
        return " ".join(filter(None, words))


class Faults:
    """ASGI middleware that injects the faults it was given; `/sandbox/faults` gets, puts and deletes them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._faults: list[Fault] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, perhaps badly."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == "/sandbox/faults":
            await (await self._control(Request(scope, receive)))(scope, receive, send)
        elif scope["path"].startswith("/sandbox/"):
            await self._app(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _control(self, request: Request) -> Response:
        if request.method == "PUT":
            self._faults = msgspec.json.decode(await request.body(), type=list[Fault])
        elif request.method == "DELETE":
            self._faults = []
        return JSONResponse(msgspec.to_builtins(self._faults))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._hit(scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
            return
        scope["fault"] = fault.told()
        answer: list[Message] = []
        if fault.after:
            await self._app(scope, receive, _into(answer))
        await asyncio.sleep(fault.delay)
        if fault.drop:
            await _drop(send)
        elif fault.status is not None:
            refusal = JSONResponse(fault.body, status_code=fault.status, headers=fault.headers)
            await refusal(scope, receive, send)
        elif fault.after:
            for message in answer:
                await send(message)
        else:
            await self._app(scope, receive, send)

    def _hit(self, method: str, path: str) -> Fault | None:
        """Return the first fault that hits; each fault counts the requests that it is asked about."""
        return next((fault for fault in self._faults if fault.strikes(method, path)), None)


def _into(answer: list[Message]) -> Send:
    """Return a `send` that keeps the server's own answer, which the caller sees late, or never."""

    async def keep(message: Message) -> None:
        answer.append(message)

    return keep


async def _drop(send: Send) -> None:
    """Promise a body and send none: uvicorn then closes the connection."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
