"""Facebook Login, by which a person connects their pages, and Meta's word that they take that back.

https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
import msgspec

from clients.channel import App, Conversation, Login, Network, Offer, OfferedAccount, Withdrawal
from clients.channels.meta import past
from clients.channels.meta.checks import PERMISSIONS, names_of_fields
from clients.channels.meta.errors import lookup, read_error
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.graph import appsecret_proof
from clients.channels.meta.values import as_dict, as_list, as_text, dicts, is_true
from clients.errors import ClientError, RejectedError, RetryableError, Unauthorized, Unavailable
from clients.http import HttpClient, RestClient, segment
from clients.jsons import MALFORMED, decode_or_none
from clients.notices import N_, Notice, add_sentences, notice
from clients.text.line import one_line

SCOPES = ("pages_show_list", *PERMISSIONS)
"""What is asked for. https://developers.facebook.com/docs/permissions"""
TASKS = {"messages": frozenset({"MESSAGING", "MESSAGE"}), "moderation": frozenset({"MODERATE", "MANAGE"})}
"""What a person has to be allowed to do on a page: one of each."""
_LONGEST_NAME, _MOST_NAMED = 60, 5
_CALLBACK_TIMEOUT = httpx.Timeout(5.0)
"""How long each step of a call may take while Meta waits for our answer, in seconds."""
_AT_ONCE, _ASK_WITHIN = 8, 15.0
"""How many pages at the same time are asked which other apps get their messages, and for how many seconds."""
_MOST_LISTS = 200
"""How many lists of a hundred pages are read; it ends there, should a list lead to itself."""
_REFUSALS = {
    (100, 36007): "login_over",
    (100, 36009): "login_over",
    (100, 36008): "login_address_refused",
    (101, None): "login_app_refused",
}


class _Graph(RestClient):
    """The Graph API, as a login uses it."""

    service = "facebook"

    def __init__(self, http: HttpClient, url: str) -> None:
        super().__init__(http, url, {}, "")

    def error(self, response: httpx.Response) -> ClientError:
        """Sort an error: it is Facebook's trouble, or the login has to be made again."""
        try:
            error, code, subcode, reference = read_error(response.content)
        except MALFORMED:
            return super().error(response)
        words = as_text(error.get("message"))
        if "client secret" in words or "appsecret_proof" in words:  # for both Meta has no code of its own
            return RejectedError("login_app_refused", reference=reference)
        if ours := _REFUSALS.get((code, subcode)) or _REFUSALS.get((code, None)):
            return RejectedError(ours, reference=reference)
        kind, known = lookup(code, subcode)
        if issubclass(kind, RetryableError) and not issubclass(kind, Unauthorized):
            return kind(known, reference=reference)
        return RejectedError("login_refused", reference=reference)


class FacebookLogin(Login):
    """Facebook Login at an app of ours."""

    title = "Facebook"
    path = "/connect/facebook"
    callback_path = "/social_media/facebook"
    channel = CHANNEL

    def __init__(self, network: Network, app: App) -> None:
        self._app = app
        self._dialog = re.sub(r"^(https?://)graph\.", r"\1www.", network.api_url) + "/dialog/oauth"
        self._graph = _Graph(network.http, network.api_url)

    def address(self, redirect_uri: str, state: str, verifier: str) -> str:
        """Return the login dialog's address. Who declined a permission before is asked for it again.

        PKCE: https://developers.facebook.com/docs/facebook-login/guides/advanced/oidc-token
        """
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": self._app.app_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "response_type": "code",
            "scope": ",".join(SCOPES),
            "auth_type": "rerequest",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._dialog}?{urlencode(query)}"

    def refusal(self, query: Mapping[str, str]) -> Notice | None:
        """Return why there is no code: the person cancelled, or Facebook would not let them in."""
        if query.get("code"):
            return None
        if query.get("error") == "access_denied":
            return notice("login_cancelled")
        error = one_line(query.get("error_code", ""))[:20]
        return notice("login_refused", reference=notice("facebook_error", error=error or "?"))

    def offer(self, code: str, redirect_uri: str, verifier: str) -> Offer:
        """Return the pages that a person showed us, each with a token that does not expire.

        https://developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived
        """
        brief = self._token(redirect_uri=redirect_uri, code=code, code_verifier=verifier)
        token = self._token(grant_type="fb_exchange_token", fb_exchange_token=brief)
        about = self._about(token)
        user_id, granted = as_text(about.get("user_id")), set(map(as_text, as_list(about.get("scopes"))))
        if missing := [name for name in SCOPES if name not in granted]:
            raise RejectedError("login_permissions_missing", permissions=", ".join(missing))
        accounts = [_account(one) for one in self._pages(token)]
        if not accounts:
            raise RejectedError("login_without_pages")
        return Offer(user_id, self._now(), self._with_others(accounts))

    def withdrawal(self, body: bytes, secrets: Iterable[str]) -> Withdrawal | None:
        """Read a form with a signed request; None unless an app with one of these secrets signed it.

        https://developers.facebook.com/docs/development/create-an-app/app-dashboard/data-deletion-callback
        """
        form = parse_qs(body.decode("latin-1"), max_num_fields=10) if body.count(b"&") < 10 else {}
        signature, _, payload = next(iter(form.get("signed_request", [])), "").partition(".")
        given, signed = _unpacked(signature), payload.encode()
        if not given or not payload:
            return None
        secret = next(
            (one for one in secrets if one and hmac.compare_digest(given, _digest(one, signed))), None
        )
        said = as_dict(decode_or_none(_unpacked(payload)))
        if secret is None or as_text(said.get("algorithm")).upper() != "HMAC-SHA256":
            return None
        user_id, page_id = (as_text(said.get(name)) for name in ("user_id", "profile_id"))
        time = as_text(said.get("issued_at"))
        return Withdrawal(
            secret, "" if user_id == "0" else user_id, page_id, int(time) if _is_time(time) else 0
        )

    def conversations_of(self, withdrawal: Withdrawal) -> list[Conversation]:
        """Return the person's conversations with pages of the app's business, if Meta matches their ids.

        https://developers.facebook.com/docs/messenger-platform/identity/id-matching
        """
        if not withdrawal.user_id or withdrawal.app_secret != self._app.app_secret:
            return []  # of another app of ours the id is not known, which its token needs
        found = self._ids_for_pages(withdrawal.user_id)
        pairs = ((as_text(as_dict(one.get("page")).get("id")), as_text(one.get("id"))) for one in found)
        return [Conversation(CHANNEL, page_id, psid) for page_id, psid in pairs if page_id and psid]

    def _ids_for_pages(self, user_id: str) -> Iterator[dict[str, Any]]:
        path, after = f"/{segment(user_id)}/ids_for_pages", ""
        for _ in range(_MOST_LISTS):
            params = {"limit": "100"} | ({"after": after} if after else {})
            answer = self._as_app("GET", path, params=params, timeout=_CALLBACK_TIMEOUT)
            yield from _data(answer)
            if not (after := past.after(answer)):
                return

    def _token(self, **form: str) -> str:
        """Return a user's token; the secrets are in the body, as addresses stand in logs."""
        app = {"client_id": self._app.app_id, "client_secret": self._app.app_secret}
        answer = self._graph.call("POST", "/oauth/access_token", data=app | form)
        if not (token := as_text(as_dict(answer).get("access_token"))):
            raise Unavailable("facebook_bad_answer", field="access_token")
        return token

    def _about(self, token: str) -> dict[str, Any]:
        """Return what Meta knows about the token, which has to be a user's for our app.

        https://developers.facebook.com/docs/graph-api/reference/debug_token
        """
        query = {"input_token": token}
        about = as_dict(as_dict(self._as_app("GET", "/debug_token", params=query)).get("data"))
        is_ours = as_text(about.get("app_id")) == self._app.app_id
        if not (is_true(about.get("is_valid")) and is_ours and as_text(about.get("user_id"))):
            raise RejectedError("login_refused")
        return about

    def _pages(self, token: str) -> Iterator[dict[str, Any]]:
        """Yield the user's pages, to the end of the list.

        https://developers.facebook.com/docs/graph-api/reference/user/accounts
        """
        proof = appsecret_proof(token, self._app.app_secret)
        query = {"fields": "id,name,access_token,tasks", "limit": "100", "appsecret_proof": proof}
        headers, after = {"Authorization": f"Bearer {token}"}, ""
        for _ in range(_MOST_LISTS):
            params = query | ({"after": after} if after else {})
            answer = self._graph.call("GET", "/me/accounts", params=params, headers=headers)
            yield from _data(answer)
            if not (after := past.after(answer)):
                return

    def _with_others(self, accounts: list[OfferedAccount]) -> list[OfferedAccount]:
        """Add which other apps get the messages of pages, as far as Facebook tells in time."""
        others = partial(self._others, ends=monotonic() + _ASK_WITHIN)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="login") as threads:
            found = list(threads.map(others, accounts))
        return [
            msgspec.structs.replace(one, others=others) for one, others in zip(accounts, found, strict=True)
        ]

    def _others(self, account: OfferedAccount, ends: float) -> tuple[str, ...]:
        """Name other apps that a page sends its messages to; Meta does not promise to list them.

        https://developers.facebook.com/docs/graph-api/reference/page/subscribed_apps
        """
        if account.refusal or monotonic() > ends:
            return ()
        proof = appsecret_proof(account.access_token, self._app.app_secret)
        query = {"fields": "id,name,subscribed_fields", "appsecret_proof": proof}
        headers = {"Authorization": f"Bearer {account.access_token}"}
        try:
            path = f"/{segment(account.account_id)}/subscribed_apps"
            answer = self._graph.call("GET", path, params=query, headers=headers, timeout=_CALLBACK_TIMEOUT)
            apps = [one for one in _data(answer) if as_text(one.get("id")) != self._app.app_id]
        except ClientError:  # the page can be connected all the same
            return ()
        return tuple(
            one_line(as_text(one.get("name")) or as_text(one.get("id")))[:_LONGEST_NAME]
            for one in apps
            if "messages" in names_of_fields(one.get("subscribed_fields"))
        )[:_MOST_NAMED]

    def _as_app(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._app.app_id}|{self._app.app_secret}"}
        return self._graph.call(method, path, headers=headers, **options)

    def _now(self) -> int:
        """Return the time by Meta's clock, as its callbacks have it."""
        return int((self._graph.remote_now() or datetime.now(UTC)).timestamp())


def _account(page: dict[str, Any]) -> OfferedAccount:
    page_id, name, token = (as_text(page.get(key)) for key in ("id", "name", "access_token"))
    tasks = set(map(as_text, as_list(page.get("tasks"))))
    # Where Meta names no tasks, it is seen when the page is subscribed.
    lacking = [task for task, names in TASKS.items() if tasks and not tasks & names]
    refusal = notice("page_role_insufficient") if lacking or not token else None
    return OfferedAccount(page_id, one_line(name), token, refusal)


def _data(answer: Any) -> list[dict[str, Any]]:
    data = as_dict(answer).get("data")
    if not isinstance(data, list):
        raise Unavailable("facebook_bad_answer", field="data")
    return dicts(data)


def _digest(secret: str, payload: bytes) -> bytes:
    return hmac.digest(secret.encode(), payload, "sha256")


def _unpacked(text: str) -> bytes:
    """Return what base64url without padding stands for; nothing if it is none."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _is_time(text: str) -> bool:
    return re.fullmatch("[0-9]{1,12}", text, re.ASCII) is not None


add_sentences(
    {
        "login_cancelled": N_(
            "The login was cancelled at Facebook, so no page was connected. Start again from your helpdesk, "
            "and choose to continue at Facebook."
        ),
        "login_over": N_(
            "This login has expired, or was used already. Start again from your helpdesk, and do not reload "
            "the page on the way."
        ),
        "login_refused": N_(
            "Facebook rejected the login. Start again from your helpdesk; if that does not help, ask whoever "
            "runs the connector."
        ),
        "login_app_refused": N_(
            "Facebook does not accept the connector's app. Ask whoever runs the connector to correct "
            "graph.app_id and graph.app_secret in its settings."
        ),
        "login_address_refused": N_(
            "Facebook does not accept the address that the login leads back to. Ask whoever runs the "
            "connector to correct public_url, and the OAuth redirect URIs of the Meta app."
        ),
        "login_permissions_missing": N_(
            "Permissions are missing: {permissions}. Start again from your helpdesk, and leave all "
            "permissions switched on at Facebook."
        ),
        "login_without_pages": N_(
            "There is no page that you manage and let this app see. Start again from your helpdesk, and "
            "choose the pages at Facebook; if yours is not there, have an administrator of the page give you "
            "access to it."
        ),
        "page_role_insufficient": N_(
            "Your role on this page does not allow messages and moderation. Have an administrator of the "
            "page give you full access, then start again from your helpdesk."
        ),
    }
)
