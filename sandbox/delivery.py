"""One attempt to deliver a webhook, as both sandboxes make it."""

import asyncio
from collections.abc import Mapping

import httpx


async def post(
    http: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str], within: float
) -> str:
    """Return the status of the answer, which has `within` seconds to arrive, or what went wrong."""
    try:
        # httpx counts each read anew.
        async with asyncio.timeout(within):
            return str((await http.post(url, content=body, headers=headers)).status_code)
    except Exception as error:  # noqa: BLE001 - whatever it is, the webhook comes again
        # Not all of it is httpx.HTTPError: a receiver that dies between the connection and its first
        # byte is an AttributeError (anyio 4.16 on uvloop).
        return type(error).__name__
