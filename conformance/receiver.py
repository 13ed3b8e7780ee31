"""Takes the helpdesk's webhooks while the checks run, at the connector's own address for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    """Takes webhooks. Raises `OSError` if the port is taken."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.delivered: list[Delivered] = []
        self._before_answer: Callable[[Delivered], None] = lambda _: None
        paths = (WEBHOOK_PATH, WEBHOOK_PATH + "/{secret}")
        super().__init__([Route(path, self._take, methods=["POST"]) for path in paths], host, port)
        self.url = f"{self.origin}{WEBHOOK_PATH}"

    @contextmanager
    def calling(self, before_answer: Callable[[Delivered], None]) -> Iterator[None]:
        """Call this with each webhook that comes meanwhile, before it is answered."""
        self._before_answer = before_answer
        try:
            yield
        finally:
            self._before_answer = lambda _: None

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        delivered = Delivered(body, request.headers, request.path_params.get("secret", ""))
        self.delivered.append(delivered)
        await run_in_threadpool(self._before_answer, delivered)
        return Response(status_code=202)
