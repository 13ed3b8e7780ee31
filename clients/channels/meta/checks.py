"""Whether a page is connected as it has to be: its token, its app, and the subscriptions of both.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from clients.channel import Credentials
from clients.channels.meta.kinds import EXTRA_FIELDS, NEEDED_FIELDS
from clients.channels.meta.values import as_dict, as_list, as_text, dicts, is_true
from clients.errors import ClientError, RateLimited, RejectedError, RetryableError, Unavailable
from clients.findings import Finding, Level, Meaning, add_meanings, finding
from clients.http import HttpClient, RestClient, segment
from clients.notices import N_, add_sentences, notice
from clients.single_flight import Answers
from clients.text.line import address, one_line, parts_of

TO_MESSAGE = "pages_messaging"
TO_SUBSCRIBE = "pages_manage_metadata"
PERMISSIONS = (TO_MESSAGE, TO_SUBSCRIBE, "pages_read_engagement")
"""What the page's token has to allow."""
ENDS_SOON = timedelta(days=14)
CLOCK_TOLERANCE = 10.0
"""How many seconds this machine's clock may differ from Meta's: `Date` is rounded, and was on its way."""
_OF_THE_PAGE = frozenset({"page_not_subscribed", "page_fields_missing", "page_subscribed_in_part"})


class _Callback(RestClient):
    """The address that Meta's webhooks go to, called as Meta does."""

    service = "webhook_address"
    max_answer = 64 * 1024


class PageChecks:
    """The checks of one page. `call` is `RestClient.call` with its token, `now` the time by Meta's clock."""

    def __init__(
        self,
        http: HttpClient,
        call: Callable[..., Any],
        now: Callable[[], datetime | None],
        credentials: Credentials,
        proof: Mapping[str, str],
    ) -> None:
        self._http, self._call, self._now, self._credentials = http, call, now, credentials
        self._proof = dict(proof)

    def check(self, callback_url: str, known: Answers) -> Iterator[Finding]:
        """Yield what is found, good or bad, each as soon as it is known. Raises `RateLimited`."""
        yield self._handshake(callback_url)
        try:
            yield from self._ask(callback_url, known)
        except RateLimited:
            raise
        except ClientError as error:
            yield _unanswered(error)

    def check_grant(self) -> Iterator[Finding]:
        """Yield why the page cannot be connected with this token: it is to be the page's, and for good."""
        try:
            token = self._token(self._app_id())
        except ClientError as error:
            yield _unanswered(error)
            return
        faults = _faults_of(token, self._credentials.account_id)
        yield from (one for one in faults if one.code != "data_access_ends")

    def repair(self, found: Finding, callback_url: str) -> None:
        """Subscribe what is not subscribed. Raises `ClientError`."""
        app_id = self._app_id()
        if found.code in _OF_THE_PAGE:
            self._subscribe_page(app_id)
        else:
            self._subscribe_app(app_id, callback_url)

    def _ask(self, callback_url: str, known: Answers) -> Iterator[Finding]:
        secret = self._credentials.app_secret
        app_id = known.once(("app", secret), self._app_id)
        token = self._token_of(app_id)
        yield finding("app_secret_right")
        yield from self._clock()
        faults = list(_faults_of(token, self._credentials.account_id))
        yield from faults or [finding("page_token_valid")]
        if any(one.meaning.hides_others for one in faults):
            return
        if (ends := _time(token.get("data_access_expires_at"))) and not _is_soon(ends):
            yield finding("data_access_lasts", time=_said(ends))
        subscription = known.once(("subscription", secret), lambda: self._app_subscription(app_id))
        yield from self._app(app_id, subscription, callback_url)
        if TO_SUBSCRIBE in _missing(token, self._credentials.account_id):
            yield finding("page_subscription_unknown", permission=TO_SUBSCRIBE)
        else:
            yield self._page(app_id)

    def _handshake(self, callback_url: str) -> Finding:
        """Ask our own address what Meta asks it, as far as it can be seen from here.

        https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests
        """
        challenge, url = secrets.token_hex(8), address(callback_url)
        query = {
            "hub.mode": "subscribe",
            "hub.verify_token": self._credentials.verify_token,
            "hub.challenge": challenge,
        }
        try:
            answer = _Callback(self._http, callback_url, {}, "").request("GET", "", params=query)
        except Unavailable as error:
            was_answered = error.notice.code in {"http_status", "redirected"}
            code = "webhook_address_wrong" if was_answered else "webhook_address_not_reached"
            return finding(code, url=url, reason=error.notice)
        except ClientError as error:
            return finding("webhook_address_wrong", url=url, reason=error.notice)
        if answer.content != challenge.encode():
            return finding("webhook_address_wrong", url=url, reason=notice("handshake_not_answered"))
        return finding("webhook_address_answers", url=url)

    def _app_id(self) -> str:
        """Return the id of the app that the token belongs to. Meta refuses the call if the secret is wrong.

        https://developers.facebook.com/docs/graph-api/reference/application
        """
        return _required(self._call("GET", "/app", params={"fields": "id"} | self._proof), "id")

    def _clock(self) -> Iterator[Finding]:
        if not (now := self._now()):
            return
        seconds = (datetime.now(UTC) - now).total_seconds()
        if abs(seconds) <= CLOCK_TOLERANCE:
            yield finding("clock_right")
        else:
            yield finding("clock_fast" if seconds > 0 else "clock_slow", seconds=round(abs(seconds)))

    def _token(self, app_id: str) -> dict[str, Any]:
        """Read what Meta knows about the page's token.

        https://developers.facebook.com/docs/graph-api/reference/debug_token
        """
        query = {"input_token": self._credentials.access_token}
        return as_dict(as_dict(self._as_app(app_id, "GET", "/debug_token", params=query)).get("data"))

    def _token_of(self, app_id: str) -> dict[str, Any]:
        """Read what Meta knows about the page's token, for an app whose id another page may have told."""
        try:
            return self._token(app_id)
        except RejectedError:
            self._app_id()  # that says what is wrong, if this page's token is of another app
            raise

    def _app(self, app_id: str, subscription: dict[str, Any], callback_url: str) -> Iterator[Finding]:
        fields = names_of_fields(subscription.get("fields"))
        callback = as_text(subscription.get("callback_url"))
        if "messages" not in fields:
            yield finding("app_not_subscribed", app_id=app_id)
            return
        faults = []
        if not is_true(subscription.get("active")):
            faults.append(finding("app_subscription_inactive", app_id=app_id))
        if not _is_same(callback, callback_url):
            faults.append(
                finding("app_subscribed_elsewhere", url=address(callback), ours=address(callback_url))
            )
        if missing := _lacking(fields):
            faults.append(finding("app_fields_missing", fields=", ".join(missing)))
        if not faults and (left := _left_out(fields)):
            faults.append(finding("app_subscribed_in_part", app_id=app_id, fields=left))
        yield from faults or [finding("app_subscribed", app_id=app_id)]

    def _page(self, app_id: str) -> Finding:
        fields = self._page_fields(app_id)
        if "messages" not in fields:
            return finding("page_not_subscribed")
        if missing := _lacking(fields):
            return finding("page_fields_missing", fields=", ".join(missing))
        if left := _left_out(fields):
            return finding("page_subscribed_in_part", fields=left)
        return finding("page_subscribed")

    def _app_subscription(self, app_id: str) -> dict[str, Any]:
        """Return what the app has subscribed of pages.

        https://developers.facebook.com/docs/graph-api/reference/app/subscriptions
        """
        answer = self._as_app(app_id, "GET", f"/{segment(app_id)}/subscriptions")
        return next((one for one in _data(answer) if one.get("object") == "page"), {})

    def _page_fields(self, app_id: str) -> list[str]:
        """Return which fields the page sends to the app.

        https://developers.facebook.com/docs/graph-api/reference/page/subscribed_apps
        """
        answer = self._call("GET", self._page_edge(), params={"fields": "id,subscribed_fields"} | self._proof)
        ours = (one for one in _data(answer) if as_text(one.get("id")) == app_id)
        return names_of_fields(next(ours, {}).get("subscribed_fields"))

    def _page_edge(self) -> str:
        return f"/{segment(self._credentials.account_id)}/subscribed_apps"

    def _subscribe_page(self, app_id: str) -> None:
        """Subscribe the page, and keep what it had: what is not named is unsubscribed."""

        def post(names: str) -> None:
            self._call("POST", self._page_edge(), params=self._proof, data={"subscribed_fields": names})

        _subscribe(self._page_fields(app_id), post)

    def _subscribe_app(self, app_id: str, callback_url: str) -> None:
        """Have the app's webhooks come here. Meta calls the address before it answers."""
        fields = {
            "object": "page",
            "callback_url": callback_url,
            "verify_token": self._credentials.verify_token,
            "include_values": "true",
        }

        def post(names: str) -> None:
            path = f"/{segment(app_id)}/subscriptions"
            self._as_app(app_id, "POST", path, data=fields | {"fields": names})

        _subscribe(names_of_fields(self._app_subscription(app_id).get("fields")), post)

    def _as_app(self, app_id: str, method: str, path: str, **options: Any) -> Any:
        """Call the Graph API with the app's own token.

        https://developers.facebook.com/docs/facebook-login/guides/access-tokens#apptokens
        """
        headers = {"Authorization": f"Bearer {app_id}|{self._credentials.app_secret}"}
        try:
            return self._call(method, path, headers=headers, **options)
        except RateLimited as error:
            error.is_of_app = True
            raise


def _unanswered(error: ClientError) -> Finding:
    """Return what it means that Meta did not answer a question of the checks."""
    code = {"app_secret_refused": "app_secret_wrong", "page_token_refused": "page_token_invalid"}
    if ours := code.get(error.notice.code):
        return finding(
            ours, **{name: one for name, one in error.notice.values.items() if name == "reference"}
        )
    away = isinstance(error, RetryableError)
    return finding("facebook_away" if away else "facebook_refuses_check", reason=error.notice)


def _faults_of(token: dict[str, Any], page_id: str) -> Iterator[Finding]:
    """Yield what is wrong with a token, by what Meta knows about it."""
    if not is_true(token.get("is_valid")):
        error = as_dict(token.get("error"))
        codes = "/".join(filter(None, (as_text(error.get("code")), as_text(error.get("subcode")))))
        yield finding("page_token_invalid", reference=notice("facebook_error", error=codes or "190"))
        return
    if (kind := as_text(token.get("type")).upper()) != "PAGE":
        yield finding("page_token_of_another_kind", kind=one_line(kind) or "?")
        return
    if as_text(token.get("profile_id")) != page_id:
        yield finding("page_token_of_another_page", other=one_line(as_text(token.get("profile_id"))) or "?")
        return
    if expires := _time(token.get("expires_at")):
        yield finding("page_token_expires", time=_said(expires))
    if (ends := _time(token.get("data_access_expires_at"))) and _is_soon(ends):
        yield finding("data_access_ends", time=_said(ends))
    missing = _missing(token, page_id)
    if TO_MESSAGE in missing:
        yield finding("permission_to_message_missing", permission=TO_MESSAGE)
    if others := [name for name in missing if name != TO_MESSAGE]:
        yield finding("permissions_missing", permissions=", ".join(others))


def _missing(token: dict[str, Any], page_id: str) -> list[str]:
    """Return which permissions a token lacks; one may be for some pages only."""
    granted = set(map(as_text, as_list(token.get("scopes"))))
    for one in dicts(token.get("granular_scopes")):
        targets = set(map(as_text, as_list(one.get("target_ids"))))
        if targets and page_id not in targets:
            granted.discard(as_text(one.get("scope")))
    return [name for name in PERMISSIONS if name not in granted]


def _time(value: Any) -> datetime | None:
    """Read a time of Meta's; 0 is never."""
    try:
        return datetime.fromtimestamp(int(value), UTC) if value else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _is_soon(time: datetime) -> bool:
    return time - datetime.now(UTC) < ENDS_SOON


def _said(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _data(answer: Any) -> Iterable[dict[str, Any]]:
    """Return the objects of a list. Raises `Unavailable` for an answer that is none."""
    data = as_dict(answer).get("data")
    if not isinstance(data, list):
        raise Unavailable("facebook_bad_answer", field="data")
    return dicts(data)


def _required(answer: Any, key: str) -> str:
    if not (value := as_text(as_dict(answer).get(key))):
        raise Unavailable("facebook_bad_answer", field=key)
    return value


def names_of_fields(fields: Any) -> list[str]:
    """Return the names of fields, which are objects or, in older versions of the Graph API, texts."""
    return [as_text(one.get("name") if isinstance(one, dict) else one) for one in as_list(fields)]


def _lacking(fields: Iterable[str]) -> list[str]:
    return [name for name in NEEDED_FIELDS if name not in fields]


def _left_out(fields: Iterable[str]) -> str:
    return ", ".join(name for name in EXTRA_FIELDS if name not in fields)


def _subscribe(had: Iterable[str], post: Callable[[str], None]) -> None:
    """Subscribe what is needed and what was there, and of the extra fields those that Meta does not refuse.

    A field that an app may not have fails the whole call, and `post` replaces what was subscribed before.
    """
    fields = list(dict.fromkeys([*NEEDED_FIELDS, *had]))
    extra = [name for name in EXTRA_FIELDS if name not in fields]
    try:
        post(",".join([*fields, *extra]))
    except RejectedError:
        if not extra:
            raise
        post(",".join(fields))
        for name in extra:
            with suppress(RejectedError):
                post(",".join([*fields, name]))
                fields.append(name)


def _is_same(callback: str, ours: str) -> bool:
    """Return whether two addresses are the same, whatever the case of the host or a slash at the end."""
    one, other = (parts_of(url.rstrip("/")) for url in (callback, ours))
    return one._replace(netloc=one.netloc.lower()) == other._replace(netloc=other.netloc.lower())


add_sentences(
    {
        "webhook_address": N_("the webhook address"),
        "handshake_not_answered": N_("it does not answer Facebook's handshake"),
    }
)
_STOPS, _WARNING = Level.STOPS_MESSAGES, Level.WARNING
_RUN_FIX = N_("Run “connector check --fix”.")
_NOTHING_ARRIVES = N_("Customers' messages do not arrive.")
_NOTHING_PASSES = N_("No message arrives and no reply is sent.")
_REPLIES_WAIT = N_("Replies wait and are sent once this is fixed.")
_NEW_TOKEN = N_("Create a new page access token in the Meta app and set it as page_access_token.")
_GRANT = N_(
    "Grant what is missing in the Meta app, then create a new page access token and set it as "
    "page_access_token."
)
_SYNC_CLOCK = N_("Have this machine keep its time by a time server (NTP).")
_CLOCK_MATTERS = N_("Times in tickets and logs are wrong, and certificates and webhooks may be refused.")
_SOME_EVENTS = N_("Messages arrive, but some events are missing: edits, reactions or receipts, for example.")

add_meanings(
    {
        "webhook_address_answers": Meaning(
            Level.OK, N_("The webhook address {url} answers Facebook's handshake.")
        ),
        "webhook_address_not_reached": Meaning(
            _WARNING,
            N_("The webhook address {url} cannot be reached from this machine: {reason}."),
            N_("If Facebook cannot reach it either, customers' messages do not arrive."),
            N_(
                "Check that the connector and its reverse proxy run, and that public_url leads to them with "
                "a valid certificate."
            ),
            stops_webhooks=True,
            is_for_operator=True,
        ),
        "webhook_address_wrong": Meaning(
            _STOPS,
            N_("The webhook address {url} does not answer as the connector does: {reason}."),
            _NOTHING_ARRIVES,
            N_(
                "Check that public_url leads to this connector, and that it runs with the verify_token of "
                "this page."
            ),
            may_pass=True,
            stops_webhooks=True,
            is_for_operator=True,
        ),
        "app_secret_right": Meaning(Level.OK, N_("Facebook accepts the app secret.")),
        "app_secret_wrong": Meaning(
            _STOPS,
            N_("Facebook rejects the app secret."),
            N_("Webhooks are refused and replies wait until this is fixed."),
            N_("Copy the app secret from the Meta app (Settings, Basic) and set it as app_secret."),
            hides_others=True,
            stops_webhooks=True,
        ),
        "page_token_valid": Meaning(
            Level.OK, N_("The page access token is valid and does not expire."), says_how_long=True
        ),
        "data_access_lasts": Meaning(
            Level.OK, N_("The Meta app has access to the page's data until {time}."), says_how_long=True
        ),
        "page_token_invalid": Meaning(
            _STOPS,
            N_("The page access token is not valid."),
            _REPLIES_WAIT,
            _NEW_TOKEN,
            hides_others=True,
            needs_login=True,
        ),
        "page_token_of_another_kind": Meaning(
            _STOPS,
            N_("The page access token does not belong to a page; it is of the kind {kind}."),
            _REPLIES_WAIT,
            _NEW_TOKEN,
            hides_others=True,
            needs_login=True,
        ),
        "page_token_of_another_page": Meaning(
            _STOPS,
            N_("The page access token belongs to another page ({other})."),
            _REPLIES_WAIT,
            _NEW_TOKEN,
            hides_others=True,
            needs_login=True,
        ),
        "page_token_expires": Meaning(
            _WARNING,
            N_("The page access token expires on {time}."),
            N_("From then on no reply is sent."),
            N_(
                "Create one that does not expire, from a long-lived user token or a system user, and set it "
                "as page_access_token."
            ),
            needs_login=True,
        ),
        "data_access_ends": Meaning(
            _WARNING,
            N_("The access of the Meta app to the page's data ends on {time}."),
            N_("From then on Facebook may withhold names, pictures and conversations."),
            N_("Have an administrator of the page log in to the Meta app again, and renew the token."),
            needs_login=True,
        ),
        "access_withdrawn": Meaning(
            _STOPS,
            N_("Access to the page was taken back at Facebook, so the page was switched off."),
            N_("New messages do not become tickets, and replies wait."),
            N_(
                "Have an administrator of the page log in with Facebook again, or enter a new token: what "
                "was written meanwhile is fetched."
            ),
            needs_login=True,
            stops_webhooks=True,
        ),
        "permission_to_message_missing": Meaning(
            _STOPS,
            N_("The permission {permission} is missing."),
            _NOTHING_PASSES,
            _GRANT,
            needs_login=True,
            stops_webhooks=True,
        ),
        "permissions_missing": Meaning(
            _WARNING,
            N_("Permissions are missing: {permissions}."),
            N_("Subscriptions cannot be checked or repaired, or conversations cannot be read."),
            _GRANT,
            needs_login=True,
        ),
        "app_subscribed": Meaning(
            Level.OK, N_("The Meta app {app_id} sends its webhooks here, with all fields.")
        ),
        "app_subscribed_in_part": Meaning(
            Level.OK,
            N_(
                "The Meta app {app_id} sends its webhooks here, with all fields that are needed. It lacks "
                "those of rarer events, some of which Meta allows certain apps only: {fields}."
            ),
            can_be_fixed=True,
            is_set_up=True,
        ),
        "app_not_subscribed": Meaning(
            _STOPS,
            N_("The Meta app {app_id} has no webhook for messages to pages."),
            _NOTHING_ARRIVES,
            _RUN_FIX,
            can_be_fixed=True,
            is_set_up=True,
            stops_webhooks=True,
        ),
        "app_subscription_inactive": Meaning(
            _STOPS,
            N_("The webhook of the Meta app {app_id} is disabled."),
            _NOTHING_ARRIVES,
            _RUN_FIX,
            can_be_fixed=True,
            is_set_up=True,
            stops_webhooks=True,
        ),
        "app_subscribed_elsewhere": Meaning(
            _STOPS,
            N_("The Meta app sends its webhooks to {url} instead of {ours}."),
            _NOTHING_ARRIVES,
            N_("If they are to come here, run “connector check --fix”; if not, correct public_url."),
            can_be_fixed=True,
            stops_webhooks=True,
        ),
        "app_fields_missing": Meaning(
            _WARNING,
            N_("The webhook of the Meta app lacks fields: {fields}."),
            _SOME_EVENTS,
            _RUN_FIX,
            can_be_fixed=True,
            is_set_up=True,
        ),
        "page_subscribed": Meaning(Level.OK, N_("The page sends its events to the app, with all fields.")),
        "page_subscribed_in_part": Meaning(
            Level.OK,
            N_(
                "The page sends its events to the app, with all fields that are needed. It lacks those of "
                "rarer events, some of which Meta allows certain apps only: {fields}."
            ),
            can_be_fixed=True,
            is_set_up=True,
        ),
        "page_subscription_unknown": Meaning(
            Level.UNKNOWN,
            N_("Whether the page is subscribed cannot be seen without the permission {permission}."),
        ),
        "page_not_subscribed": Meaning(
            _STOPS,
            N_("The page is not subscribed: it does not send its messages to the app."),
            _NOTHING_ARRIVES,
            N_(
                "Run “connector check --fix” to subscribe it again at once; otherwise the next scheduled "
                "check does, unless check_every is 0."
            ),
            can_be_fixed=True,
            is_fixed_unasked=True,
            is_set_up=True,
            stops_webhooks=True,
        ),
        "page_fields_missing": Meaning(
            _WARNING,
            N_("The subscription of the page lacks fields: {fields}."),
            _SOME_EVENTS,
            _RUN_FIX,
            can_be_fixed=True,
            is_set_up=True,
        ),
        "clock_right": Meaning(Level.OK, N_("The clock of this machine agrees with Facebook's.")),
        "clock_fast": Meaning(
            _WARNING,
            N_("The clock of this machine is {seconds} s ahead of Facebook's."),
            _CLOCK_MATTERS,
            _SYNC_CLOCK,
            is_for_operator=True,
        ),
        "clock_slow": Meaning(
            _WARNING,
            N_("The clock of this machine is {seconds} s behind Facebook's."),
            _CLOCK_MATTERS,
            _SYNC_CLOCK,
            is_for_operator=True,
        ),
        "facebook_away": Meaning(
            _STOPS,
            N_("This could not be checked: {reason}."),
            N_("Messages wait and are relayed once it works again."),
            N_("Check that this machine can reach graph.base_url; if Facebook is down, wait."),
            hides_others=True,
            may_pass=True,
            is_for_operator=True,
        ),
        "facebook_refuses_check": Meaning(
            _WARNING,
            N_("Facebook rejected one of the requests of this check: {reason}."),
            N_("The rest could not be checked."),
            N_("Check page_id, and what the Meta app is allowed to do."),
            hides_others=True,
        ),
    }
)
