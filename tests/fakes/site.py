"""A server made of one function, for clients of ours to call."""

from collections.abc import Callable
from typing import Any

import httpx

from clients.http import HttpClient

Answer = Callable[[httpx.Request], httpx.Response]


class Site:
    """Answers by a function; it keeps the requests."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[httpx.Request] = []

        def keep(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return answer(request)

        self.http = HttpClient(httpx.MockTransport(keep))


def always(status: int, body: Any = None, **headers: str) -> Answer:
    """Return what answers each request alike; `_` in the name of a header stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx.Response(status, json=body, headers=named)
