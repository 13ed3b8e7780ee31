"""The page for browsers without JavaScript: all that the live page does, in forms."""

import hmac
import json
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from sandbox.playground.faults import Faults
from sandbox.playground.links import links
from sandbox.playground.view import View
from sandbox.samples import Sample
from sandbox.stack import Stack
from sandbox.staff import Staff

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
)
MID = re.compile(r"[\w-]+", re.ASCII)
REACTIONS = ("❤️", "😆", "😮", "😢", "😠", "👍")
STICKERS = {
    "369239263222822": "Thumbs up",
    "126361874215276": "Cat",
    "144885022352431": "Flower",
    "529233864205649": "Coffee",
}
MENU = {
    "GET_STARTED": "Get started",
    "TRACK_PARCEL": "Track my parcel",
    "TALK_TO_PERSON": "Talk to a person",
}
QUICK = {"YES": "Yes, please", "NO": "No, thanks"}
Fields = Mapping[str, str]
"""What a form holds; what it lacks is empty."""


class Plain:
    """Shows what there is, and does what a form says.

    `order` gives an order to the sandbox Meta: method, path and body. `staff` lends the agent.
    """

    def __init__(
        self,
        stack: Stack,
        view: View,
        faults: Faults,
        order: Callable[[str, str, bytes], Any],
        staff: Callable[[], AbstractContextManager[Staff]],
    ) -> None:
        self._stack, self._view, self._faults = stack, view, faults
        self._order, self._staff = order, staff
        self._token = secrets.token_urlsafe(24)
        """Stands in each form: no other site can read it, so that a form of another site does nothing."""

    def shown(self, page_id: str, psid: str, said: str = "", given: Fields | None = None) -> str:
        """Return the page of a customer; of the first one if there is none such.

        With what was `said` to a form that was refused, what was `given` in it stands in its fields again.
        """
        state = self._view.document(page_id, psid)
        if not state["phone"].get("page") and state["customers"]:
            first = state["customers"][0]
            page_id, psid = first["page_id"], first["psid"]
            state = self._view.document(page_id, psid)
        known = {"state": state, "page_id": page_id, "psid": psid, "here": address(page_id, psid)}
        more = {"said": said, "token": self._token, "links": links(self._stack), "clock": _clock}
        more |= {"given": defaultdict(str, given or {}), "reactions": REACTIONS}
        more |= {"stickers": STICKERS, "menu": MENU, "quick": QUICK}
        return _TEMPLATES.get_template("plain.html").render(known | more)

    def do(self, fields: Fields, files: Sequence[Sample] = ()) -> str:
        """Do what a form says; return where it leads.

        Raises `Refused`, `HTTPException`, `NeverHappened`, `httpx.TransportError`.
        """
        if not hmac.compare_digest(fields["token"].encode(), self._token.encode()):
            raise HTTPException(403, "This form is not of this page, or the demo was started again since.")
        page_id, psid = fields["page_id"], fields["psid"]
        match fields["do"]:
            case "add":
                psid = self._add(page_id, fields)
            case "write":
                self._write(fields, files)
            case "reply" | "note" as do:
                self._reply(fields, files, internal=do == "note")
            case "close" | "reopen" as do:
                with self._staff() as staff:
                    (staff.close if do == "close" else staff.reopen)(_said(fields, "ticket"))
            case "turn":
                self._turn(fields)
            case "kill":
                self._faults.kill_worker()
            case _:
                self._give(fields, *_order_of(fields))
        self._view.forget()
        return address(page_id, psid)

    def _add(self, page_id: str, fields: Fields) -> str:
        psid = f"7{secrets.randbelow(10**15):015}"
        names = {"first_name": _said(fields, "first_name")[:100], "last_name": fields["last_name"][:100]}
        self._give({"page_id": page_id, "psid": psid}, "PUT", "", names)
        return psid

    def _give(self, who: Fields, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Have a customer do something."""
        person = f"/pages/{who['page_id']}/people/{who['psid']}"
        self._order(method, f"{person}/{path}".rstrip("/"), json.dumps(body).encode())

    def _write(self, fields: Fields, files: Sequence[Sample]) -> None:
        """Send a text and files as Messenger does: each is a message of its own."""
        if fields["text"].strip() or not files:
            self._give(fields, "POST", "messages", {"text": _said(fields, "text")})
        for file in files:
            self._give(fields, "POST", "messages", {"files": [file.as_json()]})

    def _turn(self, fields: Fields) -> None:
        try:
            self._faults.turn(fields["fault"], fields["page_id"], fields["psid"], on=fields["on"] == "1")
        except KeyError:
            raise HTTPException(404, "There is no such switch.") from None

    def _reply(self, fields: Fields, files: Sequence[Sample], *, internal: bool) -> None:
        text = fields["text"] if files else _said(fields, "text")
        with self._staff() as staff:
            staff.reply(_said(fields, "ticket"), text, internal=internal, files=files)


def address(page_id: str, psid: str) -> str:
    """Return where a customer is shown."""
    return "/plain?" + urlencode({"page_id": page_id, "psid": psid})


def _clock(at: float) -> str:
    """Write when something went between the sandboxes and the connector."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:-3]


def _said(fields: Fields, name: str) -> str:
    """Return what has to stand in a field."""
    if not fields[name].strip():
        raise HTTPException(400, "Nothing was written.")
    return fields[name]


def _order_of(fields: Fields) -> tuple[str, str, Mapping[str, Any]]:
    """Return what a customer does: method, path and body of an order. Raises `HTTPException`."""
    mid, chosen = fields["mid"], fields["chosen"]
    if mid and not MID.fullmatch(mid):
        raise HTTPException(404, "There is no such message.")
    match fields["do"]:
        case "react":
            return "POST", "reactions", {"mid": mid, "emoji": chosen or None}
        case "unsend" if mid:
            return "DELETE", f"messages/{mid}", {}
        case "edit" if mid:
            return "PATCH", f"messages/{mid}", {"text": _said(fields, "text")}
        case "menu" if chosen in MENU:
            return "POST", "postbacks", {"title": MENU[chosen], "payload": chosen}
    return "POST", "messages", _message_of(fields)


def _message_of(fields: Fields) -> Mapping[str, Any]:
    """Return what a customer sends, but for plain texts and files. Raises `HTTPException`."""
    chosen = fields["chosen"]
    match fields["do"]:
        case "answer":
            return {"text": _said(fields, "text"), "reply_to": fields["mid"]}
        case "sticker":
            return {"sticker_id": chosen}
        case "quick" if chosen in QUICK:
            return {"text": QUICK[chosen], "quick_reply": chosen}
    raise HTTPException(404, "There is no such button.")
