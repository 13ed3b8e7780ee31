"""What ours is compared with, served as `connector web` serves ours: bare Starlette, and two ways to grow it.

`python -m benchmarks.baselines bare|hmac|delay --port N`
"""

import argparse
import hashlib
import hmac
import json
import os

import uvicorn
from celery import Celery
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.bodies import SECRET

BROKER_VARIABLE = "BENCHMARKS_BROKER"
tasks = Celery(broker=os.environ.get(BROKER_VARIABLE), set_as_current=False)


@tasks.task(name="relay", ignore_result=True)
def relay(event: dict[str, object]) -> None:
    """Stand for the work; nobody does it here."""


def _signed(body: bytes, header: str | None) -> bool:
    expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest((header or "").encode(), expected.encode())


async def bare(request: Request) -> Response:
    """Read the body and say 200."""
    await request.body()
    return Response()


async def signed(request: Request) -> Response:
    """Check the signature, and no more."""
    body = await request.body()
    return Response(status_code=200 if _signed(body, request.headers.get("x-hub-signature-256")) else 403)


async def delay(request: Request) -> Response:
    """Check the signature and hand each message to Celery, as most tutorials do."""
    body = await request.body()
    if not _signed(body, request.headers.get("x-hub-signature-256")):
        return Response(status_code=403)
    for entry in json.loads(body)["entry"]:
        for event in entry["messaging"]:
            relay.delay(event)
    return Response()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baselines")
    parser.add_argument("case", choices=("bare", "hmac", "delay"))
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    endpoint = {"bare": bare, "hmac": signed, "delay": delay}[given.case]
    uvicorn.run(
        Starlette(routes=[Route("/webhook", endpoint, methods=["POST"])]),
        host="127.0.0.1",
        port=given.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
