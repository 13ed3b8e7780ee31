"""The operator's board: how each connection stands, and since when; opened by a signed link.

Its address with the header `HX-Request` is what changes on it: htmx asks for that again and again.
"""

import functools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import redis
import structlog
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clients.channels.registry import CHANNELS
from clients.notices import Notice, notice
from connector.links import BOARD_PATH, InvalidLink
from connector.overview import (
    Problem,
    Shared,
    Standing,
    State,
    details,
    last_troubles,
    problem_of,
    shared_problems,
    whole,
)
from connector.settings import Settings
from connector.web import access
from connector.web.access import Access
from connector.web.body import BodyReader
from connector.web.pages import (
    HELD,
    HTMX,
    Stopped,
    how_long,
    language_of,
    leading_to,
    only_time,
    page,
    tell,
    templates,
    worded,
)
from tasks.connections import Connection, Directory
from tasks.inbound.backfill import under_way
from tasks.inbox.inbox import Inbox
from tasks.inbox.queues import HELPDESK, STORE, account_id_of, account_of
from tasks.store import reason_of
from tasks.words import say

log = structlog.get_logger(__name__)

ON_A_PAGE = 50
"""How many connections, or dead letters, are shown at once."""
MOST_BACKFILLS, MOST_TROUBLES = 20, 8
EVERY, SELDOM = 3, 15
"""How often a page is brought up to date, in seconds; seldom where that takes the store longer."""


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows: the template of what changes on it, what that gets, and its own address.

    `every` says after how many seconds it is asked for again, and `top` is a template of what stands above
    the form and changes, too.
    """

    template: str
    path: str
    said: Mapping[str, str]
    context: Mapping[str, Any]
    every: int = EVERY
    top: str = ""


Handler = Callable[[Request, Access], Awaitable[Response]]


class Board:
    """What the pages of the board share: who may see them, and how they are kept up to date."""

    def __init__(
        self, settings: Settings, inbox: Inbox, directory: Directory, body_reader: BodyReader
    ) -> None:
        self.inbox, self.directory, self.body_reader = inbox, directory, body_reader
        self._key = settings.admin_token.get_secret_value()
        self._page = functools.partial(page, framed_by=settings.framed_by)
        # A proxy may have put a path in front of ours.
        self._root = urlsplit(settings.public_url).path

    def told(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Let a reader in who may see the board, and tell them what stops them."""

        @functools.wraps(handler)
        async def answer(request: Request) -> Response:
            try:
                allowed = self._access(request)
                if not request.query_params.get("opened"):
                    return self._begin(request, allowed)
                return await handler(request, allowed)
            except Stopped as stopped:
                status, what = stopped.status, stopped.what
            except redis.RedisError as error:
                log.warning("board_failed", reason=reason_of(error))
                status, what = 503, notice("connect_store_away")
            return self._stopped(request, Stopped(status, what))

        return answer

    def _access(self, request: Request) -> Access:
        if not self._key:
            raise Stopped(403, notice("board_off"))
        try:
            return access.read(request, BOARD_PATH, self._key)
        except InvalidLink as error:
            raise Stopped(403, notice(error.code.replace("connect_", "board_"))) from None

    def _begin(self, request: Request, allowed: Access) -> Response:
        """Lead from the link, which is good for minutes, to the page, which is good for an hour."""
        if request.method == "POST":
            raise Stopped(403, notice("board_link_incomplete"))
        return self.leading_to(request.scope["path"], allowed)

    def leading_to(self, path: str, allowed: Access, **said: object) -> Response:
        """Lead a browser to a page of the board."""
        return leading_to(self.address(path, allowed, **said))

    def address(self, path: str, allowed: Access, /, **said: object) -> str:
        """Return the address of a page of the board; what is empty is left out."""
        query = urlencode({name: value for name, value in said.items() if value})
        return f"{self._root}{path}?{allowed.query}{'&' if query else ''}{query}"

    def show(self, request: Request, allowed: Access, view: View) -> Response:
        """Answer with a page, or with what of it has changed."""
        known = self.known(request, allowed) | dict(view.context)
        language = known["language"]
        top, body = (_rendered(name, worded(language) | known) for name in (view.top, view.template))
        seen = sha256(f"{top}{body}".encode()).hexdigest()[:16]
        if request.headers.get("hx-request") and request.query_params.get("seen") == seen:
            return only_time(self._page(request, "board_time.html", language, known))
        live = self.address(view.path, allowed, **view.said, seen=seen)
        is_part = "hx-request" in request.headers
        known |= {"top": top, "body": body, "live": live, "every": view.every, "is_part": is_part}
        return self._page(request, "board_live.html" if is_part else "board.html", language, known)

    def page(self, request: Request, allowed: Access, template: str, **context: object) -> Response:
        """Answer with a page that stays as it is."""
        known = self.known(request, allowed) | context
        return self._page(request, template, known["language"], known)

    def _stopped(self, request: Request, stopped: Stopped) -> Response:
        language = language_of(request, request.query_params.get("language", ""))
        title = say(notice("board_title"), language)
        return tell(request, stopped, self._page, language, title, root=self._root, every=EVERY)

    def known(self, request: Request, allowed: Access) -> dict[str, Any]:
        """Return what every template of the board has."""
        language, now = language_of(request, allowed.link.language), time.time()
        return {
            "language": language,
            "title": say(notice("board_title"), language),
            "at": self._addresses(allowed),
            "at_path": lambda path="": f"{self._root}{BOARD_PATH}{path}",
            "access": parse_qsl(allowed.query),
            "htmx": f"{self._root}/assets/{HTMX}",
            "held": f"{self._root}/assets/{HELD}",
            "now": now,
            "ago": functools.partial(how_long, now, language=language),
            "where": self.where,
        }

    def _addresses(self, allowed: Access) -> Callable[..., str]:
        def at(path: str = "", **said: object) -> str:
            return self.address(BOARD_PATH + path, allowed, **said)

        return at

    def where(self, remote: str) -> str:
        """Return what operators call a remote: the page's name, or the system."""
        channel, _, account_id = remote.partition(":")
        connection = self.directory.of(channel).known.get(account_id)
        return connection.name if connection else account_id


def _rendered(name: str, known: Mapping[str, Any]) -> Markup:
    """Return what becomes of a template, which has escaped what it was given; nothing without a template."""
    return Markup(templates.get_template(name).render(known) if name else "")  # noqa: S704


def number(request: Request, name: str) -> int:
    """Return a number of the query; 1 where none is written there."""
    value = request.query_params.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 and int(value) else 1


class ConnectionsPage:
    """The first page of the board: is all well, and if not, which connection, since when, what to do."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.routes = [Route(BOARD_PATH, board.told(self._show), methods=["GET"])]

    async def _show(self, request: Request, allowed: Access) -> Response:
        query = request.query_params
        words, state = query.get("q", "").strip(), query.get("state", "")
        view = await run_in_threadpool(self._view, words, state, number(request, "page"))
        return self._board.show(request, allowed, view)

    def _view(self, words: str, state: str, number: int) -> View:
        inbox, directory = self._board.inbox, self._board.directory
        shared, every = whole(inbox, directory)
        counts = Counter(one.state for one in every)
        found = [one for one in every if _matches(one, words.casefold(), state)]
        pages = max(1, -(-len(found) // ON_A_PAGE))
        number = min(number, pages)
        shown = found[(number - 1) * ON_A_PAGE : number * ON_A_PAGE]
        backfills = under_way(inbox)
        more = details(inbox, [one.remote for one in shown], backfills)
        problems = list(shared_problems(shared))
        context = {
            "here": "connections",
            "shared": shared,
            "oldest": _oldest(inbox, every),
            "states": [(one, counts[one]) for one in State],
            "verdict": _verdict(shared, every, problems),
            "problems": problems,
            "rows": [(one, more[one.remote], _problems(one)) for one in shown],
            "found": len(found),
            "first": (number - 1) * ON_A_PAGE + 1,
            "number": number,
            "pages": pages,
            "words": words,
            "state": state,
            "backfills": list(backfills.items())[:MOST_BACKFILLS],
            "backfills_left": max(0, len(backfills) - MOST_BACKFILLS),
            "troubles": last_troubles(inbox, shared, every, MOST_TROUBLES),
            "systems": {HELPDESK: "board_helpdesk", STORE: "board_store"} | dict.fromkeys(CHANNELS, ""),
            "account_id_of": account_id_of,
        }
        said = {"q": words, "state": state, "page": str(number) if number > 1 else ""}
        return View("board_connections.html", BOARD_PATH, said, context, top="board_top.html")


def _oldest(inbox: Inbox, every: Sequence[Standing]) -> Connection | None:
    """Return the connection whose work is the oldest; None if that is of none that is known."""
    remote = account_of(inbox.oldest_queue())
    return next((one.connection for one in every if one.remote == remote), None)


def _matches(one: Standing, words: str, state: str) -> bool:
    if state and one.state != state:
        return False
    connection = one.connection
    return not words or (
        words in connection.name.casefold()
        or words in connection.account_id
        or words == connection.desk_id.casefold()
    )


def _problems(one: Standing) -> list[Problem]:
    found = list(map(problem_of, one.wrong))
    if one.paused:
        what = notice("board_paused", reason=one.paused)
        todo = notice("board_reconnect" if one.state == State.RECONNECT else "board_wait")
        found.append(Problem(what, notice("board_pause_means"), None if found else todo, one.since))
    if one.state == State.UNCHECKED:
        todo = notice("board_unchecked_todo", page=one.connection.account_id)
        found.append(Problem(notice("board_unchecked_means"), None, todo, None))
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all is well, at one glance: `level` is `ok`, `unknown`, `warn` or `bad`."""

    level: str
    sentences: Sequence[Notice]


def _verdict(shared: Shared, every: Sequence[Standing], problems: Sequence[Problem]) -> Verdict:
    all_stopped = shared.stops_messages
    stopped = sum(one.stops_messages for one in every)
    counts = Counter(one.state for one in every)
    said = [
        (all_stopped, notice("board_stopped")),
        (stopped and not all_stopped, notice("board_some_stopped", count=stopped)),
        (problems and not all_stopped, notice("board_shared_attention")),
        (counts[State.RECONNECT], notice("board_to_reconnect", count=counts[State.RECONNECT])),
        (counts[State.ATTENTION], notice("board_to_look_at", count=counts[State.ATTENTION])),
        (shared.dead, notice("board_dead", count=shared.dead)),
        (not every, notice("no_connections")),
    ]
    wrong = [sentence for is_so, sentence in said if is_so]
    unchecked = counts[State.UNCHECKED]
    unknown = [notice("board_unchecked", count=unchecked)] if unchecked else []
    if not wrong:
        return Verdict("unknown", unknown) if unknown else Verdict("ok", [notice("board_well")])
    return Verdict("bad" if all_stopped or stopped else "warn", wrong + unknown)
