"""A helpdesk and a Graph API that answer from memory at once: what they cost is not what is measured.

`python -m benchmarks.stub --port N [--delay SECONDS]`. The helpdesk's API is below `/api/v1`, Graph's at the
root. Beside them:

  GET  /count    {"tickets", "comments", "messages", "last"}: what was created, and when the last one was
                 (seconds since 1970)
  GET  /creates  [[kind, id, time]…] of everything that was created: a ticket's or a comment's `external_id`,
                 a message's `metadata`
  GET  /creates/<id>  when that one was created, or null
  GET  /last     the last of them, or []
  POST /reset    forget everything
  PUT  /moods    how the sides behave from now on: `Moods`
"""

import argparse
import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import uvicorn

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
PROFILE = {"first_name": "Anna", "last_name": "Nowak", "name": "Anna Nowak", "profile_pic": "", "id": "1"}


class Moods(msgspec.Struct):
    """Whether the helpdesk is away (503), pages whose token is refused, and seconds that their sends take."""

    away: bool = False
    refused: list[str] = []
    slow: dict[str, float] = {}


AWAY = (503, {"error": {"code": "away", "message": "maintenance"}})
REFUSED = (401, {"error": {"code": 190, "message": "the token has expired", "type": "OAuthException"}})


class Stub:
    """The ASGI application. `delay` is how long each call takes, in seconds."""

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay
        self._moods = Moods()
        self._ids = itertools.count(1)
        self._reset()

    def _reset(self) -> None:
        self._by_sender: dict[tuple[str, str], str] = {}
        self._by_external_id: dict[str, str] = {}
        self._creates: list[tuple[str, str, float]] = []
        self._created_at: dict[str, float] = {}
        self._counts: Counter[str] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path, body = scope["path"], await _body(receive)
        status, answer = self._control(scope["method"], path, body) or (0, None)
        if not status:
            if delay := self._delay or self._moods.slow.get(_page_of(path), 0.0):
                await asyncio.sleep(delay)
            query = dict(parse_qsl(scope["query_string"].decode()))
            status, answer = self._answer(scope["method"], path, query, body)
        headers = [(b"content-type", b"application/json")]
        content = msgspec.json.encode(answer)
        headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _control(self, method: str, path: str, body: bytes) -> tuple[int, Any] | None:
        match method, path:
            case "GET", _:
                return self._told(path)
            case "POST", "/reset":
                self._reset()
            case "PUT", "/moods":
                self._moods = msgspec.json.decode(body, type=Moods)
            case _:
                return None
        return 200, {}

    def _told(self, path: str) -> tuple[int, Any] | None:
        match path.split("/"):
            case "", "count":
                return 200, self._count()
            case "", "creates":
                return 200, self._creates
            case "", "creates", id_:
                return 200, self._created_at.get(id_)
            case "", "last":
                return 200, self._creates[-1] if self._creates else []
        return None

    def _count(self) -> dict[str, Any]:
        last = self._creates[-1][2] if self._creates else None
        return {f"{kind}s": self._counts[kind] for kind in ("ticket", "comment", "message")} | {"last": last}

    def _answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "v1"]:
            return AWAY if self._moods.away else self._helpdesk(method, parts[2:], query, body)
        if _page_of(path) in self._moods.refused:
            return REFUSED
        if method == "POST":  # /v26.0/<page_id>/messages
            return 200, self._message(msgspec.json.decode(body))
        return 200, PROFILE

    def _helpdesk(self, method: str, parts: list[str], query: dict[str, str], body: bytes) -> tuple[int, Any]:
        match method, parts:
            case "GET", _:
                return 200, {"tickets": self._find(query), "comments": []}
            case "POST", ["tickets"]:
                return 201, {"ticket": self._ticket(msgspec.json.decode(body)["ticket"])}
            case "POST", ["tickets", _, "comments"]:
                return 201, {"comment": self._comment(msgspec.json.decode(body)["comment"])}
            case "PATCH", ["comments", id_]:
                return 200, {"comment": {"id": id_}}
            case "POST", ["attachments"]:
                return 201, {"attachment": {"id": str(next(self._ids)), "url": "/files/1"}}
        return 404, {"error": {"code": "not_found"}}

    def _find(self, query: dict[str, str]) -> list[dict[str, Any]]:
        if "external_id" in query:
            found = self._by_external_id.get(query["external_id"])
        else:
            found = self._by_sender.get((query.get("page_id", ""), query.get("sender_id", "")))
        return [{"id": found, "closed": False}] if found else []

    def _ticket(self, ticket: dict[str, Any]) -> dict[str, Any]:
        id_ = str(next(self._ids))
        self._by_external_id[ticket["external_id"]] = id_
        self._by_sender[ticket["config"]["page_id"], ticket["config"]["sender_id"]] = id_
        self._note("ticket", ticket["external_id"])
        return {"id": id_, "closed": False}

    def _comment(self, comment: dict[str, Any]) -> dict[str, Any]:
        self._note("comment", comment["external_id"])
        return {"id": str(next(self._ids))}

    def _message(self, request: dict[str, Any]) -> dict[str, Any]:
        if "sender_action" in request:  # nobody counts typing
            return {"recipient_id": request["recipient"]["id"]}
        self._note("message", request["message"].get("metadata", ""))
        return {"recipient_id": request["recipient"]["id"], "message_id": f"m_{next(self._ids)}"}

    def _note(self, kind: str, id_: str) -> None:
        self._creates.append((kind, id_, time.time()))
        self._created_at[id_] = self._creates[-1][2]
        self._counts[kind] += 1


def _page_of(path: str) -> str:
    """Return the page that sends: /v26.0/<page_id>/messages."""
    parts = path.split("/")
    return parts[2] if parts[-1] == "messages" else ""


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stub")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds that each call takes")
    arguments = parser.parse_args()
    uvicorn.run(
        Stub(arguments.delay), host="127.0.0.1", port=arguments.port, access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
