"""The sandbox Meta's subscriptions and tokens, by which an app is connected to a page."""

import secrets
import time
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.meta import errors
from sandbox.meta.call import Call, read_call
from sandbox.meta.errors import GraphError
from sandbox.meta.state import App, Grant, Page, Platform, Subscription, UserToken

HANDSHAKE_TIMEOUT = 5.0
FIELDS = frozenset(
    {  # Graph API, "Page Subscribed Apps", and Meta's Python SDK
        *("messages", "message_echoes", "message_edits", "message_reactions", "message_reads"),
        *("message_deliveries", "message_context", "message_mention", "messaging_account_linking"),
        *("messaging_appointments", "messaging_checkout_updates", "messaging_customer_information"),
        *("messaging_direct_sends", "messaging_feedback", "messaging_game_plays", "messaging_handovers"),
        *("messaging_in_thread_lead_form_submit", "messaging_integrity", "messaging_optins"),
        *("messaging_optouts", "messaging_payments", "messaging_policy_enforcement", "messaging_postbacks"),
        *("messaging_pre_checkouts", "messaging_referrals", "inbox_labels", "response_feedback", "send_cart"),
        *("standby", "calls", "call_permission_reply", "call_settings_update", "business_integrity"),
        *("marketing_message_echoes", "marketing_message_delivery_failed", "feed", "leadgen"),
    }
)


async def page_subscription(request: Request) -> Response:
    """Answer `GET`, `POST` and `DELETE /{page}/subscribed_apps`; a POST replaces the fields.

    Source: Graph API, "Page Subscribed Apps".
    """
    call = await read_call(request)
    page = call.own_page()
    call.check_scope(page, "pages_manage_metadata")
    if request.method == "GET":
        return JSONResponse({"data": [_subscribed_app(call, page)] if page.fields else []})
    if request.method == "POST":
        fields = checked("subscribed_fields", call.names("subscribed_fields"))
        page.subscribe(fields, call.platform.behaviour.subscription_delay)
        page.app_id = call.app_id(page)
    else:
        page.subscribe([])
    return JSONResponse({"success": True})


async def app_subscription(request: Request) -> Response:
    """Answer `GET`, `POST` and `DELETE /{app}/subscriptions`; a POST makes the handshake first.

    Source: Graph API, "App Subscriptions".
    """
    call = await read_call(request)
    app = call.app()
    if call.object_id != app.id:
        raise call.no_such_object()
    if request.method == "GET":
        return JSONResponse({"data": [_subscription(app.subscription)] if app.subscription else []})
    if request.method == "DELETE":
        app.subscription = None
    else:
        await subscribe(call.platform, app, _wanted(call))
    return JSONResponse({"success": True})


async def own_app(request: Request) -> Response:
    """Answer `GET /app`: the app that a page's token belongs to (Graph API, "Application")."""
    call = await read_call(request)
    app_id = call.app_id(call.page())
    return JSONResponse({"name": f"App {app_id}", "id": app_id})


async def debug_token(request: Request) -> Response:
    """Answer `GET /debug_token` (Graph API, "Debug Token"); a bad token is told with status 200."""
    call = await read_call(request)
    app, token = call.app(), call.text("input_token")
    if (user := call.platform.user_tokens.get(token)) and user.app_id == app.id:
        return JSONResponse({"data": _described_user(user)})
    for page in call.platform.pages.values():
        grant = page.grant_of(token) or (page.grant if token in page.revoked else None)
        if grant and (grant.app_id or page.app_id) == app.id:
            return JSONResponse({"data": _described(page, grant, token)})
    error = {"code": 190, "message": errors.TOKEN_INVALID.message}
    return JSONResponse({"data": {"error": error, "is_valid": False, "scopes": []}})


async def subscribe(platform: Platform, app: App, subscription: Subscription) -> None:
    """Subscribe the app, when its callback knows the verify token; raise GraphError when it does not."""
    challenge = str(10**9 + secrets.randbelow(10**9))
    query = {
        "hub.mode": "subscribe",
        "hub.challenge": challenge,
        "hub.verify_token": subscription.verify_token,
    }
    try:
        answer = await platform.http.get(subscription.callback_url, params=query, timeout=HANDSHAKE_TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise GraphError(errors.CALLBACK_FAILED, reason=str(exc) or type(exc).__name__) from exc
    if answer.status_code != 200 or answer.text != challenge:
        status = f"HTTP Status Code = {answer.status_code}; HTTP Message = {answer.reason_phrase}"
        raise GraphError(errors.CALLBACK_FAILED, reason=status)
    app.subscription = subscription


def checked(name: str, fields: list[str]) -> list[str]:
    """Return the fields, all of which must be Meta's; raise GraphError when one is not."""
    for number, field in enumerate(fields):
        if field not in FIELDS:
            allowed = ", ".join(sorted(FIELDS))
            raise GraphError(errors.NOT_ONE_OF, name=f"{name}[{number}]", allowed=allowed, value=field)
    if not fields:
        raise GraphError(errors.REQUIRED, name=name)
    return fields


def _wanted(call: Call) -> Subscription:
    if call.text("object") != "page":
        raise GraphError(errors.NOT_ONE_OF, name="object", allowed="page", value=call.text("object"))
    fields = checked("fields", call.names("fields"))
    return Subscription(call.text("callback_url"), call.text("verify_token"), fields)


def _subscribed_app(call: Call, page: Page) -> dict[str, Any]:
    name = {"category": "Business", "link": f"{call.origin}/", "name": f"App {page.app_id}"}
    return {**name, "id": page.app_id, "subscribed_fields": page.fields}


def _subscription(subscription: Subscription) -> dict[str, Any]:
    fields = [{"name": name, "version": "v26.0"} for name in subscription.fields]
    shown = {"object": "page", "callback_url": subscription.callback_url, "active": subscription.active}
    return shown | {"fields": fields}


def _described_user(token: UserToken) -> dict[str, Any]:
    known = {
        "app_id": token.app_id,
        "type": "USER",
        "application": f"App {token.app_id}",
        "data_access_expires_at": token.expires_at,
        "expires_at": token.expires_at,
        "user_id": token.user_id,
    }
    if token.expires_at <= time.time():
        error = {"code": 190, "message": errors.TOKEN_EXPIRED.message, "subcode": 463}
        return known | {"error": error, "is_valid": False, "scopes": []}
    granular = [{"scope": scope, "target_ids": list(token.pages)} for scope in token.scopes]
    return known | {"is_valid": True, "scopes": list(token.scopes), "granular_scopes": granular}


def _described(page: Page, grant: Grant, token: str) -> dict[str, Any]:
    app_id = grant.app_id or page.app_id
    known = {
        "app_id": app_id,
        "type": "PAGE",
        "application": f"App {app_id}",
        "data_access_expires_at": grant.data_access_expires_at,
        "expires_at": grant.expires_at,
        "profile_id": page.id,
    } | ({"user_id": grant.user_id} if grant.user_id else {})
    if token in page.revoked or grant.is_over:
        refusal = errors.TOKEN_REVOKED if token in page.revoked else errors.TOKEN_EXPIRED
        error = {"code": 190, "message": refusal.message, "subcode": refusal.subcode}
        return known | {"error": error, "is_valid": False, "scopes": []}
    granular = [{"scope": scope, "target_ids": [page.id]} for scope in grant.scopes]
    return known | {"is_valid": True, "scopes": list(grant.scopes), "granular_scopes": granular}
