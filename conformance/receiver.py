"""Takes the helpdesk's webhooks while the checks run, at the connector's own address for them."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clients.helpdesk import WEBHOOK_PATH
from conformance.serving import Server


@dataclass(frozen=True)
class Delivered:
    """A webhook as it came; `secret` is what followed `WEBHOOK_PATH` in the URL."""

    body: bytes
    headers: Headers
    secret: str


class Receiver(Server):
    """Takes webhooks. `before_answer` is called with each before it is answered.

    Raises `OSError` if the port is taken.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.delivered: list[Delivered] = []
        self.before_answer: Callable[[Delivered], None] = lambda _: None
        paths = (WEBHOOK_PATH, WEBHOOK_PATH + "/{secret}")
        super().__init__([Route(path, self._take, methods=["POST"]) for path in paths], host, port)
        self.url = f"{self.origin}{WEBHOOK_PATH}"

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        delivered = Delivered(body, request.headers, request.path_params.get("secret", ""))
        self.delivered.append(delivered)
        await run_in_threadpool(self.before_answer, delivered)
        return Response(status_code=202)
