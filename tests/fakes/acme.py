"""Acme Desk: the helpdesk of the worked example in docs/adapters.md, as small as one can be.

It has one search, lists in pages and signed webhooks, but neither idempotency keys nor webhooks that are
repeated; a new comment's id is in a header; it shows plain text. `/agent/…` is what agents do in its pages. A
ticket is open, closed, or hidden from the API. To run it: `-m tests.fakes.acme`.
"""

import argparse
import hashlib
import hmac
import itertools
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Json = dict[str, Any]
FIELDS = ("cf_messenger_id", "cf_messenger_customer")
REFUSED = "application/x-msdownload"
PAGE_SIZE = 5


class Acme:
    """What it keeps, and its routes."""

    def __init__(self, token: str, secret: str, webhook_url: str) -> None:
        self._token, self._secret, self._webhook_url = token, secret, webhook_url
        self._ids = itertools.count(1)
        self._tickets: dict[int, Json] = {}
        self._files: dict[int, tuple[Json, bytes]] = {}
        self.app = Starlette(
            routes=[
                Route("/api/me", self.me),
                Route("/api/tickets", self.search),
                Route("/api/tickets", self.create, methods=["POST"]),
                Route("/api/tickets/{id:int}", self.read),
                Route("/api/tickets/{id:int}/comments", self.comment, methods=["POST"]),
                Route("/api/comments", self.comments),
                Route("/api/files", self.upload, methods=["POST"]),
                Route("/files/{id:int}", self.download),
                Route("/agent/tickets/{id:int}/comments", self.comment, methods=["POST"]),
                Route("/agent/tickets/{id:int}/state", self.set_state, methods=["POST"]),
            ]
        )

    async def me(self, request: Request) -> Response:
        self._check(request)
        return JSONResponse({"name": "bot"})

    async def search(self, request: Request) -> Response:
        self._check(request)
        (name, value), *others = request.query_params.items()
        if name not in FIELDS or others:
            raise HTTPException(400)
        found = [one for one in self._tickets.values() if one[name] == value and one["state"] != "hidden"]
        return JSONResponse({"tickets": found})

    async def create(self, request: Request) -> Response:
        self._check(request)
        told = await request.json()
        number = next(self._ids)
        ticket: Json = {name: told[name] for name in ("inbox", "subject", "brand", *FIELDS)}
        ticket |= {"id": number, "state": "open", "comments": [self._comment(told, "api")]}
        self._tickets[number] = ticket
        return JSONResponse({"ticket": ticket}, 201)

    async def read(self, request: Request) -> Response:
        self._check(request)
        return JSONResponse({"ticket": self._ticket(request)})

    async def comment(self, request: Request) -> Response:
        """Add a comment, of the API's user or an agent's; agents do not call `/api`."""
        by = "agent" if request.url.path.startswith("/agent/") else "api"
        if by == "api":
            self._check(request)
        ticket, told = self._ticket(request), await request.json()
        comment = self._comment(told, by)
        ticket["state"] = told.get("state", ticket["state"])
        ticket["comments"].append(comment)
        event = {"event": "comment.created", "ticket": ticket, "comment": comment}
        headers = {"Location": f"/api/comments/{comment['id']}"}
        return JSONResponse({"message": "added"}, 201, headers, background=BackgroundTask(self._tell, event))

    async def comments(self, request: Request) -> Response:
        self._check(request)
        since = datetime.fromisoformat(request.query_params["since"])
        page = int(request.query_params.get("page", 1))
        newer = [
            {"ticket": ticket, "comment": comment}
            for ticket in self._tickets.values()
            for comment in ticket["comments"]
            if datetime.fromisoformat(comment["at"]) >= since
        ]
        more = len(newer) > page * PAGE_SIZE
        following = str(request.url.include_query_params(page=page + 1)) if more else None
        shown = newer[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
        return JSONResponse({"comments": shown, "next": following})

    async def upload(self, request: Request) -> Response:
        self._check(request)
        async with request.form() as form:
            file = form["file"]
            if not isinstance(file, UploadFile) or file.content_type == REFUSED:
                raise HTTPException(415)
            data, number = await file.read(), next(self._ids)
            told = {"id": number, "name": file.filename, "type": file.content_type, "size": len(data)}
            told["url"] = f"{request.base_url}files/{number}"
        self._files[number] = (told, data)
        return JSONResponse({"file": told}, 201)

    async def download(self, request: Request) -> Response:
        self._check(request)
        told, data = self._files[request.path_params["id"]]
        return Response(data, media_type=told["type"])

    async def set_state(self, request: Request) -> Response:
        ticket = self._ticket(request)
        ticket["state"] = (await request.json())["state"]
        return JSONResponse({"ticket": ticket})

    def _check(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {self._token}":
            raise HTTPException(401)

    def _ticket(self, request: Request) -> Json:
        ticket = self._tickets.get(request.path_params["id"])
        if ticket is None:
            raise HTTPException(404)
        if ticket["state"] == "hidden" and request.url.path.startswith("/api/"):
            raise HTTPException(403)
        return ticket

    def _comment(self, told: Json, by: str) -> Json:
        return {
            "id": next(self._ids),
            "by": by,
            "author": told.get("author", ""),
            "text": told["text"],
            "private": told.get("private", False),
            "reference": told.get("reference", ""),
            "files": [self._files[int(number)][0] for number in told.get("files", ())],
            "at": datetime.now(UTC).isoformat(),
        }

    async def _tell(self, event: Json) -> None:
        body = json.dumps(event).encode()
        signature = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.post(self._webhook_url, content=body, headers={"X-Acme-Signature": signature})


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--token", "--secret", "--webhook-url"):
        parser.add_argument(name, required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    app = Acme(given.token, given.secret, given.webhook_url).app
    uvicorn.run(app, host="127.0.0.1", port=given.port, access_log=False)


if __name__ == "__main__":
    main()
