"""Dead letters and unknown events on the board: listed, shown, tried again and dropped, one or many.

What somebody wrote is shown after a click only, which is logged. Two operators may do it at once: whoever
comes second is told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clients.channels.registry import CHANNELS
from clients.notices import Notice, decode, notice
from connector.kept import Filters, as_json, page_of, whole
from connector.links import BOARD_PATH
from connector.logs import audit
from connector.overview import kept_since
from connector.web.access import Access
from connector.web.board import (
    EVERY,
    ON_A_PAGE,
    SELDOM,
    Board,
    ConnectionsPage,
    View,
    number,
)
from connector.web.forms import read_form
from connector.web.pages import Stopped
from tasks.inbound.unknown import is_known
from tasks.inbox.inbox import Inbox
from tasks.inbox.kept_jobs import KeptJob, KeptJobs
from tasks.inbox.queues import account_of, account_remote

MOST = 5_000
"""Of how many the reasons are looked at, and how many are done at once: the newest, and the oldest."""
AT_ONCE = 500
RETRY, DROP, OPEN = "retry", "drop", "open"
RETRY_ALL, DROP_ALL = "retry_all", "drop_all"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of kept jobs; `since` is what happened when one was kept, as the command line says it."""

    name: str
    since: str
    of: Callable[[Inbox], KeptJobs]
    must_be_known: bool = False


KINDS = (
    Kind("dead", "died", lambda inbox: inbox.dead_letters),
    Kind("unknown", "kept", lambda inbox: inbox.unknown_events, must_be_known=True),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Those that the filters choose, by their ids, the newest first.

    `looked_at` is of how many the reasons were looked at, None if there was no need to.
    """

    ids: Sequence[int]
    looked_at: int | None = None
    left: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """Which ones a reader wants to see: of a page, with words in code or reason."""

    page: str
    words: str

    @property
    def said(self) -> dict[str, str]:
        """Return it as addresses have it."""
        return {"of": self.page, "words": self.words}


class KeptPages:
    """The pages of one kind of kept jobs."""

    def __init__(self, board: Board, kind: Kind) -> None:
        self._board, self._kind = board, kind
        self._there = kind.of(board.inbox)
        self._path = f"{BOARD_PATH}/{kind.name}"
        self.routes = [
            Route(self._path, board.told(self._show), methods=["GET"]),
            Route(self._path, board.told(self._act), methods=["POST"]),
            Route(self._path + "/{id}", board.told(self._one), methods=["GET"]),
            Route(self._path + "/{id}", board.told(self._open), methods=["POST"]),
        ]

    async def _show(self, request: Request, allowed: Access) -> Response:
        choice = _choice(request.query_params)
        done = {name: request.query_params.get(name, "") for name in ("done", "count", "gone", "newer")}
        view = await run_in_threadpool(self._view, choice, number(request, "page"), done)
        return self._board.show(request, allowed, view)

    def _view(self, choice: Choice, number: int, done: Mapping[str, str]) -> View:
        chosen = self._chosen(choice)
        pages = max(1, -(-len(chosen.ids) // ON_A_PAGE))
        number = min(number, pages)
        shown = self._there.some(chosen.ids[(number - 1) * ON_A_PAGE : number * ON_A_PAGE])
        inbox = self._board.inbox
        context = {
            "here": self._kind.name,
            "kind": self._kind,
            "dead": inbox.dead_letters.count(),
            "unknown": inbox.unknown_events.count(),
            "rows": [_row(one) for one in shown],
            "found": len(chosen.ids),
            "chosen": chosen,
            "most": MOST,
            "first": (number - 1) * ON_A_PAGE + 1,
            "number": number,
            "pages": pages,
            "choice": choice,
            "outcome": _outcome(done),
        }
        said = choice.said | {"page": str(number) if number > 1 else "", **done}
        every = SELDOM if choice.words else EVERY
        return View("board_kept.html", self._path, said, context, every)

    def _chosen(self, choice: Choice) -> Chosen:
        """Find those that are meant, without reading all that there are."""
        ids = self._ids(choice.page)
        by_page = bool(choice.page) and self._kind.must_be_known  # there is no list of those of a page
        if not choice.words and not by_page:
            return Chosen(ids)
        filters = Filters(choice.page or None, reason=choice.words or None)
        newest = ids[:MOST]
        found = [one.job.id for one in self._read(newest) if filters.match(one)]
        return Chosen(found, len(newest), len(ids) - len(newest))

    def _ids(self, page: str) -> list[int]:
        if not page or self._kind.must_be_known:
            return self._there.ids()
        of_page = (self._board.inbox.dead_ids(account_remote(channel, page)) for channel in CHANNELS)
        return sorted((id_ for ids in of_page for id_ in ids), reverse=True)

    def _read(self, ids: Sequence[int]) -> Iterable[KeptJob]:
        for start in range(0, len(ids), AT_ONCE):
            yield from self._there.some(ids[start : start + AT_ONCE])

    async def _one(self, request: Request, allowed: Access) -> Response:
        kept = await self._kept(request)
        return self._letter(request, allowed, kept, event=None)

    async def _open(self, request: Request, allowed: Access) -> Response:
        """Show what somebody wrote, and have the log say so before."""
        kept = await self._kept(request)
        audit.info(
            "dead_letter_opened" if self._kind.name == "dead" else "unknown_event_opened", id=kept.job.id
        )
        return self._letter(request, allowed, kept, event=as_json(whole(kept, self._kind.since)["event"]))

    async def _kept(self, request: Request) -> KeptJob:
        said = request.path_params["id"]
        for id_ in _ids([said]):
            if kept := await run_in_threadpool(self._there.get, id_):
                return kept
        raise Stopped(404, notice(f"board_{self._kind.name}_gone", id=said))

    def _letter(self, request: Request, allowed: Access, kept: KeptJob, event: str | None) -> Response:
        history = [{"at": "", **one, "reason": decode(one.get("reason", ""))} for one in kept.job.history]
        return self._board.page(
            request,
            allowed,
            "board_letter.html",
            here=self._kind.name,
            kind=self._kind,
            row=_row(kept),
            queue=kept.job.queue,
            history=history,
            event=event,
            can_retry=not self._kind.must_be_known or is_known(kept.job, CHANNELS),
        )

    async def _act(self, request: Request, allowed: Access) -> Response:
        """Do what a form asks for, or ask once more before anything is dropped."""
        form = await read_form(request, self._board.body_reader)
        what, choice = "".join(form.get("do", [])[:1]), _choice({key: one[0] for key, one in form.items()})
        ids = _ids(form.get("id", []))
        if what in (RETRY_ALL, DROP_ALL):
            chosen = await run_in_threadpool(self._chosen, choice)
            newest = _ids(form.get("newest", [])) or chosen.ids[:1]
            # Not what came since the reader was asked. The oldest: those who wait longest come first.
            ids = [id_ for id_ in chosen.ids if id_ <= newest[0]][-MOST:]
        if what not in (RETRY, DROP, RETRY_ALL, DROP_ALL) or not ids:
            return self._board.leading_to(self._path, allowed, **choice.said, done="nothing")
        if what in (DROP, DROP_ALL) and "sure" not in form:
            return self._ask(request, allowed, what, choice, ids)
        do = self._drop if what in (DROP, DROP_ALL) else self._retry
        done = await run_in_threadpool(do, sorted(set(ids)))
        return self._board.leading_to(self._path, allowed, **choice.said, **done)

    def _ask(
        self, request: Request, allowed: Access, what: str, choice: Choice, ids: Sequence[int]
    ) -> Response:
        return self._board.page(
            request,
            allowed,
            "board_drop.html",
            here=self._kind.name,
            kind=self._kind,
            what=what,
            choice=choice,
            ids=ids if what == DROP else [],
            newest=max(ids),
            count=len(ids),
        )

    def _retry(self, ids: Sequence[int]) -> dict[str, object]:
        count = newer = 0
        for kept in self._read(ids):
            if self._kind.must_be_known and not is_known(kept.job, CHANNELS):
                newer += 1
            else:
                count += self._there.requeue(kept)
        audit.info("board_requeued", kind=self._kind.name, count=count)
        return {"done": "requeued", "count": count, "gone": len(ids) - count - newer, "newer": newer}

    def _drop(self, ids: Sequence[int]) -> dict[str, object]:
        count = sum(self._there.drop(id_) for id_ in ids)
        audit.info("board_dropped", kind=self._kind.name, count=count)
        return {"done": "dropped", "count": count, "gone": len(ids) - count}


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A kept job as a list shows it: nothing that the customer or the agent wrote."""

    id: int
    at: float | None
    remote: str
    page: str
    reason: Notice


def _row(kept: KeptJob) -> KeptRow:
    remote = account_of(kept.job.queue)
    return KeptRow(kept.job.id, kept_since(kept), remote, page_of(kept), decode(kept.reason))


def _ids(said: Iterable[str]) -> list[int]:
    return [int(one) for one in said if one.isascii() and one.isdigit() and len(one) < 16]


def _choice(said: Mapping[str, str]) -> Choice:
    return Choice(said.get("of", "").strip(), said.get("words", "").strip())


def _outcome(done: Mapping[str, str]) -> list[Notice]:
    """Return what became of what a form asked for."""
    if done["done"] == "nothing":
        return [notice("board_nothing_ticked")]
    if done["done"] not in ("requeued", "dropped"):
        return []
    counts = {name: int(done[name]) if done[name].isascii() and done[name].isdigit() else 0 for name in done}
    said = [notice(f"board_{done['done']}", count=counts["count"])]
    said += [notice(f"board_{name}", count=counts[name]) for name in ("gone", "newer") if counts[name]]
    return said


def routes(board: Board) -> list[Route]:
    """Return the routes of all pages of the board."""
    kept = (route for kind in KINDS for route in KeptPages(board, kind).routes)
    return [*ConnectionsPage(board).routes, *kept]
