"""What a check is, and what came of it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from conformance.context import Context
from conformance.exchanges import Exchange
from conformance.outcome import Cannot

Promise = Literal[
    "nothing is lost",
    "nothing is doubled",
    "order is kept",
    "one open ticket for each customer",
    "everything is shown",
    "only what an agent says publicly goes out",
]
"""The promises of docs/reliability.md, and the rule for what goes out."""


@dataclass(frozen=True)
class Check:
    """One thing that a helpdesk has to hold: `proves` says why, `remedy` what to do if it does not.

    `api` says what is expected of a helpdesk that serves our API, in the words of its document. Of no use are
    the others where one that is `needed` fails before there is any ticket.
    """

    name: str
    promise: Promise
    proves: str
    remedy: str
    run: Callable[[Context], None]
    api: str = ""
    needed: bool = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Result:
    """What came of a check. `detail` says what was seen, or why there is nothing to see.

    Of one that failed, `expected` is what a helpdesk that serves our API should have answered, `exchanges`
    are the last calls, each with its operation in that API, and `tickets` the addresses of its tickets.
    """

    check: Check
    outcome: Literal["passed", "failed", "cannot", "not checked"]
    detail: str = ""
    remedy: str = ""
    cannot: Cannot | None = None
    expected: str = ""
    exchanges: tuple[tuple[str, Exchange], ...] = ()
    tickets: tuple[str, ...] = ()


CHECKS: list[Check] = []


def check(
    name: str, *, promise: Promise, remedy: str, api: str = "", needed: bool = False
) -> Callable[[Callable[[Context], None]], Check]:
    """Make a check of a function; its docstring is what the check proves."""

    def make(run: Callable[[Context], None]) -> Check:
        proves = " ".join(inspect.cleandoc(run.__doc__ or "").split())
        made = Check(name, promise, proves, remedy, run, api, needed)
        CHECKS.append(made)
        return made

    return make
