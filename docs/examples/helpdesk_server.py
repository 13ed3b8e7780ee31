"""A helpdesk with the Messenger connector's API: small, whole, and right about what the promises rest on.

    TOKEN=… SECRET=whsec_… python docs/examples/helpdesk_server.py --port 9000

It needs Starlette, uvicorn, httpx and python-multipart, and keeps everything in one SQLite file. Agents work
at http://127.0.0.1:9000/ without logging in, so it serves this machine only. docs/build-the-helpdesks-side.md
explains it.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

Json = dict[str, Any]
DESKS, MAX_FILE = ("7", "8"), 25 * 2**20  # bytes
TICKET = ("desk_id", "title", "body", "external_id", "requester", "attachment_ids", "created_at", "config")
COMMENT = ("body", "external_id", "author", "internal", "attachment_ids", "created_at", "config")
FILTERS = ("config.source", "config.page_id", "config.sender_id", "external_id", "closed")
SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS things (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, told TEXT, data BLOB);
CREATE TABLE IF NOT EXISTS creates (kind TEXT, key TEXT, asked TEXT, answer TEXT, PRIMARY KEY (kind, key));
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, webhook_id TEXT, ticket_id TEXT,
    body TEXT, tries INTEGER DEFAULT 0, due REAL DEFAULT 0);
"""
# The oldest event of each ticket, once it is due: none overtakes another of its ticket.
DUE = "SELECT * FROM outbox WHERE id IN (SELECT min(id) FROM outbox GROUP BY ticket_id) AND due <= ?"
FORM = """<form method=post action=/tickets/{} enctype=multipart/form-data><textarea name=text></textarea>
<input type=file name=file multiple> <label><input type=checkbox name=internal>internal</label>
<button>Send</button> <button name=do value=close>Send and close</button>
<button name=do value=reopen>Open again</button></form>"""


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str, field: str = "") -> None:
        self.status = status
        self.error = {"code": code, "message": message} | ({"field": field} if field else {})


class Helpdesk:
    """Everything runs in one thread, and nothing awaits inside a transaction."""

    def __init__(self, db: str, token: str, secret: str, webhook_url: str) -> None:
        self.db = sqlite3.connect(db, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.executescript(SCHEMA)
        self.token, self.webhook_url, self.news = token, webhook_url, asyncio.Event()
        self.signing_key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep what is written together, or nothing of it: a comment, its webhook and its idempotency key."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        self.news.set()

    # --- The API: docs/helpdesk-api.yaml. ---------------------------------------------------------------

    async def find_tickets(self, request: Request) -> Response:
        asked, limit = request.query_params, request.query_params.get("limit", "100")
        wanted: Json = {path: asked[name] for path in FILTERS if (name := path.split(".")[-1]) in asked}
        if "closed" in wanted:
            wanted["closed"] = wanted["closed"] == "true"
        expect(limit.isdecimal(), "limit")
        return JSONResponse({"tickets": self.find("ticket", wanted)[::-1][: int(limit)]})

    async def create_ticket(self, request: Request) -> Response:
        new: Json = {"category_id": None, "closed": False} | await read(request, "ticket", TICKET)

        def make() -> Json:
            expect(new["desk_id"] in DESKS, "ticket.desk_id")
            ticket = self.add("ticket", new | {"attachments": self.files(new)})
            return self.change(ticket | {"url": f"{request.base_url}#{ticket['id']}"})

        return self.once("ticket", request, new, make)

    async def get_ticket(self, request: Request) -> Response:
        return JSONResponse({"ticket": self.get("ticket", request.path_params["id"])})

    async def find_comments(self, request: Request) -> Response:
        ticket, asked = self.get("ticket", request.path_params["id"]), request.query_params
        wanted = {"ticket_id": ticket["id"]}
        if "external_id" in asked:
            wanted["external_id"] = asked["external_id"]
        after = utc(asked["after"], "after") if "after" in asked else ""
        found = [one for one in self.find("comment", wanted) if one["created_at"] > after]
        return JSONResponse({"comments": found})

    async def create_comment(self, request: Request) -> Response:
        new, ticket_id = await read(request, "comment", COMMENT), request.path_params["id"]

        def make() -> Json:
            ticket = self.get("ticket", ticket_id)
            if ticket["closed"] and not new["internal"]:  # agents may still be told something
                raise Refused(409, "ticket_closed", "the ticket is closed")
            return self.add_comment(ticket, new)

        return self.once("comment", request, [ticket_id, new], make)

    async def change_comment(self, request: Request) -> Response:
        patch = await read(request, "comment", ())
        with self.transaction():
            comment = self.get("comment", request.path_params["id"])
            config = comment["config"] | patch.get("config", {})
            comment |= {"body": patch.get("body", comment["body"]), "config": config}
            return JSONResponse({"comment": self.change(comment)})

    async def upload(self, request: Request) -> Response:
        async with request.form() as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Refused(422, "invalid", "the body has to be multipart/form-data with a file", "file")
            name, media_type, data = file.filename or "file", file.content_type, await file.read()
        if len(data) > MAX_FILE:
            raise Refused(413, "too_large", f"a file may have {MAX_FILE} bytes")
        asked = [name, media_type, hashlib.sha256(data).hexdigest()]  # a repeat has another boundary
        return self.once("attachment", request, asked, lambda: self.keep(request, name, media_type, data))

    async def get_file(self, request: Request) -> Response:
        file = self.get("attachment", request.path_params["id"])
        (data,) = self.db.execute("SELECT data FROM things WHERE id = ?", [file["id"]]).fetchone()
        safe = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox"}
        return Response(data, headers={"content-type": file["content_type"]} | safe)

    def once(self, kind: str, request: Request, asked: object, make: Callable[[], Json]) -> Response:
        """Answer what `make` makes; a repeat with its key gets the first answer. An error keeps no key."""
        key = request.headers.get("idempotency-key")
        if not key:
            raise Refused(400, "bad_request", "a create needs a key", "Idempotency-Key")
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        with self.transaction():
            sql = "SELECT asked, answer FROM creates WHERE kind = ? AND key = ?"
            first = self.db.execute(sql, [kind, key]).fetchone()
            if first is None:
                answer = json.dumps({kind: make()})
                self.db.execute("INSERT INTO creates VALUES (?, ?, ?, ?)", [kind, key, digest, answer])
                return Response(answer, 201, media_type="application/json")
        expect(first["asked"] == digest, "Idempotency-Key")
        return Response(first["answer"], 201, {"idempotency-replayed": "true"}, media_type="application/json")

    # --- What is kept, and told by webhooks. --------------------------------------------------------------

    def add(self, kind: str, told: Json, data: bytes | None = None) -> Json:
        sql = "INSERT INTO things (kind, told, data) VALUES (?, ?, ?)"
        return self.change(told | {"id": str(self.db.execute(sql, [kind, "", data]).lastrowid)})

    def change(self, thing: Json) -> Json:
        self.db.execute("UPDATE things SET told = ? WHERE id = ?", [json.dumps(thing), thing["id"]])
        return thing

    def find(self, kind: str, wanted: Json) -> list[Json]:
        where = "".join(f" AND json_extract(told, '$.{path}') = ?" for path in wanted)
        sql = f"SELECT told FROM things WHERE kind = ?{where} ORDER BY id"  # noqa: S608 - our own paths
        return [json.loads(row["told"]) for row in self.db.execute(sql, [kind, *wanted.values()])]

    def get(self, kind: str, id_: str) -> Json:
        for thing in self.find(kind, {"id": id_}):
            return thing
        raise Refused(404, "not_found", f"there is no such {kind}")

    def keep(self, request: Request, name: str, media_type: str | None, data: bytes) -> Json:
        media_type = media_type or "application/octet-stream"
        file = self.add("attachment", {"filename": name, "content_type": media_type, "size": len(data)}, data)
        return self.change(file | {"url": f"{request.base_url}files/{file['id']}/{quote(name, safe='')}"})

    def files(self, new: Json) -> list[Json]:
        return [self.get("attachment", id_) for id_ in new["attachment_ids"]]

    def add_comment(self, ticket: Json, new: Json) -> Json:
        told = {"ticket_id": ticket["id"], "attachments": self.files(new)}
        comment = self.add(
            "comment", new | told | {"created_at": utc(new["created_at"], "comment.created_at")}
        )
        self.tell("comment.created", ticket, {"comment": comment})
        return comment

    def set_closed(self, ticket: Json, *, closed: bool) -> Json:
        if ticket["closed"] != closed:
            ticket = self.change(ticket | {"closed": closed})
            self.tell("ticket.closed" if closed else "ticket.reopened", ticket, {})
        return ticket

    def tell(self, kind: str, ticket: Json, more: Json) -> None:
        body = json.dumps({"type": kind, "timestamp": utc(), "data": {"ticket": ticket} | more})
        sql = "INSERT INTO outbox (webhook_id, ticket_id, body) VALUES (?, ?, ?)"
        self.db.execute(sql, [f"msg_{secrets.token_hex(16)}", ticket["id"], body])

    async def deliver(self) -> None:
        """Send what is in the outbox, for ever: each webhook until it is taken."""
        async with httpx.AsyncClient(timeout=15, trust_env=False) as http:
            while True:
                self.news.clear()
                due = self.db.execute(DUE, [time.time()]).fetchall()
                for event in due:
                    await self.send(http, event)
                if not due:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.news.wait(), 1)

    async def send(self, http: httpx.AsyncClient, event: sqlite3.Row) -> None:
        id_, timestamp = event["webhook_id"], str(int(time.time()))  # the time of this attempt
        signed = f"{id_}.{timestamp}.{event['body']}".encode()
        signature = base64.b64encode(hmac.digest(self.signing_key, signed, hashlib.sha256)).decode()
        headers = {"webhook-id": id_, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
        headers["content-type"] = "application/json"
        try:
            answer = await http.post(self.webhook_url, content=event["body"], headers=headers)
            said = "" if answer.is_success else f"{answer.status_code} {answer.text[:200]}"
        except Exception as error:  # noqa: BLE001 - whatever it is, the webhook is sent again
            said = type(error).__name__
        if not said:
            self.db.execute("DELETE FROM outbox WHERE id = ?", [event["id"]])
            return
        wait = min(2 ** event["tries"], 60)
        print(f"{self.webhook_url}: {said}; again in {wait} s", flush=True)
        sql = "UPDATE outbox SET tries = tries + 1, due = ? WHERE id = ?"
        self.db.execute(sql, [time.time() + wait, event["id"]])

    # --- What agents see and do. ------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        shown = "".join(map(self.show, reversed(self.find("ticket", {}))))
        return HTMLResponse(f"<!doctype html><meta charset=utf-8><h1>Tickets</h1>{shown}")

    def show(self, ticket: Json) -> str:
        first = ticket | {"author": ticket["requester"] | {"type": "customer"}, "internal": False}
        articles = map(self.article, [first, *self.find("comment", {"ticket_id": ticket["id"]})])
        about = (
            f"#{ticket['id']} {ticket['title']} (desk {ticket['desk_id']}, category {ticket['category_id']})"
        )
        head = f"<hr><h2 id={ticket['id']}>{escape(about)}{' CLOSED' if ticket['closed'] else ''}</h2>"
        return head + "".join(articles) + FORM.format(ticket["id"])

    def article(self, told: Json) -> str:
        state = told["config"].get("delivery", {}).get("status", "")
        said = f"{told['author']['name']}{', internal' * told['internal']} {state}"
        links = (
            f"<a href='{escape(one['url'])}'>{escape(one['filename'])}</a> " for one in told["attachments"]
        )
        return f"<article><b>{escape(said)}</b><pre>\n{escape(told['body'])}</pre>{''.join(links)}</article>"

    async def act(self, request: Request) -> Response:
        """Do what an agent sent: `text` and `file`s, perhaps `internal`; `do` may say close or reopen."""
        async with request.form() as form:
            sent = [one for one in form.getlist("file") if isinstance(one, UploadFile) and one.filename]
            files = [(one.filename or "", one.content_type, await one.read()) for one in sent]
            text, wish = str(form.get("text", "")).replace("\r\n", "\n"), form.get("do")
            new = {"body": text, "body_format": "markdown", "internal": "internal" in form, "config": {}}
        with self.transaction():
            ticket = self.get("ticket", request.path_params["id"])
            closed = wish == "close" or (ticket["closed"] and wish != "reopen")
            ticket = self.set_closed(ticket, closed=closed)  # first: the comment's webhook tells it, too
            if text.strip() or files:
                new |= {"author": {"type": "agent", "name": "Ola"}, "created_at": utc(), "external_id": None}
                ids = [self.keep(request, *file)["id"] for file in files]
                self.add_comment(ticket, new | {"attachment_ids": ids})
        return RedirectResponse("/", 303)


def expect(holds: object, field: str) -> None:
    if not holds:
        raise Refused(422, "invalid", f"{field} is missing, unknown or wrong", field)


async def read(request: Request, name: str, fields: tuple[str, ...]) -> Json:
    """Return what the JSON body holds under `name`, once it has these fields."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "unsupported_media_type", "the body has to be application/json")
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise Refused(400, "bad_request", "the body is not JSON") from None
    expect(isinstance(body, dict) and isinstance(body.get(name), dict), name)
    told: Json = body[name]
    for field in fields:
        expect(field in told, f"{name}.{field}")
    return told


def utc(moment: str = "", field: str = "") -> str:
    """Return a time (now if none is given) in UTC, always as long, so that texts sort as times do."""
    try:
        read_as = datetime.fromisoformat(moment) if moment else datetime.now(UTC)
    except ValueError:
        raise Refused(422, "invalid", "this is no time", field) from None
    return read_as.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def create_app(desk: Helpdesk) -> Starlette:
    def api(path: str, method: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
        async def checked(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {desk.token}".encode()):
                raise Refused(401, "unauthorized", "the bearer token is missing or wrong")
            return await endpoint(request)

        return Route(path, checked, methods=[method])

    async def refused(request: Request, error: Refused) -> Response:
        return JSONResponse({"error": error.error}, error.status)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        delivering = asyncio.create_task(desk.deliver())
        yield
        delivering.cancel()

    routes = [
        api("/api/v1/tickets", "GET", desk.find_tickets),
        api("/api/v1/tickets", "POST", desk.create_ticket),
        api("/api/v1/tickets/{id}", "GET", desk.get_ticket),
        api("/api/v1/tickets/{id}/comments", "GET", desk.find_comments),
        api("/api/v1/tickets/{id}/comments", "POST", desk.create_comment),
        api("/api/v1/comments/{id}", "PATCH", desk.change_comment),
        api("/api/v1/attachments", "POST", desk.upload),
        Route("/files/{id}/{name:path}", desk.get_file),  # open, as agents' browsers have no token here
        Route("/", desk.page),
        Route("/tickets/{id}", desk.act, methods=["POST"]),
    ]
    handlers: Any = {Refused: refused}
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)


def main() -> None:
    parser = argparse.ArgumentParser(description="A helpdesk with the Messenger connector's API.")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--db", default="helpdesk.sqlite3", help="the SQLite file")
    parser.add_argument("--webhook-url", default="http://127.0.0.1:8000/social_media/webhooks/helpdesk")
    options = parser.parse_args()
    if not (os.environ.get("TOKEN") and os.environ.get("SECRET")):
        parser.error("set TOKEN and SECRET in the environment")
    desk = Helpdesk(options.db, os.environ["TOKEN"], os.environ["SECRET"], options.webhook_url)
    print(f"Agents work at http://127.0.0.1:{options.port}/", flush=True)
    uvicorn.run(create_app(desk), host="127.0.0.1", port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
