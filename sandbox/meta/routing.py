"""Who answers a conversation (Messenger Platform, "Conversation Routing")."""

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.meta import errors
from sandbox.meta.call import Call, read_call
from sandbox.meta.errors import GraphError
from sandbox.meta.state import Page, Person, now_ms
from sandbox.meta.webhooks import Event

EXPIRES_AFTER = 24 * 3600  # seconds


async def thread_owner(request: Request) -> Response:
    """Answer `GET /{page}/thread_owner?recipient=PSID`; nothing where no app owns the thread."""
    call = await read_call(request)
    person = _person(call, call.own_page(), call.text("recipient"))
    if person.owner_app_id is None:
        return JSONResponse({"data": []})
    owner = {"app_id": person.owner_app_id, "expiration": int(time.time()) + EXPIRES_AFTER}
    return JSONResponse({"data": [{"thread_owner": owner}]})


async def take_thread_control(request: Request) -> Response:
    """Answer `POST /{page}/take_thread_control`: the page's app owns the thread, and is told so."""
    call = await read_call(request)
    page = call.own_page()
    person = _person(call, page, str(call.object("recipient").get("id")))
    before, person.owner_app_id = person.owner_app_id, page.app_id
    taken = {"previous_owner_app_id": before, "new_owner_app_id": page.app_id, "metadata": ""}
    ends = {"sender": {"id": person.psid}, "recipient": {"id": page.id}, "timestamp": now_ms()}
    request.app.state.webhooks.publish(Event(page, ends | {"take_thread_control": taken}))
    return JSONResponse({"success": True})


def _person(call: Call, page: Page, psid: str) -> Person:
    person = page.people.get(psid)
    if person is None:
        raise GraphError(errors.NO_MATCHING_USER)
    return person
