"""A helpdesk and a Meta in one transport, honest but for the answers that a plan says are to be mutated."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx

from tests.conftest import PAGE_A
from tests.fuzz.mutations import DEEP, SHALLOW, Mutator, write

HELPDESK_BASE, GRAPH_BASE = "/api/v1", "/v26.0"
STATUSES = (
    *(200, 201, 204, 206, 301, 400, 401, 403, 404, 405, 408, 409, 410, 413, 418, 422, 425, 429),
    *(500, 502, 503, 999),
)
FAULTS = (500, 502, 503, 504, 429)
AFTER = ["0", "1", "-1", "9" * 9, "9" * 400, "nan", "1e3", "٣", "Wed, 21 Oct 2026 07:28:00 GMT", "\xff"]
USAGE = [
    *(f'{{"{PAGE_A}":{uses}}}' for uses in ("null", "[{}]", "[[]]", '[{"type":[]}]')),
    f'{{"{PAGE_A}":[{{"type":"messenger","estimated_time_to_regain_access":1e400}}]}}',
    f'{{"{PAGE_A}":[{{"type":"pages","call_count":"99","total_time":{"9" * 400}}}]}}',
    '{"call_count":{}}',
    "[[",
]
GRAPH_ERRORS: list[Any] = [190, 10, 100, 613, 1, 2, -1, 551, 368, "190", 1.5, None, [], 10**400]
SUBCODES: list[Any] = [0, 2018278, 2018074, 1545041, 33, "33", None, {}, -1]
BREAKS: tuple[Callable[[str], httpx.TransportError], ...] = (
    httpx.ReadTimeout,
    httpx.ConnectError,
    httpx.RemoteProtocolError,
    httpx.ReadError,
)
Planned = int | tuple[int, str] | None
"""An answer: as it should be, mutated as this seed says, or this status and this text."""


@dataclass
class Desk:
    """A small helpdesk. Without `honours_keys` a create that is repeated is done twice."""

    honours_keys: bool
    tickets: dict[str, dict[str, Any]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """The bodies of tickets and comments, in the order they came."""
    edited: list[str] = field(default_factory=list)
    """What bodies were changed to."""
    _answers: dict[str, Any] = field(default_factory=dict)

    def open(self, config: dict[str, Any]) -> None:
        """Have a ticket, which replies are about."""
        self.tickets["42"] = {"id": "42", "desk_id": "7", "closed": False, "config": config}

    def answer(self, request: httpx.Request, path: str) -> tuple[int, Any]:
        """Do what is asked."""
        key = request.headers.get("idempotency-key", "")
        if key and self.honours_keys and key in self._answers:
            return 201, self._answers[key]
        status, answer = self._done(request, path.strip("/").split("/"))
        if key and status < 300:
            self._answers[key] = answer
        return status, answer

    def _done(self, request: httpx.Request, path: list[str]) -> tuple[int, Any]:  # noqa: PLR0911 - one for each route
        match request.method, path:
            case "GET", ["tickets"]:
                return 200, {"tickets": self._found(dict(request.url.params))}
            case "POST", ["tickets"]:
                return 201, {"ticket": self._create(json.loads(request.content)["ticket"])}
            case "GET", ["tickets", id_] if id_ in self.tickets:
                return 200, {"ticket": self.tickets[id_]}
            case "POST", ["tickets", id_, "comments"] if id_ in self.tickets:
                return 201, {"comment": self._add(id_, json.loads(request.content)["comment"])}
            case "GET", ["tickets", id_, "comments"] if id_ in self.tickets:
                wanted = request.url.params.get("external_id")
                return 200, {"comments": [one for one in self.comments if one["external_id"] == wanted]}
            case "PATCH", ["comments", id_]:
                self.edited.append(str(json.loads(request.content)))
                return 200, {"comment": {"id": id_}}
            case "POST", ["attachments"]:
                url = "https://acme.example.com/files/9"
                named = {"filename": "a.jpg", "content_type": "image/jpeg", "size": 3}
                return 201, {"attachment": {"id": "9", "url": url} | named}
        return 404, {"error": {"code": "not_found"}}

    def _found(self, query: dict[str, str]) -> list[Any]:
        wanted = {"config": (query.get("page_id"), query.get("sender_id")), "id": query.get("external_id")}
        tickets = reversed(self.tickets.values())
        if wanted["id"] is not None:
            return [one for one in tickets if one.get("external_id") == wanted["id"]]
        people = ((one, (one["config"].get("page_id"), one["config"].get("sender_id"))) for one in tickets)
        return [one for one, person in people if person == wanted["config"]][:1]

    def _create(self, new: dict[str, Any]) -> dict[str, Any]:
        ticket = {"id": f"t{len(self.tickets)}", "closed": False} | {
            key: new[key] for key in ("desk_id", "external_id", "config")
        }
        self.tickets[str(ticket["id"])] = ticket
        self.said.append(new["body"])
        return ticket

    def _add(self, ticket_id: str, new: dict[str, Any]) -> dict[str, Any]:
        comment = {"id": f"c{len(self.comments)}", "ticket_id": ticket_id, "external_id": new["external_id"]}
        self.comments.append(comment)
        self.said.append(new["body"])
        return comment


@dataclass
class Meta:
    """A small Graph API."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: httpx.Request, path: str) -> tuple[int, Any]:
        """Do what is asked."""
        match request.method, path.strip("/").split("/"):
            case "POST", [_, "messages"]:
                mid = f"m_ours_{len(self.sent)}"
                asked = json.loads(request.content)
                if "sender_action" in asked:
                    return 200, {"recipient_id": asked["recipient"]["id"]}
                self.sent.append(
                    asked["message"] | {"mid": mid, "psid": asked["recipient"]["id"], "at": datetime.now(UTC)}
                )
                return 200, {"recipient_id": asked["recipient"]["id"], "message_id": mid}
            case "POST", [_, "message_attachments"]:
                return 200, {"attachment_id": "77"}
            case "GET", [_, "conversations"]:
                psid = request.url.params["user_id"]
                said = [_shown(one) for one in reversed(self.sent) if one["psid"] == psid][:20]
                return 200, {"data": [{"id": f"t_{psid}", "messages": {"data": said}}]}
            case "GET", [page] if page == PAGE_A:
                return 200, {"id": PAGE_A}
        return 200, {
            "first_name": "Anna",
            "last_name": "Nowak",
            "profile_pic": "https://cdn.example.com/p.jpg",
        }


def _shown(message: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "id": message["mid"],
        "created_time": message["at"].strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "from": {"id": PAGE_A},
        "message": message.get("text", ""),
    }
    return shown | ({"attachments": {"data": [{"id": "1"}]}} if "attachment" in message else {})


class Sides:
    """The transport: each call takes the next answer of the plan; when it is used up, all is well."""

    def __init__(self, plan: Sequence[Planned], *, honours_keys: bool) -> None:
        self.desk, self.meta = Desk(honours_keys), Meta()
        self._plan = [*plan]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        path, planned = request.url.path, self._next(request)
        side, base = (self.desk, HELPDESK_BASE) if path.startswith(HELPDESK_BASE) else (self.meta, GRAPH_BASE)
        if not request.url.host:
            raise httpx.UnsupportedProtocol("it is missing")  # as httpx' own transport does
        if not path.startswith(base):
            return httpx.Response(200, content=b"pdf")

        def do() -> tuple[int, Any]:
            return side.answer(request, path.removeprefix(base))

        if isinstance(planned, int):
            return _Mutated(Random(planned), request).answer(do)
        if planned:
            status, text = planned
            if not 400 <= status < 500:
                do()
            return httpx.Response(status, content=text.encode("utf-8", "surrogatepass"))
        status, answer = do()
        return httpx.Response(status, json=answer)

    def _next(self, request: httpx.Request) -> Planned:
        """Return what is planned for a call. No text that was written before answers a lookup."""
        if not self._plan or (request.method == "GET" and isinstance(self._plan[0], tuple)):
            return None
        return self._plan.pop(0)


class _Mutated:
    """One answer that is not as it should be.

    It never lies: a lookup that says in proper form that something is not there is believed by anybody.
    """

    def __init__(self, random: Random, request: httpx.Request) -> None:
        self._random = random
        self._is_lookup = request.method == "GET"
        self._mutator = Mutator(random, deep=True)

    def answer(self, do: Callable[[], tuple[int, Any]]) -> httpx.Response:
        """Do what is asked, or not, and answer strangely."""
        chance = self._random.random()
        if chance < 0.12:
            broken = self._random.choice(BREAKS)("it broke")
            if self._random.random() < 0.6 and not isinstance(broken, httpx.ConnectError):
                do()
            raise broken
        if chance < 0.4:
            return self._refusal(do)
        status, answer = do()
        if chance < 0.55:
            body = write(answer)
            return self._response(status, body[: self._random.randrange(len(body))])
        if self._is_lookup:
            return self._response(status, write(self._misshapen(answer)))
        return self._response(status, write(self._mutator.tree(answer, self._random.randint(1, 3))))

    def _refusal(self, do: Callable[[], tuple[int, Any]]) -> httpx.Response:
        """Answer with another status. It may be done, unless the answer says clearly that it is not."""
        status = self._random.choice(FAULTS if self._is_lookup else STATUSES)
        error = {"code": self._random.choice(GRAPH_ERRORS), "error_subcode": self._random.choice(SUBCODES)}
        code = {
            "code": self._random.choice(("ticket_closed", "invalid", *SHALLOW)),
            "field": self._random.choice(SHALLOW),
        }
        answer: Any = {"error": self._random.choice((error, code, *SHALLOW, *DEEP))}
        if self._is_lookup:  # who may not look has to send again
            answer = {"error": "no"}
        if (
            answer["error"] not in (error, code)
            and (status < 300 or status >= 500)
            and self._random.random() < 0.5
        ):
            do()
        return self._response(status, write(self._mutator.tree(answer, self._random.randint(0, 1))))

    def _misshapen(self, answer: Any) -> Any:
        """Give a list, or what is in it, another type."""
        junk = [one for one in (*SHALLOW, *DEEP) if one.text[0] != "["]
        if not isinstance(answer, dict) or self._random.random() < 0.3:
            return self._random.choice(junk)
        key = self._random.choice([*answer])
        value = answer[key]
        if isinstance(value, list) and value and self._random.random() < 0.5:
            return answer | {key: [self._random.choice([one for one in junk if one.text[0] != "{"])]}
        return answer | {key: self._random.choice(junk)}

    def _response(self, status: int, body: bytes) -> httpx.Response:
        headers = {}
        if self._random.random() < 0.2:
            headers["retry-after"] = self._random.choice(AFTER)
        if self._random.random() < 0.1:
            headers["x-business-use-case-usage"] = self._random.choice(USAGE)
            headers["x-app-usage"] = self._random.choice(USAGE)
        raw = [(name.encode(), value.encode(errors="replace")) for name, value in headers.items()]
        return httpx.Response(status, content=body, headers=raw)
