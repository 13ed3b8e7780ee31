"""The sandbox Meta's Graph API beside sending: what can be read of a page, its people and threads."""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.meta import errors
from sandbox.meta import media as meta_media
from sandbox.meta.call import Call, check_rate, read_call
from sandbox.meta.errors import GraphError
from sandbox.meta.state import Media, Message, Page, Person

READS_PER_SECOND = 2  # Messenger Platform, "Rate Limiting"
DETAILED_MESSAGES = 20  # Messenger Platform, "Conversations API"
MESSAGE_DEFAULT = ("id", "created_time")

T = TypeVar("T")


async def node(request: Request) -> Response:
    """Answer `GET /{id}`: the page or `me`, a conversation, a message, or a person."""
    call = await read_call(request)
    page = call.page()
    if call.object_id in ("me", page.id):
        status = {"hop_v2": False, "msgr_multi_app": True, "ig_multi_app": False}
        known = {"id": page.id, "name": page.name, "messaging_feature_status": status}
        return JSONResponse(_select(call, "Page", known, "id,name"))
    if call.object_id.startswith("t_"):
        person = _conversation(call, page)
        return JSONResponse(_select(call, "UnifiedThread", _conversation_fields(call, page, person), "id"))
    if call.object_id in page.messages:
        return JSONResponse(_message_node(call, page, page.messages[call.object_id]))
    return JSONResponse(_profile(call, page))


def _select(call: Call, kind: str, known: dict[str, Any], default: str) -> dict[str, Any]:
    """Return the fields asked for, and the id, which always comes."""
    return _named(call.names("fields", default), kind, known)


def _named(names: Sequence[str], kind: str, known: dict[str, Any]) -> dict[str, Any]:
    for name in names:
        if name not in known:
            raise GraphError(errors.NO_SUCH_FIELD, name=name, node=kind)
    return {name: known[name] for name in [*names, "id"] if known[name] is not None}


def _profile(call: Call, page: Page) -> dict[str, Any]:
    """Return a person's profile (Messenger Platform, "User Profile API")."""
    person = page.people.get(call.object_id)
    if person is None:
        raise call.no_such_object()
    if person.profile == "none":
        raise GraphError(errors.NO_PROFILE)
    if person.profile == "empty":
        return {}
    if {"locale", "timezone", "gender"} & set(call.names("fields")):
        raise GraphError(errors.PROFILE_PERMISSION)
    picture = meta_media.picture_url(call.platform, person, call.origin)
    names = {"first_name": person.first_name, "last_name": person.last_name, "name": person.name}
    known = {"id": person.psid, **names, "profile_pic": picture}
    return _select(call, "User", known, "first_name,last_name,profile_pic")


async def conversations(request: Request) -> Response:
    """Answer `GET /{page}/conversations`: the newest first, or the one of `user_id`."""
    call = await read_call(request)
    page = call.own_page()
    check_rate(call, page, "conversations", READS_PER_SECOND, errors.BUSINESS_RATE)
    wanted = call.params.get("user_id")
    people = [person for person in page.people.values() if person.said and wanted in (None, person.psid)]
    people.sort(key=lambda person: person.said[-1].timestamp, reverse=True)

    def show(person: Person) -> dict[str, Any]:
        return _select(call, "UnifiedThread", _conversation_fields(call, page, person), "id")

    return JSONResponse(paged(call, people, show))


async def messages(request: Request) -> Response:
    """Answer `GET /{conversation}/messages`: the newest first; of all but the newest 20, only id and time."""
    call = await read_call(request)
    page = call.page()
    person = _conversation(call, page)
    check_rate(call, page, "conversations", READS_PER_SECOND, errors.BUSINESS_RATE)
    return JSONResponse(_message_list(call, page, person))


def _conversation(call: Call, page: Page) -> Person:
    for person in page.people.values():
        if person.conversation_id == call.object_id:
            return person
    raise call.no_such_object()


def _conversation_fields(call: Call, page: Page, person: Person) -> dict[str, Any]:
    last = person.said[-1] if person.said else None
    fields: dict[str, Any] = {
        "id": person.conversation_id,
        "updated_time": _time(last.timestamp) if last else None,
        "participants": {"data": [_person_end(person), _page_end(page)]},
        "message_count": len(person.said),
        "unread_count": 0,
        "snippet": last.text if last else None,
        "can_reply": person.wrote_at is not None,
        "is_owner": person.owner_app_id in (None, page.app_id),
    }
    if "messages" in call.names("fields"):
        limit, names = call.expanded("messages")
        newest = person.said[: -limit - 1 : -1]
        asked = names or MESSAGE_DEFAULT
        fields["messages"] = {"data": [_as_shown(call, page, person, item, asked) for item in newest]}
    return fields


def _detailed(person: Person) -> list[Message]:
    return person.said[: -DETAILED_MESSAGES - 1 : -1]


def _as_shown(
    call: Call, page: Page, person: Person, message: Message, names: Sequence[str]
) -> dict[str, Any]:
    shown = names if message in _detailed(person) else MESSAGE_DEFAULT
    return _named(shown, "Message", _message_fields(call, page, message))


def _message_list(call: Call, page: Page, person: Person) -> dict[str, Any]:
    names = call.names("fields", ",".join(MESSAGE_DEFAULT))
    return paged(call, person.said[::-1], lambda message: _as_shown(call, page, person, message, names))


def _message_node(call: Call, page: Page, message: Message) -> dict[str, Any]:
    check_rate(call, page, "conversations", READS_PER_SECOND, errors.BUSINESS_RATE)
    if message not in _detailed(page.people[message.psid]):
        raise GraphError(errors.MESSAGE_DELETED)
    return _select(call, "Message", _message_fields(call, page, message), ",".join(MESSAGE_DEFAULT))


def _message_fields(call: Call, page: Page, message: Message) -> dict[str, Any]:
    ends = [_person_end(page.people[message.psid]), _page_end(page)]
    sender, recipient = ends if message.sender == "person" else reversed(ends)
    files = [_file_fields(call, n, item.media) for n, item in enumerate(message.attachments, 1) if item.media]
    return {
        "id": message.mid,
        "created_time": _time(message.timestamp),
        "from": sender,
        "to": {"data": [recipient]},
        "message": message.text or "",
        "attachments": {"data": files} if files else None,
        "shares": None,
        "sticker": None,
        "tags": {"data": []},
        "reply_to": message.extra.get("reply_to"),
    }


def _file_fields(call: Call, number: int, media: Media) -> dict[str, Any]:
    url = meta_media.url(call.platform, media)
    common = {
        "id": str(number),
        "mime_type": media.file.content_type,
        "name": media.name,
        "size": len(media.file.data),
    }
    match media.kind:
        case "image" | "sticker":
            return {**common, "image_data": {"url": url, "preview_url": url}}
        case "video":
            return {**common, "video_data": {"url": url, "preview_url": url}}
        case _:
            return {**common, "file_url": url}


def _person_end(person: Person) -> dict[str, str]:
    return {"name": person.name, "email": f"{person.psid}@facebook.com", "id": person.psid}


def _page_end(page: Page) -> dict[str, str]:
    return {"name": page.name, "email": f"{page.id}@facebook.com", "id": page.id}


def _time(timestamp: int) -> str:
    """Return a time as Graph API writes it, to the second."""
    return datetime.fromtimestamp(timestamp // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def paged(call: Call, items: Sequence[T], show: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """Return one page of a list with its cursors (Graph API, "Paginated Results")."""
    start, limit = _start(call), int(call.params.get("limit", 25))
    end = min(start + limit, len(items))
    paging: dict[str, Any] = {"cursors": {"before": _cursor(start), "after": _cursor(end)}}
    if end < len(items):
        paging["next"] = str(call.request.url.include_query_params(after=_cursor(end)))
    data = [show(item) for item in items[start:end]]
    return {"data": data, "paging": paging} if data else {"data": []}


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(b"at:%d" % position).decode()


def _start(call: Call) -> int:
    """Return the position that the cursor `after` stands for."""
    cursor = str(call.params.get("after", _cursor(0)))
    try:
        return int(base64.urlsafe_b64decode(cursor).removeprefix(b"at:"))
    except ValueError as exc:
        raise GraphError(errors.INVALID_CURSOR) from exc
