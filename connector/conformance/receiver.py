"""Takes the helpdesk's webhooks while the checks run, at the connector's own address for them."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector.app import HELPDESK


@dataclass(frozen=True)
class Delivered:
    """A webhook as it came; `secret` is what followed the door's address."""

    body: bytes
    headers: Headers
    secret: str


class Receiver:
    """A web server in a thread. `before_answer` is called with each webhook before it is answered.

    Raises `OSError` if the port is taken.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.delivered: list[Delivered] = []
        self.before_answer: Callable[[Delivered], None] = lambda _: None
        self._socket = socket.create_server((host, port))
        self.url = f"http://{host}:{self._socket.getsockname()[1]}{HELPDESK}"
        routes = [Route(path, self._take, methods=["POST"]) for path in (HELPDESK, HELPDESK + "/{secret}")]
        config = uvicorn.Config(
            Starlette(routes=routes),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)  # uvicorn tells nobody
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        delivered = Delivered(body, request.headers, request.path_params.get("secret", ""))
        self.delivered.append(delivered)
        await run_in_threadpool(self.before_answer, delivered)
        return Response(status_code=202)
