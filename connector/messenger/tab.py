"""The Messenger tab of a desk: which pages lead to it, whether they work, and how they are connected.

The helpdesk shows it in a frame, by a link that it signs (`connector.web.access`).
"""

import functools
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import redis
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from clients.channels.meta.messenger import Messenger
from clients.errors import ClientError
from clients.findings import Finding, finding
from clients.helpdesk import Category
from clients.notices import ENGLISH, Notice, notice
from connector import links, overview
from connector.admin import (
    AlreadyConnected,
    ChangedMeanwhile,
    ConnectionAdmin,
    InvalidFields,
    ListedConnection,
    NoConnection,
)
from connector.connection import SECRETS
from connector.links import InvalidLink, Link
from connector.messenger import words  # noqa: F401 - its sentences
from connector.overview import Details, Standing, State
from connector.settings import Settings, missing_for_login
from connector.web import access, pages
from connector.web.access import Access
from connector.web.body import BodyReader
from connector.web.forms import read_form
from connector.web.pages import Stopped, language_of
from tasks import checks
from tasks.connections import Directory
from tasks.inbox.inbox import Inbox
from tasks.services import Services
from tasks.store import reason_of
from tasks.words import say

log = structlog.get_logger(__name__)

PATH = "/desks/{desk_id}/messenger"
EVERY = 10
"""How often an open tab is brought up to date, in seconds."""
SWITCHES = ("active", "human_agent", "take_control", "link_large_files")
FIELDS = ("page_id", "page_name", *SECRETS, "category_id", "language", "remind_before")
DONE = frozenset({"tab_saved", "tab_removed", "tab_removed_only_here", "tab_on", "tab_off"})
"""What a page may say that was done, by the name that its address has."""

pages.add_templates(Path(__file__).with_name("templates"))


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a page: what stands in its fields, which of them are wrong, and what stops it altogether.

    `ends` says how the secrets end that are stored, and are kept if nothing is entered.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    ends: Mapping[str, str] = field(default_factory=dict)
    version: int | None = None
    wrong: frozenset[str] = frozenset()
    problem: Notice | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A page of the desk, as it is shown. The settings list one without a `form`.

    It `is_held` while no page gets its messages through.
    """

    standing: Standing
    details: Details
    form: Form | None
    is_held: bool = False

    @property
    def state(self) -> State:
        """Return whether it works: not while its messages wait for what all pages need."""
        is_well = self.standing.state == State.WORKING
        return State.ATTENTION if is_well and self.is_held else self.standing.state

    @property
    def since(self) -> float | None:
        """Return since when it stands so, if that is known (seconds since 1970)."""
        checked = self.details.checked
        if self.state == State.WORKING:
            return checked.well_since if checked else None
        return self.standing.since

    @property
    def page_id(self) -> str:
        """Return the page."""
        return self.standing.connection.account_id


Handler = Callable[["MessengerTab", Request, Access], Awaitable[Response]]


class MessengerTab:
    """The tab of every desk. Its handlers raise `Stopped`, and `redis.RedisError`."""

    def __init__(  # noqa: PLR0913 - what it shows, and what it changes
        self,
        settings: Settings,
        admin: ConnectionAdmin,
        inbox: Inbox,
        directory: Directory,
        body_reader: BodyReader,
        *,
        services: Callable[[], Services],
    ) -> None:
        self._settings, self._admin, self._inbox = settings, admin, inbox
        self._directory, self._body_reader = directory, body_reader
        self._services = services
        self._key = settings.admin_token.get_secret_value()
        self._base = urlsplit(settings.public_url).path
        self._answer = functools.partial(pages.page, framed_by=settings.frame_ancestors)
        one = PATH + "/pages/{page_id}"
        self.routes = [
            Route(PATH, self._told(MessengerTab._show), methods=["GET"]),
            Route(PATH, self._told(MessengerTab._add), methods=["POST"]),
            Route(PATH + "/pages", self._told(MessengerTab._preview), methods=["GET"]),
            Route(one, self._told(MessengerTab._change), methods=["POST"]),
            Route(one + "/active", self._told(MessengerTab._switch), methods=["POST"]),
            Route(one + "/remove", self._told(MessengerTab._ask_to_remove), methods=["GET"]),
            Route(one + "/remove", self._told(MessengerTab._remove), methods=["POST"]),
            Route(one + "/check", self._told(MessengerTab._check), methods=["POST"]),
        ]

    def _told(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Check the link, and tell the person on a page what stops them."""

        @functools.wraps(handler)
        async def answer(request: Request) -> Response:
            link = None
            try:
                opened = self._opened(request)
                link = opened.link
                return await handler(self, request, opened)
            except Stopped as stopped:
                return self._stopped(request, link, stopped)
            except redis.RedisError as error:
                log.warning("tab_failed", reason=reason_of(error))
                return self._stopped(request, link, Stopped(503, notice("connect_store_away")))

        return answer

    def _stopped(self, request: Request, link: Link | None, stopped: Stopped) -> Response:
        language = self._language(request, link)
        title = say(notice("tab_title"), language)
        return_url = link.return_url if link else ""
        return pages.tell(
            request,
            stopped,
            self._answer,
            language,
            title,
            root=self._base,
            every=EVERY,
            return_url=return_url,
        )

    def _opened(self, request: Request) -> Access:
        if not self._key:
            raise Stopped(403, notice("connect_off", settings="admin_token"))
        desk_id = str(request.path_params["desk_id"])
        try:
            return access.read(request, links.tab_path(desk_id), self._key, desk_id)
        except InvalidLink as error:
            raise Stopped(403, notice(error.code)) from None

    # --- What is shown. -----------------------------------------------------------------------------------

    async def _show(self, request: Request, opened: Access) -> Response:
        return await self._tab(request, opened)

    async def _preview(self, request: Request, opened: Access) -> Response:
        """Return the part that is brought up to date while the tab is open."""
        shown = await run_in_threadpool(self._shown, opened.link.desk_id)
        return self._page(request, "tab_live.html", opened.link, self._known(opened) | shown)

    async def _tab(  # noqa: PLR0913 - what there is to show
        self,
        request: Request,
        opened: Access,
        form: Form | None = None,
        page_id: str = "",
        status: int = 200,
        *,
        given: str = "",
    ) -> Response:
        """Show the tab; with a form that could not be taken: that of a page, or of a new one.

        Or with the verify token that was `given` a page just now, and has to be entered at Meta.
        """
        shown = await run_in_threadpool(self._shown, opened.link.desk_id)
        cards = shown["cards"]
        edit = page_id or request.query_params.get("edit", "")
        edited = next((card for card in cards if card.page_id == edit and card.form), None)
        if edited and form:
            edited = replace(edited, form=form)
        done = "tab_saved" if given else request.query_params.get("done", "")
        more = shown | {
            "new": form if form and not page_id else self._new_form(opened.link),
            "is_adding": bool(form and not page_id),
            "edited": edited,
            "given": given,
            "categories": await run_in_threadpool(self._categories, opened.link.desk_id),
            "done": notice(done) if done in DONE else None,
            "callback_url": self._settings.public_url + Messenger.path,
            "webhook_fields": ", ".join(Messenger.webhook_fields),
            "can_store": self._settings.cipher is not None,
            "check_every": self._settings.check_every,
        }
        return self._page(request, "tab.html", opened.link, self._known(opened) | more, status)

    def _known(self, opened: Access) -> dict[str, Any]:
        """Return what every part of the tab needs: its addresses, and the time."""
        return {
            "tab": self._base + opened.path,
            "query": opened.query,
            "htmx": f"{self._base}/assets/{pages.HTMX}",
            "copy": f"{self._base}/assets/{pages.COPY}",
            "held": f"{self._base}/assets/{pages.HELD}",
            "login_url": self._login_url(opened.link),
            "now": time.time(),
            "every": EVERY,
        }

    def _login_url(self, link: Link) -> str:
        """Return where a person connects pages by a login; nothing if that is not set up."""
        if missing_for_login(self._settings):
            return ""
        return links.address(link, self._settings.public_url, Messenger.login.path, self._key)

    def _shown(self, desk_id: str) -> dict[str, Any]:
        """Return the pages of a desk, and what is wrong with what all pages need."""
        shared, standings = overview.whole(self._inbox, self._directory, desk_id)
        more = overview.details(self._inbox, [one.remote for one in standings])
        cards = [
            Card(one, more[one.remote], _form_of(one, entry), shared.stops_messages)
            for one in standings
            if (entry := self._entry(one.connection.account_id))
        ]
        return {"cards": cards, "problems": list(overview.shared_problems(shared)), "shared": shared}

    def _entry(self, page_id: str) -> ListedConnection | None:
        try:
            return self._admin.get(page_id)
        except NoConnection:  # it was removed just now
            return None

    def _new_form(self, link: Link) -> Form:
        language = link.language or ENGLISH
        return Form({"active": True, "verify_token": secrets.token_urlsafe(24), "language": language})

    def _categories(self, desk_id: str) -> Sequence[Category]:
        """Return the categories to choose from; none where the helpdesk does not say."""
        try:
            return self._services().helpdesk.categories(desk_id) or ()
        except ClientError as error:
            log.info("categories_not_listed", reason=str(error))
            return ()

    def _page(
        self,
        request: Request,
        template: str,
        link: Link | None,
        context: Mapping[str, Any],
        status: int = 200,
    ) -> Response:
        shown = self._frame(request, link) | dict(context)
        return self._answer(request, template, self._language(request, link), shown, status)

    def _frame(self, request: Request, link: Link | None) -> dict[str, Any]:
        title = say(notice("tab_title"), self._language(request, link))
        return {"title": title, "return_url": link.return_url if link else ""}

    def _language(self, request: Request, link: Link | None) -> str:
        return language_of(request, link.language if link else request.query_params.get("language", ""))

    # --- What is changed. ---------------------------------------------------------------------------------

    async def _add(self, request: Request, opened: Access) -> Response:
        fields = await self._fields(request)
        page_id, _ = fields.pop("page_id"), fields.pop("version")
        fields["desk_id"] = opened.link.desk_id
        try:
            await run_in_threadpool(self._admin.put, page_id, fields, None)
        except InvalidFields as error:
            return await self._again(request, opened, _refused(fields | {"page_id": page_id}, error))
        except AlreadyConnected:
            taken = Form(fields | {"page_id": page_id}, problem=notice("tab_taken", page=page_id))
            return await self._again(request, opened, taken)
        return await self._saved(request, opened, page_id, fields)

    async def _change(self, request: Request, opened: Access) -> Response:
        before = await self._own(request, opened)
        page_id = before.page_id
        fields = await self._fields(request)
        version = _version(fields.pop("version"))
        fields = {name: value for name, value in fields.items() if value or name not in SECRETS}
        fields.pop("page_id", None)
        shown = _form(before)
        kept = before.connection.model_dump(exclude={*SECRETS, "page_id"}) if before.connection else {}
        try:
            await run_in_threadpool(self._admin.put, page_id, kept | fields, version)
        except InvalidFields as error:
            wrong = frozenset(name for name, _ in error.faults)
            form = Form(fields, shown.ends, before.version, wrong)
            return await self._again(request, opened, form, page_id)
        except ChangedMeanwhile:
            meanwhile = notice("tab_changed_meanwhile")
            form = Form(shown.values, shown.ends, before.version, problem=meanwhile)
            return await self._again(request, opened, form, page_id, 409)
        return await self._saved(request, opened, page_id, fields)

    async def _switch(self, request: Request, opened: Access) -> Response:
        before = await self._own(request, opened)
        page_id = before.page_id
        form = await read_form(request, self._body_reader)
        active = form.get("active") == ["1"]
        try:
            await run_in_threadpool(self._admin.change, page_id, {"active": active})
        except InvalidFields as error:  # secrets are missing that an active one needs
            shown = _form(before)
            wrong = frozenset(name for name, _ in error.faults)
            form_ = Form(shown.values, shown.ends, before.version, wrong)
            return await self._again(request, opened, form_, page_id)
        return await self._done(opened, "tab_on" if active else "tab_off", page_id)

    async def _ask_to_remove(self, request: Request, opened: Access) -> Response:
        entry = await self._own(request, opened)
        known = self._known(opened) | {"page_id": entry.page_id, "version": entry.version}
        return self._page(request, "tab_remove.html", opened.link, known)

    async def _remove(self, request: Request, opened: Access) -> Response:
        page_id = (await self._own(request, opened)).page_id
        form = await read_form(request, self._body_reader)
        version = _version("".join(form.get("version", [])))
        try:
            not_done = await run_in_threadpool(self._admin.remove, page_id, version)
        except ChangedMeanwhile:
            raise Stopped(409, notice("tab_changed_meanwhile")) from None
        log.info("connection_removed", page=page_id, not_done=not_done or None)
        return await self._done(opened, "tab_removed_only_here" if not_done else "tab_removed")

    async def _own(self, request: Request, opened: Access) -> ListedConnection:
        """Return the page in the path, which has to lead to the desk, and not to be one of the settings."""
        page_id = str(request.path_params["page_id"])
        try:
            entry = await run_in_threadpool(self._admin.get, page_id)
        except NoConnection:
            raise Stopped(404, notice("tab_no_page")) from None
        if not entry.connection or entry.connection.desk_id != opened.link.desk_id:
            raise Stopped(404, notice("tab_no_page"))
        if entry.fixed and not request.url.path.endswith("/check"):
            raise Stopped(409, notice("page_is_fixed"))
        return entry

    async def _fields(self, request: Request) -> dict[str, Any]:
        """Return what was entered, as a connection has it; a switch that was not sent is off."""
        if not self._settings.cipher:
            raise Stopped(403, notice("connect_off", settings="secret_key"))
        form = await read_form(request, self._body_reader)
        given: dict[str, Any] = {name: "".join(form.get(name, [])).strip() for name in (*FIELDS, "version")}
        given["remind_before"] = _number(given["remind_before"])
        return given | {name: name in form for name in SWITCHES}

    async def _again(
        self, request: Request, opened: Access, form: Form, page_id: str = "", status: int = 422
    ) -> Response:
        return await self._tab(request, opened, form, page_id, status)

    async def _saved(
        self, request: Request, opened: Access, page_id: str, fields: Mapping[str, Any]
    ) -> Response:
        """Say that a page is saved. A new verify token is shown now, and never again."""
        if "verify_token" not in fields:
            return await self._done(opened, "tab_saved", page_id)
        await run_in_threadpool(self._directory.refresh)
        return await self._tab(request, opened, given=str(fields["verify_token"]))

    async def _done(self, opened: Access, what: str, page_id: str = "") -> Response:
        """Lead back to the tab, which says so: the directory has taken the change up by then."""
        await run_in_threadpool(self._directory.refresh)
        anchor = f"#page-{quote(page_id)}" if page_id else ""
        address = f"{self._base}{opened.path}?{opened.query}&done={what}{anchor}"
        return pages.leading_to(address)

    # --- What is tested. ----------------------------------------------------------------------------------

    async def _check(self, request: Request, opened: Access) -> Response:
        """Test a connection, and show each step as soon as it is known."""
        entry = await self._own(request, opened)
        page_id = entry.page_id
        form = await read_form(request, self._body_reader)
        known = (
            pages.worded(self._language(request, opened.link))
            | self._frame(request, opened.link)
            | self._known(opened)
            | {"page_id": page_id, "is_fixed": entry.fixed}
            | {"findings": self._findings(page_id, fix="fix" in form)}
        )
        template = pages.templates.get_template("tab_check.html")
        headers = pages.headers(self._settings.frame_ancestors)
        return StreamingResponse(template.generate(known), headers=headers, media_type="text/html")

    def _findings(self, page_id: str, *, fix: bool) -> Iterator[Finding]:
        """Yield what a test finds; whatever ends it, the person is told on the page that is half there."""
        try:
            service = self._services()
            service.connections.refresh()
            known = (one for one in service.connections.all if one.account_id == page_id)
            connection = next(iter(sorted(known, key=lambda one: not one.active)), None)
            if connection:
                yield from checks.followed(service, connection, fix=fix)
        except redis.RedisError as error:
            log.warning("tab_failed", reason=reason_of(error))
            yield finding("store_away", reason=reason_of(error))
        except Exception:
            log.exception("test_broke_off", page=page_id)
            yield finding("test_broke_off")


def _form_of(standing: Standing, entry: ListedConnection) -> Form | None:
    """Return the form of a page that is shown; a new token for one that lost its access switches it on."""
    if entry.fixed:
        return None
    form, is_on = _form(entry), standing.connection.active
    lost = standing.state == State.RECONNECT and not is_on
    return replace(form, values=dict(form.values) | {"active": True}) if lost else form


def _form(entry: ListedConnection) -> Form:
    if not entry.connection:
        return Form({"page_id": entry.page_id}, version=entry.version, problem=notice("page_is_unreadable"))
    shown = entry.as_json()
    ends = {name: shown[name]["ends_in"] or "" for name in SECRETS if shown[name]["set"]}
    values = {name: value for name, value in shown.items() if name not in SECRETS}
    return Form(values, ends, entry.version)


def _refused(fields: Mapping[str, Any], error: InvalidFields) -> Form:
    return Form(fields, wrong=frozenset(name for name, _ in error.faults))


def _version(text: str) -> int:
    """Return the version of a page that a form was made for; 0, which no page has, if that is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _number(text: str) -> Any:
    """Return a number as it was entered, with a comma too; 0 for none, and the text if it is no number."""
    try:
        return float(text.replace(",", ".")) if text else 0
    except ValueError:
        return text
