"""The sandbox Meta's Send API: what it accepts, what it refuses, and what the app then hears of it.

Source: Messenger Platform, "Send API", "Send Messages" and "Rate Limiting".
"""

import asyncio
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.meta import errors
from sandbox.meta import thread as meta_thread
from sandbox.meta import upload as meta_upload
from sandbox.meta.call import Call, check_rate, read_call
from sandbox.meta.errors import GraphError, Refusal
from sandbox.meta.state import Attachment, Message, Page, Person, Platform, new_mid, now_ms
from sandbox.meta.webhooks import Webhooks

HOUR = 3_600_000  # ms
WINDOW, HUMAN_AGENT_WINDOW = 24 * HOUR, 7 * 24 * HOUR
TEXTS_PER_SECOND, MEDIA_PER_SECOND = 300, 10
MAX_TEXT, MAX_METADATA, MAX_IMAGES = 2000, 999, 30
MESSAGING_TYPES = ("MESSAGE_TAG", "RESPONSE", "UPDATE")
ACTIONS = ("mark_seen", "react", "typing_off", "typing_on", "unreact")
REMOVED_TAGS = ("ACCOUNT_UPDATE", "CONFIRMED_EVENT_UPDATE", "POST_PURCHASE_UPDATE")
ECHO_FIRST = 2.0  # seconds that an answer waits for the echo that is to overtake it


async def send(request: Request) -> Response:
    """Answer `POST /{page}/messages`."""
    call = await read_call(request)
    page = call.own_page()
    person = _recipient(call, page)
    if "sender_action" in call.params:
        _check_action(call)
        _check_thread(call, page, person)
        _act(person, call.text("sender_action"))
        return JSONResponse({"recipient_id": person.psid})
    content = call.object("message")
    _check_content(call, page, content)
    _check_thread(call, page, person)
    taken = [await meta_upload.take(call, page, spec) for spec in _specs(content)]
    message = _add(call, page, person, content, [attachment for attachment, _ in taken])
    answer = {"recipient_id": person.psid, "message_id": message.mid}
    if saved := next((saved for _, saved in taken if saved), None):
        answer["attachment_id"] = saved
    return await _answer(call, page, person, message, answer)


def _recipient(call: Call, page: Page) -> Person:
    """Return whom the call means; of Meta's recipients, only a PSID leads to anybody here."""
    psid = call.object("recipient").get("id")
    if psid is None:
        raise GraphError(errors.REQUIRED, name="recipient[id]")
    person = page.people.get(str(psid))
    if person is None:
        raise GraphError(errors.NO_MATCHING_USER)
    return person


def _check_action(call: Call) -> None:
    if "message" in call.params:
        raise GraphError(errors.ACTION_NOT_ALONE)
    _check_one_of("sender_action", call.text("sender_action"), ACTIONS)


def _act(person: Person, action: str) -> None:
    """Show the person that somebody types, or has seen what they wrote."""
    if action == "mark_seen":
        person.seen_at = now_ms()
    elif action in ("typing_on", "typing_off"):
        person.typing_since = now_ms() if action == "typing_on" else None


def _check_content(call: Call, page: Page, content: dict[str, Any]) -> None:
    """Check what can be told from the message alone, and the page's rate."""
    given = [name for name in ("text", "attachment", "attachments") if content.get(name)]
    if len(given) != 1:
        raise GraphError(errors.MESSAGE_AMBIGUOUS if given else errors.MESSAGE_EMPTY)
    _check_length("message[text]", content.get("text"), MAX_TEXT)
    _check_length("message[metadata]", content.get("metadata"), MAX_METADATA)
    if "attachments" in given:
        _check_images(content["attachments"])
    is_text = given == ["text"]
    limit = TEXTS_PER_SECOND if is_text else MEDIA_PER_SECOND
    check_rate(call, page, "text" if is_text else "media", limit, errors.SEND_RATE)


def _check_length(name: str, value: Any, limit: int) -> None:
    """Count UTF-16 units: Meta does not say what it counts, and this is the strictest of the likely."""
    if value is not None and len(str(value).encode("utf-16-le", "surrogatepass")) // 2 > limit:
        raise GraphError(errors.TOO_LONG, name=name, limit=limit)


def _check_images(specs: Any) -> None:
    if not isinstance(specs, list) or len(specs) > MAX_IMAGES:
        raise GraphError(errors.TOO_MANY, name="message[attachments]", limit=MAX_IMAGES)
    for spec in specs:
        kind = spec.get("type") if isinstance(spec, dict) else None
        _check_one_of("message[attachments][type]", str(kind), ("image",))


def _check_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise GraphError(errors.NOT_ONE_OF, name=name, allowed=", ".join(allowed), value=value)


def _check_thread(call: Call, page: Page, person: Person) -> None:
    """Check whether the page may write into this thread now."""
    window = _window(call, call.platform.apps[page.app_id].human_agent)
    if person.owner_app_id not in (None, page.app_id):
        raise GraphError(errors.OTHER_OWNER)
    if person.wrote_at is None or now_ms() - person.wrote_at > window:
        raise GraphError(errors.OUTSIDE_WINDOW)
    if "reply_to" in call.params:
        answered = page.messages.get(str(call.object("reply_to").get("mid")))
        if answered is None or answered.psid != person.psid:
            raise GraphError(errors.REPLY_TO_UNKNOWN)


def _window(call: Call, human_agent: bool) -> int:  # noqa: FBT001 - what the app may do, not a switch
    """Return for how long after the person wrote this kind of message may be sent, in ms."""
    messaging_type, tag = call.params.get("messaging_type", "RESPONSE"), call.params.get("tag")
    _check_one_of("messaging_type", str(messaging_type), MESSAGING_TYPES)
    if tag in REMOVED_TAGS:
        raise GraphError(errors.TAG_REMOVED)
    if messaging_type != "MESSAGE_TAG":
        if tag is not None:
            raise GraphError(errors.TAG_OUT_OF_PLACE)
        return WINDOW
    _check_one_of("tag", call.text("tag"), ("HUMAN_AGENT",))
    if not human_agent:
        raise GraphError(errors.NO_PERMISSION)
    return HUMAN_AGENT_WINDOW


def _specs(content: dict[str, Any]) -> list[Any]:
    return list(content.get("attachments") or ([content["attachment"]] if content.get("attachment") else []))


def _add(
    call: Call, page: Page, person: Person, content: dict[str, Any], attachments: list[Attachment]
) -> Message:
    message = Message(
        mid=new_mid(),
        psid=person.psid,
        sender="page",
        timestamp=person.next_timestamp(),
        text=None if content.get("text") is None else str(content["text"]),
        attachments=attachments,
        app_id=int(page.app_id),
        metadata=content.get("metadata"),
        messaging_type=call.params.get("messaging_type"),
        tag=call.params.get("tag"),
        extra={"reply_to": call.object("reply_to")} if "reply_to" in call.params else {},
    )
    page.add(message)
    person.typing_since = None
    journal = call.request.app.state.webhooks.journal
    journal.note("stored", mid=message.mid, psid=person.psid, metadata=message.metadata)
    return message


async def _answer(
    call: Call, page: Page, person: Person, message: Message, answer: dict[str, str]
) -> Response:
    """Answer the send; the echo follows the answer, or overtakes it."""
    platform, webhooks = call.platform, call.request.app.state.webhooks
    lost = _lost(platform)
    response = (
        JSONResponse(errors.error_body(lost, lost.message), lost.status) if lost else JSONResponse(answer)
    )
    if platform.chance(platform.behaviour.echo_before_response):
        await _tell_first(webhooks, page, person, message)
    else:
        response.background = BackgroundTask(_tell, webhooks, page, person, message)
    return response


async def _tell(webhooks: Webhooks, page: Page, person: Person, message: Message) -> None:
    """Tell the app; a coroutine, for Starlette runs a plain function in another thread."""
    meta_thread.tell_sent(webhooks, page, person, message)


async def _tell_first(webhooks: Webhooks, page: Page, person: Person, message: Message) -> None:
    echo = meta_thread.tell_sent(webhooks, page, person, message)
    if echo is not None:
        await asyncio.wait([asyncio.ensure_future(echo.tried.wait())], timeout=ECHO_FIRST)


def _lost(platform: Platform) -> Refusal | None:
    """Return the error to answer although the message was sent, when it is its turn."""
    lost = platform.behaviour.lost_after_send
    platform.sends += 1
    if lost is None or platform.sends % lost.every:
        return None
    return Refusal(500, lost.code, lost.subcode, "Received Invalid JSON reply.")
