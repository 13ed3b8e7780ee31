"""A person connects accounts by a login: a signed link, the login, a choice, and what became of it.

What is known on the way is in a cookie, encrypted: no other browser can go on. What the login gave is in the
store until the choice is made, encrypted too, and then gone.
"""

import functools
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import redis
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from clients.channel import Login, Offer
from clients.errors import ClientError, RetryableError
from clients.notices import Notice, notice
from connector import links
from connector.cipher import Cipher, Unreadable
from connector.connection import MOST_HISTORY_DAYS
from connector.links import InvalidLink, Link
from connector.onboarding import Onboarding
from connector.settings import Settings, missing_for_login
from connector.web.body import BodyReader
from connector.web.forms import read_form
from connector.web.pages import language_of, page
from tasks.inbox.inbox import Inbox
from tasks.store import reason_of
from tasks.words import say

log = structlog.get_logger(__name__)

COOKIE = "connector_login"
LOGIN_WITHIN = 600
"""How long a person may take to log in, in seconds."""
CHOOSE_WITHIN = 900
"""How long a person may take to choose, and is kept what the login gave, in seconds."""


class Begun(msgspec.Struct, frozen=True, tag=True):
    """What the cookie holds while a person logs in."""

    state: str
    verifier: str
    until: float
    link: Link


class Choosing(msgspec.Struct, frozen=True, tag=True):
    """What the cookie holds while a person chooses: where in the store that is which the login gave."""

    id: str
    link: Link


class PendingChoice(msgspec.Struct, frozen=True):
    """What is in the store while a person chooses; `form` is a secret of the form that is to come back."""

    form: str
    offer: Offer


class LoginStopped(Exception):
    """It does not go on from here: what the person is told, and the status."""

    def __init__(self, status: int, what: Notice, link: Link | None = None) -> None:
        super().__init__(what)
        self.status, self.what, self.link = status, what, link


S = TypeVar("S")
Handler = Callable[[Request], Awaitable[Response]]


class LoginPages:
    """The pages of one channel's login."""

    def __init__(
        self,
        settings: Settings,
        login: Login,
        onboarding: Onboarding,
        inbox: Inbox,
        body_reader: BodyReader,
    ) -> None:
        self._settings, self._login, self._onboarding = settings, login, onboarding
        self._inbox, self._body_reader = inbox, body_reader
        self._key = settings.admin_token.get_secret_value()
        # A proxy may have put a path in front of ours.
        self._cookie_path = urlsplit(settings.public_url).path + login.path
        self._redirect_uri = f"{settings.public_url}{login.path}/callback"
        self._choice_uri = f"{settings.public_url}{login.path}/pages"
        self.routes = [
            Route(login.path, self._told(self._begin)),
            Route(f"{login.path}/callback", self._told(self._come_back)),
            Route(f"{login.path}/pages", self._told(self._show), methods=["GET"]),
            Route(f"{login.path}/pages", self._told(self._connect), methods=["POST"]),
        ]

    def _told(self, handler: Handler) -> Handler:
        """Tell the person on a page what stops them."""

        @functools.wraps(handler)
        async def answer(request: Request) -> Response:
            try:
                self._check_settings()
                return await handler(request)
            except LoginStopped as stopped:
                status, what, link = stopped.status, stopped.what, stopped.link
            except redis.RedisError as error:
                log.warning("login_failed", reason=reason_of(error))
                status, what, link = 503, notice("connect_store_away"), None
            return self._message(request, status, what, link)

        return answer

    def _check_settings(self) -> None:
        if missing := missing_for_login(self._settings):
            raise LoginStopped(403, notice("connect_off", settings=", ".join(missing)))

    async def _begin(self, request: Request) -> Response:
        """Take a link of the helpdesk's, and lead to the login."""
        try:
            link = links.read(request.query_params, self._login.path, self._key, time.time())
        except InvalidLink as error:
            raise LoginStopped(403, notice(error.code)) from None
        begun = Begun(secrets.token_urlsafe(24), secrets.token_urlsafe(48), time.time() + LOGIN_WITHIN, link)
        address = self._login.address(self._redirect_uri, begun.state, begun.verifier)
        return self._leading_to(address, begun, LOGIN_WITHIN)

    async def _come_back(self, request: Request) -> Response:
        """Take what the login gave, and lead to the choice."""
        begun, state = self._cookie(request, Begun), request.query_params.get("state", "")
        is_ours = begun and hmac.compare_digest(begun.state.encode(), state.encode())
        if not begun or not is_ours or begun.until < time.time():
            raise LoginStopped(400, notice("login_not_begun", minutes=LOGIN_WITHIN // 60))
        if refusal := self._login.refusal(request.query_params):
            raise LoginStopped(400, refusal, begun.link)
        code = request.query_params["code"]
        try:
            offer = await run_in_threadpool(self._login.offer, code, self._redirect_uri, begun.verifier)
        except ClientError as error:
            log.warning("login_failed", reason=str(error))
            raise self._stopped_by(error, begun.link) from None
        choosing = Choosing(secrets.token_urlsafe(24), begun.link)
        given = self._sealed(PendingChoice(secrets.token_urlsafe(24), offer))
        await run_in_threadpool(self._inbox.put, _name(choosing), given, CHOOSE_WITHIN)
        log.info("logged_in", desk=begun.link.desk_id, pages=len(offer.accounts))
        return self._leading_to(self._choice_uri, choosing, CHOOSE_WITHIN)

    async def _show(self, request: Request) -> Response:
        """Show what may be chosen."""
        choosing, given = await self._given(request)
        return await self._choice(request, choosing, given)

    async def _connect(self, request: Request) -> Response:
        """Connect what was chosen, and forget what the login gave."""
        form = await read_form(request, self._body_reader)
        choosing, given = await self._given(request)
        if not hmac.compare_digest(given.form.encode(), "".join(form.get("form", [])).encode()):
            raise LoginStopped(403, notice("login_not_begun", minutes=LOGIN_WITHIN // 60), choosing.link)
        chosen, entered = set(form.get("page", [])), "".join(form.get("history_days", [])).strip()
        days = _days(entered)
        if not chosen or days is None:
            return await self._choice(request, choosing, given, chosen, entered)
        await run_in_threadpool(self._inbox.delete, _name(choosing))
        connect = functools.partial(self._onboarding.connect, history_days=days)
        outcomes = await run_in_threadpool(connect, given.offer, choosing.link, chosen)
        answer = self._page(request, "connected.html", 200, choosing.link, outcomes=outcomes)
        answer.delete_cookie(COOKIE, path=self._cookie_path)
        return answer

    async def _choice(
        self,
        request: Request,
        choosing: Choosing,
        given: PendingChoice,
        chosen: set[str] | None = None,
        entered: str = "",
    ) -> Response:
        """Show what may be chosen, and what is wrong about what was `chosen` and `entered` before, if so."""
        link, days_are_wrong, problem = choosing.link, _days(entered) is None, None
        if days_are_wrong:
            problem = notice("connect_history_wrong", days=MOST_HISTORY_DAYS)
        elif chosen is not None:
            problem = notice("connect_none_chosen")
        choices = await run_in_threadpool(self._onboarding.choices, given.offer, link)
        open_ = [one.account.account_id for one in choices if one.is_open]
        return self._page(
            request,
            "choose.html",
            422 if problem else 200,
            link,
            choices=choices,
            chosen=chosen or (open_ if len(open_) == 1 else []),
            has_new=any(one.is_open and not one.entry for one in choices),
            history_days=entered or "0",
            most_days=MOST_HISTORY_DAYS,
            days_are_wrong=days_are_wrong,
            form=given.form,
            problem=problem,
        )

    async def _given(self, request: Request) -> tuple[Choosing, PendingChoice]:
        """Return what the login of this browser gave, if it is still there."""
        choosing = self._cookie(request, Choosing)
        sealed = await run_in_threadpool(self._inbox.get, _name(choosing)) if choosing else None
        given = self._opened(sealed.decode(), PendingChoice) if sealed else None
        if not choosing or not given:
            over = notice("choice_over", minutes=CHOOSE_WITHIN // 60)
            raise LoginStopped(410, over, choosing.link if choosing else None)
        return choosing, given

    def _stopped_by(self, error: ClientError, link: Link) -> LoginStopped:
        if isinstance(error, RetryableError):
            return LoginStopped(503, notice("connect_service_away", reason=error.notice), link)
        return LoginStopped(400, error.notice, link)

    def _message(self, request: Request, status: int, what: Notice, link: Link | None) -> Response:
        return self._page(request, "message.html", status, link, sentences=[what])

    def _page(
        self, request: Request, template: str, status: int, link: Link | None, **context: object
    ) -> Response:
        language = language_of(request, link.language if link else "")
        title = say(notice("connect_title", service=self._login.title), language)
        known = {"title": title, "return_url": link.return_url if link else ""}
        return page(request, template, language, context | known, status)

    def _leading_to(self, address: str, cookie: Begun | Choosing, seconds: int) -> Response:
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        answer = RedirectResponse(address, 303, headers)
        answer.set_cookie(
            COOKIE,
            self._sealed(cookie),
            max_age=seconds,
            path=self._cookie_path,
            secure=self._settings.public_url.startswith("https:"),
            httponly=True,
            samesite="lax",
        )
        return answer

    def _cookie(self, request: Request, kind: type[S]) -> S | None:
        return self._opened(request.cookies.get(COOKIE, ""), kind)

    def _sealed(self, value: msgspec.Struct) -> str:
        return self._cipher.encrypt(msgspec.json.encode(value).decode())

    def _opened(self, sealed: str, kind: type[S]) -> S | None:
        try:
            return msgspec.json.decode(self._cipher.decrypt(sealed), type=kind)
        except (Unreadable, msgspec.MsgspecError):
            return None

    @property
    def _cipher(self) -> Cipher:
        cipher = self._settings.cipher
        assert cipher  # noqa: S101 - without one no page is served
        return cipher


def _days(entered: str) -> int | None:
    """Return how many days somebody entered, none if they left it out; None for what is no such number."""
    if not re.fullmatch("[0-9]{0,3}", entered) or int(entered or 0) > MOST_HISTORY_DAYS:
        return None
    return int(entered or 0)


def _name(choosing: Choosing) -> str:
    return f"login:{choosing.id}"
