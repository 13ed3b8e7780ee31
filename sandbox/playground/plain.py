"""The page for browsers without JavaScript: the same conversation, in forms."""

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from sandbox.playground.links import links
from sandbox.playground.view import View
from sandbox.stack import Stack
from sandbox.staff import Staff

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
)
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
        order: Callable[[str, str, bytes], Any],
        staff: Callable[[], AbstractContextManager[Staff]],
    ) -> None:
        self._stack, self._view, self._order, self._staff = stack, view, order, staff
        self._token = secrets.token_urlsafe(24)
        """Stands in each form: no other site can read it, so that a form of another site does nothing."""

    def shown(self, page_id: str, psid: str, said: str = "") -> str:
        """Return the page of a customer; of the first one if there is none such."""
        state = self._view.document(page_id, psid)
        if not state["phone"].get("page") and state["customers"]:
            first = state["customers"][0]
            page_id, psid = first["page_id"], first["psid"]
            state = self._view.document(page_id, psid)
        known = {"state": state, "page_id": page_id, "psid": psid, "here": address(page_id, psid)}
        more = {"said": said, "token": self._token, "links": links(self._stack)}
        return _TEMPLATES.get_template("plain.html").render(known | more)

    def do(self, fields: Fields) -> str:
        """Do what a form says; return where it leads.

        Raises `Refused`, `HTTPException`, `httpx.TransportError`.
        """
        if not hmac.compare_digest(fields["token"].encode(), self._token.encode()):
            raise HTTPException(403, "This form is not of this page, or the demo was started again since.")
        page_id, psid = fields["page_id"], fields["psid"]
        match fields["do"]:
            case "add":
                psid = self._add(page_id, fields)
            case "write":
                self._order(
                    "POST", f"/pages/{page_id}/people/{psid}/messages", _json(text=_said(fields, "text"))
                )
            case "reply" | "note" as do:
                self._reply(fields, internal=do == "note")
            case "close" | "reopen" as do:
                with self._staff() as staff:
                    (staff.close if do == "close" else staff.reopen)(_said(fields, "ticket"))
            case _:
                raise HTTPException(404, "There is no such button.")
        self._view.forget()
        return address(page_id, psid)

    def _add(self, page_id: str, fields: Fields) -> str:
        psid = f"7{secrets.randbelow(10**15):015}"
        names = {"first_name": _said(fields, "first_name")[:100], "last_name": fields["last_name"][:100]}
        self._order("PUT", f"/pages/{page_id}/people/{psid}", _json(**names))
        return psid

    def _reply(self, fields: Fields, *, internal: bool) -> None:
        with self._staff() as staff:
            staff.reply(_said(fields, "ticket"), _said(fields, "text"), internal=internal)


def address(page_id: str, psid: str) -> str:
    """Return where a customer is shown."""
    return "/plain?" + urlencode({"page_id": page_id, "psid": psid})


def _said(fields: Fields, name: str) -> str:
    """Return what has to stand in a field."""
    if not fields[name].strip():
        raise HTTPException(400, "Nothing was written.")
    return fields[name]


def _json(**fields: str) -> bytes:
    return json.dumps(fields).encode()
