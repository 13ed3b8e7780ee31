"""The sandbox Meta's Facebook Login: the dialog, its codes and tokens, the pages of a user, the callbacks.

Sources: Facebook Login, "Manually Build a Login Flow", "Access Token Guide", "OIDC Code Flow with PKCE" and
"Data Deletion Request Callback"; Graph API, "User Accounts"; Messenger Platform, "ID Matching".
"""

import hmac
import json
import secrets
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sandbox.meta import errors
from sandbox.meta.call import Call, read_call
from sandbox.meta.errors import GraphError
from sandbox.meta.graph import paged
from sandbox.meta.state import PUBLIC_PROFILE, App, Code, Grant, LoginAnswer, Page, Platform, User, UserToken

SHORT, LONG = 3600, 60 * 86400
"""How long a user's token lasts, in seconds."""
CHOSEN = "sandbox_user"
"""The parameter by which whoever clicks in the dialog says who they are; empty: they cancel."""
CALLBACK_TIMEOUT = 10.0


async def dialog(request: Request) -> Response:
    """Answer `GET /dialog/oauth`: ask, or answer at once as `LoginAnswer` says."""
    call = await read_call(request)
    app = call.platform.apps.get(str(call.params.get("client_id")))
    if app is None:
        return _error_page("Invalid App ID: The provided app ID does not look like a valid app ID.")
    redirect_uri = str(call.params.get("redirect_uri", ""))
    if redirect_uri not in app.redirect_uris:
        return _error_page("URL Blocked: the redirect URI is not white-listed in the app's OAuth settings.")
    if call.params.get("response_type", "code") != "code":
        return _error_page("Invalid parameter: response_type")
    answer = call.platform.login
    if CHOSEN in call.params:
        user_id = str(call.params[CHOSEN])
        answer = LoginAnswer(user_id=user_id, grants=bool(user_id))
    elif not answer.user_id and answer.grants:
        return _question(call)
    if not answer.grants:
        denied = {"error": "access_denied", "error_code": "200", "error_reason": "user_denied"}
        return _back(call, redirect_uri, denied | {"error_description": "Permissions error"})
    return _back(call, redirect_uri, {"code": _new_code(call, app, redirect_uri, answer)})


def _new_code(call: Call, app: App, redirect_uri: str, answer: LoginAnswer) -> str:
    user = call.platform.users[answer.user_id]
    asked = [PUBLIC_PROFILE, *call.names("scope")]
    pages = [page for page in user.tasks if answer.pages is None or page in answer.pages]
    code = "AQ" + secrets.token_urlsafe(80)
    call.platform.codes[code] = Code(
        app.id,
        user.id,
        redirect_uri,
        [scope for scope in asked if scope not in answer.without],
        pages,
        _challenge(call),
        time.time() + call.platform.behaviour.code_lifetime,
    )
    return code


def _challenge(call: Call) -> str:
    """Return the challenge of a login with PKCE, as that of S256; empty for one without."""
    challenge = str(call.params.get("code_challenge", ""))
    is_plain = call.params.get("code_challenge_method", "plain") == "plain"
    return _s256(challenge) if challenge and is_plain else challenge


def _s256(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _back(call: Call, redirect_uri: str, query: dict[str, str]) -> Response:
    """Send the person back; Facebook leaves this fragment behind."""
    state = {"state": str(call.params["state"])} if "state" in call.params else {}
    separator = "&" if "?" in redirect_uri else "?"
    return RedirectResponse(f"{redirect_uri}{separator}{urlencode(query | state)}#_=_", 302)


def _question(call: Call) -> Response:
    """Ask who logs in."""
    links = [("", "Cancel"), *((one.id, f"Continue as {one.name}") for one in call.platform.users.values())]
    here = call.request.url
    addresses = [(str(here.include_query_params(**{CHOSEN: id_})), name) for id_, name in reversed(links)]
    items = "".join(f'<li><a href="{escape(url)}">{escape(name)}</a>' for url, name in addresses)
    return HTMLResponse(f"<!doctype html><title>Facebook (sandbox)</title><h1>Log in</h1><ul>{items}</ul>")


def _error_page(words: str) -> Response:
    return HTMLResponse(f"<!doctype html><title>Facebook (sandbox)</title><p>{escape(words)}</p>", 400)


async def access_token(request: Request) -> Response:
    """Answer `/oauth/access_token`: a token for a code, or a long-lived one for a short-lived one."""
    call = await read_call(request)
    app = call.platform.apps.get(call.text("client_id"))
    if app is None:
        raise GraphError(errors.APP_UNKNOWN)
    if not hmac.compare_digest(app.secret.encode(), call.text("client_secret").encode()):
        raise GraphError(errors.SECRET_WRONG)
    if call.params.get("grant_type") == "fb_exchange_token":
        return _token_answer(call, _exchanged(call, app))
    return _token_answer(call, _redeemed(call, app))


def _redeemed(call: Call, app: App) -> UserToken:
    code = call.platform.codes.get(call.text("code"))
    redirect_uri = call.text("redirect_uri")
    if code is None or code.app_id != app.id:
        raise GraphError(errors.CODE_UNKNOWN)
    if code.is_used:
        raise GraphError(errors.CODE_USED)
    if code.expires_at <= time.time():
        raise GraphError(errors.CODE_EXPIRED)
    if code.redirect_uri != redirect_uri:
        raise GraphError(errors.CODE_OF_ANOTHER_ADDRESS)
    if code.challenge and code.challenge != _s256(str(call.params.get("code_verifier", ""))):
        raise GraphError(errors.VERIFIER_WRONG)
    code.is_used = True
    return UserToken(app.id, code.user_id, code.scopes, code.pages, int(time.time()) + SHORT)


def _exchanged(call: Call, app: App) -> UserToken:
    token = call.platform.user_tokens.get(call.text("fb_exchange_token"))
    if token is None or token.app_id != app.id:
        raise GraphError(errors.TOKEN_INVALID)
    if token.expires_at <= time.time():
        raise GraphError(errors.TOKEN_EXPIRED, now=int(time.time()))
    return UserToken(app.id, token.user_id, token.scopes, token.pages, int(time.time()) + LONG, True)


def _token_answer(call: Call, token: UserToken) -> Response:
    text = "EAAU" + secrets.token_urlsafe(60)
    call.platform.user_tokens[text] = token
    lasts = token.expires_at - int(time.time())
    return JSONResponse({"access_token": text, "token_type": "bearer", "expires_in": lasts})


async def accounts(request: Request) -> Response:
    """Answer `GET /me/accounts`: the pages that the user let the app see, each with a token.

    That of a long-lived user token does not expire.
    """
    call = await read_call(request)
    token = call.user()
    user = call.platform.users[token.user_id]
    shown = token.pages if "pages_show_list" in token.scopes else ()
    pages = [page for page_id in shown if (page := call.platform.pages.get(page_id))]

    def show(page: Page) -> dict[str, Any]:
        known = {"id": page.id, "name": page.name, "category": "Business", "tasks": user.tasks[page.id]}
        wanted = call.names("fields", "access_token,category,name,id,tasks")
        secret = {"access_token": _issue(page, token)} if "access_token" in wanted else {}
        return {name: value for name, value in (known | secret).items() if name in {*wanted, "id"}}

    return JSONResponse(paged(call, pages, show))


def _issue(page: Page, token: UserToken) -> str:
    text = "EAAP" + secrets.token_urlsafe(60)
    ends = 0 if token.is_long_lived else token.expires_at
    page.issued[text] = Grant(token.scopes, ends, token.expires_at, token.app_id, token.user_id)
    return text


async def ids_for_pages(request: Request) -> Response:
    """Answer `GET /{user}/ids_for_pages`: the ids by which pages know a user, for the app's token."""
    call = await read_call(request)
    call.app()
    user = call.platform.users.get(call.object_id)
    if user is None:
        raise call.no_such_object()
    pages = call.platform.pages
    known = [(page_id, psid) for page_id, psid in user.psids.items() if page_id in pages]

    def show(one: tuple[str, str]) -> dict[str, Any]:
        page_id, psid = one
        return {"id": psid, "page": {"id": page_id, "name": pages[page_id].name}}

    return JSONResponse(paged(call, known, show))


def withdraw(platform: Platform, user: User, app: App, page_id: str) -> None:
    """Have the tokens that a user gave an app, or those of one page, work no longer."""
    for page in platform.pages.values():
        if page_id and page.id != page_id:
            continue
        gone = {text for text, one in page.issued.items() if (one.user_id, one.app_id) == (user.id, app.id)}
        page.revoked |= gone
    if not page_id:
        tokens = platform.user_tokens.items()
        kept = {text: one for text, one in tokens if (one.user_id, one.app_id) != (user.id, app.id)}
        platform.user_tokens = kept


async def call_back(platform: Platform, app: App, url: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Post a signed request to an app's callback; return the status and the body of its answer."""
    signed = signed_request(payload | {"issued_at": int(time.time())}, app.secret)
    try:
        answer = await platform.http.post(url, data={"signed_request": signed}, timeout=CALLBACK_TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return {"status": 0, "body": str(error) or type(error).__name__}
    return {"status": answer.status_code, "body": answer.text}


def signed_request(payload: dict[str, Any], secret: str) -> str:
    """Sign a payload as Meta does: `<signature>.<payload>`, both in base64url without padding."""
    body = _base64url(json.dumps({"algorithm": "HMAC-SHA256"} | payload).encode())
    return f"{_base64url(hmac.digest(secret.encode(), body.encode(), 'sha256'))}.{body}"


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
