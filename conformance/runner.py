"""How the checks are run, and what is shown of one that failed."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from clients.errors import ClientError, RetryableError, Unauthorized
from conformance import rest
from conformance.check import Check, Result
from conformance.context import Context
from conformance.outcome import Cannot, Failed, NotChecked

AGAIN_AFTER, LONGEST_WAIT = 1.0, 120.0
"""How long is waited when the helpdesk asks for patience, in seconds: if it does not say, and at most."""
SHOWN = 3
"""How many exchanges stand beside a check that failed."""
BROKEN = "This call has to work; see its error."


def judge(one: Check, context: Context) -> Result:
    """Run one check, and tell of one that failed what was asked and answered."""
    context.exchanges.clear()
    before = len(context.made)
    result = _judged_patiently(one, context)
    return _with_evidence(context, result, context.made[before:]) if result.outcome == "failed" else result


def _with_evidence(context: Context, result: Result, made: Sequence[str]) -> Result:
    """Add what was asked and answered, what was expected, and where to look."""
    last = tuple(context.exchanges)[-SHOWN:]
    if not context.serves_our_api:
        exchanges = tuple(("", one) for one in last)
        return replace(result, exchanges=exchanges, tickets=_addresses(context, made))
    operations = tuple((rest.name_of(one), one) for one in last)
    expected = rest.expected_of(last) if result.remedy == BROKEN else result.check.api
    named = [*dict.fromkeys([*filter(None, map(rest.ticket_of, last)), *made])]
    return replace(result, exchanges=operations, expected=expected, tickets=_addresses(context, named))


def _addresses(context: Context, tickets: Sequence[str]) -> tuple[str, ...]:
    return tuple(filter(None, map(context.address, tickets[-SHOWN:])))


def wait_for(error: RetryableError) -> None:
    """Wait as long as a helpdesk asks for that has a rate limit, or is still busy."""
    time.sleep(min(error.retry_after or AGAIN_AFTER, LONGEST_WAIT))  # the helpdesk's limit, or its lock


def _judged_patiently(one: Check, context: Context) -> Result:
    """Run one check. Where the helpdesk asks for patience, as one with a rate limit does, once more."""
    try:
        return _judged(one, context)
    except RetryableError as error:
        wait_for(error)
    try:
        return _judged(one, context)
    except RetryableError as error:
        return _broken(one, context, error)


def _judged(one: Check, context: Context) -> Result:
    try:
        one.run(context)
    except NotChecked as reason:
        return Result(one, "not checked", str(reason))
    except Cannot as cannot:
        told = context.helpdesk.cannot.get(cannot.what, cannot.instead)
        return Result(one, "cannot", f"{cannot.what}: {told}", cannot=Cannot(cannot.what, told))
    except Failed as failure:
        return Result(one, "failed", str(failure), one.remedy)
    except Exception as error:
        if isinstance(error, RetryableError) and not isinstance(error, Unauthorized):
            raise
        return _broken(one, context, error)
    return Result(one, "passed")


def _broken(one: Check, context: Context, error: Exception) -> Result:
    return Result(one, "failed", context.said(error), BROKEN)


def run(context: Context, checks: Iterable[Check]) -> Iterator[Result]:
    """Run checks one after another, until one fails without which there is no use in the others."""
    failed: Check | None = None
    for one in checks:
        if failed:
            yield Result(one, "not checked", f"first this has to hold: {failed}")
            continue
        result = judge(one, context)
        yield result
        if result.outcome == "failed" and one.needed and not context.made:
            failed = one


def missing(context: Context) -> str:
    """Say what is not there of where the tickets are to go; empty if that is there, or is not told."""
    desk, category = context.desk_id, context.category_id
    with suppress(ClientError):  # which the checks meet, too
        if context.helpdesk.has_desk(desk) is False:
            return f"The helpdesk has no desk {desk}"
        if category and context.helpdesk.has_category(category) is False:
            return f"The helpdesk has no category {category}"
    return ""
