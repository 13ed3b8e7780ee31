"""The playground as a web application, and the thread that serves it beside the stack."""

import hashlib
import re
import secrets
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.playground.faults import Faults, unreachable
from sandbox.playground.links import links
from sandbox.playground.log import MARK
from sandbox.playground.meta import Meta
from sandbox.playground.plain import Plain
from sandbox.playground.view import SHOWN_INLINE, View, plainly
from sandbox.samples import Sample
from sandbox.stack import NeverHappened, Stack, free_port, until
from sandbox.staff import Refused, Staff

PORT = 9003
STATIC = Path(__file__).parent / "static"
ORDERS = re.compile(r"(POST (messages|reactions|postbacks)|(PATCH|DELETE) messages/[\w-]+)", re.ASCII)
"""What a customer does, of all orders that the sandbox Meta takes."""
DIGITS = re.compile(r"[0-9]{1,30}")
CACHED = "private, max-age=3600"
T = TypeVar("T")
Name = Annotated[str, msgspec.Meta(pattern=r"\S", max_length=100)]


class NewCustomer(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody who has written nothing yet."""

    page_id: str
    first_name: Name
    last_name: Annotated[str, msgspec.Meta(max_length=100)] = ""


class NewFile(msgspec.Struct, forbid_unknown_fields=True):
    """A file of a comment."""

    filename: str
    content_type: str
    base64: bytes


class NewComment(msgspec.Struct, forbid_unknown_fields=True):
    """What an agent writes."""

    text: str = ""
    internal: bool = False
    files: list[NewFile] = []


class Switched(msgspec.Struct, forbid_unknown_fields=True):
    """How a switch is to stand; one of them is about a single customer."""

    on: bool
    page_id: str
    psid: str


class Playground:
    """What the page asks for. Each endpoint runs in a thread: the clients block."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._meta, self._staff = Meta(stack), stack.staff_of(stack.desk_url)
        self._staff_at_work = threading.Lock()
        self.faults = Faults(stack, self._meta)
        self._view = View(stack, self._meta, self.faults)
        self._plain = Plain(stack, self._view, self.faults, self._meta.pass_on, self._at_work)

    def close(self) -> None:
        """Close all connections."""
        self._view.close()
        self._staff.leave()
        self._meta.close()

    def routes(self) -> list[Route | Mount]:
        """Return the routes; `sandbox.playground` lists them."""
        phone, ticket = "/phone/{page_id:int}/{psid:int}", "/tickets/{id:int}"
        return [
            Route("/", page),
            Route("/plain", self.plain, methods=["GET", "POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
            _route("/state", "GET", self.state),
            _route("/links", "GET", lambda _, __: links(self._stack)),
            _route("/people", "POST", self.add_customer),
            _route(phone + "/files/{mid}/{n:int}", "GET", self.sent_file),
            _route(phone + "/{order:path}", "POST", self.act),
            _route(phone + "/{order:path}", "PATCH", self.act),
            _route(phone + "/{order:path}", "DELETE", self.act),
            _route(ticket + "/comments", "POST", self.comment),
            _route(ticket + "/close", "POST", self.close_ticket),
            _route(ticket + "/reopen", "POST", self.reopen_ticket),
            _route("/tickets/{psid:int}/{id:int}/files/{file_id:int}", "GET", self.seen_file),
            _route("/faults/worker", "POST", lambda _, __: self._done(self.faults.kill_worker())),
            _route("/faults/{name}", "PUT", self.turn),
        ]

    @contextmanager
    def _at_work(self) -> Iterator[Staff]:
        """Lend the agent, who does one thing at a time."""
        with self._staff_at_work:
            yield self._staff

    async def plain(self, request: Request) -> Response:
        """Answer the page without scripts, or do what a form of it says."""
        given, status, said = dict(request.query_params), 200, ""
        form, files = dict[str, str](), list[Sample]()
        try:
            if request.method == "POST":
                form, files = await _form(request)
                given = form
                for name in given.keys() & {"page_id", "psid", "ticket"}:
                    _digits(given[name])
                where = await run_in_threadpool(self._plain.do, defaultdict(str, given), files)
                return RedirectResponse(where, 303)
        except Exception as error:  # noqa: BLE001 - whatever it is, a person waits for the answer
            status, said = _refusal(error)
            said += " Choose its files again." * bool(files)  # which no page can do for a person
        page_id, psid = (given.get(name, "") for name in ("page_id", "psid"))
        if not DIGITS.fullmatch(page_id) or not DIGITS.fullmatch(psid):
            page_id = psid = "0"
        shown = await run_in_threadpool(self._plain.shown, page_id, psid, said, form)
        return HTMLResponse(shown, status, headers={"Cache-Control": "no-store"})

    def state(self, request: Request, body: bytes) -> Response:
        """Answer the document, or that it is the one that the page knows."""
        query = request.query_params
        document = self._view.document(_digits(query.get("page_id")), _digits(query.get("psid")))
        content = msgspec.json.encode(document)
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="application/json")

    def add_customer(self, request: Request, body: bytes) -> Any:
        """Keep a new customer of a page."""
        new, psid = msgspec.json.decode(body, type=NewCustomer), f"7{secrets.randbelow(10**15):015}"
        names = {"first_name": new.first_name, "last_name": new.last_name}
        return self._done(self._meta.ask("PUT", f"/pages/{_digits(new.page_id)}/people/{psid}", names))

    def act(self, request: Request, body: bytes) -> Any:
        """Have the customer do something."""
        where = request.path_params
        if not ORDERS.fullmatch(f"{request.method} {where['order']}"):
            raise HTTPException(404, "A customer cannot do that.")
        path = f"/pages/{where['page_id']}/people/{where['psid']}/{where['order']}"
        return self._done(self._meta.pass_on(request.method, path, body))

    def comment(self, request: Request, body: bytes) -> Any:
        """Have the agent comment."""
        new = msgspec.json.decode(body, type=NewComment)
        files = [Sample(file.filename, file.content_type, file.base64) for file in new.files]
        with self._at_work() as staff:
            staff.reply(_id(request), new.text, internal=new.internal, files=files)
        return self._done({})

    def close_ticket(self, request: Request, body: bytes) -> Any:
        """Have the agent close the ticket."""
        with self._at_work() as staff:
            staff.close(_id(request))
        return self._done({})

    def reopen_ticket(self, request: Request, body: bytes) -> Any:
        """Have the agent open the ticket again."""
        with self._at_work() as staff:
            staff.reopen(_id(request))
        return self._done({})

    def turn(self, request: Request, body: bytes) -> Any:
        """Turn a switch."""
        wanted = msgspec.json.decode(body, type=Switched)
        try:
            where = _digits(wanted.page_id), _digits(wanted.psid)
            self.faults.turn(request.path_params["name"], *where, on=wanted.on)
        except KeyError:
            raise HTTPException(404, "There is no such switch.") from None
        return self._done({})

    def sent_file(self, request: Request, body: bytes) -> Response:
        """Answer a file of the conversation."""
        where = request.path_params
        thread = self._meta.ask("GET", f"/pages/{where['page_id']}/people/{where['psid']}/messages")
        for message in thread:
            if message["mid"] == where["mid"] and where["n"] < len(message["attachments"]):
                file = message["attachments"][where["n"]]
                return self._file(f"{file['url']}&{MARK}", file["filename"], file["content_type"])
        raise HTTPException(404, "There is no such file.")

    def seen_file(self, request: Request, body: bytes) -> Response:
        """Answer a file of a ticket."""
        where = request.path_params
        file = self._view.file_of(str(where["psid"]), _id(request), str(where["file_id"]))
        if file is None:
            raise HTTPException(404, "There is no such file.")
        token = {"Authorization": f"Bearer {self._stack.api_token}"}
        return self._file(f"{file.url}?{MARK}", file.filename, file.content_type, token)

    def _file(self, url: str, name: str, kind: str, headers: Mapping[str, str] | None = None) -> Response:
        """Answer a file so that it can do nothing in the browser but be shown."""
        answer = self._stack.http.get(url, headers=headers)
        if answer.is_error:
            raise Refused(answer.status_code, answer.text)
        place = "inline" if kind.partition("/")[0] in SHOWN_INLINE else "attachment"
        headers = {
            "Content-Type": kind,
            "Content-Disposition": f"{place}; filename*=UTF-8''{quote(name, safe='')}",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "Cache-Control": CACHED,
        }
        return Response(answer.content, headers=headers)

    def _done(self, answer: T) -> T:
        """Have the page see at once what was done."""
        self._view.forget()
        return answer


async def page(request: Request) -> Response:
    """Answer the page."""
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


async def _form(request: Request) -> tuple[dict[str, str], list[Sample]]:
    """Return what was entered in a form, and the files that were chosen there."""
    async with request.form() as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        chosen = [one for one in form.getlist("files") if isinstance(one, UploadFile) and one.filename]
        files = [
            Sample(one.filename or "", one.content_type or "application/octet-stream", await one.read())
            for one in chosen
        ]
        return fields, files


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _digits(text: str | None) -> str:
    if not text or not DIGITS.fullmatch(text):
        raise HTTPException(404, "There is no such customer.")
    return text


def _route(path: str, method: str, act: Callable[[Request, bytes], Any]) -> Route:
    """Return a route that answers what `act` returns, and in plain words why it was not done."""

    async def endpoint(request: Request) -> Response:
        # What a form of another site can send is refused: a browser asks us before it sends JSON elsewhere.
        kind = request.headers.get("content-type", "").partition(";")[0]
        if method != "GET" and kind != "application/json":
            return JSONResponse({"error": "The body has to be application/json."}, 415)
        body = await request.body()
        try:
            answer = await run_in_threadpool(act, request, body)
        except Exception as error:  # noqa: BLE001 - whatever it is, a person waits for the answer
            status, words = _refusal(error)
            return JSONResponse({"error": words}, status)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return Route(path, endpoint, methods=[method])


def _refusal(error: Exception) -> tuple[int, str]:
    """Return how to answer what was not done, and why it was not."""
    match error:
        case HTTPException():
            return error.status_code, error.detail
        case Refused():
            return 400, f"The sandbox refused it: {plainly(error)}"
        case msgspec.MsgspecError():
            return 400, f"That was not understood: {error}"
        case httpx.TransportError():
            return 503, unreachable(error)
        case NeverHappened():
            return 503, f"This did not happen: {error}"
    raise error


class Headers:
    """ASGI middleware: the page runs and fetches only what is its own, and frames the connector's pages."""

    def __init__(self, app: ASGIApp, frames: str) -> None:
        self._app = app
        policy = (
            f"default-src 'self'; frame-src {frames}; frame-ancestors 'none'; base-uri 'none';"
            " form-action 'self'"
        )
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an answer with a policy of its own keeps that."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message["headers"])
                names = {name for name, _ in given}
                message["headers"] = given + [one for one in self._headers if one[0] not in names]
            await send(message)

        await self._app(scope, receive, with_headers)


def create_app(playground: Playground, frames: str) -> Starlette:
    """Return the application; `frames` is the origin of the pages that it may frame."""
    return Starlette(
        routes=playground.routes(),
        middleware=[
            # Else a name of another site that leads to this machine would open it to that site.
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(Headers, frames=frames),
        ],
    )


@contextmanager
def serving(stack: Stack, port: int = PORT) -> Iterator[str]:
    """Serve the page beside a stack, at this port or, if it is taken, at another. Give its address."""
    playground = Playground(stack)
    app = create_app(playground, stack.url)
    with socket.create_server(("127.0.0.1", free_port(port))) as listener:
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            until("the playground answers", lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            playground.faults.close()
            server.should_exit = True
            thread.join()
            playground.close()
