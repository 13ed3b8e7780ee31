"""What a person does in Messenger besides writing, and sees there: orders, as `sandbox.meta` lists them."""

from typing import Any

from starlette.exceptions import HTTPException

from sandbox.meta import thread as meta_thread
from sandbox.meta.order import Order, route
from sandbox.meta.shapes import Edited, Reacting, Tap
from sandbox.meta.state import Message, now_ms

EDITS, EDITED_WITHIN = 5, 15 * 60_000
"""How often a message may be edited, and for how long (ms; Messenger Help Center, "Edit a message")."""


async def _person(order: Order) -> Any:
    person = order.known_person()
    return {
        "psid": person.psid,
        "name": person.name,
        "wrote_at": person.wrote_at,
        "seen_at": person.seen_at,
        "typing": person.sees_typing,
    }


async def _react(order: Order) -> Any:
    wanted = order.read(Reacting)
    message = _message(order, wanted.mid)
    if not (wanted.emoji or message.reaction):
        raise HTTPException(400, "there is no reaction to take back")
    meta_thread.person_reacts(order.webhooks, order.page, message, wanted.emoji)
    return {"mid": message.mid, "reaction": message.reaction}


async def _edit(order: Order) -> Any:
    message, text = _own(order), order.read(Edited).text
    if message.text is None or "postback" in message.extra:
        raise HTTPException(400, "only a text can be edited")
    if message.num_edit >= EDITS:
        raise HTTPException(400, f"a message can be edited {EDITS} times")
    if now_ms() - message.timestamp > EDITED_WITHIN:
        raise HTTPException(400, "a message can be edited for 15 minutes")
    meta_thread.person_edits(order.webhooks, order.page, message, text)
    return {"mid": message.mid, "num_edit": message.num_edit}


async def _unsend(order: Order) -> Any:
    message = _own(order)
    meta_thread.person_unsends(order.webhooks, order.page, message)
    return {"mid": message.mid}


async def _tap(order: Order) -> Any:
    page, tap = order.page, order.read(Tap)
    message = meta_thread.person_taps(order.webhooks, page, page.person(order.path("psid")), tap)
    return {"mid": message.mid, "timestamp": message.timestamp}


def _message(order: Order, mid: str) -> Message:
    """Return a message of the conversation that is still there."""
    message = order.page.messages.get(mid)
    if message is None or message.psid != order.known_person().psid or message.is_deleted:
        raise HTTPException(404, "no such message")
    return message


def _own(order: Order) -> Message:
    """Return the message in the path, which the person must have written."""
    message = _message(order, order.path("mid"))
    if message.sender != "person":
        raise HTTPException(400, "somebody else wrote this message")
    return message


PERSON = "/sandbox/pages/{page_id}/people/{psid}"
ROUTES = [
    route(PERSON, "GET", _person),
    route(PERSON + "/reactions", "POST", _react),
    route(PERSON + "/postbacks", "POST", _tap),
    route(PERSON + "/messages/{mid}", "PATCH", _edit),
    route(PERSON + "/messages/{mid}", "DELETE", _unsend),
]
