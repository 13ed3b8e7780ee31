"""The Graph API and Meta's media host, which fail where they are told to."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from io import BytesIO
from mimetypes import guess_type
from typing import Any

import httpx

from clients.errors import FileRefused
from clients.media import File
from clients.transport import _guard
from tests.conftest import PAGE_A
from tests.fakes.conversation import PSID
from tests.fakes.failures import Fuse, Outside


class Media(Outside):
    """Meta's media host; every file is of one type, a picture as a rule, or else of what its name says."""

    content_type = "image/jpeg"

    def fetch(self, url: str, kind: str) -> AbstractContextManager[File]:
        """Hand a file out."""
        return self._fetch(url)

    @contextmanager
    def _fetch(self, url: str) -> Iterator[File]:
        with self.called("fetch"), BytesIO(b"jpg") as stream:
            name = url.partition("?")[0].rpartition("/")[2]
            if not name:
                raise FileRefused("bad_address")
            yield File(name, self.content_type or guess_type(name)[0] or "text/plain", 3, stream)


class Refusal(Exception):
    """An answer of the Graph API that is no success; `keys` are those of the error beside its code."""

    def __init__(self, code: int, subcode: int = 0, status: int = 400, **keys: str | bool) -> None:
        super().__init__()
        error = {"code": code, "message": "no"} | ({"error_subcode": subcode} if subcode else {}) | keys
        self.answer = httpx.Response(status, json={"error": error})


OUTSIDE_WINDOW = (10, 2018278)
FILE_UNKNOWN = (100, 2018074)


class Meta(Outside):
    """The Graph API, as a transport of httpx. What it sends comes back as an echo, if it has where to."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__(fuse)
        self.sent: list[dict[str, Any]] = []
        self.uploads: list[str] = []
        self.said: dict[str, str] = {}
        self.said_at = datetime.now(UTC)
        self.actions: list[str] = []
        self.headers: dict[str, str] = {}
        self.wrote_at: datetime | None = None
        self.profile = {"first_name": "Anna", "last_name": "Nowak", "profile_pic": "https://cdn/p.jpg"}
        self.past: dict[str, list[dict[str, Any]]] = {}
        """What was said with each person whom no webhook told of, the oldest first."""
        self.spoilt: dict[str, Any] = {}
        """What is answered instead of what was said with a person: an exception is raised."""
        self.per_list = 2
        self.echo: Callable[[dict[str, Any]], None] | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, if the guard has nothing against it."""
        _guard.get()()  # as before anything is written to a connection
        name = self._name(request)
        try:
            with self.called(name):
                answer = getattr(self, f"_{name}")(request)
        except Refusal as refusal:
            return refusal.answer
        return httpx.Response(200, json=answer, headers=self.headers)

    def _name(self, request: httpx.Request) -> str:
        page = f"/v26.0/{PAGE_A}"
        names = {
            page: "ping",
            f"{page}/messages": "send",
            f"{page}/message_attachments": "upload",
            f"{page}/conversations": "conversations",
            f"{page}/thread_owner": "owner",
            f"{page}/take_thread_control": "take",
        }
        path = request.url.path
        if path.startswith("/v26.0/t_past_"):
            return "past"
        if path == f"{page}/conversations" and "user_id" not in request.url.params:
            return "list"
        if path == f"{page}/messages" and "sender_action" in json.loads(request.content):
            return "action"
        return names.get(path, "message" if path.startswith(("/v26.0/m_", "/v26.0/mid.")) else "person")

    def _ping(self, _: httpx.Request) -> Any:
        return {"id": PAGE_A}

    def _person(self, _: httpx.Request) -> Any:
        return self.profile

    def _action(self, request: httpx.Request) -> Any:
        self.actions.append(json.loads(request.content)["sender_action"])
        return {"recipient_id": PSID}

    def _owner(self, _: httpx.Request) -> Any:
        return {"data": [{"thread_owner": {"app_id": "999"}}]}

    def _take(self, _: httpx.Request) -> Any:
        return {"success": True}

    def _message(self, request: httpx.Request) -> Any:
        mid = request.url.path.rpartition("/")[2]
        if mid in self.said:
            return {"id": mid, "message": self.said[mid], "from": {"id": PAGE_A if "page" in mid else PSID}}
        raise Refusal(9000001)

    def _send(self, request: httpx.Request) -> Any:
        asked = json.loads(request.content)
        message = asked["message"]
        sent = message | {
            "mid": f"m_ours_{len(self.sent)}",
            "at": datetime.now(UTC),
            "tag": asked.get("tag"),
            "reply_to": asked.get("reply_to"),
        }
        self.sent.append(sent)
        if self.echo:
            self.echo({"is_echo": True, "mid": sent["mid"], "metadata": message["metadata"]})
        return {"recipient_id": PSID, "message_id": sent["mid"]}

    def _upload(self, request: httpx.Request) -> Any:
        self.uploads.append(f"a_{len(self.uploads)}")
        return {"attachment_id": self.uploads[-1]}

    def _conversations(self, request: httpx.Request) -> Any:
        person = request.url.params["user_id"]
        if person in self.past and "updated_time" in request.url.params["fields"]:
            return {"data": [self._listed(person, request)]}
        asks_messages = request.url.params["fields"].startswith("messages.limit(20){id,")
        return {"data": [{"id": "t_1"} | ({"messages": self._messages()} if asks_messages else {})]}

    def _messages(self) -> Any:
        wrote = {"id": "m_1", "from": {"id": PSID}, "created_time": _time(self.wrote_at)}
        said = [
            {"id": mid, "message": text, "from": {"id": PSID}, "created_time": _time(self.said_at)}
            for mid, text in self.said.items()
        ]
        return {
            "data": [
                *(_shown(message) for message in reversed(self.sent)),
                *([wrote] if self.wrote_at else []),
                *said,
            ]
        }

    def say(self, mid: str, at: int, person: str = PSID, sender: str = PSID, **message: Any) -> None:
        """Have somebody say something at a time (ms) that no webhook tells of."""
        said = {"id": mid, "created_time": _time(datetime.fromtimestamp(at / 1000, UTC))}
        sender = person if sender == PSID else sender
        self.past.setdefault(person, []).append(
            said | {"from": {"id": sender}, "to": {"data": []}, "message": mid} | message
        )

    def _list(self, request: httpx.Request) -> Any:
        people = sorted(self.past, key=lambda one: self.past[one][-1]["created_time"], reverse=True)
        return _paged(request, [self._listed(person, request) for person in people], self.per_list)

    def _listed(self, person: str, request: httpx.Request) -> Any:
        newest = [{key: one[key] for key in ("id", "created_time")} for one in self.past[person][:-11:-1]]
        asks_messages = "messages.limit(10){id,created_time}" in request.url.params["fields"]
        return {
            "id": f"t_past_{person}",
            "updated_time": self.past[person][-1]["created_time"],
            "participants": {"data": [{"id": PAGE_A}, {"id": person}]},
            "is_owner": True,
        } | ({"messages": {"data": newest}} if asks_messages else {})

    def _past(self, request: httpx.Request) -> Any:
        person = request.url.path.split("/")[2].removeprefix("t_past_")
        if isinstance(spoilt := self.spoilt.get(person), Exception):
            raise spoilt
        if spoilt is not None:
            return spoilt
        said = self.past[person][::-1]
        shown = [*said[:20], *({key: one[key] for key in ("id", "created_time")} for one in said[20:])]
        return _paged(request, shown, int(request.url.params["limit"]))

    def texts(self) -> list[str]:
        """Return what was sent, files by their kinds."""
        return [one.get("text") or " ".join(file["type"] for file in _files(one)) for one in self.sent]


def _paged(request: httpx.Request, data: list[Any], limit: int) -> Any:
    start = int(request.url.params.get("after", 0))
    end = start + limit
    paging = {"cursors": {"after": str(end)}} | ({"next": "https://…"} if end < len(data) else {})
    return {"data": data[start:end], "paging": paging}


def _files(message: dict[str, Any]) -> list[dict[str, Any]]:
    return message.get("attachments") or [message["attachment"]]


def _time(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+0000") if at else ""


def _shown(message: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": message["mid"],
        "created_time": _time(message["at"]),
        "from": {"id": PAGE_A},
        "message": message.get("text", ""),
    }
    return shown | ({"attachments": {"data": [{"id": "1"}]}} if "text" not in message else {})
