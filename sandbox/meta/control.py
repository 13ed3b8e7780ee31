"""Orders for the sandbox Meta itself, as `sandbox.meta` lists them."""

import hashlib
import time
from dataclasses import asdict, replace
from typing import Any

import msgspec
from starlette.exceptions import HTTPException

from sandbox.meta import login
from sandbox.meta import media as meta_media
from sandbox.meta import thread as meta_thread
from sandbox.meta.order import Order, route
from sandbox.meta.refusals import TABLE
from sandbox.meta.shapes import (
    Age,
    Connection,
    InboxMessage,
    Moved,
    NewApp,
    NewGrant,
    NewPage,
    NewPerson,
    NewUser,
    Owner,
    RawEvents,
    Removal,
    Writing,
)
from sandbox.meta.state import (
    INBOX_APP_ID,
    App,
    Attachment,
    Behaviour,
    Grant,
    LoginAnswer,
    Message,
    Page,
    Platform,
    Refused,
    Subscription,
    User,
    new_mid,
    now_ms,
)
from sandbox.meta.subscriptions import checked, subscribe
from sandbox.meta.webhooks import Event, part

# What a person does that opens the messaging window (Messenger Platform, "Policy").
WINDOW_OPENING = ("message", "postback", "reaction", "referral", "optin")


async def _put_app(order: Order) -> Any:
    new = order.read(NewApp)
    app = order.platform.apps.setdefault(order.path("app_id"), App(order.path("app_id"), new.app_secret))
    app.secret, app.require_proof, app.human_agent = new.app_secret, new.require_proof, new.human_agent
    app.redirect_uris = tuple(new.redirect_uris)
    app.deauthorize_url, app.data_deletion_url = new.deauthorize_url, new.data_deletion_url
    return {"id": app.id}


async def _put_page(order: Order) -> Any:
    new = order.read(NewPage)
    if new.app_id not in order.platform.apps:
        raise HTTPException(400, "no such app")
    _keep_page(order.platform, order.path("page_id"), new)
    return {"id": order.path("page_id")}


def _keep_page(platform: Platform, page_id: str, new: NewPage) -> Page:
    page = platform.pages.setdefault(page_id, Page(page_id, new.name, new.access_token, new.app_id))
    page.revoked = (page.revoked | {page.access_token}) - {new.access_token}
    page.name, page.access_token, page.app_id = new.name, new.access_token, new.app_id
    return page


async def _put_user(order: Order) -> Any:
    new, user_id = order.read(NewUser), order.path("user_id")
    order.platform.users[user_id] = User(user_id, new.name, new.tasks, new.psids)
    return {"id": user_id}


async def _put_login(order: Order) -> Any:
    answer = order.read(LoginAnswer)
    if answer.user_id and answer.user_id not in order.platform.users:
        raise HTTPException(400, "no such user")
    order.platform.login = answer
    return msgspec.to_builtins(answer)


async def _deauthorize(order: Order) -> Any:
    user, app, page_id = _withdrawn(order)
    login.withdraw(order.platform, user, app, page_id)
    payload = {"profile_id": page_id, "user_id": "0"} if page_id else {"user_id": user.id}
    return await login.call_back(order.platform, app, app.deauthorize_url, payload)


async def _delete_data(order: Order) -> Any:
    user, app, _ = _withdrawn(order)
    payload = {"user_id": user.id, "expires": int(time.time()) + 3600}
    return await login.call_back(order.platform, app, app.data_deletion_url, payload)


def _withdrawn(order: Order) -> tuple[User, App, str]:
    wanted, user = order.read(Removal), order.platform.users.get(order.path("user_id"))
    app = order.platform.apps.get(wanted.app_id)
    if user is None or app is None:
        raise HTTPException(404, "no such user, or no such app")
    return user, app, wanted.page_id


async def _put_grant(order: Order) -> Any:
    new = order.read(NewGrant)
    order.page.grant = Grant(tuple(new.scopes), new.expires_at, new.data_access_expires_at)
    return {"id": order.page.id}


async def _unsubscribe(order: Order) -> Any:
    order.webhooks.unsubscribe(order.page)
    return {"id": order.page.id}


async def _move(order: Order) -> Any:
    app = order.platform.apps.get(order.path("app_id"))
    if app is None or app.subscription is None:
        raise HTTPException(404, "no such app, or it has no subscription")
    changes = msgspec.to_builtins(order.read(Moved))
    app.subscription = replace(app.subscription, **{k: v for k, v in changes.items() if v is not None})
    return {"callback_url": app.subscription.callback_url, "active": app.subscription.active}


async def _connect(order: Order) -> Any:
    new = order.read(Connection)
    fields = checked("fields", new.fields)
    app = order.platform.apps.setdefault(new.app_id, App(new.app_id, new.app_secret))
    app.secret = new.app_secret
    page = _keep_page(order.platform, new.page_id, NewPage(new.page_name, new.access_token, new.app_id))
    await subscribe(order.platform, app, Subscription(new.callback_url, new.verify_token, fields))
    page.subscribe(fields)
    return {"success": True}


async def _put_person(order: Order) -> Any:
    new = order.read(NewPerson)
    person = order.page.person(order.path("psid"))
    person.first_name, person.last_name, person.profile = new.first_name, new.last_name, new.profile
    person.name = new.name if new.name is not None else f"{new.first_name} {new.last_name}".strip()
    return {"psid": person.psid, "name": person.name}


async def _people(order: Order) -> Any:
    return [
        {"psid": person.psid, "name": person.name, "messages": len(person.thread)}
        for person in order.page.people.values()
    ]


async def _write(order: Order) -> Any:
    return _written(order, order.read(Writing))


async def _write_all(order: Order) -> Any:
    return [_written(order, writing) for writing in order.read(list[Writing])]


def _written(order: Order, writing: Writing) -> dict[str, Any]:
    page = order.page
    person = page.person(order.path("psid"))
    message = meta_thread.person_writes(order.webhooks, page, person, writing, order.origin)
    return {"mid": message.mid, "timestamp": message.timestamp}


async def _thread(order: Order) -> Any:
    return [_shown(order.platform, message) for message in order.known_person().thread]


def _shown(platform: Platform, message: Message) -> dict[str, Any]:
    shown = {
        "mid": message.mid,
        "sender": message.sender,
        "app_id": message.app_id,
        "text": message.text,
        "attachments": [_shown_attachment(platform, item) for item in message.attachments],
        "metadata": message.metadata,
        "messaging_type": message.messaging_type,
        "tag": message.tag,
        "timestamp": message.timestamp,
        "num_edit": message.num_edit or None,
        "reaction": message.reaction,
        "is_deleted": message.is_deleted or None,
        **message.extra,
    }
    return {key: value for key, value in shown.items() if value is not None}


def _shown_attachment(platform: Platform, attachment: Attachment) -> dict[str, Any]:
    media = attachment.media
    if media is None:
        return attachment.raw
    return {
        "type": attachment.type,
        "filename": media.file.name,
        "content_type": media.file.content_type,
        "size": len(media.file.data),
        "sha256": hashlib.sha256(media.file.data).hexdigest(),
        "url": meta_media.url(platform, media),
    }


async def _send_raw(order: Order) -> Any:
    raw, page = order.read(RawEvents), order.page
    for item in raw.items:
        psid = str(part(item, "sender").get("id", page.id))
        if psid != page.id and any(key in item for key in WINDOW_OPENING):
            page.person(psid).wrote_at = now_ms()
        order.webhooks.publish(Event(page, item, raw.standby))
    return {"events": len(raw.items)}


async def _send_whole(order: Order) -> Any:
    order.webhooks.publish(Event(order.page, order.read(object), whole=True))
    return {"events": 1}


async def _put_refusals(order: Order) -> Any:
    wanted = order.read(list[Refused])
    unknown = [one for one in wanted if (one.code, one.subcode) not in TABLE]
    if unknown:
        raise HTTPException(400, f"Meta's table has no error {unknown[0].code}/{unknown[0].subcode}")
    order.page.refused = wanted
    return msgspec.to_builtins(wanted)


async def _make_older(order: Order) -> Any:
    hours, person = order.read(Age).hours, order.known_person()
    if person.wrote_at is None:
        raise HTTPException(400, "the person has written nothing")
    earlier = int(hours * 3_600_000)
    person.wrote_at -= earlier
    for message in person.thread:
        message.timestamp -= earlier
    return {"wrote_at": person.wrote_at}


async def _put_owner(order: Order) -> Any:
    person = order.known_person()
    person.owner_app_id = order.read(Owner).app_id
    return {"app_id": person.owner_app_id}


async def _write_in_inbox(order: Order) -> Any:
    new, page = order.read(InboxMessage), order.page
    person = page.person(new.psid)
    message = Message(
        mid=new_mid(),
        psid=person.psid,
        sender="page",
        timestamp=person.next_timestamp(),
        text=new.text,
        app_id=INBOX_APP_ID,
    )
    page.add(message)
    meta_thread.tell_sent(order.webhooks, page, person, message)
    return {"mid": message.mid, "timestamp": message.timestamp}


async def _put_behaviour(order: Order) -> Any:
    merged = msgspec.to_builtins(order.platform.behaviour) | order.read(dict[str, Any])
    order.platform.behave(msgspec.convert(merged, Behaviour))
    return msgspec.to_builtins(order.platform.behaviour)


async def _rates(order: Order) -> Any:
    return {bucket: asdict(rate) for bucket, rate in order.page.rates.items()}


async def _webhooks(order: Order) -> Any:
    webhooks = order.webhooks
    return {
        "sent": webhooks.sent,
        "delivered": webhooks.delivered,
        "failed_attempts": webhooks.failed_attempts,
        "waiting": webhooks.waiting,
        "alerts": webhooks.alerts,
        "unsubscribed": webhooks.unsubscribed,
    }


PAGE = "/sandbox/pages/{page_id}"
PERSON = PAGE + "/people/{psid}"
ROUTES = [
    route("/sandbox/connect", "POST", _connect),
    route("/sandbox/apps/{app_id}", "PUT", _put_app),
    route("/sandbox/apps/{app_id}/subscription", "PATCH", _move),
    route(PAGE, "PUT", _put_page),
    route(PAGE + "/token", "PUT", _put_grant),
    route(PAGE + "/unsubscribe", "POST", _unsubscribe),
    route(PAGE + "/people", "GET", _people),
    route(PERSON, "PUT", _put_person),
    route(PERSON + "/messages", "GET", _thread),
    route(PERSON + "/messages", "POST", _write),
    route(PERSON + "/messages:batch", "POST", _write_all),
    route(PERSON + "/age", "POST", _make_older),
    route(PERSON + "/thread_owner", "PUT", _put_owner),
    route(PAGE + "/inbox", "POST", _write_in_inbox),
    route(PAGE + "/events", "POST", _send_raw),
    route(PAGE + "/webhook", "POST", _send_whole),
    route(PAGE + "/refusals", "PUT", _put_refusals),
    route(PAGE + "/rates", "GET", _rates),
    route("/sandbox/users/{user_id}", "PUT", _put_user),
    route("/sandbox/users/{user_id}/deauthorize", "POST", _deauthorize),
    route("/sandbox/users/{user_id}/data_deletion", "POST", _delete_data),
    route("/sandbox/login", "PUT", _put_login),
    route("/sandbox/behaviour", "PUT", _put_behaviour),
    route("/sandbox/webhooks", "GET", _webhooks),
]
