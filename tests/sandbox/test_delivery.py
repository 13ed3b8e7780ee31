"""What an attempt to deliver a webhook makes of its receiver."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox import delivery


def deliver(receiver: Callable[[httpx.Request], Any], within: float = 5.0) -> str:
    async def run() -> str:
        async with httpx.AsyncClient(transport=httpx.MockTransport(receiver)) as http:
            return await delivery.post(http, "http://receiver.test/", b"{}", {}, within)

    return asyncio.run(run())


def test_an_attempt_tells_the_status_of_the_answer() -> None:
    assert deliver(lambda _: httpx.Response(503)) == "503"


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("too late"),
        AttributeError("'NoneType' object has no attribute 'getpeername'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_goes_wrong_is_only_a_failed_attempt(error: Exception) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    assert deliver(fail) == type(error).__name__


def test_an_answer_that_takes_too_long_is_a_failed_attempt() -> None:
    async def think(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        return httpx.Response(200)

    assert deliver(think, within=0.01) == "TimeoutError"
