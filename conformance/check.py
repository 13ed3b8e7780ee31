"""What a check is, what may come of it, and how all of them are run."""

import inspect
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from clients.errors import RetryableError, Unauthorized
from conformance.exchanges import Exchange

if TYPE_CHECKING:
    from conformance.context import Context

AGAIN_AFTER, LONGEST_WAIT = 1.0, 120.0
"""How long is waited when the helpdesk asks for patience, in seconds: if it does not say, and at most."""
SHOWN = 3
"""How many exchanges stand beside a check that failed."""
BROKEN = "This call has to work; see its error."
Promise = Literal[
    "nothing is lost",
    "nothing is doubled",
    "order is kept",
    "one open ticket for each customer",
    "everything is shown",
    "only what an agent says publicly goes out",
]
"""The promises of docs/reliability.md, and the rule for what goes out."""


class Failed(Exception):
    """The helpdesk does not hold what is checked; `str()` says what was seen."""


class NotChecked(Exception):
    """It could not be checked; `str()` says why."""


class Cannot(Exception):
    """The helpdesk cannot do `what`, which the connector knows how to do without: `instead`."""

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"{what}: {instead}")
        self.what, self.instead = what, instead


@dataclass(frozen=True)
class Check:
    """One thing that a helpdesk has to hold: `proves` says why, `remedy` what to do if it does not.

    `api` says what is expected of a helpdesk that serves our API, in the words of its document.
    """

    name: str
    promise: Promise
    proves: str
    remedy: str
    run: Callable[["Context"], None]
    api: str = ""

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
    name: str, *, promise: Promise, remedy: str, api: str = ""
) -> Callable[[Callable[["Context"], None]], Check]:
    """Make a check of a function; its docstring is what the check proves."""

    def make(run: Callable[["Context"], None]) -> Check:
        made = Check(name, promise, " ".join(inspect.cleandoc(run.__doc__ or "").split()), remedy, run, api)
        CHECKS.append(made)
        return made

    return make


def expect(holds: object, otherwise: str) -> None:
    """Raise `Failed` with what was seen, unless it holds."""
    if not holds:
        raise Failed(otherwise)


def judge(one: Check, context: "Context") -> Result:
    """Run one check, and add to one that failed what was asked and answered."""
    context.exchanges.clear()
    before = len(context.made)
    result = _judged_patiently(one, context)
    return context.with_evidence(result, context.made[before:]) if result.outcome == "failed" else result


def wait_for(error: RetryableError) -> None:
    """Wait as long as a helpdesk asks for that has a rate limit, or is still busy."""
    time.sleep(min(error.retry_after or AGAIN_AFTER, LONGEST_WAIT))


def _judged_patiently(one: Check, context: "Context") -> Result:
    """Run one check. Where the helpdesk asks for patience, as one with a rate limit does, once more."""
    try:
        return _judged(one, context)
    except RetryableError as error:
        wait_for(error)
    try:
        return _judged(one, context)
    except RetryableError as error:
        return _broken(one, context, error)


def _judged(one: Check, context: "Context") -> Result:
    try:
        one.run(context)
    except NotChecked as reason:
        return Result(one, "not checked", str(reason))
    except Cannot as cannot:
        instead = context.helpdesk.cannot.get(cannot.what, cannot.instead)
        return Result(one, "cannot", f"{cannot.what}: {instead}", cannot=Cannot(cannot.what, instead))
    except Failed as failure:
        return Result(one, "failed", str(failure), one.remedy)
    except Exception as error:
        if isinstance(error, RetryableError) and not isinstance(error, Unauthorized):
            raise
        return _broken(one, context, error)
    return Result(one, "passed")


def _broken(one: Check, context: "Context", error: Exception) -> Result:
    return Result(one, "failed", context.said(error), BROKEN)


def run(context: "Context", checks: Iterable[Check]) -> Iterator[Result]:
    """Run checks one after another; if the first one fails, a ping, there is no use in the others."""
    first, *others = checks
    result = judge(first, context)
    yield result
    for one in others:
        if result.outcome == "failed":
            yield Result(one, "not checked", f"first this has to hold: {first}")
        else:
            yield judge(one, context)
