"""A channel says that people take back what they granted by a login, or want their data deleted."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import redis
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clients.channel import Login, Withdrawal
from clients.errors import RetryableError
from clients.notices import Notice, notice
from connector.admin import ConnectionAdmin
from connector.settings import Settings
from connector.web import refusals
from connector.web.body import BodyReader
from connector.web.pages import language_of, page
from connector.web.refusals import Refusals
from tasks import erasures
from tasks.connections import Directory
from tasks.erasures import Outcome
from tasks.inbox.inbox import Inbox
from tasks.store import reason_of
from tasks.words import say

log = structlog.get_logger(__name__)

MAX_BODY = 8 * 1024
"""How large what is signed may be, in bytes."""
STATUS_PATH = "/data_deletion"
_STATES = {
    "waiting": "deletion_waiting",
    "not_found": "deletion_not_found",
    "refused": "deletion_here_only",
    "helpdesk_cannot": "deletion_here_only",
    "done": "deletion_done",
}
"""What is said of each state; of several conversations that which comes first here."""
_DAYS = erasures.SHOWN_FOR // (24 * 3600)


@contextmanager
def _storing() -> Iterator[None]:
    """Answer 503 while the store is away."""
    try:
        yield
    except redis.RedisError as error:
        log.warning("withdrawal_not_stored", reason=reason_of(error))
        raise HTTPException(503) from None


class Withdrawals:
    """The callbacks of one channel's login. What no app of ours signed is answered 403, and does nothing."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is a part of the application
        self,
        settings: Settings,
        login: Login,
        admin: ConnectionAdmin,
        inbox: Inbox,
        directory: Directory,
        body_reader: BodyReader,
        refused: Refusals,
    ) -> None:
        self._settings, self._login, self._admin, self._inbox = settings, login, admin, inbox
        self._directory, self._body_reader, self._refusals = directory, body_reader, refused
        path = login.callback_path
        self.routes = [
            Route(f"{path}/deauthorize", self._deauthorize, methods=["POST"]),
            Route(f"{path}/data_deletion", self._delete_data, methods=["POST"]),
        ]

    async def _deauthorize(self, request: Request) -> Response:
        """Switch off what somebody connected who takes that back."""
        withdrawal = await self._withdrawal(request)
        with _storing():
            await run_in_threadpool(self._switch_off, withdrawal, forget=False)
        return JSONResponse({})

    async def _delete_data(self, request: Request) -> Response:
        """Forget a person; say where they can see what came of it."""
        withdrawal = await self._withdrawal(request)
        with _storing():
            code = await run_in_threadpool(self._forget, withdrawal)
        url = f"{self._settings.public_url}{STATUS_PATH}/{code}"
        return JSONResponse({"url": url, "confirmation_code": code})

    async def _withdrawal(self, request: Request) -> Withdrawal:
        body = await self._body_reader.read(dict(request.scope["headers"]), request.receive, MAX_BODY)
        self._body_reader.release(body)
        withdrawal = await run_in_threadpool(self._login.withdrawal, body, self._secrets())
        if not withdrawal:
            self._refusals.refuse(self._login.channel, refusals.WRONG_SECRET, path=request.url.path)
            raise HTTPException(403)
        return withdrawal

    def _secrets(self) -> Iterator[str]:
        """Yield the secrets of our apps."""
        yield self._settings.graph.app_secret.get_secret_value()
        yield from self._directory.of(self._login.channel).app_secrets

    def _switch_off(self, withdrawal: Withdrawal, *, forget: bool) -> None:
        pages = self._admin.withdraw(withdrawal, forget=forget)
        self._directory.refresh()
        log.warning("access_withdrawn", pages=pages, page=withdrawal.account_id or None)

    def _forget(self, withdrawal: Withdrawal) -> str:
        self._switch_off(withdrawal, forget=True)
        try:
            found = erasures.find(self._login, withdrawal, self._directory)
        except RetryableError as error:
            code = erasures.request_match(self._inbox, self._login.channel, withdrawal.user_id)
            log.warning("deletion_not_matched_yet", code=code, reason=str(error))
            return code
        return erasures.request_all(self._inbox, found)


class DeletionStatus:
    """The page that shows a person what came of their wish, to whoever knows its code."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def show(self, request: Request) -> Response:
        """Show it."""
        code = str(request.path_params["code"])
        with _storing():
            found = await run_in_threadpool(erasures.outcomes, self._inbox, code)
        language = language_of(request)
        context = {"title": say(notice("deletion_title"), language), "return_url": ""}
        if not found:
            unknown = [notice("deletion_unknown", days=_DAYS)]
            return page(request, "message.html", language, context | {"sentences": unknown}, 404)
        return page(request, "message.html", language, context | {"sentences": _sentences(code, found)})


def _sentences(code: str, found: list[Outcome]) -> list[Notice]:
    requested = datetime.fromisoformat(found[0].requested_at)
    states = {one.state for one in found}
    state = next((one for one in _STATES if one in states), "waiting")
    return [
        notice("deletion_request", time=f"{requested:%Y-%m-%d %H:%M} UTC", number=code),
        notice(_STATES[state]),
        notice("deletion_of_pages"),
        notice("deletion_shown_for", days=_DAYS),
    ]
